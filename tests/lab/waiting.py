"""Waiting on conditions, never on time."""
import time


def wait_for(condition, seconds, why, every=0.1):
    """Call condition() until it gives something true, and return that.

    AssertionError, with why and the last thing that condition gave, when it took more than `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {seconds:g} s: {why} (last: {value!r})")
        time.sleep(every)


def stays(condition, seconds, why, every=0.25):
    """condition() gives something true now and each time it is asked for so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if not value:
            left = end - time.monotonic()
            raise AssertionError(f"did not last, {left:.1f} s of {seconds:g} s before the end: {why} ({value!r})")
        if time.monotonic() >= end:
            return
        time.sleep(every)
