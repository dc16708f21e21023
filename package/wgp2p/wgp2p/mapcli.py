"""The command `wgp2p map`: has the upstream gateway map a port of this machine, a laptop perhaps. It needs neither the
daemon nor a configuration, and asks with the daemon's own parts (lease.py, gateway.py).

Standard output gets the external endpoint, a line whenever it is another one, or the list of what is mapped; standard
error what is said about it. To ask needs no rights. WireGuard's listen port is told to CAP_NET_ADMIN only, and probes
are heard with CAP_NET_RAW.
"""
import os

from . import client, config, links
from .addr import canonical_ip, parse_endpoint
from .compat import SIGINT, SIGTERM, Signals, random_below
from .files import exists, read_text, read_token
from .gateway import Gateway, find_gateway
from .lease import Lease, Options
from .link import Link
from .log import plain
from .loop import READ
from .mapping import PROTOCOLS, UPNP
from .outside import FILTERED, OPEN, OPEN_HERE, REWRITTEN, UNKNOWN, Outside
from .portmap import TALKERS, load_nonce, own_name
from .upnptalk import UpnpList
from .wireguard import WireGuardError, open_backend, read_now

ONCE, KEEP, DELETE, LIST = FLAGS = ("--once", "--keep", "--delete", "--list")
_SECTION = config.SCHEMA["portmap"]
_PUBLISHER_PORT = config.SCHEMA["subscriber"]["port"]
_READ = {  # option: how it is read
    "--port": _PUBLISHER_PORT[0], "--interface": _SECTION["interface"][0], "--gateway": _SECTION["gateway"][0],
    "--protocol": _SECTION["protocol"][0], "--announce": lambda text: _publisher(text), "--token-file": str}
_INTERFACES, _SOCKETS = "/sys/class/net", "/var/run/wireguard"
_ANYWHERE = "192.0.2.1"  # RFC 5737: where a packet to the internet would go
_ANNOUNCED_S, _AGAIN_MS = 120, 60000
_RETRY_MS = 10000  # a publisher needs a moment to see that we have moved
_WITHDRAW_MS = 2000
_TIMEOUT_MS = 5000
_NO_LIST = "PCP and NAT-PMP cannot list mappings, only UPnP can"
_VERDICTS = {
    OPEN: "open: anybody reaches it", OPEN_HERE: "open to this server: the public server reached it",
    FILTERED: "filtered: the gateway, or this machine's firewall, lets only answers in",
    REWRITTEN: "rewritten: what is sent to this port does not arrive here", UNKNOWN: "unknown"}


class UsageError(Exception):
    """The command line is wrong; the text says why."""


class MapError(Exception):
    """The port cannot be mapped; the text says why."""


