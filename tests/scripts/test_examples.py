# SPDX-License-Identifier: Apache-2.0
"""docs/examples/fairlead.service is a unit that systemd takes without a word."""
import pathlib
import subprocess
import tempfile
import unittest

UNIT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "examples" / "fairlead.service"


class UnitTest(unittest.TestCase):
    def verify(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "fairlead.service"
            path.write_text(text.replace("/usr/local/bin/fairlead", "/bin/true"))  # it must be there
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], text=True, capture_output=True,
                                  check=False)
            return done.returncode, done.stdout + done.stderr

    def test_systemd_knows_every_word(self):
        self.assertEqual(self.verify(UNIT.read_text()), (0, ""))
        self.assertIn("Delegat", self.verify(UNIT.read_text().replace("Delegate=", "Delegat="))[1])


if __name__ == "__main__":
    unittest.main()
