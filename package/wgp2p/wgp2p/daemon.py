"""The daemon: reads the configuration, switches roles on and off by it, and ties them to control socket, ubus, firewall
and hooks.
"""
from . import VERSION, config, doctor, log, process
from .addr import parse_endpoint
from .beaconkey import BeaconKeyError, beacon_key, beacon_of
from .bus import Bus
from .compat import SIGHUP, SIGINT, SIGTERM, Signals, tune_heap, unix_s, utf8
from .control import Control, Impossible
from .exported import given_out, stale
from .files import make_folder, read_text
from .firewall import FirewallError, delete_table
from .flows import FlowsError
from .history import SLOT_S, History
from .hooks import Hooks
from .links import LinkWatch
from .loop import READ
from .public_server import take_token
from .publisher import Publisher
from .registry import age_s
from .relayrules import TABLE as RELAY_TABLE
from .subscriber import Subscriber
from .sweeper import Sweeper
from .wan import Wan
from .wireguard import open_backend

CONFIG_LIMIT = 1 << 20
_TUNE_HEAP_MS = 10000
_CLOSE_MS = 3000
_HISTORY_MS = 20000  # much less than a slot of it
_parse_key = config.SCHEMA["peer"]["public_key"][0]


def load_config(path, state_dir=None):
    """The Config in a file; `state_dir` overrides its option. ConfigError."""
    try:
        text = read_text(path, CONFIG_LIMIT)
    except OSError as error:
        raise config.ConfigError([config.Problem(True, path, "cannot be read (errno %d)" % error.args[0])])
    except ValueError as error:
        raise config.ConfigError([config.Problem(True, path, str(error))])
    found = config.parse(text, path)
    if state_dir:
        found.main.state_dir = state_dir
    return found


