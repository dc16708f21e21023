"""sessions.py with a fake nft and a fake kernel: when the table is there, and which sessions are read from it."""
import struct

from helpers import VirtualLoop, raises

from wgp2p import firewall, netlink, nftmessage, sessionrules, sessions
from wgp2p.addr import parse_ip
from wgp2p.sessions import SessionTable, read_session

ONE, TWO, SIX = "203.0.113.31:4000", "203.0.113.31:4001", "[2001:db8::31]:4000"


class Firewall:
    def __init__(self, loop, loaded, changed, table):
        assert table == sessionrules.TABLE
        self.loaded, self.wanted = loaded, []
        changed()

    def want(self, text):
        self.wanted.append(text)

    def close(self, done):
        self.wanted.append("closed")
        done()


class Element:
    def __init__(self, endpoint, ours, theirs, expires_ms):
        ip, _, port = endpoint.rpartition(":")
        self.key = parse_ip(ip.strip("[]")) + struct.pack("!HHII", int(port), 0, ours, theirs)
        self.expires_ms = expires_ms


class Bench:
    """A SessionTable; `there`: what the kernel noted."""

    def __enter__(self):
        self.there, self.made, self.asked, self.broken = {"sessions4": [], "sessions6": []}, [], 0, False
        self.error = 0
        self._real = sessions.Firewall, firewall.ask
        sessions.Firewall, firewall.ask = self._make, self._ask
        self.table = SessionTable(VirtualLoop())
        return self

    def __exit__(self, *_):
        sessions.Firewall, firewall.ask = self._real

    def _make(self, *args, **options):
        self.made.append(Firewall(*args, **options))
        return self.made[-1]

    def _ask(self, family, request, take):
        assert family == netlink.NETFILTER
        self.asked += 1
        self.request = request(7)
        if self.broken:
            raise netlink.NetlinkError("torn")
        rows = [name for name in self.there if name.encode() + b"\0" in request(7)]
        assert len(rows) == 1 and sessionrules.TABLE.encode() + b"\0" in request(7)
        answer = netlink.Answer(7, take)
        for element in self.there[rows[0]]:
            data = netlink.nested(1, netlink.nested(1, netlink.attribute(1, element.key)),
                                  netlink.attribute(5, struct.pack("!Q", element.expires_ms)))
            answer.feed(netlink.message(0xA0C, 2, 7, bytes([1, 0, 0, 0]) + netlink.string(1, sessionrules.TABLE)
                                        + netlink.string(2, rows[0]) + netlink.nested(3, data)))
        answer.error = 0 if self.there[rows[0]] else 2
        return answer

    def batch(self, request):
        self.request = request(7)
        answer = netlink.Answer(7, None)
        answer.error = self.error
        return answer

    def loaded(self, port=51820):
        self.table.want(port)
        self.made[0].loaded()


def test_there_while_it_is_wanted():
    with Bench() as bench:
        bench.table.want(None)
        assert not bench.made, "never needed, never touched"
        bench.table.want(51820)
        bench.table.want(51820)
        assert bench.made[0].wanted == [sessionrules.script(51820)] and not bench.table.ready
        bench.made[0].loaded()
        assert bench.table.ready
        bench.table.want(51821)
        assert not bench.table.ready and bench.made[0].wanted[1:] == [sessionrules.script(51821)]
        bench.table.want(None)
        bench.made[0].loaded()
        assert not bench.table.ready and bench.made[0].wanted[2:] == [""]
        done = []
        bench.table.close(lambda: done.append(True))
        assert done and bench.made[0].wanted[3:] == ["closed"] and len(bench.made) == 1


def test_closed_without_ever_being_needed():
    with Bench() as bench:
        done = []
        bench.table.close(lambda: done.append(True))
        assert done and not bench.made


def test_newest_first_and_four_at_most():
    with Bench() as bench:
        bench.there["sessions4"] = [Element(ONE, number, 100 + number, 1000 * (number * 5 % 7)) for number in range(7)]
        bench.there["sessions4"].append(Element(TWO, 77, 78, 5))
        bench.there["sessions6"] = [Element(SIX, 0xFFFFFFFF, 0x80000000, 240000)]
        assert bench.table.read([ONE]) == {} and not bench.asked, "not loaded"
        bench.loaded()
        assert bench.table.read([]) == {} and not bench.asked
        assert bench.table.read([ONE, SIX, "203.0.113.99:1"]) == {
            ONE: [(4, 104), (1, 101), (5, 105), (2, 102)], SIX: [(0xFFFFFFFF, 0x80000000)]}
        assert bench.table.read([TWO]) == {TWO: [(77, 78)]}


def test_what_cannot_be_read_is_nothing():
    with Bench() as bench:
        bench.loaded()
        assert bench.table.read([ONE]) == {} and bench.asked == 2
        bench.broken = True
        assert bench.table.read([ONE]) == {}


def test_divert_is_one_batch():
    with Bench() as bench:
        assert not bench.table.divert(ONE, TWO, 64), "not loaded"
        bench.loaded()
        assert not bench.table.divert(ONE, SIX, 64) and not bench.table.divert(SIX, ONE, 64) and not bench.asked
        real, firewall.ask = firewall.ask, lambda family, request, take: bench.batch(request)
        for target, elsewhere, family in ((ONE, "198.51.100.7:258", "4"), (SIX, "[2001:db8::7]:258", "6")):
            assert bench.table.divert(target, elsewhere, 64)
            rows = list(netlink.messages(bench.request))
            assert [row[0] for row in rows] == [16, 0xA0C, 0xA0C, 0xA0C, 17]
            found = [(name, [element.key + (element.data or b"") for element in nftmessage.read_elements(
                bench.request, row[3], row[4])]) for name, row in zip(("probes", "address", "port"), rows[1:])]
            for name, row in zip(("probes", "address", "port"), rows[1:]):
                assert (name + family).encode() + b"\0" in bench.request[row[3]:row[4]]
            ip, to_ip = [parse_ip(text.rpartition(":")[0].strip("[]")) for text in (target, elsewhere)]
            assert found == [("probes", [ip + struct.pack("!HHHH", 4000, 0, 72, 0)]),
                             ("address", [struct.pack("!H", 72) + to_ip]), ("port", [struct.pack("!HH", 72, 258)])]
        bench.error = 17
        assert not bench.table.divert(ONE, TWO, 64)
        firewall.ask = real


def test_a_session_of_another_size():
    for size in (4, 16):
        raises(ValueError, read_session, bytes(size + 11), size)
        raises(ValueError, read_session, bytes(size + 16), size)
    assert nftmessage.concatenated(b"1234", b"56", b"789a", b"bcde") == b"123456" + bytes(2) + b"789abcde"
