"""The relay's table in the kernel (relayrules.py): loaded and kept there; members and routes put in by netlink.

A *route* is (source endpoint, receiver index, target endpoint): a packet of WireGuard's types 2, 3 and 4 that comes
from there with that index goes on to the target. Only this class makes routes, so what it remembers is what the kernel
has. Where the two differ nevertheless, the kernel gets everything anew. Each route in the kernel has its target as
comment, by which the next daemon learns of it: sessions live on while there is none.

An index is the number that its four bytes are in network order.
"""
import struct

from . import firewall, nftmessage, relayrules
from .addr import canonical_endpoint, format_endpoint, format_ip, parse_endpoint, parse_ip
from .firewall import Firewall, FirewallError
from .relayrules import ROUTE_LIFE_MS, TABLE

MOST_ROUTES = 8192  # 2 MB of memory; the kernel's sets have room for what has expired besides
_FAMILIES = ("4", "6")
_MAPS = ("address", "port")
_PIECE = 64  # routes or members in one transaction, where it is not everything
_REQUESTS = 16  # messages of up to 7 KiB in one transaction; a socket takes 160 KiB at once
_PURGE_MS, _RETRY_MS = 10000, 5000
_LINGER_MS = 1000  # until the kernel, too, has seen it expire


class RelayTableError(Exception):
    """The kernel does not take it; the text says why."""


class _Changes:
    """What is to be changed in the table's sets. An element that shall go is made first: deleting one that has just
    expired would refuse the whole transaction."""

    def __init__(self):
        self._gone, self._new = {}, {}

    def drop(self, name, key, data=None):
        """This element shall not be there, unless it is put after this. `data`: what it has if it is in a map now."""
        self._gone.setdefault(name, {}).setdefault(key, data)
        self._new.get(name, {}).pop(key, None)

    def put(self, name, key, data=None, comment="", timeout_ms=None):
        """This element shall be there."""
        self._new.setdefault(name, {})[key] = nftmessage.element(key, data, comment, timeout_ms)

    def requests(self):
        """Messages for one transaction or several."""
        found = []
        for name, gone in self._gone.items():
            found += nftmessage.add(TABLE, name, [nftmessage.element(key, gone[key]) for key in gone])
            found += nftmessage.delete(TABLE, name, [nftmessage.element(key) for key in gone])
        for name, new in self._new.items():
            found += nftmessage.add(TABLE, name, list(new.values()))
        return found