class MapCommand:
    """One command. `options`: {--name: value}, `flags`: the other --words; `out(text)` takes lines for standard output,
    `say(text)` what is to be said. UsageError."""

    def __init__(self, loop, options, flags, out, say):
        self._loop, self._out, self._say = loop, out, say
        values = {}
        for name in options:
            try:
                values[name] = _READ[name](options[name])
            except ValueError as error:
                raise UsageError("%s %s" % (name, error))
        self._values = values
        if len(flags) > 1:
            raise UsageError("only one of " + ", ".join(FLAGS))
        self._mode = flags[0] if flags else KEEP
        if ("--announce" in values) != ("--token-file" in values):
            raise UsageError("--announce and --token-file go together")
        if "--announce" in values and self._mode != KEEP:
            raise UsageError("--announce goes with --keep: it lasts as long as the command")
        if self._mode == LIST and values.get("--protocol") not in (None, "auto", UPNP):
            raise UsageError(_NO_LIST)
        self._port = None
        self._leases = []
        self._gateway = Gateway(loop, self._stepped)
        self._external = None  # as it was said last
        self._problem = ""
        self._announcer = None
        self._ending = False

    def run(self):
        """Do it. MapError."""
        announcing = self._open_publisher() if "--announce" in self._values else None
        try:
            self._port = self._values.get("--port") or self._listen_port(announcing and announcing.interface)
        except MapError:
            if self._mode != LIST or "--interface" in self._values:
                raise
            self._port = 0  # to list needs no rights: ours are known by their description, then
        protocol = self._values.get("--protocol", "auto")
        protocols = PROTOCOLS if protocol == "auto" else (protocol,)
        if self._mode == DELETE:
            self._leases = [self._make((name,), {name: _deletes(TALKERS[name])}) for name in protocols]
        elif self._mode == LIST:
            self._leases = [self._make((UPNP,), {UPNP: lambda now, want, _: UpnpList(now, want, self._listed)})]
        else:
            self._leases = [self._make(protocols, TALKERS)]
        self._gateway.leases += self._leases
        if announcing is not None:
            self._announcer = _Announcer(self._loop, announcing, self._port, self._dead, self._say)
        try:
            if self._mode == KEEP:
                self._keep()
            else:
                self._once()
        finally:
            self._gateway.close()
            if self._announcer is not None:
                self._announcer.close()

    def _make(self, protocols, talkers):
        lease = Lease(Options(protocols, _SECTION["lifetime"][1], load_nonce(_folder()), own_name()), talkers,
                      random_below)
        lease.want(self._loop.now(), self._port)
        return lease

    # -- facts ----------------------------------------------------------------------------------------

    def _listen_port(self, interface):
        there = wireguards()
        name = self._values.get("--interface") or interface or (there[0] if len(there) == 1 else None)
        if name is None:
            raise MapError("%s: say --interface NAME or --port N" % (
                "there are several WireGuard interfaces (%s)" % ", ".join(there) if there
                else "there is no WireGuard interface"))
        try:
            device = read_now(self._loop, open_backend(self._loop, "auto"), name)
        except WireGuardError as error:
            raise MapError("%s; or say its listen port: --port N" % error)
        if not device.listen_port:
            raise MapError("%s has no listen port: is it up?" % name)
        return device.listen_port

    def _open_publisher(self):
        """The token goes into the tunnel, or nowhere."""
        ip, port = self._values["--announce"]
        try:
            interface = links.route(ip)[0]
        except OSError as error:
            raise MapError("no way to the public server %s: %s" % (ip, client.words(error)))
        if interface not in wireguards():
            raise MapError("the way to the public server %s leads through %s, which is no tunnel of WireGuard" % (
                ip, interface))
        try:
            return _Publisher(self._loop, ip, port, interface, read_token(self._values["--token-file"]))
        except ValueError as error:
            raise MapError(str(error))

    def _look(self, _risen=None):
        """Find the gateway; a laptop goes from one to another."""
        ip, own_ip, problem = find_gateway(self._values.get("--gateway"), _ANYWHERE, "say --gateway ADDRESS")
        self._gateway.uplink(ip, own_ip)
        if problem or self._gateway.problem:
            self._complain(problem or self._gateway.problem)

    def _complain(self, problem):
        if problem != self._problem:
            self._problem = problem
            if problem and self._mode == KEEP:
                self._say(problem)

    # -- the mapping ----------------------------------------------------------------------------------

    def _once(self):
        """Ask, delete, or list, until it is known what came of it."""
        self._look()
        while not self._problem and [lease for lease in self._leases
                                     if lease.busy or not (lease.mapping or lease.error)]:
            self._loop.run_once()
        if not [lease for lease in self._leases if lease.mapping is not None]:
            said = sorted(set([lease.error for lease in self._leases])) + ([_NO_LIST] if self._mode == LIST else [])
            raise MapError(self._problem or "; ".join(said))
        if self._mode == DELETE:
            self._say("what was mapped is deleted")

    def _listed(self, entry, is_ours):
        self._out("?\n" if entry is None else plain("%5d %s %-21s %7d %s %s" % (
            entry.external_port, entry.protocol, "%s:%d" % (entry.client, entry.port), entry.left_s,
            "*" if is_ours else "-", entry.description)) + "\n")

    def _keep(self):
        signals = Signals([SIGINT, SIGTERM])
        self._loop.watch(signals.fd, READ, lambda _: self._end() if signals.take() else None)
        watch = links.LinkWatch(self._loop, self._look)
        try:
            self._look()
            while not (self._ending and self._leases[0].stopped and (
                    self._announcer is None or self._announcer.ended)):
                self._loop.run_once()
        finally:
            watch.close()
            self._loop.unwatch(signals.fd)
            signals.close()

    def _end(self):
        self._ending = True
        if self._announcer is not None:
            self._announcer.end()
        self._leases[0].want(self._loop.now(), None)
        self._gateway.step()

    def _dead(self):
        """Nothing comes through the mapping."""
        self._leases[0].dead(self._loop.now())
        self._gateway.step()

    def _stepped(self):
        """The leases may have changed."""
        if self._mode in (DELETE, LIST) or self._ending:
            return
        lease = self._leases[0]
        mapping = lease.mapping
        external = lease.external
        if external != self._external:
            self._external = external
            if mapping is None:
                self._say("port %d is no longer mapped" % self._port)
            else:
                self._out(external + "\n")
                self._say("port %d is mapped by %s, %s" % (self._port, mapping.protocol, "for %d s" % mapping.lifetime_s
                                                           if mapping.lifetime_s else "for ever"))
            if self._announcer is not None:
                self._announcer.mapped(mapping)
        if not lease.busy and self._gateway.ip is not None:
            self._complain(lease.error)


