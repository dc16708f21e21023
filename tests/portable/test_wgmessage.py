"""WireGuard's netlink messages: a device put together from many, one peer set, nothing secret kept."""
import struct

import wgfixture as made
from helpers import raises

from wgp2p import netlink, wgmessage
from wgp2p.netlink import NetlinkError

MANY = ["10.%d.%d.0/24" % (n >> 8, n & 255) for n in range(90)]


def read(datagrams, sequence=5, known=None):
    dump = wgmessage.Dump("wg0", known)
    answer = netlink.Answer(sequence, dump.take)
    assert [answer.feed(data) for data in datagrams][-1]
    return dump.finish(), dump


def values(peer):
    return (peer.key, peer.endpoint, peer.allowed_ips, peer.keepalive, peer.handshake, peer.rx, peer.tx)


def one_message(*peers):
    return [made.device_message(30, 5, peers, "wg0") + made.done(5)]


def test_device_without_peers():
    device, _ = read(one_message())
    assert (device.name, device.ifindex, device.listen_port) == ("wg0", 7, 51820)
    assert device.public_key == made.key(99) and device.peers == {}
    bare, _ = read([netlink.generic(30, 2, 5, 0, 1, netlink.unsigned(1, 4, 3)) + made.done(5)])
    assert bare.public_key is None and bare.ifindex == 3 and bare.name == "wg0"


def test_peer_with_everything():
    device, _ = read(one_message(
        made.peer(1, ["10.0.0.0/8", "192.168.1.1/32", "fd00:1::/64", "::/0"], "203.0.113.9:51820", 25,
                  1700000000, 2 ** 40 + 1, 2 ** 63),
        made.peer(2, [], "[2001:db8::1]:1024")))
    assert values(device.peers[made.key(1)]) == (
        made.key(1), "203.0.113.9:51820", ("10.0.0.0/8", "192.168.1.1/32", "fd00:1::/64", "::/0"), 25,
        1700000000, 2 ** 40 + 1, 2 ** 63)
    assert values(device.peers[made.key(2)]) == (made.key(2), "[2001:db8::1]:1024", (), 0, 0, 0, 0)


def test_peer_continued_over_messages():
    datagrams = [made.device_message(30, 5, [made.peer(1, at="192.0.2.1:7"), made.peer(2, MANY[:30], "192.0.2.2:7")],
                                     "wg0"),
                 made.device_message(30, 5, [made.peer(2, MANY[30:60], whole=False)]),
                 made.device_message(30, 5, [made.peer(2, MANY[60:], whole=False), made.peer(3, rx=4)]),
                 made.done(5)]
    device, dump = read(datagrams)
    assert device.peers[made.key(2)].allowed_ips == tuple(MANY)
    assert device.peers[made.key(2)].endpoint == "192.0.2.2:7" and device.peers[made.key(3)].rx == 4
    again, _ = read(datagrams, known=dump.known)
    assert values(again.peers[made.key(2)]) == values(device.peers[made.key(2)])
    # the same first part, and nothing behind it any more
    shorter, _ = read([datagrams[0], made.done(5)], known=dump.known)
    assert shorter.peers[made.key(2)].allowed_ips == tuple(MANY[:30])
    longer, _ = read(datagrams, known=read([datagrams[0], made.done(5)])[1].known)
    assert longer.peers[made.key(2)].allowed_ips == tuple(MANY)


def test_unchanged_peer_is_the_same_object():
    before, dump = read(one_message(made.peer(1, MANY[:2], rx=1), made.peer(2, rx=1), made.peer(3)))
    after, _ = read(one_message(made.peer(1, MANY[:2], rx=1), made.peer(2, rx=2)), known=dump.known)
    assert after.peers[made.key(1)] is before.peers[made.key(1)]
    assert after.peers[made.key(2)].rx == 2 and before.peers[made.key(2)].rx == 1
    assert sorted(after.peers) == sorted([made.key(1), made.key(2)])


def test_secrets_are_nowhere():
    device, dump = read(one_message(made.peer(1, MANY[:2]), made.peer(2)))
    kept = repr(dump.__dict__) + repr(device.__dict__) + repr(dump.known)
    assert "PRIVATE" not in kept and "PRESHAR" not in kept


def test_peer_in_another_order_of_attributes():
    shuffled = netlink.nested(0, netlink.unsigned(7, 8, 5), netlink.attribute(2, made.PRESHARED),
                              netlink.attribute(200, b"new"), netlink.attribute(1, made.raw_key(1)))
    device, dump = read(one_message(shuffled))
    assert device.peers[made.key(1)].rx == 5 and not dump.known


