"""Executables that the admin has put into a folder, run when something changed.

They run as the daemon's user and without its capabilities, one after another, each for 30 s at most; the daemon never
waits for them. Of several changes while they run the newest is told next. On OpenWrt procd runs them instead, as root
(see bus.py).
"""
import os

from . import log
from .process import ProcessError, start

TIMEOUT_MS = 30000
_MOST = 32


class Hooks:
    """The hooks of one folder. It need not exist."""

    def __init__(self, loop, folder):
        self._loop = loop
        self.folder = folder
        self._waiting = None  # the environment that is to be told next
        self._left = []  # programs of the present round
        self._environment = []
        self._run = None

    def tell(self, environment):
        """Run every hook with these NAME=value words beside PATH; what is waiting is overtaken."""
        self._waiting = environment
        if self._run is None:
            self._next()

    def _next(self):
        self._run = None
        while self._run is None:
            if not self._left:
                if self._waiting is None:
                    return
                self._environment, self._waiting = self._waiting, None
                self._left = self._programs()
                continue
            path = self._left.pop(0)
            try:
                self._run = start(self._loop, [path], self._done(path), timeout_ms=TIMEOUT_MS,
                                  environment=self._environment)
            except ProcessError as error:
                log.warning("hook %s" % error)

    def _done(self, path):
        def done(result):
            if result.timed_out:
                log.warning("hook %s: stopped after %d s" % (path, TIMEOUT_MS // 1000))
            elif result.code and self._run is not None:  # None: ended by `close`
                log.warning("hook %s: exit code %d%s" % (path, result.code, _last_words(result)))
            self._next()

        return done

    def _programs(self):
        """The executables, by name; none that others than its owner may change, for they would act as us."""
        try:
            names = sorted(os.listdir(self.folder))
        except OSError:
            return []
        found = []
        for name in names:
            path = self.folder + "/" + name
            try:
                mode = os.stat(path)[0]
            except OSError:
                continue
            if name.startswith(".") or name.endswith("~") or mode & 0o170000 != 0o100000 or not mode & 0o111:
                continue
            if mode & 0o022:
                log.warning("hook %s is not run: others may change it (chmod go-w)" % path)
            else:
                found.append(path)
        return found[:_MOST]

    def close(self):
        """No more; a program that runs is ended."""
        self._waiting, self._left = None, []
        if self._run is not None:
            self._run.stop()
            self._run = None


def _last_words(result):
    """What a program said last, for the end of a sentence."""
    try:
        said = (result.err or result.out).decode().strip()
    except ValueError:
        return ""
    return ": " + said.split("\n")[-1][:200] if said else ""
