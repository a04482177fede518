# SPDX-License-Identifier: Apache-2.0
"""Unmodified kubectl binaries, old and new, against the API server alone: no nodes, no controllers."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from cluster import BIN, Kubectl, each_kubectl, wait_for

HELLO = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: hello, labels: {app: hello}}
spec:
  replicas: 3
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec:
      containers:
      - name: web
        image: hello:1
        ports: [{containerPort: 8080}]
        env: [{name: A, value: "1"}, {name: B, value: "2"}]
        resources: {requests: {cpu: 500m, memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec:
  type: NodePort
  selector: {app: hello}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
"""

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p1, labels: {app: p1}}
spec: {containers: [{name: c, image: busybox}]}
"""

NODE = """
apiVersion: v1
kind: Node
metadata: {name: %s}
"""

EVENT = """
apiVersion: v1
kind: Event
metadata: {name: e1}
involvedObject: {kind: Pod, name: p1, namespace: default}
reason: Tried
message: by a test
type: Normal
"""

LEASE = """
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: l1, namespace: %s}
spec: {holderIdentity: test, leaseDurationSeconds: 40}
"""

# No controller runs here: what a client that knows no slices reads is written by hand.
ENDPOINTS = """
apiVersion: v1
kind: Endpoints
metadata: {name: hello}
subsets:
- addresses: [{ip: 192.0.2.1}, {ip: 192.0.2.2}]
  notReadyAddresses: [{ip: 192.0.2.3}]
  ports: [{port: 8080}]
