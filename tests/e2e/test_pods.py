# SPDX-License-Identifier: Apache-2.0
"""Unmodified kubectl binaries, old and new, against a cluster with a real node: what people type first."""
import json
import os
import unittest

import cluster
from cluster import Kubectl, each_kubectl, wait_for

IMAGE = "localhost/fairlead/demo:1"

# Two pods that end as soon as they are asked to, and a Service.
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: localhost/fairlead/demo:1
        command: [demo, serve]
        ports: [{name: http, containerPort: 8080}]
        resources: {requests: {cpu: 10m, memory: 16Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
"""

# Prints what is put into /gate/say, until there is /gate/end.
SPEAKER = """
while [ ! -e /gate/end ]; do
  if mv /gate/say /gate/said 2>/dev/null; then cat /gate/said; fi
  sleep 0.05
done
echo the end
"""

# Fails the first time, stays the second.
TWO_LIVES = """
if [ ! -e /gate/lived ]; then touch /gate/lived; echo first life; exit 3; fi
echo second life
while :; do sleep 1; done
"""


def script_pod(name, script, gate):
    return json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 0,
                 "containers": [{"name": "main", "image": IMAGE, "command": ["/bin/sh", "-c", script],
                                 "volumeMounts": [{"name": "gate", "mountPath": "/gate"}]}],
                 "volumes": [{"name": "gate", "hostPath": {"path": str(gate)}}]}})


class PodsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cluster.Cluster.for_class(cls)
        cls.tools = Kubectl.all(cls.cluster.kubeconfig, cls.cluster.folder)
        # Debian's, the oldest and the newest: for what takes long.
        debian = next(tool for tool in cls.tools if tool.path == cls.cluster.kubectl)
        cls.few = list({tool.minor: tool for tool in (cls.tools[0], debian, cls.tools[-1])}.values())
        cls.node = cls.cluster.get("nodes")["items"][0]["metadata"]["name"]

    def gate(self, name):
        path = self.cluster.folder / name
        path.mkdir()
        return path

    def test_oldest_is_debians(self):
        self.assertEqual(self.tools[0].minor, 20)

    @each_kubectl("tools")
    def test_deployment(self, kubectl):
        self.assertIn("deployment.apps/web created", kubectl.run("apply", "-f", "-", stdin=WEB))
        self.assertIn("successfully rolled out", kubectl.run("rollout", "status", "deployment/web"))
        self.forms(kubectl)
        self.described(kubectl)
        kubectl.run("scale", "deployment", "web", "--replicas=3")
        self.assertIn("successfully rolled out", kubectl.run("rollout", "status", "deployment/web"))
        self.assertRegex(kubectl.run("get", "deployment", "web"), r"web +3/3 +3 +3 ")
        kubectl.run("scale", "deployment", "web", "--replicas=1")
        pod = wait_for("one pod", lambda: self.only_pod(kubectl))
        self.assertIn(f'pod "{pod}" deleted', kubectl.run("delete", "pod", pod))
        self.assertIn("not found", kubectl.run("get", "pod", pod, fails=True))
        self.assertIn("successfully rolled out", kubectl.run("rollout", "status", "deployment/web"))
        self.assertIn('service "web" deleted', kubectl.run("delete", "-f", "-", stdin=WEB))
        wait_for("no pod", lambda: not kubectl.json("get", "pods", "-l", "app=web")["items"])

    def only_pod(self, kubectl):
        pods = kubectl.json("get", "pods", "-l", "app=web")["items"]
        return pods[0]["metadata"]["name"] if len(pods) == 1 else None

    def forms(self, kubectl):
        lines = kubectl.run("get", "pods", "-l", "app=web").split("\n")
        self.assertEqual(lines[0].split(), ["NAME", "READY", "STATUS", "RESTARTS", "AGE"])
        self.assertEqual([line.split()[1:4] for line in lines[1:3]], [["1/1", "Running", "0"]] * 2)
        wide = kubectl.run("get", "pods", "-l", "app=web", "-o", "wide").split("\n")
        self.assertRegex(wide[1], rf"10\.244\.\d+\.\d+ +{self.node} +<none> +<none>")
        self.assertRegex(kubectl.run("get", "deployment", "web", "-o", "wide"), rf"web +2/2 +2 +2 .*{IMAGE} +app=web")
        self.assertIn("phase: Running", kubectl.run("get", "pods", "-l", "app=web", "-o", "yaml"))
        node = kubectl.run("get", "nodes", "-o", "wide")
        self.assertRegex(node, rf"{self.node} +Ready .*containerd://")

    def described(self, kubectl):
        pod = kubectl.run("describe", "pod", "-l", "app=web")
        self.assertRegex(pod, r"Status: +Running")
        self.assertRegex(pod, r"Normal +Started .*Container started")
        wait_for("both have endpoints", lambda: kubectl.run("get", "endpoints", "web").count(":8080") == 2)
        service = kubectl.run("describe", "service", "web")
        # Up to 1.30 from the Endpoints object, then from slices.
        self.assertRegex(service, r"Endpoints: +10\.244\.\d+\.\d+:8080,10\.244\.\d+\.\d+:8080\n")
        self.assertRegex(kubectl.run("get", "endpoints", "web"), r"web +10\.244\.[\d.]+:8080,10\.244\.[\d.]+:8080 ")
        endpoints = kubectl.run("get", "ep", "web", "-o", "yaml")
        self.assertIn(f"nodeName: {self.node}\n    targetRef:\n      kind: Pod\n", endpoints)
        self.assertRegex(kubectl.run("get", "endpoints", "kubernetes"), r"kubernetes +[\d.]+:\d+ ")
        self.assertRegex(service, r"TargetPort: +http/TCP")
        deployment = kubectl.run("describe", "deployment", "web")
        self.assertRegex(deployment, r"2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable")
        self.assertRegex(deployment, r"ScalingReplicaSet .*Scaled up replica set web-\w+")
        node = kubectl.run("describe", "node", self.node)
        self.assertRegex(node, r"Ready +True")
        self.assertRegex(node, r"default +web-[\w-]+ +10m ")
        self.assertRegex(node, r"cpu +\d+m")

    @each_kubectl("few")
    def test_watch(self, kubectl):
        """get -w prints each state as it comes."""
        gate = self.gate(f"watch-{kubectl.minor}")
        with kubectl.following("get", "pods", "-w", "-l", "app=seen") as watch:
            kubectl.run("apply", "-f", "-", stdin=self.pod_for_no_node())
            lines = map(str.split, watch.stdout)
            self.assertEqual(next(lines)[:3], ["NAME", "READY", "STATUS"])
            self.assertEqual(next(lines)[:3], ["waiting", "0/1", "Pending"])  # it listens
            kubectl.run("apply", "-f", "-", stdin=script_pod("seen", SPEAKER, gate))
            states = []
            for name, _, state, *_ in lines:
                states += [state] if name == "seen" and state not in states else []
                if state == "Running":
                    (gate / "end").touch()
                if state == "Completed":
                    break
            self.assertEqual([state for state in states if state != "ContainerCreating"],
                             ["Pending", "Running", "Completed"])
        kubectl.run("delete", "pod", "-l", "app=seen")

    def pod_for_no_node(self):
        pod = json.loads(script_pod("waiting", "", "/"))
        pod["metadata"]["labels"] = {"app": "seen"}
        pod["spec"]["nodeSelector"] = {"no": "such"}
        return json.dumps(pod)

    @each_kubectl("tools")
    def test_logs_follow(self, kubectl):
        """Each line comes while the pod runs; the command ends with the pod."""
        gate = self.gate(f"follow-{kubectl.minor}")
        kubectl.run("apply", "-f", "-", stdin=script_pod("speaker", SPEAKER, gate))
        wait_for("the speaker runs", lambda: self.cluster.pod_phase("speaker") == "Running")
        with kubectl.following("logs", "-f", "speaker") as logs:
            for number in range(5):
                self.say(gate, f"line {number}")
                self.assertEqual(logs.stdout.readline(), f"line {number}\n")
            self.assertEqual(self.cluster.pod_phase("speaker"), "Running")
            (gate / "end").touch()
            self.assertEqual(logs.stdout.read(), "the end\n")
            self.assertEqual(logs.wait(timeout=60), 0)
        self.assertEqual(kubectl.run("logs", "speaker", "--tail=2"), "line 4\nthe end\n")
        self.assertEqual(kubectl.run("logs", "-f", "speaker", "--tail=1"), "the end\n")
        kubectl.run("delete", "pod", "speaker")

    def say(self, gate, line):
        (gate / "new").write_text(line + "\n")
        os.rename(gate / "new", gate / "say")

    def test_logs_since_and_tail(self):
        gate = self.gate("since")
        first = self.tools[0]
        first.run("apply", "-f", "-", stdin=script_pod("diary", SPEAKER, gate))

        def stamps():
            done = first.run("logs", "diary", "--timestamps") if self.cluster.pod_phase("diary") == "Running" else ""
            return [line.split()[0] for line in done.splitlines()]

        self.say(gate, "old")
        wait_for("the old line", lambda: len(stamps()) == 1)
        # --since-time is cut to whole seconds by kubectl: the new line must stand in a later one.
        old = stamps()[0]
        wait_for("a later second", lambda: first.run("get", "--raw", "/healthz") and self.second_after(old))
        self.say(gate, "new")
        wait_for("the new line", lambda: len(stamps()) == 2)
        since = stamps()[1][:19] + "Z"
        (gate / "end").touch()
        wait_for("the diary's end", lambda: self.cluster.pod_phase("diary") == "Succeeded")
        for kubectl in self.tools:
            with self.subTest(kubectl=f"1.{kubectl.minor}"):
                self.assertEqual(kubectl.run("logs", "diary"), "old\nnew\nthe end\n")
                self.assertEqual(kubectl.run("logs", "diary", "--since-time", since), "new\nthe end\n")
                self.assertEqual(kubectl.run("logs", "diary", "--since=1h"), "old\nnew\nthe end\n")
                self.assertEqual(kubectl.run("logs", "diary", "--tail=1"), "the end\n")
                self.assertEqual(kubectl.run("logs", "diary", "--tail=0"), "")
                self.assertEqual(kubectl.run("logs", "diary", "--limit-bytes=5"), "old\nn")
                self.assertRegex(kubectl.run("logs", "diary", "--timestamps", "--tail=1"),
                                 r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\S* the end\n$")
                self.assertIn("not found", kubectl.run("logs", "nobody", fails=True))
                self.assertIn("container", kubectl.run("logs", "diary", "-c", "nobody", fails=True))
        first.run("delete", "pod", "diary")

    def second_after(self, stamp):
        now = cluster.run("date", "-u", "+%Y-%m-%dT%H:%M:%S").stdout.strip()
        return now > stamp[:19]

    def test_logs_previous(self):
        first = self.tools[0]
        first.run("apply", "-f", "-", stdin=script_pod("cat", TWO_LIVES, self.gate("lives")))
        wait_for("the second life", lambda: self.cluster.pod_phase("cat") == "Running"
                 and first.run("logs", "cat") == "second life\n")
        for kubectl in self.tools:
            with self.subTest(kubectl=f"1.{kubectl.minor}"):
                self.assertEqual(kubectl.run("logs", "-p", "cat"), "first life\n")
                self.assertEqual(kubectl.run("logs", "cat"), "second life\n")
                self.assertRegex(kubectl.run("get", "pod", "cat"), r"cat +1/1 +Running +1 ")
                self.assertRegex(kubectl.run("describe", "pod", "cat"), r"Last State: +Terminated\s+Reason: +Error\s+Exit Code: +3")
        first.run("delete", "pod", "cat")


if __name__ == "__main__":
    unittest.main()
