"""The connection to ubusd, OpenWrt's bus: objects of ours, calls, notifications, events.

No callback comes before the call that asks for it has returned, and none after `close()`. A `done(…, status)` comes
once: with ubusmessage.OK or what went wrong (`ubusmessage.words`), TIMEOUT and CONNECTION_FAILED included.

What ubusd's access lists forbid looks like this: add_object INVALID_ARGUMENT (as for a name that is taken), call,
listen and send_event PERMISSION_DENIED, subscribe NOT_FOUND, or PERMISSION_DENIED where we may not call either.
"""
from . import blobmsg, log, ubusmessage
from .blobmsg import BlobmsgError
from .loop import guarded
from .ubus_socket import UbusSocket
from .ubusmessage import (
    A_ACTIVE,
    A_DATA,
    A_GROUP,
    A_METHOD,
    A_NO_REPLY,
    A_OBJECT,
    A_STATUS,
    A_TARGET,
    A_USER,
    CONNECTION_FAILED,
    DATA,
    HELLO,
    INVALID_ARGUMENT,
    INVOKE,
    METHOD_NOT_FOUND,
    NO_DATA,
    NO_MEMORY,
    NOT_FOUND,
    NOTIFY,
    OK,
    PARSE_ERROR,
    PERMISSION_DENIED,
    STATUS,
    TIMEOUT,
    UNKNOWN_ERROR,
    UNSUBSCRIBE,
    UbusError,
)

_PATIENCE_MS = 10000  # for ubusd itself, which only a stopped one needs
_QUESTIONS_MOST = 64
_REQUESTS_MOST = 32  # that wait for an answer of ours
_TABLE_MOST = 16384  # bytes of what is sent to us unasked


class Refused(Exception):
    """A handler raises it to answer a request with a status of ubusmessage."""

    def __init__(self, status):
        super().__init__(ubusmessage.words(status))
        self.status = status


def _table(found):
    """What somebody sent along with a call or an event. BlobmsgError."""
    data = found.get(A_DATA)
    if data is None or len(data) > _TABLE_MOST:
        raise BlobmsgError("no table, or a large one")
    return blobmsg.decode(data)


class Request:
    """Somebody's call of a method of ours. `args`: dict, of the method's arguments only those that were given, each
    of its type, and whatever else the caller gave; `user`, `group`: whose process calls, as ubusd says, or None.
    Answer once, now or later; a second answer is ignored, and so is one to a caller that is gone."""

    def __init__(self, bus, seq, peer, object_id, found):
        self.args = None
        self.user = found.get(A_USER)
        self.group = found.get(A_GROUP)
        self._bus = bus
        self._to = (seq, peer, object_id)
        self._silent = found.get(A_NO_REPLY, False)

    def reply(self, data=None, status=OK):
        """A table (dict, or pairs where the order matters), and how it went: a refusal may say more than its status.
        To one that cannot be sent, for one because it is too large, the caller hears NO_MEMORY."""
        try:
            message = None if data is None else ubusmessage.reply(*(self._to + (data,)))
        except ValueError as error:
            log.warning("ubus: an answer cannot be sent: %s" % error)
            message, status = None, NO_MEMORY
        self._answer(message, status)

    def fail(self, status):
        """No success, with a status of ubusmessage."""
        self._answer(None, status)

    def _answer(self, message, status):
        if not self._bus.answered(self) or self._silent:
            return
        if message:
            self._bus.send(message)
        self._bus.send(ubusmessage.reply_status(*(self._to + (status,))))


class _Published:
    """An object of ours that others call."""

    def __init__(self, bus, methods):
        self.id = None  # until ubusd has taken it
        self.watched = False  # somebody has subscribed
        self._bus = bus
        self._methods = {}
        for name, arguments, handler in methods:
            self._methods[name] = (arguments, handler)

    def invoked(self, message, found):
        request = Request(self._bus, message.seq, message.peer, self.id, found)
        self._bus.opened(request)
        try:
            self._handle(request, found)
        except Refused as refused:
            request.fail(refused.status)
        except Exception as error:
            log.exception(error)
            request.fail(UNKNOWN_ERROR)

    def _handle(self, request, found):
        if found.get(A_METHOD) not in self._methods:
            raise Refused(METHOD_NOT_FOUND if A_METHOD in found else INVALID_ARGUMENT)
        arguments, handler = self._methods[found[A_METHOD]]
        try:
            request.args = _table(found)
        except BlobmsgError:
            raise Refused(INVALID_ARGUMENT)
        for name, kind in arguments:
            if name in request.args and not blobmsg.is_a(request.args[name], kind):
                raise Refused(INVALID_ARGUMENT)
        handler(request)


class _Ear:
    """A nameless object of ours, to which events or notifications come: `heard(name, data)`."""

    def __init__(self, bus, heard, gone=None):
        self.id = None
        self.gone = gone
        self._bus = bus
        self._heard = heard

    def invoked(self, message, found):
        if message.peer and not found.get(A_NO_REPLY):  # of a notification; an event is nobody's
            self._bus.send(ubusmessage.reply_status(message.seq, message.peer, self.id, OK))
        try:
            data = _table(found)
        except BlobmsgError:
            return  # rubbish of some other process
        if A_METHOD in found:
            self._heard(found[A_METHOD], data)


