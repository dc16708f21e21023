"""Interfaces and their addresses, and a word when either changes (rtnetlink(7), linux/rtnetlink.h)."""
import struct

from . import netlink
from .addr import format_ip
from .compat import AF_NETLINK, SOCK_RAW, open_socket, sockaddr_netlink
from .netlink import ORDER
from .netlink_socket import NetlinkSocket
from .tap import Tap

_NEWLINK, _DELLINK, _GETLINK, _GETADDR = 16, 17, 18, 22
_IFINFO_SIZE, _IFADDR_SIZE = 16, 8
_HEAD_SIZE = 16 + _IFINFO_SIZE
_IFF_UP = 1
_IFLA_IFNAME = 3
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_GROUPS = 0x1 | 0x10 | 0x100  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_SETTLE_MS = 20  # an interface comes up in several messages


def addresses(ifindex=None):
    """The addresses (canonical text) of one interface, or of all; [] where there is none. Raises OSError, and
    NetlinkError for what no kernel says."""
    found = []

    def take(data, start, end):
        at = netlink.skip(start, end, _IFADDR_SIZE)
        index = struct.unpack_from(ORDER + "I", data, start + 4)[0]
        if ifindex is not None and index != ifindex:
            return
        values = {}
        for kind, one, other in netlink.attributes(data, at, end):
            values[kind] = data[one:other]
        # On a point-to-point link IFA_ADDRESS is the other side.
        packed = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
        if packed:
            found.append(format_ip(packed))

    _ask(lambda sequence: netlink.message(_GETADDR, netlink.REQUEST | netlink.ACK | netlink.DUMP, sequence,
                                          bytes(_IFADDR_SIZE)), take)
    return found


def link_index(name):
    """The number of the interface with this name. Raises OSError (ENODEV when there is none)."""
    found = []

    def take(data, start, end):
        netlink.skip(start, end, _IFINFO_SIZE)
        found.append(struct.unpack_from(ORDER + "i", data, start + 4)[0])

    _ask(lambda sequence: netlink.message(_GETLINK, netlink.REQUEST | netlink.ACK, sequence,
                                          bytes(_IFINFO_SIZE) + netlink.string(_IFLA_IFNAME, name)), take)
    return found[0]


def _ask(request, take):
    sock = NetlinkSocket(netlink.ROUTE)
    try:
        answer = sock.ask(request, take)
    finally:
        sock.close()
    if answer.error:
        raise OSError(answer.error)


class LinkWatch:
    """Calls `callback(risen)` after an interface or an address came, went or changed, once for a burst and at most ten
    times a second; `risen`: the numbers of the interfaces that were down and are up. Raises OSError."""

    def __init__(self, loop, callback):
        self._loop = loop
        self._callback = callback
        self._timer = None
        self._called_ms = loop.now() - 1000
        self._down, self._risen = set(), set()
        sock = open_socket(AF_NETLINK, SOCK_RAW, netlink.ROUTE)
        try:
            sock.bind(sockaddr_netlink(_GROUPS))
        except OSError:
            sock.close()
            raise
        self._tap = Tap(loop, sock, _HEAD_SIZE, self._heard)

    def _heard(self, packets):
        for data, _ in packets:
            kind = struct.unpack_from(ORDER + "H", data, 4)[0] if len(data) == _HEAD_SIZE else None
            if kind in (_NEWLINK, _DELLINK):
                index, flags = struct.unpack_from(ORDER + "iI", data, 20)
                if kind == _DELLINK:
                    self._down.discard(index)
                elif not flags & _IFF_UP:
                    self._down.add(index)
                elif index in self._down:
                    self._down.discard(index)
                    self._risen.add(index)
        if self._timer is None:
            wait = max(_SETTLE_MS, self._called_ms + 100 - self._loop.now())
            self._timer = self._loop.call_later(wait, self._call)

    def _call(self):
        self._timer = None
        self._called_ms = self._loop.now()
        risen, self._risen = self._risen, set()
        self._callback(risen)

    def close(self):
        """No more calls."""
        self._tap.close()
        if self._timer is not None:
            self._timer.cancel()
