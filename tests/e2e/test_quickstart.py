# SPDX-License-Identifier: Apache-2.0
"""scripts/quickstart as a new user runs it: twice, then down without a trace."""
import os
import pathlib
import tempfile
import unittest

import cluster
from cluster import ROOT, run


class QuickstartTest(unittest.TestCase):
    def setUp(self):
        self.before = cluster.snapshot_of_the_machine()
        self.folder = tempfile.TemporaryDirectory(prefix="fairlead-quickstart-")
        self.environment = {**os.environ, "FAIRLEAD_DATA_DIR": self.folder.name + "/data"}

    def tearDown(self):
        self.quickstart("--down", check=False)
        self.folder.cleanup()

    def quickstart(self, *arguments, check=True):
        return run(ROOT / "scripts" / "quickstart", *arguments, env=self.environment, timeout=900,
                   check=check).stdout

    def pids(self):
        return {name: pid for name, pid in cluster.Cluster.children(None).items()}

    def test_twice_then_down(self):
        first = self.quickstart()
        self.assertIn("node Ready", first)
        self.assertIn("connections, 0 failed", first)
        self.assertIn("the cluster is running", first)
        pids = self.pids()
        self.assertEqual(set(pids), {"containerd", "fairlead-proxy", "fairlead-dns"})
        kubeconfig = pathlib.Path(self.environment["FAIRLEAD_DATA_DIR"]) / "kubeconfig"
        kubectl = run(ROOT / "scripts" / "kubectl-debian").stdout.strip()
        uids = run(kubectl, "--kubeconfig", kubeconfig, "get", "deployment,service", "-o",
                   "jsonpath={.items[*].metadata.uid}").stdout

        second = self.quickstart()
        self.assertIn("already running", second)
        self.assertIn("connections, 0 failed", second)
        self.assertEqual(self.pids(), pids, "a second run restarted what was right")
        self.assertEqual(uids, run(kubectl, "--kubeconfig", kubeconfig, "get", "deployment,service",
                                   "-o", "jsonpath={.items[*].metadata.uid}").stdout)

        self.quickstart("--down")
        after = cluster.snapshot_of_the_machine()
        for what, lines in after.items():
            self.assertEqual(lines - self.before[what], set(), f"{what} left behind")

    def test_wrong_option_is_a_usage_error(self):
        done = run(ROOT / "scripts" / "quickstart", "--sideways", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage:", done.stderr)


if __name__ == "__main__":
    unittest.main()
