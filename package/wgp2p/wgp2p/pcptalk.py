"""One attempt to have a port mapped by PCP or by NAT-PMP (see mapping.py for how it is driven).

Both send the same small datagram again and again until it is answered, PCP after 3, 6, 12 s (RFC 6887, 8.1.1),
NAT-PMP after 0.25, 0.5, 1 s (RFC 6886, 3.1). A gateway that has never been heard to speak the protocol is given less
time, since the next protocol waits for the end of this one.

An answer counts when it comes from the gateway and repeats what we asked, since what the gateway says to others of our
talkers comes the same way. With PCP that includes a nonce, which only the gateway has seen. Every other one is ignored,
and so is the first whose clock says that the gateway has lost its mappings: it may be a late one, so we ask once more
and then believe what we hear.
"""
from . import natpmp, pcp
from .addr import is_inside
from .mapping import NATPMP, PCP, PORT, Datagram, Mapping, Refused

_ERROR_MOST_S = 1800  # of an error: more than the longest that is recommended (RFC 6887, 7.4)
_NO_ADDRESS = ("0.0.0.0", "::")

_VERSION = "the gateway does not speak this version of the protocol"
_NOT_ALLOWED = "the gateway does not allow it: allow port mappings for this machine in its settings"
_NO_NETWORK = "the gateway has no public address itself: it is not connected, or behind another NAT"
_NO_ROOM = "the gateway has no room for another mapping: delete some there, or restart it"
_NO_MAPPINGS = "the gateway does not map ports by this protocol"
_NOT_UNDERSTOOD = "the gateway does not understand the request"
PCP_WORDS = {
    pcp.UNSUPP_VERSION: _VERSION,
    pcp.NOT_AUTHORIZED: _NOT_ALLOWED,
    pcp.MALFORMED_REQUEST: _NOT_UNDERSTOOD,
    pcp.UNSUPP_OPCODE: _NO_MAPPINGS,
    pcp.UNSUPP_OPTION: _NOT_UNDERSTOOD,
    pcp.MALFORMED_OPTION: _NOT_UNDERSTOOD,
    pcp.NETWORK_FAILURE: _NO_NETWORK,
    pcp.NO_RESOURCES: _NO_ROOM,
    pcp.UNSUPP_PROTOCOL: "the gateway does not map UDP ports",
    pcp.USER_EX_QUOTA: "this machine has as many mappings as the gateway allows it: delete some there",
    pcp.CANNOT_PROVIDE_EXTERNAL: "another host has this external port",
    pcp.ADDRESS_MISMATCH: "another NAT is between this machine and the gateway: name that one as the gateway",
    pcp.EXCESSIVE_REMOTE_PEERS: "the gateway cannot limit the mapping to so many senders",
}
NATPMP_WORDS = {
    natpmp.UNSUPP_VERSION: _VERSION,
    natpmp.NOT_AUTHORIZED: _NOT_ALLOWED,
    natpmp.NETWORK_FAILURE: _NO_NETWORK,
    natpmp.NO_RESOURCES: _NO_ROOM,
    natpmp.UNSUPP_OPCODE: _NO_MAPPINGS,
}
# What passes, or what another port changes; everything else is of no use by this protocol.
_PCP_PASSING = (pcp.NETWORK_FAILURE, pcp.NO_RESOURCES, pcp.USER_EX_QUOTA, pcp.CANNOT_PROVIDE_EXTERNAL)
_NATPMP_PASSING = (natpmp.NETWORK_FAILURE, natpmp.NO_RESOURCES)


class _Talk:
    """What both have in common: a request, sent again until it is answered, and the gateway's clock."""

    def __init__(self, now, want, random_below):
        self.outcome = None
        self._want = want
        self._random_below = random_below
        self._rebooted = False
        self._ask(now)

    def _ask(self, now):
        """Begin to send a request."""
        self._sent = 0
        self._due_ms = now

    def next_ms(self):
        """When to call `act`, or None: it is over."""
        return self._due_ms if self.outcome is None else None

    def act(self, now):
        """The Datagrams to send now."""
        if self.outcome is not None or now < self._due_ms:
            return []
        if self._sent == (self._TRIES if self._want.previous else self._FIRST_TRIES):
            self.outcome = Refused(None, "the gateway does not answer", True)
            return []
        self._sent += 1
        self._due_ms = now + self._wait_ms()
        return [Datagram(self._want.gateway, PORT, self._request())]

    def received(self, now, ip, port, data):
        """A datagram has come."""
        if self.outcome is not None or ip != self._want.gateway or port != PORT:
            return
        try:
            answer = self._CODEC.parse(data)
        except ValueError:
            return
        if not self._is_ours(answer):
            return
        if (not self._rebooted and answer.epoch_s is not None
                and self._CODEC.rebooted(self._want.previous, answer.epoch_s, now)):
            self._rebooted = True
            self._ask(now)
        else:
            self._answered(now, answer)

    def _is_granted(self, answer):
        """Whether a success is one of what we want: a late one of a mapping says nothing of its deletion, nor the
        other way round."""
        if self._want.lifetime_s:
            return answer.lifetime_s and answer.external_port
        return not answer.lifetime_s

    def _grant(self, protocol, external_ip, answer):
        if self._want.lifetime_s:
            self.outcome = Mapping(protocol, None if external_ip in _NO_ADDRESS else external_ip, answer.external_port,
                                   answer.lifetime_s, answer.epoch_s, self._rebooted)
        else:
            self.outcome = Mapping(protocol, None, 0, 0, answer.epoch_s, self._rebooted)


