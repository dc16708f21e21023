"""The life of one port's mapping at the upstream gateway: asked for, renewed, asked for anew, deleted. Pure; times are
monotonic ms.

One attempt in one protocol is a talker's (mapping.py). Here is decided which one, and when. PCP is tried first, then
NAT-PMP, then UPnP; who answered last is asked first from then on. There is at most one attempt at a time and one
mapping: what may stand at the gateway from before is deleted first, or is outlived.

A mapping is renewed at half of its lifetime, and when that fails, at half of what is left, down to 4 s (RFC 6887
11.2.1, RFC 6886 3.3). When the gateway's clock says that it was restarted (RFC 6887 8.5, RFC 6886 3.6), or somebody
says that the mapping may be gone, it is asked for at once, and has a minute to be confirmed.
"""
import struct

from .addr import format_endpoint, is_inside, is_unicast
from .mapping import UPNP, Mapping, Refused, Request, Want
from .pcptalk import is_news

_SOONEST_MS = 4000  # between two renewals
_LONGEST_S = 86400  # a longer lifetime is not believed
_RETRY_MS, _RETRY_MOST_MS = 15000, 1800000  # after a round in which every protocol failed
_DOUBT_MS, _DOUBT_GAP_MS = 60000, 10000
_SPREAD_MS = 5000  # all clients hear a gateway's announcement at once (RFC 6887 14.1.3)
_SPARED_MS = (60000, 300000, 1800000)  # from one time that it is deleted as dead to the next
_DELETE_MS = 2000
_OTHER_PORTS, _TRIES = (49152, 16384), 4  # when the port is taken: the dynamic ones (RFC 6335 6), and how many of them


class Options:
    """How a gateway is asked, and what has been heard from it: for all leases there. `protocols`: those to be tried, in
    this order; `nonce` (bytes), kept over restarts, and `name`, a text without markup: both make what we left behind
    ours."""

    def __init__(self, protocols, lifetime_s, nonce, name):
        self.protocols = protocols
        self.lifetime_s = lifetime_s
        self.nonce = nonce
        self.name = name
        self._gateway = None
        self.order, self.previous = (), {}  # who answered last is first; {protocol: (epoch_s, at_ms)}

    def meet(self, gateway):
        """This is the gateway (text, or None: there is none now)."""
        if gateway not in (None, self._gateway):
            self._gateway, self.order, self.previous = gateway, tuple(self.protocols), {}

    def prefer(self, protocol):
        """It is of use here."""
        self.order = (protocol,) + tuple([name for name in self.order if name != protocol])


