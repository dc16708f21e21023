"""Messages to and from nftables: tables, elements of sets and maps, counters (linux/netfilter/nf_tables.h and
nfnetlink.h). Everything here is about tables of the family `inet`.

What changes something goes into a batch, which the kernel takes whole or not at all. All its messages have one sequence
number, and the last one asks for an answer; where others are refused, their errors come before it. Numbers are in
network order; a key of several fields has each of them padded to four bytes.
"""
import struct

from . import netlink
from .netlink import NetlinkError

_SUBSYSTEM, _INET = 10, 1  # NFNL_SUBSYS_NFTABLES, NFPROTO_INET
_HEADER = struct.pack("BBH", _INET, 0, 0)  # nfgenmsg
_BATCH_BEGIN, _BATCH_END = 16, 17
_BATCH_HEADER = struct.pack("!BBH", 0, 0, _SUBSYSTEM)
_GET_TABLE, _DELETE_TABLE, GET_CHAIN, _NEW_ELEMENT, _GET_ELEMENT, _DELETE_ELEMENT, NEW_GENERATION, _GET_OBJECT = [
    _SUBSYSTEM << 8 | number for number in (1, 2, 4, 12, 13, 14, 15, 19)]
_CREATE = 0x400

_TABLE_NAME = 1  # NFTA_TABLE_NAME, and in the other messages
_SET_NAME, _ELEMENTS, _ELEMENT = 2, 3, 1  # NFTA_SET_ELEM_LIST_SET, _ELEMENTS; NFTA_LIST_ELEM
_KEY, _DATA, _TIMEOUT, _EXPIRES, _USER_DATA, _EXPRESSION = 1, 2, 4, 5, 6, 7  # NFTA_SET_ELEM_…
_VALUE = 1  # NFTA_DATA_VALUE
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_COMMENT = 0  # a type of nft's own user data: type, length, text and a zero byte
_OBJECT_NAME, _OBJECT_TYPE, _OBJECT_DATA, _COUNTER_OBJECT = 2, 3, 4, 1
_COUNTER_BYTES, _COUNTER_PACKETS = 1, 2
_MOST_IN_MESSAGE = 64


class Element:
    """One element of a set or map: `key`, `data` (None in a set), `comment` (text, "" for none), `expires_ms` (what is
    left, None for ever), `packets` and `bytes` of its counter."""

    def __init__(self, key):
        self.key, self.data, self.comment, self.expires_ms = key, None, "", None
        self.packets = self.bytes = 0


# -- out ------------------------------------------------------------------------------------------

def batch(sequence, requests):
    """One transaction: `requests` are functions of (flags, sequence) that give a message, at least one."""
    parts = [netlink.message(_BATCH_BEGIN, netlink.REQUEST, sequence, _BATCH_HEADER)]
    for request in requests[:-1]:
        parts.append(request(netlink.REQUEST, sequence))
    parts.append(requests[-1](netlink.REQUEST | netlink.ACK, sequence))
    parts.append(netlink.message(_BATCH_END, netlink.REQUEST, sequence, _BATCH_HEADER))
    return b"".join(parts)


def _message(kind, flags, sequence, table, *attributes):
    return netlink.message(kind, flags, sequence, _HEADER + netlink.string(_TABLE_NAME, table) + b"".join(attributes))


def get_table(sequence, table):
    """Asks whether there is this table."""
    return _message(_GET_TABLE, netlink.REQUEST | netlink.ACK, sequence, table)


def delete_table(table):
    """For a batch: the table goes, with all in it."""
    return lambda flags, sequence: _message(_DELETE_TABLE, flags, sequence, table)


def element(key, data=None, comment="", timeout_ms=None):
    """One element for `add` and `delete`; key and data as bytes, without the padding at their end."""
    parts = [netlink.nested(_KEY, netlink.attribute(_VALUE, key))]
    if data is not None:
        parts.append(netlink.nested(_DATA, netlink.attribute(_VALUE, data)))
    if timeout_ms is not None:
        parts.append(netlink.attribute(_TIMEOUT, struct.pack("!Q", timeout_ms)))
    if comment:
        text = comment.encode() + b"\0"
        parts.append(netlink.attribute(_USER_DATA, bytes([_COMMENT, len(text)]) + text))
    return netlink.nested(_ELEMENT, *parts)


