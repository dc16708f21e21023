"""A ubusd for tests, in the same process and loop: `fake = FakeUbus(loop, path)`, and whatever connects to `path` finds
a bus. What it answers is held to recordings of the real one (tests/unit/test_ubus_golden.py).

    fake.invoke("wgp2p", "status", {})       -> (dict or None, status), as another process that calls
    fake.objects()                           names of what is published, sorted
    fake.events                              [(name, data)] of every event that a client sent
    fake.emit("network.interface", {...})    an event of another process
    fake.serve("hotplug.wgp2p", {"call": f}) an object of another process; f(args) gives a dict, None or a status
    fake.subscribe("wgp2p")                  list that grows by (type, data) of each notification
    fake.notify("network", "x", {...})       a notification of an object that is served
    fake.denied.add(("publish", "wgp2p"))    access lists: publish, call, subscribe NAME; send, listen EVENT
    fake.stop()                              takes and gives nothing any more, as a process that is stopped
    fake.drop()                              closes all connections, as a process that is killed
    fake.close()                             the same, and nothing listens any more
"""
import os

from helpers import drive

from wgp2p import blobmsg, compat, ubusmessage
from wgp2p.loop import READ, WRITE
from wgp2p.ubusmessage import (
    A_ACTIVE,
    A_DATA,
    A_GROUP,
    A_METHOD,
    A_NO_REPLY,
    A_OBJECT,
    A_PATH,
    A_SIGNATURE,
    A_STATUS,
    A_SUBSCRIBERS,
    A_TARGET,
    A_TYPE,
    A_USER,
    DATA,
    HELLO,
    INVALID_ARGUMENT,
    INVALID_COMMAND,
    INVOKE,
    METHOD_NOT_FOUND,
    NOT_FOUND,
    NOTIFY,
    OK,
    PERMISSION_DENIED,
    STATUS,
    UNSUBSCRIBE,
    message,
)


class Client:
    """One connection as the broker sees it."""

    def __init__(self, send, number, user, group):
        self.send = send
        self.id = number
        self.user, self.group = user, group
        self.reader = ubusmessage.Reader(ubusmessage.UBUS_MOST)


class Thing:
    """An object of a client."""

    def __init__(self, client, number, path, type_id, signature):
        self.client, self.id, self.path = client, number, path
        self.type_id, self.signature = type_id, signature
        self.patterns = []
        self.subscribers = []
        self.told = 0


