"""relay.py with a fake table, fake sockets and virtual time: handshakes, moves, sessions that are told, hints, and what
hostile packets do not do."""
import struct

from fakewg import FakeWireGuard, key
from helpers import VirtualLoop
from test_receivers import initiation

from wgp2p import config, log, relay
from wgp2p.publisher import Publisher
from wgp2p.registry import Registry
from wgp2p.relay import CALL_EVERY_MS, CHECK_MS, HINT_EVERY_MS, ROUTES_MOST, Relay
from wgp2p.relayrules import HINT, INITIATION, USERSPACE
from wgp2p.relaytable import RelayTableError

SERVER = key(255)
ROUTER, PHONE, LAPTOP, OTHER = [key(number) for number in range(1, 5)]
ROUTER_AT, PHONE_AT, LAPTOP_AT = "192.0.2.1:51820", "203.0.113.3:4000", "203.0.113.4:4001"
OTHER_AT, AWAY, SIX = "192.0.2.2:51820", "198.51.100.9:1234", "[2001:db8::3]:4000"
OWN, OWN_6, KNOCKED = "192.0.2.100", "2001:db8::100", "192.0.2.200"


def response(index, answered):
    return b"\x02\0\0\0" + struct.pack("!II", index, answered) + bytes(80)


def data(index, size=100):
    return b"\x04\0\0\0" + struct.pack("!I", index) + bytes(size - 8)


def cookie(index):
    return b"\x03\0\0\0" + struct.pack("!I", index) + bytes(56)


class FakeTable:
    """relaytable.RelayTable without a kernel. Routes live until the test takes them from `held`."""

    def __init__(self, loop, changed):
        self.changed = changed
        self.ready, self.problem, self.forwarding = False, None, True
        self.held, self.members, self.wanted, self.transactions = {}, {}, "untouched", []
        self.left_doors = {}  # by an earlier daemon
        self.refuse = self.closed = False
        self.count, self.rows, self.lost = {False: (0, 0), True: (0, 0)}, [], set()

    def want(self, port, limit):
        self.wanted = (port, limit) if port else None
        if port is None:
            self.load(False)

    def load(self, ready=True):
        if ready != self.ready:
            self.ready = ready
            self.changed()

    def set_members(self, members, devices):
        self.members, self.devices = dict(members), sorted(devices)

    def door(self, endpoint):
        return self.members.get(endpoint) or self.left_doors.get(endpoint)

    def replace(self, delete=(), add=()):
        if self.refuse:
            raise RelayTableError("refused")
        self.transactions.append((list(delete), list(add)))
        for name in delete:
            assert name in self.held
            del self.held[name]
        for source, index, target in add:
            self.held[source, index] = target

    def target(self, source, index):
        return self.held.get((source, index))

    def routes(self):
        return [name + (self.held[name],) for name in self.held]

    def counters(self, ipv6):
        if self.refuse:
            raise RelayTableError("refused")
        return self.count[ipv6]

    def pairs(self):
        if self.refuse:
            raise RelayTableError("refused")
        return self.rows

    def lose_forwarding(self, ipv6):
        self.lost.add(ipv6)
        self.forwarding = not self.lost
        self.changed()

    def regain_forwarding(self, ipv6):
        self.lost.discard(ipv6)
        self.forwarding = not self.lost
        self.changed()

    def close(self, done):
        self.closed = True
        done()


class FakeMarked:
    def __init__(self, loop, port, marks, heard):
        self.port, self.marks, self.heard, self.closed = port, marks, heard, False

    def close(self):
        self.closed = True


class FakeRaw:
    def __init__(self):
        self.sent, self.errno, self.closed = [], None, False

    def send(self, source_ip, source_port, ip, port, payload):
        if self.errno:
            raise OSError(self.errno)
        self.sent.append((source_ip, source_port, ip, port, payload))

    def close(self):
        self.closed = True


