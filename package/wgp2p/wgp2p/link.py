"""One publisher as its subscriber follows it: the event stream with resume, and polling where the server has none.

It turns what the network says into checked `Report`s and knows whether the connection lives. What comes in is
untrusted: bounded, validated, and refused in whole or in part with one line in the log.
"""
import json

from . import client, log
from .addr import canonical_endpoint, is_unicast, parse_endpoint
from .compat import b64decode, json_loads, random_below

BACKOFF_MS = (500, 1000, 2000, 4000, 8000, 15000)
REFUSED_MS = 30000  # a wrong token does not become right by asking often
POLL_MS = 3000  # as the original's shipped service does
SILENCE_MS = 40000  # more than two heartbeats
STEADY_MS = 10000  # a connection that held for so long ends the backoff
EVENTS_AGAIN_MS = 60000  # a server that had no event stream is asked for one again after this
COMPLAIN_MS = 600000  # nonsense is worth one line in this time, however much comes
_POLL_TIMEOUT_MS = 5000
_SNAPSHOT_LIMIT = 1 << 20
_HANDSHAKE_QUIET_MS = 150000  # WireGuard shakes hands every 120 s, when it next has something to send
_SECONDS_MOST = 10000000000  # beyond this is neither a time nor an age in seconds
_ID_MOST = 80
_TOLD_MOST = 8


class Report:
    """What a publisher says of one peer: `age_ms` is None when it cannot tell; `restarted`: the client's WireGuard has
    begun anew since the word before, and knows no session of ours; `announced`: the client says itself that it is
    reached at this endpoint, and the publisher's WireGuard may see it at another port."""

    def __init__(self, key, endpoint, age_ms, quiet, restarted=False, announced=False):
        self.key = key
        self.endpoint = endpoint
        self.age_ms = age_ms
        self.quiet = quiet
        self.restarted = restarted
        self.announced = announced


