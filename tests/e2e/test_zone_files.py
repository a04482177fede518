# SPDX-License-Identifier: Apache-2.0
"""Random zones in fairlead-dns (`file`) and in Knot: to the same question both give the same answer.

Rcode, AA and the sections are compared as sets of records.  Known and left out:
  - positive answers: the zone's NS records in the authority section are CoreDNS's way, Knot has none;
  - additional records: of a referral those below the cut must be the same, all others are a favour;
  - aliases that lead round, or below themselves without end, are SERVFAIL here, as in CoreDNS; Knot
    gives them once, or the first five;
  - ANY is answered with one set of records by both, but not with the same one.
FAIRLEAD_SEED=N replays a run that printed seed N; FAIRLEAD_ZONES and FAIRLEAD_QUERIES make it longer.
"""
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "build/release/bin/fairlead-dns"
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33,
         "DNAME": 39, "DS": 43, "ANY": 255}
# Data in all the forms there are, which both must read as the same bytes.
OTHERS = {
    17: "RP admin.example. txt.example.", 18: "AFSDB 1 afs.example.", 13: 'HINFO "a b" c\\"d', 36: "KX 5 kx.example.",
    29: "LOC 42 21 54.123 N 71 06 18 W -24.5m 30m 2000.25m 7", 35: 'NAPTR 100 50 "s" "http+E2U" "!^.*$!x\\\\1!i" _x.example.',
    44: "SSHFP 1 2 ( 00112233445566778899aabbccddeeff 00112233445566778899aabbccddeeff )",
    48: "DNSKEY 256 3 8 ( AwEAAaHn\n YW5k )", 49: "DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
    52: "TLSA 3 1 1 " + "0fA1" * 16, 61: "OPENPGPKEY aGVsbG8gd29ybGQh", 256: 'URI 10 1 "https://x.example/a\\034b"',
    64: "SVCB 1 svc.example. alpn=h2,h3 port=8443 ipv4hint=192.0.2.1,192.0.2.2",
    65: 'HTTPS 1 . ( mandatory=port,alpn alpn="h2" port=1 ipv6hint=2001:db8::1 no-default-alpn ech=aGVsbG8= key667=a\\210b )',
    257: 'CAA 128 issue "ca.example; a=b"', 108: "EUI48 00-00-5e-00-53-2a", 59: "CDS 1 8 2 " + "ab" * 32,
    731: "TYPE731 \\# 5 ab cdef01\t02", 99: 'SPF "v=spf1" -all',
}
TYPES |= {f"TYPE{number}": number for number in OTHERS}
# Where names begin in the data, and how many there are.
NAMES = {2: (0, 1), 5: (0, 1), 6: (0, 2), 12: (0, 1), 15: (2, 1), 33: (6, 1), 39: (0, 1)}
LABELS = ["a", "b", "c", "d", "*", "_x", "long-label"]


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Zone:
    """A random zone: RFC 1034's kinds of names, RFC 4592's and RFC 6672's, close to each other."""

    def __init__(self, rng, name):
        self.rng, self.name = rng, name
        self.lines = {name: [f"SOA ns.{name} root.{name} 1 3600 600 86400 {rng.choice([60, 300, 7200])}",
                             f"NS ns.{name}", "NS ns.example."], f"ns.{name}": ["A 192.0.2.1"]}
        self.owners = [self.random_name() for _ in range(rng.randint(4, 24))]
        for owner in self.owners:
            if owner not in self.lines and not self.below_dname(owner):
                self.lines[owner] = self.records(owner)
        self.text = "$TTL 600\n" + "".join(f"{owner} {line}\n" for owner, lines in self.lines.items() for line in lines)

    def random_name(self):
        if self.rng.random() < 0.3 and getattr(self, "owners", None):
            return f"{self.rng.choice(LABELS)}.{self.rng.choice(self.owners)}"
        return ".".join(self.rng.choice(LABELS) for _ in range(self.rng.randint(1, 4))) + f".{self.name}"

    def below_dname(self, owner):
        """Knot takes no zone with records there; nor is one above an owner made."""
        return any(owner.endswith("." + other) for other, lines in self.lines.items()
                   if any(line.startswith("DNAME") for line in lines))

    def target(self):
        pick = self.rng.random()
        if pick < 0.1:
            return f"{self.rng.choice(LABELS[:4])}.example."
        return self.random_name() if pick < 0.4 else self.rng.choice(self.owners)

    def records(self, owner):
        pick = self.rng.random()
        if pick < 0.15:
            return [f"CNAME {self.target()}"]
        above = any(other.endswith("." + owner) for other in self.owners)
        if pick < 0.22 and not above and not owner.startswith("*"):
            return [f"DNAME {self.target()}"]
        if pick < 0.37 and not owner.startswith("*"):
            return self.delegation(owner)
        lines = []
        for _ in range(self.rng.randint(1, 4)):
            number = self.rng.randint(1, 250)
            lines.append(self.rng.choice([f"A 192.0.2.{number}", f"AAAA 2001:db8::{number}", f'TXT "{number}" x',
                                          f"MX {number} {self.target()}", f"SRV 1 2 {number} {self.target()}",
                                          f"PTR {self.target()}", self.rng.choice(list(OTHERS.values()))]))
        return sorted(set(lines))

    def delegation(self, owner):
        lines = [f"NS ns.{owner}"]
        self.lines.setdefault(f"ns.{owner}", [f"A 192.0.2.{self.rng.randint(1, 250)}", "AAAA 2001:db8::53"])
        if self.rng.random() < 0.5:
            lines.append(f"NS {self.target()}")
        if self.rng.random() < 0.3:
            lines.append("DS 1 8 2 " + "ab" * 32)
        return sorted(set(lines))

    def question(self):
        owner = self.rng.choice(list(self.lines))
        name = self.rng.choice([owner, f"{self.rng.choice(LABELS)}.{owner}", self.random_name(),
                                owner.split(".", 1)[1] if owner != self.name else owner])
        if self.rng.random() < 0.2:
            name = "".join(self.rng.choice([c.upper(), c]) for c in name)
        return name, self.rng.choice(list(TYPES))


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".") if label) + b"\0"


