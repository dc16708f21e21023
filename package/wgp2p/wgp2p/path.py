"""The path machine: decides, for one peer of the remote device, where WireGuard should send to.

Pure: it is told what publishers say and what WireGuard says, with the time, and answers what to set. The rules:

1. An excluded peer is never touched.
2. A new endpoint from a publisher is applied at once when the peer stands on the endpoint applied before it, or
   when nothing has been received. On a path of its own (WireGuard followed the client somewhere else) it waits until
   nothing has come for the silence limit.
3. Applying is followed by a burst of nudges until something is received. Then the path is direct.
4. WireGuard is never fought. When it leaves the applied endpoint by itself because the client sends from elsewhere,
   that stays, and the applied one is not tried again until the publisher names a different one or silence sets in.
   Only within the first second a turn back is taken for packets that were still under way.
5. It never gives up while the client is online: after the burst the pauses grow, and every new fact starts it anew.
6. A peer that no publisher has seen for `stale_after` loses its keepalive, and gets it back with the next sign of life.
7. What someone else took away (keepalive, endpoint) is set again, but no endpoint over one that receives.
8. Whatever is said how often: sets are limited to a burst of 12 and then one a second.

With several publishers the freshest observation wins. An observation is as fresh as the moment at which the publisher
saw the client at that endpoint; one that only repeats what was said is no fresher, so two publishers that see
different ports of one client do not take turns.
"""

DIRECT, TRYING, OFFLINE, STATIC = "direct", "trying", "offline", "static"

BURST_MS = (0, 200, 500, 1000, 2000, 4000)
RETRY_FIRST_MS, RETRY_MOST_MS = 5000, 60000
IN_FLIGHT_MS = 1000  # packets sent before a roam may still arrive for this long
SILENT_MS = 45000  # a publisher says within 40 s that a client went quiet; then it is the client, not the path
RHYTHM_MOST_MS = 125000  # WireGuard itself speaks every 120 s
SETS_AT_ONCE, SET_EVERY_MS = 12, 1000
UNSEEN_AGE_MS = 40000  # the age of an observation whose publisher cannot tell it


class Observation:
    """What one publisher last said of the peer."""

    def __init__(self, endpoint, fresh_ms, quiet, seen_ms):
        self.endpoint = endpoint
        self.fresh_ms = fresh_ms  # when the client was seen at this endpoint
        self.quiet = quiet  # nothing from the client lately
        self.seen_ms = seen_ms  # last sign of life, in local time
        self.age_at_loss_ms = None  # not None: the connection is lost, and silence tells nothing any more

    def age_ms(self, now):
        """How long ago the publisher heard of the client, as far as can be known."""
        if self.age_at_loss_ms is not None:
            return self.age_at_loss_ms
        return now - self.seen_ms if self.quiet else 0

    def rank(self):
        """The higher, the more it is to be believed: connected and seeing the client, then fresher."""
        return (not self.quiet and self.age_at_loss_ms is None, self.fresh_ms)


class Options:
    """What the configuration says of a peer: `keepalive_s` (s), `stale_after_s` (s), `exclude`."""

    def __init__(self, keepalive_s=25, stale_after_s=180, exclude=False):
        self.keepalive_s = keepalive_s
        self.stale_after_s = stale_after_s
        self.exclude = exclude


