"""When which port is opened for which client that may be behind a symmetric NAT: the schedule over all clients.

portplan.py says which ports, in waves. A client's next wave begins when the client had time for a retry. Meanwhile
others have their turn: the wave that has waited longest goes first, and is sent whole. What is open is refreshed before
a NAT forgets it, where there is room. What is sent is bounded over all clients, whatever they want: by the packets in
any second, and by the ports opened in any 30 s, for so long a NAT keeps an entry without an answer.
"""
from .addr import parse_endpoint
from .portplan import FIRST, LAST, rest, waves

OPEN_MS = 30000  # nf_conntrack_udp_timeout; RFC 4787 asks for more
REFRESH_MS = 25000  # after it was sent
WAVE_MS = 5500  # a client's retry every 5 s (WireGuard's REKEY_TIMEOUT, the beacon), and some
FIRST_MS, SYMMETRIC_MS, OTHER_MS = 2000, 0, 10000  # to the first wave: unknown network, symmetric NAT, another NAT
PAUSES_MS = (60000, 300000, 1800000)  # after a plan; the last one from there on
FAILED_MS = 60000
_PARTED = 64  # clients whose pauses are remembered while nothing is wanted for them
_SLICE_MOST = 32  # packets that are sent in one turn of the loop
_GRAIN_MS = 100  # of the time at which an entry ends
_NEAR = 2048  # ports this far from the one seen are worth telling

_WAVE, _REFRESH, _REST = 0, 1, 2  # what goes first


class Limits:
    """`mode`: off, block or full; `rate`: packets in any second; `entries`: ports opened in any 30 s."""

    def __init__(self, mode, rate, entries):
        self.mode, self.rate, self.entries = mode, rate, entries


class Target:
    """One client: the IPv4 `endpoint` at which it is seen; what is `known` (networks.Known) of the network there, or
    None; and `most`: how many ports of the plan may be tried (1 or more), None: all."""

    def __init__(self, endpoint, known, most):
        self.endpoint, self.known, self.most = endpoint, known, most

    def __eq__(self, other):
        return (isinstance(other, Target)
                and (self.endpoint, self.known, self.most) == (other.endpoint, other.known, other.most))


class _Run:
    """Ports that are sent one after the other, from `due_ms` on. `wave`: their ranges, once it has begun."""

    def __init__(self, kind, due_ms, wave=None):
        self.kind, self.due_ms, self.wave = kind, due_ms, wave
        self.begun_ms, self._ports, self.left = None, None, 0

    def begin(self, now, wave, ports, count):
        self.begun_ms, self.wave, self._ports, self.left = now, wave, ports, count

    def take(self, most):
        ports = [next(self._ports) for _ in range(min(most, self.left))]
        self.left -= len(ports)
        return ports


