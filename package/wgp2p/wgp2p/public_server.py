"""A public server as the remote device sees it: the Link to its publisher, its WireGuard peer here, and its name in
the DNS, which is asked when it does not answer any more.
"""
from . import addr, log
from .files import read_token, write_token
from .handshake import call
from .link import Link
from .registry import age_s

_TOKEN_RETRY_MS = 10000
_SILENT_MS = 20000
_RESOLVE_EVERY_MS = 10000
_MOVE_EVERY_MS = 30000
_REKEY_LEAST_MS = 110000  # WireGuard's own rekeys are 120 s apart: an earlier one is a new server's
_REKEY_MOST_MS = 360000
_WG_PORT = 51820


class PublicServer:
    """One public server: the Link to its publisher, its WireGuard peer here, and its name in the DNS."""

    def __init__(self, loop, wireguard, resolver, subscriber, values, keep_dir):
        self._loop = loop
        self._wireguard = wireguard
        self._resolver = resolver
        self._subscriber = subscriber
        self.values = values
        self._keep_dir = keep_dir
        self.link = None
        self.key = None
        self.problem = ""
        self._peer = None
        self._ifindex = None
        self._rx_ms = self._handshake_ms = None
        self._resolved_ms = self._moved_ms = None
        self._unresolved = None  # why the DNS does not tell, as logged
        self._turn = 0
        self._timer = None
        self._token = None
        self._closed = False
        self._follow()

    def fits(self, values, keep_dir):
        """Whether a new section of the same name needs no new connection. A token file is read again; one that is
        unreadable now ends no connection that works."""
        if (self.values.publisher, self.values.port) != (values.publisher, values.port):
            return False
        try:
            return _token(values, keep_dir) == self._token
        except ValueError as error:
            log.warning("publisher %s: %s" % (values.label, error))
            return True

    def _follow(self):
        self._timer = None
        try:
            token = _token(self.values, self._keep_dir)
        except ValueError as error:
            problem = "%s; `wgp2p token NAME` on the public server shows it" % error
            if problem != self.problem:
                self.problem = problem
                log.error("publisher %s: %s" % (self.values.label, problem))
            self._timer = self._loop.call_later(_TOKEN_RETRY_MS, self._follow)
            return
        self.problem = ""
        self._token = token
        self.link = Link(self._loop, self.values.label, self.values.publisher, self.values.port,
                         self._subscriber.interface, token, self._subscriber)

    def ask_anew(self):
        """Get a whole snapshot, now or with the next connection."""
        if self.link is not None:
            self.link.ask_anew()

    def nudge(self):
        """Let WireGuard send to the public server at once, from the address that this machine has now."""
        if self._peer is not None and self._peer.endpoint and not self._subscriber.config.excluded(self.key):
            call(self._wireguard, self._subscriber.interface, self.key, self._peer.endpoint, self._peer.keepalive,
                 self._called)

    def hurry(self):
        """Connect anew at once."""
        if self.link is not None:
            self.link.hurry(False)

    def find(self, device):
        """Find the server's peer: the one with the longest allowed IP that holds the publisher's address."""
        rows = [(key, [addr.parse_network(text) for text in device.peers[key].allowed_ips]) for key in device.peers]
        self.key = addr.longest_match(rows, self.values.publisher)

    def watch(self, now, device):
        """Take a reading: whether the server lives, and whether it is a new one."""
        peer, old = device.peers.get(self.key), self._peer
        self._peer = peer
        if peer is None:
            return
        if old is None or peer.rx != old.rx:
            self._rx_ms = now
        if old is None or peer.handshake != old.handshake:
            if old is not None and device.ifindex == self._ifindex and self.link is not None and not (
                    _REKEY_LEAST_MS < now - self._handshake_ms < _REKEY_MOST_MS) and self.link.mode == "events":
                log.info("publisher %s: WireGuard there began anew, connecting again" % self.values.label)
                self.link.hurry(False)
            self._handshake_ms = now
        self._ifindex = device.ifindex
        self._look_up(now, peer)

    # -- its address --------------------------------------------------------------------------------

    def _look_up(self, now, peer):
        """Ask the DNS when the publisher is out of reach and nothing comes from the server either. An event stream is
        taken for broken only after two heartbeats; one that did not come, nor anything else, is enough here."""
        if not self.values.server_host or self.link is None or self._subscriber.config.excluded(self.key) or (
                self.link.lost_ms is None and self.link.mode == "polling"):
            return
        if peer.endpoint and now - self._rx_ms < _SILENT_MS:
            return
        if self._resolved_ms is not None and now - self._resolved_ms < _RESOLVE_EVERY_MS:
            return
        self._resolved_ms = now
        self._resolver.resolve(self.values.server_host, self._resolved)

    def _resolved(self, ips, error):
        if self._closed or self._subscriber.config.excluded(self.key):
            return
        name = self.values.server_host
        if error and error != self._unresolved:
            log.warning("publisher %s: %s" % (self.values.label, error))
        self._unresolved = error
        now, peer = self._loop.now(), self._peer
        if not ips or peer is None or (self._moved_ms is not None and now - self._moved_ms < _MOVE_EVERY_MS):
            return
        old, port = addr.parse_endpoint(peer.endpoint) if peer.endpoint else ("", _WG_PORT)
        others = [ip for ip in ips if ip != old and addr.is_unicast(ip)]
        alike = [ip for ip in others if (":" in ip) == (":" in old)]
        others = alike + [ip for ip in others if ip not in alike]
        if not others:
            return
        endpoint = addr.format_endpoint(others[self._turn % len(others)], port)
        self._turn += 1
        self._moved_ms = now
        log.info("publisher %s: trying %s at %s" % (self.values.label, name, endpoint))
        call(self._wireguard, self._subscriber.interface, self.key, endpoint, peer.keepalive, self._called)

    def _called(self, error):
        if error is not None:
            log.warning("publisher %s: %s" % (self.values.label, error))
        else:
            self.hurry()

    def relay(self):
        """Where this server relays: its WireGuard endpoint as we know it, or None."""
        relays = self.link is not None and self.link.relays
        return self._peer.endpoint if relays and self._peer is not None else None

    def status(self, now):
        """What status says of this publisher."""
        link = self.link
        return {"name": self.values.label, "publisher": self.values.publisher, "port": self.values.port,
                "public_key": self.key, "mode": link.mode if link else "no token",
                "problem": self.problem or (link.problem if link else ""),
                "connected_age": age_s(now, link.connected_ms) if link else None,
                "tunnel_age": age_s(now, self._rx_ms) if self._peer is not None and self._peer.rx else None,
                "refused": link.refused if link else None,
                "you": link.you if link else None, "relays": link.relays if link else False}

    def close(self):
        """Stop following."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self.link is not None:
            self.link.close()


def take_token(config, label, token):
    """Put this token into the file of the subscriber section of this name ("": of the only one), which it gives
    (config.Values). ValueError says in words why not, without the token."""
    keep_dir = config.main.keep_dir
    found = [values for values in config.subscribers if label in ("", values.label)]
    if not found:
        raise ValueError("no subscriber section of this name is switched on")
    values = found[0]
    if len(found) > 1:
        raise ValueError("there are several subscriber sections: say which one is meant")
    if values.token:
        raise ValueError("section %s has option token in the configuration, and that one counts: remove it first"
                         % values.label)
    for other in config.subscribers:
        if other is not values and not other.token and _token_path(other, keep_dir) == _token_path(values, keep_dir):
            raise ValueError("sections %s and %s have the same token file: give each its own, with option token_file"
                             % (values.label, other.label))
    write_token(_token_path(values, keep_dir), token)
    return values


def _token_path(values, keep_dir):
    return values.token_file or keep_dir + "/token"


def _token(values, keep_dir):
    """The token of a subscriber section. ValueError."""
    return values.token or read_token(_token_path(values, keep_dir))
