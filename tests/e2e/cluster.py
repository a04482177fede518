# SPDX-License-Identifier: Apache-2.0
"""Clusters for tests: started from the release build, taken down without a trace; and kubectl."""
import contextlib
import functools
import glob
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build" / "release" / "bin"


def run(*command, check=True, timeout=120, **more):
    """Runs a command; its output as text. A failure shows what the command said."""
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True,
                          check=False, timeout=timeout, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} failed with {done.returncode}:\n"
                             f"{done.stdout}\n{done.stderr}")
    return done


def wait_for(what, condition, limit=60.0):
    """Until condition() is true; returns its value. The limit is for a machine that hangs."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {limit:.0f} s")
        time.sleep(0.05)


def worker_of(watcher):
    """The process that does the work of a `fairlead up`, `server` or `node`: its watcher's child; None between two."""
    found = run("pgrep", "-x", "-P", watcher, "fairlead", check=False).stdout.split()
    return int(found[0]) if found else None


def kill_both(process):
    """kill -9 of a watcher and its worker, so that neither brings the other back; what they started goes on."""
    process.send_signal(signal.SIGSTOP)
    worker = worker_of(process.pid)
    if worker:
        os.kill(worker, signal.SIGKILL)
    process.kill()
    process.wait()


def kubectls():
    """Every kubectl to test with: Debian's, the installed one and those beside it, each version once."""
    debian = run(ROOT / "scripts" / "kubectl-debian").stdout.strip()
    found = {"debian": debian}
    installed = shutil.which("kubectl")
    if installed:
        beside = pathlib.Path(installed).resolve().parent
        numbered = sorted(beside.glob("kubectl.1.*"), key=lambda path: int(path.suffix[1:]))
        found.update({path.name: str(path) for path in numbered})
        version = json.loads(run(installed, "version", "--client", "-o", "json").stdout)["clientVersion"]
        if f"kubectl.{version['major']}.{version['minor'].rstrip('+')}" not in found:
            found["installed"] = installed
    return found


def snapshot_of_the_machine():
    """What a cluster must not leave behind, as sets of lines."""
    def lines(*command):
        return set(run(*command, check=False).stdout.split("\n")) - {""}

    processes = set()
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            words = pathlib.Path(path).read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        # Other programs of these names may run beside; what runs in pods holds a cgroup.
        command = " ".join(words).strip()
        if os.path.basename(words[0]).startswith(("fairlead", "containerd")) and any(
                ours in command for ours in (str(BIN), "/run/fairlead", "fairlead-e2e-", "fairlead-quickstart-")):
            processes.add(command)
    mounts = {line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().split("\n") if line}
    cgroups = {path for path in glob.glob("/sys/fs/cgroup/**/", recursive=True)
               if any(name in path for name in ("fairlead-pods", "kubepods", "k8s.io"))}
    links = {line.split(": ")[1].split("@")[0] for line in lines("ip", "-o", "link")}
    return {"processes": processes, "mounts": mounts, "cgroups": cgroups, "links": links,
            "namespaces": lines("ip", "netns", "list") | set(os.listdir("/run/netns"))
            if os.path.isdir("/run/netns") else set(),
            "routes": lines("ip", "route", "show", "table", "all"),
            "tables": lines("nft", "list", "tables")}


def what_is_left(before):
    """What is there now and was not `before`; the empty string when nothing is."""
    after = snapshot_of_the_machine()
    return "; ".join(f"{what}: {sorted(after[what] - before[what])}" for what in after
                     if after[what] - before[what])


@functools.lru_cache(maxsize=None)
def images():
    """The folder with the test images, built once a run."""
    folder = ROOT / "build" / "e2e-images"
    run(ROOT / "scripts" / "images", folder, timeout=300)
    return folder


