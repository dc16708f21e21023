"""Netlink messages: bytes to and from the kernel, without a socket (include/uapi/linux/netlink.h, RFC 3549).

A datagram holds messages, a message a header and a payload, most payloads end in attributes (type, length,
value), which may hold attributes again. Everything is in the machine's byte order except where the name of
a function says `be` (conntrack sends ports and addresses in network order). What comes in is walked by
offset instead of being cut into pieces: copies are what makes MicroPython slow.
"""
import struct
import sys

# MicroPython takes "=" for little-endian on every machine, so the order is always spelled out.
ORDER = "<" if sys.byteorder == "little" else ">"
_HEADER = ORDER + "IHHII"
_ATTRIBUTE = ORDER + "HH"
_LOW, _HIGH = (0, 1) if ORDER == "<" else (1, 0)
HEADER_SIZE = 16
GENERIC_HEADER_SIZE = 4

# Families of AF_NETLINK
ROUTE, NETFILTER, GENERIC = 0, 12, 16
# Message types below 16 belong to netlink itself.
NOOP, ERROR, DONE, OVERRUN = 1, 2, 3, 4
# Flags
REQUEST, ACK, DUMP_INTERRUPTED, DUMP = 0x01, 0x04, 0x10, 0x300

_NESTED = 0x8000
_NUMBERS = {1: "B", 2: "H", 4: "I", 8: "Q"}

# The controller of generic netlink (include/uapi/linux/genetlink.h)
CONTROLLER = 16
_GET_FAMILY = 3
_FAMILY_ID, _FAMILY_NAME = 1, 2


class NetlinkError(ValueError):
    """The bytes are no netlink message, or not the expected one."""


# -- out --------------------------------------------------------------------------------------------

def message(kind, flags, sequence, payload):
    """One message; the kernel fills in the sender."""
    return struct.pack(_HEADER, HEADER_SIZE + len(payload), kind, flags, sequence, 0) + payload


def generic(family, flags, sequence, command, version, payload=b""):
    """One generic netlink message."""
    return message(family, flags, sequence, struct.pack("BBH", command, version, 0) + payload)


def attribute(kind, payload):
    """One attribute, padded to four bytes."""
    length = 4 + len(payload)
    if length > 0xFFFF:
        raise NetlinkError("attribute of %d bytes" % length)
    return struct.pack(_ATTRIBUTE, length, kind) + payload + bytes(-length % 4)


def nested(kind, *attributes):
    """An attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def unsigned(kind, size, number):
    """An attribute with a number of 1, 2, 4 or 8 bytes."""
    if not 0 <= number < 1 << 8 * size:
        raise NetlinkError("%d does not fit into %d bytes" % (number, size))
    return attribute(kind, struct.pack(ORDER + _NUMBERS[size], number))


def string(kind, text):
    """An attribute with text, ended by a zero byte."""
    return attribute(kind, text.encode() + b"\0")


def family_request(sequence, name):
    """Asks the controller for the number of a generic netlink family; `read_family` reads the answer."""
    return generic(CONTROLLER, REQUEST | ACK, sequence, _GET_FAMILY, 1, string(_FAMILY_NAME, name))


# -- in ---------------------------------------------------------------------------------------------

def messages(data):
    """(type, flags, sequence, start, end) of every message's payload in a datagram. NetlinkError."""
    position, size = 0, len(data)
    while position < size:
        if size - position < HEADER_SIZE:
            raise NetlinkError("message header cut off")
        length, kind, flags, sequence, _ = struct.unpack_from(_HEADER, data, position)
        if length < HEADER_SIZE or length > size - position:
            raise NetlinkError("message of %d bytes where %d are left" % (length, size - position))
        yield kind, flags, sequence, position + HEADER_SIZE, position + length
        position += length + 3 & ~3


def length_at(data, position, end):
    """The length of the attribute at an offset, header included, checked against `end`. NetlinkError."""
    # Byte by byte, since a tuple from struct for every header is what fills MicroPython's heap.
    if end - position < 4:
        raise NetlinkError("attribute header cut off")
    length = data[position + _LOW] | data[position + _HIGH] << 8
    if length < 4 or length > end - position:
        raise NetlinkError("attribute of %d bytes where %d are left" % (length, end - position))
    return length


def type_at(data, position):
    """The type of the attribute at an offset, without its flags."""
    return data[position + 2 + _LOW] | (data[position + 2 + _HIGH] & 0x3F) << 8


def attributes(data, position, end):
    """(type, start, end) of every attribute's value between two offsets. NetlinkError."""
    if end > len(data):
        raise NetlinkError("attributes cut off")
    while position < end:
        length = length_at(data, position, end)
        yield type_at(data, position), position + 4, position + length
        position += length + 3 & ~3


def read_unsigned(data, start, end, size):
    """The number in an attribute of exactly `size` bytes. NetlinkError."""
    if end - start != size or end > len(data):
        raise NetlinkError("%d bytes where a number of %d was expected" % (end - start, size))
    return struct.unpack_from(ORDER + _NUMBERS[size], data, start)[0]


def read_string(data, start, end):
    """The text in an attribute, up to its zero byte. NetlinkError."""
    try:
        return bytes(data[start:end]).split(b"\0")[0].decode()
    except ValueError:
        raise NetlinkError("text is not UTF-8")


def skip(start, end, size):
    """Where the attributes begin behind a fixed header of `size` bytes. NetlinkError when it is cut off."""
    if end - start < size:
        raise NetlinkError("%d bytes where a header of %d was expected" % (end - start, size))
    return start + size


def read_family(data, start, end):
    """The family's number in the controller's answer. NetlinkError."""
    for kind, at, to in attributes(data, skip(start, end, GENERIC_HEADER_SIZE), end):
        if kind == _FAMILY_ID:
            return read_unsigned(data, at, to, 2)
    raise NetlinkError("the answer names no family")


class Answer:
    """What the kernel answers to one request that carries ACK or DUMP, datagram by datagram.

    `take(data, start, end)` gets the payload of each message. `error` is the errno that ended the answer,
    0 for success; `interrupted` says that what was dumped changed meanwhile.
    """

    def __init__(self, sequence, take):
        self._sequence = sequence
        self._take = take
        self.error = 0
        self.interrupted = False

    def feed(self, data):
        """Handle one datagram; True when the answer is complete. NetlinkError."""
        for kind, flags, sequence, start, end in messages(data):
            if sequence != self._sequence:
                continue  # the rest of an answer that was given up
            if flags & DUMP_INTERRUPTED:
                self.interrupted = True
            if kind == ERROR or kind == DONE:
                # DONE of old kernels has no status.
                self.error = self._status(data, start, end) if kind == ERROR or end - start >= 4 else 0
                return True
            if kind == OVERRUN:
                raise NetlinkError("the kernel lost a part of its answer")
            if kind != NOOP:
                self._take(data, start, end)
        return False

    @staticmethod
    def _status(data, start, end):
        skip(start, end, 4)
        number = struct.unpack_from(ORDER + "i", data, start)[0]
        if number > 0:
            raise NetlinkError("status %d" % number)
        return -number
