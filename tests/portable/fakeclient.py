"""client.py without a network: requests are kept, and a test answers them."""
import json

from wgp2p import http, sse


class FakeClient:
    """Stands for the module client. `streams` and `gets`: what was asked for, the newest last."""

    def __init__(self):
        self.streams = []
        self.gets = []
        self._loop = None

    def Stream(self, loop, ip, port, path, headers, on_head, on_event, on_close, device=None):
        stream = FakeStream(loop, path, headers, device, on_head, on_event, on_close)
        stream.where = (ip, port)
        self.streams.append(stream)
        return stream

    def get(self, loop, ip, port, path, headers, done, timeout_ms, device=None, max_body=65536, method="GET", body=b""):
        request = FakeGet(path, headers, device, done, method, body)
        request.where = (ip, port)
        self.gets.append(request)
        return request

    def open(self):
        """What is open now, streams and requests: never more than one for a Link."""
        return [one for one in self.streams + self.gets if not one.closed]


class FakeGet:
    def __init__(self, path, headers, device, done, method, body):
        http.request(method, path, "x", headers, body)  # raises ValueError as the real one does
        self.path, self.headers, self.device = path, headers, device
        self.method, self.body = method, body
        self.closed = False
        self._done = done

    def close(self):
        self.closed = True

    def answer(self, status, body):
        """A whole answer; `body`: bytes, or a value that becomes JSON."""
        assert not self.closed
        self.closed = True
        response = http.Response(status, {})
        response.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._done(response, None)

    def fail(self, text="no answer within 5 s"):
        assert not self.closed
        self.closed = True
        self._done(None, text)


class FakeStream:
    def __init__(self, loop, path, headers, device, on_head, on_event, on_close):
        http.request("GET", path, "x", headers)
        self.path, self.headers, self.device = path, headers, device
        self.closed = False
        self.last_byte_ms = loop.now()
        self._loop = loop
        self._on_head, self._on_event, self._on_close = on_head, on_event, on_close
        self._id = ""

    def close(self):
        self.closed = True

    def begin(self):
        """The server accepts."""
        self.beat()
        self._on_head(http.Response(200, {}))

    def beat(self):
        """A heartbeat."""
        assert not self.closed
        self.last_byte_ms = self._loop.now()

    def say(self, name, value, identifier=None):
        """An event; `value`: text, or a value that becomes JSON."""
        self.beat()
        if identifier is not None:
            self._id = identifier
        text = value if isinstance(value, str) else json.dumps(value)
        self._on_event(sse.Event(self._id, name, text))

    def refuse(self, status, body=b""):
        """Another answer than 200: its head and body, then the end unless the other side has closed."""
        assert not self.closed
        response = http.Response(status, {})
        response.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._on_head(response)
        if not self.closed:
            self.end("the server has no stream for us")

    def end(self, text="the server ended the stream"):
        assert not self.closed
        self.closed = True
        self._on_close(text)
