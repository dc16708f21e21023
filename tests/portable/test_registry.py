"""registry.py: readings in, changes with sequence numbers and ages out."""
from fakewg import FakeWireGuard, key
from helpers import raises

from wgp2p import registry
from wgp2p.registry import QUIET_MS, REMOVALS_KEPT, Registry, age_s, describe

HOME, AWAY = "203.0.113.31:36906", "198.51.100.7:40000"
MAPPED = "203.0.113.31:51820"


class Bench:
    """A registry beside the interface that it reads."""

    def __init__(self, *numbers):
        self.wireguard = FakeWireGuard()
        self.wireguard.add("wg0")
        for number in numbers:
            self.add(number)
        self.registry = Registry("boot")
        self.now = 5000000
        self.read()

    def add(self, number, **fields):
        fields.setdefault("allowed_ips", ("10.0.0.%d/32" % number,))
        self.wireguard.peer("wg0", key(number), **fields)

    def read(self, ms=0):
        """Another reading, `ms` later; the keys that changed."""
        self.now += ms
        return [entry.key for entry in self.registry.update(self.now, self.wireguard.devices["wg0"])]

    def hear(self, number, endpoint=HOME):
        self.wireguard.hear("wg0", key(number), endpoint)

    def describe(self, number):
        return describe(self.registry.entries[key(number)], self.now)


def test_changes_count_up():
    bench = Bench(1, 2)
    assert sorted([entry.seq for entry in bench.registry.entries.values()]) == [1, 2]
    assert bench.registry.seq == 2 and bench.read(1000) == []
    bench.hear(1)
    assert bench.read(1000) == [key(1)] and bench.registry.seq == 3
    bench.hear(1)
    assert bench.read(1000) == [], "only more bytes"
    bench.hear(1, AWAY)
    assert bench.read(1000) == [key(1)]
    bench.add(3)
    assert bench.read(1000) == [key(3)]
    assert bench.registry.seq == 5
    assert [entry.seq for entry in [bench.registry.entries[key(n)] for n in (1, 3)]] == [4, 5]


def test_ages_are_monotonic_and_null_before():
    bench = Bench()
    bench.add(1, endpoint=HOME, rx=500, handshake=1700000000)
    bench.read()
    row = bench.describe(1)
    assert (row["seen_age"], row["handshake_age"], row["quiet"], row["restored"]) == (None, None, False, False)
    bench.hear(1)
    bench.read(1500)
    bench.now += 2300
    assert bench.describe(1)["seen_age"] == 2.3
    assert bench.describe(1)["handshake_age"] is None, "the same handshake as at first"
    # the machine's clock jumps to 1970: an age stays what it is
    bench.wireguard.peer("wg0", key(1), handshake=17)
    bench.read()
    bench.now += 400
    row = bench.describe(1)
    assert (row["handshake_age"], row["seen_age"], row["latest_handshake"]) == (0.4, 2.7, 17)


def test_who_shakes_hands_too_soon_has_begun_anew():
    bench = Bench(1)

    def shake(ms, handshake, endpoint=HOME):
        bench.wireguard.peer("wg0", key(1), handshake=handshake, endpoint=endpoint,
                             rx=bench.wireguard.get("wg0", key(1)).rx + 148)
        return bench.read(ms)

    shake(1000, 100)
    assert bench.describe(1)["restarts"] == 0
    assert shake(120000, 220) == [] and bench.describe(1)["restarts"] == 0, "as WireGuard does by itself"
    assert shake(20000, 240) == [key(1)] and bench.describe(1)["restarts"] == 1
    assert shake(20000, 260, AWAY) == [key(1)] and bench.describe(1)["restarts"] == 1, "it moved: that is known anyway"
    assert shake(1000, 260, AWAY) == []
    assert shake(1000, 262, AWAY) == [key(1)] and bench.describe(1)["restarts"] == 2


def test_only_received_bytes_are_a_sign_of_life():
    bench = Bench(1)
    bench.wireguard.peer("wg0", key(1), tx=10000, endpoint=HOME)
    bench.read(1000)
    assert bench.describe(1)["seen_age"] is None


def test_the_first_sign_of_life_since_the_start_is_told_once():
    """Without it a subscriber would not know how fresh this is, and go on believing another publisher."""
    bench = Bench()
    bench.add(1, endpoint=HOME, rx=500)
    assert bench.read(1000) == [key(1)] and bench.describe(1)["seen_age"] is None
    bench.hear(1)
    assert bench.read(1000) == [key(1)] and bench.describe(1)["seen_age"] == 0
    bench.hear(1)
    assert bench.read(1000) == []


