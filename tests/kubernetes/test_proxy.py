# SPDX-License-Identifier: Apache-2.0
"""fairlead-proxy beside, after and before kube-proxy itself, and at kube-apiserver itself."""
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import unittest

import services
from cluster import run, wait_for
from node import HERE, HEALTH, PROXY, Node, status_of

SEED = int(os.environ.get("FAIRLEAD_SEED", random.randrange(1 << 31)))
# What else a configuration may say that decides where packets go. {mode} is the section of the mode.
CONFIGURATIONS = {
    "default": "",
    "masquerade all": "{mode}: {{masqueradeAll: true}}\n",
    "node ports by range": 'nodePortAddresses: ["10.0.0.0/24", "fd00:1::/64"]\n',
    "node ports everywhere": 'nodePortAddresses: ["0.0.0.0/0"]\n',
    "pods by interface": "detectLocalMode: InterfaceNamePrefix\ndetectLocal: {{interfaceNamePrefix: pod}}\n",
    "pods by bridge": "detectLocalMode: BridgeInterface\ndetectLocal: {{bridgeInterface: pod1}}\n",
    "pods by node": "detectLocalMode: NodeCIDR\n",
    "no external addresses": "featureGates: {{AllowServiceExternalIPs: false}}\n",
}
MODES = ("nftables", "iptables")
WEB, WEB6, NODE_PORT = "10.96.7.7", "fd00:10:96::77", 30080


def create_web(api):
    """A Service of the two pods of the node, TCP and UDP, both families, with a node port."""
    ports = [{"name": name, "port": 80, "targetPort": 8080, "protocol": protocol, "nodePort": NODE_PORT}
             for name, protocol in (("t", "TCP"), ("u", "UDP"))]
    api.create(services.SERVICES, {"metadata": {"name": "web"}, "spec": {
        "type": "NodePort", "ipFamilyPolicy": "RequireDualStack", "clusterIP": WEB, "clusterIPs": [WEB, WEB6],
        "ports": ports}})
    for family, network in (("IPv4", "10.244.0."), ("IPv6", "fd00:244::")):
        api.create(services.SLICES, web_slice(family, [network + "11", network + "12"]))


