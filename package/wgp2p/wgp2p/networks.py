"""What was learned of the NATs of the networks that clients visit: which port a client had towards a publisher, and
which towards us. Next time there it is found sooner (portplan.py).

A carrier gives another address the next day, but its NAT is of the same kind: so what is known of one address is good
for its neighbours (/16), too. Where the two ports were the same there is nothing to find; that is noted as well, for
this address alone.
"""
from .addr import parse_endpoint
from .compat import b64decode, json_loads

EACH, MOST = 8, 256  # networks of one client, and of all
_BLOCK = 2048  # ports farther apart are of different visits' blocks


class Known:
    """One network: the ports that a client had there (`low` to `high`), and how far the one towards us was from the one
    towards the publisher (`offset`) the last time."""

    def __init__(self, low, high, offset):
        self.low, self.high, self.offset = low, high, offset

    @property
    def symmetric(self):
        """Whether the NAT gave another port towards us."""
        return self.offset != 0

    def __eq__(self, other):
        return (isinstance(other, Known)
                and (self.low, self.high, self.offset) == (other.low, other.high, other.offset))


class Networks:
    """The networks of all clients; endpoints are canonical text, of IPv4."""

    def __init__(self):
        self._rows = []  # (key, address, Known), what was learned last at the end

    def learn(self, key, seen, found):
        """A client that a publisher sees at `seen` is reached at `found`. Gives whether that is news."""
        ip, port = parse_endpoint(seen)
        other, reached = parse_endpoint(found)
        if ip != other or ":" in ip:
            return False
        low, high = min(port, reached), max(port, reached)
        before = ([known for _, address, known in self._of(key) if address == ip] or [None])[0]
        if before is not None and max(high, before.high) - min(low, before.low) < _BLOCK:
            low, high = min(low, before.low), max(high, before.high)
        known = Known(low, high, reached - port)
        self._put(key, ip, known)
        return known != before

    def recall(self, key, endpoint):
        """What is Known of the network in which a client is seen at `endpoint`, or None."""
        ip = endpoint.rpartition(":")[0]
        neighbours = ".".join(ip.split(".")[:2]) + "."
        rows = self._of(key)
        found = [known for _, address, known in rows if address == ip] or [
            known for _, address, known in rows if known.symmetric and address.startswith(neighbours)]
        return found[-1] if found else None

    def _of(self, key):
        return [row for row in self._rows if row[0] == key]

    def _put(self, key, ip, known):
        self._rows = [row for row in self._rows if row[:2] != (key, ip)][1 - MOST:]
        mine = self._of(key)
        if len(mine) == EACH:
            self._rows.remove(mine[0])
        self._rows.append((key, ip, known))

    def dump(self):
        """All of it as text for `load`."""
        return "[%s]\n" % ",\n".join(['["%s","%s",%d,%d,%d]' % (key, ip, known.low, known.high, known.offset)
                                      for key, ip, known in self._rows])

    def load(self, text):
        """Take what `dump` has written; whatever else the text has is ignored."""
        try:
            rows = json_loads(text)
        except ValueError:
            return
        for row in rows if isinstance(rows, list) else ():
            try:
                key, ip, low, high, offset = row
                ip, low = parse_endpoint("%s:%s" % (ip, low))
                _, high = parse_endpoint("%s:%s" % (ip, high))
                if len(b64decode(key)) == 32 and isinstance(offset, int) and abs(offset) <= high - low:
                    self._put(key, ip, Known(low, high, offset))
            except (ValueError, TypeError, AttributeError):
                pass
