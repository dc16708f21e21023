"""The control socket: a UNIX socket (mode 0600) that speaks the same HTTP and JSON as the publisher's API.

GET /status, /peers, /history, /doctor; POST /punch {"peer": …}, /reload (docs/protocol.md, "Control socket").
"""
import errno

from .client import words
from .compat import json_loads
from .config import ConfigError
from .files import make_folder
from .listeners import listen_unix
from .server import Limits, Server


class Impossible(Exception):
    """What is asked for cannot be done now; the text says why."""


def refusal(error):
    """What a reload answers whose configuration cannot be used (a ConfigError)."""
    return {"error": "the configuration is not used", "problems": [str(problem) for problem in error.problems]}


class Control:
    """Serves what `commands` can do: `status()`, `peers()`, `history()`, `doctor(done)`, `punch(word)`, `reload()` as
    daemon.Daemon has them. Raises ValueError when the socket cannot be."""

    def __init__(self, loop, path, commands):
        self._commands = commands
        try:
            make_folder(path.rpartition("/")[0])
            listener = listen_unix(path, 0o600)
        except OSError as error:
            raise ValueError("the control socket %s: %s" % (path, "another wgp2p answers there" if (
                error.args[0] == errno.EADDRINUSE) else words(error)))
        self._server = Server(loop, listener, self._request, Limits())

    def _request(self, request, connection):
        routes = {("GET", "/status"): self._status, ("GET", "/peers"): self._peers,
                  ("GET", "/history"): self._history, ("GET", "/doctor"): self._doctor,
                  ("POST", "/punch"): self._punch, ("POST", "/reload"): self._reload}
        route = routes.get((request.method, request.path))
        if route is None:
            known = [path for _, path in routes]
            connection.error(405 if request.path in known else 404, "no such request")
        else:
            route(request, connection)

    def _status(self, request, connection):
        connection.reply(200, self._commands.status())

    def _peers(self, request, connection):
        connection.reply(200, {"peers": self._commands.peers()})

    def _history(self, request, connection):
        connection.reply(200, self._commands.history())

    def _doctor(self, request, connection):
        self._commands.doctor(lambda findings: connection.reply(200, {"findings": findings}))

    def _punch(self, request, connection):
        try:
            word = json_loads(request.body.decode()).get("peer")
            connection.reply(200, self._commands.punch(word))
        except (ValueError, AttributeError) as error:
            connection.error(400, str(error))
        except Impossible as error:
            connection.error(409, str(error))

    def _reload(self, request, connection):
        try:
            connection.reply(200, {"warnings": self._commands.reload()})
        except ConfigError as error:
            connection.reply(400, refusal(error))

    def close(self):
        """Answer no more."""
        self._server.close()