class Bench:
    """A Relay with a device, its clients, and another device. It is the Publisher, too."""

    serves = Publisher.serves
    public_key = SERVER

    def __init__(self, lines=(), other="phone", ready=True):
        self.loop, self.wireguard, self.registry = VirtualLoop(), FakeWireGuard(), Registry("b")
        self.listen_port = 51820
        self.changes, self.hints, self.ears, self.logged, self.called = [], [], [], [], []
        self.no_sockets = None
        self.routes = {}  # ip: the server's address towards it, OWN by default
        self.system = {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"}
        self.ready = ready
        self.configure(lines, other)

    def configure(self, lines=(), other="phone"):
        text = "config publisher\n option interface 'wg0'\n" + "".join([" %s\n" % line for line in lines])
        text += "config peer\n option public_key '%s'\n option name 'router'\n option device '1'\n" % ROUTER
        text += "config peer\n option public_key '%s'\n option name 'other'\n option device '1'\n" % OTHER
        text += " list client '%s'\nconfig peer\n option public_key '%s'\n option name 'phone'\n" % (other, PHONE)
        text += "config peer\n option public_key '%s'\n option name 'laptop'\n" % LAPTOP
        self.config = config.parse(text)
        self.values = self.config.publishers[0]

    def __enter__(self):
        self._real = [(where, name, getattr(where, name)) for where, name in (
            (relay, "RelayTable"), (relay, "Marked"), (relay, "RawUdp"), (relay, "source_of"),
            (relay.Forwarding, "_forbidden"), (log, "_write"))]
        relay.RelayTable, relay.RawUdp, relay.Marked = FakeTable, FakeRaw, self._marked
        relay.source_of = self._source_of
        relay.Forwarding._forbidden = lambda forwarding: self._forbidden(forwarding._name)
        log._write = lambda level, text: self.logged.append(text) if level < 2 else None
        self.wireguard.add("wg0")
        for peer, endpoint in ((ROUTER, ROUTER_AT), (PHONE, PHONE_AT), (LAPTOP, LAPTOP_AT), (OTHER, OTHER_AT)):
            self.wireguard.peer("wg0", peer)
            self.wireguard.hear("wg0", peer, endpoint)
        self.relay = Relay(self.loop, self)
        self.table, self.raw = self.relay._table, self.relay._raw
        port, self.listen_port = self.listen_port, None
        self.update()
        assert self.table.wanted == "untouched", "nobody knows the port yet"
        self.listen_port = port
        self.update()
        if self.ready:
            self.table.load()
        return self

    def __exit__(self, *_):
        for where, name, value in self._real:
            setattr(where, name, value)

    def _forbidden(self, name):
        return name + " is 0" if self.system[name] == "0" else None

    def _marked(self, loop, port, marks, heard):
        if self.no_sockets:
            raise OSError(self.no_sockets)
        self.ears.append(FakeMarked(loop, port, marks, heard))
        return self.ears[-1]

    def _source_of(self, ip):
        own = self.routes.get(ip, OWN_6 if ":" in ip else OWN)
        if own is None:
            raise OSError(101)
        return own

    # -- the publisher's part
    def relay_changed(self):
        self.changes.append(self.relay.active)

    def hinted(self, key, endpoint):
        self.hints.append((key, endpoint))

    def addressed(self, endpoint):
        self.called.append(endpoint)

    # -- what happens
    def update(self):
        self.registry.update(self.loop.now(), self.wireguard.devices["wg0"])
        self.relay.update()

    def move(self, peer, endpoint):
        self.wireguard.hear("wg0", peer, endpoint)
        self.update()

    def hear(self, mark, source, message, own_ip=OWN):
        for ear in self.ears:
            if mark in ear.marks and not ear.closed:
                ear.heard(source, None if source[0] == "[" else own_ip, message)

    def call(self, source, receiver, index):
        self.hear(INITIATION, source, initiation(receiver, index))

    def handshake(self, index=7, answer=9, caller=PHONE_AT, callee=ROUTER_AT, callee_key=ROUTER):
        """A whole one; what was sent for it."""
        self.loop.advance(CALL_EVERY_MS)
        del self.raw.sent[:]
        self.call(caller, callee_key, index)
        self.hear(USERSPACE, callee, response(answer, index))
        return self.raw.sent

    def lane(self, source, target):
        """The indices of the routes from one endpoint to another."""
        return sorted([name[1] for name in self.table.held if name[0] == source and self.table.held[name] == target])


# -- on and off -------------------------------------------------------------------------------------

def test_on_when_table_and_sockets_are_there():
    with Bench(ready=False) as bench:
        assert bench.table.wanted == (51820, 0) and not bench.relay.active and not bench.changes
        assert [ear.marks for ear in bench.ears] == [(INITIATION, HINT), (USERSPACE,)]
        assert [ear.port for ear in bench.ears] == [51820, 51820]
        assert not bench.relay.settled()
        bench.table.load()
        assert bench.relay.active and bench.changes == [True] and bench.relay.settled()
        assert bench.relay.status() == {"state": "kernel", "problem": "", "pairs": [], "routes": 0}
        assert sorted(bench.table.members) == sorted([ROUTER_AT, PHONE_AT, LAPTOP_AT, OTHER_AT])
        assert bench.table.devices == sorted([ROUTER_AT, OTHER_AT])
        bench.table.problem = "nft is not installed"
        bench.table.load(False)
        assert not bench.relay.active and bench.changes == [True, False]
        assert bench.relay.status()["state"] == "off" and bench.relay.status()["problem"] == "nft is not installed"
        assert bench.relay.settled()


def test_switched_off_and_on_by_configuration():
    with Bench(("option relay_limit '8'",)) as bench:
        assert bench.table.wanted == (51820, 976), "8 Mbit/s in units of 1024 bytes"
        bench.configure(("option relay '0'",))
        bench.relay.update()
        assert bench.table.wanted is None and not bench.relay.active and bench.changes == [True, False]
        assert [ear.closed for ear in bench.ears] == [True, True]
        bench.configure()
        bench.relay.update()
        assert bench.table.wanted == (51820, 0) and len(bench.ears) == 4


def test_another_listen_port():
    with Bench() as bench:
        bench.listen_port = 51821
        bench.relay.update()
        assert bench.table.wanted == (51821, 0)
        assert [(ear.port, ear.closed) for ear in bench.ears] == [(51820, True)] * 2 + [(51821, False)] * 2


def test_without_a_device_there_is_no_relay():
    with Bench() as bench:
        bench.config = config.parse("config publisher\n option interface 'wg0'\n")
        bench.relay.update()
        assert bench.table.wanted is None and not bench.relay.active


def test_an_interface_that_has_no_peers_yet_keeps_the_table():
    with Bench() as bench:
        for peer in (ROUTER, PHONE, LAPTOP, OTHER):
            bench.wireguard.drop("wg0", peer)
        bench.update()
        assert bench.table.wanted and bench.relay.active and bench.table.members == {}


def test_a_table_that_was_gone_meanwhile():
    with Bench() as bench:
        bench.handshake(7, 9)
        bench.table.held = {(PHONE_AT, 9): ROUTER_AT}
        bench.table.load(False)
        bench.table.load()
        status = bench.relay.status()
        assert status["routes"] == 1 and status["pairs"][0]["packets"] == 2, "what was counted stays"
        assert bench.changes == [True, False, True]


def test_no_raw_sockets():
    bench = Bench()
    bench.no_sockets = 1
    with bench:
        assert bench.table.wanted is None and not bench.relay.active
        assert bench.relay.status()["problem"] == "no raw sockets (errno 1)" and len(bench.logged) == 1
        bench.no_sockets = None
        bench.relay.update()
        assert not bench.ears, "not with every look"
        bench.loop.advance(60000)
        bench.relay.update()
        assert len(bench.ears) == 2 and bench.relay.status()["problem"] == ""


def test_nothing_is_done_when_nothing_has_changed():
    with Bench() as bench:
        told = bench.table.members
        for _ in range(3):
            bench.update()
        assert bench.table.members is told, "not told again"


def test_close():
    with Bench() as bench:
        done = []
        bench.relay.close(lambda: done.append(True))
        assert done and bench.table.closed and bench.raw.closed and [ear.closed for ear in bench.ears] == [True, True]
        bench.loop.advance(10000)
        assert bench.loop._timers.next_ms() is None


# -- handshakes -------------------------------------------------------------------------------------

def test_handshake_of_a_client():
    with Bench() as bench:
        message = initiation(ROUTER, 7)
        bench.hear(INITIATION, PHONE_AT, message)
        assert bench.table.held == {(ROUTER_AT, 7): PHONE_AT}
        assert bench.raw.sent == [(OWN, 51820, "192.0.2.1", 51820, message)]
        bench.hear(USERSPACE, ROUTER_AT, response(9, 7))
        assert bench.table.held == {(ROUTER_AT, 7): PHONE_AT, (PHONE_AT, 9): ROUTER_AT}
        assert bench.raw.sent[1:] == [(OWN, 51820, "203.0.113.3", 4000, response(9, 7))]
        assert bench.relay.status()["pairs"] == [
            {"a": ROUTER, "b": PHONE, "packets": 2, "bytes": 240, "initiations": 1}]
        assert bench.relay.status()["routes"] == 2


def test_rekey_by_either_side():
    with Bench() as bench:
        assert len(bench.handshake(7, 9)) == 2
        assert len(bench.handshake(17, 19)) == 2
        assert len(bench.handshake(27, 29, ROUTER_AT, PHONE_AT, PHONE)) == 2
        assert bench.lane(ROUTER_AT, PHONE_AT) == [7, 17, 29]
        assert bench.lane(PHONE_AT, ROUTER_AT) == [9, 19, 27]


def test_route_is_there_before_the_packet_leaves():
    with Bench() as bench:
        there = []
        bench.raw.send = lambda *_: there.append(dict(bench.table.held))
        bench.handshake()
        assert there[0] == {(ROUTER_AT, 7): PHONE_AT} and len(there[1]) == 2


def test_refused_route_no_packet():
    with Bench() as bench:
        bench.table.refuse = True
        bench.handshake()
        assert not bench.raw.sent and not bench.table.held


def test_server_itself():
    with Bench() as bench:
        bench.call(PHONE_AT, SERVER, 7)
        assert bench.called == [PHONE_AT]
        bench.call(PHONE_AT, ROUTER, 8)
        bench.call(AWAY, SERVER, 9)
        bench.loop.advance(5000)
        assert bench.called == [PHONE_AT] and bench.lane(ROUTER_AT, PHONE_AT) == [8]
        assert bench.relay.takes(PHONE_AT) and not bench.relay.takes(AWAY)
        bench.table.load(False)
        assert not bench.relay.takes(PHONE_AT), "nobody but the publisher itself sees them then"


def test_forbidden_pairs():
    with Bench() as bench:
        for source, target in ((PHONE_AT, LAPTOP), (LAPTOP_AT, PHONE), (ROUTER_AT, OTHER), (OTHER_AT, ROUTER),
                               (LAPTOP_AT, OTHER), (OTHER_AT, LAPTOP), (PHONE_AT, PHONE), (AWAY, ROUTER)):
            bench.call(source, target, 7)
            bench.loop.advance(5000)
            assert not bench.raw.sent and not bench.table.held and not bench.table.transactions, (source, target)


def test_unknown_receiver():
    with Bench() as bench:
        bench.call(PHONE_AT, key(99), 7)
        bench.call(ROUTER_AT, key(99), 7)
        bench.loop.advance(5000)
        assert not bench.raw.sent and not bench.table.transactions and not bench.relay._receivers.pending()


def test_one_initiation_for_a_pair_and_second():
    with Bench() as bench:
        for index in range(5):
            bench.call(PHONE_AT, ROUTER, index)
        assert len(bench.raw.sent) == 1 and len(bench.table.held) == 1
        bench.call(PHONE_AT, OTHER, 77)
        bench.call(ROUTER_AT, PHONE, 78)
        assert len(bench.raw.sent) == 3, "others are not held up"
        bench.loop.advance(CALL_EVERY_MS)
        bench.call(PHONE_AT, ROUTER, 5)
        assert len(bench.raw.sent) == 4


def test_quota():
    with Bench() as bench:
        bench.handshake(200, 201, ROUTER_AT, LAPTOP_AT, LAPTOP)
        for index in range(20):
            bench.handshake(index, 100 + index)
        assert ROUTES_MOST == 8
        assert bench.lane(ROUTER_AT, PHONE_AT) == list(range(12, 20)), "the oldest go"
        assert bench.lane(PHONE_AT, ROUTER_AT) == list(range(112, 120))
        assert bench.lane(ROUTER_AT, LAPTOP_AT) == [201], "others keep theirs"
        del bench.table.held[ROUTER_AT, 19]
        bench.handshake(20, 120)
        assert bench.lane(ROUTER_AT, PHONE_AT) == list(range(12, 19)) + [20], "who expired makes room"


def test_many_clients_are_searched_in_slices():
    with Bench() as bench:
        for number in range(20, 120):
            bench.wireguard.hear("wg0", _added(bench, number), "203.0.113.200:%d" % (1000 + number))
        bench.update()
        bench.move(PHONE, PHONE_AT.replace("4000", "4444"))
        begin = bench.loop.now()
        bench.call(ROUTER_AT, LAPTOP, 7)
        assert not bench.raw.sent, "not with the first four hashes"
        while not bench.raw.sent:
            bench.loop.advance(20)
        assert bench.loop.now() - begin <= 100 and bench.raw.sent[0][2:4] == ("203.0.113.4", 4001)
        bench.call(ROUTER_AT, PHONE, 8)
        assert len(bench.raw.sent) == 2, "who moved last is found at once"
        bench.loop.advance(CALL_EVERY_MS)
        bench.call(ROUTER_AT, LAPTOP, 9)
        assert len(bench.raw.sent) == 3, "and who was called before"


def _added(bench, number):
    bench.wireguard.peer("wg0", key(number))
    return key(number)


def test_who_is_called_is_whom_mac1_names():
    with Bench() as bench:
        bench.move(LAPTOP, PHONE_AT)
        bench.call(ROUTER_AT, PHONE, 7)
        bench.move(LAPTOP, LAPTOP_AT)
        assert bench.lane(PHONE_AT, ROUTER_AT) == [7], "the laptop came later, but is not meant"
        bench.move(PHONE, AWAY)
        assert bench.table.held == {(AWAY, 7): ROUTER_AT}


def test_response_needs_its_initiation():
    with Bench() as bench:
        bench.call(PHONE_AT, ROUTER, 7)
        del bench.raw.sent[:]
        bench.hear(USERSPACE, ROUTER_AT, response(9, 8))
        bench.hear(USERSPACE, OTHER_AT, response(9, 7))
        bench.hear(USERSPACE, LAPTOP_AT, response(9, 7))
        assert not bench.raw.sent and len(bench.table.held) == 1
        bench.hear(USERSPACE, ROUTER_AT, response(9, 7))
        bench.hear(USERSPACE, ROUTER_AT, response(9, 7))
        assert len(bench.table.held) == 2 and len(bench.table.transactions) == 2, "known already"


def test_an_index_that_leads_elsewhere_is_left_alone():
    with Bench() as bench:
        bench.handshake(7, 9, LAPTOP_AT)
        before = dict(bench.table.held)
        bench.call(PHONE_AT, ROUTER, 7)
        bench.loop.advance(CALL_EVERY_MS)
        assert bench.table.held == before and len(bench.raw.sent) == 2
        bench.handshake(8, 10, PHONE_AT)
        bench.hear(USERSPACE, ROUTER_AT, response(10, 8))
        assert bench.table.held[PHONE_AT, 10] == ROUTER_AT and bench.table.held[LAPTOP_AT, 9] == ROUTER_AT


def test_hostile_packets():
    with Bench() as bench:
        bench.handshake()
        held, count = dict(bench.table.held), len(bench.raw.sent)
        for mark in (INITIATION, HINT, USERSPACE):
            for source in (PHONE_AT, ROUTER_AT, AWAY, SIX):
                for message in (b"", b"\x01", bytes(148), b"\x01\0\0\0" + bytes(144), b"\x02\0\0\0" + bytes(88),
                                b"\x03\0\0\0" + bytes(60), b"\x04\0\0\0" + bytes(28), b"\x04\0\0\1" + bytes(28),
                                initiation(ROUTER, 7)[:-1], response(1, 7) + b"x", b"\xff" * 2000):
                    bench.hear(mark, source, message)
        bench.loop.advance(5000)
        assert bench.table.held == held and len(bench.raw.sent) == count and not bench.hints


def test_initiation_is_taken_from_its_own_ear_only():
    with Bench() as bench:
        bench.hear(USERSPACE, PHONE_AT, initiation(ROUTER, 7))
        assert not bench.raw.sent


def test_not_active_does_nothing():
    with Bench(ready=False) as bench:
        bench.table.held[PHONE_AT, 7] = ROUTER_AT
        bench.call(PHONE_AT, ROUTER, 7)
        bench.hear(USERSPACE, PHONE_AT, data(7))
        bench.hear(HINT, AWAY, data(7))
        assert not bench.raw.sent and not bench.hints and bench.relay.session(ROUTER, PHONE, []) != ""


def test_send_error_is_no_end():
    with Bench() as bench:
        bench.raw.errno = 101
        bench.handshake()
        bench.raw.errno = None
        assert len(bench.handshake(17, 19)) == 2


# -- where members are ------------------------------------------------------------------------------

def test_move_of_a_client():
    with Bench() as bench:
        bench.handshake(7, 9)
        bench.handshake(70, 90, LAPTOP_AT)
        count = len(bench.table.transactions)
        bench.move(PHONE, AWAY)
        assert bench.lane(ROUTER_AT, AWAY) == [7] and bench.lane(AWAY, ROUTER_AT) == [9]
        assert bench.lane(ROUTER_AT, LAPTOP_AT) == [70] and bench.lane(LAPTOP_AT, ROUTER_AT) == [90]
        assert len(bench.table.held) == 4 and len(bench.table.transactions) == count + 1, "in one transaction"
        assert AWAY in bench.table.members and PHONE_AT not in bench.table.members
        assert len(bench.handshake(17, 19, AWAY)) == 2 and bench.lane(AWAY, ROUTER_AT) == [9, 19]


def test_move_of_a_device_and_both_at_once():
    with Bench() as bench:
        bench.handshake(7, 9)
        bench.move(ROUTER, "192.0.2.55:51820")
        assert bench.table.held == {("192.0.2.55:51820", 7): PHONE_AT, (PHONE_AT, 9): "192.0.2.55:51820"}
        bench.wireguard.hear("wg0", ROUTER, ROUTER_AT)
        bench.move(PHONE, AWAY)
        assert bench.table.held == {(ROUTER_AT, 7): AWAY, (AWAY, 9): ROUTER_AT}
        bench.wireguard.hear("wg0", ROUTER, AWAY)
        bench.move(PHONE, ROUTER_AT)
        assert bench.table.held == {(AWAY, 7): ROUTER_AT, (ROUTER_AT, 9): AWAY}, "they change places"


def test_expired_routes_do_not_move():
    with Bench() as bench:
        bench.handshake(7, 9)
        del bench.table.held[PHONE_AT, 9]
        bench.move(PHONE, AWAY)
        assert bench.table.held == {(ROUTER_AT, 7): AWAY}


def test_routes_of_another_at_the_same_place_stay():
    with Bench() as bench:
        bench.handshake(70, 90, LAPTOP_AT)
        bench.move(PHONE, LAPTOP_AT)
        bench.handshake(7, 9, LAPTOP_AT)
        bench.move(PHONE, AWAY)
        assert bench.lane(ROUTER_AT, LAPTOP_AT) == [70] and bench.lane(ROUTER_AT, AWAY) == [7]
        assert bench.lane(LAPTOP_AT, ROUTER_AT) == [90] and bench.lane(AWAY, ROUTER_AT) == [9]


def test_answer_to_one_of_two_at_the_same_place():
    with Bench() as bench:
        bench.handshake(70, 90, LAPTOP_AT)
        bench.loop.advance(CALL_EVERY_MS)
        bench.call(PHONE_AT, ROUTER, 7)
        bench.move(LAPTOP, PHONE_AT)
        bench.hear(USERSPACE, ROUTER_AT, response(9, 7))
        bench.move(LAPTOP, LAPTOP_AT)
        assert bench.lane(PHONE_AT, ROUTER_AT) == [9] and bench.lane(LAPTOP_AT, ROUTER_AT) == [90]


def test_who_is_no_member_any_more_has_no_routes():
    with Bench() as bench:
        bench.handshake(7, 9)
        bench.handshake(70, 90, LAPTOP_AT)
        bench.wireguard.drop("wg0", PHONE)
        bench.update()
        assert sorted(bench.table.held) == sorted([(ROUTER_AT, 70), (LAPTOP_AT, 90)])
        assert PHONE_AT not in bench.table.members
        bench.configure()
        bench.config.peers[LAPTOP].exclude = True
        bench.relay.update()
        assert not bench.table.held and bench.relay.status()["pairs"] == []


def test_permission_that_is_withdrawn():
    with Bench() as bench:
        bench.handshake(7, 9, PHONE_AT, OTHER_AT, OTHER)
        assert len(bench.table.held) == 2
        bench.configure(other="laptop")
        bench.relay.update()
        assert not bench.table.held
        bench.hear(USERSPACE, PHONE_AT, data(9))
        assert len(bench.raw.sent) == 2


def test_a_move_asks_nothing_about_others():
    with Bench() as bench:
        bench.handshake(7, 9)
        bench.handshake(70, 90, LAPTOP_AT)
        asked = []

        def serves(one, other):
            asked.append(other)
            return Publisher.serves(bench, one, other)

        bench.serves = serves
        bench.move(PHONE, AWAY)
        assert PHONE in asked and LAPTOP not in asked, "with hundreds of clients it would take long"


def test_doors():
    with Bench() as bench:
        bench.routes["203.0.113.3"] = "192.0.2.101"
        bench.handshake()
        assert bench.table.members[PHONE_AT] == OWN, "where its initiation came to"
        assert bench.table.members[ROUTER_AT] == OWN and bench.table.members[LAPTOP_AT] is None
        assert bench.raw.sent[1][0] == OWN
        bench.loop.advance(CALL_EVERY_MS)
        bench.hear(INITIATION, PHONE_AT, initiation(SERVER, 1), KNOCKED)
        bench.handshake(8, 10, ROUTER_AT, PHONE_AT, PHONE)
        assert bench.table.members[PHONE_AT] == KNOCKED and bench.raw.sent[0][0] == KNOCKED
        bench.move(PHONE, AWAY)
        assert bench.table.members[AWAY] == KNOCKED, "the same server for it wherever it is"
        bench.move(PHONE, SIX)
        assert bench.table.members[SIX] == OWN_6


def test_a_packet_that_is_for_nobody_tells_no_door():
    with Bench() as bench:
        bench.handshake()
        for message in (b"\x01\0\0\0" + bytes(144), initiation(key(99), 1)):  # a forged source is all it takes
            bench.hear(INITIATION, PHONE_AT, message, KNOCKED)
            bench.loop.advance(5000)
        bench.handshake(8, 10, ROUTER_AT, PHONE_AT, PHONE)
        assert bench.table.members[PHONE_AT] == OWN == bench.raw.sent[0][0]


def test_a_door_that_is_known_after_a_longer_search():
    with Bench() as bench:
        for number in range(20, 40):
            bench.wireguard.hear("wg0", _added(bench, number), "203.0.113.200:%d" % (1000 + number))
        bench.update()
        bench.hear(INITIATION, ROUTER_AT, initiation(LAPTOP, 7), KNOCKED)
        assert not bench.raw.sent and bench.table.members[ROUTER_AT] is None
        bench.loop.advance(1000)
        assert bench.raw.sent and bench.table.members[ROUTER_AT] == KNOCKED


def test_door_by_route_is_asked_again():
    with Bench() as bench:
        bench.handshake()
        assert bench.table.members[ROUTER_AT] == OWN
        bench.routes["192.0.2.1"] = "192.0.2.102"
        bench.handshake(8, 10)
        assert bench.table.members[ROUTER_AT] == "192.0.2.102" and bench.raw.sent[0][0] == "192.0.2.102"


def test_no_way_to_a_member():
    with Bench() as bench:
        bench.routes["192.0.2.1"] = None
        bench.call(PHONE_AT, ROUTER, 7)
        assert not bench.raw.sent
        del bench.routes["192.0.2.1"]
        assert len(bench.handshake(8, 10)) == 2


def test_adopted_after_a_restart():
    with Bench(ready=False) as bench:
        bench.table.held = {(ROUTER_AT, 7): PHONE_AT, (PHONE_AT, 9): ROUTER_AT, (AWAY, 1): ROUTER_AT,
                            (PHONE_AT, 2): LAPTOP_AT, (LAPTOP_AT, 3): OTHER_AT}
        bench.table.load()
        assert bench.table.held == {(ROUTER_AT, 7): PHONE_AT, (PHONE_AT, 9): ROUTER_AT}
        assert bench.table.members[PHONE_AT] == OWN and bench.relay.status()["routes"] == 2
        bench.move(PHONE, AWAY)
        assert bench.table.held == {(ROUTER_AT, 7): AWAY, (AWAY, 9): ROUTER_AT}
        for index in range(100, 110):
            bench.handshake(index, index + 50, AWAY)
        assert bench.lane(ROUTER_AT, AWAY) == list(range(102, 110)), "they count"


def test_doors_of_an_earlier_run():
    bench = Bench(ready=False)
    with bench:
        bench.table.held = {(ROUTER_AT, 7): PHONE_AT, (PHONE_AT, 9): ROUTER_AT}
        bench.table.left_doors = {PHONE_AT: KNOCKED, AWAY: KNOCKED}
        bench.table.load()
        assert bench.table.members[PHONE_AT] == KNOCKED, "what goes on in the kernel keeps its source"
        assert bench.table.members[ROUTER_AT] == OWN and bench.table.members[LAPTOP_AT] is None
        bench.handshake(8, 10, ROUTER_AT, PHONE_AT, PHONE)
        assert bench.raw.sent[0][0] == KNOCKED == bench.table.members[PHONE_AT]


# -- sessions that a device tells ---------------------------------------------------------------------

def test_session():
    with Bench() as bench:
        assert bench.relay.session(ROUTER, PHONE, [[7, 9], [0, 4294967295]]) == ""
        assert bench.table.held == {(PHONE_AT, 7): ROUTER_AT, (ROUTER_AT, 9): PHONE_AT,
                                    (PHONE_AT, 0): ROUTER_AT, (ROUTER_AT, 4294967295): PHONE_AT}
        assert bench.table.members[PHONE_AT] == OWN == bench.table.members[ROUTER_AT], "doors are known, too"
        count = len(bench.table.transactions)
        assert bench.relay.session(ROUTER, PHONE, [[7, 9], [0, 4294967295]]) == ""
        assert len(bench.table.transactions) == count, "nothing new"
        bench.move(PHONE, AWAY)
        assert bench.lane(AWAY, ROUTER_AT) == [0, 7]


def test_sessions_are_checked():
    with Bench() as bench:
        for sessions in (None, {}, "x", 7, [[1, 2]] * 5, [[1]], [[1, 2, 3]], [1, 2], [None], [[1, -1]], [[1 << 32, 1]],
                         [["1", 2]], [[1.0, 2]], [[True, 2]], [[None, 2]], [{}], ["ab"]):
            assert bench.relay.session(ROUTER, PHONE, sessions), sessions
        for device, client in ((PHONE, ROUTER), (PHONE, LAPTOP), (OTHER, LAPTOP), (ROUTER, OTHER), (ROUTER, ROUTER),
                               (ROUTER, SERVER), (ROUTER, ""), (AWAY, PHONE)):
            assert bench.relay.session(device, client, [[1, 2]]), (device, client)
        assert not bench.table.held and not bench.table.transactions


def test_sessions_have_a_quota():
    with Bench() as bench:
        for turn in range(10):
            assert bench.relay.session(ROUTER, PHONE, [[turn * 4 + i, 1000 + turn * 4 + i] for i in range(4)]) == ""
            assert len(bench.table.transactions) == turn + 1, "all in one"
            bench.loop.advance(1000)
        assert len(bench.lane(PHONE_AT, ROUTER_AT)) == len(bench.lane(ROUTER_AT, PHONE_AT)) == ROUTES_MOST
        assert bench.lane(PHONE_AT, ROUTER_AT)[-4:] == [36, 37, 38, 39]
        bench.relay.session(ROUTER, PHONE, [[500, 501]])
        there = bench.lane(PHONE_AT, ROUTER_AT)
        assert 32 in there and 35 not in there, "the newest of a list stays longest"


def test_sessions_make_room_once_a_second():
    """What goes takes the kernel long."""
    with Bench() as bench:
        for index in range(ROUTES_MOST + 1):
            assert bench.relay.session(ROUTER, PHONE, [[index, 100 + index]]) == ""
        assert bench.relay.session(ROUTER, PHONE, [[50, 51]]) == "too many sessions within a second"
        assert bench.relay.session(ROUTER, PHONE, [[8, 108], [7, 107]]) == "", "these are known"
        assert bench.relay.session(ROUTER, LAPTOP, [[50, 51]]) == "", "others are not held up"
        bench.loop.advance(999)
        before = dict(bench.table.held)
        assert bench.relay.session(ROUTER, PHONE, [[50, 52]]) != "" and bench.table.held == before
        assert len(bench.handshake(60, 61)) == 2, "handshakes have a limit of their own"
        assert bench.relay.session(ROUTER, PHONE, [[50, 52]]) == ""


def test_what_is_refused_is_not_remembered():
    """Else routes would stay in the table that no quota knows of."""
    with Bench() as bench:
        assert bench.relay.session(ROUTER, LAPTOP, [[499, 500]]) == ""
        for index in range(0, 60, 3):
            bench.loop.advance(1000)
            assert bench.relay.session(ROUTER, PHONE, [[index, index]]) == ""
            before = dict(bench.table.held)
            assert bench.relay.session(ROUTER, PHONE, [[index + 1, 500]]) != "", "it is the laptop's"
            assert bench.relay.session(ROUTER, PHONE, [[index + 1, 500], [index + 2, index + 2]]) != ""
            bench.table.refuse = True
            bench.loop.advance(1000)
            assert bench.relay.session(ROUTER, PHONE, [[index + 1, index + 1]]) != ""
            bench.table.refuse = False
            assert bench.table.held == before, "all or none"
        assert bench.lane(PHONE_AT, ROUTER_AT) == bench.lane(ROUTER_AT, PHONE_AT) == list(range(36, 60, 3))


def test_session_takes_nothing_from_others():
    with Bench() as bench:
        bench.handshake(7, 9, PHONE_AT, OTHER_AT, OTHER)
        assert bench.relay.session(ROUTER, PHONE, [[9, 1]]) != ""
        assert bench.table.held[PHONE_AT, 9] == OTHER_AT and (ROUTER_AT, 1) not in bench.table.held


def test_session_refused_by_the_kernel():
    with Bench() as bench:
        bench.table.refuse = True
        assert bench.relay.session(ROUTER, PHONE, [[7, 9]]) == "the relay cannot take this session"


def test_session_of_who_is_nowhere():
    with Bench() as bench:
        bench.wireguard.peer("wg0", key(50))
        bench.update()
        assert bench.relay.session(ROUTER, key(50), [[7, 9]]) == "nobody knows where the client is"


# -- every packet through here ------------------------------------------------------------------------

def test_userspace_passes_on_what_has_a_route():
    with Bench() as bench:
        bench.handshake(7, 9)
        del bench.raw.sent[:]
        bench.hear(USERSPACE, PHONE_AT, data(9))
        bench.hear(USERSPACE, PHONE_AT, data(9, 1400))
        bench.hear(USERSPACE, ROUTER_AT, data(7))
        bench.hear(USERSPACE, ROUTER_AT, cookie(7))
        bench.hear(USERSPACE, PHONE_AT, data(8))
        bench.hear(USERSPACE, AWAY, data(9))
        assert [sent[2:] for sent in bench.raw.sent] == [
            ("192.0.2.1", 51820, data(9)), ("192.0.2.1", 51820, data(9, 1400)), ("203.0.113.3", 4000, data(7)),
            ("203.0.113.3", 4000, cookie(7))]
        assert bench.relay.status()["pairs"][0]["bytes"] == 240 + 100 + 1400 + 100 + 64


def test_families_are_mixed():
    with Bench() as bench:
        bench.move(PHONE, SIX)
        sent = bench.handshake(7, 9, SIX)
        assert sent[0][:4] == (OWN, 51820, "192.0.2.1", 51820)
        assert sent[1][:4] == (OWN_6, 51820, "2001:db8::3", 4000)
        assert bench.table.held == {(ROUTER_AT, 7): SIX, (SIX, 9): ROUTER_AT}


def test_userspace_keeps_the_limit():
    with Bench(("option relay_limit '1'",)) as bench:
        bench.handshake(7, 9)
        del bench.raw.sent[:]
        for _ in range(1000):
            bench.loop.advance(1)
            bench.hear(USERSPACE, PHONE_AT, data(9, 1000))
            bench.hear(USERSPACE, PHONE_AT, data(9, 1000))
        sent = sum([len(sent[4]) for sent in bench.raw.sent])
        assert 125000 <= sent <= 125000 + 125000 // 4 + 1000, sent
        bench.hear(USERSPACE, ROUTER_AT, data(7))
        assert bench.raw.sent[-1][2] == "203.0.113.3", "the other direction has its own"


def test_counters_that_do_not_come_out():
    with Bench() as bench:
        bench.table.count = {False: (100, 0), True: (100, 0)}
        bench.loop.advance(10 * CHECK_MS)
        assert bench.table.forwarding, "nothing is relayed"
        bench.handshake()
        bench.loop.advance(CHECK_MS)
        bench.table.count = {False: (130, 0), True: (200, 0)}
        bench.loop.advance(CHECK_MS)
        assert not bench.table.forwarding and bench.relay.active and len(bench.logged) == 1
        status = bench.relay.status()
        assert status["state"] == "userspace"
        assert status["problem"] == "the firewall drops IPv4 that the kernel should forward"
        assert bench.table.lost == set([False]), "nobody uses IPv6"
        bench.loop.advance(100 * CHECK_MS)
        assert not bench.table.forwarding and len(bench.logged) == 1
        bench.configure()
        bench.relay.update()
        bench.loop.advance(CHECK_MS)
        assert bench.table.forwarding and bench.relay.status()["problem"] == "", "again after a reload"


def test_setting_of_the_system():
    with Bench() as bench:
        bench.handshake()
        bench.system["ipv4/ip_forward"] = "0"
        bench.loop.advance(CHECK_MS)
        assert not bench.table.forwarding and bench.relay.status()["problem"] == "ipv4/ip_forward is 0"
        bench.system["ipv4/ip_forward"] = "1"
        bench.loop.advance(CHECK_MS)
        assert bench.table.forwarding and bench.relay.status()["problem"] == ""


def test_each_family_by_itself():
    with Bench() as bench:
        bench.system["ipv6/conf/all/forwarding"] = "0"
        bench.handshake(7, 9)
        bench.move(LAPTOP, SIX)
        bench.handshake(17, 19, SIX)
        bench.loop.advance(2 * CHECK_MS)
        assert bench.table.forwarding, "of two families is never the kernel's"
        bench.move(OTHER, "[2001:db8::2]:51820")
        bench.move(PHONE, "[2001:db8::4]:4000")
        bench.handshake(27, 29, "[2001:db8::4]:4000", "[2001:db8::2]:51820", OTHER)
        bench.move(LAPTOP, LAPTOP_AT)
        bench.loop.advance(CHECK_MS)
        assert bench.table.lost == set([True])
        assert bench.relay.status()["problem"] == "ipv6/conf/all/forwarding is 0"
        bench.table.lost.clear()
        bench.loop.advance(CHECK_MS)
        assert bench.table.lost == set([True]), "a table that was made anew is told, too"
        assert len(bench.logged) == 1


def test_unreadable_counters():
    with Bench() as bench:
        bench.handshake()
        bench.table.refuse = True
        bench.loop.advance(10 * CHECK_MS)
        assert bench.table.forwarding and bench.relay.status()["state"] == "kernel"


def test_status_counts_what_the_kernel_passed_on():
    with Bench() as bench:
        bench.handshake(7, 9)
        bench.move(PHONE, AWAY)
        bench.table.rows = [(ROUTER_AT, PHONE_AT, 10, 1000), (PHONE_AT, ROUTER_AT, 20, 2000),
                            (AWAY, ROUTER_AT, 30, 3000), (LAPTOP_AT, ROUTER_AT, 1, 100),
                            (LAPTOP_AT, PHONE_AT, 5, 500), ("192.0.2.99:1", ROUTER_AT, 5, 500)]
        pairs = bench.relay.status()["pairs"]
        assert pairs == [{"a": ROUTER, "b": PHONE, "packets": 62, "bytes": 6240, "initiations": 1},
                         {"a": ROUTER, "b": LAPTOP, "packets": 1, "bytes": 100, "initiations": 0}], "sorted by keys"


# -- hints --------------------------------------------------------------------------------------------

def test_hint():
    with Bench() as bench:
        bench.handshake(7, 9)
        bench.hear(HINT, AWAY, data(9))
        assert bench.hints == [(PHONE, AWAY)]
        bench.hear(HINT, AWAY, data(9))
        bench.hear(HINT, "198.51.100.10:1", data(9))
        assert len(bench.hints) == 1, "one in five seconds"
        bench.hear(HINT, AWAY, data(7))
        assert bench.hints[1:] == [(ROUTER, AWAY)], "for each"
        bench.loop.advance(HINT_EVERY_MS)
        bench.hear(HINT, AWAY, data(9))
        assert len(bench.hints) == 3
        assert not [sent for sent in bench.raw.sent if sent[4][0] == 4] and len(bench.table.held) == 2


def test_no_hint():
    with Bench() as bench:
        bench.handshake(7, 9)
        bench.hear(HINT, AWAY, data(10))
        bench.hear(HINT, LAPTOP_AT, data(9))
        bench.hear(HINT, AWAY, cookie(9))
        bench.hear(HINT, AWAY, response(1, 9))
        assert not bench.hints
        bench.wireguard.hear("wg0", PHONE, AWAY)
        bench.registry.update(bench.loop.now(), bench.wireguard.devices["wg0"])
        bench.hear(HINT, "198.51.100.10:1", data(9))
        assert not bench.hints, "it is known to have moved"
        bench.relay.update()
        del bench.table.held[AWAY, 9]
        bench.hear(HINT, "198.51.100.10:1", data(9))
        assert not bench.hints, "expired"


def test_hint_for_two_is_none():
    with Bench() as bench:
        bench.handshake(7, 9)
        bench.handshake(8, 9, LAPTOP_AT)
        bench.hear(HINT, AWAY, data(9))
        assert not bench.hints