class _Client:
    def __init__(self, target, now):
        known = target.known
        delay_ms = FIRST_MS if known is None else SYMMETRIC_MS if known.symmetric else OTHER_MS
        self.target = target
        self.tried, self.wave = 0, 0  # ports and waves of this round
        self._said = ""
        self._rounds, self._plan = 0, None
        self.next, self._refreshes = _Run(_WAVE, now + delay_ms), []
        self._until_ms = None  # no refreshes after this

    def is_resting(self):
        """A whole plan was in vain, and the next one is yet to come."""
        return self._rounds > 0 and self._plan is None

    def runs(self):
        """What is to be sent some time."""
        return [self.next] + self._refreshes

    def first(self, now):
        """What is to be sent before anything else of this client now, or None. A refresh that comes too late has
        nothing to refresh: it is dropped."""
        self._refreshes = [run for run in self._refreshes if now - run.due_ms < OPEN_MS - REFRESH_MS]
        due = [run for run in self.runs() if run.due_ms <= now]
        return min(due, key=_rank) if due else None

    def take(self, now, run, most, limits):
        """At most so many ports of this run."""
        if run.begun_ms is None:
            self._begin(now, run)
        ports = run.take(most)
        if run.kind == _REFRESH:
            run.due_ms = now
            if not run.left:
                self._refreshes.remove(run)
                self._refresh(run)
            return ports
        self.tried += len(ports)
        if run.kind == _REST:
            run.due_ms = now - (-len(ports) * OPEN_MS // limits.entries)
        if not run.left:
            self._ended(now, run, limits.mode == "full" and self.target.most is None)
        return ports

    def _begin(self, now, run):
        port = parse_endpoint(self.target.endpoint)[1]
        if run.kind == _REST:
            run.begin(now, None, rest(self._plan), LAST - FIRST + 1 - _count(self._plan))
            self._said = "trying all other ports"
            return
        wave = run.wave
        if run.kind == _WAVE:
            if self._plan is None:
                self._plan = _cut(waves(port, self.target.known), self.target.most)
                self.tried, self.wave, self._until_ms = 0, 0, None
            wave = self._plan[self.wave]
            self.wave += 1
            near = [span for span in wave if abs(span[0] - port) <= _NEAR] or wave
            self._said = "trying ports %d–%d" % (min([low for low, _ in near]), max([high for _, high in near]))
        run.begin(now, wave, _each(wave), _count([wave]))

    def _ended(self, now, run, is_full):
        if run.kind == _WAVE:
            self._refresh(run)
            if self.wave < len(self._plan):
                self.next = _Run(_WAVE, now + WAVE_MS)
                return
            self._until_ms = now + OPEN_MS
            if is_full and not self._rounds:
                self.next = _Run(_REST, now + WAVE_MS)
                return
        self._wait(now, PAUSES_MS[min(self._rounds, len(PAUSES_MS) - 1)],
                   "the likely ports are tried" if run.kind == _WAVE else "all ports are tried")
        self._rounds += 1

    def _refresh(self, run):
        due_ms = run.begun_ms + REFRESH_MS
        if self._until_ms is None or due_ms <= self._until_ms:
            self._refreshes.append(_Run(_REFRESH, due_ms, run.wave))

    def failed(self, now):
        """Nothing can be sent there: begin anew later."""
        self._refreshes = []
        self._wait(now, FAILED_MS, "nothing can be sent there")

    def _wait(self, now, pause_ms, words):
        self.next, self._plan = _Run(_WAVE, now + pause_ms), None
        self._said = "%s, again in %d min" % (words, pause_ms // 60000)

    def words(self, now):
        return "waits for its turn" if self._plan is None and self.next.due_ms < now else self._said


class Sweep:
    """Times are monotonic ms, keys are the caller's."""

    def __init__(self, limits):
        self._clients = {}
        self._parted = {}  # those that were given up in vain
        self._turn = None  # (key, _Client, _Run) of the wave that is being sent
        self._last = None  # the _Client of the last slice
        self._open, self._ends = 0, []  # entries: how many, and [when, how many]
        self._now = self._filled_ms = 0
        self._limits = limits
        self._level = self._burst() * 1000  # thousandths of packets that may be sent now

    def configure(self, now, limits):
        """Other limits. In another mode all begins anew, with the next `want`."""
        self._fill(now)
        if limits.mode != self._limits.mode:
            self._clients, self._turn = {}, None
        self._limits = limits

    def want(self, now, targets):
        """{key: Target} of who is to be swept for. Who is not named any more ends at once, who is at another endpoint
        begins anew; but the pause after a plan in vain is not slept away."""
        self._now = now
        if self._limits.mode == "off":
            targets = {}
        for key in [key for key in self._clients if key not in targets]:
            self._part(key, self._clients.pop(key))
        for key in targets:
            if key not in self._clients or self._clients[key].target != targets[key]:
                parted = self._parted.pop(key, None)
                goes_on = parted is not None and parted.target == targets[key]
                self._clients[key] = parted if goes_on else _Client(targets[key], now)
        if self._turn is not None and self._clients.get(self._turn[0]) is not self._turn[1]:
            self._turn = None

    def _part(self, key, client):
        if client.is_resting():
            if len(self._parted) == _PARTED:
                self._parted = {}
            self._parted[key] = client

    def take(self, now, room=None):
        """(key, ports): send one packet to each now; or None. `room`: how many the own connection table takes."""
        self._now = now
        self._fill(now)
        free = self._limits.entries - self.open_entries(now)
        most = min(free if room is None else min(free, room), self._level // 1000, self._slice())
        if most <= 0:
            return None
        if self._turn is None:
            self._turn = self._first(now)
        if self._turn is None:
            return None
        key, client, run = self._turn
        ports = client.take(now, run, most, self._limits)
        self._count(now, len(ports))
        self._last = client
        if run.kind != _WAVE or not run.left:
            self._turn = None
        return key, ports

    def failed(self, now):
        """What `take` gave last could not be sent."""
        if self._last is not None:
            self._last.failed(now)
            self._last = self._turn = None

    def next_ms(self):
        """When `take` will have something, if the own connection table has room, or None."""
        if not self._clients:
            return None
        due = self._now if self._turn is not None else min(
            [run.due_ms for key in self._clients for run in self._clients[key].runs()])
        missing = self._slice() * 1000 - self._level
        due = max(due, self._filled_ms - (-missing // self._pace()))
        return max(due, self._ends[0][0]) if self._open >= self._limits.entries else due

    def words(self, key):
        """What a person is to know of it, or ""."""
        return self._clients[key].words(self._now) if key in self._clients else ""

    def row(self, key):
        """For status: the ports and waves of this round, and in how many seconds it goes on. None before the first
        packet."""
        client = self._clients.get(key)
        if client is None or not client.tried:
            return None
        return {"ports": client.tried, "wave": client.wave, "next": max(0, client.next.due_ms - self._now) // 1000}

    def open_entries(self, now):
        """How many of the ports opened a NAT may still keep, wherever they are."""
        while self._ends and self._ends[0][0] <= now:
            self._open -= self._ends.pop(0)[1]
        return self._open

    def _first(self, now):
        """What has waited longest, waves before refreshes before the rest."""
        turn = None
        for key in self._clients:
            client = self._clients[key]
            run = client.first(now)
            if run is not None and (turn is None or _rank(run) < _rank(turn[2])):
                turn = key, client, run
        return turn

    # The packets of a second: `_pace` of them evenly, and `_burst` to catch up with.

    def _burst(self):
        return max(1, self._limits.rate // 20)

    def _pace(self):
        return self._limits.rate - self._burst()

    def _slice(self):
        return min(_SLICE_MOST, max(1, self._limits.rate // 100))

    def _fill(self, now):
        self._level = min(self._level + (now - self._filled_ms) * self._pace(), self._burst() * 1000)
        self._filled_ms = now

    def _count(self, now, count):
        end = now - now % _GRAIN_MS + _GRAIN_MS + OPEN_MS
        if not self._ends or self._ends[-1][0] != end:
            self._ends.append([end, 0])
        self._ends[-1][1] += count
        self._open += count
        self._level -= count * 1000


def _rank(run):
    return run.kind, run.due_ms


def _each(wave):
    for low, high in wave:
        yield from range(low, high + 1)


def _count(plan):
    return sum([high - low + 1 for wave in plan for low, high in wave])


def _cut(plan, most):
    """The first `most` ports of a plan."""
    if most is None:
        return plan
    short = []
    for wave in plan:
        short.append([])
        for low, high in wave:
            if most > 0:
                short[-1].append((low, min(high, low + most - 1)))
            most -= high - low + 1
    return [wave for wave in short if wave]
