"""reach.py: announcing a port and having it probed, and what cannot be done to others with it."""
import json

from helpers import Skip, drive
from test_api import HOME, HOST, LAPTOP, LAPTOP_IP, PHONE, ROUTER, ROUTER_IP, TOKENS, Bench
from test_syscalls import free_port_pair

from wgp2p import compat, http, reach
from wgp2p.loop import READ, Loop
from wgp2p.outside import FILTERED, MAGIC, OPEN_HERE, REWRITTEN, Outside
from wgp2p.registry import describe

NONCE = "00ff" * 8
HOME_IP = "203.0.113.31"


class World(Bench):
    """An Api whose probes are kept in `sent`: (ip, port, datagram)."""

    def __init__(self):
        Bench.__init__(self)
        self.sent, self.error = [], None
        self._send = reach._send
        reach._send = self._keep

    def __enter__(self):
        return self

    def __exit__(self, *error):
        reach._send = self._send

    def _keep(self, ip, port, datagram):
        if self.error is not None:
            raise OSError(self.error)
        self.sent.append((ip, port, datagram))

    def post(self, path, said, ip=ROUTER_IP, peer=ROUTER):
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return self.ask("/api/" + path, ip, TOKENS[peer], "POST", body=body)

    def announce(self, port, ttl=600, ip=ROUTER_IP, peer=ROUTER):
        return self.post("endpoint", {"port": port, "ttl": ttl}, ip, peer)

    def probe(self, port, ip=ROUTER_IP, peer=ROUTER, nonce=NONCE):
        return self.post("probe", {"port": port, "nonce": nonce}, ip, peer)

    def row(self, peer):
        return describe(self.publisher.registry.entries[peer], self.loop.now())


# -- what can be asked ------------------------------------------------------------------------------

def test_the_port_that_is_seen_is_probed():
    with World() as world:
        world.hear(ROUTER)
        answer = world.probe(36906)
        assert answer.status == 200 and answer.value() == {"endpoint": HOME}
        assert world.sent == [(HOME_IP, 36906, MAGIC + b"\0\xff" * 8)]
        world.hear(ROUTER, "[2001:db8::7]:51820")
        assert world.probe(51820).value() == {"endpoint": "[2001:db8::7]:51820"}
        assert world.sent[1][:2] == ("2001:db8::7", 51820)


def test_a_port_that_is_announced_is_probed_while_it_is():
    with World() as world:
        world.hear(ROUTER)
        assert world.probe(51820).status == 409 and world.sent == []
        assert world.announce(51820).value() == {"endpoint": HOME_IP + ":51820"}
        assert world.probe(51820).status == 200 and world.sent[0][:2] == (HOME_IP, 51820)
        assert world.announce(0).value() == {"endpoint": None}
        assert world.probe(51820).status == 409
        world.announce(51821, 30)
        assert world.probe(51821).status == 200
        world.loop.advance(30000)
        world.read()
        assert world.probe(51821).status == 409
        world.announce(51822)
        world.hear(ROUTER, "198.51.100.4:36906")
        assert world.probe(51822).status == 409, "what was mapped is mapped where it was"
        assert len(world.sent) == 2


def test_others_are_told_of_a_clients_port_and_of_no_devices():
    with World() as world:
        for peer in (ROUTER, LAPTOP):
            world.hear(peer)
        world.announce(51820, 600, LAPTOP_IP, LAPTOP)
        world.announce(51821)
        rows = [(world.row(peer)["endpoint"], world.row(peer)["announced"]) for peer in (LAPTOP, ROUTER)]
        assert rows == [(HOME_IP + ":51820", HOME_IP + ":51820"), (HOME, HOME_IP + ":51821")]


def test_nobody_knows_where_it_is():
    with World() as world:
        assert world.announce(51820).status == 409 and world.probe(51820).status == 409
        world.publisher.registry.restore(ROUTER, HOME)
        assert world.probe(36906).status == 409 and world.sent == [], "remembered: others may be there by now"


def test_what_is_no_request():
    with World() as world:
        world.hear(ROUTER)
        for body in (b"", b"{", b"[]", b"7", b"null", b"\xff", b"[" * 5000):
            for path in ("endpoint", "probe"):
                assert world.post(path, body).status == 400, (path, body)
        for port in (None, True, False, "51820", 51820.0, -1, 1, 1023, 65536, 1 << 70, [51820], {}):
            assert world.announce(port).status == 400, port
        for ttl in (None, True, "600", 600.0, 29, 0, -600, 7201, 1 << 70):
            assert world.announce(51820, ttl).status == 400, ttl
        for port in (None, True, "36906", 36906.0, 0, -1, 65536, 36906 + 65536):
            assert world.probe(port).status == 400, port
        for nonce in (None, "", 7, "00" * 15, "00" * 17, "0g" * 16, "-" + "0" * 31, " " + "0" * 31, "0x" + "0" * 30,
                      "٠" * 32, "0" * 16 + "\n" + "0" * 15, ["0"] * 32):
            assert world.probe(36906, nonce=nonce).status == 400, nonce
        assert world.sent == [] and world.row(ROUTER)["announced"] is None


def test_it_cannot_be_sent():
    with World() as world:
        world.hear(ROUTER)
        world.error = 101
        answer = world.probe(36906)
        assert answer.status == 409 and "101" in answer.value()["error"]


# -- what cannot be done to others --------------------------------------------------------------------

