"""Hears UDP beside the program whose port it is: datagrams of one length that begin with one word.

The sockets are raw ones, which get what is delivered to this host, behind its firewall, and never what it forwards; a
classic BPF program lets the wanted datagrams through and no others, so WireGuard's own traffic costs nothing here.
"""
import struct

from .addr import format_endpoint
from .compat import AF_INET, AF_INET6, SOCK_RAW, attach_filter, open_socket, sockaddr_text
from .tap import Tap

UDP_HEADER = 8
INITIATION = (UDP_HEADER + 148, 0x01000000)  # WireGuard's whitepaper, 5.4.2: type 1 and three zero bytes
_UDP = 17
_LDX_IP_HEADER, _LDX_IMM, _LDH_IND, _LD_IND, _JEQ, _RET = 0xB1, 0x01, 0x48, 0x40, 0x15, 0x06
_IPV4_HEADER = 60  # the longest


def datagram_filter(family, port, kind):
    """The classic BPF program for a raw socket: IPv4 ones begin with the IP header, IPv6 ones with UDP's."""
    return [
        (_LDX_IP_HEADER, 0, 0, 0) if family == AF_INET else (_LDX_IMM, 0, 0, 0),
        (_LDH_IND, 0, 0, 2), (_JEQ, 0, 5, port),
        (_LDH_IND, 0, 0, 4), (_JEQ, 0, 3, kind[0]),
        (_LD_IND, 0, 0, UDP_HEADER), (_JEQ, 0, 1, kind[1]),
        (_RET, 0, 0, 0xFFFF), (_RET, 0, 0, 0)]


class Ears:
    """Calls `heard(endpoint, datagram)` for every datagram of this kind that comes to `port`: from where, and what it
    begins with from UDP's header on, at least `size` bytes of it; in a flood for some of them, at most 320 a second and
    family. `kind`: (length with UDP's header, first four bytes as a number). Raises OSError (EPERM: needs
    CAP_NET_RAW)."""

    def __init__(self, loop, port, kind, size, heard):
        self._heard = heard
        self._taps = []
        try:
            self._open(loop, AF_INET, port, kind, _IPV4_HEADER + size, self._heard_v4)
            try:
                self._open(loop, AF_INET6, port, kind, size, self._heard_v6)
            except OSError:  # a kernel without IPv6
                pass
        except OSError:
            self.close()
            raise

    def _open(self, loop, family, port, kind, size, heard):
        sock = open_socket(family, SOCK_RAW, _UDP)
        try:
            attach_filter(sock, datagram_filter(family, port, kind))
        except OSError:
            sock.close()
            raise
        self._taps.append(Tap(loop, sock, size, heard))

    def _heard_v4(self, packets):
        for data, address in packets:
            self._tell(address, data[4 * (data[0] & 15):] if data else data)

    def _heard_v6(self, packets):
        for data, address in packets:
            self._tell(address, data)

    def _tell(self, address, datagram):
        port = struct.unpack_from("!H", datagram, 0)[0] if len(datagram) >= 2 else 0
        if port:
            self._heard(format_endpoint(sockaddr_text(address)[0].partition("%")[0], port), datagram)

    def close(self):
        """No more calls."""
        for tap in self._taps:
            tap.close()
        self._taps = []
