"""The subscriber where its public server relays: which endpoint is set, what the Upgrader is given and asks for."""
from test_subscriber import LAPTOP, NEW, OLD, PHONE, SERVER_AT, Bench, row

from wgp2p import subscriber


class FakeUpgrader:
    """Keeps the rows of the last update."""

    def __init__(self, loop, interface, view):
        self.interface, self.view = interface, view
        self.rows, self.retold, self.closed = {}, 0, False

    def update(self, device, rows):
        self.rows = rows

    def retell(self):
        self.retold += 1

    def close(self, done):
        self.closed = True
        done()


class RelayBench(Bench):
    """The public server relays from its first snapshot on."""

    def __init__(self, **how):
        self._real = subscriber.Upgrader
        subscriber.Upgrader = FakeUpgrader
        Bench.__init__(self, **how)
        self.upgrader = self.subscriber._upgrader

    def __exit__(self, *error):
        subscriber.Upgrader = self._real
        Bench.__exit__(self, *error)

    def snapshot(self, *rows, relay=True):
        if self.link.mode != "events":
            self.stream.begin()
        self.stream.say("snapshot", {"peers": list(rows), "fetched_at": 1763800000, "relay": relay}, "boot-1")
        self.loop.advance(100)

    def endpoint(self, peer=PHONE):
        return self.wireguard.get("wg0", peer).endpoint

    def path(self, peer=PHONE):
        return self.subscriber.paths[peer].state


def test_the_relay_is_called_and_named():
    with RelayBench() as bench:
        bench.snapshot(row(PHONE, OLD))
        assert bench.endpoint() == SERVER_AT and bench.path() == "trying"
        bench.hear(PHONE, SERVER_AT)
        bench.step(200)
        assert bench.path() == "relay"
        one = bench.upgrader.rows[PHONE]
        assert (one.state, one.endpoint, one.seen, one.relay, one.policy, one.ip) == (
            "relay", SERVER_AT, OLD, SERVER_AT, "auto", "10.0.0.1")
        assert bench.upgrader.rows[LAPTOP].seen is None and bench.upgrader.interface == "wg0"
        assert bench.subscriber.row(PHONE)["path"] == "relay"


def test_what_a_client_announces_is_known_as_such():
    with RelayBench() as bench:
        for announced in (OLD, None):
            said = row(PHONE, OLD)
            said["announced"] = announced
            bench.snapshot(said)
            bench.step(1500)
            assert bench.upgrader.rows[PHONE].announced == (announced is not None)


def test_off_the_relay_and_back():
    with RelayBench() as bench:
        bench.snapshot(row(PHONE, OLD))
        bench.hear(PHONE, SERVER_AT)
        bench.step(200)
        reads = bench.wireguard.reads
        bench.subscriber.tried(PHONE)
        bench.step(1000)
        assert bench.wireguard.reads - reads >= 8, "watched closely after a try"
        bench.hear(PHONE, OLD)
        bench.step(1500)
        assert bench.path() == "direct" and bench.endpoint() == OLD
        bench.tell(PHONE, NEW)
        bench.step(100)
        assert bench.endpoint() == SERVER_AT


def test_policies():
    with RelayBench(peers="config peer\n option public_key '%s'\n option path 'direct'\n"
                          "config peer\n option public_key '%s'\n option path 'relay'\n" % (PHONE, LAPTOP)) as bench:
        bench.snapshot(row(PHONE, OLD), row(LAPTOP, NEW))
        assert bench.endpoint() == OLD and bench.endpoint(LAPTOP) == SERVER_AT
        bench.hear(LAPTOP, SERVER_AT)
        bench.step(1500)
        assert bench.upgrader.rows[LAPTOP].policy == "relay" and bench.upgrader.rows[PHONE].relay is None


def test_another_policy_by_a_reload():
    def policy(word):
        return "config peer\n option public_key '%s'\n option path '%s'\n" % (PHONE, word)

    with RelayBench(peers=policy("direct")) as bench:
        bench.snapshot(row(PHONE, OLD))
        assert bench.endpoint() == OLD and bench.path() == "trying"
        bench.configure(peers=policy("auto"))
        bench.step(1500)
        assert bench.endpoint() == SERVER_AT
        bench.configure(peers=policy("direct"))
        bench.step(1500)
        assert bench.endpoint() == OLD


def test_no_relay_no_change():
    with RelayBench() as bench:
        bench.snapshot(row(PHONE, OLD), relay=False)
        assert bench.endpoint() == OLD and bench.upgrader.rows[PHONE].relay is None


def test_an_excluded_peer_is_no_row():
    with RelayBench(peers="config peer\n option public_key '%s'\n option exclude '1'\n" % PHONE) as bench:
        bench.snapshot(row(PHONE, OLD))
        assert bench.endpoint() is None and PHONE not in bench.upgrader.rows


def test_sessions_go_to_the_publisher_and_again_after_a_snapshot():
    with RelayBench() as bench:
        bench.snapshot(row(PHONE, OLD))
        bench.upgrader.view.tell_session(PHONE, [[1, 2]])
        assert [request.path for request in bench.client.gets] == ["/api/relay"]
        retold = bench.upgrader.retold
        bench.snapshot(row(PHONE, OLD))
        assert bench.upgrader.retold == retold + 1


def test_the_end_takes_the_table_away():
    with RelayBench() as bench:
        gone = []
        bench.subscriber.close(lambda: gone.append(True))
        assert bench.upgrader.closed and gone


def test_a_client_that_has_begun_anew_is_asked_at_once():
    def told(restarts):
        return dict(row(PHONE, OLD), restarts=restarts)

    for relay, asked in ((True, 1), (False, 0)):
        with RelayBench() as bench:
            bench.snapshot(told(3), relay=relay)
            bench.hear(PHONE, SERVER_AT if relay else OLD)
            bench.step(2000, {PHONE: SERVER_AT if relay else OLD})
            del bench.probes[:]
            for restarts in (3, "4", None, -1, True, [4]):
                bench.stream.say("peer", told(restarts), "boot-2")
            bench.step(1600)
            assert not bench.probes
            bench.stream.say("peer", told(3), "boot-3")
            bench.stream.say("peer", told(4), "boot-3")
            bench.step(100)
            assert len(bench.probes) == asked
