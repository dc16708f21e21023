"""HTTP client on the reactor: one request and its whole answer (`get`), or an event stream (`Stream`).

Both go to an address in text and a port, or to a UNIX socket: then the path of the socket stands for the address
and the port is None. No callback comes before the call that asks for it has returned, and none after `close()`.
"""
import errno

from .addr import format_endpoint
from .compat import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    EADDRNOTAVAIL,
    EINPROGRESS,
    ENETDOWN,
    ENETUNREACH,
    EPIPE,
    IPPROTO_TCP,
    SOCK_STREAM,
    TCP_NODELAY,
    bind_to_device,
    is_again,
    open_socket,
    sockaddr,
    sockaddr_unix,
)
from .http import HttpError, ResponseReader, request
from .loop import READ, WRITE
from .sse import Parser, SseError

_PIECE = 4096
_MAX_ERROR_BODY = 65536
_WORDS = {
    errno.ECONNREFUSED: "connection refused, nothing listens there",
    errno.ECONNRESET: "the other side broke the connection",
    EPIPE: "the other side broke the connection",
    errno.EHOSTUNREACH: "no route to the host",
    ENETUNREACH: "the network is unreachable",
    ENETDOWN: "the network is down",
    EADDRNOTAVAIL: "no address of this machine to connect from",
    errno.ETIMEDOUT: "no answer",
    errno.ENODEV: "no such interface",
    errno.ENOENT: "no such socket, nothing listens there",
    errno.EACCES: "permission denied",
    errno.EPERM: "not permitted",
    errno.EAGAIN: "too busy to take another connection",  # a UNIX socket
}


def words(error):
    """What an OSError means, for a person."""
    number = error.args[0]
    return _WORDS.get(number) or "%s (errno %s)" % (error.args[1] if len(error.args) > 1 else "failed", number)


def get(loop, ip, port, path, headers, done, timeout_ms, device=None, max_body=65536, method="GET", body=b""):
    """Ask for `path` and call `done(response, None)` with an http.Response of any status and its whole body, or
    `done(None, text)`: no connection, no answer within `timeout_ms`, not HTTP, a body of more than `max_body`
    bytes. `headers`: dict or None; `device`: the interface to go through. Gives an object whose `close()` ends it
    without a call."""
    return _Get(loop, ip, port, request(method, path, _host(ip, port), headers or None, body), done, timeout_ms,
                device, max_body)


class Stream:
    """An event stream. Calls `on_head(response)` once: status 200 and the stream begins, or any other answer with
    its body; then `on_event(event)` for each sse.Event; and `on_close(text)` when it ended or never began, in
    which case there was no `on_head`. `last_byte_ms`: when something came last (loop time), heartbeats included;
    the caller watches it. `timeout_ms` is for the time until the head; `max_event` is in bytes."""

    def __init__(self, loop, ip, port, path, headers, on_head, on_event, on_close, device=None, timeout_ms=5000,
                 max_event=1048576):
        fields = {"Accept": "text/event-stream"}
        fields.update(headers or {})
        self.last_byte_ms = loop.now()
        self._loop = loop
        self._on_head = on_head
        self._on_event = on_event
        self._on_close = on_close
        self._reader = ResponseReader(None)
        self._parser = Parser(max_event)
        self._response = None  # once its head is there
        self._begun = False
        self._size = 0  # bytes of an answer that is no stream
        self._link = _Link(loop, ip, port, request("GET", path, _host(ip, port), fields), self, timeout_ms, device)

    def close(self):
        """End it; no callback comes any more."""
        self._link.close()

    def received(self, data):
        self.last_byte_ms = self._loop.now()
        body = self._reader.feed(data)
        if self._reader.head and not self._response:
            self._begin()
        if self._begun:
            for event in self._parser.feed(body):
                if not self._link.closed:
                    self._on_event(event)
        elif self._response:
            if len(self._response.body) + len(body) > _MAX_ERROR_BODY:
                raise HttpError(413, "the answer is larger than %d bytes" % _MAX_ERROR_BODY)
            self._response.body += body
        if self._reader.done and not self._link.closed:
            self._finish()

    def _begin(self):
        self._response = self._reader.head
        if self._response.status != 200:
            return
        kind = self._response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            raise HttpError(400, "what is served there is no event stream")
        self._begun = True
        self._link.no_timeout()
        self._on_head(self._response)

    def ended(self):
        self._reader.end()
        self._finish()

    def _finish(self):
        """The answer is whole: an error's body, or a stream that the server has ended."""
        if not self._begun:
            self._link.no_timeout()
            self._on_head(self._response)
        if not self._link.closed:
            self._link.fail("the server ended the stream" if self._begun else "the server has no stream for us")

    def failed(self, text):
        self._link.close()
        self._on_close(text)


