# SPDX-License-Identifier: Apache-2.0
"""`fairlead server` and `fairlead node` apart on one machine are a full cluster, each without the other for a while."""
import os
import signal
import subprocess
import time
import unittest

import cluster
from cluster import BIN, ROOT, Load, SplitCluster, run, wait_for

LINE = """
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "line"}, "spec": {"restartPolicy": "Never",
 "containers": [{"name": "main", "image": "localhost/fairlead/demo:1", "command": ["echo", "from the node"]}]}}
"""


class ApartTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = SplitCluster.for_class(cls)
        cls.url = cls.cluster.apply_hello()

    def containers(self):
        return self.cluster.containers("app=hello")

    def node_is(self, status):
        conditions = self.cluster.get("nodes")["items"][0]["status"]["conditions"]
        return any(c["type"] == "Ready" and c["status"] == status for c in conditions)

    def test_a_pod_sees_the_whole_cluster(self):
        """Names, 300 connections and SRV from inside a pod, read with kubectl logs."""
        self.cluster.k("apply", "-f", ROOT / "docs/examples/client.yaml")
        wait_for("the client's end", lambda: self.cluster.pod_phase("client") == "Succeeded")
        said = self.cluster.k("logs", "client")
        self.assertRegex(said, r"short name:  hello -> hello-")
        self.assertIn("300 connections, 0 failed", said)
        self.assertEqual(self.cluster.k("logs", "-f", "client"), said)
        self.cluster.k("delete", "pod", "client")

    def test_node_with_a_kubeconfig_for_elsewhere(self):
        """What an administrator carries to another machine; here it is the same one, by its address."""
        before = self.containers()
        ip, name = self.cluster.node_ip(), self.cluster.get("nodes")["items"][0]["metadata"]["name"]
        invitation = self.cluster.folder / "elsewhere.kubeconfig"
        invitation.write_text(run(BIN / "fairlead", "node-kubeconfig", "--data-dir", self.cluster.data,
                                  "--node-name", name, "--node-ip", ip).stdout)
        self.assertIn(f"server: https://{ip}:6443\n", invitation.read_text())
        self.cluster.process.terminate()
        self.assertEqual(self.cluster.process.wait(timeout=30), 0)
        self.cluster.node_kubeconfig = invitation
        self.cluster.start_node()
        self.cluster.apply(LINE)
        wait_for("the pod's end", lambda: self.cluster.pod_phase("line") == "Succeeded")
        self.assertEqual(self.cluster.k("logs", "line"), "from the node\n")
        self.cluster.k("delete", "pod", "line")
        self.assertEqual(self.containers(), before)
        done = subprocess.run([BIN / "fairlead", "node-kubeconfig", "--data-dir", self.cluster.folder / "nothing",
                               "--node-name", name, "--node-ip", ip], text=True, capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("`fairlead server` makes it", done.stderr)

    def test_short_silence_of_the_node(self):
        """Longer than the lease: NotReady, nobody's endpoint, and not evicted; back, it goes on as before."""
        before = self.containers()
        self.cluster.kill()
        self.assertEqual(self.cluster.children().keys(), {"containerd", "fairlead-proxy", "fairlead-dns"})
        wait_for("the node is NotReady", lambda: self.node_is("Unknown"), limit=120)
        wait_for("its pods are not ready", lambda: not self.cluster.ready_pods("app=hello"))
        time.sleep(3)  # an eviction at once would be one now
        self.assertEqual(self.containers(), before)
        self.assertEqual([pod["metadata"]["name"] for pod in self.cluster.get("pods")["items"]
                          if "deletionTimestamp" in pod["metadata"]], [])
        self.cluster.start_node()
        wait_for("three pods are ready", lambda: len(self.cluster.ready_pods("app=hello")) == 3)
        wait_for("the NodePort answers", lambda: Load.once(self.url))
        self.assertEqual(self.containers(), before)

    def test_a_node_that_stood_still(self):
        """The same process goes on after more than the lease: it is Ready, without taints, and so are its pods."""
        before = self.containers()
        worker = cluster.worker_of(self.cluster.process.pid)
        os.kill(worker, signal.SIGSTOP)
        try:
            wait_for("the node is Unknown", lambda: self.node_is("Unknown"), limit=120)
            wait_for("its pods are not ready", lambda: not self.cluster.ready_pods("app=hello"))
        finally:
            os.kill(worker, signal.SIGCONT)
        wait_for("the node is Ready", lambda: self.node_is("True"))
        wait_for("no taint", lambda: not self.cluster.get("nodes")["items"][0]["spec"].get("taints"))
        wait_for("three pods are ready", lambda: len(self.cluster.ready_pods("app=hello")) == 3)
        self.assertEqual(self.containers(), before)

    def test_server_restarts(self):
        """Without its server the node's pods serve; afterwards changes work."""
        before = self.containers()
        load = Load(self.url)
        load.start()
        self.cluster.kill_server()
        good = load.good
        wait_for("load without a server", lambda: load.good > good + 50)
        self.cluster.start_server()
        self.cluster.k("scale", "deployment", "hello", "--replicas=4")
        wait_for("four pods", lambda: len(self.cluster.ready_pods("app=hello")) == 4)
        self.cluster.k("scale", "deployment", "hello", "--replicas=3")
        wait_for("three pods", lambda: len(self.cluster.get("pods", "-l", "app=hello")["items"]) == 3)
        self.assertEqual(load.end(), [])
        self.assertGreaterEqual(len(self.containers() & before), 2)


if __name__ == "__main__":
    unittest.main()
