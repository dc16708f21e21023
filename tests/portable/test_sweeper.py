"""The sweep as a role: for whom, from where, and when not. The schedule and the plan are the real ones, time is
virtual, what would send only remembers."""
from fakewg import key
from folders import new_folder
from helpers import VirtualLoop

from wgp2p import config, log, sweeper
from wgp2p.path import DIRECT, OFFLINE, RELAY, TRYING
from wgp2p.sweeper import CAUTIOUS, Sweeper, our_nat
from wgp2p.upgrader import Row

PHONE, OTHER = key(1), key(2)
SERVER = "203.0.113.1:51820"
US = "198.51.100.7:51820"
SEEN, FOUND = "192.0.2.9:31300", "192.0.2.9:31411"


class FakeOpeners:
    """Remembers (ip, source port, port, untracked) of each packet, and when it was sent."""

    def __init__(self, loop):
        self._loop = loop
        self.sent, self.error, self.closed = [], None, False

    def open(self, ip, source_port, ports, untracked=False):
        if self.error is not None:
            raise OSError(self.error)
        self.sent += [(ip, source_port, port, untracked, self._loop.now()) for port in ports]
        return len(ports)

    def close(self):
        self.closed = True


class World:
    """A Sweeper, and one interface wg0 with its clients."""

    def __init__(self, lines=(), folder=None, seen_at=(US,)):
        self.folder = folder or new_folder()
        self.loop = VirtualLoop()
        self.own, self.tables, self.free = [], (), None
        self._saved = [(name, getattr(sweeper, name)) for name in ("Openers", "addresses", "has_table", "room")]
        sweeper.Openers, sweeper.addresses = FakeOpeners, lambda: self.own
        sweeper.has_table, sweeper.room = lambda name: name in self.tables, lambda share: self.free
        self.seen_at, self.rows = list(seen_at), {}
        self.mapped = False
        self.sweeper = Sweeper(self.loop, self.main(lines), lambda interface: self.mapped)
        self.openers = self.sweeper._openers

    def main(self, lines):
        text = "config wgp2p\n option state_dir '%s'\n" % self.folder
        return config.parse(text + "".join([" %s\n" % line for line in lines])).main

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name, value in self._saved:
            setattr(sweeper, name, value)

    def row(self, name=PHONE, state=RELAY, endpoint=SERVER, seen=SEEN, policy="auto", awake=True, announced=False):
        self.rows[name] = Row(state, endpoint, seen, SERVER, policy, awake, 7, "10.0.0.3", announced)
        self.update()

    def update(self):
        self.sweeper.update("wg0", 51820, self.seen_at, dict(self.rows))

    def sent(self, ms):
        """What is sent in this time."""
        before = len(self.openers.sent)
        for _ in range(ms // 100):
            self.loop.advance(100)
            self.update()
        return self.openers.sent[before:]


def test_our_own_nat_decides_how_many_ports():
    assert our_nat(51820, []) == 0
    assert our_nat(51820, [US]) is None
    assert our_nat(51820, ["[2001:db8::1]:51820"]) == 0
    assert our_nat(51820, ["198.51.100.7:40000"]) == CAUTIOUS
    assert our_nat(51820, ["198.51.100.7:40000", "198.51.100.7:40000"]) is None
    assert our_nat(51820, ["198.51.100.7:40000", "198.51.100.7:40001"]) == 0


def test_the_ports_around_what_a_publisher_sees():
    with World() as world:
        world.row()
        assert not world.sent(1900), "the plain tries come first"
        sent = world.sent(1500)
        assert 400 < len(sent) <= 1500
        assert set([row[:2] for row in sent]) == {("192.0.2.9", 51820)}
        ports = [row[2] for row in sent]
        assert 31411 in ports and len(set(ports)) == len(ports)
        assert "symmetric NAT, trying ports " in world.sweeper.words("wg0", PHONE)
        assert world.sweeper.row("wg0", PHONE) is not None


def test_it_ends_with_the_direct_path_and_the_network_is_known_the_next_time():
    folder = new_folder()
    with World(folder=folder) as world:
        world.row()
        assert world.sent(2500)
        world.row(state=DIRECT, endpoint=FOUND)
        assert not world.sent(120000)
        assert world.sweeper.words("wg0", PHONE) == "" and world.sweeper.row("wg0", PHONE) is None
        world.row()
        assert world.sent(200), "at once"
        world.sweeper.close()
        assert world.openers.closed
    with World(folder=folder) as world:
        world.row()
        assert world.sent(200), "a restart forgets nothing"


def test_it_ends_when_the_client_leaves_or_the_option_is_switched_off():
    for end in (lambda world: world.rows.clear(), lambda world: world.row(state=OFFLINE),
                lambda world: world.row(awake=False), lambda world: world.row(policy="relay"),
                lambda world: world.sweeper.configure(world.main(["option sweep 'off'"])),
                lambda world: (world.rows.clear(), world.sweeper.leave("wg0"))):
        with World() as world:
            world.row()
            assert world.sent(2300)
            end(world)
            world.update()
            assert not world.sent(60000)


def test_only_public_ipv4_addresses_of_others_are_swept():
    for seen in (None, "[2001:db8::9]:51820", "192.168.1.9:51820", "10.1.2.3:51820", "100.64.0.9:51820",
                 "172.31.0.1:51820", "198.51.100.7:40000"):
        with World() as world:
            world.row(seen=seen)
            assert not world.sent(60000), seen
            assert world.sweeper.words("wg0", PHONE) == ""


def test_a_port_that_a_client_announces_is_neither_swept_around_nor_learned():
    with World() as world:
        world.row(announced=True)
        assert not world.sent(60000)
        world.row(state=DIRECT, endpoint=FOUND, announced=True)
        world.row()
        assert not world.sent(1900), "nothing is known of this network"


def test_a_client_that_was_never_reached_is_swept_for_without_a_relay():
    with World() as world:
        world.row(state=TRYING, endpoint=SEEN)
        assert world.sent(3000)


def test_behind_a_symmetric_nat_of_our_own_nothing_is_tried_and_that_is_said():
    with World(seen_at=("198.51.100.7:40000", "198.51.100.7:40001")) as world:
        world.row()
        assert not world.sent(60000)
        assert "our own NAT is symmetric" in world.sweeper.words("wg0", PHONE)
        world.row(state=DIRECT, endpoint=FOUND)
        assert world.sweeper.words("wg0", PHONE) == ""


def test_a_nat_that_rewrites_our_port_is_spared():
    with World(seen_at=("198.51.100.7:40000",)) as world:
        world.row()
        sent = world.sent(20000)
        assert 0 < len(set([row[2] for row in sent])) <= CAUTIOUS


def test_what_was_learned_is_kept_soon():
    with World() as world:
        world.row()
        world.row(state=DIRECT, endpoint=FOUND)
        world.sent(6000)
        with open(world.folder + "/networks.json") as file:
            assert "192.0.2.9" in file.read()


def test_our_own_side_is_looked_at_seldom():
    with World() as world:
        asked = []
        sweeper.addresses = lambda: asked.append(1) or []
        world.row()
        assert len(world.sent(20000)) > 1000
        assert len(asked) <= 3


def test_where_everybody_can_come_in_nothing_is_opened():
    with World() as world:
        world.row()
        said = []
        write, log._write = log._write, lambda level, text: said.append(text)
        try:
            for _ in range(3):
                world.sweeper.heard("wg0", PHONE, FOUND)
        finally:
            log._write = write
        assert len(said) == 1 and FOUND in said[0]
        assert not world.sent(60000)
        world.seen_at = ["198.51.100.8:51820"]  # we are somewhere else now
        world.update()
        assert world.sent(5000)


def test_a_beacon_that_was_invited_says_nothing_of_our_port():
    with World() as world:
        world.row()
        world.sent(2500)
        world.sweeper.heard("wg0", PHONE, FOUND)
        assert world.sent(1000)
    with World() as world:
        world.row(state=DIRECT, endpoint=FOUND)
        world.row()
        world.sweeper.heard("wg0", PHONE, FOUND)  # our NAT still has the entry of the direct path
        assert world.sent(3000)
    with World() as world:
        world.row()
        world.sweeper.heard("wg0", PHONE, SEEN)  # where it was tried
        assert world.sent(3000)


def test_a_beacon_proves_an_open_port_only_where_nothing_of_ours_went():
    home, second = "192.168.1.5:51820", "192.0.2.9:31400"
    for endpoint in (home, "100.64.0.9:40000", "[2001:db8::5]:51820", "198.51.100.7:4000", SERVER):
        with World() as world:
            world.row()
            world.sweeper.heard("wg0", PHONE, endpoint)
            assert world.sent(5000), endpoint
    with World() as world:  # another client behind the same NAT comes in where the first one is looked for
        world.row()
        world.sent(2500)
        world.row(OTHER, seen="192.0.2.9:31320")
        world.sweeper.heard("wg0", OTHER, second)
        assert world.sent(5000)
    for there in ("192.0.3.3:2000", "192.0.2.9:4000"):
        with World() as world:  # there and back, while our NAT still has the entries of before
            world.row()
            world.row(state=DIRECT, endpoint=FOUND)
            world.row(state=DIRECT, endpoint=there, seen=there)
            world.row()
            world.sweeper.heard("wg0", PHONE, FOUND)
            world.sweeper.heard("wg0", PHONE, there)
            assert world.sent(5000)


def test_where_something_of_ours_went_is_forgotten_when_no_nat_knows_it_any_more():
    with World() as world:
        world.row(seen="192.0.3.3:2000")
        world.row(state=DIRECT, endpoint=SEEN)
        world.sent(300000)
        world.row()
        world.sweeper.heard("wg0", PHONE, "192.0.3.3:2000")
        assert world.sent(5000)
        world.row(state=DIRECT, endpoint=SEEN)
        world.sent(400000)
        world.sweeper.heard("wg0", PHONE, "192.0.3.3:2000")
        world.row()
        assert world.sent(20000), "who was let in may come again"
        world.row(state=DIRECT, endpoint=SEEN)
        world.sent(700000)
        world.row()
        world.sweeper.heard("wg0", PHONE, "192.0.3.3:2000")
        assert not world.sent(20000)


def test_what_is_known_of_where_we_went_is_bounded():
    with World() as world:
        for i in range(3000):
            world.row(seen="192.0.%d.%d:4000" % (i // 250, i % 250 + 1))
            assert len(world.sweeper._went) <= 1024
        world.sweeper.heard("wg0", PHONE, "192.0.11.250:4000")
        assert world.sent(5000), "those of late are known"


def test_an_open_port_is_one_interfaces():
    with World() as world:
        world.row()
        rows = {OTHER: Row(RELAY, SERVER, "192.0.5.5:31300", SERVER, "auto", True, 7, "10.0.0.4")}
        world.sweeper.update("wg1", 51821, ["198.51.100.7:51821"], rows)
        world.sweeper.heard("wg1", OTHER, "192.0.5.5:31400")
        assert set([row[1] for row in world.sent(20000)]) == {51820}


def test_nothing_is_sent_from_no_port():
    with World() as world:
        world.row()
        world.update = lambda: world.sweeper.update("wg0", 0, [US], world.rows)
        assert not world.sent(60000)
        assert world.sweeper.words("wg0", PHONE) == ""


def test_seen_by_ipv6_alone_is_no_symmetric_nat():
    with World(seen_at=("[2001:db8::1]:51820",)) as world:
        world.row()
        assert not world.sent(60000) and world.sweeper.words("wg0", PHONE) == ""


def test_only_what_is_fresh_on_both_sides_is_learned():
    """A client that is direct and takes another port is followed by WireGuard at once, by the publisher's word later:
    the two do not belong together."""
    with World() as world:
        world.row()
        world.row(state=DIRECT, endpoint=SEEN)
        for seen in (SEEN, "192.0.2.9:32000"):
            world.row(state=DIRECT, endpoint="192.0.2.9:32000", seen=seen)
        world.row(seen="192.0.2.9:32000")
        assert not world.sent(9000), "its NAT is known not to be symmetric"


def test_a_new_state_dir_takes_effect_at_the_next_start():
    with World() as world:
        world.row()
        world.sweeper.configure(world.main(["option state_dir '/nowhere'"]))
        world.row(state=DIRECT, endpoint=FOUND)
        world.sweeper.close()
        with open(world.folder + "/networks.json") as file:
            assert "192.0.2.9" in file.read()


def test_a_public_address_behind_an_open_firewall_needs_no_sweep():
    with World() as world:
        world.own, world.tables = ["198.51.100.7"], ("fw4",)
        world.row()
        assert not world.sent(60000)
    with World(["option open_port '0'"]) as world:
        world.own, world.tables = ["198.51.100.7"], ("fw4", "wgp2p_sessions")
        world.row()
        assert world.sent(5000), "the firewall is not opened"


def test_connections_are_tracked_where_the_port_is_not_open_and_counted():
    with World() as world:
        world.row()
        assert set([row[3] for row in world.sent(5000)]) == {False}
    with World() as world:
        world.tables = ("fw4", "wgp2p_sessions")
        world.free = 0  # asked for nothing
        world.row()
        assert set([row[3] for row in world.sent(5000)]) == {True}
    with World() as world:
        world.free = 0
        world.row()
        assert not world.sent(10000)
        world.free = 40
        assert world.sent(2000)


def test_connections_are_counted_where_one_interface_has_no_relay():
    """Its port is not in the table that says `notrack`."""
    with World() as world:
        world.tables, world.free = ("fw4", "wgp2p_sessions"), 0
        world.row()
        world.update = lambda: world.sweeper.update("wg1", 51821, ["198.51.100.7:51821"], {
            OTHER: Row(TRYING, SEEN, SEEN, None, "auto", True, 7, None)})
        assert not world.sent(20000)
        world.free = 9999
        assert set([row[3] for row in world.sent(20000)]) == {False}


def test_a_way_that_is_refused_is_left_alone_for_a_while():
    with World() as world:
        world.openers.error = 1
        world.row()
        assert not world.sent(5000)
        world.openers.error = None
        assert not world.sent(30000)
        assert world.sent(60000)


def test_a_mapping_makes_the_port_open_as_long_as_it_holds():
    with World() as world:
        world.mapped = True
        world.row()
        assert not world.sent(29000)
        world.mapped = False
        assert world.sent(10000)


def test_the_log_is_not_filled_by_a_publisher_that_never_stops_talking():
    with World(["option sweep_entries '16384'"]) as world:
        world.row()
        world.row(state=DIRECT, endpoint=FOUND)
        said = []
        write, log._write = log._write, lambda level, text: said.append(text)
        try:
            for turn in range(1000):
                for port in (31300, 32300):
                    world.row(seen="192.0.2.9:%d" % port, awake=turn % 3 > 0)
                    world.loop.advance(25)
                    world.update()
                    del world.openers.sent[:]
        finally:
            log._write = write
        assert 10 < len(said) <= 26, "one in 2 s"


def test_rubbish_in_the_file_is_nothing_learned():
    folder = new_folder()
    for text in ("", "{", "[1]", "\xff"):
        with open(folder + "/networks.json", "w") as file:
            file.write(text)
        with World(folder=folder) as world:
            world.row()
            assert not world.sent(1900) and world.sent(1000)
