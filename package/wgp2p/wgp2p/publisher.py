"""The publisher: learns from WireGuard where its peers are, and keeps that served.

It looks every second, and at once when conntrack shows a new flow at the listen port. When the interface was made
anew it gives peers their last endpoints back, so that handshakes start from its side; and it starts them, too, for a
known peer whose own are refused (WireGuard takes no handshake that is older by its clock than the last).
"""
from . import log, probe
from .api import Api
from .compat import b64encode, random_bytes
from .conntrack import Conntrack, ConntrackError
from .files import device_token, has_token
from .handshake import call
from .initiations import Initiations
from .links import addresses
from .listeners import listen_tcp
from .memory import Memory
from .netlink import NetlinkError
from .refused import REFUSED_MS, Refused
from .registry import Registry, describe
from .relay import Relay
from .roam import Roam
from .server import Limits, Server

POLL_MS = 1000
_LOOK_MS = (5, 50)  # conntrack's event comes about 1 ms before WireGuard shows the new endpoint
_LOOKS_PER_S = 4
_RETRY_MS = 1000
_CALLS_AT_ONCE, _CALLS_EVERY_MS = 16, 10
_EMPTY_MS = 5000  # an interface that is made anew may be seen before it gets its peers,
_SETTLED_MS = 60000  # or while it gets them


def _new_boot():
    return b64encode(random_bytes(6)).replace("+", "_").replace("/", "_")


def _word(row):
    """One word for a peer as its publisher sees it."""
    if row["exclude"]:
        return "excluded"
    if row["restored"]:
        return "restored"
    if not row["endpoint"]:
        return "never"
    return "quiet" if row["quiet"] else "seen"


