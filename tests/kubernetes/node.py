# SPDX-License-Identifier: Apache-2.0
"""A node of Kubernetes itself, in network namespaces of its own: etcd, kube-apiserver and kube-proxy of the folder
FAIRLEAD_KUBERNETES, two pods (10.244.0.11 and .12, fd00:244::11 and ::12) that echo on port 8080, and a machine outside
(10.0.0.9, fd00:1::9) that is the node's default router. The node is node1, 10.0.0.1 and fd00:1::1."""
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from cluster import BIN, run, wait_for

HERE = pathlib.Path(__file__).resolve().parent
PROXY = BIN / "fairlead-proxy"
NEEDED = ("etcd", "kube-apiserver", "kube-proxy")
SERVER = "https://10.0.0.1:6443"
TOKEN = "of-a-test"
HEALTH = "http://127.0.0.1:10256/healthz"
START = 120.0  # seconds; for a machine that hangs
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def programs():
    """The folder with the programs to test against; without them there is nothing to test."""
    folder = pathlib.Path(os.environ.get("FAIRLEAD_KUBERNETES", ""))
    missing = [name for name in NEEDED if not os.access(folder / name, os.X_OK)]
    if "FAIRLEAD_KUBERNETES" not in os.environ or missing:
        sys.exit("FAIRLEAD_KUBERNETES is to be a folder with the programs " + ", ".join(NEEDED))
    return folder.resolve()


def status_of(url):
    """The HTTP status at a URL; None if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


class Api:
    """What the tests write at the API server."""

    def __init__(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # its certificate is of its own making
        self.connection = http.client.HTTPSConnection("10.0.0.1", 6443, context=context, timeout=60)

    def close(self):
        self.connection.close()

    def request(self, method, path, body=None, content_type="application/json"):
        """The answer's object. AssertionError with what the server says when it refuses."""
        headers = {"Content-Type": content_type, "Authorization": "Bearer " + TOKEN}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        assert answer.status < 300, f"{method} {path}: {answer.status} {text[:500]}"
        return json.loads(text)

    def create(self, path, body):
        return self.request("POST", path, body)

    def patch(self, path, body):
        return self.request("PATCH", path, body, "application/merge-patch+json")


