"""upgrader.py in virtual time, with parts that only remember: who is tried when, what is open, what is told."""
from helpers import VirtualLoop

from wgp2p import beaconkey, log, probe, upgrader
from wgp2p.path import DIRECT, RELAY, TRYING
from wgp2p.upgrader import Row, Upgrader

ONE, TWO = "A" * 42 + "8=", "B" * 42 + "8="
PLACE, OTHER, FORGED = "203.0.113.31:4000", "203.0.113.32:5000", "198.51.100.1:1"
SERVER = "203.0.113.10:51820"


class Main:
    keep_dir = "/keep"


class Config:
    main = Main

    def name(self, key):
        return key[:1]


class Device:
    def __init__(self, port=51820):
        self.listen_port = port


class Copier:
    error = None

    def __init__(self, loop):
        self.loop, self.attempts, self.closed = loop, [], False

    def attempt(self, relay, candidate, port, size, probe_it):
        assert port == 51820 and size in (64, 80)
        if Copier.error:
            raise OSError(Copier.error)
        probe_it()
        self.attempts.append((self.loop.now(), relay, candidate))

    def close(self):
        self.closed = True


class Beacons:
    made, error = [], None

    def __init__(self, loop, port, heard):
        if Beacons.error:
            raise OSError(Beacons.error)
        self.port, self.heard, self.wanted, self.open = port, heard, None, True
        Beacons.made.append(self)

    def want(self, clients):
        self.wanted = sorted(clients)

    def close(self):
        self.open = False


class Sessions:
    def __init__(self, loop):
        self.port, self.noted, self.reads, self.diverted = None, {}, [], []

    def want(self, port):
        self.port = port

    def divert(self, target, elsewhere, size):
        self.diverted.append((target, elsewhere, size))

    def read(self, endpoints):
        self.reads.append(sorted(endpoints))
        return dict([(endpoint, self.noted[endpoint]) for endpoint in endpoints if endpoint in self.noted])

    def close(self, done):
        self.port = "closed"
        done()


