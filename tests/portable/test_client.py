"""client.py against our own server and against servers that say anything at all."""
import gc
import os

from helpers import Skip, drive, raises

from wgp2p import compat, http, sse
from wgp2p.client import Stream, get
from wgp2p.listeners import listen_tcp, listen_unix
from wgp2p.loop import READ, Loop
from wgp2p.server import Server

IP = "127.0.0.1"
PORT = 20000 + compat.random_below(10000)
WHERE = "%s:%d" % (IP, PORT)
OK = b"HTTP/1.1 200 OK\r\n"
EVENTS = OK + b"Content-Type: text/event-stream\r\n\r\n"
CHUNKED = EVENTS[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"


class Scripted:
    """A server that answers whatever it reads with these bytes, and closes then or leaves it open."""

    def __init__(self, loop, data, close):
        self.loop, self.data, self.close_after = loop, data, close
        self.listener = listen_tcp(IP, PORT)
        self.asked = b""
        self.socks = []
        loop.watch(self.listener.fileno(), READ, self.accept)

    def accept(self, _):
        sock, _ = self.listener.accept()
        sock.setblocking(False)
        self.socks.append(sock)
        self.loop.watch(sock.fileno(), READ, lambda _: self.read(sock))

    def read(self, sock):
        try:
            data = sock.recv(4096)
        except OSError:
            data = b""
        self.asked += data
        if data and self.data:
            sock.send(self.data)
        if not data or self.close_after:
            self.drop(sock)

    def drop(self, sock):
        self.socks.remove(sock)
        self.loop.unwatch(sock.fileno())
        sock.close()

    def close(self):
        for sock in list(self.socks):
            self.drop(sock)
        self.loop.unwatch(self.listener.fileno())
        self.listener.close()


class Heard:
    """What the callbacks of a get or a Stream were given."""

    def __init__(self):
        self.answers, self.heads, self.events, self.ends = [], [], [], []

    def done(self, response, error):
        self.answers.append((response, error))

    def head(self, response):
        self.heads.append((response.status, response.body))

    def event(self, event):
        self.events.append((event.id, event.event, event.data))

    def stream(self, loop, **options):
        return Stream(loop, IP, PORT, "/events", {"Last-Event-ID": "b-1"}, self.head, self.event, self.ends.append,
                      **options)


def scripted(data, close, test, *args):
    """Call test(loop, server, heard, ...) with a scripted server; no descriptor may be lost."""
    before = len(os.listdir("/proc/self/fd"))
    loop = Loop()
    count = len(os.listdir("/proc/self/fd")) - before
    server = Scripted(loop, data, close)
    try:
        test(loop, server, Heard(), *args)
    finally:
        server.close()
    assert len(os.listdir("/proc/self/fd")) == before + count, "a descriptor is lost"


def asked(loop, **options):
    """(response, error) of a get."""
    heard = Heard()
    options.setdefault("timeout_ms", 3000)
    get(loop, IP, PORT, "/path?a=1", {"Authorization": "Bearer x"}, heard.done, **options)
    assert not heard.answers, "an answer before the call returned"
    drive(loop, lambda: heard.answers)
    loop.run_once(1)
    assert len(heard.answers) == 1
    return heard.answers[0]


def test_get():
    def test(loop, server, heard):
        response, error = asked(loop)
        assert error is None and response.status == 200 and response.json() == {"a": 1}, error
        assert server.asked.startswith(b"GET /path?a=1 HTTP/1.1\r\n"), server.asked
        assert b"\r\nHost: " + WHERE.encode() + b"\r\n" in server.asked, server.asked
        assert b"Authorization: Bearer x\r\n" in server.asked
    for data, close in ((OK + b"Content-Length: 8\r\n\r\n{\"a\": 1}", False), (OK + b"\r\n{\"a\": 1}", True),
                        (OK + b"Transfer-Encoding: chunked\r\n\r\n8\r\n{\"a\": 1}\r\n0\r\n\r\n", False)):
        scripted(data, close, test)


def test_any_status_is_an_answer():
    def test(loop, server, heard):
        response, error = asked(loop)
        assert error is None and response.status == 403 and response.json() == {"error": "no"}
    scripted(http.response(403, b"{\"error\": \"no\"}"), False, test)


def test_bound_to_a_device():
    loop = Loop()
    try:
        listener = listen_tcp(IP, PORT, "lo")
    except OSError as error:
        assert error.args[0] == 1, error
        raise Skip("needs CAP_NET_RAW")
    server = Server(loop, listener, lambda request, connection: connection.reply(200, {}))
    assert asked(loop, device="lo")[0].status == 200
    server.close()


def test_posting():
    loop = Loop()
    server = Server(loop, listen_tcp(IP, PORT), lambda request, connection: connection.reply(
        200, {"method": request.method, "body": request.json()}))
    response, error = asked(loop, method="POST", body=b"{\"peer\": \"tv\"}")
    assert response.json() == {"method": "POST", "body": {"peer": "tv"}}, error
    server.close()


def test_what_goes_wrong_is_said_in_words():
    def test(loop, server, heard, expected):
        response, error = asked(loop, max_body=1000, timeout_ms=300)
        assert response is None and expected in error and WHERE in error, (expected, error)
    for data, close, expected in (
            (b"", True, "closed without an answer"),
            (b"", False, "no answer within 0.3 s"),
            (OK, False, "no answer within 0.3 s"),
            (OK + b"Content-Length: 9\r\n\r\nx", False, "no answer within 0.3 s"),
            (OK + b"Content-Length: 9\r\n\r\nx", True, "closed in the middle"),
            (OK + b"Content-Length: 1001\r\n\r\n", False, "larger than 1000"),
            (OK + b"\r\n" + b"x" * 1001, False, "larger than 1000"),
            (b"SSH-2.0-OpenSSH\r\n", False, "not an HTTP/1.1 answer"),
            (b"\x15\x03\x01\0\x02", False, "neither printable nor ASCII"),
            (OK + b"A: " + b"a" * 9000, False, "header is larger")):
        scripted(data, close, test, expected)


def test_an_answer_in_tiny_pieces_costs_its_size():
    try:
        from tracemalloc import get_traced_memory, start, stop
    except ImportError:
        def start():
            gc.collect()

        def stop():
            pass

        def get_traced_memory():
            gc.collect()
            return (gc.mem_alloc(),)

    answers = []
    request = get(Loop(), "127.0.0.1", 9, "/", None, lambda *answer: answers.append(answer), 5000)
    request.received(b"HTTP/1.1 200 OK\r\nContent-Length: 60002\r\n\r\n")
    start()
    before = get_traced_memory()[0]
    for number in range(30000):
        request.received(b"%02d" % (number % 100))
    cost = get_traced_memory()[0] - before
    stop()
    assert cost < 200000, cost
    request.received(b"ok")
    assert answers[0][0].body[:6] == b"000102" and answers[0][0].body[-4:] == b"99ok" and answers[0][1] is None


def test_refused():
    loop = Loop()
    response, error = asked(loop)
    assert response is None and error == WHERE + ": connection refused, nothing listens there", error
    heard = Heard()
    heard.stream(loop)
    drive(loop, lambda: heard.ends)
    assert "refused" in heard.ends[0] and not heard.heads


def test_unreachable_and_wrong():
    loop = Loop()
    heard = Heard()
    get(loop, "255.255.255.255", 80, "/", None, heard.done, 3000)
    get(loop, IP, PORT, "/", None, heard.done, 3000, device="wgp2p-none")
    get(loop, "/nonexistent/socket", None, "/", None, heard.done, 3000)
    get(loop, "/" + "x" * 200, None, "/", None, heard.done, 3000)
    assert not heard.answers
    drive(loop, lambda: len(heard.answers) == 4)
    texts = [error for _, error in heard.answers]
    assert "unreachable" in texts[0] or "permi" in texts[0], texts
    assert "no such interface" in texts[1] or "not permitted" in texts[1], texts
    assert texts[2] == "/nonexistent/socket: no such socket, nothing listens there", texts
    assert "longer than 107" in texts[3], texts
    raises(ValueError, get, loop, "name.example", 80, "/", None, heard.done, 3000)
    raises(ValueError, get, loop, IP, 80, "/", {"A": "b\r\nC: d"}, heard.done, 3000)


def test_closing_ends_everything():
    def test(loop, server, heard):
        one = get(loop, IP, PORT, "/", None, heard.done, 100)
        other = heard.stream(loop, timeout_ms=100)
        drive(loop, lambda: server.asked.count(b"\r\n\r\n") == 2)
        one.close()
        other.close()
        refused = get(loop, "/nonexistent", None, "/", None, heard.done, 100)
        refused.close()
        begun = loop.now()
        drive(loop, lambda: loop.now() > begun + 200)
        assert not heard.answers and not heard.ends
    scripted(b"", False, test)


def test_unix_socket():
    path = "/tmp/wgp2p-test-%d" % compat.random_below(1 << 32)
    loop = Loop()
    server = Server(loop, listen_unix(path), lambda request, connection: connection.reply(200, request.headers["host"]))
    heard = Heard()
    get(loop, path, None, "/status", {}, heard.done, 3000)
    drive(loop, lambda: heard.answers)
    assert heard.answers[0][0].json() == "localhost", heard.answers
    server.close()
    get(loop, path, None, "/status", {}, heard.done, 3000)
    drive(loop, lambda: len(heard.answers) == 2)
    assert "refused" in heard.answers[1][1], heard.answers
    os.unlink(path)


# -- streams --------------------------------------------------------------------------------------

def test_stream():
    connections = []

    def handler(request, connection):
        connections.append(connection)
        assert request.headers["last-event-id"] == "b-1" and request.headers["accept"] == "text/event-stream"
        connection.stream()
        connection.send(sse.event("b-2", "snapshot", "{}") + sse.event("b-3", "peer", "Z\u00fcrich"))

    loop = Loop()
    server = Server(loop, listen_tcp(IP, PORT), handler)
    heard = Heard()
    stream = heard.stream(loop, timeout_ms=300)
    assert stream.last_byte_ms <= loop.now()
    drive(loop, lambda: len(heard.events) == 2)
    assert heard.heads == [(200, b"")]
    assert heard.events == [("b-2", "snapshot", "{}"), ("b-3", "peer", "Z\u00fcrich")]
    last = stream.last_byte_ms
    drive(loop, lambda: loop.now() > last + 400)  # the time limit is for the head
    assert stream.last_byte_ms == last and not heard.ends
    connections[0].send(sse.comment("beat"))
    drive(loop, lambda: stream.last_byte_ms > last)
    connections[0].close()
    drive(loop, lambda: heard.ends)
    assert heard.ends == [WHERE + ": the server ended the stream"], heard.ends
    heard = Heard()
    stream = heard.stream(loop)
    drive(loop, lambda: len(heard.events) == 2)
    stream.close()
    drive(loop, lambda: not server.connections)
    assert not heard.ends
    server.close()


def test_streams_that_never_begin():
    def test(loop, server, heard, heads, expected):
        stream = heard.stream(loop, timeout_ms=300)
        drive(loop, lambda: heard.ends)
        assert heard.heads == heads and expected in heard.ends[0] and not heard.events, (heard.heads, heard.ends)
        stream.close()
    for data, close, heads, expected in (
            (http.response(404, b"{}"), False, [(404, b"{}")], "has no stream"),
            (b"HTTP/1.1 401 No\r\n\r\nwho?", True, [(401, b"who?")], "has no stream"),
            (b"HTTP/1.1 401 No\r\n\r\nwho?", False, [], "no answer within"),
            (b"HTTP/1.1 500 No\r\n\r\n" + b"x" * 70000, False, [], "larger than"),
            (OK + b"Content-Type: text/html\r\n\r\n", False, [], "no event stream"),
            (OK + b"\r\n", False, [], "no event stream"),
            (OK, False, [], "no answer within"),
            (b"", True, [], "without an answer"),
            (b"junk\r\n", True, [], "not an HTTP")):
        scripted(data, close, test, heads, expected)


def test_streams_that_break():
    def test(loop, server, heard, events, expected):
        heard.stream(loop, max_event=1000)
        drive(loop, lambda: heard.ends)
        assert heard.heads in ([], [(200, b"")]) and len(heard.events) == events, heard.events
        assert expected in heard.ends[0], heard.ends
    for data, close, events, expected in (
            (EVENTS + b"data: a\n\ndata: b\n", True, 1, "ended the stream"),
            (EVENTS + b"data: a\n\ndata: " + b"b" * 2000, False, 0, "larger than 1000"),
            (EVENTS + b"data: \xff\n\n", False, 0, "not UTF-8"),
            (CHUNKED + b"9\r\ndata: a\n\n\r\n0\r\n\r\n", False, 1, "ended the stream"),
            (CHUNKED + b"9\r\ndata: a\n\n\r\nxyz\r\n", False, 0, "not a chunk")):
        scripted(data, close, test, events, expected)


def test_closing_from_within_a_callback():
    def test(loop, server, heard):
        streams = []

        def close(event):
            heard.event(event)
            streams[0].close()

        streams.append(Stream(loop, IP, PORT, "/", None, heard.head, close, heard.ends.append))
        drive(loop, lambda: heard.events)
        loop.run_once(10)
        assert len(heard.events) == 1 and not heard.ends
        streams[0] = Stream(loop, IP, PORT, "/", None, lambda response: streams[0].close(), close, heard.ends.append)
        begun = loop.now()
        drive(loop, lambda: loop.now() > begun + 100)
        assert len(heard.events) == 1 and not heard.ends
    scripted(EVENTS + b"data: a\n\ndata: b\n\n", True, test)

    def test_404(loop, server, heard):
        streams = []
        streams.append(Stream(loop, IP, PORT, "/", None, lambda response: (heard.head(response), streams[0].close()),
                              heard.event, heard.ends.append))
        drive(loop, lambda: heard.heads)
        loop.run_once(10)
        assert not heard.ends
    scripted(http.response(404), False, test_404)
