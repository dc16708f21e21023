"""Which handshakes WireGuard refuses: an initiation comes from a peer's known endpoint, and nothing is received.

WireGuard takes no initiation that is older by its sender's clock than the last one, and does not tell. What is told
here is not authenticated, so it only leads to calls to endpoints that WireGuard had confirmed before.
"""

REFUSED_MS = 300  # an initiation that was accepted shows by then
_PENDING_MOST = 16


class Refused:
    """Watches over the peers of one registry.Registry. Times are monotonic ms."""

    def __init__(self, registry):
        self._registry = registry
        self._pending = {}  # source of an initiation: (key, rx when it came, when it must have shown)
        self._places, self._places_seq = {}, None  # {endpoint: Entry}, as of this sequence number

    def __len__(self):
        return len(self._pending)

    def came(self, now, source, is_ours):
        """An initiation came from this endpoint; gives whether `take` is to be called REFUSED_MS later.
        `is_ours(key)`: whether the peer is one to call."""
        if source in self._pending or len(self._pending) >= _PENDING_MOST:
            return False
        entry = self._entry_at(source)
        if entry is None or entry.peer is None or not is_ours(entry.key):
            return False
        self._pending[source] = (entry.key, entry.peer.rx, now + REFUSED_MS)
        return True

    def _entry_at(self, endpoint):
        """The peer at this endpoint, or None; a flood may ask hundreds of times a second."""
        if self._places_seq != self._registry.seq:
            self._places_seq, self._places = self._registry.seq, {}
            for entry in self._registry.entries.values():
                self._places[entry.endpoint] = entry
        return self._places.get(endpoint)

    def take(self, now):
        """The Entries whose handshake was refused, each once: call it after a reading."""
        found = []
        for source in list(self._pending):
            key, rx, due = self._pending[source]
            if now < due:
                continue
            del self._pending[source]
            entry = self._registry.entries.get(key)
            if entry is not None and entry.peer is not None and entry.peer.rx == rx and entry.endpoint == source:
                found.append(entry)
        return found
