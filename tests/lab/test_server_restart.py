"""The public server begins anew, its publisher goes away, the tunnel to it breaks: paths stay, and what is new
arrives soon after."""
import json
import shutil
import time

import netns
import pytest
import wireguard_lab as wireguard
from pairs import publisher_config, start_pair, subscriber_config, wait_path
from programs import Pinger
from scenes import SLACK_S, connected, join, points_to, wait_connected, wait_heard
from waiting import stays, wait_for

KNOWN_AGAIN_S = 2
AWAY_S, AWAY_SLOW_S = 25, 60
ELSEWHERE = "203.0.113.77:7777"


def new_wireguard(lab):
    """wg0 of the public server begins anew: cli2 has a keepalive by configuration, cli3 is gone from it, cli4 has an
    endpoint in it. The monotonic time at which it was up. (A peer with a keepalive and no endpoint is called by
    WireGuard itself when it comes up, to nowhere, and by its rule not again within 5 s: so this is not cli0.)"""
    lab.wg_down("pub")
    text = lab.wg_config("pub", endpoints={"cli3": "", "cli4": ELSEWHERE})
    off = f"AllowedIPs = {lab.tunnel('cli2')}/32\nPersistentKeepalive = 0"
    assert off in text
    wireguard.up("pub", text.replace(off, off[:-1] + "33"), f"{lab.tunnel('pub')}/16")
    return time.monotonic()


def endpoints_kept(path):
    return json.loads(path.read_text())["endpoints"] if path.exists() else {}


def check_restored(lab, publisher):
    """Only whom it may has the publisher pointed at the remembered endpoints; keepalives are as configured."""
    peers = lab.peers("pub")
    assert peers["cli1"].endpoint is None, "an excluded peer is left alone"
    assert peers["cli2"].endpoint == "203.0.113.99:2222", "remembered, though it does not answer"
    assert "cli3" not in peers, "a removed peer stays removed"
    assert peers["cli4"].endpoint == ELSEWHERE, "what the configuration says stays"
    keepalives = {name: peer.keepalive for name, peer in peers.items()}
    assert keepalives == {"rem": 0, "cli0": 0, "cli1": 0, "cli2": 33, "cli4": 0}

    def rows_when_seen():  # the publisher looks every second
        rows = {row["name"]: row for row in publisher.status()["publishers"][0]["peers"]}
        return rows if not rows["cli0"]["restored"] and not rows["rem"]["restored"] else None

    rows = wait_for(rows_when_seen, 3, "served as restored only until something comes in")
    assert rows["cli2"]["restored"] and rows["cli2"]["endpoint"] == "203.0.113.99:2222"
    assert not rows["cli1"]["restored"] and "cli3" not in rows


@pytest.mark.slow
def test_server_begins_anew(make_lab, interpreter):
    """Nobody sends anything but keepalives, which a new WireGuard device cannot read."""
    lab = make_lab(clients=5)
    publisher = lab.daemon("pub", interpreter, publisher_config(lab, "pub", excluded=("cli1",))).start()
    subscriber = lab.daemon("rem", interpreter, subscriber_config(lab, "rem")).start()
    join(lab, "cli0", "nata")
    for number in (1, 2, 3, 4):
        lab.wg_set("pub", f"cli{number}", "endpoint", f"203.0.113.99:{number}{number}{number}{number}")
    wait_connected(lab)
    kept = publisher.state_path / "endpoints-wg0.json"
    wait_for(lambda: len(endpoints_kept(kept)) == 6, 5, "all are remembered a second after the change")

    wait_heard(lab, "pub", ["cli0", "rem"], new_wireguard(lab), KNOWN_AGAIN_S)
    subscriber.wait_log("publisher pub: connected", 10, count=2)
    check_restored(lab, publisher)

    # A reboot: what lies in tmpfs is gone, a clean stop has kept a copy.
    assert publisher.stop() == 0
    shutil.rmtree(publisher.state_path)
    new_wireguard(lab)
    publisher.start()
    wait_heard(lab, "pub", ["cli0", "rem"], time.monotonic(), KNOWN_AGAIN_S)
    check_restored(lab, publisher)

    # Killed, and WireGuard anew: what was written a second after the last change is enough.
    wait_path(subscriber, "cli0", "direct")
    lab.move("cli0", "natb")
    wait_connected(lab, seconds=25)
    at = f"{lab.seen_as('cli0')}:{lab.port('cli0')}"
    wait_for(lambda: endpoints_kept(kept).get(lab.key("cli0")) == at, 3, "the new endpoint is remembered")
    publisher.kill()
    new_wireguard(lab)
    publisher.start()
    wait_heard(lab, "pub", ["cli0", "rem"], time.monotonic(), KNOWN_AGAIN_S)
    check_restored(lab, publisher)
    subscriber.wait_log("publisher pub: connected", 20, count=4)
    wait_path(subscriber, "cli0", "direct")


