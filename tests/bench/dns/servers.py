# SPDX-License-Identifier: Apache-2.0
"""The servers that the benchmark of cluster DNS compares: how each is started, asked and stopped."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BIN = os.environ.get("FAIRLEAD_BIN", os.path.join(ROOT, "build/release/bin"))
ZONE = "cluster.local"
OUTSIDE = "outside.example"  # the zone that is forwarded to an upstream server


def say(text):
    print(f"bench dns: {text}", file=sys.stderr, flush=True)


def fail(text):
    say(text)
    sys.exit(1)


def free_port():
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.bind(("127.0.0.1", 0))
            port = tcp.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue


def question(number, name, kind="A"):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (struct.pack(">6H", number & 0xffff, 0x100, 1, 0, 0, 0) + labels
            + struct.pack(">BHH", 0, {"A": 1, "AAAA": 28, "SRV": 33}[kind], 1))


def ask(port, name):
    """One A query by hand: any reply will do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(question(1, name))
            return len(sock.recv(2048)) >= 12
        except OSError:
            return False


def ask_many(port, lines):
    """The questions of `lines`, at most 32 without a reply; how many were answered without an error."""
    answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(5)
        for start in range(0, len(lines), 32):
            batch = [question(start + i, *line.split()) for i, line in enumerate(lines[start:start + 32])]
            for packet in batch:
                sock.send(packet)
            try:
                for _ in batch:
                    answered += sock.recv(4096)[3] & 15 in (0, 3)
            except OSError:
                break
    return answered


class Server:
    """A server under test: a command pinned to core 0, stopped by its own process id. Made when it answers."""

    def __init__(self, name, command, port, directory, probe):
        self.name, self.port, self.command, self.directory, self.probe = name, port, command, directory, probe
        self.log = open(os.path.join(directory, f"{name}.log"), "ab")
        self.started = time.monotonic()
        self.process = subprocess.Popen(["taskset", "-c", "0"] + command, stdout=self.log,
                                        stderr=self.log, start_new_session=True)
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - self.started > 120:
                self.stop()
                fail(f"{name} does not answer; see {self.log.name}")
            time.sleep(0.002)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def answers(self):
        """`probe` is a name to ask for, or says itself whether the server is there."""
        return self.probe() if callable(self.probe) else ask(self.port, self.probe)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


class ApiSource:
    """The API server with the made-up cluster, on core 1."""

    def __init__(self, directory, services, endpoints):
        self.kubeconfig = os.path.join(directory, f"kubeconfig-{services}")
        self.process = subprocess.Popen(
            ["taskset", "-c", "1", os.path.join(BIN, "bench_dns_api"), self.kubeconfig, str(services), str(endpoints)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while not os.path.exists(self.kubeconfig):
            if self.process.poll() is not None:
                fail("the API server of the bench ended")
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(15)

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


def fairlead_command(kubeconfig, port, ready="off", metrics="off"):
    return [os.path.join(BIN, "fairlead-dns"), "--kubeconfig", kubeconfig, "--listen", f"127.0.0.1:{port}",
            "--workers", "1", "--forward", "127.0.0.1:9", "--health-listen", "off", "--ready-listen",
            ready, "--metrics-listen", metrics]


def fairlead_cache_command(directory, kubeconfig, port, upstream):
    path = os.path.join(directory, "Corefile")
    with open(path, "w", encoding="ascii") as corefile:
        corefile.write(f".:{port} {{\n    bind 127.0.0.1\n    kubernetes {ZONE}\n    cache 3600\n"
                       f"    forward . 127.0.0.1:{upstream}\n}}\n")
    return [os.path.join(BIN, "fairlead-dns"), "--kubeconfig", kubeconfig, "--workers", "1", "-conf", path]


def unbound_command(directory, port, upstream):
    if not shutil.which("unbound"):
        return None
    path = os.path.join(directory, "unbound.conf")
    with open(path, "w", encoding="ascii") as conf:
        conf.write(f"server:\n  interface: 127.0.0.1@{port}\n  num-threads: 1\n  do-daemonize: no\n  username: \"\"\n"
                   f"  chroot: \"\"\n  directory: \"{directory}\"\n  pidfile: \"\"\n  use-syslog: no\n"
                   "  module-config: \"iterator\"\n  do-not-query-localhost: no\n  minimal-responses: yes\n"
                   "  msg-cache-size: 64m\n  rrset-cache-size: 64m\n"
                   f"remote-control:\n  control-enable: no\n"
                   f"forward-zone:\n  name: \".\"\n  forward-addr: 127.0.0.1@{upstream}\n")
    return ["unbound", "-d", "-c", path]


def knot_command(directory, port, zone=ZONE, file="zone.txt"):
    if not shutil.which("knotd"):
        return None
    path = os.path.join(directory, f"knot-{zone}.conf")
    run = os.path.join(directory, f"knot-{zone}")
    os.makedirs(run, exist_ok=True)
    with open(path, "w", encoding="ascii") as conf:
        conf.write(f"server:\n    listen: 127.0.0.1@{port}\n    rundir: {run}\n"
                   "    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n"
                   f"database:\n    storage: {run}\n"
                   f"template:\n  - id: default\n    storage: {directory}\n    zonefile-sync: -1\n"
                   f"    journal-content: none\nzone:\n  - domain: {zone}\n    file: {file}\n")
    return ["knotd", "-c", path]


def nsd_command(directory, port):
    if not shutil.which("nsd"):
        return None
    path = os.path.join(directory, "nsd.conf")
    with open(path, "w", encoding="ascii") as conf:
        conf.write(f"server:\n  server-count: 1\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n"
                   f"  database: \"\"\n  pidfile: \"{directory}/nsd.pid\"\n  zonesdir: \"{directory}\"\n"
                   f"  xfrdfile: \"{directory}/xfrd.state\"\n  zonelistfile: \"{directory}/zone.list\"\n"
                   f"  minimal-responses: yes\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n"
                   f"zone:\n  name: {ZONE}\n  zonefile: zone.txt\n")
    return ["nsd", "-d", "-c", path]
