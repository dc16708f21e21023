"""A model world for the path machine: virtual time, WireGuard on both sides, NATs, publishers, the role's loop.

                     server "a", "b" ...  (publishers: see where the client's packets come from)
                    /                   \\
      client in a Network ---- ? ---- NAT of the device ---- device (WireGuard, and the Path under test)

The client is plain WireGuard: it knows the device's address, sends a keepalive to everybody every 25 s and answers a
handshake. The device's WireGuard follows the source of whatever is authentic. Its NAT lets in only what it sent to.
With `relay` the server passes on what device and client send to it, as long as it knows the session (from handshakes
through it, or `told`) and where the client is; the client then follows the source of what is authentic, as an app does
for a peer without endpoint, and beside the machine `copies` of the device's packets go straight to the client.
On both sides a packet received puts off the own keepalive, as in the kernel; data is answered after 10 s at the latest.
Everything takes DELAY_MS. What is not modelled: loss, cookies, more than one client.
"""
import heapq

from wgp2p.path import TRYING, Options, Path

DELAY_MS = 20
NAT_MS = 60000  # a NAT's memory of a packet sent
QUIET_MS = 40000
PASSIVE_MS = 10000  # WireGuard's KEEPALIVE_TIMEOUT
RELAY = "203.0.113.10:51820"
BEACON_MS = 5000
SESSION_MS, REKEY_MS, HANDSHAKE_EVERY_MS = 180000, 120000, 5000


class Network:
    """Where a client can be. `seen`: its endpoint as publishers see it (text, or {publisher: text}); `direct`: as the
    device sees it (another one behind a symmetric NAT, a port forward or on the device's own LAN). `open`: it takes
    packets from anywhere (a port forward); `lan`: no NAT between it and the device."""

    def __init__(self, seen, direct=None, open=False, lan=False):
        self.seen = seen
        self.direct = direct or seen
        self.open = open or lan
        self.lan = lan

    def __repr__(self):
        return "Network(%r, %r, open=%r, lan=%r)" % (self.seen, self.direct, self.open, self.lan)

    def seen_by(self, name):
        return self.seen[name] if isinstance(self.seen, dict) else self.seen


HOME = Network("198.51.100.1:51820")
MOBILE = Network("203.0.113.7:40001")
CAFE = Network("192.0.2.33:6000")
SYMMETRIC = Network("203.0.113.7:1024", direct="203.0.113.7:1025")
FORWARDED = Network("198.51.100.1:1024", direct="198.51.100.1:51820", open=True)
LAN = Network("198.51.100.9:51820", direct="192.168.1.50:51820", lan=True)


class Side:
    """One side's WireGuard session: the keys it can read with, and the one it sends with."""

    def __init__(self):
        self.keys = {}  # session: when it was made
        self.sends = None
        self.started = False  # whether this side started that session
        self.tried_ms = -HANDSHAKE_EVERY_MS

    def valid(self, now, session):
        return session in self.keys and now - self.keys[session] < SESSION_MS

    def message(self, now):
        """What WireGuard sends when it has something to send: data, a handshake, both or nothing."""
        out = [("data", self.sends)] if self.valid(now, self.sends) else []
        old = not out or (self.started and now - self.keys[self.sends] >= REKEY_MS)
        if old and now - self.tried_ms >= HANDSHAKE_EVERY_MS:
            self.tried_ms = now
            out.append(("initiation", None))
        return out

    def take(self, now, kind, session, make):
        """An incoming message: (authentic, answers)."""
        if kind in ("data", "probe"):
            if not self.valid(now, session):
                return False, []
            if session != self.sends and session > (self.sends or 0):
                self.sends, self.started = session, False
            return True, []
        if kind == "initiation":
            session = make()
            self.keys[session] = now
            return True, [("response", session)]
        self.keys[session] = now
        self.sends, self.started = session, True
        return True, [("data", session)]


