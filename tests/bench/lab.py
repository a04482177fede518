# SPDX-License-Identifier: Apache-2.0
"""What benchmarks have in common: processes and what they take, namespaces, rows."""
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import time

MEMORY_GROUPS = pathlib.Path("/sys/fs/cgroup/memory")  # version 1, else version 2
UNIFIED = pathlib.Path("/sys/fs/cgroup")
TICKS = os.sysconf("SC_CLK_TCK")


def parts(*known):
    """Those of `known` that FAIRLEAD_PARTS asks for: all, unless it is set."""
    wanted = os.environ.get("FAIRLEAD_PARTS", ",".join(known)).split(",")
    if unknown := set(wanted) - set(known):
        sys.exit(f"FAIRLEAD_PARTS: there is no {', '.join(sorted(unknown))} among {', '.join(known)}")
    return wanted


def say(text):
    print(f"   {text}", file=sys.stderr, flush=True)


def command(argv, **more):
    """Runs a command that ends when this process does."""
    done = subprocess.run(["setpriv", "--pdeathsig", "KILL", *argv], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} failed: {done.stderr.strip()}")
    return done.stdout


def process_tree(pid):
    """A process and what it has started, and so on."""
    pids = [pid]
    for each in pids:
        for task in os.listdir(f"/proc/{each}/task"):
            with open(f"/proc/{each}/task/{task}/children", encoding="ascii") as children:
                pids += [int(child) for child in children.read().split()]
    return pids


def cpu_seconds(pid):
    """Of that tree, the kernel's part included."""
    total = 0
    for each in process_tree(pid):
        with open(f"/proc/{each}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_mib(pids, field="Pss:"):
    """What processes have in memory; what they share is divided among them."""
    total = 0
    for each in pids:
        with open(f"/proc/{each}/smaps_rollup", encoding="ascii") as rollup:
            total += sum(int(line.split()[1]) for line in rollup if line.startswith(field))
    return total / 1024


class Namespace:
    """A network namespace, held by a sleeping process."""

    def __init__(self, stack):
        self.holder = stack.enter_context(subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"]))
        stack.callback(self.holder.kill)
        self.pid = self.holder.pid
        self.path = f"/proc/{self.pid}/ns/net"
        mine = os.readlink("/proc/self/ns/net")
        deadline = time.monotonic() + 10
        while os.readlink(self.path) == mine:
            if time.monotonic() > deadline or self.holder.poll() is not None:
                raise RuntimeError("no new network namespace; is this root?")
            time.sleep(0.005)

    def run(self, *argv, **more):
        return command(["nsenter", f"--net={self.path}", *argv], **more)

    def shell(self, script):
        self.run("sh", "-ec", script)


class MemoryGroup:
    """A control group that says how much kernel memory its processes asked for, ended ones too."""

    def __init__(self, stack, name):
        version_1 = MEMORY_GROUPS.is_dir()
        parent = MEMORY_GROUPS if version_1 else UNIFIED
        for left in parent.glob("fairlead-bench-*"):  # by one that was killed
            if not pathlib.Path("/proc", left.name.split("-")[2]).exists():
                left.rmdir()
        self.folder = parent / f"fairlead-bench-{os.getpid()}-{name}"
        self.file = self.folder / ("memory.kmem.usage_in_bytes" if version_1 else "memory.stat")
        self.folder.mkdir()
        stack.callback(self.remove)
        if not self.file.exists():
            say(f"no {self.file}: kernel memory is not measured")

    def remove(self):
        """Its last process may still be on its way out."""
        for _ in range(100):
            with contextlib.suppress(OSError):
                return self.folder.rmdir()
            time.sleep(0.05)
        return self.folder.rmdir()

    def enter(self):
        (self.folder / "cgroup.procs").write_text(f"{os.getpid()}", encoding="ascii")

    def megabytes(self):
        if not self.file.exists():
            return None
        text = self.file.read_text(encoding="ascii")
        fields = dict(line.split() for line in text.splitlines() if " " in line)
        return int(fields["kernel"] if fields else text) / 2**20


class Rows:
    def __init__(self):
        self.found = {}

    def add(self, case, subject, metric, unit, value):
        self.found.setdefault((case, subject, metric, unit), []).append(value)

    def compare(self, subject, base):
        """Rows that say how many times `base` each result of `subject` is, run by run; not of the
        p99, which one disturbance decides."""
        for (case, whose, metric, unit), values in list(self.found.items()):
            bases = self.found.get((case, base, metric, unit))
            if whose != subject or metric.endswith("p99") or not bases or not all(bases):
                continue
            for value, one in zip(values, bases):
                self.add(case, f"{subject} / {base}", f"{metric}, times {base}", "times", value / one)

    def rows(self):
        return [{"case": case, "subject": subject, "metric": metric, "unit": unit,
                 "value": statistics.median(values), "min": min(values), "max": max(values),
                 "runs": len(values)}
                for (case, subject, metric, unit), values in self.found.items()]
