"""api.py with a fake connection: who may ask, what they get, and the event streams."""
import json

from fakewg import FakeWireGuard, key
from helpers import VirtualLoop

from wgp2p import api, config, http, sse
from wgp2p.publisher import Publisher
from wgp2p.registry import REMOVALS_KEPT, Registry

ROUTER, SHED, PHONE, LAPTOP, SECRET = [key(number) for number in range(1, 6)]
TOKENS = {ROUTER: b"r" * 64, SHED: b"s" * 64, LAPTOP: b"l" * 64}
ROUTER_IP, SHED_IP, PHONE_IP, LAPTOP_IP = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"
HOST = "10.0.0.100:8080"
HOME = "203.0.113.31:36906"

CONFIG = """
config publisher
    option interface 'wg0'
config peer
    option public_key '%s'
    option name 'router'
    option device '1'
config peer
    option public_key '%s'
    option name 'shed'
    option device '1'
    list client 'laptop'
config peer
    option public_key '%s'
    option name 'laptop'
config peer
    option public_key '%s'
    option exclude '1'
""" % (ROUTER, SHED, LAPTOP, SECRET)


class FakeConnection:
    """A server.Connection that keeps what it is given. `takes`: bytes that the reader takes before it stops."""

    def __init__(self, loop, ip, takes=1 << 30):
        self.peer = (ip, 40000)
        self.loop = loop
        self.takes = takes
        self.pending = 0
        self.most = 0  # bytes that ever were pending
        self.closed = False
        self.on_close = self.on_drain = None
        self.status = self.headers = None
        self.body = self.got = b""
        self.streaming = False
        self.pieces = 0

    def reply(self, status, body=b"", headers=None):
        assert self.status is None, "a second answer"
        self.status, self.headers = status, headers or {}
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        http.response(status, self.body, headers)  # fits into a header

    def error(self, status, text):
        self.reply(status, {"error": text})

    def stream(self, headers=None):
        assert self.status is None
        self.status, self.streaming = 200, True

    def send(self, data):
        assert self.streaming and isinstance(data, bytes)
        if self.closed:
            return False
        self.pieces += 1
        self.got += data
        taken = min(self.takes, len(data) + self.pending)
        self.pending += len(data) - taken
        self.takes -= taken
        self.most = max(self.most, self.pending)
        return True

    def read(self, size=1 << 30):
        """The reader takes what was written."""
        self.takes = size
        taken = min(self.pending, size)
        self.takes -= taken
        self.pending -= taken
        if not self.pending and self.on_drain:
            self.on_drain()

    def close(self, why="closed here"):
        if not self.closed:
            self.closed = True
            self.pending = 0
            self.loop.call_later(0, self._gone, why)

    def _gone(self, why):
        if self.on_close:
            self.on_close(why)

    def events(self):
        """[(id, event, value)] of what came since the last time."""
        assert not self.pending
        got, self.got = self.got, b""
        return [(row.id, row.event, json.loads(row.data)) for row in sse.Parser(1 << 20).feed(got)]

    def value(self):
        return json.loads(self.body.decode())


class StandIn:
    """What the API wants of a publisher."""

    interface = "wg0"
    serves = Publisher.serves

    def __init__(self):
        self.config = config.parse(CONFIG)
        self.registry = Registry("b00t")
        self.addresses = ["10.0.0.100", "fd00::100"]
        self.told, self.refusal = [], ""

    def relays(self):
        return True

    def session(self, device, client, sessions):
        self.told.append((device, client, sessions))
        return self.refusal

    def token(self, peer):
        return TOKENS.get(peer)

    def own_addresses(self):
        return self.addresses


class Bench:
    def __init__(self):
        self.loop = VirtualLoop()
        self.publisher = StandIn()
        self.wireguard = FakeWireGuard()
        self.wireguard.add("wg0")
        for number, peer in enumerate((ROUTER, SHED, PHONE, LAPTOP, SECRET)):
            self.wireguard.peer("wg0", peer, allowed_ips=("10.0.0.%d/32" % (number + 1),))
        self.api = api.Api(self.loop, self.publisher)
        self.read()

    def read(self):
        before = self.publisher.registry.seq
        self.publisher.registry.update(self.loop.now(), self.wireguard.devices["wg0"])
        if self.publisher.registry.seq != before:
            self.api.changed(before)

    def ask(self, path, ip=ROUTER_IP, token=TOKENS[ROUTER], method="GET", host=HOST, headers=None, takes=1 << 30,
            body=b""):
        """The connection after a request; a header that is None is not sent."""
        fields = {"host": host, "authorization": "Bearer " + token.decode() if token else None}
        fields.update(headers or {})
        request = http.Request(method, path, {}, {})
        request.body = body
        for name in fields:
            if fields[name] is not None:
                request.headers[name] = fields[name]
        connection = FakeConnection(self.loop, ip, takes)
        self.api.request(request, connection)
        return connection

    def hear(self, peer, endpoint=HOME):
        self.wireguard.hear("wg0", peer, endpoint)
        self.read()

    def drop(self, peer):
        self.wireguard.drop("wg0", peer)
        self.read()

    def stream(self, ip=ROUTER_IP, token=TOKENS[ROUTER], last=None, takes=1 << 30):
        return self.ask("/api/events", ip, token, headers={"last-event-id": last}, takes=takes)


