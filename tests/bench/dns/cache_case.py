# SPDX-License-Identifier: Apache-2.0
"""Answers from the cache: names of another server's zone, asked through fairlead-dns and Unbound.

Every name is asked once and the other server is stopped before anything is measured, so that each
answer is a cache's. The same fairlead-dns process is then asked for names of the cluster, which is
what its cache should be compared with.

Last storms of names that nobody has, of the cluster and, half as many, of the other server, which runs
again and shares the core: how long warm names take beside each, in times of how long they take beside as
many questions for warm names.
"""
import contextlib
import os
import random

from measures import LATENCY_REPEATS, QUICK, Work, by_turns, instructions, latency, load, row
from servers import (OUTSIDE, ZONE, Server, ask_many, fail, fairlead_cache_command, free_port, knot_command, say,
                     unbound_command)

NAMES = 500 if QUICK else 5000
CACHE_ON = "fairlead-dns, cache on"
STORM = "NXDOMAIN storm"
WARM_RATE, STORM_RATE = 5000, 15000  # questions a second


def write_files(directory):
    """The zone that is forwarded, and questions for its names; the lines to warm a cache with."""
    with open(os.path.join(directory, "outside.txt"), "w", encoding="ascii") as zone:
        zone.write(f"$ORIGIN {OUTSIDE}.\n$TTL 3600\n@ SOA ns hostmaster 1 7200 1800 86400 3600\n@ NS ns\n"
                   "ns A 127.0.0.1\n")
        zone.writelines(f"host{n}.www A 192.0.{n // 250}.{n % 250}\n" for n in range(NAMES))
    rng = random.Random(1)
    queries = os.path.join(directory, "outside-queries.txt")
    with open(queries, "w", encoding="ascii") as out:
        out.writelines(f"host{rng.randrange(NAMES)}.www.{OUTSIDE} A\n" for _ in range(50000))
    return queries, [f"host{n}.www.{OUTSIDE} A" for n in range(NAMES)]


def warmed(upstream, name, command, port, lines):
    """A server that has every name of `lines`, and nobody any more to ask."""
    with upstream() as other:
        server = Server(name, command, port, other.directory, f"ns.{OUTSIDE}")
        if ask_many(port, lines) != len(lines):
            server.stop()
            fail(f"{name} could not be warmed")
    return server


def measure(directory, api, own_queries):
    """Rows of the case "cache hit"; `own_queries` are for the cluster's names."""
    ports = [free_port() for _ in range(3)]
    command = knot_command(directory, ports[0], OUTSIDE, "outside.txt")
    if command is None:
        say("knot is not installed: nothing to forward to, the cache is left out")
        return []

    def upstream():
        return Server("upstream", command, ports[0], directory, f"ns.{OUTSIDE}")

    queries, lines = write_files(directory)
    servers = []
    with contextlib.ExitStack() as stack:
        for name, own, port in (
                ("fairlead-dns", fairlead_cache_command(directory, api.kubeconfig, ports[1], ports[0]), ports[1]),
                ("unbound", unbound_command(directory, ports[2], ports[0]), ports[2])):
            if own is None:
                say(f"{name} is not installed: left out")
                continue
            servers.append(stack.enter_context(warmed(upstream, name, own, port, lines)))
        works = [Work(server.name, server, "cache hit", queries) for server in servers]
        works.append(Work(CACHE_ON, servers[0], "A", own_queries))
        rows = load(works, [(0, len(servers), "fairlead-dns", "server CPU, of an answer of its own")])
    for server in servers:
        with upstream():
            rows += instructions(server, "cache hit", queries, warm=lines)
    rows += instructions(servers[0], "A", own_queries, subject=CACHE_ON)
    with warmed(upstream, "fairlead-dns", servers[0].command, ports[1], lines) as server, upstream():
        return rows + storm(directory, server, queries)


def storm(directory, server, warm):
    """Rows of the case "NXDOMAIN storm"."""
    rng = random.Random(2)
    path = os.path.join(directory, "storm-queries.txt")
    storms = {"beside names that nobody has, of the cluster": (f"bench.svc.{ZONE}", STORM_RATE),
              "beside names that nobody has, of another server": (OUTSIDE, STORM_RATE / 2)}

    def measured(work):
        if work.subject in storms:
            with open(path, "w", encoding="ascii") as out:  # none is ever asked for twice
                out.writelines(f"x{rng.getrandbits(60):x}.{storms[work.subject][0]} A\n"
                               for _ in range(2 * STORM_RATE))
        return latency(work, WARM_RATE)

    works = [Work("beside warm names", server, STORM, warm, (warm, STORM_RATE))] + [
        Work(subject, server, STORM, warm, (path, rate)) for subject, (_, rate) in storms.items()]
    found = by_turns(works, measured, LATENCY_REPEATS)
    rows = []
    for work, columns in zip(works, found):
        rows += [row(STORM, work.subject, f"latency of warm names, {part}", "us", values)
                 for part, values in zip(("p50", "p99"), columns)]
        say(f"{work.subject}: {rows[-2]['value']:.1f} us p50, {rows[-1]['value']:.1f} us p99")
    for work, columns in list(zip(works, found))[1:]:
        rows += [row(STORM, f"fairlead-dns {work.subject}", f"latency of warm names, {part}, times beside warm ones",
                     "times", [one / other for one, other in zip(column, base)])
                 for part, column, base in zip(("p50", "p99"), columns, found[0])]
    return rows
