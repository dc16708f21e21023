"""server.py with real sockets: answers, streams, and everything that a bad or dead client may do."""
import json
import os

from helpers import drive, raises

from wgp2p import compat, http, log
from wgp2p.compat import sockaddr, sockaddr_unix
from wgp2p.listeners import listen_tcp, listen_unix
from wgp2p.loop import READ, WRITE, Loop
from wgp2p.server import Limits, Server

GET = b"GET /hello?a=1 HTTP/1.1\r\nHost: x\r\n\r\n"
PORT = 20000 + compat.random_below(10000)
FOLDER = "/tmp/wgp2p-test-%d" % compat.random_below(1 << 32)


class Peer:
    """A client by hand: writes when told, and reads what comes unless told not to."""

    def __init__(self, loop, data=b"", reads=True, address=None):
        self.loop = loop
        self.got = b""
        self.ended = None  # "end" or "reset"
        self.out = data
        self.at = 0  # in `out`
        family = compat.AF_INET if address is None else compat.AF_UNIX
        self.sock = compat.open_socket(family, compat.SOCK_STREAM)
        self.reads = reads
        try:
            self.sock.connect(address or sockaddr("127.0.0.1", PORT))
        except OSError as error:
            assert error.args[0] == compat.EINPROGRESS, error
        loop.watch(self.sock.fileno(), READ | WRITE, self.ready)

    def ready(self, events):
        try:
            if events & WRITE and self.out:
                self.at += self.sock.send(memoryview(self.out)[self.at:self.at + 16384])
                if self.at == len(self.out):
                    self.out, self.at = b"", 0
            if events & READ and self.reads:
                data = self.sock.recv(65536)
                if len(self.got) < 100000:
                    self.got += data
                if not data:
                    self.finish("end")
        except OSError as error:
            if not compat.is_again(error):
                self.finish("reset")
            return
        if self.ended is None:
            self.loop.watch(self.sock.fileno(), (READ if self.reads else 0) | (WRITE if self.out else 0) or WRITE,
                            self.ready)
            if not self.reads and not self.out:
                self.loop.unwatch(self.sock.fileno())

    def finish(self, how):
        self.ended = how
        self.loop.unwatch(self.sock.fileno())
        self.sock.close()

    def answer(self):
        """(status, JSON value) of what came."""
        reader = http.ResponseReader(1000000)
        body = reader.feed(self.got)
        reader.end()
        return reader.head.status, json.loads(body.decode())


class Fixture:
    """A server whose handler keeps what it was given."""

    def __init__(self, limits=None, handler=None):
        self.loop = Loop()
        self.asked = []
        self.server = Server(self.loop, listen_tcp("127.0.0.1", PORT), handler or self.handler, limits)
        self.peers = []

    def handler(self, request, connection):
        self.asked.append((request, connection))
        if request.path == "/hello":
            connection.reply(200, {"hello": request.query.get("a"), "size": len(request.body)})

    def peer(self, data=b"", reads=True):
        peer = Peer(self.loop, data, reads)
        self.peers.append(peer)
        return peer

    def drive(self, condition, limit_ms=8000):
        drive(self.loop, condition, limit_ms)

    def close(self):
        for peer in self.peers:
            if peer.ended is None:
                peer.finish("closed")
        self.server.close()
        assert not self.server.connections


def run(test, limits=None, handler=None):
    """Call the test with a Fixture, closed afterwards whatever happens."""
    fixture = Fixture(limits, handler)
    try:
        test(fixture)
    finally:
        fixture.close()


def quietly(call, *args):
    """Without the log lines that the call is expected to write."""
    keep = log._write
    log._write = lambda *_: None
    try:
        call(*args)
    finally:
        log._write = keep


def test_answers():
    def test(f):
        for behind in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100000):
            peer = f.peer(GET + behind)
            f.drive(lambda: peer.ended)
            assert peer.ended == "end", peer.ended
            assert peer.answer() == (200, {"hello": "1", "size": 0})
            assert b"\r\nConnection: close\r\n" in peer.got
        request, connection = f.asked[0]
        assert connection.peer[0] == "127.0.0.1" and connection.peer[1] > 0
        f.drive(lambda: not f.server.connections)
    run(test)


def test_a_request_in_pieces():
    def test(f):
        body = b"x" * 5000
        data = http.request("POST", "/hello", "h", None, body)
        peer = f.peer()
        f.drive(lambda: f.server.connections)
        for at in range(0, len(data), 500):
            peer.out = data[at:at + 500]
            peer.ready(WRITE)
            f.loop.run_once(1)
        f.drive(lambda: peer.ended)
        assert peer.answer() == (200, {"hello": None, "size": 5000})
    run(test)


