"""links.py: routes of this machine, and which changes of routes are heard."""
import errno
import struct

from helpers import Skip, raises
from test_firewall import passes

from wgp2p import links, netlink, netlink_socket


def test_a_route_has_device_number_and_source():
    try:
        device, number, source = links.route("192.0.2.1")
    except OSError:
        raise Skip("this machine has no way out")
    assert links.link_name(number) == device and links.link_index(device) == number
    assert source is None or source in links.addresses()
    assert source == links.source_of("192.0.2.1")


def test_the_gateway_is_the_next_hop_and_next_to_us():
    hop = links.gateway("192.88.99.1")
    if hop is None:
        raise Skip("this machine has no gateway")
    assert links.gateway(hop) is None and links.route(hop)[0] == links.route("192.88.99.1")[0]


def test_no_route_to_oneself_or_nowhere():
    for ask in (links.route, links.source_of, links.gateway):
        raises(OSError, ask, "127.0.0.1")
        raises(OSError, ask, "::1")
        raises(ValueError, ask, "localhost")
    raises(OSError, links.link_name, 999999)


def test_the_mtu_is_the_systems():
    try:
        source = open("/sys/class/net/lo/mtu")
    except OSError:
        raise Skip("no /sys here")
    assert links.mtu("lo") == int(source.read())
    source.close()
    assert raises(OSError, links.mtu, "nosuch0").args[0] == errno.ENODEV


def heard(kind, length=24, protocol=4):
    route = struct.pack("8B", 2, length, 0, 0, 254, protocol, 0, 1) + bytes(4)
    return bool(passes(links.ROUTE_FILTER, netlink.message(kind, 0, 0, route)))


def test_routing_daemons_are_heard_of_default_routes_alone():
    for kind in (16, 17, 20, 21):
        assert heard(kind, protocol=186), "links and addresses always"
    for kind in (24, 25):
        for protocol in (1, 2, 3, 4, 9, 16):
            assert heard(kind, protocol=protocol)
        for protocol in (11, 12, 15, 17, 42, 186, 188):
            assert not heard(kind, protocol=protocol)
            assert heard(kind, length=0, protocol=protocol)


def test_what_no_kernel_says_is_an_oserror():
    class Torn:
        def __init__(self, _):
            pass

        def ask(self, *_):
            raise netlink.NetlinkError("torn")

        def close(self):
            pass

    real, netlink_socket.NetlinkSocket = netlink_socket.NetlinkSocket, Torn
    try:
        for ask, argument in ((links.route, "192.0.2.1"), (links.source_of, "192.0.2.1"), (links.addresses, None),
                              (links.link_name, 1), (links.link_index, "lo"), (links.mtu, "lo")):
            assert raises(OSError, ask, argument).args[0] == errno.EIO
    finally:
        netlink_socket.NetlinkSocket = real
