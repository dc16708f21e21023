"""Hears the beacons of clients: handshake initiations to a key that nobody holds, from wherever a client is now.

A beacon names itself by its mac1, a checksum keyed with the beacon's public key (WireGuard's whitepaper, 5.4.4). It
proves nothing: who has seen one can send it again from elsewhere. So it only names an address that is worth a try (see
copier.py). Anybody can send what looks like one, and each check costs a hash, so there are at most 4 for a packet and
40 a second in all, and a message that came before is not looked at again.
"""
from . import wgpacket
from .ears import INITIATION, Ears

_AT_ONCE, _A_SECOND = 4, 40
_SEEN_MOST = 64
_MAC1 = 116


class Beacons:
    """Calls `heard(key, endpoint)` for a beacon to `port` of one of the wanted clients. Raises OSError (EPERM: needs
    CAP_NET_RAW)."""

    def __init__(self, loop, port, heard):
        self._loop = loop
        self._heard = heard
        self._clients = []  # (key, Mac1), whose turn it is first
        self._last = {}  # key: where its beacon came from last
        self._seen = []  # mac1 of the messages of late
        self._second_ms, self._hashes = loop.now(), 0
        self._ears = Ears(loop, port, INITIATION, INITIATION[0], self._take)

    def want(self, clients):
        """Whose beacons: {key: wgpacket's Mac1 of the client's beacon key}."""
        known = [key for key, _ in self._clients if key in clients]
        self._clients = [(key, clients[key]) for key in known + sorted([key for key in clients if key not in known])]
        for key in list(self._last):
            if key not in clients:
                del self._last[key]

    def _take(self, endpoint, datagram):
        message = datagram[8:]
        mac1 = message[_MAC1:_MAC1 + 16]
        if len(datagram) != INITIATION[0] or mac1 in self._seen:
            return
        key = self._whose(message, endpoint)
        if key is not None:
            self._seen = self._seen[1 - _SEEN_MOST:] + [mac1]
            self._last[key] = endpoint
            self._heard(key, endpoint)

    def _whose(self, message, endpoint):
        """The client whose beacon this is; first those whose beacon came from there before, then whose turn it is."""
        tried = [row for row in self._clients if self._last.get(row[0]) == endpoint][:_AT_ONCE]
        others = [row for row in self._clients if row not in tried][:_AT_ONCE - len(tried)]
        for key, mac1 in tried + others:
            if not self._may_hash():
                return None
            if wgpacket.is_for(message, mac1):
                return key
        self._clients = [row for row in self._clients if row not in others] + others
        return None

    def _may_hash(self):
        now = self._loop.now()
        if now - self._second_ms >= 1000:
            self._second_ms, self._hashes = now, 0
        self._hashes += 1
        return self._hashes <= _A_SECOND

    def close(self):
        """No more calls."""
        self._ears.close()
