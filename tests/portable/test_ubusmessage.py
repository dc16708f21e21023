"""ubusmessage.py: what real programs said (tests/golden/ubus.json), what we say, and everything that can be wrong."""
import json

from helpers import raises

from wgp2p import blobmsg, ubusmessage
from wgp2p.ubusmessage import READ_MOST, Message, Reader, UbusError, message

HERE = __file__.rpartition("/")[0] or "."
with open(HERE + "/../golden/ubus.json") as golden:
    GOLDEN = json.loads(golden.read())
FRAMES = [(scenario["scenario"], frame["conn"], frame["dir"], bytes.fromhex(frame["hex"]))
          for scenario in GOLDEN for frame in scenario["frames"]]


def read(data):
    """The one message that these bytes are."""
    found = Reader().feed(data)
    assert len(found) == 1
    return found[0]


def recorded(scenario, kind, said_by="client>ubusd", conn=None):
    """The frames of a type that one side said."""
    return [data for name, number, direction, data in FRAMES
            if (name, direction, data[1]) == (scenario, said_by, kind) and conn in (None, number)]


def test_every_recorded_frame_is_read():
    kinds = set()
    for _, _, _, data in FRAMES:
        found = read(data)
        kinds.add(found.kind)
        attributes = found.attributes()
        for number in (ubusmessage.A_DATA, ubusmessage.A_SIGNATURE):
            if number in attributes:
                assert isinstance(blobmsg.decode(attributes[number]), dict)
    assert len(GOLDEN) == 13 and sorted(kinds) == [0, 1, 2, 4, 5, 6, 8, 10]


def test_a_recorded_call_is_understood():
    data = recorded("call echo", ubusmessage.INVOKE, "ubusd>client")[0]
    found = read(data)
    assert (found.kind, found.seq, found.peer) == (ubusmessage.INVOKE, 2, 0x2763aedb)
    attributes = found.attributes()
    assert attributes[ubusmessage.A_OBJECT] == 0x5d570c75 and attributes[ubusmessage.A_METHOD] == "echo"
    assert attributes[ubusmessage.A_USER] == attributes[ubusmessage.A_GROUP] == "root"
    assert blobmsg.decode(attributes[ubusmessage.A_DATA]) == {
        "text": "h\u00e9llo", "num": 42, "flag": True, "tab": {"k": "v"}, "arr": [1, 2]}
    answer = read(recorded("call echo", ubusmessage.DATA, conn=2)[0]).attributes()
    table = blobmsg.decode(answer[ubusmessage.A_DATA])
    assert (table["i64"], table["neg"], table["dbl"], table["yes"], table["no"], table["nul"], table["list"]) == (
        5000000000, -7, 1.5, True, False, None, [1, "two", {"three": 3}])
    notified = read(recorded("call no method", ubusmessage.STATUS, "ubusd>client", 2)[0]).attributes()
    assert notified[ubusmessage.A_SUBSCRIBERS] == []


def test_a_recorded_answer_gives_the_words_that_the_tool_printed():
    scenario = [scenario for scenario in GOLDEN if scenario["scenario"] == "call echo"][0]
    data = recorded("call echo", ubusmessage.DATA, "ubusd>client", 1)[-1]
    assert blobmsg.decode(read(data).attributes()[ubusmessage.A_DATA]) == json.loads(scenario["stdout"])
    scenario = [scenario for scenario in GOLDEN if scenario["scenario"] == "uci get"][0]
    data = recorded("uci get", ubusmessage.DATA, "ubusd>client", 1)[-1]
    assert blobmsg.decode(read(data).attributes()[ubusmessage.A_DATA]) == json.loads(scenario["stdout"])


