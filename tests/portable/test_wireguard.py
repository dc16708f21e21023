"""The ways to WireGuard with a made-up kernel, userspace socket and `wg`; the real ones are in tests/lab."""
import errno
import os

import wgfixture as made
from helpers import Skip, VirtualLoop, drive

from wgp2p import compat, links, netlink, process, wireguard
from wgp2p.loop import READ, Loop


class Kernel:
    """A NetlinkSocket that has a device `wg0`; `answers` are what it says next instead of that."""

    def __init__(self):
        self.peers = [made.peer(1, ["10.0.0.0/8"], rx=1)]
        self.answers = []
        self.asked = []
        self.family = 30

    def ask(self, request, take):
        data = request(5)
        kind = list(netlink.messages(data))[0][0]
        self.asked.append(kind)
        answer = netlink.Answer(5, take)
        if kind == netlink.CONTROLLER:
            reply = [netlink.generic(16, 0, 5, 1, 2, netlink.unsigned(1, 2, self.family)) + made.status(5)
                     if self.family else made.status(5, errno.ENOENT)]
        elif self.answers:
            reply = self.answers.pop(0)
        else:
            reply = [made.device_message(30, 5, self.peers, "wg0"), made.done(5)]
        assert [answer.feed(part) for part in reply][-1]
        return answer

    def close(self):
        pass


def kernel():
    loop = VirtualLoop()
    backend = wireguard.Netlink(loop)
    backend._sock = Kernel()
    return loop, backend, backend._sock


def read(backend, name="wg0"):
    got = []
    backend.read(name, lambda *values: got.append(values))
    assert len(got) == 1
    return got[0]


def test_netlink_reads_and_asks_for_the_family_once():
    _, backend, sock = kernel()
    device, error = read(backend)
    assert error is None and device.peers[made.key(1)].rx == 1
    again, _ = read(backend)
    assert again.peers[made.key(1)] is device.peers[made.key(1)] and sock.asked == [16, 30, 30]


def test_netlink_reads_again_what_changed_meanwhile():
    _, backend, sock = kernel()
    torn = [netlink.message(30, 0x12, 5, bytes(4)) + made.done(5)]
    sock.answers = [torn]
    assert read(backend)[0].peers and sock.asked == [16, 30, 30]
    sock.answers = [torn, torn]
    device, error = read(backend)
    assert device is None and error.code == "failed"


def test_netlink_asks_for_the_family_again_when_its_number_changed():
    _, backend, sock = kernel()
    read(backend)
    sock.answers = [[made.status(5, errno.ENOENT)]]
    assert read(backend)[1] is None and sock.asked == [16, 30, 30, 16, 30]


def test_netlink_without_the_module_asks_every_10_s():
    loop, backend, sock = kernel()
    sock.family = 0
    for _ in range(3):
        error = read(backend)[1]
        assert error.code == "failed" and "module wireguard" in str(error)
    assert sock.asked == [16]
    loop.advance(10000)
    sock.family = 30
    assert read(backend)[1] is None


def test_netlink_errors():
    _, backend, sock = kernel()
    for number, code in ((errno.ENODEV, "missing"), (errno.EPERM, "denied"), (errno.EOPNOTSUPP, "failed"),
                         (errno.EIO, "failed")):
        sock.answers = [[made.status(5, number)]]
        device, error = read(backend)
        assert device is None and error.code == code and "wg0" in str(error)
    sock.answers = [[made.device_message(30, 5, [netlink.nested(0, b"")], "wg0"), made.done(5)]]
    assert read(backend)[1].code == "failed"
    for name in ("", "a b", "x" * 16, "../x", "-h", "a\n", "."):
        assert read(backend, name)[1].code == "failed"


def test_netlink_set_reports_wrong_values():
    _, backend, sock = kernel()
    got = []
    backend.set_peer("wg0", made.key(1), got.append, endpoint="203.0.113.1:70000")
    backend.set_peer("wg0", made.key(1), got.append, nudge=True)
    backend.set_peer("wg0", "x", got.append, keepalive=1)
    assert [error.code for error in got] == ["failed"] * 3
    sock.answers = [[made.status(5)]]
    backend.set_peer("wg0", made.key(1), got.append, keepalive=1)
    assert got[3] is None


# -- userspace socket -------------------------------------------------------------------------------

FOLDER = "/tmp/wgp2p-test-uapi-%d/" % compat.random_below(10 ** 9)


