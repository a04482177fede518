# SPDX-License-Identifier: Apache-2.0
"""Packets through the service proxy: client -- router -- server, in network namespaces.  And what
the rules of both proxies take of the kernel's memory.

A set of three for each subject; the rules are in the router's:

  direct             neither rules nor connection tracking: packets go straight to an endpoint
  direct+conntrack   the same with connection tracking, but no rule
  one dnat rule      to cluster IPs, all translated to one endpoint by one rule: what the kernel's
                     translation takes by itself, the floor of every proxy in the kernel
  fairlead-proxy     to cluster IPs, through what the proxy programmed (bench_proxy load)
  kube-proxy form    to cluster IPs, through what kube-proxy would write (kube_proxy_form.py)

Subjects take turns (A B C D E, E D C B A, ...), so that what disturbs the machine disturbs all.  Packets
go to 64 services, evenly spread among all.  A namespace lives as long as a process in it, which dies
with this one: nothing stays behind, however this ends.
"""
import contextlib
import os
import subprocess
import tempfile
import time

import kube_proxy_form as form

from lab import MemoryGroup, Namespace, command, say

QUICK = os.environ.get("FAIRLEAD_QUICK", "") not in ("", "0")
ROUNDS = int(os.environ.get("FAIRLEAD_ROUNDS", "1" if QUICK else "7"))
SECONDS = os.environ.get("FAIRLEAD_SECONDS", "0.2" if QUICK else "1")
SIZES = [int(size) for size in
         os.environ.get("FAIRLEAD_SIZES", "10,100" if QUICK else "10,1000,30000").split(",")]
LOAD_LIMIT = float(os.environ.get("FAIRLEAD_LOAD_LIMIT", "300"))  # seconds for the peer's rules
PIECE = 1000  # of the peer's services in a transaction
ENDPOINTS = 10
MORE_ROUNDS = {"connect": 3}  # a second of it wobbles by a tenth, more than what is to be seen
PARTS = ("connect", "rr", "stream", "udp", "cost")
TRACKED = "direct+conntrack"
FLOOR = "one dnat rule"
KERNEL_FLOOR = "kernel-floor"  # the elements alone, from transactions built beforehand
PEER = "kube-proxy form"
# What bench_proxy_load calls its results, and what they are.
METRICS = {"connections": "new TCP connections, one byte there and back on each",
           "first_packet_p50": "first packet, connect to SYN/ACK, p50",
           "first_packet_p99": "first packet, connect to SYN/ACK, p99",
           "tcp_rr": "TCP_RR, one byte there and back",
           "throughput": "TCP throughput, one connection",
           "udp": "UDP, 64 bytes, received",
           "connection_cpu": "TCP connection, reset at once, CPU",
           "tcp_rr_cpu": "TCP_RR, CPU",
           "throughput_cpu": "TCP throughput, CPU",
           "udp_cpu": "UDP packet, CPU"}
KERNEL_MEMORY = "kernel memory of the rules (slab and pages)"
LOAD_TIME = "loading the rules with nft"

CLIENT = """
ip link set lo up
ip link set client up
for i in $(seq 2 17); do ip address add 10.255.0.$i/24 dev client; done
ip route add default via 10.255.0.1
"""
ROUTER = """
ip link set lo up
ip address add 10.255.0.1/24 dev clients
ip address add 10.254.0.1/24 dev servers
ip link set clients up
ip link set servers up
ip route add 10.128.0.0/12 via 10.254.0.2
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_close=1
"""
SERVER = """
ip link set lo up
ip address add 10.254.0.2/24 dev server
ip link set server up
ip route add default via 10.254.0.1
ip route add local 10.128.0.0/12 dev lo
"""
# A rule in a chain that no hook leads to switches connection tracking on and costs no packet a rule.
CONNTRACK = "table ip conntrack { chain unused { ct state new accept; }; }"
ONE_RULE = f"""
table ip floor {{
	chain prerouting {{
		type nat hook prerouting priority dstnat;
		ip daddr 10.96.0.0/12 meta l4proto {{ tcp, udp }} th dport 80 dnat to {form.endpoint_address(0, 0)}:8080
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat;
	}}
}}
"""


