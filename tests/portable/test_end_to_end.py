"""A publisher and a subscriber over real sockets on loopback; only WireGuard itself is a fake. And what the original
project's scripts send and understand, from their recorded exchanges."""
import json

from fakewg import FakeWireGuard, key
from folders import new_folder
from helpers import FakeRelay, FakeSweeper, Listener, drive

from wgp2p import client, compat, config, link, log, publisher, subscriber
from wgp2p.compat import sockaddr
from wgp2p.files import device_token, write_private
from wgp2p.loop import READ, WRITE, Loop
from wgp2p.publisher import Publisher
from wgp2p.subscriber import Subscriber

ROUTER, PHONE, SERVER = key(1), key(2), key(9)
OLD, NEW = "203.0.113.31:36906", "198.51.100.9:1234"
PORT = 20000 + compat.random_below(10000)
GOLDEN = (__file__.rpartition("/")[0] or ".") + "/../golden/original.json"


class Bench:
    """Both roles on one loop: the public server's WireGuard is `there`, the remote device's is `here`."""

    def __init__(self, token=None):
        self.folder = new_folder()
        self.loop = Loop()
        self.here, self.there = FakeWireGuard(), FakeWireGuard()
        self.logged = []
        self._saved = [(publisher, name, getattr(publisher, name)) for name in (
            "Conntrack", "Initiations", "Relay", "listen_tcp")]
        self._saved += [(link, "client", link.client), (subscriber, "addresses", subscriber.addresses),
                        (subscriber.probe, "send", subscriber.probe.send), (log, "_write", log._write)]
        publisher.Conntrack = publisher.Initiations = self._none
        publisher.Relay = FakeRelay
        listen = publisher.listen_tcp
        publisher.listen_tcp = lambda ip, port, device: listen(ip, port)
        link.client = self
        subscriber.addresses = lambda: []
        subscriber.probe.send = lambda interface, ip: None
        log._write = lambda level, text: self.logged.append(text)
        self.there.add("wg0")
        self.there.peer("wg0", ROUTER, allowed_ips=("127.0.0.1/32",), endpoint="192.0.2.4:51820")
        self.there.peer("wg0", PHONE, allowed_ips=("10.0.0.2/32",))
        self.here.add("wg0")
        self.here.peer("wg0", SERVER, allowed_ips=("127.0.0.0/8",), endpoint="192.0.2.1:51820")
        self.here.peer("wg0", PHONE, allowed_ips=("10.0.0.2/32",))
        self.token = device_token(self.folder, "router")
        write_private(self.folder + "/token", token or self.token)
        found = self.config("config publisher\n option interface 'wg0'\n list address '127.0.0.1'\n option port '%d'\n"
                            "config peer\n option public_key '%s'\n option name 'router'\n option device '1'\n"
                            % (PORT, ROUTER))
        self.publisher = Publisher(self.loop, self.there, found, found.publishers[0], Listener())
        found = self.config("config subscriber 'home'\n option interface 'wg0'\n option publisher '127.0.0.1'\n"
                            " option port '%d'\n" % PORT)
        self.subscriber = Subscriber(self.loop, self.here, found, "wg0", found.subscribers, Listener(),
                                     FakeSweeper())

    def config(self, text):
        return config.parse("config wgp2p\n option keep_dir '%s'\n option state_dir '%s/state'\n" % (
            self.folder, self.folder) + text)

    def _none(self, loop, port, callback):
        raise OSError(1)

    def Stream(self, loop, ip, port, path, headers, on_head, on_event, on_close, device=None):
        return client.Stream(loop, ip, port, path, headers, on_head, on_event, on_close)

    def get(self, loop, ip, port, path, headers, done, timeout_ms, device=None, max_body=65536):
        return client.get(loop, ip, port, path, headers, done, timeout_ms, None, max_body)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.subscriber.close()
        self.publisher.close()
        for module, name, value in self._saved:
            setattr(module, name, value)

    @property
    def link(self):
        return self.subscriber.servers["home"].link

    def hear(self, endpoint):
        self.there.hear("wg0", PHONE, endpoint)
        self.publisher.look()

    def until(self, condition, ms=5000):
        drive(self.loop, condition, ms)

    def raw(self, data):
        """What the server answers to these bytes."""
        sock = compat.open_socket(compat.AF_INET, compat.SOCK_STREAM)
        got, ended, out = [], [], [data]

        def ready(events):
            try:
                if events & WRITE and out[0]:
                    out[0] = out[0][sock.send(out[0]):]
                    self.loop.watch(sock.fileno(), WRITE if out[0] else READ, ready)
                    return
                piece = sock.recv(4096)
            except OSError as error:
                if not compat.is_again(error):
                    ended.append(1)
                return
            got.append(piece)
            if not piece:
                ended.append(1)

        try:
            sock.connect(sockaddr("127.0.0.1", PORT))
        except OSError as error:
            assert error.args[0] == compat.EINPROGRESS
        self.loop.watch(sock.fileno(), WRITE, ready)
        try:
            self.until(lambda: ended)
        finally:
            self.loop.unwatch(sock.fileno())
            sock.close()
        return b"".join(got)