class Link:
    """Follows one publisher. Calls `listener.reported(link, reports, whole)` (whole: peers not in it are gone),
    `listener.removed(link, key)`, `listener.lost(link)`, and `listener.addressed(link)` when `you` is another endpoint.

    `mode`: "connecting", "events", "polling"; `problem`: in words, "" while it works; `refused`: the HTTP status with
    which the publisher refuses us, or None."""

    def __init__(self, loop, label, ip, port, interface, token, listener):
        self._loop = loop
        self.label = label
        self.ip, self.port = ip, port
        self._interface = interface
        self._token = token
        self._listener = listener
        self._stream = self._request = self._timer = self._watch = None
        self._restarts = {}  # {key: how often it has begun anew}, as last said
        self._told = []  # requests under way
        self._last_id = None
        self._failures = 0
        self._no_events_ms = None  # when the server last had no event stream
        self._complained_ms = None
        self._closed = False
        self.mode, self.problem, self.refused = "connecting", "not connected yet", None
        self.connected_ms = None  # since when, or None
        self.relays = False  # whether its server passes packets on to our clients
        self.you = None  # our own endpoint as the publisher sees it
        self.lost_ms = loop.now()  # since when there is no connection, or None
        self._connect()

    # -- events -------------------------------------------------------------------------------------

    def _connect(self):
        self._timer = None
        headers = self._authorization()
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        self._stream = client.Stream(self._loop, self.ip, self.port, "/api/events", headers, self._head, self._event,
                                     self._ended, device=self._interface)
        self._watch_silence()

    def _authorization(self):
        return {"Authorization": "Bearer " + self._token}

    def _head(self, response):
        if response.status == 200:
            self._up("events")
        elif response.status == 404:
            self._no_events_ms = self._loop.now()
            self._poll()
        else:
            self._refused(response)

    def _words(self, response):
        """What an answer that refuses says."""
        words = "the publisher answers %d" % response.status
        try:
            why = response.json().get("error")
        except (ValueError, AttributeError):
            why = None
        if isinstance(why, str) and why:  # it might say the token back
            words += ": " + why.replace(self._token, "(token)")[:200]
        return words

    def _refused(self, response):
        self._down(self._words(response), REFUSED_MS if response.status in (401, 403) else None)
        self.refused = response.status

    def _event(self, event):
        try:
            self._take(event)
        except ValueError as error:
            self._last_id = None  # the next connection must not go on behind it
            self._complain("an event is refused: %s" % error)

    def _take(self, event):
        data = json_loads(event.data)
        if not isinstance(data, dict):
            raise ValueError("no JSON object")
        # It goes back in a header: only what may stand in one.
        plain = 0 < len(event.id) <= _ID_MOST and not [c for c in event.id if not "!" <= c <= "~"]
        self._last_id = event.id if plain else None
        if event.event == "snapshot":
            self._snapshot(data)
        elif event.event == "peer":
            self._listener.reported(self, self._reports([data], None), False)
        elif event.event == "removed":
            self._listener.removed(self, _key(data.get("public_key")))
        elif event.event == "you":
            self._remember_you(data)

    def _ended(self, why):
        self._stream = None
        self._down(why or "the publisher closed the connection", None)

    def _watch_silence(self):
        """A server that vanished closes nothing: notice that not even heartbeats come."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._stream is None:
            return
        left = self._stream.last_byte_ms + SILENCE_MS - self._loop.now()
        if left <= 0:
            self._down("nothing from the publisher for %d s" % (SILENCE_MS // 1000), None)
        else:
            self._watch = self._loop.call_later(left + 10, self._watch_silence)

    # -- polling --------------------------------------------------------------------------------------

    def _poll(self):
        self._drop()
        self.mode = "polling"
        self._request = client.get(self._loop, self.ip, self.port, "/api/peers", self._authorization(), self._polled,
                                   _POLL_TIMEOUT_MS, device=self._interface, max_body=_SNAPSHOT_LIMIT)

    def _polled(self, response, error):
        self._request = None
        if error is not None:
            self._down(error, None)
            return
        if response.status != 200:
            self._refused(response)
            return
        try:
            data = response.json()
            if not isinstance(data, dict):
                raise ValueError("no JSON object")
            self._up("polling")
            self._snapshot(data)
        except ValueError as problem:
            self._complain("an answer is refused: %s" % problem)
            self._down("its answer is refused: %s" % problem, None)
            return
        if data.get("boot") and self._loop.now() - self._no_events_ms >= EVENTS_AGAIN_MS:  # it was upgraded, it seems
            self.hurry(True)
        else:
            self._timer = self._loop.call_later(POLL_MS + random_below(200), self._poll)

    # -- what it says ---------------------------------------------------------------------------------

    def _snapshot(self, data):
        peers = data.get("peers")
        if not isinstance(peers, list):
            raise ValueError("no list of peers")
        self.relays = data.get("relay") is True
        fetched = data.get("fetched_at")
        self._listener.reported(self, self._reports(peers, fetched if _is_number(fetched) else None), True)
        self._remember_you(data.get("you"))

    def _reports(self, rows, fetched_at):
        reports = []
        refused = None
        for row in rows:
            try:
                report = self._report(row, fetched_at)
            except ValueError as error:
                refused = error
                continue
            if report is not None:
                reports.append(report)
        if refused is not None:
            self._complain("a peer is refused: %s" % refused)
        return reports

    def _report(self, row, fetched_at):
        if not isinstance(row, dict):
            raise ValueError("no JSON object")
        key = row.get("public_key")
        if not isinstance(key, str) or not self._listener.knows(key):
            return None  # of tens of thousands only ours cost anything
        endpoint = row.get("endpoint")
        if endpoint in (None, "(none)", ""):
            endpoint = None
        else:
            endpoint = _endpoint(endpoint)
            if not self.relays:  # through a relay even a client behind our own NAT is called
                self._listener.check_endpoint(endpoint)
        age = row.get("seen_age")
        if _is_number(age):
            age_ms = int(age * 1000)
        elif "seen_age" in row or fetched_at is None or not _is_number(row.get("latest_handshake")):
            age_ms = None
        else:  # the original's format: both times are of the publisher's own clock
            if not row["latest_handshake"]:
                return Report(key, None, None, True)
            age_ms = int(max(0, fetched_at - row["latest_handshake"]) * 1000)
        quiet = row.get("quiet")
        if not isinstance(quiet, bool):
            quiet = age_ms is not None and age_ms >= _HANDSHAKE_QUIET_MS
        before = restarts = self._restarts.get(key)
        if _is_number(row.get("restarts")):
            restarts = self._restarts[key] = int(row["restarts"])
        return Report(key, endpoint, age_ms, quiet, before is not None and restarts > before,
                      row.get("announced") is not None)

    def _remember_you(self, data):
        endpoint = data.get("endpoint") if isinstance(data, dict) else None
        try:
            you = _endpoint(endpoint) if endpoint is not None else None
        except ValueError as error:
            self._complain("what it says of us is refused: %s" % error)
            return
        if you != self.you:
            self.you = you
            if you is not None:
                self._listener.addressed(self)

    # -- what it is told and asked --------------------------------------------------------------------

    def tell_session(self, key, sessions):
        """Tell the relay which sessions we have with a client: [[index towards us, index towards it], ...]; whether
        that is possible now. Nobody waits for the answer: without it the relay learns a session with its next
        handshake."""
        possible = self.relays and self.connected_ms is not None and len(self._told) < _TOLD_MOST
        if possible:
            self._tell("/api/relay", {"public_key": key, "sessions": sessions}, self._told_session)
        return possible

    def _told_session(self, problem):
        if problem:
            log.debug("publisher %s: a session is not taken: %s" % (self.label, problem))

    def announce(self, port, ttl_s, done):
        """Say for `ttl_s` seconds (30 to 7200) that this port (1024 to 65535) of our address leads to us;
        `done(problem)`: what is wrong in words, or ""."""
        self._tell("/api/endpoint", {"port": port, "ttl": ttl_s}, done)

    def probe(self, port, nonce, done):
        """Have a datagram with this nonce (32 hexadecimal digits) sent to the port of our address that the publisher
        sees us at, or that we have announced; `done(problem)` as above."""
        self._tell("/api/probe", {"port": port, "nonce": nonce}, done)

    def _tell(self, path, data, done):
        def answered(response, error):
            self._told.remove(request)
            if error is None and response.status == 404:
                error = "its wgp2p is too old for that"
            done(error or ("" if response.status == 200 else self._words(response)))

        request = client.get(self._loop, self.ip, self.port, path, self._authorization(), answered, _POLL_TIMEOUT_MS,
                             device=self._interface, method="POST", body=json.dumps(data).encode())
        self._told.append(request)

    # -- up and down ----------------------------------------------------------------------------------

    def _up(self, mode):
        if self.problem or self.mode != mode:
            log.info("publisher %s: connected (%s)" % (self.label, mode))
        self.mode, self.problem, self.refused = mode, "", None
        if self.connected_ms is None:
            self.connected_ms = self._loop.now()
        self.lost_ms = None

    def _down(self, why, pause_ms):
        if self._closed:
            return
        self._drop()
        if why != self.problem:
            log.warning("publisher %s: %s" % (self.label, why))
        self.mode, self.problem, self.refused = "connecting", why, None
        now = self._loop.now()
        if self.lost_ms is None:
            self.lost_ms = now
            self._last_id = None  # the listener believes what was said before less: all of it has to be said anew
            self._listener.lost(self)
        if self.connected_ms is not None and now - self.connected_ms >= STEADY_MS:
            self._failures = 0
        self.connected_ms = None
        if pause_ms is None:
            pause_ms = BACKOFF_MS[min(self._failures, len(BACKOFF_MS) - 1)]
        self._failures += 1
        self._again(pause_ms * 3 // 4 + random_below(pause_ms // 2 + 1))

    def _again(self, pause_ms):
        if self._timer is not None:
            self._timer.cancel()
        self.mode = "connecting"
        self._timer = self._loop.call_later(pause_ms, self._connect)

    def _drop(self):
        for timer in (self._timer, self._watch):
            if timer is not None:
                timer.cancel()
        self._timer = self._watch = None
        for connection in (self._stream, self._request):
            if connection is not None:
                connection.close()
        self._stream = self._request = None

    def hurry(self, whole):
        """Something has changed: connect anew at once, where the last event left off or with a whole snapshot."""
        if self._closed:
            return
        if whole:
            self._last_id = None
        self._failures = 0
        self._drop()
        self._again(0)

    def ask_anew(self):
        """Have a whole snapshot come: now where there is a connection, else with the next one."""
        resuming = self._stream is not None and self._last_id is not None
        self._last_id = None
        if self.connected_ms is not None or resuming:
            self.hurry(True)

    def _complain(self, text):
        now = self._loop.now()
        if self._complained_ms is None or now - self._complained_ms >= COMPLAIN_MS:
            self._complained_ms = now
            log.warning("publisher %s: %s" % (self.label, text))

    def close(self):
        """Stop following."""
        self._closed = True
        self._drop()
        for request in self._told:
            request.close()


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _SECONDS_MOST


def _endpoint(text):
    """Canonical text of an endpoint that a packet can be sent to. ValueError."""
    if not isinstance(text, str):
        raise ValueError("endpoint is no text")
    endpoint = canonical_endpoint(text)
    if not is_unicast(parse_endpoint(endpoint)[0]):
        raise ValueError("endpoint is no unicast address: " + endpoint)
    return endpoint


def _key(text):
    if not isinstance(text, str) or len(text) != 44 or len(b64decode(text)) != 32:
        raise ValueError("no public key")
    return text
