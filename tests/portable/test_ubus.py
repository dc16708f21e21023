"""ubus.py against a fake ubusd: objects, calls, events, notifications, and a bus that misbehaves."""
from fakeubus import FakeUbus
from folders import new_folder
from helpers import drive, raises

from wgp2p import blobmsg, compat, log, ubus, ubus_socket, ubusmessage
from wgp2p.loop import READ, Loop
from wgp2p.ubus import Refused, Ubus
from wgp2p.ubusmessage import (
    CONNECTION_FAILED,
    INVALID_ARGUMENT,
    METHOD_NOT_FOUND,
    NO_MEMORY,
    NOT_FOUND,
    OK,
    PARSE_ERROR,
    PERMISSION_DENIED,
    TIMEOUT,
    UNKNOWN_ERROR,
)


class World:
    """A fake bus and our connection to it."""

    def __init__(self):
        self.loop = Loop()
        self.path = new_folder() + "/ubus.sock"
        self.fake = FakeUbus(self.loop, self.path)
        self.lost = []
        self.bus = self.connect(self.lost)

    def connect(self, lost):
        ready = []
        bus = Ubus(self.loop, self.path, lambda: ready.append(1), lost.append)
        drive(self.loop, lambda: ready)
        return bus

    def wait(self, start):
        """What `start(done)` gives to `done`, which must not be called before it returns."""
        got = []
        start(lambda *values: got.append(values))
        assert not got
        drive(self.loop, lambda: got)
        assert len(got) == 1
        return got[0][0] if len(got[0]) == 1 else got[0]

    def add(self, name, methods):
        assert self.wait(lambda done: self.bus.add_object(name, methods, done)) == OK

    def call(self, path, method, args=(), timeout_ms=5000):
        return self.wait(lambda done: self.bus.call(path, method, args, done, timeout_ms))

    def settle(self):
        """Let everything that was sent arrive: one more question goes there and back."""
        self.call("nobody", "x")
        self.call("nobody", "x")

    def close(self):
        self.bus.close()
        self.fake.close()


def test_calls_to_our_object():
    world, later = World(), []

    def echo(request):
        assert (request.user, request.group) == ("root", "root")
        request.reply(request.args)

    def forbid(request):
        raise Refused(PERMISSION_DENIED)

    def fail(request):
        raise ValueError("expected")

    world.add("wgp2p", [("echo", [("peer", "string"), ("n", "int32")], echo), ("later", [], later.append),
                        ("forbid", [], forbid), ("fail", [], fail), ("nothing", [], lambda request: request.reply())])
    assert world.fake.objects() == ["wgp2p"]
    invoke = world.fake.invoke
    assert invoke("wgp2p", "echo", {"peer": "x", "n": 7}) == ({"peer": "x", "n": 7}, OK)
    assert invoke("wgp2p", "echo", {}) == ({}, OK)
    assert invoke("wgp2p", "echo", {"ubus_rpc_session": "0"})[1] == OK
    for args in ({"peer": 1}, {"peer": None}, {"n": True}, {"n": 1 << 40}, {"n": 1.0}, {"n": "1"}):
        assert invoke("wgp2p", "echo", args) == (None, INVALID_ARGUMENT), args
    assert invoke("wgp2p", "echo", {"x": "y" * (ubus._TABLE_MOST - 16)})[1] == OK
    assert invoke("wgp2p", "echo", {"x": "y" * ubus._TABLE_MOST})[1] == INVALID_ARGUMENT
    assert invoke("wgp2p", "nothing") == (None, OK)
    assert invoke("wgp2p", "forbid") == (None, PERMISSION_DENIED)
    assert invoke("wgp2p", "unknown") == (None, METHOD_NOT_FOUND)
    log.set_level("error")
    usual, lines, log.error = log.error, [], lambda text: lines.append(text)
    try:
        assert invoke("wgp2p", "fail") == (None, UNKNOWN_ERROR) and "expected" in "".join(lines)
    finally:
        log.error = usual
        log.set_level("info")
    world.loop.call_later(5, lambda: later[0].reply({"late": True}))
    assert invoke("wgp2p", "later") == ({"late": True}, OK)
    later[0].reply({"again": True})
    later[0].fail(TIMEOUT)
    world.loop.call_later(5, lambda: later[1].fail(NOT_FOUND))
    assert invoke("wgp2p", "later") == (None, NOT_FOUND)
    world.close()


