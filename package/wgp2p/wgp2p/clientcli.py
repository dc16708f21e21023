"""The commands `wgp2p client …` of the remote device: add a client, show its profile, list and remove clients; and, for
the LuCI page, make the running WireGuard know the peers that UCI has.

Standard output gets what is made to be used (a profile, with its private key; a list), standard error what is said
about it.
"""
from . import addr, profile
from .beaconkey import BeaconKeyError, beacon_key, beacon_of
from .clients import (
    ClientError,
    Record,
    Records,
    Uci,
    check_name,
    find_place,
    free_address,
    free_port,
    hosts,
    new_keys,
    option_words,
    run_program,
)
from .config import ON
from .exported import note
from .links import route
from .outside import OPEN, OPEN_HERE
from .profile import CLASSIC, ONE, PROXIED, ProfileError, Remote
from .wireguard import WireGuardError, open_backend, read_now

WIREGUARD = "/etc/wireguard"  # wg-quick's, and of root alone


def _ips(text):
    return [profile.with_prefix(word).partition("/")[0] for word in text.split(",")]


_TAKEN = {  # option: what of the record it sets, and how it is read
    "--address": ("addresses", _ips), "--dns": ("dns", _ips),
    "--allowed-ips": ("allowed_ips", lambda text: profile.networks(text.split(","))),
    "--endpoint": ("endpoint", profile.checked_endpoint),
    "--server-endpoint": ("server_endpoint", profile.checked_endpoint)}
_KINDS = {"--classic": CLASSIC, "--proxied": PROXIED}
_SERVER = "--server"
_KNOWN = {  # command: its options and flags
    "add": tuple(_TAKEN) + ("--interface",), "profile": tuple(_TAKEN) + tuple(_KINDS) + (_SERVER,), "list": (),
    "remove": (), "apply": ()}
_WITHOUT_NAME = ("list", "apply")


class UsageError(Exception):
    """The command line is wrong; the text says why."""


