"""lease.py: the life of a mapping under virtual time, with a gateway and talkers that are made up."""
from wgp2p.lease import Lease, Options
from wgp2p.mapping import NATPMP, PCP, PROTOCOLS, UPNP, Datagram, Mapping, Refused, Request

GATEWAY, OTHER, OWN, PUBLIC = "192.168.1.1", "192.168.2.1", "192.168.1.7", "203.0.113.5"
ANSWER_MS, GIVE_UP_MS, HOUR_MS = 20, 3000, 3600000
NOT_ALLOWED, NO_ROOM = Refused(2, "not allowed", True), Refused(8, "no room", False, 40)


class Talk:
    """Asks once and gives up after 3 s; what it hears is its outcome."""

    def __init__(self, protocol, now, want):
        self.protocol, self.want, self.end_ms = protocol, want, now + GIVE_UP_MS
        self.outcome, self.asked = None, False

    def act(self, now):
        if now >= self.end_ms:
            self.outcome = Refused(None, "no answer", True)
        if self.asked or self.outcome:
            return []
        self.asked = True
        if self.protocol == UPNP:
            return [Request("soap", GATEWAY, 80, "POST", "/", {}, self, 100)]
        return [Datagram(GATEWAY, 5351, self)]

    def received(self, now, ip, port, data):
        self.outcome = data

    def answered(self, now, tag, response, error):
        assert tag == "soap"
        self.outcome = response

    def next_ms(self):
        return self.end_ms


