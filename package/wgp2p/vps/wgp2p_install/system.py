"""The machine: every file, program and user that the installer touches, behind one class that a test can replace."""
import grp
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
import time

from wgp2p import links
from wgp2p.loop import Loop
from wgp2p.wireguard import WireGuardError, open_backend

from .problems import Refused

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TIMEOUT_S = 60
_SOMEWHERE = ("198.51.100.1", 9)  # a documentation address (RFC 5737): only its route is asked for, nothing is sent


class Ran:
    """How a program ended: `code`, and what it printed as `out` and `err` (str)."""

    def __init__(self, code, out="", err=""):
        self.code = code
        self.out = out
        self.err = err

    def words(self):
        """What it said, for a message."""
        return (self.err.strip() or self.out.strip() or "exit code %d" % self.code)[-2000:]


class File:
    """A file as it was: `data` (bytes), `mode` (permissions), `owner` (uid, gid)."""

    def __init__(self, data, mode, owner):
        self.data = data
        self.mode = mode
        self.owner = owner


class System:
    """The real machine; `root` is put before every path."""

    def __init__(self, root=""):
        self.root = root

    # -- files ----------------------------------------------------------------------------------------

    def exists(self, path):
        """Whether something is there, a dangling link included."""
        return os.path.lexists(self.root + path)

    def file(self, path):
        """The File there, or None when nothing is. Refused when it cannot be read or is no plain file."""
        try:
            number = os.open(self.root + path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}")
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            os.close(number)
            raise Refused(f"{path} is no plain file; move it away")
        with open(number, "rb") as source:
            return File(source.read(), stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid))

    def text(self, path):
        """The text of a file, "" when there is none. Refused."""
        found = self.file(path)
        try:
            return found.data.decode() if found else ""
        except UnicodeDecodeError:
            raise Refused(f"{path} is no text in UTF-8")

    def write(self, path, file):
        """Put a File there in one step. No name in the folder is followed, so others may write there, too."""
        folder = os.path.dirname(self.root + path)
        os.makedirs(folder, exist_ok=True)
        number, part = tempfile.mkstemp(dir=folder, prefix=".wgp2p-")
        try:
            with open(number, "wb") as out:
                out.write(file.data)
                self.chown(number, file.owner)
                os.fchmod(number, file.mode)
                out.flush()
                os.fsync(number)
            os.replace(part, self.root + path)
        except OSError:
            os.unlink(part)
            raise

    def remove(self, path):
        """Remove a file, when it is there."""
        if self.exists(path):
            os.unlink(self.root + path)

    def is_folder(self, path):
        """Whether there is a folder, and no link to one."""
        return os.path.isdir(self.root + path) and not os.path.islink(self.root + path)

    def folder(self, path):
        """(mode, (uid, gid)) of a folder, None when there is none."""
        if not self.is_folder(path):
            return None
        found = os.lstat(self.root + path)
        return stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)

    def set_folder(self, path, mode, owner):
        """Make the folder when it is not there, and give it these permissions. A link in its place is an OSError."""
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        if not self.exists(path):
            os.mkdir(self.root + path, 0o700)
        number = os.open(self.root + path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self.chown(number, owner)
            os.fchmod(number, mode)
        finally:
            os.close(number)

    def remove_folder(self, path, whole=False):
        """Remove a folder: with all in it, or only when it is empty."""
        try:
            shutil.rmtree(self.root + path) if whole else os.rmdir(self.root + path)
        except OSError:
            if whole and self.exists(path):
                raise

    def names(self, path):
        """What is in a folder, sorted; [] when there is none."""
        return sorted(os.listdir(self.root + path)) if self.is_folder(path) else []

    def give(self, path, owner):
        """Give what is in a folder to another user. Nothing is followed out of it: links and files with a second name
        keep their owner."""
        for name in self.names(path):
            inner = path + "/" + name
            found = os.lstat(self.root + inner)
            if stat.S_ISDIR(found.st_mode):
                self.give(inner, owner)
                self.chown(self.root + inner, owner)
            elif stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                self.chown(self.root + inner, owner)

    def chown(self, path, owner):
        """Change the owner of a path (not followed when it is a link) or of an open file."""
        if isinstance(path, int):
            os.fchown(path, *owner)
        else:
            os.chown(path, *owner, follow_symlinks=False)

    # -- programs -------------------------------------------------------------------------------------

    def which(self, program):
        """The path of a program, or None."""
        return shutil.which(program, path=_PATH)

    def run(self, words, user=None, stdin=""):
        """Run a program to its end, as this user when one is named; a Ran. One that is missing or does not end says so
        in the Ran."""
        environment = {"PATH": _PATH, "LC_ALL": "C"}
        extra = {"user": user, "group": user, "extra_groups": []} if user else {}
        try:
            done = subprocess.run(words, input=stdin, capture_output=True, text=True, errors="replace", cwd="/",
                                  env=environment, timeout=_TIMEOUT_S, check=False, **extra)
        except FileNotFoundError:
            return Ran(127, err=f"{words[0]}: no such program")
        except subprocess.TimeoutExpired:
            return Ran(124, err=f"{words[0]} did not end within {_TIMEOUT_S} s")
        except (OSError, subprocess.SubprocessError) as error:
            return Ran(126, err=f"{words[0]}: {error}")
        return Ran(done.returncode, done.stdout, done.stderr)

    # -- users ----------------------------------------------------------------------------------------

    def is_root(self):
        """Whether this runs as root."""
        return os.geteuid() == 0

    def user(self, name):
        """(uid, gid) of a user, or None."""
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            return None
        return found.pw_uid, found.pw_gid

    def group(self, name):
        """The gid of a group, or None."""
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            return None

    # -- network --------------------------------------------------------------------------------------

    def device(self, interface):
        """The wgp2p.wgmessage.Device of a WireGuard interface. Refused when there is none."""
        loop, got = Loop(), []
        backend = open_backend(loop, "auto")
        try:
            backend.read(interface, lambda device, error: got.append((device, error)))
            while not got:
                loop.run_once(100)
        finally:
            backend.close()
        device, error = got[0]
        if error is not None:
            raise Refused(_no_device(interface, error, self.exists(f"/etc/wireguard/{interface}.conf")))
        return device

    def is_up(self, interface):
        """Whether the interface is switched on (IFF_UP)."""
        try:
            return int(self.text(f"/sys/class/net/{interface}/flags") or "0", 16) & 1 == 1
        except ValueError:
            return False

    def addresses(self, interface):
        """The addresses of an interface but for link-local ones, IPv4 first."""
        try:
            found = links.addresses(links.link_index(interface))
        except OSError:
            return []
        return sorted([ip for ip in found if not ip.startswith("fe80:")], key=lambda ip: ":" in ip)

    def outgoing(self):
        """The address from which this machine reaches the internet, or None."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(_SOMEWHERE)
                return probe.getsockname()[0]
            except OSError:
                return None

    # -- time -----------------------------------------------------------------------------------------

    def now(self):
        """Seconds of a clock that is never set."""
        return time.monotonic()

    def sleep(self, seconds):
        """Wait."""
        time.sleep(seconds)


def _no_device(interface, error, has_file):
    if not isinstance(error, WireGuardError) or error.code != "missing":
        return f"WireGuard cannot be read: {error}"
    if has_file:
        return (f"there is no interface {interface}, but /etc/wireguard/{interface}.conf is there. Switch it on, now "
                f"and at every start of the machine:\n  systemctl enable --now wg-quick@{interface}")
    return (f"there is no interface {interface}. Make the WireGuard tunnel first (README, \"WireGuard\"), for example "
            f"in /etc/wireguard/{interface}.conf, then:\n  systemctl enable --now wg-quick@{interface}")