def packet(number, name, qtype):
    opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)
    return struct.pack(">HHHHHH", number, 0, 1, 0, 0, 1) + encode(name) + struct.pack(">HH", TYPES[qtype], 1) + opt


def read_name(message, at):
    labels, end = [], None
    while message[at]:
        if message[at] >= 0xc0:
            end = end or at + 2
            at = struct.unpack_from(">H", message, at)[0] & 0x3fff
            continue
        labels.append(message[at + 1:at + 1 + message[at]].decode().lower())
        at += 1 + message[at]
    return ".".join(labels) + ".", end or at + 1


def read_data(message, rtype, at, end):
    before, count = NAMES.get(rtype, (end - at, 0))
    parts = [message[at:at + before].hex()]
    at += before
    for _ in range(count):
        name, at = read_name(message, at)
        parts.append(name)
    return " ".join([*parts, message[at:end].hex()])


class Reply:
    def __init__(self, message):
        flags, _, *counts = struct.unpack_from(">HHHHH", message, 2)
        self.rcode, self.aa, self.tc = flags & 15, bool(flags & 0x400), bool(flags & 0x200)
        self.sections = []
        _, at = read_name(message, 12)
        at += 4
        for count in counts:
            records = []
            for _ in range(count):
                owner, at = read_name(message, at)
                rtype, _, ttl, size = struct.unpack_from(">HHIH", message, at)
                if rtype != 41:
                    records.append((owner, rtype, ttl, read_data(message, rtype, at + 10, at + 10 + size)))
                at += 10 + size
            self.sections.append(records)
        self.answer, self.authority, self.additional = self.sections

    def __str__(self):
        lines = [f"rcode {self.rcode}{' aa' if self.aa else ''}{' tc' if self.tc else ''}"]
        for name, records in zip(("answer", "authority", "additional"), self.sections):
            lines += [f"  {name} {owner} {ttl} {rtype} {data}" for owner, rtype, ttl, data in sorted(records)]
        return "\n".join(lines)


