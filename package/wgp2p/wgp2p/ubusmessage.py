"""The messages of ubus (ubusmsg.h in openwrt/ubus), without a socket.

A message is a header of 8 bytes (version 0, type, seq be16, peer be32) and a blob: a word whose lower 24 bits are its
length with this word, and in it attributes of the same form (7 bits type, 24 bits length), each padded to 4. `peer`
is an object's or a client's id; who asks chooses `seq`, and the answer repeats both. Ids are random, 32 bits.

ubusd hands on an answer as the process that answers wrote it, and the data of a call as the caller wrote them. So
rubbish in a body is that process's doing and concerns one call, while a bad header can only come from ubusd itself.
"""
import struct

from . import blobmsg
from .compat import utf8

# Types of messages
(HELLO, STATUS, DATA, PING, LOOKUP, INVOKE, ADD_OBJECT, REMOVE_OBJECT, SUBSCRIBE, UNSUBSCRIBE,
 NOTIFY) = range(11)
# Attributes
(A_STATUS, A_PATH, A_OBJECT, A_METHOD, A_TYPE, A_SIGNATURE, A_DATA, A_TARGET, A_ACTIVE, A_NO_REPLY, A_SUBSCRIBERS,
 A_USER, A_GROUP) = range(1, 14)
_TEXTS = (A_PATH, A_METHOD, A_USER, A_GROUP)
_WORDS = (A_STATUS, A_OBJECT, A_TYPE, A_TARGET)
_BYTES = (A_ACTIVE, A_NO_REPLY)
# The status of an answer
(OK, INVALID_COMMAND, INVALID_ARGUMENT, METHOD_NOT_FOUND, NOT_FOUND, NO_DATA, PERMISSION_DENIED, TIMEOUT,
 NOT_SUPPORTED, UNKNOWN_ERROR, CONNECTION_FAILED, NO_MEMORY, PARSE_ERROR, SYSTEM_ERROR) = range(14)
_MEANINGS = ("ok", "invalid command", "invalid argument", "no such method", "no such object", "no data",
             "permission denied", "no answer in time", "not supported", "unknown error", "no connection",
             "out of memory", "an answer that cannot be read", "system error")

EVENT_OBJECT = 1  # ubusd's own object for events, UBUS_SYSTEM_OBJECT_EVENT
HEADER_SIZE = 12  # with the word that the blob begins with
SEND_MOST = 262144  # the largest message that we send: the status of some 600 peers
# The largest that we read. MicroPython makes of a byte up to 7 of its heap, and of 64 KiB a second's work on a slow
# router. What is larger is passed over, and no reason to part: everyone who may call us can send it.
READ_MOST = 65536
UBUS_MOST = 1048576  # UBUS_MAX_MSGLEN: no ubusd passes on more


class UbusError(ValueError):
    """What was sent is no ubus message, or what is to be sent does not fit into one."""


def words(status):
    """What a status means, for a person."""
    return _MEANINGS[status] if status < len(_MEANINGS) else "unknown status %d" % status


# -- out --------------------------------------------------------------------------------------------

def message(kind, seq, peer, *attributes):
    """A message with (attribute, value) in this order. Values: text, a number, for A_ACTIVE and A_NO_REPLY a bool,
    for A_DATA and A_SIGNATURE a table or the bytes of one, for A_SUBSCRIBERS a list of ids. UbusError when it is too
    large, BlobmsgError for a table that cannot be written."""
    body = b"".join([_attribute(number, value) for number, value in attributes])
    if len(body) + HEADER_SIZE > SEND_MOST:
        raise UbusError("a message of %d bytes" % (len(body) + HEADER_SIZE))
    return struct.pack(">BBHII", 0, kind, seq, peer, len(body) + 4) + body


def _attribute(number, value):
    if number in _TEXTS:
        payload = value.encode() + b"\0"
        if payload.find(b"\0") < len(payload) - 1:
            raise UbusError("a name with a zero byte")
    elif number in _WORDS:
        payload = struct.pack(">I", value)
    elif number in _BYTES:
        payload = b"\1" if value else b"\0"
    elif number == A_SUBSCRIBERS:
        payload = b"".join([struct.pack(">II", 8, one) for one in value])
    else:
        payload = value if isinstance(value, bytes) else blobmsg.encode(value)
    return struct.pack(">I", number << 24 | 4 + len(payload)) + payload + bytes(-len(payload) % 4)


def lookup(seq, path):
    """Asks ubusd for the object of this name."""
    return message(LOOKUP, seq, 0, (A_PATH, path))


def invoke(seq, object_id, method, args):
    """Calls a method."""
    return message(INVOKE, seq, object_id, (A_OBJECT, object_id), (A_METHOD, method), (A_DATA, args))


def add_object(seq, path=None, methods=()):
    """Publishes an object with [(method, [(argument, type of blobmsg.KINDS)])]; without a path one that nobody can
    look up, to hear events or notifications with."""
    if path is None:
        return message(ADD_OBJECT, seq, 0)
    table = []
    for name, arguments in methods:
        table.append((name, tuple([(argument, blobmsg.KINDS[kind]) for argument, kind in arguments])))
    return message(ADD_OBJECT, seq, 0, (A_PATH, path), (A_SIGNATURE, tuple(table)))


