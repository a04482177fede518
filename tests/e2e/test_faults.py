# SPDX-License-Identifier: Apache-2.0
"""kill -9 of every process of a running cluster: it comes back, and traffic goes on."""
import os
import pathlib
import signal
import threading
import time
import unittest
import urllib.error
import urllib.request

import cluster
from cluster import ROOT, wait_for


class Load(threading.Thread):
    """Opens connections to a URL one after the other and counts those that fail."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = url
        self.good = 0
        self.failures = []
        self.ending = threading.Event()

    def run(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while not self.ending.is_set():
            try:
                with opener.open(self.url, timeout=5) as answer:
                    answer.read()
                self.good += 1
            except (OSError, urllib.error.URLError) as error:
                self.failures.append(f"{time.strftime('%T')} {error}")
            time.sleep(0.005)

    def end(self):
        self.ending.set()
        self.join(timeout=10)
        return self.failures


class FaultTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.before = cluster.snapshot_of_the_machine()
        cls.cluster = cluster.Cluster()
        cls.addClassCleanup(cls.take_down)
        cls.cluster.start()
        cls.cluster.k("apply", "-f", ROOT / "docs/examples/hello.yaml")
        wait_for("three pods", lambda: len(cls.cluster.ready_pods("app=hello")) == 3)
        cls.url = f"http://{cls.cluster.node_ip()}:30080/"
        wait_for("the NodePort answers", cls.answers)

    @classmethod
    def take_down(cls):
        cls.cluster.stop()
        after = cluster.snapshot_of_the_machine()
        for what, lines in after.items():
            left = lines - cls.before[what]
            if left:
                raise AssertionError(f"{what} left behind: {left}")

    @classmethod
    def answers(cls):
        load = Load(cls.url)
        load.start()
        time.sleep(0.2)
        return not load.end() and load.good > 0

    def containers(self):
        """Restart counts and container ids of the demo pods: none may change."""
        pods = self.cluster.get("pods", "-l", "app=hello")["items"]
        return {(pod["metadata"]["uid"], status["containerID"], status["restartCount"])
                for pod in pods for status in pod["status"]["containerStatuses"]}

    def scale_and_back(self):
        """A change that needs every part of the cluster."""
        for replicas in (4, 3):
            self.cluster.k("scale", "deployment", "hello", f"--replicas={replicas}")
            wait_for(f"{replicas} ready pods",
                     lambda: len(self.cluster.ready_pods("app=hello")) == replicas)
            wait_for(f"{replicas} pods in all",
                     lambda: len(self.cluster.get("pods", "-l", "app=hello")["items"]) == replicas)

    def check_survives(self, kill):
        """Runs `kill` under load: no connection fails, no container restarts, changes work after."""
        before = self.containers()
        load = Load(self.url)
        load.start()
        wait_for("some load", lambda: load.good > 20)
        kill()
        good = load.good
        wait_for("more load", lambda: load.good > good + 50)
        self.assertEqual(load.end(), [])
        self.assertEqual(self.containers(), before)
        self.scale_and_back()

    def kill_child(self, name):
        pid = self.cluster.children()[name]
        os.kill(pid, signal.SIGKILL)
        wait_for(f"{name} is back",
                 lambda: self.cluster.children().get(name) not in (None, pid))

    def test_containerd(self):
        self.check_survives(lambda: self.kill_child("containerd"))

    def test_proxy(self):
        self.check_survives(lambda: self.kill_child("fairlead-proxy"))

    def test_dns(self):
        self.check_survives(lambda: self.kill_child("fairlead-dns"))
        address = self.cluster.get("service", "-n", "kube-system", "kube-dns")["spec"]["clusterIP"]
        wait_for("a name resolves", lambda: cluster.run(
            "dig", "+short", "+time=1", "+tries=1", f"@{address}", "hello.default.svc.cluster.local",
            check=False).stdout.startswith("10."))

    def test_fairlead(self):
        children = self.cluster.children()
        acknowledged = []

        def kill():
            for number in range(20):
                name = f"acknowledged-{os.getpid()}-{number}"
                self.cluster.k("create", "configmap", name, "--from-literal=a=b")
                acknowledged.append(name)
            self.cluster.kill()
            self.assertEqual(self.cluster.children(), children, "killing fairlead killed a child")
            self.cluster.start()

        self.check_survives(kill)
        self.assertEqual(self.cluster.children(), children, "a restart did not adopt its children")
        names = {item["metadata"]["name"] for item in self.cluster.get("configmaps")["items"]}
        self.assertLessEqual(set(acknowledged), names, "an acknowledged write is gone")

    def test_container(self):
        """A container that dies is restarted by itself, at once the first time."""
        pod = self.cluster.ready_pods("app=hello")[0]
        status = self.cluster.get("pod", pod)["status"]["containerStatuses"][0]
        container = status["containerID"].split("://")[1]
        for path in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
            if container in path.read_text():
                os.kill(int(path.parent.name), signal.SIGKILL)
        wait_for("the container is back", lambda: self.cluster.get("pod", pod)["status"]
                 ["containerStatuses"][0]["restartCount"] == status["restartCount"] + 1)
        wait_for("three pods", lambda: len(self.cluster.ready_pods("app=hello")) == 3)


if __name__ == "__main__":
    unittest.main()
