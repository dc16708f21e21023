"""networks.py and portplan.py against whatever a file holds: nothing is raised, all is bounded, a plan stays a plan."""
import json

from hypothesis import given
from hypothesis import strategies as st

from wgp2p import portplan
from wgp2p.networks import EACH, MOST, Known, Networks

KEYS = ["%s%s=" % (letter * 42, "A") for letter in "ABC"]
ENDPOINT = st.builds("203.0.{}.{}:{}".format, st.integers(0, 3), st.integers(0, 3), st.integers(1, 65535))
PORT = st.integers(1, 65535)
ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
                        | st.sampled_from(KEYS + ["203.0.113.9", "::1"]),
                        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner),
                        max_leaves=20)
ROW = st.tuples(st.sampled_from(KEYS) | ANYTHING, st.sampled_from(["203.0.113.9", "198.51.100.7"]) | ANYTHING,
                PORT | ANYTHING, PORT | ANYTHING, st.integers(-70000, 70000) | ANYTHING)


def check(networks):
    rows = json.loads(networks.dump())
    assert len(rows) <= MOST
    assert max([len([row for row in rows if row[0] == key]) for key, *_ in rows], default=0) <= EACH
    for key, ip, low, high, offset in rows:
        assert networks.recall(key, ip + ":1") == Known(low, high, offset)
        assert 1 <= low <= high <= 65535 and abs(offset) <= high - low
    again = Networks()
    again.load(networks.dump())
    assert again.dump() == networks.dump()


@given(st.text() | ANYTHING.map(json.dumps) | st.lists(ROW | ANYTHING, max_size=20).map(json.dumps))
def test_any_file(text):
    networks = Networks()
    networks.load(text)
    check(networks)


@given(st.lists(st.tuples(st.sampled_from(KEYS), ENDPOINT, ENDPOINT), max_size=60))
def test_any_visits(visits):
    networks = Networks()
    for key, seen, found in visits:
        networks.learn(key, seen, found)
        if seen.rpartition(":")[0] == found.rpartition(":")[0]:
            known = networks.recall(key, found)
            assert known.symmetric == (seen != found)
            for endpoint in (seen, found):
                assert known.low <= int(endpoint.rpartition(":")[2]) <= known.high
    check(networks)


@given(PORT, st.none() | st.tuples(PORT, PORT, st.booleans()))
def test_any_plan(port, learned):
    known = None
    if learned:
        low, high = sorted(learned[:2])
        known = Known(low, high, high - low if learned[2] else low - high)
    plan = portplan.waves(port, known)
    spans = sorted(span for wave in plan for span in wave)
    assert spans[0][0] >= portplan.FIRST and spans[-1][1] <= portplan.LAST
    assert all(low <= high for low, high in spans)
    assert all(high < low for (_, high), (low, _) in zip(spans, spans[1:])), "no port twice"
    sizes = [sum(high - low + 1 for low, high in wave) for wave in plan]
    assert sizes[:-1] == list(portplan.WAVES[:len(sizes) - 1]) and 0 < sizes[-1] <= portplan.WAVES[len(sizes) - 1]
