"""ubus beside the recordings of the real programs (tests/golden/ubus.json): the codec reads and writes the same bytes,
our client says what libubus says, and the fake ubusd of the tests answers what ubusd answers."""
import json
import pathlib

import pytest
from fakeubus import Broker, FakeUbus, pairs
from folders import new_folder
from helpers import drive

from wgp2p import blobmsg, ubusmessage
from wgp2p.loop import Loop
from wgp2p.ubus import Refused, Ubus
from wgp2p.ubusmessage import A_ACTIVE, A_DATA, A_OBJECT, A_PATH, A_SIGNATURE, A_TYPE, Reader, message

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden/ubus.json").read_text())
SCENARIOS = {scenario["scenario"]: scenario for scenario in GOLDEN}
FRAMES = [bytes.fromhex(frame["hex"]) for scenario in GOLDEN for frame in scenario["frames"]]
SERVER, RPCD = "server", "rpcd"
DEMO = [("echo", [("text", "string"), ("num", "int32"), ("flag", "bool"), ("tab", "table"), ("arr", "array")]),
        ("fail", []), ("later", [])]


def read(data):
    found, = Reader().feed(data)
    return found


def frames(name):
    """(conn, whether a client said it, Message, bytes) of each frame; the demo's server is one connection in all."""
    scenario = SCENARIOS[name]
    server = {"publish object": 1, "call echo": 2, "call fail": 2, "call no method": 2, "subscribe, listen, send": 2}
    for frame in scenario["frames"]:
        data = bytes.fromhex(frame["hex"])
        conn = SERVER if frame["conn"] == server.get(name) else (name, frame["conn"])
        yield conn, frame["dir"] == "client>ubusd", read(data), data


@pytest.mark.parametrize("data", FRAMES, ids=[f"{number}" for number in range(len(FRAMES))])
def test_every_frame_there_and_back(data):
    found = read(data)
    attributes = pairs(found)
    assert message(found.kind, found.seq, found.peer, *attributes) == data
    decoded = [(number, blobmsg.decode(value) if number in (A_DATA, A_SIGNATURE) else value)
               for number, value in attributes]
    assert message(found.kind, found.seq, found.peer, *decoded) == data


# -- the fake ubusd ---------------------------------------------------------------------------------

class Replay:
    """A Broker that gives out the recorded ids, and what it said to each connection."""

    def __init__(self):
        self.broker = Broker()
        self.said = {}
        self.clients = {}
        self.connect(RPCD, 1025)
        for _, asked, found, _ in frames("list"):  # what rpcd had published before the recording began
            attributes = found.attributes()
            if not asked and A_SIGNATURE in attributes and attributes[A_PATH] != "demo":
                self.broker.ids = [attributes[A_TYPE], attributes[A_OBJECT]]
                self.feed(RPCD, message(ubusmessage.ADD_OBJECT, 1, 0, (A_PATH, attributes[A_PATH]),
                                        (A_SIGNATURE, attributes[A_SIGNATURE])))

    def connect(self, conn, number):
        self.said[conn] = []
        self.broker.ids.insert(0, number)
        self.clients[conn] = self.broker.connect(self.said[conn].append)

    def feed(self, conn, data):
        self.broker.feed(self.clients[conn], data)


def test_fake_answers_as_ubusd_does():
    replay, expected = Replay(), {}
    for name in SCENARIOS:
        recorded = list(frames(name))
        if name.startswith("subscribe"):
            replay.broker.event_seq = 1  # of events that nobody recorded
        for position, (conn, asked, found, data) in enumerate(recorded):
            attributes = found.attributes()
            if asked:
                # The ids that ubusd answered with: of the type first, which it makes first.
                if found.kind == ubusmessage.ADD_OBJECT:
                    answer = next(later.attributes() for other, by, later, _ in recorded[position:]
                                  if other == conn and not by and later.kind == ubusmessage.DATA)
                    replay.broker.ids = [answer[key] for key in (A_TYPE, A_OBJECT) if key in answer]
                replay.feed(conn, data)
                continue
            if found.kind == ubusmessage.HELLO:
                replay.connect(conn, found.peer)
            elif attributes.get(A_ACTIVE) is False:  # the subscriber was killed
                replay.broker.disconnect(replay.clients[name, 1])
            elif name.startswith("uci get") and attributes.get(A_OBJECT) == found.peer:  # rpcd answers
                caller = replay.clients[conn].id
                own = message(found.kind, found.seq, caller, *pairs(found))
                replay.feed(RPCD, own)
            expected.setdefault(conn, []).append(data)
    assert len(expected) == 14 and sum(map(len, expected.values())) > 50
    for conn, wanted in expected.items():
        assert [data.hex() for data in replay.said[conn]] == [data.hex() for data in wanted], conn


