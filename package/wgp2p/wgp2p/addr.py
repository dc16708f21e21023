"""IP addresses, networks and endpoints: text in, canonical text out (RFC 5952 for IPv6).

Inside the program an endpoint is its canonical text, `203.0.113.9:51820` or `[2001:db8::1]:51820`, so that
two of them are the same exactly when their texts are.
"""
import socket

_V4_MAPPED = bytes(10) + b"\xff\xff"


def parse_ip(text):
    """4 or 16 bytes of an address in text; an IPv4-mapped IPv6 address becomes IPv4. ValueError."""
    if "." in text and ":" not in text:
        parts = text.split(".")
        if len(parts) != 4:
            raise ValueError("not an IP address: " + text[:64])
        return bytes([_decimal(part, 255, text) for part in parts])
    # The C libraries agree on IPv6 text but for the zone, which has no place in an endpoint.
    if not 2 <= len(text) <= 45 or text.strip("0123456789abcdefABCDEF:.") or ":" not in text:
        raise ValueError("not an IP address: " + text[:64])
    try:
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        raise ValueError("not an IP address: " + text[:64])
    return packed[12:] if packed[:12] == _V4_MAPPED else packed


def _decimal(text, limit, whole):
    if not text or len(text) > 5 or text.strip("0123456789") or (text[0] == "0" and text != "0"):
        raise ValueError("not an IP address or endpoint: " + whole[:64])
    number = int(text)
    if number > limit:
        raise ValueError("not an IP address or endpoint: " + whole[:64])
    return number


def format_ip(packed):
    """Canonical text of 4 or 16 bytes; IPv4-mapped IPv6 as IPv4."""
    if len(packed) == 16 and packed[:12] == _V4_MAPPED:
        packed = packed[12:]
    if len(packed) == 4:
        return "%d.%d.%d.%d" % tuple(packed)
    if len(packed) != 16:
        raise ValueError("an address has 4 or 16 bytes, not %d" % len(packed))
    groups = [packed[i] << 8 | packed[i + 1] for i in range(0, 16, 2)]
    start, length = _longest_zeros(groups)
    words = ["%x" % group for group in groups]
    if length < 2:
        return ":".join(words)
    return ":".join(words[:start]) + "::" + ":".join(words[start + length:])


def _longest_zeros(groups):
    """(start, length) of the first longest run of zeros."""
    best = (0, 0)
    start = None
    for i in range(9):
        if i < 8 and groups[i] == 0:
            start = i if start is None else start
        elif start is not None:
            if i - start > best[1]:
                best = (start, i - start)
            start = None
    return best


def canonical_ip(text):
    """The one text of an address. ValueError."""
    return format_ip(parse_ip(text))


def parse_endpoint(text):
    """(canonical ip, port) of `ip:port` or `[ip]:port`, port 1–65535. ValueError."""
    ip, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("no port in endpoint: " + text[:64])
    if ip[:1] == "[" and ip[-1:] == "]":
        packed = parse_ip(ip[1:-1])
    elif ":" in ip:
        raise ValueError("an IPv6 endpoint needs brackets: " + text[:64])
    else:
        packed = parse_ip(ip)
    number = _decimal(port, 65535, text)
    if not number:
        raise ValueError("port 0 in endpoint: " + text[:64])
    return format_ip(packed), number


def format_endpoint(ip, port):
    """The canonical endpoint of an address in text and a port."""
    ip = canonical_ip(ip)
    return "[%s]:%d" % (ip, port) if ":" in ip else "%s:%d" % (ip, port)


def canonical_endpoint(text):
    """The one text of an endpoint. ValueError."""
    return format_endpoint(*parse_endpoint(text))


def parse_network(text):
    """(masked bytes, prefix length) of `10.0.0.0/24`, `fd00::/64` or a single address. ValueError."""
    ip, slash, bits = text.partition("/")
    packed = parse_ip(ip)
    length = _decimal(bits, 8 * len(packed), text) if slash else 8 * len(packed)
    return mask(packed, length), length


def mask(packed, length):
    """The first `length` bits of an address, the others zero."""
    whole = length // 8
    tail = bytes([packed[whole] & 0xFF00 >> length % 8]) if length % 8 else b""
    return packed[:whole] + tail + bytes(len(packed) - whole - len(tail))


def format_network(network):
    """Canonical text of (bytes, prefix length)."""
    return "%s/%d" % (format_ip(network[0]), network[1])


def contains(network, packed):
    """Whether the address (bytes) lies in the network (bytes, prefix length)."""
    return len(network[0]) == len(packed) and mask(packed, network[1]) == network[0]


def longest_match(rows, ip):
    """What has the longest network that holds the address (text), of (what, networks) rows, or None: how WireGuard
    tells whose packet it is (cryptokey routing)."""
    packed = parse_ip(ip)
    best, longest = None, -1
    for what, networks in rows:
        for network in networks:
            if network[1] > longest and contains(network, packed):
                best, longest = what, network[1]
    return best


PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")  # RFC 1918
SHARED = "100.64.0.0/10"  # RFC 6598: what carriers use inside
_TRANSLATED = "192.0.0.0/24"  # RFC 6333, RFC 7335: a router's own where the provider carries IPv4 over IPv6

_INSIDE = [parse_network(text) for text in PRIVATE + (SHARED, _TRANSLATED)]


def is_inside(ip):
    """Whether this address (text) is one that the internet does not know: behind a NAT, or a carrier's."""
    packed = parse_ip(ip)
    return True in [contains(network, packed) for network in _INSIDE]


# What can be the endpoint of a peer: a unicast address that a packet can be sent to. RFC 1122 3.2.1.3,
# RFC 4291 2.5-2.7; private networks stay allowed, since a client may be on the same LAN.
_NEVER = [parse_network(text) for text in (
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
    "::/127", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fe80::/10", "ff00::/8")]


def is_unicast(ip):
    """Whether a packet can be sent to this address (text) from any host: no loopback, link-local,
    multicast or reserved one."""
    packed = parse_ip(ip)
    for network in _NEVER:
        if contains(network, packed):
            return False
    return True
