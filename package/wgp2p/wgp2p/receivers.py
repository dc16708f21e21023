"""Whose a handshake initiation is: the one among many public keys that its mac1 was made with.

Each key costs a hash, and anybody who can write from a member's address can make us search. So a packet gets a few
hashes at once, which find the server itself, whom the sender has called before, and who has just moved; what is left of
the search goes on in slices, and there are never more than PENDING_MOST of these.
"""
from . import wgpacket
from .blake2s import Mac1
from .wgmessage import key_bytes

AT_ONCE, PENDING_MOST, PENDING_EACH = 4, 16, 4
_FOUND_MOST = 8


class Search:
    """An initiation on its way to a receiver. `sender`: the key of who seems to have sent it."""

    def __init__(self, sender, message, candidates):
        self.sender, self.message = sender, message
        self.found = None  # the key, once it is known
        self.over = False
        self._candidates = candidates

    def step(self, count):
        """At most `count` hashes more; whether the search is over."""
        while count > 0 and not self.over:
            count -= 1
            key, mac1 = next(self._candidates, (None, None))
            if key is None:
                self.over = True
            elif wgpacket.is_for(self.message, mac1):
                self.found, self.over = key, True
        return self.over


class Receivers:
    """The members that an initiation can be for. `own`: the server's public key or None."""

    def __init__(self):
        self.own = None
        self._order = []  # keys of members, the one that changed last first
        self._mac1 = {}  # key: its Mac1, once it was needed
        self._found = {}  # sender: the receivers that it has called, the last first
        self._pending = []

    def changed(self, key):
        """This member is new, or has moved: it is looked at before all others."""
        if key in self._order:
            self._order.remove(key)
        self._order.insert(0, key)

    def keep(self, keys):
        """Only these are members any more."""
        self._order = [key for key in self._order if key in keys]
        for known in (self._mac1, self._found):
            for key in [key for key in known if key not in keys and key != self.own]:
                del known[key]
        self._pending = [search for search in self._pending if search.sender in keys]

    def begin(self, sender, message, may):
        """A Search that has had its first hashes; `may(key)`: whether the sender may talk to this member."""
        search = Search(sender, message, self._candidates(sender, may))
        if not search.step(AT_ONCE):
            own = len([other for other in self._pending if other.sender == sender])
            if own < PENDING_EACH and len(self._pending) < PENDING_MOST:
                self._pending.append(search)
        return self._ended(search)

    def pending(self):
        """How many searches are not over."""
        return len(self._pending)

    def go_on(self):
        """One hash for the search whose turn it is; gives it when it is over, else None."""
        search = self._pending.pop(0)
        if search.step(1):
            return self._ended(search)
        self._pending.append(search)
        return None

    def _ended(self, search):
        if search.found is not None and search.found != self.own:
            found = [key for key in self._found.get(search.sender, ()) if key != search.found]
            self._found[search.sender] = [search.found] + found[:_FOUND_MOST - 1]
        return search

    def _candidates(self, sender, may):
        if self.own is not None:
            yield self.own, self._mac1_of(self.own)
        first = [key for key in self._found.get(sender, ()) if key in self._order]
        for keys, skipped in ((first, ()), (list(self._order), first)):
            for key in keys:
                if key not in skipped and key != sender and may(key):
                    yield key, self._mac1_of(key)

    def _mac1_of(self, key):
        mac1 = self._mac1.get(key)
        if mac1 is None:
            mac1 = self._mac1[key] = Mac1(wgpacket.mac1_key(key_bytes(key)))
        return mac1
