# SPDX-License-Identifier: Apache-2.0
"""What is measured of a DNS server under load, as rows for scripts/bench."""
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import typing

from lab import cpu_seconds, process_tree
from servers import BIN, Server, ask_many, fail, say

QUICK = os.environ.get("FAIRLEAD_QUICK", "") not in ("", "0")
SECONDS = int(os.environ.get("DNSPERF_SECONDS", "1" if QUICK else "3"))
REPEATS = int(os.environ.get("REPEATS", "1" if QUICK else "5"))
# What disturbs the machine for a moment spoils one of many short runs, not the median.
LATENCY_SECONDS, LATENCY_REPEATS = 1, 3 * REPEATS
COUNTED = 2000 if QUICK else 20000  # questions whose instructions are counted


def row(case, subject, metric, unit, values):
    return {"case": case, "subject": subject, "metric": metric, "unit": unit,
            "value": round(statistics.median(values), 3), "min": round(min(values), 3),
            "max": round(max(values), 3), "runs": len(values)}


def dnsperf(port, queries, seconds):
    """Completed, a second, lost, and answered with an error."""
    command = ["taskset", "-c", "1", "dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", queries,
               "-l", str(seconds), "-c", "16", "-q", "200", "-T", "1"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False).stdout
    found = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            found[key.strip()] = value.strip()
    if "Queries completed" not in found:
        fail(f"dnsperf failed: {text[-500:]}")
    codes = [code.split() for code in found.get("Response codes", "").split(",")]
    errors = sum(int(code[1]) for code in codes if code and code[0] not in ("NOERROR", "NXDOMAIN"))
    number = {key: float(found[key].split()[0])
              for key in ("Queries completed", "Queries per second", "Queries lost")}
    return int(number["Queries completed"]), number["Queries per second"], int(number["Queries lost"]), errors