def add(table, name, elements):
    """For a batch, a list: these elements (see `element`) come into a set or map. One that is there stays as it is; in
    a map that is an error (EBUSY, EEXIST) when its data is another."""
    return _changes(_NEW_ELEMENT, _CREATE, table, name, elements)


def delete(table, name, elements):
    """For a batch, a list: these elements go. One that is not there is an error (ENOENT)."""
    return _changes(_DELETE_ELEMENT, 0, table, name, elements)


def flush(table, name):
    """For a batch: all elements of a set or map go."""
    return lambda flags, sequence: _message(_DELETE_ELEMENT, flags, sequence, table, netlink.string(_SET_NAME, name))


def _changes(kind, more_flags, table, name, elements):
    """An error comes back with the message that it is about: none is larger than what is read at once."""
    def change(some):
        return lambda flags, sequence: _message(kind, flags | more_flags, sequence, table, netlink.string(
            _SET_NAME, name), netlink.nested(_ELEMENTS, *some))

    return [change(elements[i:i + _MOST_IN_MESSAGE]) for i in range(0, len(elements), _MOST_IN_MESSAGE)]


def dump_elements(sequence, table, name):
    """Asks for all elements of a set or map; `read_elements` reads what comes."""
    return _message(_GET_ELEMENT, netlink.REQUEST | netlink.DUMP, sequence, table, netlink.string(_SET_NAME, name))


def get_counter(sequence, table, name):
    """Asks for a named counter; `read_counter` reads it."""
    return _message(_GET_OBJECT, netlink.REQUEST | netlink.ACK, sequence, table, netlink.string(_OBJECT_NAME, name),
                    netlink.attribute(_OBJECT_TYPE, struct.pack("!I", _COUNTER_OBJECT)))


def concatenated(*fields):
    """The key of several fields: each padded to four bytes."""
    return b"".join([field + bytes(-len(field) % 4) for field in fields])


# -- in -------------------------------------------------------------------------------------------

def read_elements(data, start, end):
    """The Elements in the payload of one message. NetlinkError."""
    found = []
    for kind, one, other in netlink.attributes(data, netlink.skip(start, end, len(_HEADER)), end):
        if kind == _ELEMENTS:
            for inner, at, to in netlink.attributes(data, one, other):
                if inner == _ELEMENT:
                    found.append(_read_element(data, at, to))
    return found


def _read_element(data, start, end):
    found = Element(None)
    for kind, one, other in netlink.attributes(data, start, end):
        if kind == _KEY:
            found.key = _read_value(data, one, other)
        elif kind == _DATA:
            found.data = _read_value(data, one, other)
        elif kind == _EXPIRES:
            found.expires_ms = _read_long(data, one, other)
        elif kind == _USER_DATA:
            found.comment = _read_comment(bytes(data[one:other]))
        elif kind == _EXPRESSION:
            name = inside = None
            for inner, at, to in netlink.attributes(data, one, other):
                if inner == _EXPRESSION_NAME:
                    name = netlink.read_string(data, at, to)
                elif inner == _EXPRESSION_DATA:
                    inside = (at, to)
            if name == "counter" and inside:
                found.packets, found.bytes = _read_counts(data, *inside)
    if found.key is None:
        raise NetlinkError("an element without a key")
    return found


def _read_value(data, start, end):
    for kind, one, other in netlink.attributes(data, start, end):
        if kind == _VALUE:
            return bytes(data[one:other])
    raise NetlinkError("an element of a kind that we do not make")


def _read_long(data, start, end):
    if end - start != 8:
        raise NetlinkError("%d bytes where a number of 8 was expected" % (end - start))
    return struct.unpack_from("!Q", data, start)[0]


def _read_comment(user_data):
    if len(user_data) < 3 or user_data[0] != _COMMENT or user_data[1] != len(user_data) - 2 or user_data[-1]:
        return ""
    return netlink.read_string(user_data, 2, len(user_data))


def _read_counts(data, start, end):
    """(packets, bytes)"""
    packets = count = 0
    for kind, one, other in netlink.attributes(data, start, end):
        if kind == _COUNTER_PACKETS:
            packets = _read_long(data, one, other)
        elif kind == _COUNTER_BYTES:
            count = _read_long(data, one, other)
    return packets, count


def read_counter(data, start, end):
    """(packets, bytes) in the payload of one message, None where it is about something else. NetlinkError."""
    for kind, one, other in netlink.attributes(data, netlink.skip(start, end, len(_HEADER)), end):
        if kind == _OBJECT_DATA:
            return _read_counts(data, one, other)
    return None
