"""reach.py fed with anything that JSON can say: nothing goes elsewhere, or to a port that was not announced."""
import json

from hypothesis import given
from hypothesis import strategies as st
from test_api import LAPTOP, ROUTER, ROUTER_IP, TOKENS, Bench

from wgp2p import reach

HOME, NEIGHBOUR = "203.0.113.31", "203.0.113.31:40000"
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(
    inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6)
PORTS = (0, 1, 1023, 1024, 36906, 40000, 51820, 65535)
GOOD = st.fixed_dictionaries(
    {"port": st.sampled_from(PORTS), "ttl": st.sampled_from((30, 7200)), "nonce": st.just("00ff" * 8)},
    optional={"ip": st.just("198.51.100.1"), "endpoint": st.just("198.51.100.1:53")})
ODD = st.fixed_dictionaries({}, optional={
    "port": st.sampled_from((65536, -1, True, None, "51820", 51820.0, [51820])) | VALUES,
    "ttl": st.sampled_from((29, 7201, 600.0, "600")) | VALUES,
    "nonce": st.sampled_from(("00FF" * 8, "0" * 31, "g" * 32)) | VALUES})
BODIES = (GOOD | GOOD | st.builds(lambda good, odd: {**good, **odd}, GOOD, ODD) | VALUES).map(
    lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
STEPS = st.lists(st.tuples(st.sampled_from(("endpoint", "probe")), BODIES, st.integers(0, 40000)), max_size=30)


@given(STEPS)
def test_whatever_is_asked(steps):
    bench, sent, announced = Bench(), [], None
    bench.hear(ROUTER, HOME + ":36906")
    bench.hear(LAPTOP, NEIGHBOUR)
    before, reach._send = reach._send, lambda *row: sent.append(row)
    try:
        for path, body, wait_ms in steps:
            bench.loop.advance(wait_ms)
            bench.read()
            entry = bench.publisher.registry.entries[ROUTER]
            answer = bench.ask("/api/" + path, ROUTER_IP, TOKENS[ROUTER], "POST", body=body)
            assert answer.status in (200, 400, 409, 429)
            if path == "endpoint" and answer.status == 200:
                announced = answer.value()["endpoint"]
                assert announced is None or announced.startswith(HOME + ":") and int(announced[13:]) >= 1024
            for ip, port, datagram in sent:
                assert ip == HOME and len(datagram) == 20 and (port == 36906 or f"{HOME}:{port}" == announced)
                assert entry.announced == announced or port == 36906, "not after its time"
            sent.clear()
    finally:
        reach._send = before
    assert bench.publisher.registry.entries[LAPTOP].announced is None
