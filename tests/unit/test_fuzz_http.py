"""http.py under random input: round trips in any pieces; junk and mutations raise HttpError or nothing."""
from hypothesis import given
from hypothesis import strategies as st

from wgp2p import http

TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20).filter(
    lambda name: name not in ("host", "content-length", "transfer-encoding", "connection"))
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)
HEADERS = st.dictionaries(TOKENS, VALUES, max_size=10)
TEXTS = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=60)
GOOD = (b"GET /api/peers?a=%20b&c HTTP/1.1\r\nHost: 10.0.0.1\r\nAuthorization: Bearer x\r\n\r\n",
        b"POST /api/endpoint HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n{\"port\": 1}")
ANSWERS = (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
           b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n",
           b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n{}")


def pieces(data, cuts):
    """The data cut at these places."""
    at = 0
    for cut in sorted({cut % (len(data) + 1) for cut in cuts}) + [len(data)]:
        yield data[at:cut]
        at = cut


CUTS = st.lists(st.integers(0, 100000), max_size=8)
PATHS = st.lists(TEXTS.filter(bool), min_size=1, max_size=3).map(lambda words: "/" + "/".join(words))


@given(PATHS, st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=4), HEADERS, st.binary(max_size=300), CUTS)
def test_request_round_trip(path, query, headers, body, cuts):
    target = http.quote(path) + "?" + "&".join(http.quote(k) + "=" + http.quote(v) for k, v in query.items())
    if len(target) > 1900:
        return
    data = http.request("POST", target, "h:1", headers, body)
    reader = http.RequestReader()
    found = [r for r in [reader.feed(piece) for piece in pieces(data, cuts)] if r]
    assert len(found) == 1 and reader.done
    request = found[0]
    assert (request.path, request.query, request.body) == (path, query, body)
    assert {name: request.headers[name] for name in headers} == headers


@given(st.sampled_from((200, 404, 503)), HEADERS, st.binary(max_size=300), CUTS)
def test_response_round_trip(status, headers, body, cuts):
    reader = http.ResponseReader(1000)
    data = http.response(status, body, headers) + b"behind"
    assert b"".join([reader.feed(piece) for piece in pieces(data, cuts)]) == body
    assert reader.done and reader.head.status == status
    assert {name: reader.head.headers[name] for name in headers} == headers


@given(st.binary(max_size=300), st.lists(st.binary(max_size=40), max_size=6), CUTS)
def test_chunks_round_trip(first, others, cuts):
    body = first + b"".join(others)
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for chunk in [first, *others]:
        if chunk:
            data += b"%X\r\n" % len(chunk) + chunk + b"\r\n"
    reader = http.ResponseReader(1000)
    assert b"".join([reader.feed(piece) for piece in pieces(data + b"0\r\n\r\n", cuts)]) == body
    assert reader.done


def read_all(reader, data, cuts):
    """Whatever comes, at most one Request and no exception but HttpError."""
    try:
        for piece in pieces(data, cuts):
            reader.feed(piece)
        return True
    except http.HttpError as error:
        assert error.status in http.REASONS and error.text
        return False


@given(st.binary(max_size=400), CUTS)
def test_junk(data, cuts):
    read_all(http.RequestReader(), data, cuts)
    read_all(http.ResponseReader(100), data, cuts)
    for head in (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"):
        read_all(http.ResponseReader(100), head + data, cuts)
    read_all(http.RequestReader(), b"GET / HTTP/1.1\r\nHost: h\r\n" + data, cuts)


@given(st.sampled_from(GOOD + ANSWERS), st.integers(0, 1000), st.binary(max_size=3), st.integers(0, 3), CUTS)
def test_mutations(data, at, put, take, cuts):
    at %= len(data)
    data = data[:at] + put + data[at + take:]
    read_all(http.RequestReader(), data, cuts)
    read_all(http.ResponseReader(100), data, cuts)


@given(st.text(max_size=100))
def test_unquote_and_query(text):
    for function in (http.unquote, http.parse_query):
        try:
            function(text)
        except http.HttpError:
            pass
    clean = "".join(c for c in text if " " <= c != "\x7f" and not 0xD800 <= ord(c) < 0xE000)
    assert http.unquote(http.quote(clean)) == clean