def keys(snapshot):
    return [row["public_key"] for row in snapshot["peers"]]


# -- sessions for the relay -----------------------------------------------------------------------

def test_a_device_tells_its_sessions():
    bench = Bench()
    body = json.dumps({"public_key": PHONE, "sessions": [[1, 4294967295]]}).encode()
    assert bench.ask("/api/relay", method="POST", body=body).status == 200
    assert bench.publisher.told == [(ROUTER, PHONE, [[1, 4294967295]])]
    assert bench.ask("/api/peers").value()["relay"] is True
    bench.publisher.refusal = "not a client of this device"
    connection = bench.ask("/api/relay", method="POST", body=body)
    assert connection.status == 409 and connection.value() == {"error": "not a client of this device"}


def test_what_is_no_session():
    bench = Bench()
    for body in (b"", b"{", b"[]", b"7", b"null", b"\xff", b'{"public_key": 7, "sessions": []}', b'{"sessions": []}',
                 json.dumps({"public_key": PHONE}).encode(),
                 json.dumps({"public_key": PHONE, "sessions": {"a": 1}}).encode()):
        assert bench.ask("/api/relay", method="POST", body=body).status == 400, body
    connection = bench.ask("/api/relay")
    assert connection.status == 405 and connection.headers["Allow"] == "POST"
    assert bench.ask("/api/relay", method="POST", token=TOKENS[SHED]).status == 403
    assert bench.publisher.told == []


# -- who may ask ----------------------------------------------------------------------------------

def test_without_a_token():
    bench = Bench()
    for path in ("/api/peers", "/api/events", "/api/whoami", "/", "/api/nothing"):
        for header in (None, "", "Bearer", "Bearer ", "Basic " + "r" * 64, "r" * 64, "Bearer a b",
                       "Bearer, " + "r" * 64):
            connection = bench.ask(path, headers={"authorization": header})
            assert connection.status == 401 and connection.headers == {"WWW-Authenticate": "Bearer"}, (path, header)
            assert list(connection.value()) == ["error"] and not connection.streaming


def test_with_a_wrong_token():
    bench = Bench()
    for token in (b"x" * 64, TOKENS[SHED], TOKENS[ROUTER][:-1], TOKENS[ROUTER] + b"r", b"\0" * 64, b"r"):
        connection = bench.ask("/api/peers", token=token)
        assert connection.status == 403 and "token" in connection.value()["error"], token
        assert "rrrr" not in connection.value()["error"]


def test_token_and_peer_must_agree():
    bench = Bench()
    for ip, token, status in ((ROUTER_IP, TOKENS[ROUTER], 200), (SHED_IP, TOKENS[SHED], 200),
                              (SHED_IP, TOKENS[ROUTER], 403), (ROUTER_IP, TOKENS[SHED], 403),
                              (PHONE_IP, TOKENS[ROUTER], 403), (PHONE_IP, b"\0" * 64, 403),
                              ("192.0.2.1", TOKENS[ROUTER], 403)):
        assert bench.ask("/api/peers", ip, token).status == status, (ip, token)
    assert bench.ask("/api/peers", headers={"authorization": "bearer  " + "r" * 64}).status == 200


