"""The relay of a public server: WireGuard's packets go on from one of its peers to another, and no key is needed.

A *route* says where a packet goes that comes from this endpoint with this receiver index. The kernel follows the routes
(relaytable.py); what makes them comes here. An initiation names its sender's index and, by mac1, its receiver: the
answer will bear that index, so there is a route back, and then the initiation goes on. The answer names the other
index, and makes the route there. A device also tells the sessions that it has made without us.

Nothing of this is authenticated, and nothing has to be: who lies gets a packet dropped by WireGuard at its end, and a
bounded number of routes between himself and those he may talk to. Where the kernel does not forward, each packet goes
through here.
"""
from . import log, wgpacket
from .addr import parse_endpoint
from .forwarding import Forwarding
from .links import source_of
from .marked import Marked
from .members import Lane, Members
from .rawudp import RawUdp
from .receivers import Receivers
from .relayrules import HINT, INITIATION, USERSPACE
from .relaytable import RelayTable, RelayTableError

ROUTES_MOST = 8  # in one direction of a pair: a session needs one, and three of them can be alive
SESSIONS_MOST = 4
CALL_EVERY_MS, HINT_EVERY_MS = 1000, 5000
CHECK_MS = 2000
_SLICE_MS, _SLICE_MOST, _PAUSE_MS = 5, 64, 20
_EARS_RETRY_MS = 60000


def _own_ip(ip):
    """The source of the route to an address, None where there is none."""
    try:
        return source_of(ip)
    except OSError:
        return None


def _is_session(row):
    return isinstance(row, list) and [type(index) is int and 0 <= index < 1 << 32 for index in row] == [True, True]


