"""Conntrack's entries: messages there and back, cut off at every byte; which of them stand in the way."""
import struct

from helpers import raises

from wgp2p import flows, netlink, netlink_socket
from wgp2p.flows import Flow, FlowsError
from wgp2p.netlink import Answer, NetlinkError

OWN = ["203.0.113.20", "192.168.1.1"]
SERVER = ("203.0.113.10", 51820)


def packed(ip):
    return bytes([int(word) for word in ip.split(".")])


def tuple_of(kind, source, source_port, target, target_port, protocol=17):
    return netlink.nested(
        kind, netlink.nested(1, netlink.attribute(1, packed(source)), netlink.attribute(2, packed(target))),
        netlink.nested(2, netlink.attribute(1, bytes([protocol])), netlink.attribute(2, struct.pack("!H", source_port)),
                       netlink.attribute(3, struct.pack("!H", target_port))))


def entry(source="192.168.1.10", source_port=51820, target=SERVER, outside=("203.0.113.20", 4711), protocol=17):
    """The payload that the kernel sends for a flow."""
    return (bytes([2, 0, 0, 0]) + tuple_of(1, source, source_port, target[0], target[1], protocol)
            + tuple_of(2, target[0], target[1], outside[0], outside[1], protocol)
            + netlink.attribute(3, bytes([0, 0, 0, 8])))


class Kernel:
    """In the place of NetlinkSocket: answers every request with these payloads, and an error."""

    def __init__(self, payloads=(), error=0, broken=False):
        self.payloads, self.error, self.broken = payloads, error, broken
        self.requests, self.closed = [], 0

    def __call__(self, family):
        assert family == netlink.NETFILTER
        return self

    def ask(self, request, take):
        self.requests.append(request(7))
        if self.broken:
            raise NetlinkError("torn")
        answer = Answer(7, take)
        answer.feed(b"".join([netlink.message(256, 2, 7, payload) for payload in self.payloads]))
        answer.error = self.error
        return answer

    def close(self):
        self.closed += 1


def with_kernel(kernel, call):
    real, netlink_socket.NetlinkSocket = netlink_socket.NetlinkSocket, kernel
    try:
        return call()
    finally:
        netlink_socket.NetlinkSocket = real


def test_an_entry_is_read():
    data = entry()
    flow = flows.read_flow(data, 0, len(data))
    assert (flow.source, flow.source_port, flow.destination, flow.destination_port) == ("192.168.1.10", 51820) + SERVER
    assert (flow.outside, flow.outside_port, flow.reached) == ("203.0.113.20", 4711, "203.0.113.10")


def test_other_entries_are_none():
    data = entry(protocol=6)
    assert flows.read_flow(data, 0, len(data)) is None
    data = bytes(4) + tuple_of(1, "10.0.0.1", 1, "10.0.0.2", 2)
    assert flows.read_flow(data, 0, len(data)) is None
    data = bytes([10, 0, 0, 0]) + netlink.nested(1, netlink.nested(1, netlink.attribute(3, bytes(16))))
    assert flows.read_flow(data, 0, len(data)) is None


def test_cut_off_entries_are_refused_or_none():
    data = entry()
    for cut in range(len(data)):
        try:
            flow = flows.read_flow(data, 0, cut)
        except NetlinkError:
            continue
        assert flow is None or cut >= len(data) - 8


def attributes_of(request):
    kind, flags, _, start, end = list(netlink.messages(request))[0]
    found = {}
    for number, one, other in netlink.attributes(request, start + 4, end):
        found[number] = request[one:other]
    return kind, flags, request[start:start + 4], found


