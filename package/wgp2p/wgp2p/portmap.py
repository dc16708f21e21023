"""The port mapping helper: has the upstream gateway map the listen port of one WireGuard interface, and the ports that
are forwarded for others, and looks from outside whether the first works.

What it tells others of is what the gateway has granted. What a look from outside says is in the status, and a mapping
that twice let nothing through is deleted and asked for anew, now and then. Nobody can look for a forwarded port: what
comes there is another machine's.
"""
import binascii

from . import client, log
from .compat import random_below, random_bytes
from .files import read_text, write_private
from .gateway import Gateway, find_gateway
from .lease import Lease, Options
from .mapping import NATPMP, NONCE_SIZE, PCP, PROTOCOLS, UPNP
from .outside import OPEN, OPEN_HERE, UNKNOWN
from .pcptalk import NatPmpTalk, PcpTalk
from .upnptalk import UpnpTalk

TALKERS = {PCP: PcpTalk, NATPMP: NatPmpTalk, UPNP: UpnpTalk}
_ANYWHERE = "192.0.2.1"  # RFC 5737: where a packet to the internet would go
_SETTLE_MS = 250  # links, addresses and routes come in several steps
_RETRY_MS = 5000
_LOOK_MS = 500  # from a mapping to the first look from outside
_LOOK_BAD_MS, _LOOK_LATER_MS, _LOOK_GOOD_MS = 10000, 60000, 900000  # from one look to the next
_BAD_MOST = 2  # looks in a row
_CLOSE_MS = 2500  # a lease needs up to 2 s


class _Port:
    """A port and what became of it."""

    def __init__(self, key, lease):
        self.key = key
        self.lease = lease
        self.mapping = None  # as it was granted last
        self.forward = None  # (ip, port) in the LAN, or None: our own
        self.external = None  # as others were told
        self.verdict = self.problem = ""  # of the last look
        self.bad = 0


