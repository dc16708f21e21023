"""Moves the clients of one interface from the relay to the direct path, and tells the relay of sessions that were made
on the direct path, so that they can go on through it when that path dies.

Which address is tried when, says upgrade.py for each client; beacons.py names addresses. In an attempt, one at a time,
the client is asked for a sign of life, and that one packet goes to the candidate, while all else takes the relay as
ever. WireGuard takes an authentic packet from anywhere and answers to where it came from: so the client moves to us,
and its answer moves us to it. No endpoint is set by anybody. A client that has moved and whose answer does not come
through is asked again by the relay, and so brought back. There are two ways for that packet:

- The kernel diverts it (sessions.py). It is one of a kind, so the client takes it whenever it comes. Who gets it
  instead could send it on, and so come in between and be a relay himself; so it goes only to an address at which a
  publisher, which relays anyhow, sees the client.
- It goes to the relay, and a copy to the candidate (copier.py). This moves the client only when the copy comes first,
  and somebody else can make little use of it: for addresses that only a beacon names, and where nothing can be
  diverted, as from IPv4 to IPv6.

Handshakes that went directly are noted by the kernel (sessions.py). Sockets are open only while there is somebody to be
moved, and the table is there only where a publisher relays.
"""
from . import beaconkey, log, probe
from .beacons import Beacons
from .blake2s import Mac1
from .copier import WINDOW_MS, Copier, open_nat
from .path import DIRECT, RELAY, TRYING
from .sessionrules import ECHO_SIZES
from .sessions import SessionTable
from .upgrade import Upgrade
from .wgmessage import key_bytes
from .wgpacket import mac1_key

_TELL_MS = 100  # the handshake's last packet may be a moment away
_AGAIN_MS = 600  # longer than a round trip, and before the next attempt
_OPEN_EVERY_MS = 1000
_TELL_EVERY_MS, _RETRY_MS = 1000, 4000
_TABLE_MS = 60000  # a relay that comes and goes loads no table each time
_DEAF_MS = 60000  # how long not to ask again for what was refused


class Row:
    """A client as the Subscriber knows it: `state` of its path, `endpoint` where WireGuard stands, `seen` where its
    publisher sees it, `relay` where that one's server relays (each an endpoint or None), `policy` what option path
    says, `awake` whether a publisher hears it, `handshake` the time of the last one, `ip` an address that leads into
    its tunnel, or None; `announced` whether `seen` is what the client itself says, a port mapped for it."""

    def __init__(self, state, endpoint, seen, relay, policy, awake, handshake, ip, announced=False):
        self.state, self.endpoint, self.seen, self.relay = state, endpoint, seen, relay
        self.policy, self.awake, self.handshake, self.ip = policy, awake, handshake, ip
        self.announced = announced


class Upgrader:
    """`view` (the Subscriber) offers `config`, `tell_session(key, [[ours, theirs], ...])` for what the publisher is to
    know, and gives whether it could be told; `tried(key)`, which hears of every attempt, and `beacon(key, endpoint)` of
    every beacon."""

    def __init__(self, loop, interface, view):
        self._loop = loop
        self._interface = interface
        self._view = view
        self._rows, self._port = {}, None
        self._upgrades = {}  # key: Upgrade
        self._copier = Copier(loop)
        self._timer, self._free_ms = None, loop.now()  # when the attempt before is over
        self._opened = {}  # key: when our NAT was opened for a client that is called through the relay
        self._again = {}  # key: the timer of asking again after an attempt
        self._sessions = SessionTable(loop)
        self._direct = {}  # key: (endpoint, handshake) of which the relay was told
        self._untold, self._telling, self._told_ms = set(), None, loop.now() - _TELL_EVERY_MS
        self._relayed_ms = None  # when a relay was last named
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
        self._open_nat(now)
        if [key for key in rows if rows[key].relay]:
            self._relayed_ms = now
        elif self._relayed_ms is not None and now - self._relayed_ms >= _TABLE_MS:
            self._relayed_ms = None
        self._sessions.want(self._port or None if self._relayed_ms is not None else None)
        self._note_handshakes(rows)
        self._listen(sorted([key for key in rows if self._is_wanted(rows[key])]))
        self._schedule()

    @staticmethod
    def _is_wanted(row):
        return row.state == RELAY and row.policy == "auto" and row.relay is not None and row.ip is not None

    def _open_nat(self, now):
        """A client whose profile names our endpoint answers a call through the relay there."""
        for key in [key for key in self._opened if now - self._opened[key] >= _OPEN_EVERY_MS]:
            del self._opened[key]
        for key in self._rows:
            row = self._rows[key]
            if (row.state == TRYING and row.policy == "auto" and row.seen is not None
                    and row.endpoint == row.relay is not None and self._port and key not in self._opened):
                self._opened[key] = now
                try:
                    open_nat(row.seen, self._port)
                except OSError as error:
                    log.debug("%s: our NAT is not opened (errno %d)" % (self._view.config.name(key), error.args[0]))

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
        due = sorted([(self._upgrades[key].next_ms(), key) for key in self._upgrades
                      if self._upgrades[key].next_ms() is not None])
        endpoint = self._upgrades[due[0][1]].take(now) if due else None
        if endpoint is not None and endpoint != self._rows[due[0][1]].relay:
            self._free_ms = now + WINDOW_MS
            self._try(due[0][1], endpoint)
        self._schedule()

    def _try(self, key, endpoint):
        row, name = self._rows[key], self._view.config.name(key)
        size = ECHO_SIZES[":" in row.ip]

        def ask():
            if self._upgrades[key].trusts(endpoint):
                self._sessions.divert(row.relay, endpoint, size)
            probe.echo(self._interface, row.ip)

        log.debug("%s: trying %s beside the relay" % (name, endpoint))
        if key in self._again:
            self._again.pop(key).cancel()
        try:
            self._copier.attempt(row.relay, endpoint, self._port, size, ask)
        except OSError as error:
            log.debug("%s: %s is not tried (errno %d)" % (name, endpoint, error.args[0]))
        else:
            self._again[key] = self._loop.call_later(_AGAIN_MS, self._ask_again, key)
            self._view.tried(key)

    def _ask_again(self, key):
        del self._again[key]
        if key in self._rows and self._is_wanted(self._rows[key]):
            try:
                probe.echo(self._interface, self._rows[key].ip)
            except OSError as error:
                log.debug("%s: is not asked (errno %d)" % (self._view.config.name(key), error.args[0]))

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
            self._view.beacon(key, endpoint)
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
            wait = max(_TELL_MS, self._told_ms + _TELL_EVERY_MS - self._loop.now())
            self._telling = self._loop.call_later(wait, self._tell)

    def _tell(self):
        self._telling, self._told_ms = None, self._loop.now()
        keys, self._untold = sorted(self._untold), set()
        found = self._sessions.read([self._direct[key][0] for key in keys if key in self._direct])
        for key in keys:
            sessions = found.get(self._direct[key][0]) if key in self._direct else None
            if sessions and not self._view.tell_session(key, [list(row) for row in sessions]):
                self._untold.add(key)
        if self._untold:
            self._told_ms += _RETRY_MS
            self._tell_soon()

    # -- the end ----------------------------------------------------------------------------------------

    def close(self, done):
        """No more attempts and calls; the table goes, then `done()`."""
        for timer in [self._timer, self._telling] + list(self._again.values()):
            if timer is not None:
                timer.cancel()
        self._timer = self._telling = None
        self._copier.close()
        self._close_beacons()
        self._sessions.close(done)
