"""Server-Sent Events (WHATWG HTML, section 9.2): bytes <-> events, no sockets.

A stream is lines that end with LF, CR or CR LF. `field: value` lines make an event, an empty line sends it off,
a line that begins with a colon is a comment, which serves as a heartbeat. The standard's `retry` is not used.
"""
from .compat import utf8

_MAX_NAME = len("event")  # the longest of the fields that are used
_MAX_ID = 256  # bytes; it comes back in a header
_BOM = b"\xef\xbb\xbf"


class SseError(ValueError):
    """What came is no event stream, or more than was agreed to take."""


class Event:
    """`id`: the last one that the stream named, "" before; `event`: its type; `data`: text."""

    def __init__(self, identifier, event, data):
        self.id = identifier
        self.event = event
        self.data = data


class Parser:
    """Takes the bytes of one stream. `max_event`: the bytes of one event that are taken, comments included."""

    def __init__(self, max_event):
        self._max_event = max_event
        self._begun = bytearray()  # the line that has no end yet
        self._after_cr = False  # an LF now belongs to the CR before it
        self._first = True  # the stream's first line may start with a byte order mark
        self._size = 0  # bytes of the lines of the event so far
        self._data = []
        self._event = ""
        self.id = ""  # the last that came, for Last-Event-ID
        self.comments = 0  # how many have come

    def feed(self, data):
        """The list of events that are whole now. Raises SseError; the stream is then of no use any more."""
        events = []
        at = 0
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 10:
                at = 1
        lf, cr = -2, -2  # where the next ones are; -1: no more in these bytes
        while at < len(data):
            if -1 != lf < at:
                lf = data.find(b"\n", at)
            if -1 != cr < at:
                cr = data.find(b"\r", at)
            end = lf if cr < 0 or 0 <= lf < cr else cr
            piece = data[at:end] if end >= 0 else data[at:]
            self._size += len(piece)
            if self._size > self._max_event:
                raise SseError("an event is larger than %d bytes" % self._max_event)
            if end < 0:
                self._begun += piece
                break
            line = piece
            if self._begun:
                self._begun += piece
                line = self._begun
                self._begun = bytearray()
            at = end + 1
            if end == cr:
                if at == len(data):
                    self._after_cr = True
                elif data[at] == 10:
                    at += 1
            event = self._line(line)
            if event:
                events.append(event)
        return events

    def _line(self, line):
        """Take a whole line; gives the event that it sends off, or None."""
        at = 0
        if self._first:
            self._first = False
            if bytes(line[:3]) == _BOM:
                at = 3
        if at == len(line):
            return self._send_off()
        name, colon, _ = bytes(line[at:at + _MAX_NAME + 1]).partition(b":")
        if not name:
            self.comments += 1
            if not self._data and not self._event:
                self._size = 0
            return None
        at += len(name) + len(colon)
        if at < len(line) and line[at] == 32:
            at += 1
        if name == b"data":
            self._data.append(_text(line, at))
        elif name == b"event":
            self._event = _text(line, at)
        elif name == b"id":
            identifier = _text(line, at)
            if len(line) - at > _MAX_ID:
                raise SseError("an id is longer than %d bytes" % _MAX_ID)
            if "\0" not in identifier:
                self.id = identifier
        return None

    def _send_off(self):
        self._size = 0
        data, event = self._data, self._event
        self._data, self._event = [], ""
        return Event(self.id, event or "message", "\n".join(data) if data[1:] else data[0]) if data else None


def _text(line, at):
    """What stands from `at` on. A view, since a snapshot is large for a small router to hold twice."""
    try:
        return utf8(memoryview(line)[at:])
    except ValueError:
        raise SseError("the stream is not UTF-8")


def event(identifier, name, data):
    """The bytes of an event. `data`: text of any number of lines. ValueError for an id or name of several."""
    for word in (identifier, name):
        if "\n" in word or "\r" in word or "\0" in word:
            raise ValueError("not for an event: " + repr(word))
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return ("id: %s\nevent: %s\ndata: %s\n\n" % (identifier, name, "\ndata: ".join(lines))).encode()


def comment(text):
    """The bytes of a comment; ValueError when the text has several lines."""
    if "\n" in text or "\r" in text:
        raise ValueError("not for a comment: " + repr(text))
    return (": " + text + "\n\n").encode()