class Load(threading.Thread):
    """Opens connections to a URL one after the other and counts those that fail."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = url
        self.good = 0
        self.failures = []
        self.ending = threading.Event()

    def run(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while not self.ending.is_set():
            try:
                with opener.open(self.url, timeout=5) as answer:
                    answer.read()
                self.good += 1
            except (OSError, urllib.error.URLError) as error:
                self.failures.append(f"{time.strftime('%T')} {error}")
            time.sleep(0.005)

    def end(self):
        self.ending.set()
        self.join(timeout=10)
        return self.failures

    @classmethod
    def once(cls, url):
        """Whether it answers, for a fifth of a second."""
        load = cls(url)
        load.start()
        time.sleep(0.2)
        return not load.end() and load.good > 0


class Kubectl:
    """One binary with a home and discovery cache of its own."""

    def __init__(self, path, kubeconfig, home):
        self.path = path
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(kubeconfig),
                            "KUBE_EDITOR": "sed -i s/hello:1/hello:9/"}
        self.minor = int(self.json("version", "--client")["clientVersion"]["minor"].rstrip("+"))

    @classmethod
    def all(cls, kubeconfig, homes):
        """Every kubectl that is found, the oldest first."""
        found = [cls(path, kubeconfig, f"{homes}/home-{name}") for name, path in kubectls().items()]
        return sorted(found, key=lambda tool: tool.minor)

    def run(self, *words, stdin=None, fails=False, timeout=60):
        done = subprocess.run([self.path, *words], input=stdin, text=True, capture_output=True,
                              timeout=timeout, env=self.environment, check=False)
        if (done.returncode != 0) != fails:
            raise AssertionError(f"kubectl {' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stderr if fails else done.stdout

    def json(self, *words):
        return json.loads(self.run(*words, "-o", "json"))

    @contextlib.contextmanager
    def following(self, *words):
        """A command that goes on (-w, -f), its output as lines; ended by the end of the block."""
        process = subprocess.Popen([self.path, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, env=self.environment)
        guard = threading.Timer(120, process.kill)  # a test that hangs, not one that is slow
        guard.start()
        try:
            yield process
        finally:
            guard.cancel()
            process.kill()
            process.wait()
            process.stdout.close()


def each_kubectl(tools, after=None):
    """A test of one kubectl, run with each of self.TOOLS; self.AFTER(tool) tidies up after each."""
    def decorate(test):
        @functools.wraps(test)
        def run_all(self):
            for tool in getattr(self, tools):
                with self.subTest(kubectl=f"1.{tool.minor}"):
                    try:
                        test(self, tool)
                    finally:
                        if after:
                            getattr(self, after)(tool)
        return run_all
    return decorate


class Adopted:
    """A process that is not our child, with what subprocess.Popen offers of it."""

    def __init__(self, pid):
        self.pid = pid
        self.fd = os.pidfd_open(pid)
        self.returncode = None

    def poll(self):
        if select.select([self.fd], [], [], 0)[0]:
            self.returncode = "an unknown status"
        return self.returncode

    def wait(self, timeout=None):
        if not select.select([self.fd], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.poll()

    def send_signal(self, number):
        signal.pidfd_send_signal(self.fd, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)


class Cluster:
    """`fairlead up` in a folder of its own."""

    def __init__(self, *options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fairlead-e2e-"))
        self.data = self.folder / "data"
        self.kubeconfig = self.folder / "kubeconfig"
        self.log = self.folder / "fairlead.log"
        self.options = options
        self.process = None
        self.kubectl = run(ROOT / "scripts" / "kubectl-debian").stdout.strip()

    def spawn(self, *words):
        """fairlead with these words; what it says goes to the log."""
        with open(self.log, "ab") as log:
            return subprocess.Popen([BIN / "fairlead", *words], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, start_new_session=True)

    def bring_images(self):
        if not (self.data / "images").exists():
            shutil.copytree(images(), self.data / "images")

    def start(self):
        self.bring_images()
        self.process = self.spawn("up", "--data-dir", self.data, "--write-kubeconfig", self.kubeconfig,
                                  *self.options)
        wait_for("the node is Ready", self.node_ready)

    def kill(self):
        """kill -9 of `fairlead`, both its processes; its children and pods go on."""
        kill_both(self.process)

    def kill_worker(self):
        """kill -9 of what does the work; the watcher starts it again. Returns when there is another."""
        before = wait_for("fairlead works", lambda: worker_of(self.process.pid))
        os.kill(before, signal.SIGKILL)
        wait_for("another worker", lambda: worker_of(self.process.pid) not in (None, before))

    def kill_watcher(self):
        """kill -9 of the watcher: its worker becomes the next one."""
        worker = wait_for("fairlead works", lambda: worker_of(self.process.pid))
        self.process.kill()
        self.process.wait()
        self.process = Adopted(worker)
        wait_for("a new watcher", lambda: worker_of(worker))

    def stop(self):
        """`fairlead down`, and nothing left behind but the log, which is shown on failure."""
        self.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def down(self):
        run(BIN / "fairlead", "down", "--data-dir", self.data, timeout=120)
        for process in filter(None, self.processes()):
            process.wait(timeout=30)

    def processes(self):
        return [self.process]

    @classmethod
    def for_class(cls, test_class, *options):
        """A started cluster for all tests of a class; at its end nothing of it may be left."""
        before = snapshot_of_the_machine()
        one = cls(*options)

        def take_down():
            one.stop()
            left = what_is_left(before)
            if left:
                raise AssertionError(f"left behind: {left}")

        test_class.addClassCleanup(take_down)
        one.start()
        return one

    def k(self, *arguments, check=True, kubectl=None, **more):
        return run(kubectl or self.kubectl, "--kubeconfig", self.kubeconfig, *arguments,
                   check=check, **more).stdout

    def apply(self, manifest):
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self.k("apply", "-f", "-", input=text)

    def get(self, *arguments):
        return json.loads(self.k("get", *arguments, "-o", "json"))

    def node_ready(self):
        for process in filter(None, self.processes()):
            if process.poll() is not None:
                raise AssertionError(f"fairlead ended with {process.returncode}:\n"
                                     + self.log.read_text()[-3000:])
        if not self.kubeconfig.exists():
            return False
        out = self.k("get", "nodes", "-o", "json", check=False)
        nodes = json.loads(out)["items"] if out else []
        return any(condition["type"] == "Ready" and condition["status"] == "True"
                   for node in nodes for condition in node.get("status", {}).get("conditions", []))

    def node_ip(self):
        addresses = self.get("nodes")["items"][0]["status"]["addresses"]
        return next(a["address"] for a in addresses if a["type"] == "InternalIP")

    def pod_phase(self, name):
        out = self.k("get", "pod", name, "-o", "jsonpath={.status.phase}", check=False)
        return out.strip()

    def ready_pods(self, selector):
        """Names of pods that are Ready and not going away."""
        pods = self.get("pods", "-l", selector)["items"]
        return [pod["metadata"]["name"] for pod in pods
                if "deletionTimestamp" not in pod["metadata"]
                and any(c["type"] == "Ready" and c["status"] == "True"
                        for c in pod.get("status", {}).get("conditions", []))]

    def children(self):
        """Process ids of containerd, proxy and DNS server, by program name."""
        found = {}
        for name in ("containerd", "fairlead-proxy", "fairlead-dns"):
            for path in glob.glob("/proc/[0-9]*/cmdline"):
                try:
                    words = pathlib.Path(path).read_bytes().split(b"\0")
                except OSError:
                    continue
                # Others run a containerd, too: ours has our folders in its arguments.
                ours = any(b"fairlead" in word for word in words[1:])
                if ours and os.path.basename(words[0].decode(errors="replace")) == name:
                    found[name] = int(path.split("/")[2])
        return found

    def containers(self, selector):
        """Pods, container ids and restart counts: what must not change when only `fairlead` dies."""
        return {(pod["metadata"]["uid"], status.get("containerID"), status["restartCount"])
                for pod in self.get("pods", "-l", selector)["items"]
                for status in pod["status"]["containerStatuses"]}

    def apply_hello(self):
        """The demo Deployment and its Services; the NodePort's URL, once it answers."""
        self.k("apply", "-f", ROOT / "docs/examples/hello.yaml")
        wait_for("three pods", lambda: len(self.ready_pods("app=hello")) == 3)
        url = f"http://{self.node_ip()}:30080/"
        wait_for("the NodePort answers", lambda: Load.once(url))
        return url


