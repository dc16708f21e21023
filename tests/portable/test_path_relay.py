"""The path machine where the public server relays, told as stories in the model world."""
from pathworld import CAFE, HOME, LAN, MOBILE, RELAY, Network, World

from wgp2p.path import DIRECT, OFFLINE, TRYING, Options
from wgp2p.path import RELAY as RELAYED

MINUTE = 60000
# A symmetric NAT: nothing that is sent to where publishers see the client arrives.
SYMMETRIC = Network("203.0.113.7:1024", direct="203.0.113.7:0")
SYMMETRIC_TOO = Network("203.0.113.8:2048", direct="203.0.113.8:0")


def relayed(world):
    return world.endpoint == RELAY and world.path.state == RELAYED and world.client_to == RELAY


def settled(network, **how):
    """A world in which the client is connected and nothing happens any more."""
    world = World(relay=True, **how)
    world.go(network)
    world.until(lambda: relayed(world) or world.connected(), 5000)
    world.run(MINUTE)
    return world


def on_the_lan(busy):
    """A world in which a beacon has shown the client in the device's own LAN, and it is direct there."""
    world = settled(LAN)
    world.device_hears(LAN, "data", world.client.sends)
    world.client_to, world.busy = "direct", busy
    world.run(2 * MINUTE)
    assert world.path.state == DIRECT and world.endpoint == LAN.direct
    return world


def test_a_client_behind_a_symmetric_nat_is_reached_through_the_relay_at_once():
    world = World(relay=True)
    world.go(SYMMETRIC)
    assert world.until(lambda: relayed(world), 5000) <= 20 + 50 + 4 * 40 + 150
    world.run(10 * MINUTE)
    assert relayed(world) and world.endpoints_set() == [RELAY]
    assert world.states() == [OFFLINE, TRYING, RELAYED]


def test_relay_first_then_direct_within_seconds():
    for busy, limit in ((True, 2500), (False, 11500)):  # an idle one answers when WireGuard does for it, after 10 s
        world = World(relay=True)
        world.busy = busy
        world.go(HOME)
        world.until(lambda: world.path.state == RELAYED, 1000)
        assert world.until(lambda: world.connected() and world.client_to == "direct", 15000) <= limit
    since = world.now + 1
    world.run(10 * MINUTE)
    assert world.states(since) == [] and world.connected()


def test_from_direct_to_the_relay_and_back():
    world = settled(HOME)
    world.busy = True
    for network in (SYMMETRIC, HOME, SYMMETRIC_TOO, MOBILE):
        world.go(network)
        if network in (HOME, MOBILE):
            world.until(world.connected, 10000)
        else:
            assert world.until(lambda: relayed(world), 2000) <= 1000
        world.run(MINUTE)
        assert world.connected() or relayed(world)


def test_a_relayed_client_that_roams_stays_on_the_relay():
    world = settled(SYMMETRIC)
    since = world.now
    world.go(SYMMETRIC_TOO)
    world.run(5 * MINUTE)
    assert relayed(world) and world.states(since) == [] and world.endpoints_set(since) == []


def test_a_session_that_the_relay_does_not_know_is_renewed_through_it():
    world = settled(HOME, told=False)
    world.go(SYMMETRIC)
    world.until(lambda: relayed(world), 60000)


def test_stragglers_of_the_relay_do_not_turn_the_path_back():
    world = settled(SYMMETRIC)
    world.network = HOME  # the same client, seen by nobody yet
    world.path.observe(world.now, "a", HOME.seen, 0, False)
    world.until(lambda: world.path.state == DIRECT, 15000)
    world._device_hears_relay("data", world.client.sends)
    assert world.endpoint == RELAY
    world.until(lambda: world.endpoint == HOME.direct, 300)
    assert world.path.state in (DIRECT, TRYING)
    world.until(world.connected, 30000)


def test_a_direct_path_that_dies_goes_back_to_the_relay():
    world = settled(HOME)
    world.network = Network(HOME.seen, direct="198.51.100.1:0")  # the NAT changed its mind, nobody has seen it
    world.client_to = RELAY  # and the client has tried
    world.until(lambda: world.endpoint == RELAY, 2 * MINUTE)
    world.until(lambda: relayed(world), 20000)


def test_policy_direct_never_asks_the_relay():
    world = World(relay=True, options=Options(path="direct"))
    world.go(SYMMETRIC)
    world.run(5 * MINUTE)
    assert RELAY not in world.endpoints_set() and world.path.state == TRYING


def test_policy_relay_stays_there():
    world = World(relay=True, options=Options(path="relay"))
    world.go(CAFE)
    world.until(lambda: relayed(world), 1000)
    world.run(10 * MINUTE)
    assert world.endpoints_set() == [RELAY] and relayed(world)


