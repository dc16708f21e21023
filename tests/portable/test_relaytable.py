"""relaytable.py with a kernel made of dictionaries: what is in it after each change, and when it refuses."""
import struct

from helpers import VirtualLoop, raises

from wgp2p import firewall, log, netlink, nftmessage, relaytable
from wgp2p.addr import parse_ip
from wgp2p.firewall import FirewallError
from wgp2p.relaytable import RelayTable, RelayTableError

ALICE, BOB, EVE = "203.0.113.1:1111", "203.0.113.2:2222", "203.0.113.3:3333"
SIX, SEVEN = "[2001:db8::6]:6", "[2001:db8::7]:7"
OWN = "192.0.2.1"
LIFE = 240000
MOST = 200  # routes, in these tests: what they copy must fit into a small heap


class Script:
    """In the place of firewall.Firewall: the test says when a text is loaded."""

    def __init__(self, loop, loaded, changed, table, over, failed):
        assert table == "wgp2p_relay" and over
        self.loaded, self.failed = loaded, failed
        self.texts, self.problem, self.closed = [], None, False

    def want(self, text):
        self.texts.append(text)

    def close(self, done):
        self.closed = True
        done()


class Bench:
    """A RelayTable, and the kernel's sets: {name: {key: (data, comment, expires_ms)}}. `refuse`: an errno for the next
    changes; `broken`: nobody answers."""

    def __enter__(self):
        self.loop, self.sets, self.calls, self.changes = VirtualLoop(), {}, [], 0
        self.refuse, self.broken, self.counts = [], False, {}
        self._real = (relaytable.MOST_ROUTES, relaytable.Firewall, firewall.change, firewall.elements, firewall.counter,
                      log.debug)
        relaytable.MOST_ROUTES = MOST
        relaytable.Firewall, firewall.change, firewall.elements = Script, self._change, self._elements
        firewall.counter = lambda name, table: self.counts[name]
        self.restart()
        return self

    def __exit__(self, *_):
        (relaytable.MOST_ROUTES, relaytable.Firewall, firewall.change, firewall.elements, firewall.counter,
         log.debug) = self._real

    def restart(self):
        self.table = RelayTable(self.loop, self._changed)
        self.script = self.table._firewall

    def _changed(self):
        self.calls.append((self.table.ready, self.table.problem, self.table.forwarding))

    def load(self, port=51820):
        self.table.want(port, 0)
        self.script.loaded()

    def _elements(self, name, table):
        if self.broken:
            raise FirewallError("silence")
        found = []
        for key in self.sets.get(name, {}):
            one = nftmessage.Element(key)
            one.data, one.comment, expires = self.sets[name][key]
            one.expires_ms = expires - self.loop.now()
            found.append(one)
        return found

    def _change(self, requests):
        if self.broken:
            raise FirewallError("silence")
        self.changes += 1
        if self.refuse:
            return self.refuse.pop(0)
        if not requests:
            return 0
        data = nftmessage.batch(5, requests)
        assert len(data) < 200000
        sets = dict([(name, dict(self.sets[name])) for name in self.sets])
        for kind, _, _, start, end in netlink.messages(data):
            if kind in (0xA0C, 0xA0E):
                assert end - start < 8192
                error = self._apply(sets, kind, bytes(data[start:end]))
                if error:
                    return error
        self.sets = sets
        return 0

    def _apply(self, sets, kind, payload):
        name = [netlink.read_string(payload, one, other) for number, one, other in netlink.attributes(
            payload, 4, len(payload)) if number == 2][0]
        there = sets.setdefault(name, {})
        for key in [key for key in there if there[key][2] + 5 <= self.loop.now()]:  # its time began a little later
            del there[key]
        some = nftmessage.read_elements(payload, 0, len(payload))
        if kind == 0xA0E and not some:
            there.clear()
        for one, timeout in zip(some, self._timeouts(payload)):
            if kind == 0xA0C:
                if one.key not in there:
                    there[one.key] = (one.data, one.comment, self.loop.now() + timeout)
                elif there[one.key][0] != one.data:
                    return 17
            elif one.key in there:
                del there[one.key]
            else:
                return 2
        return 0

    @staticmethod
    def _timeouts(payload):
        for kind, one, other in netlink.attributes(payload, 4, len(payload)):
            for _, start, end in netlink.attributes(payload, one, other) if kind == 3 else ():
                found = [struct.unpack("!Q", payload[at:to])[0] for number, at, to in netlink.attributes(
                    payload, start, end) if number == 4]
                yield found[0] if found else LIFE

    def routes(self):
        """What the kernel has: {(family, key): target}, after a look whether maps, comments and indices agree."""
        found = {}
        for family in "46":
            for key, (_, comment, expires) in self.sets.get("routes" + family, {}).items():
                found[family, key] = comment
                assert key[-4:] in self.sets["indices"]
                target = ("" if comment.startswith("[") else "4") or "6"
                both = [self.sets.get(name + family, {}).get(key) for name in ("address", "port")]
                if target == family and family not in self.table._lost:
                    ip, port = relaytable.parse_endpoint(comment)
                    assert [one[0] for one in both] == [parse_ip(ip), struct.pack("!H", port)]
                    assert both[0][2] == both[1][2] == expires
                else:
                    assert both == [None, None]
            for name in ("address", "port"):
                assert not [key for key in self.sets.get(name + family, {}) if key not in self.sets["routes" + family]]
        assert len(self.sets.get("indices", {})) <= len(found)
        return found