@contextlib.contextmanager
def count_syncs(one):
    """A function that gives the calls so far, as lines, by which a cluster's programs asked for the disk."""
    pids = [one.process.pid, worker_of(one.process.pid), *(pid for name, pid in one.children().items() if name != "containerd")]
    trace = one.folder / "syncs"
    calls = "fsync,fdatasync,sync,syncfs,msync,sync_file_range"
    with subprocess.Popen(["strace", "-f", "-q", "-e", f"trace={calls}", "-o", trace, "-p", ",".join(map(str, pids))],
                          stderr=subprocess.PIPE) as strace:
        try:
            wait_for("strace watches every thread", lambda: all(
                "TracerPid:\t0\n" not in pathlib.Path(task).read_text()
                for pid in pids for task in glob.glob(f"/proc/{pid}/task/*/status")))
            yield lambda: [line for line in trace.read_text().splitlines() if "sync" in line]
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=30)


class SplitCluster(Cluster):
    """`fairlead server` and `fairlead node`, apart, on this machine."""

    def __init__(self, *options):
        super().__init__(*options)
        self.server = None
        self.node_kubeconfig = None

    def processes(self):
        return [self.server, self.process]

    def start(self):
        self.bring_images()
        self.start_server()
        self.start_node()

    def start_server(self):
        self.server = self.spawn("server", "--data-dir", self.data, "--write-kubeconfig", self.kubeconfig,
                                 *self.options)
        wait_for("the API server answers", lambda: self.kubeconfig.exists() and self.server.poll() is None
                 and self.k("get", "--raw", "/readyz", check=False))

    def start_node(self):
        kubeconfig = self.node_kubeconfig or next((self.data / "pki").glob("node-*.kubeconfig"))
        self.process = self.spawn("node", "--data-dir", self.data, "--kubeconfig", kubeconfig)
        wait_for("the node is Ready", self.node_ready)

    def kill_server(self):
        kill_both(self.server)
        self.server = None

    def kill(self):
        super().kill()
        self.process = None