def test_quiet_flips_both_ways():
    bench = Bench(1)
    assert bench.read(QUIET_MS - 1) == []
    assert bench.read(1) == [key(1)] and bench.describe(1)["quiet"] is True
    assert bench.read(1000) == []
    bench.hear(1)
    assert bench.read(1000) == [key(1)] and bench.describe(1)["quiet"] is False
    bench.hear(1)
    assert bench.read(QUIET_MS - 1) == []
    assert bench.read(QUIET_MS) == [key(1)]


def test_allowed_ips_that_change():
    bench = Bench(1)
    bench.add(1, allowed_ips=("10.0.0.1/32", "192.168.7.0/24"))
    assert bench.read(1000) == [key(1)]
    assert bench.registry.asker("192.168.7.9").key == key(1)
    bench.add(1, allowed_ips=())
    assert bench.read(1000) == [key(1)]
    assert bench.registry.asker("10.0.0.1") is None


def test_an_endpoint_that_is_gone_is_still_the_best_guess():
    bench = Bench(1)
    bench.hear(1)
    bench.read(1000)
    bench.wireguard.peer("wg0", key(1), endpoint=None)
    assert bench.read(1000) == []
    assert bench.describe(1)["endpoint"] == HOME


def test_removed_peers():
    bench = Bench(1, 2)
    before = bench.registry.seq
    bench.wireguard.drop("wg0", key(1))
    assert bench.read(1000) == [] and bench.registry.seq == before + 1
    assert sorted(bench.registry.entries) == [key(2)]
    assert bench.registry.since(before) == [(before + 1, key(1))]
    bench.add(1)
    bench.read(1000)
    assert bench.registry.since(before) == [(before + 2, key(1))], "told once, as it is now"
    assert bench.describe(1)["seen_age"] is None, "another peer with the same key"


def test_since_goes_by_age():
    bench = Bench(1, 2, 3)
    start = bench.registry.seq
    bench.hear(3)
    bench.read(10)
    bench.wireguard.drop("wg0", key(2))
    bench.read(10)
    bench.hear(1)
    bench.read(10)
    assert bench.registry.since(start) == [(start + 1, key(3)), (start + 2, key(2)), (start + 3, key(1))]
    assert bench.registry.since(start + 2) == [(start + 3, key(1))]
    assert bench.registry.since(start + 3) == []
    assert bench.registry.since(start + 4) is None, "of another run"
    assert len(bench.registry.since(0)) == 3


def test_who_is_too_far_behind():
    bench = Bench(1)
    start = bench.registry.seq
    for _ in range(REMOVALS_KEPT):
        bench.add(9)
        bench.read(10)
        bench.wireguard.drop("wg0", key(9))
        bench.read(10)
    assert bench.registry.since(start) is not None
    bench.add(9)
    bench.read(10)
    bench.wireguard.drop("wg0", key(9))
    bench.read(10)
    first = bench.registry.removed[0][0]
    assert bench.registry.since(start) is None and bench.registry.since(first - 3) is None
    assert bench.registry.since(first - 1) is not None
    assert len(bench.registry.removed) == REMOVALS_KEPT


def test_an_interface_made_anew():
    bench = Bench(1, 2)
    bench.hear(1)
    bench.read(1000)
    bench.wireguard.add("wg0", ifindex=8)
    bench.add(1)
    bench.add(2)
    bench.read(1000)
    row = bench.describe(1)
    assert (row["endpoint"], row["rx_bytes"], row["seen_age"], row["restored"]) == (HOME, 0, 1.0, False)
    bench.registry.restore(key(1), AWAY)
    row = bench.describe(1)
    assert (row["endpoint"], row["restored"], row["seq"]) == (AWAY, True, bench.registry.seq)
    assert bench.read(1000) == [] and bench.describe(1)["restored"] is True
    bench.hear(1, HOME)
    assert bench.read(1000) == [key(1)]
    row = bench.describe(1)
    assert (row["endpoint"], row["restored"], row["seen_age"]) == (HOME, False, 0.0)


def test_heard_before_the_first_look_at_the_new_interface():
    bench = Bench(1)
    bench.hear(1)
    bench.read(1000)
    bench.wireguard.add("wg0", ifindex=8)
    bench.add(1, rx=10, endpoint=AWAY)
    bench.read(30000)
    assert bench.describe(1)["seen_age"] == 0.0


def test_asker_by_the_longest_prefix():
    bench = Bench()
    bench.add(1, allowed_ips=("10.0.0.0/8", "fd00::/8"))
    bench.add(2, allowed_ips=("10.7.0.0/16", "fd00:7::/64"))
    bench.add(3, allowed_ips=("10.7.0.3/32",))
    bench.add(4, allowed_ips=("0.0.0.0/0",))
    bench.read()
    for ip, number in (("10.1.1.1", 1), ("10.7.1.1", 2), ("10.7.0.3", 3), ("10.7.0.4", 2), ("9.9.9.9", 4),
                       ("fd00:7::1", 2), ("fd00:8::1", 1), ("::ffff:10.7.0.3", 3)):
        assert bench.registry.asker(ip).key == key(number), ip
    assert bench.registry.asker("2001:db8::1") is None
    raises(ValueError, bench.registry.asker, "nonsense")


