# SPDX-License-Identifier: Apache-2.0
"""Every rule of scripts/check fires on what it forbids and is silent on what it allows."""
import contextlib
import pathlib
import shutil
import subprocess
import tempfile
import unittest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "check"
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
PURE = SPDX + "// Answers. Pure.\n"
HEADER = SPDX + "// What it is. Any thread.\n#pragma once\n"


MOVED = ("#include <string>\n#include <utility>\ninline int f(std::string a) { std::string b = "
         "std::move(a); return static_cast<int>(a.size() + b.size()); }\n")
CMAKE = {"CMakeLists.txt": "cmake_minimum_required(VERSION 3.25)\nproject(x CXX)\n"
                           "set(CMAKE_EXPORT_COMPILE_COMMANDS ON)\ninclude_directories(.)\n"
                           "add_custom_target(generated)\nadd_library(x base/a.cpp)\n"}
TESTS = {"tests/CMakeLists.txt": "foreach(ROOM base dns)\n  fairlead_tests(${KIND} ${ROOM} DEPS ${ROOM})\nendforeach()\n"
                                 "foreach(ROOM store node)\n  fairlead_tests(${KIND} orchestrator_${ROOM})\nendforeach()\n",
         "tests/fuzz/CMakeLists.txt": "foreach(ROOM base dns)\n", "tests/fuzz/dns/CMakeLists.txt": "fairlead_fuzzers()\n"}


def body(lines):
    return "void f() {\n" + "  g();\n" * (lines - 2) + "}\n"


# rule, what it is about, files, finding expected (None: clean)
CASES = [
    ("spdx", "licence present", {"base/a.cpp": SPDX}, None),
    ("spdx", "licence missing", {"base/a.cpp": "int a;\n"}, "base/a.cpp:1: no line"),
    ("spdx", "script without suffix", {"scripts/x": "#!/bin/sh\n"}, "scripts/x:1: no line"),
    ("doors", "proxy may use netlink", {"proxy/a.cpp": '#include "netlink/b.h"\n'}, None),
    ("doors", "dns may not", {"dns/a.cpp": '#include "netlink/b.h"\n'},
     "dns/a.cpp:1: dns may not include netlink/b.h"),
    ("doors", "siblings never", {"dns/a.cpp": '#include "proxy/b.h"\n'}, "dns may not include"),
    ("doors", "base uses nobody", {"base/a.h": '#include "kube/b.h"\n'}, "its doors are none"),
    ("doors", "product never includes tests", {"kube/a.cpp": '#include "tests/support/x.h"\n'},
     "product code may not include"),
    ("doors", "tests include anything", {"tests/unit/dns/a_test.cpp": '#include "netlink/b.h"\n'}, None),
    ("pure", "values only", {"dns/a.h": PURE + '#include "base/time.h"\n#include <vector>\n'}, None),
    ("pure", "a loop", {"dns/a.h": PURE + '#include "base/loop.h"\n'},
     "dns/a.h:3: says it is pure, but includes base/loop.h"),
    ("pure", "a socket", {"dns/a.h": PURE + "#include <sys/socket.h>\n"}, "includes sys/socket.h"),
    ("pure", "the source beside it", {"dns/a.h": PURE, "dns/a.cpp": "#include <poll.h>\n"}, "dns/a.cpp:1"),
    ("pure", "through two headers",
     {"dns/a.h": PURE + '#include "dns/b.h"\n', "dns/b.h": '#include "dns/c.h"\n',
      "dns/c.h": "#include <uv.h>\n"}, "dns/a.h:3: says it is pure, but includes dns/b.h > dns/c.h > uv.h"),
    ("pure", "through a circle", {"dns/a.h": PURE + '#include "dns/b.h"\n', "dns/b.h":
     '#include "dns/a.h"\n#include <unistd.h>\n'}, "dns/b.h > unistd.h"),
    ("pure", "addresses need the numbers of families",
     {"dns/a.h": PURE + '#include "base/address.h"\n', "base/address.h": "#include <sys/socket.h>\n"}, None),
    ("pure", "nobody else does",
     {"dns/a.h": PURE + '#include "base/b.h"\n', "base/b.h": "#include <sys/socket.h>\n"}, "> sys/socket.h"),
    ("pure", "a purist is not pure", {"dns/a.h": SPDX + "// Purely a word.\n#include <uv.h>\n"}, None),
    ("sizes", "70 lines pass", {"base/a.cpp": body(70)}, None),
    ("sizes", "71 do not", {"base/a.cpp": body(71)}, "base/a.cpp:1: a function of 71 lines"),
    ("sizes", "methods count", {"base/a.h": "class A {\n  void f() {\n" + "    g();\n" * 70 + "  }\n};\n"},
     "base/a.h:2: a function of 72 lines"),
    ("sizes", "a constructor's initializers do not join it to what follows",
     {"base/a.cpp": "A::A(int b)\n    : b_(b) {\n  g();\n}\n\n" + body(60)}, None),
    ("sizes", "a long constructor", {"base/a.cpp": "A::A(int b)\n    : b_(b) {\n" + "  g();\n" * 80 + "}\n"},
     "base/a.cpp:2: a function of 82 lines"),
    ("sizes", "a table is no function", {"base/a.cpp": "const int kTable[] = {\n" + "    1,\n" * 90 + "};\n"},
     None),
    ("sizes", "a namespace is no function", {"base/a.cpp": "namespace a {\n" + "int b;\n" * 90 + "}\n"}, None),
    ("sizes", "long header", {"base/a.h": "int a;\n" * 301}, "301 lines; split it"),
    ("sizes", "long source", {"base/a.cpp": "int a;\n" * 601}, "601 lines; split it"),
    ("dead", "header used elsewhere", {"base/a.h": HEADER, "base/b.cpp": '#include "base/a.h"\n'}, None),
    ("dead", "header used by its own source alone",
     {"base/a.h": HEADER, "base/a.cpp": '#include "base/a.h"\n'}, "no file includes this header"),
    ("dead", "page without a link", {"docs/a.md": "text\n"}, "docs/a.md:1: nothing links"),
    ("dead", "page with a link", {"docs/a.md": "text\n", "README.md": "[a](docs/a.md)\n"}, None),
    ("dead", "test outside a room", {"tests/unit/a_test.cpp": SPDX}, "no test binary builds it"),
    ("dead", "tests of rooms",
     {**TESTS, "tests/unit/dns/a_test.cpp": SPDX, "tests/kernel/orchestrator_node/a_test.cpp": SPDX}, None),
    ("dead", "test of a room nobody names", {**TESTS, "tests/unit/node/a_test.cpp": SPDX},
     "tests/unit/node/a_test.cpp:1: lies in no room's folder that tests/CMakeLists.txt names"),
    ("dead", "corpus with its harness", {**TESTS, "tests/fuzz/dns/a/one": "", "tests/fuzz/dns/a_fuzz.cpp": SPDX}, None),
    ("dead", "corpus of a harness that has gone", {**TESTS, "tests/fuzz/dns/a/one": "", "tests/fuzz/dns/b_fuzz.cpp": SPDX},
     "tests/fuzz/dns/a/one:1: no harness reads this corpus; its name would be a_fuzz.cpp"),
    ("dead", "harness in a folder nobody names", {**TESTS, "tests/fuzz/kube/a_fuzz.cpp": SPDX},
     "tests/fuzz/kube/a_fuzz.cpp:1: lies in no room's folder that tests/fuzz/CMakeLists.txt names"),
    ("dead", "misnamed test", {"tests/unit/dns/a.cpp": SPDX}, "is named *_test.cpp"),
    ("headers", "guard and contract", {"base/a.h": HEADER}, None),
    ("headers", "no guard", {"base/a.h": SPDX + "// What.\n"}, "no '#pragma once'"),
    ("headers", "no contract", {"base/a.h": SPDX + "#pragma once\n"}, "begins with its contract"),
    ("headers", "own header first",
     {"base/a.h": HEADER, "base/a.cpp": '#include <vector>\n#include "base/a.h"\n'}, 'include "base/a.h" first'),
    ("words", "leftover", {"base/a.cpp": "// TO" "DO: later\n"}, "finish it or file an issue"),
    ("lint", "clean", {**CMAKE, "base/a.cpp": "int f(int a) { return a; }\n"}, None),
    ("lint", "used after it was moved from", {**CMAKE, "base/a.cpp": MOVED}, "base/a.cpp:3:"),
    ("lint", "in a header", {**CMAKE, "base/a.h": MOVED, "base/a.cpp": '#include "base/a.h"\n'}, "base/a.h:3:"),
    ("lint", "does not compile", {**CMAKE, "base/a.cpp": "int a = b;\n"}, "undeclared identifier 'b'"),
    ("lint", "not configurable", {"base/a.cpp": "int a;\n"}, "needs a configured tree"),
    ("format", "formatted", {"base/a.cpp": "int a;\n"}, None),
    ("format", "not formatted", {"base/a.cpp": "int   a;\n"}, "run scripts/check --fix"),
]