def test_a_roam():
    with Bench() as bench:
        bench.until(lambda: bench.link.mode == "events")
        bench.until(lambda: bench.link.you == "192.0.2.4:51820")
        bench.hear(OLD)
        bench.until(lambda: bench.here.get("wg0", PHONE).endpoint == OLD)
        bench.here.hear("wg0", PHONE, OLD)
        bench.until(lambda: bench.subscriber.paths[PHONE].state == "direct")
        bench.hear(NEW)
        began = bench.loop.now()
        bench.until(lambda: bench.here.get("wg0", PHONE).endpoint == NEW)
        assert bench.loop.now() - began < 1000
        assert not [text for text in bench.logged if "internal" in text], bench.logged


def test_reload_of_the_publisher():
    with Bench() as bench:
        bench.hear(OLD)
        bench.until(lambda: bench.here.get("wg0", PHONE).endpoint == OLD)
        bench.publisher.configure(bench.publisher.config, bench.publisher.values)
        bench.hear(NEW)
        bench.until(lambda: bench.here.get("wg0", PHONE).endpoint == NEW)


def test_a_publisher_that_restarts():
    with Bench() as bench:
        bench.hear(OLD)
        bench.until(lambda: bench.link.mode == "events" and bench.here.get("wg0", PHONE).endpoint == OLD)
        found, values = bench.publisher.config, bench.publisher.values
        bench.publisher.close()
        bench.until(lambda: bench.link.lost_ms is not None)
        bench.there.peer("wg0", PHONE, endpoint=NEW, rx=10000)
        bench.publisher = Publisher(bench.loop, bench.there, found, values, Listener())
        bench.until(lambda: bench.here.get("wg0", PHONE).endpoint == NEW)


def test_a_wrong_token():
    with Bench(token="x" * 64) as bench:
        bench.until(lambda: "403" in bench.link.problem)
        assert bench.link.problem == "the publisher answers 403: the token is not that of this WireGuard peer"
        assert "x" * 64 not in "".join(bench.logged) and bench.token not in "".join(bench.logged)


def recorded():
    source = open(GOLDEN)
    try:
        return json.loads(source.read())
    finally:
        source.close()


def test_the_originals_subscriber_is_served():
    """Its recorded request, with our token and address in place of those of the recording."""
    with Bench() as bench:
        bench.hear(OLD)
        request = recorded()["subscriber"][0]
        old = [line for line in request.split("\r\n") if line.startswith("Host: ")][0]
        request = request.replace(old, "Host: 127.0.0.1:%d" % PORT).replace("0123456789abcdef" * 4, bench.token)
        head, _, body = bench.raw(request.encode()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and b"application/json" in head, head
        value = json.loads(body.decode())
        # what it reads: peers, and of each public_key, endpoint, latest_handshake
        assert [(row["public_key"], row["endpoint"], row["latest_handshake"]) for row in value["peers"]] == [
            (PHONE, OLD, 1700000000)]
        assert value["interface"] == "wg0" and isinstance(value["fetched_at"], int)
        theirs = json.loads(recorded()["publisher"][0]["answer"].partition("\r\n\r\n")[2])
        assert set(theirs) <= set(value) and set(theirs["peers"][0]) <= set(value["peers"][0])
        for name in theirs["peers"][0]:
            assert type(value["peers"][0][name]) in (type(theirs["peers"][0][name]), type(None)), name


def test_errors_are_json():
    with Bench() as bench:
        host = "Host: 127.0.0.1:%d\r\n" % PORT
        token = "Authorization: Bearer %s\r\n" % bench.token
        for head, status in (("GET /api/peers HTTP/1.1\r\n" + host, 401),
                             ("GET /api/peers HTTP/1.1\r\nHost: evil.example\r\n" + token, 421),
                             ("GET /api/peers HTTP/1.1\r\n" + host + token.replace("Bearer ", "Bearer x"), 403),
                             ("GET /x HTTP/1.1\r\n" + host + token, 404), ("PUT /api/peers HTTP/1.1\r\n" + host + token,
                                                                           405),
                             ("nonsense\r\n", 400), ("GET /api/peers HTTP/1.1\r\nX: " + "x" * 9000 + "\r\n", 431),
                             ("GET /api/peers HTTP/1.1\r\n" + host + token + "Content-Length: 99999999\r\n", 413)):
            answer, _, body = bench.raw((head + "\r\n").encode()).partition(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 %d " % status), (head, answer)
            assert list(json.loads(body.decode())) == ["error"]