class Userspace:
    """Listens where a userspace WireGuard would, takes one request and gives an answer in pieces."""

    def __init__(self, loop, answer):
        self.loop, self.answer, self.request = loop, answer, b""
        try:
            os.mkdir(FOLDER)
        except OSError:
            pass
        wireguard._SOCKETS = FOLDER
        self.listener = compat.open_socket(compat.AF_UNIX, compat.SOCK_STREAM)
        self.listener.bind(compat.sockaddr_unix(FOLDER + "wg0.sock"))
        self.listener.listen(5)
        loop.watch(self.listener.fileno(), READ, self.accept)

    def accept(self, _):
        self.connection = self.listener.accept()[0]
        self.connection.setblocking(False)
        self.loop.watch(self.connection.fileno(), READ, self.readable)

    def readable(self, _):
        try:
            self.request += self.connection.recv(1000)
        except OSError:
            return
        if self.request.endswith(b"\n\n"):
            self.loop.unwatch(self.connection.fileno())
            self.say(self.answer)

    def say(self, rest):
        if rest is None:
            return
        try:
            self.connection.send(rest[:10])
        except OSError:  # it has heard enough
            rest = b""
        if rest:
            self.loop.call_later(1, self.say, rest[10:])
        else:
            self.connection.close()

    def close(self):
        self.loop.unwatch(self.listener.fileno())
        self.listener.close()
        os.remove(FOLDER + "wg0.sock")
        os.rmdir(FOLDER)
        wireguard._SOCKETS = "/var/run/wireguard/"


def userspace(answer, call, limit_ms=5000):
    """What `call(backend, done)` gives with a userspace that answers so, and what it was asked."""
    loop, got = Loop(), []
    there = Userspace(loop, answer)
    backend = wireguard.Uapi(loop)
    try:
        call(backend, lambda *values: got.append(values))
        drive(loop, lambda: got, limit_ms)
        assert not backend._open
    finally:
        there.close()
    assert len(got) == 1
    return got[0], there.request


HEX = "".join(["%02x" % byte for byte in made.raw_key(1)])


def test_uapi_reads():
    answer = ("listen_port=7\npublic_key=%s\nrx_bytes=4\nerrno=0\n\n" % HEX).encode()
    (device, error), request = userspace(answer, lambda backend, done: backend.read("wg0", done))
    assert error is None and device.listen_port == 7 and device.peers[made.key(1)].rx == 4
    assert request == b"get=1\n\n"


def test_uapi_sets():
    def call(backend, done):
        backend.set_peer("wg0", made.key(1), done, endpoint="203.0.113.1:9", keepalive=25)

    (error,), request = userspace(b"errno=0\n\n", call)
    assert error is None and b"update_only=true\n" in request and b"endpoint=203.0.113.1:9\n" in request
    (error,), _ = userspace(b"errno=-13\n\n", call)
    assert error.code == "denied"


def test_uapi_faults():
    def call(backend, done):
        backend.read("wg0", done)

    for answer in (b"", b"listen_port=7\n", b"junk\n\n", b"x" * 1100, b"errno=22\n\n"):
        (device, error), _ = userspace(answer, call)
        assert device is None and error.code == "failed", answer
    usual = wireguard._UAPI_TIMEOUT_MS
    wireguard._UAPI_TIMEOUT_MS = 50
    try:
        (device, error), _ = userspace(None, call)
    finally:
        wireguard._UAPI_TIMEOUT_MS = usual
    assert device is None and "does not answer" in str(error)


def test_uapi_without_socket_and_with_a_dead_one():
    loop, got = Loop(), []
    wireguard.Uapi(loop).read("wg0", lambda *values: got.append(values))
    assert got[0][1].code == "missing" and read(wireguard.Uapi(loop), "../wg0")[1].code == "failed"
    there = Userspace(loop, b"")
    loop.unwatch(there.listener.fileno())
    there.listener.close()
    try:
        wireguard.Uapi(loop).read("wg0", lambda *values: got.append(values))
        assert got[1][1].code == "missing"
    finally:
        there.listener = compat.open_socket(compat.AF_UNIX, compat.SOCK_STREAM)
        there.close()


# -- the tool ---------------------------------------------------------------------------------------

