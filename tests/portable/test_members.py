"""members.py: who may, who moved, and a lane's rate."""
from fakewg import FakeWireGuard, key

from wgp2p import config
from wgp2p.members import Lane, Member, Members
from wgp2p.publisher import Publisher
from wgp2p.registry import Registry

ROUTER, OTHER, PHONE, LAPTOP, SECRET = [key(number) for number in range(1, 6)]
ROUTER_AT, OTHER_AT, PHONE_AT, AWAY = "192.0.2.1:51820", "192.0.2.2:51820", "203.0.113.3:4000", "198.51.100.9:1234"


class World:
    """Two devices, one with the phone alone as client; an excluded peer."""

    serves = Publisher.serves

    def __init__(self, client="phone"):
        self.wireguard, self.registry, self.members = FakeWireGuard(), Registry("b"), Members()
        self.wireguard.add("wg0")
        self.configure(client)
        for peer in (ROUTER, OTHER, PHONE, LAPTOP, SECRET):
            self.wireguard.peer("wg0", peer)
        self.hear(ROUTER, ROUTER_AT)
        self.hear(OTHER, OTHER_AT)
        self.hear(PHONE, PHONE_AT)

    def configure(self, client):
        text = "config publisher\n option interface 'wg0'\n"
        text += "config peer\n option public_key '%s'\n option name 'router'\n option device '1'\n" % ROUTER
        text += "config peer\n option public_key '%s'\n option name 'other'\n option device '1'\n" % OTHER
        text += " list client '%s'\n" % client if client else ""
        text += "config peer\n option public_key '%s'\n option name 'phone'\n" % PHONE
        text += "config peer\n option public_key '%s'\n option name 'laptop'\n" % LAPTOP
        text += "config peer\n option public_key '%s'\n option name 'secret'\n option exclude '1'\n" % SECRET
        self.config = config.parse(text)

    def hear(self, peer, endpoint):
        self.wireguard.hear("wg0", peer, endpoint)

    def update(self, now=0):
        self.registry.update(now, self.wireguard.devices["wg0"])
        return self.members.update(self.config, self.registry, self.serves)


def test_who_is_a_member():
    world = World()
    changed, left = world.update()
    assert sorted(changed) == sorted([ROUTER, OTHER, PHONE]) and left == {}, "the laptop is nowhere yet"
    assert sorted(world.members.by_key) == sorted(changed)
    world.hear(LAPTOP, AWAY)
    world.hear(SECRET, "198.51.100.7:7")
    assert world.update() == ([LAPTOP], {})
    assert world.members.at("198.51.100.7:7") == ()
    assert world.update() is None, "nothing has changed"


def test_who_may():
    world = World()
    world.update()
    may = world.members.may
    for one, other, wanted in ((ROUTER, PHONE, True), (ROUTER, LAPTOP, True), (OTHER, PHONE, True),
                               (OTHER, LAPTOP, False), (PHONE, LAPTOP, False), (ROUTER, OTHER, False),
                               (ROUTER, SECRET, False), (ROUTER, ROUTER, False)):
        assert may(one, other) is wanted and may(other, one) is wanted, (one, other)


def test_device_to_device_never_even_when_it_is_named():
    world = World("router")
    world.update()
    assert world.serves(OTHER, ROUTER) and not world.members.may(OTHER, ROUTER)
    assert OTHER not in world.members.by_key, "and with nobody to talk to it is no member"


def test_moves():
    world = World()
    world.update()
    assert world.members.at(PHONE_AT) == [PHONE]
    world.hear(PHONE, AWAY)
    assert world.update() == ([PHONE], {PHONE: PHONE_AT})
    assert world.members.at(AWAY) == [PHONE] and world.members.at(PHONE_AT) == ()
    assert world.members.who(PHONE_AT) == PHONE, "it was"
    assert world.members.between(ROUTER_AT, AWAY) == [(ROUTER, PHONE)]
    assert world.members.between(AWAY, ROUTER_AT) == [(PHONE, ROUTER)]
    assert world.members.between(AWAY, PHONE_AT) == []


def test_two_at_one_place():
    world = World()
    world.update()
    world.hear(LAPTOP, PHONE_AT)
    world.update()
    world.hear(ROUTER, AWAY)
    world.update()
    assert world.members.at(PHONE_AT) == [PHONE, LAPTOP], "the last to come at the end"
    assert world.members.between(PHONE_AT, AWAY) == [(LAPTOP, ROUTER), (PHONE, ROUTER)]
    assert world.members.between(PHONE_AT, OTHER_AT) == [(PHONE, OTHER)]


def test_who_falls_silent_did_not_come_later():
    world = World()
    world.update()
    world.hear(LAPTOP, PHONE_AT)
    world.update()
    world.hear(PHONE, AWAY)
    world.update()
    world.hear(PHONE, PHONE_AT)
    world.update()
    assert world.members.at(PHONE_AT) == [LAPTOP, PHONE]
    for now in range(10000, 60000, 10000):
        world.hear(PHONE, PHONE_AT)
        world.update(now)
    entries = world.registry.entries
    assert entries[LAPTOP].quiet and entries[LAPTOP].seq > entries[PHONE].seq
    assert world.members.at(PHONE_AT) == [LAPTOP, PHONE] and world.members.who(PHONE_AT) == PHONE


def test_who_leaves():
    world = World()
    world.update()
    world.wireguard.drop("wg0", PHONE)
    left = world.update()[1]
    assert left == {PHONE: PHONE_AT, OTHER: OTHER_AT}, "and a device that now has nobody"
    assert ROUTER in world.members.by_key, "it may have the laptop"
    world.wireguard.peer("wg0", PHONE, endpoint=PHONE_AT)
    assert PHONE in world.update()[0]


def test_another_configuration():
    world = World()
    world.update()
    world.configure(None)
    assert world.update()[1] == {} and world.members.may(OTHER, LAPTOP)
    world.config = config.parse("config publisher\n option interface 'wg0'\n")
    assert world.update()[1] == {ROUTER: ROUTER_AT, OTHER: OTHER_AT, PHONE: PHONE_AT}
    assert not world.members.devices and not world.members.by_key


def test_places_that_were_left_are_bounded():
    world = World()
    world.update()
    for port in range(1, 600):
        world.hear(PHONE, "198.51.100.9:%d" % port)
        world.update()
    assert len(world.members._past) <= 256 and world.members.who("198.51.100.9:598") == PHONE


def test_doors():
    asked = []

    def route(ip):
        asked.append(ip)
        return {"198.51.100.9": "192.0.2.100", "2001:db8::9": "2001:db8::100"}.get(ip)

    member = Member(PHONE, AWAY)
    assert member.find_door(route) and member.door == "192.0.2.100" and asked == ["198.51.100.9"]
    assert not member.find_door(route) and len(asked) == 2, "routes change"
    assert member.knock("192.0.2.200") and not member.knock("192.0.2.200")
    assert not member.find_door(route) and member.door == "192.0.2.200" and len(asked) == 2
    member.endpoint = "[2001:db8::9]:7"
    assert member.is_ipv6() and member.find_door(route) and member.door == "2001:db8::100"
    member.endpoint = "203.0.113.7:1"
    assert member.find_door(route) and member.door is None


def test_rate_of_a_lane():
    lane, passed = Lane(PHONE, ROUTER), 0
    for now in range(0, 10000, 10):
        for _ in range(20):
            passed += 1000 if lane.take(now, 1000, 125000) else 0
    assert 1250000 <= passed <= 1250000 + 125000 // 4 + 2000, passed
    assert lane.take(20000, 1000, 125000)