def test_a_policy_that_changes():
    world = settled(HOME)
    assert world.connected()
    for policy in ("relay", "direct", "auto"):
        world.path.configure(world.now, Options(path=policy))
        world.look()
        world.busy = True
        world.until(lambda: relayed(world) if policy == "relay" else world.connected(), 15000)
        since = world.now + 1
        world.run(MINUTE)
        assert world.states(since) == [], policy


def test_a_relay_that_does_not_work_is_not_the_end():
    world = World(relay=True)
    world._pass_on = lambda *ignored: None
    world.client_to = "direct"  # a profile of the two-peer kind
    world.go(HOME)
    world.until(world.connected, 12000)


def test_a_server_that_begins_or_ends_to_relay_disturbs_no_direct_path():
    world = World()
    world.go(HOME)
    world.until(world.connected, 5000)
    world.run(MINUTE)
    since = world.now
    for relays in ({"a": RELAY}, {}, {"a": "203.0.113.11:51820"}):
        world.path.relays_at(world.now, relays)
        world.look()
        world.run(10000)
    assert world.endpoints_set(since) == [] and world.states(since) == []


def test_a_server_that_ends_to_relay_is_left_for_the_direct_path():
    world = settled(SYMMETRIC)
    world.relay = False
    world.path.relays_at(world.now, {})
    world.look()
    world.run(1000)
    assert world.endpoint == SYMMETRIC.seen and world.path.state == TRYING


def test_a_server_that_moved_is_followed():
    world = settled(SYMMETRIC)
    world.path.relays_at(world.now, {"a": "203.0.113.11:51820"})
    world.look()
    assert world.endpoints_set()[-1] == "203.0.113.11:51820"


def test_the_relay_of_a_publisher_whose_word_is_not_the_freshest():
    for relaying in ("a", "b"):
        world = World(publishers=("a", "b"), relay=True)
        world.busy = True
        world.path.relays_at(world.now, {relaying: RELAY})
        world.go(SYMMETRIC)
        world.until(lambda: relayed(world), 15000)  # the first to tell may not relay: then WireGuard waits 5 s


def test_who_leaves_a_path_of_its_own_is_called_through_the_relay_at_once():
    for busy in (False, True):
        world = on_the_lan(busy)
        world.go(SYMMETRIC, speaks=False)
        world.client_to = None  # what it sends to the LAN's address goes nowhere
        world._tell_publishers()
        assert world.until(lambda: world.endpoint == RELAY, 30000) <= 500


def test_another_port_of_the_same_address_disturbs_no_path_of_its_own():
    world = on_the_lan(False)
    since = world.now + 1
    world.path.observe(world.now, "a", "198.51.100.9:1111", 0, False)
    world.look()
    world.run(MINUTE)
    assert world.states(since) == [] and world.endpoint == LAN.direct


def test_our_own_address_changes():
    world = settled(HOME)
    world.network = Network(HOME.seen, direct="198.51.100.1:0")  # its NAT does not know our new address
    world.client_to, world.busy = None, True
    world.path.uprooted(world.now)
    world.look()
    assert world.endpoint == RELAY
    world.until(lambda: relayed(world), 2000)


def test_policy_relay_comes_back_with_the_relay():
    world = World(relay=True, options=Options(path="relay"))
    world.go(HOME)
    world.until(lambda: relayed(world), 1000)
    world.path.relays_at(world.now, {})
    world.look()
    world.run(MINUTE)
    world.busy = True
    world.path.relays_at(world.now, {"a": RELAY})
    world.look()
    world.until(lambda: relayed(world), 5000)


def test_another_servers_relay_is_no_direct_path():
    world = settled(SYMMETRIC)
    other, since = "203.0.113.11:51820", world.now + 1
    for number in range(20):  # the freshest word is now of this publisher, now of that
        world.path.relays_at(world.now, {"a": other if number % 2 else RELAY, "b": RELAY if number % 2 else other})
        world.path.observe(world.now, "b", SYMMETRIC.seen, 0, False)
        world.look()
        world.run(1000)
    assert world.states(since) == [] and world.endpoints_set(since) == [] and relayed(world)
    world.path.punch(world.now)
    world.look()
    world.endpoint, world.rx = other, world.rx + 100  # it is called through one, and answers through the other
    world.look()
    assert world.path.state == RELAYED and world.path.relay == other


def test_what_the_relay_still_has_under_way_is_overcome_quietly():
    world = settled(SYMMETRIC)
    world.network, world.busy = HOME, True
    world.path.observe(world.now, "a", HOME.seen, 0, False)
    world.until(lambda: world.path.state == DIRECT, 15000)
    since = world.now + 1
    for _ in range(4):
        world._device_hears_relay("data", world.client.sends)
        world.path.tried(world.now)
        world.look()
        assert world.endpoint == HOME.seen
        world.run(100)
    world.run(MINUTE)
    assert world.states(since) == [] and world.connected()