def key(source, index):
    return relaytable._route_key(source, index)


def expected(routes):
    return dict([(key(source, index), target) for source, index, target in routes])


def test_loading():
    with Bench() as bench:
        table = bench.table
        assert (table.ready, table.problem, table.forwarding) == (False, None, True)
        raises(RelayTableError, table.add, [(ALICE, 1, BOB)])
        table.want(51820, 100)
        table.want(51820, 100)
        assert len(bench.script.texts) == 1 and "100 kbytes" in bench.script.texts[0] and not bench.calls
        bench.script.loaded()
        assert bench.calls == [(True, None, True)]
        bench.script.problem = "nft: Error"
        bench.script.failed()
        assert bench.calls[1:] == [(False, "nft: Error", True)]
        assert str(raises(RelayTableError, table.add, [(ALICE, 1, BOB)])) == "nft: Error"
        bench.script.loaded()
        table.want(None, 0)
        assert bench.calls[2:] == [(True, None, True), (False, None, True)] and bench.script.texts[1:] == [""]
        bench.script.failed()
        assert len(bench.calls) == 4, "who wants none has no problem"
        done = []
        table.close(lambda: done.append(1))
        assert done and bench.script.closed


def test_routes():
    with Bench() as bench:
        bench.load()
        rows = [(ALICE, 1, BOB), (ALICE, 0xFFFFFFFF, SIX), (SIX, 3, ALICE), (SIX, 4, SEVEN), (BOB, 0, ALICE)]
        bench.table.add(rows)
        assert bench.routes() == expected(rows) and sorted(bench.table.routes()) == sorted(rows)
        for source, index, target in rows:
            assert bench.table.target(source, index) == target
        assert bench.table.target(BOB, 1) is None and bench.table.target(EVE, 0) is None
        # a move: the old ones go, the new ones come; what is not there does no harm
        changes = bench.changes
        bench.table.replace(delete=[(ALICE, 1), (ALICE, 0xFFFFFFFF), (EVE, 9)],
                            add=[(EVE, 1, BOB), (EVE, 0xFFFFFFFF, SIX), (BOB, 0, EVE)])
        rows = [(EVE, 1, BOB), (EVE, 0xFFFFFFFF, SIX), (SIX, 3, ALICE), (SIX, 4, SEVEN), (BOB, 0, EVE)]
        assert bench.routes() == expected(rows) and bench.changes == changes + 1, "in one transaction"
        # from one family to the other and back; deleted and made again
        bench.table.add([(EVE, 1, SEVEN), (SIX, 3, SEVEN)])
        bench.table.replace([(BOB, 0)], [(BOB, 0, ALICE)])
        rows = [(EVE, 1, SEVEN), (EVE, 0xFFFFFFFF, SIX), (SIX, 3, SEVEN), (SIX, 4, SEVEN), (BOB, 0, ALICE)]
        assert bench.routes() == expected(rows)
        # several times in one: the last word counts
        for targets in ((BOB, ALICE), (SIX, BOB), (ALICE, SIX)):
            bench.table.add([(EVE, 1, target) for target in targets])
            assert bench.table.target(EVE, 1) == bench.routes()[key(EVE, 1)] == targets[-1]
        assert bench.changes == changes + 6, "nothing was refused"


