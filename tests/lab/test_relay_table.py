"""The relay's table in a real kernel, beside fw4's stock rules: which of WireGuard's packets go where, and what happens
to the table. The packets are made by hand; on the server a plain UDP socket stands where WireGuard listens.

    alice ┐
    bob   ┼ pub (two addresses of its own: alice knows it by the first, bob by the second)
    eve   ┘
"""
import contextlib
import json
import pathlib
import re
import socket
import struct
import subprocess
import time

import netns
import pytest
from daemon import PACKAGE, interpreter_words
from stock_router import fw4, has_table
from waiting import wait_for

PROGRAM = pathlib.Path(__file__).resolve().parent / "relay_table_program.py"
PORT = 51820
TABLE = "wgp2p_relay"
HOSTS = ("alice", "bob", "eve")
OWN = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8:ffff::1", "2001:db8:ffff::2")}
RELAYED, INITIATION, USERSPACE, HINT = 0x77000001, 0x77000002, 0x77000003, 0x77000004
ACCEPT = "insert rule inet fw4 forward meta mark & 0xff0000ff == 0x77000001 accept"
# What the packets are marked with that have passed our rules.
PROBE = "table inet probe {\n" + "".join(f"counter mark{mark & 7} {{ }}\n" for mark in (
    RELAYED, INITIATION, USERSPACE, HINT, 0)) + "chain pre {\n type filter hook prerouting priority -305;\n" + "".join(
        f"udp dport != 53 meta mark {mark} counter name mark{mark & 7}\n"
        for mark in (RELAYED, INITIATION, USERSPACE, HINT, 0)) + "}\n}\n"


def address(host, family=4):
    number = HOSTS.index(host) + 1
    return f"198.18.{number}.2" if family == 4 else f"2001:db8:{number}::2"


def endpoint(host, family=4, port=None):
    """Where this host's WireGuard would be: everybody has another port."""
    port = port or 1111 * (HOSTS.index(host) + 1)
    return f"{address(host, 4)}:{port}" if family == 4 else f"[{address(host, 6)}]:{port}"


def message(kind, index, size=None):
    """A message of this type whose receiver index is this (type 1: whose sender index)."""
    sizes = {1: 148, 2: 92, 3: 64, 4: 96}
    head = struct.pack("<I", kind) + (struct.pack("!II", 0xAAAAAAAA, index) if kind == 2 else struct.pack("!I", index))
    return head + bytes((size or sizes[kind]) - len(head))


class Host:
    """Raw packets with checksums of our own out of a namespace, and a UDP socket at the host's port. (What a UDP socket
    sends crosses a virtual wire without a checksum.)"""

    def __init__(self, name):
        self.name = name
        self._raw = {4: netns.open_socket(name, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
                     6: netns.open_socket(name, socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)}
        self._udp = {}
        for family, kind, any_address in ((4, socket.AF_INET, "0.0.0.0"), (6, socket.AF_INET6, "::")):
            self._udp[family] = netns.open_socket(name, kind, socket.SOCK_DGRAM)
            if family == 6:
                self._udp[6].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            port = PORT if name == "pub" else int(endpoint(name).rpartition(":")[2])
            self._udp[family].bind((any_address, port))

    def send(self, data, own=0, family=4, port=None, checksum=True, to=None):
        """To one of the server's addresses, or to another one."""
        there = to or OWN[family][own]
        port = port or int(endpoint(self.name).rpartition(":")[2])
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        ends = socket.inet_pton(kind, address(self.name, family)) + socket.inet_pton(kind, there)
        size = 8 + len(data)
        udp = struct.pack("!HHHH", port, PORT, size, 0) + data
        total = sum(struct.unpack(f"!{len(ends) // 2}H", ends)) + 17 + size + sum(
            struct.unpack(f"!{(size + 1) // 2}H", udp + bytes(size % 2)))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        if checksum:
            udp = udp[:6] + struct.pack("!H", ~total & 0xFFFF or 0xFFFF) + udp[8:]
        head = (struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, 17, 0) if family == 4 else
                struct.pack("!IHBB", 0x60000000, size, 17, 64))
        self._raw[family].sendto(head + ends + udp, (there, 0))

    def receive(self, family=4, seconds=2):
        """(data, address, port) of the next packet, None when there is none."""
        self._udp[family].settimeout(seconds)
        try:
            data, source = self._udp[family].recvfrom(2048)
        except socket.timeout:
            return None
        return data, source[0], source[1]

    def reaches(self, other, family):
        """Whether a packet to another host arrives; afterwards both know each other's link address."""
        there = (address(other.name, family), int(endpoint(other.name).rpartition(":")[2]))
        with contextlib.suppress(OSError):  # a wire takes a moment to come up
            self._udp[family].sendto(b"hello", there)
        return other.receive(family, 0.3)

    def drain(self):
        """How many packets were waiting."""
        count = 0
        for family in (4, 6):
            self._udp[family].settimeout(0)
            try:
                while self._udp[family].recvfrom(2048):
                    count += 1
            except BlockingIOError:
                pass
        return count

    def close(self):
        for sock in (*self._raw.values(), *self._udp.values()):
            sock.close()


