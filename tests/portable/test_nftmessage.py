"""nftables' messages: against bytes that nft(8) 1.0.6 sent, with a kernel of sets, and cut off at every byte."""
import struct
from binascii import unhexlify

from helpers import raises

from wgp2p import netlink, nftmessage
from wgp2p.netlink import NetlinkError

KEY = bytes([203, 0, 113, 9, 0x12, 0x34, 0, 0, 1, 2, 3, 5])
# nft add element inet wgp2p_relay address4 '{ 203.0.113.9 . 4660 . 0x01020305 timeout 5s comment "hi" : 198.51.100.1 }'
NFT_ADDS = unhexlify(
    "010000001000010077677032705f72656c6179000d0002006164647265737334000000000800040000000001400003803c000180"
    "0c00040000000000000013881400018010000100cb00710912340000010203050c00028008000100c63364010900060000036869"
    "00000000")
# nft delete element inet wgp2p_relay address4 '{ 203.0.113.9 . 4660 . 0x01020305 }'
NFT_DELETES = unhexlify(
    "010000001000010077677032705f72656c6179000d0002006164647265737334000000001c000380180001801400018010000100"
    "cb0071091234000001020305")
LITTLE = netlink.ORDER == "<"  # the recording is


def rows(data):
    """(type, flags, payload) of each message."""
    found = []
    for kind, flags, sequence, start, end in netlink.messages(data):
        assert sequence == 7
        found.append((kind, flags, bytes(data[start:end])))
    return found


def test_as_nft_says_it():
    if not LITTLE:
        return
    request = nftmessage.delete("wgp2p_relay", "address4", [nftmessage.element(KEY)])[0](netlink.REQUEST, 7)
    assert rows(request) == [(0xA0E, 1, NFT_DELETES)]
    found = nftmessage.read_elements(NFT_ADDS, 0, len(NFT_ADDS))
    assert [(one.key, one.data, one.comment) for one in found] == [(KEY, bytes([198, 51, 100, 1]), "hi")]


def test_add_is_read_again():
    some = [nftmessage.element(KEY, b"\x12\x34", "198.51.100.1:77", 5000), nftmessage.element(b"\0\0\0\1")]
    request = nftmessage.add("table", "set", some)[0](netlink.REQUEST, 7)
    kind, flags, payload = rows(request)[0]
    assert (kind, flags) == (0xA0C, 0x401)
    one, other = nftmessage.read_elements(payload, 0, len(payload))
    assert (one.key, one.data, one.comment) == (KEY, b"\x12\x34", "198.51.100.1:77")
    assert (other.key, other.data, other.comment, other.expires_ms) == (b"\0\0\0\1", None, "", None)
    assert struct.pack("!Q", 5000) in payload


def test_padding():
    assert nftmessage.concatenated(b"\xcb\0\x71\x09", b"\x12\x34", b"\1\2\3\5") == KEY
    assert nftmessage.concatenated(b"\1", b"") == b"\1\0\0\0"


def test_batch():
    many = [nftmessage.element(struct.pack("!I", number)) for number in range(130)]
    requests = [nftmessage.flush("t", "s")] + nftmessage.add("t", "s", many) + nftmessage.delete("t", "s", many[:1])
    found = rows(nftmessage.batch(7, requests))
    assert [(row[0], row[1]) for row in found] == [
        (16, 1), (0xA0E, 1), (0xA0C, 0x401), (0xA0C, 0x401), (0xA0C, 0x401), (0xA0E, 5), (17, 1)]
    assert found[0][2] == found[-1][2] == b"\0\0\0\x0a"
    counts = [len(nftmessage.read_elements(row[2], 0, len(row[2]))) for row in found[1:-1]]
    assert counts == [0, 64, 64, 2, 1]
    assert max([len(row[2]) for row in found]) < 8192
    assert nftmessage.add("t", "s", []) == []


def payload_of(*parts):
    return bytes([1, 0, 0, 0]) + netlink.string(1, "t") + netlink.string(2, "s") + b"".join(parts)


def with_counter(name="counter"):
    """An element as the kernel dumps it: flags, an expiration, a counter."""
    counts = netlink.nested(2, netlink.attribute(1, struct.pack("!Q", 1 << 40)),
                            netlink.attribute(2, struct.pack("!Q", 9)))
    return netlink.nested(1, netlink.nested(1, netlink.attribute(1, KEY)),
                          netlink.attribute(5, struct.pack("!Q", 239000)), netlink.nested(7, netlink.string(1, name),
                                                                                          counts))


def test_dump():
    data = payload_of(netlink.nested(3, with_counter(), with_counter("limit")), netlink.attribute(9, b"new"))
    one, other = nftmessage.read_elements(data, 0, len(data))
    assert (one.key, one.expires_ms, one.packets, one.bytes) == (KEY, 239000, 9, 1 << 40)
    assert (other.packets, other.bytes) == (0, 0)
    assert nftmessage.read_elements(payload_of(), 0, len(payload_of())) == []


def test_foreign_comments_are_none():
    for user_data in (b"", b"\0", b"\0\3hi", b"\0\4hi\0", b"\1\3hi\0", b"\0\3hix", b"\0\2h\0\0"):
        data = payload_of(netlink.nested(3, netlink.nested(1, netlink.nested(1, netlink.attribute(1, KEY)),
                                                           netlink.attribute(6, user_data))))
        assert nftmessage.read_elements(data, 0, len(data))[0].comment == ""


def test_hostile_dumps():
    data = payload_of(netlink.nested(3, with_counter(), with_counter()))
    for end in range(len(data)):
        try:
            assert len(nftmessage.read_elements(data[:end], 0, end)) < 2
        except NetlinkError:
            pass
    for broken in (netlink.nested(1), netlink.nested(1, netlink.nested(1, netlink.attribute(2, KEY))),
                   netlink.nested(1, netlink.nested(1, netlink.attribute(1, KEY)), netlink.attribute(5, b"1234"))):
        data = payload_of(netlink.nested(3, broken))
        raises(NetlinkError, nftmessage.read_elements, data, 0, len(data))
    raises(NetlinkError, nftmessage.read_elements, b"\1\0", 0, 2)


def test_counter():
    counts = netlink.nested(4, netlink.attribute(2, struct.pack("!Q", 3)), netlink.attribute(1, struct.pack("!Q", 400)))
    data = payload_of(netlink.attribute(3, bytes([0, 0, 0, 1])), counts)
    assert nftmessage.read_counter(data, 0, len(data)) == (3, 400)
    assert nftmessage.read_counter(payload_of(), 0, len(payload_of())) is None
    for end in range(len(data)):
        try:
            nftmessage.read_counter(data[:end], 0, end)
        except NetlinkError:
            pass
    kind, flags, payload = rows(nftmessage.get_counter(7, "t", "in"))[0]
    assert (kind, flags) == (0xA13, 5) and netlink.attribute(3, bytes([0, 0, 0, 1])) in payload


def test_questions():
    assert rows(nftmessage.get_table(7, "t")) == [(0xA01, 5, bytes([1, 0, 0, 0]) + netlink.string(1, "t"))]
    assert rows(nftmessage.dump_elements(7, "t", "s")) == [(0xA0D, 0x301, payload_of())]
