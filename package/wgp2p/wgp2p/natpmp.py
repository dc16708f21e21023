"""The NAT Port Mapping Protocol (RFC 6886), as much as a client needs that has one of its own UDP ports mapped: both
requests, their answers, and the gateway's clock. IPv4 only. No sockets.

An answer is untrusted input, and nothing in it says whose question it answers but its kind and its internal port.
"""
import struct

from .addr import format_ip

ADDRESS, MAP_UDP = 0, 1  # opcodes; the top bit marks an answer
SUCCESS, UNSUPP_VERSION, NOT_AUTHORIZED, NETWORK_FAILURE, NO_RESOURCES, UNSUPP_OPCODE = range(6)
_VERSION = 0
_ANSWER = 0x80
_LEAST = 8  # bytes; of an error
_SIZES = {ADDRESS: 12, MAP_UDP: 16}  # of a success


class NatPmpError(ValueError):
    """A datagram that is no answer to what is asked here. It is to be ignored: the true answer may still come."""


class Answer:
    """What the gateway says: `external_ip` (text) to ADDRESS, the ports and the lifetime to MAP_UDP. A refusal may lack
    them; one in another version, of which the code is UNSUPP_VERSION, has no `epoch_s` either."""

    def __init__(self, opcode, code):
        self.opcode = opcode
        self.code = code
        self.epoch_s = None  # the gateway's clock
        self.external_ip = None
        self.internal_port = self.external_port = self.lifetime_s = 0


def build_address():
    """The request for the gateway's external address (RFC 6886, 3.2)."""
    return struct.pack("!BB", _VERSION, ADDRESS)


def build_map(internal_port, external_port, lifetime_s):
    """The request to map a UDP port of the sender (RFC 6886, 3.3); the external port is a suggestion. With a
    `lifetime_s` of 0 it deletes, and the external port must be 0 (3.4)."""
    return struct.pack("!BBHHHI", _VERSION, MAP_UDP, 0, internal_port, external_port, lifetime_s)


def parse(data):
    """The Answer in a datagram (RFC 6886, 3.2, 3.3 and 3.5). Raises NatPmpError."""
    if len(data) < _LEAST or not data[1] & _ANSWER:
        raise NatPmpError("not an answer in NAT-PMP")
    answer = Answer(data[1] & ~_ANSWER, data[2] << 8 | data[3])
    if answer.opcode not in _SIZES:
        raise NatPmpError("an answer to another opcode")
    # PCP has its code at the same place, and its clock at another. Who speaks our version does not refuse it: what says
    # so is a late answer to PCP.
    if (data[0] == _VERSION) == (answer.code == UNSUPP_VERSION):
        raise NatPmpError("not an answer in NAT-PMP")
    if data[0] != _VERSION:
        return answer
    answer.epoch_s = struct.unpack_from("!I", data, 4)[0]
    if len(data) >= _SIZES[answer.opcode]:
        if answer.opcode == ADDRESS:
            answer.external_ip = format_ip(data[8:12])
        else:
            answer.internal_port, answer.external_port, answer.lifetime_s = struct.unpack_from("!HHI", data, 8)
    elif answer.code == SUCCESS:
        raise NatPmpError("an answer is cut off")
    return answer


def rebooted(previous, epoch_s, now):
    """Whether a gateway has lost its mappings since its clock showed `previous`, (epoch_s, at_ms), or None: not known.
    RFC 6886, 3.6: its clock may be slower than ours by an eighth, and 2 s."""
    return previous is not None and epoch_s + 2 < previous[0] + (now - previous[1]) * 7 // 8000