class Portmap:
    """The role for one section (`values`), with an interface or only forwards. `interfaces()` gives rows as wan.Wan
    has them; `verify(interface, mapping, done)` has outside.py try a Mapping; `changed(interface, port, before,
    after)` is called when a port is mapped, lost, or mapped elsewhere: both are endpoints or None."""

    def __init__(self, loop, values, keep_dir, interfaces, verify, changed):
        self._loop = loop
        self._values = values
        self._interfaces, self._verify, self._tell = interfaces, verify, changed
        self._nonce = load_nonce(keep_dir)
        self._options = {}  # of the present leases, by (protocol, lifetime)
        self._problem = ""
        self._ports = []
        self._timer = self._look_timer = None
        self._done = None  # to be called when all is deleted
        self._gateway = Gateway(loop, self._stepped)
        self.refresh()

    @property
    def interface(self):
        """The WireGuard interface, or None: only forwards are mapped."""
        return self._values.interface

    # -- what is wanted -----------------------------------------------------------------------------

    def configure(self, values):
        """Take a new section of the same name."""
        self._values = values
        self.refresh()

    def refresh(self):
        """What `interfaces` gives may have changed, or a link, an address or a route."""
        if self._timer is None and self._done is None:
            self._timer = self._loop.call_later(_SETTLE_MS, self._look)

    def address_changed(self):
        """A publisher sees this machine at another address: the gateway may have a new one, too."""
        for port in self._ports:
            port.lease.doubt(self._loop.now())
        self._gateway.step()

    def _look(self):
        self._timer = None
        own = [row for row in self._interfaces() if row[0] == self.interface and row[1]]
        self._arrange(own[0][1] if own else None)
        ip, own_ip, problem = find_gateway(self._values.gateway, _way(own), "set option gateway")
        self._gateway.uplink(ip, own_ip)
        if self._gateway.problem:
            self._timer = self._loop.call_later(_RETRY_MS, self._look)
        if self.interface is not None and not own:
            problem = problem or "no publisher or subscriber section knows a listen port of " + self.interface
        self._problem = self._gateway.problem or problem
        self._gateway.step()

    def _arrange(self, listen_port):
        """One lease for each port; one that is asked for otherwise from now on is deleted first."""
        protocol, lifetime_s = self._values.protocol, self._values.lifetime
        wanted = {}
        for outside, ip, inside in self._values.forward:
            wanted[(outside, protocol, lifetime_s)] = (ip, inside)
        if listen_port:
            wanted[(listen_port, protocol, lifetime_s)] = None
        there = [port.key[0] for port in self._ports]
        for key in sorted(wanted):
            if key[0] not in there:
                self._ports.append(self._make(key))
        for port in self._ports:
            port.lease.want(self._loop.now(), port.key[0] if port.key in wanted else None)
            port.forward = wanted.get(port.key)

    def _make(self, key):
        _, protocol, lifetime_s = key
        if key[1:] not in self._options:
            self._options = {key[1:]: Options(PROTOCOLS if protocol == "auto" else (protocol,), lifetime_s, self._nonce,
                                              own_name())}
        lease = Lease(self._options[key[1:]], TALKERS, random_below)
        self._gateway.leases.append(lease)
        return _Port(key, lease)

    # -- what came of it ------------------------------------------------------------------------------

    def _stepped(self):
        """The leases may have changed."""
        for port in list(self._ports):
            mapping = port.lease.mapping
            external = port.lease.external
            renewed, port.mapping = mapping not in (None, port.mapping), mapping
            if external != port.external:
                before, port.external = port.external, external
                self._mapped(port, before)
            elif renewed and port.forward is None:  # it may be another one, after a restart of the gateway
                self._verify_in(_LOOK_MS, port)
            if port.lease.stopped:
                self._ports.remove(port)
                self._gateway.leases.remove(port.lease)
                self.refresh()  # the same port may be wanted otherwise
        if self._done is not None and not self._ports:
            self._finish()

    def _mapped(self, port, before):
        log.info("portmap: port %d: %s" % (port.key[0], "mapped to %s by %s" % (
            port.external, port.mapping.protocol) if port.external else "no longer mapped"))
        port.verdict, port.problem, port.bad = "", "", 0
        if port.forward is None and port.external is not None:
            self._verify_in(_LOOK_MS, port)
        if self._done is None:
            self._tell(self.interface, port.key[0], _known(before), _known(port.external))

    def _verify_in(self, delay_ms, port):
        if self._look_timer is not None:
            self._look_timer.cancel()
        self._look_timer = self._loop.call_later(delay_ms, self._verify_now, port)

    def _verify_now(self, port):
        self._look_timer = None
        external = port.external
        if external is not None:
            self._verify(self.interface, port.lease.mapping,
                         lambda verdict, problem: self._verified(port, external, verdict, problem))

    def _verified(self, port, external, verdict, problem):
        if external != port.external or self._done is not None:
            return
        port.verdict, port.problem = verdict, problem
        if verdict in (OPEN, OPEN_HERE):
            port.bad = 0
            port.lease.alive()
            self._verify_in(_LOOK_GOOD_MS, port)
        elif verdict == UNKNOWN:
            self._verify_in(_LOOK_LATER_MS, port)
        else:
            port.bad += 1
            self._verify_in(_LOOK_BAD_MS if port.bad < _BAD_MOST else _LOOK_LATER_MS, port)
            if port.bad >= _BAD_MOST and port.lease.dead(self._loop.now()):
                log.warning("portmap: nothing comes through %s: it is deleted and asked for anew" % external)
                self._gateway.step()

    def is_open(self):
        """Whether our port was reached from outside through the mapping that holds."""
        return bool([port for port in self._ports if port.forward is None and port.external is not None
                     and port.verdict in (OPEN, OPEN_HERE)])

    def endpoints(self):
        """Where the gateway says that WireGuard here is reached."""
        return [port.external for port in self._ports if port.forward is None and _known(port.external)]

    # -- for status -----------------------------------------------------------------------------------

    def status(self):
        """What `wgp2p status --json` says of it."""
        rows = []
        for port in self._ports:
            row = port.lease.row(self._loop.now())
            row["forward"] = "%s:%d" % port.forward if port.forward else None
            row["verdict"] = port.verdict
            row["error"] = row["error"] or port.problem
            rows.append(row)
        return {"interface": self.interface, "gateway": self._gateway.ip, "address": self._gateway.own_ip,
                "problem": self._problem, "mappings": rows}

    def close(self, done):
        """Delete what is mapped and call `done()`, within 2.5 s in any case."""
        self._done = done
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(_CLOSE_MS, self._finish)
        for port in self._ports:
            port.lease.want(self._loop.now(), None)
        self._gateway.step()

    def _finish(self):
        done, self._done = self._done, lambda: None
        for timer in (self._timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        self._gateway.close()
        done()


def _known(external):
    """The endpoint, or None where the gateway does not say its address."""
    return None if external is None or external.startswith("?") else external


def _way(rows):
    """An address (text) on the way to the internet: the public server's, else any."""
    for row in rows:
        for server in row[2]:
            if not server.startswith("["):
                return server.rpartition(":")[0]
    return _ANYWHERE


def own_name():
    """What names this machine's mappings in the gateway's list."""
    try:
        text = read_text("/proc/sys/kernel/hostname", 256)
    except (OSError, ValueError):
        text = ""
    host = "".join([c for c in text if c == "-" or "0" <= c <= "9" or "A" <= c <= "Z" or "a" <= c <= "z"])
    return ("wgp2p " + host[:32]).strip()


def load_nonce(folder):
    """The 12 bytes in FOLDER/pcp.nonce, made when there are none. What was mapped before a crash is known by them, so
    they outlive one; where they cannot be kept, such a mapping only ends later."""
    path = folder + "/pcp.nonce"
    try:
        nonce = binascii.unhexlify(read_text(path, 64).strip())
        if len(nonce) == NONCE_SIZE:
            return nonce
    except (OSError, ValueError):
        pass
    nonce = random_bytes(NONCE_SIZE)
    try:
        write_private(path, binascii.hexlify(nonce).decode() + "\n")
    except OSError as error:
        log.debug("portmap: %s cannot be kept: %s" % (path, client.words(error)))
    return nonce
