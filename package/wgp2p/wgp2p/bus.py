"""The ubus object `wgp2p`, its events, and procd's hotplug: what OpenWrt sees of the daemon.

    ubus -v list wgp2p          the object and its methods: status, peers, mappings, history, doctor, punch,
                                reload, beacon, token
    ubus listen wgp2p.peer      an event when a path or this device's public address changes
    /etc/hotplug.d/wgp2p/       run by procd, as root, when the public address changes

docs/protocol.md, "ubus", says every field. Where there is no ubusd nothing of this exists, and nothing is missed.
"""
from . import log
from .config import ConfigError
from .control import Impossible, refusal
from .ubus import Ubus
from .ubus_socket import socket_path
from .ubusmessage import CONNECTION_FAILED, INVALID_ARGUMENT, NOT_SUPPORTED, OK, words

OBJECT, EVENT, HOTPLUG = "wgp2p", "wgp2p.peer", "hotplug.wgp2p"
_AGAIN_MS, _SELDOM_MS = 1000, 30000
_GIVE_UP_MS = 10000
_HOTPLUG_MS = 10000


class Bus:
    """Serves what `commands` can do (as control.Control has it) on ubus. `interface_event()` is called when netifd has
    touched an interface; `gave_up()` when ubusd went away and did not come back within 10 s: in a jail its socket is
    then another one than we can see, and only a new start helps."""

    def __init__(self, loop, commands, interface_event, gave_up):
        self._loop = loop
        self._commands = commands
        self._interface_event = interface_event
        self._gave_up = gave_up
        self._ubus = self._timer = None
        self._lost_ms = None  # when a connection that was there was lost
        self._why = None  # there has been none yet, as logged
        self.connected = False
        if socket_path():
            self._connect()

    def _connect(self):
        self._timer = None
        try:
            self._ubus = Ubus(self._loop, socket_path() or "", self._ready, self._lost)
        except OSError as error:
            self._lost("errno %d" % error.args[0])

    def _ready(self):
        self.connected = True
        self._ubus.add_object(OBJECT, [
            ("status", [], lambda request: request.reply(self._commands.status())),
            ("peers", [], lambda request: request.reply({"peers": self._commands.peers()})),
            ("mappings", [], lambda request: request.reply({"mappings": self._commands.mappings()})),
            ("history", [], lambda request: request.reply(self._commands.history())),
            ("punch", [("peer", "string")], self._does(self._commands.punch, "peer")),
            ("beacon", [("public_key", "string")], self._does(self._commands.beacon, "public_key")),
            ("token", [("subscriber", "string"), ("token", "string")],
             self._does(self._commands.token, "subscriber", "token")),
            ("reload", [], self._reload),
            ("doctor", [], lambda request: self._commands.doctor(
                lambda findings: request.reply({"findings": findings})))], self._done("the object " + OBJECT))
        self._ubus.listen("network.interface", lambda name, data: self._interface_event(),
                          self._done("listening to network.interface"))

    def _done(self, what):
        def done(status):
            if status not in (OK, CONNECTION_FAILED):  # of a lost connection `_lost` tells
                log.error("ubus: %s: %s" % (what, words(status)))

        return done

    def _lost(self, why):
        now = self._loop.now()
        if self.connected:
            log.warning("ubus: connection lost: %s" % why)
            self.connected, self._lost_ms = False, now
        self._ubus = None
        if self._lost_ms is None:  # perhaps a socket file that nobody serves
            if why != self._why:
                log.warning("ubus: no connection: %s" % why)
            self._why = why
            self._timer = self._loop.call_later(_SELDOM_MS, self._connect)
        elif now - self._lost_ms >= _GIVE_UP_MS:
            log.error("ubus: no connection: %s" % why)
            self._gave_up()
        else:
            self._timer = self._loop.call_later(_AGAIN_MS, self._connect)

    # -- what is asked of us ----------------------------------------------------------------------------

    def _does(self, command, *names):
        def asked(request):
            try:
                request.reply(command(*[request.args.get(name) for name in names]))
            except ValueError as error:
                request.reply({"error": str(error)}, INVALID_ARGUMENT)
            except Impossible as error:
                request.reply({"error": str(error)}, NOT_SUPPORTED)

        return asked

    def _reload(self, request):
        try:
            request.reply({"warnings": self._commands.reload()})
        except ConfigError as error:
            request.reply(refusal(error), INVALID_ARGUMENT)

    # -- what we tell -------------------------------------------------------------------------------------

    def tell(self, data):
        """Send the event `wgp2p.peer`; nothing where there is no ubusd."""
        if self.connected:
            self._ubus.send_event(EVENT, data)

    def hotplug(self, environment):
        """Let procd run /etc/hotplug.d/wgp2p/ with these NAME=value words. Whether there is a procd to ask."""
        if not self.connected:
            return False
        self._ubus.call(HOTPLUG, "call", {"env": environment}, self._hotplugged, _HOTPLUG_MS)
        return True

    def _hotplugged(self, _, status):
        if status not in (OK, CONNECTION_FAILED):
            log.warning("ubus: %s: %s" % (HOTPLUG, words(status)))

    def close(self):
        """Leave ubus."""
        if self._timer is not None:
            self._timer.cancel()
        if self._ubus is not None:
            self._ubus.close()
