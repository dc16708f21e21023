"""Ways to WireGuard: the kernel by netlink, a userspace implementation by its socket, the `wg` tool.

All three have the same two requests. `read(name, done)` calls `done(device, error)`, exactly one of them not None.
`set_peer(name, key, done, endpoint, keepalive, nudge)` changes what is not None and calls `done(error)`, None for
success; a peer that does not exist (any more) is left alone and is no error. `nudge` makes WireGuard send a packet
at once: keepalive 0, then endpoint and keepalive, in one message. `done` may be called before the request returns.
"""
import errno
import os

from . import netlink, process, wgmessage, wgtext
from .compat import AF_UNIX, SOCK_STREAM, is_again, open_socket, sockaddr_unix
from .links import link_index
from .loop import READ
from .netlink import NetlinkError
from .netlink_socket import NetlinkSocket
from .wgmessage import Device, Peer  # noqa: F401 (what the requests give)

_SOCKETS = "/var/run/wireguard/"
_UAPI_TIMEOUT_MS = 2000
_TOOL_TIMEOUT_MS = 5000
_FAMILY_RETRY_MS = 10000  # asking for a family that is missing makes the kernel start modprobe
_TOOL_RETRY_MS = 60000


class WireGuardError(Exception):
    """`code` is "missing" (no such interface), "denied" or "failed"; the text is for a person."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def open_backend(loop, kind):
    """The way to WireGuard of this name: netlink, uapi, tool, or auto for what works. ValueError."""
    kinds = {"auto": Auto, "netlink": Netlink, "uapi": Uapi, "tool": Tool}
    if kind not in kinds:
        raise ValueError("no such backend: " + kind)
    return kinds[kind](loop)


def read_now(loop, backend, interface):
    """The wgmessage.Device of an interface, for a command, which has nothing else to do. WireGuardError. Closes the
    backend."""
    found = []
    try:
        backend.read(interface, lambda device, error: found.append((device, error)))
        while not found:
            loop.run_once(1000)
    finally:
        backend.close()
    device, error = found[0]
    if error is not None:
        raise error
    return device


def _error(name, number):
    """What an errno means for an interface."""
    if number in (errno.ENODEV, errno.ENOENT):
        return WireGuardError("missing", name + ": no such interface")
    if number in (errno.EPERM, errno.EACCES):
        return WireGuardError("denied", name + ": not allowed to read and change it: needs CAP_NET_ADMIN")
    if number == errno.EOPNOTSUPP:
        return WireGuardError("failed", name + ": not a WireGuard interface")
    return WireGuardError("failed", "%s: errno %d" % (name, number))


def _check_name(name):
    """Interface names of Linux (dev_valid_name), and none that a program takes for an option. WireGuardError."""
    if not 0 < len(name) < 16 or name in (".", "..") or name[0] == "-" or "/" in name or name.split() != [name]:
        raise WireGuardError("failed", "not the name of an interface: " + name[:32])


class Netlink:
    """The kernel's WireGuard. Answers before it returns."""

    def __init__(self, loop):
        self._loop = loop
        self._sock = NetlinkSocket(netlink.GENERIC)
        self._family = None
        self._family_due_ms = loop.now()
        self._known = {}  # name: what the dump before tells the next one

    def read(self, name, done):
        """See above."""
        device = error = None
        try:
            _check_name(name)
            device = self._read(name) or self._read(name)
            if device is None:
                error = WireGuardError("failed", name + ": changes faster than it can be read")
        except WireGuardError as raised:
            error = raised
        done(device, error)

    def set_peer(self, name, key, done, endpoint=None, keepalive=None, nudge=False):
        """See above."""
        error = None
        try:
            _check_name(name)
            self._ask(name, lambda family, sequence: wgmessage.set_peer(
                family, sequence, name, key, endpoint, keepalive, nudge), lambda data, start, end: None)
        except WireGuardError as raised:
            error = raised
        done(error)

    def _read(self, name):
        """The device; None when it changed meanwhile."""
        dump = wgmessage.Dump(name, self._known.pop(name, None))
        answer = self._ask(name, lambda family, sequence: wgmessage.get_device(family, sequence, name), dump.take)
        if answer.interrupted:
            return None
        device = dump.finish()
        self._known[name] = dump.known
        return device

    def _ask(self, name, request, take):
        try:
            for _ in range(2):
                family = self._resolve()
                answer = self._sock.ask(lambda sequence, family=family: request(family, sequence), take)
                if answer.error != errno.ENOENT:
                    break
                self._family = None  # the module was loaded anew and has another number
        except ValueError as error:  # of the codecs
            raise WireGuardError("failed", "%s: %s" % (name, error))
        if answer.error:
            raise _error(name, answer.error)
        return answer

    def _resolve(self):
        if self._family is None:
            if self._loop.now() < self._family_due_ms:
                raise _no_module()
            found = []
            answer = self._sock.ask(lambda sequence: netlink.family_request(sequence, wgmessage.FAMILY),
                                    lambda data, start, end: found.append(netlink.read_family(data, start, end)))
            if answer.error or not found:
                self._family_due_ms = self._loop.now() + _FAMILY_RETRY_MS
                raise _no_module()
            self._family = found[0]
        return self._family

    def close(self):
        """Give the descriptor back."""
        self._sock.close()