def test_answer_that_cannot_be_sent():
    world = World()
    for answer in ({"x": object()}, {"x": "y" * ubusmessage.SEND_MOST}):
        world.add("wgp2p", [("bad", [], lambda request, answer=answer: request.reply(answer))])
        assert world.fake.invoke("wgp2p", "bad") == (None, NO_MEMORY)
        world.bus.remove_object("wgp2p")
    world.close()


def test_large_answer_comes_whole():
    world = World()
    table = {}
    for number in range(1000):
        table["peer%d" % number] = {"endpoint": "203.0.113.1:%d" % number, "path": "direct", "rx": 1 << 40}
    world.add("wgp2p", [("peers", [], lambda request: request.reply(table))])
    answer, status = world.fake.invoke("wgp2p", "peers")
    assert status == OK and answer == table and len(blobmsg.encode(table)) > ubusmessage.READ_MOST
    second = world.connect([])
    assert world.wait(lambda done: second.call("wgp2p", "peers", {}, done)) == (None, NO_MEMORY)
    second.close()
    world.close()


def test_no_reply_is_honoured():
    world, seen = World(), []
    world.add("wgp2p", [("x", [], lambda request: (seen.append(1), request.reply({"a": 1})))])
    connection = world.fake._connections[0]
    connection._send(ubusmessage.message(
        ubusmessage.INVOKE, 1, 77777, (ubusmessage.A_NO_REPLY, True),
        (ubusmessage.A_OBJECT, world.fake._named("wgp2p").id), (ubusmessage.A_METHOD, "x"), (ubusmessage.A_DATA, {})))
    drive(world.loop, lambda: seen)
    world.settle()
    said = [one.kind for one in ubusmessage.Reader().feed(b"".join(connection.sent))]
    assert said == [ubusmessage.ADD_OBJECT, ubusmessage.LOOKUP, ubusmessage.LOOKUP]
    world.close()


def test_requests_that_wait_are_bounded():
    world, waiting, got = World(), [], []
    world.add("wgp2p", [("later", [], waiting.append)])
    number = world.fake._named("wgp2p").id
    for seq in range(1000, 1000 + ubus._REQUESTS_MOST):
        world.fake._answers[seq] = got
        world.fake.feed(world.fake._self, ubusmessage.invoke(seq, number, "later", {}))
    drive(world.loop, lambda: len(waiting) == ubus._REQUESTS_MOST)
    assert got == []
    world.loop.call_later(5, lambda: waiting[-1].reply({}))
    assert world.fake.invoke("wgp2p", "later") == ({}, OK) and got == [TIMEOUT]
    world.close()


def test_object_removed_and_name_taken():
    world, other = World(), []
    world.add("wgp2p", [("x", [], lambda request: request.reply({}))])
    second = world.connect(other)
    assert world.wait(lambda done: second.add_object("wgp2p", [], done)) == INVALID_ARGUMENT
    world.bus.remove_object("wgp2p")
    world.bus.remove_object("wgp2p")
    drive(world.loop, lambda: not world.fake.objects())
    assert world.wait(lambda done: second.add_object("wgp2p", [], done)) == OK
    second.close()
    drive(world.loop, lambda: not world.fake.objects())
    world.close()


