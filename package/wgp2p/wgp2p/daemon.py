"""The daemon: reads the configuration, switches roles on and off by it, and answers on the control socket.

The control socket is a UNIX socket (mode 0600) that speaks the same HTTP and JSON as the publisher:
GET /status, GET /peers, POST /punch {"peer": …}, POST /reload.
"""
import errno

from . import VERSION, config, log, process
from .client import words
from .compat import SIGHUP, SIGINT, SIGTERM, Signals, json_loads, tune_heap
from .files import make_folder, read_text
from .links import LinkWatch
from .listeners import listen_unix
from .loop import READ
from .publisher import Publisher
from .registry import age_s
from .server import Limits, Server
from .subscriber import Subscriber
from .wireguard import open_backend

CONFIG_LIMIT = 1 << 20
_TUNE_HEAP_MS = 10000


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
    """Everything that runs. `socket_path` None: `control.sock` in the state folder."""

    def __init__(self, loop, config_path, socket_path=None, state_dir=None):
        self._loop = loop
        self._config_path, self._state_dir = config_path, state_dir
        self._began_ms = loop.now()
        self.config = load_config(config_path, state_dir)
        log.set_level(self.config.main.log_level)
        self._warn()
        process.drop_ambient()
        self._tune_heap()
        self.publishers, self.subscribers = {}, {}
        path = socket_path or self.config.main.state_dir + "/control.sock"
        try:
            make_folder(self.config.main.state_dir)
            listener = listen_unix(path, 0o600)
        except OSError as error:
            raise ValueError("the control socket %s: %s" % (path, "another wgp2p answers there" if (
                error.args[0] == errno.EADDRINUSE) else words(error)))
        self._control = Server(loop, listener, self._request, Limits())
        self._wireguard = open_backend(loop, self.config.main.backend)
        self._links = LinkWatch(loop, self._link_changed)
        self._signals = Signals([SIGTERM, SIGINT, SIGHUP])
        loop.watch(self._signals.fd, READ, self._signalled)
        log.info("wgp2p %s started" % VERSION)
        self._arrange()

    def _tune_heap(self):
        tune_heap()
        self._loop.call_later(_TUNE_HEAP_MS, self._tune_heap)

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
                self.publishers[label] = Publisher(self._loop, self._wireguard, self.config, wanted[label])
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
                                                         follows[interface], self._path_changed)
        if not self.publishers and not self.subscribers:
            log.warning("%s switches nothing on: add a publisher or subscriber section" % self._config_path)

    def _path_changed(self, key, path):
        """A peer's path has changed; the log has it, and ubus will."""

    def _link_changed(self, risen):
        for role in list(self.subscribers.values()) + list(self.publishers.values()):
            role.links_changed(risen)

    def reload(self):
        """Read the configuration again and apply it live; ConfigError leaves everything as it is."""
        fresh = load_config(self._config_path, self._state_dir)
        if fresh.main.state_dir != self.config.main.state_dir or fresh.main.backend != self.config.main.backend:
            log.warning("a new state_dir or backend takes effect at the next start")
        self.config = fresh
        log.set_level(fresh.main.log_level)
        self._warn()
        self._arrange()
        log.info("configuration loaded again")

    # -- signals --------------------------------------------------------------------------------------

    def _signalled(self, _):
        for number in self._signals.take():
            if number == SIGHUP:
                try:
                    self.reload()
                except config.ConfigError as error:
                    self._refused(error)
            else:
                self._loop.stop()

    def _refused(self, error):
        for problem in error.problems:
            (log.error if problem.fatal else log.warning)(problem.text())
        log.error("the new configuration is not used")

    # -- control socket ---------------------------------------------------------------------------------

    def _request(self, request, connection):
        routes = {("GET", "/status"): self._get_status, ("GET", "/peers"): self._get_peers,
                  ("POST", "/punch"): self._post_punch, ("POST", "/reload"): self._post_reload}
        route = routes.get((request.method, request.path))
        if route is None:
            known = [path for _, path in routes]
            connection.error(405 if request.path in known else 404, "no such request")
        else:
            route(request, connection)

    def _get_status(self, request, connection):
        connection.reply(200, self.status())

    def _get_peers(self, request, connection):
        connection.reply(200, {"peers": self.peers()})

    def _post_punch(self, request, connection):
        try:
            word = json_loads(request.body.decode()).get("peer")
            if not isinstance(word, str):
                raise ValueError("a peer must be named")
            key = config.find_peer(self.config, self._keys(), word)
        except (ValueError, AttributeError) as error:
            connection.error(400, str(error))
            return
        done = False
        for role in list(self.subscribers.values()) + list(self.publishers.values()):
            done = role.punch(key) or done
        if done:
            connection.reply(200, {"peer": self.config.name(key), "public_key": key})
        else:
            why = "is excluded" if self.config.excluded(key) else "cannot be called: no endpoint of it is known here"
            connection.error(409, "%s %s" % (self.config.name(key), why))

    def _post_reload(self, request, connection):
        try:
            self.reload()
        except config.ConfigError as error:
            self._refused(error)
            connection.reply(400, {"error": "the configuration is not used",
                                   "problems": [str(problem) for problem in error.problems]})
            return
        connection.reply(200, {"warnings": [str(problem) for problem in self.config.problems]})

    def _keys(self):
        keys = []
        for subscriber in self.subscribers.values():
            keys += list(subscriber.paths)
        for publisher in self.publishers.values():
            keys += list(publisher.registry.entries)
        return keys

    # -- the one dump for CLI, ubus and control socket ------------------------------------------------------

    def status(self):
        """Everything that is known, without secrets (docs/protocol.md, "Control socket")."""
        return {"version": VERSION, "uptime": age_s(self._loop.now(), self._began_ms),
                "publishers": [self.publishers[label].status() for label in sorted(self.publishers)],
                "subscribers": [self.subscribers[name].status() for name in sorted(self.subscribers)],
                "warnings": [str(problem) for problem in self.config.problems]}

    def peers(self):
        """One row per peer and interface. `path` is None on a publisher's: it has no part in the path."""
        rows = []
        for name in sorted(self.subscribers):
            rows += self.subscribers[name].status()["peers"]
        for label in sorted(self.publishers):
            for peer in self.publishers[label].status()["peers"]:
                rows.append({"public_key": peer["public_key"], "name": peer["name"], "endpoint": peer["endpoint"],
                             "path": None, "reason": peer["state"], "since_age": None,
                             "seen_age": peer["seen_age"], "keepalive": peer["persistent_keepalive"] or 0,
                             "rx_bytes": peer["rx_bytes"], "tx_bytes": peer["tx_bytes"]})
        return rows

    def close(self):
        """Stop every role; WireGuard stays as it is, and paths live on."""
        for role in list(self.subscribers.values()) + list(self.publishers.values()):
            role.close()
        self._control.close()
        self._links.close()
        self._wireguard.close()
        self._loop.unwatch(self._signals.fd)
        self._signals.close()
        log.info("stopped")