def test_a_clients_token_opens_little():
    bench = Bench()
    bench.hear(LAPTOP)
    assert bench.ask("/api/whoami", LAPTOP_IP, TOKENS[LAPTOP]).value()["you"]["endpoint"] == HOME
    for path in ("/api/endpoint", "/api/probe"):
        assert bench.ask(path, LAPTOP_IP, TOKENS[LAPTOP], "POST", body=b"{}").status == 400, path
    for path, method in (("/api/peers", "GET"), ("/api/events", "GET"), ("/api/relay", "POST")):
        connection = bench.ask(path, LAPTOP_IP, TOKENS[LAPTOP], method, body=b"{}")
        assert connection.status == 403 and "no remote device" in connection.value()["error"], path
        assert not connection.streaming
    assert bench.ask("/api/nothing", LAPTOP_IP, TOKENS[LAPTOP]).status == 404
    for ip, token in ((PHONE_IP, TOKENS[LAPTOP]), (LAPTOP_IP, TOKENS[ROUTER]), (ROUTER_IP, TOKENS[LAPTOP])):
        assert bench.ask("/api/endpoint", ip, token, "POST", body=b'{"port": 0}').status == 403, ip


def test_an_announcement_is_told_at_once():
    bench = Bench()
    bench.hear(LAPTOP)
    stream, limited = bench.stream(), bench.stream(SHED_IP, TOKENS[SHED])
    stream.events()
    limited.events()
    mapped = HOME.replace("36906", "51820")
    for port, endpoint in ((51820, mapped), (51820, None), (0, HOME), (0, None)):
        body = json.dumps({"port": port, "ttl": 600}).encode()
        assert bench.ask("/api/endpoint", LAPTOP_IP, TOKENS[LAPTOP], "POST", body=body).status == 200
        for reader in (stream, limited):
            told = [(row[1], row[2]["public_key"], row[2]["endpoint"]) for row in reader.events()]
            assert told == ([("peer", LAPTOP, endpoint)] if endpoint else []), (port, told)
    assert bench.ask("/api/whoami", LAPTOP_IP, TOKENS[LAPTOP]).value()["you"]["endpoint"] == HOME, "as it is seen"


def test_the_host_must_be_ours():
    bench = Bench()
    for host in ("10.0.0.100", "10.0.0.100:8080", "10.0.0.100:1", "[fd00::100]", "[fd00::100]:8080", "[FD00:0::100]"):
        assert bench.ask("/api/peers", host=host).status == 200, host
    for host in (None, "", "evil.example", "evil.example:8080", "10.0.0.101", "10.0.0.100.evil.example", "localhost",
                 "10.0.0.100:x", "10.0.0.100@evil.example", "fd00::100:8080", "[fd00::100", "[10.0.0.100"):
        assert bench.ask("/api/peers", host=host).status == 421, host
    bench.publisher.addresses = []
    assert bench.ask("/api/peers").status == 421


def test_paths_and_methods():
    bench = Bench()
    assert bench.ask("/api/nothing").status == 404
    assert bench.ask("/api/peers/").status == 404
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        connection = bench.ask("/api/peers", method=method)
        assert connection.status == 405 and connection.headers == {"Allow": "GET"}, method
    assert bench.ask("/api/nothing", method="POST").status == 404


# -- what they get --------------------------------------------------------------------------------

def test_a_device_gets_the_clients():
    bench = Bench()
    bench.hear(PHONE)
    value = bench.ask("/api/peers").value()
    assert keys(value) == sorted([PHONE, LAPTOP]), "neither itself, nor another device, nor the excluded one"
    assert (value["interface"], value["boot"], value["seq"]) == ("wg0", "b00t", bench.publisher.registry.seq)
    assert isinstance(value["fetched_at"], int)
    row = [row for row in value["peers"] if row["public_key"] == PHONE][0]
    assert (row["endpoint"], row["seen_age"], row["quiet"]) == (HOME, 0.0, False)


def test_a_device_limited_to_its_clients():
    bench = Bench()
    assert keys(bench.ask("/api/peers", SHED_IP, TOKENS[SHED]).value()) == [LAPTOP]
    stream = bench.stream(SHED_IP, TOKENS[SHED])
    assert keys(stream.events()[0][2]) == [LAPTOP]
    for peer in (PHONE, ROUTER, SECRET):
        bench.hear(peer)
    bench.drop(PHONE)
    assert stream.events() == []
    bench.hear(LAPTOP)
    assert [row[1] for row in stream.events()] == ["peer"]
    bench.drop(LAPTOP)
    assert [row[1:] for row in stream.events()] == [("removed", {"public_key": LAPTOP})]


def test_the_excluded_one_is_never_served():
    bench = Bench()
    stream = bench.stream()
    bench.hear(SECRET)
    bench.drop(SECRET)
    assert SECRET not in json.dumps([row[2] for row in stream.events()])


