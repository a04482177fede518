# SPDX-License-Identifier: Apache-2.0
"""What kubectl learns from OpenAPI: explain, diff, server-side dry run, client-side validation."""
import re
import subprocess
import unittest

import test_kubectl
from cluster import ROOT, each_kubectl

HELLO = test_kubectl.HELLO.split("---")[0]

# What is wrong, the change to HELLO, what every kubectl must name.
INVALID = [
    ("unknown field", ("replicas: 3", "replicass: 3"), "replicass"),
    ("unknown nested field", ("image: hello:1", "imagee: hello:1"), "imagee"),
    ("wrong type", ("image: hello:1", "image: {}"), "image"),
]


class OpenApiTest(unittest.TestCase):
    setUpClass = classmethod(test_kubectl.KubectlTest.setUpClass.__func__)
    tearDownClass = classmethod(test_kubectl.KubectlTest.tearDownClass.__func__)
    clean = test_kubectl.KubectlTest.clean

    @each_kubectl("tools", after="clean")
    def test_explain(self, kubectl):
        text = kubectl.run("explain", "deployment")
        self.assertRegex(text, r"KIND:\s+Deployment\n")
        self.assertRegex(text, r"VERSION:\s+(apps/)?v1\n")
        self.assertRegex(text, r"spec\s+<(Object|DeploymentSpec)>")
        self.assertIn("Deployment of apps/v1.", text)
        text = kubectl.run("explain", "deployment.spec.template.spec.containers.imagePullPolicy")
        self.assertRegex(text, r"imagePullPolicy\s+<string>")
        self.assertIn("Always, IfNotPresent, Never", " ".join(text.split()))
        self.assertRegex(kubectl.run("explain", "pod.spec.volumes.emptyDir.sizeLimit"), r"sizeLimit\s+<(string|Quantity)>")
        recursive = kubectl.run("explain", "service", "--recursive")
        self.assertRegex(recursive, r"nodePort\s+<integer>")
        for kind in ("namespace", "node", "configmap", "secret", "event", "lease", "replicaset", "endpointslice"):
            self.assertIn("metadata", kubectl.run("explain", kind))
        self.assertIn('does not exist', kubectl.run("explain", "pod.spec.nope", fails=True))

    @each_kubectl("tools", after="clean")
    def test_dry_run_changes_nothing(self, kubectl):
        self.assertEqual(kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=HELLO),
                         "deployment.apps/hello created (server dry run)\n")
        self.assertIn("NotFound", kubectl.run("get", "deploy", "hello", fails=True))
        kubectl.run("apply", "-f", "-", stdin=HELLO)
        before = kubectl.json("get", "deploy", "hello")
        changed = HELLO.replace("hello:1", "hello:2")
        self.assertEqual(kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=changed),
                         "deployment.apps/hello configured (server dry run)\n")
        kubectl.run("scale", "deploy", "hello", "--replicas=9", "--dry-run=server")
        kubectl.run("label", "deploy", "hello", "tier=front", "--dry-run=server")
        kubectl.run("delete", "deploy", "hello", "--dry-run=server")
        self.assertEqual(kubectl.json("get", "deploy", "hello"), before)

    @each_kubectl("tools", after="clean")
    def test_diff(self, kubectl):
        kubectl.run("apply", "-f", "-", stdin=HELLO)
        self.assertEqual(kubectl.run("diff", "-f", "-", stdin=HELLO), "")
        done = subprocess.run([kubectl.path, "diff", "-f", "-"], input=HELLO.replace("hello:1", "hello:2"), text=True, capture_output=True, env=kubectl.environment, check=False, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^-\s+(- )?image: hello:1$")
        self.assertRegex(done.stdout, r"(?m)^\+\s+(- )?image: hello:2$")
        self.assertEqual(kubectl.json("get", "deploy", "hello")["spec"]["template"]["spec"]["containers"][0]["image"], "hello:1")

    @each_kubectl("tools", after="clean")
    def test_validation_names_the_field(self, kubectl):
        for what, (old, new), names in INVALID:
            with self.subTest(what):
                self.assertIn(names, kubectl.run("create", "-f", "-", stdin=HELLO.replace(old, new), fails=True))
        self.assertEqual(kubectl.run("get", "deploy", "-o", "name"), "")

    # There are no DaemonSets, ServiceAccounts and roles here; the pods of the former are a Deployment's.
    @each_kubectl("tools", after="clean")
    def test_the_examples_are_taken(self, kubectl):
        for name in ("deployment-dns", "daemonset-dns", "daemonset-proxy"):
            text = (ROOT / "docs" / "examples" / f"{name}.yaml").read_text()
            text = re.sub(r"(?m)^  updateStrategy:\n(    .*\n)+", "", text.replace("kind: DaemonSet", "kind: Deployment"))
            taken = [document for document in text.split("\n---\n")
                     if re.search(r"(?m)^kind: (ConfigMap|Deployment)$", document)]
            self.assertEqual(len(taken), 2)
            for document in taken:
                with self.subTest(name):
                    self.assertRegex(kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=document),
                                     r"created \(server dry run\)\n$")


if __name__ == "__main__":
    unittest.main()