class PcpTalk(_Talk):
    """Asks by PCP."""

    _CODEC = pcp
    _TRIES, _FIRST_TRIES = 5, 2  # 93 s, 9 s

    def _wait_ms(self):
        # RFC 6887, 8.1.1: twice the last wait, and up to a tenth more or less.
        base = 3000 if self._sent == 1 else 2 * self._waited_ms
        self._waited_ms = base - base // 10 + self._random_below(base // 5 + 1)
        return self._waited_ms

    def _request(self):
        want = self._want
        # What to delete is known by its nonce and internal port (RFC 6887, 15).
        external = (want.external_port, want.external_ip) if want.lifetime_s else ()
        return pcp.build_map(want.own_ip, want.nonce, want.internal_port, want.lifetime_s, *external)

    def _is_ours(self, answer):
        if answer.code == pcp.UNSUPP_VERSION:  # in which there may be no nonce, nor our opcode
            return answer.nonce in (None, self._want.nonce)
        if (answer.opcode, answer.nonce, answer.internal_port) != (pcp.MAP, self._want.nonce, self._want.internal_port):
            return False
        return answer.code != pcp.SUCCESS or self._is_granted(answer)

    def _answered(self, now, answer):
        code = answer.code
        # miniupnpd has "no resources" to delete what is not there, nor for a mapping while its own address is private,
        # which it tells in the answer.
        if code == pcp.SUCCESS or code == pcp.NO_RESOURCES and not self._want.lifetime_s:
            self._grant(PCP, answer.external_ip, answer)
            return
        words = PCP_WORDS.get(code, "the gateway refuses with PCP's error %d" % code)
        if code == pcp.NO_RESOURCES and is_inside(answer.external_ip):
            words = _NO_NETWORK
        self.outcome = Refused(code, words, code not in _PCP_PASSING, min(answer.lifetime_s, _ERROR_MOST_S) or None,
                               code == pcp.CANNOT_PROVIDE_EXTERNAL)


class NatPmpTalk(_Talk):
    """Asks by NAT-PMP: first for the external address, which the answer to the mapping lacks, then for the mapping."""

    _CODEC = natpmp
    _TRIES, _FIRST_TRIES = 9, 4  # 127.75 s, 3.75 s

    def __init__(self, now, want, random_below):
        self._opcode = natpmp.ADDRESS if want.lifetime_s else natpmp.MAP_UDP
        self._external_ip = None
        super().__init__(now, want, random_below)

    def _wait_ms(self):
        return 125 << self._sent

    def _request(self):
        want = self._want
        if self._opcode == natpmp.ADDRESS:
            return natpmp.build_address()
        return natpmp.build_map(want.internal_port, want.external_port if want.lifetime_s else 0, want.lifetime_s)

    def _is_ours(self, answer):
        if answer.opcode != self._opcode:
            return False
        if answer.opcode == natpmp.ADDRESS:
            return True
        if answer.code != natpmp.SUCCESS:  # which may lack the port
            return answer.internal_port in (0, self._want.internal_port)
        return answer.internal_port == self._want.internal_port and self._is_granted(answer)

    def _answered(self, now, answer):
        code = answer.code
        if code != natpmp.SUCCESS:
            self.outcome = Refused(code, NATPMP_WORDS.get(code, "the gateway refuses with NAT-PMP's error %d" % code),
                                   code not in _NATPMP_PASSING)
        elif answer.opcode == natpmp.ADDRESS:
            self._external_ip = answer.external_ip
            self._opcode = natpmp.MAP_UDP
            self._ask(now)
        else:
            self._grant(NATPMP, self._external_ip, answer)


def is_news(now, data, previous, external_ip):
    """Whether a multicast of the gateway says that what it has mapped is lost or moved: it has restarted (RFC 6887,
    14.1) or has another external address (RFC 6886, 3.2.1). `previous`: see Want; `external_ip`: of the Mapping."""
    for codec, opcode in ((pcp, pcp.ANNOUNCE), (natpmp, natpmp.ADDRESS)):
        try:
            answer = codec.parse(data)
        except ValueError:
            continue
        if answer.opcode == opcode and answer.code == codec.SUCCESS:
            return codec.rebooted(previous, answer.epoch_s, now) or answer.external_ip not in (None, external_ip)
    return False
