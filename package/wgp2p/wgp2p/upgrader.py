"""Moves the clients of one interface from the relay to the direct path, and tells the relay of sessions that were made
on the direct path, so that they can go on through it when that path dies.

Which address is tried when, says upgrade.py for each client; copier.py makes one attempt at a time; beacons.py names
addresses. Handshakes that went directly are noted by the kernel (sessions.py). Sockets are open only while there is
somebody to be moved, and the table is there only while a publisher relays.
"""
from . import beaconkey, log, probe
from .beacons import Beacons
from .blake2s import Mac1
from .copier import WINDOW_MS, Copier, Detour
from .path import DIRECT, RELAY
from .sessions import SessionTable
from .upgrade import Upgrade
from .wgmessage import key_bytes
from .wgpacket import mac1_key

_TELL_MS = 100  # the handshake's last packet may be a moment away
# An empty echo request has 28 bytes, with IPv6 48; WireGuard fills them up to 32 and 48 and adds 32 (whitepaper 5.4.6).
_ECHO_SIZE, _ECHO_SIZE6 = 64, 80
_QUIET_MS = 500  # longer than what the attempt of a second ago made it send
_DEAF_MS = 60000  # how long not to ask again for what was refused


class Row:
    """A client as the Subscriber knows it: `state` of its path, `endpoint` where WireGuard stands, `seen` where its
    publisher sees it, `relay` where that one's server relays (each an endpoint or None), `auto` whether the direct path
    is wanted, `handshake` the time of the last one, `ip` an address that leads into its tunnel, or None."""

    def __init__(self, state, endpoint, seen, relay, auto, handshake, ip):
        self.state, self.endpoint, self.seen, self.relay = state, endpoint, seen, relay
        self.auto, self.handshake, self.ip = auto, handshake, ip