def test_request_for_an_object_that_is_no_more():
    world, got = World(), []
    world.add("wgp2p", [("x", [], lambda request: request.reply({}))])
    number = world.fake._named("wgp2p").id
    world.bus._objects.clear()
    world.fake._answers[1000] = got
    world.fake.feed(world.fake._self, ubusmessage.invoke(1000, number, "x", {}))
    drive(world.loop, lambda: got)
    assert got == [NOT_FOUND]
    world.close()


def test_we_call():
    world, args = World(), []
    world.fake.serve("hotplug.wgp2p", {
        "call": args.append, "table": lambda _: {"x": [1, None]}, "no": lambda _: PERMISSION_DENIED})
    assert world.call("hotplug.wgp2p", "call", {"env": ["ACTION=address"]}) == ({}, OK)
    assert args == [{"env": ["ACTION=address"]}]
    assert world.call("hotplug.wgp2p", "table") == ({"x": [1, None]}, OK)
    assert world.call("hotplug.wgp2p", "no") == (None, PERMISSION_DENIED)
    assert world.call("hotplug.wgp2p", "none") == (None, METHOD_NOT_FOUND)
    assert world.call("nobody", "x") == (None, NOT_FOUND)
    world.fake.denied.add(("call", "hotplug.wgp2p"))
    assert world.call("hotplug.wgp2p", "call") == (None, PERMISSION_DENIED)
    raises(blobmsg.BlobmsgError, world.bus.call, "hotplug.wgp2p", "call", {"x": object()}, None)
    world.close()


def test_call_without_an_answer_in_time():
    world, later = World(), []
    world.add("wgp2p", [("later", [], later.append)])
    second = world.connect([])
    begin = world.loop.now()
    assert world.wait(lambda done: second.call("wgp2p", "later", {}, done, 50)) == (None, TIMEOUT)
    assert world.loop.now() - begin >= 50
    later[0].reply({"too": "late"})
    assert world.wait(lambda done: second.call("nobody", "x", {}, done)) == (None, NOT_FOUND)
    second.close()
    world.close()


def test_time_for_the_whole_call():
    """What the look-up took is not there for the answer any more."""
    world, got, clock = World(), [], compat.monotonic_ms
    second = world.connect([])
    world.add("slow", [("x", [], lambda request: None)])
    second.call("slow", "x", {}, lambda *values: got.append(values), 60000)
    world.loop._clock = lambda: clock() + 59950
    drive(world.loop, lambda: got, 1000)
    assert got == [(None, TIMEOUT)]
    second.close()
    world.close()


def test_only_who_was_asked_may_answer():
    world, later, got = World(), [], []
    world.fake.serve("slow", {"x": lambda _: {"right": True}})
    connection = world.fake._connections[0]
    world.bus.call("slow", "x", {}, lambda *values: got.append(values))
    for seq in range(1, 10):
        connection._send(ubusmessage.reply(seq, 4711, 4711, {"wrong": True}))
        connection._send(ubusmessage.reply_status(seq, 4711, 4711, OK))
    drive(world.loop, lambda: got)
    assert got == [({"right": True}, OK)] and not later
    world.close()


def test_answers_that_cannot_be_read():
    world = World()
    for body, status in ((b"\7\0\0\6\x83\0", PARSE_ERROR), (b"\7\0\0\5\x83\0\0\0", PARSE_ERROR),
                         (b"x", PARSE_ERROR), (bytes(ubusmessage.READ_MOST), NO_MEMORY)):
        got = []
        world.bus._ask(lambda *values: got.append(values), 5000, 9, ubusmessage.invoke, 9, "x", {})
        seq = world.bus._seq
        head = ubusmessage.message(ubusmessage.DATA, seq, 9)
        connection = world.fake._connections[0]
        size = len(body) + 4
        connection._send(head[:9] + bytes([size >> 16, size >> 8 & 255, size & 255]) + body)
        connection._send(ubusmessage.reply_status(seq, 9, 9, OK))
        drive(world.loop, lambda: got)
        found = got[0][0].get(ubusmessage.A_DATA, b"")
        if got[0][1] == OK:  # the data itself is rubbish
            raises(blobmsg.BlobmsgError, blobmsg.decode, found)
        else:
            assert got[0][1] == status
    assert world.call("nobody", "x") == (None, NOT_FOUND) and not world.lost
    world.close()


