"""firewall.py with a fake nft and a fake kernel: newest text wins, one nft at a time, again when it is gone."""
import errno
import struct

from helpers import VirtualLoop, raises

from wgp2p import firewall, log, netlink, netlink_socket, nftmessage, process
from wgp2p.firewall import Firewall, FirewallError


class Run:
    """An nft that runs until the test ends it."""

    def __init__(self, text, done):
        self.text, self._done = text, done
        self.stopped = False

    def end(self, code=0, err=b"", timed_out=False):
        self._done(process.Result(code, b"", err, timed_out))

    def stop(self):
        self.stopped = True


class Bench:
    """A Firewall in virtual time, made with these further arguments. `runs`: every nft that was started; `there`:
    whether the kernel has the table."""

    def __init__(self, *more):
        self._more = more

    def __enter__(self):
        self.loop, self.runs, self.calls, self.logged = VirtualLoop(), [], [], []
        self.there, self.installed, self.kernel_error = False, True, None
        self._real = (process.find, process.start, firewall.has_table, firewall.delete_table, Firewall._watch,
                      log.warning, log.info)
        process.find, process.start = self._find, self._start
        firewall.has_table, firewall.delete_table = self._has_table, self._delete
        Firewall._watch = lambda _: None
        log.warning = log.info = self.logged.append
        self.firewall = Firewall(self.loop, lambda: self.calls.append("loaded"), lambda: self.calls.append("changed"),
                                 *self._more)
        return self

    def __exit__(self, *_):
        (process.find, process.start, firewall.has_table, firewall.delete_table, Firewall._watch,
         log.warning, log.info) = self._real

    def _find(self, name):
        if not self.installed:
            raise process.ProcessError(name + ": no such program")

    def _start(self, loop, argv, done, stdin, timeout_ms, privileged):
        assert argv == ["nft", "-f", "-"] and privileged
        self.runs.append(Run(stdin.decode(), done))
        return self.runs[-1]

    def _has_table(self, table):
        assert table == self.firewall._table
        if self.kernel_error:
            raise FirewallError(self.kernel_error)
        return self.there

    def _delete(self, table):
        assert table == self.firewall._table
        if self.kernel_error:
            raise FirewallError(self.kernel_error)
        self.calls.append("delete")
        self.there = False

    def loaded(self, text="one"):
        self.firewall.want(text)
        self.runs[-1].end()
        self.there = True
        del self.calls[:]


def test_loaded_once():
    with Bench() as bench:
        bench.firewall.want("one")
        assert [run.text for run in bench.runs] == ["one"] and bench.calls == []
        bench.runs[0].end()
        bench.firewall.want("one")
        bench.loop.advance(600000)
        assert len(bench.runs) == 1 and bench.calls == ["loaded"] and bench.firewall.problem is None


def test_newest_wins_one_at_a_time():
    with Bench() as bench:
        for text in ("one", "two", "three"):
            bench.firewall.want(text)
        assert [run.text for run in bench.runs] == ["one"]
        bench.runs[0].end()
        assert [run.text for run in bench.runs] == ["one", "three"]
        bench.firewall.want("four")
        bench.runs[1].end(1, b"Error: no\n")
        assert [run.text for run in bench.runs][2:] == ["four"] and bench.firewall.problem is None
        bench.runs[2].end()
        assert len(bench.runs) == 3


def test_failure_backs_off_and_says_why():
    with Bench() as bench:
        bench.firewall.want("one")
        bench.runs[0].end(1, b"/dev/stdin:3:9-12: Error: syntax\x1b error\nsecond line\n")
        assert bench.firewall.problem == "nft: /dev/stdin:3:9-12: Error: syntax? error"
        starts = []
        for _ in range(1300):
            bench.loop.advance(1000)
            if len(bench.runs) > len(starts) + 1:
                starts.append(bench.loop.now())
                bench.runs[-1].end(1, b"/dev/stdin:3:9-12: Error: syntax\x1b error\n")
        gaps = [later - earlier for earlier, later in zip(starts, starts[1:])]
        assert gaps[:6] == [10000, 20000, 40000, 80000, 160000, 300000] and gaps[-1] == 300000
        assert len(bench.logged) == 1, "one line, not one a try"
        bench.firewall.want("two")
        assert bench.runs[-1].text == "two", "something new is tried at once"
        bench.runs[-1].end()
        assert bench.firewall.problem is None and "loaded" in bench.logged[-1]
        bench.loop.advance(1000000)
        assert bench.runs[-1].text == "two"


def test_words_for_what_may_be_wrong():
    with Bench() as bench:
        bench.installed = False
        bench.firewall.want("one")
        assert bench.firewall.problem == "nft is not installed" and not bench.runs
        bench.installed = True
        bench.loop.advance(5000)
        bench.runs[0].end(-9, b"", timed_out=True)
        assert bench.firewall.problem == "nft takes too long"
        bench.loop.advance(10000)
        bench.runs[1].end(3, b"")
        assert bench.firewall.problem == "nft: status 3"
        bench.loop.advance(20000)
        bench.runs[2].end(1, b"\xff" * 5000)
        assert bench.firewall.problem == "nft: " + "?" * 200


