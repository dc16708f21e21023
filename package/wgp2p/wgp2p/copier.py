"""Moves a relayed client to the direct path without disturbing the relay: a small packet that WireGuard sends to the
relay is sent once more, as it is, to an address where the client may be reached directly.

Why it works: WireGuard takes an authentic packet from any address, answers to where the newest came from, and takes
each packet once (its counter). If the client is there and the copy comes before the original, the client's WireGuard
moves to us by itself, and ours follows with its answer. If the copy comes later, or to somebody else, nothing happens.

Why it is safe: it is a copy of an encrypted packet. Whoever gets it can read nothing, answer nothing, and can only do
with it what anybody on the way of the original can. The address may be a forged one: then at most 3 small packets go
there in an attempt, and upgrade.py bounds the attempts. The path moves by WireGuard's own authentication and by nothing
else; no endpoint is set here.

The packet socket (packet(7)) hears one interface; a BPF program lets only outgoing packets from WireGuard's port to the
relay pass, of type 4 and of the size that the probe of an attempt has. Whose a packet is cannot be seen: the size keeps
most of other clients' out, and a copy of one of theirs is dropped where it arrives.
"""
import struct

from . import links, log
from .addr import parse_endpoint, parse_ip
from .compat import AF_PACKET, SOCK_DGRAM, attach_filter, open_socket, sockaddr_packet
from .rawudp import RawUdp
from .tap import Tap

COPIES, WINDOW_MS = 3, 200
OPENER = bytes(4)  # is no WireGuard packet, and opens our NAT for the client's
_ETH_P_ALL = 3  # the only one for which the kernel shows what leaves (linux/if_ether.h)
_UDP = 17
_TRANSPORT = 0x04000000
_IPV4, _IPV6 = 20, 40  # the headers of packets that WireGuard sends: without options
# linux/filter.h; a packet socket of SOCK_DGRAM reads from the IP header on
_LD, _LDH, _LDB, _JEQ, _JSET, _AND, _RET = 0x20, 0x28, 0x30, 0x15, 0x45, 0x54, 0x06
_PACKET_TYPE, _OUTGOING = 0xFFFFF004, 4  # SKF_AD_OFF + SKF_AD_PKTTYPE; PACKET_OUTGOING
_FRAGMENT = 0x3FFF  # more of it follows, or it is not the first


def capture_filter(relay, port, size):
    """The classic BPF program for type-4 messages of `size` bytes from our `port` to the endpoint `relay` = (ip, port).
    """
    target = parse_ip(relay[0])
    start = _IPV4 if len(target) == 4 else _IPV6
    if start == _IPV4:
        checks = [(_LDB, 0), (_JEQ, 0x45), (_LDB, 9), (_JEQ, _UDP), (_LDH, 6), (_JSET, _FRAGMENT)]
    else:
        checks = [(_LDB, 0), (_AND, 0xF0), (_JEQ, 0x60), (_LDB, 6), (_JEQ, _UDP)]
    for at in range(0, len(target), 4):
        checks += [(_LD, start - len(target) + at), (_JEQ, struct.unpack_from("!I", target, at)[0])]
    checks += [(_LDB, _PACKET_TYPE), (_JEQ, _OUTGOING), (_LDH, start), (_JEQ, port), (_LDH, start + 2),
               (_JEQ, relay[1]), (_LDH, start + 4), (_JEQ, 8 + size), (_LD, start + 8), (_JEQ, _TRANSPORT)]
    program, count = [], len(checks)
    for i in range(count):
        code, k = checks[i]
        out = count - i  # to the last instruction, which drops
        program.append((code, out if code == _JSET else 0, out if code == _JEQ else 0, k))
    return program + [(_RET, 0, 0, 0xFFFF), (_RET, 0, 0, 0)]


def open_nat(candidate, port):
    """Send one packet that means nothing from WireGuard's port, so that our NAT lets in what comes from the candidate
    (an endpoint). OSError."""
    ip, to_port = parse_endpoint(candidate)
    raw = RawUdp()
    try:
        raw.send(links.source_of(ip), port, ip, to_port, OPENER)
    finally:
        raw.close()


class Copier:
    """One attempt at a time; `busy` while one runs."""

    def __init__(self, loop):
        self._loop = loop
        self._tap = self._raw = self._timer = None
        self.busy = False

    def attempt(self, relay, candidate, port, size, probe):
        """Open our NAT for `candidate`, then listen, call `probe()`, which makes WireGuard send a message of `size`
        bytes, and copy what leaves of that size for `relay` to the candidate: at most 3 messages within 200 ms. Both
        are endpoints; `port` is WireGuard's listen port. Raises OSError where that cannot be done (no route, no
        CAP_NET_RAW)."""
        relay, (ip, to_port) = parse_endpoint(relay), parse_endpoint(candidate)
        header = 8 + (_IPV6 if ":" in relay[0] else _IPV4)
        index, source = links.route(relay[0])[1], links.source_of(ip)
        left = [COPIES]

        def heard(packets):
            for data, _ in packets[:left[0]]:
                left[0] -= 1
                self._send(source, port, ip, to_port, data[header:])
            if not left[0]:
                self.close()

        self.close()
        try:
            self._raw = RawUdp()
            self._raw.send(source, port, ip, to_port, OPENER)
            sock = open_socket(AF_PACKET, SOCK_DGRAM)  # hears nothing before it is bound
            self._tap = Tap(self._loop, sock, header + size, heard)
            attach_filter(sock, capture_filter(relay, port, size))
            sock.bind(sockaddr_packet(index, _ETH_P_ALL))
            probe()
        except OSError:
            self.close()
            raise
        self.busy = True
        self._timer = self._loop.call_later(WINDOW_MS, self.close)

    def _send(self, source, port, ip, to_port, message):
        try:
            self._raw.send(source, port, ip, to_port, message)
        except OSError as error:
            log.debug("copier: no copy to %s (errno %d)" % (ip, error.args[0]))

    def close(self):
        """End the attempt that runs."""
        self.busy = False
        if self._timer is not None:
            self._timer.cancel()
        if self._tap is not None:
            self._tap.close()
        if self._raw is not None:
            self._raw.close()
        self._tap = self._raw = self._timer = None