def test_nothing_is_sent_to_a_third_party():
    """Whatever the asker says: only its own address, and there only the port that is seen or announced."""
    with World() as world:
        for peer, endpoint in ((ROUTER, HOME), (PHONE, "198.51.100.1:1000"), (LAPTOP, HOME_IP + ":40000")):
            world.hear(peer, endpoint)
        world.announce(51820)
        for more in ({"ip": "198.51.100.1"}, {"address": "198.51.100.1"}, {"endpoint": "198.51.100.1:1000"},
                     {"host": "198.51.100.1"}, {"public_key": PHONE}, {"peer": PHONE}):
            world.announce(51820)
            world.post("probe", dict(more, port=51820, nonce=NONCE))
            world.post("endpoint", dict(more, port=51820, ttl=600))
            world.post("probe", dict(more, port=36906, nonce=NONCE))
            world.loop.advance(60000)
            world.hear(ROUTER)
        assert len(world.sent) == 12
        for port in (1000, 40000):  # of the others, one of them behind the same address
            assert world.probe(port).status == 409, port
        world.announce(51820, 600, LAPTOP_IP, LAPTOP)
        world.announce(0)
        assert world.probe(51820).status == 409, "the laptop's announcement is the laptop's"
        assert set([row[:2] for row in world.sent]) == set([(HOME_IP, 51820), (HOME_IP, 36906)])
        assert world.row(PHONE)["endpoint"] == "198.51.100.1:1000"


def test_what_is_sent_is_less_than_what_was_asked():
    with World() as world:
        world.hear(ROUTER)
        world.probe(36906)
        # The least that a request can be; TCP's own packets come on top of it.
        body = b'{"port":1,"nonce":"' + NONCE.encode() + b'"}'
        request = http.request("POST", "/api/probe", HOST, {"Authorization": "Bearer " + "r" * 32}, body)
        assert len(world.sent) == 1 and 28 + len(world.sent[0][2]) < len(request) // 3


def test_one_peer_may_not_ask_often():
    with World() as world:
        world.hear(ROUTER)
        world.hear(LAPTOP)
        answers = [world.probe(36906).status for _ in range(1000)]
        assert answers == [200] * 8 + [429] * 992 and len(world.sent) == 8
        assert world.announce(51820).status == 429, "an announcement is heard by everybody, and counts as well"
        assert world.announce(0).status == 200, "it can be taken back at any time"
        assert world.probe(36906, LAPTOP_IP, LAPTOP).status == 200, "others may"
        for _ in range(3600):
            world.loop.advance(1000)
            world.probe(36906)
        assert 9 + 715 <= len(world.sent) <= 9 + 720


def test_all_together_may_not_ask_often():
    bucket = reach.Bucket(64, 100)
    taken = 0
    for now in range(0, 60000, 5):
        if bucket.has(now):
            bucket.take(now)
            taken += 1
    assert taken == 64 + 599
    with World() as world:
        world.hear(ROUTER)
        empty = reach.Reach(world.loop, world.publisher)
        while empty._all.has(world.loop.now()):
            empty._all.take(world.loop.now())
        asker = world.publisher.registry.entries[ROUTER]
        for answer in (empty.probe, empty.announce):
            said = json.dumps({"port": 36906, "nonce": NONCE, "ttl": 600}).encode()
            assert answer(asker, said)[0] == 429 and world.sent == []
        world.loop.advance(100)
        assert empty.probe(asker, said)[0] == 200


# -- on the wire --------------------------------------------------------------------------------------

def test_a_fresh_port_each_time():
    loop, got = Loop(), []
    sock, port = free_port_pair()
    loop.watch(sock.fileno(), READ, lambda _: got.append(sock.recvfrom(100)))
    for _ in range(2):
        reach._send("127.0.0.1", port, MAGIC + b"\0" * 16)
    drive(loop, lambda: len(got) == 2)
    assert [data for data, _ in got] == [MAGIC + b"\0" * 16] * 2
    assert compat.sockaddr_text(got[0][1])[1] != compat.sockaddr_text(got[1][1])[1]
    loop.unwatch(sock.fileno())
    sock.close()


class DirectLink:
    """A link.Link that asks an Api without a network."""

    def __init__(self, bench, loop):
        self._bench, self._loop = bench, loop
        self.you = bench.publisher.registry.entries[ROUTER].endpoint

    def announce(self, port, ttl_s, done):
        self._ask("endpoint", {"port": port, "ttl": ttl_s}, done)

    def probe(self, port, nonce, done):
        self._ask("probe", {"port": port, "nonce": nonce}, done)

    def _ask(self, path, said, done):
        answer = self._bench.ask("/api/" + path, method="POST", body=json.dumps(said).encode())
        self._loop.call_later(0, done, "" if answer.status == 200 else answer.value()["error"])


def test_from_the_publisher_to_the_device():
    """Both halves, with the kernel's sockets between them."""
    loop, bench = Loop(), Bench()
    sock, port = free_port_pair()
    for seen, listens, external, verdict in ((port, port, port, OPEN_HERE), (port + 1, port, port, OPEN_HERE),
                                             (port, port + 1, port, FILTERED), (port + 1, port + 1, port, REWRITTEN)):
        bench.hear(ROUTER, "127.0.0.1:%d" % seen)
        told, outside = [], Outside(loop, listens)
        outside.verify([DirectLink(bench, loop)], external, lambda *row: told.append(row))
        drive(loop, lambda: told)
        if "heard" in told[0][1]:
            raise Skip(told[0][1])
        assert told == [(verdict, "")]
        bench.loop.advance(60000)
        bench.read()
    sock.close()
