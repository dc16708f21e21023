"""The machine's clock jumps. (All hosts of the lab share one: what differs between two machines here is how old a
WireGuard handshake is by its own word.)"""
import time

import netns
import pytest
from pairs import start_pair
from scenes import connected, heard, join, wait_connected
from waiting import stays, wait_for

HOUR = 3600
REFUSED = "rem sends but its handshake is not accepted"


def ages(publisher, subscriber):
    """Every age (s) that status tells."""
    found = {}
    for part in publisher.status()["publishers"]:
        for row in part["peers"]:
            found.update({(row["name"], name): row[name] for name in ("seen_age", "handshake_age")})
    for part in subscriber.status()["subscribers"]:
        for row in part["peers"] + part["publishers"]:
            found.update({(row["name"], "rem's " + name): row[name] for name in row if name.endswith("_age")})
    return {name: age for name, age in found.items() if age is not None}


@pytest.mark.slow
def test_clock_jumps(lab, interpreter, clock):
    publisher, subscriber = start_pair(lab, interpreter)
    begin = time.monotonic()
    join(lab, "cli0", "nata")
    wait_connected(lab)
    real, ticks = time.time(), time.monotonic()

    def now(shift=0):
        return real + time.monotonic() - ticks + shift

    def no_age_jumps():
        limit = time.monotonic() - begin + 60  # the daemons started a little before
        told = ages(publisher, subscriber)
        assert len(told) >= 5
        return all(0 <= age < limit for age in told.values()) and "offline" not in subscriber.log()

    for name, moment in (("an hour ahead", lambda: now(HOUR)), ("back", now), ("back an hour", lambda: now(-HOUR)),
                         ("1970", lambda: time.monotonic() + 1), ("from 1970 to now", now)):
        clock(moment())
        stays(lambda: no_age_jumps() and connected(lab, "cli0"), 2.5, name, every=1)
    assert subscriber.log().count("cli0: ") == subscriber.log().count("cli0: set") + 2, "trying once, direct once"

    # The device shakes hands while its clock is ahead. When it begins anew later, the server takes its handshakes for
    # old ones, says nothing, and would not for an hour: so it has to begin itself.
    def anew_at(moment, seconds, what):
        clock(moment)
        up = lab.wg_up("rem")
        wait_for(lambda: heard(lab, "rem", "pub"), seconds, f"connected {what}")
        print(f"{what}: connected after {time.monotonic() - up:.1f} s")

    lab.wg_down("rem")
    anew_at(now(HOUR), 20, "an hour ahead")
    assert REFUSED not in publisher.log()
    # WireGuard shakes hands no sooner than 15 s after it sent something in vain, as long as it has a session.
    lab.wg_down("rem")
    anew_at(now(), 15 + 15, "an hour back, with the session from before on the server")
    # The session ends, unseen by the publisher, and without anything that the server has still to say to the device.
    wait_for(lambda: publisher.status()["publishers"][0]["subscribers"] == 1, 20, "the device follows again", every=0.5)
    assert publisher.stop() == 0
    wait_for(lambda: subscriber.status()["subscribers"][0]["publishers"][0]["problem"], 5, "the device knows that")
    lab.wg_down("rem")
    netns.batch("pub", "ip", "link set wg0 down", "link set wg0 up")
    publisher.start()
    publisher.wait_log("serving at", 20, count=2)
    refused = publisher.log().count(REFUSED)
    anew_at(now(), 20, "an hour back")
    assert publisher.log().count(REFUSED) > refused > 0
