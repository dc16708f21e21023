"""openers.py: the packets byte by byte, when the route is asked for, and a kernel that takes them (which checks the
checksum)."""
import struct

from helpers import Skip, VirtualLoop, drive, raises
from test_syscalls import free_port_pair

from wgp2p import compat, openers
from wgp2p.addr import parse_ip
from wgp2p.copier import OPENER
from wgp2p.loop import READ, Loop
from wgp2p.openers import Openers
from wgp2p.rawudp import packet

OWN, CLIENT, PORT = "192.0.2.1", "198.51.100.7", 51820


class Bench:
    """Openers with a socket and a route of the test's own. `room`: how many packets the socket takes; `error`: what it
    says then."""

    def __init__(self):
        self.loop, self.sent, self.marks, self.asked = VirtualLoop(), [], [], []
        self.own, self.room, self.error, self.opened = OWN, 100000, 11, 0
        self.openers = Openers(self.loop)

    def __enter__(self):
        self._real = openers.open_socket, openers.links
        openers.open_socket, openers.links = self._open, self
        return self

    def __exit__(self, *_):
        openers.open_socket, openers.links = self._real

    def _open(self, family, kind, protocol):
        assert (family, kind, protocol) == (2, 3, 255)
        self.opened += 1
        return self

    def source_of(self, ip):
        self.asked.append(ip)
        if self.own is None:
            raise OSError(101)
        return self.own

    # -- the socket
    def setsockopt(self, level, option, value):
        assert (level, option) == (compat.SOL_SOCKET, 36)
        self.marks.append(struct.unpack("I", value)[0])

    def sendto(self, data, address):
        if len(self.sent) >= self.room:
            raise OSError(self.error)
        self.sent.append((bytes(data), compat.sockaddr_text(address)))

    def close(self):
        self.opened -= 1


def test_every_port():
    """The same packet as rawudp.py makes, whatever was sent before."""
    with Bench() as bench:
        source, target, full = parse_ip(OWN), parse_ip(CLIENT), 0
        for first in range(1, 65536, 4369):
            ports = range(first, first + 4369)
            assert bench.openers.open(CLIENT, PORT, ports) == 4369
            for port in ports:
                data, address = bench.sent[port - first]
                assert data == packet(source, PORT, target, port, OPENER), port
                assert address == (CLIENT, 0)
                full += data[26:28] == b"\xff\xff"
            del bench.sent[:]
        assert full == 1, "the checksum that may not be zero is among them"


def test_no_room_and_refused():
    with Bench() as bench:
        bench.room = 3
        assert bench.openers.open(CLIENT, PORT, [5, 6, 7, 8, 9]) == 3
        assert [struct.unpack_from("!H", data, 22)[0] for data, _ in bench.sent] == [5, 6, 7]
        assert bench.openers.open(CLIENT, PORT, [8]) == 0
        bench.error = 1
        assert raises(OSError, bench.openers.open, CLIENT, PORT, [8]).args[0] == 1


def test_the_route_is_asked_for_again():
    with Bench() as bench:
        def source():
            bench.openers.open(CLIENT, PORT, [1])
            return bench.sent[-1][0][12:16]

        assert source() == parse_ip(OWN)
        bench.own = "192.0.2.2"
        bench.loop.advance(999)
        assert source() == parse_ip(OWN) and bench.asked == [CLIENT]
        bench.loop.advance(1)
        assert source() == parse_ip("192.0.2.2")
        bench.openers.open("198.51.100.8", PORT, [1])
        bench.openers.open("198.51.100.8", PORT + 1, [1])
        assert bench.asked == [CLIENT, CLIENT, "198.51.100.8", "198.51.100.8"] and bench.opened == 1
        assert bench.sent[-1] == (packet(parse_ip("192.0.2.2"), PORT + 1, parse_ip("198.51.100.8"), 1, OPENER),
                                  ("198.51.100.8", 0))


def test_no_route():
    with Bench() as bench:
        bench.openers.open(CLIENT, PORT, [1])
        bench.own = None
        bench.loop.advance(1000)
        for _ in range(2):
            assert raises(OSError, bench.openers.open, CLIENT, PORT, [2]).args[0] == 101
        assert len(bench.sent) == 1
        bench.own = OWN
        assert bench.openers.open(CLIENT, PORT, [2]) == 1


def test_marked_while_untracked():
    with Bench() as bench:
        for untracked in (False, True, True, False):
            bench.openers.open(CLIENT, PORT, [1], untracked)
        assert bench.marks == [0, 0x77000005, 0]


def test_close_and_again():
    with Bench() as bench:
        bench.openers.close()
        bench.openers.open(CLIENT, PORT, [1], True)
        bench.openers.close()
        bench.openers.close()
        assert bench.opened == 0
        bench.openers.open(CLIENT, PORT, [1], True)
        assert bench.opened == 1 and bench.marks == [0x77000005] * 2, "a new socket has no mark"


def test_kernel_takes_them():
    receivers = [free_port_pair() for _ in range(3)]
    loop, heard = Loop(), []
    for sock, _ in receivers:
        loop.watch(sock.fileno(), READ, lambda _, sock=sock: heard.append(sock.recvfrom(100)))
    sender = Openers(loop)
    real, openers.links.source_of = openers.links.source_of, lambda _: "127.0.0.9"
    try:
        for untracked in (False, True):
            assert sender.open("127.0.0.1", PORT, [port for _, port in receivers], untracked) == 3
            drive(loop, lambda untracked=untracked: len(heard) == (6 if untracked else 3))
    except OSError as error:
        if error.args[0] == 1:
            raise Skip("needs root")
        raise
    finally:
        openers.links.source_of = real
        sender.close()
        for sock, _ in receivers:
            sock.close()
    for data, address in heard:
        assert data == OPENER and compat.sockaddr_text(address) == ("127.0.0.9", PORT)
