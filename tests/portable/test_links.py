"""links.py: routes of this machine, and which changes of routes are heard."""
import struct

from helpers import Skip, raises
from test_firewall import passes

from wgp2p import links, netlink


def test_a_route_has_device_number_and_source():
    try:
        device, number, source = links.route("192.0.2.1")
    except OSError:
        raise Skip("this machine has no way out")
    assert links.link_name(number) == device and links.link_index(device) == number
    assert source is None or source in links.addresses()


def test_no_route_to_oneself_or_nowhere():
    raises(OSError, links.route, "127.0.0.1")
    raises(OSError, links.route, "::1")
    raises(ValueError, links.route, "localhost")
    raises(OSError, links.link_name, 999999)


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
