# SPDX-License-Identifier: Apache-2.0
"""Whatever command of scripts/quickstart fails, it says the step, what failed and what to do.

The script runs as it is, in a folder where what it calls are small stand-ins that fail when told to;
tests/e2e/test_quickstart.py runs it with the real ones.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

QUICKSTART = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "quickstart"

# Every stand-in: fails when its name and words hold $FAIL, else does its part.
HEAD = """#!/bin/bash
said="${0##*/} $*"
[[ -z "$FAIL" || "$said" != *"$FAIL"* ]] || { echo "$said: told to fail" >&2; exit 3; }
"""
KUBECTL = """
case "$*" in
  *Ready*) [ ! -e fairlead.pid ] || echo -n True ;;
  *InternalIP*) echo 192.0.2.1 ;;
  *'get pod client'*) echo -n Succeeded ;;
  *'get pod load'*) echo -n Running ;;
  *'get pod hello-1'*) exit 1 ;;
  *'get pods -l'*) echo hello-1 ;;
  *readyReplicas*) echo -n 5 ;;
  *'logs load'*) echo '300 connections, 0 failed' ;;
  *'logs -f client'*) cat <<'SAID'
short name:  hello -> hello-1
A   hello: 10.96.0.1
A   hello-headless: 10.244.0.1 10.244.0.2 10.244.0.3
SRV x 80 hello.default.svc.cluster.local
PTR x hello.default.svc.cluster.local
[150/300]
300 connections, 0 failed
  100 hello-1
  100 hello-2
  100 hello-3
