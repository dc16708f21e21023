"""roam.py: a hint is asked through the tunnel before anything is moved, and a liar wins nothing."""
from fakewg import FakeWireGuard, key
from helpers import VirtualLoop

from wgp2p import config, probe
from wgp2p.registry import Registry
from wgp2p.roam import ANSWER_MS, EVERY_MS, Roam

PHONE = key(1)
HOME, AWAY, LIAR = "203.0.113.31:36906", "198.51.100.9:1234", "192.0.2.66:6666"


class Bench:
    """A phone that the server knows at HOME, silent for a minute; the Publisher's part is `look`."""

    def __init__(self):
        self.loop, self.wireguard = VirtualLoop(), FakeWireGuard()
        self.config = config.parse("config peer\n\toption public_key '%s'\n\toption name 'phone'\n" % PHONE)
        self.registry = Registry("boot")
        self.wireguard.add("wg0")
        self.wireguard.peer("wg0", PHONE, endpoint=HOME, allowed_ips=["10.0.0.2/32"], rx=100, keepalive=0)
        self.echoes = []
        self._echo, probe.echo = probe.echo, lambda interface, ip: self.echoes.append((interface, ip))
        self.look()
        self.loop.advance(1000)
        self.wireguard.hear("wg0", PHONE, HOME)
        self.look()
        self.roam = Roam(self.loop, self.wireguard, "wg0", self)
        self.loop.advance(60000)

    def look(self):
        self.registry.update(self.loop.now(), self.wireguard.devices["wg0"])

    def known(self):
        return self.registry.entries[PHONE].endpoint

    def set_to(self):
        return self.wireguard.get("wg0", PHONE).endpoint

    def close(self):
        self.roam.close()
        probe.echo = self._echo


def bench(test):
    def run():
        made = Bench()
        try:
            test(made)
        finally:
            made.close()

    return run


@bench
def test_the_address_is_taken_when_the_client_answers_there(b):
    b.roam.hinted(PHONE, AWAY)
    assert b.set_to() == AWAY and b.echoes == [("wg0", "10.0.0.2")]
    b.look()
    assert b.known() == HOME, "not believed yet"
    b.loop.advance(50)
    b.wireguard.hear("wg0", PHONE, AWAY)
    b.loop.advance(15)
    assert b.known() == AWAY, "one of the early looks finds the answer"
    b.loop.advance(EVERY_MS)
    assert b.set_to() == AWAY


@bench
def test_without_an_answer_the_old_address_is_set_again(b):
    b.roam.hinted(PHONE, LIAR)
    b.loop.advance(ANSWER_MS - 1)
    assert b.set_to() == LIAR and b.known() == HOME
    b.loop.advance(1)
    assert b.set_to() == HOME and b.known() == HOME
    b.look()
    assert b.registry.entries[PHONE].doubted is None


@bench
def test_one_hint_in_five_seconds(b):
    for _ in range(100):
        b.roam.hinted(PHONE, LIAR)
        b.loop.advance(EVERY_MS // 100)
    assert len(b.echoes) == 1
    b.roam.hinted(PHONE, LIAR)
    assert len(b.echoes) == 2


@bench
def test_a_client_that_has_just_spoken_is_not_asked(b):
    b.wireguard.hear("wg0", PHONE, HOME)
    b.roam.hinted(PHONE, LIAR)  # heard since the last look
    assert b.set_to() == HOME and not b.echoes
    b.look()
    b.loop.advance(EVERY_MS)
    b.wireguard.hear("wg0", PHONE, HOME)
    b.look()
    b.loop.advance(900)
    b.roam.hinted(PHONE, LIAR)
    assert not b.echoes, "the known address spoke a moment ago"


@bench
def test_a_client_that_speaks_from_its_old_address_is_left_there(b):
    """The client is where it was after all, and says so: WireGuard itself turns back."""
    b.roam.hinted(PHONE, LIAR)
    b.loop.advance(100)
    b.wireguard.hear("wg0", PHONE, HOME)
    b.loop.advance(EVERY_MS)
    assert b.set_to() == HOME and b.known() == HOME


@bench
def test_strangers_known_addresses_and_excluded_peers_are_not_asked(b):
    b.roam.hinted(key(9), LIAR)
    b.roam.hinted(PHONE, HOME)
    assert not b.echoes and b.set_to() == HOME
    b.config = config.parse("config peer\n\toption public_key '%s'\n\toption exclude '1'\n" % PHONE)
    b.loop.advance(EVERY_MS)
    b.roam.hinted(PHONE, LIAR)
    assert not b.echoes


@bench
def test_peers_and_interfaces_that_vanish_meanwhile(b):
    b.roam.hinted(PHONE, LIAR)
    b.wireguard.drop("wg0", PHONE)
    b.loop.advance(ANSWER_MS)
    b.wireguard.remove("wg0")
    b.loop.advance(EVERY_MS)
    b.roam.hinted(PHONE, LIAR)
    assert len(b.echoes) == 1
