# SPDX-License-Identifier: Apache-2.0
"""The relays that the benchmark of the stream proxy compares: how each is started and found ready.

Each listens on 10.96.0.77:80 and relays to ten addresses of one server, on as many threads or
processes as it is told, each on a processor of its own.
"""
import contextlib
import ctypes
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from api import Api  # noqa: E402
from lab import process_tree  # noqa: E402

SERVICE, PORT = "10.96.0.77", 80
ENDPOINTS, ENDPOINT_PORT = [f"10.254.0.{i}" for i in range(2, 12)], 9000
CONNECTIONS, PIPES = 9000, 512  # that a peer may have open, of 20,000 descriptors
LIMIT = 30  # seconds to become ready
OURS = "fairlead-proxy"
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def start(stack, namespace, argv, log, stdout=subprocess.DEVNULL, **more):
    """A process in a network namespace; it ends with the stack, or with us."""
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={namespace.path}", *argv],
        stdout=stdout, stderr=log, text=True, **more)
    stack.callback(end, process)
    return process


def end(process):
    """With all that it has started."""
    with contextlib.suppress(FileNotFoundError):
        for pid in reversed(process_tree(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()


def pinned(workers, argv):
    return ["taskset", "-c", f"0-{workers - 1}", *argv]


def haproxy(stack, namespace, folder, workers, log, **more):
    if not shutil.which("haproxy"):
        return None
    servers = "".join(f"    server s{i} {address}:{ENDPOINT_PORT}\n" for i, address in enumerate(ENDPOINTS))
    path = folder / "haproxy.cfg"
    path.write_text(f"""global
    nbthread {workers}
    maxconn {CONNECTIONS}
    maxpipes {PIPES}
defaults
    mode tcp
    option splice-request
    option splice-response
    timeout connect 3s
    timeout client 1h
    timeout server 1h
    balance roundrobin
frontend service
    bind {SERVICE}:{PORT} shards by-thread
    default_backend endpoints
backend endpoints
{servers}""", encoding="ascii")
    return start(stack, namespace, pinned(workers, ["haproxy", "-db", "-f", str(path)]), log, **more)


def nginx(stack, namespace, folder, workers, log, **more):
    module = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    if not shutil.which("nginx") or not module.exists():
        return None
    servers = "".join(f"        server {address}:{ENDPOINT_PORT};\n" for address in ENDPOINTS)
    path = folder / "nginx.conf"
    path.write_text(f"""load_module {module};
user root;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
worker_processes {workers};
worker_cpu_affinity auto;
events {{ worker_connections {2 * CONNECTIONS}; }}
stream {{
    upstream endpoints {{
{servers}    }}
    server {{
        listen {SERVICE}:{PORT} reuseport backlog=4096;
        proxy_pass endpoints;
        proxy_timeout 1h;
    }}
}}
""", encoding="ascii")
    return start(stack, namespace, pinned(workers, ["nginx", "-c", str(path), "-p", str(folder)]), log, **more)


def service():
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"clusterIP": SERVICE, "ports": [{"port": PORT, "targetPort": ENDPOINT_PORT}]}}


def slice_of_endpoints():
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "s"}},
            "endpoints": [{"addresses": [address], "nodeName": "other",
                           "conditions": {"ready": True, "serving": True, "terminating": False}}
                          for address in ENDPOINTS],
            "ports": [{"name": "", "port": ENDPOINT_PORT, "protocol": "TCP"}]}


def fairlead(programs):
    """With its Services from an API server of ours, which rests while the relay is measured."""
    def make(stack, namespace, folder, workers, log, **more):
        (folder / "api").mkdir()
        server = start(stack, namespace, [str(programs / "apiserver_alone"), str(folder / "api"), "6443"],
                       log, stdout=subprocess.PIPE)
        words = server.stdout.readline().split()
        if not words or words[0] != "ready":
            raise RuntimeError("the API server did not start")
        with inside(namespace):
            api = Api(words[2])
            api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
            api.create(SERVICES, service())
            api.create(SLICES, slice_of_endpoints())
            api.close()
        return start(stack, namespace, pinned(workers, [
            str(programs / "fairlead-proxy"), "--proxy-mode=userspace", "--kubeconfig", words[2],
            "--hostname-override", "n1", "--cluster-cidr", "10.128.0.0/9"]), log, **more)
    return make


@contextlib.contextmanager
def inside(namespace):
    """Sockets made meanwhile are of that namespace."""
    with open("/proc/self/ns/net", encoding="ascii") as home, open(namespace.path, encoding="ascii") as there:
        enter(there)
        try:
            yield
        finally:
            enter(home)


def enter(file):
    if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def wait_until_ready(namespace, process, name):
    """Ready is who accepts, and ours who says that all is programmed too."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException), inside(namespace):
            socket.create_connection((SERVICE, PORT), 1).close()
            if name != OURS:
                return
            client = http.client.HTTPConnection("127.0.0.1", 10256, timeout=5)
            client.request("GET", "/healthz")
            if client.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{name} does not become ready")