class Lease:
    """`talkers`: {protocol: its talker}. `mapping`: the Mapping that holds, or None; `error`: why there is none, or why
    it could not be renewed, for a person."""

    def __init__(self, options, talkers, random_below):
        self._options, self._talkers, self._random_below = options, talkers, random_below
        self._gateway = self._own_ip = self._port = None
        self._talk = self._asked = None  # the attempt that runs, and its (protocol, Want)
        self._serial = 0  # of the attempt: answers to one before are not for it
        self._held = None  # (protocol, Want) of what may stand at the gateway
        self._undo, self._end_ms = None, 0  # the same of what is to be deleted, and when that is given up
        self._left, self._said, self._wait_s = [], [], 0  # of this round: who is to be tried, what others answered
        self._due_ms = None  # when to ask next
        self._expires_ms = None
        self._doubted_ms = None
        self._other_port, self._taken = None, 0
        self._failures = self._deaths = 0
        self._spared_ms = None  # until when it is not deleted as dead
        self.mapping = None
        self.error = ""

    # -- what is wanted -----------------------------------------------------------------------------

    def uplink(self, now, gateway, own_ip):
        """The gateway (text), or None where there is none now, and this machine's address towards it. What was mapped
        at another one is out of reach."""
        if (gateway, own_ip) == (self._gateway, self._own_ip):
            return
        self._options.meet(gateway)
        self._gateway, self._own_ip = gateway, own_ip
        self.alive()
        self._forget(now, False)

    def want(self, now, port):
        """Map this port of ours to the same one outside, or to another when it is taken; None: delete the mapping."""
        if port != self._port:
            self._port = port
            self.alive()
            self._forget(now, True)

    @property
    def busy(self):
        """The gateway is being asked. No other lease may ask meanwhile: the answers do not all say to whom, and what a
        gateway gives one by itself could be what the other asks for."""
        return self._talk is not None

    @property
    def stopped(self):
        """Nothing is wanted, and what was mapped is deleted, or 2 s were not enough for it."""
        return self._port is None and self._talk is None and self._undo is None

    def doubt(self, now, spread_ms=0):
        """The gateway may have lost the mapping, or has another address: ask within `spread_ms`, at most every 10 s."""
        if self._due_ms is None or (self._doubted_ms is not None and now - self._doubted_ms < _DOUBT_GAP_MS):
            return
        self._doubted_ms = now
        self._failures = 0
        self._due_ms = min(self._due_ms, now + self._random_below(spread_ms + 1))
        if self.mapping is not None:
            self._expires_ms = min(self._expires_ms, now + _DOUBT_MS)

    def dead(self, now):
        """Nothing gets through the mapping, it is said: delete it and ask anew. Where that does not help it stays for a
        while, each time for longer: who says so may be wrong, and to have none is no better. Whether it is deleted."""
        if self.mapping is None or (self._spared_ms is not None and now < self._spared_ms):
            return False
        self._forget(now, True)
        self._spared_ms = now + _SPARED_MS[min(self._deaths, len(_SPARED_MS) - 1)]
        self._deaths += 1
        return True

    def alive(self):
        """Something came through the mapping."""
        self._deaths, self._spared_ms = 0, None

    def _forget(self, now, delete):
        """Begin anew, without what may stand at the gateway; `delete` it there first."""
        if not delete:
            self._undo = self._talk = None
        elif self._held is not None:
            self._undo, self._talk = self._held, None
        self.mapping = self._held = self._other_port = self._doubted_ms = None
        self._left, self._failures, self._taken, self.error = [], 0, 0, ""
        self._due_ms = now if self._port is not None and self._gateway is not None else None

    # -- driving it: as a talker ----------------------------------------------------------------------

    def act(self, now):
        """What is to be sent now: a list of Datagram and Request."""
        out = []
        if self.mapping is not None and now >= self._expires_ms:
            self.mapping = None
        while True:
            if self._talk is None and not self._begin(now):
                return out
            if self._talk.outcome is None:
                for item in self._talk.act(now):
                    if isinstance(item, Request):
                        item.tag = (self._serial, item.tag)
                    out.append(item)
            if self._talk.outcome is not None:
                self._finish(now)
            elif self._undo is not None and now >= self._end_ms:
                self._undo = self._talk = None
            else:
                return out

    def received(self, now, ip, port, data):
        """A datagram came to a socket that sends ours."""
        if ip == self._gateway and self._is_asking():
            self._talk.received(now, ip, port, data)

    def unreachable(self):
        """The gateway says that nothing listens at mapping.PORT (ICMP): nobody waits for an answer. While there is a
        mapping it may just be restarting."""
        if self._is_asking() and self._asked[0] != UPNP and self.mapping is None:
            self._talk.outcome = Refused(None, "nothing listens for %s at the gateway" % self._asked[0], True)

    def announced(self, now, ip, data):
        """A datagram came to 224.0.0.1:5350, where gateways tell that they were restarted or have another address."""
        if ip == self._gateway and (self.mapping is None or is_news(
                now, data, self._options.previous.get(self.mapping.protocol), self.mapping.external_ip)):
            self.doubt(now, _SPREAD_MS)

    def answered(self, now, tag, response, error):
        """A Request's http.Response, or None and why there is none."""
        if tag[0] == self._serial and self._is_asking():
            self._talk.answered(now, tag[1], response, error)

    def next_ms(self):
        """When `act` is to be called again, or None."""
        times = [self._due_ms if self._talk is None else self._talk.next_ms(),
                 self._expires_ms if self.mapping is not None else None,
                 self._end_ms if self._undo is not None else None]
        times = [when for when in times if when is not None]
        return min(times) if times else None

    def _is_asking(self):
        return self._talk is not None and self._talk.outcome is None

    # -- attempts -----------------------------------------------------------------------------------

    def _begin(self, now):
        """Start the attempt that is due; False when none is."""
        if self._undo is not None:
            protocol, want = self._undo
            want.lifetime_s = 0
            self._end_ms = now + _DELETE_MS
        elif self._due_ms is None or now < self._due_ms:
            return False
        else:
            if not self._left:
                self._left, self._said, self._wait_s = list(self._options.order), [], 0
            protocol = self._left[0] if self.mapping is None else self.mapping.protocol
            want = self._want(protocol)
            self._held = (protocol, want)
        self._asked = (protocol, want)
        self._serial += 1
        self._talk = self._talkers[protocol](now, want, self._random_below)
        return True

    def _want(self, protocol):
        # The port makes the nonce that of this mapping alone.
        nonce = self._options.nonce[:10] + struct.pack("!H", self._port)
        want = Want(self._gateway, self._own_ip, self._port, self._other_port or self._port, self._options.lifetime_s,
                    nonce, "%s %d" % (self._options.name, self._port))
        want.previous = self._options.previous.get(protocol)
        if self.mapping is not None:
            want.external_ip, want.external_port = self.mapping.external_ip, self.mapping.external_port
            want.service = self.mapping.service
        return want

    def _finish(self, now):
        outcome, self._talk = self._talk.outcome, None
        if self._undo is not None:
            self._undo = None
        elif isinstance(outcome, Mapping):
            self._granted(now, outcome)
        else:
            self._refused(now, outcome)

    def _granted(self, now, mapping):
        protocol, want = self._asked
        self._options.prefer(protocol)
        if mapping.epoch_s is not None:
            self._options.previous[protocol] = (mapping.epoch_s, now)
        want.external_port, want.service = mapping.external_port, mapping.service
        problem = _nat_above(mapping.external_ip)
        if problem:
            self._forget(now, True)
            self._due_ms = now + _RETRY_MOST_MS
            self.error = problem
            return
        self.mapping, self.error = mapping, ""
        self._left, self._failures, self._taken = [], 0, 0
        # One for ever may be gone, too: it is asked for as often.
        self._expires_ms = now + 1000 * min(mapping.lifetime_s or self._options.lifetime_s, _LONGEST_S)
        self._due_ms = self._renewal(now)

    def _renewal(self, now):
        left = self._expires_ms - now
        return min(now + max(_SOONEST_MS, left // 2 + self._random_below(max(1, left // 8))),
                   max(self._expires_ms, now + _SOONEST_MS))

    def _refused(self, now, refused):
        protocol = self._asked[0]
        answered = refused.code is not None
        self.error = refused.words
        if self.mapping is not None and not refused.taken and not (refused.final and answered):
            self._due_ms = self._renewal(now)
            return
        self._held = self.mapping = None
        if refused.taken and self._taken < _TRIES:
            self._taken += 1
            self._other_port = _OTHER_PORTS[0] + self._random_below(_OTHER_PORTS[1])
            return
        if answered and refused.words not in self._said:
            self._said.append(refused.words)
        if answered and not refused.final:
            self._options.prefer(protocol)
        self._wait_s = max(self._wait_s, refused.retry_s or 0)
        self._left.remove(protocol)
        if self._left:
            return
        self.error = "; ".join(self._said) or "no answer from the gateway %s" % self._gateway
        wait = max(min(_RETRY_MS << self._failures, _RETRY_MOST_MS), 1000 * min(self._wait_s, _LONGEST_S))
        self._failures = min(self._failures + 1, 7)
        self._other_port, self._taken = None, 0
        self._due_ms = now + wait + self._random_below(wait // 8)

    @property
    def external(self):
        """Where our port is reached from outside, as text, or None; "?" for an address that the gateway does not say.
        """
        mapping = self.mapping
        if mapping is None:
            return None
        return format_endpoint(mapping.external_ip, mapping.external_port) if mapping.external_ip else (
            "?:%d" % mapping.external_port)

    # -- for status -----------------------------------------------------------------------------------

    def row(self, now):
        """What the status says of it. `lifetime_left`: seconds, or None: for ever."""
        mapping = self.mapping
        row = {"port": self._port, "gateway": self._gateway, "protocol": None, "external": self.external,
               "lifetime_left": None, "error": self.error}
        if mapping is not None:
            row["protocol"] = mapping.protocol
            if mapping.lifetime_s:
                row["lifetime_left"] = max(0, (self._expires_ms - now) // 1000)
        return row


def _nat_above(ip):
    """Why a mapping to this external address (text or None) opens nothing to the internet, or ""."""
    if ip is None:
        return ""
    if not is_unicast(ip):
        return "the gateway has no address on the internet now (it says %s)" % ip
    if is_inside(ip):
        return ("the gateway's own address %s is private: another NAT stands above it, and only a mapping there would "
                "help (put the gateway in bridge mode, or ask the provider for a public address)" % ip)
    return ""
