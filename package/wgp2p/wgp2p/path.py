"""The path machine: decides, for one peer of the remote device, where WireGuard should send to.

Pure: it is told what publishers say and what WireGuard says, with the time, and answers what to set. The rules:

1. An excluded peer is never touched.
2. A new endpoint from a publisher is applied at once when the peer stands on one that the publishers have left, or
   where nothing has been received. A path of its own (WireGuard followed the client to where no publisher sees it) is
   asked first, with a probe, and stays as long as it answers, or as no publisher hears the client either.
3. Applying is followed by a burst of nudges until something is received. Then the path is direct. A path on which
   WireGuard already receives what the publisher says only now needs nothing.
4. WireGuard is never fought. When it leaves the applied endpoint by itself because the client sends from elsewhere,
   that stays, and the applied one is not tried again until a publisher names a different one or the path is dead.
   Only for the first moments a turn back to where the client was before is taken for packets still under way.
5. It never gives up while the client is online: after the burst the pauses grow, and every new fact starts it anew.
   Then every second turn goes to a path of its own that died, or to where another publisher sees the client.
6. A peer that no publisher has seen for `stale_after` loses its keepalive, and gets it back with the next sign of life.
7. What someone else changed (keepalive, endpoint) is set again, but no endpoint over one that receives.
8. Whatever is said how often: sets are limited to a burst of 12 and then one a second.
9. Silence alone proves nothing (probe.py says why). A silent path is asked, and dead after two probes without answer.
10. Where the public server relays, the relay is called first: it answers within a round trip, whatever NATs there are.
   When the client then answers from elsewhere (upgrade.py sees to that), that is where the path belongs, and the relay
   counts as an endpoint that was left. A direct path that dies goes back to the relay.

What publishers say is weighed in sightings.py. Where two of them see different ports of one client, rule 2 protects the
path that works: only a publisher that saw the client at an endpoint can say that it left.
"""
from .sightings import Sightings

DIRECT, RELAY, TRYING, OFFLINE, STATIC = "direct", "relay", "trying", "offline", "static"

BURST_MS = (0, 200, 500, 1000, 2000, 4000)
RETRY_FIRST_MS, RETRY_MOST_MS = 5000, 60000
IN_FLIGHT_MS = 2000  # packets sent before a roam may still arrive for this long
CLIENT_KEEPALIVE_MS = 25000  # what clients are told to use
ANSWER_MS = 11000  # WireGuard answers a data packet within 10 s
PROBES = 2  # one may be lost, or its answer
SESSION_MS = 210000  # a session lives 180 s; the keepalive after its end makes a new one
ASKED_MS = 15000  # a punch, or a session from before our start, makes even an offline peer worth this long
SETS_AT_ONCE, SET_EVERY_MS = 12, 1000
TRIAL_MS = 1000  # after a try at a direct path, how long it is watched closely
LOOK_MS = 1500  # what someone else changed is found within this time


class Options:
    """What the configuration says of a peer: `keepalive_s` (s), `stale_after_s` (s), `exclude`, and the policy `path`:
    "auto", "direct" (never through a relay) or "relay" (nothing else is tried)."""

    def __init__(self, keepalive_s=25, stale_after_s=180, exclude=False, path="auto"):
        self.keepalive_s = keepalive_s
        self.stale_after_s = stale_after_s
        self.exclude = exclude
        self.path = path


class Change:
    """What to set on the peer: `endpoint` or None to leave it, `keepalive` in s; `nudge`: WireGuard sends at once."""

    def __init__(self, endpoint, keepalive, nudge):
        self.endpoint = endpoint
        self.keepalive = keepalive
        self.nudge = nudge