class Node:
    """The namespaces and what runs in them. The tests' own thread is in the node's namespace while it lives."""

    def __init__(self):
        self.programs = programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fairlead-kubernetes-"))
        self.names = {role: f"fk{os.getpid()}-{role}" for role in ("node", "pod1", "pod2", "outside")}
        self.running = []
        self.api = None
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            self._network()
            self._enter(f"/run/netns/{self.names['node']}")
            self._control_plane()
            for pod in ("pod1", "pod2"):
                self.start(f"echo-{pod}", sys.executable, HERE / "echo.py", at=pod)
        except BaseException:
            self.close()
            raise

    def _enter(self, path):
        with contextlib.closing(os.fdopen(os.open(path, os.O_RDONLY))) as file:
            if LIBC.setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), path)

    def _network(self):
        for name in self.names.values():
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")

        def ip(role, *words):
            run("ip", "-n", self.names[role], *words)

        def link(role, name, other, other_name):
            ip(role, "link", "add", name, "type", "veth", "peer", "name", other_name, "netns", self.names[other])
            ip(role, "link", "set", name, "up")
            ip(other, "link", "set", other_name, "up")

        for number, pod in ((11, "pod1"), (12, "pod2")):
            link("node", pod, pod, "eth0")
            ip("node", "address", "add", "169.254.1.1/32", "dev", pod)
            ip("node", "address", "add", "fe80::1/64", "dev", pod, "nodad")
            ip("node", "route", "add", f"10.244.0.{number}/32", "dev", pod)
            ip("node", "-6", "route", "add", f"fd00:244::{number}/128", "dev", pod)
            ip(pod, "address", "add", f"10.244.0.{number}/32", "dev", "eth0")
            ip(pod, "address", "add", f"fd00:244::{number}/128", "dev", "eth0", "nodad")
            ip(pod, "route", "add", "169.254.1.1", "dev", "eth0")
            ip(pod, "route", "add", "default", "via", "169.254.1.1")
            ip(pod, "-6", "route", "add", "default", "via", "fe80::1", "dev", "eth0")
        link("node", "eth0", "outside", "eth0")
        for role, other, last, gateway in (("node", "outside", 1, 9), ("outside", "node", 9, 1)):
            ip(role, "address", "add", f"10.0.0.{last}/24", "dev", "eth0")
            ip(role, "address", "add", f"fd00:1::{last}/64", "dev", "eth0", "nodad")
            ip(role, "route", "add", "default", "via", f"10.0.0.{gateway}")
            ip(role, "-6", "route", "add", "default", "via", f"fd00:1::{gateway}")
        run("ip", "netns", "exec", self.names["node"], "sysctl", "-qw", "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1")

    def _control_plane(self):
        run("openssl", "genrsa", "-out", self.folder / "key", "2048")
        (self.folder / "tokens").write_text(f"{TOKEN},admin,1,system:masters\n")
        cluster = {"server": SERVER, "insecure-skip-tls-verify": True}
        (self.folder / "kubeconfig").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "c", "user": {"token": TOKEN}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}))
        self.start("etcd", self.programs / "etcd", "--data-dir", self.folder / "etcd", "--unsafe-no-fsync")
        self.start_api_server()

    def start_api_server(self, *more):
        """Until it is ready; `more`: flags."""
        self.api_server = self.start(
            "kube-apiserver", self.programs / "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379",
            "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112", "--bind-address=10.0.0.1", "--secure-port=6443",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={self.folder}/key",
            f"--service-account-signing-key-file={self.folder}/key", f"--token-auth-file={self.folder}/tokens",
            f"--cert-dir={self.folder}/certificates", "--advertise-address=10.0.0.1", *more)

        def ready():
            assert self.api_server.poll() is None, self.said("kube-apiserver")
            if self.api is not None:
                self.api.close()
            self.api = Api()
            with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
                return self.api.request("GET", "/api/v1/namespaces/default")
        wait_for("kube-apiserver", ready, START)

    def configure(self, mode, more=""):
        """A configuration for either proxy. Sysctls of connection tracking are the host's, not a namespace's."""
        path = self.folder / "config"
        path.write_text("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
                        f"clientConnection: {{kubeconfig: {self.folder}/kubeconfig}}\n"
                        "conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}\n"
                        f"clusterCIDR: 10.244.0.0/16,fd00:244::/32\nmode: {mode}\n{more}")
        return path

    def start(self, name, *command, at="node"):
        """A program in the namespace `at`; what it says is in the folder under its name."""
        with open(self.folder / f"{name}.log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(["ip", "netns", "exec", self.names[at], *map(str, command)], stdout=log,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.running.append(process)
        return process

    def said(self, name, last=3000):
        return (self.folder / f"{name}.log").read_text(errors="replace")[-last:]

    @contextlib.contextmanager
    def kube_proxy(self, config):
        """Runs it, and leaves the node as one where no proxy ever ran."""
        process = self.start_kube_proxy(config)
        try:
            yield process
        finally:
            self.stop(process)
            self.clear_rules()

    def start_kube_proxy(self, config):
        """Until every family's rules are written."""
        process = self.start("kube-proxy", self.programs / "kube-proxy", f"--config={config}", "--hostname-override=node1",
                             "-v=2")

        def synced():
            assert process.poll() is None, self.said("kube-proxy")
            lines = [line for line in self.said("kube-proxy", 1 << 20).split("\n") if '"SyncProxyRules complete"' in line]
            return all(any(family in line for line in lines) for family in ('"IPv4"', '"IPv6"'))
        wait_for("kube-proxy's first synchronization", synced, START)
        return process

    def start_fairlead_proxy(self, config, *more):
        """Until it is healthy."""
        process = self.start("fairlead-proxy", PROXY, "--config", config, "--hostname-override=node1", *more)

        def healthy():
            assert process.poll() is None, self.said("fairlead-proxy")
            return status_of(HEALTH) == 200
        wait_for("fairlead-proxy", healthy)
        return process

    def shadow(self, config, *more):
        """What `fairlead-proxy --shadow` says of the kube-proxy that runs."""
        done = run(PROXY, "--config", config, "--hostname-override=node1", "--shadow", *more, check=False)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    def stop(self, process):
        """Nothing, if it has been ended before."""
        if process in self.running:
            process.terminate()
            process.wait(timeout=60)
            self.running.remove(process)

    def kill(self, process):
        process.kill()
        process.wait()
        self.running.remove(process)

    def clear_rules(self):
        run("nft", "flush", "ruleset")

    def close(self):
        if self.api is not None:
            self.api.close()
        for process in reversed(self.running):
            process.kill()
            process.wait()
        with contextlib.closing(os.fdopen(self.home)) as file:
            LIBC.setns(file.fileno(), CLONE_NEWNET)
        for name in self.names.values():
            run("ip", "netns", "delete", name, check=False)
        shutil.rmtree(self.folder)