class Broker:
    """ubusd without sockets: `connect(send)`, then `feed(client, data)` and `disconnect(client)`. `ids`: the ids that
    it gives out next, random ones when there is none."""

    def __init__(self):
        self.ids = []
        self.denied = set()
        self.events = []
        self.event_seq = 0
        self._clients = {}
        self._things = {}
        self._handlers = {
            ubusmessage.PING: self._ping, ubusmessage.LOOKUP: self._lookup, INVOKE: self._invoke,
            ubusmessage.ADD_OBJECT: self._add_object, ubusmessage.REMOVE_OBJECT: self._remove_object,
            ubusmessage.SUBSCRIBE: self._subscribe, UNSUBSCRIBE: self._unsubscribe, NOTIFY: self._notify,
            STATUS: self._respond, DATA: self._respond,
        }

    def connect(self, send, user="root", group="root"):
        client = Client(send, self._new_id(), user, group)
        self._clients[client.id] = client
        send(message(HELLO, 0, client.id))
        return client

    def feed(self, client, data):
        for asked in client.reader.feed(data):
            handler = self._handlers.get(asked.kind)
            status = handler(client, asked, asked.attributes()) if handler else INVALID_COMMAND
            if status is not None:
                client.send(message(STATUS, asked.seq, asked.peer, (A_STATUS, status)))

    def disconnect(self, client):
        for thing in [thing for thing in self._things.values() if thing.client is client]:
            self._remove(thing)
        self._clients.pop(client.id, None)

    def objects(self):
        return sorted([thing.path for thing in self._things.values() if thing.path])

    def _new_id(self):
        return self.ids.pop(0) if self.ids else 1024 + compat.random_below((1 << 32) - 1024)

    def _named(self, path):
        for thing in self._things.values():
            if thing.path == path:
                return thing
        return None

    def _own(self, client, number):
        thing = self._things.get(number)
        return thing if thing is not None and thing.client is client else None

    # -- requests: each gives the status, or None where ubusd sends none --------------------------------

    def _ping(self, client, asked, found):
        client.send(message(DATA, asked.seq, asked.peer))
        return OK

    def _lookup(self, client, asked, found):
        path = found.get(A_PATH, "*")
        if path.endswith("*"):
            things = [self._named(name) for name in self.objects() if name.startswith(path[:-1])]
        else:
            things = [thing for thing in [self._named(path)] if thing]
        for thing in things:
            if ("call", thing.path) not in self.denied and thing.type_id:
                client.send(message(DATA, asked.seq, asked.peer, (A_PATH, thing.path), (A_OBJECT, thing.id),
                                    (A_TYPE, thing.type_id), (A_SIGNATURE, thing.signature)))
        return OK if things or A_PATH not in found else NOT_FOUND

    def _add_object(self, client, asked, found):
        path = found.get(A_PATH)
        type_id = self._new_id() if A_SIGNATURE in found else None
        if path is not None and (("publish", path) in self.denied or self._named(path)):
            return INVALID_ARGUMENT
        thing = Thing(client, self._new_id(), path, type_id, found.get(A_SIGNATURE))
        self._things[thing.id] = thing
        self._tell_objects("ubus.object.add", thing)
        last = ((A_TYPE, type_id),) if type_id else ()
        client.send(message(DATA, asked.seq, asked.peer, (A_OBJECT, thing.id), *last))
        return OK

    def _remove_object(self, client, asked, found):
        thing = self._things.get(found.get(A_OBJECT))
        if thing is None:
            return NOT_FOUND
        if thing.client is not client:
            return PERMISSION_DENIED
        last = ((A_TYPE, thing.type_id),) if thing.type_id else ()
        client.send(message(DATA, asked.seq, asked.peer, (A_OBJECT, thing.id), *last))
        self._remove(thing)
        return OK

    def _remove(self, thing):
        del self._things[thing.id]
        for other in self._things.values():
            if thing in other.subscribers:
                self._drop_subscriber(other, thing)
        for subscriber in thing.subscribers:
            subscriber.told += 1
            subscriber.client.send(message(UNSUBSCRIBE, subscriber.told, 0, (A_OBJECT, subscriber.id),
                                           (A_TARGET, thing.id)))
        self._tell_objects("ubus.object.remove", thing)

    def _invoke(self, client, asked, found):
        if A_METHOD not in found or A_OBJECT not in found:
            return INVALID_ARGUMENT
        if found[A_OBJECT] == ubusmessage.EVENT_OBJECT:
            return self._event(client, found)
        thing = self._things.get(found[A_OBJECT])
        if thing is None:
            return NOT_FOUND
        if ("call", thing.path) in self.denied:
            return PERMISSION_DENIED
        self._forward(client, thing, asked.seq, found, ())
        return None

    def _forward(self, client, thing, seq, found, first):
        last = ((A_DATA, found[A_DATA]),) if A_DATA in found else ()
        thing.client.send(message(INVOKE, seq, client.id, *(first + (
            (A_OBJECT, thing.id), (A_METHOD, found[A_METHOD]), (A_USER, client.user), (A_GROUP, client.group)) + last)))

    def _respond(self, client, asked, found):
        to = self._clients.get(asked.peer)
        wanted = A_STATUS if asked.kind == STATUS else A_DATA
        if to is not None and wanted in found and self._own(client, found.get(A_OBJECT)):
            to.send(message(asked.kind, asked.seq, found[A_OBJECT], *pairs(asked)))

    # -- events -----------------------------------------------------------------------------------------

    def _event(self, client, found):
        table = blobmsg.decode(found.get(A_DATA, b""))
        if found[A_METHOD] == "register":
            thing = self._own(client, table["object"] & 0xFFFFFFFF)
            if thing is None:
                return NOT_FOUND
            if ("listen", table["pattern"]) in self.denied:
                return PERMISSION_DENIED
            thing.patterns.append(table["pattern"])
            return OK
        if found[A_METHOD] != "send":
            return INVALID_COMMAND
        if table["id"].startswith("ubus.") or ("send", table["id"]) in self.denied:
            return PERMISSION_DENIED
        self.events.append((table["id"], table["data"]))
        self._tell(client, table["id"], table["data"])
        return OK

    def _tell_objects(self, name, thing):
        if thing.path is not None:
            number = thing.id - (1 << 32) if thing.id >> 31 else thing.id
            self._tell(None, name, (("id", number), ("path", thing.path)))

    def _tell(self, client, name, data):
        """An event to everybody but who sends it."""
        for thing in list(self._things.values()):
            fits = [p for p in thing.patterns if p == name or p.endswith("*") and name.startswith(p[:-1])]
            if fits and thing.client is not client:
                self.event_seq += 1
                thing.client.send(message(INVOKE, self.event_seq, 0, (A_OBJECT, thing.id), (A_METHOD, name),
                                          (A_DATA, data)))

    # -- notifications ----------------------------------------------------------------------------------

    def _subscribe(self, client, asked, found):
        own, target = self._own(client, found.get(A_OBJECT)), self._things.get(found.get(A_TARGET))
        if own is None or target is None or ("subscribe", target.path) in self.denied:
            return NOT_FOUND
        if target.client is client:
            return INVALID_ARGUMENT
        target.subscribers.append(own)
        if len(target.subscribers) == 1:
            self._tell_active(target, True)
        return OK

    def _unsubscribe(self, client, asked, found):
        own, target = self._own(client, found.get(A_OBJECT)), self._things.get(found.get(A_TARGET))
        if own is None or target is None or own not in target.subscribers:
            return NOT_FOUND
        self._drop_subscriber(target, own)
        return OK

    def _drop_subscriber(self, target, own):
        target.subscribers.remove(own)
        if not target.subscribers:
            self._tell_active(target, False)

    def _tell_active(self, thing, active):
        thing.told += 1
        thing.client.send(message(NOTIFY, thing.told, 0, (A_OBJECT, thing.id), (A_ACTIVE, active)))

    def _notify(self, client, asked, found):
        thing = self._own(client, found.get(A_OBJECT))
        if thing is None or A_METHOD not in found:
            return INVALID_ARGUMENT
        silent = found.get(A_NO_REPLY, False)
        if not silent:
            client.send(message(STATUS, asked.seq, asked.peer, (A_OBJECT, thing.id),
                                (A_SUBSCRIBERS, [one.id for one in thing.subscribers]), (A_STATUS, OK)))
        for one in thing.subscribers:
            self._forward(client, one, asked.seq, found, ((A_NO_REPLY, True),) if silent else ())