class Change:
    """What to set on the peer: `endpoint` or None to leave it, `keepalive` in s; `nudge` makes WireGuard send at once."""

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
        self.endpoint = None  # as WireGuard has it
        self.keepalive = 0
        self.rx_ms = None  # when rx last advanced
        self._rx = None
        self._rx_endpoint = None  # where WireGuard stood when rx last advanced
        self._rhythm_ms = 0  # the longest recent pause between signs of life on a path that works
        self._hold_until = None  # a session from before our start may be alive: let it show
        self._foreign = False  # the endpoint changed, and neither we nor a packet did it
        self._sources = {}
        self._managed = False  # a publisher has named it
        self._target = None  # the endpoint that the publishers say
        self._previous = None  # the one that was applied before
        self._turned = None  # the target that WireGuard left for a path of its own
        self._confirmed = False  # something was received since the target was applied
        self._applied_ms = None
        self._step = 0
        self._begin_ms = now  # of the burst
        self._due_ms = now
        self._tokens, self._tokens_ms = SETS_AT_ONCE, now

    # -- what publishers say ------------------------------------------------------------------------

    def observe(self, now, source, endpoint, seen_age_ms, quiet):
        """A publisher's word: where the client is, how long ago (ms, None: it cannot tell), and whether quiet."""
        old = self._sources.get(source)
        if seen_age_ms is None:
            seen = old.seen_ms if old is not None and old.endpoint == endpoint else now
            fresh = now - UNSEEN_AGE_MS
        else:
            seen = fresh = now - seen_age_ms
        if old is not None and old.endpoint == endpoint and old.quiet == quiet:
            fresh = old.fresh_ms
        self._sources[source] = Observation(endpoint, fresh, quiet, seen)
        if old is not None and old.quiet and not quiet:
            self._restart(now)
        self._choose(now)

    def forget(self, now, source):
        """The publisher does not name the peer any more."""
        if self._sources.pop(source, None) is not None:
            self._choose(now)

    def lost(self, now, source):
        """The connection to the publisher is lost: what it said stays, its silence tells nothing."""
        seen = self._sources.get(source)
        if seen is not None and seen.age_at_loss_ms is None:
            seen.age_at_loss_ms = seen.age_ms(now)

    def punch(self, now):
        """Someone asks to connect now: the burst starts anew."""
        self._unsettle(now)
        self._tokens = SETS_AT_ONCE

    def _choose(self, now):
        best = None
        for source in sorted(self._sources):
            seen = self._sources[source]
            if seen.endpoint is not None and (best is None or seen.rank() > best.rank()):
                best = seen
        target = best.endpoint if best else None
        if target == self._target:
            return
        if self._target is not None and self._turned is None:
            self._previous = self._target
        self._target = target
        self._unsettle(now)

    def _unsettle(self, now):
        """What was found out about the target does not hold any more."""
        self._confirmed = False
        self._turned = self._applied_ms = None
        self._restart(now)

    def _restart(self, now):
        self._step = 0
        self._begin_ms = self._due_ms = now

    # -- what WireGuard says --------------------------------------------------------------------------

    def reading(self, now, endpoint, keepalive, rx, recent=False):
        """The peer as WireGuard has it: `keepalive` in s, `rx` in bytes. `recent`: its last handshake is young by the
        machine's clock; asked only at the first look, of a session from before our start."""
        if self._rx is None:
            if recent and endpoint:
                self._hold_until = now + self._silence_ms()
        elif rx < self._rx:
            self.recreated(now)
        elif rx > self._rx:
            self._received(now, endpoint)
        elif endpoint != self.endpoint:
            self._foreign = True
        self._rx, self.endpoint, self.keepalive = rx, endpoint, keepalive

    def recreated(self, now):
        """The interface is a new one: no session, no endpoint, counters from zero."""
        self._rx = self.rx_ms = self._rx_endpoint = self._hold_until = None
        self._foreign = False
        self._rhythm_ms = 0
        self._unsettle(now)

    def applied(self, now, endpoint, keepalive, rx):
        """The reading right after a change of ours: what was received until then says nothing of the new endpoint."""
        self._rx, self.endpoint, self.keepalive = rx, endpoint, keepalive
        self._foreign = False
        if self._applied_ms is None and endpoint == self._target:
            self._applied_ms = now

    def _received(self, now, endpoint):
        if self.rx_ms is not None and now - self.rx_ms <= RHYTHM_MOST_MS:
            self._rhythm_ms = max(now - self.rx_ms, self._rhythm_ms * 7 // 8)
        self.rx_ms, self._rx_endpoint = now, endpoint
        self._hold_until = None
        self._foreign = False
        if self._target is None or endpoint == self._target:
            self._confirmed = True
            self._turned = None
        elif self._applied_ms is not None and now - self._applied_ms >= IN_FLIGHT_MS:
            self._confirmed = True
            self._turned = self._target

    # -- decisions --------------------------------------------------------------------------------------

    def act(self, now):
        """The Change to make now, or None. Call it after every fact and at `next_ms()`."""
        if self.options.exclude:
            self._become(now, STATIC, "excluded")
            return None
        self._notice_silence(now)
        online = self._online(now)
        keepalive = self.options.keepalive_s if online else 0
        self._name_state(now, online)
        if not self._sources:
            # Never named by a publisher: not ours to touch. Named no more: take back what was given.
            if self._managed and self.keepalive and self._token(now):
                self._managed = False
                return Change(None, 0, False)
            return None
        self._managed = True
        if online and self._target is not None and not self._respects(now):
            if not self._confirmed:
                return self._call(now, keepalive)
            if self._taken_away():
                return Change(self._target, keepalive, True) if self._token(now) else None
        if self.keepalive != keepalive and self._token(now):
            return Change(None, keepalive, False)
        return None

    def _call(self, now, keepalive):
        """The next step of the burst, if it is time."""
        if now < self._due_ms or not self._token(now):
            return None
        self._plan_next(now)
        return Change(self._target, keepalive, True)

    def _taken_away(self):
        """Someone else removed or changed the endpoint of a path that works."""
        return self.endpoint is None or (self._foreign and self._turned is None and self.endpoint != self._target)

    def next_ms(self):
        """When `act` wants to be called again at the latest, or None."""
        if self.state in (STATIC, OFFLINE):
            return None
        if self._confirmed:
            return None if self._all_quiet() else self.rx_ms + self._patience_ms()
        waits = self._waits_until()
        return self._due_ms if waits is None else max(waits, self._due_ms)

    def poll_ms(self, now):
        """How soon another reading is worth its cost."""
        if self.state != TRYING:
            return 1500
        elapsed = now - self._begin_ms
        return 100 if elapsed < 1500 else 250 if elapsed < 6000 else 1000

    def _silence_ms(self):
        """How long a path that works may be silent; a client with a slower rhythm than ours teaches it."""
        return max(self.options.keepalive_s * 1000, self._rhythm_ms) + 2000

    def _patience_ms(self):
        """How long a path counts as working without a sign of life from a client that its publisher still sees."""
        return max(self._silence_ms(), SILENT_MS)

    def _notice_silence(self, now):
        if self._confirmed and now - self.rx_ms >= self._patience_ms() and not self._all_quiet():
            self._previous = None
            self._unsettle(now)

    def _waits_until(self):
        """When a path of its own has been silent long enough (None: there is none to respect)."""
        if self.endpoint is None or self.endpoint in (self._target, self._previous) or self._foreign:
            return None
        if self._hold_until is not None:
            return self._hold_until
        if self._applied_ms is not None or self.rx_ms is None:
            return None
        return self.rx_ms + self._silence_ms()

    def _respects(self, now):
        """A path of its own is given its time."""
        return not self._confirmed and (self._waits_until() or 0) > now

    def _all_quiet(self):
        for seen in self._sources.values():
            if not seen.quiet:
                return False
        return True

    def _online(self, now):
        """Somebody has heard of the client within `stale_after`."""
        limit = self.options.stale_after_s * 1000
        if self.rx_ms is not None and now - self.rx_ms < limit:
            return True
        for seen in self._sources.values():
            if seen.endpoint and seen.age_ms(now) < limit:
                return True
        return False

    def _plan_next(self, now):
        self._step += 1
        if self._step < len(BURST_MS):
            self._due_ms = max(now + 50, self._begin_ms + BURST_MS[self._step])
            return
        pause = RETRY_FIRST_MS
        for _ in range(min(self._step - len(BURST_MS), 7)):
            pause = pause * 3 // 2
        pause = min(pause, RETRY_MOST_MS)
        self._due_ms = now + pause - pause // 8 + self._jitter(pause // 4)

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

    # -- for people -----------------------------------------------------------------------------------

    def _name_state(self, now, online):
        receives = self.rx_ms is not None and now - self.rx_ms < self._patience_ms()
        if not self._sources:
            self._become(now, DIRECT if receives else OFFLINE, "no publisher knows it")
        elif not online:
            self._become(now, OFFLINE, self._offline_reason())
        elif self._target is None:
            self._become(now, DIRECT if receives else OFFLINE, "never connected to the public server")
        elif self._confirmed or (receives and self.endpoint == self._target == self._rx_endpoint):
            self._become(now, DIRECT, "" if self.endpoint == self._target else "on a path of its own")
        elif self._respects(now):
            self._become(now, DIRECT, "on a path of its own; " + self._target + " is tried when it falls silent")
        else:
            self._become(now, TRYING, self._trying_reason())

    def _offline_reason(self):
        for seen in self._sources.values():
            if seen.endpoint:
                return "not seen by the public server"
        return "never connected to the public server"

    def _trying_reason(self):
        endpoints = sorted(set([seen.endpoint for seen in self._sources.values() if seen.endpoint and not seen.quiet]))
        hosts = set([endpoint.rpartition(":")[0] for endpoint in endpoints])
        if len(endpoints) > len(hosts):
            return "symmetric NAT: it shows different ports to different servers (%s)" % ", ".join(endpoints)
        if self._step < len(BURST_MS):
            return "calling " + self._target
        return "no answer from %s: a symmetric NAT or a firewall on its side or ours" % self._target

    def _become(self, now, state, reason):
        if state != self.state:
            self.state, self.since_ms = state, now
        self.reason = reason