class Upgrader:
    """`view` (the Subscriber) offers `config`, `tell_session(key, [[ours, theirs], ...])` for what the publisher is to
    know, and `tried(key)`, which hears of every attempt. `wireguard` is a backend of wireguard.py; without
    one there are no detours."""

    def __init__(self, loop, interface, view, wireguard=None):
        self._loop = loop
        self._interface = interface
        self._view = view
        self._rows, self._port = {}, None
        self._upgrades = {}  # key: Upgrade
        self._copier = Copier(loop)
        self._detour = Detour(loop, wireguard, interface) if wireguard is not None else None
        self._counts = {}  # key: (rx, tx) of clients on the relay, and since when they are these
        self._timer, self._free_ms = None, loop.now()  # when the attempt before is over
        self._sessions = SessionTable(loop)
        self._direct = {}  # key: (endpoint, handshake) of which the relay was told
        self._untold, self._telling = set(), None
        self._beacons, self._secret, self._mac1 = None, None, {}  # Mac1 of each client's beacon key
        self._deaf_until, self._deaf_reason = loop.now(), None

    # -- what the Subscriber knows ----------------------------------------------------------------

    def update(self, device, rows):
        """After each reading: the wgmessage.Device, and {key: Row} of its clients."""
        now = self._loop.now()
        if device.listen_port != self._port:
            self._port = device.listen_port
            self._close_beacons()
        self._rows = rows
        for key in [key for key in self._upgrades if key not in rows]:
            del self._upgrades[key]
        for key in rows:
            row = rows[key]
            upgrade = self._upgrades.setdefault(key, Upgrade())
            upgrade.seen(now, row.seen)
            upgrade.relaying(now, self._is_wanted(row))
        self._count(now, device.peers)
        self._sessions.want(self._port or None if [key for key in rows if rows[key].relay] else None)
        self._note_handshakes(rows)
        self._listen(sorted([key for key in rows if self._is_wanted(rows[key])]))
        self._schedule()

    @staticmethod
    def _is_wanted(row):
        return row.state == RELAY and row.auto and row.relay is not None and row.ip is not None

    def _count(self, now, peers):
        counts = {}
        for key in self._rows:
            if key in peers and self._is_wanted(self._rows[key]):
                count = (peers[key].rx, peers[key].tx)
                before = self._counts.get(key)
                counts[key] = before if before is not None and before[0] == count else (count, now)
        self._counts = counts

    # -- attempts -----------------------------------------------------------------------------------

    def _schedule(self):
        """Plan the next attempt: when one is due, and the one before is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [ms for ms in [upgrade.next_ms() for upgrade in self._upgrades.values()] if ms is not None]
        if due:
            self._timer = self._loop.call_later(max(min(due), self._free_ms) - self._loop.now(), self._attempt)

    def _attempt(self):
        """Of the clients that are due the one that waits longest."""
        now = self._loop.now()
        if self._detour is not None and self._detour.busy:  # its backend takes long
            self._free_ms = now + WINDOW_MS
            self._schedule()
            return
        due = sorted([(self._upgrades[key].next_ms(), key) for key in self._upgrades
                      if self._upgrades[key].next_ms() is not None])
        endpoint = self._upgrades[due[0][1]].take(now) if due else None
        if endpoint is not None and endpoint != self._rows[due[0][1]].relay:
            self._free_ms = now + WINDOW_MS
            self._try(due[0][1], endpoint)
        self._schedule()

    def _try(self, key, endpoint):
        row, name = self._rows[key], self._view.config.name(key)

        def ask():
            probe.echo(self._interface, row.ip)

        if self._takes_detour(key):
            log.debug("%s: trying %s by a detour" % (name, endpoint))
            self._upgrades[key].detoured()
            self._detour.attempt(key, row.relay, endpoint, self._counts[key][0], ask, lambda: self._view.tried(key))
            return
        log.debug("%s: trying %s beside the relay" % (name, endpoint))
        try:
            self._copier.attempt(row.relay, endpoint, self._port, _ECHO_SIZE6 if ":" in row.ip else _ECHO_SIZE, ask)
        except OSError as error:
            log.debug("%s: %s is not tried (errno %d)" % (name, endpoint, error.args[0]))
        else:
            self._view.tried(key)

    def _takes_detour(self, key):
        return (self._detour is not None and self._upgrades[key].may_detour() and key in self._counts
                and self._loop.now() - self._counts[key][1] >= _QUIET_MS)

    # -- beacons --------------------------------------------------------------------------------------

    def _listen(self, keys):
        """Hear the beacons of these clients."""
        if not keys:
            self._close_beacons()
            return
        if self._beacons is None and self._loop.now() >= self._deaf_until:
            self._open_beacons()
        if self._beacons is None:
            return
        wanted = {}
        for key in keys:
            if key not in self._mac1:
                self._mac1[key] = Mac1(mac1_key(key_bytes(beaconkey.beacon_of(self._secret, key))))
            wanted[key] = self._mac1[key]
        self._mac1 = wanted
        self._beacons.want(wanted)

    def _open_beacons(self):
        reason = None
        try:
            if self._secret is None:
                self._secret = beaconkey.beacon_key(self._view.config.main.keep_dir)
            self._beacons = Beacons(self._loop, self._port, self._beacon)
        except beaconkey.BeaconKeyError as error:
            reason = str(error)
        except OSError as error:
            reason = "no raw socket (errno %d)" % error.args[0]
        if reason is not None:
            self._deaf_until = self._loop.now() + _DEAF_MS
            if reason != self._deaf_reason:
                log.warning("%s: beacons are not heard: %s" % (self._interface, reason))
        self._deaf_reason = reason

    def _close_beacons(self):
        if self._beacons is not None:
            self._beacons.close()
            self._beacons = None

    def _beacon(self, key, endpoint):
        if key in self._upgrades:
            self._upgrades[key].beacon(self._loop.now(), endpoint)
            self._schedule()

    # -- sessions -------------------------------------------------------------------------------------

    def _note_handshakes(self, rows):
        direct = {}
        for key in rows:
            row = rows[key]
            if row.state == DIRECT and row.relay is not None and row.endpoint is not None:
                direct[key] = (row.endpoint, row.handshake)
                if self._direct.get(key) != direct[key]:
                    self._untold.add(key)
        self._direct = direct
        self._tell_soon()

    def retell(self):
        """The publisher may have forgotten what it was told: tell it all again."""
        self._untold.update(self._direct)
        self._tell_soon()

    def _tell_soon(self):
        if self._untold and self._telling is None:
            self._telling = self._loop.call_later(_TELL_MS, self._tell)

    def _tell(self):
        self._telling = None
        keys, self._untold = sorted(self._untold), set()
        found = self._sessions.read([self._direct[key][0] for key in keys if key in self._direct])
        for key in keys:
            sessions = found.get(self._direct[key][0]) if key in self._direct else None
            if sessions:
                self._view.tell_session(key, [list(row) for row in sessions])

    # -- the end ----------------------------------------------------------------------------------------

    def close(self, done):
        """No more attempts and calls; the table goes, then `done()`."""
        for timer in (self._timer, self._telling):
            if timer is not None:
                timer.cancel()
        self._timer = self._telling = None
        self._copier.close()
        if self._detour is not None:
            self._detour.close()
        self._close_beacons()
        self._sessions.close(done)
