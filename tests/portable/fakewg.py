"""A WireGuard that is none: the interface of wireguard.py, every change recorded, held back when a test wants it."""
from wgp2p.compat import b64encode
from wgp2p.wgmessage import Device, Peer
from wgp2p.wireguard import WireGuardError


def key(number):
    """The public key number `number`."""
    return b64encode(bytes([number]) * 32)


class FakeWireGuard:
    """`sets` holds (key, endpoint, keepalive, nudge) of every change asked for, `reads` counts. With `hold` the
    answers wait in `held` until `release()`."""

    def __init__(self):
        self.devices = {}
        self.sets = []
        self.reads = 0
        self.hold = False
        self.held = []
        self.refuse_sets = None  # a WireGuardError for every change
        self.problem = None  # a WireGuardError for every reading
        self.before_set = None  # called with the key before a change takes effect

    # -- what a test does to it ---------------------------------------------------------------------

    def add(self, name, ifindex=7, listen_port=51820):
        """A new interface without peers; in place of one of that name."""
        device = Device(name)
        device.ifindex, device.listen_port = ifindex, listen_port
        device.public_key = key(255)
        self.devices[name] = device

    def remove(self, name):
        """No such interface any more."""
        del self.devices[name]

    def peer(self, name, peer_key, **fields):
        """Change what WireGuard knows of a peer, or add it."""
        device = self._copy(name)
        old, peer = device.peers.get(peer_key), Peer(peer_key)
        for field in ("endpoint", "allowed_ips", "keepalive", "handshake", "rx", "tx"):
            default = getattr(old, field) if old is not None else getattr(peer, field)
            setattr(peer, field, fields.get(field, default))
        device.peers[peer_key] = peer
        self.devices[name] = device

    def hear(self, name, peer_key, endpoint, size=100):
        """A packet from the peer: WireGuard follows its source."""
        peer = self.devices[name].peers[peer_key]
        self.peer(name, peer_key, endpoint=endpoint, rx=peer.rx + size, handshake=peer.handshake or 1700000000)

    def drop(self, name, peer_key):
        """The peer is removed."""
        device = self._copy(name)
        del device.peers[peer_key]
        self.devices[name] = device

    def get(self, name, peer_key):
        """The peer as it is now."""
        return self.devices[name].peers[peer_key]

    def take_sets(self):
        """The changes since the last time."""
        sets, self.sets = self.sets, []
        return sets

    def release(self):
        """Answer everything that waits."""
        held, self.held = self.held, []
        for callback, args in held:
            callback(*args)

    def _copy(self, name):
        old, device = self.devices[name], Device(name)
        device.ifindex, device.listen_port, device.public_key = old.ifindex, old.listen_port, old.public_key
        device.peers = dict(old.peers)
        return device

    # -- the interface ------------------------------------------------------------------------------

    def read(self, name, done):
        self.reads += 1
        if self.problem is not None:
            self._answer(done, None, self.problem)
        elif name not in self.devices:
            self._answer(done, None, WireGuardError("missing", name + ": no such interface"))
        else:
            self._answer(done, self.devices[name], None)

    def set_peer(self, name, peer_key, done, endpoint=None, keepalive=None, nudge=False):
        assert not nudge or keepalive, "a nudge needs a keepalive"
        self.sets.append((peer_key, endpoint, keepalive, nudge))
        if self.before_set is not None:
            self.before_set(peer_key)
        if self.refuse_sets is not None:
            self._answer(done, self.refuse_sets)
            return
        if name not in self.devices:
            self._answer(done, WireGuardError("missing", name + ": no such interface"))
            return
        if peer_key in self.devices[name].peers:  # UPDATE_ONLY
            fields = {}
            if endpoint is not None:
                fields["endpoint"] = endpoint
            if keepalive is not None:
                fields["keepalive"] = keepalive
            self.peer(name, peer_key, **fields)
        self._answer(done, None)

    def close(self):
        pass

    def _answer(self, done, *args):
        if self.hold:
            self.held.append((done, args))
        else:
            done(*args)
