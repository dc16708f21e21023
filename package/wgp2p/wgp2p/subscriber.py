"""The subscriber: brings together what publishers say and what WireGuard says, and carries out what each peer's path
machine decides. One for each WireGuard interface, with a Link for each publisher that is followed there.
"""
from . import addr, log, probe
from .compat import random_below, unix_s
from .history import UNKNOWN
from .links import addresses
from .path import DIRECT, RELAY, STATIC, TRYING, Options, Path
from .public_server import PublicServer
from .registry import age_s
from .resolver import Resolver
from .upgrader import Row, Upgrader

_SESSION_S = 180  # WireGuard's REJECT_AFTER_TIME
_OWN_ADDRESSES_MS = 30000
_POLL_MS = 1500
_LOOK_EVERY_MS = 50
_LINES_A_MINUTE = 30  # in the log, for each peer
_ADDRESS_EVERY_MS = 5000  # a change of our own may start programs


class Subscriber:
    """The peers of one interface. `sections` are the subscriber sections of the configuration for it. Tells
    `listener.path_changed(subscriber, key)` when a peer's state changes,
    `listener.address_changed(subscriber, link, previous)` when a publisher sees this device at another endpoint, and
    `listener.interface_changed()` when the listen port is another one. `sweeper` serves all Subscribers."""

    def __init__(self, loop, wireguard, config, interface, sections, listener, sweeper):
        self._loop = loop
        self._wireguard = wireguard
        self.interface = interface
        self._listener = listener
        self.problem = "starting"
        self.device = None
        self.paths = {}
        self.servers = {}  # label: PublicServer
        self._allowed = None  # [(key, allowed IPs)] that the servers' keys were found in
        self._timer = None
        self._reading = False
        self._again = False
        self._closed = False
        self._looked_ms = 0
        self._announced = set()  # clients whose endpoint is what they say themselves
        self._refusals = {}  # key: how the last change of this peer went, as text
        self._minute, self._lines = None, {}  # {key: lines logged of it in this minute}
        self._own, self._own_ms = [], None
        self._seen_at = {}  # label of a publisher: where it last saw this device, as told
        self._resting = {}  # label: the timer until which no other address is told
        self._resolver = Resolver(loop)
        self._upgrader = Upgrader(loop, interface, self)
        self._sweeper = sweeper
        self.configure(config, sections)

    # -- configuration --------------------------------------------------------------------------------

    def configure(self, config, sections):
        """Take a new configuration; paths and unchanged connections stay."""
        self.config, self.sections = config, sections
        wanted = {}
        for values in sections:
            wanted[values.label] = values
        for label in list(self.servers):
            server = self.servers[label]
            if label in wanted and server.fits(wanted[label], config.main.keep_dir):
                continue
            server.close()
            del self.servers[label]
            for key in self.paths:
                if label in wanted:  # what it said holds until the new connection says otherwise
                    self.paths[key].lost(self._loop.now(), label)
                else:
                    self.paths[key].forget(self._loop.now(), label)
        for label in wanted:
            if label in self.servers:
                self.servers[label].values = wanted[label]
            else:
                self.servers[label] = PublicServer(self._loop, self._wireguard, self._resolver, self, wanted[label],
                                                   config.main.keep_dir)
                self._allowed = None
        for key in self.paths:
            self.paths[key].configure(self._loop.now(), self._options(key))
        self.look()

    def _options(self, key):
        peer = self.config.peer(key)
        keepalive = peer.keepalive if peer is not None and peer.keepalive else min(
            [values.keepalive for values in self.sections])
        stale = max([values.stale_after for values in self.sections])
        return Options(keepalive, stale, self.config.excluded(key), peer.path if peer is not None else "auto")

    # -- what publishers say ----------------------------------------------------------------------------

    def knows(self, key):
        """Whether WireGuard here has this peer. (An excluded one is listened to, and not touched: after a reload it may
        be ours.)"""
        return key in self.paths

    def check_endpoint(self, endpoint):
        """ValueError for one of this machine's own addresses."""
        now = self._loop.now()
        if self._own_ms is None or now - self._own_ms >= _OWN_ADDRESSES_MS:
            self._own_ms = now
            try:
                self._own = addresses()
            except (OSError, ValueError) as error:
                log.warning("cannot read this machine's addresses: %s" % error)
        if addr.parse_endpoint(endpoint)[0] in self._own:
            raise ValueError("endpoint is an address of this machine: " + endpoint)

    def reported(self, link, reports, whole):
        """A Link's listener: what a publisher says of peers; `whole`: of the others it says nothing any more."""
        now = self._loop.now()
        named = set()
        for report in reports:
            named.add(report.key)
            (self._announced.add if report.announced else self._announced.discard)(report.key)
            path = self.paths[report.key]
            path.observe(now, link.label, report.endpoint, report.age_ms, report.quiet)
            if report.restarted and path.relay is not None:
                path.punch(now)  # it cannot begin, since it does not know where we are
        if whole:
            for key in self.paths:
                if key not in named:
                    self.paths[key].forget(now, link.label)
            if link.relays:
                self._upgrader.retell()
        self._look_soon()

    def removed(self, link, key):
        """A Link's listener: the publisher does not name this peer any more."""
        if key in self.paths:
            self.paths[key].forget(self._loop.now(), link.label)
            self._look_soon()

    def addressed(self, link):
        """A Link's listener: the publisher sees this device at another endpoint than before. It is told at once, and
        after that no more than every 5 s, whatever a publisher says how often."""
        if link.label not in self._resting:
            self._tell_address(link.label)

    def _tell_address(self, label):
        self._resting.pop(label, None)
        link, previous = self.servers[label].link if label in self.servers else None, self._seen_at.get(label)
        if link is None or link.you is None or link.you == previous:
            return
        self._resting[label] = self._loop.call_later(_ADDRESS_EVERY_MS, self._tell_address, label)
        self._seen_at[label] = link.you
        log.info("publisher %s: sees us at %s" % (label, link.you))
        if previous is not None:
            self.uprooted()
        self._listener.address_changed(self, link, previous)

    def lost(self, link):
        """A Link's listener: no connection; what it said is kept."""
        for key in self.paths:
            self.paths[key].lost(self._loop.now(), link.label)

    # -- WireGuard --------------------------------------------------------------------------------------

    def look(self):
        """Read the device now and act on it."""
        if self._closed:
            return
        if self._reading:
            self._again = True
            return
        self._looked_ms = self._loop.now()
        self._reading = True
        self._wireguard.read(self.interface, self._read)

    def links_changed(self, _risen):
        """An interface or an address came, went or changed."""
        self._own_ms = None
        self.look()

    def wan_changed(self):
        """This machine's way to the internet is another one: send from it to everybody at once."""
        for label in self.servers:
            self.servers[label].nudge()
        self.uprooted()

    def uprooted(self):
        """Clients know us at another address, or will have to: call them."""
        for path in self.paths.values():
            if path.state in (DIRECT, RELAY, TRYING):
                path.uprooted(self._loop.now())
        self.look()

    def _look_soon(self):
        """Look, at once the first time: a publisher that never stops talking costs no more than 20 looks a second."""
        wait = self._looked_ms + _LOOK_EVERY_MS - self._loop.now()
        if wait <= 0:
            self.look()
        elif self._timer is None or self._timer.when > self._loop.now() + wait:
            self._schedule(wait)

    def _read(self, device, error):
        self._reading = False
        if self._closed:
            return
        self._schedule(_POLL_MS)  # whatever happens below
        if error is not None:
            self._report(str(error))
            self._sweeper.leave(self.interface)
            return
        self._report("")
        now = self._loop.now()
        old, self.device = self.device, device
        if old is not None and device.ifindex != old.ifindex:
            self._made_anew(now)
        self._watch_servers(now, device)
        if old is None or device.listen_port != old.listen_port:
            self._listener.interface_changed()
        servers = self._server_keys()
        relays = self._relays()
        rows = {}
        for key in [key for key in self.paths if key not in device.peers]:
            del self.paths[key]
            self._refusals.pop(key, None)
        wait = _POLL_MS
        fresh_peer = False
        for key in device.peers:
            peer = device.peers[key]
            if key in servers:
                continue
            path = self.paths.get(key)
            if path is None:
                path = self.paths[key] = Path(now, self._options(key), random_below)
                fresh_peer = True
            path.relays_at(now, relays)
            path.reading(now, peer.endpoint, peer.keepalive, peer.rx, 0 <= unix_s() - peer.handshake < _SESSION_S)
            self._act(now, key, path)
            if not path.options.exclude:
                rows[key] = Row(path.state, peer.endpoint, path.seen, path.relay, path.options.path, path.awake(),
                                peer.handshake, probe.host_of(peer.allowed_ips) if path.relay is not None else None,
                                key in self._announced)
            wait = min(wait, path.poll_ms(now))
            due = path.next_ms()
            if due is not None and due > now:  # what was due by now has just been done, or cannot be
                wait = min(wait, max(20, due - now))
        if fresh_peer:  # what was said of it before is not kept
            for server in self.servers.values():
                server.ask_anew()
        self._upgrader.update(device, rows)
        self._sweeper.update(self.interface, device.listen_port, self.seen_at(), rows)
        if self._again:
            self._again = False
            wait = 0
        self._schedule(wait)

    def _act(self, now, key, path):
        state, since = path.state, path.since_ms
        change = path.act(now)
        if path.state != state:
            self._tell(key, path, now - since if state == TRYING else 0)
        asks = path.take_probe()
        if change is None:
            if asks:
                self._send_probe(key)
            return

        def done(error):
            told, self._refusals[key] = self._refusals.get(key), str(error)
            if error is not None:
                if told != str(error):
                    log.warning("%s: %s" % (self.config.name(key), error))
                return
            self._wireguard.read(self.interface, reread)
            if asks:
                self._send_probe(key)

        def reread(device, error):
            peer = device.peers.get(key) if error is None else None
            if peer is not None:
                path.applied(self._loop.now(), peer.endpoint, peer.keepalive, peer.rx)

        log.debug("%s: set %s, keepalive %d%s" % (self.config.name(key), change.endpoint or "no endpoint",
                                                  change.keepalive, ", nudge" if change.nudge else ""))
        self._wireguard.set_peer(self.interface, key, done, endpoint=change.endpoint, keepalive=change.keepalive,
                                 nudge=change.nudge and change.keepalive > 0)

    def _send_probe(self, key):
        peer = self.device.peers.get(key)
        ip = probe.host_of(peer.allowed_ips) if peer is not None else None  # it may be gone meanwhile
        if ip is None:
            return
        try:
            probe.send(self.interface, ip)
        except OSError as error:  # the tunnel is down, or there is no route: then silence has to do
            log.debug("%s: no probe (errno %d)" % (self.config.name(key), error.args[0]))

    def _tell(self, key, path, took_ms):
        words = path.state + " at " + path.endpoint if path.state == DIRECT and path.endpoint else path.state
        if took_ms:
            words += " after %.1f s" % (took_ms / 1000)
        minute = self._loop.now() // 60000
        if minute != self._minute:
            self._minute, self._lines = minute, {}
        lines = self._lines[key] = self._lines.get(key, 0) + 1
        if lines < _LINES_A_MINUTE:
            log.info("%s: %s%s" % (self.config.name(key), words, ", " + path.reason if path.reason else ""))
        elif lines == _LINES_A_MINUTE:
            log.warning("%s: changes too often to tell each time" % self.config.name(key))
        self._listener.path_changed(self, key)

    def _made_anew(self, now):
        log.info("%s was made anew: setting its peers again" % self.interface)
        for key in self.paths:
            self.paths[key].recreated(now)
        for label in self.servers:
            self.servers[label].hurry()
        self._own_ms = None

    def _report(self, problem):
        if problem != self.problem:
            self.problem = problem
            if problem:
                log.warning("subscriber on %s: %s" % (self.interface, problem))

    def _schedule(self, wait_ms):
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(wait_ms, self.look)

    # -- public servers -----------------------------------------------------------------------------------

    def _server_keys(self):
        return [server.key for server in self.servers.values() if server.key]

    def _watch_servers(self, now, device):
        allowed = [(key, device.peers[key].allowed_ips) for key in sorted(device.peers)]
        for label in self.servers:
            if allowed != self._allowed:
                self.servers[label].find(device)
            self.servers[label].watch(now, device)
        self._allowed = allowed

    def _relays(self):
        """Where public servers pass packets on: {label: endpoint}."""
        found = {}
        for label in self.servers:
            endpoint = self.servers[label].relay()
            if endpoint is not None:
                found[label] = endpoint
        return found

    def tell_session(self, key, sessions):
        """An Upgrader's view: sessions with this client that were made directly, for the relays to know. Whether all of
        them are told."""
        return False not in [link.tell_session(key, sessions) for link in self._links() if link.relays]

    def tried(self, key):
        """An Upgrader's view: a direct path to this client is being tried, the answer comes within a round trip."""
        if key in self.paths:
            self.paths[key].tried(self._loop.now())
            self._look_soon()

    def beacon(self, key, endpoint):
        """An Upgrader's view: a beacon of this client came from there."""
        self._sweeper.heard(self.interface, key, endpoint)

    # -- for the control socket -----------------------------------------------------------------------------

    def punch(self, key):
        """Call this peer now; whether it could be done."""
        path = self.paths.get(key)
        if path is None or path.options.exclude:
            return False
        path.punch(self._loop.now())
        self.look()
        return True

    def row(self, key):
        """What status says of one peer of the interface."""
        now = self._loop.now()
        peer, path = self.device.peers[key], self.paths.get(key)
        row = {"public_key": key, "name": self.config.name(key), "endpoint": peer.endpoint,
               "keepalive": peer.keepalive, "rx_bytes": peer.rx, "tx_bytes": peer.tx}
        if path is None or key in self._server_keys():
            row.update({"path": STATIC, "reason": "the public server", "sweep": None, "since_age": None,
                        "seen_age": None})
        else:
            words = [path.reason, self._sweeper.words(self.interface, key)]
            row.update({"path": path.state, "reason": "; ".join([text for text in words if text]),
                        "sweep": self._sweeper.row(self.interface, key), "since_age": age_s(now, path.since_ms),
                        "seen_age": age_s(now, path.rx_ms)})
        return row

    def states(self):
        """The path of each peer but the public servers: {key: path.DIRECT or another}, history.UNKNOWN while WireGuard
        cannot be read."""
        servers = self._server_keys()
        return dict([(key, UNKNOWN if self.problem else self.paths[key].state) for key in self.paths
                     if key not in servers])

    def server_endpoints(self):
        """Where WireGuard here sends to for each public server, as far as it knows."""
        peers = self.device.peers if self.device is not None else {}
        return [peers[key].endpoint for key in self._server_keys() if key in peers and peers[key].endpoint]

    def seen_at(self):
        """Where publishers see this device: endpoints."""
        return [link.you for link in self._links() if link.you]

    def follow_anew(self, label):
        """Connect to this publisher at once, with the token that its file has now."""
        self.configure(self.config, self.sections)
        self.servers[label].hurry()

    def connected_links(self):
        """The Links to publishers that are connected."""
        return [link for link in self._links() if link.connected_ms is not None]

    def _links(self):
        links = [self.servers[label].link for label in sorted(self.servers)]
        return [link for link in links if link is not None]

    def status(self):
        """What `wgp2p status --json` says of this subscriber."""
        now = self._loop.now()
        rows = [self.row(key) for key in sorted(self.device.peers if self.device is not None else ())]
        return {"interface": self.interface, "problem": self.problem, "peers": rows,
                "listen_port": self.device.listen_port if self.device is not None else None,
                "publishers": [self.servers[label].status(now) for label in sorted(self.servers)]}

    def close(self, done=lambda: None):
        """Leave WireGuard as it is and stop; `done()` when our table is gone."""
        self._closed = True
        self._upgrader.close(done)
        self._sweeper.leave(self.interface)
        for timer in [self._timer] + list(self._resting.values()):
            if timer is not None:
                timer.cancel()
        for label in self.servers:
            self.servers[label].close()
        self._resolver.close()
