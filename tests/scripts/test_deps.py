# SPDX-License-Identifier: Apache-2.0
"""scripts/deps shows how far the package manager is, and its words when it fails; small stand-ins are in its place."""
import os
import pathlib
import subprocess
import tempfile
import unittest

DEPS = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "deps"

# On the descriptor that APT::Status-Fd names, as apt 2.6 says it.
APT_GET = """#!/bin/bash
[ "$1" = install ] || exit 0
echo "Reading package lists..."
cat >&3 <<'SAID'
dlstatus:1:0.0000:Retrieving file 1 of 2
dlstatus:1:0.3000:Retrieving file 1 of 2
dlstatus:2:51.2000:Retrieving file 2 of 2
pmstatus:dpkg-exec:0.0000:Running dpkg
pmstatus:runc:20.0000:Unpacking runc (amd64)
pmerror:runc:20.0000:not this
pmstatus:runc:100.0000:Installed runc (amd64): fine
SAID
[ -z "$FAIL" ] || { echo "E: no space left" >&2; exit 100; }
"""
SAID = """\
[0/100] Retrieving file 1 of 2
[25/100] Retrieving file 2 of 2
[50/100] Running dpkg
[60/100] Unpacking runc (amd64)
[100/100] Installed runc (amd64): fine
"""


@unittest.skipUnless(os.geteuid() == 0, "keeps services from starting, in /usr/sbin")
class DepsTest(unittest.TestCase):
    def run_deps(self, installed, fail=""):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("apt-get", APT_GET), ("dpkg-query", f"#!/bin/sh\nprintf '%s ii\\n' {installed}\n")):
                program = pathlib.Path(folder) / name
                program.write_text(text)
                program.chmod(0o755)
            environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "FAIL": fail}
            return subprocess.run([DEPS, "vm"], env=environment, text=True, capture_output=True, check=False)

    def test_nothing_missing(self):
        done = self.run_deps("qemu-system-x86 busybox-static cpio kmod")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_progress(self):
        done = self.run_deps("qemu-system-x86 cpio")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, "installing 2 packages: busybox-static kmod\n" + SAID)

    def test_failure(self):
        done = self.run_deps("cpio", fail="yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn("Reading package lists...\nE: no space left\nscripts/deps: the package manager failed", done.stderr)


if __name__ == "__main__":
    unittest.main()