@contextlib.contextmanager
def tree_of(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / ".clang-format").write_text("BasedOnStyle: Google\n")
        shutil.copy(CHECK.parent.parent / ".clang-tidy", root)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        (root / ".git/info/exclude").write_text("build/\n")
        yield root


def run_check(root, rule):
    return subprocess.run([CHECK, "--root", root, rule], capture_output=True, text=True, check=False)


def run_rule(rule, files):
    with tree_of(files) as root:
        return run_check(root, rule)


class CheckTest(unittest.TestCase):
    def test_rules(self):
        for rule, about, files, finding in CASES:
            with self.subTest(f"{rule}: {about}"):
                run = run_rule(rule, files)
                if finding is None:
                    self.assertEqual((run.returncode, run.stderr), (0, ""), run.stdout)
                else:
                    self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
                    self.assertIn(finding, run.stdout)

    def test_lint_looks_again_only_at_what_changed(self):
        files = {**CMAKE, "base/b.h": "#pragma once\nint g();\n",
                 "base/a.cpp": '#include "base/b.h"\nint f() { return g(); }\n'}
        with tree_of(files) as root:
            def lint():
                return run_check(root, "lint"), sorted((root / "build/lint/clean").iterdir())

            first, stamps = lint()
            self.assertEqual((first.returncode, len(stamps)), (0, 1), first.stdout)
            (root / "base/c.h").write_text("int unrelated();\n")
            self.assertEqual(lint()[1], stamps)
            (root / "base/b.h").write_text(MOVED.replace("f(", "g("))
            again, stamps = lint()
            self.assertEqual((again.returncode, len(stamps)), (1, 1), again.stdout)
            self.assertIn("base/b.h:3:", again.stdout)

    def test_unknown_rule_is_a_usage_error(self):
        run = run_rule("nonsense", {})
        self.assertEqual(run.returncode, 2)
        self.assertIn("no rule named nonsense", run.stderr)


if __name__ == "__main__":
    unittest.main()
