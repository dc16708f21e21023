"""The relay's data path is the kernel's: what runs goes on without the daemon, and nothing is left when it ends."""
import time

import netns
import pytest
import stock_router
from pairs import start_pair, wait_path
from programs import Pinger
from relay_watch import SESSIONS, TABLE, relay_status, routes
from scenes import join, wait_way, way
from waiting import stays, wait_for

FROZEN_S, FROZEN_SLOW_S = 10, 60


def start_relayed(make_lab, interpreter):
    """A lab with a client on the relay that pings."""
    lab = make_lab(networks=("symmetric", "cone"))
    stock_router.make_server("pub")
    publisher, subscriber = start_pair(lab, interpreter, user="nobody")
    join(lab, "cli0", "nata", profile="one")
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_for(lambda: pinger.replies, 20, "the first ping")
    wait_path(subscriber, "cli0", "relay")
    return lab, publisher, subscriber, pinger


@pytest.mark.long
def test_daemon_stands_still(make_lab, interpreter, request):
    lab, publisher, _, pinger = start_relayed(make_lab, interpreter)
    start = time.monotonic()
    publisher.freeze()
    time.sleep(FROZEN_SLOW_S if request.config.getoption("--slow") else FROZEN_S)
    assert pinger.lost(start, time.monotonic()) == 0, "no packet of a session passes through Python"
    publisher.thaw()
    stays(lambda: way(lab) == "relay", 5, "and goes on")
    assert pinger.lost(start, time.monotonic()) == 0
    pinger.stop()


@pytest.mark.slow
def test_daemon_is_killed(make_lab, interpreter):
    """The new one takes over what is in the kernel; the next handshake, which needs it, works."""
    lab, publisher, subscriber, pinger = start_relayed(make_lab, interpreter)
    start = time.monotonic()
    before = routes()
    publisher.kill()
    assert routes() == before
    publisher.start()
    wait_for(lambda: relay_status(publisher)["state"] == "kernel", 20, "it relays again")
    assert set(routes()) >= set(before)
    subscriber.wait_log("publisher pub: connected", 40, count=2)
    stays(lambda: way(lab) == "relay", 5, "and goes on")
    assert pinger.lost(start, time.monotonic()) == 0, "nobody notices"
    pinger.stop()
    lab.wg_down("cli0")
    lab.wg_up("cli0", profile="one")
    wait_for(lambda: lab.ping("cli0", "rem"), 40, "a new session through the new daemon")


@pytest.mark.slow
def test_clean_stop(make_lab, interpreter):
    """No table of ours is left on the server and on the device; direct paths live on."""
    lab, publisher, subscriber, pinger = start_relayed(make_lab, interpreter)
    lab.move("cli0", "natb")
    wait_way(lab, "direct")
    assert stock_router.has_table("pub", TABLE) and stock_router.has_table("rem", SESSIONS)
    for daemon in (publisher, subscriber):
        assert daemon.stop() == 0
    assert netns.call("pub", "nft", "list", "tables").split("\n")[:-1] == ["table inet fw4"]
    assert "wgp2p" not in netns.call("rem", "nft", "list", "tables")
    start = time.monotonic()
    stays(lambda: way(lab) == "direct", 5, "WireGuard goes on by itself")
    assert pinger.lost(start, time.monotonic()) == 0
    pinger.stop()


@pytest.mark.long
def test_table_is_flushed(make_lab, interpreter):
    """Somebody flushes every rule on the server: the relay's table is loaded again, and clients are back."""
    lab, _, _, pinger = start_relayed(make_lab, interpreter)
    netns.nft("pub", "flush ruleset")
    flushed = time.monotonic()
    stock_router.make_server("pub")
    wait_for(lambda: stock_router.has_table("pub", TABLE), 15, "loaded again")
    print(f"table flushed: answered again after {pinger.wait_after(flushed + 0.2, 60):.2f} s")
    wait_way(lab, "relay")
    pinger.stop()
