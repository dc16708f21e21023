"""Small files of our own: written whole or not at all, readable by the daemon's user only.

What lives in them: tokens, and the endpoints that a publisher remembers.
"""
import os

from .addr import canonical_endpoint
from .compat import MICROPYTHON, b64decode, json_loads, libc, random_bytes

_STATE_LIMIT = 4 << 20
FLASH_EVERY_MS = 15 * 60 * 1000  # flash wears: once in a quarter of an hour is enough
_SETTLE_MS = 1000

if MICROPYTHON:
    _umask = libc("I", "umask", "I")
else:
    _umask = os.umask


def exists(path):
    """Whether something is there."""
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def read_text(path, limit):
    """The text of a file of at most `limit` bytes. OSError when it cannot be read, ValueError when it is larger or no
    UTF-8."""
    source = open(path, "rb")
    try:
        data = source.read(limit + 1)
    finally:
        source.close()
    if len(data) > limit:
        raise ValueError("larger than %d bytes" % limit)
    try:
        return data.decode()
    except UnicodeError:
        raise ValueError("not UTF-8")


def make_folder(path):
    """Make a folder and those above it, with mode 0700 where it is new. OSError."""
    if exists(path):
        return
    parent = path.rpartition("/")[0]
    if parent:
        make_folder(parent)
    old = _umask(0o077)
    try:
        os.mkdir(path)
    finally:
        _umask(old)


def write_private(path, text):
    """Put `text` in place of the file in one step, with mode 0600. OSError."""
    make_folder(path.rpartition("/")[0])
    part = path + ".new"
    old = _umask(0o177)
    try:
        out = open(part, "wb")
    finally:
        _umask(old)
    try:
        out.write(text.encode())
    finally:
        out.close()
    os.rename(part, path)


# -- tokens ---------------------------------------------------------------------------------------

def new_token():
    """256 random bits in 64 hexadecimal digits."""
    return "".join(["%02x" % byte for byte in random_bytes(32)])


def read_token(path):
    """The token in a file. ValueError says in words what is wrong with it; the token itself is in no message."""
    try:
        text = read_text(path, 1024).strip()
    except OSError as error:
        raise ValueError("cannot read the token file %s (errno %d)" % (path, error.args[0]))
    except ValueError as error:
        raise ValueError("token file %s: %s" % (path, error))
    if not 32 <= len(text) <= 256 or [c for c in text if not "!" <= c <= "~"]:
        raise ValueError("token file %s holds no token (32 to 256 characters, no spaces)" % path)
    if os.stat(path)[0] & 0o007:
        raise ValueError("token file %s is open to every user of this machine: chmod 600 it" % path)
    return text


def device_token_path(keep_dir, name):
    """Where a publisher keeps the token of the remote device of this name."""
    return "%s/tokens/%s" % (keep_dir, name)


def device_token(keep_dir, name):
    """The token of a remote device, made when there is none. ValueError, OSError."""
    path = device_token_path(keep_dir, name)
    if not exists(path):
        write_private(path, new_token() + "\n")
    return read_token(path)


# -- remembered endpoints ---------------------------------------------------------------------------

class Memory:
    """The last endpoint of every peer of one interface, across restarts of daemon and machine.

    Written to `state_dir` (tmpfs) a second after a change; to `keep_dir` (flash) at a clean stop and at most every
    15 minutes."""

    def __init__(self, loop, state_dir, keep_dir, interface, report):
        self._loop = loop
        self._report = report
        name = "/endpoints-%s.json" % interface
        self._paths = (state_dir + name, keep_dir + name)
        self._timer = None
        self._flash_due_ms = loop.now() + FLASH_EVERY_MS
        self._saved = [None, None]
        self.endpoints = {}

    def load(self):
        """Read the newer copy into `endpoints`: tmpfs survives the daemon, flash the machine."""
        for number in (0, 1):
            if exists(self._paths[number]):
                try:
                    self.endpoints = _endpoints(json_loads(read_text(self._paths[number], _STATE_LIMIT)))
                    self._saved[number] = dict(self.endpoints)
                    return
                except (OSError, ValueError) as error:
                    self._report("%s is ignored: %s" % (self._paths[number], error))

    def remember(self, endpoints):
        """These are the endpoints now, {key: endpoint}."""
        if endpoints != self.endpoints:
            self.endpoints = endpoints
            if self._timer is None:
                self._timer = self._loop.call_later(_SETTLE_MS, self._settle)

    def close(self):
        """A clean stop: both copies."""
        if self._timer is not None:
            self._timer.cancel()
        self._write(0)
        self._write(1)

    def _settle(self):
        self._timer = None
        self._write(0)
        if self._loop.now() >= self._flash_due_ms:
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
