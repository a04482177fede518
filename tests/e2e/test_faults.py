# SPDX-License-Identifier: Apache-2.0
"""kill -9 of every process of a running cluster: it comes back, and traffic goes on."""
import os
import pathlib
import signal
import time
import unittest

import cluster
from cluster import Load, wait_for


class FaultTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cluster.Cluster.for_class(cls)
        cls.url = cls.cluster.apply_hello()

    def containers(self):
        return self.cluster.containers("app=hello")

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
