"""Sends UDP from any address and port, also WireGuard's own, which no other socket can have.

The sockets are raw ones of protocol 255 (IPPROTO_RAW): the IP header is ours (raw(7), and net/ipv6/raw.c for IPv6).
"""
import struct
import sys

from .addr import parse_ip
from .compat import AF_INET, AF_INET6, SOCK_RAW, is_again, open_socket, sockaddr

IPPROTO_RAW = 255
_UDP = 17
_HOPS = 64
# What the checksum is summed up from: a sum of larger words comes to the same (RFC 1071 2), as long as they are no big
# integers.
_WORD, _WORD_SIZE = ("I", 4) if sys.maxsize > 1 << 32 else ("H", 2)
_ADDRESSES = 256


def packet(source, source_port, target, port, payload):
    """The IP packet. Addresses are bytes, both 4 or both 16; the payload has at most 65,000 bytes."""
    length = 8 + len(payload)
    ports = struct.pack("!HHH", source_port, port, length)
    padded = b"".join((source, target, ports, b"\0\0", payload, bytes(-length % _WORD_SIZE)))
    total = sum(struct.unpack("!%d%s" % (len(padded) // _WORD_SIZE, _WORD), padded)) + _UDP + length
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    udp = ports + struct.pack("!H", 0xFFFF - total or 0xFFFF)  # RFC 768: zero would say that there is none
    if len(source) == 4:  # the kernel fills in the header's checksum and an id
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, _HOPS, _UDP, 0)
    else:
        head = struct.pack("!IHBB", 6 << 28, length, _UDP, _HOPS)
    return b"".join((head, source, target, udp, payload))


class RawUdp:
    """Opens its sockets when they are first needed; CAP_NET_RAW."""

    def __init__(self):
        self._sockets = {}
        self._packed = {}  # an address's text: its bytes

    def send(self, source_ip, source_port, ip, port, payload):
        """One datagram; both addresses are texts of one family. One that finds no room is lost, as datagrams are.
        Raises OSError: no way there, too large, or the right is missing."""
        source, target = self._pack(source_ip), self._pack(ip)
        family = AF_INET if len(target) == 4 else AF_INET6
        if family not in self._sockets:
            self._sockets[family] = open_socket(family, SOCK_RAW, IPPROTO_RAW)
        try:
            self._sockets[family].sendto(packet(source, source_port, target, port, payload), sockaddr(ip, 0))
        except OSError as error:
            if not is_again(error):
                raise

    def _pack(self, ip):
        packed = self._packed.get(ip)
        if packed is None:
            if len(self._packed) >= _ADDRESSES:
                self._packed = {}
            packed = self._packed[ip] = parse_ip(ip)
        return packed

    def close(self):
        """Close the sockets."""
        for sock in self._sockets.values():
            sock.close()
        self._sockets = {}
