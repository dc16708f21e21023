"""The path machine's rules, each told as a story in a model world under a virtual clock."""
from pathworld import CAFE, FORWARDED, HOME, LAN, MOBILE, SYMMETRIC, Network, Side, World

from wgp2p.path import DIRECT, OFFLINE, STATIC, TRYING, Options, Path

MINUTE = 60000
JUNK = "192.0.2.66:6666"


def at_home(**how):
    """A world in which the client at home is connected and everything has settled."""
    world = World(**how)
    world.go(HOME)
    world.until(world.connected, 30000)
    world.run(MINUTE)
    return world


def on_its_own(network, **how):
    """A world in which the client has a path of its own to the device, which overruled the publisher's."""
    world = World(**how)
    world.go(network)
    world.until(world.connected, 60000)
    world.run(MINUTE)
    return world


def undisturbed(world, since_ms):
    return not world.endpoints_set(since_ms) and world.states(since_ms) in ([], [DIRECT])


# -- connecting and roaming ------------------------------------------------------------------------------


def test_connects_with_one_set_and_a_handshake_from_the_device():
    world = World()
    world.go(HOME)
    took = world.until(world.connected, 5000)
    assert took <= 50 + 5 * 20 + 100  # the report, a handshake, a look
    world.run(5 * MINUTE)
    assert world.endpoints_set() == [HOME.seen]
    assert world.states() == [OFFLINE, TRYING, DIRECT]


def test_connects_with_whatever_endpoint_the_interface_was_configured_with():
    world = World()
    world.recreate(JUNK)
    world.run(20)
    world.go(HOME)
    world.until(world.connected, 1000)


def test_an_idle_client_roams_at_once_from_the_endpoint_applied_before():
    world = at_home()
    world.go(MOBILE)
    assert world.until(lambda: world.endpoint == MOBILE.seen, 1000) <= 20 + 50 + 10
    world.until(world.connected, 26000)  # a valid session is not answered: the client's next keepalive tells
    since = world.now
    world.run(10 * MINUTE)
    assert undisturbed(world, since)


def test_a_busy_client_roams_at_once():
    world = at_home()
    world.busy = True
    world.run(MINUTE)
    for network in (MOBILE, CAFE, HOME):
        world.go(network)
        assert world.until(world.connected, 2000) <= 50 + 500 + 1500
        world.run(20000)


def test_two_roams_within_seconds_with_late_packets_from_the_first_network():
    world = at_home()
    world.go(MOBILE)
    world.until(lambda: world.endpoint == MOBILE.seen, 200)
    world.device_hears(HOME, "data", world.client.sends)  # still under way: WireGuard turns back
    assert world.endpoint == HOME.seen
    world.go(CAFE)
    world.until(lambda: world.endpoint == CAFE.seen, 200)
    world.until(world.connected, 26000)


def test_away_and_back_within_seconds():
    for gap in (100, 300, 1000, 3000):
        world = at_home()
        world.busy = True
        world.run(1000)
        world.go(MOBILE)
        world.run(gap)
        world.go(HOME)
        world.until(world.connected, 3000)
        since = world.now
        world.run(2 * MINUTE)
        assert undisturbed(world, since) or gap == 100, (gap, world.endpoints_set(since))
        assert world.endpoint == HOME.direct and world.path.state == DIRECT


def test_packets_under_way_turn_the_endpoint_back_and_are_overcome():
    world = at_home()
    world.go(MOBILE)
    world.until(lambda: world.endpoint == MOBILE.seen, 200)
    for pause in (0, 200, 500):
        world.run(pause)
        world.device_hears(HOME, "data", world.client.sends)
        assert world.endpoint == HOME.seen
        world.until(lambda: world.endpoint == MOBILE.seen, 1000)
    assert world.path.state == TRYING
    world.until(world.connected, 26000)


def test_a_packet_under_way_after_the_first_from_the_new_place():
    world = at_home()
    world.busy = True
    world.go(MOBILE)
    world.until(world.connected, 1000)
    world.busy = False
    world.run(300)
    world.device_hears(HOME, "data", world.client.sends)
    world.until(lambda: world.endpoint == MOBILE.seen, 2000)


def test_a_packet_that_turned_the_endpoint_back_before_we_could_look():
    world = at_home()
    world.foreign = lambda: world.device_hears(HOME, "data", world.client.sends)
    world.go(MOBILE)
    world.run(100)
    assert world.endpoints_set()[-1] == MOBILE.seen and world.endpoint == HOME.seen
    world.foreign = None
    world.until(lambda: world.endpoint == MOBILE.seen, 250)


def test_what_was_received_before_the_set_does_not_confirm_it():
    path = Path(0, Options(), lambda n: 0)
    path.reading(0, HOME.seen, 25, 100)
    path.observe(0, "a", HOME.seen, 0, False)
    path.reading(10, HOME.seen, 25, 200)
    path.observe(2000, "a", MOBILE.seen, 0, False)
    assert path.act(2000).endpoint == MOBILE.seen
    path.applied(2001, MOBILE.seen, 25, 300)
    path.act(2001)
    assert path.state == TRYING and path.next_ms() == 2200
    path.reading(2100, MOBILE.seen, 25, 400)
    assert path.act(2100) is None and path.state == DIRECT