def leads_round(answer, name):
    """Or on and on: five of Knot's."""
    aliases = {owner: data.split()[0] for owner, rtype, _, data in answer if rtype == 5}
    seen = set()
    name = name.lower()
    while name in aliases and name not in seen:
        seen.add(name)
        name = aliases[name]
    return name in seen or len(aliases) >= 5


def difference(ours, theirs, zone, name, qtype):
    """What is not the same, or None."""
    if ours.rcode == 2 and leads_round(theirs.answer, name):
        return "records of an error" if ours.answer or ours.authority or ours.aa else None
    if set(theirs.answer) < set(ours.answer) and sum(rtype == 5 for _, rtype, _, _ in theirs.answer) >= 5:
        return None
    if (ours.rcode, ours.aa) != (theirs.rcode, theirs.aa):
        return "rcode or AA"
    if qtype == "ANY":
        return None if bool(ours.answer) == bool(theirs.answer) else "answer to ANY"
    for section in ours.sections:
        if len(set(section)) != len(section):
            return "a record twice"
    if set(ours.answer) != set(theirs.answer):
        return "answer"
    authority = set(ours.authority)
    if any(rtype == 2 and owner == zone for owner, rtype, _, _ in authority) and not theirs.authority:
        authority = set()
    if authority != set(theirs.authority):
        return "authority"
    cuts = {owner for owner, rtype, _, _ in authority if rtype == 2 and owner != zone}
    if cuts:
        glue = [{r for r in reply.additional if any(("." + r[0]).endswith("." + cut) for cut in cuts)}
                for reply in (ours, theirs)]
        if glue[0] != glue[1]:
            return "glue"
    return None


class DifferenceTest(unittest.TestCase):
    """The comparison sees what is not the same."""

    def reply(self, flags, *sections):
        """Records as (owner, type, data)."""
        message = struct.pack(">HHHHHH", 1, 0x8000 | flags, 1, *[len(s) for s in sections]) + encode("a.z.") + bytes(4)
        for owner, rtype, data in (record for section in sections for record in section):
            message += encode(owner) + struct.pack(">HHIH", rtype, 1, 60, len(data)) + data
        return Reply(message)

    def test_differences(self):
        address, other = ("a.z.", 1, b"\1\2\3\4"), ("a.z.", 1, b"\1\2\3\5")
        servers, cut = ("z.", 2, encode("ns.z.")), ("a.z.", 2, encode("ns.a.z."))
        glue = ("ns.a.z.", 1, b"\1\2\3\4")
        alias, back = ("a.z.", 5, encode("b.z.")), ("b.z.", 5, encode("a.z."))
        plain = self.reply(0x400, [address], [], [])
        for ours, theirs, wanted in [
                (self.reply(0x400, [address], [servers], []), plain, None),
                (self.reply(0x400, [("A.z.", 1, b"\1\2\3\4")], [], []), plain, None),
                (self.reply(0, [address], [], []), plain, "rcode or AA"),
                (self.reply(0x403, [address], [], []), plain, "rcode or AA"),
                (self.reply(0x400, [other], [], []), plain, "answer"),
                (self.reply(0x400, [], [], []), plain, "answer"),
                (self.reply(0x400, [address, other], [], []), plain, "answer"),
                (self.reply(0x400, [address, address], [], []), plain, "a record twice"),
                (self.reply(0x400, [address], [cut], []), plain, "authority"),
                (self.reply(0, [], [cut], []), self.reply(0, [], [cut], [glue]), "glue"),
                (self.reply(2, [], [], []), self.reply(0x400, [alias, back], [], []), None),
                (self.reply(2, [alias], [], []), self.reply(0x400, [alias, back], [], []), "records of an error"),
                (self.reply(2, [], [], []), self.reply(0x400, [alias], [], []), "rcode or AA"),
                (self.reply(0, [], [cut], [glue]), self.reply(0, [], [cut], [glue]), None)]:
            self.assertEqual(difference(ours, theirs, "z.", "a.z.", "A"), wanted, f"{ours}\n{theirs}")