def test_the_kernel_is_asked_to_pick_out():
    kind, flags, head, found = attributes_of(flows.dump_request(1, source_port=51820))
    assert (kind, flags, head) == (0x101, 0x301, bytes([2, 0, 0, 0]))
    assert found[25] == netlink.unsigned(1, 4, 8 | 16)
    assert found[1] == netlink.nested(2, netlink.unsigned(1, 1, 17), netlink.attribute(2, struct.pack("!H", 51820)))
    _, _, _, found = attributes_of(flows.dump_request(1, destination=("198.51.100.7", 7777)))
    assert found[25] == netlink.unsigned(1, 4, 2 | 8 | 32)
    assert found[1] == (netlink.nested(1, netlink.attribute(2, packed("198.51.100.7"))) + netlink.nested(
        2, netlink.unsigned(1, 1, 17), netlink.attribute(3, struct.pack("!H", 7777))))


def test_find():
    kernel = Kernel([entry(), entry(source="192.168.1.11")])
    found = with_kernel(kernel, lambda: flows.find(source_port=51820))
    assert [flow.source for flow in found] == ["192.168.1.10", "192.168.1.11"] and kernel.closed == 1
    assert with_kernel(Kernel(), lambda: flows.find(source_port=51820)) == []
    found = with_kernel(Kernel([entry(source_port=9)]), lambda: flows.find(destination=SERVER))
    assert found[0].source_port == 9


def test_a_kernel_without_the_filter_is_not_read_on():
    unasked = Kernel([entry(source_port=5)] * 3)
    for kernel in (unasked, Kernel([entry(protocol=6)]), Kernel(error=1), Kernel(broken=True)):
        raises(FlowsError, with_kernel, kernel, lambda: flows.find(source_port=51820))
        assert kernel.closed == 1
    raises(FlowsError, with_kernel, Kernel([entry()]), lambda: flows.find(destination=("203.0.113.11", 51820)))


def test_too_many_are_cut_off():
    assert len(with_kernel(Kernel([entry()] * 300), lambda: flows.find(source_port=51820))) == 256


def flow(source, outside_port, target=SERVER, source_port=51820, outside="203.0.113.20", reached=None):
    return Flow(source, source_port, target[0], target[1], outside, outside_port, reached or target[0])


def test_delete():
    kernel = Kernel(error=2)
    with_kernel(kernel, lambda: flows.delete([flow("192.168.1.10", 5), flow("192.168.1.11", 5, source_port=0)]))
    assert len(kernel.requests) == 1 and kernel.closed == 1, "no tuple has port 0"
    kind, flags, _, found = attributes_of(kernel.requests[0])
    assert (kind, flags) == (0x102, 5) and packed("192.168.1.10") in found[1] and packed(SERVER[0]) in found[1]


def test_who_stands_in_the_way():
    other = ("198.51.100.1", 36906)
    ours, theirs = flow("203.0.113.20", 4711), flow("192.168.1.10", 51820)
    kept, passing = flow("192.168.1.11", 1500), flow("198.51.100.9", 51820, outside="198.51.100.9")
    settled = flow("203.0.113.20", 51820, other)
    everything = [ours, theirs, kept, passing, settled]
    assert flows.holders(everything, 51820, OWN) == [theirs], "who is not translated has a port of its own"
    assert flows.rewritten(everything, 51820, OWN) == [ours]


def test_displaced_only_where_the_port_is_free():
    first, second = flow("192.168.1.10", 40000, source_port=40000), flow("192.168.1.11", 999, source_port=40000)
    alone = flow("192.168.1.11", 999, ("198.51.100.1", 9), source_port=40000)
    routed = flow("192.168.1.12", 999, ("198.51.100.2", 9), source_port=40000, outside="192.168.1.12")
    own = flow("203.0.113.20", 998, ("198.51.100.3", 9), source_port=40000)
    assert flows.displaced([first, second, alone, routed, own], 40000, OWN) == [alone]


def test_passers():
    home = ("198.51.100.7", 7777)
    past, there = flow("192.168.1.10", 5, home), flow("192.168.1.11", 5, home, reached="192.168.1.1")
    assert flows.passers([past, there, flow("203.0.113.20", 5, home)], OWN) == [past]
