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

    def check_fairlead(self, kill):
        """Under load and after writes: children go on and are adopted, nothing acknowledged is lost, the API answers."""
        children = self.cluster.children()
        prefix = f"acknowledged-{self.id().rsplit('.', maxsplit=1)[-1].replace('_', '-')}"
        acknowledged = {f"{prefix}-{number}" for number in range(20)}

        def write_and_kill():
            for name in acknowledged:
                self.cluster.k("create", "configmap", name, "--from-literal=a=b")
            kill()
            self.assertEqual(self.cluster.children(), children, "killing fairlead killed a child")
            wait_for("the API answers", lambda: self.cluster.k("get", "--raw", "/readyz", check=False))

        self.check_survives(write_and_kill)
        self.assertEqual(self.cluster.children(), children, "a restart did not adopt its children")
        names = {item["metadata"]["name"] for item in self.cluster.get("configmaps")["items"]}
        self.assertLessEqual(acknowledged, names, "an acknowledged write is gone")

    def test_worker(self):
        watcher = self.cluster.process.pid
        self.check_fairlead(self.cluster.kill_worker)
        self.assertRegex(self.cluster.log.read_text(),
                         r"warn\S* fairlead: process \d+ ended by signal 9; started again in \d+ ms")
        self.assertEqual(self.cluster.process.pid, watcher)
        self.assertIsNone(self.cluster.process.poll())

    def test_worker_by_its_name(self):
        """What an operator's `pkill -9 -x fairlead` hits, as often as he likes."""
        pid, worker = self.cluster.process.pid, cluster.worker_of(self.cluster.process.pid)
        names = [pathlib.Path(f"/proc/{process}/comm").read_text() for process in (pid, worker)]
        self.assertEqual(names, ["fairlead-watch\n", "fairlead\n"])

        def thrice():
            for _ in range(3):
                self.cluster.kill_worker()

        self.check_fairlead(thrice)

    def test_watcher(self):
        """The worker becomes the watcher; it and its worker can be killed again."""
        def both_in_turn():
            self.cluster.kill_watcher()
            self.cluster.kill_worker()

        self.check_fairlead(both_in_turn)
        self.assertIn("the watching process is gone: starting anew in its place", self.cluster.log.read_text())
        names = {pathlib.Path(f"/proc/{pid}/comm").read_text()
                 for pid in (self.cluster.process.pid, cluster.worker_of(self.cluster.process.pid))}
        self.assertEqual(names, {"fairlead-watch\n", "fairlead\n"})

    def test_watcher_and_worker(self):
        def kill():
            self.cluster.kill()
            self.cluster.start()

        self.check_fairlead(kill)

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