def test_the_answer_to_a_later_nudge_counts_however_fast_it_comes():
    path = Path(0, Options(), lambda n: 0)
    path.reading(0, None, 0, 0)
    path.observe(0, "a", HOME.seen, 0, False)
    for now in (0, 200):
        assert path.act(now).endpoint == HOME.seen
        path.applied(now, HOME.seen, 25, now)
    path.act(201)
    assert path.state == DIRECT


def test_a_roam_that_wireguard_made_by_itself_needs_no_set():
    world = at_home(device_open=True)
    since = world.now
    for network in (MOBILE, CAFE, HOME, SYMMETRIC, LAN, FORWARDED, HOME):
        world.go(network)
        world.until(lambda: world.endpoint == world.network.direct, 100)
        world.run(MINUTE)
        assert world.connected()
    assert world.endpoints_set(since) == []


def test_the_word_of_a_roam_comes_when_wireguard_is_one_further():
    world = at_home(device_open=True, report_ms=3000)
    since = world.now
    world.go(MOBILE)
    world.run(1600)
    world.go(CAFE)
    world.run(2 * MINUTE)
    assert world.endpoints_set(since) == [] and world.connected()


def test_a_dead_path_is_called_again_although_the_publisher_says_nothing_new():
    world = at_home()
    world.publishers["a"].connected = False  # it is stuck
    world.network = None  # packets are lost on their way
    world.until(lambda: world.path.state == TRYING, 53000 + 11000)  # the limit, and no answer to a probe
    assert world.now - world.path.rx_ms >= 27000 + 22000
    since = world.now
    world.run(10000)
    assert world.endpoints_set(since) == [HOME.seen] * 7
    world.network = HOME
    world.until(world.connected, 26000)


# -- burst, pauses, limits ---------------------------------------------------------------------------------


def test_the_burst_and_then_growing_pauses():
    world = World()
    world.say(JUNK)
    begin = world.now
    world.run(10 * MINUTE)
    times = [when - begin for when, _, _, nudge in world.sets if nudge]
    assert times[:6] == [0, 200, 500, 1000, 2000, 4000]
    pauses = [after - before for before, after in zip(times[5:], times[6:])]
    assert 4375 <= pauses[0] <= 5625
    for before, after in zip(pauses, pauses[1:]):
        assert before <= after <= 67500
    assert pauses[-1] >= 52500
    assert world.path.state == TRYING and "no answer from " + JUNK in world.path.reason


def test_pauses_have_jitter():
    path = Path(0, Options(), lambda n: n - 1)
    path.reading(0, None, 0, 0)
    path.observe(0, "a", JUNK, 0, False)
    now = 0
    for _ in range(6):
        now = max(now, path.next_ms() or 0)
        assert path.act(now) is not None
        path.applied(now, JUNK, 25, 0)
    path.act(now)
    assert path.next_ms() - now == 5000 - 5000 // 8 + 5000 // 4 - 1


def test_a_new_fact_starts_the_burst_anew():
    world = World()
    world.say(JUNK)
    world.run(10 * MINUTE)
    world.say(CAFE.seen)  # another endpoint
    since = world.now
    world.run(4500)
    assert world.endpoints_set(since) == [CAFE.seen] * 6
    world.run(10 * MINUTE)
    world.say(CAFE.seen, 41000, True)
    world.run(1000)
    world.say(CAFE.seen)  # it woke up
    since = world.now
    world.run(4500)
    assert world.endpoints_set(since) == [CAFE.seen] * 6


def test_the_same_word_again_starts_nothing():
    world = World()
    world.say(JUNK)
    world.run(5 * MINUTE)
    count = len(world.sets)
    for _ in range(60):
        world.say(JUNK)
        world.run(1000)
    assert len(world.sets) - count <= 2


def test_punch_calls_now_and_a_flood_of_punches_is_limited():
    world = World()
    world.say(JUNK)
    world.run(5 * MINUTE)
    since = world.now
    world.path.punch(world.now)
    world.look()
    assert world.endpoints_set(since) == [JUNK]
    world.run(4500)
    assert world.endpoints_set(since) == [JUNK] * 6


def test_punch_calls_even_a_peer_that_is_offline_and_gives_up_again():
    world = World()
    world.say(HOME.seen, 10 * MINUTE, True)
    world.run(1000)
    assert world.path.state == OFFLINE and not world.sets
    world.path.punch(world.now)
    world.look()
    assert world.path.state == TRYING and world.keepalive == 25
    world.run(MINUTE)
    assert len(world.endpoints_set()) == 7 and world.path.state == OFFLINE and world.keepalive == 0


def test_punch_leaves_a_path_that_works_where_it_is():
    for world in (at_home(), on_its_own(LAN)):
        since, endpoint = world.now, world.endpoint
        world.path.punch(world.now)
        world.look()
        world.run(5 * MINUTE)
        assert world.states(since) == []
        assert [where for where in world.endpoints_set(since) if where != endpoint] == []