class _Publisher(Link):
    """A Link that asks and follows nothing: a client's token opens no event stream."""

    def __init__(self, loop, ip, port, interface, token):
        self.interface = interface
        Link.__init__(self, loop, ip, ip, port, interface, token, self)

    def _connect(self):
        pass

    def addressed(self, _link):
        """Of a Link's listener."""

    def look(self, done):
        """Ask where the publisher sees us, which is `you` then; `done(problem)` in words, or ""."""
        def answered(response, error):
            self._told.remove(request)
            if error is None and response.status != 200:
                error = self._words(response)
            try:
                if error is None:
                    self._remember_you(response.json().get("you"))
            except (ValueError, AttributeError):
                error = "what answers there is no publisher"
            done(error or ("" if self.you else "the public server does not know where this machine is"))

        request = client.get(self._loop, self.ip, self.port, "/api/whoami", self._authorization(), answered,
                             _TIMEOUT_MS, device=self.interface)
        self._told.append(request)


class _Announcer:
    """Keeps the publisher told of the external port, after a look from outside at whether it is open. `dead()` is
    called where it is not."""

    def __init__(self, loop, publisher, port, dead, say):
        self._loop, self._publisher = loop, publisher
        self._dead, self._tell = dead, say
        self._outside = Outside(loop, port)
        self._mapping = self._timer = None
        self._looked = False
        self._said = ""
        self.ended = False

    def mapped(self, mapping):
        """There is another Mapping, or None."""
        self._stop()
        self._mapping, self._looked = mapping, False
        if mapping is not None:
            self._look()
        else:
            self._withdraw(lambda _: None)

    def _look(self):
        self._look_in(_AGAIN_MS)
        self._publisher.look(self._seen)

    def _look_in(self, delay_ms):
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_ms, self._look)

    def _seen(self, problem):
        if self._mapping is None:
            return
        external = self._mapping.external_ip
        ip = parse_endpoint(self._publisher.you)[0] if self._publisher.you else None
        if not problem and external not in (None, ip):
            problem = "the public server sees this machine at %s, and the gateway maps at %s: another NAT?" % (
                ip, external)
        if problem:
            self._say("not announced: " + problem)
            self._look_in(_RETRY_MS)
        elif self._looked:
            self._announce()
        else:
            self._looked = True
            self._outside.verify([self._publisher], self._mapping.external_port, self._verified)

    def _verified(self, verdict, problem):
        if self._mapping is None:
            return
        self._say("seen from outside: %s%s" % (_VERDICTS[verdict], ": " + problem if problem else ""))
        if verdict in (FILTERED, REWRITTEN):
            self._looked = False
            self._dead()
        else:
            self._announce()

    def _announce(self):
        self._publisher.announce(self._mapping.external_port, _ANNOUNCED_S, lambda problem: self._say(
            "not announced: " + problem if problem else "announced to the public server"))

    def _withdraw(self, done):
        self._publisher.announce(0, 0, done)

    def _say(self, text):
        if text != self._said:
            self._said = text
            self._tell(text)

    def _stop(self):
        self._outside.close()
        if self._timer is not None:
            self._timer.cancel()

    def end(self):
        """Withdraw what is announced; `ended` when that is done, or after 2 s."""
        self._stop()
        self._mapping = None
        self._loop.call_later(_WITHDRAW_MS, self._end)
        self._withdraw(self._end)

    def _end(self, _problem=""):
        self.ended = True

    def close(self):
        """No more calls."""
        self._stop()
        self._publisher.close()


def _deletes(talker):
    """The talker, which deletes what an earlier command may have left behind."""
    def begin(now, want, random_below):
        want.lifetime_s = 0
        return talker(now, want, random_below)

    return begin


def wireguards():
    """The names of this machine's WireGuard interfaces: the kernel's, and those of a program that has a socket."""
    found = []
    for name in os.listdir(_INTERFACES):
        try:
            text = read_text("%s/%s/uevent" % (_INTERFACES, name), 4096)
        except (OSError, ValueError):  # what is there besides interfaces
            continue
        if "DEVTYPE=wireguard" in text.split("\n") or exists("%s/%s.sock" % (_SOCKETS, name)):
            found.append(name)
    return sorted(found)


def _publisher(text):
    """(ip, port) of ADDRESS or ADDRESS:PORT. ValueError."""
    try:
        return canonical_ip(text), _PUBLISHER_PORT[1]
    except ValueError:
        return parse_endpoint(text)


def _folder():
    """Where what makes a mapping ours is kept: each user's own."""
    return (os.getenv("HOME") or "/root") + "/.local/state/wgp2p"
