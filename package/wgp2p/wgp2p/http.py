"""HTTP/1.1, as little of it as wgp2p needs (RFC 9110, RFC 9112): bytes in, messages out, no sockets.

One request a connection: who answers says `Connection: close`, and what comes after the request is ignored.
A request's body has a Content-Length; an answer's may also be chunked, or last until the connection closes.
What is not in these lines is refused: a peer that sends it is no client or server of ours, and every leniency
is a way for two programs to read one message differently.

    request line of 2 KiB, header block of 8 KiB with 64 fields, request body of 64 KiB
    lines end with CR LF; nothing but printable ASCII (and tabs within values)
    no folded lines, no second Host, Content-Length or Authorization, no Transfer-Encoding in a request
"""
from .compat import json_loads, utf8

MAX_LINE = 2048
MAX_HEAD = 8192
MAX_FIELDS = 64
MAX_REQUEST_BODY = 65536
_MAX_CHUNK_LINE = 256

REASONS = {
    100: "Continue", 200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
    413: "Content Too Large", 414: "URI Too Long", 421: "Misdirected Request", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}
_DIGITS = "0123456789"
_HEX = "0123456789abcdefABCDEF"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UNRESERVED = "-._~/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# A second one of these would leave two readers with two opinions.
_SINGLE = ("host", "content-length", "transfer-encoding", "authorization", "content-type", "last-event-id")


class HttpError(ValueError):
    """What the other side sent is refused. `status` is what to answer it with; `text` says why."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status
        self.text = text


class Request:
    """`path`: decoded; `query`: dict of decoded text; `headers`: dict, names in lower case; `body`: bytes."""

    def __init__(self, method, path, query, headers):
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = b""

    def json(self):
        """The body's value; HttpError 400 when it is not JSON."""
        return _json(self.body)


class Response:
    """`headers`: dict, names in lower case; `body`: bytes, as far as somebody collects it here."""

    def __init__(self, status, headers):
        self.status = status
        self.headers = headers
        self.body = b""

    def json(self):
        """The body's value; HttpError 400 when it is not JSON."""
        return _json(self.body)


def _json(body):
    try:
        return json_loads(utf8(body))
    except ValueError:
        raise HttpError(400, "the body is not JSON")


# -- heads ----------------------------------------------------------------------------------------

class _Head:
    """Collects the lines up to the first empty one."""

    def __init__(self):
        self.lines = []  # bytes, without their ends
        self._begun = bytearray()  # the line that has no end yet
        self._size = 0

    def feed(self, data, at):
        """Take bytes from data[at:]; gives where the rest starts behind the empty line, or -1 for more."""
        while True:
            end = data.find(b"\n", at) + 1
            piece = data[at:end] if end else data[at:]
            self._size += len(piece)
            if not self.lines and self._size > MAX_LINE + 2:
                raise HttpError(414, "the first line is longer than %d bytes" % MAX_LINE)
            if self._size > MAX_HEAD:
                raise HttpError(431, "the header is larger than %d bytes" % MAX_HEAD)
            _check_plain(piece.rstrip(b"\r\n"))
            self._begun += piece
            if not end:
                return -1
            line = bytes(self._begun)
            self._begun = bytearray()
            at = end
            if line == b"\r\n":
                if not self.lines:
                    raise HttpError(400, "an empty line before the message")
                return at
            if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
                raise HttpError(400, "a line does not end with CR LF")
            if len(self.lines) > MAX_FIELDS:
                raise HttpError(431, "more than %d header fields" % MAX_FIELDS)
            self.lines.append(line[:-2])

    def fields(self):
        """The header as a dict, names in lower case, values without white space around them."""
        headers = {}
        for line in self.lines[1:]:
            name, colon, value = line.partition(b":")
            if line[0] in b" \t":
                raise HttpError(400, "a folded header line")
            if not colon or not _only(name, _TOKEN):
                raise HttpError(400, "not a header field")
            name = name.decode().lower()
            value = value.decode().strip(" \t")
            if name in headers:
                if name in _SINGLE:
                    raise HttpError(400, "a second " + name)
                value = headers[name] + ", " + value
            headers[name] = value
        return headers


def _check_plain(piece):
    """Printable ASCII and tabs only (min and max run at C speed on both Pythons)."""
    piece = piece.replace(b"\t", b" ")
    if piece and (min(piece) < 32 or max(piece) > 126):
        raise HttpError(400, "neither printable nor ASCII")


def _only(word, allowed):
    """Whether the word consists of these characters alone; both text or both bytes (strip runs at C speed)."""
    return bool(word) and not word.strip(allowed)


