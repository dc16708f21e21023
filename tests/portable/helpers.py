"""What portable tests share: skipping, expected errors, driving a loop, a loop in virtual time."""
from wgp2p.loop import Timers


class Skip(Exception):
    """The test cannot run on this machine; its text says why."""


def raises(kind, call, *args):
    """The exception of this kind that the call raises; fails when it does not."""
    try:
        call(*args)
    except kind as error:
        return error
    raise AssertionError("no %s from %r%r" % (kind.__name__, call, args))


def drive(loop, condition, limit_ms=5000):
    """Run a real loop until the condition holds; fails after limit_ms."""
    end = loop.now() + limit_ms
    while not condition():
        assert loop.now() < end, "condition not met within %d ms" % limit_ms
        loop.run_once(20)


class VirtualLoop:
    """A Loop without descriptors whose time passes only in `advance`."""

    def __init__(self):
        self.time = 1000000
        self._timers = Timers()

    def now(self):
        return self.time

    def call_later(self, delay_ms, callback, *args):
        return self._timers.add(self.time + int(delay_ms), callback, args)

    def advance(self, ms):
        """Let virtual time pass, making every call that falls due, in order."""
        end = self.time + ms
        while True:
            when = self._timers.next_ms()
            if when is None or when > end:
                break
            self.time = max(self.time, when)
            self._timers.run_due(self.time)
        self.time = end


class Listener:
    """What the daemon is for its roles: it remembers what they tell."""

    def __init__(self):
        self.paths, self.addresses, self.interfaces = [], [], 0

    def path_changed(self, subscriber, key):
        self.paths.append((key, subscriber.paths[key].state))

    def address_changed(self, subscriber, link, previous):
        self.addresses.append((link.label, link.you, previous))

    def interface_changed(self):
        self.interfaces += 1


class FakeRelay:
    """A relay.Relay that only remembers."""

    def __init__(self, loop, view):
        self.view = view
        self.active, self.closed, self.updates, self.told, self.refusal = False, False, 0, [], ""
        self.loading, self.places = False, ()

    def update(self):
        self.updates += 1

    def settled(self):
        return not self.loading

    def takes(self, endpoint):
        return endpoint in self.places

    def session(self, device, client, sessions):
        self.told.append((device, client, sessions))
        return self.refusal

    def status(self):
        return {"state": "kernel" if self.active else "off", "problem": "", "pairs": [], "routes": 0}

    def close(self, done):
        self.closed = True
        done()


class FakeSweeper:
    """In the place of a sweeper.Sweeper: `rows` are the clients of the last update, `said` is what it says of all."""

    def __init__(self):
        self.rows, self.said, self.beacons, self.left = {}, "", [], []

    def update(self, interface, port, seen_at, rows):
        self.rows = rows

    def heard(self, interface, key, endpoint):
        self.beacons.append((interface, key, endpoint))

    def words(self, interface, key):
        return self.said

    def row(self, interface, key):
        return {"wave": 1} if self.said else None

    def leave(self, interface):
        self.left.append(interface)