class Path:
    """One peer's path. Times are monotonic ms; `jitter(n)` gives a random integer below n."""

    def __init__(self, now, options, jitter):
        self.options = options
        self._jitter = jitter
        self.state, self.reason, self.since_ms = OFFLINE, "waiting for a publisher", now
        # what WireGuard says
        self.endpoint, self.keepalive = None, 0
        self.rx_ms = None  # when rx last advanced
        self._rx = None  # None: never read
        self._rx_endpoint = None  # where WireGuard stood when rx last advanced
        self._stand = None  # where it has to stand: there, or where we set it since
        self._asked = None  # the endpoint of a Change that was not read back yet
        self._astray = False  # two readings in a row found it elsewhere, and no packet did that: someone else writes
        self._doubt = False  # there is reason to ask whether the path still works
        self._probes, self._probed_ms = 0, now  # sent without an answer, and when the last one
        self._probe = False  # one is to be sent now
        # what publishers say
        self._sightings = Sightings()
        self._left = self._sightings.left
        self._managed = False  # a publisher has named it
        self._relays = {}  # {publisher: the endpoint at which its server relays}
        self.seen = self.relay = None  # where the client is by the best of them, and where that one's server relays
        self._target = None  # which of the two is called
        self._trial_ms = now - TRIAL_MS  # when a direct path was last tried
        # what came of it
        self._confirmed = False  # the path works: nothing to do about the target
        self._applied = False  # the target was set
        self._step = 0
        self._begin_ms = self._due_ms = now  # of the burst, and of its next step
        self._asked_until = now
        self._tokens, self._tokens_ms = SETS_AT_ONCE, now

    def configure(self, now, options):
        """Take new Options."""
        before, self.options = self.options.path, options
        self._choose(now)
        if before != options.path and self._stand is not None:
            self._sightings.leave(now, self._stand)
            self._unsettle(now)

    # -- what publishers say ------------------------------------------------------------------------

    def observe(self, now, source, endpoint, seen_age_ms, quiet):
        """A publisher's word: where the client is, how long ago (ms, None: it cannot tell), and whether quiet."""
        if self._sightings.observe(now, source, endpoint, seen_age_ms, quiet):
            self._question(now)
            if not self._confirmed:
                self._begin(now)
        self._choose(now)

    def forget(self, now, source):
        """The publisher does not name the peer any more."""
        if self._sightings.forget(source):
            self._choose(now)

    def lost(self, now, source):
        """The connection to the publisher is lost: what it said stays, its silence tells nothing."""
        if self._sightings.lose(now, source):
            self._choose(now)

    def relays_at(self, now, relays):
        """Where the publishers' servers relay: {source: endpoint}, without those that do not."""
        if relays != self._relays:
            self._relays = relays
            self._choose(now)

    def tried(self, now):
        """A direct path was tried beside the relay: look closely for a moment whether the client answers there."""
        self._trial_ms = now

    def uprooted(self, now):
        """Our own way to the internet is another one: where a relay can be called, no direct path is waited for."""
        if self.relay is not None and self._stand not in (None, self.relay):
            self._sightings.leave(now, self._stand)
        self.punch(now)

    def punch(self, now):
        """Someone asks to connect now: the burst starts anew, even for a peer that is offline."""
        self._unsettle(now)
        self._asked_until = now + ASKED_MS

    def _choose(self, now):
        best = self._sightings.best()
        seen = best.endpoint if best else None
        relaying = self._sightings.best(self._relays)
        relay = self._relays[relaying.source] if relaying and self.options.path != "direct" else None
        if relay is not None and seen == self.seen and self._confirmed and self._is_relay(self._target):
            relay = self._target  # what works stays: the freshest word changes all the time
        if (seen, relay) == (self.seen, self.relay):
            return
        moved, before = seen != self.seen, self.relay
        if relay is not None and self._stand not in (None, seen, relay) and _host(seen) != _host(self.seen):
            self._sightings.leave(now, self._stand)
        self.seen, self.relay = seen, relay
        if before not in (None, relay):
            self._sightings.leave(now, before)
        if relay is not None and not self._takes_direct() and self._stand not in (None, relay):
            self._sightings.leave(now, self._stand)
        elif not moved and self._confirmed and self._stand == self._rx_endpoint == self._target != before:
            return  # a direct path stays when its relay comes, goes or moves
        self._unsettle(now)
        if self._stand == self._rx_endpoint == seen and self._takes_direct():
            self._target = seen
        self._confirmed = self._works(now)

    def _is_relay(self, endpoint):
        return endpoint in self._relays.values()

    def _takes_direct(self):
        return self.options.path != "relay"

    def _unsettle(self, now):
        """What was found out does not hold any more."""
        self._question(now)
        self._begin(now)

    def _question(self, now):
        self._doubt = True
        if now - self._probed_ms >= ANSWER_MS:
            self._probes = 0

    def _begin(self, now):
        self._confirmed = self._applied = False
        self._target = self.relay or self.seen
        self._left.pop(self.relay, None)
        self._step = 0
        self._begin_ms = self._due_ms = now

    # -- what WireGuard says --------------------------------------------------------------------------

    def reading(self, now, endpoint, keepalive, rx, recent=False):
        """The peer as WireGuard has it: `keepalive` in s, `rx` in bytes. `recent`: its last handshake is young by the
        machine's clock; asked only at the first look, of a session from before our start that may be alive."""
        if self._rx is None:
            self._rx = rx
            if recent:
                self._rx_endpoint = endpoint
                self._asked_until = now + ASKED_MS
        elif rx < self._rx:
            self.recreated(now)
        self._astray = rx == self._rx and endpoint != self._stand != self.endpoint
        if endpoint is not None and (self._stand is None or endpoint == self._asked):
            self._stand, self._astray = endpoint, False
        if rx > self._rx and endpoint is not None:
            self._received(now, endpoint)
        self._rx, self.endpoint, self.keepalive = rx, endpoint, keepalive

    def recreated(self, now):
        """The interface is a new one: no session, no endpoint, counters from zero. The client is where it was."""
        if self._rx is not None:
            self._rx = 0
        self.endpoint = None
        self._unsettle(now)

    def applied(self, now, endpoint, keepalive, rx):
        """The reading right after a change of ours: what was received until then says nothing of the new endpoint."""
        if endpoint == self._asked != self.endpoint and self._rx is not None:
            self._rx = max(self._rx, rx)
        self.reading(now, endpoint, keepalive, rx)
        self._asked = None

    def _received(self, now, endpoint):
        self.rx_ms, self._doubt, self._probes = now, False, 0
        late = endpoint in self._left and now - self._left[endpoint] < IN_FLIGHT_MS
        if late and self._confirmed and self._is_relay(endpoint) and self._stand == self._rx_endpoint == self._target:
            self._astray = True  # the direct path works, and what the relay still had under way has turned it back
            return
        self._rx_endpoint = self._stand = endpoint
        if endpoint in self._left and not late:
            del self._left[endpoint]  # it came back, or never went: WireGuard knows better
        if self.relay is not None and not late:
            self._follow(now, endpoint)
        if self._target is None or endpoint == self._target or (self._applied and not late):
            self._confirmed = True
        elif late:
            self._confirmed = False

    def _follow(self, now, endpoint):
        """The client answers: where it does, relay or not, is where the path belongs."""
        if self._is_relay(endpoint):
            self._target = self.relay = endpoint
        elif self._target == self.relay and self._takes_direct():
            self._target = endpoint
            for relay in self._relays.values():
                self._sightings.leave(now, relay)

    # -- decisions --------------------------------------------------------------------------------------

    def act(self, now):
        """The Change to make now, or None. Call it after every fact, every reading and at `next_ms()`."""
        if self.options.exclude:
            self._become(now, STATIC, "excluded")
            return None
        if self._rx is None:
            return None
        if self._confirmed and len(self._sightings) and self._dead(now) and self.awake():
            self._begin(now)
        online = self._online(now)
        self._name_state(now, online)
        change = self._decide(now, online)
        if change is not None:
            self._asked = change.endpoint
        return change

    def _decide(self, now, online):
        if not len(self._sightings):  # not ours to touch; what was given when it was ours is taken back
            if self._managed and self.keepalive and self._token(now):
                self._managed = False
                return Change(None, 0, False)
            return None
        self._managed = True
        keepalive = self.options.keepalive_s if online else 0
        calling = restoring = False
        if online and self._target is not None:
            if self._confirmed or self._waits(now):
                restoring = self._astray
            else:
                calling = self._astray or now >= self._due_ms
        if not (calling or restoring or self.keepalive != keepalive) or not self._token(now):
            return None
        if calling:
            self._probe = True
            return Change(self._next_call(now), keepalive, True)
        return Change(self._stand if restoring else None, keepalive, restoring)

    def _next_call(self, now):
        """The endpoint to call in this step, and the time of the next one."""
        step = self._step
        self._step += 1
        if step == 0:
            self._begin_ms = now
        if self._step < len(BURST_MS):
            self._due_ms = max(now + 50, self._begin_ms + BURST_MS[self._step])
        else:
            grown = min(self._step - len(BURST_MS), 7)
            pause = min(RETRY_FIRST_MS * 3 ** grown // 2 ** grown, RETRY_MOST_MS)
            self._due_ms = now + pause - pause // 8 + self._jitter(pause // 4)
        if step % 2 and step > (len(BURST_MS) if self.relay is None else len(BURST_MS) - 2) and self._takes_direct():
            own = {self._rx_endpoint} - set(self._left)
            if others := sorted((self._sightings.endpoints() | own) - {None, self._target}):
                return others[step // 2 % len(others)]
        self._applied = True
        return self._target

    def take_probe(self):
        """Whether a probe is to be sent now (once): after the Change of the same `act` is made."""
        wanted, self._probe = self._probe, False
        return wanted

    def next_ms(self):
        """When `act` wants to be called again at the latest, besides after every reading, or None."""
        if self._rx is None or self._target is None or self.state in (STATIC, OFFLINE):
            return None
        if not (self._confirmed or self._own()):
            return self._due_ms
        if not self.awake():
            return None
        return self._verdict_ms() if self._confirmed else max(self._verdict_ms(), self._due_ms)

    def awake(self):
        """Whether a publisher hears the client now."""
        return not self._sightings.all_quiet()

    def poll_ms(self, now):
        """How soon another reading is worth its cost."""
        if now - self._trial_ms < TRIAL_MS:
            return 100
        if self.state in (DIRECT, RELAY, TRYING) and self.endpoint != self._stand and not self._astray:
            return 100  # a second look tells a foreign hand from a packet that was not counted yet
        if self.state != TRYING:
            return LOOK_MS
        elapsed = now - self._begin_ms
        return 100 if elapsed < 1500 else 250 if elapsed < 6000 else 1000

    def _silence_ms(self):
        """How long a path may be silent before it is asked."""
        return max(self.options.keepalive_s * 1000, CLIENT_KEEPALIVE_MS) + 2000

    def _heard(self, now, limit_ms):
        return self.rx_ms is not None and now - self.rx_ms < limit_ms

    def _works(self, now):
        """WireGuard stands where the publishers say, and receives there."""
        return self._stand == self._target == self._rx_endpoint and self._heard(now, self._silence_ms())

    def _dead(self, now):
        """Nothing came for long, or there is doubt, and no answer to the probes that are then sent."""
        if self.rx_ms is not None and not self._heard(now, SESSION_MS):
            return True
        if self._probes == 0:
            if not self._doubt and self._heard(now, self._silence_ms()):
                return False
        elif now - self._probed_ms < ANSWER_MS:
            return False
        elif self._probes == PROBES:
            return True
        self._probes += 1
        self._probed_ms, self._probe = now, True
        return False

    def _verdict_ms(self):
        """When `_dead` is to be asked next."""
        if self._probes:
            return self._probed_ms + ANSWER_MS
        return 0 if self._doubt or self.rx_ms is None else self.rx_ms + self._silence_ms()

    def _own(self):
        """WireGuard stands on a path of its own."""
        return (self._stand is not None and self._stand == self._rx_endpoint and self._stand != self._target
                and self._stand not in self._left)

    def _waits(self, now):
        """A path of its own is respected as long as it lives, or sleeps."""
        return self._own() and (not self._dead(now) or not self.awake())

    def _online(self, now):
        """Somebody has heard of the client within `stale_after`, or it is worth trying all the same."""
        limit = self.options.stale_after_s * 1000
        return self._heard(now, limit) or now < self._asked_until or self._sightings.within(now, limit)

    def _token(self, now):
        """Take one of the limited sets; without one, come back when there is."""
        earned = (now - self._tokens_ms) // SET_EVERY_MS
        if earned > 0:
            self._tokens = min(SETS_AT_ONCE, self._tokens + earned)
            self._tokens_ms += earned * SET_EVERY_MS
        if self._tokens < 1:
            self._due_ms = max(self._due_ms, self._tokens_ms + SET_EVERY_MS)
            return False
        self._tokens -= 1
        return True

    def _name_state(self, now, online):
        if self._target is None:
            self._become(now, DIRECT if self._heard(now, SESSION_MS) else OFFLINE,
                         "never connected to the public server" if len(self._sightings) else "no publisher knows it")
        elif not online:
            self._become(now, OFFLINE, "not seen by the public server")
        elif self._is_relay(self._stand) and (self._confirmed or self._works(now)):
            self._become(now, RELAY, "through the public server" + (
                "" if self._takes_direct() else ", as option path says"))
        elif self._confirmed or self._works(now):
            self._become(now, DIRECT, "" if self._stand in (self._target, self.seen) else "on a path of its own")
        elif self._waits(now):
            self._become(now, DIRECT, "on a path of its own; " + self._target + " is tried when it falls silent")
        else:
            self._become(now, TRYING, self._trying_reason())

    def _trying_reason(self):
        if self._step < len(BURST_MS):
            return "calling " + self._target
        endpoints = self._sightings.endpoints()
        if len(endpoints) > len(set([endpoint.rpartition(":")[0] for endpoint in endpoints])):
            return "symmetric NAT: it shows different ports to different servers (%s)" % ", ".join(sorted(endpoints))
        return "no answer from %s: a symmetric NAT or a firewall on its side or ours" % self._target

    def _become(self, now, state, reason):
        if state != self.state:
            self.state, self.since_ms = state, now
        self.reason = reason


def _host(endpoint):
    return endpoint.rpartition(":")[0] if endpoint else None