def _content_length(headers):
    """The announced length of the body, or None."""
    text = headers.get("content-length")
    if text is None:
        return None
    if len(text) > 10 or not _only(text, _DIGITS):
        raise HttpError(400, "Content-Length is not a number")
    return int(text)


# -- requests -------------------------------------------------------------------------------------

class RequestReader:
    """Takes the bytes of one request."""

    def __init__(self):
        self._head = _Head()
        self._line = None  # method, path and query, once the first line is there
        self._request = None  # once the head is there
        self._missing = 0  # bytes of the body
        self._body = bytearray()
        self.done = False

    def feed(self, data):
        """The Request as soon as it is whole, once; None before and after. Raises HttpError, as early as it is
        clear; the connection is then good for the answer only."""
        at = 0
        if self.done:
            return None
        if not self._request:
            at = self._head.feed(data, 0)
            if not self._line and self._head.lines:  # at once: HTTP/0.9 sends no more than this
                self._line = _request_line(self._head.lines[0])
            if at < 0:
                return None
            self._begin()
        piece = data[at:at + self._missing]
        self._missing -= len(piece)
        self._body += piece
        if self._missing:
            return None
        self.done = True
        self._request.body = bytes(self._body)
        return self._request

    def _begin(self):
        headers = self._head.fields()
        if "host" not in headers:
            raise HttpError(400, "no Host")
        if "transfer-encoding" in headers:
            raise HttpError(400, "a body needs a Content-Length, not a Transfer-Encoding")
        self._missing = _content_length(headers) or 0
        if self._missing > MAX_REQUEST_BODY:
            raise HttpError(413, "the body is larger than %d bytes" % MAX_REQUEST_BODY)
        self._request = Request(self._line[0], self._line[1], self._line[2], headers)


def _request_line(line):
    """(method, path, query) of `GET /path?query HTTP/1.1`."""
    words = line.split(b" ")
    if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise HttpError(400, "not an HTTP/1.1 request")
    method = words[0].decode()
    if len(method) > 16 or not _only(method, _UPPER):
        raise HttpError(400, "not a method")
    target = words[1].decode()
    if not target.startswith("/") or "#" in target:
        raise HttpError(400, "not a path")
    path, _, query = target.partition("?")
    return method, unquote(path), parse_query(query)


def parse_query(text):
    """`a=1&b=2` as a dict of decoded text. A + is a + (as in a key pasted by hand). Raises HttpError."""
    query = {}
    for field in text.split("&") if text else ():
        name, _, value = field.partition("=")
        name = unquote(name)
        if not name or name in query:
            raise HttpError(400, "not a query")
        query[name] = unquote(value)
    return query


def unquote(text):
    """Percent-decoded text; HttpError when it is not whole, not UTF-8, or hides a control character."""
    if "%" not in text:
        return text
    parts = text.split("%")
    out = bytearray(parts[0].encode())
    for part in parts[1:]:
        digits = part[:2]
        if len(digits) != 2 or not _only(digits, _HEX):
            raise HttpError(400, "a broken percent code")
        out.append(int(digits, 16))
        out += part[2:].encode()
    raw = bytes(out)
    if min(raw) < 32 or 127 in raw:
        raise HttpError(400, "a control character in the path")
    try:
        return utf8(raw)
    except ValueError:
        raise HttpError(400, "the path is not UTF-8")


def quote(text):
    """Text as a part of a path or query, all but unreserved characters as percent codes."""
    return "".join([chr(c) if chr(c) in _UNRESERVED else "%%%02X" % c for c in text.encode()])


def request(method, path, host, headers=None, body=b""):
    """The bytes of a request. `headers`: dict. ValueError when a value would break the header."""
    fields = {"Host": host, "Connection": "close"}
    if body or method != "GET":
        fields["Content-Length"] = str(len(body))
    return _head_bytes("%s %s HTTP/1.1" % (method, path), (fields, headers or {})) + body


# -- answers --------------------------------------------------------------------------------------

def response_head(status, headers):
    """The bytes before a body that lasts until the connection closes, or as long as `headers` say."""
    return _head_bytes("HTTP/1.1 %d %s" % (status, REASONS.get(status, "")), ({"Connection": "close"}, headers))


def response(status, body=b"", headers=None):
    """The bytes of a whole answer, its body JSON unless the headers (dict) say otherwise."""
    fields = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    fields.update(headers or {})
    fields["Content-Length"] = str(len(body))
    return response_head(status, fields) + body


