"""Netlink messages: there and back, cut off at every byte, and what the kernel's answer means."""
import struct

import wgfixture
from helpers import raises

from wgp2p import netlink
from wgp2p.netlink import NetlinkError


def test_message_goes_there_and_back():
    payload = netlink.unsigned(1, 2, 513) + netlink.nested(2, netlink.string(3, "wg0"), netlink.unsigned(4, 8, 2 ** 63))
    data = netlink.message(20, 5, 77, payload) + netlink.message(21, 0, 78, b"")
    rows = list(netlink.messages(data))
    assert rows == [(20, 5, 77, 16, 16 + len(payload)), (21, 0, 78, len(data), len(data))]
    one, two = netlink.attributes(data, 16, rows[0][4])
    assert one[0] == 1 and netlink.read_unsigned(data, one[1], one[2], 2) == 513
    assert two[0] == 2
    inner = list(netlink.attributes(data, two[1], two[2]))
    assert netlink.read_string(data, inner[0][1], inner[0][2]) == "wg0"
    assert netlink.read_unsigned(data, inner[1][1], inner[1][2], 8) == 2 ** 63


def test_the_order_is_the_machines():
    """What the kernel of this machine would read, by the native formats of struct."""
    assert netlink.message(20, 5, 77, b"abcd") == struct.pack("IHHII", 20, 20, 5, 77, 0) + b"abcd"
    assert netlink.unsigned(3, 4, 258) == struct.pack("HHI", 8, 3, 258)
    assert netlink.nested(3, b"") == struct.pack("HH", 4, 0x8003)


def test_flags_of_a_type_are_not_its_number():
    data = struct.pack("HHI", 8, 0xC005, 1)
    assert [row[0] for row in netlink.attributes(data, 0, 8)] == [5]


def test_padding_may_be_missing_at_the_end():
    data = netlink.message(20, 0, 1, b"abcde")
    assert len(data) == 21 and list(netlink.messages(data)) == [(20, 0, 1, 16, 21)]
    assert list(netlink.attributes(struct.pack("HHB", 5, 1, 9), 0, 5)) == [(1, 4, 5)]


def test_wrong_lengths_are_refused():
    for length in (0, 15, 17, 0xFFFFFFFF):
        raises(NetlinkError, list, netlink.messages(struct.pack("IHHII", length, 20, 0, 1, 0)))
    for length in (0, 3, 9, 0xFFFF):
        raises(NetlinkError, list, netlink.attributes(struct.pack("HHI", length, 1, 0), 0, 8))
    raises(NetlinkError, list, netlink.attributes(b"", 0, 8))
    raises(NetlinkError, netlink.read_unsigned, b"abcd", 0, 3, 4)
    raises(NetlinkError, netlink.read_string, b"\xff\xfe\0", 0, 3)
    raises(NetlinkError, netlink.attribute, 1, bytes(65532))


def test_numbers_that_do_not_fit_are_refused():
    for size, number in ((1, 256), (2, 65536), (4, 2 ** 32), (8, 2 ** 64), (2, -1)):
        raises(NetlinkError, netlink.unsigned, 1, size, number)


def test_family_is_asked_for_and_read():
    request = netlink.family_request(3, "wireguard")
    kind, flags, sequence, start, end = list(netlink.messages(request))[0]
    assert (kind, flags, sequence) == (16, 5, 3) and request[start:start + 2] == b"\x03\x01"
    answer = netlink.generic(16, 0, 3, 1, 2, netlink.string(2, "wireguard") + netlink.unsigned(1, 2, 31))
    assert netlink.read_family(answer, 16, len(answer)) == 31
    for cut in range(16, len(answer) - 2):  # the last two bytes are padding
        raises(NetlinkError, netlink.read_family, answer[:cut], 16, cut)


def answered(sequence, *datagrams):
    taken = []
    answer = netlink.Answer(sequence, lambda data, start, end: taken.append(data[start:end]))
    return answer, [answer.feed(data) for data in datagrams], taken


def test_answer_ends_with_done_or_status():
    part = netlink.message(20, 2, 9, b"part")
    answer, ends, taken = answered(9, part, part + wgfixture.done(9))
    assert ends == [False, True] and taken == [b"part", b"part"] and answer.error == 0
    answer, ends, taken = answered(9, wgfixture.status(9, 19))
    assert ends == [True] and answer.error == 19 and not taken
    answer, ends, taken = answered(9, wgfixture.done(9, 4))
    assert answer.error == 4
    answer, ends, taken = answered(9, netlink.message(netlink.DONE, 2, 9, b""))
    assert ends == [True] and answer.error == 0


def test_answer_passes_over_others_and_noop():
    other, noop = netlink.message(20, 2, 8, b"old!"), netlink.message(netlink.NOOP, 0, 9, b"")
    answer, ends, taken = answered(9, other + wgfixture.status(8, 1) + noop, wgfixture.status(9))
    assert ends == [False, True] and not taken and answer.error == 0


def test_answer_tells_of_interruption_and_loss():
    answer, _, _ = answered(9, netlink.message(20, 2 | 0x10, 9, b"part") + wgfixture.done(9))
    assert answer.interrupted
    raises(NetlinkError, answered, 9, netlink.message(netlink.OVERRUN, 0, 9, b""))
    raises(NetlinkError, answered, 9, netlink.message(netlink.ERROR, 0, 9, b"ab"))
    raises(NetlinkError, answered, 9, netlink.message(netlink.ERROR, 0, 9, struct.pack("i", 5)))
