"""The publisher's HTTP API (docs/protocol.md): who asks, what they may have, and the event streams.

A stream holds no queue: it remembers up to which sequence number its reader has been told, and what is newer is
written when there is room. So a slow reader costs nothing, and skips what was overtaken. Events go out in the order
of their numbers, so that a reader that comes again names the last one it got, and misses nothing.
"""
import json

from . import VERSION, sse
from .addr import canonical_ip, parse_endpoint
from .compat import equal, json_loads, unix_s, utf8
from .reach import Reach
from .registry import age_s, describe

HEARTBEAT_MS = 15000
_ROOM = 16384  # bytes made for one connection in one turn of the loop
_SHARED_MS = 1000
_FOR_CLIENTS = ("/api/whoami", "/api/endpoint", "/api/probe")


class Api:
    """Answers requests for one publisher."""

    def __init__(self, loop, publisher):
        self._loop = loop
        self._publisher = publisher
        self._streams = []
        self._texts, self._texts_ms = {}, 0  # {seq: a peer's JSON}, and since when (ms)
        reach = Reach(loop, publisher)
        self._routes = {"/api/peers": ("GET", self._peers), "/api/events": ("GET", self._events),
                        "/api/whoami": ("GET", self._whoami), "/api/relay": ("POST", self._relay),
                        "/api/endpoint": ("POST", self._asks(reach.announce)),
                        "/api/probe": ("POST", self._asks(reach.probe))}
        self._beat = None

    def request(self, request, connection):
        """Answer one http.Request on a server.Connection."""
        status, what = self._admit(request, connection)
        if status:
            connection.reply(status, {"error": what}, {"WWW-Authenticate": "Bearer"} if status == 401 else None)
            return
        route = self._routes.get(request.path)
        if route is None:
            connection.error(404, "no such path: see docs/protocol.md")
        elif request.method != route[0]:
            connection.reply(405, {"error": "only %s is allowed here" % route[0]}, {"Allow": route[0]})
        elif request.path not in _FOR_CLIENTS and not self._publisher.config.peer(what.key).device:
            connection.error(403, "this peer is no remote device: its token opens " + ", ".join(_FOR_CLIENTS))
        else:
            route[1](request, connection, what)

    def _admit(self, request, connection):
        """(0, the asker's Entry) or (status, why not)."""
        if not self._is_own_host(request.headers.get("host")):
            return 421, "the Host header is not this server's tunnel address"
        words = request.headers.get("authorization", "").split()
        if len(words) != 2 or words[0].lower() != "bearer":
            return 401, "a token is needed: Authorization: Bearer TOKEN (see `wgp2p token` on the public server)"
        entry = self._publisher.registry.asker(connection.peer[0])
        if entry is None:
            return 403, "no WireGuard peer has this source address"
        token = self._publisher.token(entry.key)
        # A peer that has none is compared too, so that the answer takes as long.
        if not equal((token or b"\0" * 64), words[1].encode()) or token is None:
            return 403, "the token is not that of this WireGuard peer"
        return 0, entry

    def _is_own_host(self, host):
        """A page in somebody's browser that resolves its own name to our address stays out (DNS rebinding)."""
        if not host:
            return False
        own = self._publisher.own_addresses()
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        try:
            return canonical_ip(bare) in own
        except ValueError:
            pass
        try:
            return parse_endpoint(host)[0] in own
        except ValueError:
            return False

    # -- answers ------------------------------------------------------------------------------------

    def _head(self, asker):
        """What every snapshot begins with."""
        return {"interface": self._publisher.interface, "fetched_at": unix_s(), "boot": self._publisher.registry.boot,
                "seq": self._publisher.registry.seq, "version": VERSION, "relay": self._publisher.relays(),
                "you": self._you(asker)}

    def _you(self, asker):
        return {"public_key": asker.key, "endpoint": asker.endpoint,
                "seen_age": age_s(self._loop.now(), asker.seen_ms)}

    def _served(self, asker):
        registry = self._publisher.registry
        return [registry.entries[key] for key in sorted(registry.entries)
                if registry.entries[key].peer is not None and self._publisher.serves(asker.key, key)]

    def _snapshot(self, asker):
        """The snapshot in pieces of text, none longer than one peer's."""
        text = json.dumps(self._head(asker))
        yield text[:-1] + ', "peers": ['
        comma = ""
        for entry in self._served(asker):
            if entry.peer is not None:  # it may be gone since the snapshot was begun
                yield comma + self._text(entry)
                comma = ", "
        yield "]}"

    def _whoami(self, request, connection, asker):
        connection.reply(200, self._head(asker))

    def _peers(self, request, connection, asker):
        connection.reply(200, "".join(self._snapshot(asker)).encode())

    def _relay(self, request, connection, asker):
        """A device tells the sessions that it has with a client of its own, so that the relay knows them."""
        try:
            said = json_loads(utf8(request.body))
            key, sessions = said["public_key"], said["sessions"]
            if not isinstance(key, str) or not isinstance(sessions, list):
                raise ValueError("public_key must be text and sessions a list")
        except (ValueError, TypeError, KeyError) as error:
            connection.error(400, "needs {\"public_key\": KEY, \"sessions\": [[INDEX, INDEX], ...]}: %s" % error)
            return
        problem = self._publisher.session(asker.key, key, sessions)
        if problem:
            connection.error(409, problem)
        else:
            connection.reply(200, {})

    def _asks(self, answer):
        """The handler of a request about the asker's own port; what it changes is told."""
        def handle(request, connection, asker):
            before = self._publisher.registry.seq
            connection.reply(*answer(asker, request.body))
            if self._publisher.registry.seq != before:
                self.changed(before)
        return handle

    # -- streams ------------------------------------------------------------------------------------

    def _events(self, request, connection, asker):
        connection.stream()
        stream = _Stream(connection, asker.key)
        boot, _, seq = request.headers.get("last-event-id", "").rpartition("-")
        registry = self._publisher.registry
        numeric = 0 < len(seq) < 16 and not seq.strip("0123456789")
        if boot == registry.boot and numeric and registry.since(int(seq)) is not None:
            stream.seq = int(seq)
            stream.pieces = iter([sse.comment("resumed")])
        else:
            stream.seq = registry.seq
            stream.pieces = self._snapshot_event(asker)
        self._streams.append(stream)
        connection.on_close = lambda why: self._streams.remove(stream)
        connection.on_drain = lambda: self._fill(stream)
        if self._beat is None:
            self._beat = self._loop.call_later(HEARTBEAT_MS, self._heartbeat)
        self._fill(stream)

    def _snapshot_event(self, asker):
        """The snapshot as one event, a `data:` line per peer."""
        registry = self._publisher.registry
        yield b"id: %s-%d\nevent: snapshot\n" % (registry.boot.encode(), registry.seq)
        for piece in self._snapshot(asker):
            yield b"data: " + piece.encode() + b"\n"
        yield b"\n"

    def _changes(self, stream, rows):
        """The events for (seq, key) rows of the registry."""
        for seq, key in rows:
            entry = self._publisher.registry.entries.get(key)
            if entry is None:
                if self._publisher.serves(stream.key, key):
                    yield self._event(seq, "removed", json.dumps({"public_key": key}))
            elif entry.seq != seq:
                pass  # overtaken: its latest change comes in its turn
            elif key == stream.key:
                yield self._event(seq, "you", json.dumps(self._you(entry)))
            elif self._publisher.serves(stream.key, key):
                yield self._event(seq, "peer", self._text(entry))

    def _event(self, seq, name, text):
        return sse.event("%s-%d" % (self._publisher.registry.boot, seq), name, text)

    def _text(self, entry):
        """A peer's JSON, put into words once a second however many ask: its ages are true to a second."""
        now = self._loop.now()
        if now - self._texts_ms >= _SHARED_MS:
            self._texts, self._texts_ms = {}, now
        text = self._texts.get(entry.seq)
        if text is None:
            text = self._texts[entry.seq] = json.dumps(describe(entry, now))
        return text

    def _fill(self, stream, recent=(None, None)):
        """Write some of what the reader has not been told; the rest in a later turn of the loop, so that a long
        snapshot keeps nobody else waiting, or when what was written has drained."""
        registry = self._publisher.registry
        written = 0
        stream.whole = False
        while written < _ROOM and not stream.connection.pending and not stream.connection.closed:
            data = stream.next_bytes()
            if data:
                stream.connection.send(data)
                written += len(data)
                continue
            if stream.seq == registry.seq:
                stream.whole = True
                return
            rows = recent[1] if recent[0] == stream.seq else registry.since(stream.seq)
            if rows is None:  # further behind than the registry remembers: from the beginning
                stream.connection.close()
                return
            stream.seq = registry.seq
            stream.pieces = self._changes(stream, rows)
        if written >= _ROOM and not stream.connection.pending and not stream.planned:
            stream.planned = True
            self._loop.call_later(0, self._go_on, stream)

    def _go_on(self, stream):
        stream.planned = False
        self._fill(stream)

    def changed(self, seq_before):
        """The registry has changed since this sequence number: tell everyone."""
        recent = (seq_before, self._publisher.registry.since(seq_before))
        for stream in list(self._streams):
            self._fill(stream, recent)

    def _heartbeat(self):
        self._beat = self._loop.call_later(HEARTBEAT_MS, self._heartbeat) if self._streams else None
        self._texts = {}
        for stream in list(self._streams):
            if stream.whole:  # who is still being told things knows that we live
                stream.connection.send(sse.comment(""))

    def restart(self):
        """Let every reader come again, and be checked again."""
        for stream in list(self._streams):
            stream.connection.close()

    def subscribers(self):
        """How many streams are open."""
        return len(self._streams)


class _Stream:
    """One reader: its key, up to which sequence number it was told, and the text that is on its way."""

    def __init__(self, connection, key):
        self.connection = connection
        self.key = key
        self.seq = 0
        self.pieces = iter(())
        self.planned = False  # it goes on in the loop's next turn
        self.whole = False  # all is written; a comment in the middle of an event would end it

    def next_bytes(self):
        """Some kilobytes of what is on its way, b"" when all is written."""
        parts, size = [], 0
        for piece in self.pieces:
            parts.append(piece)
            size += len(piece)
            if size >= _ROOM:
                break
        return b"".join(parts)
