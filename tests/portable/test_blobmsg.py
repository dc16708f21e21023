"""blobmsg.py: every type there and back, as libubox writes it, and everything that can be wrong with it."""
import struct

from helpers import raises

from wgp2p import blobmsg
from wgp2p.blobmsg import BlobmsgError, decode, encode


def attribute(kind, name, value, length=None, pad=True):
    """An attribute by hand; `length`: what it says instead of the truth."""
    head = struct.pack(">H", len(name)) + name + b"\0"
    head += bytes(-len(head) % 4)
    size = 4 + len(head) + len(value)
    return struct.pack(">I", (0x80 | kind) << 24 | (size if length is None else length)) + head + value + (
        bytes(-size % 4) if pad else b"")


def refused(data):
    assert str(raises(BlobmsgError, decode, data))


NUMBERS = (0, 1, -1, 127, 128, 65536, (1 << 31) - 1, -(1 << 31), 1 << 31, -(1 << 31) - 1, (1 << 63) - 1, -(1 << 63))


def test_every_type_there_and_back():
    value = {"s": "h\u00e9llo \u20ac \U0001f600", "empty": "", "yes": True, "no": False, "nul": None, "f": 1.5,
             "table": {"inner": {"x": [1, [2, [], {}], "three"]}}, "list": [None, True, -7, 1.25, "x", {"y": 1}]}
    for number in NUMBERS:
        value["n%d" % number] = number
    again = decode(encode(value))
    assert again == value
    assert again["yes"] is True and again["no"] is False and again["nul"] is None
    assert not isinstance(again["n1"], bool) and isinstance(again["f"], float)
    assert decode(b"") == {} and encode({}) == b"" == encode(())


def test_bytes_as_libubox_writes_them():
    assert encode({"n": -7}) == bytes.fromhex("8500000c00016e00fffffff9")
    assert encode({"i64": 5000000000}) == bytes.fromhex("840000140003693634000000000000012a05f200")
    assert encode({"dbl": 1.5}) == bytes.fromhex("88000014000364626c0000003ff8000000000000")
    assert encode({"no": False}) == bytes.fromhex("8700000d00026e6f0000000000000000")
    assert encode({"yes": True}) == bytes.fromhex("8700000d000379657300000001000000")
    assert encode({"nul": None}) == bytes.fromhex("8000000c00036e756c000000")
    assert encode({"k": "v"}) == bytes.fromhex("8300000a00016b0076000000")
    assert encode({"arr": [1, 2]}) == bytes.fromhex(
        "8100002400036172720000008500000c00000000000000018500000c0000000000000002")


def test_pairs_keep_their_order():
    pairs = tuple([("name%d" % number, number) for number in range(40)])
    data = encode(pairs)
    positions = [data.find(name.encode() + b"\0") for name, _ in pairs]
    assert positions == sorted(positions) and decode(data) == dict(pairs)
    assert encode({"t": (("a", 1), ("b", (("c", 2),)))}) == encode((("t", (("a", 1), ("b", {"c": 2}))),))


def test_types_of_what_was_read():
    for value, kinds in ((True, ("bool",)), (7, ("int32", "int64")), (1 << 31, ("int64",)), (-(1 << 40), ("int64",)),
                         (1.5, ("double",)), ("", ("string",)), ([], ("array",)), ({}, ("table",)), (None, ())):
        assert sorted([kind for kind in blobmsg.KINDS if blobmsg.is_a(value, kind)]) == sorted(kinds), value


def test_what_has_no_form():
    deep = {}
    for _ in range(blobmsg.DEPTH - 1):
        deep = {"x": deep}
    assert decode(encode(deep)) == deep
    loop = []
    loop.append(loop)
    for table in ({"x": 1 << 63}, {"x": -(1 << 63) - 1}, {"x": object()}, {"x": b"bytes"}, {"": 1}, {1: 1}, {"a\0b": 1},
                  {"x": "a\0b"}, {"x": deep}, {"x": [deep]}, {"x": loop}, {"x" * 65536: 1}, (("x", "\ud800"),),
                  {"x": ["\udfff"]}):
        raises(BlobmsgError, encode, table)
    assert decode(encode({"x" * 65535: 1})) == {"x" * 65535: 1}


