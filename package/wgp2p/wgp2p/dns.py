"""The client's side of DNS (RFC 1035): a question as bytes, the addresses out of an answer. No sockets.

An answer is untrusted input: it must repeat our id and question, every length and pointer in it is checked, and a
name may jump a bounded number of times and only backwards.
"""
import struct

from .addr import format_ip, parse_ip

A = 1
AAAA = 28
_CNAME = 5
_IN = 1
_MAX_NAME = 255  # bytes on the wire
_MAX_RECORDS = 64
_MAX_JUMPS = 16
_MAX_SERVERS = 4
_RCODES = {1: "the name server did not understand the question", 2: "the name server failed",
           3: "no such name", 4: "the name server cannot do this", 5: "the name server refused"}


class DnsError(ValueError):
    """A name that is none, or a packet that gives no address. `final`: it is the server's own answer to our
    question; otherwise the packet is to be ignored, since the true answer may still come."""

    def __init__(self, text, final=False):
        super().__init__(text)
        self.final = final


def build_query(name, kind, identifier):
    """The packet that asks for `name`; `kind` A or AAAA, `identifier` a random number of 16 bits."""
    return struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 0) + _question(name, kind)  # flag: recursion desired


def _question(name, kind):
    out = bytearray()
    for label in (name[:-1] if name.endswith(".") else name).split("."):
        if not 1 <= len(label) <= 63 or not all(["!" <= c <= "~" for c in label]):
            raise DnsError("not a host name: " + repr(name))
        out.append(len(label))
        out += label.encode()
    out.append(0)
    if len(out) > _MAX_NAME:
        raise DnsError("not a host name: " + repr(name))
    return bytes(out) + struct.pack("!HH", kind, _IN)


def parse_answer(packet, name, kind, identifier):
    """(addresses as canonical text, seconds that they may be kept) for the question that `build_query` made of
    the same arguments; no addresses when the name has none of this kind. Raises DnsError."""
    question = _question(name, kind)
    if len(packet) < 12:
        raise DnsError("a DNS packet is too short")
    ident, flags, questions, answers = struct.unpack_from("!HHHH", packet, 0)
    asked, at = _name(packet, 12)
    if (ident != identifier or not flags & 0x8000 or flags & 0x7800 or questions != 1
            or asked != _name(question, 0)[0] or packet[at:at + 4] != question[-4:]):
        raise DnsError("a DNS packet does not answer our question")
    if flags & 0x000F:
        raise DnsError(_RCODES.get(flags & 0x000F, "the name server gave error %d" % (flags & 0x000F)), True)
    if flags & 0x0200:
        raise DnsError("the answer does not fit into a packet", True)
    if answers > _MAX_RECORDS:
        raise DnsError("more than %d DNS records" % _MAX_RECORDS, True)
    records = _records(packet, at + 4, answers)
    return _follow(records, asked, kind)


def _records(packet, at, count):
    """[(owner, type, ttl, value)] of the A, AAAA and CNAME records; value is bytes, or a name for a CNAME."""
    records = []
    for _ in range(count):
        owner, at = _name(packet, at)
        if at + 10 > len(packet):
            raise DnsError("a DNS record is cut off")
        kind, family, ttl, length = struct.unpack_from("!HHIH", packet, at)
        at += 10
        end = at + length
        if end > len(packet):
            raise DnsError("a DNS record is cut off")
        if family == _IN and kind == _CNAME:
            value, behind = _name(packet, at)
            if behind != end:
                raise DnsError("a DNS record has a wrong length")
            records.append((owner, kind, ttl, value))
        elif family == _IN and kind in (A, AAAA):
            if length != (4 if kind == A else 16):
                raise DnsError("a DNS record has a wrong length")
            records.append((owner, kind, ttl, bytes(packet[at:end])))
        at = end
    return records


def _follow(records, name, kind):
    """What `parse_answer` gives, from the records of `name` or of the name that its aliases lead to."""
    keep_s = 0x7FFFFFFF
    for _ in range(_MAX_JUMPS):
        found = []
        alias = None
        for owner, what, ttl, value in records:
            if owner == name and what in (kind, _CNAME):
                keep_s = min(keep_s, ttl if ttl < 0x80000000 else 0)  # RFC 2181, section 8
                if what == _CNAME:
                    alias = value
                elif value not in found:
                    found.append(value)
        if found or alias is None:
            return [format_ip(value) for value in found], keep_s if found else 0
        name = alias
    raise DnsError("the name's aliases go in a circle", True)


def _name(packet, at):
    """(the name at this place in lower case as bytes with length bytes, where the next field starts)."""
    name = bytearray()
    behind = 0  # where the next field starts, once the name has jumped
    jumps = 0
    start = at  # a jump must lead to before this, where the present part of the name starts
    while True:
        if at >= len(packet):
            raise DnsError("a DNS name is cut off")
        length = packet[at]
        if length == 0:
            return bytes(name), behind or at + 1
        if length >= 0xC0:
            if at + 2 > len(packet):
                raise DnsError("a DNS name is cut off")
            target = (length & 0x3F) << 8 | packet[at + 1]
            jumps += 1
            if target >= start or jumps > _MAX_JUMPS:
                raise DnsError("a DNS name does not end")
            behind = behind or at + 2
            at = start = target
        elif length > 63:
            raise DnsError("a DNS name is cut off")
        else:
            name += bytes(packet[at:at + 1 + length]).lower()
            at += 1 + length
            if len(name) >= _MAX_NAME:
                raise DnsError("a DNS name is too long")


def parse_resolv_conf(text):
    """The name servers of a resolv.conf(5), in order, as canonical text; at most four, each once."""
    servers = []
    for line in text.split("\n"):
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                server = format_ip(parse_ip(words[1]))
            except ValueError:  # one with an interface behind a % too
                continue
            if server not in servers:
                servers.append(server)
    return servers[:_MAX_SERVERS]