class Relay:
    """The relay of one interface. `view` (a Publisher) offers `config`, `values`, `registry`, `listen_port`,
    `public_key` (text or None), `serves(device, key)`; it is told `relay_changed()` when `active` is another one,
    `hinted(key, endpoint)` when a member's packets come from elsewhere, and `addressed(endpoint)` when an initiation
    from a member's endpoint is for the server itself."""

    def __init__(self, loop, view):
        self._loop = loop
        self._view = view
        self.active = False  # clients may rely on it
        self._members = Members()
        self._receivers = Receivers()
        self._forwarding = (Forwarding(False), Forwarding(True))
        self._table = RelayTable(loop, self._table_changed)
        self._raw = RawUdp()
        self._port = None  # that the sockets stand on
        self._ears, self._ears_problem, self._ears_ms = [], None, 0
        self._config = None
        self._lanes = {}  # (source key, target key): Lane
        self._ways = {}  # (source, target) endpoints: (Lane, own ip, ip, port); until anything changes
        self._news = False  # a door that the table does not know yet
        self._check_timer = self._slice_timer = None

    def settled(self):
        """Whether it is known if there is a relay: not while the table is being loaded."""
        return not self._ears or self._table.ready or self._table.problem is not None

    def takes(self, endpoint):
        """Whether initiations from there come through here."""
        return self.active and self._receivers.own is not None and bool(self._members.at(endpoint))

    # -- what the server knows ------------------------------------------------------------------------

    def update(self):
        """Take what the view knows now. Called after every look that changed something, and after a reload."""
        view = self._view
        configured = view.config is not self._config
        if configured:
            self._config = view.config
            for forwarding in self._forwarding:
                forwarding.again()
        self._receivers.own = view.public_key
        news = self._members.update(view.config, view.registry, view.serves)
        if news is not None:
            self._receivers.keep(self._members.by_key)
            for key in news[0]:
                self._receivers.changed(key)
            self._follow(news[1], configured)
        self._stand()

    def _follow(self, left, configured):
        """Members have moved, come or gone (left: {key: endpoint}): their routes go with them, all at once."""
        delete, add = [], []
        for name in list(self._lanes):
            lane = self._lanes[name]
            stays = lane.source not in left and lane.target not in left
            if stays and not configured:
                continue
            source, target = self._members.by_key.get(lane.source), self._members.by_key.get(lane.target)
            allowed = source is not None and target is not None and self._members.may(lane.source, lane.target)
            if stays and allowed:
                continue
            before = left.get(lane.source) or source.endpoint
            lane.indices = self._alive(lane, before)
            delete += [(before, index) for index in lane.indices]
            if allowed:
                add += [(source.endpoint, index, target.endpoint) for index in lane.indices]
            else:
                del self._lanes[name]
        for key in left:
            if self._is_busy(key):
                self._members.by_key[key].find_door(_own_ip)
        self._tell_members()
        if delete:
            self._change(delete, add)

    def _is_busy(self, key):
        return bool([name for name in self._lanes if key in name])

    def _alive(self, lane, endpoint):
        return [index for index in lane.indices if self._table.target(endpoint, index) is not None]

    # -- table and sockets ----------------------------------------------------------------------------

    def _stand(self):
        """Have the table and the sockets that are wanted now."""
        values, port = self._view.values, self._view.listen_port
        if port is None:  # nobody knows yet: what an earlier run has left goes on
            return
        if not values.relay or not [peer for peer in self._config.peers.values() if peer.device]:
            port = None
        if port != self._port:
            self._close_ears()
            self._port, self._ears_problem, self._ears_ms = port, None, 0
        if port and not self._ears and self._loop.now() >= self._ears_ms:
            self._open_ears()
        self._table.want(port if self._ears else None, values.relay_limit * 125000 // 1024)
        if self._ears and self._check_timer is None:
            self._check_timer = self._loop.call_later(CHECK_MS, self._check)
        self._table_changed()

    def _open_ears(self):
        try:
            # Apart, so that a flood of data does not keep handshakes away.
            self._ears.append(Marked(self._loop, self._port, (INITIATION, HINT), self._heard))
            self._ears.append(Marked(self._loop, self._port, (USERSPACE,), self._pass_on))
            self._ears_problem = None
        except OSError as error:
            self._close_ears()
            self._ears_ms = self._loop.now() + _EARS_RETRY_MS
            self._ears_problem = "no raw sockets (errno %d)" % error.args[0]
            log.warning("relay on %s: %s" % (self._view.values.interface, self._ears_problem))

    def _close_ears(self):
        for ear in self._ears:
            ear.close()
        self._ears = []

    def _table_changed(self):
        active = bool(self._ears) and self._table.ready
        if active == self.active:
            return
        self.active = active
        if active:
            self._adopt()
        log.info("relay on %s: %s" % (self._view.values.interface, "on" if active else "off"))
        self._view.relay_changed()

    def _adopt(self):
        """What the table has from an earlier run is ours, as far as it is still allowed."""
        for lane in self._lanes.values():
            lane.indices = []
        strange = []
        for source, index, target in self._table.routes():
            names = self._members.between(source, target)
            if names:
                self._lane(names[0]).indices.append(index)
            else:
                strange.append((source, index))
        for member in self._members.by_key.values():
            door = self._table.door(member.endpoint)
            if door and member.door is None and not member.is_ipv6():  # where it knocked in an earlier life
                member.knock(door)
            if self._is_busy(member.key):
                member.find_door(_own_ip)
        self._tell_members()
        if strange:
            self._change(strange, [])

    def _try(self, call, otherwise, *arguments):
        """What the table answers, `otherwise` when it cannot (it takes care of itself)."""
        try:
            return call(*arguments)
        except RelayTableError as error:
            log.debug("relay: %s" % error)
            return otherwise

    def _change(self, delete, add):
        """One transaction; whether it was made."""
        return self._try(lambda: self._table.replace(delete, add) is None, False)

    def _tell_members(self):
        self._ways, self._news = {}, False
        self._try(self._table.set_members, None, self._members.doors(), self._members.device_endpoints())

    # -- routes ---------------------------------------------------------------------------------------

    def _lane(self, name):
        if name not in self._lanes:
            self._lanes[name] = Lane(*name)
        return self._lanes[name]

    def _add(self, rows, told=False):
        """Make routes, ((source key, target key), index), where they are not, all of them or none; the oldest of a lane
        make room. Gives "" or what is wrong: an index that leads elsewhere is left alone. The kernel takes 100 times as
        long for what goes as for what comes, so a device that tells must not make it go on and on."""
        delete, add, indices, now = [], [], {}, self._loop.now()
        for name, index in rows:
            source, target = self._members.by_key[name[0]], self._members.by_key[name[1]]
            lane, there = self._lane(name), self._table.target(source.endpoint, index)
            if there is not None and (there != target.endpoint or index not in lane.indices):
                return "the relay cannot take this session"
            alive = indices.setdefault(name, self._alive(lane, source.endpoint))
            if index not in alive:
                alive.append(index)
                add.append((source.endpoint, index, target.endpoint))
        if not add:
            return ""
        for name in [name for name in indices if len(indices[name]) > ROUTES_MOST]:
            if told and not self._lanes[name].may_make_room(now):
                return "too many sessions within a second"
            source = self._members.by_key[name[0]].endpoint
            delete += [(source, old) for old in indices[name][:-ROUTES_MOST]]
            indices[name] = indices[name][-ROUTES_MOST:]
        for key in set([key for name in indices for key in name]):
            self._news = self._members.by_key[key].find_door(_own_ip) or self._news
        if self._news:
            self._tell_members()
        if not self._change(delete, add):
            return "the relay cannot take this session"
        for name in indices:
            self._lanes[name].indices = indices[name]
        return ""

    def session(self, device, client, sessions):
        """A device says which sessions it has with its client: [[index in packets to it, index in those to the client],
        ...], the newest first. Gives "" or what is wrong."""
        if not self.active:
            return "there is no relay"
        if not isinstance(sessions, list) or len(sessions) > SESSIONS_MOST:
            return "sessions must be a list of at most %d" % SESSIONS_MOST
        if [row for row in sessions if not _is_session(row)]:
            return "a session is two whole numbers from 0 to 4294967295"
        if device not in self._members.devices or not self._members.may(device, client):
            return "this is no client of yours"
        for key, name in ((device, "you are"), (client, "the client is")):
            if key not in self._members.by_key:
                return "nobody knows where %s" % name
        rows = []
        for ours, theirs in reversed(sessions):
            rows += [((client, device), ours), ((device, client), theirs)]
        return self._add(rows, True)

    # -- packets --------------------------------------------------------------------------------------

    def _heard(self, source, own_ip, message):
        """An initiation from a member's endpoint, or a packet from nowhere with an index that is known."""
        what = wgpacket.kind(message)
        if what == wgpacket.INITIATION:
            self._initiation(source, own_ip, message)
        elif what == wgpacket.TRANSPORT:
            self._hint(source, wgpacket.receiver(message))

    def _initiation(self, source, own_ip, message):
        keys = self._members.at(source)
        if not keys or not self.active:
            return
        search = self._receivers.begin(
            keys[-1], message, lambda other: bool([key for key in keys if self._members.may(key, other)]))
        search.own_ip = own_ip
        if search.over:
            self._call(search)
        elif self._slice_timer is None:
            self._slice_timer = self._loop.call_later(_PAUSE_MS, self._search_on)

    def _search_on(self):
        """A little of what is still to be hashed."""
        begin, count = self._loop.now(), 0
        while self._receivers.pending() and count < _SLICE_MOST and self._loop.now() - begin < _SLICE_MS:
            search = self._receivers.go_on()
            count += 1
            if search is not None:
                self._call(search)
        self._slice_timer = self._loop.call_later(_PAUSE_MS, self._search_on) if self._receivers.pending() else None

    def _call(self, search):
        """Send an initiation on to whom it is for. One that is for somebody tells where its sender has the server, too:
        what anybody can make up, without a public key, tells nothing."""
        caller, called = self._members.by_key.get(search.sender), self._members.by_key.get(search.found)
        if caller is None or search.found is None:
            return
        for key in self._members.at(caller.endpoint) if search.own_ip is not None else ():
            self._news = self._members.by_key[key].knock(search.own_ip) or self._news
        if search.found == self._receivers.own:
            self._view.addressed(caller.endpoint)
        if called is None:
            return
        names = [name for name in self._members.between(caller.endpoint, called.endpoint) if name[1] == search.found]
        if not names:
            return
        lane, now = self._lane(names[0]), self._loop.now()
        if lane.called_ms is not None and now - lane.called_ms < CALL_EVERY_MS:
            return
        lane.called_ms = now
        if not self._add([((lane.target, lane.source), wgpacket.sender(search.message))]):
            lane.initiations += 1
            self._send(caller.endpoint, called.endpoint, search.message)

    def _pass_on(self, source, _, message):
        """A packet of a route that the kernel leaves to us: every response, and all where it does not forward."""
        what = wgpacket.kind(message)
        if what is None or what == wgpacket.INITIATION or not self.active:
            return
        target = self._table.target(source, wgpacket.receiver(message))
        if target is None or (what == wgpacket.RESPONSE and not self._answer(source, target, message)):
            return
        self._send(source, target, message)

    def _answer(self, source, target, message):
        """The answer to an initiation tells the index of the other direction; whether it may go on."""
        for name in self._members.between(source, target):
            if name in self._lanes and wgpacket.receiver(message) in self._lanes[name].indices:
                return not self._add([((name[1], name[0]), wgpacket.sender(message))])
        return False

    def _send(self, source, target, message):
        way = self._ways.get((source, target))
        if way is None:
            names = self._members.between(source, target)
            if not names:
                return
            way = (self._lane(names[0]), self._members.by_key[names[0][1]].door) + parse_endpoint(target)
            self._ways[source, target] = way
        lane, own_ip, ip, port = way
        rate = self._view.values.relay_limit * 125000
        if own_ip is None or (rate and not lane.take(self._loop.now(), len(message), rate)):
            return
        try:
            self._raw.send(own_ip, self._port, ip, port, message)
        except OSError as error:
            log.debug("relay: nothing goes to %s (errno %d)" % (target, error.args[0]))
            return
        lane.packets += 1
        lane.bytes += len(message)

    def _hint(self, source, index):
        """Somebody sends from an unknown address what a member would send."""
        if self._members.at(source) or not self.active:
            return
        members = [self._members.by_key[lane.source] for lane in self._lanes.values() if index in lane.indices]
        members = [member for member in members if self._table.target(member.endpoint, index) is not None]
        if len(members) != 1:
            return
        member, now = members[0], self._loop.now()
        entry = self._view.registry.entries.get(member.key)
        if entry is None or entry.endpoint != member.endpoint:  # it is known to have moved
            return
        if member.hinted_ms is None or now - member.hinted_ms >= HINT_EVERY_MS:
            member.hinted_ms = now
            self._view.hinted(member.key, source)

    # -- whether the kernel forwards ------------------------------------------------------------------

    def _check(self):
        self._check_timer = self._loop.call_later(CHECK_MS, self._check) if self._ears else None
        if not self._table.ready:
            return
        members = self._members.by_key
        busy = set([members[lane.source].is_ipv6() for lane in self._lanes.values()
                    if members[lane.source].is_ipv6() == members[lane.target].is_ipv6()])
        for ipv6 in busy:
            forwarding = self._forwarding[ipv6]
            before, problem = forwarding.problem, forwarding.check(
                self._loop.now(), self._try(self._table.counters, None, ipv6))
            if not problem:
                self._table.regain_forwarding(ipv6)
                continue
            if not before:
                log.warning("relay on %s: %s, so each such packet goes through this program" % (
                    self._view.values.interface, problem))
            self._table.lose_forwarding(ipv6)

    # -- for people -----------------------------------------------------------------------------------

    def status(self):
        """What `wgp2p status --json` says of the relay."""
        lanes = list(self._lanes.values())
        pairs = self._members.pairs(lanes, self._try(self._table.pairs, []) if self.active else [])
        routes = sum([len(self._alive(lane, self._members.by_key[lane.source].endpoint)) for lane in lanes])
        state = "off" if not self.active else "kernel" if self._table.forwarding else "userspace"
        problems = [self._ears_problem, self._table.problem]
        if state == "userspace":
            problems = [forwarding.problem for forwarding in self._forwarding]
        return {"state": state, "problem": ", ".join([problem for problem in problems if problem]),
                "pairs": pairs, "routes": routes}

    def close(self, done):
        """Relay nothing any more; `done()` when the table is gone, within 2 s."""
        self._close_ears()
        self._raw.close()
        for timer in (self._check_timer, self._slice_timer):
            if timer is not None:
                timer.cancel()
        self._table.close(done)
