#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fairlead-proxy under our own API server, changes written to it over HTTPS by a client.

usage: live.py APISERVER PROXY SERVICES ENDPOINTS     (as root, in a fresh network namespace)

A change is a PATCH of an EndpointSlice: from its first byte to the kernel's notification that an
element leads to the new endpoint.  Prints one line for each result: METRIC UNIT VALUE.
"""
import concurrent.futures
import contextlib
import ipaddress
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from api import Api  # noqa: E402

WRITERS, PART = 8, 100  # connections that fill the cluster, and services in a turn
CHANGES = 300
LIMIT = 120  # seconds to wait for anything
NETLINK_NETFILTER, NFNLGRP_NFTABLES, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 12, 7, 270, 1
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def start(stack, *argv, **more):
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], text=True, **more)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def endpoints(number, count, first=None):
    addresses = [str(ipaddress.IPv4Address("10.128.0.0") + number * 16 + i) for i in range(count)]
    if first is not None:
        addresses[0] = str(first)
    return [{"addresses": [address], "nodeName": "other",
             "conditions": {"ready": True, "serving": True, "terminating": False}}
            for address in addresses]


def fill(kubeconfig, numbers, count):
    """A Service and its slice for each number, over a connection of its own."""
    api = Api(kubeconfig)
    for number in numbers:
        name = f"s{number}"
        api.create(SERVICES, {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}})
        api.create(SLICES, {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "endpoints": endpoints(number, count),
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]})
    api.close()


def fill_all(kubeconfig, services, count):
    """Several at once: the server makes writes durable together."""
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        parts = [pool.submit(fill, kubeconfig, range(first, min(first + PART, services)), count)
                 for first in range(0, services, PART)]
        for done, _ in enumerate(map(concurrent.futures.Future.result, parts)):
            if done % 20 == 19:
                print(f"   {(done + 1) * PART} of {services} services", file=sys.stderr, flush=True)


def wait_until_programmed(proxy):
    """/healthz answers 200 when everything known is in the kernel."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + LIMIT
    while True:
        with contextlib.suppress(OSError, urllib.error.URLError):
            if opener.open("http://127.0.0.1:10256/healthz", timeout=5).status == 200:
                return
        if proxy.poll() is not None or time.monotonic() > deadline:
            sys.exit("live.py: fairlead-proxy does not come to rest")
        time.sleep(0.05)


def listen():
    notifications = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    notifications.bind((0, 0))
    notifications.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
    notifications.settimeout(LIMIT)
    return notifications


def measure(api, services, count):
    notifications = listen()
    times = []
    for change in range(CHANGES):
        number = change * 37 % services
        fresh = ipaddress.IPv4Address("10.192.0.1") + change
        body = {"endpoints": endpoints(number, count, fresh)}
        begin = time.perf_counter()
        api.send("PATCH", f"{SLICES}/s{number}", body, "application/merge-patch+json")
        while fresh.packed not in notifications.recv(1 << 20):
            pass
        times.append(time.perf_counter() - begin)
        api.receive()
    return sorted(times)


def main():
    apiserver, program, services, count = *sys.argv[1:3], int(sys.argv[3]), int(sys.argv[4])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fairlead-bench-"))
        server = start(stack, apiserver, folder, "6443", stdout=subprocess.PIPE)
        words = server.stdout.readline().split()
        if not words or words[0] != "ready":
            sys.exit("live.py: the API server did not start")
        api = Api(words[2])
        api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
        fill_all(words[2], services, count)
        proxy = start(stack, program, "--kubeconfig", words[2], "--hostname-override", "n1",
                      "--cluster-cidr", "10.128.0.0/9")
        wait_until_programmed(proxy)
        times = measure(api, services, count)
        for name, at in (("p50", 50), ("p99", 99)):
            print(f"write_{name} ms {times[len(times) * at // 100] * 1000:.6g}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main()