def test_we_say_the_same_bytes():
    demo = 0x5d570c75
    methods = [("echo", [("text", "string"), ("num", "int32"), ("flag", "bool"), ("tab", "table"), ("arr", "array")]),
               ("fail", []), ("later", [])]
    echo = (("text", "h\u00e9llo"), ("num", 42), ("flag", True), ("tab", {"k": "v"}), ("arr", [1, 2]))
    answer = (("got", echo), ("i64", 5000000000), ("neg", -7), ("dbl", 1.5), ("yes", True), ("no", False),
              ("nul", None), ("list", [1, "two", {"three": 3}]))
    heard, caller = 0x634c38fc, 0x2763aedb
    for scenario, conn, ours in (
            ("publish object", 1, [ubusmessage.add_object(1, "demo", methods)]),
            ("list", 1, [message(ubusmessage.LOOKUP, 1, 0)]),
            ("list -v", 1, [ubusmessage.lookup(1, "demo")]),
            ("list missing", 1, [ubusmessage.lookup(1, "nobody")]),
            ("call echo", 1, [ubusmessage.lookup(1, "demo"), ubusmessage.invoke(2, demo, "echo", echo)]),
            ("call echo", 2, [ubusmessage.reply(2, caller, demo, answer),
                              ubusmessage.reply_status(2, caller, demo, ubusmessage.OK)]),
            ("call fail", 1, [ubusmessage.lookup(1, "demo"), ubusmessage.invoke(2, demo, "fail", {})]),
            ("call fail", 2, [ubusmessage.reply_status(2, 0x06edbb7f, demo, ubusmessage.PERMISSION_DENIED)]),
            ("call no method", 1, [ubusmessage.lookup(1, "demo"), ubusmessage.invoke(2, demo, "nomethod", {})]),
            ("call no method", 2, [ubusmessage.reply_status(2, 0x6ccc8a19, demo, ubusmessage.METHOD_NOT_FOUND),
                                   ubusmessage.notify(2, demo, "tick", {"n": 1}, False)]),
            ("call no object", 1, [ubusmessage.lookup(1, "nobody")]),
            ("uci get", 1, [ubusmessage.lookup(1, "uci"),
                            ubusmessage.invoke(2, 0x5240016e, "get", {"config": "wgp2p"})]),
            ("uci get one", 1, [ubusmessage.lookup(1, "uci"), ubusmessage.invoke(2, 0x5240016e, "get", (
                ("config", "wgp2p"), ("section", "home"), ("option", "publisher")))]),
            ("uci get missing", 1, [ubusmessage.lookup(1, "uci"),
                                    ubusmessage.invoke(2, 0x5240016e, "get", {"config": "nosuch"})]),
            ("subscribe, listen, send", 1, [ubusmessage.add_object(1), ubusmessage.lookup(2, "demo"),
                                            ubusmessage.subscribe(3, 0xddbebc77, demo)]),
            ("subscribe, listen, send", 2, []),
            ("subscribe, listen, send", 3, [ubusmessage.add_object(1), ubusmessage.register(2, heard, "*"),
                                            ubusmessage.reply_status(2, 0, heard, ubusmessage.OK)]),
            ("subscribe, listen, send", 4, [ubusmessage.send_event(1, "wgp2p.peer", (
                ("state", "direct"), ("rtt", 12)))])):
        theirs = [data for name, number, direction, data in FRAMES
                  if (name, number, direction) == (scenario, conn, "client>ubusd")]
        assert ours == theirs, (scenario, conn)


def test_messages_of_which_there_is_no_recording():
    assert ubusmessage.remove_object(3, 7) == bytes.fromhex("00070003000000000000000c0300000800000007")
    assert ubusmessage.notify(3, 7, "x", {}, True)[-8:] == bytes.fromhex("0a00000501000000")
    found = read(ubusmessage.register(1, 0xFFFFFFFE, "a.*")).attributes()
    assert blobmsg.decode(found[ubusmessage.A_DATA]) == {"object": -2, "pattern": "a.*"}
    found = read(message(ubusmessage.STATUS, 1, 2, (ubusmessage.A_SUBSCRIBERS, [1, 0xFFFFFFFF]),
                         (ubusmessage.A_ACTIVE, False))).attributes()
    assert found == {ubusmessage.A_SUBSCRIBERS: [1, 0xFFFFFFFF], ubusmessage.A_ACTIVE: False}


