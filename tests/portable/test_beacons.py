"""beacons.py: whose beacon a packet is, and what others may cost. Root for the test with real sockets."""
import struct

from helpers import Skip, VirtualLoop, drive
from test_syscalls import udp

from wgp2p import compat
from wgp2p.beacons import Beacons
from wgp2p.blake2s import Mac1
from wgp2p.loop import Loop
from wgp2p.wgpacket import mac1_key

PORT = 51820


def mac1_of(name):
    return Mac1(mac1_key((name * 32)[:32].encode()))


def initiation(name, salt=0):
    body = struct.pack("<IHH", 1, salt, 7) + bytes(108)
    return body + mac1_of(name).of(body) + bytes(16)


def address(ip, port):
    return compat.sockaddr(ip, 0), struct.pack("!HHHH", port, PORT, 156, 0)


class Bench(Beacons):
    """Beacons without sockets; `heard`: what was told, `hashed`: how many hashes were made."""

    def __init__(self, *names):
        self.loop, self.told, self.hashed = VirtualLoop(), [], 0
        Beacons.__init__(self, self.loop, PORT, lambda *row: self.told.append(row))
        self.wants(*names)

    def _open(self, family, port, size, heard):
        pass

    def wants(self, *names):
        self.want(dict([(name, Counted(self, name)) for name in names]))

    def arrive(self, message, ip="203.0.113.31", port=4000):
        if ":" in ip:
            self._heard_v6([(address(ip, port)[1] + message, address(ip, port)[0])])
        else:
            self._heard_v4([(b"\x46" + bytes(23) + address(ip, port)[1] + message, address(ip, port)[0])])


class Counted:
    def __init__(self, bench, name):
        self._bench, self._mac1 = bench, mac1_of(name)

    def of(self, data):
        self._bench.hashed += 1
        return self._mac1.of(data)


def test_whose_and_from_where():
    bench = Bench("a", "b", "c")
    bench.arrive(initiation("b"))
    bench.arrive(initiation("c"), "2001:db8::7", 5000)
    bench.arrive(initiation("x"))
    assert bench.told == [("b", "203.0.113.31:4000"), ("c", "[2001:db8::7]:5000")]
    bench.wants("a")
    bench.arrive(initiation("b", 1))
    assert len(bench.told) == 2


def test_rubbish():
    bench = Bench("a")
    bench.arrive(initiation("a"), port=0)
    for cut in (0, 10, 40, 155):
        bench._heard_v4([((b"\x45" + bytes(19) + initiation("a"))[:cut], address("203.0.113.31", 1)[0])])
        bench._heard_v6([((bytes(8) + initiation("a"))[:cut], address("2001:db8::7", 1)[0])])
    bench._heard_v4([])
    bench.arrive(bytes(148))
    assert bench.told == [] and bench.hashed == 1


def test_the_same_message_counts_once():
    bench = Bench("a")
    for ip in ("203.0.113.31", "198.51.100.1", "203.0.113.31"):
        bench.arrive(initiation("a"), ip)
    assert bench.told == [("a", "203.0.113.31:4000")] and bench.hashed == 1, "sent again from elsewhere"
    for salt in range(1, 65):
        bench.arrive(initiation("a", salt))
        bench.loop.advance(100)
    bench.arrive(initiation("a"), "198.51.100.1")
    assert len(bench.told) == 66 and len(bench._seen) == 64


def test_four_hashes_a_packet_and_everybody_gets_a_turn():
    names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
    bench = Bench(*names)
    bench.arrive(initiation("x"))
    assert bench.hashed == 4
    for salt in range(3):
        bench.loop.advance(1000)
        bench.arrive(initiation("i", salt))
    assert bench.told == [("i", "203.0.113.31:4000")] * 2 and bench.hashed == 4 + 4 + 1 + 1, "known at that address"
    bench.wants(*reversed(names + ["j"]))
    bench.arrive(initiation("x"), "198.51.100.1")
    bench.arrive(initiation("i", 3))
    assert bench.hashed == 15 and len(bench.told) == 3, "whoever had a turn meanwhile"
    bench.arrive(initiation("x"))
    assert bench.hashed == 19


def test_forty_hashes_a_second():
    bench = Bench("a", "b", "c", "d", "e")
    for number in range(1000):
        bench.arrive(initiation("x", number), "198.51.100.%d" % (number % 200))
    assert bench.hashed == 40
    bench.loop.advance(1000)
    for salt in range(2):
        bench.arrive(initiation("e", salt))
    assert bench.told


def test_from_the_kernel():
    loop, told, port = Loop(), [], 20000 + compat.random_below(20000)
    try:
        heard = Beacons(loop, port, lambda *row: told.append(row))
    except OSError as error:
        raise Skip("no raw sockets (errno %d)" % error.args[0])
    heard.want({"a": mac1_of("a")})
    sender = udp(port + 1)
    for message in (bytes(148), initiation("a")[:147], initiation("b"), initiation("a")):
        sender.sendto(message, compat.sockaddr("127.0.0.1", port))
    drive(loop, lambda: told)
    assert told == [("a", "127.0.0.1:%d" % (port + 1))]
    heard.close()
    heard.close()
    sender.close()
