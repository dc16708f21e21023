"""blobmsg, the typed tables that ubus carries (libubox, blob.h and blobmsg.h), without a socket.

An attribute is a word (bit 31 "extended", 7 bits type, 24 bits length with this word), the name's length (16 bits),
the name, a zero byte, padding to 4, the value, padding to 4 that the length does not count. All is big-endian. A
table holds attributes with names, an array holds them without.

    blobmsg                 Python
    table                   dict; to write also a tuple of (name, value) pairs, where the order matters
    array                   list
    string                  str
    int8                    bool
    int16, int32, int64     int, signed; written as int32 where it fits, else as int64
    double                  float
    unspec                  None

What is read is refused as a whole when a length, a padding or an end of text does not fit, when a text is not UTF-8
or has a zero byte inside, and when tables and arrays are nested more than 32 deep. Of two attributes of one name the
first counts, as for libubox.
"""
import struct

from .compat import utf8

DEPTH = 32
_UNSPEC, _ARRAY, _TABLE, _STRING, _INT64, _INT32, _INT16, _INT8, _DOUBLE = range(9)
KINDS = {"array": _ARRAY, "table": _TABLE, "string": _STRING, "int64": _INT64, "int32": _INT32, "bool": _INT8,
         "double": _DOUBLE}
_NUMBERS = {_INT64: (">q", 8), _INT32: (">i", 4), _INT16: (">h", 2), _DOUBLE: (">d", 8)}
_EXTENDED = 0x80
_LENGTH_MOST = 0xFFFFFF


class BlobmsgError(ValueError):
    """The bytes are no blobmsg, or the value has no form in it."""


def is_a(value, kind):
    """Whether a value that was read passes for this type, a key of KINDS. An int32 is also an int64."""
    if isinstance(value, bool):  # which CPython takes for an int
        return kind == "bool"
    if isinstance(value, int):
        return kind == "int64" or kind == "int32" and -(1 << 31) <= value < 1 << 31
    return isinstance(value, {"array": list, "table": dict, "string": str, "double": float}.get(kind, bool))


# -- out --------------------------------------------------------------------------------------------

def encode(table):
    """The attributes of a table as bytes, without a header around them. BlobmsgError."""
    out, depth = bytearray(), 1
    todo = _items(table)
    while todo:
        name, value = todo.pop()
        if name is None:  # the end of what began at this offset
            _end(out, value)
            depth -= 1
        elif isinstance(value, (dict, list, tuple)):
            if depth == DEPTH:
                raise BlobmsgError("nested more than %d deep" % DEPTH)
            depth += 1
            todo.append((None, len(out)))
            todo.extend(_items(value))
            out += _header(_ARRAY if isinstance(value, list) else _TABLE, name)
        else:
            begin = len(out)
            _write(out, name, value)
            _end(out, begin)
    return bytes(out)


def _items(container):
    """What a table or an array holds as (name, value), the last first."""
    if isinstance(container, list):
        items = [("", value) for value in container]
    else:
        items = list(container.items() if isinstance(container, dict) else container)
        for name, _ in items:
            if not isinstance(name, str) or not name:
                raise BlobmsgError("%r is no name" % (name,))
    items.reverse()
    return items


def _header(kind, name):
    data = _text(name)
    if len(data) > 0xFFFF:
        raise BlobmsgError("a name of %d bytes" % len(data))
    return struct.pack(">IH", (_EXTENDED | kind) << 24, len(data)) + data + bytes(1 + (-len(data) - 3) % 4)


def _text(text):
    try:
        data = text.encode()
        utf8(data)  # MicroPython writes half of a surrogate pair
    except ValueError:
        raise BlobmsgError("text that UTF-8 has no form for")
    if b"\0" in data:
        raise BlobmsgError("text with a zero byte")
    return data


def _write(out, name, value):
    if value is None:
        kind, payload = _UNSPEC, b""
    elif isinstance(value, bool):
        kind, payload = _INT8, b"\1" if value else b"\0"
    elif isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise BlobmsgError("%d does not fit into 64 bits" % value)
        kind = _INT32 if -(1 << 31) <= value < 1 << 31 else _INT64
        payload = struct.pack(_NUMBERS[kind][0], value)
    elif isinstance(value, float):
        kind, payload = _DOUBLE, struct.pack(">d", value)
    elif isinstance(value, str):
        kind, payload = _STRING, _text(value)
    else:
        raise BlobmsgError("%r has no form in blobmsg" % (value,))
    out += _header(kind, name)
    out += payload
    if kind == _STRING:
        out += b"\0"


def _end(out, begin):
    """Write the length into the attribute that began there, and pad."""
    length = len(out) - begin
    if length > _LENGTH_MOST:
        raise BlobmsgError("an attribute of %d bytes" % length)
    out[begin + 1] = length >> 16
    out[begin + 2] = length >> 8 & 0xFF
    out[begin + 3] = length & 0xFF
    out += bytes(-length % 4)


# -- in ---------------------------------------------------------------------------------------------

def decode(data):
    """The dict that these attributes of a table make. BlobmsgError."""
    held = whole = {}
    around = []  # (container, offset behind, end) of each that is being read
    at, end = 0, len(data)
    while at < end or around:
        if at == end:
            held, at, end = around.pop()
            continue
        kind, name, start, stop = _attribute(data, at, end)
        at += stop - at + 3 & ~3
        if isinstance(held, dict) and not name:
            raise BlobmsgError("no name at %d in a table" % start)
        nested = kind == _TABLE or kind == _ARRAY
        value = _value(data, kind, start, stop) if not nested else {} if kind == _TABLE else []
        if isinstance(held, list):
            held.append(value)
        elif name not in held:
            held[name] = value
        if nested:
            if len(around) == DEPTH - 1:
                raise BlobmsgError("nested more than %d deep" % DEPTH)
            around.append((held, at, end))
            held, at, end = value, start, stop
    return whole


def _attribute(data, at, end):
    """(type, name, start, stop) of the attribute at an offset: where its value stands."""
    if end - at < 8:
        raise BlobmsgError("cut off at %d" % at)
    if not data[at] & _EXTENDED:
        raise BlobmsgError("no blobmsg at %d" % at)
    length = data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
    size = data[at + 4] << 8 | data[at + 5]
    head = 4 + (size + 6 & ~3)
    if length < head or at + (length + 3 & ~3) > end:
        raise BlobmsgError("an attribute of %d bytes at %d, where %d are left" % (length, at, end - at))
    return data[at] & 0x7F, _string(data, at + 6, at + 7 + size), at + head, at + length


def _value(data, kind, start, stop):
    if kind == _STRING:
        return _string(data, start, stop)
    if kind == _INT8:
        if stop - start != 1:
            raise BlobmsgError("a bool of %d bytes at %d" % (stop - start, start))
        return data[start] != 0
    if kind == _UNSPEC:  # whatever is in it
        return None
    if kind not in _NUMBERS:
        raise BlobmsgError("type %d at %d" % (kind, start))
    code, size = _NUMBERS[kind]
    if stop - start != size:
        raise BlobmsgError("a number of %d bytes at %d" % (stop - start, start))
    return struct.unpack_from(code, data, start)[0]


def _string(data, start, stop):
    """Text with its zero byte."""
    if stop == start or data[stop - 1]:
        raise BlobmsgError("text without an end at %d" % start)
    try:
        text = utf8(data[start:stop - 1])
    except ValueError:
        raise BlobmsgError("text that is not UTF-8 at %d" % start)
    if "\0" in text:
        raise BlobmsgError("text with a zero byte at %d" % start)
    return text
