"""The table of sessionrules.py: loaded and kept there; the sessions that the kernel has noted, read on demand; and a
message sent elsewhere.

One table serves all interfaces. Who closes it takes it away from the others, too; they load it again, as after anybody
else who flushed it, and what it had noted comes back with the next handshakes.
"""
import struct

from . import firewall, log, nftmessage, sessionrules
from .addr import format_endpoint, format_ip, parse_endpoint, parse_ip
from .firewall import Firewall, FirewallError

MOST = 4  # sessions of one endpoint: WireGuard itself keeps three
_SETS = (("sessions4", 4), ("sessions6", 16))  # and how long an address is


def read_session(key, size):
    """(endpoint, ours, theirs) of an element's key: address, port and two indices, each in steps of four bytes.
    ValueError."""
    if len(key) != size + 12:
        raise ValueError("a session of %d bytes" % len(key))
    port, _, ours, theirs = struct.unpack_from("!HHII", key, size)
    return format_endpoint(format_ip(key[:size]), port), ours, theirs


class SessionTable:
    """The table for one interface. `ready`: the kernel notes its handshakes."""

    def __init__(self, loop):
        self._loop = loop
        self._firewall = None  # there is none before it is needed
        self._port = None
        self.ready = False

    def want(self, port):
        """Note the handshakes of WireGuard's listen port, or none (None)."""
        if port == self._port:
            return
        self._port = port
        self.ready = False
        if self._firewall is None:
            self._firewall = Firewall(self._loop, self._loaded, lambda: None, table=sessionrules.TABLE)
        self._firewall.want(sessionrules.script(port) if port else "")

    def _loaded(self):
        self.ready = self._port is not None

    def read(self, endpoints):
        """{endpoint: [(ours, theirs), ...]} of those of these endpoints that have any, the newest session first, at
        most 4 of each: the index that the other side uses towards us, and the one we use."""
        found = {}
        if self.ready and endpoints:
            for name, size in _SETS:
                for element in self._try(firewall.elements, (), name, sessionrules.TABLE):
                    endpoint, ours, theirs = read_session(element.key, size)
                    if endpoint in endpoints:
                        found.setdefault(endpoint, []).append((-(element.expires_ms or 0), ours, theirs))
        for endpoint in found:
            found[endpoint] = [row[1:] for row in sorted(found[endpoint])[:MOST]]
        return found

    def divert(self, target, elsewhere, size):
        """Let the next message of `size` bytes that WireGuard sends to the endpoint `target` go to the endpoint
        `elsewhere`, if it comes within 150 ms. False where it will not: the table is not there, the two are of
        different families, or the message before is still waited for."""
        (ip, port), (to_ip, to_port) = parse_endpoint(target), parse_endpoint(elsewhere)
        packed, to_packed = parse_ip(ip), parse_ip(to_ip)
        if not self.ready or len(packed) != len(to_packed):
            return False
        family, length = "4" if len(packed) == 4 else "6", struct.pack("!H", 8 + size)
        rows = (("probes", nftmessage.concatenated(packed, struct.pack("!H", port), length), None),
                ("address", length, to_packed), ("port", length, struct.pack("!H", to_port)))
        changes = []
        for name, key, data in rows:
            changes += nftmessage.add(sessionrules.TABLE, name + family, [nftmessage.element(key, data)])
        return self._try(firewall.change, None, changes) == 0

    @staticmethod
    def _try(call, otherwise, *arguments):
        """What the kernel answers, `otherwise` when it does not: the table may just have been flushed away, and comes
        again."""
        try:
            return call(*arguments)
        except FirewallError as error:
            log.debug("sessions: %s" % error)
            return otherwise

    def close(self, done):
        """Take the table away and call `done()`, within 2 s."""
        self._port, self.ready = None, False
        if self._firewall is None:
            done()
        else:
            self._firewall.close(done)