def test_a_hostile_publisher_changes_the_endpoint_a_hundred_times_a_second():
    for network, publisher in ((HOME, "a"), (LAN, "a"), (HOME, "evil")):
        world = on_its_own(network, publishers=("a", "evil"))
        world.busy = True
        count = len(world.sets)
        for number in range(6000):
            world.say("192.0.2.66:%d" % (1 + number), source=publisher)
            world.run(10)
        assert len(world.sets) - count <= 12 + 61 and len(world.path._left) <= 4
        assert len(world.sets) - count <= 12 or network is HOME, len(world.sets) - count
        world.run(500)
        world.publishers[publisher].tell()
        world.until(world.connected, 60000)


def test_lies_about_a_client_that_is_never_heard_are_limited_too():
    world = World(publishers=())
    for number in range(6000):
        world.say("192.0.2.66:%d" % (1 + number))
        world.run(10)
    assert len(world.sets) <= 12 + 61


def test_lies_do_not_move_a_client_that_keeps_sending():
    world = at_home()
    world.busy = True
    world.run(5000)
    for number in range(20):  # the first few are believed, until WireGuard has turned back often enough
        world.say("192.0.2.66:%d" % (1 + number))
        world.run(3000)
    assert len(world.endpoints_set()) <= 1 + 6
    assert world.endpoint == HOME.seen and world.path.state == DIRECT


# -- paths of its own ----------------------------------------------------------------------------------------


def test_a_path_of_its_own_is_undisturbed_for_ten_minutes():
    for network in (LAN, FORWARDED, SYMMETRIC):
        for busy in (False, True):
            world = on_its_own(network, device_open=network is not LAN)
            world.busy = busy
            since = world.now
            world.run(10 * MINUTE)
            assert undisturbed(world, since) and world.connected()
            assert "on a path of its own" in world.path.reason


def test_a_path_of_its_own_is_undisturbed_when_the_publishers_view_changes():
    for network in (LAN, FORWARDED, SYMMETRIC):
        for busy in (False, True):
            world = on_its_own(network, device_open=network is not LAN)
            world.busy = busy
            since = world.now
            for number in range(10):
                world.go(Network("203.0.113.99:%d" % (1 + number), network.direct, network.open, network.lan), False)
                world.run(MINUTE)
            assert undisturbed(world, since) and world.connected()
            assert world.path.reason == "on a path of its own; 203.0.113.99:10 is tried when it falls silent"


def test_the_view_changes_to_and_fro_and_the_path_stays():
    world = on_its_own(LAN)
    since = world.now
    for _ in range(10):
        for seen in (JUNK, CAFE.seen, LAN.seen):
            world.go(Network(seen, LAN.direct, lan=True), False)
            world.run(20000)
    assert undisturbed(world, since)


def test_a_path_that_a_publisher_once_named_can_become_one_of_its_own():
    world = at_home()
    world.go(Network(MOBILE.seen, direct=HOME.seen), True)  # to servers through another uplink, to us as before
    world.run(MINUTE)
    assert world.endpoint == HOME.seen and world.path.state == DIRECT
    since = world.now
    world.go(Network(CAFE.seen, direct=HOME.seen), False)  # the publisher names yet another one
    world.run(10 * MINUTE)
    assert undisturbed(world, since)


def test_a_path_of_its_own_is_asked_before_the_new_endpoint_is_applied():
    world = on_its_own(LAN)
    world.go(MOBILE)
    news = world.now + 20 + 50
    world.until(lambda: world.endpoint == MOBILE.seen, 30000)
    assert world.now == news + 2 * 11000 and world.probes[-3:] == [news, news + 11000, world.now]
    begin = world.now
    world.until(world.connected, 11000)
    assert [when - begin for when, endpoint, _, _ in world.sets if when >= begin][:3] == [0, 200, 500]


def test_a_client_long_gone_from_a_path_of_its_own_is_called_at_once():
    world = on_its_own(LAN)
    world.go(None)
    world.run(4 * MINUTE)
    world.go(MOBILE)
    world.until(world.connected, 1000)


def test_an_overruled_target_is_not_applied_again_until_it_differs_or_silence():
    world = World(device_open=True)
    world.say(FORWARDED.seen)
    world.run(5000)
    world.go(FORWARDED)
    world.until(world.connected, 2000)
    assert world.path.reason == "on a path of its own"
    since = world.now
    for _ in range(20):
        world.say(FORWARDED.seen)
        world.run(10000)
    assert undisturbed(world, since)
    world.network = None  # silence, and the publisher goes on naming the same
    world.keepalive_ms = 0
    for _ in range(80):
        world.say(FORWARDED.seen)
        world.run(1000)
    assert world.endpoints_set(since)[:2] == [FORWARDED.seen] * 2
    first = [when for when, endpoint, _, _ in world.sets if when > since and endpoint][0]
    assert first - world.path.rx_ms >= 27000 + 22000


def test_a_client_that_speaks_only_when_spoken_to_is_asked_before_its_path_is_given_up():
    world = on_its_own(LAN, keepalive_ms=0)
    world.say(LAN.seen)
    since = world.now
    for _ in range(40):
        world.say(LAN.seen)
        world.run(MINUTE)
    assert undisturbed(world, since)