class Daemon:
    """Everything that runs. `socket_path` None: `control.sock` in the state folder. `failed` is true when it stopped
    because it cannot go on."""

    def __init__(self, loop, config_path, socket_path=None, state_dir=None):
        self._loop = loop
        self._config_path, self._state_dir = config_path, state_dir
        self._began_ms = loop.now()
        self.failed = False
        self.config = load_config(config_path, state_dir)
        log.set_level(self.config.main.log_level)
        self._warn()
        process.drop_ambient()
        self._tune_heap()
        self.publishers, self.subscribers, self.portmaps = {}, {}, {}
        try:
            make_folder(self.config.main.state_dir)
        except OSError as error:
            raise ValueError("the folder %s cannot be made (errno %d)" % (self.config.main.state_dir, error.args[0]))
        self._control = Control(loop, socket_path or self.config.main.state_dir + "/control.sock", self)
        self._wireguard = open_backend(loop, self.config.main.backend)
        self._hooks = Hooks(loop, self.config.main.keep_dir + "/hooks.d")
        self._sweeper = Sweeper(loop, self.config.main, self._is_mapped)
        self._wan = Wan(loop, self.config.main, self._interfaces, self._wan_changed)
        self._links = LinkWatch(loop, self._link_changed)
        self._bus = Bus(loop, self, self._interface_event, self._give_up)
        self._signals = Signals([SIGTERM, SIGINT, SIGHUP])
        loop.watch(self._signals.fd, READ, self._signalled)
        log.info("wgp2p %s started" % VERSION)
        self._arrange()
        self._history = History(loop.now())
        self._remember()

    def _tune_heap(self):
        tune_heap()
        self._loop.call_later(_TUNE_HEAP_MS, self._tune_heap)

    def _remember(self):
        self._take_paths()
        self._loop.call_later(_HISTORY_MS, self._remember)

    def _take_paths(self):
        paths = {}
        for role in self.subscribers.values():
            paths.update(role.states())
        self._history.take(self._loop.now(), paths)

    def _warn(self):
        for problem in self.config.problems:
            log.warning(problem.text())

    # -- roles ----------------------------------------------------------------------------------------

    def _arrange(self):
        """Start, keep and stop roles so that they are what the configuration says."""
        wanted = {}
        for values in self.config.publishers:
            wanted[values.label] = values
        for label in list(self.publishers):
            if label not in wanted or wanted[label].interface != self.publishers[label].interface:
                self.publishers.pop(label).close()
        for label in wanted:
            if label in self.publishers:
                self.publishers[label].configure(self.config, wanted[label])
            else:
                self.publishers[label] = Publisher(self._loop, self._wireguard, self.config, wanted[label], self)
        follows = {}
        for values in self.config.subscribers:
            follows.setdefault(values.interface, []).append(values)
        for interface in list(self.subscribers):
            if interface not in follows:
                self.subscribers.pop(interface).close()
        for interface in follows:
            if interface in self.subscribers:
                self.subscribers[interface].configure(self.config, follows[interface])
            else:
                self.subscribers[interface] = Subscriber(self._loop, self._wireguard, self.config, interface,
                                                         follows[interface], self, self._sweeper)
        self._arrange_portmaps()
        if not self.config.main.enabled:
            log.warning("%s: switched off by option enabled" % self._config_path)
        elif not self._roles() and not self.portmaps:
            log.warning("%s switches nothing on: add a publisher or subscriber section" % self._config_path)
        devices = [peer for peer in self.config.peers.values() if peer.device]
        if not devices or not [values for values in self.config.publishers if values.relay]:
            self._forget_relay()
        self._sweeper.configure(self.config.main)
        self._wan.configure(self.config.main)

    def _arrange_portmaps(self):
        wanted = {}
        for values in self.config.portmaps:
            wanted[values.label] = values
        for label in list(self.portmaps):
            if label not in wanted:
                self.portmaps.pop(label).close(lambda: None)
        for label in wanted:
            if label in self.portmaps:
                self.portmaps[label].configure(wanted[label])
                continue
            from .portmap import Portmap  # few need it
            self.portmaps[label] = Portmap(self._loop, wanted[label], self.config.main.keep_dir, self._interfaces,
                                           self._look_from_outside, self._mapped)

    def _forget_relay(self):
        """A daemon that was killed may have left its table, and nobody relays any more."""
        try:
            delete_table(RELAY_TABLE)
        except FirewallError as error:
            log.debug("relay: %s" % error)

    def _roles(self):
        return list(self.subscribers.values()) + list(self.publishers.values())

    def _link_changed(self, risen):
        for role in self._roles():
            role.links_changed(risen)
        self._wan.links_changed()
        self._refresh_portmaps()

    def _interface_event(self):
        """netifd has set an interface up again, perhaps with `wg syncconf`, which undoes what was set at run time."""
        self._link_changed(set())

    def _interfaces(self):
        """What the WAN role is to know: (interface, listen port, endpoints of public servers, endpoints at which
        publishers see this device) of every role."""
        found = [(role.interface, role.device.listen_port, role.server_endpoints(), role.seen_at())
                 for role in self.subscribers.values() if role.device is not None]
        return found + [(role.interface, role.listen_port, [], []) for role in self.publishers.values()]

    # -- what roles tell ------------------------------------------------------------------------------

    def interface_changed(self):
        """A role has read another listen port than before."""
        self._wan.refresh()
        self._refresh_portmaps()

    def _refresh_portmaps(self):
        for portmap in self.portmaps.values():
            portmap.refresh()

    def path_changed(self, subscriber, key):
        """A Subscriber's listener: a peer's path is another one."""
        row = subscriber.row(key)
        self._bus.tell({"action": "path", "interface": subscriber.interface, "public_key": key, "name": row["name"],
                        "path": row["path"], "reason": row["reason"], "endpoint": row["endpoint"]})

    def address_changed(self, subscriber, link, previous):
        """A Subscriber's listener: this device's public endpoint is another one (`previous` None: the first)."""
        self._wan.refresh()
        for portmap in self.portmaps.values():
            portmap.address_changed()
        self._tell_place("address", subscriber.interface, subscriber.device.listen_port, link.label, link.you, previous)

    def _tell_place(self, action, interface, port, publisher, endpoint, previous):
        """Say to ubus and hooks where this machine is reached, and whose profiles do not know that."""
        names = self._stale_profiles()
        if names:
            log.warning("profiles that lead to another address or port of ours: %s" % ", ".join(names))
        self._bus.tell({"action": action, "interface": interface, "port": port, "publisher": publisher,
                        "endpoint": endpoint, "previous": previous, "stale_profiles": names})
        words = ["ACTION=" + action, "INTERFACE=" + (interface or ""), "LISTEN_PORT=%d" % port,
                 "PUBLISHER=" + (publisher or "")]
        for prefix, place in (("", endpoint), ("PREVIOUS_", previous)):
            ip, number = parse_endpoint(place) if place else ("", "")
            words += ["%sADDRESS=%s" % (prefix, ip), "%sPORT=%s" % (prefix, number)]
        words.append("STALE_PROFILES=" + " ".join([name.replace(" ", "_") for name in names]))
        if not self._bus.hotplug(words):
            self._hooks.tell(words)

    def _stale_profiles(self):
        endpoints = []
        for role in self.subscribers.values():
            endpoints += role.seen_at()
        for portmap in self.portmaps.values():
            endpoints += portmap.endpoints()
        return stale(given_out(self.config), endpoints)

    def _mapped(self, interface, port, before, after):
        """A Portmap's `changed`."""
        self._tell_place("mapping", interface, port, None, after, before)

    def _look_from_outside(self, interface, mapping, done):
        """A Portmap's `verify`."""
        from .outside import UNKNOWN, Outside
        subscriber = self.subscribers.get(interface)
        if subscriber is None or subscriber.device is None:
            self._loop.call_later(0, done, UNKNOWN, "no publisher is followed on " + interface)
        else:
            Outside(self._loop, subscriber.device.listen_port).verify(
                subscriber.connected_links(), mapping.external_port, done, mapping.external_ip)

    def _is_mapped(self, interface):
        """Whether a mapping brings everybody to the port of this interface: seen from outside, not only said."""
        return True in [portmap.interface == interface and portmap.is_open() for portmap in self.portmaps.values()]

    def _wan_changed(self):
        for role in self.subscribers.values():
            role.wan_changed()
        self._refresh_portmaps()

    def _give_up(self):
        self.failed = True
        self._loop.stop()

    # -- signals --------------------------------------------------------------------------------------

    def _signalled(self, _):
        for number in self._signals.take():
            if number == SIGHUP:
                try:
                    self.reload()
                except config.ConfigError:
                    pass  # the log has it
            else:
                self._loop.stop()

    # -- commands, for control socket and ubus ----------------------------------------------------------

    def reload(self):
        """Read the configuration again and apply it live; gives warnings (list of text). ConfigError leaves everything
        as it is."""
        try:
            fresh = load_config(self._config_path, self._state_dir)
        except config.ConfigError as error:
            for problem in error.problems:
                (log.error if problem.fatal else log.warning)(problem.text())
            log.error("the new configuration is not used")
            raise
        if fresh.main.state_dir != self.config.main.state_dir or fresh.main.backend != self.config.main.backend:
            log.warning("a new state_dir or backend takes effect at the next start")
        self.config = fresh
        log.set_level(fresh.main.log_level)
        self._hooks.folder = fresh.main.keep_dir + "/hooks.d"
        self._warn()
        self._arrange()
        log.info("configuration loaded again")
        return [str(problem) for problem in fresh.problems]

    def punch(self, word):
        """Call the peer that `word` names now; gives its name and key. ValueError: which peer is meant? Impossible."""
        if not isinstance(word, str):
            raise ValueError("a peer must be named")
        key = config.find_peer(self.config, self._keys(), word)
        done = False
        for role in self._roles():
            done = role.punch(key) or done
        if not done:
            raise Impossible("%s %s" % (self.config.name(key), "is excluded" if self.config.excluded(key) else
                                        "cannot be called: no endpoint of it is known here"))
        return {"peer": self.config.name(key), "public_key": key}

    def beacon(self, key):
        """The public key of the beacon of the client with this public key, for its profile. ValueError, Impossible."""
        try:
            _parse_key(key)
        except ValueError as error:
            raise ValueError("the public key %s" % error)
        if not self.subscribers:
            raise Impossible("no subscriber section is switched on: beacons are of a remote device's clients")
        try:
            return {"beacon": beacon_of(beacon_key(self.config.main.keep_dir), key)}
        except BeaconKeyError as error:
            raise Impossible(str(error))

    def token(self, label, token):
        """Keep this token for the subscriber section of this name ("": the only one) and connect with it at once.
        ValueError, in words without the token."""
        values = take_token(self.config, label, token)
        log.info("publisher %s: a new token is in its file" % values.label)
        self.subscribers[values.interface].follow_anew(values.label)
        return {}

    def _keys(self):
        keys = []
        for subscriber in self.subscribers.values():
            keys += list(subscriber.paths)
        for publisher in self.publishers.values():
            keys += list(publisher.registry.entries)
        return keys

    def status(self):
        """The one dump: everything that is known, without secrets (docs/protocol.md, "Control socket")."""
        return {"version": VERSION, "uptime": age_s(self._loop.now(), self._began_ms), "wan": self._wan.status(),
                "publishers": [self.publishers[label].status() for label in sorted(self.publishers)],
                "subscribers": [self.subscribers[name].status() for name in sorted(self.subscribers)],
                "portmaps": self.mappings(), "stale_profiles": self._stale_profiles(),
                "warnings": [str(problem) for problem in self.config.problems]}

    def peers(self):
        """One row per peer and interface. `path` is None on a publisher's: it has no part in the path."""
        rows = []
        for name in sorted(self.subscribers):
            rows += self.subscribers[name].status()["peers"]
        for label in sorted(self.publishers):
            for peer in self.publishers[label].status()["peers"]:
                rows.append({"public_key": peer["public_key"], "name": peer["name"], "endpoint": peer["endpoint"],
                             "path": None, "reason": peer["state"], "since_age": None, "sweep": None,
                             "seen_age": peer["seen_age"], "keepalive": peer["persistent_keepalive"] or 0,
                             "rx_bytes": peer["rx_bytes"], "tx_bytes": peer["tx_bytes"]})
        return rows

    def history(self):
        """The paths of the last day: one letter for each slot of `slot` seconds, the newest last (history.py)."""
        self._take_paths()
        states = self._history.states()
        return {"slot": SLOT_S, "peers": [{"public_key": key, "name": self.config.name(key), "states": states[key]}
                                          for key in sorted(states)]}

    def mappings(self):
        """What status says of each section of mappings."""
        return [self.portmaps[label].status() for label in sorted(self.portmaps)]

    def doctor(self, done):
        """Look for what is wrong; `done(findings)` within some seconds, as doctor.examine gives them."""
        def examine(flowtables):
            try:
                rewritten = [port for port, _ in self._wan.rewritten()]
            except FlowsError as error:  # the ports seen outside tell nearly as much
                log.debug("doctor: %s" % error)
                rewritten = []
            done(doctor.examine(doctor.Facts(self.status(), unix_s(), rewritten, flowtables)))

        def listed(result):
            try:
                text = utf8(result.out) if result.code == 0 else ""
            except ValueError:
                text = ""
            examine(text)

        try:
            process.start(self._loop, ["nft", "list", "flowtables"], listed, privileged=True)
        except process.ProcessError:
            examine("")

    def close(self):
        """Stop every role, take our firewall tables and mappings away; WireGuard stays as it is, and paths live on."""
        self._loop.unwatch(self._signals.fd)  # first: a reload would start roles again
        parts = self._roles() + [self._wan] + list(self.portmaps.values())
        gone = []
        for part in parts:
            part.close(lambda: gone.append(True))
        self._sweeper.close()
        self._bus.close()
        self._hooks.close()
        self._control.close()
        self._links.close()
        end = self._loop.now() + _CLOSE_MS
        while len(gone) < len(parts) and self._loop.now() < end:
            self._loop.run_once(end - self._loop.now())
        self._wireguard.close()
        self._signals.close()
        log.info("stopped")
