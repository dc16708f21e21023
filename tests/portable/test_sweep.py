"""sweep.py: what is sent when, for one client and for many, in virtual time."""
from wgp2p.networks import Known
from wgp2p.portplan import FIRST, LAST, waves
from wgp2p.sweep import OPEN_MS, PAUSES_MS, WAVE_MS, Limits, Sweep, Target

START = 1000000
SEEN, MOVED = "203.0.113.31:31300", "203.0.113.99:4000"
DEFAULT = (1000, 2048)
WIDE = (10000, 16384)


def play(*arguments, **more):
    return list(playing(*arguments, **more))


def playing(sweep, until, now=START, room=None):
    """Every (ms since START, key, ports) that is sent, taken when it says."""
    while True:
        due = sweep.next_ms()
        if due is None or max(now, due) > START + until:
            return
        now = max(now, due)
        turn = sweep.take(now, room)
        if turn is None:
            now += 100  # as a caller whose table is full
        else:
            assert turn[1]
            yield now - START, turn[0], turn[1]


def sweeping(limits=DEFAULT, mode="block", known=None, most=None, count=1):
    sweep = Sweep(Limits(mode, limits[0], limits[1]))
    sweep.want(START, dict([(number, Target(SEEN, known, most)) for number in range(count)]))
    return sweep


def ports(sent):
    return [port for row in sent for port in row[2]]


def planned(known=None):
    return [[port for low, high in wave for port in range(low, high + 1)] for wave in waves(31300, known)]


PLAN = planned()[0] + planned()[1] + planned()[2]


def count_within_bounds(sent, rate, entries):
    """How many are sent, never too many in any second nor in any half minute."""
    windows = [[1000, rate, 0, []], [OPEN_MS, entries, 0, []]]
    total = 0
    for ms, _, some in sent:
        total += len(some)
        for window in windows:
            span, most, count, rows = window
            count += len(some)
            rows.append((ms, len(some)))
            while rows[0][0] < ms - span:
                count -= rows.pop(0)[1]
            assert count <= most, (span, count)
            window[2] = count
    return total


def test_the_plan_in_waves_with_time_for_a_retry_between():
    sent = play(sweeping(WIDE), 25000)
    assert ports(sent) == PLAN
    assert sent[0][0] == 2000, "the plain tries come first"
    gaps = [after[0] - before[0] for before, after in zip(sent, sent[1:])]
    assert [gap for gap in gaps if gap > 100] == [WAVE_MS, WAVE_MS]
    assert max([len(row[2]) for row in sent]) <= WIDE[0] // 100


def test_what_is_known_of_the_network_says_when_it_begins():
    for known, ms in ((Known(31000, 31400, 100), 0), (Known(31300, 31300, 0), 10000)):
        sent = play(sweeping(WIDE, known=known), 12000)
        assert sent[0][0] == ms and ports(sent)[:20] == planned(known)[0][:20]


def test_what_is_open_is_refreshed_until_half_a_minute_after_the_last_wave():
    sent = play(sweeping(WIDE), 60000)
    again = {}
    for ms, _, some in sent:
        for port in some:
            again.setdefault(port, []).append(ms)
    assert set([len(times) for times in again.values()]) == {2}
    for times in again.values():
        assert 24900 <= times[1] - times[0] < OPEN_MS
    assert set(ports([row for row in sent if row[0] > 26000])) == set(PLAN)


