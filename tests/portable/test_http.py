"""http.py: every case whole, byte by byte, and with rubbish behind it."""
from helpers import raises

from wgp2p import http

HOST = b"Host: 10.0.0.1:8377\r\n"


def feed_all(reader, data, step):
    """The Request that the reader gives for the data in pieces of `step`, or the HttpError."""
    found = None
    try:
        for at in range(0, len(data), step):
            request = reader.feed(data[at:at + step])
            assert not (found and request), "a second request"
            found = found or request
    except http.HttpError as error:
        return error
    return found


def read_request(data):
    """What the reader makes of the data, the same in pieces of every size."""
    whole = feed_all(http.RequestReader(), data, len(data) or 1)
    for step in (1, 2, 7):
        other = feed_all(http.RequestReader(), data, step)
        assert type(other) is type(whole), (step, other, whole)
        if isinstance(whole, http.HttpError):
            # bytes behind the fault may show another one first when they come at once
            assert other.status in (400, whole.status), (step, other.status, whole.status)
        elif whole:
            assert (other.method, other.path, other.query, other.headers, other.body) == (
                whole.method, whole.path, whole.query, whole.headers, whole.body)
    return whole


GOOD = (
    (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", ("GET", "/", {}, b"")),
    (b"GET /api/peers?x=1&y=%20&z HTTP/1.1\r\n" + HOST + b"\r\n",
     ("GET", "/api/peers", {"x": "1", "y": " ", "z": ""}, b"")),
    (b"GET /a%41/%C3%bc HTTP/1.0\r\nhost:x\r\n\r\n", ("GET", "/aA/\u00fc", {}, b"")),
    (b"GET /?peer=ab+cd/ef=&a== HTTP/1.1\r\n" + HOST + b"\r\n", ("GET", "/", {"peer": "ab+cd/ef=", "a": "="}, b"")),
    (b"POST /api/endpoint HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\n{\"a\"}",
     ("POST", "/api/endpoint", {}, b"{\"a\"}")),
    (b"POST / HTTP/1.1\r\n" + HOST + b"content-length:0\r\n\r\n", ("POST", "/", {}, b"")),
)


def test_good_requests():
    for data, expected in GOOD:
        for behind in (b"", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x00\xff" * 100):
            request = read_request(data + behind)
            assert request, (data, behind)
            assert (request.method, request.path, request.query, request.body) == expected, (data, request.path)


def test_cut_requests_give_nothing():
    for data, _ in GOOD:
        for end in range(len(data)):
            assert http.RequestReader().feed(data[:end]) is None, data[:end]


def test_headers():
    request = read_request(b"GET / HTTP/1.1\r\nHost: x\r\nA-b:  two\twords \r\nACCEPT: a\r\naccept:b\r\nEmpty:\r\n\r\n")
    assert request.headers == {"host": "x", "a-b": "two\twords", "accept": "a, b", "empty": ""}


BAD = (
    (400, b"\r\n"),
    (400, b"GET /\r\n"),  # HTTP/0.9, refused before more comes
    (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00"),  # TLS
    (400, b"\xff"),
    (400, b"GET / HTTP/1.1\n" + HOST + b"\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rC: d\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"\r\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\nC: d\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n\tc\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n A: b\r\n" + HOST + b"\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b": b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A\xc3\xbc: b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: \x00\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: \x7f\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Authorization: a\r\nauthorization: b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\nabc"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\nabc"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x3\r\n\r\nabc"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 1_0\r\n\r\nabc"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n"),
    (413, b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 65537\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b" GET / HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n"),
    (400, b"GET\t/\tHTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"get / HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET / http/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET / HTTP/1.2\r\n" + HOST + b"\r\n"),
    (400, b"GET http://10.0.0.1/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /#a HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /\xc3\xbc HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /% HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /%4 HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /%4g HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /%+4 HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /%00 HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /%0d%0a HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /%7F HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /%ff HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /%c0%80 HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /?a=1&a=2 HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /?&& HTTP/1.1\r\n" + HOST + b"\r\n"),
    (400, b"GET /?=a HTTP/1.1\r\n" + HOST + b"\r\n"),
    (414, b"GET /" + b"a" * 2048),
    (431, b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 8192),
    (431, b"GET / HTTP/1.1\r\n" + HOST + b"A: a\r\n" * 64),
)


def test_bad_requests():
    for status, data in BAD:
        for behind in (b"", b"\r\n\r\n", b"x" * 3000):
            error = read_request(data + behind)
            assert isinstance(error, http.HttpError), (data, error)
            more = b"\n" not in data and behind[:1] == b"x"  # a line without an end grows too long first
            assert error.status == (414 if more and len(data) + len(behind) > http.MAX_LINE else status), (
                data, error.status, error.text)


def test_errors_name_the_fault():
    for lines, words in ((b"A: b\r\n c\r\n", "folded"), (b"Host: b\r\n", "a second host"),
                         (b"A b\r\n", "not a header")):
        assert words in read_request(b"GET / HTTP/1.1\r\n" + HOST + lines + b"\r\n").text


def test_endless_headers_end_at_the_cap():
    for first, limit in ((b"", http.MAX_LINE), (b"GET / HTTP/1.1\r\n", http.MAX_HEAD)):
        for piece in (b"a", b"a: b\r\n", b"a" * 1000):
            reader = http.RequestReader()
            reader.feed(first)
            fed = len(first)
            try:
                while True:
                    reader.feed(piece)
                    fed += len(piece)
                    assert fed <= limit + 2, "more than the cap was taken"
            except http.HttpError as error:
                assert error.status in (400, 414, 431)
    reader = http.RequestReader()
    assert raises(http.HttpError, reader.feed, b"GET / HTTP/1.1\r\nA: " + b"a" * 100000).status == 431


def test_largest_body():
    body = b"x" * http.MAX_REQUEST_BODY
    request = read_request(http.request("POST", "/", "h", None, body))
    assert request.body == body


def test_json_bodies():
    request = read_request(http.request("POST", "/", "h", None, b"{\"port\": 1}"))
    assert request.json() == {"port": 1}
    for body in (b"", b"{", b"{\"a\":1", b"\xff", b"{} {}"):
        request = read_request(http.request("POST", "/", "h", None, body))
        assert raises(http.HttpError, request.json).status == 400


def test_own_requests_are_read_back():
    data = http.request("GET", "/api/peers?peer=" + http.quote("Z\u00fcrich +&=#%/"), "[fd00::1]:8377",
                        {"Authorization": "Bearer x"})
    request = read_request(data)
    assert request.path == "/api/peers" and request.query == {"peer": "Z\u00fcrich +&=#%/"}
    assert request.headers == {"host": "[fd00::1]:8377", "authorization": "Bearer x", "connection": "close"}


def test_no_header_injection():
    for value in ("a\r\nB: c", "a\nb", "a\rb", "\0", "\u00fc", "a\tb"):
        raises(ValueError, http.request, "GET", "/", "h", {"A": value})
        raises(ValueError, http.request, "GET", "/" + value, "h")
        raises(ValueError, http.response, 200, b"", {"A": value})


# -- answers --------------------------------------------------------------------------------------

def read_answer(data, step, max_body=1000):
    """(reader, body) after all of the data and the connection's end; or the HttpError."""
    reader = http.ResponseReader(max_body)
    body = b""
    try:
        for at in range(0, len(data), step):
            body += reader.feed(data[at:at + step])
        reader.end()
    except http.HttpError as error:
        return error, None
    return reader, body


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD_ANSWERS = (
    (OK + b"Content-Length: 3\r\n\r\nabc", 200, b"abc", True),
    (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
    (OK + b"\r\nabc\r\n\r\n", 200, b"abc\r\n\r\n", False),
    (b"HTTP/1.0 200 OK\r\n\r\nabc", 200, b"abc", False),
    (b"HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx", 404, b"x", True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
     200, b"a", True),
    (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", 200, b"abc", True),
    (CHUNKED + b"3;ext=\"a\"\r\nabc\r\n00b\r\n0123456789\n\r\n0\r\nA: b\r\n\r\n", 200, b"abc0123456789\n", True),
    (CHUNKED + b"0\r\n\r\n", 200, b"", True),
)


def test_good_answers():
    for data, status, expected, told in GOOD_ANSWERS:
        for behind in (b"", b"HTTP/1.1 500 X\r\n\r\n", b"\xff" * 20) if told else (b"",):
            for step in (1, 2, 5, 1000):
                reader, body = read_answer(data + behind, step)
                assert body == expected, (data, step, body, reader)
                assert reader.head.status == status and reader.done


def test_cut_answers():
    for data, _, _, told in GOOD_ANSWERS:
        if told:
            for end in range(len(data)):
                error, body = read_answer(data[:end], 1000)
                assert body is None, data[:end]


BAD_ANSWERS = (
    b"",
    b"HTTP/2 200\r\n\r\n",
    b"ICY 200 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 099 OK\r\n\r\n",
    b"HTTP/1.1 +20 OK\r\n\r\n",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 200 OK\n\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    OK + b"Content-Length: x\r\n\r\n",
    OK + b"Content-Length: 1001\r\n\r\n",
    OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    OK + b"\r\n" + b"x" * 1001,
    CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    CHUNKED + b"\r\n",
    CHUNKED + b"\xff\r\n",
    CHUNKED + b"fffffffff\r\n",
    CHUNKED + b"3e9\r\n" + b"x" * 1001,
)


def test_bad_answers():
    for data in BAD_ANSWERS:
        for step in (1, 3, 20000):
            error, body = read_answer(data, step)
            assert isinstance(error, http.HttpError), (data, step, error)


def test_endless_answers_end_at_a_cap():
    for begin, piece in ((b"", b"a"), (OK, b"a"), (OK, b"A: b\r\n"), (CHUNKED + b"3;", b"a"), (CHUNKED, b"0"),
                         (CHUNKED + b"0\r\n", b"a: b\r\n"), (CHUNKED + b"0\r\n", b"a"),
                         (b"", b"HTTP/1.1 100 Continue\r\n\r\n")):
        reader = http.ResponseReader(1000)
        reader.feed(begin)
        try:
            for _ in range(3 * http.MAX_HEAD // len(piece)):
                reader.feed(piece)
            raise AssertionError((begin, piece))
        except http.HttpError:
            pass


def test_own_answers_are_read_back():
    reader, body = read_answer(http.response(403, b"{\"error\": \"no\"}", {"X-Seq": "7"}), 7)
    assert reader.head.status == 403 and body == b"{\"error\": \"no\"}"
    assert reader.head.headers["content-type"] == "application/json" and reader.head.headers["x-seq"] == "7"
    assert reader.head.headers["connection"] == "close"


def test_stream_has_no_cap():
    reader = http.ResponseReader(None)
    reader.feed(http.response_head(200, {"Content-Type": "text/event-stream"}))
    for _ in range(100):
        assert reader.feed(b"x" * 1000) == b"x" * 1000
    assert not reader.done
