"""copier.py: which packets are captured, what is sent where, and when it ends. Root for the tests with real sockets."""
import struct

from helpers import Skip, drive, raises
from test_syscalls import free_port_pair, udp

from wgp2p import compat, copier
from wgp2p.addr import parse_ip
from wgp2p.copier import Copier, capture_filter
from wgp2p.loop import Loop

RELAY, RELAY6, PORT = ("203.0.113.10", 51821), ("2001:db8::10", 51821), 51820
MESSAGE = struct.pack("<I", 4) + b"INDX" + bytes(56)


def accepts(program, data, outgoing=True):
    """What the classic BPF program (linux/filter.h) says of a packet; a load behind its end drops it."""
    at = value = 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        if code == 0x06:
            return bool(k)
        if code == 0x54:
            value &= k
        elif code == 0x30 and k == 0xFFFFF004:
            value = 4 if outgoing else 0
        elif code in (0x20, 0x28, 0x30):
            if k + {0x20: 4, 0x28: 2, 0x30: 1}[code] > len(data):
                return False
            value = struct.unpack_from({0x20: "!I", 0x28: "!H", 0x30: "B"}[code], data, k)[0]
        else:
            at += yes if {0x15: value == k, 0x45: value & k}[code] else no


def ipv4(message=MESSAGE, target=RELAY, port=PORT, first=0x45, protocol=17, fragment=0x4000):
    return (struct.pack("!BBHHHBBH", first, 0, 28 + len(message), 0, fragment, 64, protocol, 0)
            + parse_ip("10.20.0.2") + parse_ip(target[0])
            + struct.pack("!HHHH", port, target[1], 8 + len(message), 0) + message)


def ipv6(message=MESSAGE, target=RELAY6, port=PORT, first=0x60, protocol=17):
    return (struct.pack("!BBHHBB", first, 5, 77, 8 + len(message), protocol, 64)
            + parse_ip("2001:db8::20") + parse_ip(target[0])
            + struct.pack("!HHHH", port, target[1], 8 + len(message), 0) + message)


def sized(size, kind=4):
    return struct.pack("<I", kind) + bytes(size - 4)


def test_captured():
    for relay, make, others in ((RELAY, ipv4, ("203.0.113.11", "203.1.113.10")),
                                (RELAY6, ipv6, ("2001:db8::11", "2001:db9::10", "2001:db8:0:1::10"))):
        program = capture_filter(relay, PORT, 64)
        assert accepts(program, make())
        assert not accepts(program, make(), outgoing=False)
        for size, good in ((32, False), (63, False), (64, True), (65, False), (320, False)):
            assert accepts(program, make(sized(size))) is good, size
        for kind in (0, 1, 2, 3, 5, 0x104, 0x04000000):
            assert not accepts(program, make(sized(64, kind)))
        for target in [(other, relay[1]) for other in others] + [(relay[0], relay[1] + 1)]:
            assert not accepts(program, make(target=target)), target
        assert not accepts(program, make(port=PORT + 1)) and not accepts(program, make(protocol=6))
        for first in (0x46, 0x50, 0x05):
            assert not accepts(program, make(first=first))
        for cut in range(len(make()) - 60):
            assert not accepts(program, make()[:cut])
    assert accepts(capture_filter(RELAY6, PORT, 64), ipv6(first=0x6F)), "a traffic class"
    for fragment in (0x2000, 0x0001, 0x1FFF):
        assert not accepts(capture_filter(RELAY, PORT, 64), ipv4(fragment=fragment))


class Bench:
    """A Copier on the loopback interface. `port`: of WireGuard's stand-in, `relay` and `client`: sockets."""

    def __init__(self):
        self.loop = Loop()
        self.wireguard, self.port = free_port_pair()
        self.relay, self.relay_port = free_port_pair()
        self.client, self.client_port = free_port_pair()
        self.copier = Copier(self.loop)

    def __enter__(self):
        self._real, copier.links = copier.links, self
        return self

    def __exit__(self, *_):
        copier.links = self._real
        self.copier.close()
        for sock in (self.wireguard, self.relay, self.client):
            sock.close()

    def route(self, _):
        return "lo", 1, "127.0.0.1"

    def source_of(self, _):
        return "127.0.0.1"

    def send(self, message):
        self.wireguard.sendto(message, compat.sockaddr("127.0.0.1", self.relay_port))

    def attempt(self, *messages):
        try:
            self.copier.attempt("127.0.0.1:%d" % self.relay_port, "127.0.0.1:%d" % self.client_port, self.port, 64,
                                lambda: [self.send(message) for message in messages])
        except OSError as error:
            if error.args[0] in (1, 13):
                raise Skip("needs root")
            raise

    def received(self):
        """What came to the client; all of it from WireGuard's port."""
        found = []
        while True:
            try:
                data, source = self.client.recvfrom(2000)
            except OSError as error:
                assert compat.is_again(error)
                return found
            assert compat.sockaddr_text(source) == ("127.0.0.1", self.port)
            found.append(data)


def test_opens_and_copies_three_at_most():
    with Bench() as bench:
        bench.send(MESSAGE)
        bench.attempt(MESSAGE, sized(80), sized(64, 1), MESSAGE[:32], sized(64), MESSAGE, sized(64))
        assert bench.copier.busy
        drive(bench.loop, lambda: not bench.copier.busy)
        assert bench.received() == [bytes(4), MESSAGE, sized(64), MESSAGE], "nothing from before the attempt"
        bench.attempt(MESSAGE)
        drive(bench.loop, lambda: not bench.copier.busy)
        assert bench.received() == [bytes(4), MESSAGE]


def test_ends_by_itself():
    with Bench() as bench:
        begin = bench.loop.now()
        bench.attempt()
        other = udp()
        other.sendto(MESSAGE, compat.sockaddr("127.0.0.1", bench.relay_port))
        drive(bench.loop, lambda: not bench.copier.busy)
        assert 200 <= bench.loop.now() - begin < 1000
        bench.send(MESSAGE)
        drive(bench.loop, lambda: bench.loop.now() > begin + 300)
        assert bench.received() == [bytes(4)], "another's packet, and one that is too late"
        other.close()


def test_what_goes_wrong_is_told_and_leaves_nothing():
    with Bench() as bench:
        def refuse(*_):
            raise OSError(101)

        bench.attempt()
        assert raises(OSError, bench.copier.attempt, "127.0.0.1:%d" % bench.relay_port,
                      "127.0.0.1:%d" % bench.client_port, bench.port, 64, refuse).args[0] == 101
        assert not bench.copier.busy and bench.copier._tap is None and bench.copier._raw is None
        for name in ("route", "source_of"):
            real = getattr(bench, name)
            setattr(bench, name, refuse)
            assert raises(OSError, bench.attempt).args[0] == 101 and not bench.copier.busy
            setattr(bench, name, real)