def pairs(asked):
    """(attribute, value) of a message in the order in which they stand in it."""
    found = asked.attributes()
    return [(number, found[number]) for number, _, _ in ubusmessage._attributes(asked.body, 0, len(asked.body))]


class FakeUbus(Broker):
    """A Broker with a socket, and with a process of its own that calls and is called."""

    def __init__(self, loop, path):
        super().__init__()
        self._loop = loop
        self._path = path
        self._connections = []
        self._served = {}  # id: {method: function}
        self._heard = {}  # id of a subscribing object: what it heard
        self._answers = {}  # seq: [what came]
        self._seq = 0
        self._self = self.connect(self._inside, "root", "root")
        self._listener = compat.open_socket(compat.AF_UNIX, compat.SOCK_STREAM)
        self._listener.bind(compat.sockaddr_unix(path))
        self._listener.listen(5)
        loop.watch(self._listener.fileno(), READ, self._accept)

    # -- the process ------------------------------------------------------------------------------------

    def invoke(self, path, method, args=None, timeout_ms=5000):
        """(answer or None, status) of a method of a client's object; runs the loop until it is there."""
        thing = self._named(path)
        if thing is None:
            return None, NOT_FOUND
        return self._ask(ubusmessage.invoke, thing.id, method, args or {}, timeout_ms=timeout_ms)

    def serve(self, path, methods):
        found, status = self._ask(ubusmessage.add_object, path, [(name, ()) for name in sorted(methods)])
        assert status == OK, ubusmessage.words(status)
        self._served[found] = methods

    def subscribe(self, path):
        number, status = self._ask(ubusmessage.add_object)
        self._heard[number] = []
        status = self._ask(ubusmessage.subscribe, number, self._named(path).id)[1]
        assert status == OK, ubusmessage.words(status)
        return self._heard[number]

    def notify(self, path, kind, data):
        self._ask(ubusmessage.notify, self._named(path).id, kind, data, False)

    def emit(self, name, data):
        """An event of another process to those who listen."""
        self._tell(None, name, data)

    def _ask(self, build, *args, timeout_ms=5000):
        self._seq += 1
        came = self._answers[self._seq] = []
        self.feed(self._self, build(self._seq, *args))
        drive(self._loop, lambda: came and isinstance(came[-1], int), timeout_ms)
        del self._answers[self._seq]
        return came[0] if len(came) > 1 else None, came[-1]

    def _inside(self, data):
        """What our own process is told."""
        for told in ubusmessage.Reader(ubusmessage.UBUS_MOST).feed(data):
            found = told.attributes()
            if told.kind == DATA and told.seq in self._answers:
                answer = blobmsg.decode(found[A_DATA]) if A_DATA in found else found[A_OBJECT]
                self._answers[told.seq].append(answer)
            elif told.kind == STATUS and told.seq in self._answers:
                self._answers[told.seq].append(found[A_STATUS])
            elif told.kind == INVOKE and found[A_OBJECT] in self._heard:
                self._heard[found[A_OBJECT]].append((found[A_METHOD], blobmsg.decode(found[A_DATA])))
            elif told.kind == INVOKE:
                self._loop.call_later(0, self._answer, told, found)

    def _answer(self, told, found):
        where = found[A_OBJECT]
        method = self._served[where].get(found[A_METHOD])
        answer = method(blobmsg.decode(found[A_DATA])) if method else METHOD_NOT_FOUND
        if isinstance(answer, dict):
            self.feed(self._self, ubusmessage.reply(told.seq, told.peer, where, answer))
            answer = OK
        self.feed(self._self, ubusmessage.reply_status(told.seq, told.peer, where, answer or OK))

    # -- the socket -------------------------------------------------------------------------------------

    def stop(self):
        """Read and write nothing more."""
        for connection in self._connections:
            connection.stop()

    def drop(self):
        """Close every connection."""
        for connection in list(self._connections):
            connection.close()

    def close(self):
        self.drop()
        if self._listener is not None:
            self._loop.unwatch(self._listener.fileno())
            self._listener.close()
            self._listener = None
            os.remove(self._path)

    def _accept(self, _):
        sock = self._listener.accept()[0]
        sock.setblocking(False)
        self._connections.append(_Connection(self, self._loop, sock))


class _Connection:
    """A socket of a client."""

    def __init__(self, fake, loop, sock):
        self._fake, self._loop, self._sock = fake, loop, sock
        self._out = b""
        self.sent = []  # all that the client has sent, in pieces
        self._client = fake.connect(self._send)

    def _send(self, data):
        self._out += data
        self._flush()

    def _flush(self):
        try:
            while self._out:
                self._out = self._out[self._sock.send(self._out):]
        except OSError:  # no room, or gone, which reading tells
            pass
        self._loop.watch(self._sock.fileno(), READ | WRITE if self._out else READ, self._ready)

    def _ready(self, events):
        if self._out:
            self._flush()
        try:
            data = self._sock.recv(4096) if events & READ else None
        except OSError as error:
            data = None if compat.is_again(error) else b""
        if data:
            self.sent.append(data)
            self._fake.feed(self._client, data)
        elif data is not None:
            self.close()

    def stop(self):
        self._loop.unwatch(self._sock.fileno())

    def close(self):
        if self in self._fake._connections:
            self._fake._connections.remove(self)
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()
            self._fake.disconnect(self._client)