def test_you():
    bench = Bench()
    bench.hear(ROUTER, "198.51.100.1:51820")
    bench.loop.advance(1500)
    you = {"public_key": ROUTER, "endpoint": "198.51.100.1:51820", "seen_age": 1.5}
    assert bench.ask("/api/peers").value()["you"] == you
    answer = bench.ask("/api/whoami")
    assert answer.status == 200 and answer.value()["you"] == you and "peers" not in answer.value()
    stream = bench.stream()
    assert stream.events()[0][2]["you"] == you
    other = bench.stream(SHED_IP, TOKENS[SHED])
    other.events()
    bench.hear(ROUTER, "198.51.100.1:51821")
    events = stream.events()
    assert [row[1] for row in events] == ["you"] and events[0][2]["endpoint"] == "198.51.100.1:51821"
    assert other.events() == [], "no business of another device"


# -- streams --------------------------------------------------------------------------------------

def test_snapshot_then_changes():
    bench = Bench()
    stream = bench.stream()
    first = stream.events()
    seq = bench.publisher.registry.seq
    assert [row[:2] for row in first] == [("b00t-%d" % seq, "snapshot")]
    assert keys(first[0][2]) == sorted([PHONE, LAPTOP])
    bench.hear(PHONE)
    bench.hear(LAPTOP)
    rows = stream.events()
    assert [row[:2] for row in rows] == [("b00t-%d" % (seq + 1), "peer"), ("b00t-%d" % (seq + 2), "peer")]
    assert [row[2]["public_key"] for row in rows] == [PHONE, LAPTOP]
    bench.drop(PHONE)
    assert stream.events() == [("b00t-%d" % (seq + 3), "removed", {"public_key": PHONE})]
    bench.read()
    assert stream.events() == []
    assert bench.api.subscribers() == 1
    stream.close()
    bench.loop.advance(1)
    assert bench.api.subscribers() == 0


def test_a_snapshot_in_the_stream_is_the_same_as_by_request():
    bench = Bench()
    bench.hear(PHONE)
    stream, asked = bench.stream().events()[0][2], bench.ask("/api/peers").value()
    for value in (stream, asked):
        value.pop("fetched_at")
    assert stream == asked


def test_resume_goes_on_where_it_was():
    bench = Bench()
    last = bench.stream().events()[-1][0]
    bench.hear(PHONE)
    bench.drop(LAPTOP)
    bench.hear(PHONE, "203.0.113.31:1")
    stream = bench.stream(last=last)
    rows = stream.events()
    assert [row[1] for row in rows] == ["removed", "peer"], "each peer once, as it is now"
    assert rows[-1][2]["endpoint"] == "203.0.113.31:1"
    assert bench.stream(last=rows[-1][0]).events() == []
    assert bench.stream(last=rows[0][0]).events() == rows[1:]


def test_what_cannot_be_resumed_begins_anew():
    bench = Bench()
    seq = bench.publisher.registry.seq
    for last in ("b00t-%d" % (seq + 1), "other-%d" % seq, "b00t", "b00t-", "b00t-x", "b00t--1", "-", "", "b00t-²",
                 "b00t-" + "9" * 400, "b00t-1.0", str(seq)):
        stream = bench.stream(last=last)
        assert [row[1] for row in stream.events()] == ["snapshot"], last
    assert bench.stream(last="b00t-%d" % seq).events() == []


def test_further_behind_than_is_remembered():
    bench = Bench()
    last = bench.stream().events()[-1][0]
    slow = bench.stream(takes=0)
    for _ in range(REMOVALS_KEPT + 100):
        bench.wireguard.peer("wg0", key(99))
        bench.read()
        bench.drop(key(99))
    assert [row[1] for row in bench.stream(last=last).events()] == ["snapshot"]
    slow.read()
    assert slow.closed, "it comes again, and gets a snapshot"


def many(bench, count):
    for number in range(count):
        bench.wireguard.peer("wg0", key(100 + number), endpoint=HOME, allowed_ips=("10.1.0.%d/32" % number,))
    bench.read()


def test_a_snapshot_waits_for_its_reader():
    bench = Bench()
    many(bench, 120)
    stream = bench.stream(takes=0)
    assert stream.most < 2 * 16384, stream.most
    reads = 0
    while stream.pending:
        stream.read(7000)
        reads += 1
        assert stream.most < 2 * 16384 and reads < 100
    rows = stream.events()
    assert [row[1] for row in rows] == ["snapshot"] and len(rows[0][2]["peers"]) == 122


def test_a_reader_that_never_reads_costs_nothing():
    bench = Bench()
    stream, other = bench.stream(takes=0), bench.stream()
    other.events()
    for port in range(1, 400):
        bench.hear(PHONE, "203.0.113.31:%d" % port)
    assert stream.pending < 2 * 16384 and len(other.events()) == 399
    stream.read()
    stream.read()
    rows = stream.events()
    assert rows[-1][2]["endpoint"] == "203.0.113.31:399"
    assert len(rows) < 100, "what was overtaken is skipped"