class ZoneFilesTest(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("FAIRLEAD_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"\n  FAIRLEAD_SEED={self.seed}", flush=True)
        rng = random.Random(self.seed)
        folder = tempfile.TemporaryDirectory(prefix="fairlead-zones-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.zones = [Zone(rng, f"z{i}.test.") for i in range(int(os.environ.get("FAIRLEAD_ZONES", 150)))]
        for zone in self.zones:
            (self.folder / f"{zone.name}db").write_text(zone.text, encoding="ascii")
        self.ports = {"fairlead": free_port(), "knot": free_port()}
        self.start("knot", ["knotd", "-c", self.knot()])
        self.start("fairlead", [PROGRAM, "-conf", self.corefile()])
        self.sockets = {who: socket.create_connection(("127.0.0.1", port), 10) for who, port in self.ports.items()}
        for each in self.sockets.values():
            self.addCleanup(each.close)

    def knot(self):
        text = f"server:\n  rundir: {self.folder}\n  listen: 127.0.0.1@{self.ports['knot']}\n" \
               f"  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n" \
               f"database:\n  storage: {self.folder}\n" \
               "log:\n- target: stderr\n  any: warning\n" \
               f"template:\n- id: default\n  storage: {self.folder}\n  zonefile-sync: -1\n  journal-content: none\nzone:\n"
        text += "".join(f"- domain: {zone.name}\n  file: {zone.name}db\n" for zone in self.zones)
        (self.folder / "knot.conf").write_text(text, encoding="ascii")
        return self.folder / "knot.conf"

    def corefile(self):
        text = f".:{self.ports['fairlead']} {{\n  bind 127.0.0.1\n"
        text += "".join(f"  file {self.folder}/{zone.name}db {zone.name}\n" for zone in self.zones) + "}\n"
        (self.folder / "Corefile").write_text(text, encoding="ascii")
        return self.folder / "Corefile"

    def start(self, who, command):
        log = open(self.folder / f"{who}.log", "wb")
        self.addCleanup(log.close)
        child = subprocess.Popen(command, stdout=log, stderr=log)
        self.addCleanup(child.wait)
        self.addCleanup(child.send_signal, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and child.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.ports[who]), 1):
                    return
            except OSError:
                time.sleep(0.05)
        self.fail(f"{who} does not start: {(self.folder / f'{who}.log').read_text()[-2000:]}")

    def ask(self, who, query):
        stream = self.sockets[who]
        stream.sendall(struct.pack(">H", len(query)) + query)
        size = struct.unpack(">H", self.read(stream, 2))[0]
        return Reply(self.read(stream, size))

    def read(self, stream, size):
        out = b""
        while len(out) < size:
            more = stream.recv(size - len(out))
            self.assertTrue(more, "the connection has ended")
            out += more
        return out

    def test_same_as_knot(self):
        asked = 0
        for zone in self.zones:
            if self.ask("knot", packet(1, zone.name, "SOA")).rcode != 0:
                self.fail(f"knot has not taken {zone.name}: {(self.folder / 'knot.log').read_text()[-2000:]}\n{zone.text}")
            for _ in range(int(os.environ.get("FAIRLEAD_QUERIES", 60))):
                name, qtype = zone.question()
                query = packet(asked & 0xffff, name, qtype)
                ours, theirs = self.ask("fairlead", query), self.ask("knot", query)
                what = difference(ours, theirs, zone.name, name, qtype)
                if what:
                    self.fail(f"FAIRLEAD_SEED={self.seed}: {name} {qtype}: {what}\nfairlead: {ours}\nknot: {theirs}\n{zone.text}")
                asked += 1
        self.assertGreater(asked, 0)
        print(f"  {asked} questions about {len(self.zones)} zones")


if __name__ == "__main__":
    unittest.main()
