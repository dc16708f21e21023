"""Whether a port is reached from outside: publishers are asked to send to it, and what arrives here is looked at.

A publisher sends from a port that nothing of ours ever went to (POST /api/probe, docs/protocol.md), so only a mapping,
or a NAT that lets everybody in, brings the datagram here. The socket is a raw one beside WireGuard's: it gets what our
own firewall has let in, and nothing is taken away from WireGuard, which drops what it does not know.
"""
import binascii

from .addr import parse_endpoint
from .client import words
from .compat import random_bytes
from .ears import UDP_HEADER, Ears

MAGIC, NONCE_SIZE = b"wgp?", 16  # the datagram is these two; no message of WireGuard's begins so
OPEN, OPEN_HERE, FILTERED, REWRITTEN, UNKNOWN = "open", "open to this server", "filtered", "rewritten", "unknown"
_SIZE = UDP_HEADER + len(MAGIC) + NONCE_SIZE
_TRIES, _WAIT_MS = 3, 1000
_ANNOUNCED_S = 60
_MOST_MS = 30000  # who has not answered until then never will: its Link is closed


class Probes(Ears):
    """Calls `heard(endpoint, datagram)` for every probe that comes to `port`, UDP's header included. OSError."""

    def __init__(self, loop, port, heard):
        Ears.__init__(self, loop, port, (_SIZE, int.from_bytes(MAGIC, "big")), _SIZE, heard)


class _Way:
    """What one publisher sends, and what came of it."""

    def __init__(self, link):
        self.link = link
        self.nonce = random_bytes(NONCE_SIZE)
        self.seen_at = parse_endpoint(link.you)[1] if link.you else None
        self.tries = 0
        self.problem = ""  # why nothing was sent
        self.came_from = None  # an address


class Outside:
    """Looks at one external port after another; `port` is the one that WireGuard listens on here."""

    def __init__(self, loop, port):
        self._loop = loop
        self._port = port
        self._probes = None
        self._ways, self._waiting = [], []
        self._external = self._done = self._timer = None

    def verify(self, links, external, done, ip=None):
        """Have each of these publishers (link.Link) try the port `external` of our address; to one that sees us at
        another port it is announced for a minute, in place of what was announced before. `ip` (text): the address that
        is mapped, if it is known; who sees us at another is not asked, since that port there is a neighbour's. At most
        30 s later `done(verdict, problem)`: OPEN where datagrams came from the addresses of two servers, OPEN_HERE from
        one. None came: FILTERED where our own packets are seen to leave by that very port, REWRITTEN where by another.
        UNKNOWN with a problem in words: none was sent."""
        problem = ""
        there = [link for link in links if ip is None or (link.you and parse_endpoint(link.you)[0] == ip)]
        if self._probes is not None:
            problem = "another port is being looked at"
        elif not links:
            problem = "no publisher is connected"
        elif not there:
            problem = ("no publisher sees this machine at %s: another NAT stands above the gateway, or the tunnel goes "
                       "another way" % ip)
        else:
            try:
                self._probes = Probes(self._loop, self._port, self._heard)
            except OSError as error:
                problem = "nothing can be heard here: " + words(error)
        if problem:
            self._loop.call_later(0, done, UNKNOWN, problem)
            return
        self._external, self._done = external, done
        self._timer = self._loop.call_later(_MOST_MS, self._too_late)
        self._ways = [_Way(link) for link in there]
        self._waiting = list(self._ways)
        for way in self._ways:
            if way.seen_at == external:
                self._ask(way)
            else:
                way.link.announce(external, _ANNOUNCED_S, lambda problem, way=way: self._announced(way, problem))

    def _announced(self, way, problem):
        if problem:
            self._over(way, problem)
        else:
            self._ask(way)

    def _ask(self, way):
        if way not in self._waiting:
            return
        if way.tries == _TRIES:
            self._over(way)
            return
        way.tries += 1
        way.link.probe(self._external, binascii.hexlify(way.nonce).decode(), lambda problem: self._sent(way, problem))

    def _sent(self, way, problem):
        if problem and way.tries == 1:  # later ones were sent to be sure
            self._over(way, problem)
        else:
            self._loop.call_later(_WAIT_MS, self._ask, way)

    def _heard(self, endpoint, datagram):
        for way in list(self._waiting):
            if datagram[UDP_HEADER:] == MAGIC + way.nonce:
                way.came_from = parse_endpoint(endpoint)[0]
                self._over(way)

    def _over(self, way, problem=""):
        if way not in self._waiting:
            return
        way.problem = problem
        self._waiting.remove(way)
        if not self._waiting:
            verdict, done = _verdict(self._ways, self._external), self._done
            self.close()
            done(*verdict)

    def _too_late(self):
        for way in list(self._waiting):
            self._over(way, "" if way.tries > 1 else "it does not answer")

    def close(self):
        """Look no more; a `done` that waits is not called."""
        if self._probes is not None:
            self._probes.close()
            self._timer.cancel()
        self._probes = self._external = self._done = self._timer = None
        self._ways, self._waiting = [], []


def _verdict(ways, external):
    """(verdict, problem)"""
    came_from = set([way.came_from for way in ways if way.came_from])
    if came_from:
        return (OPEN if len(came_from) > 1 else OPEN_HERE), ""
    sent = [way for way in ways if not way.problem]
    if not sent:
        return UNKNOWN, ways[0].problem
    return (FILTERED if [way for way in sent if way.seen_at == external] else REWRITTEN), ""