def remove_object(seq, object_id):
    """Takes an own object back, with its patterns and subscriptions."""
    return message(REMOVE_OBJECT, seq, 0, (A_OBJECT, object_id))


def subscribe(seq, object_id, target):
    """Has the notifications of `target` come to an own object."""
    return message(SUBSCRIBE, seq, 0, (A_OBJECT, object_id), (A_TARGET, target))


def notify(seq, object_id, kind, data, no_reply):
    """A notification of an own object. With `no_reply` nobody answers, not even ubusd when all went well."""
    last = ((A_NO_REPLY, True),) if no_reply else ()
    return message(NOTIFY, seq, object_id, (A_OBJECT, object_id), (A_METHOD, kind), (A_DATA, data), *last)


def register(seq, object_id, pattern):
    """Has events whose name is the pattern, or begins as a pattern that ends in *, come to an own object."""
    signed = object_id - (1 << 32) if object_id >> 31 else object_id  # blobmsg's int32
    return invoke(seq, EVENT_OBJECT, "register", (("object", signed), ("pattern", pattern)))


def send_event(seq, name, data):
    """Sends an event to all who listen."""
    return invoke(seq, EVENT_OBJECT, "send", (("id", name), ("data", data)))


def reply(seq, peer, object_id, data):
    """The data that a method answers to the client `peer`; a status comes after it."""
    return message(DATA, seq, peer, (A_OBJECT, object_id), (A_DATA, data))


def reply_status(seq, peer, object_id, status):
    """The end of a method's answer."""
    return message(STATUS, seq, peer, (A_STATUS, status), (A_OBJECT, object_id))


# -- in ---------------------------------------------------------------------------------------------

class Message:
    """One message. `body`: what its blob holds, as bytes, or None when it was too large to keep."""

    def __init__(self, kind, seq, peer, body):
        self.kind = kind
        self.seq = seq
        self.peer = peer
        self.body = body

    def attributes(self):
        """{attribute: value} as `message` takes them; A_DATA and A_SIGNATURE as bytes, for blobmsg.decode. Attributes
        that we do not know are left out. UbusError."""
        found = {}
        for number, start, stop in _attributes(self.body, 0, len(self.body)):
            if A_STATUS <= number <= A_GROUP:
                found[number] = self._value(number, start, stop)
        return found

    def _value(self, number, start, stop):
        body = self.body
        if number in _TEXTS:
            return _text(body, start, stop)
        if number in _WORDS:
            return _word(body, start, stop)
        if number in _BYTES:
            if stop - start != 1:
                raise UbusError("a flag of %d bytes" % (stop - start))
            return body[start] != 0
        if number == A_SUBSCRIBERS:
            return [_word(body, at, to) for _, at, to in _attributes(body, start, stop)]
        return bytes(memoryview(body)[start:stop])


def _attributes(body, at, end):
    """(number, start, stop) of every attribute between two offsets."""
    while at < end:
        if end - at < 4:
            raise UbusError("cut off at %d" % at)
        length = body[at + 1] << 16 | body[at + 2] << 8 | body[at + 3]
        if length < 4 or at + (length + 3 & ~3) > end:
            raise UbusError("an attribute of %d bytes at %d, where %d are left" % (length, at, end - at))
        yield body[at] & 0x7F, at + 4, at + length
        at += length + 3 & ~3


def _word(body, start, stop):
    if stop - start != 4:
        raise UbusError("a number of %d bytes" % (stop - start))
    return struct.unpack_from(">I", body, start)[0]


def _text(body, start, stop):
    if stop == start or body[stop - 1]:
        raise UbusError("text without an end")
    try:
        text = utf8(bytes(memoryview(body)[start:stop - 1]))
    except ValueError:
        raise UbusError("text that is not UTF-8")
    if "\0" in text:
        raise UbusError("text with a zero byte")
    return text


class Reader:
    """Cuts a stream into messages; takes no memory for one of more than `most` bytes, whatever a length says."""

    def __init__(self, most=READ_MOST):
        self._most = most
        self._head = bytearray()
        self._body = None
        self._size = self._have = 0

    def feed(self, data):
        """The messages that are whole now. UbusError when this is not ubus: there is no way on."""
        found, at = [], 0
        while True:
            if len(self._head) < HEADER_SIZE:
                piece = data[at:at + HEADER_SIZE - len(self._head)]
                self._head += piece
                at += len(piece)
                if len(self._head) < HEADER_SIZE:
                    return found
                self._begin()
            count = min(self._size - self._have, len(data) - at)
            if self._body is not None:
                self._body[self._have:self._have + count] = data[at:at + count]
            self._have += count
            at += count
            if self._have < self._size:
                return found
            _, kind, seq, peer = struct.unpack_from(">BBHI", self._head, 0)
            found.append(Message(kind, seq, peer, self._body))
            self._head = bytearray()

    def _begin(self):
        """The header is whole: see how much comes, and whether to keep it."""
        head = self._head
        size = head[9] << 16 | head[10] << 8 | head[11]
        if head[0] or not 4 <= size <= UBUS_MOST:
            raise UbusError("no ubus: version %d, a message of %d bytes" % (head[0], size))
        self._size, self._have = size - 4, 0
        try:
            self._body = bytearray(size - 4) if size + 8 <= self._most else None
        except MemoryError:
            self._body = None
