"""HTTP server on the reactor: connections with limits, answers at once or later, event streams.

The protocol is http.py's. Here is what must hold whoever connects: memory, time and places are bounded, and a
peer that is slow, silent or gone costs the others nothing.

A connection is in one of these states:
    READING    the request comes in          -> WAITING when it is whole, CLOSING when it is refused or late
    WAITING    the handler has the request   -> CLOSING by reply, STREAMING by stream
    STREAMING  an event stream, until either side ends it
    CLOSING    the answer goes out           -> LINGERING
    LINGERING  the answer is out and its end is told; what the peer still sends is thrown away until it closes,
               for a second at most: closing with unread bytes would make the kernel take the answer back
"""
import errno
import json

from . import log
from .compat import (
    EMFILE,
    ENFILE,
    IPPROTO_TCP,
    TCP_NODELAY,
    TCP_USER_TIMEOUT,
    is_again,
    shut_down_output,
    sockaddr_text,
)
from .http import HttpError, RequestReader, response, response_head
from .loop import READ, WRITE

_READING, _WAITING, _STREAMING, _CLOSING, _LINGERING, _CLOSED = range(6)
_ACCEPTS = 16  # in one round of the loop
_PIECE = 4096
_REFUSED_EXTRA = 32  # connections above the limit that are still told why
_LINGER_MS = 1000
_UNACKNOWLEDGED_MS = 30000  # two heartbeats of an event stream
_PAUSE_MS = 1000  # of accepting, when the machine has no descriptors left


class Limits:
    """What a server allows. `pending`: bytes of output that a connection may leave unread."""

    def __init__(self, connections=256, per_address=8, request_ms=5000, stall_ms=10000, pending=1048576):
        self.connections = connections
        self.per_address = per_address
        self.request_ms = request_ms
        self.stall_ms = stall_ms
        self.pending = pending


class Server:
    """Accepts on `listener` (see listeners.py) and calls `handler(request, connection)` for each
    whole request. What the handler raises is answered with 500."""

    def __init__(self, loop, listener, handler, limits=None):
        self.loop = loop
        self.limits = limits or Limits()
        self.handler = handler
        self.connections = set()
        self._listener = listener
        self._per_address = {}
        self._pause = None
        loop.watch(listener.fileno(), READ, self._on_listener)

    def close(self):
        """Accept no more and close every connection."""
        if self._listener:
            if self._pause:
                self._pause.cancel()
            else:
                self.loop.unwatch(self._listener.fileno())
            self._listener.close()
            self._listener = None
        for connection in list(self.connections):
            connection.close("the server stops")

    def _on_listener(self, _events):
        for _ in range(_ACCEPTS):
            try:
                sock, address = self._listener.accept()
            except OSError as error:
                if not is_again(error):
                    self._accept_failed(error)
                return
            sock.setblocking(False)
            peer = sockaddr_text(address)
            if peer[0]:
                sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # an event waits for no acknowledgement
                # A peer that vanished acknowledges nothing: without this the kernel would wait for it for 15 minutes.
                sock.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
            self._welcome(Connection(self, sock, peer))

    def _accept_failed(self, error):
        """Out of descriptors or memory, the listener stays readable: look away for a while. Anything else is
        the fault of the connection that was to be accepted."""
        if error.args[0] in (EMFILE, ENFILE, errno.ENOBUFS, errno.ENOMEM):
            log.warning("no descriptor left for a new connection")
            self.loop.unwatch(self._listener.fileno())
            self._pause = self.loop.call_later(_PAUSE_MS, self._accept_again)

    def _accept_again(self):
        self._pause = None
        self.loop.watch(self._listener.fileno(), READ, self._on_listener)

    def _welcome(self, connection):
        address = connection.peer[0] if connection.peer else None
        here = self._per_address.get(address, 0)
        count = len(self.connections)
        self.connections.add(connection)
        self._per_address[address] = here + 1
        if count >= self.limits.connections + _REFUSED_EXTRA:
            connection.close("too many connections")
        elif count >= self.limits.connections:
            connection.refuse(503, "too many connections")
        elif address and here >= self.limits.per_address:
            connection.refuse(429, "too many connections from " + address)
        else:
            connection.begin()

    def gone(self, connection):
        """Called by a connection that has closed."""
        self.connections.discard(connection)
        address = connection.peer[0] if connection.peer else None
        left = self._per_address.pop(address) - 1
        if left:
            self._per_address[address] = left


