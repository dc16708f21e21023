"""The kernel's word that a new flow has come to the listen port: conntrack's NEW events
(linux/netfilter/nfnetlink_conntrack.h).

The group carries every new flow that a router sees, so a classic BPF program on the netlink socket lets only UDP to
one port through; the others wake nobody. There are events only where something makes the kernel track flows in this
network namespace (a NAT or a rule on `ct state`), and none while a flow's entry still lives, so this is a faster
signal beside looking every second, never instead of it. The entry of an address that a client has left can be taken
away (`forget`): then its return is a new flow, too.
"""
import errno
import struct

from . import netlink
from .addr import parse_endpoint, parse_ip
from .compat import AF_INET, AF_INET6, AF_NETLINK, SOCK_RAW, attach_filter, open_socket, sockaddr_netlink
from .netlink_socket import NetlinkSocket, ask
from .tap import Tap

_GROUP_NEW = 1  # bit of NFNLGRP_CONNTRACK_NEW
_DELETE, _GET_STATISTICS = 1 << 8 | 2, 1 << 8 | 5  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, _GET_STATS
_NFGENMSG = struct.pack("BBH", 0, 0, 0)
_EVENTS_SETTING = "/proc/sys/net/netfilter/nf_conntrack_events"

_TUPLE_ORIG, _TUPLE_IP, _TUPLE_PROTO, _PROTO_NUM, _PROTO_SRC_PORT, _PROTO_DST_PORT = 1, 1, 2, 1, 2, 3
_SOURCE_ATTRIBUTE = {4: 1, 16: 3}  # CTA_IP_V4_SRC, CTA_IP_V6_SRC; the destination's is the next number
_UDP = 17

# linux/filter.h: loading at these negative offsets looks for the attribute X from offset A on, or inside of the
# attribute at A; A becomes the offset of what was found, or 0.
_FIND, _FIND_INSIDE = 0xFFFFF000 + 12, 0xFFFFF000 + 16
_LD_IMM, _LDX_IMM, _LD_ABS, _TAX, _LDB_IND, _LDH_IND = 0x00, 0x01, 0x20, 0x07, 0x50, 0x48
_ST, _LD_MEM, _JEQ, _RET = 0x02, 0x60, 0x15, 0x06


class ConntrackError(Exception):
    """There are no events here; the text says why."""


def port_filter(port):
    """The classic BPF program that passes only events of UDP flows to this port."""
    begin = netlink.HEADER_SIZE + len(_NFGENMSG)
    program = [
        (_LD_IMM, 0, 0, begin), (_LDX_IMM, 0, 0, _TUPLE_ORIG), (_LD_ABS, 0, 0, _FIND), (_JEQ, None, 0, 0),
        (_LDX_IMM, 0, 0, _TUPLE_PROTO), (_LD_ABS, 0, 0, _FIND_INSIDE), (_JEQ, None, 0, 0), (_ST, 0, 0, 0),
        (_LDX_IMM, 0, 0, _PROTO_NUM), (_LD_ABS, 0, 0, _FIND_INSIDE), (_JEQ, None, 0, 0), (_TAX, 0, 0, 0),
        (_LDB_IND, 0, 0, 4), (_JEQ, 0, None, _UDP),
        (_LD_MEM, 0, 0, 0), (_LDX_IMM, 0, 0, _PROTO_DST_PORT), (_LD_ABS, 0, 0, _FIND_INSIDE), (_JEQ, None, 0, 0),
        (_TAX, 0, 0, 0), (_LDH_IND, 0, 0, 4), (_JEQ, 0, None, port),
        (_RET, 0, 0, 0xFFFF), (_RET, 0, 0, 0)]
    drop = len(program) - 1  # None stands for the jump there
    return [(code, drop - at - 1 if yes is None else yes, drop - at - 1 if no is None else no, value)
            for at, (code, yes, no, value) in enumerate(program)]


def delete_request(sequence, endpoint, ip, port):
    """Takes the entry of the UDP flow from `endpoint` to (ip, port) away. ValueError for two families."""
    source, source_port = parse_endpoint(endpoint)
    source, destination = parse_ip(source), parse_ip(ip)
    if len(source) != len(destination):
        raise ValueError("two families")
    kind = _SOURCE_ATTRIBUTE[len(source)]
    addresses = netlink.nested(_TUPLE_IP, netlink.attribute(kind, source), netlink.attribute(kind + 1, destination))
    ports = netlink.nested(_TUPLE_PROTO, netlink.unsigned(_PROTO_NUM, 1, _UDP),
                           netlink.attribute(_PROTO_SRC_PORT, struct.pack("!H", source_port)),
                           netlink.attribute(_PROTO_DST_PORT, struct.pack("!H", port)))
    head = struct.pack("BBH", AF_INET if len(source) == 4 else AF_INET6, 0, 0)
    return netlink.message(_DELETE, netlink.REQUEST | netlink.ACK, sequence,
                           head + netlink.nested(_TUPLE_ORIG, addresses, ports))


class Conntrack:
    """Calls `callback()` when a new UDP flow to `port` begins, and when events were lost: then too it is time to look.

    One call may stand for many flows, and in a flood there are at most 20 a second; the caller decides how often it
    looks. Raises ConntrackError."""

    def __init__(self, loop, port, callback):
        _check()
        self._callback = callback
        self._port = port
        self._requests = NetlinkSocket(netlink.NETFILTER)
        try:
            sock = open_socket(AF_NETLINK, SOCK_RAW, netlink.NETFILTER)
        except OSError as error:
            raise _error(error.args[0])
        try:
            attach_filter(sock, port_filter(port))
            sock.bind(sockaddr_netlink(_GROUP_NEW))
        except OSError as error:
            sock.close()
            raise _error(error.args[0])
        self._tap = Tap(loop, sock, 1, self._heard)

    def _heard(self, _):
        self._callback()

    def forget(self, endpoint, own):
        """A client has left this endpoint: its next packet from there, if it returns, is a new flow. `own`: this
        machine's addresses (text), one of which it sent to. What the kernel says to it does not matter: there may be
        no entry any more."""
        for ip in own:
            if (":" in ip) == endpoint.startswith("["):
                try:
                    self._requests.ask(lambda sequence, ip=ip: delete_request(sequence, endpoint, ip, self._port),
                                       lambda data, start, end: None)
                except netlink.NetlinkError:
                    pass

    def close(self):
        """No more calls."""
        self._tap.close()
        self._requests.close()


def _check():
    """Raises ConntrackError when the kernel does not track or does not tell. Subscribing would just be silent."""
    flags = netlink.REQUEST | netlink.ACK
    try:
        answer = ask(netlink.NETFILTER, lambda sequence: netlink.message(_GET_STATISTICS, flags, sequence, _NFGENMSG),
                     lambda data, start, end: None)
    except netlink.NetlinkError as error:
        raise ConntrackError(str(error))
    if answer.error:
        raise _error(answer.error)
    try:
        setting = open(_EVENTS_SETTING)
    except OSError:
        return
    try:
        if setting.read(1) == "0":
            raise ConntrackError("events are switched off (sysctl net.netfilter.nf_conntrack_events=0)")
    finally:
        setting.close()


def _error(number):
    if number in (errno.EPERM, errno.EACCES):
        return ConntrackError("not allowed: needs CAP_NET_ADMIN")
    return ConntrackError("the kernel offers none (module nf_conntrack_netlink, errno %d)" % number)
