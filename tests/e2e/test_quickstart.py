# SPDX-License-Identifier: Apache-2.0
"""scripts/quickstart as a new user runs it: again, after a new build, with a fault; then down without a trace."""
import os
import pathlib
import re
import shutil
import socket
import tempfile
import unittest

import cluster
from cluster import BIN, ROOT, run

STANDING = """
apiVersion: v1
kind: Pod
metadata: {name: standing}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "localhost/fairlead/demo:1", command: [demo, serve]}]
"""


class QuickstartTest(unittest.TestCase):
    def setUp(self):
        self.before = cluster.snapshot_of_the_machine()
        self.folder = tempfile.TemporaryDirectory(prefix="fairlead-quickstart-")
        self.data = pathlib.Path(self.folder.name) / "data"
        self.environment = {**os.environ, "FAIRLEAD_DATA_DIR": self.folder.name + "/data"}

    def tearDown(self):
        self.quickstart("--down", check=False)
        self.folder.cleanup()

    def quickstart(self, *arguments, check=True):
        return run(ROOT / "scripts" / "quickstart", *arguments, env=self.environment, timeout=900,
                   check=check).stdout

    def pids(self):
        return {**cluster.Cluster.children(None),
                "fairlead": int((self.data / "node.lock").read_text().split()[0])}

    def k(self, *words, **more):
        return run(run(ROOT / "scripts" / "kubectl-debian").stdout.strip(), "--kubeconfig", self.data / "kubeconfig",
                   *words, **more).stdout

    def objects(self):
        """What a run must leave as it is; the pods of the demo it scales and deletes for show."""
        items = "{range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.spec.replicas}\n{end}"
        container = "{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}"
        return (self.k("get", "deployment,service,namespace,node", "-o", f"jsonpath={items}")
                + self.k("get", "pod", "standing", "-o", f"jsonpath={container}"))

    def endpoint_changes(self, output):
        times = re.findall(r"endpoints changed behind \d+ service address\w*: (\d+\.\d) ms from API write to data plane", output)
        self.assertGreaterEqual(len(times), 3, output)  # pods come, one goes, one comes
        self.assertTrue(all(0 < float(time) < 10_000 for time in times), times)

    def test_again_and_again_then_down(self):
        first = self.quickstart()
        self.assertIn("node Ready", first)
        self.assertIn("connections, 0 failed", first)
        self.assertIn("the cluster is running", first)
        self.endpoint_changes(first)
        pids = self.pids()
        self.assertEqual(set(pids), {"fairlead", "containerd", "fairlead-proxy", "fairlead-dns"})
        self.k("apply", "-f", "-", input=STANDING)
        self.k("wait", "--for=condition=Ready", "pod/standing", "--timeout=60s")
        objects = self.objects()

        second = self.quickstart()
        self.assertIn("already running", second)
        self.assertIn("connections, 0 failed", second)
        self.endpoint_changes(second)
        self.assertEqual(self.pids(), pids, "a second run restarted what was right")
        self.assertEqual(self.objects(), objects)

        self.rebuilt("fairlead-proxy")
        third = self.quickstart()
        self.assertIn("fairlead-proxy was rebuilt: fairlead starts again, pods go on", third)
        self.assertIn("connections, 0 failed", third)
        now = self.pids()
        self.assertEqual({name for name in pids if now[name] != pids[name]}, {"fairlead", "fairlead-proxy"})
        self.assertEqual(self.objects(), objects)

        self.quickstart("--down")
        self.assertEqual(cluster.what_is_left(self.before), "")

    def rebuilt(self, name):
        """As a linker leaves it: another file of that name."""
        shutil.copy2(BIN / name, BIN / f"{name}.new")
        os.rename(BIN / f"{name}.new", BIN / name)

    def fails(self, **environment):
        """A run that ends at a step: what it says, and that it leaves nothing running."""
        shutil.copytree(cluster.images(), self.data / "images")
        done = run(ROOT / "scripts" / "quickstart", env={**self.environment, **environment}, timeout=900, check=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, r"\nquickstart: step 4 \(cluster\) failed: ")
        self.assertEqual(cluster.Cluster.children(None), {})
        return done.stderr

    def test_a_busy_port_is_named(self):
        with socket.create_server(("0.0.0.0", 6443)):
            said = self.fails()
        self.assertIn("cannot listen on 0.0.0.0:6443 (--secure-port)", said)
        self.assertIn("put right what it says and run this again", said)

    def test_a_broken_kubectl_is_named(self):
        folder = pathlib.Path(self.folder.name) / "bin"
        folder.mkdir()
        (folder / "kubectl").write_text("#!/bin/sh\necho cannot execute: wrong machine >&2\nexit 126\n")
        (folder / "kubectl").chmod(0o755)
        said = self.fails(PATH=f"{folder}:{os.environ['PATH']}")
        self.assertIn(f"{folder}/kubectl does not run: cannot execute: wrong machine", said)
        self.assertIn("repair it or take it off the PATH", said)

    def test_wrong_option_is_a_usage_error(self):
        done = run(ROOT / "scripts" / "quickstart", "--sideways", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage:", done.stderr)


if __name__ == "__main__":
    unittest.main()
