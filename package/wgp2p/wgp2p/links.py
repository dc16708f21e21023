"""Interfaces, their addresses and the routes, and a word when one changes (rtnetlink(7), linux/rtnetlink.h). What no
kernel says is an OSError (EIO), too."""
import errno
import struct

from . import netlink
from .addr import format_ip, parse_ip
from .compat import AF_INET, AF_INET6, AF_NETLINK, ENETUNREACH, SOCK_RAW, attach_filter, open_socket, sockaddr_netlink
from .netlink import ORDER
from .netlink_socket import ask
from .tap import Tap

_NEWLINK, _DELLINK, _GETLINK, _GETADDR = 16, 17, 18, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_IFINFO_SIZE, _IFADDR_SIZE, _ROUTE_SIZE = 16, 8, 12
_HEAD_SIZE = 16 + _IFINFO_SIZE
_IFF_UP = 1
_IFLA_IFNAME, _IFLA_MTU = 3, 4
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC = 1, 4, 5, 7
_UNICAST = 1
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_LINK, and RTMGRP_IPV4_ and _IPV6_ with _IFADDR and _ROUTE
_SETTLE_MS = 20  # an interface comes up in several messages


def addresses(ifindex=None):
    """The addresses (canonical text) of one interface, or of all; [] where there is none. OSError."""
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

    _ask_link(name, take)
    return found[0]


def mtu(name):
    """The size in bytes of the largest packet that fits through the interface with this name. Raises OSError (ENODEV
    when there is none)."""
    found = []

    def take(data, start, end):
        for kind, one, other in netlink.attributes(data, netlink.skip(start, end, _IFINFO_SIZE), end):
            if kind == _IFLA_MTU:
                found.append(netlink.read_unsigned(data, one, other, 4))

    _ask_link(name, take)
    return found[0]


def _ask_link(name, take):
    _ask(lambda sequence: netlink.message(_GETLINK, netlink.REQUEST | netlink.ACK, sequence,
                                          bytes(_IFINFO_SIZE) + netlink.string(_IFLA_IFNAME, name)), take)


def link_name(index):
    """The name of the interface with this number. Raises OSError (ENODEV when there is none)."""
    found = []

    def take(data, start, end):
        for kind, one, other in netlink.attributes(data, netlink.skip(start, end, _IFINFO_SIZE), end):
            if kind == _IFLA_IFNAME:
                found.append(netlink.read_string(data, one, other))

    head = struct.pack(ORDER + "BxHiII", 0, 0, index, 0, 0)
    _ask(lambda sequence: netlink.message(_GETLINK, netlink.REQUEST | netlink.ACK, sequence, head), take)
    return found[0]


def route(ip):
    """(interface, its number, source address or None) of the way that a packet to this address (text) takes. Raises
    OSError when there is none, and when the address is this machine's own."""
    index, own, _ = _way(ip)
    return link_name(index), index, own


def source_of(ip):
    """The address that packets to this one leave from; both are texts. Raises OSError as `route`, and where the way
    has none."""
    own = _way(ip)[1]
    if own is None:
        raise OSError(ENETUNREACH)
    return own


def gateway(ip):
    """The next hop on the way to this address, both texts; None where the way has none: the address is on the link, or
    the link leads to one other machine only. Raises OSError as `route`."""
    return _way(ip)[2]


def _way(ip):
    """(number of the interface, source address or None, next hop or None)."""
    packed = parse_ip(ip)
    found = []

    def take(data, start, end):
        at = netlink.skip(start, end, _ROUTE_SIZE)
        if data[start + 7] != _UNICAST:  # a route that says "unreachable" is no error in IPv6
            return
        values = {}
        for kind, one, other in netlink.attributes(data, at, end):
            values[kind] = data[one:other]
        if _RTA_OIF in values:
            own, hop = values.get(_RTA_PREFSRC), values.get(_RTA_GATEWAY)
            found.append((netlink.read_unsigned(values[_RTA_OIF], 0, 4, 4), format_ip(own) if own else None,
                          format_ip(hop) if hop else None))

    head = struct.pack("BB10x", AF_INET if len(packed) == 4 else AF_INET6, 8 * len(packed))
    _ask(lambda sequence: netlink.message(_GETROUTE, netlink.REQUEST | netlink.ACK, sequence,
                                          head + netlink.attribute(_RTA_DST, packed)), take)
    if not found:
        raise OSError(ENETUNREACH)
    return found[0]


def _ask(request, take):
    try:
        error = ask(netlink.ROUTE, request, take).error
    except netlink.NetlinkError:
        error = errno.EIO
    if error:
        raise OSError(error)


# linux/filter.h
_LDB_ABS, _JEQ, _JGT, _RET = 0x30, 0x15, 0x25, 0x06
_RTPROT_RA, _RTPROT_DHCP = 9, 16
# Routing daemons may change many routes all the time: of theirs only a default route is heard of. Those of the kernel,
# of people (boot, static), of router advertisements and of DHCP are few.
ROUTE_FILTER = [
    (_LDB_ABS, 0, 0, 4 if ORDER == "<" else 5), (_JEQ, 1, 0, _NEWROUTE), (_JEQ, 0, 5, _DELROUTE),
    (_LDB_ABS, 0, 0, 16 + 1), (_JEQ, 3, 0, 0),  # rtm_dst_len
    (_LDB_ABS, 0, 0, 16 + 5), (_JEQ, 1, 0, _RTPROT_DHCP), (_JGT, 1, 0, _RTPROT_RA),  # rtm_protocol
    (_RET, 0, 0, 0xFFFF), (_RET, 0, 0, 0)]


class LinkWatch:
    """Calls `callback(risen)` after an interface, an address or a route came, went or changed, once for a burst and at
    most ten times a second; `risen`: the numbers of the interfaces that were down and are up. Raises OSError."""

    def __init__(self, loop, callback):
        self._loop = loop
        self._callback = callback
        self._timer = None
        self._called_ms = loop.now() - 1000
        self._down, self._risen = set(), set()
        sock = open_socket(AF_NETLINK, SOCK_RAW, netlink.ROUTE)
        try:
            attach_filter(sock, ROUTE_FILTER)
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
