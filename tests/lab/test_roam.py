"""The main job: a client with nothing but WireGuard connects and roams, and the device follows. (Where the server
relays, the paths are others: test_relay.py.)"""
import time

import pytest
from pairs import start_pair, wait_path
from programs import Pinger
from waiting import wait_for

# The public server hears of a client that moved with its next packet there: its keepalive, every 10 s.
HEARD_S = 15


def connected(lab, client="cli0", device="rem"):
    """Whether the device's WireGuard sends to where the client is now and has heard from there."""
    peer = lab.peer(device, client)
    return bool(peer.endpoint) and lab.seen_as(client) in peer.endpoint and peer.rx > 0


@pytest.mark.slow
@pytest.mark.parametrize("networks", [
    ("cone", "cone"), pytest.param(("eim-shift", "cone"), marks=pytest.mark.long),
    pytest.param(("cone", "eim-shift"), marks=pytest.mark.long)], ids="-".join)
def test_busy_client_roams(make_lab, interpreter, networks):
    lab = make_lab(networks=networks)
    _, subscriber = start_pair(lab, interpreter, relay="0")
    lab.move("cli0", "nata")
    lab.wg_up("cli0")
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_for(lambda: pinger.replies, 20, "the first ping comes back")
    for network in ("natb", "nata"):
        moved = lab.move("cli0", network)
        wait_for(lambda: connected(lab), HEARD_S, "the device sends to the new address")
        print(f"{networks} -> {network}: {time.monotonic() - moved:.2f} s")
        pinger.wait_after(time.monotonic(), 5)
    wait_path(subscriber, "cli0", "direct")
    pinger.stop()


@pytest.mark.slow
def test_idle_client_roams(make_lab, interpreter):
    """Nothing but keepalives: still the path is there before anyone needs it."""
    lab = make_lab()
    _, subscriber = start_pair(lab, interpreter, relay="0")
    lab.move("cli0", "nata")
    lab.wg_up("cli0")
    wait_for(lambda: connected(lab), 20, "connected")
    lab.move("cli0", "natb")
    begin = time.monotonic()
    wait_for(lambda: connected(lab), HEARD_S, "connected again")
    print(f"idle roam: {time.monotonic() - begin:.2f} s")
    wait_path(subscriber, "cli0", "direct", 15)  # the client answers a probe, its own keepalives are put off
    assert lab.ping("cli0", "rem")


def test_ipv6_endpoints(make_lab, interpreter):
    lab = make_lab(ipv6=True)
    _, subscriber = start_pair(lab, interpreter, relay="0")
    lab.move("cli0", "nata")
    lab.wg_up("cli0")
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_for(lambda: pinger.replies, 20, "the first ping comes back")
    pinger.wait_after(lab.move("cli0", "natb"), 20)
    row = wait_path(subscriber, "cli0", "direct")
    assert row["endpoint"].startswith("[2001:db8:")
    pinger.stop()
