"""One publisher as its subscriber follows it: the event stream with resume, and polling where the server has none.

It turns what the network says into checked `Report`s and knows whether the connection lives. What comes in is
untrusted: bounded, validated, and refused in whole or in part with one line in the log.
"""
from . import client, log
from .addr import canonical_endpoint, is_unicast, parse_endpoint
from .compat import b64decode, json_loads, random_below

BACKOFF_MS = (500, 1000, 2000, 4000, 8000, 15000)
REFUSED_MS = 30000  # a wrong token does not become right by asking often
POLL_MS = 3000  # as the original's shipped service does
SILENCE_MS = 40000  # more than two heartbeats
_POLL_TIMEOUT_MS = 5000
_SNAPSHOT_LIMIT = 1 << 20
_WORDS_MOST = 100000000  # an age in seconds beyond this is no age


class Report:
    """What a publisher says of one peer: `age_ms` is None when it cannot tell."""

    def __init__(self, key, endpoint, age_ms, quiet):
        self.key = key
        self.endpoint = endpoint
        self.age_ms = age_ms
        self.quiet = quiet


class Link:
    """Follows one publisher. Calls `listener.reported(link, reports, whole)` (whole: peers not in it are gone),
    `listener.removed(link, key)` and `listener.lost(link)`.

    `mode`: "connecting", "events", "polling"; `problem`: in words, "" while it works."""

    def __init__(self, loop, label, ip, port, interface, token, listener):
        self._loop = loop
        self.label = label
        self.ip, self.port = ip, port
        self._interface = interface
        self._headers = {"Authorization": "Bearer " + token}
        self._listener = listener
        self._stream = self._timer = self._watch = None
        self._last_id = None
        self._failures = 0
        self._complained = None
        self._closed = False
        self.mode, self.problem = "connecting", "not connected yet"
        self.connected_ms = None  # since when, or None
        self.you = None  # our own endpoint as the publisher sees it
        self.lost_ms = loop.now()  # since when there is no connection, or None
        self._connect()

    # -- events -------------------------------------------------------------------------------------

    def _connect(self):
        self._timer = None
        headers = dict(self._headers)
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        self._stream = client.Stream(self._loop, self.ip, self.port, "/api/events", headers, self._head, self._event,
                                     self._ended, device=self._interface)
        self._watch_silence()

    def _head(self, response):
        if response.status == 200:
            self._up("events")
        elif response.status == 404:
            self._poll()
        else:
            self._refused(response)

    def _refused(self, response):
        why = ""
        try:
            why = json_loads(response.body.decode()).get("error", "")
        except (ValueError, AttributeError):
            pass
        words = "the publisher answers %d%s" % (response.status, ": " + str(why)[:200] if why else "")
        self._down(words, REFUSED_MS if response.status in (401, 403) else None)

    def _event(self, event):
        try:
            self._take(event)
        except ValueError as error:
            self._complain("an event is refused: %s" % error)

    def _take(self, event):
        data = json_loads(event.data)
        if not isinstance(data, dict):
            raise ValueError("no JSON object")
        if event.id:
            self._last_id = event.id[:80]
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
        client.get(self._loop, self.ip, self.port, "/api/peers", self._headers, self._polled, _POLL_TIMEOUT_MS,
                   device=self._interface, max_body=_SNAPSHOT_LIMIT)

    def _polled(self, response, error):
        if self._closed or self.mode != "polling":
            return
        if error is not None:
            self._down(str(error), None)
            return
        if response.status != 200:
            self._refused(response)
            return
        try:
            data = json_loads(response.body.decode())
            if not isinstance(data, dict):
                raise ValueError("no JSON object")
            self._up("polling")
            self._snapshot(data)
        except ValueError as problem:
            self._complain("an answer is refused: %s" % problem)
            self._down("its answer is refused: %s" % problem, None)
            return
        if data.get("boot"):  # it has been upgraded and offers events now
            self.hurry(True)
        else:
            self._timer = self._loop.call_later(POLL_MS + random_below(200), self._poll)

    # -- what it says ---------------------------------------------------------------------------------

    def _snapshot(self, data):
        peers = data.get("peers")
        if not isinstance(peers, list):
            raise ValueError("no list of peers")
        fetched = data.get("fetched_at")
        self._remember_you(data.get("you"))
        self._listener.reported(self, self._reports(peers, fetched if isinstance(fetched, int) else None), True)

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
            quiet = age_ms is not None and age_ms >= 125000
        return Report(key, endpoint, age_ms, quiet)

    def _remember_you(self, data):
        endpoint = data.get("endpoint") if isinstance(data, dict) else None
        if isinstance(endpoint, str):
            self.you = _endpoint(endpoint)

    # -- up and down ----------------------------------------------------------------------------------

    def _up(self, mode):
        if self.problem or self.mode != mode:
            log.info("publisher %s: connected (%s)" % (self.label, mode))
        self.mode, self.problem = mode, ""
        self._failures = 0
        if self.connected_ms is None:
            self.connected_ms = self._loop.now()
        self.lost_ms = None

    def _down(self, why, pause_ms):
        if self._closed:
            return
        self._drop()
        if why != self.problem:
            log.warning("publisher %s: %s" % (self.label, why))
        self.mode, self.problem = "connecting", why
        if self.lost_ms is None:
            self.lost_ms = self._loop.now()
            self._listener.lost(self)
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
        if self._stream is not None:
            stream, self._stream = self._stream, None
            stream.close()

    def hurry(self, whole):
        """Something has changed: connect anew at once, where the last event left off or with a whole snapshot."""
        if self._closed:
            return
        if whole:
            self._last_id = None
        self._failures = 0
        self._drop()
        self._again(0)

    def _complain(self, text):
        """Once for each kind of nonsense until it changes."""
        kind = text[:60]
        if kind != self._complained:
            self._complained = kind
            log.warning("publisher %s: %s" % (self.label, text))

    def close(self):
        """Stop following."""
        self._closed = True
        self._drop()


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < _WORDS_MOST * 100


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