def test_a_path_of_its_own_that_fell_silent_gets_every_second_turn():
    world = on_its_own(LAN, keepalive_ms=0)
    world.network = None  # a broken wire
    for _ in range(4):
        world.say(LAN.seen)
        world.run(MINUTE)
    world.network = LAN
    for _ in range(20):
        world.say(LAN.seen)
        world.run(MINUTE)
    assert LAN.direct in world.endpoints_set()
    assert world.path.state == DIRECT and world.endpoint == LAN.direct


def test_a_place_that_the_client_left_gets_no_turn():
    world = at_home()
    world.go(SYMMETRIC)
    since = world.now
    world.run(10 * MINUTE)
    assert set(world.endpoints_set(since)) == {SYMMETRIC.seen}


def test_a_client_that_wakes_up_is_asked_where_it_slept_before_it_is_called_elsewhere():
    world = on_its_own(LAN)
    world.go(None)
    since = world.now
    world.run(100000)
    world.say(LAN.seen)  # the publisher hears it first
    world.run(20000)
    assert undisturbed(world, since)


def test_an_address_on_the_lan_is_left_when_the_client_leaves_and_found_when_it_returns():
    world = on_its_own(LAN)
    for network in (MOBILE, LAN, HOME, LAN):
        world.go(network)
        world.until(world.connected, MINUTE)
        world.run(MINUTE)


# -- clients with other rhythms --------------------------------------------------------------------------------


def test_a_client_without_keepalive_is_known_by_its_answers():
    for network in (HOME, LAN):
        world = World(keepalive_ms=0)
        world.go(network)
        world.until(world.connected, 1000)
        since = world.now
        for _ in range(20):
            world.say(network.seen)  # its publisher sees it
            world.run(MINUTE)
        assert undisturbed(world, since) and world.connected()


def test_silence_is_asked_and_answers_cost_little():
    for network in (HOME, LAN):
        world = on_its_own(network)
        since, count = world.now, len(world.probes)
        world.run(60 * MINUTE)
        assert undisturbed(world, since)
        assert len(world.probes) - count <= 60 * 60 // 37 + 1


def test_a_busy_path_is_not_asked():
    world = at_home()
    world.busy = True
    world.run(MINUTE)
    count = len(world.probes)
    world.run(10 * MINUTE)
    assert len(world.probes) == count


def test_a_lost_probe_or_answer_is_no_death():
    world = World(keepalive_ms=0)  # only the device keeps the path alive
    world.go(LAN)
    world.until(world.connected, 1000)
    world.publishers["a"].connected = False
    since = world.now
    for after in (10, 5000):  # the probe is lost, its answer is
        count = len(world.probes)
        world.until(lambda: len(world.probes) > count, MINUTE)
        world.run(after - 10)
        network, world.network = world.network, None
        world.run(10500 - after)
        world.network = network
        world.run(2 * MINUTE)
    assert undisturbed(world, since)


def test_the_silence_limit_follows_the_configured_keepalive():
    for keepalive_s, limit in ((5, 27000), (25, 27000), (60, 62000)):
        world = World(keepalive_ms=0, options=Options(keepalive_s=keepalive_s))
        world.go(HOME)
        world.until(world.connected, 1000)
        world.publishers["a"].connected = False
        world.run(1500)
        heard, count = world.path.rx_ms, len(world.probes)
        world.until(lambda: len(world.probes) > count, 2 * MINUTE)
        assert world.probes[-1] - heard == limit


def test_a_sleeping_client_is_asked_twice_and_then_left_to_sleep():
    world = at_home()
    world.say(None, None, False, "b")  # knows the client, but has never seen it
    world.go(None)
    since, count = world.now, len(world.probes)
    world.run(60 * MINUTE)
    assert len(world.probes) == count + 2 and world.endpoints_set(since) == []


def test_a_flood_of_lies_is_no_flood_of_probes():
    world = on_its_own(LAN)
    count = len(world.probes)
    for number in range(6000):
        world.say("192.0.2.66:%d" % (1 + number))
        world.run(10)
    assert len(world.probes) - count <= 7 and world.endpoint == LAN.direct


# -- sleeping, stale, back -----------------------------------------------------------------------------------


def test_stale_takes_the_keepalive_and_the_next_sign_of_life_brings_it_back():
    world = at_home()
    asleep = world.now
    world.go(None)
    world.run(2 * MINUTE)
    assert world.keepalive == 25 and world.path.state == DIRECT  # it may sleep: nobody calls
    assert world.endpoints_set(asleep) == []
    world.until(lambda: world.keepalive == 0, 2 * MINUTE)
    assert 180000 <= world.now - asleep + 25000 <= 180000 + 30000
    assert world.path.state == OFFLINE and "not seen" in world.path.reason
    count = len(world.sets)
    world.run(60 * MINUTE)
    assert len(world.sets) == count
    world.go(HOME)
    assert world.until(world.connected, 2000) and world.keepalive == 25


def test_stale_and_back_from_elsewhere_with_a_sign_of_life_on_the_path_alone():
    world = at_home(device_open=True)
    world.go(None)
    world.run(5 * MINUTE)
    assert world.keepalive == 0
    world.publishers["a"].lose()
    world.go(CAFE)
    world.until(world.connected, 3000)
    assert world.keepalive == 25


