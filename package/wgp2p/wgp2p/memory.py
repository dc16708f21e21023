"""The endpoints that a publisher remembers, across restarts of the daemon and of the machine."""
from .addr import canonical_endpoint
from .compat import b64decode, json_loads
from .files import exists, read_text, write_private

_SIZE_LIMIT = 1 << 20
FLASH_EVERY_MS = 15 * 60 * 1000  # flash wears: once in a quarter of an hour is enough
_SETTLE_MS = 1000


class Memory:
    """The last endpoint of every peer of one interface.

    Written to `state_dir` (tmpfs) a second after a change; to `keep_dir` (flash) at a clean stop and at most every
    15 minutes."""

    def __init__(self, loop, state_dir, keep_dir, interface, report):
        self._loop = loop
        self._report = report
        name = "/endpoints-%s.json" % interface
        self._paths = (state_dir + name, keep_dir + name)
        self._timer = self._flash_timer = None
        self._flash_due_ms = loop.now() + FLASH_EVERY_MS
        self._saved = [None, None]
        self.endpoints = {}

    def load(self):
        """Read the newer copy into `endpoints`: tmpfs survives the daemon, flash the machine."""
        for number in (0, 1):
            if exists(self._paths[number]):
                try:
                    self.endpoints = _endpoints(json_loads(read_text(self._paths[number], _SIZE_LIMIT)))
                    self._saved[number] = dict(self.endpoints)
                    return
                except (OSError, ValueError, MemoryError) as error:
                    self._report("%s is ignored: %s" % (self._paths[number], error))

    def remember(self, endpoints):
        """These are the endpoints now, {key: endpoint}."""
        if endpoints != self.endpoints:
            self.endpoints = endpoints
            if self._timer is None:
                self._timer = self._loop.call_later(_SETTLE_MS, self._settle)

    def close(self):
        """A clean stop: both copies."""
        for timer in (self._timer, self._flash_timer):
            if timer is not None:
                timer.cancel()
        self._write(0)
        self._write(1)

    def _settle(self):
        self._timer = None
        self._write(0)
        if self._flash_timer is None:
            self._flash_timer = self._loop.call_later(max(0, self._flash_due_ms - self._loop.now()), self._flash)

    def _flash(self):
        self._flash_timer = None
        self._flash_due_ms = self._loop.now() + FLASH_EVERY_MS
        self._write(1)

    def _write(self, number):
        if self._saved[number] == self.endpoints:
            return
        rows = ",\n".join(['"%s":"%s"' % (key, self.endpoints[key]) for key in sorted(self.endpoints)])
        try:
            write_private(self._paths[number], '{"endpoints":{\n%s\n}}\n' % rows)
            self._saved[number] = dict(self.endpoints)
        except OSError as error:
            self._report("cannot write %s (errno %d)" % (self._paths[number], error.args[0]))


def _endpoints(data):
    """The valid entries of a state file."""
    table = data.get("endpoints") if isinstance(data, dict) else None
    if not isinstance(table, dict):
        raise ValueError("no endpoints in it")
    found = {}
    for key in table:
        try:
            if len(b64decode(key)) == 32:
                found[key] = canonical_endpoint(table[key])
        except (ValueError, TypeError, AttributeError):
            pass
    return found