def test_port_0_is_no_endpoint():
    raw = struct.pack("H", 2) + bytes(2) + b"\x01\x02\x03\x04" + bytes(8)
    device, _ = read(one_message(netlink.nested(0, netlink.attribute(1, made.raw_key(1)), netlink.attribute(4, raw))))
    assert device.peers[made.key(1)].endpoint is None


def test_mapped_networks_are_left_out():
    entry = netlink.nested(0, netlink.attribute(2, bytes(10) + b"\xff\xff" + bytes(4)), netlink.unsigned(3, 1, 96))
    device, _ = read(one_message(netlink.nested(0, netlink.attribute(1, made.raw_key(1)), netlink.nested(9, entry))))
    assert device.peers[made.key(1)].allowed_ips == ()


def test_malformed_peers_are_refused():
    def network(*parts):
        return netlink.nested(9, netlink.nested(0, *parts))

    key = netlink.attribute(1, made.raw_key(1))
    for parts in ([netlink.attribute(1, bytes(31))], [netlink.attribute(1, bytes(33))], [netlink.attribute(1, b"")],
                  [netlink.unsigned(7, 8, 1)], [key, netlink.unsigned(7, 4, 1)], [key, netlink.unsigned(5, 4, 1)],
                  [key, netlink.attribute(6, bytes(8))], [key, netlink.attribute(4, bytes(15))],
                  [key, netlink.attribute(4, bytes(28))], [key, netlink.attribute(4, struct.pack("H", 10) + bytes(14))],
                  [key, network(netlink.unsigned(3, 1, 8))], [key, network(netlink.attribute(2, bytes(4)))],
                  [key, network(netlink.unsigned(3, 1, 33), netlink.attribute(2, bytes(4)))],
                  [key, network(netlink.unsigned(3, 1, 8), netlink.attribute(2, bytes(5)))],
                  [key, netlink.attribute(9, b"\x05")]):
        raises(NetlinkError, read, one_message(netlink.nested(0, *parts)))


def test_cut_off_anywhere_is_refused():
    whole = made.device_message(30, 5, [made.peer(1, ["10.0.0.0/8", "fd00::/64"], "[2001:db8::1]:9")], "wg0")
    for cut in range(len(whole)):
        dump = wgmessage.Dump("wg0")
        try:  # a cut between two attributes is a shorter message; nothing else may be raised
            dump.take(whole, 16, cut)
            dump.take(whole[:cut], 16, cut)
            dump.finish()
        except NetlinkError:
            pass
        raises(NetlinkError, netlink.Answer(5, dump.take).feed, whole[:cut]) if cut else None


def entries(request):
    """What a SET_DEVICE asks for: the interface, and for each entry its attributes by type."""
    _, flags, _, start, end = list(netlink.messages(request))[0]
    assert flags == 5 and request[start:start + 2] == b"\x01\x01"
    found, name = [], None
    for kind, at, to in netlink.attributes(request, start + 4, end):
        if kind == 2:
            name = netlink.read_string(request, at, to)
        else:
            assert kind == 8
            for number, (index, one, other) in enumerate(netlink.attributes(request, at, to)):
                assert index == number
                rows = netlink.attributes(request, one, other)
                found.append(dict([(row[0], request[row[1]:row[2]]) for row in rows]))
    return name, found


def test_set_peer_only_updates():
    name, found = entries(wgmessage.set_peer(30, 6, "wg0", made.key(1), "203.0.113.9:51820"))
    sockaddr = made.endpoint("203.0.113.9:51820")
    assert name == "wg0" and found == [{1: made.raw_key(1), 3: struct.pack("I", 4), 4: sockaddr}]
    _, found = entries(wgmessage.set_peer(30, 6, "wg0", made.key(1), None, 0))
    assert found == [{1: made.raw_key(1), 3: struct.pack("I", 4), 5: struct.pack("H", 0)}]


def test_nudge_is_two_entries_of_one_message():
    _, found = entries(wgmessage.set_peer(30, 6, "wg0", made.key(1), "[2001:db8::1]:9", 25, True))
    flags = struct.pack("I", 4)
    assert found == [{1: made.raw_key(1), 3: flags, 5: struct.pack("H", 0)},
                     {1: made.raw_key(1), 3: flags, 4: made.endpoint("[2001:db8::1]:9"), 5: struct.pack("H", 25)}]


def test_wrong_changes_are_refused():
    for args in (("short", "203.0.113.9:1", 25, False), (made.key(1), "203.0.113.9", 25, False),
                 (made.key(1), "203.0.113.9:0", 25, False), (made.key(1), None, 65536, False),
                 (made.key(1), None, -1, False), (made.key(1), "203.0.113.9:1", None, True),
                 (made.key(1), "203.0.113.9:1", 0, True)):
        raises(ValueError, wgmessage.set_peer, 30, 6, "wg0", *args)