def test_routes_end():
    with Bench() as bench:
        bench.load()
        bench.table.add([(ALICE, 1, BOB), (ALICE, 2, BOB)])
        bench.loop.advance(LIFE - 20000)
        bench.table.add([(ALICE, 2, BOB)])
        bench.loop.advance(19999)
        assert bench.table.target(ALICE, 1) == BOB
        bench.loop.advance(1)
        assert bench.table.target(ALICE, 1) is None and bench.table.routes() == [(ALICE, 2, BOB)]
        changes = bench.changes
        bench.table.replace([(ALICE, 1)], [(ALICE, 1, EVE)])  # about to go in the kernel, too
        assert bench.routes() == expected([(ALICE, 1, EVE), (ALICE, 2, BOB)]) and bench.changes == changes + 1
        bench.loop.advance(LIFE)
        bench.table.lose_forwarding(False)
        assert bench.routes() == {}, "nothing is written that has expired"
        bench.loop.advance(20000)
        bench.table.add([(ALICE, 3, EVE)])
        assert len(bench.table._routes) == 1, "nothing is kept"


def test_many():
    with Bench() as bench:
        bench.load()
        rows = [(ALICE, number, BOB) for number in range(MOST)]
        bench.table.add(rows)
        error = raises(RelayTableError, bench.table.add, [(ALICE, MOST, BOB)])
        assert "%d routes" % MOST in str(error)
        assert bench.table.target(ALICE, 5) == BOB and len(bench.sets["routes4"]) == MOST
        bench.table.replace(delete=[row[:2] for row in rows[:100]])
        bench.table.add([(BOB, number, ALICE) for number in range(100)])
        bench.loop.advance(LIFE + 1000)
        bench.table.add([(ALICE, 1, BOB)])
        assert bench.table.routes() == [(ALICE, 1, BOB)]


def test_a_move_of_many():
    with Bench() as bench:
        bench.load()
        bench.table.add([(ALICE, number, BOB) for number in range(70)] + [(EVE, number, BOB) for number in range(10)])
        rows = [(ALICE, number, SIX) for number in range(70)]
        bench.table.replace([[EVE, number] for number in range(10)] + [row[:2] for row in rows],
                            [list(row) for row in rows])
        assert bench.routes() == expected(rows) and len(bench.table.routes()) == 70, "some only go"
        bench.table.add([(ALICE, number, SIX) for number in range(70, MOST)])
        rows = [(ALICE, number, EVE) for number in range(MOST)]
        bench.table.replace([row[:2] for row in rows], rows)
        assert bench.routes() == expected(rows), "it needs no room"
        rows = [(BOB, number, EVE) for number in range(MOST)]
        bench.table.replace([(ALICE, number) for number in range(MOST)], rows)
        assert bench.routes() == expected(rows)
        raises(RelayTableError, bench.table.replace, [(ALICE, 1), (BOB, 1)], [(ALICE, 1, EVE), (ALICE, 2, EVE)])


