"""WireGuard over generic netlink: the request and answer of a device, setting one peer
(include/uapi/linux/wireguard.h, family `wireguard`, version 1), and the objects that every way to
WireGuard gives: `Device` and `Peer`.

A device with many peers comes in several messages, and a peer whose allowed IPs do not fit goes on in the
next one. Private and preshared keys are skipped by offset and never copied.
"""
import struct

from . import netlink
from .addr import format_ip, parse_endpoint, parse_ip
from .compat import b64decode, b64encode
from .netlink import ORDER, NetlinkError, length_at, read_unsigned, type_at

FAMILY = "wireguard"
_VERSION = 1
_GET_DEVICE, _SET_DEVICE = 0, 1
_IFINDEX, _IFNAME, _DEVICE_PUBLIC_KEY, _LISTEN_PORT, _PEERS = 1, 2, 4, 6, 8
(_PUBLIC_KEY, _PRESHARED_KEY, _FLAGS, _ENDPOINT, _KEEPALIVE, _HANDSHAKE, _RX, _TX, _ALLOWED_IPS) = range(1, 10)
_ADDRESS, _BITS = 2, 3
_UPDATE_ONLY = 4
_AF_INET, _AF_INET6 = 2, 10
KEY_SIZE = 32

# How the kernel begins every peer: its public key, then its preshared key, 4 + 32 bytes each. What is
# behind these two can be compared with the dump before without looking into it.
_KEY_HEADER = struct.pack(ORDER + "HH", 36, _PUBLIC_KEY)
_PRESHARED_HEADER = struct.pack(ORDER + "HH", 36, _PRESHARED_KEY)


class Peer:
    """A peer as WireGuard shows it. Never changed once it is given out."""

    def __init__(self, key):
        self.key = key           # public key, base64 text
        self.endpoint = None     # canonical text or None
        self.allowed_ips = ()    # networks in canonical text
        self.keepalive = 0       # s, 0 is off
        self.handshake = 0       # of the last one, unix s of this machine's clock; 0 is never
        self.rx = 0              # bytes received, authenticated
        self.tx = 0              # bytes sent


class Device:
    """A WireGuard interface with its peers."""

    def __init__(self, name):
        self.name = name
        self.ifindex = 0         # another one after the interface was made again
        self.public_key = None   # base64 text; None without a private key or where it is not shown
        self.listen_port = 0
        self.peers = {}          # key: Peer


def key_text(raw):
    """Base64 text of a key's 32 bytes. NetlinkError."""
    if len(raw) != KEY_SIZE:
        raise NetlinkError("a key has 32 bytes, not %d" % len(raw))
    return b64encode(raw)


def key_bytes(text):
    """The 32 bytes of a key. ValueError."""
    raw = b64decode(text)
    if len(raw) != KEY_SIZE:
        raise ValueError("a key has 32 bytes, not %d" % len(raw))
    return raw


def steps(endpoint, keepalive, nudge):
    """The (endpoint, keepalive) pairs that one change is made of, None for what stays as it is. A nudge
    turns the keepalive off first: WireGuard sends a packet at once when it goes on. ValueError."""
    if keepalive is not None and not 0 <= keepalive <= 0xFFFF:
        raise ValueError("a keepalive is 0 to 65535 s, not %d" % keepalive)
    if nudge and not keepalive:
        raise ValueError("a nudge needs a keepalive")
    change = [(endpoint, keepalive)]
    return [(None, 0)] + change if nudge else change


# -- requests ---------------------------------------------------------------------------------------

def get_device(family, sequence, name):
    """Asks for the interface `name`; a `Dump` reads the answer."""
    flags = netlink.REQUEST | netlink.ACK | netlink.DUMP
    return netlink.generic(family, flags, sequence, _GET_DEVICE, _VERSION, netlink.string(_IFNAME, name))


def set_peer(family, sequence, name, key, endpoint=None, keepalive=None, nudge=False):
    """Changes one peer that exists; one that does not is left alone by the kernel (UPDATE_ONLY).
    The steps of a nudge are two entries of the same message: nothing comes between. ValueError."""
    raw = key_bytes(key)
    entries = []
    for step_endpoint, step_keepalive in steps(endpoint, keepalive, nudge):
        entry = [netlink.attribute(_PUBLIC_KEY, raw), netlink.unsigned(_FLAGS, 4, _UPDATE_ONLY)]
        if step_endpoint is not None:
            entry.append(netlink.attribute(_ENDPOINT, _sockaddr(step_endpoint)))
        if step_keepalive is not None:
            entry.append(netlink.unsigned(_KEEPALIVE, 2, step_keepalive))
        entries.append(netlink.nested(len(entries), *entry))
    body = netlink.string(_IFNAME, name) + netlink.nested(_PEERS, *entries)
    flags = netlink.REQUEST | netlink.ACK
    return netlink.generic(family, flags, sequence, _SET_DEVICE, _VERSION, body)


def _sockaddr(endpoint):
    """struct sockaddr_in or sockaddr_in6."""
    ip, port = parse_endpoint(endpoint)
    packed = parse_ip(ip)
    if len(packed) == 4:
        return struct.pack(ORDER + "H", _AF_INET) + struct.pack("!H", port) + packed + bytes(8)
    return struct.pack(ORDER + "H", _AF_INET6) + struct.pack("!HI", port, 0) + packed + bytes(4)


# -- answer -----------------------------------------------------------------------------------------

