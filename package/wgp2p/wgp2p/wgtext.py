"""WireGuard as text: the UAPI of userspace implementations (https://www.wireguard.com/xplatform/) and what
`wg show INTERFACE dump` prints (wg(8)).

Both give the same `Device` as netlink does, but for its ifindex, and the UAPI tells no public key of the
device. Private and preshared keys are in both texts: their lines and columns are passed over unread.
"""
from binascii import hexlify, unhexlify

from .addr import canonical_endpoint, format_network, parse_network
from .wgmessage import KEY_SIZE, Device, Peer, key_bytes, key_text, steps

GET = b"get=1\n\n"
_LINE_LIMIT = 1024


class TextError(ValueError):
    """The text is not what WireGuard says."""


# -- UAPI -------------------------------------------------------------------------------------------

def uapi_set(key, endpoint=None, keepalive=None, nudge=False):
    """The request that changes one peer that exists (`update_only`). ValueError."""
    hexed = hexlify(key_bytes(key)).decode()
    lines = ["set=1"]
    for step_endpoint, step_keepalive in steps(endpoint, keepalive, nudge):
        lines += ["public_key=" + hexed, "update_only=true"]
        if step_endpoint is not None:
            lines.append("endpoint=" + canonical_endpoint(step_endpoint))
        if step_keepalive is not None:
            lines.append("persistent_keepalive_interval=%d" % step_keepalive)
    return ("\n".join(lines) + "\n\n").encode()


class UapiAnswer:
    """Reads an answer of the UAPI as it comes in, for a `get` and a `set`.

    `errno` is what the other side reports, 0 for success; `device` holds what a `get` told."""

    def __init__(self, name):
        self.device = Device(name)
        self.errno = None        # None until the line with it has come
        self._peer = None
        self._networks = []
        self._rest = b""

    def feed(self, data):
        """Add bytes; True once the answer is complete. TextError."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > _LINE_LIMIT:
            raise TextError("a line of more than %d bytes" % _LINE_LIMIT)
        for line in lines:
            if not line:  # an empty line ends the answer, and nothing is to come behind it
                if self.errno is None:
                    raise TextError("no errno in the answer")
                self._close_peer()
                return True
            self._line(line)
        return False

    def _line(self, line):
        name, sign, value = _decoded(line).partition("=")
        if not sign:
            raise TextError("not a line of the UAPI")
        if name == "errno":
            self.errno = abs(_number(value.lstrip("-"), 32))
        elif name == "public_key":
            self._close_peer()
            self._peer = Peer(_hex_key(value))
        elif self._peer is None:
            if name == "listen_port":
                self.device.listen_port = _number(value, 16)
        elif name == "endpoint":
            self._peer.endpoint = _endpoint(value)
        elif name == "allowed_ip":
            self._networks += _networks([value])
        elif name == "persistent_keepalive_interval":
            self._peer.keepalive = _number(value, 16)
        elif name == "last_handshake_time_sec":
            self._peer.handshake = _number(value, 63)
        elif name == "rx_bytes":
            self._peer.rx = _number(value, 64)
        elif name == "tx_bytes":
            self._peer.tx = _number(value, 64)

    def _close_peer(self):
        if self._peer is not None:
            self._peer.allowed_ips = tuple(self._networks)
            self.device.peers[self._peer.key] = self._peer
        self._peer, self._networks = None, []


# -- the tool ---------------------------------------------------------------------------------------

def tool_set(name, key, endpoint=None, keepalive=None, nudge=False):
    """The words that change one peer. `wg` would make a peer that does not exist. ValueError."""
    key_bytes(key)
    words = ["wg", "set", name]
    for step_endpoint, step_keepalive in steps(endpoint, keepalive, nudge):
        words += ["peer", key]
        if step_endpoint is not None:
            words += ["endpoint", canonical_endpoint(step_endpoint)]
        if step_keepalive is not None:
            words += ["persistent-keepalive", str(step_keepalive)]
    return words


def read_dump(name, data):
    """The Device in the whole output of `wg show NAME dump`. TextError."""
    device = Device(name)
    if data[-1:] != b"\n":
        raise TextError("the output of wg is cut off")
    rows = data[:-1].split(b"\n")
    # private key, public key, listen port, firewall mark
    first = rows[0].split(b"\t")
    if len(first) != 4:
        raise TextError("%d columns in the first line of wg" % len(first))
    public = _decoded(first[1])
    device.public_key = None if public == "(none)" else _key(public)
    device.listen_port = _number(_decoded(first[2]), 16)
    for row in rows[1:]:
        # public key, preshared key, endpoint, allowed IPs, handshake, rx, tx, keepalive
        columns = row.split(b"\t")
        if len(columns) < 8:
            raise TextError("%d columns in a line of wg" % len(columns))
        peer = Peer(_key(_decoded(columns[0])))
        endpoint, allowed, handshake, rx, tx, keepalive = [_decoded(word) for word in columns[2:8]]
        peer.endpoint = None if endpoint == "(none)" else _endpoint(endpoint)
        peer.allowed_ips = tuple(_networks([] if allowed == "(none)" else allowed.split(",")))
        peer.handshake = _number(handshake, 63)
        peer.rx, peer.tx = _number(rx, 64), _number(tx, 64)
        peer.keepalive = 0 if keepalive == "off" else _number(keepalive, 16)
        device.peers[peer.key] = peer
    return device


# -- values -----------------------------------------------------------------------------------------

def _decoded(data):
    try:
        return data.decode()
    except ValueError:
        raise TextError("text is not UTF-8")


def _number(text, bits):
    if not text or len(text) > 20 or text.strip("0123456789"):
        raise TextError("not a number: " + text[:32])
    number = int(text)
    if number >> bits:
        raise TextError("number too large: " + text)
    return number


def _hex_key(text):
    if len(text) != 2 * KEY_SIZE or text.strip("0123456789abcdefABCDEF"):
        raise TextError("not a key in hexadecimal")
    return key_text(unhexlify(text))


def _key(text):
    try:
        key_bytes(text)
    except ValueError:
        raise TextError("not a key")
    return text


def _endpoint(text):
    """Canonical text, without a zone; None for one that nothing can be sent to."""
    before, zone, after = text.partition("%")
    if zone:
        text = before + "]" + after.partition("]")[2]
    if text.endswith(":0"):
        return None
    try:
        return canonical_endpoint(text)
    except ValueError as error:
        raise TextError(str(error))


def _networks(texts):
    networks = []
    for text in texts:
        if text[:7].lower() == "::ffff:":  # IPv4-mapped: it stands for no address that a packet has
            continue
        try:
            networks.append(format_network(parse_network(text)))
        except ValueError as error:
            raise TextError(str(error))
    return networks