def test_members():
    with Bench() as bench:
        bench.table.set_members({ALICE: OWN, SIX: "2001:db8::1", BOB: None, SEVEN: OWN})
        bench.load()
        assert sorted(bench.sets["members4"]) == [key(ALICE, 0)[1][:-4], key(BOB, 0)[1][:-4]]
        assert sorted(bench.sets["members6"]) == [key(SIX, 0)[1][:-4], key(SEVEN, 0)[1][:-4]]
        assert [one[0] for one in bench.sets["door4"].values()] == [parse_ip(OWN)]
        assert [one[0] for one in bench.sets["door6"].values()] == [parse_ip("2001:db8::1")]
        changes = bench.changes
        bench.table.set_members({ALICE: OWN, SIX: "2001:db8::1", BOB: None, SEVEN: OWN})
        assert bench.changes == changes, "nothing new"
        bench.table.set_members({ALICE: "192.0.2.2", BOB: OWN, EVE: None})
        assert sorted(bench.sets["members4"]) == sorted([key(who, 0)[1][:-4] for who in (ALICE, BOB, EVE)])
        assert sorted([one[0] for one in bench.sets["door4"].values()]) == [parse_ip(OWN), parse_ip("192.0.2.2")]
        assert bench.sets["members6"] == bench.sets["door6"] == {} and bench.changes == changes + 1
        bench.table.set_members({ALICE: OWN, BOB: OWN, SIX: None}, [ALICE, SIX])
        assert list(bench.sets["devices4"]) == [key(ALICE, 0)[1][:-4]]
        assert list(bench.sets["devices6"]) == [key(SIX, 0)[1][:-4]] and len(bench.sets["members4"]) == 2
        bench.script.loaded()
        assert len(bench.sets["devices4"]) == len(bench.sets["devices6"]) == 1
        bench.table.set_members({ALICE: OWN, BOB: OWN}, [BOB])
        assert list(bench.sets["devices4"]) == [key(BOB, 0)[1][:-4]] and bench.sets["devices6"] == {}
        assert bench.changes == changes + 4, "nothing was refused"
        many = dict([("203.0.113.%d:%d" % (number % 200, number + 1), OWN) for number in range(1000)])
        bench.table.set_members(many)
        assert len(bench.sets["members4"]) == len(bench.sets["door4"]) == 1000
        bench.table.set_members({})
        assert bench.sets["members4"] == bench.sets["door4"] == {}


def test_a_restart_takes_over():
    """A new daemon knows what the last one has left, by the kernel; nobody else's comments are believed."""
    with Bench() as bench:
        bench.table.set_members({ALICE: OWN, EVE: OWN})
        bench.load()
        rows = [(ALICE, 1, BOB), (ALICE, 2, SIX), (SIX, 4, SEVEN)]
        bench.table.add(rows)
        bench.loop.advance(100000)
        bench.sets["routes4"][key(ALICE, 7)[1]] = (None, "nobody", bench.loop.now() + 9)
        bench.sets["routes4"][bytes(12)] = (None, BOB, bench.loop.now() + 9)  # from port 0
        bench.sets["address4"][key(ALICE, 8)[1]] = (b"abcd", "", bench.loop.now() + 9)
        bench.restart()
        bench.table.set_members({ALICE: OWN})
        bench.load()
        assert sorted(bench.table.routes()) == sorted(rows) and bench.routes() == expected(rows)
        assert len(bench.sets["members4"]) == 1
        bench.loop.advance(LIFE - 100000 - 1)
        assert len(bench.table.routes()) == 3
        bench.loop.advance(1)
        assert bench.table.routes() == [] and bench.sets["routes4"][key(ALICE, 1)[1]][2] == bench.loop.now()
        for number in range(MOST + 9):
            bench.sets["routes4"][key(ALICE, number)[1]] = (None, BOB, bench.loop.now() + LIFE)
        bench.restart()
        bench.load()
        assert len(bench.table.routes()) == MOST


def test_a_restart_keeps_doors_until_others_are_known():
    """Who relies on the relay meanwhile is answered from where it knows the server."""
    with Bench() as bench:
        bench.table.set_members({ALICE: OWN, EVE: OWN, SIX: "2001:db8::1"})
        bench.load()
        before = dict(bench.sets["door4"])
        bench.restart()
        bench.table.set_members({ALICE: None, SIX: None, BOB: None}, [ALICE])
        bench.load()
        assert [row for row in bench.sets["door4"].items()] == [row for row in before.items()
                                                                 if row[0] == key(ALICE, 0)[1][:-4]]
        assert len(bench.sets["door6"]) == 1 and len(bench.sets["members4"]) == 2
        assert [bench.table.door(who) for who in (ALICE, SIX, BOB, EVE)] == [OWN, "2001:db8::1", None, None]
        bench.table.set_members({ALICE: "192.0.2.2", SIX: None}, [ALICE])
        assert [row[0] for row in bench.sets["door4"].values()] == [parse_ip("192.0.2.2")] and not bench.sets["door6"]


def test_a_flushed_table_gets_all_again():
    with Bench() as bench:
        bench.table.set_members({ALICE: OWN})
        bench.load()
        rows = [(ALICE, number, BOB) for number in range(199)] + [(SIX, 4, SEVEN)]
        bench.table.add(rows)
        bench.sets, changes = {}, bench.changes
        bench.script.loaded()
        assert bench.changes == changes + 2, "a socket does not take all at once"
        assert bench.routes() == expected(rows) and len(bench.sets["members4"]) == 1 and len(bench.calls) == 1