SAID
esac
"""
STAND_INS = {
    "scripts/deps": "echo installing a thing; echo '[70/100] Unpacking a thing'", "scripts/images": "echo '[1/2] wrote'",
    "bin/cmake": "", "bin/kubectl": KUBECTL,
    "bin/curl": "echo hello-1", "bin/sleep": "exec /bin/sleep 0.01", "bin/python3": "echo watching; exec /bin/sleep 60",
    "build/release/bin/fairlead": '[ "$1" = down ] || { echo $$ >fairlead.pid; exec /bin/sleep 60; }',
}

# What fails, in which step, what is said of it.
CASES = [
    ("deps build run", "1 (packages)", "a package is missing"),
    ("cmake --preset", "2 (build)", "cmake"),
    ("cmake --build", "2 (build)", "the build"),
    ("images", "3 (images (pause and demo, from Debian's packages))", "building the images"),
    ("kubectl version", "4 (cluster)", "kubectl does not run: kubectl version --client: told to fail"),
    ("fairlead up", "4 (cluster)", "fairlead ended: fairlead up"),
    ("apply -f docs/examples/hello.yaml", "5 (kubectl apply -f docs/examples/hello.yaml)",
     "`k apply -f docs/examples/hello.yaml | show` ended with status 3"),
    ("get pods,services", "5 (kubectl apply -f docs/examples/hello.yaml)",
     "`k get pods,services -o wide | show` ended with status 3"),
    ("delete pod client", "6 (names and 300 connections, from inside a pod)",
     "`k delete pod client --ignore-not-found --wait=true >/dev/null` ended with status 3"),
    ("apply -f docs/examples/client.yaml", "6 (names and 300 connections, from inside a pod)",
     "`k apply -f docs/examples/client.yaml >/dev/null` ended with status 3"),
    ("logs -f client", "6 (names and 300 connections, from inside a pod)",
     "`k logs -f client | tee build/quickstart-client.log | bar all` ended with status 3"),
    ("InternalIP", "7 (NodePort from the host)", "`ip=$(k get nodes -o "),
    ("curl", "7 (NodePort from the host)", "http://192.0.2.1:30080/ did not answer"),
    ("delete pod load --ignore", "8 (scale to five and delete a pod, under load)",
     "`k delete pod load --ignore-not-found --wait=true >/dev/null` ended with status 3"),
    ("--replicas=5", "8 (scale to five and delete a pod, under load)",
     "`k scale deployment hello --replicas=5 | show` ended with status 3"),
    ("get pods -l", "8 (scale to five and delete a pod, under load)", "`victim=$(k get pods -l app=hello "),
    ("delete pod hello-1", "8 (scale to five and delete a pod, under load)",
     '`k delete pod "$victim" --wait=false | show` ended with status 3'),
    ("logs load", "8 (scale to five and delete a pod, under load)",
     "`k logs load >build/quickstart-load.log` ended with status 3"),
]


class QuickstartTest(unittest.TestCase):
    @contextlib.contextmanager
    def tree(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in STAND_INS.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(HEAD + text + "\n")
                (root / name).chmod(0o755)
            shutil.copy(QUICKSTART, root / "scripts/quickstart")
            try:
                yield root
            finally:
                if (root / "fairlead.pid").exists():
                    os.kill(int((root / "fairlead.pid").read_text()), signal.SIGKILL)

    def run_in(self, root, *words, fail="", data="data", path="/usr/sbin:/usr/bin:/sbin:/bin"):
        environment = {**os.environ, "PATH": f"{root}/bin:{path}", "FAIL": fail,
                       "FAIRLEAD_DATA_DIR": str(root / data)}
        return subprocess.run([root / "scripts/quickstart", *words], env=environment, text=True, capture_output=True,
                              check=False, timeout=120)

    def check_failure(self, done, step, what):
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(done.stderr.count("quickstart: step"), 1, done.stderr)
        _, _, said = done.stderr.rpartition("\nquickstart: step ")
        first, advice = said.rstrip("\n").split("\n")
        self.assertTrue(first.startswith(f"{step} failed: "), first)
        self.assertIn(what, first)
        self.assertRegex(advice, r"^  \S+ \S+ ")

    def test_every_command(self):
        for fail, step, what in CASES:
            with self.subTest(fail), self.tree() as root:
                self.check_failure(self.run_in(root, fail=fail), step, what)

    def test_a_folder_that_cannot_be_made(self):
        with self.tree() as root:
            (root / "file").write_text("")
            self.check_failure(self.run_in(root, data="file/data"), "4 (cluster)",
                               '`mkdir -p "$data_dir/log"` ended with status 1')

    def without_kubectl(self, root):
        """A PATH of all there is but kubectl; Debian's is fetched by a stand-in."""
        (root / "bin/kubectl").rename(root / "debians")
        fetch = root / "scripts/kubectl-debian"
        fetch.write_text(HEAD + 'mkdir -p "${1%/*}" && cp debians "$1"\n')
        fetch.chmod(0o755)
        (root / "system").mkdir()
        for folder in ("/bin", "/usr/bin", "/sbin", "/usr/sbin"):
            for program in os.scandir(folder):
                if program.name != "kubectl" and not os.path.lexists(root / "system" / program.name):
                    os.symlink(program.path, root / "system" / program.name)
        return str(root / "system")

    def test_without_kubectl_debians_is_fetched(self):
        with self.tree() as root:
            path = self.without_kubectl(root)
            done = self.run_in(root, path=path)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.assertTrue((root / "build/tools/kubectl").exists())
            self.assertIn("build/tools/kubectl", done.stdout, "what to type next")

    def test_without_kubectl_and_without_debians(self):
        with self.tree() as root:
            path = self.without_kubectl(root)
            self.check_failure(self.run_in(root, path=path, fail="kubectl-debian"), "4 (cluster)",
                               "there is no kubectl, and Debian's could not be fetched")

    def test_down(self):
        with self.tree() as root:
            self.check_failure(self.run_in(root, "--down", fail="fairlead down"), "1 (stop the cluster)", "fairlead down")

    def test_nothing_fails(self):
        """What the stand-ins do is enough: the cases fail only by what they name."""
        with self.tree() as root:
            done = self.run_in(root)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.assertIn("the cluster is running", done.stdout)
            for shown in ("installing a thing\n        70 of 100", "1 of 2", "PTR x hello.default.svc.cluster.local\n"
                          "        150 of 300\n        300 connections, 0 failed"):
                self.assertIn(f"        {shown}\n", done.stdout)


if __name__ == "__main__":
    unittest.main()