def test_call_whose_answer_is_rubbish():
    world = World()
    usual = blobmsg.encode
    world.fake.serve("odd", {"x": lambda _: {"a": 1}})
    try:
        blobmsg.encode = lambda table: usual(table) if table != {"a": 1} else b"\x83\0\0\7\0\0\0\0"
        assert world.call("odd", "x") == (None, PARSE_ERROR)
    finally:
        blobmsg.encode = usual
    world.close()


def test_questions_are_bounded():
    world, got = World(), []
    world.fake.stop()
    for _ in range(ubus._QUESTIONS_MOST + 1):
        world.bus.call("nobody", "x", {}, lambda *values: got.append(values))
    drive(world.loop, lambda: got)
    assert got == [(None, NO_MEMORY)]
    world.bus.close()
    world.loop.run_once(0)
    assert len(got) == 1
    world.fake.close()


def test_events_to_others():
    world = World()
    assert world.wait(lambda done: world.bus.send_event("wgp2p.peer", {"path": "direct"}, done)) == OK
    world.bus.send_event("wgp2p.peer", {"path": "trying"})
    drive(world.loop, lambda: len(world.fake.events) == 2)
    assert world.fake.events == [("wgp2p.peer", {"path": "direct"}), ("wgp2p.peer", {"path": "trying"})]
    world.fake.denied.add(("send", "other"))
    assert world.wait(lambda done: world.bus.send_event("other", {}, done)) == PERMISSION_DENIED
    world.close()


def test_events_of_others():
    world, heard = World(), []

    def take(name, data):
        heard.append((name, data))
        if data.get("bad"):
            raise ValueError("expected")

    assert world.wait(lambda done: world.bus.listen("network.*", take, done)) == OK
    log.set_level("error")
    usual, log.error = log.error, lambda text: None
    try:
        world.fake.emit("network.interface", {"bad": True})
        world.fake.emit("network.interface", {"action": "ifup", "interface": "wan"})
        world.fake.emit("other", {})
        world.fake.emit("network.interface", {"x": "y" * ubus._TABLE_MOST})
        drive(world.loop, lambda: len(heard) == 2)
    finally:
        log.error = usual
        log.set_level("info")
    assert heard[1] == ("network.interface", {"action": "ifup", "interface": "wan"})
    world.bus.send_event("network.own", {})
    world.settle()
    assert len(heard) == 2
    world.fake.denied.add(("listen", "secret"))
    count = len(world.fake._things)
    assert world.wait(lambda done: world.bus.listen("secret", take, done)) == PERMISSION_DENIED
    drive(world.loop, lambda: len(world.fake._things) == count)
    world.close()


def test_our_notifications():
    world = World()
    world.add("wgp2p", [])
    world.bus.notify("wgp2p", "nobody", {})
    assert not world.bus.has_subscribers("wgp2p") and not world.bus.has_subscribers("other")
    heard = world.fake.subscribe("wgp2p")
    drive(world.loop, lambda: world.bus.has_subscribers("wgp2p"))
    world.bus.notify("wgp2p", "tick", {"n": 1})
    drive(world.loop, lambda: heard)
    assert heard == [("tick", {"n": 1})]
    world.close()


