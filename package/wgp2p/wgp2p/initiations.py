"""Sees handshake initiations as they arrive at the listen port, those that WireGuard refuses included.

WireGuard takes no initiation that is older by its sender's clock than the last one, and does not tell. A device whose
clock was set back is found by this: its initiations arrive, and nothing comes of them. The sockets are raw ones, which
get what is delivered to this host and never what it forwards; a classic BPF program lets only initiations through
(WireGuard's whitepaper 5.4.2: 148 bytes, type 1, three zero bytes).
"""
import struct

from .addr import format_endpoint
from .compat import AF_INET, AF_INET6, SOCK_RAW, attach_filter, open_socket, sockaddr_text
from .tap import Tap

_UDP = 17
_UDP_LENGTH = 8 + 148
_FIRST_WORD = 0x01000000
_LDX_IP_HEADER, _LDX_IMM, _LDH_IND, _LD_IND, _JEQ, _RET = 0xB1, 0x01, 0x48, 0x40, 0x15, 0x06
_IPV4_HEADER = 60  # the longest


def initiation_filter(family, port):
    """The classic BPF program for a raw socket: IPv4 ones begin with the IP header, IPv6 ones with UDP's."""
    return [
        (_LDX_IP_HEADER, 0, 0, 0) if family == AF_INET else (_LDX_IMM, 0, 0, 0),
        (_LDH_IND, 0, 0, 2), (_JEQ, 0, 5, port),
        (_LDH_IND, 0, 0, 4), (_JEQ, 0, 3, _UDP_LENGTH),
        (_LD_IND, 0, 0, 8), (_JEQ, 0, 1, _FIRST_WORD),
        (_RET, 0, 0, 0xFFFF), (_RET, 0, 0, 0)]


class Ears:
    """Calls `heard(endpoint, datagram)` for every handshake initiation that comes to `port`: from where, and what it
    begins with from UDP's header on, at least `size` bytes of it; in a flood for some of them, at most 320 a second and
    family. Raises OSError (EPERM: needs CAP_NET_RAW)."""

    def __init__(self, loop, port, size, heard):
        self._heard = heard
        self._taps = []
        try:
            self._open(loop, AF_INET, port, _IPV4_HEADER + size, self._heard_v4)
            try:
                self._open(loop, AF_INET6, port, size, self._heard_v6)
            except OSError:  # a kernel without IPv6
                pass
        except OSError:
            self.close()
            raise

    def _open(self, loop, family, port, size, heard):
        sock = open_socket(family, SOCK_RAW, _UDP)
        try:
            attach_filter(sock, initiation_filter(family, port))
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


class Initiations(Ears):
    """Calls `callback(endpoint)` for each; the rest is as above."""

    def __init__(self, loop, port, callback):
        Ears.__init__(self, loop, port, 2, lambda endpoint, _: callback(endpoint))