"""

# What is wrong, the manifest, what kubectl must say.
BAD = [
    ("cluster IP in use", "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: 10.96.0.10, ports: [{port: 80}]}}",
     'The Service "s" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: provided IP is already allocated'),
    ("cluster IP outside", "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: 10.97.0.10, ports: [{port: 80}]}}",
     "is not in the valid range. The range of valid IPs is 10.96.0.0/16"),
    ("node port outside", "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: NodePort, ports: [{port: 80, nodePort: 99}]}}",
     "spec.ports[0].nodePort: Invalid value: 99: provided port is not in the valid range. The range of valid ports is 30000-32767"),
    ("another family", "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ipFamilies: [IPv6], ports: [{port: 80}]}}",
     'The Service "s" is invalid: spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
    ("probe", "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i, livenessProbe: {tcpSocket: {port: 1}, successThreshold: 2}}]}}",
     'The Pod "p" is invalid: spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1'),
    ("negative replicas", HELLO.replace("replicas: 3", "replicas: -3").split("---")[0],
     'The Deployment "hello" is invalid: spec.replicas: Invalid value: -3: must be greater than or equal to 0'),
    ("wrong type", HELLO.replace("replicas: 3", "replicas: many").split("---")[0],
     "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
    ("no such namespace", "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: nope}}",
     'Error from server (NotFound): error when creating "STDIN": namespaces "nope" not found'),
    ("bad name", "{apiVersion: v1, kind: ConfigMap, metadata: {name: Bad_Name}}",
     'The ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain'),
]


CREATES = [line.split() for line in """
create configmap made --from-literal=a=b --from-literal=empty=
create secret generic made --from-literal=a=b
create secret docker-registry made-too --docker-username=u --docker-password=p --docker-server=s.example
create deployment made --image=i:1 --replicas=2 --port=80
create service clusterip made --tcp=80:8080
create service nodeport made-port --tcp=80:web --node-port=30099
create service externalname made-name --external-name=a.example
create service loadbalancer made-balancer --tcp=80
run made --image=i:1 --env=A=B --labels=a=b --port=80
""".split("\n") if line]
CHANGES = [line.split() for line in """
expose deployment made --name=made-exposed --port=80 --target-port=web
scale deployment made --replicas=0
set image deployment/made i=i:2
""".split("\n") if line]
MADE = ["configmap/made", "secret/made", "secret/made-too", "deployment/made", "pod/made", "service/made",
        "service/made-port", "service/made-name", "service/made-balancer", "service/made-exposed"]


def lasting(stored):
    """What two creations of one object have in common."""
    for name in ("uid", "resourceVersion", "creationTimestamp"):
        del stored["metadata"][name]
    spec = stored.get("spec", {})
    for name in ("clusterIP", "clusterIPs"):
        spec.pop(name, None)
    for port in spec.get("ports", []):
        if port.get("nodePort") != 30099:
            port.pop("nodePort", None)
    return stored


class KubectlTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        binary = pathlib.Path(os.environ.get("FAIRLEAD_BIN", BIN)) / "apiserver_alone"
        cls.directory = tempfile.mkdtemp(prefix="fairlead-kubectl-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        cls.server = subprocess.Popen([binary, cls.directory, str(port)], stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True)
        ready = cls.server.stdout.readline().split()
        assert ready[:1] == ["ready"], "the API server did not start"
        cls.kubeconfig = ready[2]
        cls.tools = Kubectl.all(cls.kubeconfig, cls.directory)

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        assert cls.server.wait(30) == 0, "the API server did not end cleanly"
        cls.server.stdout.close()
        shutil.rmtree(cls.directory)

    def clean(self, kubectl):
        kubectl.run("delete", "deployment,service,pod,configmap,secret,endpoints,event", "-l",
                    "!component,!k8s-app,!endpointslice.kubernetes.io/skip-mirror",
                    "--grace-period=0", "--force", "--ignore-not-found")

    @each_kubectl("tools", after="clean")
    def test_apply_create_change_unchanged(self, kubectl):
        self.assertEqual(kubectl.run("apply", "-f", "-", stdin=HELLO),
                         "deployment.apps/hello created\nservice/hello created\n")
        self.assertEqual(kubectl.run("apply", "-f", "-", stdin=HELLO),
                         "deployment.apps/hello unchanged\nservice/hello unchanged\n")
        changed = HELLO.replace("hello:1", "hello:2").replace('{name: A, value: "1"}, ', "")
        self.assertIn("deployment.apps/hello configured", kubectl.run("apply", "-f", "-", stdin=changed))
        container = kubectl.json("get", "deploy", "hello")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual((container["image"], container["env"]), ("hello:2", [{"name": "B", "value": "2"}]))
        self.assertEqual(container["terminationMessagePolicy"], "File")
        self.assertIn('deployment.apps "hello" deleted', kubectl.run("delete", "-f", "-", stdin=HELLO))
        self.assertIn('deployments.apps "hello" not found', kubectl.run("get", "deploy", "hello", fails=True))

    @each_kubectl("tools", after="clean")
    def test_get_in_all_forms(self, kubectl):
        kubectl.run("apply", "-f", "-", stdin=HELLO)
        kubectl.run("create", "-f", "-", stdin=POD)
        self.assertEqual(kubectl.run("get", "pods").split("\n")[0].split(), "NAME READY STATUS RESTARTS AGE".split())
        wide = kubectl.run("get", "pods", "-o", "wide").split("\n")
        self.assertIn("NOMINATED NODE   READINESS GATES", wide[0])
        self.assertEqual(wide[1].split()[:4], ["p1", "0/1", "Pending", "0"])
        self.assertEqual(kubectl.run("get", "deploy").split("\n")[1].split()[:4], ["hello", "0/3", "0", "0"])
        self.assertRegex(kubectl.run("get", "svc", "hello", "-o", "wide"), r"NodePort\s+10\.96\.\d+\.\d+\s+<none>\s+80:30080/TCP\s+\d+s\s+app=hello")
        self.assertIn("clusterIPs:", kubectl.run("get", "svc", "hello", "-o", "yaml"))
        self.assertEqual(kubectl.json("get", "svc", "hello")["spec"]["ports"][0]["nodePort"], 30080)
        self.assertIn("kube-system", kubectl.run("get", "svc", "-A"))
        self.assertEqual(kubectl.run("get", "pods", "-l", "app=p1", "-o", "name"), "pod/p1\n")
        self.assertEqual(kubectl.run("get", "pods", "-l", "app!=p1", "-o", "name"), "")
        self.assertEqual(kubectl.run("get", "pods", "--field-selector", "status.phase=Pending", "-o", "name"), "pod/p1\n")
        self.assertIn("field label not supported: spec.x", kubectl.run("get", "pods", "--field-selector", "spec.x=1", fails=True))
        self.assertIn("deployments", kubectl.run("api-resources"))
        kubectl.run("create", "-f", "-", stdin=EVENT)
        self.assertIn("LAST SEEN", kubectl.run("get", "events", "-A"))

    @each_kubectl("tools", after="clean")
    def test_watch(self, kubectl):
        with kubectl.following("get", "pods", "-w") as watch:
            time.sleep(0.5)  # either way round, the pod is seen
            kubectl.run("create", "-f", "-", stdin=POD)
            self.assertEqual(watch.stdout.readline().split()[0], "NAME")
            self.assertEqual(watch.stdout.readline().split()[:3], ["p1", "0/1", "Pending"])

    @each_kubectl("tools", after="clean")
    def test_describe(self, kubectl):
        kubectl.run("apply", "-f", "-", stdin=HELLO)
        kubectl.run("create", "-f", "-", stdin=POD)
        self.assertIn("3 desired", kubectl.run("describe", "deploy", "hello"))
        self.assertRegex(kubectl.run("describe", "svc", "hello"), r"NodePort:\s+<unset>\s+30080/TCP")
        self.assertRegex(kubectl.run("describe", "pod", "p1"), r"QoS Class:\s+BestEffort")
        self.assertIn("Active", kubectl.run("describe", "ns", "default"))

    @each_kubectl("tools", after="clean")
    def test_endpoints(self, kubectl):
        kubectl.run("apply", "-f", "-", stdin=HELLO)
        self.assertIn("endpoints/hello created", kubectl.run("apply", "-f", "-", stdin=ENDPOINTS))
        if kubectl.minor <= 30:  # newer ones read slices
            self.assertRegex(kubectl.run("describe", "svc", "hello"), r"Endpoints: +192\.0\.2\.1:8080,192\.0\.2\.2:8080\n")
        table = kubectl.run("get", "endpoints").split("\n")
        self.assertEqual(table[0].split(), ["NAME", "ENDPOINTS", "AGE"])
        self.assertRegex(kubectl.run("get", "ep", "hello"), r"hello +192\.0\.2\.1:8080,192\.0\.2\.2:8080 +\d+s")
        self.assertRegex(kubectl.run("get", "endpoints", "kubernetes"), r"kubernetes +[\d.]+:\d+ ")
        self.assertRegex(kubectl.run("describe", "endpoints", "hello"), r"NotReadyAddresses: +192\.0\.2\.3\n")
        text = kubectl.run("get", "ep", "hello", "-o", "yaml")
        self.assertIn("notReadyAddresses:\n  - ip: 192.0.2.3\n", text)
        self.assertIn("protocol: TCP", text)
        self.assertIn("<[]", kubectl.run("explain", "endpoints.subsets"))

    @each_kubectl("tools", after="clean")
    def test_what_is_not_there_says_so(self, kubectl):
        kubectl.run("create", "-f", "-", stdin=POD)
        running = json.dumps({**kubectl.json("get", "pod", "p1"), "status": {"phase": "Running"}})
        kubectl.run("replace", "--raw", "/api/v1/namespaces/default/pods/p1/status", "-f", "-", stdin=running)
        for words, says in (
                (("exec", "p1", "--", "ls"), "pods/exec is not served yet: this server cannot run commands in containers"),
                (("attach", "p1"), "pods/attach is not served yet: this server cannot attach to containers"),
                (("port-forward", "p1", ":80"), "pods/portforward is not served yet: this server cannot forward ports to pods"),
                (("cp", __file__, "p1:/tmp/x"), "pods/exec is not served yet")):
            with self.subTest(words[0]):
                self.assertIn(says, kubectl.run(*words, fails=True))

    @each_kubectl("tools", after="clean")
    def test_changes(self, kubectl):
        kubectl.run("apply", "-f", "-", stdin=HELLO)
        self.assertIn("scaled", kubectl.run("scale", "deploy", "hello", "--replicas=5"))
        kubectl.run("scale", "deploy", "hello", "--current-replicas=5", "--replicas=6")
        kubectl.run("label", "deploy", "hello", "tier=front")
        kubectl.run("annotate", "deploy", "hello", "note=x")
        kubectl.run("patch", "deploy", "hello", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"hello:3"}]}}}}')
        kubectl.run("patch", "deploy", "hello", "--type=merge", "-p", '{"spec":{"minReadySeconds":7}}')
        kubectl.run("patch", "deploy", "hello", "--type=json", "-p", '[{"op":"replace","path":"/spec/revisionHistoryLimit","value":4}]')
        deployment = kubectl.json("get", "deploy", "hello")
        spec = deployment["spec"]
        self.assertEqual((spec["replicas"], spec["minReadySeconds"], spec["revisionHistoryLimit"]), (6, 7, 4))
        self.assertEqual(spec["template"]["spec"]["containers"][0]["image"], "hello:3")
        self.assertEqual(deployment["metadata"]["labels"]["tier"], "front")
        kubectl.run("set", "image", "deploy/hello", "web=hello:1")
        kubectl.run("edit", "deploy", "hello")
        self.assertEqual(kubectl.json("get", "deploy", "hello")["spec"]["template"]["spec"]["containers"][0]["image"], "hello:9")
        document = kubectl.run("get", "deploy", "hello", "-o", "json").replace("hello:9", "hello:8")
        self.assertIn("replaced", kubectl.run("replace", "-f", "-", stdin=document))
        self.assertIn("the object has been modified", kubectl.run("replace", "-f", "-", stdin=document, fails=True))
        kubectl.run("rollout", "restart", "deploy/hello")

    @each_kubectl("tools", after="clean")
    def test_gates(self, kubectl):
        kubectl.run("create", "-f", "-", stdin=POD.replace("spec: {", "spec: {schedulingGates: [{name: example.com/wait}], "))
        self.assertRegex(kubectl.run("get", "pod", "p1", "--no-headers"), "^p1 +0/1 +SchedulingGated ")
        self.assertIn("only deletion is allowed, but found new scheduling gate 'other'",
                      kubectl.run("patch", "pod", "p1", "-p", '{"spec":{"schedulingGates":[{"name":"other"}]}}', fails=True))
        kubectl.run("patch", "pod", "p1", "--type=json", "-p", '[{"op":"remove","path":"/spec/schedulingGates"}]')
        self.assertNotIn("schedulingGates", kubectl.json("get", "pod", "p1")["spec"])

    @each_kubectl("tools", after="clean")
    def test_warnings_and_subresources(self, kubectl):
        twice = HELLO.replace("{name: B,", "{name: A,")
        self.assertIn('spec.template.spec.containers[0].env[1]: hides previous definition of "A"',
                      kubectl.run("create", "--warnings-as-errors", "-f", "-", stdin=twice, fails=True))
        self.assertIn("v1 Endpoints is deprecated", kubectl.run("get", "endpoints", "--warnings-as-errors", fails=True))
        wrong = kubectl.run("patch", "deploy", "hello", "-p", '{"spec":{"replicas":"x"}}', fails=True)
        self.assertIn('The request is invalid: patch: Invalid value: "map[spec:map[replicas:x]]"', wrong)
        if kubectl.minor >= 24:
            scale = kubectl.run("get", "deploy", "hello", "--subresource=scale")
            self.assertEqual(scale.split()[:7], ["NAME", "DESIRED", "AVAILABLE", "AGE", "hello", "3", "0"])
            kubectl.run("get", "deploy", "hello", "--subresource=status")

    @each_kubectl("tools", after="clean")
    def test_rollout_status(self, kubectl):
        kubectl.run("apply", "-f", "-", stdin=HELLO)
        with kubectl.following("rollout", "status", "deploy/hello") as rollout:
            kubectl_as_controller = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
            kubectl_file = json.dumps({**kubectl.json("get", "deploy", "hello"), "status": kubectl_as_controller})
            kubectl.run("replace", "--raw", "/apis/apps/v1/namespaces/default/deployments/hello/status", "-f", "-", stdin=kubectl_file)
            self.assertIn("successfully rolled out", rollout.stdout.read())

    @each_kubectl("tools", after="clean")
    def test_typed_creates(self, kubectl):
        """In protobuf since 1.32."""
        for words in CREATES:
            kubectl.run(*words)
        self.assertIn("already exists", kubectl.run(*CREATES[0], fails=True))
        self.assertIn("metadata.name: Invalid value: \"Bad_Name\"",
                      kubectl.run("create", "configmap", "Bad_Name", fails=True))
        name = f"ns-{kubectl.minor}"
        kubectl.run("create", "namespace", name)
        self.assertEqual(kubectl.json("get", "secret", "made")["data"], {"a": "Yg=="})
        kubectl.run("delete", "ns", name, "--wait=false")
        self.assertEqual(kubectl.json("get", "ns", name)["status"]["phase"], "Terminating")

    def test_oldest_and_newest_make_the_same(self):
        made = []
        for kubectl in (self.tools[0], self.tools[-1]):
            for words in (*CREATES, *CHANGES):
                kubectl.run(*words)
            made.append({name: lasting(self.tools[0].json("get", name)) for name in MADE})
            kubectl.run("delete", *MADE, "--grace-period=0", "--force")
        for name in MADE:
            self.assertEqual(made[0][name], made[1][name], name)

    @each_kubectl("tools", after="clean")
    def test_drain(self, kubectl):
        """Typed clients cordon, evict and delete."""
        name = f"node-{kubectl.minor}"
        kubectl.run("create", "-f", "-", stdin=NODE % name)
        for more in ((), ("--disable-eviction",)):  # it deletes then
            kubectl.run("create", "-f", "-", stdin=POD.replace("{containers", f"{{nodeName: {name}, containers"))
            kubectl.run("drain", name, "--force", "--grace-period=0", *more)
            self.assertEqual(kubectl.run("get", "pods", "-o", "name"), "")
        self.assertTrue(kubectl.json("get", "node", name)["spec"]["unschedulable"])
        kubectl.run("uncordon", name)
        self.assertNotIn("unschedulable", kubectl.json("get", "node", name)["spec"])
        kubectl.run("delete", "node", name)

    @each_kubectl("tools", after="clean")
    def test_bad_manifests(self, kubectl):
        for what, manifest, says in BAD:
            with self.subTest(what):
                self.assertIn(says, kubectl.run("create", "--validate=false", "-f", "-",
                                                      stdin="---\n" + manifest, fails=True))
        unknown = HELLO.replace("replicas: 3", "replicass: 3").split("---")[0]
        if kubectl.minor >= 25:  # asks the server to be strict
            self.assertIn('strict decoding error: unknown field "spec.replicass"',
                          kubectl.run("create", "-f", "-", stdin=unknown, fails=True))
        self.assertIn("error", kubectl.run("apply", "-f", "-", stdin="---\n{apiVersion: v1, kind: Frob, metadata: {name: x}}", fails=True))
        self.assertEqual(kubectl.run("get", "deploy,cm", "-o", "name"), "")

    def test_survives_a_restart(self):
        """But for events and the leases of nodes, which are in memory only."""
        kubectl = self.tools[0]
        namespaces = ("default", "kube-node-lease")
        for manifest in (POD, EVENT, *(LEASE % namespace for namespace in namespaces)):
            kubectl.run("create", "-f", "-", stdin=manifest)
        self.assertEqual(kubectl.run("get", "event", "e1", "-o", "name"), "event/e1\n")
        lease = {namespace: ("get", "lease", "l1", "-n", namespace) for namespace in namespaces}
        for namespace in namespaces:
            kubectl.run(*lease[namespace])
        uid = kubectl.json("get", "pod", "p1")["metadata"]["uid"]
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()
        type(self).server = subprocess.Popen(self.server.args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.assertEqual(self.server.stdout.readline().split()[0], "ready")
        self.assertEqual(wait_for("the pod", lambda: kubectl.json("get", "pod", "p1"))["metadata"]["uid"], uid)
        kubectl.run(*lease["default"])
        self.assertIn("NotFound", kubectl.run(*lease["kube-node-lease"], fails=True))
        self.assertIn("NotFound", kubectl.run("get", "event", "e1", fails=True))
        kubectl.run("delete", "lease", "l1")
        kubectl.run("delete", "pod", "p1")


if __name__ == "__main__":
    unittest.main()
