# SPDX-License-Identifier: Apache-2.0
"""Pods whose image is in a registry: what is asked of it, when again, and what people are told."""
import shutil
import unittest

import cluster
from cluster import wait_for
from registry import Registry


class OnlyPause(cluster.Cluster):
    """A cluster whose node has no other image than that of sandboxes."""

    def bring_images(self):
        (self.data / "images").mkdir(parents=True, exist_ok=True)
        shutil.copy(cluster.images() / "pause.tar", self.data / "images")


class PullTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = OnlyPause.for_class(cls)

    def setUp(self):
        self.registry = Registry(cluster.images() / "demo.tar")
        self.addCleanup(self.registry.close)

    def create(self, name, tag, policy=None):
        container = {"name": "main", "image": self.registry.image(tag), "command": ["demo", "serve"]}
        if policy:
            container["imagePullPolicy"] = policy
        self.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}})
        self.addCleanup(self.cluster.k, "delete", "pod", name, "--ignore-not-found", "--wait=false")

    def status(self, name):
        statuses = self.cluster.get("pod", name).get("status", {}).get("containerStatuses")
        return statuses[0] if statuses else {"state": {}}

    def waiting(self, name, reason):
        return lambda: self.status(name)["state"].get("waiting", {}).get("reason") == reason

    def running(self, name):
        return lambda: self.cluster.pod_phase(name) == "Running"

    def events(self, name):
        """Of the pod, in order: "Reason: message"."""
        events = self.cluster.get("events", "--field-selector", f"involvedObject.name={name}")["items"]
        return [f"{event['reason']}: {event['message']}" for event in events]

    def wait_for_event(self, name, text):
        wait_for(f"event {text!r} of {name}", lambda: any(text in event for event in self.events(name)))

    def test_an_image_of_a_registry(self):
        """Pulled once and there for the policies that let it be; Always asks every time, Never never."""
        registry = self.registry
        registry.tags.add("1")
        image = registry.image("1")
        layer = registry.hold(registry.layer)
        self.create("first", "1", "Always")
        wait_for("the layer is asked for", lambda: registry.asked_for(registry.layer))
        wait_for("the container is being made", self.waiting("first", "ContainerCreating"))
        self.wait_for_event("first", f'Pulling: Pulling image "{image}"')
        layer.set()
        wait_for("the pod runs", self.running("first"))
        status = self.status("first")
        self.assertEqual(status["image"], image)
        self.assertEqual(status["imageID"], f"{registry.address}/{registry.NAME}@{registry.digest}")
        self.wait_for_event("first", f'Pulled: Successfully pulled image "{image}" in ')

        for name, policy, times in (("absent", "IfNotPresent", 0), ("never", "Never", 0), ("again", "Always", 1),
                                    ("default", None, 0)):
            with self.subTest(policy=policy):
                before = len(registry.requests)
                self.create(name, "1", policy)
                wait_for(f"{name} runs", self.running(name))
                self.assertEqual(self.status(name)["imageID"], status["imageID"])
                self.assertEqual(bool(registry.requests[before:]), bool(times), registry.requests[before:])
                told = f'Successfully pulled image "{image}"' if times else f'Container image "{image}" already present'
                self.wait_for_event(name, f"Pulled: {told}")
        self.assertEqual(len(registry.asked_for(registry.layer)), 1, "layers are kept")

    def test_a_tag_that_comes_later(self):
        """Tried again after 10 s, then 20 s; what is wrong is told all the while; then it runs."""
        self.create("later", "2")
        self.create("no-pull", "2", "Never")
        self.wait_for_event("later", "Failed: Failed to pull image")
        self.wait_for_event("later", "Failed: Error: ErrImagePull")
        wait_for("the wait is told", self.waiting("later", "ImagePullBackOff"))
        self.wait_for_event("later", "BackOff: Back-off pulling image")
        self.wait_for_event("later", "Failed: Error: ImagePullBackOff")
        self.assertRegex(self.status("later")["state"]["waiting"]["message"],
                         f'^Back-off pulling image "{self.registry.image("2")}": ErrImagePull: .*not found')
        wait_for("Never is told", self.waiting("no-pull", "ErrImageNeverPull"))
        self.wait_for_event("no-pull", "ErrImageNeverPull: Container image")
        wait_for("a second attempt", lambda: len(self.attempts("2")) == 2)
        wait_for("it failed, too", lambda: self.failures("later") == 2)
        self.registry.tags.add("2")
        wait_for("the pod runs", self.running("later"))
        first, second, third = self.attempts("2")
        self.assertGreater(second - first, 9)
        self.assertGreater(third - second, 19)
        wait_for("Never runs with what another pod pulled", self.running("no-pull"))

    def attempts(self, tag):
        """When the registry was asked for the tag, the requests of one attempt taken together."""
        moments = []
        for when in self.registry.asked_for(tag):
            if not moments or when - moments[-1] > 3:
                moments.append(when)
        return moments

    def failures(self, name):
        """How many attempts to pull failed, by the events."""
        events = self.cluster.get("events", "--field-selector", f"involvedObject.name={name},reason=Failed")["items"]
        return sum(event["count"] for event in events if event["message"].startswith("Failed to pull"))

    def test_a_registry_that_is_silent_holds_no_pod(self):
        """A pod can be deleted while its image is being pulled."""
        self.registry.hold("silent")
        self.create("silent", "silent")
        wait_for("the image is asked for", lambda: self.registry.asked_for("silent"))
        self.cluster.k("delete", "pod", "silent", "--timeout=60s")
        self.assertEqual(self.cluster.pod_phase("silent"), "")


if __name__ == "__main__":
    unittest.main()