class RelayTable:
    """`changed()` is called when one of these has changed: `ready` (the kernel relays, or marks for the daemon),
    `problem` (why not, or None), `forwarding` (the kernel forwards both families; else the daemon has to)."""

    def __init__(self, loop, changed):
        self._loop, self._changed = loop, changed
        self.ready, self.problem, self.forwarding = False, None, True
        self._lost = set()  # families that the kernel does not forward
        self._asked = ()
        self._wanted = False
        self._adopted = False
        self._routes = {}  # (source, index): (target, when it expires)
        self._members = {}  # endpoint: (own address or None, whether it is a device)
        self._purged_ms = loop.now()
        self._retry = None
        self._firewall = Firewall(loop, self._fill, lambda: None, TABLE, True, self._failed)

    def want(self, port, limit_kbytes):
        """The table shall be there for WireGuard's listen port, each pair limited to so many kB/s in each direction (0:
        unlimited); None: ours shall not be there; one that was never ours is left alone."""
        if (port, limit_kbytes) == self._asked or (port is None and not self._asked):
            return
        self._asked = (port, limit_kbytes)
        self._wanted = port is not None
        if not self._wanted:
            self._routes, self._lost = {}, set()
            self.forwarding = True
            self._cancel_retry()
        self._firewall.want(relayrules.script(port, limit_kbytes) if self._wanted else "")
        if not self._wanted:
            self._tell(False, None)

    def _tell(self, ready, problem):
        if (ready, problem) != (self.ready, self.problem):
            self.ready, self.problem = ready, problem
            self._changed()

    def _failed(self):
        if self._wanted:
            self._tell(False, self._firewall.problem)

    def _cancel_retry(self):
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    # -- everything -------------------------------------------------------------------------------

    def _fill(self):
        """The table is loaded. The first time it may have what an earlier daemon left in it."""
        self._cancel_retry()
        if not self._wanted:
            return
        try:
            if not self._adopted:
                self._adopt()
                self._adopted = True
            self._write_all()
        except FirewallError as error:
            self._fault(str(error))
        else:
            self._tell(True, None)

    def _fault(self, text):
        self._cancel_retry()
        self._retry = self._loop.call_later(_RETRY_MS, self._fill)
        self._tell(False, text)

    def _adopt(self):
        now = self._loop.now()
        for family in _FAMILIES:
            for element in firewall.elements("routes" + family, TABLE):
                size = len(element.key) - 8
                port, index = struct.unpack_from("!HxxI", element.key, size)
                try:
                    source = canonical_endpoint(format_endpoint(format_ip(element.key[:size]), port))
                    target = canonical_endpoint(element.comment)
                except ValueError:  # not by us
                    continue
                if len(self._routes) < MOST_ROUTES:
                    self._routes[source, index] = (target, now + min(element.expires_ms or 0, ROUTE_LIFE_MS))
            for element in firewall.elements("door" + family, TABLE):
                endpoint = _read_endpoint(element.key, 0, len(element.key) - 4)
                if self._members.get(endpoint, (True,))[0] is None:
                    self._members[endpoint] = (format_ip(element.data), self._members[endpoint][1])

    def _write_all(self):
        """The kernel gets all that we know, and loses what we do not. FirewallError."""
        requests = [nftmessage.flush(TABLE, name + family) for family in _FAMILIES
                    for name in ("members", "devices", "door", "routes") + _MAPS] + [nftmessage.flush(TABLE, "indices")]
        most = len(requests) + _REQUESTS
        for some in self._everything():
            if len(requests) + len(some) > most:
                self._change(requests)
                requests, most = [], _REQUESTS
            requests += some
        self._change(requests)

    def _everything(self):
        """Lists of requests, one after the other: together they would take as much memory again."""
        members = list(self._members)
        for i in range(0, len(members), _PIECE):
            changes = _Changes()
            for endpoint in members[i:i + _PIECE]:
                _put_member(changes, endpoint, self._members[endpoint])
            yield changes.requests()
        now, routes = self._loop.now(), list(self._routes)
        for i in range(0, len(routes), _PIECE):
            changes = _Changes()
            for source, index in routes[i:i + _PIECE]:
                target, expires_ms = self._routes[source, index]
                if expires_ms > now:
                    self._put_route(changes, source, index, target, expires_ms - now)
            yield changes.requests()

    @staticmethod
    def _change(requests):
        error = firewall.change(requests)
        if error:
            raise FirewallError("the table inet %s cannot be changed (errno %d)" % (TABLE, error))

    def _commit(self, changes):
        """What has been changed in our memory is changed in the kernel, too. RelayTableError."""
        try:
            if firewall.change(changes.requests()):
                self._write_all()
        except FirewallError as error:
            self._fault(str(error))
            raise RelayTableError(str(error))

    # -- members ----------------------------------------------------------------------------------

    def set_members(self, members, devices=()):
        """These endpoints are members' from now on, all others are not. {endpoint: the server's own address (text)
        under which that member knows it, None where that is unknown: then nothing is relayed to there}. `devices`:
        those of them that are remote devices', who call each client that is away every 5 s. RelayTableError."""
        before = self._members
        self._members = dict([(endpoint, (members[endpoint], endpoint in devices)) for endpoint in members])
        if not self.ready:
            return
        gone = [endpoint for endpoint in before if self._members.get(endpoint) != before[endpoint]]
        new = [endpoint for endpoint in self._members if before.get(endpoint) != self._members[endpoint]]
        for i in range(0, max(len(gone), len(new)), _PIECE):
            changes = _Changes()
            for endpoint in gone[i:i + _PIECE]:
                for name, key, data in _member_elements(endpoint, before[endpoint]):
                    changes.drop(name, key, data)
            for endpoint in new[i:i + _PIECE]:
                _put_member(changes, endpoint, self._members[endpoint])
            self._commit(changes)

    def door(self, endpoint):
        """The server's own address for this member, as told or as an earlier daemon left it; None."""
        return self._members.get(endpoint, (None, False))[0]

    # -- routes -----------------------------------------------------------------------------------

    def add(self, routes):
        """These (source, index, target) are there from now on, for 240 s. RelayTableError."""
        self.replace((), routes)

    def replace(self, delete=(), add=()):
        """Some (source, index) go and some (source, index, target) come: in one transaction, unless they are more than
        64. RelayTableError: more than fit, or the kernel's."""
        if not self.ready:
            raise RelayTableError(self.problem or "the table is not loaded")
        now = self._loop.now()
        delete = [(source, index) for source, index in delete]
        self._purge(now, len(add) - len(set([name for name in delete if name in self._routes])))
        come = set([(source, index) for source, index, _ in add])
        delete = [name for name in delete if name not in come]  # what comes again is put in its place below
        for i in range(0, max(len(delete), len(add)), _PIECE):
            changes = _Changes()
            for source, index in delete[i:i + _PIECE]:
                self._drop_route(changes, source, index)
            for source, index, target in add[i:i + _PIECE]:
                self._drop_route(changes, source, index)
                self._routes[source, index] = (target, now + ROUTE_LIFE_MS)
                self._put_route(changes, source, index, target)
            self._commit(changes)

    def _drop_route(self, changes, source, index):
        """A route that we know. (A transaction that deletes takes the kernel some 10 ms, one that does not 0.1.)"""
        if (source, index) not in self._routes:
            return
        target = self._routes.pop((source, index))[0]
        family, key = _route_key(source, index)
        changes.drop("routes" + family, key)
        changes.drop("indices", key[-4:])
        if family not in self._lost and _same_family(source, target):
            for name, data in zip(_MAPS, _target_data(target)):
                changes.drop(name + family, key, data)

    def _put_route(self, changes, source, index, target, timeout_ms=None):
        family, key = _route_key(source, index)
        changes.put("routes" + family, key, None, target, timeout_ms)
        changes.put("indices", key[-4:], None, "", timeout_ms)
        if family not in self._lost and _same_family(source, target):
            for name, data in zip(_MAPS, _target_data(target)):
                changes.put(name + family, key, data, "", timeout_ms)

    def _purge(self, now, more):
        if now - self._purged_ms >= _PURGE_MS or len(self._routes) + more > MOST_ROUTES:
            self._purged_ms = now
            for key in [key for key in self._routes if self._routes[key][1] <= now - _LINGER_MS]:
                del self._routes[key]
        if len(self._routes) + more > MOST_ROUTES:
            raise RelayTableError("there are %d routes already" % len(self._routes))

    def target(self, source, index):
        """The endpoint that packets from there with this receiver index go to, or None."""
        target, expires_ms = self._routes.get((source, index), (None, 0))
        return target if expires_ms > self._loop.now() else None

    def routes(self):
        """[(source, index, target)] of all routes."""
        now = self._loop.now()
        return [key + (route[0],) for key, route in self._routes.items() if route[1] > now]

    def lose_forwarding(self, ipv6):
        """The kernel does not forward this family: from now on it gives every packet of it to the daemon."""
        self._forward(self._lost | set([_family(ipv6)]))

    def regain_forwarding(self, ipv6):
        """The kernel may try again."""
        self._forward(self._lost - set([_family(ipv6)]))

    def _forward(self, lost):
        if lost == self._lost:
            return
        self._lost, self.forwarding = lost, not lost
        if self.ready:
            try:
                self._write_all()
            except FirewallError as error:
                self._fault(str(error))
        self._changed()

    # -- what went through the kernel -------------------------------------------------------------

    def counters(self, ipv6):
        """(packets of this family that the kernel has sent on another way, those of them that left).
        RelayTableError."""
        try:
            return tuple([firewall.counter(name + _family(ipv6), TABLE)[0] for name in ("in", "out")])
        except FirewallError as error:
            raise RelayTableError(str(error))

    def pairs(self):
        """[(source, target, packets, bytes)] of the last hour, the kernel's alone. RelayTableError."""
        found = []
        try:
            for family, size in zip(_FAMILIES, (4, 16)):
                for element in firewall.elements("pairs" + family, TABLE):
                    found.append((_read_endpoint(element.key, 0, size), _read_endpoint(element.key, size + 4, size),
                                  element.packets, element.bytes))
        except FirewallError as error:
            raise RelayTableError(str(error))
        return found

    def close(self, done):
        """Take the table away and call `done()`, within 2 s."""
        self._wanted = self.ready = False
        self._firewall.close(done)


