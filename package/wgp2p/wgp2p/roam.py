"""A roam, noticed before the client has said a word to the public server: its packets for a device come to the relay
from an address that nobody knows.

That is a hint and proves nothing: whoever has seen one packet of the client can send it again from anywhere. So the
server asks: it points its own WireGuard peer there and sends an echo request. Only an authentic answer makes the new
address the client's. Without one within half a second the old address is set again. Nobody is asked whose known address
has spoken within the last second, and nobody more than once in 5 s, so a liar takes half a second of 5 s from the
server's own tunnel to a silent client, and nothing from the relay: nothing is moved meanwhile.
"""
from . import log, probe
from .handshake import call

ANSWER_MS, SILENT_MS, EVERY_MS = 500, 1000, 5000
_LOOKS_MS = (60, 120, 240, 360)  # an answer is known as soon as one of these finds it
_PENDING_MOST = 16


class Roam:
    """Follows hints for one interface. `view` (a Publisher) offers `registry`, `config`, `look()`."""

    def __init__(self, loop, wireguard, interface, view):
        self._loop = loop
        self._wireguard = wireguard
        self._interface = interface
        self._view = view
        self._asked_ms = {}  # key: when, within the last EVERY_MS
        self._timers = []

    def hinted(self, key, endpoint):
        """Traffic of this peer has come from `endpoint`."""
        now = self._loop.now()
        for other in [other for other in self._asked_ms if now - self._asked_ms[other] >= EVERY_MS]:
            del self._asked_ms[other]
        if key in self._asked_ms or len(self._asked_ms) >= _PENDING_MOST or self._view.config.excluded(key):
            return
        self._asked_ms[key] = now
        self._wireguard.read(self._interface, lambda device, error: self._ask(key, endpoint, device))

    def _ask(self, key, endpoint, device):
        entry = self._view.registry.entries.get(key)
        peer = device.peers.get(key) if device is not None else None
        if entry is None or entry.peer is None or peer is None or not peer.endpoint or peer.endpoint == endpoint:
            return
        spoke = peer.rx != entry.peer.rx  # since the last look, so within a second
        if spoke or (entry.seen_ms is not None and self._loop.now() - entry.seen_ms < SILENT_MS):
            return
        log.debug("%s may be at %s now, asking" % (self._view.config.name(key), endpoint))
        entry.doubted = endpoint
        call(self._wireguard, self._interface, key, endpoint, peer.keepalive, self._called(key))
        ip = probe.host_of(peer.allowed_ips)
        try:
            if ip:
                probe.echo(self._interface, ip)
        except OSError as error:
            log.debug("%s: no echo request to it (errno %d)" % (self._view.config.name(key), error.args[0]))
        self._timers = [timer for timer in self._timers if timer.when > self._loop.now()]
        self._timers += [self._loop.call_later(wait, self._view.look) for wait in _LOOKS_MS]
        self._timers.append(self._loop.call_later(ANSWER_MS, self._verdict, entry, endpoint, peer.endpoint))

    def _called(self, key):
        def called(error):
            if error is not None:
                log.debug("%s: %s" % (self._view.config.name(key), error))

        return called

    def _verdict(self, entry, endpoint, before):
        self._view.look()
        self._wireguard.read(self._interface, lambda device, error: self._settle(entry, endpoint, before, device))

    def _settle(self, entry, endpoint, before, device):
        """Nothing came: the old address again, unless WireGuard itself or somebody else has set another one."""
        if entry.doubted != endpoint:
            return
        entry.doubted = None
        peer = device.peers.get(entry.key) if device is not None else None
        if peer is not None and entry.peer is not None and peer.endpoint == endpoint and peer.rx == entry.peer.rx:
            self._wireguard.set_peer(self._interface, entry.key, self._called(entry.key), endpoint=before)

    def close(self):
        """Ask no more."""
        for timer in self._timers:
            timer.cancel()