class Program:
    """Stands for process.start: gives each command its answer at once and keeps what was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []
        self.usual = process.start
        process.start = self.start

    def start(self, loop, argv, done, **options):
        self.asked.append(" ".join(argv))
        code, out, err = self.answers.pop(0)
        done(process.Result(code, out, err, False))

    def close(self):
        process.start = self.usual


FIRST = b"\t".join([b"private", made.key(9).encode(), b"7", b"off"]) + b"\n"
LINE = b"\t".join([made.key(1).encode(), b"(none)", b"(none)", b"10.0.0.0/8", b"0", b"0", b"0", b"off"]) + b"\n"
GHOST = LINE.replace(b"10.0.0.0/8", b"(none)")


def tool(*answers):
    """What a set_peer of the tool gives with these answers of `wg`, and the commands."""
    program, got = Program(*answers), []
    usual, wireguard.link_index = wireguard.link_index, lambda name: 3
    try:
        wireguard.Tool(Loop()).set_peer("wg0", made.key(1), got.append, endpoint="203.0.113.1:9", keepalive=25)
    finally:
        program.close()
        wireguard.link_index = usual
    assert len(got) == 1 and not program.answers
    return got[0], program.asked


def test_tool_sets_only_a_peer_that_exists():
    show, change = "wg show wg0 dump", "wg set wg0 peer %s endpoint 203.0.113.1:9 persistent-keepalive 25" % made.key(1)
    assert tool((0, FIRST, b"")) == (None, [show])
    assert tool((0, FIRST + LINE, b""), (0, b"", b""), (0, FIRST + LINE, b"")) == (None, [show, change, show])
    assert tool((0, FIRST + LINE, b""), (0, b"", b""), (0, FIRST, b"")) == (None, [show, change, show])


def test_tool_removes_what_it_made():
    error, asked = tool((0, FIRST + LINE, b""), (0, b"", b""), (0, FIRST + GHOST, b""), (0, b"", b""))
    assert error is None and asked[-1] == "wg set wg0 peer %s remove" % made.key(1)
    # one that never had allowed IPs may stay
    assert len(tool((0, FIRST + GHOST, b""), (0, b"", b""), (0, FIRST + GHOST, b""))[1]) == 3


def test_tool_errors():
    for text, code in ((b"Unable to access interface: No such device\n", "missing"), (b"", "failed"),
                       (b"Unable to access interface: Operation not permitted\n", "denied"), (b"\xff\n", "failed")):
        assert tool((1, b"", text))[0].code == code
    assert tool((0, b"junk\n", b""))[0].code == "failed"
    assert tool((0, FIRST + LINE, b""), (1, b"", b"x"))[0].code == "failed"


# -- choosing ---------------------------------------------------------------------------------------

class Way:
    """A way to WireGuard that answers as it is told."""

    def __init__(self):
        self.code, self.reads, self.sets = None, 0, 0

    def read(self, name, done):
        self.reads += 1
        error = self.code and wireguard.WireGuardError(self.code, self.code)
        done(None if error else wireguard.Device(name), error or None)

    def set_peer(self, name, key, done, endpoint=None, keepalive=None, nudge=False):
        self.sets += 1
        done(None)

    def close(self):
        pass


def test_auto_takes_what_works_and_stays_with_it():
    loop = VirtualLoop()
    auto = wireguard.Auto(loop)
    auto._ways = kernel_way, socket_way, tool_way = Way(), Way(), Way()
    assert read(auto)[1] is None and (kernel_way.reads, socket_way.reads, tool_way.reads) == (1, 0, 0)
    got = []
    auto.set_peer("wg0", "key", got.append)
    assert got == [None] and kernel_way.sets == 1
    kernel_way.code = "missing"
    for _ in range(2):  # the way that had worked fails; then every way that is worth it
        assert read(auto)[1].code == "missing" and tool_way.reads == 0
    kernel_way.code = tool_way.code = "denied"
    for _ in range(3):
        assert read(auto)[1].code == "denied"
    assert tool_way.reads == 1
    loop.advance(60000)
    tool_way.code = None
    assert read(auto)[1] is None and tool_way.reads == 2
    auto.set_peer("wg0", "key", got.append)
    assert tool_way.sets == 1
    there = Userspace(Loop(), b"")
    try:
        tool_way.code = "failed"
        read(auto)
        assert read(auto)[1] is None and socket_way.reads == 1
    finally:
        there.close()


def test_backends_have_names():
    for kind in ("auto", "netlink", "uapi", "tool"):
        wireguard.open_backend(Loop(), kind).close()
    try:
        wireguard.open_backend(Loop(), "x")
    except ValueError:
        return
    raise AssertionError("accepted")


# -- links, on the real kernel ------------------------------------------------------------------------

def test_loopback_has_its_number_and_address():
    try:
        assert links.link_index("lo") == 1
    except OSError as error:
        raise Skip("no rtnetlink here: errno %d" % error.args[0])
    assert "127.0.0.1" in links.addresses(1) and "127.0.0.1" in links.addresses()
    assert links.addresses(999999) == []
    try:
        links.link_index("wgp2p-none")
    except OSError as error:
        assert error.args[0] == errno.ENODEV
    else:
        raise AssertionError("found")