def test_nothing_wanted_deletes_what_a_crash_left():
    with Bench() as bench:
        bench.firewall.want("")
        assert bench.calls == ["delete"] and not bench.runs
        bench.loaded()
        bench.firewall.want("")
        assert bench.calls == ["delete"] and len(bench.runs) == 1
        bench.kernel_error = "the table cannot be deleted"
        bench.loaded()
        bench.firewall.want("")
        assert bench.firewall.problem == "the table cannot be deleted"
        bench.kernel_error = None
        bench.loop.advance(5000)
        assert bench.firewall.problem is None and bench.calls == ["delete"]


def test_again_when_somebody_removed_it():
    with Bench() as bench:
        bench.loaded()
        for _ in range(50):
            bench.firewall._heard([])  # a burst
        bench.loop.advance(500)
        assert len(bench.runs) == 1 and bench.calls == ["changed"], "still there"
        bench.there = False
        bench.firewall._heard([])
        bench.loop.advance(4999)
        assert len(bench.runs) == 1, "at most one look in 5 s"
        bench.loop.advance(1)
        assert len(bench.runs) == 2 and bench.runs[1].text == "one"
        bench.runs[1].end()
        assert bench.calls == ["changed", "changed", "loaded"]
        bench.kernel_error = "busy"
        bench.firewall._heard([])
        bench.loop.advance(10000)
        assert len(bench.runs) == 2


def test_over_an_earlier_table():
    """One that is in the way is deleted, once for each failure; the caller hears of failures."""
    failed = []
    with Bench("other", True, lambda: failed.append(1)) as bench:
        bench.firewall.want("one")
        bench.runs[0].end(1, b"Error: other type\n")
        assert bench.calls == ["delete"] and [run.text for run in bench.runs] == ["one", "one"] and not failed
        bench.runs[1].end(1, b"Error: other type\n")
        assert bench.calls == ["delete"] and len(bench.runs) == 2 and failed and bench.firewall.problem
        bench.loop.advance(5000)
        bench.runs[2].end(1, b"Error: other type\n")
        assert bench.calls == ["delete"] * 2
        bench.runs[3].end()
        assert bench.calls[2:] == ["loaded"] and len(failed) == 1 and "table inet other" in bench.logged[-1]
        bench.firewall.want("two")
        bench.runs[4].end(1, b"Error: other type\n")
        bench.kernel_error = "busy"
        bench.runs[5].end(1, b"Error: other type\n")
        assert bench.calls[3:] == ["delete"] and len(failed) == 2
        bench.loop.advance(20000)
        bench.runs[6].end(1, b"Error: other type\n")
        assert len(bench.runs) == 7 and len(failed) == 3, "what cannot be deleted is not tried again at once"


def test_close_takes_the_table_away():
    with Bench() as bench:
        bench.loaded()
        bench.firewall._heard([])
        bench.firewall.close(lambda: bench.calls.append("done"))
        assert bench.calls == ["delete", "done"]
        bench.loop.advance(600000)
        bench.firewall.want("two")
        assert bench.calls == ["delete", "done"] and len(bench.runs) == 1


def test_close_without_a_table_asks_nobody():
    with Bench() as bench:
        bench.kernel_error = "not allowed"
        bench.firewall.close(lambda: bench.calls.append("done"))
        assert bench.calls == ["done"] and bench.logged == []


def test_close_while_nft_runs():
    with Bench() as bench:
        bench.firewall.want("one")
        bench.firewall.close(lambda: bench.calls.append("done"))
        assert bench.runs[0].stopped and bench.calls == []
        bench.runs[0].end(-9)
        assert bench.calls == ["delete", "done"]
        bench.loop.advance(10000)
        assert bench.calls == ["delete", "done"]


def test_close_in_two_seconds_in_any_case():
    with Bench() as bench:
        bench.firewall.want("one")
        bench.firewall.close(lambda: bench.calls.append("done"))
        bench.loop.advance(2000)
        assert bench.calls == ["delete", "done"]
        bench.runs[0].end()
        assert bench.calls == ["delete", "done", "delete"], "it may have loaded the table after all"


def test_close_says_what_stays():
    with Bench() as bench:
        bench.loaded()
        bench.kernel_error = "the table stays"
        bench.firewall.close(lambda: bench.calls.append("done"))
        assert bench.calls == ["done"] and "the table stays" in bench.logged[-1]


# -- the kernel's side ----------------------------------------------------------------------------

class Kernel:
    """In the place of NetlinkSocket; each test gives what the kernel says."""

    def __init__(self, payloads=(), error=0, broken=False, interrupted=0):
        self.payloads, self.error, self.broken = payloads, error, broken
        self.interrupted, self.asked = interrupted, 0

    def __call__(self, family):
        assert family == netlink.NETFILTER
        return self

    def ask(self, request, take):
        self.request = request(7)
        self.asked += 1
        if self.broken:
            raise netlink.NetlinkError("torn")
        answer = netlink.Answer(7, take)
        answer.feed(b"".join([netlink.message(2563, 2, 7, payload) for payload in self.payloads]))
        answer.error = self.error
        answer.interrupted = self.asked <= self.interrupted
        return answer

    def close(self):
        pass


