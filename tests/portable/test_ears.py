"""ears.py and initiations.py: from where an initiation came and where it begins, whatever comes. Root for the test with
real sockets. (What WireGuard itself sends: tests/lab/kernel_wireguard.py.)"""
import struct

from helpers import Skip, drive
from test_syscalls import udp

from wgp2p import compat
from wgp2p.ears import INITIATION, Ears
from wgp2p.initiations import Initiations
from wgp2p.loop import Loop

UDP = struct.pack("!HHHH", 4000, 51820, 156, 0)
GOOD = b"\x01" + bytes(147)


class Bench(Ears):
    """Ears without sockets; `told`: what was heard."""

    def __init__(self):
        self.told, self.sizes = [], []
        Ears.__init__(self, None, 51820, INITIATION, 20, lambda *row: self.told.append(row))

    def _open(self, loop, family, port, kind, size, heard):
        self.sizes.append((family, size))

    def arrive(self, *datagrams):
        """Of both families."""
        self._heard_v4([(data, compat.sockaddr("203.0.113.31", 0)) for data in datagrams])
        self._heard_v6([(data, compat.sockaddr("2001:db8::7", 0)) for data in datagrams])


def test_ipv4_with_and_without_options_and_ipv6():
    bench = Bench()
    for length in (5, 6, 15):
        header = bytes([0x40 + length]) + bytes(4 * length - 1)
        bench._heard_v4([(header + UDP + GOOD, compat.sockaddr("203.0.113.31", 0))])
    bench._heard_v6([(UDP + GOOD, compat.sockaddr("2001:db8::7", 0))])
    assert bench.told == [("203.0.113.31:4000", UDP + GOOD)] * 3 + [("[2001:db8::7]:4000", UDP + GOOD)]
    assert bench.sizes == [(compat.AF_INET, 80), (compat.AF_INET6, 20)]


def test_rubbish():
    bench = Bench()
    bench.arrive()
    bench.arrive(b"", b"\0", b"\xff" * 40, bytes(100))
    assert [row[0] for row in bench.told] == ["[2001:db8::7]:65535"], "there is nothing but UDP's header"
    for cut in range(21):
        bench._heard_v4([((b"\x45" + bytes(19) + UDP)[:cut], compat.sockaddr("203.0.113.31", 0))])
    assert len(bench.told) == 1


def test_from_the_kernel():
    loop, told, port = Loop(), [], 20000 + compat.random_below(20000)
    try:
        heard = Initiations(loop, port, told.append)
    except OSError as error:
        raise Skip("no raw sockets (errno %d)" % error.args[0])
    sender = udp(port + 1)
    for message in (GOOD[:-1], GOOD + b"x", b"\x02" + GOOD[1:], b"\x01\0\0\x01" + GOOD[4:], GOOD):
        sender.sendto(message, compat.sockaddr("127.0.0.1", port))
    drive(loop, lambda: told)
    assert told == ["127.0.0.1:%d" % (port + 1)]
    heard.close()
    heard.close()
    sender.close()