# -- our client -------------------------------------------------------------------------------------

class World:
    """Our client at a fake ubusd that gives out the recorded ids; what it sent, message by message."""

    def __init__(self):
        self.loop = Loop()
        self.path = new_folder() + "/ubus.sock"
        self.fake = FakeUbus(self.loop, self.path)
        self.count = 0

    def connect(self, number):
        """(bus, what it sends) of a client with this id."""
        ready = []
        self.fake.ids = [number]
        bus = Ubus(self.loop, self.path, lambda: ready.append(1), None)
        drive(self.loop, lambda: ready)
        return bus, self.fake._connections[-1]

    def wait(self, start):
        got = []
        start(lambda *values: got.append(values))
        drive(self.loop, lambda: got)
        return got[0]

    def publish_demo(self):
        """The demo as recorded: its answers, its notification."""
        bus, connection = self.connect(0x02849b20)
        self.fake.ids = [0x8c977c53, 0x5d570c75]

        def echo(request):
            request.reply((("got", request.args), ("i64", 5000000000), ("neg", -7), ("dbl", 1.5), ("yes", True),
                           ("no", False), ("nul", None), ("list", [1, "two", {"three": 3}])))

        def fail(request):
            raise Refused(ubusmessage.PERMISSION_DENIED)

        handlers = {"echo": echo, "fail": fail, "later": lambda request: None}
        methods = [(name, arguments, handlers[name]) for name, arguments in DEMO]
        assert self.wait(lambda done: bus.add_object("demo", methods, done)) == (0,)
        return bus, connection


def same(connection, name, conn, skip=()):
    """What our client sent is what the recorded one did, but for seq."""
    ours = [(found.kind, found.peer, found.body) for found in Reader().feed(b"".join(connection.sent))]
    theirs = [(found.kind, found.peer, found.body) for other, asked, found, _ in frames(name)
              if other == conn and asked and found.kind not in skip]
    assert ours == theirs
    return Reader().feed(b"".join(connection.sent))


@pytest.fixture
def world():
    world = World()
    yield world
    world.fake.close()


def test_our_object_is_published_alike(world):
    _, connection = world.publish_demo()
    found, = same(connection, "publish object", SERVER)
    assert found.seq == 1


@pytest.mark.parametrize("name,client,method,args,status", [
    ("call echo", 0x2763aedb, "echo", {"text": "h\u00e9llo", "num": 42, "flag": True, "tab": {"k": "v"},
                                       "arr": [1, 2]}, 0),
    ("call fail", 0x06edbb7f, "fail", {}, 6), ("call no method", 0x6ccc8a19, "nomethod", {}, 3)])
def test_our_calls_and_answers_are_alike(world, name, client, method, args, status):
    _, server = world.publish_demo()
    server.sent.clear()
    bus, connection = world.connect(client)
    answer, code = world.wait(lambda done: bus.call("demo", method, args, done))
    assert code == status
    if name == "call echo":
        assert answer == json.loads(SCENARIOS[name]["stdout"])
    assert [found.seq for found in same(connection, name, (name, 1))] == [1, 2]
    same(server, name, SERVER, skip=(ubusmessage.NOTIFY,))


def test_our_call_of_what_is_not_there_is_alike(world):
    bus, connection = world.connect(0xc1c89f0e)
    assert world.wait(lambda done: bus.call("nobody", "x", {}, done)) == (None, 4)
    same(connection, "call no object", ("call no object", 1))


def test_our_events_and_subscriptions_are_alike(world):
    name, heard = "subscribe, listen, send", []
    world.publish_demo()
    subscriber, connection = world.connect(0xd7409357)
    world.fake.ids = [0xddbebc77]
    assert world.wait(lambda done: subscriber.subscribe("demo", None, None, done)) == (0,)
    # It looks first and makes its object then; libubus does it the other way round.
    ours = Reader().feed(b"".join(connection.sent))
    theirs = [found for conn, asked, found, _ in frames(name) if conn == (name, 1) and asked]
    assert sorted((found.kind, found.body) for found in ours) == sorted((found.kind, found.body) for found in theirs)

    listener, connection = world.connect(0x70bb3ae5)
    world.fake.ids = [0x634c38fc]
    assert world.wait(lambda done: listener.listen("*", lambda *event: heard.append(event), done)) == (0,)
    # libubus answers an event, too, which nobody waits for
    same(connection, name, (name, 3), skip=(ubusmessage.STATUS,))

    sender, connection = world.connect(0xbd48c8fc)
    data = {"state": "direct", "rtt": 12}
    assert world.wait(lambda done: sender.send_event("wgp2p.peer", data, done)) == (0,)
    same(connection, name, (name, 4))
    drive(world.loop, lambda: heard)
    assert heard == [("wgp2p.peer", data)]
