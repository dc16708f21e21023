"""Whatever happens to peers and connections, who follows the event stream knows in the end what a snapshot says; and
whatever a publisher says, a Link hands on checked values or nothing."""
import json

import test_api
import test_link
from fakewg import key
from hypothesis import given, settings
from hypothesis import strategies as st

NUMBERS = st.integers(100, 159)
STEPS = st.lists(st.one_of(
    st.tuples(st.just("hear"), NUMBERS, st.integers(1, 65535)), st.tuples(st.just("add"), NUMBERS),
    st.tuples(st.just("drop"), NUMBERS), st.tuples(st.just("read"), st.integers(1, 12000)),
    st.tuples(st.just("roam"), NUMBERS, st.integers(1, 65535)),
    st.tuples(st.just("break")), st.tuples(st.just("wait"), st.integers(1, 50000)),
    st.tuples(st.just("flood"), st.integers(1, 300)), st.tuples(st.just("anew"))), max_size=60)


class Reader:
    """A subscriber that resumes: what it knows, and the last id that it got whole."""

    def __init__(self, bench):
        self.bench = bench
        self.known, self.last = {}, None
        self.parser = None
        self.connect(1 << 30)

    def connect(self, takes=2000):
        self.stream = self.bench.stream(last=self.last, takes=takes)
        self.at = 0
        self.parser = test_api.sse.Parser(1 << 20)

    def take(self):
        """Read what the kernel has taken, which may end in the middle of an event."""
        end = len(self.stream.got) - self.stream.pending
        for event in self.parser.feed(self.stream.got[self.at:end]):
            self.last = event.id
            value = json.loads(event.data)
            if event.event == "snapshot":
                self.known = {row["public_key"]: row["endpoint"] for row in value["peers"]}
            elif event.event == "peer":
                self.known[value["public_key"]] = value["endpoint"]
            elif event.event == "removed":
                self.known.pop(value["public_key"], None)
        self.at = end


def carry_out(bench, reader, step):
    peers = bench.wireguard.devices["wg0"].peers
    if step[0] == "hear" and key(step[1]) in peers:
        bench.hear(key(step[1]), "203.0.113.9:%d" % step[2])
    elif step[0] == "roam":  # many of them, in an order of their own
        for number in range(60):
            if key(100 + (number * 7 + step[1]) % 60) in peers:
                bench.wireguard.hear("wg0", key(100 + (number * 7 + step[1]) % 60), "203.0.113.8:%d" % step[2])
                bench.read()
    elif step[0] == "add":
        bench.wireguard.peer("wg0", key(step[1]))
        bench.read()
    elif step[0] == "drop" and key(step[1]) in peers:
        bench.drop(key(step[1]))
    elif step[0] == "flood":
        for _ in range(step[1]):
            bench.wireguard.peer("wg0", key(200))
            bench.read()
            bench.drop(key(200))
    elif step[0] == "read":
        reader.stream.read(step[1])
    elif step[0] == "wait":
        bench.loop.advance(step[1])
    elif step[0] == "break" and not reader.stream.closed:
        reader.stream.close()
    elif step[0] == "anew":
        ips = {peer: peers[peer].allowed_ips for peer in peers}
        bench.wireguard.add("wg0", ifindex=bench.wireguard.devices["wg0"].ifindex + 1)
        for peer in ips:
            bench.wireguard.peer("wg0", peer, allowed_ips=ips[peer])
        bench.read()


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_reader_ends_up_with_the_snapshot(steps):
    bench = test_api.Bench()
    for number in range(100, 160):
        bench.wireguard.peer("wg0", key(number))
    bench.read()
    reader = Reader(bench)
    for step in steps:
        carry_out(bench, reader, step)
        reader.take()
        if reader.stream.closed:
            bench.loop.advance(1)
            reader.connect()
    for _ in range(20):
        reader.stream.read()
        bench.loop.advance(10)
        reader.take()
        if reader.stream.closed:
            reader.connect()
    snapshot = bench.ask("/api/peers").value()
    assert reader.known == {row["public_key"]: row["endpoint"] for row in snapshot["peers"]}
    assert bench.api.subscribers() == 1


WORDS = st.sampled_from(["public_key", "endpoint", "seen_age", "quiet", "latest_handshake", "fetched_at", "peers",
                         "you", "boot", "seq", "allowed_ips", key(1), key(2), "(none)", "203.0.113.1:5", "127.0.0.1:5",
                         "[2001:db8::1]:5", "203.0.113.1:0", ""])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=8)), max_leaves=20)
PEERS = st.fixed_dictionaries({"public_key": st.sampled_from([key(1), key(2), key(99)])}, optional={
    "endpoint": st.one_of(WORDS, VALUES), "seen_age": VALUES, "quiet": VALUES, "latest_handshake": VALUES})
EVENTS = st.tuples(st.sampled_from(["snapshot", "peer", "removed", "you", "message"]), st.one_of(
    VALUES, PEERS, st.fixed_dictionaries({"peers": st.lists(st.one_of(PEERS, VALUES), max_size=4)},
                                         optional={"you": VALUES, "fetched_at": VALUES, "boot": VALUES})),
    st.one_of(st.none(), st.text(max_size=100)))


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=12))
def test_whatever_a_publisher_says(events):
    with test_link.Bench() as bench:
        bench.stream.begin()
        for name, value, identifier in events:
            bench.stream.say(name, value, identifier)
            test_link.check_told(bench)
        assert not bench.stream.closed and len(bench.logged) <= 2
        assert bench.link.you is None or test_link.link._endpoint(bench.link.you) == bench.link.you
        bench.stream.end()
        bench.loop.advance(700)
        assert len(bench.client.streams) == 2


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([200, 200, 401, 404, 500]), st.one_of(
    st.binary(max_size=40), VALUES, st.fixed_dictionaries({"peers": st.lists(PEERS, max_size=4)},
                                                          optional={"boot": VALUES, "fetched_at": VALUES}))),
    max_size=15))
def test_whatever_is_polled(answers):
    with test_link.Bench() as bench:
        for status, value in answers:
            if not bench.stream.closed:
                bench.stream.refuse(404)
            if bench.client.open():
                bench.client.gets[-1].answer(status, value)
            test_link.check_told(bench)
            assert len(bench.client.open()) <= 1
            bench.loop.advance(4000)
        for _ in range(40):
            bench.loop.advance(1000)
            if bench.client.open():
                break
        assert len(bench.client.open()) == 1, "it never stops trying, and tries once"
