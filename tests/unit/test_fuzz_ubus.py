"""The codecs of ubus under random input: what was written is read back; anything else is their own error."""
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from test_ubusmessage import FRAMES

from wgp2p import blobmsg, ubusmessage
from wgp2p.blobmsg import BlobmsgError
from wgp2p.ubusmessage import Reader, UbusError

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
NAMES = TEXT.filter(bool)
SCALARS = (st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | TEXT
           | st.floats(allow_nan=False))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES, inner, max_size=5),
                      max_leaves=15)
TABLES = st.dictionaries(NAMES, VALUES, max_size=6)
WHOLE = blobmsg.encode({"text": "h\u00e9llo", "no": False, "pi": 3.25, "table": {"x": [1, 1 << 40, {"y": None}]}})


def alike(one, other):
    """Equal, types and signs of zero included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == other and (not isinstance(one, float) or math.copysign(1, one) == math.copysign(1, other))


def decode(data):
    """The table, or None when refused; any other exception than BlobmsgError fails the test."""
    try:
        return blobmsg.decode(data)
    except BlobmsgError as error:
        assert str(error)
        return None


@given(TABLES)
def test_round_trip(table):
    data = blobmsg.encode(table)
    assert len(data) % 4 == 0 and alike(blobmsg.decode(data), table)
    assert blobmsg.encode(tuple(table.items())) == data


@given(st.binary(max_size=80))
@settings(max_examples=500)
def test_junk(data):
    decode(data)
    decode(b"\x82\0\0\x0c\0\1x\0" + data)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=3),
       st.just(len(WHOLE)) | st.integers(0, len(WHOLE)))
@settings(max_examples=500)
def test_mutations(changes, cut):
    data = bytearray(WHOLE)
    for at, byte in changes:
        data[at] = byte
    found = decode(bytes(data[:cut]))
    if found is not None:
        blobmsg.encode(found)  # whatever was read can be written


@given(st.dictionaries(st.text(max_size=5) | st.integers(),
                       st.text(max_size=5) | st.integers() | st.binary(max_size=3)))
def test_nothing_but_the_own_error_when_writing(table):
    try:
        blobmsg.encode(table)
    except BlobmsgError as error:
        assert str(error)


def feed(pieces):
    """Read a stream whole; nothing but UbusError may come."""
    reader, found = Reader(), []
    try:
        for piece in pieces:
            found += reader.feed(piece)
    except UbusError as error:
        assert str(error)
    for one in found:
        try:
            attributes = one.attributes()
        except UbusError as error:
            assert str(error)
            continue
        decode(attributes.get(ubusmessage.A_DATA, b""))
        decode(attributes.get(ubusmessage.A_SIGNATURE, b""))
    return found


@given(st.lists(st.sampled_from([data for _, _, _, data in FRAMES]), max_size=5), st.data())
def test_any_pieces_make_the_same_messages(frames, data):
    stream = b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    found = feed([stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)])])
    assert [one.body for one in found] == [frame[12:] for frame in frames]


@given(st.sampled_from([data for _, _, _, data in FRAMES]), st.data())
@settings(max_examples=500)
def test_changed_frames(frame, data):
    frame = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, min(len(frame), 200) - 1))] = data.draw(st.integers(0, 255))
    feed([bytes(frame)])


@given(st.binary(max_size=64))
def test_junk_bodies(body):
    feed([bytes(8) + (len(body) + 4).to_bytes(4, "big") + body, body])
    feed([body])
