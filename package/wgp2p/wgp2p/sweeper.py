"""Finds clients that are behind a symmetric NAT: opens our own NAT towards the ports that such a client may have.

A client's WireGuard has one socket, so towards us it has one port, that its NAT has chosen from a few. Once we have
sent a packet there, the client's next one gets in. A beacon then names the port (upgrader.py tries it), or WireGuard
follows the client by itself; nothing is set here.

Which ports, says portplan.py; when, sweep.py, for all clients of all interfaces together; networks.py remembers what
was found. Here it is decided for whom: for clients that are online and not direct, at a public IPv4 address at which a
publisher's WireGuard authenticated them. And whether it can help: not where our own port is open for everybody, which
needs nothing, and not behind a NAT that gives each destination another port of ours, where the client could not reply.
"""
from . import log
from .addr import is_inside, parse_endpoint
from .files import read_text, write_private
from .firewall import FirewallError, has_table
from .links import addresses
from .networks import Networks
from .openers import Openers
from .path import DIRECT, RELAY, TRYING
from .sessionrules import TABLE
from .sweep import Limits, Sweep, Target
from .tracking import room

CAUTIOUS = 128  # ports that are tried where our own NAT is not known to be the same towards everybody
_OPEN_MS = 3600000  # how long it holds that somebody came to us uninvited
_WENT_MS, _WENT_MOST = 600000, 1024  # NATs keep entries of 2 to 5 minutes and more (RFC 4787, 4.3)
_LOOK_MS = 10000  # how old what is known of firewall and addresses may be
_SAVE_MS = 5000
_TELL_MS = 2000  # a client's words may change as often as a publisher talks
_FULL_MS = 1000  # the own connection table takes no more: how long to wait
_SIZE_LIMIT = 1 << 16
_SYMMETRIC_HERE = "our own NAT is symmetric (%s): forward a port, or have one mapped"


def our_nat(port, seen_at):
    """How many ports may be tried, None for any number, given our listen port and where publishers see us. Each port is
    a packet from us; a NAT that gives each another port of ours would have none left soon, and no use of it."""
    ports = _ports(seen_at)
    if len(set(ports)) > 1 or not ports:
        return 0
    return None if ports[0] == port or len(ports) > 1 else CAUTIOUS


def _ports(seen_at):
    return [parse_endpoint(endpoint)[1] for endpoint in seen_at if not endpoint.startswith("[")]


class _Side:
    """What an interface's Subscriber has said: the listen port, where publishers see it, and the clients; and until
    when it holds that the port is open for everybody."""

    def __init__(self, port, seen_at, rows, open_until):
        self.port, self.seen_at, self.rows, self.open_until = port, seen_at, rows, open_until
        self.addresses = [parse_endpoint(endpoint)[0] for endpoint in seen_at]


