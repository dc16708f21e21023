"""upgrade.py: which address is tried when, in virtual time."""
from wgp2p.upgrade import BEACON_TRIES, GAP_MS, RETRY_MS, TRIES_MS, Upgrade

SEEN, OTHER, FORGED = "203.0.113.31:4000", "203.0.113.32:5000", "198.51.100.%d:1"
START = 1000000


def play(upgrade, until, said=(), now=START):
    """Every (ms since START, endpoint) that is tried, taken when it says and at facts; `said`: (ms, method, args)."""
    tried, facts = [], sorted([(START + row[0], row) for row in said], key=lambda fact: fact[0])
    while True:
        due = [ms for ms in (upgrade.next_ms(), facts[0][0] if facts else None) if ms is not None]
        if not due or max(now, min(due)) > START + until:
            return tried
        now = max(now, min(due))
        while facts and facts[0][0] <= now:
            row = facts.pop(0)[1]
            getattr(upgrade, row[1])(now, *row[2:])
        endpoint = upgrade.take(now)
        if endpoint is not None:
            tried.append((now - START, endpoint))


def relaying(seen=SEEN):
    upgrade = Upgrade()
    upgrade.seen(START, seen)
    upgrade.relaying(START, True)
    return upgrade


def test_the_publishers_word():
    tried = play(relaying(), 200000)
    assert tried == [(ms, SEEN) for ms in TRIES_MS + (70000, 130000, 190000)]


def test_nothing_to_try():
    upgrade = Upgrade()
    upgrade.seen(START, SEEN)
    upgrade.beacon(START, OTHER)
    assert upgrade.next_ms() is None and upgrade.take(START) is None
    upgrade.relaying(START, True)
    assert upgrade.take(START) == SEEN and upgrade.take(START + 299) is None
    upgrade.seen(START, None)
    assert upgrade.next_ms() is None, "the beacon came before the relay and is forgotten"
    upgrade.seen(START, SEEN)
    upgrade.relaying(START, False)
    assert upgrade.next_ms() is None


def test_starts_over():
    tried = play(relaying(), 45000, [(30000, "seen", OTHER), (30100, "seen", OTHER), (30000, "relaying", True)])
    assert [row for row in tried if row[0] > 10000] == [(30000 + ms, OTHER) for ms in TRIES_MS]
    tried = play(relaying(), 45000, [(30000, "relaying", False), (31000, "relaying", True)])
    assert [row for row in tried if row[0] > 10000] == [(31000 + ms, SEEN) for ms in TRIES_MS]


def test_a_word_that_changes_all_the_time():
    said = [(ms, "seen", "203.0.113.31:%d" % (1 + ms)) for ms in range(0, 20000, 50)]
    tried = play(relaying(), 20000, said)
    gaps = [later[0] - earlier[0] for earlier, later in zip(tried, tried[1:])]
    assert min(gaps) >= 300 and tried[-1][1] == "203.0.113.31:%d" % (1 + tried[-1][0])


def test_a_beacon_has_every_second_turn():
    tried = play(relaying(), 20000, [(1500, "beacon", OTHER)])
    assert [row for row in tried if row[1] == OTHER] == [(2000, OTHER), (4000, OTHER), (6000, OTHER)]
    assert [row[0] for row in tried if row[1] == SEEN] == [0, 300, 1000, 3000, 5000] + [
        1000 * second for second in range(7, 14)]
    assert len(tried) == 15, "none of the own tries is lost"


def test_a_beacon_alone():
    said = [(ms, "beacon", OTHER) for ms in range(0, 100000, 5000)]
    tried = play(relaying(None), 80000, said)
    assert tried == [(ms, OTHER) for ms in (0, 1000, 2000, 65000, 66000, 67000)], "a minute later again"


def test_forged_beacons_cost_little():
    said = [(ms, "beacon", FORGED % (ms // 100 % 200)) for ms in range(0, 60000, 100)]
    tried = play(relaying(), 60000, said)
    assert [row[0] for row in tried if row[1] == SEEN][:6] == [0, 300, 1000, 3000, 5000, 7000]
    assert min([later[0] - earlier[0] for earlier, later in zip(tried[2:], tried[3:])]) == GAP_MS


def test_the_true_one_among_forged_ones():
    said = [(ms, "beacon", FORGED % 1) for ms in range(0, 60000, 100)] + [(5000, "beacon", OTHER)]
    tried = play(relaying(), 20000, said)
    assert len([row for row in tried if row[1] == FORGED % 1]) == BEACON_TRIES
    assert min([row[0] for row in tried if row[1] == OTHER]) <= 7000


def test_the_last_four_are_kept():
    upgrade = relaying(None)
    for number in (1, 2, 3, 4, 1, 5):
        upgrade.beacon(START, FORGED % number)
    tried = play(upgrade, 50000)
    assert [row[1] for row in tried] == [FORGED % number for number in (5, 1, 4, 3) * 3]
    upgrade.beacon(START + RETRY_MS, FORGED % 2)
    assert upgrade.take(START + RETRY_MS) == FORGED % 2


def test_who_is_trusted():
    upgrade = relaying()
    assert upgrade.trusts(SEEN) and upgrade.trusts("203.0.113.31:9") and not upgrade.trusts(OTHER)
    assert not upgrade.trusts("203.0.113.3:4000")
    upgrade.seen(START, "[2001:db8::31]:4000")
    assert upgrade.trusts("[2001:db8::31]:5000") and not upgrade.trusts("[2001:db8::32]:4000")
    upgrade.seen(START, None)
    upgrade.beacon(START, OTHER)
    assert not upgrade.trusts(OTHER)


def test_a_beacon_from_where_the_publisher_sees_the_client():
    said = [(ms, "beacon", FORGED % (ms // 100 % 200)) for ms in range(0, 60000, 100)]
    said += [(30050, "beacon", SEEN.replace(":4000", ":4001"))]
    tried = [row for row in play(relaying(), 60000, said) if row[1].endswith(":4001")]
    assert len(tried) == BEACON_TRIES and tried[0][0] <= 31050 and tried[-1][0] <= 33050, "forged ones push it not out"
    upgrade = relaying()
    for port in range(1, 9):
        upgrade.beacon(START, "203.0.113.31:%d" % port)
    assert len(upgrade._candidates) == 4 and upgrade._candidates[0].endpoint == "203.0.113.31:5"