@pytest.mark.slow
def test_publisher_is_away(make_lab, interpreter, request):
    lab = make_lab(clients=2)
    publisher, subscriber = start_pair(lab, interpreter)
    join(lab, "cli0", "nata")
    join(lab, "cli1", "natb")
    wait_connected(lab, "cli0")
    wait_connected(lab, "cli1")
    pinger = Pinger("cli0", lab.tunnel("rem"), interval=0.5)
    wait_for(lambda: pinger.replies, 5, "cli0 reaches the device")
    wait_path(subscriber, "cli0", "direct")
    sets = subscriber.log().count("cli0: set")
    publisher.kill()
    away = time.monotonic()
    lab.move("cli1", "nata")
    stays(lambda: not points_to(lab, "cli1") and connected(lab, "cli0"),
          (AWAY_SLOW_S if request.config.getoption("--slow") else AWAY_S) - (time.monotonic() - away),
          "nobody tells the device, and the path that works stays", every=2)
    publisher.start()
    took = wait_connected(lab, "cli1", seconds=2 + 15 * 1.25)  # the longest pause of the backoff with its jitter
    print(f"followed {took:.1f} s after the publisher's return")
    assert subscriber.log().count("cli0: set") == sets, "a path that works needs nothing"
    gap = pinger.longest_gap(away, time.monotonic())
    print(f"longest time without an answer on the other path: {gap:.1f} s")
    assert gap < 5, "more than a busy machine explains"
    pinger.stop()


@pytest.mark.slow
def test_tunnel_down_and_up(lab, interpreter):
    """First its packets are lost on the way while the client roams, then the server's device goes down and up."""
    publisher, subscriber = start_pair(lab, interpreter)
    join(lab, "cli0", "nata")
    wait_connected(lab)
    netns.nft("natr", "".join(f"insert rule inet filter forward ip {side} {lab.outer('pub')} drop\n"
                              for side in ("saddr", "daddr")))
    lab.move("cli0", "natb")
    stays(lambda: not points_to(lab, "cli0"), 15, "the device cannot know", every=2)
    lab.set_kind("natr", "cone")
    print(f"followed {wait_connected(lab, seconds=30):.1f} s after the tunnel works again")

    before = {host: lab.peer("pub", host).rx for host in ("rem", "cli0")}
    netns.call("pub", "ip", "link", "set", "wg0", "down")
    netns.call("pub", "ip", "link", "set", "wg0", "up")
    up = time.monotonic()  # sessions are gone, as with a new device, but endpoints are there
    wait_for(lambda: all(lab.peer("pub", host).rx > rx for host, rx in before.items()),
             KNOWN_AGAIN_S + SLACK_S, "all are heard again", every=0.05)
    print(f"all heard {time.monotonic() - up:.1f} s after wg0 is up again")
    subscriber.wait_log("publisher pub: connected", 20, count=2)
    wait_path(subscriber, "cli0", "direct")
    assert "Traceback" not in publisher.log() + subscriber.log()