class Publisher:
    """One interface served. `values` and `config` as config.py gives them. `listener.interface_changed()` is called
    when its listen port is another one."""

    def __init__(self, loop, wireguard, config, values, listener):
        self._loop = loop
        self._listener = listener
        self._wireguard = wireguard
        self.interface = values.interface
        self.registry = Registry(_new_boot())
        self.problem = "starting"
        self._tokens = {}
        self._memory = Memory(loop, config.main.state_dir, config.main.keep_dir, values.interface, log.warning)
        self._memory.load()
        self._servers = []
        self._conntrack = self._initiations = None
        self.listen_port = self.public_key = None
        self._bound = None  # (ifindex, addresses) that the servers stand on
        self._moved = False  # these addresses may be others now
        self._risen = set()  # interfaces that were down and are up
        self._looks, self._looks_at = 0, 0
        self._peers_ms = self._fresh_ms = None  # when the interface last had peers, and when it was first seen
        self._closed = False
        self._refused = Refused(self.registry)
        self._calls = []  # (key, endpoint or None, keepalive) of peers that are to be called
        self._poll_timer = self._retry_timer = self._call_timer = None
        self.api = Api(loop, self)
        self._take(config, values)
        self._relay = Relay(loop, self)
        self._roam = Roam(loop, wireguard, values.interface, self)
        self.look()

    # -- configuration ------------------------------------------------------------------------------

    def configure(self, config, values):
        """Take a new configuration. Readers are sent back for a new snapshot: who is served what may have changed."""
        if (values.port, values.address) != (self.values.port, self.values.address):
            self._unbind()
        self._take(config, values)
        self._relay.update()
        self.registry.boot = _new_boot()
        self.api.restart()

    def _take(self, config, values):
        self.config, self.values = config, values
        self._tokens = {}
        for key in config.peers:
            peer = config.peers[key]
            if peer.device or has_token(config.main.keep_dir, peer):
                try:
                    self._tokens[key] = device_token(config.main.keep_dir, peer.name).encode()
                except (OSError, ValueError) as error:
                    log.error("%s: no token, so it cannot ask: %s" % (peer.name, error))

    def token(self, key):
        """The token (bytes) of the peer with this key, or None."""
        return self._tokens.get(key)

    def serves(self, asker, key):
        """Whether the device `asker` may know where the peer `key` is."""
        device, peer = self.config.peer(asker), self.config.peer(key)
        if key == asker or device is None or self.config.excluded(key):
            return False
        if device.client:
            return key in device.client or (peer is not None and peer.name in device.client)
        return peer is None or not peer.device

    # -- learning -----------------------------------------------------------------------------------

    def look(self):
        """Read the device now and serve what has changed."""
        if not self._closed:
            self._wireguard.read(self.interface, self._read)

    def links_changed(self, risen):
        """An interface or an address came, went or changed; `risen`: ifindexes of those that were down and are up."""
        self._moved = True
        self._risen |= risen
        self.look()

    def _read(self, device, error):
        if self._closed:
            return
        if self._poll_timer is not None:
            self._poll_timer.cancel()
        self._poll_timer = self._loop.call_later(POLL_MS, self.look)
        if error is not None:
            self._report(str(error))
            return
        now = self._loop.now()
        if device.peers:
            self._peers_ms = now
        elif self.registry.entries and now - self._peers_ms < _EMPTY_MS:
            return  # believed at once, every endpoint would be forgotten
        fresh = self.registry.ifindex != device.ifindex
        before = self.registry.seq
        changed = self.registry.update(now, device)
        if fresh:
            self._fresh_ms = now
            self._restore(self.registry.entries.values())
        else:
            for entry in changed:
                log.debug("%s is at %s%s" % (self.config.name(entry.key), entry.endpoint or "no endpoint",
                                             ", quiet" if entry.quiet else ""))
            self._restore([entry for entry in changed if entry.first_ms == now])
            if device.ifindex in self._risen:
                self._call_after_down()
        self._risen = set()
        if self.registry.seq != before:
            self._relay.update()  # before anybody hears of it, and calls
            self.api.changed(before)
            self._forget_flows(changed)
            self._memory.remember(self._endpoints(now))
        self._check_refused()
        self._serve(device)

    def _endpoints(self, now):
        """What is worth remembering: also of peers that have none now, as long as they exist. A new interface may get
        its peers one by one."""
        found = dict(self._memory.endpoints) if now - self._fresh_ms < _SETTLED_MS else {}
        for key in self.registry.entries:
            endpoint = self.registry.entries[key].endpoint or self._memory.endpoints.get(key)
            if endpoint:
                found[key] = endpoint
        return found

    def _report(self, problem):
        if problem != self.problem:
            self.problem = problem
            if problem:
                log.warning("publisher on %s: %s" % (self.interface, problem))

    def _forget_flows(self, changed):
        """Who comes back to an address that it left a moment ago is to be heard of at once as well."""
        left = [self._memory.endpoints[entry.key] for entry in changed
                if self._memory.endpoints.get(entry.key, entry.endpoint) != entry.endpoint]
        if not left or self._conntrack is None:
            return
        try:
            own = addresses()
        except (OSError, NetlinkError):
            return
        for endpoint in left:
            self._conntrack.forget(endpoint, own)

    # -- handshakes from our side ---------------------------------------------------------------------

    def _restore(self, entries):
        """Peers of a new interface, or new peers, have no endpoint: give back the last ones and call."""
        for entry in entries:
            endpoint = self._memory.endpoints.get(entry.key)
            if endpoint and entry.peer.endpoint is None and not self.config.excluded(entry.key):
                self.registry.restore(entry.key, endpoint)
                log.info("%s is remembered at %s, calling" % (self.config.name(entry.key), endpoint))
                self._call(entry.key, endpoint, entry.peer.keepalive)

    def _call_after_down(self):
        """Going down ends every session: clients that are only kept alive would not be heard of for two minutes."""
        log.info("%s was down: calling everybody" % self.interface)
        for entry in self.registry.entries.values():
            if entry.endpoint and not self.config.excluded(entry.key):
                self._call(entry.key, self._missing(entry), entry.peer.keepalive)

    def _call(self, key, endpoint, keepalive):
        """Call a peer: in the loop's next round, and a few in each, since there may be a thousand."""
        self._calls.append((key, endpoint, keepalive))
        if self._call_timer is None:
            self._call_timer = self._loop.call_later(0, self._call_some)

    def _call_some(self):
        some, self._calls = self._calls[:_CALLS_AT_ONCE], self._calls[_CALLS_AT_ONCE:]
        self._call_timer = self._loop.call_later(_CALLS_EVERY_MS, self._call_some) if self._calls else None
        for key, endpoint, keepalive in some:
            if not self.config.excluded(key):
                call(self._wireguard, self.interface, key, endpoint, keepalive, self._called(key))

    def _called(self, key):
        def called(error):
            if error is not None:
                log.warning("%s: %s" % (self.config.name(key), error))

        return called

    def _initiation(self, source):
        """A handshake initiation came from `source`. What members send is often for others: then the relay tells."""
        if not self._relay.takes(source):
            self.addressed(source)

    def addressed(self, source):
        """An initiation for this server came from `source`. Nothing of it is authenticated: it only makes us look."""
        if self._refused.came(self._loop.now(), source, lambda key: not self.config.excluded(key)):
            self._loop.call_later(REFUSED_MS + 1, self.look)

    def _check_refused(self):
        for entry in self._refused.take(self._loop.now()):
            log.info("%s sends but its handshake is not accepted (a clock set back?), calling it"
                     % self.config.name(entry.key))
            self._call(entry.key, self._missing(entry), entry.peer.keepalive)
            self._ask(entry)

    def _ask(self, entry):
        """While a session from before is still valid here, WireGuard takes a call for a keepalive. A data packet that
        nothing comes back to makes it shake hands after 15 s."""
        ip = probe.host_of(entry.peer.allowed_ips)
        try:
            if ip:
                probe.send(self.interface, ip)
        except OSError as error:
            log.debug("%s: no packet to it (errno %d)" % (self.config.name(entry.key), error.args[0]))

    def _missing(self, entry):
        """The endpoint to set with a call: None where WireGuard has one, which it keeps up to date itself."""
        return None if entry.peer.endpoint else entry.endpoint

    # -- signals from the kernel ----------------------------------------------------------------------

    def _watch(self, port):
        self._unwatch()
        self.listen_port = port
        try:
            self._conntrack = Conntrack(self._loop, port, self._flow)
        except (ConntrackError, OSError) as error:
            log.info("publisher on %s: no conntrack events (%s); looking every second instead" % (
                self.interface, error))
        try:
            self._initiations = Initiations(self._loop, port, self._initiation)
        except OSError as error:
            log.info("publisher on %s: cannot see refused handshakes (errno %d)" % (self.interface, error.args[0]))

    def _unwatch(self):
        for watcher in (self._conntrack, self._initiations):
            if watcher is not None:
                watcher.close()
        self._conntrack = self._initiations = None

    def _flow(self):
        """A new flow at the listen port: look now and a little later, but not for each packet of a flood."""
        now = self._loop.now()
        if now - self._looks_at >= 1000:
            self._looks_at, self._looks = now, 0
        if self._looks >= _LOOKS_PER_S:
            return
        for delay in _LOOK_MS:
            self._looks += 1
            self._loop.call_later(delay, self.look)

    # -- serving ------------------------------------------------------------------------------------

    def _serve(self, device):
        if (device.listen_port, device.public_key) != (self.listen_port, self.public_key):
            self.public_key = device.public_key
            self._watch(device.listen_port)
            self._relay.update()
            self._listener.interface_changed()
        if self._bound is not None and self._bound[0] == device.ifindex and not self._moved:
            self._report("")
            return
        if self._retry_timer is not None or not self._relay.settled():
            return
        wanted = list(self.values.address)
        try:
            wanted = wanted or [ip for ip in addresses(device.ifindex) if not ip.startswith("fe80:")]
            self._moved = False
            if self._bound == (device.ifindex, wanted):
                return
            self._unbind()
            if not wanted:
                raise ValueError("%s has no address yet" % self.interface)
            for ip in wanted:
                listener = listen_tcp(ip, self.values.port, self.interface)
                self._servers.append(Server(self._loop, listener, self.api.request, Limits()))
        except (OSError, ValueError) as error:
            self._unbind()
            text = str(error) if isinstance(error, ValueError) else "cannot listen on %s port %d (errno %d)" % (
                ", ".join(wanted), self.values.port, error.args[0])
            self._report(text)
            self._retry_timer = self._loop.call_later(_RETRY_MS, self._retry)
            return
        self._bound = (device.ifindex, wanted)
        self._report("")
        log.info("publisher on %s: serving at %s port %d" % (self.interface, ", ".join(wanted), self.values.port))

    def _retry(self):
        self._retry_timer = None

    def own_addresses(self):
        """The addresses that the API is served at."""
        return self._bound[1] if self._bound is not None else []

    def _unbind(self):
        for server in self._servers:
            server.close()
        self._servers = []
        self._bound = None

    # -- relaying -------------------------------------------------------------------------------------

    def relays(self):
        """Whether packets between devices and their clients are passed on here."""
        return self._relay.active

    def relay_changed(self):
        """The Relay begins or ends to pass packets on: every reader is told with a new snapshot."""
        self.registry.boot = _new_boot()
        self.api.restart()
        if self._bound is None:
            self._loop.call_later(0, self.look)

    def session(self, device, client, sessions):
        """A device tells sessions with its client: [[index towards it, index towards the client], ...]; "" or what is
        wrong with that."""
        return self._relay.session(device, client, sessions)

    def hinted(self, key, endpoint):
        """The Relay has seen a client's packet come from another address than the known one."""
        self._roam.hinted(key, endpoint)

    # -- for the control socket -----------------------------------------------------------------------

    def punch(self, key):
        """Call this peer now; whether it could be done."""
        entry = self.registry.entries.get(key)
        if entry is None or entry.peer is None or not entry.endpoint or self.config.excluded(key):
            return False
        self._call(key, self._missing(entry), entry.peer.keepalive)
        return True

    def status(self):
        """What `wgp2p status --json` says of this publisher."""
        now = self._loop.now()
        peers = []
        for key in sorted(self.registry.entries):
            row = describe(self.registry.entries[key], now)
            row["name"] = self.config.name(key)
            row["exclude"] = self.config.excluded(key)
            row["device"] = key in self._tokens and self.config.peer(key).device
            row["state"] = _word(row)
            peers.append(row)
        return {"interface": self.interface, "address": self.own_addresses(), "port": self.values.port,
                "listen_port": self.listen_port, "problem": self.problem, "subscribers": self.api.subscribers(),
                "relay": self._relay.status(), "peers": peers}

    def close(self, done=lambda: None):
        """Stop serving and watching; remember for the next start; `done()` when the relay's table is gone."""
        self._closed = True
        self._relay.close(done)
        self._roam.close()
        for timer in (self._poll_timer, self._retry_timer, self._call_timer):
            if timer is not None:
                timer.cancel()
        self._unwatch()
        self._unbind()
        self._memory.close()
