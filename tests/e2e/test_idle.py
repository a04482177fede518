# SPDX-License-Identifier: Apache-2.0
"""While nothing changes, nothing is written to disk."""
import time
import unittest

import cluster
from cluster import Cluster, count_syncs, wait_for

SECONDS = 20


class IdleTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster.for_class(cls)

    def test_no_fsync_while_nothing_changes(self):
        """Probes, leases and watches go on; a write is seen, so that the count is known to count."""
        self.cluster.apply_hello()
        time.sleep(3)
        with count_syncs(self.cluster) as syncs:
            time.sleep(SECONDS)
            idle = syncs()
            self.cluster.k("create", "configmap", "one", "--from-literal=a=b")
            wait_for("the write is counted", lambda: syncs() != idle)
        self.assertEqual(idle, [])


if __name__ == "__main__":
    unittest.main()
