# SPDX-License-Identifier: Apache-2.0
"""kill -9 of any process at random moments under concurrent writes and traffic. FAIRLEAD_SEED replays the moments."""
import contextlib
import http.client
import os
import random
import signal
import threading
import time
import unittest

import cluster
from api import Api, ApiError
from cluster import Cluster, Load, wait_for

WRITERS = 3
KILLS = 12
PATH = "/api/v1/namespaces/default/configmaps"


class Writer(threading.Thread):
    """Creates and changes ConfigMaps of its own, and remembers what was acknowledged.

    A call without an answer may have happened or not: what it wrote is then as good as what was there.
    """

    def __init__(self, kubeconfig, number, revisions):
        super().__init__(daemon=True)
        self.kubeconfig, self.number, self.revisions = kubeconfig, number, revisions
        self.ending = threading.Event()
        self.possible = {}  # name -> values that may stand there; the first is the acknowledged one
        self.acknowledged = 0
        self.faults = []

    def run(self):
        api = None
        count = 0
        while not self.ending.is_set():
            name, count = f"storm-{self.number}-{count // 4}", count + 1
            try:
                api = api or Api(self.kubeconfig)
                self.write(api, name, str(count))
            except (OSError, http.client.HTTPException):
                api = api and api.close()
                time.sleep(0.05)
            except ApiError as error:
                self.faults.append(f"{name}: {error}")
        if api:
            api.close()

    def write(self, api, name, value):
        floor = self.revisions.highest
        if name in self.possible:
            self.possible[name].append(value)
            answer = api.patch(f"{PATH}/{name}", {"data": {"value": value}})
        else:
            answer = self.create(api, name, value)
            if answer is None:
                return
        self.possible[name] = [value]
        self.acknowledged += 1
        revision = int(answer["metadata"]["resourceVersion"])
        if revision <= floor:
            self.faults.append(f"{name}: resourceVersion {revision} after {floor} was seen")
        self.revisions.seen(revision)

    def create(self, api, name, value):
        try:
            return api.create(PATH, {"metadata": {"name": name}, "data": {"value": value}})
        except ApiError as error:
            if error.status != 409:
                raise
        # The answer to an earlier try was lost; what it wrote is what is there.
        self.possible[name] = [api.get(f"{PATH}/{name}")["data"]["value"]]
        return None


class Revisions:
    def __init__(self):
        self.lock = threading.Lock()
        self.highest = 0

    def seen(self, revision):
        with self.lock:
            self.highest = max(self.highest, revision)


class StormTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster.for_class(cls)
        cls.url = cls.cluster.apply_hello()

    def kill_one(self, name):
        if name == "fairlead-watch":
            self.cluster.kill_watcher()
            return
        if name == "fairlead and its watcher":  # then somebody must start it
            self.cluster.kill()
            self.cluster.start()
            return
        if name == "fairlead":
            pid = cluster.worker_of(self.cluster.process.pid)
        else:
            pid = self.cluster.children().get(name)
        if pid is None:  # it was killed a moment ago and is not back yet
            return
        os.kill(pid, signal.SIGKILL)

    def test_nothing_acknowledged_is_lost(self):
        seed = int(os.environ.get("FAIRLEAD_SEED") or time.time_ns() % 1_000_000)
        print(f"\n  FAIRLEAD_SEED={seed}", flush=True)
        dice = random.Random(seed)
        names = (["fairlead"] * 4 + ["fairlead-watch", "fairlead and its watcher"] * 2
                 + ["containerd", "fairlead-proxy", "fairlead-dns"] * 3)
        victims = dice.sample(names, KILLS)
        before = self.cluster.containers("app=hello")
        revisions = Revisions()
        writers = [Writer(self.cluster.kubeconfig, number, revisions) for number in range(WRITERS)]
        load = Load(self.url)
        for thread in [load, *writers]:
            thread.start()
        for victim in victims:
            time.sleep(dice.uniform(0.1, 1.5))
            self.kill_one(victim)
        written = revisions.highest
        wait_for("writes after the last kill", lambda: revisions.highest > written + 20)
        for writer in writers:
            writer.ending.set()
        for writer in writers:
            writer.join(timeout=60)
        self.assertEqual(load.end(), [], f"seed {seed}")
        self.assertGreater(load.good, 200)
        self.check_objects(writers, revisions, seed)
        wait_for("every child is back", lambda: len(self.cluster.children()) == 3)
        self.assertEqual(self.cluster.containers("app=hello"), before, f"seed {seed}")

    def check_objects(self, writers, revisions, seed):
        with contextlib.closing(Api(self.cluster.kubeconfig)) as api:
            listed = api.get(PATH)
        self.assertGreaterEqual(int(listed["metadata"]["resourceVersion"]), revisions.highest)
        values = {item["metadata"]["name"]: item.get("data", {}).get("value") for item in listed["items"]}
        for writer in writers:
            self.assertEqual(writer.faults, [], f"seed {seed}")
            self.assertGreater(writer.acknowledged, 20)
            for name, possible in writer.possible.items():
                self.assertIn(values.get(name), possible, f"{name}, seed {seed}")


if __name__ == "__main__":
    unittest.main()
