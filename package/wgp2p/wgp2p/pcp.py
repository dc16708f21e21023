"""The Port Control Protocol (RFC 6887), as much as a client needs that has one of its own UDP ports mapped: the MAP
request, its answer, the gateway's ANNOUNCE, and its clock. A pinhole in an IPv6 firewall is the same MAP with IPv6
addresses. No sockets.

An answer is untrusted input: it has one of the two forms, within the RFC's bounds, or it is none.
"""
import struct

from .addr import format_ip, parse_ip

VERSION = 2
ANNOUNCE, MAP = 0, 1  # opcodes; the top bit marks an answer
SUCCESS, UNSUPP_VERSION, NOT_AUTHORIZED, MALFORMED_REQUEST, UNSUPP_OPCODE, UNSUPP_OPTION, MALFORMED_OPTION = range(7)
NETWORK_FAILURE, NO_RESOURCES, UNSUPP_PROTOCOL, USER_EX_QUOTA, CANNOT_PROVIDE_EXTERNAL = range(7, 12)
ADDRESS_MISMATCH, EXCESSIVE_REMOTE_PEERS = 12, 13
NONCE_SIZE = 12
_ANSWER = 0x80
_THIRD_PARTY, _PREFER_FAILURE = 1, 2
_UDP = 17
_LEAST, _MAP_LEAST, _MOST = 24, 60, 1100  # bytes of an answer
_LEAST_OTHER = 8  # in NAT-PMP
_NATPMP_REFUSAL = b"\0\0\0\1"  # of our version, as RFC 6886, 3.5 has it; by its erratum 3618 the top bit is set
_MAPPED = bytes(10) + b"\xff\xff"  # before an IPv4 address: all addresses have 16 bytes


class PcpError(ValueError):
    """A datagram that is no answer to what is asked here. It is to be ignored: the true answer may still come."""


class Answer:
    """What the gateway says. Of an ANNOUNCE only `opcode`, `code`, `lifetime_s` and `epoch_s`; of an answer in another
    version only `opcode` and `code`, which is UNSUPP_VERSION."""

    def __init__(self, opcode, code):
        self.opcode = opcode
        self.code = code
        self.lifetime_s = 0  # of the mapping, or of the error that `code` names
        self.epoch_s = None  # the gateway's clock
        self.nonce = None
        self.internal_port = self.external_port = 0
        self.external_ip = None  # text


def build_map(own_ip, nonce, internal_port, lifetime_s, external_port=0, external_ip=None, prefer_failure=False):
    """The request to map a UDP port of `own_ip`, the address from which it is sent; a `lifetime_s` of 0 deletes.
    `nonce`: NONCE_SIZE bytes. External port and address (text) are suggestions, with `prefer_failure` conditions
    (RFC 6887, 11.1 and 13.2)."""
    own = _packed(own_ip)
    # "Any address" is the zero one of our own family.
    external = _packed(external_ip) if external_ip else own[:12] + bytes(4) if own[:12] == _MAPPED else bytes(16)
    request = struct.pack("!BBHI16s12sBBHHH16s", VERSION, MAP, 0, lifetime_s, own, nonce, _UDP, 0, 0, internal_port,
                          external_port, external)
    return request + struct.pack("!BBH", _PREFER_FAILURE, 0, 0) if prefer_failure else request


def _packed(ip):
    packed = parse_ip(ip)
    return packed if len(packed) == 16 else _MAPPED + packed


def parse(data):
    """The Answer in a datagram (RFC 6887, 7.2, 11.1 and 14.1). Raises PcpError."""
    if len(data) < _LEAST_OTHER or not (data[1] & _ANSWER or data[:4] == _NATPMP_REFUSAL):
        raise PcpError("not an answer in PCP")
    answer = Answer(data[1] & ~_ANSWER, data[3])
    if answer.opcode not in (ANNOUNCE, MAP):
        raise PcpError("an answer to another opcode")
    # Whoever speaks another version says so in that one (RFC 6887, 9 and appendix A); NAT-PMP is version 0.
    if data[0] != VERSION:
        if answer.code != UNSUPP_VERSION:
            raise PcpError("not an answer in PCP")
        return answer
    if not _LEAST <= len(data) <= _MOST or len(data) % 4:
        raise PcpError("an answer of a wrong size")
    answer.lifetime_s, answer.epoch_s = struct.unpack_from("!II", data, 4)
    if answer.opcode == MAP:
        if len(data) < _MAP_LEAST:
            raise PcpError("an answer to MAP is cut off")
        nonce, protocol, _, _, internal_port, external_port, external = struct.unpack_from("!12sBBHHH16s", data, _LEAST)
        if protocol != _UDP:
            raise PcpError("an answer for another protocol than UDP")
        _check_options(data, _MAP_LEAST)
        answer.nonce, answer.internal_port, answer.external_port = nonce, internal_port, external_port
        answer.external_ip = format_ip(external)
    return answer


def _check_options(data, at):
    """PcpError when they are cut off, or say that the answer is about another host's port (RFC 6887, 7.3 and 13.1)."""
    while at < len(data):
        kind, _, length = struct.unpack_from("!BBH", data, at)
        at += 4 + length + -length % 4
        if at > len(data):
            raise PcpError("an option is cut off")
        if kind == _THIRD_PARTY:
            raise PcpError("an answer about another host's port")


def rebooted(previous, epoch_s, now):
    """Whether a gateway has lost its mappings since its clock showed `previous`, (epoch_s, at_ms), or None: not known.
    RFC 6887, 8.5: its clock must go on as ours does, within a sixteenth, 2 s, and 1 s back."""
    if previous is None:
        return False
    here, there = (now - previous[1]) // 1000, epoch_s - previous[0]
    return there < -1 or here + 2 < there - there // 16 or there + 2 < here - here // 16
