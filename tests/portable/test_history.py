"""history.py: a day of paths in 96 letters, in virtual time."""
from wgp2p.history import SLOT_S, SLOTS, UNKNOWN, History
from wgp2p.path import DIRECT, OFFLINE, RELAY, STATIC, TRYING

SLOT = 1000 * SLOT_S
BEGIN = 1000 * SLOT


def day(*phases):
    """The letters, without those that are not known, of a peer that was in each (path, ms) one after another."""
    now, history = BEGIN, History(BEGIN)
    for path, ms in phases:
        history.take(now, {"a": path})
        now += ms
    history.take(now, {"a": phases[-1][0]})
    states = history.states()["a"]
    assert len(states) == SLOTS
    return states.lstrip(UNKNOWN)


def test_the_longest_path_of_a_slot_is_its_letter():
    assert day((DIRECT, 10)) == "d" and day((DIRECT, 0)) == "d", "the slot under way counts"
    assert day((RELAY, SLOT // 2 - 1), (DIRECT, SLOT // 2 + 1), (TRYING, 1)) == "dt"
    assert day((RELAY, SLOT // 2 + 1), (DIRECT, SLOT // 2 - 1), (OFFLINE, 1)) == "ro"
    assert day((RELAY, 200000), (DIRECT, 300000), (RELAY, 200000), (STATIC, 1)) == "r", "all its times together"
    assert day((DIRECT, SLOT // 2), (RELAY, SLOT // 2), (OFFLINE, 1)) == "do", "of equal ones always the same"


def test_a_long_time_fills_many_slots():
    assert day((STATIC, 3 * SLOT), (OFFLINE, 2 * SLOT + 1)) == "sssooo"
    assert day((DIRECT, 200 * SLOT), (RELAY, 1)) == "d" * 95 + "r", "and no more than a day"


def test_what_is_not_known():
    assert day((DIRECT, SLOT), (UNKNOWN, SLOT), (RELAY, 1)) == "d-r"
    history = History(BEGIN)
    history.take(BEGIN + 10 * SLOT, {"a": DIRECT})
    assert history.states() == {"a": UNKNOWN * 95 + "d"}, "nothing of the time before it was there"


def test_peers_come_and_go():
    history = History(BEGIN)
    history.take(BEGIN, {"a": DIRECT, "b": RELAY})
    history.take(BEGIN + SLOT, {"b": RELAY})
    assert list(history.states()) == ["b"]
    history.take(BEGIN + 2 * SLOT, {"a": OFFLINE, "b": RELAY})
    states = history.states()
    assert states["a"].lstrip(UNKNOWN) == "o" and states["b"].lstrip(UNKNOWN) == "rrr"
    history.take(BEGIN + 2 * SLOT, {})
    assert history.states() == {}


def test_how_often_it_is_told_makes_no_difference():
    now, seldom, often = BEGIN, History(BEGIN), History(BEGIN)
    for path, ms in ((DIRECT, 700000), (RELAY, 1234567), (TRYING, 41), (OFFLINE, 99999)):
        seldom.take(now, {"a": path})
        for _ in range(ms // 20000):
            often.take(now, {"a": path})
            now += 20000
        often.take(now, {"a": path})
        now += ms % 20000
    for history in (seldom, often):
        history.take(now, {"a": OFFLINE})
    assert seldom.states() == often.states()
