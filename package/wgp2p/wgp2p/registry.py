"""What a publisher knows of its WireGuard peers, with a sequence number for every change.

Pure: it is fed readings of the device and gives the peers that changed. What leaves the machine is an age in seconds
of this machine's monotonic clock, so no two clocks are ever compared. `latest_handshake` alone is the kernel's wall
clock, since the original wire format has it.
"""
from . import addr

EARLY_MS = 110000  # WireGuard shakes hands again after 120 s: who does so sooner has begun anew, and has no session
QUIET_MS = 40000  # a client with the recommended keepalive (25 s or less) is never quiet
REMOVALS_KEPT = 256


class Entry:
    """One peer as the publisher knows it."""

    def __init__(self, key, now):
        self.key = key
        self.peer = None  # as WireGuard has it (wireguard.Peer)
        self.networks = []  # allowed IPs, parsed
        self.endpoint = None
        self.seen_ms = None  # when rx last advanced
        self.first_ms = now
        self.restarts = 0  # how often it has begun anew where it was
        self.handshake_ms = None  # when the handshake's time was seen to change
        self.quiet = False
        self.doubted = None  # an endpoint that we set ourselves, where nothing has come from yet
        self.restored = False  # the endpoint is remembered, and nothing has come from there yet
        self.announced = None  # where it says that it is reached, too: at the same address
        self.announced_until = None  # ms
        self.prefers_announced = False  # others are told of that in place of where it is seen
        self.seq = 0

    def is_quiet(self, now):
        """Nothing from it for QUIET_MS."""
        return now - (self.first_ms if self.seen_ms is None else self.seen_ms) >= QUIET_MS

    def served(self):
        """Where others are told that it is."""
        return self.announced if self.announced and self.prefers_announced else self.endpoint


class Registry:
    """All peers of one interface. `boot` names this run of the publisher: sequence numbers of another run mean
    nothing."""

    def __init__(self, boot):
        self.boot = boot
        self.seq = 0
        self.entries = {}
        self.removed = []  # (seq, key), the latest REMOVALS_KEPT
        self._forgotten = 0  # a subscriber that knows no more than this needs a snapshot
        self.ifindex = None

    def update(self, now, device):
        """Take a reading of the device; gives the entries that changed, removals only counting up `seq`."""
        if self.ifindex is not None and device.ifindex != self.ifindex:
            for entry in self.entries.values():
                entry.peer = None  # its counters begin again
        self.ifindex = device.ifindex
        changed = []
        for key in device.peers:
            entry = self.entries.get(key)
            if entry is None:
                entry = self.entries[key] = Entry(key, now)
                self._read(now, entry, device.peers[key])
                self._bump(entry, changed)
            elif self._read(now, entry, device.peers[key]):
                self._bump(entry, changed)
        if len(self.entries) != len(device.peers):
            for key in [key for key in self.entries if key not in device.peers]:
                self._remove(key)
        return changed

    def _bump(self, entry, changed):
        self.seq += 1
        entry.seq = self.seq
        changed.append(entry)

    def _remove(self, key):
        del self.entries[key]
        self.seq += 1
        self.removed.append((self.seq, key))
        if len(self.removed) > REMOVALS_KEPT:
            self._forgotten = self.removed.pop(0)[0]

    def _read(self, now, entry, peer):
        """Take one peer's reading; whether something changed that others want to know."""
        old, heard, first, restarted = entry.peer, False, False, False
        if peer is not old:  # WireGuard's reader gives the same object while nothing has changed
            if old is None or peer.allowed_ips != old.allowed_ips:
                entry.networks = [addr.parse_network(text) for text in peer.allowed_ips]
            if old is not None or entry.first_ms != now:  # else nobody knows how old it all is
                rx, handshake = (old.rx, old.handshake) if old is not None else (0, 0)
                heard = peer.rx > rx
                if heard:
                    # Without an age others take what another publisher has seen for fresher.
                    first = entry.seen_ms is None
                    entry.seen_ms = now
                if peer.handshake and peer.handshake != handshake:
                    restarted = (entry.handshake_ms is not None and now - entry.handshake_ms < EARLY_MS
                                 and peer.endpoint == entry.endpoint)
                    entry.restarts += restarted
                    entry.handshake_ms = now
            entry.peer = peer
        quiet = entry.is_quiet(now)
        restored = entry.restored and not heard
        if heard:
            entry.doubted = None
        # A re-created interface has no endpoint until something comes in: what was known is still the best guess.
        endpoint = entry.endpoint if peer.endpoint in (None, entry.doubted) else peer.endpoint
        # Another port of the same address changes nothing: a mapping stays where it is.
        lapsed = entry.announced and (now >= entry.announced_until or _ip(endpoint) != _ip(entry.announced))
        if lapsed:
            entry.announced = None
        changed = (first or restarted or lapsed or endpoint != entry.endpoint or quiet != entry.quiet
                   or restored != entry.restored
                   or (old is not None and peer is not old and peer.allowed_ips != old.allowed_ips))
        entry.endpoint, entry.quiet, entry.restored = endpoint, quiet, restored
        return changed

    def restore(self, key, endpoint):
        """The endpoint comes from the state file: say so until something comes in."""
        entry = self.entries[key]
        entry.restored = True
        entry.endpoint = endpoint
        self._bump(entry, [])

    def announce(self, entry, endpoint, until_ms, preferred):
        """The peer says that it is reached at `endpoint`, too, until then; None: no more. It lapses before when the
        peer is seen at another address. `preferred`: others are told of it in place of where the peer is seen."""
        entry.announced_until, entry.prefers_announced = until_ms, preferred
        if endpoint != entry.announced:
            entry.announced = endpoint
            self._bump(entry, [])

    def asker(self, ip):
        """The entry whose allowed IPs hold this address with the longest prefix, or None. WireGuard lets a packet in
        only from the peer for which this holds, so the address is proof."""
        return addr.longest_match([(entry, entry.networks) for entry in self.entries.values()], ip)

    def since(self, seq):
        """What happened after `seq`, oldest first: (seq, key) of the latest change of each peer, a removal where there
        is no entry for the key. None when that is not known any more."""
        if seq > self.seq or seq < self._forgotten:
            return None
        rows = [(entry.seq, entry.key) for entry in self.entries.values() if entry.seq > seq]
        rows += [row for row in self.removed if row[0] > seq and row[1] not in self.entries]
        rows.sort()
        return rows


def _ip(endpoint):
    return endpoint.rpartition(":")[0]


def age_s(now, then):
    """Seconds between two monotonic ms, one decimal, or None."""
    return None if then is None else round((now - then) / 1000, 1)


def describe(entry, now):
    """A peer as /api/peers and /api/events say it: the original's fields first (docs/protocol.md)."""
    peer = entry.peer
    return {
        "public_key": entry.key,
        "endpoint": entry.served(),
        "allowed_ips": list(peer.allowed_ips),
        "latest_handshake": peer.handshake,
        "rx_bytes": peer.rx,
        "tx_bytes": peer.tx,
        "persistent_keepalive": peer.keepalive or None,
        "handshake_age": age_s(now, entry.handshake_ms),
        "seen_age": age_s(now, entry.seen_ms),
        "quiet": entry.quiet,
        "restored": entry.restored,
        "restarts": entry.restarts,
        "observed": entry.endpoint,
        "announced": entry.announced,
        "seq": entry.seq,
    }
