"""beacons.py: whose beacon a packet is, and what others may cost. Root for the test with real sockets."""
import struct

from helpers import Skip, VirtualLoop, drive
from test_syscalls import udp

from wgp2p import beacons, compat
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


class Bench(Beacons):
    """Beacons without sockets; `heard`: what was told, `hashed`: how many hashes were made."""

    def __init__(self, *names):
        self.loop, self.told, self.hashed = VirtualLoop(), [], 0
        real, beacons.Ears = beacons.Ears, lambda *_: None
        Beacons.__init__(self, self.loop, 51820, lambda *row: self.told.append(row))
        beacons.Ears = real
        self.wants(*names)

    def wants(self, *names):
        self.want(dict([(name, Counted(self, name)) for name in names]))

    def arrive(self, message, endpoint="203.0.113.31:4000"):
        self._take(endpoint, bytes(8) + message)


class Counted:
    def __init__(self, bench, name):
        self._bench, self._mac1 = bench, mac1_of(name)

    def of(self, data):
        self._bench.hashed += 1
        return self._mac1.of(data)


def test_whose_and_from_where():
    bench = Bench("a", "b", "c")
    bench.arrive(initiation("b"))
    bench.arrive(initiation("c"), "[2001:db8::7]:5000")
    bench.arrive(initiation("x"))
    assert bench.told == [("b", "203.0.113.31:4000"), ("c", "[2001:db8::7]:5000")]
    bench.wants("a")
    bench.arrive(initiation("b", 1))
    assert len(bench.told) == 2


def test_rubbish():
    bench = Bench("a")
    for cut in (0, 10, 40, 147):
        bench.arrive(initiation("a")[:cut])
    bench.arrive(initiation("a") + b"x")
    bench.arrive(bytes(148))
    assert bench.told == [] and bench.hashed == 1


def test_the_same_message_counts_once():
    bench = Bench("a")
    for endpoint in ("203.0.113.31:4000", "198.51.100.1:4000", "203.0.113.31:4000"):
        bench.arrive(initiation("a"), endpoint)
    assert bench.told == [("a", "203.0.113.31:4000")] and bench.hashed == 1, "sent again from elsewhere"
    for salt in range(1, 65):
        bench.arrive(initiation("a", salt))
        bench.loop.advance(100)
    bench.arrive(initiation("a"), "198.51.100.1:4000")
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
    bench.arrive(initiation("x"), "198.51.100.1:4000")
    bench.arrive(initiation("i", 3))
    assert bench.hashed == 15 and len(bench.told) == 3, "whoever had a turn meanwhile"
    bench.arrive(initiation("x"))
    assert bench.hashed == 19


def test_forty_hashes_a_second():
    bench = Bench("a", "b", "c", "d", "e")
    for number in range(1000):
        bench.arrive(initiation("x", number), "198.51.100.%d:4000" % (number % 200))
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
