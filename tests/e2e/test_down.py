# SPDX-License-Identifier: Apache-2.0
"""Ending a cluster in any state leaves nothing; two clusters do not share a machine."""
import os
import re
import shutil
import signal
import subprocess
import unittest

import cluster
from cluster import BIN, Cluster, wait_for


def kill(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for("the killed are gone", lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in pids))


class DownTest(unittest.TestCase):
    def setUp(self):
        self.before = cluster.snapshot_of_the_machine()
        self.cluster = Cluster()
        self.addCleanup(self.check_nothing_left)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()
        self.cluster.apply_hello()

    def check_nothing_left(self):
        self.assertEqual(cluster.what_is_left(self.before), "")

    def down(self):
        self.cluster.down()
        self.assertEqual(cluster.what_is_left(self.before), "")

    def shims(self):
        found = cluster.run("pgrep", "-f", "containerd-shim-runc-v2 .*-address /run/fairlead/", check=False).stdout
        return [int(pid) for pid in found.split()]

    def test_dead_containerd_then_start_again_and_everything_dead(self):
        children, before = self.cluster.children(), self.cluster.containers("app=hello")
        self.cluster.kill()
        kill(children["containerd"])
        self.down()

        self.cluster.start()  # the objects are still there; pods come again, in new containers
        wait_for("new containers", lambda: not self.cluster.containers("app=hello") & before)
        wait_for("three pods", lambda: len(self.cluster.ready_pods("app=hello")) == 3)
        shims = self.shims()
        self.assertGreaterEqual(len(shims), 3)
        self.cluster.kill()
        kill(*self.cluster.children().values(), *shims)
        self.down()

    def test_a_killed_half_comes_back_to_nothing(self):
        """What would start again, or take the other's place, is stopped too."""
        self.cluster.process.kill()
        self.down()
        self.cluster.start()
        os.kill(cluster.worker_of(self.cluster.process.pid), signal.SIGKILL)
        self.down()
        self.assertEqual(self.cluster.process.returncode, 0)

    def refused(self, *words):
        done = subprocess.run([BIN / "fairlead", *words], text=True, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr

    def server_beside(self, folder):
        """A server alone shares the machine, and ends alone."""
        kubeconfig = self.cluster.folder / "beside"
        server = self.cluster.spawn("server", "--data-dir", folder, "--secure-port", "7443",
                                    "--write-kubeconfig", kubeconfig)
        wait_for("it answers", lambda: kubeconfig.exists() and cluster.run(
            self.cluster.kubectl, "--kubeconfig", kubeconfig, "get", "--raw", "/readyz", check=False).stdout)
        cluster.run(BIN / "fairlead", "down", "--data-dir", folder)
        self.assertEqual(server.wait(timeout=30), 0)

    def test_two_clusters(self):
        mine, other = self.cluster.data, self.cluster.folder / "other"
        pid, before = self.cluster.process.pid, self.cluster.containers("app=hello")
        elsewhere = ["--data-dir", other, "--run-dir", self.cluster.folder / "run",
                     "--secure-port", "7443", "--kubelet-port", "11250"]
        self.assertIn(f"another fairlead (process {pid}) uses {mine}", self.refused("up", "--data-dir", mine))
        self.assertIn(f"another fairlead (process {pid}) uses {mine}", self.refused("server", "--data-dir", mine))
        self.assertIn(f"another fairlead (process {pid}) is the node of this machine",
                      self.refused("up", "--data-dir", other))
        self.assertIn(f"another fairlead (process {pid}) is the node of this machine", self.refused("up", *elsewhere))
        self.assertIn(f"/run/fairlead holds the pods of the node in {mine}", self.refused("down", "--data-dir", other))
        self.assertEqual(self.cluster.process.poll(), None)
        self.server_beside(other)
        self.assertEqual(self.cluster.containers("app=hello"), before)

        self.cluster.kill()  # nobody runs it now, but its pods do
        self.assertIn(f"/run/fairlead holds the pods of the node in {mine}", self.refused("up", "--data-dir", other))
        self.assertIn(f"/run/fairlead holds the pods of the node in {mine}", self.refused("down", "--data-dir", other))
        self.cluster.start()
        self.assertEqual(self.cluster.containers("app=hello"), before)


class SharedContainerdTest(unittest.TestCase):
    """In somebody else's containerd `down`, which knows it without being told, ends our pods and nothing else."""

    def setUp(self):
        before = cluster.snapshot_of_the_machine()
        self.addCleanup(lambda: self.assertEqual(cluster.what_is_left(before), ""))

    def start_containerd(self):
        """One with a network for pods, as `fairlead up` has set it up and left it, and the images."""
        first = Cluster()
        self.addCleanup(shutil.rmtree, first.folder, ignore_errors=True)
        first.start()
        first.down()  # maybe before it had imported any image: a node is Ready without
        config = first.data / "containerd" / "config.toml"
        # runc: it works on any host, and what crun needs `down` may have unmounted.
        own = config.read_text().replace("/run/fairlead/", f"{first.folder}/run/")
        config.write_text(re.sub(r"BinaryName = .*", 'BinaryName = "runc"', own))
        with open(first.log, "ab") as log:
            process = subprocess.Popen(["containerd", "--config", config], stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        socket = f"{first.folder}/run/containerd.sock"
        wait_for("containerd answers", lambda: cluster.run("ctr", "-a", socket, "version", check=False).returncode == 0)
        for archive in sorted(cluster.images().glob("*.tar")):
            cluster.run("ctr", "-a", socket, "-n", "k8s.io", "images", "import", archive)
        return process, socket

    def process_of_a_kubelet(self):
        """In the cgroup that is above a kubelet's pods."""
        hierarchy = "/sys/fs/cgroup" if os.path.exists("/sys/fs/cgroup/cgroup.procs") else "/sys/fs/cgroup/memory"
        folder = f"{hierarchy}/kubepods"
        os.makedirs(folder)
        self.addCleanup(os.rmdir, folder)
        process = subprocess.Popen(["sleep", "infinity"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        with open(f"{folder}/cgroup.procs", "w", encoding="ascii") as members:
            members.write(str(process.pid))
        return process

    def test_down(self):
        containerd, socket = self.start_containerd()
        other = self.process_of_a_kubelet()
        one = Cluster("--containerd-socket", socket)
        self.addCleanup(one.stop)
        one.start()
        one.apply_hello()

        def containers():
            return cluster.run("ctr", "-a", socket, "-n", "k8s.io", "containers", "ls", "-q").stdout.split()

        self.assertEqual(len(containers()), 6)  # a sandbox and a container each
        one.down()
        self.assertEqual(containers(), [])
        self.assertEqual((containerd.poll(), other.poll()), (None, None))


if __name__ == "__main__":
    unittest.main()