def test_what_cannot_be_said():
    raises(UbusError, ubusmessage.lookup, 1, "a\0b")
    raises(blobmsg.BlobmsgError, ubusmessage.invoke, 1, 1, "x", {"x": object()})
    usual, ubusmessage.SEND_MOST = ubusmessage.SEND_MOST, 4096
    try:
        assert len(ubusmessage.reply(1, 1, 1, {"x": "y" * (4096 - 33)})) == 4096
        raises(UbusError, ubusmessage.reply, 1, 1, 1, {"x": "y" * (4096 - 32)})
    finally:
        ubusmessage.SEND_MOST = usual


def test_stream_in_pieces():
    stream = b"".join([data for _, _, _, data in FRAMES])
    for size in (1, 3, 12, 13, 100, 4096, len(stream)):
        reader, found = Reader(), []
        for at in range(0, len(stream), size):
            found += reader.feed(stream[at:at + size])
        assert len(found) == len(FRAMES)
        for one, (_, _, _, data) in zip(found, FRAMES):
            assert (one.kind, one.body) == (data[1], data[12:])


def test_cut_off_at_every_byte():
    data = recorded("call echo", ubusmessage.INVOKE, "ubusd>client")[0]
    for end in range(len(data)):
        assert Reader().feed(data[:end]) == []
    body, starts = data[12:], [0, 8, 20, 32, 44]
    for end in range(len(body)):
        try:
            Message(5, 1, 1, body[:end]).attributes()
            assert end in starts, end
        except UbusError:
            pass


def test_length_lies_take_no_memory():
    head = message(ubusmessage.HELLO, 0, 1)[:9]
    for size in (b"\0\0\0", b"\0\0\3", b"\x10\0\1", b"\xff\xff\xff"):
        raises(UbusError, Reader().feed, head + size)
    raises(UbusError, Reader().feed, b"\1" + head[1:] + b"\0\0\4")
    reader = Reader()
    assert reader.feed(head + b"\x10\0\0") == [] and reader._body is None
    left = ubusmessage.UBUS_MOST - 4
    while left > 4096:
        assert reader.feed(bytes(4096)) == [] and reader._body is None
        left -= 4096
    large, small = reader.feed(bytes(left) + message(ubusmessage.STATUS, 9, 9))
    assert (large.body, small.seq, small.body) == (None, 9, b"")
    size = READ_MOST - 8
    whole = reader.feed(head + bytes([size >> 16, size >> 8 & 255, size & 255]) + bytes(size - 4))
    assert len(whole[0].body) == READ_MOST - 12


def refused(body):
    assert str(raises(UbusError, Message(5, 1, 1, body).attributes))


def test_bodies_that_are_wrong():
    good = b"\3\0\0\x08\0\0\0\7"
    assert Message(5, 1, 1, good).attributes() == {ubusmessage.A_OBJECT: 7}
    for rubbish in (b"\0", b"\0\0\0\0", b"\3\0\0\3", b"\x0e\0\0\x0c\0\0\0\0", b"\4\0\0\6x\0", b"\xff" * 8):
        refused(good + rubbish)
    for body in (b"\3\0\0\4", b"\3\0\0\7\0\0\0\0", b"\3\0\0\x0c" + bytes(8), b"\4\0\0\4", b"\4\0\0\6xy\0\0",
                 b"\4\0\0\x08x\0y\0", b"\4\0\0\6\xff\0\0\0", b"\x09\0\0\4", b"\x09\0\0\x08\1\0\0\0",
                 b"\x0b\0\0\x0c\0\0\0\7\0\0\0\1", b"\x0b\0\0\x09\0\0\0\4\0\0\0\0", b"\3\xff\xff\xff" + bytes(64)):
        refused(body)
    assert Message(5, 1, 1, b"\x0e\0\0\x08abcd\0\0\0\4\x7f\0\0\x05x\0\0\0").attributes() == {}


def test_words():
    assert ubusmessage.words(0) == "ok" and "denied" in ubusmessage.words(6)
    assert ubusmessage.words(13) and "99" in ubusmessage.words(99)
