"""link.py with a fake client: following one publisher, an honest, a dead and a hostile one."""
import json

from fakeclient import FakeClient
from fakewg import key
from helpers import VirtualLoop

from wgp2p import http, link, log
from wgp2p.link import BACKOFF_MS, COMPLAIN_MS, EVENTS_AGAIN_MS, POLL_MS, REFUSED_MS, SILENCE_MS, Link

TOKEN = "0123456789abcdef" * 4
HOME, AWAY = "203.0.113.31:36906", "198.51.100.9:1234"
OWN = "192.0.2.77"
FOLDER = __file__.rpartition("/")[0] or "."


class Bench:
    """A Link whose listener knows the keys 1 to 4 and keeps what it is told in `told`. `logged`: the log."""

    def __init__(self):
        self.loop = VirtualLoop()
        self.client = FakeClient()
        self.told, self.seen_at = [], []
        self.logged = []
        self.known = set([key(number) for number in range(1, 5)])
        self.asked = 0
        self._client, self._write = link.client, log._write
        link.client, log._write = self.client, lambda level, text: self.logged.append(text)
        self.link = Link(self.loop, "home", "10.0.0.1", 8080, "wg0", TOKEN, self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        link.client, log._write = self._client, self._write

    # -- the listener -------------------------------------------------------------------------------

    def knows(self, peer):
        self.asked += 1
        return peer in self.known

    def check_endpoint(self, endpoint):
        if endpoint.startswith(OWN):
            raise ValueError("endpoint is an address of this machine: " + endpoint)

    def reported(self, who, reports, whole):
        assert who is self.link
        self.told.append(("whole" if whole else "some",
                          [(row.key, row.endpoint, row.age_ms, row.quiet) for row in reports]))

    def removed(self, who, peer):
        self.told.append(("removed", peer))

    def lost(self, who):
        self.told.append(("lost",))

    def addressed(self, who):
        self.seen_at.append(who.you)

    def take(self):
        told, self.told = self.told, []
        return told

    # -- shortcuts ------------------------------------------------------------------------------------

    @property
    def stream(self):
        return self.client.streams[-1]

    def connect(self, *rows):
        """A connection that has said its snapshot."""
        self.stream.begin()
        self.stream.say("snapshot", snapshot(*rows), "boot-1")
        return self

    def step(self, ms):
        """Time passes, with a heartbeat every 15 s where there is a stream."""
        while ms > 0:
            self.loop.advance(min(ms, 15000))
            ms -= 15000
            if not self.stream.closed:
                self.stream.beat()


def snapshot(*rows):
    return {"interface": "wg0", "fetched_at": 1763800000, "boot": "boot", "seq": 1, "you": None, "peers": list(rows)}


def row(number, endpoint=HOME, **more):
    value = {"public_key": key(number), "endpoint": endpoint, "allowed_ips": [], "latest_handshake": 1763799990,
             "seen_age": 0.5, "quiet": False}
    value.update(more)
    return value


# -- the relay ----------------------------------------------------------------------------------------

def test_sessions_are_told_where_the_server_relays():
    with Bench() as bench:
        bench.connect(row(1))
        assert not bench.link.relays
        bench.link.tell_session(key(1), [[1, 2]])
        assert not bench.client.gets, "an old publisher is told nothing"
        bench.stream.say("snapshot", dict(snapshot(row(1)), relay=True), "boot-2")
        assert bench.link.relays
        bench.link.tell_session(key(1), [[1, 2]])
        request = bench.client.gets[0]
        assert (request.method, request.path, request.device) == ("POST", "/api/relay", "wg0")
        assert json.loads(request.body) == {"public_key": key(1), "sessions": [[1, 2]]}
        assert request.headers["Authorization"] == "Bearer " + TOKEN
        for _ in range(20):
            bench.link.tell_session(key(1), [[1, 2]])
        assert len(bench.client.gets) == 8, "no more at a time"
        request.answer(409, {"error": "no"})
        bench.client.gets[1].fail()
        assert not bench.stream.closed and bench.link.problem == ""
        bench.link.tell_session(key(1), [[1, 2]])
        assert len(bench.client.gets) == 9
        bench.link.close()
        assert not bench.client.open()


def test_through_a_relay_even_a_client_behind_our_own_nat_is_called():
    with Bench() as bench:
        bench.connect(row(1, OWN + ":40000"))
        assert bench.take() == [("whole", [])]
        bench.stream.say("snapshot", dict(snapshot(row(1, OWN + ":40000")), relay=True), "boot-2")
        assert bench.take() == [("whole", [(key(1), OWN + ":40000", 500, False)])]


def test_what_a_server_says_of_its_relay():
    with Bench() as bench:
        bench.connect(row(1))
        for word, relays in ((True, True), (False, False), (1, False), ("true", False), (None, False)):
            bench.stream.say("snapshot", dict(snapshot(row(1)), relay=word), "boot-2")
            assert bench.link.relays is relays
        bench.stream.end("gone")
        bench.link.tell_session(key(1), [[1, 2]])
        assert not bench.client.gets, "nobody is there to be told"


# -- our own port -----------------------------------------------------------------------------------

def test_announce_and_probe():
    with Bench() as bench:
        bench.connect()
        said = []
        bench.link.announce(51820, 600, said.append)
        bench.link.probe(51820, "00ff" * 8, said.append)
        announce, probe = bench.client.gets
        assert [(one.method, one.path, one.device, one.where) for one in bench.client.gets] == [
            ("POST", "/api/endpoint", "wg0", ("10.0.0.1", 8080)), ("POST", "/api/probe", "wg0", ("10.0.0.1", 8080))]
        assert announce.headers == probe.headers == {"Authorization": "Bearer " + TOKEN}
        assert json.loads(announce.body) == {"port": 51820, "ttl": 600}
        assert json.loads(probe.body) == {"port": 51820, "nonce": "00ff" * 8}
        announce.answer(200, {"endpoint": HOME})
        probe.answer(429, {"error": "too many for " + TOKEN})
        assert said == ["", "the publisher answers 429: too many for (token)"]
        for answer, problem in (
                (lambda one: one.answer(404, {"error": "no such path"}), "its wgp2p is too old for that"),
                (lambda one: one.answer(500, b"\xff"), "the publisher answers 500"),
                (lambda one: one.fail("no answer"), "no answer")):
            bench.link.probe(51820, "00ff" * 8, said.append)
            answer(bench.client.gets[-1])
            assert said[-1] == problem
        assert bench.link.problem == "" and not bench.stream.closed, "no trouble of the link's"
        bench.link.probe(51820, "00ff" * 8, said.append)
        bench.link.close()
        assert not bench.client.open() and len(said) == 5


# -- the event stream -------------------------------------------------------------------------------

def test_what_is_asked_for():
    with Bench() as bench:
        assert bench.stream.where == ("10.0.0.1", 8080)
        assert (bench.stream.path, bench.stream.device) == ("/api/events", "wg0")
        assert bench.stream.headers == {"Authorization": "Bearer " + TOKEN}
        assert (bench.link.mode, bench.link.lost_ms, bench.link.connected_ms) == ("connecting", bench.loop.now(), None)


def test_snapshot_peer_removed_you():
    with Bench() as bench:
        bench.connect(row(1), row(2, None, seen_age=None, quiet=True), row(9))
        assert bench.take() == [("whole", [(key(1), HOME, 500, False), (key(2), None, None, True)])]
        assert (bench.link.mode, bench.link.problem, bench.link.lost_ms) == ("events", "", None)
        bench.stream.say("peer", row(1, "[2001:DB8:0::7]:1"), "boot-2")
        assert bench.take() == [("some", [(key(1), "[2001:db8::7]:1", 500, False)])]
        bench.stream.say("peer", row(9), "boot-3")
        assert bench.take() == [("some", [])]
        bench.stream.say("removed", {"public_key": key(1)}, "boot-4")
        assert bench.take() == [("removed", key(1))]
        bench.stream.say("you", {"public_key": key(200), "endpoint": "192.0.2.4:51820", "seen_age": 0.1}, "boot-5")
        assert bench.take() == [] and bench.link.you == "192.0.2.4:51820"
        bench.stream.say("you", {"public_key": key(200), "endpoint": "192.0.2.4:51820", "seen_age": 0.2}, "boot-6")
        assert bench.seen_at == ["192.0.2.4:51820"], "told once"
        bench.stream.say("you", {"endpoint": None})
        assert bench.link.you is None
        bench.stream.say("news", {"of": "a later version"})
        assert bench.take() == [] and len(bench.logged) == 1, bench.logged


def test_resume_where_it_was():
    with Bench() as bench:
        bench.connect(row(1))
        bench.stream.say("peer", row(1), "boot-17")
        bench.link.hurry(False)
        bench.loop.advance(0)
        assert bench.stream.headers == {"Authorization": "Bearer " + TOKEN, "Last-Event-ID": "boot-17"}


def test_after_a_break_all_is_said_anew():
    """The listener believes less what was said before a break. Resumed, it would never hear it again."""
    with Bench() as bench:
        bench.connect(row(1))
        bench.stream.say("peer", row(1), "boot-17")
        bench.stream.end()
        bench.loop.advance(1000)
        assert len(bench.client.streams) == 2 and "Last-Event-ID" not in bench.stream.headers


def test_an_event_that_is_refused_is_not_resumed_behind():
    for name, text in (("snapshot", "{"), ("snapshot", '{"peers": 7}'), ("removed", '{"public_key": 7}')):
        with Bench() as bench:
            bench.stream.begin()
            bench.stream.say(name, text, "boot-1")
            bench.link.hurry(False)
            bench.loop.advance(0)
            assert len(bench.client.streams) == 2 and "Last-Event-ID" not in bench.stream.headers


def test_ids_that_fit_into_no_header():
    for identifier in ("a b", "a\r\nHost: x", "a\tb", "é", "\x00", "x" * 81, "a\x7f"):
        with Bench() as bench:
            bench.connect(row(1))
            bench.stream.say("peer", row(1), identifier)
            bench.link.hurry(False)
            bench.loop.advance(0)
            assert len(bench.client.streams) == 2 and "Last-Event-ID" not in bench.stream.headers, identifier


def test_hurry_and_ask_anew():
    with Bench() as bench:
        bench.connect(row(1))
        bench.link.hurry(False)
        bench.loop.advance(0)
        assert bench.stream.headers["Last-Event-ID"] == "boot-1" and len(bench.client.open()) == 1
        bench.stream.begin()
        assert ("lost",) not in bench.take()
        bench.link.ask_anew()
        bench.loop.advance(0)
        assert "Last-Event-ID" not in bench.stream.headers and len(bench.client.open()) == 1
        bench.connect(row(1))
        bench.stream.end()
        bench.link.ask_anew()
        bench.loop.advance(0)
        assert bench.client.open() == [], "no haste without a connection"
        bench.loop.advance(1000)
        assert "Last-Event-ID" not in bench.stream.headers


def test_asked_anew_while_an_event_is_taken():
    """A peer that is new here makes the listener ask anew, from within an event."""
    with Bench() as bench:
        bench.connect(row(1))
        bench.reported = lambda *_: bench.link.ask_anew()
        bench.stream.say("peer", row(1), "boot-2")
        bench.loop.advance(0)
        assert "Last-Event-ID" not in bench.stream.headers


# -- up and down ------------------------------------------------------------------------------------

def pauses(bench, fail, count):
    """How long it waits before each of its next connections, when each one fails."""
    found = []
    for _ in range(count):
        fail()
        begin, tries = bench.loop.now(), len(bench.client.streams)
        while len(bench.client.streams) == tries:
            bench.loop.advance(10)
            assert bench.loop.now() - begin < 60000
        assert len(bench.client.open()) == 1
        found.append(bench.loop.now() - begin)
    return found


def test_backoff_with_jitter():
    seen = set()
    for _ in range(5):
        with Bench() as bench:
            found = pauses(bench, lambda: bench.stream.end("connection refused"), 9)
            for wait, base in zip(found, BACKOFF_MS + (15000, 15000, 15000)):
                assert base * 3 // 4 <= wait <= base * 5 // 4 + 10, found
            seen.add(tuple(found))
            assert bench.take() == [], "it was never there"
            assert len(bench.logged) == 1 and "connection refused" in bench.logged[0]
    assert len(seen) == 5, "jitter"


def test_a_connection_that_held_ends_the_backoff():
    with Bench() as bench:
        pauses(bench, lambda: bench.stream.end("connection refused"), 6)
        bench.connect(row(1))
        bench.step(60000)
        assert bench.link.connected_ms == bench.loop.now() - 60000
        bench.take()
        assert pauses(bench, bench.stream.end, 1)[0] <= 650
        assert bench.take() == [("lost",)] and bench.link.lost_ms is not None


def test_a_server_that_accepts_and_ends_is_not_asked_ever_faster():
    with Bench() as bench:
        def end():
            bench.stream.begin()
            bench.stream.end()

        found = pauses(bench, end, 10)
        assert found[-1] > 10000 and sum(found) > 50000, found


def test_a_wrong_token_waits():
    for status in (401, 403):
        with Bench() as bench:
            wait = pauses(bench, lambda: bench.stream.refuse(status, {"error": "the token is wrong"}), 1)[0]
            assert REFUSED_MS * 3 // 4 <= wait <= REFUSED_MS * 5 // 4 + 10
            assert bench.link.problem == "the publisher answers %d: the token is wrong" % status
            assert bench.link.refused == status
    with Bench() as bench:
        bench.stream.refuse(503, {"error": "too many connections"})
        assert bench.link.problem == "the publisher answers 503: too many connections"
        bench.loop.advance(700)
        assert len(bench.client.streams) == 2


def test_the_token_is_in_no_message():
    for body in ({"error": "not " + TOKEN}, {"error": [TOKEN]}, {"error": {"a": TOKEN}}, TOKEN.encode(),
                 {"error": "x" * 180 + TOKEN}):
        with Bench() as bench:
            bench.stream.refuse(403, body)
            assert TOKEN not in bench.link.problem and TOKEN[:16] not in bench.link.problem, bench.link.problem
            assert TOKEN not in "".join(bench.logged)


def test_bodies_of_refusals():
    for body in (b"", b"<html>", b"\xff", b"[]", b"7", b'"text"', b"null", b'{"error": 7}', b'{"error": null}',
                 b"[" * 5000, b'{"error": ' + b"[" * 900 + b"]" * 900 + b"}"):
        with Bench() as bench:
            bench.stream.refuse(500, body)
            assert bench.link.problem == "the publisher answers 500", bench.link.problem


def test_silence():
    with Bench() as bench:
        bench.connect(row(1))
        bench.step(300000)
        stream = bench.stream
        assert len(bench.client.streams) == 1
        bench.loop.advance(SILENCE_MS - 100)
        assert not stream.closed
        bench.take()
        bench.loop.advance(200)
        assert stream.closed and bench.take() == [("lost",)] and "nothing from the publisher" in bench.link.problem
        bench.loop.advance(1000)
        assert len(bench.client.streams) == 2


def test_a_lost_connection_is_told_once():
    with Bench() as bench:
        bench.connect(row(1))
        bench.take()
        pauses(bench, lambda: bench.stream.end("connection refused"), 5)
        assert bench.take() == [("lost",)]


def test_closed_means_closed():
    for state in range(4):
        with Bench() as bench:
            if state > 0:
                bench.stream.begin()
            if state == 2:
                bench.stream.end()
            if state == 3:
                bench.stream.refuse(404) if state == 0 else bench.link._poll()
            bench.take()
            bench.link.close()
            bench.link.hurry(True)
            bench.link.ask_anew()
            bench.loop.advance(120000)
            assert bench.client.open() == [] and bench.take() == []
            assert bench.loop._timers.next_ms() is None, "no timer is left"


# -- a publisher without a stream -------------------------------------------------------------------

def recorded(what):
    """The status and body of an answer of the original publisher."""
    source = open(FOLDER + "/../golden/original.json")
    try:
        exchanges = json.loads(source.read())["publisher"]
    finally:
        source.close()
    answer = [one for one in exchanges if one["what"] == what][0]["answer"].encode()
    reader = http.ResponseReader(None)
    body = reader.feed(answer)
    return reader.head.status, body


def test_the_original_publisher():
    with Bench() as bench:
        bench.stream.refuse(*recorded("events"))
        assert bench.link.mode == "polling" and len(bench.client.open()) == 1
        asked = bench.client.gets[-1]
        assert (asked.path, asked.device, asked.headers) == (
            "/api/peers", "wg0", {"Authorization": "Bearer " + TOKEN})
        asked.answer(*recorded("peers"))
        told = bench.take()
        assert told[0][0] == "whole" and [one[:2] + one[3:] for one in told[0][1]] == [
            (key(1), HOME, False), (key(2), None, True), (key(3), "[2001:db8::7]:51820", True), (key(4), None, True)]
        ages = [one[2] for one in told[0][1]]
        assert 6000 <= ages[0] <= 15000 and ages[1] is None and 3000000 <= ages[2] <= 3010000 and ages[3] is None
        assert (bench.link.mode, bench.link.problem) == ("polling", "")
        polls = 1
        for _ in range(40):
            bench.loop.advance(POLL_MS + 200)
            assert len(bench.client.open()) == 1 and len(bench.client.streams) == 1
            bench.client.gets[-1].answer(*recorded("peers"))
            polls += 1
        assert len(bench.client.gets) == polls
        bench.loop.advance(POLL_MS + 200)
        bench.client.gets[-1].answer(*recorded("no interface"))
        assert bench.link.problem == "the publisher answers 500: Unable to access interface: No such device"
        bench.loop.advance(700)
        assert len(bench.client.streams) == 2


def test_the_original_publisher_refuses():
    for what, status in (("no token", 401), ("wrong token", 403)):
        with Bench() as bench:
            bench.stream.refuse(*recorded(what))
            assert bench.link.problem == "the publisher answers %d" % status
            bench.loop.advance(20000)
            assert bench.client.open() == []


def test_upgraded_to_events():
    with Bench() as bench:
        bench.stream.refuse(404)
        bench.client.gets[-1].answer(200, {"peers": [], "fetched_at": 5})
        bench.loop.advance(EVENTS_AGAIN_MS)
        bench.client.gets[-1].answer(200, snapshot(row(1)))
        bench.loop.advance(0)
        assert len(bench.client.streams) == 2 and bench.client.open() == [bench.stream]
        bench.connect(row(1))
        assert bench.link.mode == "events"
        bench.step(60000)
        assert bench.client.open() == [bench.stream], "and polls no more"


def test_a_server_that_promises_events_and_has_none():
    with Bench() as bench:
        def answer():
            if not bench.stream.closed:
                bench.stream.refuse(404)
            if not bench.client.gets[-1].closed:
                bench.client.gets[-1].answer(200, snapshot())

        for _ in range(3000):
            answer()
            bench.loop.advance(100)
        assert len(bench.client.streams) <= 6 and len(bench.client.gets) <= 106, (
            len(bench.client.streams), len(bench.client.gets))


def test_hurry_while_it_polls():
    with Bench() as bench:
        bench.stream.refuse(404)
        for _ in range(5):
            bench.link.hurry(False)
            bench.loop.advance(0)
            bench.stream.refuse(404)
        assert len(bench.client.open()) == 1, "the earlier request is forgotten"
        bench.client.gets[-1].answer(200, {"peers": []})
        bench.loop.advance(60000)
        assert len(bench.client.open()) == 1


def test_polls_that_fail():
    for fail in (lambda get: get.fail(), lambda get: get.answer(500, b""), lambda get: get.answer(200, b"{"),
                 lambda get: get.answer(200, b"[]"), lambda get: get.answer(200, {"peers": {}}),
                 lambda get: get.answer(200, b"\xff")):
        with Bench() as bench:
            bench.stream.refuse(404)
            fail(bench.client.gets[-1])
            assert bench.link.problem and bench.link.mode == "connecting"
            bench.loop.advance(700)
            assert len(bench.client.streams) == 2 and len(bench.client.open()) == 1


# -- a hostile publisher ----------------------------------------------------------------------------

BAD_ENDPOINTS = ("0.0.0.0:1", "127.0.0.1:1", "255.255.255.255:1", "224.0.0.1:1", "240.0.0.1:1", "169.254.1.1:1",
                 "203.0.113.1:0", "203.0.113.1:65536", "203.0.113.1", ":1", "203.0.113.1:", "host:1", "[::1]:1",
                 "[::]:1", "[ff02::1]:1", "[fe80::1]:1", "[fe80::1%wg0]:1", "2001:db8::1:1", "[2001:db8::1]",
                 "[::ffff:127.0.0.1]:1", "203.0.113.1:1 ", "\x1b[2J:1", "203.0.113.1:1\nroot", "x" * 5000, 7, 0, 1.5,
                 True, False, [], ["203.0.113.1:1"], {}, {"a": 1}, OWN + ":51820", "203.0.113.1:-1", "é:1",
                 "[::ffff:0:203.0.113.1]:1")


def test_endpoints_that_are_none():
    for endpoint in BAD_ENDPOINTS:
        with Bench() as bench:
            bench.connect(row(1, endpoint), row(2))
            assert bench.take() == [("whole", [(key(2), HOME, 500, False)])], endpoint
            bench.stream.say("peer", row(1, endpoint))
            assert bench.take() == [("some", [])], endpoint
            assert not bench.stream.closed and len(bench.logged) == 2, bench.logged


def test_keys_that_are_none():
    for bad in ("", "x", key(1)[:-1], key(1) + "=", key(1) + "\n", "\x1b[2J", "é" * 44, 7, None, True, [], {},
                [key(1)]):
        with Bench() as bench:
            bench.connect(dict(row(1), public_key=bad), row(2))
            assert [one[0] for one in bench.take()[0][1]] == [key(2)], bad
            bench.stream.say("removed", {"public_key": bad})
            assert bench.take() == [] and not bench.stream.closed


WRONG = (None, True, False, 0, 7, -1, 1.5, "", "text", [], {}, [[]], {"a": {}}, 1e300, -1e300, 10 ** 30, "\x00")


def check_told(bench):
    """Whatever came in, the listener hears values of the right kind only."""
    for told in bench.take():
        if told[0] in ("whole", "some"):
            for peer, endpoint, age_ms, quiet in told[1]:
                assert peer in bench.known and isinstance(quiet, bool)
                assert endpoint is None or isinstance(endpoint, str)
                assert age_ms is None or (type(age_ms) is int and 0 <= age_ms < 10 ** 14), age_ms


def test_wrong_types_in_every_field():
    fields = ("public_key", "endpoint", "allowed_ips", "latest_handshake", "seen_age", "quiet", "seq", "handshake_age")
    with Bench() as bench:
        bench.connect(row(2))
        for field in fields:
            for value in WRONG:
                for drop in (None, "seen_age"):
                    one = row(1)
                    one.pop(drop, None)
                    one[field] = value
                    for name, whole in (("peer", one), ("snapshot", snapshot(one, row(2))), ("removed", one),
                                        ("you", one)):
                        bench.stream.say(name, whole)
                    whole = snapshot(one, row(2))
                    for top in ("fetched_at", "interface", "boot", "seq", "you", "peers"):
                        bench.stream.say("snapshot", dict(whole, **{top: value}))
                    check_told(bench)
        assert not bench.stream.closed and len(bench.logged) == 2, bench.logged


def test_events_that_are_no_objects():
    with Bench() as bench:
        bench.connect(row(1))
        bench.take()
        for name in ("snapshot", "peer", "removed", "you", "message", ""):
            for text in ("", "{", "[]", "7", "null", '"x"', "{} {}", "[" * 100000, "NaN", '{"a":' * 900, "\x00", "é"):
                bench.stream.say(name, text)
        assert bench.take() == [] and not bench.stream.closed and len(bench.logged) == 2, bench.logged


def test_a_bad_word_of_us_spoils_no_snapshot():
    for you in ({"endpoint": "nonsense"}, {"endpoint": 7}, 7, [], "x", {"endpoint": "127.0.0.1:5"}):
        with Bench() as bench:
            bench.stream.begin()
            bench.stream.say("snapshot", dict(snapshot(row(1)), you=you))
            assert len(bench.take()[0][1]) == 1 and bench.link.you is None, you


def test_65000_peers():
    with Bench() as bench:
        text = json.dumps(row(1)).replace(key(1), "%s")
        keys = ["%043d=" % number for number in range(2000)] + [key(2)]
        for _ in range(33):
            bench.stream.last_byte_ms = bench.loop.now()
            bench.link._reports([json.loads(text % one) for one in keys], None)
        assert bench.asked == 33 * 2001
        reports = bench.link._reports([json.loads(text % one) for one in keys], None)
        assert [one.key for one in reports] == [key(2)], "only what WireGuard here has costs anything"


def test_nonsense_is_logged_once():
    with Bench() as bench:
        bench.connect(row(1))
        before = len(bench.logged)
        for number in range(1000):
            bench.stream.say("peer", row(1, "127.0.%d.%d:1" % (number // 250, number % 250)))
            bench.stream.say("peer", "{" * (number % 7 + 1))
            bench.stream.say("you", {"endpoint": "x%d" % number})
            bench.loop.advance(10)
        assert len(bench.logged) == before + 1
        bench.step(COMPLAIN_MS)
        bench.stream.say("peer", "{")
        assert len(bench.logged) == before + 2


def test_ages():
    with Bench() as bench:
        bench.stream.begin()
        for fields, age_ms, quiet in (
                ({"seen_age": 0}, 0, False), ({"seen_age": 12.34}, 12340, False), ({"seen_age": None}, None, False),
                ({"seen_age": None, "quiet": True}, None, True), ({"seen_age": 200}, 200000, False),
                ({"seen_age": -1}, None, False), ({"seen_age": "1"}, None, False)):
            bench.stream.say("peer", row(1, **fields))
            assert bench.take() == [("some", [(key(1), HOME, age_ms, quiet)])], fields
        for fetched, handshake, age_ms, quiet in (
                (1000, 990, 10000, False), (1000, 1000, 0, False), (1000, 1200, 0, False), (1000, 851, 149000, False),
                (1000, 850, 150000, True), (17, 1763799990, 0, False), (None, 990, None, False),
                ("1000", 990, None, False), (True, 990, None, False), (1000, None, None, False)):
            old = {"public_key": key(1), "endpoint": HOME, "latest_handshake": handshake}
            bench.stream.say("snapshot", {"peers": [old], "fetched_at": fetched})
            assert bench.take() == [("whole", [(key(1), HOME, age_ms, quiet)])], (fetched, handshake)
