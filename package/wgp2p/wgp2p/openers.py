"""Opens our NAT for a client whose port is not known: one datagram that means nothing (copier.OPENER) from WireGuard's
port to each port where the client may be.

The packets to one address differ in nothing but port and checksum, so one is made and changed for every port. Our own
firewall would note a connection for each. Where WireGuard's port is open anyway nobody needs that: such packets have
the mark for which the table of sessionrules.py says `notrack`.
"""
import struct

from . import links
from .addr import parse_ip
from .compat import AF_INET, SOCK_RAW, SOL_SOCKET, is_again, open_socket, sockaddr
from .copier import OPENER
from .rawudp import IPPROTO_RAW, packet
from .sessionrules import UNTRACKED

_SO_MARK = 36  # asm/socket.h, the same number on MIPS
_PORT, _CHECKSUM = 22, 26  # where UDP has them behind an IPv4 header
_LENGTH = 8 + len(OPENER)
_ROUTE_MS = 1000


class Openers:
    """Opens its socket when it is first needed; CAP_NET_RAW, and CAP_NET_ADMIN for the mark."""

    def __init__(self, loop):
        self._loop = loop
        self._socket = None
        self._aim, self._until_ms = None, 0  # what the rest was made for, and for how long
        self._packet, self._base, self._address = None, 0, None  # `_base`: the sum of all but the port

    def open(self, ip, source_port, ports, untracked=False):
        """Send one packet to each of these ports (1–65535) of an IPv4 address in text; never blocks. Gives how many
        were sent: fewer where the socket has no room. untracked: our own firewall notes no connections for them, as
        long as sessions.SessionTable is ready. Raises OSError: no way there, the right is missing, or the firewall
        refuses, as it does when its table of connections is full (EPERM)."""
        self._take_aim((ip, source_port, untracked))
        data, base, address = self._packet, self._base, self._address
        change, send, sent = struct.pack_into, self._socket.sendto, 0
        try:
            for port in ports:
                # RFC 1071: sums are modulo 0xFFFF; RFC 768: zero is sent as 0xFFFF.
                change("!HHH", data, _PORT, port, _LENGTH, 0xFFFF - (base + port) % 0xFFFF)
                send(data, address)
                sent += 1
        except OSError as error:
            if not is_again(error):
                raise
        return sent

    def _take_aim(self, aim):
        if aim == self._aim and self._loop.now() < self._until_ms:
            return
        ip, source_port, untracked = aim
        data = packet(parse_ip(links.source_of(ip)), source_port, parse_ip(ip), 0, OPENER)
        if self._socket is None:
            self._socket = open_socket(AF_INET, SOCK_RAW, IPPROTO_RAW)
        self._socket.setsockopt(SOL_SOCKET, _SO_MARK, struct.pack("I", UNTRACKED if untracked else 0))
        self._packet, self._address = bytearray(data), sockaddr(ip, 0)
        self._base = 0xFFFF - struct.unpack_from("!H", data, _CHECKSUM)[0]
        self._aim, self._until_ms = aim, self._loop.now() + _ROUTE_MS

    def close(self):
        """Close the socket; it is opened again when it is needed."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._aim = None
