# SPDX-License-Identifier: Apache-2.0
"""Traffic to echo servers until standard input ends: to each HOST:PORT a connection that stays, connections one after the
other, and a UDP flow. Prints {"sent": exchanges by kind, "failed": [[seconds, kind, target, error], ...]} as JSON.

Usage: traffic.py HOST:PORT..."""
import json
import socket
import sys
import threading
import time

LIMIT = 5.0  # a lost SYN is sent again after a second, a datagram never
SENT = {"kept": 0, "new": 0, "udp": 0}
FAILED = []
END = threading.Event()
START = time.monotonic()


def parse(target):
    host, port = target.rsplit(":", 1)
    host = host.strip("[]")
    return (host, int(port)), socket.AF_INET6 if ":" in host else socket.AF_INET


def connected(target, kind):
    address, family = parse(target)
    end = socket.socket(family, kind)
    end.settimeout(LIMIT)
    end.connect(address)
    return end


def exchange(end, number):
    message = b"%012d" % number
    end.sendall(message)
    answer = end.recv(64)
    if answer != message:
        raise OSError(f"{answer!r} came back for {message!r}")


def kept(target):
    with connected(target, socket.SOCK_STREAM) as end:
        while not END.wait(0.005):
            exchange(end, SENT["kept"])
            SENT["kept"] += 1


def new(target):
    while not END.wait(0.003):
        with connected(target, socket.SOCK_STREAM) as end:
            exchange(end, SENT["new"])
        SENT["new"] += 1


def udp(target):
    with connected(target, socket.SOCK_DGRAM) as end:
        while not END.wait(0.005):
            exchange(end, SENT["udp"])
            SENT["udp"] += 1


def until_the_end(work, target):
    while not END.is_set():
        try:
            work(target)
        except OSError as error:
            FAILED.append([round(time.monotonic() - START, 3), work.__name__, target, repr(error)])


if __name__ == "__main__":
    threads = [threading.Thread(target=until_the_end, args=(work, target))
               for target in sys.argv[1:] for work in (kept, new, udp)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    END.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"sent": SENT, "failed": FAILED}))
