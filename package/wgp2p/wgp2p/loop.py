"""The reactor: one thread, `select.poll`, a heap of timers, a monotonic clock in milliseconds.

Everything that waits, waits here. Callbacks run one after another and must return within 50 ms.
"""
import heapq
import select

from . import log
from .compat import EINTR, monotonic_ms

READ = select.POLLIN
WRITE = select.POLLOUT
_IDLE_MS = 3600000  # wake once an hour, which also keeps the 32-bit clock from wrapping unseen


class Timer:
    """A call that is still to come."""

    def __init__(self, when, callback, args):
        self.when = when
        self.callback = callback  # None once it was called or cancelled
        self.args = args

    def cancel(self):
        """Never call it; harmless when it was called already."""
        self.callback = self.args = None


class Timers:
    """Calls in the order of their time; of two for the same millisecond the earlier made comes first."""

    def __init__(self):
        self._heap = []
        self._made = 0

    def add(self, when, callback, args):
        """Plan a call for `when` (ms)."""
        timer = Timer(when, callback, args)
        self._made += 1
        heapq.heappush(self._heap, (when, self._made, timer))
        return timer

    def next_ms(self):
        """When the next call is due, or None."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run_due(self, now):
        """Make every call that is due at `now`, but none that these calls plan."""
        due = []
        while True:
            when = self.next_ms()
            if when is None or when > now:
                break
            due.append(heapq.heappop(self._heap)[2])
        for timer in due:
            callback, args = timer.callback, timer.args
            if callback is not None:
                timer.cancel()
                guarded(callback, args)


def guarded(callback, args):
    """One call; whatever it raises is logged, and the loop lives on."""
    try:
        callback(*args)
    except Exception as error:
        log.exception(error)


class Loop:
    """The reactor. `clock` gives monotonic milliseconds."""

    def __init__(self, clock=monotonic_ms):
        self._clock = clock
        self._poll = select.poll()
        self._watched = {}
        self._timers = Timers()
        self._running = False

    def now(self):
        """Monotonic time in ms."""
        return self._clock()

    def call_later(self, delay_ms, callback, *args):
        """Call back once in `delay_ms`; gives a Timer that can be cancelled."""
        return self._timers.add(self._clock() + int(delay_ms), callback, args)

    def watch(self, fd, events, callback):
        """Call `callback(events)` whenever the descriptor is ready for READ and/or WRITE. Errors and a
        hang-up come as readiness for what is watched. Again for the same fd: the new events and callback."""
        if fd in self._watched:
            self._poll.modify(fd, events)
        else:
            self._poll.register(fd, events)
        self._watched[fd] = (events, callback)

    def unwatch(self, fd):
        """Forget the descriptor; before it is closed, or poll would report it for ever."""
        if self._watched.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def run_once(self, limit_ms=_IDLE_MS):
        """Wait until something is ready or due, at most `limit_ms`, and handle it."""
        when = self._timers.next_ms()
        wait = max(0, limit_ms if when is None else min(limit_ms, when - self._clock()))
        try:
            ready = self._poll.poll(wait)
        except OSError as error:
            if error.args[0] != EINTR:
                raise
            ready = []
        for fd, events in [(row[0], row[1]) for row in ready]:
            entry = self._watched.get(fd)  # an earlier callback may have dropped it
            if entry is not None:
                wanted = entry[0]
                guarded(entry[1], (events & wanted or wanted,))
        self._timers.run_due(self._clock())

    def run(self):
        """Handle events until `stop`."""
        self._running = True
        while self._running:
            self.run_once()

    def stop(self):
        """Let `run` return after the present round."""
        self._running = False