def web_slice(family, addresses):
    return {"metadata": {"name": f"web-{family.lower()}", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": family,
            "ports": [{"name": name, "port": 8080, "protocol": protocol} for name, protocol in (("t", "TCP"), ("u", "UDP"))],
            "endpoints": [{"addresses": [address], "nodeName": "node1", "conditions": {"ready": True}}
                          for address in addresses]}


class Traffic:
    """To web from a pod, from the node and from outside, until it is ended."""

    def __init__(self, node):
        outside = [f"10.0.0.1:{NODE_PORT}", f"[fd00:1::1]:{NODE_PORT}"]
        inside = [f"{WEB}:80", f"[{WEB6}]:80"]
        self.clients = [subprocess.Popen(
            ["ip", "netns", "exec", node.names[role], sys.executable, HERE / "traffic.py", *targets],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for role, targets in (("pod1", inside), ("node", inside), ("outside", outside))]
        node.running += self.clients
        self.running = node.running

    def end(self):
        """What was sent by kind, and what failed."""
        sent, failed = {}, []
        for client in self.clients:
            client.stdin.close()
        for client in self.clients:
            said = json.loads(client.stdout.read())
            client.stdout.close()
            client.wait()
            self.running.remove(client)
            failed += said["failed"]
            for kind, count in said["sent"].items():
                sent[kind] = sent.get(kind, 0) + count
        return sent, failed


class KubernetesTest(unittest.TestCase):
    count = 200  # Services beside web
    seed = SEED

    @classmethod
    def setUpClass(cls):
        print(f"FAIRLEAD_SEED={SEED}", flush=True)
        cls.node = Node()
        cls.addClassCleanup(cls.node.close)
        services.create_nodes(cls.node.api)
        services.create_services(cls.node.api, cls.seed, cls.count)
        create_web(cls.node.api)

    def tables(self):
        return set(re.findall(r"table (\S+ \S+)", run("nft", "list", "tables").stdout))


class ShadowTest(KubernetesTest):
    def shadow(self, mode, config):
        if mode == "nftables":
            return self.node.shadow(config)
        rules = self.node.folder / "rules"
        rules.write_text(run("iptables-save").stdout + run("ip6tables-save").stdout)
        return self.node.shadow(config, "--shadow-rules", rules)

    def test_no_difference_from_kube_proxy(self):
        for mode in MODES:
            for name, more in CONFIGURATIONS.items():
                with self.subTest(mode=mode, configuration=name, seed=SEED):
                    config = self.node.configure(mode, more.format(mode=mode))
                    with self.node.kube_proxy(config):
                        said = self.shadow(mode, config)
                    compared = re.search(r"(?:^|\n)(\d+) services, 0 differences\n$", said)
                    self.assertIsNotNone(compared, said)
                    self.assertGreater(int(compared.group(1)), self.count * 0.8)
                    if mode == "nftables":
                        self.assertNotIn("not counted", said)

    def test_what_is_missing_is_seen(self):
        config = self.node.configure("nftables")
        with self.node.kube_proxy(config):
            listed = run("nft", "list", "map", "ip", "kube-proxy", "service-ips").stdout
            element = re.search(rf"{WEB} \. tcp \. 80[^:]*: goto [^\s,]+", listed).group(0)
            run("nft", "delete", "element", "ip", "kube-proxy", "service-ips", "{ " + element + " }")
            said = self.node.shadow(config)
        self.assertRegex(said, rf"default/web {WEB}:80/tcp, from a pod .* kube-proxy refused\n")


class SwitchTest(KubernetesTest):
    def test_over_and_back_under_traffic(self):
        """As docs/proxy.md has it: kube-proxy ends, its rules stay, ours take over; and the other way round."""
        for mode in MODES:
            config = self.node.configure(mode)
            with self.subTest(mode=mode), self.node.kube_proxy(config) as before:
                tables = self.tables()
                traffic = Traffic(self.node)
                self.node.stop(before)
                ours = self.node.start_fairlead_proxy(config, "--take-over-from=kube-proxy")
                wait_for("the other's rules to go", lambda: not self.has_rules_of_kube_proxy())
                self.assertLessEqual({"ip fairlead", "ip6 fairlead"}, self.tables())
                after = self.node.start_kube_proxy(config)
                self.node.stop(ours)
                run(PROXY, "--cleanup")
                self.assertEqual(self.tables(), tables)
                sent, failed = traffic.end()
                self.node.stop(after)
                self.assertEqual(failed, [])
                self.assertGreater(min(sent.values()), 100, sent)

    def has_rules_of_kube_proxy(self):
        """Of either mode, that lead somewhere; what only marks a table as in use stays."""
        text = run("nft", "list", "ruleset", check=False).stdout
        return re.search(r"chain (KUBE-SVC-|KUBE-SERVICES)|table ip6? kube-proxy", text) is not None


class ApiServerTest(KubernetesTest):
    count = 20

    def setUp(self):
        self.proxy = self.node.start_fairlead_proxy(self.node.configure("nftables"))

    def tearDown(self):
        self.node.stop(self.proxy)
        run(PROXY, "--cleanup")

    def decides(self, target, said):
        return said in run(PROXY, "trace", "--from", "10.244.0.99", "--to", target).stdout

    def test_a_new_range_acts_at_once(self):
        """An address of it that no Service has is dropped: here it would be refused by its owner, the machine outside."""
        run("ip", "-n", self.node.names["outside"], "address", "add", "10.97.0.9/32", "dev", "lo")

        def attempt():
            with socket.socket() as end:
                end.settimeout(1)
                return end.connect_ex(("10.97.0.9", 80))
        self.assertEqual(attempt(), 111)  # ECONNREFUSED
        self.node.api.create("/apis/networking.k8s.io/v1/servicecidrs",
                             {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.97.0.0/24"]}})
        wait_for("the range in the kernel", lambda: self.decides("10.97.0.9:80/tcp", "dropped"), 10)
        self.assertEqual(attempt(), 11)  # EAGAIN: nothing came back in time

    def test_a_killed_server_and_lost_history(self):
        """Traffic goes on without it; it comes back with a history that begins later (410 Gone); changes act again."""
        traffic = Traffic(self.node)
        self.node.kill(self.node.api_server)
        wait_for("the proxy to see it", lambda: "refused" in self.node.said("fairlead-proxy"), 60)
        self.assertEqual(status_of(HEALTH), 200)
        self.proxy.send_signal(signal.SIGSTOP)
        self.node.start_api_server()
        self.node.api.create("/api/v1/namespaces", {"metadata": {"name": "later"}})
        self.node.kill(self.node.api_server)
        self.node.start_api_server()  # what it remembers begins after that
        self.proxy.send_signal(signal.SIGCONT)
        wait_for("new lists", lambda: self.node.said("fairlead-proxy", 1 << 20).count("listing again") >= 4, 60)
        sent, failed = traffic.end()
        self.assertEqual(failed, [])
        self.assertGreater(min(sent.values()), 100, sent)
        self.change_and_see("10.244.0.11")

    def test_a_server_without_watch_lists(self):
        self.node.kill(self.node.api_server)
        self.addCleanup(self.node.start_api_server)
        self.addCleanup(lambda: self.node.kill(self.node.api_server))
        self.node.start_api_server("--feature-gates=WatchList=false")
        self.node.stop(self.proxy)
        run(PROXY, "--cleanup")
        self.proxy = self.node.start_fairlead_proxy(self.node.configure("nftables"))
        self.change_and_see("10.244.0.12")

    def change_and_see(self, pod):
        """web is left with one pod, which the kernel knows within the longest pause between two tries; then both are back."""
        for pods in ([pod], ["10.244.0.11", "10.244.0.12"]):
            slice_of_web = self.node.api.request("GET", f"{services.SLICES}/web-ipv4")
            slice_of_web["endpoints"] = web_slice("IPv4", pods)["endpoints"]
            self.node.api.request("PUT", f"{services.SLICES}/web-ipv4", slice_of_web)
            expected = "balanced to " + ", ".join(f"{one}:8080" for one in pods) + "\n"
            wait_for("the change in the kernel", lambda: self.decides(f"{WEB}:80/tcp", expected), 60)


if __name__ == "__main__":
    unittest.main()