def _no_module():
    return WireGuardError("failed", "this kernel has no WireGuard (is the module wireguard there?)")


class Uapi:
    """A userspace WireGuard, by the socket that it listens on. One connection per request."""

    def __init__(self, loop):
        self._loop = loop
        self._open = {}  # fd: (socket, timer)

    def read(self, name, done):
        """See above."""
        def answered(answer, error):
            if error is None:
                try:
                    answer.device.ifindex = link_index(name)
                except (OSError, NetlinkError):
                    pass  # an implementation that has no interface of Linux
            done(None if error is not None else answer.device, error)

        self._request(name, wgtext.GET, answered)

    def set_peer(self, name, key, done, endpoint=None, keepalive=None, nudge=False):
        """See above."""
        try:
            request = wgtext.uapi_set(key, endpoint, keepalive, nudge)
        except ValueError as error:
            done(WireGuardError("failed", "%s: %s" % (name, error)))
            return
        self._request(name, request, lambda answer, error: done(error))

    def _request(self, name, request, answered):
        sock = None
        try:
            _check_name(name)
            sock = open_socket(AF_UNIX, SOCK_STREAM)
            sock.connect(sockaddr_unix(_SOCKETS + name + ".sock"))
            if sock.send(request) != len(request):
                raise WireGuardError("failed", name + ": its socket takes no request")
        except (OSError, WireGuardError) as error:
            if sock is not None:
                sock.close()
            if not isinstance(error, WireGuardError):
                refused = error.args[0] == errno.ECONNREFUSED  # left behind by a process that has ended
                error = _error(name, errno.ENODEV if refused else error.args[0])
            answered(None, error)
            return
        fd, answer = sock.fileno(), wgtext.UapiAnswer(name)

        def finish(error):
            self._drop(fd)
            if error is None and answer.errno:
                error = _error(name, answer.errno)
            answered(None if error is not None else answer, error)

        def readable(_):
            try:
                data = sock.recv(8192)
                if not data:
                    finish(WireGuardError("failed", name + ": its socket was closed"))
                elif answer.feed(data):
                    finish(None)
            except OSError as error:
                if not is_again(error):
                    finish(_error(name, error.args[0]))
            except wgtext.TextError as error:
                finish(WireGuardError("failed", "%s: %s" % (name, error)))

        late = WireGuardError("failed", name + ": its socket does not answer")
        self._open[fd] = (sock, self._loop.call_later(_UAPI_TIMEOUT_MS, finish, late))
        self._loop.watch(fd, READ, readable)

    def _drop(self, fd):
        sock, timer = self._open.pop(fd)
        timer.cancel()
        self._loop.unwatch(fd)
        sock.close()

    def close(self):
        """Give up what is under way; its `done` is not called any more."""
        for fd in list(self._open):
            self._drop(fd)