class _Question:
    """What was asked and is not answered yet."""

    def __init__(self, peer, done, timer):
        self.peer = peer  # who alone may answer
        self.done = done
        self.timer = timer
        self.found = {}  # the attributes of the data
        self.fault = OK


class Ubus:
    """Connects to ubusd's socket at `path`; OSError when that fails. Calls `ready()` when ubusd has greeted, and
    `lost(why)` once when the connection is over, after every `done` that was still to come. Nothing reconnects: ids
    and objects are gone with the connection, so make another Ubus."""

    def __init__(self, loop, path, ready, lost):
        self._loop = loop
        self._ready = ready
        self._lost = lost
        self._closed = False
        self._seq = 0
        self._questions = {}  # by seq
        self._objects = {}  # by id: _Published and _Ear
        self._names = {}  # our _Published by name
        self._ears = {}  # our subscriptions, by name of the object
        self._requests = []
        self._socket = UbusSocket(loop, path, self._received, self._over)
        self._greeting = loop.call_later(_PATIENCE_MS, self._socket.fail, "ubusd does not greet")

    # -- what we offer ----------------------------------------------------------------------------------

    def add_object(self, name, methods, done):
        """Publish an object with [(method, [(argument, type)], handler)]; types are the keys of blobmsg.KINDS. A call
        with an argument of another type is answered INVALID_ARGUMENT; arguments may be missing, and unknown ones are
        the handler's to ignore, as everywhere on ubus (rpcd adds `ubus_rpc_session`). `handler(request)` gets a
        Request, answers it now or later, or raises Refused. `done(status)`."""
        published = _Published(self, methods)

        def added(status):
            if status == OK:
                self._names[name] = published
            done(status)

        self._add(published, added, name, [(method, arguments) for method, arguments, _ in methods])

    def remove_object(self, name):
        """Take an object of ours back."""
        published = self._names.pop(name, None)
        if published is not None:
            self._remove(published)

    def has_subscribers(self, name):
        """Whether somebody has subscribed to an object of ours."""
        return name in self._names and self._names[name].watched

    def notify(self, name, kind, data):
        """Send a notification of an object of ours to those who have subscribed to it."""
        if self.has_subscribers(name):
            where = self._names[name].id
            self.send(ubusmessage.notify(self._next_seq(), where, kind, data, True))

    # -- what others offer ------------------------------------------------------------------------------

    def call(self, path, method, args, done, timeout_ms=30000):
        """Call a method of somebody's object: `done(answer, OK)` with its dict, or `done(None, status)`. Of several
        answers the last counts. `timeout_ms` is for all of it."""
        args, end = blobmsg.encode(args), self._loop.now() + timeout_ms

        def answered(found, status):
            answer = None
            if status == OK:
                try:
                    answer = blobmsg.decode(found.get(A_DATA, b""))
                except BlobmsgError:
                    status = PARSE_ERROR
            done(answer, status)

        def found_it(where, status):
            if status == OK:
                self._ask(answered, end - self._loop.now(), where, ubusmessage.invoke, where, method, args)
            else:
                done(None, status)

        self._look_up(path, found_it, timeout_ms)

    def subscribe(self, path, heard, gone, done):
        """Hear the notifications of somebody's object: `done(status)`, then `heard(kind, data)` for each, and once
        `gone()` when the object is no more."""
        def found_it(where, status):
            if status != OK:
                return done(status)
            ear = _Ear(self, heard, gone)

            def subscribed(status):
                if status == OK:
                    self.unsubscribe(path)
                    self._ears[path] = ear
                done(status)

            self._hear(ear, subscribed, 0, lambda seq: ubusmessage.subscribe(seq, ear.id, where))

        self._look_up(path, found_it, _PATIENCE_MS)

    def unsubscribe(self, path):
        """No more of `heard` and `gone`."""
        ear = self._ears.pop(path, None)
        if ear is not None:
            self._remove(ear)

    def send_event(self, name, data, done=None):
        """Send an event to all who listen (never to ourselves): `done(status)`."""
        self._ask(lambda _, status: done and done(status), _PATIENCE_MS, ubusmessage.EVENT_OBJECT,
                  ubusmessage.send_event, name, data)

    def listen(self, pattern, heard, done):
        """Hear others' events: `heard(name, data)` for each of this name or, where the pattern ends in *, of one that
        begins so. `done(status)`."""
        ear = _Ear(self, heard)
        self._hear(ear, done, ubusmessage.EVENT_OBJECT, lambda seq: ubusmessage.register(seq, ear.id, pattern))

    def close(self):
        """End it; ubusd removes our objects."""
        self._closed = True
        if self._socket is not None:
            self._socket.close()
            self._forget()

    def send(self, message):
        """Send a message of ubusmessage; nothing when there is no connection."""
        if self._socket is not None:
            self._socket.send(message)

    # -- asking -----------------------------------------------------------------------------------------

    def _ask(self, done, timeout_ms, peer, build, *args):
        """Send `build(seq, *args)`; `done(attributes, status)` with those of the data that came before the status."""
        status = CONNECTION_FAILED if self._socket is None else NO_MEMORY
        if self._socket is None or len(self._questions) >= _QUESTIONS_MOST:
            self._loop.call_later(0, self._unless_closed, done, {}, status)
            return
        seq = self._next_seq()
        message = build(seq, *args)
        self._questions[seq] = _Question(peer, done, self._loop.call_later(max(0, timeout_ms), self._too_late, seq))
        self.send(message)

    def _unless_closed(self, done, *args):
        if not self._closed:
            done(*args)

    def _next_seq(self):
        while True:
            self._seq = self._seq % 65535 + 1
            if self._seq not in self._questions:
                return self._seq

    def _too_late(self, seq):
        self._questions.pop(seq).done({}, TIMEOUT)

    def _look_up(self, path, done, timeout_ms):
        """`done(id, OK)` of somebody's object, or `done(None, status)`."""
        def looked(found, status):
            # ubusd does not show an object of whose methods we may call none.
            if status == OK and A_OBJECT not in found:
                status = PERMISSION_DENIED
            done(found.get(A_OBJECT), status)

        self._ask(looked, timeout_ms, 0, ubusmessage.lookup, path)

    def _add(self, thing, done, *args):
        """Make an object of ours known to ubusd, with a path and methods or without."""
        def added(found, status):
            if status == OK and A_OBJECT not in found:
                status = NO_DATA
            if status == OK:
                thing.id = found[A_OBJECT]
                self._objects[thing.id] = thing
            done(status)

        self._ask(added, _PATIENCE_MS, 0, ubusmessage.add_object, *args)

    def _hear(self, ear, done, peer, build):
        """Make a nameless object and connect it to what it shall hear with `build(seq)`."""
        def connected(_, status):
            if status != OK:
                self._remove(ear)
            done(status)

        def added(status):
            if status == OK:
                self._ask(connected, _PATIENCE_MS, peer, build)
            else:
                done(status)

        self._add(ear, added)

    def _remove(self, thing):
        self._objects.pop(thing.id, None)
        self.send(ubusmessage.remove_object(self._next_seq(), thing.id))

    # -- being asked ------------------------------------------------------------------------------------

    def opened(self, request):
        """A request came. Where too many wait, whoever waits longest has most likely given up."""
        if len(self._requests) >= _REQUESTS_MOST:
            self._requests[0].fail(TIMEOUT)
        self._requests.append(request)

    def answered(self, request):
        """Whether this is the first answer to it."""
        if request not in self._requests:
            return False
        self._requests.remove(request)
        return True

    def _received(self, message):
        if message.kind == HELLO:
            if self._greeting is not None:
                self._greeting.cancel()
                self._greeting = None
                self._ready()
        elif message.kind in (STATUS, DATA):
            self._answer(message)
        elif message.kind in (INVOKE, NOTIFY, UNSUBSCRIBE) and message.body is not None:
            try:
                found = message.attributes()
            except UbusError:
                return  # of a caller who waits in vain
            thing = self._objects.get(found.get(A_OBJECT))
            if message.kind == INVOKE and thing is not None:
                thing.invoked(message, found)
            elif message.kind == INVOKE:
                where = found.get(A_OBJECT, 0)
                self.send(ubusmessage.reply_status(message.seq, message.peer, where, NOT_FOUND))
            elif message.kind == NOTIFY and isinstance(thing, _Published):
                thing.watched = found.get(A_ACTIVE, False)
            elif message.kind == UNSUBSCRIBE and A_TARGET in found:
                self._target_gone(thing)

    def _answer(self, message):
        question = self._questions.get(message.seq)
        if question is None or question.peer != message.peer:
            return  # too late, or of a process that was not asked
        found = {}
        try:
            if message.body is None:
                question.fault = NO_MEMORY
            else:
                found = message.attributes()
        except UbusError:
            question.fault = PARSE_ERROR
        if message.kind == DATA:
            question.found = found
            return
        self._questions.pop(message.seq)
        question.timer.cancel()
        question.done(question.found, question.fault or found.get(A_STATUS, PARSE_ERROR))

    def _target_gone(self, ear):
        for path in [path for path in self._ears if self._ears[path] is ear]:
            self.unsubscribe(path)
            ear.gone()

    # -- the end ----------------------------------------------------------------------------------------

    def _over(self, why):
        for question in self._forget():
            guarded(self._unless_closed, (question.done, {}, CONNECTION_FAILED))
        self._unless_closed(self._lost, why)

    def _forget(self):
        """The connection is over. Gives what was asked and not answered."""
        self._socket = None
        questions = list(self._questions.values())
        for question in questions:
            question.timer.cancel()
        self._questions.clear()
        self._objects.clear()
        self._names.clear()
        self._ears.clear()
        del self._requests[:]
        return questions