def _head_bytes(first, dicts):
    lines = [first]
    for headers in dicts:
        for name in headers:
            lines.append(name + ": " + headers[name])
    for line in lines:
        data = line.encode()
        if min(data) < 32 or max(data) > 126:
            raise ValueError("not for a header: " + repr(line))
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class ResponseReader:
    """Takes the bytes of one answer. `max_body`: bytes of a body that are accepted, None for any number."""

    def __init__(self, max_body):
        self._max_body = max_body
        self._got = 0  # bytes of the body
        self._head = _Head()
        self._status = 0  # of the head that is coming in
        self._body = None  # the reader of the body, by how its end is told
        self.head = None  # Response, once its header is whole
        self.done = False  # the answer is whole

    def feed(self, data):
        """The bytes of the body that have come with this, b"" as long as there are none. HttpError when the
        answer is malformed or too large."""
        at = 0
        while self._body is None:
            at = self._head.feed(data, at)
            if not self._status and self._head.lines:  # at once: what is no HTTP may never end its header
                self._status = _status_line(self._head.lines[0])
            if at < 0:
                return b""
            self._begin()
        if self.done:
            return b""
        body = self._body.feed(data[at:])
        self._got += len(body)
        if self._max_body is not None and self._got > self._max_body:
            raise HttpError(413, "the answer is larger than %d bytes" % self._max_body)
        self.done = self._body.missing == 0
        return body

    def end(self):
        """The connection has closed: HttpError when something is missing."""
        if self._body is None:
            raise HttpError(400, "the connection closed without an answer")
        if self._body.missing is not None and not self.done:
            raise HttpError(400, "the connection closed in the middle of the answer")
        self.done = True

    def _begin(self):
        status, self._status = self._status, 0
        headers = self._head.fields()
        if status < 200:
            if status == 101:
                raise HttpError(400, "the server changes the protocol")
            self._head.lines = []  # 100 Continue and the like: the answer comes next, within the same limits
            return
        length = _content_length(headers)
        coding = headers.get("transfer-encoding")
        if coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise HttpError(400, "a transfer coding that is not understood")
            self._body = _ChunkedBody()
        elif status in (204, 304):
            self._body = _PlainBody(0)
        else:
            self._body = _PlainBody(length)
            if length is not None and self._max_body is not None and length > self._max_body:
                raise HttpError(413, "the answer is larger than %d bytes" % self._max_body)
        self.head = Response(status, headers)
        self.done = self._body.missing == 0


def _status_line(line):
    """The status of `HTTP/1.1 200 OK`."""
    words = line.split(b" ")
    if words[0] not in (b"HTTP/1.1", b"HTTP/1.0") or len(words) < 2 or len(words[1]) != 3:
        raise HttpError(400, "not an HTTP/1.1 answer")
    status = words[1].decode()
    if not _only(status, _DIGITS) or status < "100":
        raise HttpError(400, "not a status")
    return int(status)


class _PlainBody:
    """`missing`: bytes that are still to come, 0 at the end, None when the connection's end is the body's."""

    def __init__(self, length):
        self.missing = length

    def feed(self, data):
        if self.missing is None:
            return data
        data = data[:self.missing]
        self.missing -= len(data)
        return data


class _ChunkedBody:
    """RFC 9112, section 7.1. `missing`: 0 at the end, else 1."""

    def __init__(self):
        self.missing = 1
        self._size = 0  # bytes of the present chunk that are still to come
        self._line = bytearray()  # what has come of a line
        self._trailer = 0  # bytes of the lines behind the last chunk
        self._next = self._size_line  # what the next line is

    def feed(self, data):
        out = []
        at = 0
        while at < len(data) and self.missing:
            if self._size:
                piece = data[at:at + self._size]
                out.append(bytes(piece))
                self._size -= len(piece)
                at += len(piece)
                continue
            end = data.find(b"\n", at) + 1
            self._line += data[at:end] if end else data[at:]
            if len(self._line) > _MAX_CHUNK_LINE:
                raise HttpError(400, "a chunk's line is too long")
            if not end:
                break
            line = bytes(self._line)
            self._line = bytearray()
            at = end
            if not line.endswith(b"\r\n"):
                raise HttpError(400, "a line does not end with CR LF")
            self._next(line[:-2])
        return b"".join(out)

    def _size_line(self, line):
        _check_plain(line)
        digits = line.decode().partition(";")[0].strip(" \t")
        if len(digits) > 8 or not _only(digits, _HEX):
            raise HttpError(400, "not a chunk's size")
        self._size = int(digits, 16)
        self._next = self._end_line if self._size else self._trailer_line

    def _end_line(self, line):
        if line:
            raise HttpError(400, "a chunk is longer than it says")
        self._next = self._size_line

    def _trailer_line(self, line):
        self._trailer += len(line)
        if self._trailer > MAX_HEAD:
            raise HttpError(400, "the trailer is larger than %d bytes" % MAX_HEAD)
        if not line:
            self.missing = 0