def test_notifications_of_others():
    world, heard, gone = World(), [], []

    def hear(kind, data):
        heard.append((kind, data))

    def subscribe(path):
        return world.wait(lambda done: world.bus.subscribe(path, hear, lambda: gone.append(path), done))

    assert subscribe("network") == NOT_FOUND
    world.fake.serve("network", {"x": lambda _: None})
    assert subscribe("network") == OK
    world.fake.notify("network", "tick", {"n": 1})
    drive(world.loop, lambda: heard)
    assert heard == [("tick", {"n": 1})]
    world.bus.unsubscribe("network")
    world.settle()
    world.fake.notify("network", "tick", {"n": 2})
    world.settle()
    assert len(heard) == 1 and not gone
    assert subscribe("network") == OK
    world.fake.disconnect(world.fake._self)
    drive(world.loop, lambda: gone)
    assert gone == ["network"]
    world.close()


def test_bus_killed():
    world, order, request = World(), [], []
    world.add("wgp2p", [("later", [], request.append)])
    world.fake._answers[1000] = []
    world.fake.feed(world.fake._self, ubusmessage.invoke(1000, world.fake._named("wgp2p").id, "later", {}))
    drive(world.loop, lambda: request)
    world.fake.stop()
    world.bus.call("nobody", "x", {}, lambda *values: order.append(values))
    world.bus._lost = lambda why: order.append(why)
    world.fake.drop()
    drive(world.loop, lambda: len(order) == 2)
    assert order[0] == (None, CONNECTION_FAILED) and isinstance(order[1], str)
    request[0].reply({})
    world.bus.notify("wgp2p", "x", {})
    world.bus.remove_object("wgp2p")
    world.bus.unsubscribe("wgp2p")
    assert world.call("nobody", "x") == (None, CONNECTION_FAILED)
    assert world.wait(lambda done: world.bus.listen("x", None, done)) == CONNECTION_FAILED
    assert len(order) == 2
    world.close()


def test_close_within_a_callback_and_nothing_after():
    world, got = World(), []

    def close(*values):
        got.append(values)
        world.bus.close()

    world.bus.call("nobody", "x", {}, close)
    world.bus.call("nobody", "x", {}, close)
    drive(world.loop, lambda: got)
    world.fake.drop()
    world.bus.call("nobody", "x", {}, close)
    for _ in range(5):
        world.loop.run_once(1)
    assert len(got) == 1 and not world.lost
    world.bus.close()
    world.fake.close()


def test_stopped_bus_does_not_eat_memory():
    world = World()
    world.add("wgp2p", [])
    world.fake.subscribe("wgp2p")
    drive(world.loop, lambda: world.bus.has_subscribers("wgp2p"))
    world.fake.stop()
    sent = 0
    while not world.lost and sent < 300:
        world.bus.notify("wgp2p", "x", {"x": "y" * 10000})
        sent += 1
        world.loop.run_once(0)
        assert world.bus._socket is None or world.bus._socket._waiting <= ubus_socket._WAITING_MOST
    assert len(world.lost) == 1 and "takes nothing" in world.lost[0]
    world.close()


def test_stopped_bus_goes_on():
    """What waited comes whole and in order when ubusd reads again."""
    world = World()
    world.fake.stop()
    for number in range(8):
        world.bus.send_event("e", {"n": number, "x": "y" * 60000})
    waiting, cut = world.bus._socket._waiting, world.bus._socket._offset
    world.fake._connections[0]._flush()  # watches again
    drive(world.loop, lambda: len(world.fake.events) == 8)
    assert waiting > 0 and cut > 0 and [data["n"] for _, data in world.fake.events] == list(range(8))
    assert world.bus._socket._waiting == 0 and not world.lost
    world.close()


class Server:
    """Listens as ubusd and says the given bytes, a piece at a time."""

    def __init__(self, pieces):
        self.loop, self.said, self.path = Loop(), list(pieces), new_folder() + "/ubus.sock"
        self.listener = compat.open_socket(compat.AF_UNIX, compat.SOCK_STREAM)
        self.listener.bind(compat.sockaddr_unix(self.path))
        self.listener.listen(5)
        self.loop.watch(self.listener.fileno(), READ, self.accept)
        self.ready, self.lost, self.pieces = [], [], None
        self.bus = Ubus(self.loop, self.path, lambda: self.ready.append(1), self.lost.append)

    def accept(self, _):
        self.sock = self.listener.accept()[0]
        self.pieces = list(self.said)
        self.say(self.sock, self.pieces)

    def say(self, sock, pieces):
        if pieces:
            sock.send(pieces.pop(0))
            self.loop.call_later(1, self.say, sock, pieces)

    def close(self):
        self.bus.close()
        self.loop.unwatch(self.listener.fileno())
        self.listener.close()


