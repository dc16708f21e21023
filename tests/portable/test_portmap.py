"""portmap.py: the role under virtual time, with a gateway that grants everything."""
import os

from folders import new_folder
from helpers import VirtualLoop

from wgp2p import gateway, portmap
from wgp2p.mapping import NATPMP, PCP, UPNP, Datagram, Mapping
from wgp2p.outside import FILTERED, OPEN, OPEN_HERE, REWRITTEN, UNKNOWN

GATEWAY, OWN, PUBLIC, SERVER = "192.168.1.1", "192.168.1.7", "203.0.113.5", "203.0.113.77"
ANSWER_MS = 20
EXTERNAL = PUBLIC + ":51820"


class Talk:
    def __init__(self, now, want, random_below):
        self.want, self.outcome = want, None
        self.out = [Datagram(GATEWAY, 5351, want)]

    def act(self, now):
        out, self.out = self.out, []
        return out

    def received(self, now, ip, port, data):
        self.outcome = data

    def next_ms(self):
        return None


class FakeGateway:
    """gateway.Gateway without sockets; answers after 20 ms."""

    def __init__(self, loop, changed):
        self.loop, self.changed = loop, changed
        self.ip = self.own_ip = None
        self.problem, self.fails = "", ""
        self.leases, self.table, self.public = [], {}, PUBLIC
        self.asked, self.lifetimes = [], []
        self.timer, self.closed = None, False

    def uplink(self, ip, own_ip):
        self.problem = self.fails
        self.ip, self.own_ip = (None, None) if self.fails else (ip, own_ip)
        self.step()

    def step(self):
        now = self.loop.now()
        for lease in self.leases:
            lease.uplink(now, self.ip, self.own_ip)
            for item in lease.act(now):
                self.asked.append(item.data)
                self.lifetimes.append(item.data.lifetime_s)
                self.loop.call_later(ANSWER_MS, self.answer, lease, item.data)
        due = [lease.next_ms() for lease in self.leases if lease.next_ms() is not None]
        if self.timer:
            self.timer.cancel()
        self.timer = self.loop.call_later(max(1, min(due) - now), self.step) if due else None
        self.changed()

    def answer(self, lease, want):
        if self.closed or not self.public:
            return
        if want.lifetime_s:
            self.table[want.internal_port] = want.external_port
            mapping = Mapping(PCP, self.public, want.external_port, want.lifetime_s, self.loop.now() // 1000)
        else:
            self.table.pop(want.internal_port, None)
            mapping = Mapping(PCP, None, 0, 0)
        lease.received(self.loop.now(), self.ip, 5351, mapping)
        self.step()

    def close(self):
        self.closed = True
        if self.timer:
            self.timer.cancel()


class FakeLinks:
    """Routes as they are told."""

    hop = GATEWAY
    asked = None

    def gateway(self, ip):
        self.asked = ip
        if self.hop == "none":
            raise OSError(101)
        return self.hop

    def source_of(self, ip):
        return OWN


class Section:
    label, interface = "portmap", "wg0"

    def __init__(self, protocol="auto", gateway=None, lifetime=7200, forward=()):
        self.protocol, self.gateway, self.lifetime, self.forward = protocol, gateway, lifetime, list(forward)


class World:
    """A Portmap with everything around it made up; `verdicts` are given in turn, the last one again and again."""

    def __init__(self, folder, section):
        self.loop, self.links = VirtualLoop(), FakeLinks()
        self.rows = [("wg0", 51820, [SERVER + ":51820"], [])]
        self.told, self.looks, self.verdicts = [], [], [(OPEN_HERE, "")]
        self.folder = folder
        gateway.links = self.links
        self.role = portmap.Portmap(self.loop, section, folder, lambda: self.rows, self.verify, self.changed)
        self.gateway = self.role._gateway

    def verify(self, interface, mapping, done):
        verdict = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        assert mapping.external_ip == self.gateway.public
        self.looks.append((interface, mapping.external_port))
        self.loop.call_later(1000, done, *verdict)

    def changed(self, interface, port, before, after):
        self.told.append((interface, port, before, after))

    def row(self, number=0):
        return self.role.status()["mappings"][number]


def play(test, section=None):
    """Call test(world)."""
    before = portmap.Gateway, portmap.TALKERS, gateway.links
    portmap.Gateway, portmap.TALKERS = FakeGateway, {PCP: Talk, NATPMP: Talk, UPNP: Talk}
    try:
        test(World(new_folder(), section or Section()))
    finally:
        portmap.Gateway, portmap.TALKERS, gateway.links = before


def test_the_listen_port_is_mapped_and_looked_at():
    def test(world):
        world.loop.advance(2000)
        assert world.gateway.table == {51820: 51820} and world.links.asked == SERVER
        assert world.told == [("wg0", 51820, None, EXTERNAL)]
        assert world.looks == [("wg0", 51820)]
        row = world.row()
        assert row["verdict"] == OPEN_HERE and row["external"] == EXTERNAL and row["error"] == ""
        assert row["forward"] is None and row["protocol"] == PCP and row["port"] == 51820
        status = world.role.status()
        assert (status["interface"], status["gateway"], status["address"], status["problem"]) == (
            "wg0", GATEWAY, OWN, "")
        world.loop.advance(3600000)
        assert len(world.looks) in (4, 5), "now and then"
        assert world.told == [("wg0", 51820, None, EXTERNAL)]

    play(test)


def test_what_is_asked_for():
    def test(world):
        world.loop.advance(1000)
        want = world.gateway.asked[0]
        assert world.gateway.lifetimes == [600] and want.gateway == "192.168.9.9" and want.own_ip == OWN
        assert want.description.startswith("wgp2p ") and want.description.endswith(" 51820")
        assert want.nonce[:10] == portmap.load_nonce(world.folder)[:10]

    play(test, Section(protocol="pcp", lifetime=600, gateway="192.168.9.9"))


def test_the_nonce_outlives_a_crash():
    folder = new_folder()
    nonce = portmap.load_nonce(folder)
    assert len(nonce) == 12 and portmap.load_nonce(folder) == nonce
    assert os.stat(folder + "/pcp.nonce")[0] & 0o777 == 0o600
    for rubbish in (b"", b"zz" * 12, b"00" * 11, b"\xff" * 24):
        with open(folder + "/pcp.nonce", "wb") as file:
            file.write(rubbish)
        fresh = portmap.load_nonce(folder)
        assert len(fresh) == 12 and fresh != nonce and portmap.load_nonce(folder) == fresh
    assert len(portmap.load_nonce("/proc/none")) == 12, "for this time alone"


def test_forwards():
    def test(world):
        world.loop.advance(2000)
        assert world.gateway.table == {51820: 51820, 51821: 51821}
        assert world.looks == [("wg0", 51820)], "nobody can look at the other"
        assert [world.row(number)["forward"] for number in (0, 1)] == [None, "192.168.5.20:51820"]
        assert sorted(world.told) == [("wg0", 51820, None, EXTERNAL), ("wg0", 51821, None, PUBLIC + ":51821")]
        world.role.configure(Section())
        world.loop.advance(1000)
        assert world.gateway.table == {51820: 51820} and len(world.role.status()["mappings"]) == 1
        assert world.told[-1] == ("wg0", 51821, PUBLIC + ":51821", None)

    play(test, Section(forward=[(51821, "192.168.5.20", 51820)]))


def test_forwards_alone():
    def test(world):
        world.loop.advance(2000)
        assert world.gateway.table == {51821: 51821} and world.role.status()["problem"] == "" and not world.looks
        assert world.told == [(None, 51821, None, PUBLIC + ":51821")] and not world.role.is_open()
        assert world.role.endpoints() == [], "no profile leads there"

    section = Section(forward=[(51821, "192.168.5.20", 51820)])
    section.interface = None
    play(test, section)


def test_a_mapping_that_is_renewed_is_looked_at():
    def test(world):
        world.loop.advance(2000)
        assert len(world.looks) == 1
        world.role._ports[0].lease.doubt(world.loop.now())
        world.gateway.step()
        world.loop.advance(2000)
        assert len(world.looks) == 2 and len(world.told) == 1

    play(test)


def test_another_listen_port_and_none():
    def test(world):
        world.loop.advance(2000)
        world.rows = [("wg0", 51830, [], [])]
        world.role.refresh()
        world.loop.advance(2000)
        assert world.gateway.table == {51830: 51830} and world.links.asked == "192.0.2.1"
        world.rows = [("wg0", None, [], [])]
        world.role.refresh()
        world.loop.advance(2000)
        assert world.gateway.table == {} and "a listen port of wg0" in world.role.status()["problem"]
        world.rows = [("wg1", 5, [], []), ("wg0", 51830, ["[2001:db8::1]:1"], [])]
        world.role.refresh()
        world.loop.advance(2000)
        assert world.gateway.table == {51830: 51830} and world.links.asked == "192.0.2.1"

    play(test)


def test_another_lifetime_or_protocol_is_asked_for_after_a_deletion():
    def test(world):
        world.loop.advance(2000)
        world.role.configure(Section(lifetime=300))
        world.loop.advance(1000)
        assert world.gateway.lifetimes == [7200, 0, 300]
        assert world.gateway.table == {51820: 51820}
        world.role.configure(Section(lifetime=300, protocol="pcp"))
        world.loop.advance(260)
        world.role.configure(Section(lifetime=300))
        world.loop.advance(1000)
        assert world.gateway.table == {51820: 51820} and len(world.gateway.leases) == 1

    play(test)


def test_a_listen_port_that_comes_back_in_the_middle_of_a_deletion():
    def test(world):
        world.loop.advance(2000)
        rows, world.rows = world.rows, []
        world.role._look()
        world.rows = rows
        world.role._look()
        world.loop.advance(1000)
        assert world.gateway.table == {51820: 51820} and len(world.gateway.leases) == 1
        assert world.gateway.lifetimes == [7200, 0, 7200]

    play(test)


def test_no_uplink():
    def test(world):
        world.links.hop = "none"
        world.loop.advance(1000)
        assert "no way to the gateway: the network is unreachable" == world.role.status()["problem"]
        world.links.hop = None
        world.role.refresh()
        world.loop.advance(1000)
        assert "set option gateway" in world.role.status()["problem"] and not world.gateway.asked
        world.links.hop = GATEWAY
        world.gateway.fails = "busy"
        world.role.refresh()
        world.loop.advance(1000)
        assert world.role.status()["problem"] == "busy"
        world.gateway.fails = ""
        world.loop.advance(6000)
        assert world.gateway.table == {51820: 51820} and world.role.status()["problem"] == ""
        world.links.hop = "none"
        world.role.refresh()
        world.loop.advance(1000)
        assert world.told[-1] == ("wg0", 51820, EXTERNAL, None)

    play(test)


def test_nothing_comes_through():
    def test(world):
        world.verdicts = [(FILTERED, ""), (OPEN, ""), (REWRITTEN, ""), (FILTERED, "")]
        world.loop.advance(14000)
        assert len(world.looks) == 2 and len(world.gateway.asked) == 1, "once may be chance"
        assert world.row()["verdict"] == OPEN
        world.loop.advance(900000)
        assert world.row()["verdict"] == REWRITTEN
        world.loop.advance(12000)
        assert world.gateway.lifetimes[-2:] == [0, 7200], "deleted and asked for anew"
        there = 0
        for _ in range(7200):
            world.loop.advance(1000)
            there += world.gateway.table == {51820: 51820}
        assert there > 7180, "who looks may be wrong, and none at all is no better"
        assert world.row()["external"] == EXTERNAL and world.row()["verdict"] == FILTERED
        assert world.gateway.lifetimes.count(0) == 6, "after 0, 1, 5, 30, 30, 30 minutes"
        assert 100 < len(world.looks) < 140

    play(test)


def test_one_that_has_worked_is_asked_for_at_once_again():
    def test(world):
        for count in (1, 2, 3):
            world.verdicts = [(FILTERED, ""), (FILTERED, ""), (OPEN, "")]
            world.loop.advance(20000)
            assert world.row()["verdict"] == OPEN and len(world.gateway.asked) == 1 + 2 * count
            world.role._verify_in(0, world.role._ports[0])

    play(test)


def test_nobody_can_look():
    def test(world):
        world.verdicts = [(UNKNOWN, "no publisher is connected"), (OPEN, "")]
        world.loop.advance(10000)
        assert world.row()["error"] == "no publisher is connected" and world.row()["verdict"] == UNKNOWN
        world.loop.advance(60000)
        assert world.row()["verdict"] == OPEN and world.row()["error"] == ""

    play(test)


def test_what_was_seen_goes_with_the_mapping():
    for seen in ((OPEN, ""), (UNKNOWN, "no publisher is connected")):
        def test(world):
            world.verdicts = [seen]
            world.loop.advance(5000)
            assert world.row()["verdict"] == seen[0]
            world.links.hop = None
            world.role.refresh()
            world.loop.advance(1000)
            row = world.row()
            assert (row["external"], row["verdict"], row["error"]) == (None, "", ""), "it is not why there is none"

        play(test)


def test_a_late_verdict_is_not_about_another_mapping():
    def test(world):
        world.verdicts = [(FILTERED, "")]
        world.loop.advance(900)
        assert len(world.looks) == 1
        world.gateway.public = "203.0.113.6"
        world.role.address_changed()
        world.loop.advance(1000)
        assert world.told[-1] == ("wg0", 51820, EXTERNAL, "203.0.113.6:51820") and world.row()["verdict"] == ""

    play(test)


def test_everything_is_deleted_in_the_end():
    def test(world):
        world.loop.advance(2000)
        done = []
        world.role.close(lambda: done.append(world.loop.now()))
        assert not done
        world.loop.advance(ANSWER_MS)
        assert done and world.gateway.table == {} and world.gateway.closed
        world.loop.advance(3600000)
        assert len(done) == 1 and len(world.told) == 2, "that is no news"

    play(test, Section(forward=[(51821, "192.168.5.20", 51820)]))


def test_a_gateway_that_is_gone_is_not_waited_for():
    def test(world):
        world.loop.advance(2000)
        done = []
        world.gateway.public = None
        world.role.close(lambda: done.append(1))
        world.loop.advance(1900)
        assert not done
        world.loop.advance(200)
        assert done == [1] and world.gateway.closed

    def without_an_end(world):
        world.loop.advance(2000)
        done = []
        world.gateway.step = lambda: None
        world.role.close(lambda: done.append(1))
        world.loop.advance(2600)
        assert done == [1] and world.gateway.closed

    play(test)
    play(without_an_end)


def test_closed_before_it_began():
    def test(world):
        done = []
        world.role.close(lambda: done.append(1))
        world.role.refresh()
        world.loop.advance(3000)
        assert done == [1] and not world.gateway.asked

    play(test)
