"""The sweep's schedule under any order of events: its bounds hold whatever is wanted, who is not wanted any more gets
nothing, and nobody is forgotten."""
from hypothesis import given, settings
from hypothesis import strategies as st

from wgp2p.networks import Known
from wgp2p.portplan import FIRST, LAST
from wgp2p.sweep import OPEN_MS, Limits, Sweep, Target

KEYS = 20
KNOWN = (None, Known(31000, 31400, 100), Known(31300, 31300, 0))
RATES = st.sampled_from((10, 19, 100, 1000, 10000))
ENTRIES = st.sampled_from((64, 500, 2048, 16384))
TARGETS = st.builds(lambda host, port, known, most: Target("203.0.113.%d:%d" % (host, port), known, most),
                    st.integers(1, 3), st.sampled_from((1, 1024, 31300, 65535)), st.sampled_from(KNOWN),
                    st.sampled_from((None, 1, 128)))
EVENTS = st.one_of(
    st.tuples(st.just("want"), st.dictionaries(st.integers(0, KEYS - 1), TARGETS)),
    st.tuples(st.just("mode"), st.sampled_from(("off", "block", "full"))),
    st.tuples(st.just("failed"), st.none()),
    st.tuples(st.just("late"), st.integers(1, 90000)),
    st.tuples(st.just("room"), st.sampled_from((None, 0, 1, 50))),
    st.tuples(st.just("pass"), st.integers(1, 40000)))


class World:
    def __init__(self, mode, rate, entries):
        self.rate, self.entries, self.now = rate, entries, 5000
        self.mode, self.room, self.wanted = mode, None, {}
        self.sweep = Sweep(Limits(mode, rate, entries))
        self.sent = []  # (ms, how many)
        self.counts = {}

    def want(self, targets):
        self.wanted = targets
        self.sweep.want(self.now, targets)

    def mode_is(self, mode):
        self.mode = mode
        self.sweep.configure(self.now, Limits(mode, self.rate, self.entries))
        self.want(self.wanted)

    def take(self):
        turn = self.sweep.take(self.now, self.room)
        if turn is None:
            return False
        key, ports = turn
        assert key in self.wanted and self.mode != "off"
        assert 0 < len(ports) <= max(1, self.rate // 100) and len(set(ports)) == len(ports)
        assert FIRST <= min(ports) and max(ports) <= LAST
        assert self.room is None or len(ports) <= self.room
        assert self.sweep.row(key)["ports"] > 0 and self.sweep.words(key)
        self.counts[key] = self.counts.get(key, 0) + len(ports)
        self.sent.append((self.now, len(ports)))
        return True

    def run(self, ms, most=3000):
        """Take what there is for so long, or so often."""
        until = self.now + ms
        for _ in range(most):
            due = self.sweep.next_ms()
            if due is None or max(due, self.now) > until:
                break
            self.now = max(due, self.now)
            if not self.take():
                self.now += 1000
        else:
            return
        self.now = max(self.now, until)

    def check_bounds(self):
        for span, bound in ((1000, self.rate), (OPEN_MS, self.entries)):
            count, begin = 0, 0
            for ms, some in self.sent:
                count += some
                while self.sent[begin][0] < ms - span:
                    count -= self.sent[begin][1]
                    begin += 1
                assert count <= bound, (span, ms)
        assert self.sweep.open_entries(self.now) >= sum(
            [some for ms, some in self.sent if self.now - ms < OPEN_MS])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(("block", "full")), RATES, ENTRIES, st.lists(EVENTS, max_size=15))
def test_its_bounds_hold_whatever_happens(mode, rate, entries, events):
    world = World(mode, rate, entries)
    for name, value in events:
        if name == "want":
            world.want(value)
        elif name == "mode":
            world.mode_is(value)
        elif name == "failed":
            world.sweep.failed(world.now)
        elif name == "late":
            world.now += value
            while world.take():
                pass
        elif name == "room":
            world.room = value
        world.run(value if name == "pass" else 1500)
    world.check_bounds()
    world.want({})
    assert world.sweep.next_ms() is None and not world.take()


@settings(max_examples=15, deadline=None)
@given(RATES, st.sampled_from((500, 2048)), st.integers(2, KEYS), st.sampled_from(("block", "full")))
def test_nobody_is_two_waves_ahead_of_another(rate, entries, count, mode):
    """A wave is up to 2,048 ports; clients that came together are never more than one apart."""
    world = World(mode, rate, entries)
    world.want({key: Target("203.0.113.%d:31300" % key, None, None) for key in range(count)})
    for _ in range(4 * count):
        world.run(20000)
        waves = [world.sweep.row(key)["wave"] if world.sweep.row(key) else 0 for key in range(count)]
        if max(waves) == 3 and min(waves) >= 2:
            break
        assert max(waves) - min(waves) <= 1, waves
    world.check_bounds()
