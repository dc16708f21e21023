"""Start a program without copying this process's heap, and talk to it in the reactor.

CPython has `subprocess`; under MicroPython it is `posix_spawn` of the C library (posix_spawn(3)). Either way
the program gets an argument list and never a shell, only descriptors 0 to 2, and none of the daemon's
capabilities unless it is one that needs them.
"""
import errno
import os
import struct

from .compat import EINTR, MICROPYTHON, O_NONBLOCK, SIGKILL, libc
from .loop import READ, WRITE

_PR_CAP_AMBIENT, _IS_SET, _RAISE, _CLEAR_ALL = 47, 1, 2, 4  # linux/prctl.h
_LAST_CAP = 40  # CAP_CHECKPOINT_RESTORE
_CHUNK = 4096
_OUTPUT_LIMIT = 262144
_PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


class ProcessError(Exception):
    """The program cannot be started; the text says why."""


class Result:
    """How a program ended: `code` is its exit status, or -N when signal N ended it; `out` and `err` are bytes
    (at most 256 KiB each, the rest is dropped); `timed_out` says that we killed it."""

    def __init__(self, code, out, err, timed_out):
        self.code = code
        self.out = out
        self.err = err
        self.timed_out = timed_out


# -- capabilities ---------------------------------------------------------------------------------

_held = []  # ambient capabilities that this process had at its start


def drop_ambient():
    """Take this process's ambient capabilities away, so that programs it starts get none; what `start` is told
    to start privileged gets them back for that one start. The process itself keeps what it may do.
    Source: capabilities(7), prctl(2) PR_CAP_AMBIENT. No effect on a CPython without ctypes."""
    prctl = libc("i", "prctl", "iLLLL")
    if prctl is None:
        return
    _held[:] = [cap for cap in range(_LAST_CAP + 1) if prctl(_PR_CAP_AMBIENT, _IS_SET, cap, 0, 0) == 1]
    prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)


def _with_ambient(call, *args):
    prctl = libc("i", "prctl", "iLLLL") if _held else None
    if prctl is None:
        return call(*args)
    for cap in _held:
        prctl(_PR_CAP_AMBIENT, _RAISE, cap, 0, 0)
    try:
        return call(*args)
    finally:
        prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)


# -- the system's calls, the same on both Pythons ---------------------------------------------------

def find(program):
    """The path of a program by its name; ProcessError when it is nowhere."""
    for folder in [""] if "/" in program else _PATH:
        path = folder + "/" + program if folder else program
        try:
            os.stat(path)
            return path
        except OSError:
            pass
    raise ProcessError(program + ": no such program")


if MICROPYTHON:
    _read = libc("l", "read", "iPL")
    _write = libc("l", "write", "iPL")
    _close = libc("i", "close", "i")
    _waitpid = libc("i", "waitpid", "iPi")
    kill = libc("i", "kill", "ii")
    _actions = [libc("i", "posix_spawn_file_actions_" + name, letters) for name, letters in (
        ("init", "P"), ("adddup2", "Pii"), ("addclose", "Pi"), ("destroy", "P"))]
    _attributes = [libc("i", "posix_spawnattr_" + name, letters) for name, letters in (
        ("init", "P"), ("setflags", "Pi"), ("setsigmask", "PP"), ("destroy", "P"))]
    _SPAWN_SETSIGMASK = 8

    def read_fd(fd):
        """Bytes from a non-blocking descriptor, b"" at its end, None when there is nothing yet."""
        data = bytearray(_CHUNK)
        count = _read(fd, data, _CHUNK)
        if count < 0:
            if os.errno() in (errno.EAGAIN, EINTR):
                return None
            return b""
        return bytes(data[:count])

    def write_fd(fd, data):
        """How many bytes went (0: no room yet, -1: nobody reads)."""
        count = _write(fd, data, len(data))
        if count < 0:
            return 0 if os.errno() in (errno.EAGAIN, EINTR) else -1
        return count

    def close_fd(fd):
        """Close a descriptor."""
        _close(fd)

    def _pipe():
        pair = bytearray(8)
        if libc("i", "pipe", "P")(pair):
            raise OSError(os.errno())
        return struct.unpack("ii", pair)

    def _set_nonblocking(fd):
        fcntl = libc("i", "fcntl", "iil")
        # F_SETFL, then F_SETFD with FD_CLOEXEC
        fcntl(fd, 4, O_NONBLOCK)
        fcntl(fd, 2, 1)

    def _array(words):
        """A NULL-terminated array of C strings, and what must stay referenced while it is used."""
        import uctypes

        held = [word.encode() + b"\0" for word in words]
        pointers = b"".join([struct.pack("P", uctypes.addressof(word)) for word in held]) + struct.pack("P", 0)
        return pointers, held

    def _spawn(path, argv, environment):
        """(pid, stdin, stdout, stderr) of a started program."""
        pipes = []
        try:
            inherited = [int(name) for name in os.listdir("/proc/self/fd")]
            for _ in range(3):
                pipes.append(_pipe())
        except OSError as error:
            for pair in pipes:
                _close(pair[0])
                _close(pair[1])
            raise ProcessError("%s: cannot be started (errno %d)" % (path, error.args[0]))
        theirs = (pipes[0][0], pipes[1][1], pipes[2][1])
        ours = (pipes[0][1], pipes[1][0], pipes[2][0])
        init, dup2, close_in_child, destroy = _actions
        attr_init, setflags, setsigmask, attr_destroy = _attributes
        actions, attributes, pid = bytearray(512), bytearray(1024), bytearray(4)
        init(actions)
        attr_init(attributes)
        try:
            # A pipe's end may itself be 0 to 2 where the daemon was started without them: go through free numbers.
            used = inherited + list(theirs + ours)
            free = max(used) + 1
            for number in range(3):
                dup2(actions, theirs[number], free + number)
            for number in range(3):
                dup2(actions, free + number, number)
            for fd in used + [free, free + 1, free + 2]:
                if fd > 2:
                    close_in_child(actions, fd)
            setflags(attributes, _SPAWN_SETSIGMASK)  # the daemon blocks the signals that it reads
            setsigmask(attributes, bytes(128))
            args, held_args = _array(argv)
            env, held_env = _array(environment)
            code = libc("i", "posix_spawn", "PsPPPP")(pid, path, actions, attributes, args, env)
        finally:
            destroy(actions)
            attr_destroy(attributes)
            for fd in theirs:
                _close(fd)
        if code:
            for fd in ours:
                _close(fd)
            raise ProcessError("%s: cannot be started (errno %d)" % (path, code))
        del held_args, held_env
        for fd in ours:
            _set_nonblocking(fd)
        return (struct.unpack("i", pid)[0],) + ours

    def _reap(pid):
        """The exit status (or -signal) of a child that has ended, None while it runs."""
        status = bytearray(4)
        done = _waitpid(pid, status, 1)  # WNOHANG
        if done == 0:
            return None
        return _status(struct.unpack("i", status)[0]) if done == pid else 255
