"""Gets the UDP packets that nftables has marked for us, whole, on their way to this host.

Raw sockets with a classic BPF program on the packet's mark (linux/filter.h, SKF_AD_MARK) and its destination port. What
others send to this port costs nothing. What is marked may still be a flood; so after each wake-up the sockets rest for
as long as the work took, and the kernel drops what finds no room: half of a processor at most, however slow it is.
"""
import struct

from . import compat
from .addr import format_endpoint, format_ip
from .compat import AF_INET, AF_INET6, attach_filter, open_socket, receive_from, sockaddr_text
from .loop import READ
from .relayrules import MARK_MASK

_UDP = 17
_MARK = 0xFFFFF000 + 20  # SKF_AD_OFF + SKF_AD_MARK
_LD_ABS, _AND, _LDX_IP_HEADER, _LDX_IMM, _LDH_IND, _JEQ, _RET = 0x20, 0x54, 0xB1, 0x01, 0x48, 0x15, 0x06
_PACKETS, _WORK_MS = 64, 20  # for one wake-up
_LONGEST = 2048  # with its headers: what is longer does not fit into a packet of the internet
_BUFFER = 262144  # some hundred packets: what comes while the sockets rest
_NAMES = 256


def mark_filter(family, port, marks):
    """The classic BPF program for a raw socket: IPv4 ones begin with the IP header, IPv6 ones with UDP's."""
    program = [(_LD_ABS, 0, 0, _MARK), (_AND, 0, 0, MARK_MASK)]
    for i in range(len(marks)):
        program.append((_JEQ, len(marks) - i, 0, marks[i]))
    return program + [
        (_RET, 0, 0, 0),
        (_LDX_IP_HEADER, 0, 0, 0) if family == AF_INET else (_LDX_IMM, 0, 0, 0),
        (_LDH_IND, 0, 0, 2), (_JEQ, 0, 1, port),
        (_RET, 0, 0, 0xFFFF), (_RET, 0, 0, 0)]


class Marked:
    """Calls `heard(source endpoint, own_ip, message)` for every UDP packet to `port` with one of these marks (a tuple):
    `own_ip` is the address that it came to, None for IPv6, `message` what UDP carries. Raises OSError (EPERM: needs
    CAP_NET_RAW)."""

    def __init__(self, loop, port, marks, heard):
        self._loop = loop
        self._heard = heard
        self._ears = []  # (socket, callback)
        self._buffer = bytearray(_LONGEST)
        self._names = {}  # {(raw address, port): endpoint}
        self._rest = None
        try:
            self._open(AF_INET, port, marks)
            try:
                self._open(AF_INET6, port, marks)
            except OSError:  # a kernel without IPv6
                pass
        except OSError:
            self.close()
            raise
        self._listen()

    def _open(self, family, port, marks):
        sock = open_socket(family, compat.SOCK_RAW, _UDP)
        try:
            attach_filter(sock, mark_filter(family, port, marks))
            sock.setsockopt(compat.SOL_SOCKET, compat.SO_RCVBUF, struct.pack("i", _BUFFER))
        except OSError:
            sock.close()
            raise
        self._ears.append((sock, lambda _: self._readable(sock, family == AF_INET)))

    def _listen(self):
        self._rest = None
        for sock, callback in self._ears:
            self._loop.watch(sock.fileno(), READ, callback)

    def _readable(self, sock, ipv4):
        begin = self._loop.now()
        for _ in range(_PACKETS):
            try:
                data, address = receive_from(sock, self._buffer)
            except OSError:  # nothing more
                break
            self._take(data, address, ipv4)
            if not self._ears:  # closed by who heard it
                return
            if self._loop.now() - begin >= _WORK_MS:
                break
        took = self._loop.now() - begin
        if took:
            for other, _ in self._ears:
                self._loop.unwatch(other.fileno())
            self._rest = self._loop.call_later(took, self._listen)

    def _take(self, data, address, ipv4):
        start = 4 * (data[0] & 15) if ipv4 and len(data) >= 20 else 0
        if len(data) < start + 8 or (ipv4 and not start):
            return
        port, _, length = struct.unpack_from("!HHH", data, start)
        if length != len(data) - start or not port:  # cut, or not what it says
            return
        source = self._names.get((address, port))
        if source is None:
            if len(self._names) >= _NAMES:
                self._names = {}
            source = format_endpoint(sockaddr_text(address)[0].partition("%")[0], port)
            self._names[address, port] = source
        self._heard(source, format_ip(data[16:20]) if ipv4 else None, data[start + 8:])

    def close(self):
        """No more calls."""
        for sock, _ in self._ears:
            self._loop.unwatch(sock.fileno())
            sock.close()
        self._ears = []
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
