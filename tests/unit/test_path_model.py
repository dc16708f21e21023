"""The path machine in the model world under any order of events: what must never happen, and that it ends `direct`.

The events are a life's: roams, sleep, late packets, publishers that come, go and lie, other writers, restarts. A run
ends with a client that is awake in a network that lets it through and with publishers that tell the truth.
"""
from hypothesis import given, settings
from hypothesis import strategies as st
from pathworld import CAFE, FORWARDED, HOME, LAN, MOBILE, RELAY, SYMMETRIC, Network, World

from wgp2p.path import DIRECT, OFFLINE, Options, Path
from wgp2p.path import RELAY as RELAYED

NETWORKS = (HOME, MOBILE, CAFE, FORWARDED, LAN, SYMMETRIC,
            Network({"a": HOME.seen, "b": "198.51.100.1:999"}, direct=HOME.seen),
            Network(MOBILE.seen, direct=LAN.direct, lan=True))
ENDPOINTS = (None, HOME.seen, MOBILE.seen, CAFE.seen, LAN.direct, "192.0.2.66:1")
SILENCE_MS, VERDICT_MS = 27000, 22000


class Watched(World):
    """A World that checks every set against what a person would ask of it."""

    def __init__(self, **how):
        self.leaves, self.taken, self.allowance = {}, {}, 0
        self.heard = (None, 0)  # where the last authentic packet came from, and when
        super().__init__(publishers=("a", "b"), **how)

    def device_hears(self, network, kind, session):
        before = self.rx
        super().device_hears(network, kind, session)
        if self.rx != before:
            self.heard = (self.endpoint, self.now)

    def look(self):
        for source, name in (("a", "a"), ("b", "b"), ("evil", "evil")):
            known = self.path._sightings.said(name)
            self._word(source, known.endpoint if known else None)
        super().look()

    def _word(self, source, endpoint):
        last = getattr(self, "_last_" + source, None)
        if endpoint != last:
            if last is not None:
                self.leaves[last] = self.leaves.get(last, 0) + 1
            setattr(self, "_last_" + source, endpoint)

    def _set(self, change):
        where, when = self.heard
        works = self.endpoint == where and self.now - when < VERDICT_MS
        if works and change.endpoint not in (None, RELAY, self.endpoint):
            # a path that receives is taken away: only on a publisher's word that the client left, for a burst at most
            self.taken[where] = self.taken.get(where, 0) + 1
            # (a slow tool may miss a packet that comes while it works; the next one tells)
            assert self.taken[where] <= 6 * (self.leaves.get(where, 0) + bool(self.tool_ms)), (where, self.sets[-10:])
        super()._set(change)
        recent = [entry for entry in self.sets if entry[0] > self.now - 60000]
        assert len(recent) <= 12 + 60 + self.allowance

    def restart(self):
        young = [1 for born in self.device.keys.values() if self.now - born < 180000]
        options = self.path.options
        self.path = Path(self.now, options, lambda n: n // 2)
        if self.relay:
            self.path.relays_at(self.now, {"a": RELAY, "b": RELAY})
        self.allowance += 12
        self.path.reading(self.now, self.endpoint, self.keepalive, self.rx, bool(young))
        self.look()
        for name in sorted(self.publishers):
            self.publishers[name].back()

    def recreate(self, endpoint=None):
        self.heard = (None, 0)
        super().recreate(endpoint)

    def exclude(self, exclude):
        self.path.options = Options(exclude=exclude)
        self.look()

    def punch(self):
        self.allowance += 1
        self.path.punch(self.now)
        self.look()

    def lie(self, endpoint, quiet):
        self.say(endpoint, 0, quiet, "evil")

    def forget(self, name):
        self.path.forget(self.now, name)
        self.look()

    def write(self, endpoint):
        self.endpoint = endpoint

    def zero(self):
        self.keepalive = 0

    def late(self, network):
        self.device_hears(network, "data", self.client.sends or 0)

    def set_busy(self, busy):
        self.busy = busy


def event(name, *arguments):
    return st.tuples(st.just(name), st.tuples(*arguments))


networks = st.sampled_from(NETWORKS)
endpoints = st.sampled_from(ENDPOINTS)
names = st.sampled_from(("a", "b"))
EVENTS = st.one_of(
    event("go", networks, st.booleans()),
    event("go", networks, st.booleans()),
    event("go", st.none()),
    event("set_busy", st.booleans()),
    event("late", networks),
    event("lose", names), event("back", names), event("forget", names),
    event("lie", endpoints, st.booleans()),
    event("write", endpoints),
    event("zero"),
    event("recreate", endpoints),
    event("restart"),
    event("punch"),
    event("exclude", st.booleans()),
)
PAUSES = st.sampled_from((0, 10, 60, 150, 700, 2500, 8000, 30000, 60000, 200000))
LIVES = st.lists(st.tuples(EVENTS, PAUSES), max_size=25)


def happen(world, name, arguments):
    if name in ("lose", "back"):
        getattr(world.publishers[arguments[0]], name)()
        world.look()
    else:
        getattr(world, name)(*arguments)


def live(world, events):
    for (name, arguments), pause in events:
        happen(world, name, arguments)
        if world.path.options.exclude:
            count = len(world.sets)
            world.run(pause)
            assert len(world.sets) == count
        else:
            world.run(pause)


@settings(max_examples=120, deadline=None)
@given(LIVES, st.booleans(), st.sampled_from((0, 0, 40, 150)), st.sampled_from(NETWORKS), st.booleans())
def test_any_life_ends_direct_and_stays_so(events, device_open, tool_ms, last, busy):
    world = Watched(device_open=device_open, tool_ms=tool_ms)
    live(world, events)
    for name in ("a", "b"):
        world.publishers[name].back()
    world.forget("evil")
    world.exclude(False)
    world.busy = busy
    world.go(HOME if last is SYMMETRIC and not device_open else last)
    if last is FORWARDED and not device_open:
        world.go(CAFE)
    limit = SILENCE_MS + VERDICT_MS + 70000
    if not world.device.valid(world.now, world.client.sends):
        limit += 180000  # the client may send into a session that the device has lost, until it ends
    world.until(world.connected, limit)
    world.run(60000)
    since = world.now
    world.run(300000)
    assert world.connected() and world.endpoint == world.network.direct
    assert world.states(since) in ([], [DIRECT])
    assert [endpoint for endpoint in world.endpoints_set(since) if endpoint != world.network.direct] == []
    assert world.keepalive == 25


@settings(max_examples=120, deadline=None)
@given(LIVES, st.sampled_from((0, 0, 40)), st.sampled_from(NETWORKS), st.booleans())
def test_any_life_with_a_relay_ends_connected_and_stays_so(events, tool_ms, last, told):
    world = Watched(tool_ms=tool_ms, relay=True, told=told)
    live(world, events)
    for name in ("a", "b"):
        world.publishers[name].back()
    world.forget("evil")
    world.exclude(False)
    world.busy = True
    world.go(last)

    def connected():
        relayed = world.endpoint == RELAY == world.client_to and world.path.state == RELAYED
        return relayed and world.device.valid(world.now, world.client.sends) or world.connected()

    world.until(connected, SILENCE_MS + VERDICT_MS + 70000 + 180000)
    world.run(60000)
    since = world.now
    world.run(300000)
    assert connected()
    assert len(world.states(since)) <= 1 and len(world.endpoints_set(since)) <= 1


@settings(max_examples=60, deadline=None)
@given(LIVES)
def test_any_life_of_an_excluded_peer(events):
    world = Watched(options=Options(exclude=True))
    live(world, [entry for entry in events if entry[0][0] != "exclude"])
    assert world.sets == []


@settings(max_examples=60, deadline=None)
@given(LIVES)
def test_any_life_ends_offline_when_the_client_does_not_come_back(events):
    world = Watched()
    live(world, events)
    for name in ("a", "b"):
        world.publishers[name].back()
    world.forget("evil")
    world.exclude(False)
    world.go(None)
    world.run(600000)
    count = len(world.sets)
    assert world.path.state == OFFLINE
    assert world.keepalive == 0 or not world.path._managed
    world.run(600000)
    assert len(world.sets) == count and world.path.state != DIRECT