def asked(kernel, call):
    real, netlink_socket.NetlinkSocket = netlink_socket.NetlinkSocket, kernel
    try:
        return call()
    finally:
        netlink_socket.NetlinkSocket = real


def test_has_table():
    def ask():
        return firewall.has_table("fw4")

    kernel = Kernel()
    assert asked(kernel, ask) is True and b"fw4\0" in kernel.request
    assert asked(Kernel(error=2), ask) is False
    for kernel in (Kernel(error=1), Kernel(broken=True)):
        raises(FirewallError, asked, kernel, ask)


def test_delete_is_one_batch():
    kernel = Kernel(error=2)
    asked(kernel, firewall.delete_table)
    rows = list(netlink.messages(kernel.request))
    assert [row[0] for row in rows] == [16, 0xA02, 17] and [row[2] for row in rows] == [7, 7, 7]
    assert [row[1] for row in rows] == [1, 5, 1], "one answer, the deletion's"
    assert kernel.request[rows[0][3]:rows[0][4]] == b"\0\0\0\x0a", "the subsystem in network order"
    assert kernel.request[rows[1][3]] == 1 and b"wgp2p\0" in kernel.request
    raises(FirewallError, asked, Kernel(error=1), firewall.delete_table)
    asked(Kernel(error=errno.EOPNOTSUPP), firewall.delete_table)  # a kernel without nf_tables has no table either


def test_elements():
    def dumped(*keys):
        return bytes([1, 0, 0, 0]) + netlink.nested(3, *[nftmessage.element(key) for key in keys])

    kernel = Kernel([dumped(b"key1", b"key2"), dumped(b"key3")])
    found = asked(kernel, lambda: firewall.elements("set", "table"))
    assert [one.key for one in found] == [b"key1", b"key2", b"key3"] and b"table\0" in kernel.request
    for kernel in (Kernel(error=2), Kernel(broken=True), Kernel([dumped(b"key1")[:-3]])):
        raises(FirewallError, asked, kernel, lambda: firewall.elements("set", "table"))


def test_elements_again_when_they_changed_meanwhile():
    for failures, count in ((1, 2), (5, 3)):
        kernel = Kernel([bytes([1, 0, 0, 0]) + netlink.nested(3, nftmessage.element(b"key1"))], interrupted=failures)
        assert len(asked(kernel, lambda: firewall.elements("set", "table"))) == 1
        assert kernel.asked == count


def test_counter():
    counts = netlink.nested(4, netlink.attribute(1, struct.pack("!Q", 100)), netlink.attribute(2, struct.pack("!Q", 3)))
    assert asked(Kernel([bytes([1, 0, 0, 0]) + counts]), lambda: firewall.counter("in", "table")) == (3, 100)
    for kernel in (Kernel(), Kernel(error=2), Kernel([bytes([1, 0, 0, 0])]), Kernel(broken=True)):
        raises(FirewallError, asked, kernel, lambda: firewall.counter("in", "table"))


def test_change():
    kernel = Kernel(error=17)
    assert asked(kernel, lambda: firewall.change([nftmessage.flush("table", "set")])) == 17
    assert [row[0] for row in netlink.messages(kernel.request)] == [16, 0xA0E, 17]
    assert asked(Kernel(broken=True), lambda: firewall.change([])) == 0, "nothing to do"
    raises(FirewallError, asked, Kernel(broken=True), lambda: firewall.change([nftmessage.flush("table", "set")]))


def chain(table="fw4", kind="nat", hook=4):
    return (bytes([1, 0, 0, 0]) + netlink.string(1, table) + netlink.string(3, "srcnat") + netlink.nested(
        4, netlink.attribute(1, struct.pack("!I", hook)), netlink.attribute(2, struct.pack("!i", 100)))
        + netlink.string(7, kind))


def test_others_translate():
    plain = bytes([1, 0, 0, 0]) + netlink.string(1, "fw4") + netlink.string(3, "srcnat_wan")
    assert asked(Kernel([plain, chain()]), firewall.others_translate) is True
    assert asked(Kernel([plain, chain(table="wgp2p"), chain(kind="filter"), chain(hook=0)]),
                 firewall.others_translate) is False
    for kernel in (Kernel(error=1), Kernel([chain()[:-9]])):
        raises(FirewallError, asked, kernel, firewall.others_translate)


def passes(program, data):
    """What a classic BPF program of the few instructions used here says of a packet."""
    at = value = 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        if code == 0x06:
            return k
        if code in (0x28, 0x30):
            value = struct.unpack_from("!H" if code == 0x28 else "B", data, k)[0]
        else:
            assert code in (0x15, 0x25)
            at += yes if (value == k if code == 0x15 else value > k) else no


def test_only_new_generations_pass():
    for kind, wanted in ((0xA0F, True), (0xA02, False), (0xA06, False), (0xF0A, False)):
        assert bool(passes(firewall.GENERATION_FILTER, netlink.message(kind, 0, 0, bytes(4)))) == wanted