class Connection:
    """One client. `peer`: (ip, port), or None on a UNIX socket. `pending`: bytes of output that the kernel has
    not taken yet. A handler may set `on_close(why)`, called once after the connection has closed, and
    `on_drain()`, called when `pending` becomes 0; neither is called from within a call of the handler's own."""

    def __init__(self, server, sock, address):
        self.peer = address if address[0] else None
        self.pending = 0
        self.closed = False
        self.on_close = None
        self.on_drain = None
        self._server = server
        self._loop = server.loop
        self._sock = sock
        self._fd = sock.fileno()
        self._state = _READING
        self._reader = RequestReader()
        self._timer = None  # the request's, later the output's, later the lingering's
        self._out = []  # bytes that are still to be sent
        self._offset = 0  # in the first of them
        self._progress = 0  # when the peer last took something, ms
        self._watched = 0

    # -- for the server -----------------------------------------------------------------------------

    def begin(self):
        """Wait for the request."""
        self._timer = self._loop.call_later(self._server.limits.request_ms, self._too_late)
        self._watch(READ)

    def refuse(self, status, text):
        """Answer with an error whatever is asked, without looking at it."""
        self._state = _WAITING
        self.error(status, text)

    # -- for the handler ----------------------------------------------------------------------------

    def reply(self, status, body=b"", headers=None):
        """Answer, and close when the answer is out. `body`: a value that becomes JSON, or bytes; `headers`: dict.
        Nothing happens when the peer has gone meanwhile. RuntimeError for a second answer."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self._answer(_CLOSING, response(status, body, headers))

    def error(self, status, text):
        """Answer with `{"error": text}`."""
        self.reply(status, {"error": text})

    def stream(self, headers=None):
        """Answer with an event stream: what `send` is given follows, until the peer or `close` ends it."""
        fields = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        fields.update(headers or {})
        self._answer(_STREAMING, response_head(200, fields))

    def send(self, data):
        """Send bytes of the stream, now or when the peer takes them. False when the connection is closed, which
        happens to a peer that leaves more than `limits.pending` bytes unread."""
        if self.closed:
            return False
        if self.pending and self.pending + len(data) > self._server.limits.pending:
            self.close("too slow: %d bytes unread" % self.pending)
            return False
        self._put(data)
        return not self.closed

    def close(self, why="closed here"):
        """Close at once, whatever is pending."""
        if self.closed:
            return
        self.closed = True
        self._state = _CLOSED
        self._set_timer(None)
        self._watch(0)
        self._sock.close()
        self._out = []
        self.pending = 0
        self._server.gone(self)
        self._loop.call_later(0, self._tell, why)

    def _tell(self, why):
        if self.on_close:
            self.on_close(why)

    # -- inside -------------------------------------------------------------------------------------

    def _answer(self, state, data):
        if self.closed:
            return
        if self._state != _WAITING:
            raise RuntimeError("a second answer")
        self._state = state
        self._put(data)
        if not self.closed and not self.pending:
            self._sent_all()

    def _put(self, data):
        """Send as much as the kernel takes and keep the rest."""
        if not data:
            return
        self._out.append(data)
        self.pending += len(data)
        if self.pending > len(data):
            return  # there was more before it: WRITE is watched
        self._progress = self._loop.now()
        self._write()
        if self.pending and not self.closed:
            self._set_timer(self._loop.call_later(self._server.limits.stall_ms, self._stalled))
            self._watch(self._watched | WRITE)

    def _write(self):
        """One try to send what is pending."""
        try:
            while self._out:
                first = self._out[0]
                count = self._sock.send(memoryview(first)[self._offset:] if self._offset else first)
                self.pending -= count
                self._progress = self._loop.now()
                self._offset += count
                if self._offset < len(first):
                    return
                self._out.pop(0)
                self._offset = 0
        except OSError as error:
            if not is_again(error):
                self.close("the peer has gone")

    def _stalled(self):
        """The output has been pending for a while: drop the peer when it took nothing in all that time."""
        left = self._progress + self._server.limits.stall_ms - self._loop.now()
        if left > 0:
            self._timer = self._loop.call_later(left, self._stalled)
        else:
            self.close("too slow: nothing read for %d s" % (self._server.limits.stall_ms // 1000))

    def _sent_all(self):
        self._set_timer(None)
        self._watch(self._watched & ~WRITE)
        if self._state == _STREAMING:
            if self.on_drain:
                self._loop.call_later(0, self._drained)
        elif self._state == _CLOSING:
            self._state = _LINGERING
            self._set_timer(self._loop.call_later(_LINGER_MS, self.close, "answered"))
            self._watch(READ)
            try:
                shut_down_output(self._sock)
            except OSError:
                self.close("answered")

    def _drained(self):
        if not self.closed and not self.pending and self.on_drain:
            self.on_drain()

    def _ready(self, events):
        if events & WRITE and self.pending:
            self._write()
            if not self.closed and not self.pending:
                self._sent_all()
        if events & READ and not self.closed:
            self._read()

    def _read(self):
        try:
            data = self._sock.recv(_PIECE)
        except OSError as error:
            if not is_again(error):
                self.close("the peer has gone")
            return
        if not data:
            self._ended()
        elif self._state == _READING:  # else: one request a connection, what follows it is ignored
            self._take(data)

    def _ended(self):
        """The peer sends no more. Who has asked may still read; a stream is over."""
        if self._state == _LINGERING:
            self.close("answered")
        elif self._state in (_READING, _STREAMING):
            self.close("the peer has gone")
        else:
            self._watch(self._watched & ~READ)

    def _take(self, data):
        try:
            request = self._reader.feed(data)
        except HttpError as error:
            self._reader = None
            self._set_timer(None)
            self.refuse(error.status, error.text)
            return
        if request:
            self._reader = None
            self._set_timer(None)
            self._state = _WAITING
            try:
                self._server.handler(request, self)
            except HttpError as error:
                self._failed(error.status, error.text)
            except Exception as error:
                log.exception(error)
                self._failed(500, "internal error")

    def _failed(self, status, text):
        """The handler raised: answer with the error, unless it had begun another answer."""
        if self._state == _WAITING:
            self.error(status, text)
        else:
            self.close("internal error")

    def _too_late(self):
        self._timer = None
        self.refuse(408, "no whole request within %d s" % (self._server.limits.request_ms // 1000))

    def _set_timer(self, timer):
        if self._timer:
            self._timer.cancel()
        self._timer = timer

    def _watch(self, events):
        if events == self._watched:
            return
        self._watched = events
        if events:
            self._loop.watch(self._fd, events, self._ready)
        else:
            self._loop.unwatch(self._fd)