def _family(ipv6):
    return "6" if ipv6 else "4"


def _endpoint_key(endpoint):
    """("4" or "6", the key in sets of endpoints)"""
    ip, port = parse_endpoint(endpoint)
    packed = parse_ip(ip)
    return "4" if len(packed) == 4 else "6", nftmessage.concatenated(packed, struct.pack("!H", port))


def _route_key(source, index):
    family, key = _endpoint_key(source)
    return family, key + struct.pack("!I", index)


def _read_endpoint(key, at, size):
    return format_endpoint(format_ip(key[at:at + size]), struct.unpack_from("!H", key, at + size)[0])


def _target_data(target):
    """(address, port)"""
    ip, port = parse_endpoint(target)
    return parse_ip(ip), struct.pack("!H", port)


def _same_family(one, other):
    return (one[0] == "[") == (other[0] == "[")


def _member_elements(endpoint, member):
    """(set, key, data) of each element that a member has."""
    own_ip, is_device = member
    family, key = _endpoint_key(endpoint)
    found = [("members" + family, key, None)]
    if is_device:
        found.append(("devices" + family, key, None))
    if own_ip is not None and (":" in own_ip) == (family == "6"):
        found.append(("door" + family, key, parse_ip(own_ip)))
    return found


def _put_member(changes, endpoint, member):
    for name, key, data in _member_elements(endpoint, member):
        changes.put(name, key, data)