def test_describe_has_the_originals_fields_with_their_meaning():
    bench = Bench()
    bench.add(1, endpoint=HOME, rx=9, tx=8, keepalive=10, handshake=1700000000,
              allowed_ips=("192.168.20.3/32", "fd00::3/128"))
    bench.add(2)
    bench.read()
    row = bench.describe(1)
    original = ("public_key", "endpoint", "allowed_ips", "latest_handshake", "rx_bytes", "tx_bytes",
                "persistent_keepalive")
    assert [row[name] for name in original] == [
        key(1), HOME, ["192.168.20.3/32", "fd00::3/128"], 1700000000, 9, 8, 10]
    row = bench.describe(2)
    assert [row[name] for name in original] == [key(2), None, ["10.0.0.2/32"], 0, 0, 0, None]
    assert sorted(row) == sorted(original + ("handshake_age", "seen_age", "quiet", "restored", "restarts", "observed",
                                             "announced", "seq"))


def test_what_is_announced_is_served_while_it_lives():
    bench = Bench(1)
    bench.hear(1, HOME)
    bench.read()
    entry, seq, end = bench.registry.entries[key(1)], bench.registry.seq, bench.now + 60000
    bench.registry.announce(entry, MAPPED, end, True)
    row = bench.describe(1)
    assert (row["endpoint"], row["observed"], row["announced"], row["seq"]) == (MAPPED, HOME, MAPPED, seq + 1)
    assert entry.endpoint == HOME, "what the relay and the memory use"
    assert bench.registry.since(seq) == [(seq + 1, key(1))]
    bench.hear(1, HOME.replace("36906", "40001"))
    assert bench.read(1000) == [key(1)] and bench.describe(1)["endpoint"] == MAPPED, "only another port"
    bench.registry.announce(entry, MAPPED, end + 60000, True)
    assert bench.registry.seq == seq + 2, "kept up, no change"
    assert bench.read(end + 59999 - bench.now) == [key(1)] and bench.describe(1)["announced"] == MAPPED, "quiet"
    assert bench.read(1) == [key(1)] and bench.describe(1)["announced"] is None
    assert bench.describe(1)["endpoint"] == entry.endpoint == HOME.replace("36906", "40001")
    assert bench.read(1000) == []


def test_what_is_announced_is_gone_when_the_peer_is_elsewhere():
    for there in (AWAY, "203.0.113.3:36906", "[2001:db8::1]:36906"):
        bench = Bench(1)
        bench.hear(1, HOME)
        bench.read()
        bench.registry.announce(bench.registry.entries[key(1)], MAPPED, bench.now + 60000, True)
        bench.hear(1, there)
        assert bench.read(1000) == [key(1)]
        assert (bench.describe(1)["endpoint"], bench.describe(1)["announced"]) == (there, None)
        bench.hear(1, HOME)
        bench.read(1000)
        assert bench.describe(1)["endpoint"] == HOME, "nor does it come back"


def test_withdrawn_and_not_preferred():
    bench = Bench(1)
    bench.hear(1, HOME)
    bench.read()
    entry, seq = bench.registry.entries[key(1)], bench.registry.seq
    bench.registry.announce(entry, None, None, True)
    assert bench.registry.seq == seq, "there was none"
    bench.registry.announce(entry, MAPPED, bench.now + 60000, False)
    assert (bench.describe(1)["endpoint"], bench.describe(1)["announced"]) == (HOME, MAPPED)
    bench.registry.announce(entry, None, None, True)
    assert (bench.describe(1)["endpoint"], bench.describe(1)["announced"]) == (HOME, None)
    assert bench.registry.seq == seq + 2 and bench.read(1000) == []


def test_age():
    assert age_s(10000, None) is None
    assert [age_s(10000, then) for then in (10000, 9960, 9949, 0)] == [0.0, 0.0, 0.1, 10.0]
    assert registry.QUIET_MS > 25000, "the recommended keepalive"


def test_never_seen_until_the_interface_was_made_anew():
    bench = Bench(1)
    bench.wireguard.add("wg0", ifindex=8)
    bench.add(1, rx=10, endpoint=AWAY, handshake=1700000000)
    bench.read(3000)
    row = bench.describe(1)
    assert (row["seen_age"], row["handshake_age"]) == (0.0, 0.0)