else:
    kill = os.kill

    def read_fd(fd):
        """Bytes from a non-blocking descriptor, b"" at its end, None when there is nothing yet."""
        try:
            return os.read(fd, _CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def write_fd(fd, data):
        """How many bytes went (0: no room yet, -1: nobody reads)."""
        try:
            return os.write(fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            return -1

    def close_fd(fd):
        """Close a descriptor."""
        os.close(fd)

    def _spawn(path, argv, environment):
        """(pid, stdin, stdout, stderr) of a started program."""
        import subprocess  # here, since most daemons never start a program

        pairs = dict(word.split("=", 1) for word in environment)
        try:
            child = subprocess.Popen(argv, executable=path, env=pairs, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, close_fds=True)
        except OSError as error:
            raise ProcessError("%s: cannot be started (errno %d)" % (path, error.errno))
        files = []
        for stream in (child.stdin, child.stdout, child.stderr):
            fd = os.dup(stream.fileno())
            stream.close()
            os.set_blocking(fd, False)
            files.append(fd)
        pid, child.returncode = child.pid, 0  # reaped here, not by subprocess
        return (pid, files[0], files[1], files[2])

    def _reap(pid):
        """The exit status (or -signal) of a child that has ended, None while it runs."""
        try:
            done, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return 255
        return _status(status) if done else None


def _status(word):
    """wait(2): the low 7 bits are the signal, the next byte the exit status."""
    return -(word & 127) if word & 127 else word >> 8 & 255


# -- one run --------------------------------------------------------------------------------------

class Run:
    """A program that runs; `start` makes it, `stop` ends it early."""

    def __init__(self, loop, pid, files, stdin, timeout_ms, done):
        self.loop = loop
        self.pid = pid
        self._stdin = stdin
        self._in = files[0]
        self._out = {files[1]: b"", files[2]: b""}
        self._streams = (files[1], files[2])
        self._open = [files[1], files[2]]
        self._done = done
        self._timed_out = False
        self._killed = False
        self._pause_ms = 1
        self._timer = loop.call_later(timeout_ms, self._expired)
        for fd in self._streams:
            loop.watch(fd, READ, lambda _, fd=fd: self._readable(fd))
        if stdin:
            loop.watch(self._in, WRITE, self._writable)
        else:
            self._close_in()

    def stop(self):
        """Kill it; `done` is called as ever once it has ended."""
        if not self._killed:
            self._killed = True
            kill(self.pid, SIGKILL)

    def _expired(self):
        self._timed_out = True
        self.stop()
        for fd in list(self._open):  # a grandchild may hold them open
            self._close_stream(fd)

    def _writable(self, _):
        count = write_fd(self._in, self._stdin[:_CHUNK])
        if count < 0:
            self._stdin = b""
        else:
            self._stdin = self._stdin[count:]
        if not self._stdin:
            self._close_in()

    def _close_in(self):
        if self._in is not None:
            self.loop.unwatch(self._in)
            close_fd(self._in)
            self._in = None

    def _readable(self, fd):
        data = read_fd(fd)
        if data is None:
            return
        if data:
            room = _OUTPUT_LIMIT - len(self._out[fd])
            self._out[fd] += data[:room]
        else:
            self._close_stream(fd)

    def _close_stream(self, fd):
        self._open.remove(fd)
        self.loop.unwatch(fd)
        close_fd(fd)
        if not self._open:
            self._close_in()
            self._wait()

    def _wait(self):
        """The output has ended, so the program is about to: ask a little later and later."""
        code = _reap(self.pid)
        if code is None:
            self._pause_ms = min(2 * self._pause_ms, 100)
            self.loop.call_later(self._pause_ms, self._wait)
            return
        self._timer.cancel()
        self._done(Result(code, self._out[self._streams[0]], self._out[self._streams[1]], self._timed_out))


def start(loop, argv, done, stdin=b"", timeout_ms=10000, environment=(), privileged=False):
    """Start `argv` (its first word a name or path), feed it `stdin`, and call `done(Result)` when it has ended.

    `environment` is a list of NAME=value beside PATH. `privileged` lets it have the daemon's capabilities.
    Gives a Run. Raises ProcessError when it cannot be started."""
    path = find(argv[0])
    words = ["PATH=" + ":".join(_PATH)] + list(environment)
    make = _with_ambient if privileged else lambda call, *args: call(*args)
    spawned = make(_spawn, path, list(argv), words)
    return Run(loop, spawned[0], spawned[1:], stdin, timeout_ms, done)