class ClientCommand:
    """One command. `config`: config.Config of the file `config_path`; `ask()`: the daemon's status, a dict, or text
    that says why there is none; `reload()`: have the daemon take its changed configuration, and give lines about it."""

    def __init__(self, loop, config, config_path, ask, reload):
        self._loop = loop
        self._config, self._config_path = config, config_path
        self._ask, self._reload = ask, reload
        self._records = Records(WIREGUARD + "/wgp2p.clients")
        self._said = []

    def run(self, words, options, flags):
        """(standard output, standard error) of `wgp2p client WORDS`. `options`: {--name: value}, `flags`:
        the other --words. ClientError, UsageError."""
        commands = {"add": self._add, "profile": self._profile, "list": self._list, "remove": self._remove,
                    "apply": self._apply}
        if not words or words[0] not in commands:
            raise UsageError("client add NAME, client profile NAME, client list, client remove NAME or client apply")
        unknown = [name for name in list(options) + flags if name not in _KNOWN[words[0]]]
        if unknown:
            raise UsageError("unknown option %s for client %s" % (unknown[0], words[0]))
        if len(words) != (1 if words[0] in _WITHOUT_NAME else 2):
            raise UsageError("wrong number of arguments for client " + words[0])
        try:
            out = commands[words[0]](words[-1], options, flags)
        except (ProfileError, BeaconKeyError) as error:
            raise ClientError(str(error))
        return out, "".join([line + "\n" for line in self._said])

    # -- commands -------------------------------------------------------------------------------------

    def _add(self, name, options, flags):
        check_name(name)
        if name in self._records.names():
            raise ClientError("there is a client %s already; its profile: wgp2p client profile %s" % (name, name))
        for peer in self._config.peers.values():
            if peer.name == name:
                raise ClientError("%s, section %s has the name %s already" % (self._config_path, peer.label, name))
        record = Record(name)
        record.interface = self._interface(options)
        device = self._read(record.interface)
        place = find_place(self._loop, self._config_path, WIREGUARD, record.interface)
        record.allowed_ips = place.lan()
        _take(record, options)
        own = place.networks()
        self._find_addresses(record, device, place, own)
        records = self._records.all()
        record.listen_port = free_port(records, [device.listen_port] + [
            peer.listen_port for peer in self._config.peers.values()])
        record.private_key, record.public_key = new_keys(self._loop)
        text = self._text(ONE, record, device, own)  # all that can be wrong is found before anything is changed
        self._records.save(record)
        try:
            place.add(record, not _within(record.addresses, own))
        except ClientError:
            self._records.delete(name)
            place.remove(record)
            raise
        self._set(record.interface, record.public_key, hosts(record.addresses))
        self._routes(record.interface, hosts(record.addresses), own)
        warnings = self._reload()
        self._say("%s is a client of this device now: %s, listen port %d. Its profile is on standard output; "
                  "wgp2p client profile %s shows it again." % (name, ", ".join(record.addresses), record.listen_port,
                                                               name))
        self._said += warnings
        self._say("The public server must know it, too. There, as root, run what follows:\n")
        self._say(self._server_script(record, device))
        return text

    def _profile(self, name, options, flags):
        kinds = [_KINDS[flag] for flag in flags if flag in _KINDS]
        if len(flags) > 1:
            raise UsageError("only one of " + ", ".join(sorted(flags)))
        record = self._records.load(name)
        _take(record, options)
        device = self._read(record.interface)
        if _SERVER in flags:
            return self._server_script(record, device)
        place = find_place(self._loop, self._config_path, WIREGUARD, record.interface)
        return self._text(kinds[0] if kinds else ONE, record, device, place.networks())

    def _list(self, _, options, flags):
        rows = [("NAME", "INTERFACE", "PORT", "PUBLIC KEY", "ADDRESS")]
        rows += [(record.name, record.interface, "%d" % record.listen_port, record.public_key,
                  ", ".join(record.addresses)) for record in self._records.all()]
        return "".join(["%-20s %-15s %5s  %-44s  %s\n" % row for row in rows]) if len(rows) > 1 else ""

    def _remove(self, name, options, flags):
        record = self._records.load(name)
        place = find_place(self._loop, self._config_path, WIREGUARD, record.interface)
        done = place.remove(record)
        for path in done:
            self._say("removed: " + path)
        if len(done) < 2:
            self._say("Not everything of it was found in the configuration. Look there for " + record.public_key)
        own = place.networks()
        try:
            run_program(self._loop, ["wg", "set", record.interface, "peer", record.public_key, "remove"])
            self._say("removed: the peer of %s" % record.interface)
            for ip in record.addresses:
                if not _within([ip], own) and not _leads_elsewhere(ip, record.interface):
                    self._route("del", hosts([ip])[0], record.interface)
        except ClientError as error:
            self._say("%s: where the interface is down, that is as it should be" % error)
        try:
            self._records.delete(name)
        except OSError as error:
            raise ClientError("the private key of %s stays (errno %d)" % (name, error.args[0]))
        self._note(name, None)
        self._said += self._reload()
        self._say("The public server still knows the client. There, remove the peer %s from the configuration of "
                  "WireGuard and from /etc/config/wgp2p, and as root:\n"
                  "  wg set INTERFACE peer %s remove; wgp2p reload" % (record.public_key, record.public_key))
        return ""

    def _apply(self, _, options, flags):
        problems = []
        for interface in self._interfaces():
            try:
                self._take_up(interface)
            except (ClientError, ProfileError) as error:
                problems.append(str(error))
        if problems:
            raise ClientError("; ".join(problems))
        return ""

    def _take_up(self, interface):
        """netifd takes a peer that has come or gone for no change of the interface, and to set that up anew would break
        every connection. So what differs is changed here, and nothing else is touched."""
        place = find_place(self._loop, self._config_path, WIREGUARD, interface)
        if not isinstance(place, Uci):
            raise ClientError("%s is not set up by OpenWrt: `wg syncconf` does this there" % interface)
        try:
            device = self._device(interface)
        except WireGuardError as error:
            if error.code != "missing":
                raise ClientError(str(error))
            self._say("%s is down: it gets its peers when it comes up" % interface)
            return
        own, wanted = place.networks(), set()
        for section in place.sections():
            key = section.get("public_key")
            wanted.add(key)
            if key not in device.peers:
                self._set_section(interface, key, section, own)
                self._say("added to %s: %s" % (interface, self._config.name(key)))
        for key in device.peers:
            if key not in wanted:
                run_program(self._loop, ["wg", "set", interface, "peer", key, "remove"])
                self._say("removed from %s: %s" % (interface, self._config.name(key)))

    def _set_section(self, interface, key, section, own):
        """Make a running peer of this section of UCI, as netifd would."""
        more, host, secret = [], section.get("endpoint_host"), section.get("preshared_key")
        if host:
            more += ["endpoint", "%s:%s" % ("[%s]" % host if ":" in host else host, section.get("endpoint_port")
                                            or "51820")]
        if section.get("persistent_keepalive"):
            more += ["persistent-keepalive", section.get("persistent_keepalive")]
        if secret:
            more += ["preshared-key", "/proc/self/fd/0"]  # a router may have no /dev/stdin
        networks = profile.networks(option_words(section.get("allowed_ips")))
        self._set(interface, key, networks, more, secret + "\n" if secret else "")
        if section.get("route_allowed_ips") in ON:
            self._routes(interface, [network for network in networks if not network.endswith("/0")], own)

    def _say(self, text):
        self._said.append(text)

    # -- facts ----------------------------------------------------------------------------------------

    def _sections(self, interface):
        return [values for values in self._config.subscribers if values.interface == interface]

    def _interfaces(self):
        """Those of the subscribers. ClientError when there is none."""
        known = sorted(set([values.interface for values in self._config.subscribers]))
        if not known:
            raise ClientError("%s switches no subscriber on: clients are added on the remote device, after it follows "
                              "a public server" % self._config_path)
        return known

    def _interface(self, options):
        known = self._interfaces()
        wanted = options.get("--interface") or (known[0] if len(known) == 1 else None)
        if wanted not in known:
            raise ClientError("say which interface: --interface %s" % ", --interface ".join(known))
        return wanted

    def _device(self, interface):
        """The wgmessage.Device of the interface. WireGuardError."""
        return read_now(self._loop, open_backend(self._loop, self._config.main.backend), interface)

    def _read(self, interface):
        """As _device, with all that there is to know. ClientError."""
        try:
            device = self._device(interface)
        except WireGuardError as error:
            raise ClientError("%s%s" % (error, "; it must be up" if error.code == "missing" else ""))
        if not device.public_key:
            raise ClientError("%s has no key, or does not show it: only root may see it" % interface)
        return device

    def _find_addresses(self, record, device, place, own):
        """Fill `record.addresses` where they are not given, and refuse those of others."""
        used = [addr.parse_network(ip) for ip, _ in own]
        used += [addr.parse_network(values.publisher) for values in self._sections(record.interface)]
        for networks in [list(peer.allowed_ips) for peer in device.peers.values()] + [
                networks for _, networks in place.peers()] + [other.addresses for other in self._records.all()]:
            used += [addr.parse_network(network) for network in networks]
        for given in record.addresses:
            if addr.parse_network(given) in used:
                raise ClientError("%s is another one's already" % given)
        if record.addresses:
            return
        server = self._server_peer(record.interface, device)
        families = []
        for ip, length in own:
            size = len(addr.parse_ip(ip))
            if length == 8 * size:
                length = addr.longest_match([(one[1], [one]) for one in map(addr.parse_network, server.allowed_ips)
                                             if one[1] < length], ip)
            address = free_address(ip, length, used) if length and size not in families else None
            if address:
                record.addresses.append(address)
                families.append(size)
        if not record.addresses:
            raise ClientError("no free address is known in the network of %s: choose one with --address" %
                              record.interface)

    def _server_peer(self, interface, device):
        """The peer of the first public server. ClientError."""
        publisher = self._sections(interface)[0].publisher if self._sections(interface) else None
        key = addr.longest_match([(key, [addr.parse_network(text) for text in device.peers[key].allowed_ips])
                                  for key in device.peers], publisher) if publisher else None
        if key is None:
            raise ClientError("no peer of %s has the public server's address %s among its allowed IPs" % (
                interface, publisher or "(no subscriber section names it)"))
        return device.peers[key]

    def _server_endpoint(self, record, server):
        host = self._sections(record.interface)[0].server_host
        if record.server_endpoint:
            return record.server_endpoint
        if not server.endpoint:
            raise ClientError("the public server's endpoint is not known here: say it with --server-endpoint HOST:PORT")
        if not host:
            return server.endpoint
        return "%s:%d" % ("[%s]" % host if ":" in host else host, addr.parse_endpoint(server.endpoint)[1])

    def _device_endpoint(self, record, device, status):
        """Where clients find this device: what was given, or where a mapping was seen to lead here, or where the public
        server sees it, both by the daemon's status (as `ask` gives it). ClientError."""
        if record.endpoint:
            return record.endpoint
        if not isinstance(status, dict):
            raise ClientError("%s. Start wgp2p, which knows this device's public endpoint, or say it: "
                              "--endpoint HOST:PORT" % status)
        mapped = [row["external"] for part in status["portmaps"] if part["interface"] == record.interface
                  for row in part["mappings"] if row["forward"] is None and row["verdict"] in (OPEN, OPEN_HERE)]
        if mapped and mapped[0] and not mapped[0].startswith("?"):
            return mapped[0]
        server = [values.label for values in self._sections(record.interface)][:1]  # the profile's, if it says
        seen = [you for _, you in sorted([
            (link["name"] not in server, link["you"]) for part in status["subscribers"]
            if part["interface"] == record.interface for link in part["publishers"] if link["you"]])]
        if not seen:
            raise ClientError("no public server has said yet where it sees this device (wgp2p status): wait until it "
                              "is connected, or say it: --endpoint HOST:PORT")
        if addr.parse_endpoint(seen[0])[1] != device.listen_port:
            self._say("Note: the public server sees this device at port %d, and WireGuard listens on %d: something on "
                      "the way changes it. The profile has the port that is seen; it may change (docs/static-port.md)."
                      % (addr.parse_endpoint(seen[0])[1], device.listen_port))
        return seen[0]

    def _note(self, name, endpoint):
        """For the daemon, which says when profiles are stale."""
        try:
            note(self._config.main.keep_dir, name, endpoint)
        except OSError as error:
            self._say("What the profile has cannot be noted (errno %d): wgp2p will not say when it is stale."
                      % error.args[0])

    # -- what is made of them -------------------------------------------------------------------------

    def _text(self, kind, record, device, own):
        peer = self._server_peer(record.interface, device)
        server = Remote(peer.key, self._server_endpoint(record, peer),
                        hosts([self._sections(record.interface)[0].publisher]))
        status = self._ask()
        mtu = profile.tunnel_mtu(status["wan"].get("mtu")) if isinstance(status, dict) else None
        endpoint = "" if kind == PROXIED else self._device_endpoint(record, device, status)
        if endpoint:
            self._note(record.name, endpoint)
        ours = Remote(device.public_key, endpoint,
                      hosts([ip for ip, _ in own]) + record.allowed_ips)
        beacon = None
        if kind == ONE:
            beacon = beacon_of(beacon_key(self._config.main.keep_dir), record.public_key)
        return profile.profile(kind, record.private_key, record.addresses, record.listen_port, server, ours, beacon,
                               record.dns, mtu=mtu)

    def _server_script(self, record, device):
        return profile.server_script(record.name, record.public_key, hosts(record.addresses), device.public_key)

    def _set(self, interface, key, networks, more=(), text=""):
        """Make this a peer of the running interface. `more`: words for wg, `text`: its standard input."""
        words = list(more) + ["allowed-ips", ",".join(networks)]
        run_program(self._loop, ["wg", "set", interface, "peer", key] + words, text)

    def _routes(self, interface, networks, own):
        """Routes to what the interface's own networks do not hold."""
        for network in networks:
            ip = network.partition("/")[0]
            if not _within([ip], own) and _leads_elsewhere(ip, interface):
                self._route("replace", network, interface)

    def _route(self, what, network, interface):
        run_program(self._loop, ["ip", "-6" if ":" in network else "-4", "route", what, network, "dev", interface])


def _take(record, options):
    """Put what the command line says into the record. ProfileError."""
    for name in options:
        if name in _TAKEN:
            field, read = _TAKEN[name]
            setattr(record, field, read(options[name]))


def _within(addresses, own):
    """Whether all these lie in the interface's own networks."""
    networks = [addr.parse_network("%s/%d" % pair) for pair in own]
    return not [ip for ip in addresses if not [network for network in networks
                                               if addr.contains(network, addr.parse_ip(ip))]]


def _leads_elsewhere(ip, interface):
    try:
        return route(ip)[0] != interface
    except OSError:
        return True
