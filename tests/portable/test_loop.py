"""The reactor: order of timers, cancelling, faults in callbacks, the clock that never wraps."""
import sys

from helpers import VirtualLoop, drive, raises

from wgp2p import compat, log
from wgp2p.loop import Loop


class Quiet:
    """Standard error replaced while a fault is provoked."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_timers_run_in_order_and_once():
    loop, seen = VirtualLoop(), []
    loop.call_later(20, seen.append, "c")
    loop.call_later(10, seen.append, "a")
    loop.call_later(10, seen.append, "b")
    loop.call_later(15, seen.append, "never").cancel()
    loop.advance(15)
    assert seen == ["a", "b"]
    loop.advance(1000)
    assert seen == ["a", "b", "c"]


def test_a_timer_may_plan_another():
    loop, seen = VirtualLoop(), []

    def again(count):
        seen.append(loop.now())
        if count:
            loop.call_later(10, again, count - 1)

    begin = loop.now()
    loop.call_later(0, again, 3)
    loop.advance(100)
    assert seen == [begin, begin + 10, begin + 20, begin + 30]


def test_a_timer_planned_for_now_lets_others_have_their_turn():
    loop, rounds = Loop(), [0]

    def forever():
        rounds[0] += 1
        loop.call_later(0, forever)

    loop.call_later(0, forever)
    loop.run_once(0)
    assert rounds[0] == 1


def test_a_fault_in_a_callback_is_logged_and_the_loop_lives():
    loop, seen = VirtualLoop(), []
    quiet, usual = Quiet(), log.sys

    class Streams:
        stderr = quiet
        print_exception = getattr(sys, "print_exception", None)

    if not compat.MICROPYTHON:
        del Streams.print_exception
    log.sys = Streams
    try:
        loop.call_later(1, lambda: 1 // 0)
        loop.call_later(2, seen.append, "alive")
        loop.advance(5)
    finally:
        log.sys = usual
    assert seen == ["alive"] and "ZeroDivisionError" in quiet.text


def test_real_loop_runs_until_stopped():
    loop = Loop()
    loop.call_later(5, loop.stop)
    loop.run()
    drive(loop, lambda: True)


class Poll:
    """Remembers how long it was to wait."""

    def __init__(self):
        self.waits = []

    def poll(self, wait):
        self.waits.append(wait)
        return []


def test_a_time_that_is_over_is_no_wait_without_end():
    """Between two looks at the clock a whole millisecond may pass, and poll takes -1 for ever."""
    loop = Loop()
    loop._poll = Poll()
    loop.run_once(-1)
    loop.run_once(7)
    loop.call_later(1000000, loop.stop)
    loop.run_once(-1)
    assert loop._poll.waits == [0, 7, 0]


def test_clock_does_not_wrap_where_ticks_do():
    if not compat.MICROPYTHON:
        return
    limit = 2 ** 30 if sys.maxsize < 2 ** 32 else 2 ** 62
    usual, real = compat.time, list(compat._ticks)

    class Wrapping:
        now = limit - 5
        ticks_diff = usual.ticks_diff

        def ticks_ms(self):
            return int(str(self.now % limit))  # a small integer again, as the real one gives; 1.23 leaves it a big one

    clock = Wrapping()
    try:
        compat.time = clock
        compat._ticks[:] = [clock.ticks_ms(), 0]
        clock.now += 10
        assert compat.monotonic_ms() == 10
        clock.now += 1000
        assert compat.monotonic_ms() == 1010
    finally:
        compat.time = usual
        compat._ticks[:] = real


def test_json_is_strict():
    assert compat.json_loads('{"a": [1, "}", {"b": null}]}') == {"a": [1, "}", {"b": None}]}
    text = '{"a": [1, "}]", {"b": "x\\"y"}], "c": {"d": {}}}'
    for end in range(len(text)):
        raises(ValueError, compat.json_loads, text[:end])
    for junk in ("", "1,2", "[1],[2]", "{}x", "\0", "[" * 100000, '{"a":' * 50000):
        raises(ValueError, compat.json_loads, junk)
    assert compat.json_loads(text)["c"] == {"d": {}}


def test_base64_is_strict():
    key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
    assert compat.b64encode(compat.b64decode(key)) == key
    for bad in (key[:-1], key + "\n", " " + key, key[:-2] + "!=", key[:-2] + "l=", "", "é" * 44):
        if bad:
            raises(ValueError, compat.b64decode, bad)


def test_constant_time_comparison_compares():
    assert compat.equal(b"abc", b"abc")
    assert not compat.equal(b"abc", b"abd") and not compat.equal(b"abc", b"ab")


def test_log_lines_are_one_line():
    quiet, usual = Quiet(), log.sys

    class Streams:
        stderr = quiet

    log.sys = Streams
    try:
        log.info("name\nwgp2p error: forged\x1b[2J")
        log.debug("not shown")
    finally:
        log.sys = usual
    assert quiet.text == "wgp2p info: name?wgp2p error: forged?[2J\n"