def test_never_stale_with_a_client_that_only_shakes_hands():
    world = World(keepalive_ms=123000, options=Options(stale_after_s=125))
    world.go(HOME)
    world.until(world.connected, 2000)
    world.run(60 * MINUTE)
    assert OFFLINE not in world.states()[1:]
    assert [keepalive for _, _, keepalive, _ in world.sets if not keepalive] == []


def test_own_rx_keeps_a_peer_online_that_the_publisher_has_not_seen_for_days():
    world = World(publishers=())
    world.say(JUNK, 3 * 24 * 60 * MINUTE, True)
    assert world.path.state == OFFLINE
    world.go(LAN)
    world.until(lambda: world.keepalive == 25 and world.connected(), 10000)
    since = world.now
    world.run(60 * MINUTE)
    assert world.path.state == DIRECT and undisturbed(world, since)


def test_a_client_that_no_publisher_hears_stays_online_by_its_answers():
    world = World(publishers=(), keepalive_ms=0, options=Options(stale_after_s=125))
    world.say(JUNK)
    world.run(6000)
    world.go(LAN)  # silent but for its answers
    world.until(world.connected, 2000)
    world.say(JUNK, 41000, True)
    since = world.now
    world.run(60 * MINUTE)
    assert undisturbed(world, since) and world.keepalive == 25


def test_a_publisher_without_ages_makes_a_peer_stale_too():
    world = World(publishers=())
    for _ in range(20):
        world.say(HOME.seen, None, True)
        world.run(10000)
    assert world.path.state == OFFLINE


def test_a_client_that_falls_quiet_and_wakes_all_the_time_is_left_alone():
    world = at_home()
    since = world.now
    for _ in range(20):
        world.say(HOME.seen, 41000, True)
        world.run(5000)
        world.say(HOME.seen)
        world.run(25000)
    assert undisturbed(world, since)


# -- excluded, not ours -------------------------------------------------------------------------------------


def test_an_excluded_peer_is_never_touched():
    world = World(options=Options(exclude=True))
    world.go(HOME)
    world.run(5000)
    world.path.punch(world.now)
    world.recreate(JUNK)
    world.go(None)
    world.run(10 * MINUTE)
    assert world.sets == world.probes == [] and world.path.state == STATIC and world.path.next_ms() is None


def test_a_peer_that_is_excluded_and_admitted_while_running():
    world = at_home()
    since = world.now
    world.path.options = Options(exclude=True)
    world.go(MOBILE)
    world.run(MINUTE)
    assert world.sets[-1][0] < since and world.path.state == STATIC
    world.path.options = Options()
    world.until(world.connected, 30000)


def test_a_peer_that_no_publisher_named_is_not_touched():
    world = World(publishers=(), keepalive_ms=100000)
    world.keepalive = 7
    world.go(LAN)
    world.run(10 * MINUTE)
    assert world.sets == [] and world.probes == []


def test_removed_from_the_publisher_gives_back_what_it_got_and_does_not_spin():
    world = at_home()
    world.publishers["a"].connected = False
    world.path.forget(world.now, "a")
    since = world.now
    world.look()
    world.run(MINUTE)
    assert [entry[1:] for entry in world.sets if entry[0] >= since] == [(None, 0, False)]
    assert world.path.reason == "no publisher knows it"
    world.keepalive = 7  # the owner's
    world.run(MINUTE)
    assert world.keepalive == 7
    world.go(None)
    world.run(10 * MINUTE)
    assert world.path.state == OFFLINE


def test_named_without_an_endpoint():
    world = World(publishers=())
    world.say(None, None, True)
    assert world.path.state == OFFLINE and world.path.reason == "never connected to the public server"
    world.go(LAN)
    world.run(MINUTE)
    assert world.path.state == DIRECT and world.endpoints_set() == []
    world.go(None)
    world.run(5 * MINUTE)
    assert world.path.state == OFFLINE and world.keepalive == 0
    world.say(HOME.seen)
    assert world.endpoint == HOME.seen


def test_nothing_is_decided_before_the_first_reading():
    path = Path(0, Options(), lambda n: 0)
    path.observe(0, "a", HOME.seen, 0, False)
    assert path.act(0) is None and path.next_ms() is None
    path.recreated(0)
    path.reading(10, JUNK, 0, 5000)  # what was counted before our start is no sign of life
    assert path.rx_ms is None and path.act(10).endpoint == HOME.seen


# -- a restart of ours ---------------------------------------------------------------------------------------


