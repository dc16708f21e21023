"""The uplink: which it is, that our own WireGuard keeps its port there, and what is to be done when it changes.

Everything here happens when something has changed: a link, an address, a route, the configuration, what a publisher
says, somebody else's ruleset. Nothing runs by the clock.
"""
from . import addr, firewall, flows, links, log, ruleset

# Links, addresses and routes of an uplink come in several steps.
_SETTLE_MS = 250
_RETRY_MS = 5000
_ANYWHERE = ("192.0.2.1", "2001:db8::1")  # RFC 5737, RFC 3849: where a packet to the internet would go
_MOST_HOMES = 8


class Wan:
    """`interfaces()` gives rows of (name of a WireGuard interface, its listen port or None, endpoints of its public
    servers, endpoints under which publishers see this device). `changed()` is called when peers should be called:
    another uplink, or our packets have another port outside."""

    def __init__(self, loop, main, interfaces, changed):
        self._loop = loop
        self._interfaces, self._changed = interfaces, changed
        self._main = main
        self._rows, self._text = None, None
        self._state = None  # what an uplink is known by; None before the first look
        self._devices, self._addresses, self._own = [], [], []
        self._mtu = None  # the smallest of the uplinks', bytes
        self._guarded = []  # the devices that rules are for: the last known while there is no uplink
        self._problem = None
        self._again = True  # look, even when no fact of ours has changed
        self._timer = None
        self._closed = False
        self._firewall = firewall.Firewall(loop, self._loaded, self.links_changed)
        self.refresh()

    # -- when to look -----------------------------------------------------------------------------

    def configure(self, main):
        """Take a new configuration (the section wgp2p)."""
        self._main = main
        self.links_changed()

    def links_changed(self):
        """A link, an address, a route or the ruleset has changed."""
        self._again = True
        self.refresh()

    def refresh(self):
        """What `interfaces` gives may have changed."""
        if self._timer is None and not self._closed:
            self._timer = self._loop.call_later(_SETTLE_MS, self._look)

    def _look(self):
        self._timer = None
        rows = self._interfaces()
        if rows == self._rows and not self._again:
            return
        self._rows, self._again, self._problem = rows, False, None
        before = self._own
        try:
            self._own = links.addresses()
            state = self._find()
        except (OSError, ValueError) as error:
            self._problem = "the uplink cannot be found: %s" % error
            self._again, self._timer = True, self._loop.call_later(_RETRY_MS, self._look)
            return
        self._update()
        if state == self._state or not rows:  # without an interface of ours nothing was looked for
            return
        first, self._state = self._state is None, state
        log.info("uplink: %s" % (", ".join(["%s (%s)" % (row[0], row[2]) for row in state[0]]) or "none"))
        if state[0] and not first:
            self._forget(before + self._own)
            self._changed()

    # -- the uplink -------------------------------------------------------------------------------

    def _find(self):
        """Find the uplinks; gives what they are known by: the routes' (device, ifindex, source) and the addresses."""
        tunnels = [row[0] for row in self._rows]
        routes = set()
        for row in self._rows:
            for ip in [addr.parse_endpoint(endpoint)[0] for endpoint in row[2]] or _ANYWHERE:
                try:
                    found = links.route(ip)
                except OSError:
                    continue
                if found[0] in tunnels:
                    self._problem = "the route to %s leads through %s: set option wan" % (ip, found[0])
                else:
                    routes.add(found)
        self._devices = sorted(self._main.wan or set([found[0] for found in routes]))
        self._guarded = self._devices or self._guarded
        found, sizes = [], []
        for device in self._devices:
            try:
                found += links.addresses(links.link_index(device))
                sizes.append(links.mtu(device))
            except OSError:
                pass  # not there at present
        self._mtu = min(sizes) if sizes else None
        self._addresses = sorted([ip for ip in found if addr.is_unicast(ip)])
        # IPv6 addresses come and go by themselves; the one that is used is the route's.
        return sorted(routes, key=str), [ip for ip in self._addresses if ":" not in ip]

    def _forget(self, own):
        """The entries of our own flows are of another uplink: a source or a translation that leads nowhere now."""
        try:
            for port in self._ports():
                flows.delete([flow for flow in flows.find(source_port=port) if flow.source in own])
        except flows.FlowsError as error:
            log.debug("uplink: %s" % error)

    def _ports(self):
        return sorted(set([row[1] for row in self._rows or [] if row[1]]))

    # -- the table --------------------------------------------------------------------------------

    def _homes(self):
        """(public address, public port, listen port) rows of what LAN clients reach only around the outside."""
        homes = []
        for row in self._rows or [] if self._main.at_home else []:
            for endpoint in row[3][:_MOST_HOMES] if row[1] else []:
                ip, port = addr.parse_endpoint(endpoint)
                if ":" not in ip and addr.is_unicast(ip) and not (ip in self._own and port == row[1]):
                    homes.append((ip, port, row[1]))
        return homes

    def _kept(self):
        """(our own listen ports, LAN clients' ports) that are to be preserved."""
        return (self._ports(), self._main.preserve) if self._main.enabled and self._main.preserve_port else ([], [])

    def _update(self):
        text = ""
        try:
            listen, preserve = self._kept()
            script = ruleset.script(self._guarded, listen, preserve, self._homes(), [row[0] for row in self._rows])
            if script and firewall.others_translate():
                text = script
        except (ValueError, firewall.FirewallError) as error:
            self._problem = str(error)
        self._text = text
        self._firewall.want(text)

    def _loaded(self):
        """New rules hold for new flows only: the entries in their way are taken away."""
        listen, preserve = self._kept()
        ours = 0
        try:
            for port in listen:
                found = flows.find(source_port=port)
                flows.delete(flows.holders(found, port, self._own))
                mine = flows.rewritten(found, port, self._own)
                flows.delete(mine)
                ours += len(mine)
            for port in preserve:
                if port not in listen:
                    flows.delete(flows.displaced(flows.find(source_port=port), port, self._own))
            for ip, port, _ in self._homes():
                flows.delete(flows.passers(flows.find(destination=(ip, port)), self._own))
        except flows.FlowsError as error:
            log.warning("connections from before keep their ports: %s" % error)
        if ours:
            self._changed()

    # -- for status and doctor --------------------------------------------------------------------

    def status(self):
        """What `wgp2p status --json` says of the uplink."""
        text = self._text or ""
        return {"device": self._devices, "address": self._addresses, "mtu": self._mtu,
                "preserve": "chain srcnat" in text,
                "at_home": [addr.format_endpoint(row[0], row[1]) for row in self._homes()
                            if "chain dstnat" in text],
                "problem": self._firewall.problem or self._problem or ""}

    def rewritten(self):
        """[(listen port, port outside)] of our own flows whose port this very router changes. flows.FlowsError."""
        found = set()
        for port in self._ports():
            for flow in flows.rewritten(flows.find(source_port=port), port, self._own):
                found.add((port, flow.outside_port))
        return sorted(found)

    def close(self, done):
        """Stop, take the table away and call `done()`, within 2 s in any case."""
        if self._timer is not None:
            self._timer.cancel()
        self._closed = True
        self._firewall.close(done)