class _Get:
    """What stands behind `get`."""

    def __init__(self, loop, ip, port, out, done, timeout_ms, device, max_body):
        self._done = done
        self._body = bytearray()  # not a list: who sends a byte at a time would fill memory with objects
        self._reader = ResponseReader(max_body)
        self._link = _Link(loop, ip, port, out, self, timeout_ms, device)

    def close(self):
        """Forget it; `done` is not called any more."""
        self._link.close()

    def received(self, data):
        self._body += self._reader.feed(data)
        if self._reader.done:
            self._finish()

    def ended(self):
        self._reader.end()
        self._finish()

    def _finish(self):
        response = self._reader.head
        response.body = bytes(self._body)
        self._link.close()
        self._done(response, None)

    def failed(self, text):
        self._link.close()
        self._done(None, text)


class _Link:
    """A connection that sends the request and hands what comes to its owner: `received(data)`, `ended()` when the
    server closes, `failed(text)`. What of HttpError and SseError the owner raises comes back to it as `failed`."""

    def __init__(self, loop, ip, port, out, owner, timeout_ms, device):
        self._loop = loop
        self._owner = owner
        self._out = out
        self._sock = None
        self._where = ip if port is None else format_endpoint(ip, port)
        self.closed = False
        self._timer = loop.call_later(timeout_ms, self._too_late, timeout_ms)
        try:
            self._connect(ip, port, device)
        except OSError as error:
            self._loop.call_later(0, self.fail, words(error))
        except ValueError as error:  # no address, or a path that is too long
            self._loop.call_later(0, self.fail, str(error))

    def _connect(self, ip, port, device):
        family = AF_UNIX if port is None else AF_INET6 if ":" in ip else AF_INET
        address = sockaddr_unix(ip) if port is None else sockaddr(ip, port)
        self._sock = open_socket(family, SOCK_STREAM)
        if port is not None:
            self._sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        if device:
            bind_to_device(self._sock, device)
        try:
            self._sock.connect(address)
        except OSError as error:
            if error.args[0] != EINPROGRESS:
                raise
        self._loop.watch(self._sock.fileno(), WRITE, self._writable)

    def close(self):
        """Close at once; the owner hears nothing more."""
        if self.closed:
            return
        self.closed = True
        self.no_timeout()
        if self._sock:
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()

    def no_timeout(self):
        """The answer came in time."""
        self._timer.cancel()

    def fail(self, text):
        """Tell the owner that it is over, unless it has closed."""
        if not self.closed:
            self._owner.failed(self._where + ": " + text)

    def _too_late(self, timeout_ms):
        self.fail("no answer within %s s" % (timeout_ms / 1000))

    def _writable(self, _events):
        """Connected, or not: the first send says why."""
        try:
            count = self._sock.send(self._out)
        except OSError as error:
            if not is_again(error):
                self.fail(words(error))
            return
        self._out = self._out[count:]
        if not self._out:
            self._loop.watch(self._sock.fileno(), READ, self._readable)

    def _readable(self, _events):
        try:
            data = self._sock.recv(_PIECE)
        except OSError as error:
            if not is_again(error):
                self.fail(words(error))
            return
        try:
            if data:
                self._owner.received(data)
            else:
                self._owner.ended()
        except (HttpError, SseError) as error:
            self.fail(str(error))
        except MemoryError:
            self.fail("the answer does not fit into memory")


def _host(ip, port):
    """The Host header's value."""
    return "localhost" if port is None else format_endpoint(ip, port)