def test_who_has_changed_elements_is_corrected():
    with Bench() as bench:
        bench.load()
        rows = [(ALICE, number, BOB) for number in range(10)]
        bench.table.add(rows)
        bench.sets["address4"][key(ALICE, 3)[1]] = (b"abcd", "", bench.loop.now() + 9)
        bench.sets["port4"].clear()
        bench.table.add([(ALICE, 3, EVE)])
        assert bench.routes() == expected(rows[:3] + [(ALICE, 3, EVE)] + rows[4:])
        assert bench.table.ready and len(bench.calls) == 1


def test_a_kernel_that_refuses():
    with Bench() as bench:
        bench.load()
        bench.table.add([(ALICE, 1, BOB)])
        bench.refuse = [23, 23]  # ENFILE
        assert "errno 23" in str(raises(RelayTableError, bench.table.add, [(ALICE, 2, BOB)]))
        assert bench.calls[1:] == [(False, "the table inet wgp2p_relay cannot be changed (errno 23)", True)]
        bench.broken = True
        raises(RelayTableError, bench.table.add, [(ALICE, 3, BOB)])
        bench.loop.advance(5000)
        assert bench.calls[2:] == [(False, "silence", True)]
        bench.broken = False
        bench.loop.advance(5000)
        assert bench.table.ready and bench.routes() == expected([(ALICE, 1, BOB), (ALICE, 2, BOB)])
        bench.broken = True
        raises(RelayTableError, bench.table.replace, [(ALICE, 1)])
        bench.broken = False
        bench.loop.advance(5000)
        assert bench.table.ready and bench.routes() == expected([(ALICE, 2, BOB)]), "what was to go does not come back"
        bench.broken = True
        raises(RelayTableError, bench.table.set_members, {ALICE: OWN})
        bench.table.close(lambda: None)
        calls = len(bench.calls)
        bench.loop.advance(60000)
        assert len(bench.calls) == calls, "no more after the end"


def test_forwarding_lost_and_regained():
    with Bench() as bench:
        bench.load()
        rows = [(ALICE, 1, BOB), (ALICE, 2, SIX)]
        bench.table.add(rows)
        bench.loop.advance(1000)
        bench.table.lose_forwarding(False)
        bench.table.lose_forwarding(False)
        assert bench.calls[1:] == [(True, None, False)]
        bench.table.add([(BOB, 3, ALICE)])
        assert bench.routes() == expected(rows + [(BOB, 3, ALICE)]) and bench.sets["address4"] == {}
        assert bench.table.target(ALICE, 1) == BOB
        bench.table.regain_forwarding(False)
        assert bench.calls[2:] == [(True, None, True)]
        assert bench.routes() == expected(rows + [(BOB, 3, ALICE)]) and len(bench.sets["address4"]) == 2
        bench.table.lose_forwarding(True)
        assert not bench.table.forwarding and len(bench.sets["address4"]) == 2, "the other family goes on"
        bench.table.want(None, 0)
        assert bench.table.forwarding and bench.table.routes() == []


def test_what_went():
    with Bench() as bench:
        bench.load()
        bench.counts = {"in4": (7, 700), "out4": (5, 500), "in6": (3, 30), "out6": (2, 20)}
        assert bench.table.counters(False) == (7, 5) and bench.table.counters(True) == (3, 2)
        pair = nftmessage.Element(key(ALICE, 0)[1][:-4] + key(BOB, 0)[1][:-4])
        six = nftmessage.Element(key(SIX, 0)[1][:-4] + key(SEVEN, 0)[1][:-4])
        pair.packets, pair.bytes = 3, 400
        firewall.elements = lambda name, table: [pair] if name == "pairs4" else [six]
        assert bench.table.pairs() == [(ALICE, BOB, 3, 400), (SIX, SEVEN, 0, 0)]

        def silence(*_):
            raise FirewallError("silence")

        firewall.elements = firewall.counter = silence
        raises(RelayTableError, bench.table.pairs)
        raises(RelayTableError, bench.table.counters, False)
