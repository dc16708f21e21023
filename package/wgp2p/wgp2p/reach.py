"""Where else a peer can be reached: it announces a port of its own address, and has a port tried from outside.

Neither serves against anybody else: the address is always the one at which WireGuard knows the asker, and a probe goes
to the port that it is seen at or has announced (behind a carrier's NAT any other is a neighbour's). A probe is smaller
than the request for it, and what one peer and all together may ask for is counted.
"""
import binascii

from .addr import format_endpoint, parse_endpoint
from .compat import AF_INET, AF_INET6, SOCK_DGRAM, json_loads, open_socket, sockaddr, utf8
from .outside import MAGIC, NONCE_SIZE

_PORTS = (1024, 65535)  # those below belong to services, not to mappings
_TTL_S = (30, 7200)
_AT_ONCE, _EVERY_MS = 8, 5000  # of one peer
_ALL_AT_ONCE, _ALL_EVERY_MS = 64, 100


class Bucket:
    """So many at once, and then one each `every_ms` (the GCRA of ATM's traffic management: one number is its whole
    state)."""

    def __init__(self, at_once, every_ms):
        self._slack_ms = (at_once - 1) * every_ms
        self._every_ms = every_ms
        self._due_ms = 0

    def has(self, now):
        """Whether one may be taken."""
        return self._due_ms - now <= self._slack_ms

    def take(self, now):
        """One is taken."""
        self._due_ms = max(self._due_ms, now) + self._every_ms


class Reach:
    """Answers POST /api/endpoint and /api/probe (docs/protocol.md) for one publisher: each takes the asker's Entry and
    the request's body, and gives (status, answer)."""

    def __init__(self, loop, publisher):
        self._loop = loop
        self._publisher = publisher
        self._all = Bucket(_ALL_AT_ONCE, _ALL_EVERY_MS)
        self._buckets = {}  # {key: Bucket} of those who have a token

    def announce(self, asker, body):
        """The asker says that a port of its address leads to it, for a time. For a device, whose clients have its
        address in their profiles, this only allows the probe."""
        said = _fields(body)
        port, ttl = said.get("port"), said.get("ttl")
        withdrawn = _within(port, 0, 0)
        if not withdrawn and not (_within(port, *_PORTS) and _within(ttl, *_TTL_S)):
            return _no(400, 'needs {"port": %d to %d, "ttl": %d to %d seconds}, or {"port": 0}' % (_PORTS + _TTL_S))
        if not withdrawn and not self._may_ask(asker.key):
            return _no(429, "too many announcements and probes")
        if not asker.endpoint:
            return _no(409, "it is not known where you are")
        endpoint = None if withdrawn else format_endpoint(parse_endpoint(asker.endpoint)[0], port)
        self._publisher.registry.announce(asker, endpoint, None if withdrawn else self._loop.now() + ttl * 1000,
                                          not self._publisher.config.peer(asker.key).device)
        return 200, {"endpoint": endpoint}

    def probe(self, asker, body):
        """Send a datagram with the asker's nonce to a port of its address, from a port that it has never sent to."""
        said = _fields(body)
        port, nonce = said.get("port"), said.get("nonce")
        if not _within(port, 1, 65535) or not _is_nonce(nonce):
            return _no(400, 'needs {"port": 1 to 65535, "nonce": %d hexadecimal digits}' % (2 * NONCE_SIZE))
        if not asker.endpoint or asker.restored:
            return _no(409, "it is not known where you are")
        ip = parse_endpoint(asker.endpoint)[0]
        endpoint = format_endpoint(ip, port)
        if endpoint not in (asker.endpoint, asker.announced):
            return _no(409, "port %d is not the one that you are seen at, and you have not announced it" % port)
        if not self._may_ask(asker.key):
            return _no(429, "too many announcements and probes")
        try:
            _send(ip, port, MAGIC + binascii.unhexlify(nonce))
        except OSError as error:
            return _no(409, "it cannot be sent there (errno %d)" % error.args[0])
        return 200, {"endpoint": endpoint}

    def _may_ask(self, key):
        now = self._loop.now()
        own = self._buckets.get(key)
        if own is None:
            own = self._buckets[key] = Bucket(_AT_ONCE, _EVERY_MS)
        if not own.has(now) or not self._all.has(now):
            return False
        own.take(now)
        self._all.take(now)
        return True


def _send(ip, port, datagram):
    sock = open_socket(AF_INET6 if ":" in ip else AF_INET, SOCK_DGRAM)
    try:
        sock.sendto(datagram, sockaddr(ip, port))
    finally:
        sock.close()


def _fields(body):
    """What a JSON object says; nothing where it is none."""
    try:
        said = json_loads(utf8(body))
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}


def _within(value, least, most):
    return type(value) is int and least <= value <= most  # True is no number


def _is_nonce(text):
    return isinstance(text, str) and len(text) == 2 * NONCE_SIZE and not text.strip("0123456789abcdef")


def _no(status, words):
    return status, {"error": words}