def test_first_of_two_counts():
    assert decode(attribute(5, b"x", b"\0\0\0\1") + attribute(5, b"x", b"\0\0\0\2")) == {"x": 1}
    inner = attribute(5, b"y", b"\0\0\0\3")
    assert decode(attribute(5, b"x", b"\0\0\0\1") + attribute(2, b"x", inner)) == {"x": 1}


def test_what_others_may_write():
    assert decode(attribute(6, b"x", b"\xff\xfe")) == {"x": -2}
    assert decode(attribute(7, b"x", b"\x02")) == {"x": True}
    assert decode(attribute(0, b"x", b"whatever")) == {"x": None}
    assert decode(attribute(1, b"x", attribute(5, b"name", b"\0\0\0\1"))) == {"x": [1]}


def test_wrong_values():
    for kind, value in ((3, b""), (3, b"x"), (3, b"a\0b\0"), (3, b"\xff\0"), (3, b"\xed\xa0\x80\0"), (3, b"\xc0\x80\0"),
                        (4, bytes(4)), (4, bytes(12)), (5, bytes(3)), (5, bytes(8)), (6, bytes(4)), (6, b"x"), (7, b""),
                        (7, bytes(4)), (8, bytes(4)), (9, b""), (127, bytes(4))):
        refused(attribute(kind, b"x", value))
        refused(attribute(1, b"l", attribute(kind, b"", value)))


def test_wrong_names():
    good = attribute(5, b"name", b"\0\0\0\1")
    assert decode(good) == {"name": 1}
    refused(good.replace(b"name\0", b"name!"))
    refused(good.replace(b"\0\4name", b"\0\3name"))
    refused(good.replace(b"\0\4name", b"\0\5name"))
    refused(good.replace(b"\0\4name", b"\xff\xffname"))
    refused(good.replace(b"name", b"na\0e"))
    refused(good.replace(b"name", b"na\xffe"))
    refused(attribute(5, b"", b"\0\0\0\1"))
    refused(b"\5" + good[1:])  # not extended: no name at all


def test_wrong_lengths():
    for length in (0, 1, 3, 4, 7, 8, 11, 13, 15, 16, 17, 100, 0xFFFFFF):
        refused(attribute(5, b"x", b"\0\0\0\1", length))
        refused(attribute(2, b"t", attribute(5, b"x", b"\0\0\0\1", length)))
        refused(attribute(1, b"t", attribute(5, b"", b"\0\0\0\1", length)))
    refused(attribute(3, b"x", b"ab\0", 0xFFFFFF))
    refused(attribute(2, b"t", attribute(5, b"x", b"\0\0\0\1"), 12))
    refused(attribute(2, b"t", attribute(5, b"x", b"\0\0\0\1"), 4))


def test_missing_padding_and_rubbish_behind():
    whole = attribute(3, b"x", b"\0")
    assert len(whole) == 12 and decode(whole) == {"x": ""}
    refused(attribute(3, b"x", b"\0", pad=False))
    refused(attribute(2, b"t", attribute(3, b"x", b"\0", pad=False)))
    for rubbish in (b"\0", b"\0\0\0\0", b"\x83", bytes(8), b"\xff" * 20):
        refused(whole + rubbish)
        refused(attribute(2, b"t", whole + rubbish))


def test_cut_off_at_every_byte():
    data = encode((("a", 1), ("list", ["x", 1 << 40, {"y": None}]), ("b", True), ("c", "text")))
    ends = [at for at in range(len(data) + 1) if _whole(data[:at])]
    assert ends[0] == 0 and ends[-1] == len(data) and len(ends) == 5  # between two attributes of the whole table


def _whole(data):
    try:
        decode(data)
        return True
    except BlobmsgError:
        return False


def test_nested_too_deep():
    data = b""
    for _ in range(blobmsg.DEPTH - 1):
        data = attribute(2, b"x", data)
    assert decode(data)
    for more in (attribute(2, b"x", data), attribute(1, b"x", attribute(2, b"", data))):
        refused(more)
    for _ in range(3000):
        data = attribute(1, b"x", data)
    refused(data)


def test_many_small_ones():
    data = attribute(0, b"", b"") * 20000
    assert decode(attribute(1, b"x", data)) == {"x": [None] * 20000}