def test_nothing_is_missed_wherever_the_connection_breaks():
    """A slow reader whose connection breaks anywhere comes again with the last id that it got."""
    bench = Bench()
    begin = bench.stream().events()[-1][0]
    many(bench, 60)
    for stop in range(0, 70, 3):
        stream = bench.stream(last=begin, takes=9000)
        model = {}
        got = []
        for number in range(stop):  # overtaken while they are on their way
            bench.wireguard.hear("wg0", key(100 + (number * 7) % 60), "203.0.113.32:%d" % (number + 1))
            bench.read()
            if number == 30 and key(100) in bench.wireguard.devices["wg0"].peers:
                bench.drop(key(100))
                many(bench, 1)
        if stop % 2:
            stream.read(100)
            stream.pending = 0  # it breaks here
        else:
            stream.read()
        for _ in range(2):
            got = stream.events()
            for identifier, event, value in got:
                assert event != "peer" or identifier == "b00t-%d" % value["seq"], "what was overtaken comes in its turn"
                model[value["public_key"]] = value.get("endpoint") if event == "peer" else None
            stream.close()
            bench.loop.advance(1)
            stream = bench.stream(last=got[-1][0] if got else begin)
        stream.close()
        entries = bench.publisher.registry.entries
        for number in range(60):
            assert model.get(key(100 + number)) == entries[key(100 + number)].endpoint, (stop, number)


def test_ages_are_true_when_they_are_sent():
    bench = Bench()
    last = bench.stream().events()[-1][0]
    bench.hear(PHONE)
    assert bench.stream(last=last).events()[0][2]["seen_age"] == 0.0
    bench.loop.advance(5000)
    assert bench.stream(last=last).events()[0][2]["seen_age"] == 5.0


def test_a_peer_that_is_gone_before_the_snapshot_is_out():
    bench = Bench()
    many(bench, 100)
    stream = bench.stream(takes=0)
    bench.wireguard.add("wg0", ifindex=8)
    for peer in (ROUTER, SHED):
        bench.wireguard.peer("wg0", peer, allowed_ips=("10.0.0.1/32",))
    bench.read()
    for _ in range(20):
        stream.read()
    rows = stream.events()
    assert rows[0][1] == "snapshot" and set([row[1] for row in rows[1:]]) == set(["removed"])
    assert len([row for row in rows if row[1] == "removed"]) == 102


def test_one_change_is_put_into_words_once():
    bench = Bench()
    streams = [bench.stream() for _ in range(20)]
    calls = []
    original = api.describe
    api.describe = lambda entry, now: calls.append(entry) or original(entry, now)
    try:
        bench.hear(PHONE)
    finally:
        api.describe = original
    assert len(calls) == 1
    for stream in streams:
        assert [row[1] for row in stream.events()] == ["snapshot", "peer"]


def test_heartbeats():
    bench = Bench()
    stream, stuck = bench.stream(), bench.stream(takes=0)
    stream.events()
    before = len(stuck.got)
    bench.loop.advance(api.HEARTBEAT_MS)
    assert stream.got.startswith(b":") and stream.got.endswith(b"\n\n") and stream.events() == []
    assert len(stuck.got) == before, "it has something to read"
    bench.loop.advance(10 * api.HEARTBEAT_MS)
    assert stream.got.count(b":") == 10
    stream.close()
    stuck.close()
    bench.loop.advance(2 * api.HEARTBEAT_MS)
    assert bench.loop._timers.next_ms() is None, "no reader, no heartbeat"
    again = bench.stream()
    again.events()
    bench.loop.advance(api.HEARTBEAT_MS)
    assert again.got


def test_no_heartbeat_within_an_event():
    bench = Bench()
    many(bench, 120)
    stream = bench.stream()
    assert not stream.pending
    for _ in range(5):
        bench.api._heartbeat()
        bench.loop.advance(0)
    rows = stream.events()
    assert [row[1] for row in rows] == ["snapshot"] and len(rows[0][2]["peers"]) == 122


def test_restart_sends_everyone_back():
    bench = Bench()
    streams = [bench.stream() for _ in range(3)]
    bench.api.restart()
    assert [stream.closed for stream in streams] == [True] * 3
    bench.hear(PHONE)
    bench.loop.advance(1)
    assert bench.api.subscribers() == 0