class Dump:
    """Collects the messages of one device.

    A publisher reads a thousand peers every second, and nearly all are as they were. So `known`, the
    `known` of the dump before, spares the work: a peer whose bytes are the same is the same object.
    """

    def __init__(self, name, known=None):
        self.device = Device(name)
        self.known = {}          # raw key: (bytes behind the keys, Peer)
        self._before = known or {}
        self._continued = {}     # key: list of allowed IPs, for a peer in more than one message

    def take(self, data, start, end):
        """Add one message's payload. NetlinkError."""
        device = self.device
        for kind, at, to in netlink.attributes(data, netlink.skip(start, end, netlink.GENERIC_HEADER_SIZE), end):
            if kind == _PEERS:
                while at < to:
                    length = length_at(data, at, to)
                    self._peer(data, at + 4, at + length)
                    at += length + 3 & ~3
            elif kind == _IFINDEX:
                device.ifindex = read_unsigned(data, at, to, 4)
            elif kind == _LISTEN_PORT:
                device.listen_port = read_unsigned(data, at, to, 2)
            elif kind == _DEVICE_PUBLIC_KEY:
                device.public_key = key_text(data[at:to])
            elif kind == _IFNAME:
                device.name = netlink.read_string(data, at, to)

    def finish(self):
        """The device, once every message is in."""
        for key in self._continued:
            self.device.peers[key].allowed_ips = tuple(self._continued[key])
        self._continued = {}
        return self.device

    def _peer(self, data, start, end):
        raw = None
        behind = start + 8 + 2 * KEY_SIZE
        if behind <= end and data.startswith(_KEY_HEADER, start) and data.startswith(_PRESHARED_HEADER, start + 36):
            raw = data[start + 4:start + 36]
            before = self._before.get(raw)
            # Compared in place: cutting every peer out once a second is what would cost.
            if before is not None and len(before[0]) == end - behind and data.startswith(before[0], behind):
                self.known[raw] = before
                self.device.peers[before[1].key] = before[1]
                return
        peer = read_peer(data, start, end)
        first = self.device.peers.get(peer.key)
        if first is None:
            self.device.peers[peer.key] = peer
            if raw is not None:
                self.known[raw] = (data[behind:end], peer)
            return
        # The rest of a peer that did not fit. `known` keeps the first part as it is, which may stand in an earlier
        # device, too.
        if peer.key not in self._continued:
            self._continued[peer.key] = list(first.allowed_ips)
            self.device.peers[peer.key] = _copy(first)
        self._continued[peer.key] += peer.allowed_ips


def _copy(peer):
    other = Peer(peer.key)
    other.endpoint, other.allowed_ips, other.keepalive = peer.endpoint, peer.allowed_ips, peer.keepalive
    other.handshake, other.rx, other.tx = peer.handshake, peer.rx, peer.tx
    return other


def read_peer(data, position, end):
    """A Peer from its attributes between two offsets. NetlinkError."""
    peer = Peer(None)
    while position < end:  # and not over a generator, like the networks below: most of the time is spent here
        length, kind = length_at(data, position, end), type_at(data, position)
        at, to = position + 4, position + length
        position += length + 3 & ~3
        if kind == _PUBLIC_KEY:
            peer.key = key_text(data[at:to])
        elif kind == _ENDPOINT:
            peer.endpoint = _read_endpoint(data, at, to)
        elif kind == _KEEPALIVE:
            peer.keepalive = read_unsigned(data, at, to, 2)
        elif kind == _HANDSHAKE:  # two 64-bit numbers: seconds, nanoseconds
            if to - at != 16:
                raise NetlinkError("a time of %d bytes" % (to - at))
            peer.handshake = read_unsigned(data, at, at + 8, 8)
        elif kind == _RX:
            peer.rx = read_unsigned(data, at, to, 8)
        elif kind == _TX:
            peer.tx = read_unsigned(data, at, to, 8)
        elif kind == _ALLOWED_IPS:
            peer.allowed_ips = _read_networks(data, at, to)
    if peer.key is None:
        raise NetlinkError("a peer without a key")
    return peer


def _read_endpoint(data, start, end):
    """Canonical text of a socket address; None for port 0, where nothing can be sent."""
    if end - start < 16:
        raise NetlinkError("an endpoint of %d bytes" % (end - start))
    family = struct.unpack_from(ORDER + "H", data, start)[0]
    port = struct.unpack_from("!H", data, start + 2)[0]
    if family == _AF_INET:
        text = format_ip(data[start + 4:start + 8])
    elif family == _AF_INET6 and end - start >= 24:
        text = format_ip(data[start + 8:start + 24])
    else:
        raise NetlinkError("an endpoint of family %d in %d bytes" % (family, end - start))
    if not port:
        return None
    return "[%s]:%d" % (text, port) if ":" in text else "%s:%d" % (text, port)


def _read_networks(data, position, end):
    """The allowed IPs in canonical text."""
    networks = []
    while position < end:
        entry, entry_end = position + 4, position + length_at(data, position, end)
        position += entry_end - position + 3 & ~3
        packed = bits = None
        while entry < entry_end:
            length, kind = length_at(data, entry, entry_end), type_at(data, entry)
            if kind == _ADDRESS:
                packed = data[entry + 4:entry + length]
            elif kind == _BITS:
                bits = read_unsigned(data, entry + 4, entry + length, 1)
            entry += length + 3 & ~3
        # The family attribute says the same as the address's length; the kernel has masked the address.
        if packed is None or bits is None or len(packed) not in (4, 16) or bits > 8 * len(packed):
            raise NetlinkError("not an allowed IP")
        text = format_ip(packed)
        if len(packed) == 4 or ":" in text:  # an IPv4-mapped one stands for no address that a packet has
            networks.append("%s/%d" % (text, bits))
    return tuple(networks)