class Table:
    """The program on the server."""

    def __init__(self, interpreter):
        heap = ["-X", "heapsize=8M"] if interpreter == "micropython" else []
        words = netns.command("pub", *interpreter_words(interpreter), *heap, str(PROGRAM))
        path = str(PACKAGE)
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": path, "MICROPYPATH": path,
            "PYTHONDONTWRITEBYTECODE": "1"})
        self.calls = 0

    def __getattr__(self, method):
        def call(*arguments):
            value, error = self.ask(method, *arguments)[:2]
            assert error is None, error
            return value
        return call

    def ask(self, method, *arguments):
        self.process.stdin.write(json.dumps([method, arguments]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        self.calls = answer[5]
        return answer

    def state(self):
        """(ready, problem, forwarding)"""
        return tuple(self.ask("state")[2:5])

    def load(self, limit=0, port=PORT):
        self.want(port, limit)
        wait_for(lambda: self.state()[0], 20, "the table is loaded")

    def close(self):
        self.process.stdin.write('["close", []]\n')
        self.process.stdin.flush()
        return self.process.wait(5)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Lab:
    """The namespaces, fw4 and the probe on the server, and a Host on each."""

    def __init__(self):
        netns.delete_all()
        netns.create("pub", *HOSTS)
        own = [f"addr add {ip}/{32 if family == 4 else 128} dev lo" for family in OWN for ip in OWN[family]]
        for number, host in enumerate(HOSTS, 1):
            netns.batch("pub", "ip", f"link add {host} type veth peer name wan netns {netns.full_name(host)}",
                        f"addr add 198.18.{number}.1/24 dev {host}", f"addr add 2001:db8:{number}::1/64 dev {host}",
                        f"link set {host} up")
            netns.batch(host, "ip", f"addr add {address(host)}/24 dev wan", f"addr add {address(host, 6)}/64 dev wan",
                        "link set wan up", f"route add default via 198.18.{number}.1",
                        f"route add default via 2001:db8:{number}::1")
        netns.batch("pub", "ip", *own)
        netns.nft("pub", "flush ruleset\n" + fw4() + PROBE + ACCEPT + "\n")
        self.hosts = {name: Host(name) for name in ("pub", *HOSTS)}
        self.tables = []
        for host in HOSTS:
            for family in OWN:
                wait_for(lambda host=host, family=family: self.hosts["pub"].reaches(self.hosts[host], family), 20,
                         f"{host} is reached")
        for host in HOSTS:
            self.hosts[host].drain()

    def table(self, interpreter):
        self.tables.append(Table(interpreter))
        return self.tables[-1]

    def marks(self):
        """How many packets had which mark since the last time."""
        text = netns.call("pub", "nft", "reset", "counters", "table", "inet", "probe")
        return {int(number): int(count) for number, count in re.findall(r"mark(\d) \{\s+packets (\d+)", text)}

    def close(self):
        for table in self.tables:
            table.kill()
        for host in self.hosts.values():
            host.close()
        netns.delete_all()


@pytest.fixture
def lab():
    lab = Lab()
    yield lab
    lab.close()


def members(*families):
    return {endpoint(host, family): OWN[family][number] for family in families or (4, 6)
            for number, host in enumerate(("alice", "bob"))}


def test_packets(lab):
    """Where packets go, and as what they arrive."""
    table = lab.table("python3")
    table.set_members(members())
    table.load()
    table.add([(endpoint("alice"), 7, endpoint("bob")), (endpoint("bob"), 8, endpoint("alice")),
               (endpoint("alice", 6), 9, endpoint("bob", 6)), (endpoint("bob", 6), 10, endpoint("alice", 6)),
               (endpoint("alice"), 11, endpoint("bob", 6))])
    alice, bob, eve, pub = (lab.hosts[name] for name in ("alice", "bob", "eve", "pub"))

    for kind in (4, 3):
        for size in (64, 65, 1400):
            data = message(kind, 7, size)
            alice.send(data)
            assert bob.receive() == (data, OWN[4][1], PORT), "from the address that bob knows, from WireGuard's port"
    bob.send(message(4, 8), own=1)
    assert alice.receive() == (message(4, 8), OWN[4][0], PORT)
    alice.send(message(4, 9), family=6)
    assert bob.receive(6) == (message(4, 9), OWN[6][1], PORT)
    bob.send(message(4, 10), own=1, family=6)
    assert alice.receive(6) == (message(4, 10), OWN[6][0], PORT)
    assert lab.marks() == {1: 9, 2: 0, 3: 0, 4: 0, 0: 0}
    assert pub.drain() == 0, "nothing of it came to our own WireGuard"

    # what is not to be relayed goes to our own WireGuard as it was
    for sender, data, more in (
            (alice, message(4, 77), {}), (eve, message(4, 78), {}), (alice, message(4, 77), {"family": 6}),
            (alice, message(4, 7), {"port": 1112}),  # known index, other port
            (alice, message(4, 8), {}),  # bob's index
            (eve, message(4, 7), {}), (alice, b"", {}), (alice, message(4, 7)[:6], {}), (eve, b"x" * 1200, {}),
            (alice, b"\4\0\1\0" + message(4, 7)[4:], {})):
        sender.send(data, **more)
        port = more.get("port") or int(endpoint(sender.name).rpartition(":")[2])
        assert pub.receive(more.get("family", 4)) == (data, address(sender.name, more.get("family", 4)), port)
    assert lab.marks() == {1: 0, 2: 0, 3: 0, 4: 3, 0: 7}, "three had a known index"

    # for the daemon: between two families, without a checksum, responses
    alice.send(message(4, 11))
    alice.send(message(4, 7), checksum=False)
    alice.send(message(2, 7))
    assert [pub.receive()[0] for _ in range(3)] == [message(4, 11), message(4, 7), message(2, 7)]
    bob.send(message(2, 10), own=1, family=6)
    assert pub.receive(6)[0] == message(2, 10)
    assert lab.marks() == {1: 0, 2: 0, 3: 4, 4: 0, 0: 0}
    for sender, data in ((eve, message(2, 7)), (alice, message(2, 8)), (alice, message(2, 7, 93))):
        sender.send(data)
        assert pub.receive()[0] == data
    assert lab.marks() == {1: 0, 2: 0, 3: 0, 4: 0, 0: 3}
    assert bob.drain() == alice.drain() == 0

    # others use bits of the mark, too
    netns.nft("pub", "table inet mwan3 { chain pre { type filter hook prerouting priority -150; "
                     "meta mark set meta mark | 0x3f00; }; }\n")
    alice.send(message(4, 7))
    assert bob.receive() == (message(4, 7), OWN[4][1], PORT)
    # to whom nobody knows a door nothing goes
    table.set_members({endpoint("alice"): OWN[4][0], endpoint("bob"): None})
    alice.send(message(4, 7, 99))
    table.set_members(members())
    alice.send(message(4, 7))
    assert bob.receive() == (message(4, 7), OWN[4][1], PORT), "the first one did not come"


def test_initiations_are_limited(lab):
    """Two in a second from a member, with its responses, twenty from a device; ten from others. Those of members are
    marked."""
    table = lab.table("python3")
    table.set_members(members())
    table.load()
    table.add([(endpoint("alice"), 7, endpoint("bob"))])
    alice, bob, eve, pub = (lab.hosts[name] for name in ("alice", "bob", "eve", "pub"))

    def burst(sender, data, count, **more):
        """(how many of so many packets pass, the seconds that it took)"""
        begin = time.monotonic()
        for _ in range(count):
            sender.send(data, **more)
        took = time.monotonic() - begin
        passed = 0
        while pub.receive(more.get("family", 4), 0.2):
            passed += 1
        return passed, took

    def is_limited(result, at_once, rate):
        return at_once <= result[0] <= at_once + 1 + rate * result[1] < 100

    for family in (4, 6):
        result = burst(alice, message(1, 1), 200, family=family)
        assert is_limited(result, 5, 2) and lab.marks()[INITIATION & 7] == result[0]
        assert is_limited(burst(eve, message(1, 1), 200, family=family), 20, 10)
        assert lab.marks()[INITIATION & 7] == 0
    for family in (4, 6):
        assert is_limited(burst(bob, message(1, 1), 200, own=1, family=family), 5, 2), "another member is not hit"
    table.set_members(members(), [endpoint("bob"), endpoint("bob", 6)])
    lab.marks()
    for family in (4, 6):
        result = burst(bob, message(1, 1), 200, own=1, family=family)
        assert is_limited(result, 40, 20) and lab.marks()[INITIATION & 7] == result[0]
    end = time.monotonic() + 5
    while time.monotonic() < end:  # responses count with them
        alice.send(message(1, 1))
        alice.send(message(2, 7))
    pub.drain()
    marks = lab.marks()
    assert marks[INITIATION & 7] + marks[USERSPACE & 7] <= 5 + 2 * 6
    assert burst(alice, message(1, 1, 147), 30)[0] == 30, "what is no initiation is WireGuard's to refuse"
    assert is_limited(burst(alice, message(1, 1), 200, port=9), 20, 10), "not the member's endpoint"
    assert lab.marks()[INITIATION & 7] == 0
    for sender in (alice, eve):
        for _ in range(100):
            sender.send(message(1, 1), to=address("bob"))
    assert lab.marks()[0] == 200, "what only passes through here is not ours to limit"
    assert burst(eve, message(4, 7), 100)[0] == 100
    assert 5 <= lab.marks()[HINT & 7] <= 50, "hints are few"


def test_limit_and_counters(lab):
    """Per pair: what went, and how much may."""
    table = lab.table("python3")
    table.set_members(members())
    table.load()
    table.add([(endpoint("alice"), 7, endpoint("bob")), (endpoint("bob"), 8, endpoint("alice"))])
    alice, bob = lab.hosts["alice"], lab.hosts["bob"]
    for _ in range(10):
        alice.send(message(4, 7, 1000))
        assert bob.receive()
    bob.send(message(4, 8, 96), own=1)
    assert alice.receive()
    assert sorted(table.pairs()) == [[endpoint("alice"), endpoint("bob"), 10, 10280],
                                     [endpoint("bob"), endpoint("alice"), 1, 124]]
    assert table.counters(False) == [11, 11]
    netns.call("pub", "nft", "flush chain inet fw4 forward")
    alice.send(message(4, 7))
    wait_for(lambda: table.counters(False) == [12, 11], 5, "counted although the kernel does not forward it")
    netns.nft("pub", ACCEPT)

    table.want(PORT, 20)  # kB/s; in the first second twice as much
    wait_for(lambda: "20 kbytes/second" in netns.call("pub", "nft", "list", "chain", "inet", TABLE, "relayed"), 10,
             "the limit is there")
    for _ in range(200):
        alice.send(message(4, 7, 1000))
    assert 15 <= bob.drain() <= 60
    bob.send(message(4, 8), own=1)
    assert alice.receive(), "the other direction has its own"
    assert table.pairs()[0][2] > 200 or table.pairs()[1][2] > 200, "what is dropped is counted, too"


def test_full_sets(lab):
    """What packets fill is full: the relay goes on, and nobody who has an entry loses it."""
    table = lab.table("python3")
    table.set_members(members())
    table.load(limit=100000)
    table.add([(endpoint("alice"), 7, endpoint("bob"))])
    alice, bob, eve, pub = (lab.hosts[name] for name in ("alice", "bob", "eve", "pub"))
    for _ in range(20):
        alice.send(message(1, 1))
    assert 5 <= pub.drain() <= 7
    for name, row, count in (("pairs4", "10.9.{}.{} . 9 . 10.0.0.1 . 9", 4096), ("strangers4", "10.9.{}.{}", 16384),
                             ("rates4", "10.9.{}.{} . 9 . 10.0.0.1 . 9", 4096)):
        rows = ", ".join(row.format(number >> 8, number & 255) + " timeout 1h" for number in range(count))
        netns.nft("pub", f"add element inet {TABLE} {name} {{ {rows} }}\n")
    alice.send(message(4, 7))
    assert bob.receive() == (message(4, 7), OWN[4][1], PORT)
    for _ in range(100):
        alice.send(message(1, 1))
    assert pub.drain() <= 5, "an entry from before limits"
    eve.send(message(1, 1))
    assert pub.receive()[0] == message(1, 1)
    assert len(table.pairs()) == 4096 and table.counters(False) == [1, 1]


def elements(name):
    """The lines that nft shows for a set or map, without times; [] for an empty one."""
    kind = "map" if name[:-1] in ("address", "port", "door") else "set"
    text = netns.call("pub", "nft", "list", kind, "inet", TABLE, name)
    found = re.search(r"elements = \{(.*?)\}", text, re.S)
    return sorted(re.sub(r" (expires|timeout) \S+", "", row).strip() for row in found[1].split(",")) if found else []


def test_elements(lab, interpreter):
    """What the program says by netlink is what nft shows."""
    table = lab.table(interpreter)
    table.set_members({endpoint("alice"): OWN[4][0], endpoint("bob"): OWN[4][1], endpoint("eve", 6): OWN[6][0],
                       "[2001:db8::9]:99": None})
    assert table.state() == (False, None, True)
    assert table.ask("add", [(endpoint("alice"), 7, endpoint("bob"))])[1] == "the table is not loaded"
    table.load()
    assert table.calls == 1
    assert elements("members4") == ["198.18.1.2 . 1111", "198.18.2.2 . 2222"]
    assert elements("door4") == ["198.18.1.2 . 1111 : 192.0.2.1", "198.18.2.2 . 2222 : 192.0.2.2"]
    assert elements("members6") == ["2001:db8:3::2 . 3333", "2001:db8::9 . 99"]
    assert elements("door6") == ["2001:db8:3::2 . 3333 : 2001:db8:ffff::1"]
    table.set_members({endpoint("alice"): OWN[4][1], endpoint("bob"): OWN[4][1], "198.18.9.9:9": OWN[4][0]})
    assert elements("members4") == ["198.18.1.2 . 1111", "198.18.2.2 . 2222", "198.18.9.9 . 9"]
    assert elements("door4") == ["198.18.1.2 . 1111 : 192.0.2.2", "198.18.2.2 . 2222 : 192.0.2.2",
                                 "198.18.9.9 . 9 : 192.0.2.1"]
    assert elements("members6") == elements("door6") == []

    table.add([(endpoint("alice"), 0x01020304, endpoint("bob")), (endpoint("alice"), 5, endpoint("bob", 6)),
               (endpoint("eve", 6), 6, endpoint("bob", 6))])
    assert elements("address4") == ["198.18.1.2 . 1111 . 0x1020304 : 198.18.2.2"]
    assert elements("port4") == ["198.18.1.2 . 1111 . 0x1020304 : 2222"]
    assert elements("routes4") == ['198.18.1.2 . 1111 . 0x1020304 comment "198.18.2.2:2222"',
                                   '198.18.1.2 . 1111 . 0x5 comment "[2001:db8:2::2]:2222"']
    assert elements("address6") == ["2001:db8:3::2 . 3333 . 0x6 : 2001:db8:2::2"]
    assert elements("port6") == ["2001:db8:3::2 . 3333 . 0x6 : 2222"]
    assert elements("indices") == ["0x1020304", "0x5", "0x6"]
    # other data for a key that is there; one endpoint has moved, in one step; what is not there is deleted
    table.add([(endpoint("alice"), 0x01020304, "198.18.9.9:9")])
    table.replace([(endpoint("alice"), 5), (endpoint("eve", 6), 6), (endpoint("eve"), 1)],
                  [("198.18.1.3:3", 5, endpoint("bob")), (endpoint("eve", 6), 6, "[2001:db8::9]:99")])
    assert elements("address4") == ["198.18.1.2 . 1111 . 0x1020304 : 198.18.9.9", "198.18.1.3 . 3 . 0x5 : 198.18.2.2"]
    assert elements("routes6") == ['2001:db8:3::2 . 3333 . 0x6 comment "[2001:db8::9]:99"']
    assert elements("port6") == ["2001:db8:3::2 . 3333 . 0x6 : 99"]
    assert sorted(table.routes()) == sorted([
        [endpoint("alice"), 0x01020304, "198.18.9.9:9"], ["198.18.1.3:3", 5, endpoint("bob")],
        [endpoint("eve", 6), 6, "[2001:db8::9]:99"]])
    many = [(endpoint("alice"), 1000 + number, endpoint("bob")) for number in range(500)]
    table.add(many)
    assert len(elements("address4")) == 502
    table.replace([route[:2] for route in many])
    assert len(elements("address4")) == len(elements("port4")) == 2 and len(elements("routes4")) == 2

    # somebody has changed the elements: the next change puts all right
    netns.nft("pub", f"flush map inet {TABLE} address4\nflush map inet {TABLE} port4\n"
                     f"add element inet {TABLE} port4 {{ 198.18.1.3 . 3 . 0x5 : 4 }}\n")
    table.replace([("198.18.1.3:3", 5)], [("198.18.1.3:3", 7, endpoint("bob"))])
    assert elements("address4") == ["198.18.1.2 . 1111 . 0x1020304 : 198.18.9.9", "198.18.1.3 . 3 . 0x7 : 198.18.2.2"]
    assert elements("port4") == ["198.18.1.2 . 1111 . 0x1020304 : 9", "198.18.1.3 . 3 . 0x7 : 2222"]

    table.lose_forwarding(False)
    table.lose_forwarding(True)
    assert table.state() == (True, None, False)
    assert elements("address4") == elements("port6") == [] and len(elements("routes4")) == 2
    table.add([(endpoint("bob"), 9, endpoint("alice"))])
    assert elements("address4") == [] and table.target(endpoint("bob"), 9) == endpoint("alice")
    table.regain_forwarding(False)
    table.regain_forwarding(True)
    assert len(elements("address4")) == 3 and table.state() == (True, None, True)
    assert table.close() == 0


def test_life_of_the_table(lab, interpreter):
    """Over the table of a killed daemon nothing is lost; after a flush it is there again; at the end it is gone."""
    first = lab.table(interpreter)
    first.set_members(members())
    first.load()
    first.add([(endpoint("alice"), 7, endpoint("bob")), (endpoint("alice"), 8, endpoint("bob", 6))])
    alice, bob = lab.hosts["alice"], lab.hosts["bob"]

    def relayed():
        alice.send(message(4, 7))
        return bob.receive(seconds=1) == (message(4, 7), OWN[4][1], PORT)

    assert relayed()
    first.kill()
    assert relayed(), "without a daemon"
    second = lab.table(interpreter)
    second.set_members(members())
    second.load(limit=100000)
    assert relayed()
    assert sorted(second.routes()) == [[endpoint("alice"), 7, endpoint("bob")],
                                       [endpoint("alice"), 8, endpoint("bob", 6)]]
    assert second.target(endpoint("alice"), 8) == endpoint("bob", 6)
    assert second.pairs() == [[endpoint("alice"), endpoint("bob"), 3, 3 * 124]] and second.counters(False) == [3, 3]
    second.want(PORT + 1, 0)
    wait_for(lambda: "dport 51821" in netns.call("pub", "nft", "list", "chain", "inet", TABLE, "prerouting"), 10,
             "another listen port")
    second.load()
    wait_for(relayed, 10, "the first port again")

    netns.nft("pub", "flush ruleset\n" + fw4() + ACCEPT + "\n")
    wait_for(lambda: has_table("pub", TABLE), 20, "loaded again after somebody flushed everything")
    wait_for(relayed, 5, "routes are there again, too")

    # a table that does not go with ours
    second.kill()
    netns.nft("pub", f"delete table inet {TABLE}\ntable inet {TABLE} {{ map address4 {{ type mark : mark; }}; "
                     "chain prerouting { type filter hook postrouting priority 5; }; }\n")
    third = lab.table(interpreter)
    third.set_members(members())
    third.load()
    third.add([(endpoint("alice"), 7, endpoint("bob"))])
    assert relayed()

    third.want(None, 0)
    assert not has_table("pub", TABLE) and third.state() == (False, None, True)
    third.load()
    assert elements("routes4") == [] and elements("members4") != []
    assert third.close() == 0
    assert not has_table("pub", TABLE) and has_table("pub", "fw4")
    assert "wgp2p" not in netns.call("pub", "nft", "list", "ruleset")
