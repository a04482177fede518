# SPDX-License-Identifier: Apache-2.0
"""docs/dns-tables.md: every row has tests that exist, and every test of a table has its row."""
import fnmatch
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("tests/unit/dns", "tests/kernel/dns")


def rows_of(page):
    """(first cell, filters) of each row."""
    cells = [line.strip("|\n ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return [(row[0], re.findall(r"`([^`]+)`", row[-1])) for row in cells if row != ["row", "tests"]]


def all_tests():
    names = {path.stem for folder in ("dns", "kube") for path in (ROOT / "tests/fuzz" / folder).glob("*_fuzz.cpp")}
    for path in (path for folder in FOLDERS for path in (ROOT / folder).glob("*.cpp")):
        names |= {".".join(match) for match in re.findall(r"^TEST(?:_F)?\(\s*(\w+),\s*(\w+)\)", path.read_text(), re.M)}
    return names


def findings(rows, names):
    matches = {pattern: fnmatch.filter(names, pattern) for _, patterns in rows for pattern in patterns}
    found = [f"{row}: no test" for row, patterns in rows if not patterns]
    found += [f"{pattern}: no such test" for pattern, matching in matches.items() if not matching]
    in_rows = {name for matching in matches.values() for name in matching}
    found += [f"{name}: no row" for name in sorted(names - in_rows)
              if name.startswith("Table") or name.endswith("_fuzz")]
    return found


class DnsTablesTest(unittest.TestCase):
    def setUp(self):
        self.rows = rows_of((ROOT / "docs/dns-tables.md").read_text())

    def test_rows_have_tests_and_tests_rows(self):
        self.assertGreater(len(self.rows), 90)
        self.assertEqual(findings(self.rows, all_tests()), [])

    def test_every_plugin_has_a_row(self):
        words = {word for row, _ in self.rows for word in re.split(r"[\s,:]+", row)}
        plugins = {path.name for path in (ROOT / "dns/plugins").iterdir() if path.is_dir()}
        self.assertEqual(plugins - words, set())

    def test_the_guard_finds_what_is_missing(self):
        rows = [("a", ["TableA.One*"]), ("b", []), ("c", ["TableA.Two"])]
        self.assertEqual(findings(rows, {"TableA.OneAndMore", "TableA.Three", "Other.Test", "name_fuzz"}),
                         ["b: no test", "TableA.Two: no such test", "TableA.Three: no row", "name_fuzz: no row"])


if __name__ == "__main__":
    unittest.main()
