"""When to try which address for a client that is reached through the relay, to move it to the direct path.

Two sources name candidates. A publisher says where WireGuard on the public server sees the client: authenticated, so it
may be tried often. A beacon is an unauthenticated packet that only shows an address: anybody may have sent it. So of
beacons only the last few addresses are kept, each is worth a few tries, and the publisher's word has every second turn.
A try disturbs nothing (see upgrader.py), so being wrong costs a few small packets.
"""
TRIES_MS = (0, 300) + tuple(range(1000, 11000, 1000))  # of the publisher's word, since it was told
RETRY_MS = 60000  # after these, and before a beacon's address is worth new tries
GAP_MS = 1000  # between two tries of one client; the first three of a publisher's word come faster
BEACON_TRIES = 3
BEACONS_MOST = 4


class _Candidate:
    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.tries = BEACON_TRIES  # that are left
        self.tried_ms = None


class Upgrade:
    """One client's attempts. Times are monotonic ms, endpoints canonical text."""

    def __init__(self):
        self._relaying = False
        self._trusted, self._step, self._begin_ms = None, 0, 0
        self._candidates = []  # the one heard of last at the end
        self._tried_ms, self._was_trusted = None, False  # the last try

    def relaying(self, now, yes):
        """Whether the client is on the relay, and the direct path wanted."""
        if yes != self._relaying:
            self._relaying = yes
            self._candidates = []
            self._begin(now)

    def seen(self, now, endpoint):
        """Where a publisher sees the client, or None."""
        if endpoint != self._trusted:
            self._trusted = endpoint
            self._begin(now)

    def beacon(self, now, endpoint):
        """A beacon of this client came from there."""
        if not self._relaying:
            return
        known = [candidate for candidate in self._candidates if candidate.endpoint == endpoint]
        candidate = known[0] if known else _Candidate(endpoint)
        if not candidate.tries and now - candidate.tried_ms >= RETRY_MS:
            candidate.tries = BEACON_TRIES
        others = [other for other in self._candidates if other is not candidate]
        if len(others) == BEACONS_MOST:
            others.remove(([other for other in others if not self.trusts(other.endpoint)] or others)[0])
        self._candidates = others + [candidate]

    def _begin(self, now):
        self._begin_ms, self._step = now, 0

    def take(self, now):
        """The endpoint to try now, or None. A try is counted as made."""
        trusted, other = self._trusted_ms(), self._next_candidate()
        is_due = trusted is not None and trusted <= now
        if other is not None and now >= self._free_ms() and not (is_due and not self._was_trusted):
            other.tries -= 1
            other.tried_ms = self._tried_ms = now
            self._was_trusted = False
            return other.endpoint
        if not is_due:
            return None
        self._step += 1
        if self._step >= len(TRIES_MS):  # from now on it is the time since the last try that counts
            self._begin_ms, self._step = now - TRIES_MS[-1], len(TRIES_MS)
        self._tried_ms, self._was_trusted = now, True
        return self._trusted

    def trusts(self, endpoint):
        """Whether a publisher sees the client at this address; at another port, perhaps, as behind a symmetric NAT."""
        return self._trusted is not None and self._trusted.rpartition(":")[0] == endpoint.rpartition(":")[0]

    def next_ms(self):
        """When `take` will have something, as far as it is known, or None."""
        due = self._trusted_ms()
        if self._next_candidate() is not None:
            due = self._free_ms() if due is None else min(due, self._free_ms())
        return due

    def _free_ms(self, gap_ms=GAP_MS):
        return 0 if self._tried_ms is None else self._tried_ms + gap_ms

    def _trusted_ms(self):
        """When the publisher's word is due, or None."""
        if not self._relaying or self._trusted is None:
            return None
        due = self._begin_ms + (TRIES_MS[self._step] if self._step < len(TRIES_MS) else TRIES_MS[-1] + RETRY_MS)
        return max(due, self._free_ms(TRIES_MS[1] if self._step < 3 else GAP_MS))

    def _next_candidate(self):
        """Of those with tries left, where a publisher sees the client before others, the one that waits longest; of new
        ones the last heard of."""
        best, rank = None, None
        for candidate in self._candidates if self._relaying else ():
            mine = (not self.trusts(candidate.endpoint), candidate.tried_ms or 0)
            if candidate.tries and (best is None or mine <= rank):
                best, rank = candidate, mine
        return best