class Publisher:
    """Tells the device where the client is, `delay_ms` after it changed."""

    def __init__(self, world, name, delay_ms):
        self.world, self.name, self.delay_ms = world, name, delay_ms
        self.connected = True
        self.endpoint = self.seen_ms = None
        self.quiet = False

    def hears(self, endpoint):
        news = endpoint != self.endpoint or self.quiet
        self.endpoint, self.seen_ms, self.quiet = endpoint, self.world.now, False
        if news:
            self.tell()
        self.world.at(QUIET_MS, self.sleeps, self.seen_ms)

    def sleeps(self, seen_ms):
        if seen_ms == self.seen_ms:
            self.quiet = True
            self.tell()

    def tell(self):
        if self.connected:
            self.world.at(self.delay_ms, self.arrive, self.endpoint, self.quiet, self.seen_ms)

    def arrive(self, endpoint, quiet, seen_ms):
        if self.connected:
            self.world.path.observe(self.world.now, self.name, endpoint, self.world.now - seen_ms, quiet)
            self.world.look()

    def lose(self):
        self.connected = False
        self.world.path.lost(self.world.now, self.name)

    def back(self):
        self.connected = True
        if self.endpoint is not None:
            self.tell()


class World:
    """Made with the client switched off; `go(network)` puts it somewhere. `run(ms)` lets time pass."""

    def __init__(self, publishers=("a",), report_ms=50, keepalive_ms=25000, device_open=False, options=None,
                 tool_ms=0, relay=False, told=True):
        self.now = self.arrived_ms = 1000000
        self._queue, self._count, self._sessions = [], 0, 0
        self.keepalive_ms = keepalive_ms  # the client's, 0: none
        self.device_open = device_open
        self.tool_ms = tool_ms  # what a change takes, and reading it back: 0 with netlink, more with the wg tool
        self.client, self.network, self.busy, self.client_nat_ms = Side(), None, False, None
        self.client_sent_ms = self.client_ms = self.now  # when a packet last went either way, as the client sees it
        self.publishers = {}
        for name in publishers:
            self.publishers[name] = Publisher(self, name, report_ms)
        # the device's kernel
        self.device, self.endpoint, self.keepalive, self.rx, self.nat = Side(), None, 0, 0, {}
        self.relay, self.told = relay, told
        self.relayed = set()  # sessions that the relay knows
        self.client_to = None if relay else "direct"  # where the client's WireGuard sends to the device
        self.foreign = None  # another writer: called after every set of ours
        # the subscriber
        self.path = Path(self.now, options or Options(), lambda n: n // 2)
        self.sets = []  # [(ms, endpoint or None, keepalive, nudge)]
        self.probes = []  # [ms]
        self.history = []  # [(ms, state)]
        self._look_ms = None
        self.sent_ms = self.now
        if relay:
            self.path.relays_at(self.now, dict([(name, RELAY) for name in publishers]))
            self.at(0, self._beacon)
            self.at(0, self._copies)
        self.look()
        self.at(1000, self._device_timer)
        self.at(0, self._client_timer)
        self.at(0, self._client_talks)

    # -- time -----------------------------------------------------------------------------------------

    def at(self, delay_ms, call, *args):
        self._count += 1
        heapq.heappush(self._queue, (self.now + delay_ms, self._count, call, args))

    def run(self, ms):
        end = self.now + ms
        while self._queue and self._queue[0][0] <= end:
            self.now, _, call, args = heapq.heappop(self._queue)
            call(*args)
        self.now = end

    def until(self, condition, limit_ms):
        """Run until the condition holds; the ms that it took. Fails after limit_ms."""
        begin = self.now
        while not condition():
            assert self.now - begin < limit_ms, "not within %d ms: %s %s, %r" % (
                limit_ms, self.path.state, self.path.reason, self.sets[-8:])
            self.run(10)
        return self.now - begin

    def connected(self):
        """The device sends to where the client is, has heard of it from there, and says so."""
        return (self.network is not None and self.endpoint == self.network.direct and self.path.state == "direct"
                and self.path.rx_ms is not None and self.path.rx_ms >= self.arrived_ms)

    # -- the client -------------------------------------------------------------------------------------

    def go(self, network, speaks=True):
        """The client is in another network (None: it sleeps); with `speaks` it sends something at once."""
        self.network, self.client_nat_ms, self.arrived_ms = network, None, self.now
        if speaks:
            self._client_speaks()

    def _client_timer(self):
        if self.keepalive_ms and self.network is not None:
            self._tell_publishers()
        self.at(self.keepalive_ms or 60000, self._client_timer)

    def _client_talks(self):
        due = self.keepalive_ms and (self.now - self.client_ms >= self.keepalive_ms
                                     or not self.client.valid(self.now, self.client.sends))
        if self.network is not None and (self.busy or due):
            self._client_sends(self.client.message(self.now))
        self.at(500, self._client_talks)

    def _client_speaks(self):
        if self.network is not None:
            self._tell_publishers()
            self._client_sends(self.client.message(self.now))

    def _tell_publishers(self):
        for name in sorted(self.publishers):
            self.at(DELAY_MS, self.publishers[name].hears, self.network.seen_by(name))

    def _client_sends(self, messages):
        if self.network is not None and messages:
            self.client_nat_ms = self.client_ms = self.client_sent_ms = self.now
            for kind, session in messages:
                if self.client_to == RELAY:
                    self._pass_on(kind, session, self._device_hears_relay, kind, session)
                elif self.client_to:
                    self.at(DELAY_MS, self.device_hears, self.network, kind, session)

    def _client_hears(self, endpoint, kind, session):
        here = self.network
        if here is None or endpoint != here.direct:
            return
        if not here.open and (self.client_nat_ms is None or self.now - self.client_nat_ms > NAT_MS):
            return
        self.client_nat_ms = self.now
        self._client_takes("direct", kind, session)

    def _client_takes(self, source, kind, session):
        authentic, answers = self.client.take(self.now, kind, session, self._make)
        if authentic:
            self.client_ms = self.now
            self.client_to = source if self.relay else "direct"
            if kind == "probe":
                self.at(PASSIVE_MS, self._client_answers, self.now)
        self._client_sends(answers)

    def _client_answers(self, heard_ms):
        """Data came and nothing went back: WireGuard sends a keepalive."""
        if self.client_sent_ms <= heard_ms and self.client.valid(self.now, self.client.sends):
            self._client_sends([("data", self.client.sends)])

    # -- the relay ----------------------------------------------------------------------------------------

    def _pass_on(self, kind, session, call, *args):
        """Through the server, if it knows the session; from a handshake on it does."""
        if session is None or session in self.relayed or kind == "response" or self.told:
            if session is not None:
                self.relayed.add(session)
            self.at(2 * DELAY_MS, call, *args)

    def _client_hears_relay(self, endpoint, kind, session):
        """The relay sends to where the server last heard the client."""
        if self.network is not None and endpoint == self.network.seen_by(sorted(self.publishers)[0]):
            self._client_takes(RELAY, kind, session)

    def _device_hears_relay(self, kind, session):
        self._device_takes(RELAY, kind, session)

    def _beacon(self):
        """The client's third peer: nothing of it is authentic, but it opens the client's NAT towards the device."""
        if self.network is not None:
            self.client_nat_ms = self.now
        self.at(BEACON_MS, self._beacon)

    def _copies(self):
        """What upgrade.py does, each second."""
        if self.endpoint == RELAY and self.path.seen and self.path.options.path == "auto":
            self.path.tried(self.now)
            self.nat[self.path.seen] = self.now
            if self.device.valid(self.now, self.device.sends):
                self.at(DELAY_MS, self._client_hears, self.path.seen, "probe", self.device.sends)
        self.at(1000, self._copies)

    def _make(self):
        self._sessions += 1
        return self._sessions

    # -- the device's kernel ------------------------------------------------------------------------------

    def device_hears(self, network, kind, session):
        """A packet of the client's that was sent from `network`."""
        source = network.direct
        allowed = self.device_open or network.lan or self.now - self.nat.get(source, -NAT_MS) < NAT_MS
        if allowed:
            self.nat[source] = self.now
            self._device_takes(source, kind, session)

    def _device_takes(self, source, kind, session):
        authentic, answers = self.device.take(self.now, kind, session, self._make)
        if authentic:
            self.endpoint = source
            self.rx += 100
            self.sent_ms = self.now
            self._device_sends(answers)

    def _device_sends(self, messages):
        if self.endpoint is not None and messages:
            self.sent_ms = self.nat[self.endpoint] = self.now
            for kind, session in messages:
                if self.endpoint == RELAY:
                    seen = self.publishers[sorted(self.publishers)[0]].endpoint
                    self._pass_on(kind, session, self._client_hears_relay, seen, kind, session)
                else:
                    self.at(DELAY_MS, self._client_hears, self.endpoint, kind, session)

    def _device_timer(self):
        due = self.now - self.sent_ms >= self.keepalive * 1000
        if self.keepalive and (due or not self.device.valid(self.now, self.device.sends)):
            self._device_sends(self.device.message(self.now))
        self.at(1000, self._device_timer)

    def recreate(self, endpoint=None):
        """The interface is made anew; the role notices by its index."""
        self.device, self.endpoint, self.keepalive, self.rx = Side(), endpoint, 0, 0
        self.path.recreated(self.now)
        self.look()

    # -- the subscriber: what the role does around the machine ----------------------------------------------

    def look(self):
        """Read the device, act, and plan the next look. Fails when the machine would make the loop spin."""
        path = self.path
        path.reading(self.now, self.endpoint, self.keepalive, self.rx)
        change = path.act(self.now)
        if not self.history or self.history[-1][1] != path.state:
            self.history.append((self.now, path.state))
        if change is not None:
            self._set(change)
        if path.take_probe():
            self.probes.append(self.now)
            self._device_sends([("probe" if kind == "data" else kind, session)
                                for kind, session in self.device.message(self.now)])
        due, poll = path.next_ms(), path.poll_ms(self.now)
        assert due is None or due > self.now, "due %d ms ago: %s" % (self.now - due, path.reason)
        assert 100 <= poll <= 1500 and (path.state == TRYING or poll in (1500, 100))
        self._look_ms = self.now + poll if due is None else min(self.now + poll, due)
        self.at(self._look_ms - self.now, self._planned_look, self._look_ms)

    def _planned_look(self, planned_ms):
        if planned_ms == self._look_ms:
            self.look()

    def _set(self, change):
        assert not self.path.options.exclude and (change.nudge or change.endpoint is None)
        self.sets.append((self.now, change.endpoint, change.keepalive, change.nudge))
        if self.tool_ms:
            self.at(self.tool_ms, self._make_change, change)
        else:
            self._make_change(change)

    def _make_change(self, change):
        if change.endpoint is not None:
            self.endpoint = change.endpoint
        starts = change.keepalive and (change.nudge or not self.keepalive)
        self.keepalive = change.keepalive
        if starts:
            self._device_sends(self.device.message(self.now))
        if self.foreign is not None:
            self.foreign()
        if self.tool_ms:
            self.at(self.tool_ms, self._read_back)
        else:
            self._read_back()

    def _read_back(self):
        self.path.applied(self.now, self.endpoint, self.keepalive, self.rx)

    def endpoints_set(self, since_ms=0):
        """The endpoints that were set since then."""
        return [endpoint for when, endpoint, _, _ in self.sets if endpoint is not None and when >= since_ms]

    def states(self, since_ms=0):
        return [state for when, state in self.history if when >= since_ms]

    def say(self, endpoint, age_ms=0, quiet=False, source="a"):
        """Put words into a publisher's mouth."""
        self.path.observe(self.now, source, endpoint, age_ms, quiet)
        self.look()
