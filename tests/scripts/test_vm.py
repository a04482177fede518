# SPDX-License-Identifier: Apache-2.0
"""What tests/vm/run makes of the machine's end, with a machine that runs the command right here."""
import os
import pathlib
import subprocess
import tempfile
import unittest

RUN = pathlib.Path(__file__).resolve().parents[1] / "vm" / "run"

# In place of qemu: finds the command and the line for the status among the arguments, as the guest does.
MACHINE = """#!/bin/bash
for word in "$@"; do
  case "$word" in
    *command=*) command=${word##*command=} ;;
    file,id=status,path=*) status=${word#*path=} ;;
  esac
done
. "$command"
"${words[@]}" &
trap 'kill $!' TERM
wait $!
result=$?
[ "$result" -ge 99 ] || echo "$result" >"$status"
"""
KERNEL = "linux-image-test"

# what it is about, the command, status, what is said
CASES = [
    ("success", ["sh", "-c", "echo fine"], 0, "fine"),
    ("the command's status is ours", ["sh", "-c", "exit 7"], 7, ""),
    ("words arrive whole", ["printf", "<%s>", "a b", "$c", "d'\"\\n"], 0, "<a b><$c><d'\"\\n>"),
    ("no status at the end", ["sh", "-c", "exit 99"], 125, "the machine ended before the command did"),
    ("a hang", ["sleep", "600"], 125, "stopped after 0.1 minutes"),
    ("variables are handed on", ["sh", "-c", "echo seed $FAIRLEAD_SEED"], 0, "seed 42"),
]


class Vm(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        (self.root / "bin").mkdir()
        for name, text in (("qemu-system-x86_64", MACHINE), ("modprobe", "#!/bin/sh\n"),
                           ("cpio", "#!/bin/sh\ncat\n"), ("apt-cache", "#!/bin/sh\n"),
                           ("apt-get", "#!/bin/sh\necho no such package\nexit 100\n")):
            program = self.root / "bin" / name
            program.write_text(text)
            program.chmod(0o755)
        (self.root / "vm" / KERNEL / "boot").mkdir(parents=True)
        (self.root / "vm" / KERNEL / "boot" / "vmlinuz-1").touch()
        (self.root / "vm" / KERNEL / "lib" / "modules" / "1").mkdir(parents=True)

    def run_vm(self, words, kernel=KERNEL, minutes="10"):
        environment = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}", "FAIRLEAD_VM_MINUTES": minutes,
                       "FAIRLEAD_VM_DIR": f"{self.root}/vm", "FAIRLEAD_VM_KERNEL": kernel, "FAIRLEAD_SEED": "42"}
        return subprocess.run([RUN, *words], env=environment, capture_output=True, text=True)

    def test_cases(self):
        for about, words, status, said in CASES:
            with self.subTest(about):
                done = self.run_vm(["name", *words], minutes="0.1" if about == "a hang" else "10")
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(said, done.stdout + done.stderr)
                left = {path.name for path in (self.root / "vm").iterdir()}
                self.assertEqual(left, {KERNEL, "name.log"})
                self.assertIn(said if status != 125 else "", (self.root / "vm" / "name.log").read_text())

    def test_usage(self):
        self.assertEqual(self.run_vm(["name"]).returncode, 2)

    def test_no_kernel(self):
        done = self.run_vm(["name", "true"], kernel="")
        self.assertEqual(done.returncode, 125)
        self.assertIn("name a kernel in FAIRLEAD_VM_KERNEL", done.stderr)
        done = self.run_vm(["name", "true"], kernel="linux-image-none")
        self.assertEqual(done.returncode, 125)
        self.assertIn("no such package\ntests/vm/run: cannot download linux-image-none", done.stderr)
        self.assertEqual({path.name for path in (self.root / "vm").iterdir()}, {KERNEL})


if __name__ == "__main__":
    unittest.main()