class Bench:
    """An Upgrader and its view."""

    config = Config()

    def __enter__(self):
        self.loop, self.rows, self.device = VirtualLoop(), {}, Device()
        self.told, self.tries, self.probes, self.heard = [], [], [], []
        self.logged, self.secret = [], b"s" * 32
        self.start, self.asked, self.deaf = self.loop.now(), 0, False
        self._real = (upgrader.Copier, upgrader.Beacons, upgrader.SessionTable, probe.echo, beaconkey.beacon_key,
                      log.warning, upgrader.open_nat)
        self.opened = []
        upgrader.open_nat = lambda candidate, port: self.opened.append((candidate, port))
        upgrader.Copier, upgrader.Beacons, upgrader.SessionTable = Copier, Beacons, Sessions
        probe.echo, beaconkey.beacon_key = lambda *row: self.probes.append(row), self._key
        log.warning = self.logged.append
        Copier.error = Beacons.error = None
        Beacons.made = []
        self.upgrader = Upgrader(self.loop, "wg0", self)
        return self

    def __exit__(self, *_):
        (upgrader.Copier, upgrader.Beacons, upgrader.SessionTable, probe.echo, beaconkey.beacon_key,
         log.warning, upgrader.open_nat) = self._real

    def _key(self, keep_dir):
        assert keep_dir == "/keep"
        self.asked += 1
        if self.secret is None:
            raise beaconkey.BeaconKeyError("damaged")
        return self.secret

    def row(self, key, state=RELAY, endpoint=SERVER, seen=PLACE, relay=SERVER, auto=True, handshake=7, ip="10.0.0.3"):
        self.rows[key] = Row(state, endpoint, seen, relay, "auto" if auto else "relay", True, handshake, ip)
        self.update()

    def update(self):
        self.upgrader.update(self.device, self.rows)

    def tried(self, key):  # the view's
        self.tries.append((self.loop.now() - self.start, key))
        self.update()  # as the Subscriber does, which looks at once

    def beacon(self, key, endpoint):
        self.heard.append((key, endpoint))

    def tell_session(self, key, sessions):
        if self.deaf:
            return False
        self.told.append((key, sessions))
        return True

    def pass_time(self, ms, step=100):
        for _ in range(ms // step):
            self.loop.advance(step)
            self.update()

    def attempts(self):
        found = [(at - self.start, relay, candidate) for at, relay, candidate in self.upgrader._copier.attempts]
        del self.upgrader._copier.attempts[:]
        return found


def test_a_relayed_client_is_tried():
    with Bench() as bench:
        bench.row(ONE, state=TRYING)
        bench.pass_time(1000)
        assert not bench.attempts() and not Beacons.made
        bench.row(ONE)
        bench.pass_time(1200)
        assert bench.attempts() == [(1000, SERVER, PLACE), (1300, SERVER, PLACE), (2000, SERVER, PLACE)]
        assert bench.tries == [(1000, ONE), (1300, ONE), (2000, ONE)] and bench.probes == [("wg0", "10.0.0.3")] * 4
        bench.row(ONE, state=DIRECT, endpoint=PLACE)
        bench.pass_time(10000)
        assert not bench.attempts()


def test_our_nat_is_open_for_a_client_that_answers_a_call_directly():
    with Bench() as bench:
        bench.row(ONE, state=TRYING)
        bench.row(TWO, state=TRYING, endpoint=OTHER)
        bench.pass_time(2500)
        assert bench.opened == [(PLACE, 51820)] * 3
        for option in ({"auto": False}, {"seen": None}, {"relay": None, "endpoint": None}, {"state": DIRECT}):
            bench.row(ONE, **dict({"state": TRYING}, **option))
            bench.pass_time(2000)
        assert len(bench.opened) == 3


def test_who_is_not_tried():
    for option in ({"auto": False}, {"seen": None}, {"seen": SERVER}, {"ip": None}, {"relay": None}):
        with Bench() as bench:
            bench.row(ONE, **option)
            bench.pass_time(5000)
            assert not bench.attempts() and not bench.tries, option
            del bench.rows[ONE]
            bench.pass_time(1000)


def test_one_attempt_at_a_time_and_everybody_has_a_turn():
    with Bench() as bench:
        for number in range(20):
            bench.row("%042d8=" % number, seen="203.0.113.31:%d" % (4000 + number))
        bench.pass_time(5000)
        made = bench.attempts()
        assert len(set([row[2] for row in made])) == 20
        assert min([later[0] - earlier[0] for earlier, later in zip(made, made[1:])]) == 200


def test_beacons_are_heard_while_somebody_is_on_the_relay():
    with Bench() as bench:
        bench.row(ONE, seen=None)
        bench.row(TWO, state=DIRECT, endpoint=OTHER)
        assert len(Beacons.made) == 1 and Beacons.made[0].wanted == [ONE] and Beacons.made[0].port == 51820
        Beacons.made[0].heard(ONE, OTHER)
        Beacons.made[0].heard("gone", FORGED)
        bench.pass_time(3000)
        assert [row[1:] for row in bench.attempts()] == [(SERVER, OTHER)] * 3
        bench.row(TWO)
        assert Beacons.made[0].wanted == [ONE, TWO]
        bench.device.listen_port = 40000
        Copier.error = 101
        bench.update()
        assert not Beacons.made[0].open and Beacons.made[1].open and Beacons.made[1].port == 40000
        bench.row(ONE, state=DIRECT, endpoint=OTHER)
        bench.row(TWO, state=DIRECT, endpoint=OTHER)
        assert not Beacons.made[1].open


def test_a_beacon_while_an_attempt_runs():
    with Bench() as bench:
        bench.row(ONE)
        bench.row(TWO, seen=None)
        bench.loop.advance(50)
        Beacons.made[0].heard(TWO, OTHER)
        bench.loop.advance(1000)
        assert bench.attempts()[:3] == [(0, SERVER, PLACE), (200, SERVER, OTHER), (400, SERVER, PLACE)]


def test_without_a_beacon_key_or_a_raw_socket():
    with Bench() as bench:
        bench.secret = None
        bench.row(ONE)
        bench.pass_time(110000, 1000)
        assert len(bench.logged) == 1 and "damaged" in bench.logged[0] and bench.attempts()
        assert bench.asked == 2
        bench.secret, Beacons.error = b"s" * 32, 1
        bench.pass_time(11000, 1000)
        assert len(bench.logged) == 2 and "errno 1" in bench.logged[1] and not Beacons.made
        bench.pass_time(50000, 1000)
        Beacons.error = None
        bench.pass_time(11000, 1000)
        assert len(bench.logged) == 2 and len(Beacons.made) == 1


def test_an_attempt_that_cannot_be_made():
    with Bench() as bench:
        Copier.error = 101
        bench.row(ONE)
        bench.pass_time(5000)
        assert not bench.tries
        Copier.error = None
        bench.pass_time(1000)
        assert bench.tries == [(6000, ONE)]


def test_only_what_a_publisher_says_is_diverted():
    with Bench() as bench:
        bench.row(ONE)
        bench.pass_time(1100)
        assert bench.upgrader._sessions.diverted == [(SERVER, PLACE, 64)] * 3
        Beacons.made[0].heard(ONE, OTHER)
        Beacons.made[0].heard(ONE, PLACE.replace(":4000", ":4001"))
        bench.pass_time(8000)
        found = bench.upgrader._sessions.diverted[3:]
        assert (SERVER, PLACE.replace(":4000", ":4001"), 64) in found, "the same address, behind a symmetric NAT"
        assert OTHER in [row[2] for row in bench.attempts()] and OTHER not in [row[1] for row in found]
        bench.row(ONE, ip="fd00::3")
        bench.pass_time(2000)
        assert bench.upgrader._sessions.diverted[-1] == (SERVER, PLACE, 80)


def test_asked_again_by_the_relay():
    with Bench() as bench:
        bench.row(ONE)
        bench.loop.advance(850)
        assert len(bench.probes) == 2 and len(bench.attempts()) == 2, "the second came before it was time"
        bench.pass_time(12000)
        assert len(bench.probes) == 12 + 11 and len(bench.attempts()) == 10
        bench.pass_time(58000)
        assert len(bench.probes) == 25
        bench.pass_time(59500)
        assert len(bench.probes) == 26
        bench.row(ONE, state=DIRECT, endpoint=PLACE)
        bench.pass_time(1000)
        assert len(bench.probes) == 26, "it answered"


def test_without_a_tunnel():
    with Bench() as bench:
        bench.row(ONE)
        bench.loop.advance(500)

        def fail(*_):
            raise OSError(101)

        probe.echo = fail
        bench.pass_time(3000)
        assert len(bench.attempts()) == 2 and not bench.upgrader._again


def test_the_table_is_there_while_somebody_relays():
    with Bench() as bench:
        bench.row(ONE, state=TRYING, relay=None)
        assert bench.upgrader._sessions.port is None
        bench.row(TWO, state=DIRECT)
        assert bench.upgrader._sessions.port == 51820
        bench.device.listen_port = 0
        bench.update()
        assert bench.upgrader._sessions.port is None


def test_sessions_are_told():
    with Bench() as bench:
        bench.upgrader._sessions.noted = {PLACE: [(1, 2), (3, 4)], OTHER: [(5, 6)]}
        bench.row(ONE, state=DIRECT, endpoint=PLACE)
        assert not bench.told
        bench.loop.advance(100)
        assert bench.told == [(ONE, [[1, 2], [3, 4]])]
        bench.row(TWO, state=DIRECT, endpoint=OTHER)
        bench.pass_time(5000)
        assert bench.told[1:] == [(TWO, [[5, 6]])]
        bench.row(ONE, state=DIRECT, endpoint=PLACE, handshake=130)
        bench.pass_time(5000)
        assert bench.told[2:] == [(ONE, [[1, 2], [3, 4]])]
        bench.row(ONE, state=DIRECT, endpoint=OTHER, handshake=130)
        bench.pass_time(5000)
        assert bench.told[3:] == [(ONE, [[5, 6]])]
        bench.upgrader.retell()
        bench.upgrader.retell()
        bench.pass_time(5000)
        assert bench.told[4:] == [(ONE, [[5, 6]]), (TWO, [[5, 6]])] and len(bench.upgrader._sessions.reads) == 5


def test_sessions_that_are_nobodys_business():
    with Bench() as bench:
        bench.upgrader._sessions.noted = {PLACE: [(1, 2)]}
        bench.row(ONE, state=DIRECT, endpoint=PLACE, relay=None)
        bench.row(TWO, state=RELAY, endpoint=SERVER)
        bench.pass_time(1000)
        bench.row(TWO, state=DIRECT, endpoint=FORGED)
        bench.pass_time(1000)
        assert not bench.told
        bench.row(TWO, state=DIRECT, endpoint=PLACE)
        bench.row(TWO, state=RELAY, endpoint=SERVER)
        bench.pass_time(1000)
        assert not bench.told, "gone from there before it was told"


def test_the_end():
    with Bench() as bench:
        bench.row(ONE)
        bench.loop.advance(0)
        bench.row(TWO, state=DIRECT, endpoint=PLACE)
        done = []
        bench.upgrader.close(lambda: done.append(True))
        assert done and bench.upgrader._sessions.port == "closed" and not Beacons.made[0].open
        bench.loop.advance(100000)
        assert len(bench.attempts()) == len(bench.probes) == 1 and not bench.told and bench.upgrader._copier.closed


def test_what_cannot_be_told_now_is_told_later():
    with Bench() as bench:
        bench.upgrader._sessions.noted = {PLACE: [(1, 2)]}
        bench.deaf = True
        bench.row(ONE, state=DIRECT, endpoint=PLACE)
        bench.pass_time(20000)
        assert len(bench.upgrader._sessions.reads) <= 5, "not all the time"
        bench.deaf = False
        bench.pass_time(5100)
        assert bench.told == [(ONE, [[1, 2]])]
        for _ in range(100):
            bench.upgrader.retell()
            bench.pass_time(100)
        assert len(bench.told) <= 12, "however often somebody asks"


def test_a_relay_that_comes_and_goes_loads_no_table_each_time():
    with Bench() as bench:
        wanted = []
        bench.upgrader._sessions.want = wanted.append
        for number in range(100):
            bench.row(ONE, relay=SERVER if number % 2 else None)
            bench.pass_time(100)
        bench.row(ONE, relay=None)
        assert set(wanted[5:]) == set([51820])
        bench.pass_time(61000)
        assert wanted[-1] is None
