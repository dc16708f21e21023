"""Hears UDP beside the program whose port it is: datagrams of one length that begin with one word.

The sockets are raw ones, which get what is delivered to this host, behind its firewall, and never what it forwards; or
a packet socket, which gets what arrives at one interface, before any firewall (packet(7); IPv4). A classic BPF program
lets the wanted datagrams through and no others, so WireGuard's own traffic costs nothing here.
"""
import struct

from .addr import format_endpoint, format_ip
from .compat import (
    AF_INET,
    AF_INET6,
    AF_PACKET,
    SOCK_DGRAM,
    SOCK_RAW,
    attach_filter,
    open_socket,
    sockaddr_packet,
    sockaddr_text,
)
from .tap import Tap

UDP_HEADER = 8
INITIATION = (UDP_HEADER + 148, 0x01000000)  # WireGuard's whitepaper, 5.4.2: type 1 and three zero bytes
_UDP = 17
_ETH_P_IP = 0x0800
_LDX_IP_HEADER, _LDX_IMM, _LDB, _LDH_IND, _LD_IND, _JEQ, _RET = 0xB1, 0x01, 0x30, 0x48, 0x40, 0x15, 0x06
_IPV4_HEADER = 60  # the longest


def datagram_filter(family, port, kind):
    """The classic BPF program for a socket of this family: AF_INET and AF_PACKET begin with the IP header, AF_INET6
    with UDP's."""
    return ([(_LDB, 0, 0, 9), (_JEQ, 0, 8, _UDP)] if family == AF_PACKET else []) + [
        (_LDX_IMM, 0, 0, 0) if family == AF_INET6 else (_LDX_IP_HEADER, 0, 0, 0),
        (_LDH_IND, 0, 0, 2), (_JEQ, 0, 5, port),
        (_LDH_IND, 0, 0, 4), (_JEQ, 0, 3, kind[0]),
        (_LD_IND, 0, 0, UDP_HEADER), (_JEQ, 0, 1, kind[1]),
        (_RET, 0, 0, 0xFFFF), (_RET, 0, 0, 0)]


class Ears:
    """Calls `heard(endpoint, datagram)` for every datagram of this kind that comes to `port`: from where, and what it
    begins with from UDP's header on, at least `size` bytes of it; in a flood for some of them, at most 320 a second and
    family. `kind`: (length with UDP's header, first four bytes as a number); `index`: at this interface,
    before the firewall. Raises OSError (EPERM: needs CAP_NET_RAW)."""

    def __init__(self, loop, port, kind, size, heard, index=None):
        self._heard = heard
        self._taps = []
        if index is not None:
            self._open(loop, AF_PACKET, port, kind, _IPV4_HEADER + size, self._heard_v4, index)
            return
        try:
            self._open(loop, AF_INET, port, kind, _IPV4_HEADER + size, self._heard_v4)
            try:
                self._open(loop, AF_INET6, port, kind, size, self._heard_v6)
            except OSError:  # a kernel without IPv6
                pass
        except OSError:
            self.close()
            raise

    def _open(self, loop, family, port, kind, size, heard, index=None):
        # A packet socket hears nothing before it is bound.
        sock = open_socket(family, SOCK_RAW, _UDP) if index is None else open_socket(family, SOCK_DGRAM)
        try:
            attach_filter(sock, datagram_filter(family, port, kind))
            if index is not None:
                sock.bind(sockaddr_packet(index, _ETH_P_IP))
        except OSError:
            sock.close()
            raise
        self._taps.append(Tap(loop, sock, size, heard))

    def _heard_v4(self, packets):
        for data, _ in packets:
            if len(data) >= 20:
                self._tell(format_ip(data[12:16]), data[4 * (data[0] & 15):])

    def _heard_v6(self, packets):
        for data, address in packets:
            self._tell(sockaddr_text(address)[0].partition("%")[0], data)

    def _tell(self, ip, datagram):
        port = struct.unpack_from("!H", datagram, 0)[0] if len(datagram) >= 2 else 0
        if port:
            self._heard(format_endpoint(ip, port), datagram)

    def close(self):
        """No more calls."""
        for tap in self._taps:
            tap.close()
        self._taps = []
