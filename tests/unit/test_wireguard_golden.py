"""What a real kernel said (tests/golden/wireguard.json), byte for byte, against what `wg show` showed then."""
import json
import pathlib
import sys

import pytest

from wgp2p import addr, netlink, wgmessage
from wgp2p.netlink import NetlinkError

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden/wireguard.json").read_text())
pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="recorded on a little-endian machine")


def sequence_of(data):
    return next(netlink.messages(data))[2]


def read(datagrams, known=None):
    dump = wgmessage.Dump("wgg", known)
    answer = netlink.Answer(sequence_of(datagrams[0]), dump.take)
    assert [answer.feed(data) for data in datagrams][-1]
    assert answer.error == 0 and not answer.interrupted
    return dump.finish(), dump


def parts(case):
    """How many messages the device came in."""
    kinds = [row[0] for text in case["datagrams"] for row in netlink.messages(bytes.fromhex(text))]
    return len([kind for kind in kinds if kind != netlink.DONE])


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["title"])
def test_device(case):
    datagrams = [bytes.fromhex(text) for text in case["datagrams"]]
    device, dump = read(datagrams)
    assert (device.name, device.ifindex, device.public_key, device.listen_port) == (
        "wgg", case["ifindex"], case["public_key"], case["listen_port"])
    assert len(device.peers) == len(case["peers"])
    for row in case["peers"]:
        peer = device.peers[row["key"]]
        assert (peer.endpoint, peer.keepalive, peer.handshake, peer.rx, peer.tx) == (
            row["endpoint"], row["keepalive"], row["handshake"], row["rx"], row["tx"])
        assert sorted(peer.allowed_ips) == sorted(
            addr.format_network(addr.parse_network(text)) for text in row["allowed_ips"])
    again, _ = read(datagrams, dump.known)
    whole = [key for key in device.peers if again.peers[key] is device.peers[key]]
    assert len(device.peers) - len(whole) == (parts(case) > 1)


def test_a_case_has_a_peer_in_two_messages():
    assert any(parts(case) > 1 for case in GOLDEN["cases"])


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["title"])
def test_cut_off_at_every_byte(case):
    for text in case["datagrams"]:
        data = bytes.fromhex(text)
        number = sequence_of(data)
        for cut in range(1, len(data)):
            answer = netlink.Answer(number, wgmessage.Dump("wgg").take)
            try:  # a cut between two messages leaves an answer that is not over
                assert not answer.feed(data[:cut])
            except NetlinkError:
                continue
            assert cut in [end + 3 & ~3 for *_, end in netlink.messages(data)]


def test_family():
    data = bytes.fromhex(GOLDEN["family"])
    found = []
    answer = netlink.Answer(sequence_of(data), lambda *where: found.append(netlink.read_family(*where)))
    answer.feed(data)
    case = bytes.fromhex(GOLDEN["cases"][0]["datagrams"][0])
    assert found == [next(netlink.messages(case))[0]]


def test_errors():
    for name, number in (("wgnone", 19), ("lo", 95)):  # ENODEV, EOPNOTSUPP
        data = bytes.fromhex(GOLDEN["errors"][name])
        answer = netlink.Answer(sequence_of(data), None)
        assert answer.feed(data) and answer.error == number
