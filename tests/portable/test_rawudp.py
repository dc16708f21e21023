"""rawudp.py: the packet byte by byte, and a kernel that takes it (which checks the checksum)."""
import struct

from helpers import Skip, drive, raises

from wgp2p import compat
from wgp2p.addr import parse_ip
from wgp2p.loop import READ, Loop
from wgp2p.rawudp import RawUdp, packet


def folded(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_ipv4_packet():
    source, target = parse_ip("192.0.2.1"), parse_ip("198.51.100.7")
    for payload in (b"", b"a", b"ab", b"\xff" * 1452):
        made = packet(source, 51820, target, 4000, payload)
        size = struct.pack("!H", 28 + len(payload))
        assert made[:20] == b"\x45\0" + size + b"\0\0\0\0\x40\x11\0\0" + source + target
        assert struct.unpack("!HHH", made[20:26]) == (51820, 4000, 8 + len(payload))
        assert made[28:] == payload
        pseudo = source + target + struct.pack("!BBH", 0, 17, 8 + len(payload))
        assert folded(pseudo + made[20:] + bytes(len(payload) & 1)) == 0xFFFF


def test_ipv6_packet():
    source, target = parse_ip("2001:db8::1"), parse_ip("2001:db8::ffff")
    made = packet(source, 51820, target, 4000, b"abc")
    assert made[:40] == b"\x60\0\0\0\0\x0b\x11\x40" + source + target
    pseudo = source + target + struct.pack("!II", 11, 17)
    assert folded(pseudo + made[40:] + b"\0") == 0xFFFF


def test_every_length():
    source, target = parse_ip("192.0.2.1"), parse_ip("198.51.100.7")
    for length in range(70):
        payload = bytes([255 - 3 * i for i in range(length)])
        made = packet(source, 51820, target, 4000, payload)
        pseudo = source + target + struct.pack("!BBH", 0, 17, 8 + length)
        assert folded(pseudo + made[20:] + bytes(length & 1)) == 0xFFFF, length


def test_checksum_is_never_zero():
    """A sum of zero is sent as its other form."""
    source, target = parse_ip("192.0.2.1"), parse_ip("198.51.100.7")
    plain = packet(source, 51820, target, 4000, bytes(2))
    rest = struct.unpack("!H", plain[26:28])[0]
    assert packet(source, 51820, target, 4000, struct.pack("!H", rest))[26:28] == b"\xff\xff"


def receiver(family, ip):
    sock = compat.open_socket(family, compat.SOCK_DGRAM)
    for _ in range(50):
        port = 20000 + compat.random_below(20000)
        try:
            sock.bind(compat.sockaddr(ip, port))
            return sock, port
        except OSError as error:
            if error.args[0] == compat.EADDRNOTAVAIL:
                break
    sock.close()
    raise Skip("no address " + ip)


def take(family, source, target):
    sock, port = receiver(family, target)
    raw, loop, ready = RawUdp(), Loop(), []
    try:
        raw.send(source, 51820, target, port, b"hello")
        raw.send(source, 51820, target, port, b"odd")
    except OSError as error:
        if error.args[0] == 1:
            raise Skip("needs root")
        raise
    loop.watch(sock.fileno(), READ, ready.append)
    got = []
    while len(got) < 2:
        drive(loop, lambda: ready)
        del ready[:]
        data, address = sock.recvfrom(100)
        got.append((data, compat.sockaddr_text(address)))
    assert got == [(b"hello", (source, 51820)), (b"odd", (source, 51820))]
    loop.unwatch(sock.fileno())
    sock.close()
    raw.close()
    raw.close()


def test_kernel_takes_ipv4():
    take(compat.AF_INET, "127.0.0.9", "127.0.0.1")


def test_kernel_takes_ipv6():
    take(compat.AF_INET6, "::1", "::1")


def test_addresses_that_are_remembered_are_bounded():
    raw = RawUdp()
    for number in range(1000):
        raw._pack("192.0.%d.%d" % (number // 256, number % 256))
    assert len(raw._packed) <= 256 and raw._pack("192.0.2.1") == bytes([192, 0, 2, 1])


class Full:
    """A socket that says no."""

    def __init__(self, number):
        self.number = number

    def sendto(self, *_):
        raise OSError(self.number)

    def close(self):
        pass


def test_a_full_socket_loses_the_packet_and_other_errors_are_told():
    raw = RawUdp()
    raw._sockets[compat.AF_INET] = Full(11)
    raw.send("192.0.2.1", 1, "192.0.2.2", 2, b"x")
    raw._sockets[compat.AF_INET] = Full(90)
    assert raises(OSError, raw.send, "192.0.2.1", 1, "192.0.2.2", 2, b"x").args[0] == 90