def restarted(world, recent=True):
    """The daemon starts anew: another machine, which knows nothing of before."""
    since = world.now
    world.path = Path(world.now, Options(), lambda n: n // 2)
    world.path.reading(world.now, world.endpoint, world.keepalive, world.rx, recent)
    for name in sorted(world.publishers):
        world.publishers[name].tell()
    world.look()
    return since


def test_a_restart_leaves_a_path_of_its_own_alone():
    world = on_its_own(LAN)
    since = restarted(world)
    world.run(10 * MINUTE)
    assert world.endpoints_set(since) == [] and world.connected()


def test_a_restart_while_the_client_roams_waits_for_a_sign_of_life_from_before():
    world = at_home()
    world.network = MOBILE
    world.publishers["a"].endpoint = MOBILE.seen
    since = restarted(world)
    world.until(world.connected, 27000 + 26000)
    world = at_home()
    world.network = MOBILE
    world.publishers["a"].endpoint = MOBILE.seen
    since = restarted(world, recent=False)
    world.run(100)
    assert world.endpoints_set(since) == [MOBILE.seen]  # no session, nothing to wait for


def test_a_restart_before_a_roam_does_not_slow_it():
    world = at_home()
    restarted(world)
    world.run(200)
    world.go(MOBILE)
    world.until(lambda: world.endpoint == MOBILE.seen, 100)


def test_a_restart_keeps_the_keepalive_of_a_session_that_is_about_to_show():
    world = on_its_own(LAN)
    world.publishers["a"].quiet, world.publishers["a"].seen_ms = True, world.now - 60 * MINUTE
    since = restarted(world)
    world.publishers.clear()
    world.run(10 * MINUTE)
    assert [entry for entry in world.sets if entry[0] >= since] == []


# -- several publishers, lost publishers -----------------------------------------------------------------------


def test_the_freshest_of_several_publishers_wins():
    world = World(publishers=())
    world.say(HOME.seen, 90000, source="a")
    world.say(MOBILE.seen, 1000, source="b")
    world.say(CAFE.seen, 60000, source="c")
    assert world.endpoint == MOBILE.seen
    world.say(MOBILE.seen, 41000, True, source="b")  # one that hears nothing is believed less
    assert world.endpoint == CAFE.seen
    world.path.lost(world.now, "c")  # and so is one that is lost
    world.run(1500)
    assert world.endpoint == HOME.seen


def test_a_publisher_that_cannot_tell_ages_is_believed_less_than_one_that_can():
    for order in ((0, 1), (1, 0)):
        world = World(publishers=())
        for which in order:
            world.say(*((HOME.seen, None) if which else (MOBILE.seen, 30000)), source=str(which))
        assert world.endpoint == MOBILE.seen


def test_a_publisher_that_has_just_started_is_believed_with_the_clients_first_sign_of_life():
    world = World(publishers=())
    world.say(MOBILE.seen, 1000, source="b")  # and nothing more: it hangs
    world.run(10000)
    world.say(HOME.seen, None, source="a")  # the client came here before a's start: it cannot tell when
    assert world.endpoint == MOBILE.seen
    world.say(HOME.seen, 0, source="a")
    assert world.endpoint == HOME.seen
    world.run(10000)
    world.say(CAFE.seen, 0, source="b")
    for age_ms in (None, 0, None, 0):
        world.say(HOME.seen, age_ms, source="a")
        assert world.endpoint == CAFE.seen  # an age that comes and goes makes it no fresher


def test_the_client_is_back_where_a_publisher_saw_it_before_it_restarted():
    world = World(publishers=())
    world.say(HOME.seen, 0, source="a")
    world.run(1000)
    world.path.lost(world.now, "a")
    world.say(MOBILE.seen, 0, source="b")
    world.run(10000)
    world.say(HOME.seen, None, source="a")
    assert world.endpoint == MOBILE.seen
    world.say(HOME.seen, 0, source="a")
    assert world.endpoint == HOME.seen


def test_two_publishers_that_see_different_ports_do_not_take_turns():
    network = Network({"a": "203.0.113.7:1024", "b": "203.0.113.7:1025"}, direct="203.0.113.7:1024")
    world = World(publishers=("a", "b"))
    world.go(network)
    world.run(MINUTE)
    since = world.now
    for _ in range(200):
        world.say("203.0.113.7:1024", source="a")
        world.run(1700)
        world.say("203.0.113.7:1025", source="b")
        world.run(1700)
    assert len(world.endpoints_set(since)) == 0
    assert world.connected()


def test_a_publisher_that_comes_and_goes_and_sees_another_port_does_not_disturb_a_path_that_works():
    for direct in ("203.0.113.7:1024", "203.0.113.7:1025"):
        world = World(publishers=("a", "b"))
        world.go(Network({"a": "203.0.113.7:1024", "b": "203.0.113.7:1025"}, direct=direct))
        world.run(MINUTE)
        since = world.now
        for _ in range(20):
            for name in ("a", "b"):
                world.publishers[name].lose()
                world.run(10000)
                world.publishers[name].back()
                world.run(10000)
        assert world.connected() and undisturbed(world, since)


def test_two_publishers_that_repeat_themselves_start_nothing_anew():
    world = World(publishers=())
    for _ in range(200):
        world.say("203.0.113.7:1024", source="a")
        world.run(1700)
        world.say("203.0.113.7:1025", source="b")
        world.run(1700)
    assert len(world.sets) <= 30


def test_what_the_others_see_gets_every_second_turn():
    world = World(publishers=())
    world.say("[2001:db8::7]:51820", 1000, source="c")
    world.say(JUNK, 2000, source="b")
    world.say(HOME.seen, 3000, source="a")
    world.run(5 * MINUTE)
    for _ in range(3):
        assert world.endpoints_set()[-6:].count("[2001:db8::7]:51820") == 3
        assert set(world.endpoints_set()[-6:]) == {HOME.seen, "[2001:db8::7]:51820", JUNK}
        world.run(MINUTE)
    world.go(HOME)
    world.until(world.connected, 5 * MINUTE)
    since = world.now
    world.run(10 * MINUTE)
    assert undisturbed(world, since)


def test_a_publisher_that_hears_only_now_and_then_does_not_disturb_a_path_that_works():
    world = at_home()
    since = world.now
    for _ in range(20):
        world.say(JUNK, source="b")
        world.run(20000)
        world.say(JUNK, 41000, True, source="b")
        world.run(20000)
    assert undisturbed(world, since)


def test_a_publisher_that_is_stuck_with_old_data_does_not_win():
    world = World(publishers=("a", "b"))
    world.go(HOME)
    world.until(world.connected, 1000)
    world.publishers["b"].hears = lambda endpoint: None  # it goes on saying HOME, and never that it is quiet
    world.publishers["b"].sleeps = lambda seen_ms: None
    world.run(MINUTE)
    for network in (MOBILE, CAFE):
        world.go(network)
        world.until(lambda: world.endpoint == world.network.seen, 100)
        world.until(world.connected, 26000)
        world.run(MINUTE)
        world.say(HOME.seen, source="b")
        world.run(MINUTE)
        assert world.connected()
    world.go(None)
    world.run(5 * MINUTE)  # now nobody but the stuck one claims to hear the client
    world.go(CAFE)
    world.until(world.connected, 3000)


def test_one_of_two_publishers_dies_while_the_client_roams():
    world = at_home(publishers=("a", "b"))
    world.publishers["a"].lose()
    world.go(MOBILE)
    world.until(lambda: world.endpoint == MOBILE.seen, 100)
    world.until(world.connected, 26000)
    since = world.now
    world.run(MINUTE)
    world.publishers["a"].back()
    world.run(MINUTE)
    assert undisturbed(world, since)


def test_a_publisher_is_lost_for_a_minute_and_the_working_path_stays():
    world = at_home()
    since = world.now
    world.publishers["a"].lose()
    world.run(MINUTE)
    world.publishers["a"].back()
    world.run(10 * MINUTE)
    assert undisturbed(world, since) and world.keepalive == 25


def test_the_client_roams_while_the_publisher_is_lost():
    world = at_home()
    world.publishers["a"].lose()
    world.go(MOBILE)
    world.run(MINUTE)
    assert world.endpoint == HOME.seen and world.keepalive == 25
    world.publishers["a"].back()
    world.until(lambda: world.endpoint == MOBILE.seen, 100)
    world.until(world.connected, 26000)


def test_a_lost_publisher_keeps_a_peer_online_only_while_nobody_else_could_tell():
    world = at_home()
    world.publishers["a"].lose()
    world.go(None)
    world.run(60 * MINUTE)
    assert world.keepalive == 25 and world.path.state == TRYING
    world.say(HOME.seen, 60 * MINUTE, True, source="b")
    world.run(1500)
    assert world.keepalive == 0 and world.path.state == OFFLINE


def test_a_publisher_lost_twice_was_lost_the_first_time():
    world = World(publishers=())
    world.say(HOME.seen, 170000, True)
    for _ in range(3):
        world.path.lost(world.now, "a")
        world.run(MINUTE)
    assert world.path.state == TRYING


def test_a_publisher_that_forgets_a_peer_leaves_the_path_to_the_other():
    world = World(publishers=("a", "b"))
    world.go(Network({"a": HOME.seen, "b": JUNK}, direct=HOME.seen))
    world.until(world.connected, MINUTE)
    world.run(2 * MINUTE)
    since = world.now
    world.publishers["a"].connected = False
    world.path.forget(world.now, "a")
    world.run(10 * MINUTE)
    assert undisturbed(world, since)


# -- other writers ---------------------------------------------------------------------------------------------


def test_syncconf_zeroes_the_keepalive_and_it_is_back_within_two_seconds():
    for world in (at_home(), on_its_own(LAN)):
        world.run(100)
        world.keepalive = 0
        since = world.now
        world.until(lambda: world.keepalive == 25, 2000)
        assert world.endpoints_set(since) == [] and world.path.state == DIRECT


def test_a_keepalive_is_set_again_while_trying_too():
    world = World()
    world.say(JUNK)
    world.run(10 * MINUTE)
    world.keepalive = 0
    world.until(lambda: world.keepalive == 25, 2000)


def test_an_endpoint_that_someone_changed_or_removed_is_back_within_two_seconds():
    for endpoint in (None, JUNK):
        for network in (HOME, LAN):
            world = on_its_own(network)
            world.run(100)
            world.endpoint = endpoint
            world.until(lambda: world.endpoint == world.network.direct, 2000)
            assert world.path.state == DIRECT
    world = World()
    world.say(HOME.seen)
    world.run(10 * MINUTE)
    world.endpoint = JUNK
    world.until(lambda: world.endpoint == HOME.seen, 2000)


def test_the_overruled_target_set_by_someone_else_is_taken_back():
    world = World(device_open=True)
    world.say(FORWARDED.seen)
    world.run(5000)
    world.go(FORWARDED)
    world.until(world.connected, 2000)
    world.endpoint = FORWARDED.seen
    world.until(world.connected, 2000)


def test_a_packet_that_moved_the_endpoint_but_is_not_counted_yet_is_no_foreign_hand():
    path = Path(0, Options(), lambda n: 0)
    path.reading(0, HOME.seen, 25, 100)
    path.observe(0, "a", HOME.seen, 0, False)
    path.reading(10, HOME.seen, 25, 200)
    assert path.act(10) is None
    path.reading(1500, CAFE.seen, 25, 200)
    assert path.act(1500) is None and path.poll_ms(1500) == 100
    path.reading(1600, CAFE.seen, 25, 300)
    assert path.act(1600) is None and path.poll_ms(1600) == 1500 and path.state == DIRECT


def test_a_set_of_ours_that_is_seen_before_we_are_told_of_it_is_no_foreign_hand():
    path = Path(0, Options(), lambda n: 0)
    path.reading(0, HOME.seen, 25, 100)
    path.observe(0, "a", HOME.seen, 0, False)
    path.reading(10, HOME.seen, 25, 200)
    path.observe(5000, "a", MOBILE.seen, 0, False)
    assert path.act(5000).endpoint == MOBILE.seen  # on its way through a slow tool
    for now in (5050, 5100, 5150):
        path.reading(now, MOBILE.seen, 25, 200)
        assert path.act(now) is None
    path.applied(5160, MOBILE.seen, 25, 200)
    assert path.act(5170) is None and path.next_ms() == 5200


def test_a_writer_that_fights_us_costs_one_set_a_second():
    for how in ("endpoint", "keepalive"):
        world = at_home()

        def write():
            if how == "endpoint":
                world.endpoint = JUNK
            else:
                world.keepalive = 0

        write()
        world.foreign = write
        count = len(world.sets)
        world.run(5 * MINUTE)
        assert len(world.sets) - count <= 12 + 300
        world.foreign = None
        world.until(lambda: world.endpoint == HOME.seen and world.keepalive == 25, 2000)
        world.until(world.connected, MINUTE)


def test_an_interface_made_anew_calls_a_client_on_a_path_of_its_own_there():
    world = on_its_own(LAN)  # the client goes on sending into a session that is gone, and notices late
    since = world.now
    world.recreate()
    world.until(world.connected, 1000)
    assert world.endpoints_set(since) == [LAN.direct]


def test_a_peer_made_anew_is_called_at_once():
    world = at_home()
    since = world.now
    world.device, world.endpoint, world.keepalive, world.rx = Side(), None, 0, 0
    world.look()
    assert world.endpoints_set(since) == [HOME.seen]
    world.until(world.connected, 1000)


def test_an_endpoint_that_is_gone_although_something_was_received():
    world = at_home()
    world.rx, world.endpoint = world.rx + 100, None
    world.until(lambda: world.endpoint == HOME.seen, 3500)


def test_an_interface_made_anew_is_called_at_once():
    for endpoint in (None, JUNK, HOME.seen):
        world = at_home()
        since = world.now
        world.recreate(endpoint)
        assert world.endpoints_set(since) == [HOME.seen]
        world.until(world.connected, 1000)
        assert world.keepalive == 25


def test_an_interface_made_anew_that_the_client_reached_before_us():
    for noticed in (True, False):
        world = on_its_own(LAN)
        since = world.now
        world.endpoint, world.keepalive, world.rx = LAN.direct, 0, 148
        if noticed:
            world.path.recreated(world.now)
        world.look()
        world.run(MINUTE)
        assert world.endpoints_set(since) == [] and world.keepalive == 25


# -- no path ---------------------------------------------------------------------------------------------------


def test_symmetric_nat_stays_trying_with_its_reason_and_few_sets():
    world = World()
    world.go(SYMMETRIC)
    world.run(2 * MINUTE)
    since, count = world.now, len(world.sets)
    world.run(30 * MINUTE)
    assert world.path.state == TRYING and world.states(since) == []
    assert "symmetric NAT" in world.path.reason and SYMMETRIC.seen in world.path.reason
    assert len(world.sets) - count <= 2 * 30


def test_symmetric_nat_is_told_by_two_publishers_that_see_different_ports():
    world = World(publishers=("a", "b"))
    world.go(Network({"a": "203.0.113.7:1024", "b": "203.0.113.7:1025"}, direct="203.0.113.7:1026"))
    world.run(10 * MINUTE)
    assert world.path.state == TRYING
    assert world.path.reason == ("symmetric NAT: it shows different ports to different servers "
                                 "(203.0.113.7:1024, 203.0.113.7:1025)")
    assert len(world.sets) <= 25
    for silence in ("lost", "quiet"):  # what such a publisher saw may be of yesterday
        if silence == "lost":
            world.path.lost(world.now, "b")
        else:
            world.say("203.0.113.7:1025", 41000, True, "b")
        world.run(MINUTE)
        assert world.path.reason.startswith("no answer from"), silence


def test_since_when_it_is_so():
    world = World(publishers=())
    begin = world.now
    world.run(1000)
    assert world.path.since_ms == begin
    world.say(HOME.seen)
    begin = world.now
    world.run(10 * MINUTE)
    assert (world.path.state, world.path.since_ms) == (TRYING, begin)


def test_out_of_a_symmetric_nat_it_connects_at_once():
    world = World()
    world.go(SYMMETRIC)
    world.run(30 * MINUTE)
    world.go(HOME)
    world.until(world.connected, 6000)  # WireGuard tries to shake hands every 5 s