class Sweeper:
    """`main`: the Values of the section wgp2p; `mapped(interface)` says whether a mapping brings everybody to the port
    of this interface."""

    def __init__(self, loop, main, mapped):
        self._loop = loop
        self._mapped = mapped
        self._sides = {}  # interface: _Side
        self._went = {}  # endpoint, or address of which many ports were opened: when packets of ours went there last
        self._looked_ms, self._is_public, self._lets_in, self._has_table = None, False, False, False
        self._unrelayed = False  # of some target, so the table may not know its interface's port
        self._networks, self._save_timer = Networks(), None
        self._openers, self._timer = Openers(loop), None
        self._told = {}  # (interface, key): the words that the log has, and since when
        self._main, self._sweep = main, Sweep(self._limits(main))
        self._path = main.state_dir + "/networks.json"
        self._load()

    @staticmethod
    def _limits(main):
        return Limits(main.sweep, main.sweep_rate, main.sweep_entries)

    def configure(self, main):
        """Take a new configuration."""
        self._main = main
        self._looked_ms = None
        self._sweep.configure(self._loop.now(), self._limits(main))
        self._schedule()

    # -- what Subscribers know --------------------------------------------------------------------

    def update(self, interface, port, seen_at, rows):
        """After each reading of a Subscriber: WireGuard's listen port, the endpoints at which publishers see us, and
        {key: upgrader.Row} of its clients."""
        now = self._loop.now()
        before = self._sides.get(interface, _Side(port, seen_at, {}, now))
        same = (before.port, before.seen_at) == (port, seen_at)
        self._sides[interface] = _Side(port, seen_at, rows, before.open_until if same else now)
        for key in rows:
            row, old = rows[key], before.rows.get(key)
            for place in (row.endpoint, row.seen, row.relay):
                self._note(now, place)
            if row.state == DIRECT and old is not None and old.state in (RELAY, TRYING) and old.seen == row.seen:
                if not row.announced:
                    self._learn(key, row)
        self._want()

    def leave(self, interface):
        """There is no Subscriber for this interface any more."""
        self._sides.pop(interface, None)
        self._want()

    def heard(self, interface, key, endpoint):
        """A client's beacon came from there. If nothing of ours went there lately, our port is open for everybody. But
        not everybody comes through our NAT: not who is behind it, too, nor who has IPv6."""
        now, side = self._loop.now(), self._sides.get(interface)
        if side is None or key not in side.rows or not _is_outside(side, endpoint):
            return
        for place in (endpoint, parse_endpoint(endpoint)[0]):
            if place in self._went and now - self._went[place] < _WENT_MS:
                self._note(now, place)  # who was let in may come again
                return
        if now >= side.open_until:
            log.info("%s: our port is open, a beacon came from %s uninvited: no sweep" % (interface, endpoint))
        side.open_until = now + _OPEN_MS
        self._want()

    def _note(self, now, place):
        """Packets of ours go there now, or what comes from there was invited by such."""
        if place is not None:
            self._went[place] = now
        if len(self._went) > _WENT_MOST:
            for old in sorted(self._went, key=self._went.get)[:_WENT_MOST // 2]:
                del self._went[old]

    def _learn(self, key, row):
        """This client has just become direct: what a publisher says of it is fresh."""
        if None not in (row.seen, row.endpoint) and self._networks.learn(key, row.seen, row.endpoint):
            if self._save_timer is None:
                self._save_timer = self._loop.call_later(_SAVE_MS, self._save)

    def _want(self):
        targets, self._unrelayed = {}, False
        now = self._loop.now()
        for interface in self._sides:
            side = self._sides[interface]
            most = our_nat(side.port, side.seen_at)
            wanted = [key for key in side.rows if most != 0 and _is_wanted(side, side.rows[key])]
            for key in wanted if not self._is_open(now, interface, side) else ():
                seen = side.rows[key].seen
                targets[interface, key] = Target(seen, self._networks.recall(key, seen), most)
                self._unrelayed = self._unrelayed or side.rows[key].relay is None
        self._sweep.want(now, targets)
        self._tell(now, targets)
        self._schedule()

    def _tell(self, now, targets):
        for spot in [spot for spot in self._told if now - self._told[spot][1] >= _TELL_MS and spot not in targets]:
            del self._told[spot]
        for spot in targets:
            words = self._sweep.words(spot)
            told, told_ms = self._told.get(spot, (None, now - _TELL_MS))
            if words and words != told and now - told_ms >= _TELL_MS:
                log.info("%s at %s: symmetric NAT, %s" % (spot[1][:8] + "…", targets[spot].endpoint, words))
                self._told[spot] = words, now

    # -- our own side -----------------------------------------------------------------------------

    def _is_open(self, now, interface, side):
        if now < side.open_until or self._mapped(interface):
            return True
        self._look(now)
        return self._is_public and self._lets_in

    def _look(self, now):
        """Whether our own firewall lets everybody in (OpenWrt's does as it is asked to), and whether a publisher sees
        an address of this machine itself."""
        if self._looked_ms is not None and now - self._looked_ms < _LOOK_MS:
            return
        self._looked_ms = now
        try:
            self._lets_in = self._main.open_port and has_table("fw4")
            self._has_table = has_table(TABLE)
            own = addresses()
        except (OSError, FirewallError) as error:
            log.debug("sweep: %s" % error)
            self._lets_in, own = False, []
        self._is_public = bool([ip for side in self._sides.values() for ip in side.addresses if ip in own])

    # -- sending ----------------------------------------------------------------------------------

    def _schedule(self, least_ms=0):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._sweep.next_ms()
        if due is not None:
            self._timer = self._loop.call_later(max(due - self._loop.now(), least_ms), self._send)

    def _send(self):
        now = self._loop.now()
        self._look(now)
        untracked = self._lets_in and self._has_table and not self._unrelayed
        turn = self._sweep.take(now, None if untracked else room(self._main.sweep_share))
        if turn is not None:
            (interface, key), ports = turn
            side = self._sides[interface]
            ip = parse_endpoint(side.rows[key].seen)[0]
            self._note(now, ip)
            try:
                self._openers.open(ip, side.port, ports, untracked)
            except OSError as error:
                log.debug("sweep: nothing can be sent to %s (errno %d)" % (ip, error.args[0]))
                self._sweep.failed(now)
        self._schedule(0 if turn is not None else _FULL_MS)

    # -- for status -------------------------------------------------------------------------------

    def words(self, interface, key):
        """What a person is to know of a client that is not direct; "" where nothing is tried."""
        side = self._sides.get(interface)
        if side is None or key not in side.rows or self._main.sweep == "off" or not _is_wanted(side, side.rows[key]):
            return ""
        words = self._sweep.words((interface, key))
        if words:
            return "symmetric NAT, " + words
        if len(set(_ports(side.seen_at))) > 1:
            return _SYMMETRIC_HERE % ", ".join(sorted(side.seen_at))
        return ""

    def row(self, interface, key):
        """What status says of the sweep for one client, or None."""
        return self._sweep.row((interface, key))

    # -- what was learned -------------------------------------------------------------------------

    def _load(self):
        try:
            self._networks.load(read_text(self._path, _SIZE_LIMIT))
        except (OSError, ValueError):
            pass  # none yet, or none that is worth a word

    def _save(self):
        self._save_timer = None
        try:
            write_private(self._path, self._networks.dump())
        except OSError as error:
            log.warning("cannot write %s (errno %d)" % (self._path, error.args[0]))

    def close(self):
        """No more packets."""
        for timer in (self._timer, self._save_timer):
            if timer is not None:
                timer.cancel()
        if self._save_timer is not None:
            self._save()
        self._openers.close()


def _is_wanted(side, row):
    """Online, not direct, allowed to be, and at a public IPv4 address that a publisher vouches for. A port that is
    mapped for the client says nothing of those that its NAT gives."""
    return (side.port and row.state in (RELAY, TRYING) and row.policy != "relay" and row.awake and not row.announced
            and row.seen is not None and _is_outside(side, row.seen))


def _is_outside(side, endpoint):
    """Whether this is somewhere in the internet, beyond our own NAT; who is behind it, too, is in need of something
    else."""
    ip = parse_endpoint(endpoint)[0]
    return ":" not in ip and not is_inside(ip) and ip not in side.addresses