class Subject:
    """Three namespaces in a row and where their packets go."""

    def __init__(self, stack, name, services):
        self.name = name
        self.client, self.router, self.server = (Namespace(stack) for _ in range(3))
        for end, link, far in ((self.client, "client", "clients"), (self.server, "server", "servers")):
            end.run("ip", "link", "add", link, "type", "veth", "peer", "name", far, "netns",
                    str(self.router.pid))
        self.client.shell(CLIENT)
        self.router.shell(ROUTER)
        self.server.shell(SERVER)
        self.set_destinations(services, services, through_services=False)

    def set_destinations(self, services, loaded, through_services):
        """Every how manieth of `services` takes packets, if only the first `loaded` are there."""
        step = form.probe_step(services)
        count = min(-(-loaded // step), form.PROBES)
        if through_services:
            self.to = [form.service_address(0), step, count, 1, 80]
        else:
            self.to = [form.endpoint_address(0, 0), 16 * step, count, ENDPOINTS, 8080]

    def measure(self, program, metric):
        out = command([str(program), self.client.path, self.server.path, metric, SECONDS,
                       *map(str, self.to)], timeout=60)
        for line in out.splitlines():
            name, unit, value = line.split()
            yield METRICS[name], unit, float(value)


def case_of(services):
    return f"{services} services x {ENDPOINTS} endpoints"


def peer_name(loaded, services):
    return PEER if loaded == services else f"{PEER}, {loaded} services"


def load(stack, build, namespace, services, rows, mode="load", subject="fairlead-proxy"):
    """bench_proxy MODE in `namespace`, and what the kernel takes for it."""
    group = MemoryGroup(stack, f"{services}-{mode}")
    namespace.run(str(build / "bench_proxy"), mode, str(services), str(ENDPOINTS),
                  preexec_fn=group.enter, timeout=300)
    if group.megabytes() is not None:
        rows.add(case_of(services), subject, KERNEL_MEMORY, "MiB", group.megabytes())


def load_peer(stack, namespace, services, rows):
    """As many of kube-proxy's services as load in the time there is; how many those are."""
    group = MemoryGroup(stack, f"{services}-peer")
    start = time.monotonic()
    loaded = 0
    for last, text in form.pieces(services, ENDPOINTS, PIECE):
        left = LOAD_LIMIT - (time.monotonic() - start)
        try:
            if left <= 0:
                raise subprocess.TimeoutExpired("nft", LOAD_LIMIT)
            with tempfile.NamedTemporaryFile("w", suffix=".nft") as file:
                file.write(text)
                file.flush()
                namespace.run("nft", "-f", file.name, preexec_fn=group.enter, timeout=left)
        except subprocess.TimeoutExpired:
            say(f"kube-proxy's rules: only {loaded} services loaded within {LOAD_LIMIT:.0f} s")
            break
        loaded = last
    if loaded == 0:
        raise RuntimeError(f"not one of kube-proxy's services loaded within {LOAD_LIMIT:.0f} s")
    name = peer_name(loaded, services)
    if group.megabytes() is not None:
        rows.add(case_of(services), name, KERNEL_MEMORY, "MiB", group.megabytes())
    rows.add(case_of(services), name, LOAD_TIME, "s", time.monotonic() - start)
    return loaded


def set_up(stack, build, services, rows):
    """The subjects of one size, ready for packets."""
    case = case_of(services)
    direct, tracked = (Subject(stack, name, services) for name in ("direct", TRACKED))
    tracked.router.run("nft", "-f", "-", input=CONNTRACK)
    floor = Subject(stack, FLOOR, services)
    floor.router.run("nft", "-f", "-", input=ONE_RULE)
    floor.set_destinations(services, services, through_services=True)
    ours = Subject(stack, "fairlead-proxy", services)
    load(stack, build, ours.router, services, rows)
    ours.set_destinations(services, services, through_services=True)
    peer = Subject(stack, PEER, services)
    loaded = load_peer(stack, peer.router, services, rows)
    peer.name = peer_name(loaded, services)
    peer.set_destinations(services, loaded, through_services=True)
    return case, [direct, tracked, floor, ours, peer]


def measure_memory(build, services, rows):
    """What the rules alone take of the kernel's memory."""
    with contextlib.ExitStack() as stack:
        say(f"kernel memory, {services} services")
        load(stack, build, Namespace(stack), services, rows)
        load(stack, build, Namespace(stack), services, rows, "load-floor", KERNEL_FLOOR)
        load_peer(stack, Namespace(stack), services, rows)


def measure(build, rows):
    """Adds the rows of all sizes; `build` is the folder of the programs."""
    for services in SIZES:
        with contextlib.ExitStack() as stack:
            say(f"packets, {services} services: setting up")
            case, subjects = set_up(stack, build, services, rows)
            for part in PARTS:
                rounds = ROUNDS * MORE_ROUNDS.get(part, 1)
                say(f"packets, {services} services: {part}, {rounds} rounds")
                for number in range(rounds):
                    for subject in subjects if number % 2 == 0 else subjects[::-1]:
                        for name, unit, value in subject.measure(build / "bench_proxy_load", part):
                            rows.add(case, subject.name, name, unit, value)