def test_errors_are_json():
    def handler(request, connection):
        if request.path == "/refuse":
            raise http.HttpError(404, "no such thing")
        raise KeyError("bug")

    def test(f):
        for data, status in ((b"GET /refuse HTTP/1.1\r\nHost: x\r\n\r\n", 404),
                             (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 500),
                             (b"\x16\x03\x01\0\xff" * 100, 400), (b"GET /\r\n", 400),
                             (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
                             (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000, 413),
                             (b"GET /" + b"a" * 100000, 414)):
            peer = f.peer(data)
            f.drive(lambda: peer.ended)
            said, value = peer.answer()
            assert said == status and list(value) == ["error"] and value["error"], (data[:40], said, value)
    quietly(run, test, None, handler)


def test_headers_without_end():
    def test(f):
        peer = f.peer(b"GET / HTTP/1.1\r\nA: " + b"a" * 100000)
        total = [0]
        while not peer.ended and total[0] < 10000000:
            f.loop.run_once(5)
            if not peer.out:
                peer.out = b"a" * 100000
                total[0] += 100000
                if peer.ended is None:
                    f.loop.watch(peer.sock.fileno(), READ | WRITE, peer.ready)
        assert peer.got, "no answer"
        assert peer.answer()[0] == 431
        assert not f.asked
        peer = f.peer(b"GET / HTTP/1.1\r\n")
        for i in range(100):
            peer.out += b"A%d: b\r\n" % i
        f.drive(lambda: peer.ended)
        assert peer.answer()[0] == 431
    run(test)


def test_slow_loris_gets_408():
    def test(f):
        begun = f.loop.now()
        peers = [f.peer(data) for data in (b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: x\r\n")]
        f.drive(lambda: all([peer.ended for peer in peers]))
        assert [peer.answer()[0] for peer in peers] == [408] * 3
        assert 190 <= f.loop.now() - begun < 2000
    run(test, Limits(request_ms=200))


def test_too_many_from_one_address():
    def test(f):
        idle = [f.peer() for _ in range(3)]
        f.drive(lambda: len(f.server.connections) == 3)
        over = f.peer(GET)
        f.drive(lambda: over.ended)
        status, value = over.answer()
        assert status == 429 and "127.0.0.1" in value["error"]
        idle[0].finish("closed")
        f.drive(lambda: len(f.server.connections) == 2)
        again = f.peer(GET)
        f.drive(lambda: again.ended)
        assert again.answer()[0] == 200
    run(test, Limits(per_address=3))


def test_too_many_in_all():
    def test(f):
        for _ in range(4):
            f.peer()
        f.drive(lambda: len(f.server.connections) == 4)
        over = [f.peer(GET) for _ in range(60)]
        f.drive(lambda: all([peer.ended for peer in over]))
        statuses = [peer.answer()[0] for peer in over if peer.got]
        assert len(statuses) >= 32 and set(statuses) == {503}, statuses
        f.drive(lambda: len(f.server.connections) == 4)
        for _ in range(60):  # these do not even take their answer
            f.peer(GET, reads=False)
        begun = f.loop.now()
        most = 0
        while f.loop.now() < begun + 1500:
            f.loop.run_once(20)
            most = max(most, len(f.server.connections))
        assert most == 4 + 32, most
        assert len(f.server.connections) == 4
    run(test, Limits(connections=4, per_address=100))


def test_200_idle_connections_leave_room_for_others():
    def test(f):
        idle = []
        while len(idle) < 200:
            idle += [f.peer() for _ in range(40)]
            f.drive(lambda: len(f.server.connections) == len(idle))
        peer = f.peer(GET)
        f.drive(lambda: peer.ended, 1000)
        assert peer.answer()[0] == 200
        f.drive(lambda: all([one.ended for one in idle]))
        assert [one.answer()[0] for one in idle] == [408] * 200
    run(test, Limits(per_address=300, request_ms=3000))


def test_streams():
    def handler(request, connection):
        log_of.append(connection)
        connection.on_close = closed.append
        connection.stream({"X-A": "b"})
        assert connection.send(b"first\n")
    log_of, closed = [], []

    def test(f):
        peer = f.peer(GET)
        f.drive(lambda: b"first" in peer.got)
        assert b"Content-Type: text/event-stream\r\n" in peer.got and b"X-A: b\r\n" in peer.got
        assert log_of[0].send(b"second\n")
        f.drive(lambda: b"second" in peer.got)
        peer.finish("closed")
        f.drive(lambda: closed)
        assert closed == ["the peer has gone"] and not f.server.connections
        assert log_of[0].closed and not log_of[0].send(b"x")
        log_of[0].close()
        peer = f.peer(GET)
        f.drive(lambda: b"first" in peer.got)
        log_of[1].close("enough")
        assert len(closed) == 1, "on_close came from within close"
        f.drive(lambda: peer.ended and len(closed) == 2)
        assert peer.ended == "end" and closed[1] == "enough"
    run(test, None, handler)


def test_a_reader_that_never_reads_is_dropped_and_delays_nobody():
    def handler(request, connection):
        streams.append(connection)
        connection.on_close = closed.append
        connection.stream()
    streams, closed = [], []

    def test(f):
        dead = f.peer(GET, reads=False)
        f.drive(lambda: len(streams) == 1)
        good = f.peer(GET)
        f.drive(lambda: len(streams) == 2)
        block = b"x" * 16384
        count = 0
        while not closed:
            streams[0].send(block)
            before = len(good.got)
            streams[1].send(b"tick\n")
            count += 1
            assert count < 2000, "the dead reader was never dropped"
            begun = f.loop.now()
            f.drive(lambda: len(good.got) > before)
            assert f.loop.now() - begun < 500
            assert streams[0].pending <= 100000
        assert "too slow" in closed[0] and not streams[1].closed
        assert dead.ended is None
    run(test, Limits(pending=100000), handler)


def test_a_stalled_reader_is_dropped_after_a_while():
    def handler(request, connection):
        connection.on_close = closed.append
        connection.stream()
        while not connection.pending:
            connection.send(b"x" * 65536)
    closed = []

    def test(f):
        peer = f.peer(GET, reads=False)
        peer.sock.setsockopt(compat.SOL_SOCKET, compat.SO_RCVBUF, 4096)
        f.drive(lambda: closed)
        assert closed == ["too slow: nothing read for 1 s"]
    run(test, Limits(stall_ms=1000), handler)


def test_on_drain():
    def handler(request, connection):
        streams.append(connection)
        connection.on_drain = lambda: drained.append(connection.pending)
        connection.stream()
        while not connection.pending:
            connection.send(b"x" * 65536)
    streams, drained = [], []

    def test(f):
        peer = f.peer(GET, reads=False)
        f.drive(lambda: streams)
        assert streams[0].pending and not drained
        peer.reads = True
        f.loop.watch(peer.sock.fileno(), READ, peer.ready)
        f.drive(lambda: drained)
        assert drained == [0]
    run(test, Limits(pending=10000000), handler)


def test_a_later_answer_after_half_close():
    def test(f):
        peer = f.peer(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n")
        f.drive(lambda: f.asked)
        compat.shut_down_output(peer.sock)
        for _ in range(5):
            f.loop.run_once(5)
        connection = f.asked[0][1]
        assert not connection.closed
        connection.reply(200, {"late": True})
        f.drive(lambda: peer.ended)
        assert peer.answer() == (200, {"late": True})
    run(test)


def test_an_answer_to_nobody():
    def test(f):
        peer = f.peer(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n")
        f.drive(lambda: f.asked)
        connection = f.asked[0][1]
        peer.finish("closed")
        for _ in range(5):
            f.loop.run_once(5)
        connection.reply(200, b"x" * 300000)  # EPIPE, and no SIGPIPE kills us
        f.drive(lambda: connection.closed)
        connection.reply(200, {})
        assert not f.server.connections
    run(test)


def test_a_second_answer_is_our_bug():
    def test(f):
        peer = f.peer(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n")
        f.drive(lambda: f.asked)
        connection = f.asked[0][1]
        connection.stream()
        raises(RuntimeError, connection.reply, 200, {})
        raises(RuntimeError, connection.stream)
        peer.finish("closed")
    run(test)


def test_out_of_descriptors():
    """Accepting pauses and goes on when there are descriptors again."""
    def test(f):
        hogs = []
        try:
            peer = f.peer(GET)
            try:
                while True:
                    hogs.append(open("/dev/null", "rb"))
            except OSError as error:
                assert error.args[0] == compat.EMFILE
            begun = f.loop.now()
            rounds = 0
            while f.loop.now() - begun < 300:
                f.loop.run_once(100)
                rounds += 1
            assert rounds < 20 and not f.asked, "the loop spins"
        finally:
            for hog in hogs:
                hog.close()
        f.drive(lambda: peer.ended)
        assert peer.answer()[0] == 200
    quietly(run, test)


def test_ipv6_and_closing():
    def handler(request, connection):
        connection.reply(200, connection.peer[0])

    loop = Loop()
    server = Server(loop, listen_tcp("::", PORT), handler)
    four = listen_tcp("0.0.0.0", PORT)  # the same port: an IPv6 listener takes no IPv4
    four.close()
    sock = compat.open_socket(compat.AF_INET6, compat.SOCK_STREAM)
    try:
        sock.connect(sockaddr("::1", PORT))
    except OSError as error:
        assert error.args[0] == compat.EINPROGRESS
    drive(loop, lambda: server.connections)
    sock.send(GET)
    drive(loop, lambda: not server.connections or list(server.connections)[0]._state == 4)
    assert sock.recv(1000).endswith(b"\r\n\r\n\"::1\"")
    server.close()
    server.close()
    sock.close()
    again = listen_tcp("::1", PORT)  # at once
    taken = raises(OSError, listen_tcp, "::1", PORT)
    again.close()
    assert taken.args[0] == 98 or taken.args[0] == 125
    assert raises(OSError, listen_tcp, "192.0.2.77", PORT).args[0] == compat.EADDRNOTAVAIL


def test_unix_sockets():
    os.mkdir(FOLDER)
    path = FOLDER + "/control"
    try:
        listener = listen_unix(path)
        assert os.stat(path)[0] & 0o777 == 0o600
        raises(OSError, listen_unix, path)
        listener.close()
        listener = listen_unix(path, 0o660)  # the dead one's file is replaced
        assert os.stat(path)[0] & 0o777 == 0o660
        loop = Loop()
        seen = []
        server = Server(loop, listener, lambda request, connection: (seen.append(connection.peer),
                                                                     connection.reply(200, {"ok": 1})))
        peer = Peer(loop, GET, True, sockaddr_unix(path))
        drive(loop, lambda: peer.ended)
        assert peer.answer() == (200, {"ok": 1}) and seen == [None]
        server.close()
        os.unlink(path)
        with open(path, "w") as file:
            file.write("precious")
        raises(OSError, listen_unix, path)
        with open(path) as file:
            assert file.read() == "precious"
        os.unlink(path)
        raises(ValueError, listen_unix, "/tmp/" + "x" * 200)
        busy = compat.open_socket(compat.AF_UNIX, compat.SOCK_STREAM)
        busy.bind(sockaddr_unix(path))
        busy.listen(1)
        callers = []
        try:
            while len(callers) < 100:
                callers.append(compat.open_socket(compat.AF_UNIX, compat.SOCK_STREAM))
                callers[-1].connect(sockaddr_unix(path))
        except OSError as error:
            assert compat.is_again(error), error
        assert raises(OSError, listen_unix, path).args[0] in (98, 125), "a busy program's socket was taken"
        for sock in callers + [busy]:
            sock.close()
    finally:
        for name in os.listdir(FOLDER):
            os.unlink(FOLDER + "/" + name)
        os.rmdir(FOLDER)
    old = compat.umask(0o22)
    compat.umask(old)
    assert old != 0o177


def test_sockets_are_closed():
    """No descriptor is lost over many connections of all kinds."""
    def test(f):
        def round_of_all():
            peers = [f.peer(GET), f.peer(b"\xff"), f.peer(b"GET / HT"), f.peer()]
            f.drive(lambda: peers[0].ended and peers[1].ended and len(f.server.connections) >= 2)
            peers[2].finish("closed")
            peers[3].finish("closed")
            f.drive(lambda: not f.server.connections)
        round_of_all()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            round_of_all()
        assert len(os.listdir("/proc/self/fd")) == before
    run(test)


def test_a_peer_that_vanished_is_given_up_in_half_a_minute():
    """The kernel's part; getsockopt is CPython's alone."""
    if compat.MICROPYTHON:
        return
    seen = []

    class Socket:
        def setsockopt(self, *words):
            seen.append(words)

        def setblocking(self, _):
            pass

        def fileno(self):
            return os.open("/dev/null", os.O_RDONLY)

        def close(self):
            pass

    class Listener(Socket):
        def accept(self):
            if seen:
                raise OSError(compat.EMFILE, "enough")
            return Socket(), ("192.0.2.1", 4000)

    loop = Loop()
    loop.watch = lambda *_: None
    server = Server(loop, Listener(), None)
    server._on_listener(READ)
    assert (compat.IPPROTO_TCP, compat.TCP_USER_TIMEOUT, 30000) in seen
