"""sse.py under random input: round trips in any pieces, the same events however the stream is cut, bounded."""
from hypothesis import given
from hypothesis import strategies as st
from test_fuzz_http import CUTS, pieces

from wgp2p import sse

WORDS = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=20)
DATA = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=100)
CAP = 4000


def read(data, cuts):
    """([(id, event, data)], comments, error) of the stream cut like this."""
    parser = sse.Parser(CAP)
    events = []
    try:
        for piece in pieces(data, cuts):
            events += [(e.id, e.event, e.data) for e in parser.feed(piece)]
    except sse.SseError as error:
        return [], 0, str(error)
    return events, parser.comments, None


@given(st.lists(st.tuples(WORDS, WORDS, DATA), max_size=6), CUTS)
def test_round_trip(events, cuts):
    data = b"".join(sse.comment("beat") + sse.event(*event) for event in events)
    # an empty id names no new one, an empty type means `message`, one space belongs to the format
    expected = [(identifier, name or "message", text) for identifier, name, text in events]
    assert read(data, cuts) == (expected, len(events), None)


@given(st.lists(st.sampled_from([b"data", b"id", b"event", b":", b" ", b"x", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf",
                                 b"\xc3\xbc", b"\xff", b"\0", b"\n\n"]), max_size=40).map(b"".join), CUTS)
def test_cuts_change_nothing(data, cuts):
    assert read(data, cuts) == read(data, [])


@given(st.binary(max_size=300), CUTS)
def test_junk(data, cuts):
    assert read(data, cuts) == read(data, [])
    read(b"data: " + data, cuts)


@given(st.binary(min_size=1, max_size=50), st.integers(1, 40))
def test_memory_is_bounded(piece, count):
    parser = sse.Parser(100)
    try:
        for _ in range(count):
            parser.feed(piece)
            assert len(parser._begun) + sum(len(part) for part in parser._data) <= 100
    except sse.SseError:
        pass