def test_pauses_grow():
    sent = play(sweeping(WIDE, most=128), 2 * 3600000)
    begins = [row[0] for before, row in zip([(-1000000, 0, 0)] + sent, sent) if row[0] - before[0] > 28000]
    lengths = [after - before for before, after in zip(begins, begins[1:])]
    expected = PAUSES_MS + PAUSES_MS[-1:] * 2
    assert len(lengths) == 5
    assert [length // 1000 for length in lengths] == [pause // 1000 for pause in expected]


def test_our_own_nat_is_spared():
    for most in (1, 128, 1500):
        sent = play(sweeping(WIDE, most=most), 60000)
        assert set(ports(sent)) == set((planned()[0] + planned()[1])[:most])
        assert len(set(ports(play(sweeping(WIDE, "full", most=most), 60000)))) == most


def test_rate_and_entries_are_kept_by_many():
    for limits in (DEFAULT, (10, 64), (10000, 64), (100, 16384), WIDE):
        for mode in ("block", "full"):
            total = count_within_bounds(playing(sweeping(limits, mode, count=20), 60000), limits[0], limits[1])
            assert total > min(limits[0] * 50, limits[1] * 2, 20 * len(PLAN)) * 0.9, "and used"


def test_the_rate_is_used_up():
    sent = play(sweeping((1000, 16384)), 2999)
    assert 900 < len(ports(sent)) <= 1000


def test_one_wave_at_a_time_and_nobody_waits_longer_than_needed():
    sent = play(sweeping(count=20), 700000)
    order = [row[1] for row in sent if row[0] < 700000]
    runs = [key for before, key in zip([None] + order, order) if key != before]
    assert sorted(runs[:20]) == list(range(20)), "each has its first wave before anybody's second"
    assert runs[20:40] == runs[:20]
    assert len([port for row in sent if row[0] < 2000 + 20 * 1024 * OPEN_MS // 2048 for port in row[2]]) >= 19 * 1024


def test_a_late_caller_catches_up_a_little():
    sweep = sweeping()
    sent = [sweep.take(START + 60000) for _ in range(10)]
    assert sum([len(turn[1]) for turn in sent if turn]) == 50
    assert sweep.next_ms() == START + 60011


def test_a_full_table_of_our_own_is_waited_for():
    sweep = sweeping()
    assert not play(sweep, 30000, room=0)
    assert sweep.take(START + 30000, 3) == (0, planned()[0][:3])
    assert sweep.open_entries(START + 30000) == 3
    assert sweep.open_entries(START + 60200) == 0


def test_a_refresh_that_finds_no_room_is_dropped():
    for entries, expected in ((1024, planned()[0]), (2048, planned()[0] * 2)):
        assert ports(play(sweeping((10000, entries), most=1024), 60000)) == expected


def test_the_rest_of_all_ports_at_the_rate_that_entries_allow():
    tried, left, done, again = bytearray(LAST + 1), LAST - FIRST + 1, None, []

    def watched():
        nonlocal left, done
        for row in playing(sweeping(DEFAULT, "full"), 18 * 60000):
            if done is not None:
                again.append((row[0] - done, row[2][0]))
            for port in row[2]:
                left -= not tried[port]
                tried[port] = 1
            if done is None and not left:
                done = row[0]
            yield row

    count_within_bounds(watched(), 1000, 2048)
    assert 14 * 60000 < done < 16 * 60000
    assert again[0] == (PAUSES_MS[0], PLAN[0])


def test_the_rest_comes_once():
    sweep = sweeping(WIDE, "full")
    play(sweep, 5 * 60000)
    assert sweep.words(0) == "the likely ports are tried, again in 5 min"


def test_a_slow_refresh_is_ended():
    assert len(ports(play(sweeping((100, 16384), most=1000), 60000))) == 2000


def test_a_wave_of_another_goes_before_the_rest():
    sweep = sweeping(DEFAULT, "full")
    play(sweep, 120000)
    both = {0: Target(SEEN, None, None), 1: Target(MOVED, None, None)}
    sweep.want(START + 120000, both)
    sent = [row for row in play(sweep, 132000, START + 120000) if row[0] >= 122000]
    assert set([row[1] for row in sent]) == {1}


def test_a_wave_of_another_goes_before_refreshes():
    sweep = sweeping(WIDE)
    play(sweep, 26500)
    sweep.want(START + 26500, {0: Target(SEEN, None, None), 1: Target(SEEN, None, None)})
    assert sweep.take(START + 28600)[0] == 1, "the refresh is due since 27000, the wave since 28500"


def test_it_ends_at_once():
    for end in (lambda sweep, now: sweep.want(now, {}),
                lambda sweep, now: sweep.configure(now, Limits("off", 1000, 2048))):
        sweep = sweeping()
        play(sweep, 2500)
        assert sweep.words(0) and sweep.row(0)
        end(sweep, START + 2500)
        assert sweep.take(START + 2600) is None and sweep.next_ms() is None
        assert sweep.words(0) == "" and sweep.row(0) is None
        assert sweep.open_entries(START + 2600) > 400, "what is open stays so"
    sweep.want(START + 3000, {0: Target(SEEN, None, None)})
    assert sweep.next_ms() is None, "off"


def test_a_pause_is_not_slept_away():
    sweep = sweeping(WIDE)
    assert play(sweep, 50000)
    sweep.want(START + 50000, {})
    assert not play(sweep, 55000, START + 50000)
    sweep.want(START + 55000, {0: Target(SEEN, None, None)})
    assert not play(sweep, 60000, START + 55000), "its minute is not over"
    assert play(sweep, 90000, START + 60000)
    sweep = sweeping(WIDE)
    assert play(sweep, 50000)
    sweep.want(START + 50000, {})
    sweep.want(START + 55000, {0: Target(MOVED, None, None)})
    assert play(sweep, 60000, START + 55000), "somewhere else it begins anew"


def test_the_pauses_of_few_are_remembered():
    sweep = sweeping(WIDE, most=1, count=100)
    play(sweep, 40000)
    sweep.want(START + 40000, {})
    assert 0 < len(sweep._parted) <= 64


def test_another_endpoint_begins_anew_and_the_same_goes_on():
    sweep = sweeping()
    count = len(ports(play(sweep, 2500)))
    sweep.want(START + 2500, {0: Target(SEEN, None, None)})
    assert play(sweep, 2600, START + 2500)[0][2][0] == planned()[0][count]
    sweep.want(START + 2600, {0: Target(MOVED, None, None)})
    assert sweep.words(0) == "" and sweep.row(0) is None
    sent = play(sweep, 5000, START + 2600)
    assert sent[0][0] == 4600 and sent[0][2][0] == waves(4000)[0][0][0]


def test_where_nothing_can_be_sent_it_is_tried_again_after_a_minute():
    sweep = sweeping()
    play(sweep, 2100)
    sweep.failed(START + 2100)
    assert sweep.words(0) == "nothing can be sent there, again in 1 min"
    sent = play(sweep, 63000, START + 2100)
    assert sent[0][0] == 62100 and sent[0][2][0] == planned()[0][0]
    sweep.want(START + 63000, {})
    sweep.failed(START + 63000)


def test_words_and_row():
    sweep = sweeping(WIDE, count=2)
    assert sweep.words(0) == "" and sweep.row(0) is None and sweep.words(7) == "" and sweep.row(7) is None
    play(sweep, 2010)
    sweep.want(START + 2050, dict([(number, Target(SEEN, None, None)) for number in (0, 1)]))
    said = [sweep.words(0), sweep.words(1)]
    assert "trying ports 30720–31743" in said and "waits for its turn" in said, said
    play(sweep, 24000, START + 2050)
    sweep.want(START + 24000, dict([(number, Target(SEEN, None, None)) for number in (0, 1)]))
    assert sweep.words(0) == "the likely ports are tried, again in 1 min"
    row = sweep.row(0)
    assert (row["ports"], row["wave"]) == (len(PLAN), 3) and 40 < row["next"] <= 60
    sweep = sweeping(WIDE, "full")
    play(sweep, 30000)
    assert sweep.words(0) == "trying all other ports"


def test_a_mode_that_changes_begins_anew_and_other_limits_do_not():
    sweep = sweeping()
    play(sweep, 2500)
    sweep.configure(START + 2500, Limits("block", 10, 2048))
    assert len(ports(play(sweep, 4500, START + 2500))) <= 20
    sweep.configure(START + 4500, Limits("full", 10, 2048))
    assert sweep.next_ms() is None
