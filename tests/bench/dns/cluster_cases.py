# SPDX-License-Identifier: Apache-2.0
"""What fairlead-dns costs beside its answers: memory, also while everything is listed again; the
start with a hundred thousand services, and from a snapshot; the time from an endpoint's event to
the answer with it."""
import http.client
import os
import threading
import time
import urllib.request

from lab import cpu_seconds, memory_mib, process_tree
from measures import QUICK, REPEATS, row
from servers import ApiSource, Server, ask_many, fail, fairlead_command, free_port, say

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


def snapshot(directory, services, endpoints, probe):
    """Rows of a start while the API server is away, from the snapshot that an earlier process left."""
    directory = os.path.join(directory, "snapshot")
    os.makedirs(directory)
    file, starts = os.path.join(directory, "zone"), []

    def server(kubeconfig):
        port = free_port()
        command = fairlead_command(kubeconfig, port) + ["--snapshot", file]
        return Server("fairlead-dns-snapshot", command, port, directory,
                      lambda: ask_many(port, [f"{probe} A"]) == 1)  # not SERVFAIL
    with ApiSource(directory, services, endpoints) as api, server(api.kubeconfig):
        end = time.monotonic() + 60
        while not os.path.exists(file):
            if time.monotonic() > end:
                fail("no snapshot was written within a minute")
            time.sleep(0.1)
    for _ in range(REPEATS):
        with server(api.kubeconfig) as restarted:
            starts.append(time.monotonic() - restarted.started)
    say(f"from a snapshot: {min(starts) * 1000:.0f} to {max(starts) * 1000:.0f} ms from process start to the first answer")
    return [row(f"{services:,} services of {endpoints} endpoints", "fairlead-dns",
                "process start to the first answer, from a snapshot", "ms", [1000 * start for start in starts])]


def events_within(port):
    """The server's own histogram: seconds to how many events took no longer until every worker
    answered with them, since their bytes were read."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    start = 'fairlead_dns_event_to_answer_seconds_bucket{le="'
    pairs = [line[len(start):].split('"} ') for line in lines if line.startswith(start)]
    return {float(bound): int(count) for bound, count in pairs}


def within(before, after, part):
    """The least bound within which that part of what happened between two histograms lies."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in after}
    total = counts.pop(float("inf"))
    bounds = [bound for bound, count in counts.items() if count >= part * total]
    if total == 0 or not bounds:
        fail(f"of {total} events less than {part:.0%} are within the histogram's bounds")
    return min(bounds)


def endpoint_events(server, api, metrics):
    """Rows of the time from an event's writing to the first answer with it (changes.h says what is in
    it), and of the part of it that the server measures itself."""
    halves, tails, served = [], [], []
    for _ in range(REPEATS):
        before = events_within(metrics)
        answer = api.command(f"changes {CHANGES} 127.0.0.1:{server.port}")
        times = sorted(int(word) / 1000 for word in answer.split() if word.isdigit())
        if len(times) != CHANGES:
            fail(f"endpoint events: {answer}")
        halves.append(times[len(times) // 2])
        tails.append(times[len(times) * 99 // 100])
        served.append(1000 * within(before, events_within(metrics), 0.99))
        say(f"endpoint event: p50 {halves[-1]:.3f} ms, p99 {tails[-1]:.3f} ms, most {times[-1]:.3f} ms; "
            f"99 of 100 served within {served[-1]:g} ms of being read")
    case = f"{CHANGES:,} endpoint events"
    return [row(case, "fairlead-dns", "event written to first answer with it, p50", "ms", halves),
            row(case, "fairlead-dns", "event written to first answer with it, p99", "ms", tails),
            row(case, "fairlead-dns", "event read to all workers answering with it, p99 at most", "ms", served)]
