"""The kernel's connection tracking entries (IPv4) of one UDP source port or towards one UDP destination: reading them,
and taking away those that stand in the way (linux/netfilter/nfnetlink_conntrack.h).

An entry keeps the translation that was decided for its first packet, whatever the rules say since; and a flow from the
same source and port gets the one that an earlier entry has, while that lives. So a rule that is new helps nobody before
the old entries are gone. A router may have tens of thousands of entries; the kernel picks out those asked for
(CTA_FILTER, Linux 5.8 and newer).
"""
import struct

from . import netlink
from .addr import format_endpoint, format_ip, parse_ip
from .compat import AF_INET
from .conntrack import delete_request
from .netlink_socket import ask

_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_ORIGINAL, _REPLY, _FILTER = 1, 2, 25  # CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_FILTER
_IP, _PROTO = 1, 2
_SOURCE, _DESTINATION = 1, 2  # CTA_IP_V4_SRC, CTA_IP_V4_DST
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
# What of the tuple must be the same (net/netfilter/nf_internals.h)
_SAME_DESTINATION, _SAME_NUMBER, _SAME_SOURCE_PORT, _SAME_DESTINATION_PORT = 2, 8, 16, 32
_UDP = 17
_MOST = 256  # reading one takes MicroPython up to half a millisecond, on a router longer


class FlowsError(Exception):
    """The entries cannot be read; the text says why."""


class _Enough(Exception):
    """There are more than anybody wants to know."""


class Flow:
    """One entry: `source` and `source_port`, `destination` and `destination_port` as the sender wrote them; `outside`
    and `outside_port`: what the receiver sees as the sender; `reached`: the address that the packet really goes to."""

    def __init__(self, source, source_port, destination, destination_port, outside, outside_port, reached):
        self.source, self.source_port = source, source_port
        self.destination, self.destination_port = destination, destination_port
        self.outside, self.outside_port = outside, outside_port
        self.reached = reached


# -- messages -------------------------------------------------------------------------------------

def dump_request(sequence, source_port=None, destination=None):
    """Asks for the UDP entries with this source port, or to this destination (address in text, port)."""
    port, addresses, same = _SOURCE_PORT, b"", _SAME_NUMBER | _SAME_SOURCE_PORT
    if destination is not None:
        addresses = netlink.nested(_IP, netlink.attribute(_DESTINATION, parse_ip(destination[0])))
        port, source_port, same = _DESTINATION_PORT, destination[1], (
            _SAME_DESTINATION | _SAME_NUMBER | _SAME_DESTINATION_PORT)
    ports = netlink.nested(_PROTO, netlink.unsigned(_NUMBER, 1, _UDP),
                           netlink.attribute(port, struct.pack("!H", source_port)))
    return netlink.message(_GET, netlink.REQUEST | netlink.DUMP, sequence, struct.pack("BBH", AF_INET, 0, 0)
                           + netlink.nested(_ORIGINAL, addresses, ports)
                           + netlink.nested(_FILTER, netlink.unsigned(1, 4, same)))


def read_flow(data, start, end):
    """The Flow in the payload of one message, None for one that is no IPv4 UDP flow. NetlinkError."""
    there = None
    for kind, one, other in netlink.attributes(data, netlink.skip(start, end, 4), end):
        if kind == _ORIGINAL:
            there = _read_tuple(data, one, other)
        elif kind == _REPLY:  # the second; what follows is of no interest
            back = _read_tuple(data, one, other)
            return Flow(there[0], there[1], there[2], there[3], back[2], back[3], back[0]) if there and back else None
    return None


def _read_tuple(data, start, end):
    """(source, port, destination, port), or None."""
    found = {}
    for kind, one, other in netlink.attributes(data, start, end):
        for inner, at, to in netlink.attributes(data, one, other) if kind in (_IP, _PROTO) else ():
            found[kind, inner] = data[at:to]
    if found.get((_PROTO, _NUMBER)) != bytes([_UDP]):
        return None
    values = [found.get(name, b"") for name in (
        (_IP, _SOURCE), (_PROTO, _SOURCE_PORT), (_IP, _DESTINATION), (_PROTO, _DESTINATION_PORT))]
    if [len(value) for value in values] != [4, 2, 4, 2]:
        return None
    return (format_ip(values[0]), struct.unpack("!H", values[1])[0],
            format_ip(values[2]), struct.unpack("!H", values[3])[0])


# -- what stands in the way, out of what was found ------------------------------------------------

def holders(flows, port, own):
    """Flows of others that have `port` outside, where this machine's own may need it. `own`: its addresses."""
    return [flow for flow in flows if flow.source not in own and flow.outside_port == port
            and flow.outside != flow.source]


def rewritten(flows, port, own):
    """This machine's own flows from `port` that this machine itself gives another one outside."""
    return [flow for flow in flows if flow.source in own and flow.source_port == port and flow.outside_port != port]


def displaced(flows, port, own):
    """Translated flows of others from `port` that have another one outside, although it is free there."""
    taken = set([(flow.destination, flow.destination_port) for flow in flows if flow.outside_port == port])
    return [flow for flow in flows if flow.source not in own and flow.outside != flow.source
            and flow.outside_port != port and (flow.destination, flow.destination_port) not in taken]


def passers(flows, own):
    """Flows of others that go where their sender wrote, and so past a redirection."""
    return [flow for flow in flows if flow.source not in own and flow.reached == flow.destination]


# -- the kernel -----------------------------------------------------------------------------------

def find(source_port=None, destination=None):
    """The Flows with this source port, or to this destination (address, port); at most 256. Raises FlowsError."""
    found = []

    def take(data, start, end):
        flow = read_flow(data, start, end)
        if flow is None or (flow.source_port != source_port if destination is None else
                            (flow.destination, flow.destination_port) != destination):
            raise FlowsError("this kernel cannot pick out connections (needs Linux 5.8)")
        found.append(flow)
        if len(found) >= _MOST:
            raise _Enough()

    try:
        answer = ask(netlink.NETFILTER, lambda sequence: dump_request(sequence, source_port, destination), take)
    except _Enough:
        return found
    except netlink.NetlinkError as error:
        raise FlowsError(str(error))
    if answer.error:
        raise FlowsError("the kernel does not tell its connections (errno %d)" % answer.error)
    return found


def delete(flows):
    """Take these entries away; the next packet of each is a new flow. One that is gone already does no harm."""
    try:
        for flow in [flow for flow in flows if flow.source_port]:
            source = format_endpoint(flow.source, flow.source_port)
            ask(netlink.NETFILTER, lambda sequence, flow=flow, source=source: delete_request(
                sequence, source, flow.destination, flow.destination_port), lambda data, start, end: None)
    except netlink.NetlinkError as error:
        raise FlowsError(str(error))
