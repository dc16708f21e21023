"""In which path each peer was during the last day: one letter for every quarter of an hour, for people who look rather
than read.

Pure: it is told the paths now and then. It holds 95 letters a peer and some numbers for the slot that is under way,
of the peers that there are and no others, and nothing of it outlives the daemon.
"""
SLOT_S = 900
SLOTS = 96  # a day
UNKNOWN = "-"
_SLOT_MS = 1000 * SLOT_S


class _Peer:
    """One peer: the letters of the slots that are over, and how long it was in which path in this one."""

    def __init__(self, path):
        self.past = UNKNOWN * (SLOTS - 1)
        self.path = path
        self.spent = {}  # path: ms

    def pass_time(self, ms):
        self.spent[self.path] = self.spent.get(self.path, 0) + ms

    def letter(self):
        if not self.spent:
            return self.path[0]
        longest = max(self.spent.values())
        return min([path[0] for path in self.spent if self.spent[path] == longest])

    def turn(self):
        self.past = (self.past + self.letter())[1 - SLOTS:]
        self.spent = {}


class History:
    """The last day of all peers, from `now` (ms) on."""

    def __init__(self, now):
        self._now = now
        self._peers = {}

    def take(self, now, paths):
        """These are the paths from `now` (ms) on: {public key: path.DIRECT or another}, or UNKNOWN for a peer of which
        nothing can be said. A peer that is not among them is forgotten."""
        while self._now < now:
            turn = (self._now // _SLOT_MS + 1) * _SLOT_MS
            end = min(now, turn)
            for peer in self._peers.values():
                peer.pass_time(end - self._now)
                if end == turn:
                    peer.turn()
            self._now = end
        for key in [key for key in self._peers if key not in paths]:
            del self._peers[key]
        for key in paths:
            if key in self._peers:
                self._peers[key].path = paths[key]
            else:
                self._peers[key] = _Peer(paths[key])

    def states(self):
        """{public key: 96 letters}, the slot that is under way last: the first letter of the path in which the peer was
        longest in that slot, UNKNOWN where that is not known."""
        found = {}
        for key in self._peers:
            peer = self._peers[key]
            found[key] = peer.past + peer.letter()
        return found
