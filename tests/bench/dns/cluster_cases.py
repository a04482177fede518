# SPDX-License-Identifier: Apache-2.0
"""What fairlead-dns costs beside its answers: memory, also while everything is listed again; the
start with a hundred thousand services; the time from an endpoint's event to the answer with it."""
import http.client
import threading
import time

from measures import QUICK, REPEATS, row
from servers import ApiSource, Server, cpu_seconds, fail, fairlead_command, free_port, memory_mib, process_tree, say

LARGE = 2000 if QUICK else 100000  # services, of one endpoint each
CHANGES = 100 if QUICK else 1000


class Sampler(threading.Thread):
    """The highest PSS seen, looking as often as it can be read, and at least a millisecond apart."""

    def __init__(self, pid):
        super().__init__()
        self.pids, self.highest, self.samples, self.ended = process_tree(pid), 0.0, 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.001):
            self.highest = max(self.highest, memory_mib(self.pids))
            self.samples += 1

    def finish(self):
        self.ended.set()
        self.join()
        return self.highest


def lists_done(server):
    """Lists that the server has completed so far, by its log."""
    with open(server.log.name, encoding="utf-8", errors="replace") as log:
        return sum(" listed " in line for line in log)


def relist(server, api, case):
    """Rows of a server's memory before and while the API source has it list everything again."""
    rest = memory_mib(process_tree(server.process.pid))
    highest = []
    for _ in range(REPEATS):
        # A watch that ends within its first second is begun again only after a pause.
        time.sleep(1.2)
        before, sampler = lists_done(server), Sampler(server.process.pid)
        sampler.start()
        api.command("relist")
        end = time.monotonic() + 60
        while lists_done(server) < before + 3 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.5)
        highest.append(sampler.finish())
        if lists_done(server) < before + 3:
            fail(f"the server did not list again; see {server.log.name}")
        say(f"{case}: PSS {rest:.1f} MiB at rest, at most {highest[-1]:.1f} of {sampler.samples} samples in a relist")
    return [row(case, "fairlead-dns", "PSS", "MiB", [rest]),
            row(case, "fairlead-dns", "PSS, highest in a relist", "MiB", highest),
            row(case, "fairlead-dns", "PSS, highest in a relist of that at rest", "times", [h / rest for h in highest])]


def is_ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def large(directory):
    """Rows of a cluster of many services: process start to /ready, memory, a relist."""
    case = f"{LARGE:,} services of 1 endpoint"
    starts, costs, rows = [], [], []
    with ApiSource(directory, LARGE, 1) as api:
        for run in range(REPEATS):
            port, ready = free_port(), free_port()
            with Server("fairlead-dns-large", fairlead_command(api.kubeconfig, port, f"127.0.0.1:{ready}"), port,
                        directory, lambda port=ready: is_ready(port)) as server:
                starts.append(time.monotonic() - server.started)
                costs.append(cpu_seconds(server.process.pid))
                say(f"{case}: {starts[-1]:.2f} s from process start to /ready, {costs[-1]:.2f} of them on the CPU")
                if run + 1 < REPEATS:
                    continue
                time.sleep(1)
                rows.append(row(case, "fairlead-dns", "resident memory (RSS)", "MiB",
                                [memory_mib(process_tree(server.process.pid), "Rss:")]))
                rows += relist(server, api, case)
    return [row(case, "fairlead-dns", "process start to /ready", "s", starts),
            row(case, "fairlead-dns", "process start to /ready, CPU", "s", costs)] + rows


def endpoint_events(server, api):
    """Rows of the time from an event's writing to the first answer with it (changes.h says what is in it)."""
    halves, tails = [], []
    for _ in range(REPEATS):
        answer = api.command(f"changes {CHANGES} 127.0.0.1:{server.port}")
        times = sorted(int(word) / 1000 for word in answer.split() if word.isdigit())
        if len(times) != CHANGES:
            fail(f"endpoint events: {answer}")
        halves.append(times[len(times) // 2])
        tails.append(times[len(times) * 99 // 100])
        say(f"endpoint event: p50 {halves[-1]:.3f} ms, p99 {tails[-1]:.3f} ms, most {times[-1]:.3f} ms")
    case = f"{CHANGES:,} endpoint events"
    return [row(case, "fairlead-dns", "event written to first answer with it, p50", "ms", halves),
            row(case, "fairlead-dns", "event written to first answer with it, p99", "ms", tails)]