HELLO = ubusmessage.message(ubusmessage.HELLO, 0, 4711)


def test_greeting_in_pieces_and_twice():
    server = Server([HELLO[i:i + 1] for i in range(len(HELLO))] + [HELLO + HELLO])
    drive(server.loop, lambda: server.ready and server.pieces == [])
    server.loop.run_once(0)
    assert server.ready == [1] and not server.lost
    server.close()


def test_nothing_is_received_after_close():
    server, got = Server([HELLO + HELLO]), []

    def received(message):
        got.append(message.peer)
        link.close()

    link = ubus_socket.UbusSocket(server.loop, server.path, received, got.append)
    drive(server.loop, lambda: got)
    for _ in range(3):
        server.loop.run_once(1)
    assert got == [4711]
    server.close()


def test_faults_of_ubusd():
    for said in (b"\1" + HELLO[1:], HELLO[:8] + b"\0\xff\xff\xff", HELLO[:8] + bytes(4),
                 HELLO + b"HTTP/1.1 400 Bad\r\n"):
        server = Server([said])
        drive(server.loop, lambda: server.lost)
        assert len(server.lost) == 1 and "no ubus" in server.lost[0]
        server.close()


def test_rubbish_of_others_is_no_reason_to_part():
    attribute = ubusmessage.message(ubusmessage.INVOKE, 1, 2, (ubusmessage.A_METHOD, "x"))
    body = b"\3\0\0\x08\0\0\0\x07\4\0\0\x06x\0\0\0\x07\0\0\x09\x83\0\0\0\xff\0\0\0"
    odd = ubusmessage.message(ubusmessage.INVOKE, 1, 2)[:11] + bytes([len(body) + 4]) + body
    cut = odd[:11] + bytes([len(body) + 2]) + body[:-2]
    server = Server([HELLO, attribute, odd, cut, ubusmessage.message(99, 1, 2),
                     ubusmessage.message(ubusmessage.NOTIFY, 1, 2, (ubusmessage.A_OBJECT, 7)),
                     ubusmessage.message(ubusmessage.UNSUBSCRIBE, 1, 2, (ubusmessage.A_OBJECT, 7)),
                     ubusmessage.message(ubusmessage.DATA, 1, 0), ubusmessage.message(ubusmessage.STATUS, 1, 0)])
    drive(server.loop, lambda: server.pieces == [])
    for _ in range(3):
        server.loop.run_once(1)
    assert server.ready == [1] and not server.lost
    server.close()


def test_no_greeting():
    usual, ubus._PATIENCE_MS = ubus._PATIENCE_MS, 20
    try:
        server = Server([])
        drive(server.loop, lambda: server.lost)
    finally:
        ubus._PATIENCE_MS = usual
    assert "greet" in server.lost[0] and not server.ready
    server.close()


def test_nobody_listens():
    path = new_folder() + "/none.sock"
    raises(OSError, Ubus, Loop(), path, None, None)


def test_where_the_socket_is():
    folder = new_folder()
    usual, ubus_socket.SOCKETS = ubus_socket.SOCKETS, (folder + "/new", folder + "/old")
    try:
        assert ubus_socket.socket_path() is None
        for name in ("old", "new"):
            open(folder + "/" + name, "w").close()
            assert ubus_socket.socket_path() == folder + "/" + name
    finally:
        ubus_socket.SOCKETS = usual