class Tool:
    """The `wg` program. It has no way to change a peer only if it exists, so after a change we look again, and a peer
    that was deleted at that moment, and that the change has made anew, is removed."""

    def __init__(self, loop):
        self._loop = loop
        self._closed = False

    def read(self, name, done):
        """See above."""
        def ran(out, error):
            device = None
            if error is None:
                try:
                    device = wgtext.read_dump(name, out)
                    device.ifindex = link_index(name)
                except OSError as raised:
                    device, error = None, _error(name, raised.args[0])
                except ValueError as raised:
                    error = WireGuardError("failed", "%s: %s" % (name, raised))
            done(device, error)

        self._run(name, ["wg", "show", name, "dump"], ran)

    def set_peer(self, name, key, done, endpoint=None, keepalive=None, nudge=False):
        """See above."""
        try:
            words = wgtext.tool_set(name, key, endpoint, keepalive, nudge)
        except ValueError as error:
            done(WireGuardError("failed", "%s: %s" % (name, error)))
            return
        before = [None]

        def looked(device, error):
            if error is not None or key not in device.peers:
                done(error)
                return
            before[0] = device.peers[key]
            self._run(name, words, changed)

        def changed(_, error):
            if error is not None:
                done(error)
            else:
                self.read(name, checked)

        def checked(device, error):
            peer = device.peers.get(key) if error is None else None
            # What `wg set` makes has no allowed IPs, and may even have shaken hands by now.
            if peer is not None and before[0].allowed_ips and not peer.allowed_ips:
                self._run(name, ["wg", "set", name, "peer", key, "remove"], lambda _, error: done(error))
            else:
                done(error)

        self.read(name, looked)

    def _run(self, name, words, ran):
        """Run it and call ran(out, error)."""
        def ended(result):
            if self._closed:
                return
            said = result.err.strip().split(b"\n")[0]
            if result.timed_out:
                ran(None, WireGuardError("failed", "%s: wg does not end" % name))
            elif not result.code:
                ran(result.out, None)
            elif said.endswith(b"No such device"):
                ran(None, _error(name, errno.ENODEV))
            elif said.endswith(b"Operation not permitted"):
                ran(None, _error(name, errno.EPERM))
            elif said.endswith(b"Operation not supported"):
                ran(None, _error(name, errno.EOPNOTSUPP))
            else:
                ran(None, WireGuardError("failed", "%s: wg ended with %d: %r" % (name, result.code, said[:200])))

        try:
            _check_name(name)
            process.start(self._loop, words, ended, timeout_ms=_TOOL_TIMEOUT_MS, privileged=True)
        except WireGuardError as error:
            ran(None, error)
        except process.ProcessError as error:
            ran(None, WireGuardError("failed", str(error)))

    def close(self):
        """What is under way runs to its end; its `done` is not called any more."""
        self._closed = True


class Auto:
    """For each interface the first way that works: netlink, the socket of a userspace WireGuard, `wg` (which may have
    file capabilities that we lack). It stays with what worked until that fails."""

    def __init__(self, loop):
        self._loop = loop
        self._ways = [Netlink(loop), Uapi(loop), Tool(loop)]
        self._chosen = {}        # name: one of the ways
        self._tool_due_ms = {}   # name: when to try `wg` again

    def read(self, name, done):
        """See above."""
        chosen = self._chosen.pop(name, None)
        ways = [chosen] if chosen is not None else self._ways
        first = []

        def attempt(number):
            way = ways[number]

            def answered(device, error):
                if error is None:
                    self._chosen[name] = way
                    done(device, None)
                    return
                first.append(error)
                if way is self._ways[2]:
                    self._tool_due_ms[name] = self._loop.now() + _TOOL_RETRY_MS
                following = number + 1
                while following < len(ways) and not self._is_worth(ways[following], name, first[0]):
                    following += 1
                if following < len(ways):
                    attempt(following)
                else:
                    done(None, first[0])

            way.read(name, answered)

        attempt(0)

    def _is_worth(self, way, name, error):
        """Whether this way may do what the kernel refused with `error`."""
        if way is self._ways[1]:
            try:
                os.stat(_SOCKETS + name + ".sock")
                return True
            except OSError:
                return False
        return error.code != "missing" and self._loop.now() >= self._tool_due_ms.get(name, self._loop.now())

    def set_peer(self, name, key, done, endpoint=None, keepalive=None, nudge=False):
        """See above."""
        def chosen(device, error):
            if error is not None:
                done(error)
            else:
                self._chosen[name].set_peer(name, key, done, endpoint, keepalive, nudge)

        if name in self._chosen:
            chosen(None, None)
        else:
            self.read(name, chosen)

    def close(self):
        """Close every way."""
        for way in self._ways:
            way.close()
