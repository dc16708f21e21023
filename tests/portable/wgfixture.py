"""A kernel's answers about WireGuard devices, made up: what portable tests feed to the codecs.

Laid out as drivers/net/wireguard/netlink.c of Linux 6.12 lays them out, in this machine's byte order."""
import struct

from wgp2p import addr, compat, netlink

PRIVATE = b"\x01PRIVATE" * 4
PRESHARED = b"\x02PRESHAR" * 4


def raw_key(number):
    return struct.pack("!I", number) * 8


def key(number):
    return compat.b64encode(raw_key(number))


def endpoint(text):
    """struct sockaddr_in or sockaddr_in6."""
    ip, port = addr.parse_endpoint(text)
    packed = addr.parse_ip(ip)
    if len(packed) == 4:
        return struct.pack("H", 2) + struct.pack("!H", port) + packed + bytes(8)
    return struct.pack("H", 10) + struct.pack("!HI", port, 0) + packed + bytes(4)


def networks(texts):
    entries = []
    for number, text in enumerate(texts):
        packed, bits = addr.parse_network(text)
        entries.append(netlink.nested(
            number, netlink.unsigned(3, 1, bits), netlink.unsigned(1, 2, 2 if len(packed) == 4 else 10),
            netlink.attribute(2, packed)))
    return netlink.nested(9, *entries)


def peer(number, allowed=(), at=None, keepalive=0, handshake=0, rx=0, tx=0, whole=True):
    """The attributes of one peer; with whole=False what the kernel sends of one that goes on."""
    parts = [netlink.attribute(1, raw_key(number))]
    if whole:
        parts += [netlink.attribute(2, PRESHARED),
                  netlink.attribute(6, struct.pack(netlink.ORDER + "qq", handshake, 5)),
                  netlink.unsigned(5, 2, keepalive), netlink.unsigned(8, 8, tx), netlink.unsigned(7, 8, rx),
                  netlink.unsigned(10, 4, 1)]
        if at:
            parts.append(netlink.attribute(4, endpoint(at)))
    if allowed:
        parts.append(networks(allowed))
    return netlink.nested(0, *parts)


def device_message(family, sequence, peers, name=None, index=7, port=51820):
    """One message of a dump; the first one carries the name and what belongs to the device."""
    parts = []
    if name:
        parts = [netlink.unsigned(6, 2, port), netlink.unsigned(7, 4, 0), netlink.unsigned(1, 4, index),
                 netlink.string(2, name), netlink.attribute(3, PRIVATE), netlink.attribute(4, raw_key(99))]
    parts.append(netlink.nested(8, *peers))
    return netlink.generic(family, 2, sequence, 0, 1, b"".join(parts))


def done(sequence, error=0):
    return netlink.message(netlink.DONE, 2, sequence, struct.pack("i", -error))


def status(sequence, error=0):
    """NLMSG_ERROR: the errno and the header of the request."""
    return netlink.message(netlink.ERROR, 0, sequence, struct.pack("i", -error) + bytes(16))


def big_device(sequence, count, per_message=12):
    """The datagrams of a device with `count` peers of an IPv4 and an IPv6 allowed IP each."""
    datagrams, first = [], True
    for begin in range(0, count, per_message):
        peers = [peer(n, ["10.%d.%d.1/32" % (n >> 8 & 255, n & 255), "fd00::%x/128" % n],
                      at="203.0.%d.%d:%d" % (n >> 8 & 255, n & 255, 1024 + n), keepalive=25,
                      handshake=1700000000 + n, rx=n * 1000, tx=n * 900)
                 for n in range(begin + 1, min(begin + per_message, count) + 1)]
        datagrams.append(device_message(30, sequence, peers, "wg0" if first else None))
        first = False
    return datagrams + [done(sequence)]
