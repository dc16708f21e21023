"""sse.py: every stream whole, byte by byte and in other pieces (WHATWG HTML, 9.2)."""
from helpers import raises

from wgp2p import sse

CAP = 1000


def read(data, step, cap=CAP):
    """([(id, event, data)], comments) of a stream in pieces of `step`."""
    parser = sse.Parser(cap)
    events = []
    for at in range(0, len(data), step):
        events += [(e.id, e.event, e.data) for e in parser.feed(data[at:at + step])]
    return events, parser.comments


STREAMS = (
    (b"", [], 0),
    (b"data: a\n\n", [("", "message", "a")], 0),
    (b"data: a\n", [], 0),  # never sent off
    (b"data\n\ndata\ndata\n\ndata:", [("", "message", ""), ("", "message", "\n")], 0),  # the standard's own example
    (b"data:test\n\ndata: test\n\ndata:  test\n\n",
     [("", "message", "test"), ("", "message", "test"), ("", "message", " test")], 0),
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("", "message", "YHOO\n+2\n10")], 0),
    (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
     [("1", "message", "first event"), ("", "message", "second event"), ("", "message", " third event")], 1),
    (b"event: add\ndata: 1\n\nevent: add\n\ndata: 2\n\n", [("", "add", "1"), ("", "message", "2")], 0),
    (b"id: 7\n\ndata: x\n\n", [("7", "message", "x")], 0),
    (b"id: 7\ndata: x\n\nid: 8\0\ndata: y\n\n", [("7", "message", "x"), ("7", "message", "y")], 0),
    (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [("", "message", "a")], 0),
    (b":\n:\n: hi\ndata: a\n:x\n\n", [("", "message", "a")], 4),
    (b"retry: 5\nfoo: bar\nDATA: x\n data: y\ndata: a:b: c\n\n", [("", "message", "a:b: c")], 0),
    ("data: Z\u00fcrich \u2603 \U0001f600\n\n".encode(), [("", "message", "Z\u00fcrich \u2603 \U0001f600")], 0),
    (b"event: a\nevent: b\nid: 1\nid: 2\ndata: x\n\n\n\n", [("2", "b", "x")], 0),
)


def test_streams():
    for data, events, comments in STREAMS:
        for end in (b"\n", b"\r", b"\r\n"):
            for step in (1, 2, 3, 7, 1000):
                assert read(data.replace(b"\n", end), step) == (events, comments), (data, end, step)


def test_mixed_line_ends():
    for step in (1, 2, 3, 100):
        assert read(b"data: a\rdata: b\r\ndata: c\n\rdata: d\r\n\r\ndata: e\n\n", step)[0] == [
            ("", "message", "a\nb\nc"), ("", "message", "d"), ("", "message", "e")]


def test_formatted_events_are_read_back():
    for identifier, name, data in (("b-1", "snapshot", "{\"a\": 1}"), ("", "message", ""), ("x", "y", "a\nb\n\nc\n"),
                                   ("1", "e", " lead\n: colon\ndata: x")):
        out = sse.comment("beat") + sse.event(identifier, name, data)
        for step in (1, 4, 1000):
            assert read(out, step) == ([(identifier, name, data)], 1), (out, step)
    assert read(sse.event("1", "e", "a\r\nb\rc"), 1)[0] == [("1", "e", "a\nb\nc")]


def test_nothing_breaks_out_of_a_field():
    for bad in ("a\nb", "a\rb", "a\0b"):
        raises(ValueError, sse.event, bad, "e", "d")
        raises(ValueError, sse.event, "1", bad, "d")
    raises(ValueError, sse.comment, "a\ndata: b")


def test_caps():
    for stream in (b"data: " + b"x" * CAP, b"data: x\n" * 200, b": " + b"x" * CAP, b"foo: x\n" * 200, b"x" * (CAP + 1),
                   b"data: a\n\n" + b"event: x\n" * 200, b"data: 1\n" + b":\n" * CAP):
        for step in (1, 7, 100000):
            raises(sse.SseError, read, stream, step)
    raises(sse.SseError, read, b"id: " + b"1" * 257 + b"\n", 1)


def test_caps_are_for_one_event():
    assert len(read(b"data: %s\n\n" % (b"x" * 900) * 50, 64)[0]) == 50
    assert read(b": beat\n\n" * 1000, 64)[1] == 1000
    assert read(b":\n" * 5000, 64)[1] == 5000


def test_a_large_snapshot():
    data = "{\"peers\": [" + ", ".join(["\"%044d\"" % i for i in range(1000)]) + "]}"
    events, _ = read(sse.event("b-1", "snapshot", data), 4096, 1048576)
    assert events == [("b-1", "snapshot", data)]
    parser = sse.Parser(100000)  # and a hostile one ends at the cap
    for _ in range(25):
        parser.feed(b"data: " + b"x" * 3993)
    raises(sse.SseError, parser.feed, b"x" * 100)


def test_not_utf8():
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xc3"):
        raises(sse.SseError, read, b"data: " + bad + b"\n\n", 1)
        raises(sse.SseError, read, b"event: " + bad + b"\n\n", 1)
        raises(sse.SseError, read, b"id: " + bad + b"\n\n", 1)