def system_calls(server, queries):
    """System calls per query, by strace -c in a run of its own; None without strace."""
    if not shutil.which("strace"):
        return None
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as out:
        pids = [arg for pid in process_tree(server.process.pid) for arg in ("-p", str(pid))]
        tracer = subprocess.Popen(["strace", "-c", "-f", "-o", out.name] + pids,
                                  stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(0.5)
        completed = dnsperf(server.port, queries, 2)[0]
        tracer.send_signal(signal.SIGINT)
        tracer.wait(15)
        for line in out.read().splitlines():
            fields = line.split()
            if fields and fields[-1] == "total":
                calls = int(fields[3] if fields[3].isdigit() else fields[2])
                return calls / max(1, completed)
    return None


class Work(typing.NamedTuple):
    """Questions for a server, and what its rows are called; what is asked beside, and how often a second."""
    subject: str
    server: Server
    case: str
    queries: str
    beside: tuple = ()


def latency(work, rate):
    """p50 and p99 in microseconds of one run at a fixed rate."""
    command = ["taskset", "-c", "1", os.path.join(BIN, "bench_dns_latency"), f"127.0.0.1:{work.server.port}",
               work.queries, str(int(rate)), str(LATENCY_SECONDS), *map(str, work.beside)]
    text = subprocess.run(command, capture_output=True, text=True, timeout=LATENCY_SECONDS + 60, check=False).stdout
    words = text.split()
    if len(words) != 8:
        fail(f"bench_dns_latency failed: {text}")
    if int(words[5]) < int(words[7]):
        say(f"{work.subject}, {work.case}: {words[5]} of {words[7]} answered at a fixed rate")
    return float(words[1]), float(words[3])


def saturate(work):
    """Queries/s, microseconds of the server's CPU a query, and queries lost in one run of dnsperf;
    errors fail the benchmark, as none is expected."""
    before = cpu_seconds(work.server.process.pid)
    completed, rate, lost, errors = dnsperf(work.server.port, work.queries, SECONDS)
    spent = cpu_seconds(work.server.process.pid) - before
    if errors > 0 and work.subject != "echo":
        fail(f"{work.subject}, {work.case}: {errors} of {completed} answers are errors")
    return rate, spent * 1e6 / max(1, completed), lost


def by_turns(works, measure, repeats=REPEATS):
    """What measure(work) returns, several times for each: A B C, A B C, ..., so that what disturbs the
    machine disturbs all. A list of columns for each work."""
    found = [[] for _ in works]
    for _ in range(repeats):
        for work, runs in zip(works, found):
            runs.append(measure(work))
    return [list(zip(*runs)) for runs in found]


def load(works, compare=()):
    """Rows of each of `works`. `compare`: pairs of them, by number, with a subject and a metric for the
    first's CPU a query, and p99, in times of the second's, turn by turn."""
    found, rows = by_turns(works, saturate), []
    for work, (rates, costs, losses) in zip(works, found):
        rows += [row(work.case, work.subject, "rate", "queries/s", rates),
                 row(work.case, work.subject, "server CPU", "us/query", costs),
                 row(work.case, work.subject, "lost", "queries", losses)]
        say(f"{work.subject:13} {work.case:9} {statistics.median(rates):9.0f} queries/s  "
            f"{statistics.median(costs):6.2f} us CPU a query")
    for one, other, subject, metric in compare:
        times = [a / b for a, b in zip(found[one][1], found[other][1])]
        rows.append(row(works[one].case, subject, metric, "times", times))
    half = {work: statistics.median(rates) / 2 for work, (rates, _, _) in zip(works, found) if work.subject != "echo"}
    found = by_turns(half, lambda work: latency(work, half[work]), LATENCY_REPEATS)
    for work, (p50, p99) in zip(half, found):
        say(f"{work.subject:13} {work.case:9} {statistics.median(p50):9.1f} us p50, "
            f"{statistics.median(p99):.1f} us p99 at {half[work]:.0f}/s")
        rows += [row(work.case, work.subject, "latency at half of saturation, p50", "us", p50),
                 row(work.case, work.subject, "latency at half of saturation, p99", "us", p99)]
    latencies = dict(zip(half, found))
    for one, other, subject, metric in compare:
        if works[one] in latencies and works[other] in latencies:
            times = [a / b for a, b in zip(latencies[works[one]][1], latencies[works[other]][1])]
            rows.append(row(works[one].case, subject,
                            metric.replace("server CPU", "latency at half of saturation, p99"), "times", times))
    for work in works:
        calls = system_calls(work.server, work.queries)
        if calls is not None:
            rows.append(row(work.case, work.subject, "system calls (strace -c)", "calls/query", [calls]))
    return rows


def instructions(server, case, queries, warm=None, subject=None):
    """Rows with the instructions in user space per query, by callgrind on a server of its own, like
    `server`, that was asked the questions of `warm` before; none without callgrind. Counting begins
    after the start, so only answering is counted."""
    if not shutil.which("valgrind"):
        return []
    with open(queries, encoding="ascii") as text:
        lines = text.read().splitlines()[:COUNTED]
    subject = subject or server.name
    out = tempfile.mkdtemp(dir=server.directory)
    command = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no",
               f"--callgrind-out-file={out}/%p"] + server.command
    with Server(f"{server.name}-callgrind", command, server.port, server.directory, server.probe) as slow:
        ask_many(server.port, warm or lines[:2000])
        pids = [str(pid) for pid in process_tree(slow.process.pid)]
        control = ["callgrind_control", "--instr=on"] + pids
        subprocess.run(control, capture_output=True, timeout=60, check=False)
        answered = ask_many(server.port, lines)
        control[1] = "--instr=off"
        subprocess.run(control, capture_output=True, timeout=60, check=False)
    total = 0
    for name in os.listdir(out):
        with open(os.path.join(out, name), encoding="ascii", errors="replace") as profile:
            total += sum(int(line.split()[1]) for line in profile if line.startswith(("totals:", "summary:")))
    if answered < len(lines) or total == 0:
        say(f"{subject}: callgrind counted nothing ({answered} of {len(lines)} answered): left out")
        return []
    say(f"{subject:13} {case:9} {total / answered:9.0f} instructions a query")
    return [row(case, subject, "instructions (callgrind)", "instructions/query", [total / answered])]
