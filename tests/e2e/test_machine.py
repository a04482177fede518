# SPDX-License-Identifier: Apache-2.0
"""What a machine may lack: every program says so in one sentence and ends with an error.

Each case runs in a network namespace of its own, with a free hand over its ports.

A kernel without nf_tables answers in one of two ways, and both are made here as that kernel makes them:
- without nfnetlink (CONFIG_NETFILTER_NETLINK) socket(AF_NETLINK, ..., NETLINK_NETFILTER) fails with
  EPROTONOSUPPORT (net/netlink/af_netlink.c, netlink_create): a seccomp filter gives that errno;
- with nfnetlink and without nf_tables the socket is made, and each message of an unknown subsystem is
  answered with EINVAL, each batch with EOPNOTSUPP (net/netfilter/nfnetlink.c, nfnetlink_rcv_msg and
  nfnetlink_rcv_batch): a preloaded send() turns subsystem 10 into one this kernel does not know, so that
  the kernel itself answers so.
"""
import contextlib
import ctypes
import pathlib
import platform
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import unittest

import cluster
from cluster import BIN, run

NO_SUCH_SUBSYSTEM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t kUnknown = 200;

/* Every message of a datagram, and the subsystem a batch names in its first. */
static void rename_subsystem(int fd, void* data, size_t size) {
  int protocol = -1;
  socklen_t length = sizeof protocol;
  if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) || protocol != NETLINK_NETFILTER) return;
  for (size_t at = 0; at + sizeof(struct nlmsghdr) <= size;) {
    struct nlmsghdr* header = (struct nlmsghdr*)((char*)data + at);
    if (header->nlmsg_len < sizeof *header) return;
    if (header->nlmsg_type >> 8 == NFNL_SUBSYS_NFTABLES)
      header->nlmsg_type = (uint16_t)(kUnknown << 8 | (header->nlmsg_type & 0xff));
    if (header->nlmsg_type == NFNL_MSG_BATCH_BEGIN)
      ((struct nfgenmsg*)(header + 1))->res_id = (uint16_t)(kUnknown << 8);
    at += NLMSG_ALIGN(header->nlmsg_len);
  }
}

ssize_t sendto(int fd, const void* data, size_t size, int flags, const struct sockaddr* to, socklen_t length) {
  static char copy[1 << 22];
  int domain = 0;
  socklen_t domain_length = sizeof domain;
  ssize_t (*real)(int, const void*, size_t, int, const struct sockaddr*, socklen_t) = dlsym(RTLD_NEXT, "sendto");
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_length) || domain != AF_NETLINK || size > sizeof copy)
    return real(fd, data, size, flags, to, length);
  memcpy(copy, data, size);
  rename_subsystem(fd, copy, size);
  return real(fd, copy, size, flags, to, length);
}

ssize_t send(int fd, const void* data, size_t size, int flags) {
  return sendto(fd, data, size, flags, 0, 0);
}
"""

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def without(capability):
    return ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"]


def refuse_netfilter_sockets():
    """seccomp: socket(AF_NETLINK, any, NETLINK_NETFILTER) is EPROTONOSUPPORT, all else is allowed."""
    numbers = {"x86_64": 41, "aarch64": 198}
    load, jump_if_equal, ret = 0x20, 0x15, 0x06

    def step(code, true, false, value):
        return struct.pack("HBBI", code, true, false, value)

    # struct seccomp_data: nr at 0, the low halves of args[0] and args[2] at 16 and 32.
    program = b"".join([
        step(load, 0, 0, 0), step(jump_if_equal, 0, 5, numbers[platform.machine()]),
        step(load, 0, 0, 16), step(jump_if_equal, 0, 3, socket.AF_NETLINK),
        step(load, 0, 0, 32), step(jump_if_equal, 0, 1, 12),
        step(ret, 0, 0, 0x00050000 | 93),  # SECCOMP_RET_ERRNO, EPROTONOSUPPORT
        step(ret, 0, 0, 0x7fff0000)])      # SECCOMP_RET_ALLOW
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    if libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "seccomp")


class Case:
    def __init__(self, what, command, says, way=(), busy=(), kernel=None):
        self.what, self.command, self.says = what, command.split(), says
        self.way = list(way)    # before the command: setpriv ...
        self.busy = list(busy)  # "tcp 0.0.0.0:6443": taken by somebody else
        self.kernel = kernel    # None, "no nfnetlink" or "no nf_tables"


PROXY = "fairlead-proxy --kubeconfig FOLDER/kubeconfig"
DNS = "fairlead-dns --kubeconfig FOLDER/kubeconfig --listen"
UP = "fairlead up --data-dir FOLDER/data --run-dir FOLDER/run"
SERVER = "fairlead server --data-dir FOLDER/data"
NODE = "fairlead node --kubeconfig FOLDER/kubeconfig --data-dir FOLDER/data --run-dir FOLDER/run"

CASES = [
    Case("up without CAP_NET_ADMIN", UP, "the capability CAP_NET_ADMIN is missing", without("net_admin")),
    Case("up without CAP_SYS_ADMIN", UP, "the capability CAP_SYS_ADMIN is missing", without("sys_admin")),
    Case("up without root", UP, "a node needs root: run it with sudo", NOBODY),
    Case("node without root", NODE, "a node needs root: run it with sudo", NOBODY),
    Case("down without root", "fairlead down --data-dir FOLDER/data", "needs root", NOBODY),
    Case("server without a right to its folder", "fairlead server --data-dir /proc/fairlead",
         "/proc/fairlead", NOBODY),
    Case("proxy without CAP_NET_ADMIN", PROXY, "programming nftables needs CAP_NET_ADMIN (run as root)",
         without("net_admin")),
    Case("proxy without root", PROXY, "programming nftables needs CAP_NET_ADMIN (run as root)", NOBODY),
    Case("DNS without a right to port 53", f"{DNS} 127.0.0.1:53", "127.0.0.1:53", NOBODY),
    Case("API server's port", UP, "cannot listen on 0.0.0.0:6443 (--secure-port)", busy=["tcp 0.0.0.0:6443"]),
    Case("API server's port on one address", SERVER, "cannot listen on 0.0.0.0:6443 (--secure-port)",
         busy=["tcp 127.0.0.1:6443"]),
    Case("the node's port", UP, "cannot listen on 0.0.0.0:10250 (--kubelet-port)", busy=["tcp 0.0.0.0:10250"]),
    Case("DNS port, UDP", f"{DNS} 127.0.0.1:53", "127.0.0.1:53", busy=["udp 127.0.0.1:53"]),
    Case("DNS port, TCP", f"{DNS} 127.0.0.1:53", "127.0.0.1:53", busy=["tcp 127.0.0.1:53"]),
    # Without the flag it goes on and tries the port again, as kube-proxy does.
    Case("proxy's healthz", f"{PROXY} --bind-address-hard-fail", "0.0.0.0:10256", busy=["tcp 0.0.0.0:10256"]),
    Case("proxy's metrics", f"{PROXY} --bind-address-hard-fail", "127.0.0.1:10249", busy=["tcp 127.0.0.1:10249"]),
    Case("proxy, no nfnetlink", PROXY, "this kernel has no nf_tables (load module nf_tables)", kernel="no nfnetlink"),
    Case("proxy, no nf_tables", PROXY, "this kernel has no nf_tables (load module nf_tables)", kernel="no nf_tables"),
    Case("up, no nfnetlink", UP, "this kernel has no nf_tables: load the module", kernel="no nfnetlink"),
    Case("up, no nf_tables", UP, "this kernel has no nf_tables: load the module", kernel="no nf_tables"),
    Case("node, no nf_tables", NODE, "this kernel has no nf_tables: load the module", kernel="no nf_tables"),
]

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: u, user: {token: nobodys}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
"""


class MachineTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.before = cluster.snapshot_of_the_machine()
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="fairlead-machine-"))
        cls.addClassCleanup(cls.clean_up)
        cls.folder.chmod(0o755)
        for name in ("fairlead", "fairlead-proxy", "fairlead-dns"):  # where nobody may read them too
            shutil.copy(BIN / name, cls.folder)
        (cls.folder / "kubeconfig").write_text(KUBECONFIG)
        cls.shim = cls.folder / "no_nf_tables.so"
        run("gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", cls.shim, "-ldl", input=NO_SUCH_SUBSYSTEM)

    @classmethod
    def clean_up(cls):
        shutil.rmtree(cls.folder)
        left = cluster.what_is_left(cls.before)
        if left:
            raise AssertionError(f"left behind: {left}")

    @contextlib.contextmanager
    def network(self, busy):
        """A network namespace in which somebody listens on the busy ports."""
        with subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
            self.assertEqual(keeper.stdout.readline(), "up\n")
            inside = ["nsenter", f"--net=/proc/{keeper.pid}/ns/net"]
            holders = [self.holder(inside, each) for each in busy]
            try:
                yield inside
            finally:
                for process in [*holders, keeper]:
                    process.communicate("")  # the end of its input ends it

    def holder(self, inside, busy):
        protocol, where = busy.split()
        host, port = where.split(":")
        kind, listen = ("SOCK_STREAM", "s.listen()") if protocol == "tcp" else ("SOCK_DGRAM", "")
        script = (f"import socket, sys; s = socket.socket(socket.AF_INET, socket.{kind}); "
                  f"s.bind(('{host}', {port})); {listen}; print('held', flush=True); sys.stdin.read()")
        process = subprocess.Popen([*inside, "python3", "-c", script.replace("; ;", ";")], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(process.stdout.readline(), "held\n")
        return process

    def result(self, case):
        program, *words = case.command
        words = [word.replace("FOLDER", str(self.folder)) for word in words]
        # The shim is for the program alone: it stands after everything that leads there.
        shim = ["env", f"LD_PRELOAD={self.shim}"] if case.kernel == "no nf_tables" else []
        with self.network(case.busy) as inside:
            return subprocess.run([*inside, *case.way, *shim, str(self.folder / program), *words], text=True,
                                  capture_output=True, check=False, timeout=60,
                                  preexec_fn=refuse_netfilter_sockets if case.kernel == "no nfnetlink" else None)

    def test_one_sentence_and_an_error(self):
        for case in CASES:
            with self.subTest(case.what):
                done = self.result(case)
                # What is logged on the way, such as a sysctl that a namespace may not set, is no error.
                lines = [line for line in done.stderr.splitlines() if not re.match(r"\S+Z (info|warning) ", line)]
                self.assertEqual(len(lines), 1, done.stderr)
                self.assertIn(case.says, lines[0])
                self.assertGreater(done.returncode, 0, lines[0])

    def test_the_same_commands_without_the_fault(self):
        """The table proves something only if the faults are what ends the programs."""
        for command in (PROXY, f"{DNS} 127.0.0.1:53"):
            with self.subTest(command), self.assertRaises(subprocess.TimeoutExpired):
                case = Case("fine", command, "")
                program, *words = case.command
                with self.network([]) as inside:
                    run(*inside, self.folder / program, *[w.replace("FOLDER", str(self.folder)) for w in words],
                        timeout=1.5)


if __name__ == "__main__":
    unittest.main()
