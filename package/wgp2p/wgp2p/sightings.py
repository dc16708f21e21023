"""What publishers say of one peer: where its client is, how fresh that is, and where it was before.

With several publishers the freshest observation wins. It is as fresh as the moment at which the publisher saw the
client there; repeating it makes it no fresher, so two publishers that see different ports of one client do not take
turns.
"""

UNSEEN_AGE_MS = 40000  # the age of an observation whose publisher cannot tell it
LEFT_MOST = 4  # as many roams as can matter at a time; a flood of lies pushes the truth out and ends there


class Observation:
    """What one publisher last said of the peer."""

    def __init__(self, source, endpoint, fresh_ms, guessed, quiet, seen_ms):
        self.source = source
        self.endpoint = endpoint
        self.fresh_ms = fresh_ms  # when the client was seen at this endpoint
        self.guessed = guessed  # the publisher could not tell that: it started when the client was there already
        self.quiet = quiet  # nothing from the client lately
        self.seen_ms = seen_ms  # last sign of life, in local time
        self.lost_ms = None  # not None: since when the connection is lost, and silence tells nothing

    def age_ms(self, now, witnessed):
        """How long ago the publisher heard of the client. For one that is lost time stands still, unless another one
        that knows the client would tell of it (`witnessed`)."""
        end = now if self.lost_ms is None else self.lost_ms
        heard = self.seen_ms if self.quiet else end
        return (now if witnessed else end) - heard

    def rank(self):
        """The higher, the more it is to be believed: connected and seeing the client, then fresher."""
        return (not self.quiet and self.lost_ms is None, self.fresh_ms)


class Sightings:
    """All publishers' words on one peer. Times are monotonic ms."""

    def __init__(self):
        self._said = {}  # source: Observation
        self.left = {}  # endpoints that the client left: when

    def __len__(self):
        return len(self._said)

    def observe(self, now, source, endpoint, seen_age_ms, quiet):
        """A publisher's word: where the client is, how long ago (ms, None: it cannot tell), and whether quiet. Gives
        whether the client woke up."""
        old = self.said(source)
        same = old is not None and old.endpoint == endpoint
        guessed = seen_age_ms is None
        if guessed:
            seen = old.seen_ms if same else now
            fresh = now - UNSEEN_AGE_MS
        else:
            seen = fresh = now - seen_age_ms
        repeated = same and old.quiet == quiet and not self._news_since(old.lost_ms)
        if repeated and (guessed or not old.guessed):
            fresh, guessed = old.fresh_ms, old.guessed
        self._said[source] = Observation(source, endpoint, fresh, guessed, quiet, seen)
        if old is not None and old.endpoint is not None and not same:
            self.leave(now, old.endpoint)
        return old is not None and old.quiet and not quiet

    def _news_since(self, lost_ms):
        """Whether others have seen the client at a new place since a connection was lost (ms, or None: it is not)."""
        return lost_ms is not None and True in [seen.fresh_ms >= lost_ms for seen in self._said.values()]

    def leave(self, now, endpoint):
        """The client is not there any more; what comes from there was under way."""
        self.left[endpoint] = now
        if len(self.left) > LEFT_MOST:
            del self.left[min(self.left, key=self.left.get)]

    def forget(self, source):
        """This publisher does not name the peer any more; gives whether it did."""
        return self._said.pop(source, None) is not None

    def lose(self, now, source):
        """The connection to this publisher is lost: what it said stays; gives whether that is news."""
        seen = self.said(source)
        if seen is None or seen.lost_ms is not None:
            return False
        seen.lost_ms = now
        return True

    def best(self, among=None):
        """The Observation to believe, or None; `among`: of these publishers only."""
        named = [self._said[source] for source in sorted(self._said)
                 if self._said[source].endpoint and (among is None or source in among)]
        return max(named, key=Observation.rank) if named else None

    def said(self, source):
        """The Observation of this publisher, or None."""
        return self._said.get(source)

    def endpoints(self):
        """Where publishers see the client now, as a set."""
        return set([seen.endpoint for seen in self._said.values()
                    if seen.endpoint and not seen.quiet and seen.lost_ms is None])

    def all_quiet(self):
        """Every publisher that knows the client says that it went quiet: it sleeps, the path is not to blame."""
        return not [seen for seen in self._said.values() if seen.endpoint and not seen.quiet]

    def within(self, now, limit_ms):
        """Whether somebody has heard of the client within this time."""
        known = [seen for seen in self._said.values() if seen.endpoint]
        witnessed = None in [seen.lost_ms for seen in known]
        return True in [seen.age_ms(now, witnessed) < limit_ms for seen in known]