class World:
    """One lease and its gateway. `table`: {external port: (protocol, host, internal port)}; `asked`: (ms, protocol,
    external port or "delete") of every request."""

    def __init__(self, protocols=PROTOCOLS, speaks=PROTOCOLS, lifetime_s=7200):
        self.now, self.began = 1000000, 1000000
        self.speaks, self.lifetime_s, self.public = speaks, lifetime_s, PUBLIC
        self.says = None  # a Refused to whatever is asked
        self.booted_ms = 0
        self.table, self.asked, self.wants, self.mapped = {}, [], [], []
        self._coming = []  # (ms, call)
        talkers = {}
        for protocol in PROTOCOLS:
            talkers[protocol] = self.talker(protocol)
        self.lease = Lease(Options(protocols, 7200, bytes(range(12)), "wgp2p"), talkers, lambda limit: limit // 2)
        self.lease.uplink(self.now, GATEWAY, OWN)
        self.lease.want(self.now, 51820)

    def talker(self, protocol):
        return lambda now, want, random_below: Talk(protocol, now, want)

    def epoch_s(self):
        return (self.now - self.booted_ms) // 1000

    def restart(self):
        self.table, self.booted_ms = {}, self.now

    def answer(self, talk):
        """What the gateway makes of a request; None: nothing."""
        protocol, want = talk.protocol, talk.want
        if protocol not in self.speaks:
            return None
        mine = (protocol, OWN, want.internal_port)
        if not want.lifetime_s:
            self.table = dict([row for row in self.table.items() if row[1] != mine])
            return Mapping(protocol, None, 0, 0)
        if self.says is not None:
            return self.says
        if self.table.get(want.external_port, mine) != mine:
            return Refused(718, "taken", taken=True)
        self.table[want.external_port] = mine
        ours = [row for row in self.table.values() if row[1] == OWN and row[2] == want.internal_port]
        assert len(ours) == 1, "two mappings for one port"
        return Mapping(protocol, self.public, want.external_port, self.lifetime_s,
                       None if protocol == UPNP else self.epoch_s(), service=protocol)

    def send(self, item):
        talk = item.body if isinstance(item, Request) else item.data
        want = talk.want
        self.wants.append(want)
        self.asked.append((self.now - self.began, talk.protocol, want.external_port if want.lifetime_s else "delete"))
        outcome = self.answer(talk)
        if outcome is not None:
            tag = item.tag if isinstance(item, Request) else None
            self._coming.append((self.now + ANSWER_MS, outcome, tag))

    def step(self):
        while True:
            for row in [row for row in self._coming if row[0] <= self.now]:
                self._coming.remove(row)
                if row[2] is None:
                    self.lease.received(self.now, GATEWAY, 5351, row[1])
                else:
                    self.lease.answered(self.now, row[2], row[1], None)
            sent = self.lease.act(self.now)
            assert not self.lease.act(self.now), "said twice"
            for item in sent:
                self.send(item)
            port = self.lease.mapping.external_port if self.lease.mapping else None
            if not self.mapped or self.mapped[-1][1] != port:
                self.mapped.append((self.now - self.began, port))
            if not sent:
                return

    def run(self, ms):
        """Let time pass."""
        end = self.now + ms
        while True:
            self.step()
            due = [when for when in [self.lease.next_ms()] + [row[0] for row in self._coming] if when is not None]
            if not due or max(min(due), self.now) > end:
                self.now = end
                return self
            assert min(due) > self.now, "called for nothing"
            self.now = min(due)

    def row(self):
        return self.lease.row(self.now)


def protocols(world):
    return [row[1] for row in world.asked]


def test_pcp_first_and_renewed_at_half_of_its_life():
    world = World().run(3 * HOUR_MS)
    assert set(protocols(world)) == set([PCP])
    times = [row[0] for row in world.asked]
    gaps = [later - earlier - ANSWER_MS for earlier, later in zip(times, times[1:])]
    assert len(gaps) == 2 and min(gaps) >= HOUR_MS and max(gaps) <= HOUR_MS * 5 // 4
    row = world.row()
    assert row["protocol"] == PCP and row["external"] == PUBLIC + ":51820" and row["gateway"] == GATEWAY
    assert 0 < row["lifetime_left"] <= 7200 and row["error"] == "" and row["port"] == 51820
    assert world.wants[-1].external_ip == PUBLIC and world.wants[-1].service == PCP
    epoch_s, at_ms = world.wants[-1].previous
    assert epoch_s == at_ms // 1000


def test_the_nonce_belongs_to_the_port():
    world = World().run(1000)
    world.lease.want(world.now, 51821)
    world.run(1000)
    nonces = [want.nonce for want in world.wants]
    assert len(nonces[0]) == 12 and nonces[0] == nonces[1] != nonces[2] and nonces[0][:10] == nonces[2][:10]


def test_falls_back_and_remembers():
    world = World(speaks=(UPNP,)).run(HOUR_MS * 3)
    assert protocols(world)[:3] == [PCP, NATPMP, UPNP] and set(protocols(world)[3:]) == set([UPNP])
    assert world.row()["protocol"] == UPNP
    world.lease.want(world.now, 1000)
    world.run(1000)
    assert protocols(world)[-2:] == [UPNP, UPNP] and list(world.table) == [1000]
    world.lease.uplink(world.now, None, None)
    world.lease.uplink(world.now, GATEWAY, OWN)
    world.run(1000)
    assert protocols(world)[-1] == UPNP, "the same gateway again"
    before = len(world.asked)
    world.lease.uplink(world.now, OTHER, OWN)
    world.run(10)
    assert protocols(world)[before] == PCP, "another one"


def test_one_protocol_only():
    world = World(protocols=(NATPMP,), speaks=(PCP, UPNP)).run(HOUR_MS)
    assert set(protocols(world)) == set([NATPMP]) and world.lease.mapping is None
    assert world.row()["error"] == "no answer from the gateway " + GATEWAY


def test_nobody_answers():
    world = World(speaks=()).run(12 * HOUR_MS)
    times = [row[0] for row in world.asked if row[1] == PCP]
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert gaps[0] < 30000 and max(gaps) < 40 * 60000 and gaps == sorted(gaps)
    world.speaks = (NATPMP,)
    world.run(HOUR_MS)
    assert list(world.table) == [51820] and world.row()["error"] == ""


def test_nothing_listens_there():
    world = World(speaks=(UPNP,))
    world.step()
    world.lease.unreachable()
    world.step()
    world.lease.unreachable()
    world.run(ANSWER_MS)
    assert world.asked == [(0, PCP, 51820), (0, NATPMP, 51820), (0, UPNP, 51820)] and world.lease.mapping is not None
    world.lease.unreachable()
    world.lease.doubt(world.now)
    world.step()
    world.lease.unreachable()
    world.run(1000)
    assert world.lease.mapping is not None, "UPnP is elsewhere"


def test_unreachable_for_a_moment_is_no_end():
    world = World().run(1000)
    world.speaks = ()
    world.lease.doubt(world.now)
    world.step()
    world.lease.unreachable()
    world.public = "203.0.113.6"
    world.lease.received(world.now, GATEWAY, 5351, Mapping(PCP, world.public, 51820, 7200, 5))
    world.run(1000)
    assert len(world.asked) == 2 and world.lease.mapping.external_ip == world.public, "it was still waited for"


def test_refusals_are_shown_and_time_is_the_gateways():
    world = World(speaks=(PCP, UPNP))
    world.says = NO_ROOM
    world.run(30000)
    assert protocols(world) == [PCP, NATPMP, UPNP], "it wants to be asked in 40 s"
    assert world.row()["error"] == "no room"
    world.lease.want(world.now, None)
    assert world.lease.stopped, "there is nothing to delete"
    world.lease.want(world.now, 51820)
    world.says = Refused(2, "no", True, 1 << 31)
    world.run(60000)
    before = len(world.asked)
    world.run(23 * HOUR_MS)
    assert len(world.asked) == before, "the gateway's word counts, up to a day"
    world.says = None
    world.run(5 * HOUR_MS)
    assert world.lease.mapping is not None


def test_who_answered_is_asked_first():
    world = World(speaks=(UPNP,))
    world.says = NO_ROOM
    world.run(100000)
    assert protocols(world)[:6] == [PCP, NATPMP, UPNP, UPNP, PCP, NATPMP]


def test_taken():
    world = World(speaks=(UPNP,))
    world.table = {51820: (UPNP, "192.168.1.8", 51820)}
    world.run(10000)
    ports = [row[2] for row in world.asked if row[1] == UPNP]
    assert len(ports) == 2 and ports[0] == 51820 and 49152 <= ports[1] < 65536
    assert world.row()["external"] == "%s:%d" % (PUBLIC, ports[1])
    world.run(2 * HOUR_MS)
    assert set([row[2] for row in world.asked[4:]]) == set([ports[1]]), "it stays there"
    world.lease.want(world.now, None)
    world.run(1000)
    assert list(world.table) == [51820] and world.lease.stopped


def test_everything_is_taken():
    world = World(protocols=(PCP,))
    world.says = Refused(11, "taken", taken=True)
    world.run(10000)
    assert len(world.asked) == 5, "four others"
    world.run(30000)
    assert len(world.asked) == 10 and world.asked[5][2] == 51820 and world.row()["error"] == "taken"


def test_taken_while_the_gateway_was_down():
    world = World().run(1000)
    world.table = {51820: (UPNP, "192.168.1.8", 51820)}
    world.run(2 * HOUR_MS)
    assert len(world.table) == 2 and world.lease.mapping.external_port != 51820


def test_renewal_fails():
    world = World().run(1000)
    world.speaks = ()
    world.run(2 * HOUR_MS - 1000 - ANSWER_MS)
    times = [row[0] for row in world.asked if row[2] != "delete"][1:]
    left = [2 * HOUR_MS - time for time in times]
    assert set(protocols(world)) == set([PCP]) and world.lease.mapping is not None
    assert world.row()["error"] == "no answer"
    for earlier, later in zip([2 * HOUR_MS] + left, left):
        assert later <= earlier // 2 + ANSWER_MS or earlier < 4 * GIVE_UP_MS
    assert len(times) > 6 and min([later - earlier for earlier, later in zip(times, times[1:])]) >= 4000
    world.run(20000)
    assert world.lease.mapping is None and protocols(world)[-2:] == [NATPMP, UPNP], "it is over"


def test_renewal_refused():
    world = World().run(1000)
    world.says = NO_ROOM
    world.run(HOUR_MS * 5 // 4)
    assert world.lease.mapping is not None and world.row()["error"] == "no room"
    world.says = NOT_ALLOWED
    world.run(HOUR_MS * 3 // 4)
    assert world.lease.mapping is None and protocols(world)[-2:] == [NATPMP, UPNP], "by another one at once"
    assert world.row()["error"] == "not allowed"


def test_short_lives():
    world = World(lifetime_s=1).run(60000)
    assert len(world.asked) <= 16, "at most one in 4 s, whatever the gateway says"
    world = World(lifetime_s=1 << 31).run(20 * HOUR_MS)
    assert len(world.asked) == 2, "and one a day at least"


def test_for_ever():
    world = World(speaks=(UPNP,), lifetime_s=0).run(10 * HOUR_MS)
    assert world.row()["lifetime_left"] is None
    assert len(world.asked) > 9, "it is looked at as often as any other"
    world.restart()
    world.run(2 * HOUR_MS)
    assert list(world.table) == [51820]


def test_deleted_on_stop():
    world = World().run(1000)
    assert not world.lease.stopped
    world.lease.want(world.now, None)
    world.run(ANSWER_MS)
    assert world.lease.stopped and not world.table and world.asked[-1][2] == "delete" and world.lease.mapping is None
    assert world.wants[-1].external_port == 51820 and world.wants[-1].service == PCP
    world.run(HOUR_MS)
    assert len(world.asked) == 2 and world.lease.next_ms() is None


def test_stop_waits_two_seconds():
    world = World().run(1000)
    world.speaks = ()
    world.lease.want(world.now, None)
    world.run(1999)
    assert not world.lease.stopped
    world.run(1)
    assert world.lease.stopped


def test_stop_in_the_middle_of_asking():
    world = World()
    world.step()
    assert world.table, "granted, but the answer is under way"
    world.lease.want(world.now, None)
    world.run(ANSWER_MS // 2)
    assert world.asked[-1][2] == "delete" and not world.table
    world = World(speaks=())
    world.lease.want(world.now, None)
    world.step()
    assert world.lease.stopped and not world.asked, "nothing was asked for yet"


def test_another_port():
    world = World().run(1000)
    world.lease.want(world.now, 51820)
    world.lease.want(world.now, 51821)
    world.run(1000)
    assert list(world.table) == [51821] and [row[2] for row in world.asked] == [51820, "delete", 51821]


def test_another_uplink():
    world = World().run(1000)
    world.lease.uplink(world.now, GATEWAY, OWN)
    world.lease.uplink(world.now, None, None)
    assert world.lease.mapping is None
    world.run(HOUR_MS)
    assert len(world.asked) == 1 and world.lease.next_ms() is None
    world.lease.uplink(world.now, GATEWAY, "192.168.1.9")
    world.run(1000)
    assert len(world.asked) == 2 and world.wants[-1].own_ip == "192.168.1.9" and world.wants[-1].previous


def test_the_uplink_goes_while_a_mapping_is_deleted():
    world = World().run(1000)
    world.lease.want(world.now, None)
    world.step()
    world.lease.uplink(world.now, None, None)
    assert world.lease.stopped


def announcement(epoch_s):
    return bytes([2, 128, 0, 0, 0, 0, 0, 0]) + bytes([epoch_s >> shift & 255 for shift in (24, 16, 8, 0)]) + bytes(12)


def address(epoch_s, last):
    return bytes([0, 128, 0, 0]) + bytes([epoch_s >> shift & 255 for shift in (24, 16, 8, 0)]) + bytes(
        [203, 0, 113, last])


def test_a_gateway_that_was_restarted_says_so():
    world = World().run(600000)
    world.lease.announced(world.now, GATEWAY, announcement(world.epoch_s()))
    world.lease.announced(world.now, GATEWAY, address(world.epoch_s(), 5))
    world.lease.announced(world.now, GATEWAY, b"\2\x80rubbish")
    world.run(10000)
    assert len(world.asked) == 1, "nothing new"
    world.restart()
    world.lease.announced(world.now, OTHER, announcement(0))
    world.run(10000)
    assert len(world.asked) == 1, "not the gateway"
    world.lease.announced(world.now, GATEWAY, announcement(world.epoch_s()))
    world.run(2000)
    assert len(world.asked) == 1, "not all clients at once"
    world.run(3000 + ANSWER_MS)
    assert len(world.asked) == 2 and list(world.table) == [51820], "within 5 s"
    world.lease.announced(world.now, GATEWAY, announcement(world.epoch_s()))
    world.run(60000)
    assert len(world.asked) == 2, "it is repeated"


def test_another_external_address():
    world = World().run(600000)
    world.public = "203.0.113.6"
    world.lease.announced(world.now, GATEWAY, address(world.epoch_s(), 6))
    world.run(6000)
    assert world.row()["external"] == "203.0.113.6:51820"


def test_announcements_end_a_pause():
    world = World(speaks=()).run(8 * HOUR_MS)
    world.speaks = (PCP,)
    world.lease.announced(world.now, GATEWAY, announcement(1))
    world.run(6000)
    assert world.lease.mapping is not None


def test_an_announcement_in_the_middle_of_a_round_makes_the_pause_after_it_short():
    world = World(protocols=(PCP,), speaks=()).run(8 * HOUR_MS)
    while not world.lease.busy:
        world.run(1000)
    world.lease.announced(world.now, GATEWAY, announcement(1))
    while world.lease.busy:
        world.run(100)
    world.speaks = (PCP,)
    world.run(20000)
    assert world.lease.mapping is not None


def test_forged_announcements_cost_little():
    world = World().run(1000)
    for _ in range(1000):
        world.lease.announced(world.now, GATEWAY, announcement(0))
        world.lease.announced(world.now, GATEWAY, address(0, 9))
        world.run(100)
    assert len(world.asked) <= 12 and list(world.mapped) == [(0, None), (ANSWER_MS, 51820)]


def test_an_attempt_does_not_prolong_a_life():
    world = World().run(1000)
    world.speaks = ()
    world.lease.doubt(world.now)
    world.step()
    world.lease._talk.end_ms += HOUR_MS
    world.run(60000)
    assert world.mapped[-1] == (61000, None) and len(world.asked) == 2
    world.lease.received(world.now, GATEWAY, 5351, Mapping(PCP, PUBLIC, 51820, 7200, 5))
    world.run(1000)
    assert world.lease.mapping is not None, "better late than never"


def test_in_doubt_a_mapping_lives_a_minute():
    world = World().run(1000)
    world.speaks = ()
    world.lease.doubt(world.now)
    world.run(59000)
    assert world.lease.mapping is not None and len(world.asked) > 3
    world.run(11000)
    assert world.lease.mapping is None
    world.speaks = (PCP,)
    world.run(60000)
    assert world.lease.mapping is not None


def test_private_addresses_are_refused():
    for ip in ("10.1.2.3", "192.168.0.2", "172.20.1.1", "100.64.0.9", "192.0.0.2", "0.0.0.0"):
        world = World()
        world.public = ip
        world.run(20 * 60000)
        assert world.lease.mapping is None and not world.table and ip in world.row()["error"]
        assert [row[2] for row in world.asked] == [51820, "delete"]
        world.public = PUBLIC
        world.run(20 * 60000)
        assert world.lease.mapping is not None
    world = World()
    world.public = None
    world.run(1000)
    assert world.row()["external"] == "?:51820", "it need not say"


def test_dead_ones_are_deleted_and_asked_for_anew():
    world = World().run(1000)
    times = []
    for _ in range(5000):
        if world.lease.dead(world.now):
            times.append(world.now)
            assert world.lease.mapping is None and not world.lease.dead(world.now)
            world.run(1000)
            assert [row[1:] for row in world.asked[-2:]] == [(PCP, "delete"), (PCP, 51820)], world.asked
        assert world.lease.mapping is not None, "who looks may be wrong"
        world.run(1000)
    gaps = [(after - before) // 10000 for before, after in zip(times, times[1:])]
    assert gaps == [6, 30, 180, 180], gaps
    for worked in (world.lease.alive, lambda: world.lease.want(world.now, 51821)):
        assert not world.lease.dead(world.now)
        worked()
        world.run(1000)
        assert world.lease.dead(world.now)
        world.run(1000)


def test_answers_to_an_attempt_before():
    world = World(speaks=(UPNP,), protocols=(UPNP,))
    item = world.lease.act(world.now)[0]
    world.lease.want(world.now, 51821)
    world.speaks = ()
    world.run(2000)
    assert world.asked == [(0, UPNP, "delete"), (2000, UPNP, 51821)]
    world.lease.answered(world.now, item.tag, Mapping(UPNP, PUBLIC, 51820, 7200), None)
    world.lease.received(world.now, OTHER, 5351, Mapping(UPNP, PUBLIC, 51820, 7200))
    world.run(1000)
    assert world.lease.mapping is None, "nor from elsewhere"
    world.speaks = PROTOCOLS
    world.run(60000)
    assert list(world.table) == [51821]
