# SPDX-License-Identifier: Apache-2.0
"""A one-node cluster for a test: started from the release build, taken down without a trace."""
import glob
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

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


def kubectls():
    """Every kubectl to test with: Debian's, and the numbered ones beside the installed one."""
    debian = run(ROOT / "scripts" / "kubectl-debian").stdout.strip()
    found = {"debian": debian}
    installed = shutil.which("kubectl")
    if installed:
        beside = pathlib.Path(installed).resolve().parent
        numbered = sorted(beside.glob("kubectl.1.*"), key=lambda path: int(path.suffix[1:]))
        found.update({path.name: str(path) for path in numbered})
        if not numbered:
            found["installed"] = installed
    return found


def snapshot_of_the_machine():
    """What a cluster must not leave behind, as sets of lines."""
    def lines(*command):
        return set(run(*command, check=False).stdout.split("\n")) - {""}

    processes = set()
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            command = pathlib.Path(path).read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if any(word in command for word in ("fairlead", "containerd", "/pause")):
            processes.add(command)
    mounts = {line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().split("\n") if line}
    cgroups = {path for path in glob.glob("/sys/fs/cgroup/**/", recursive=True)
               if "kubepods" in path or "fairlead" in path}
    links = {line.split(": ")[1].split("@")[0] for line in lines("ip", "-o", "link")}
    return {"processes": processes, "mounts": mounts, "cgroups": cgroups, "links": links,
            "namespaces": lines("ip", "netns", "list") | set(os.listdir("/run/netns"))
            if os.path.isdir("/run/netns") else set(),
            "routes": lines("ip", "route", "show", "table", "all"),
            "tables": lines("nft", "list", "tables")}


class Cluster:
    """`fairlead up` in a folder of its own."""

    def __init__(self, *options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fairlead-e2e-"))
        self.kubeconfig = self.folder / "kubeconfig"
        self.log = self.folder / "fairlead.log"
        self.options = options
        self.process = None
        self.kubectl = run(ROOT / "scripts" / "kubectl-debian").stdout.strip()

    def start(self):
        run(ROOT / "scripts" / "images", self.folder / "data" / "images", timeout=300)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BIN / "fairlead", "up", "--data-dir", self.folder / "data",
                 "--write-kubeconfig", self.kubeconfig, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_for("the node is Ready", self.node_ready)

    def kill(self):
        """kill -9 of `fairlead` itself; its children and pods go on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """`fairlead down`, and nothing left behind but the log, which is shown on failure."""
        run(BIN / "fairlead", "down", "--data-dir", self.folder / "data", timeout=120)
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def k(self, *arguments, check=True, kubectl=None, **more):
        return run(kubectl or self.kubectl, "--kubeconfig", self.kubeconfig, *arguments,
                   check=check, **more).stdout

    def apply(self, manifest):
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self.k("apply", "-f", "-", input=text)

    def get(self, *arguments):
        return json.loads(self.k("get", *arguments, "-o", "json"))

    def node_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"fairlead ended with {self.process.returncode}:\n"
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
        """Process ids of containerd, proxy and DNS server, by program name, as the state file has them."""
        found = {}
        for name in ("containerd", "fairlead-proxy", "fairlead-dns"):
            for path in glob.glob("/proc/[0-9]*/cmdline"):
                try:
                    words = pathlib.Path(path).read_bytes().split(b"\0")
                except OSError:
                    continue
                if os.path.basename(words[0].decode(errors="replace")) == name:
                    found[name] = int(path.split("/")[2])
        return found
