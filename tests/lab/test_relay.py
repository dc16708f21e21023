"""One profile, always connected: through the public server at once, directly as soon as that works, and back."""
import time

import nat
import netns
import pytest
import stock_router
import wireguard_lab as wireguard
from forging import Stream, datagram, initiation
from pairs import path_of, publisher_config, start_pair, subscriber_config, wait_path
from programs import Pinger
from relay_watch import counted, relay_status
from scenes import SLACK_S, join, wait_way, way
from waiting import stays, wait_for

UPGRADE_S = 10


def wait_replies(pinger, seconds=20):
    wait_for(lambda: pinger.replies, seconds, "the first ping comes back")


@pytest.mark.slow
def test_relay_direct_relay(make_lab, interpreter):
    """The daemons are users of their own, the server has fw4's stock rules. Pings run all the time, and 10 forged
    beacons a second come to the device, from anywhere."""
    lab = make_lab(networks=("symmetric", "cone"))
    stock_router.make_server("pub")
    publisher, subscriber = start_pair(lab, interpreter, user="nobody")
    beacon = wireguard.beacon_key("rem", "cli0")
    forged = Stream("natr", lab.inner("rem"), lambda: datagram(
        (f"203.0.113.{200 + forged.sent % 50}", 1024 + forged.sent), (lab.inner("rem"), wireguard.PORT),
        initiation(beacon)), 10)
    join(lab, "cli0", "nata", profile="one")
    begin = time.monotonic()
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_replies(pinger)
    print(f"up to first ping: {pinger.replies[0] - begin:.2f} s")
    busy = Pinger("cli0", lab.tunnel("pub"))  # the server hears of moves at once
    wait_path(subscriber, "cli0", "relay")
    start = time.monotonic()
    stays(lambda: way(lab) == "relay", 5, "on the relay, behind a symmetric NAT")
    assert pinger.lost(start, time.monotonic()) == 0

    took = pinger.wait_after(lab.move("cli0", "natb"), 20)
    back = time.monotonic()
    upgraded = wait_way(lab, "direct", seconds=UPGRADE_S + SLACK_S)
    stays(lambda: way(lab) == "direct", 4, "it stays direct")
    assert pinger.lost(back, time.monotonic()) == 0, "a switch that nobody notices"
    print(f"roam on the relay: {took:.2f} s, direct {upgraded:.2f} s later")
    wait_path(subscriber, "cli0", "direct")

    took = pinger.wait_after(lab.move("cli0", "nata"), 20)
    back = time.monotonic()
    wait_way(lab, "relay")
    stays(lambda: way(lab) == "relay", 5, "on the relay again")
    assert pinger.lost(back, time.monotonic()) == 0
    print(f"direct to the relay: {took:.2f} s, {forged.sent} beacons forged")
    wait_path(subscriber, "cli0", "relay")
    relay = relay_status(publisher)
    assert relay["state"] == "kernel" and relay["problem"] == "" and relay["routes"] >= 2, relay
    assert sum(pair["packets"] for pair in relay["pairs"]) > 50 and 1 <= relay["pairs"][0]["initiations"] < 5, relay
    for program in (forged, pinger, busy):
        program.stop()
    wait_for(lambda: 50 < counted()[0] <= counted()[1], 5, "the kernel passed on all of it")
    for daemon in (publisher, subscriber):
        assert "Traceback" not in daemon.log()


@pytest.mark.slow
def test_policies(make_lab, interpreter):
    """Of three clients one is never reached through the server, one always, and one as it is best."""
    lab = make_lab(networks=("cone", "symmetric"), clients=3)
    publisher = lab.daemon("pub", interpreter, publisher_config(lab, "pub")).start()
    config = subscriber_config(lab, "rem", paths={"cli0": "direct", "cli1": "relay"})
    subscriber = lab.daemon("rem", interpreter, config).start()
    publisher.wait_log("serving at", 30)
    for client in lab.clients:
        join(lab, client, "nata", profile="one")
    pingers = [Pinger(client, lab.tunnel("rem"), 1) for client in lab.clients]
    for client, word in (("cli0", "direct"), ("cli1", "relay"), ("cli2", "direct")):
        wait_way(lab, word, client)
        wait_path(subscriber, client, word)
    stays(lambda: way(lab, "cli1") == "relay", 5, "it would be direct by itself")
    lab.move("cli0", "natb")
    wait_for(lambda: path_of(subscriber, "cli0")["path"] == "trying", 20, "nobody knows its port")
    server = lab.endpoint("pub")
    stays(lambda: lab.peer("rem", "cli0").endpoint != server, 5, "not through the server", every=0.5)
    subscriber.write_config(subscriber_config(lab, "rem", paths={"cli2": "relay"}))
    subscriber.cli("reload", check=True)
    for client, word in (("cli0", "relay"), ("cli1", "direct"), ("cli2", "relay")):
        wait_way(lab, word, client, seconds=30)
        wait_path(subscriber, client, word)
    wait_for(lambda: pingers[0].first_after(time.monotonic() - 1), 20, "another policy, another path")
    for pinger in pingers:
        pinger.stop()


@pytest.mark.slow
def test_classic_profile(make_lab, interpreter):
    """A client whose profile has the device's endpoint, as the original's: direct as ever; and where its WireGuard
    follows, as the kernel's does, through the relay when there is no other way. (Then nothing opens its NAT towards the
    device any more, as a beacon would; so it may stay there.)"""
    lab = make_lab(networks=("cone", "cone", "symmetric"))
    _, subscriber = start_pair(lab, interpreter)
    join(lab, "cli0", "nata")
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_replies(pinger)
    wait_way(lab, "direct", seconds=UPGRADE_S + SLACK_S)
    wait_path(subscriber, "cli0", "direct")
    for network, word in (("natb", "direct"), ("natc", "relay")):
        pinger.wait_after(lab.move("cli0", network), 20)
        wait_way(lab, word, seconds=20)
        wait_path(subscriber, "cli0", word)
    pinger.wait_after(lab.move("cli0", "nata"), 20)
    pinger.stop()


@pytest.mark.slow
def test_ipv6(make_lab, interpreter):
    lab = make_lab(ipv6=True)
    publisher = lab.daemon("pub", interpreter, publisher_config(lab, "pub")).start()
    subscriber = lab.daemon("rem", interpreter, subscriber_config(lab, "rem", paths={"cli0": "relay"})).start()
    join(lab, "cli0", "nata", profile="one")
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_replies(pinger)
    wait_way(lab, "relay")
    assert lab.peer("rem", "cli0").endpoint == "[2001:db8::10]:51820"
    start = time.monotonic()
    pinger.wait_after(lab.move("cli0", "natb"), 20)
    start = time.monotonic()
    stays(lambda: way(lab) == "relay", 5, "in the kernel, over IPv6")
    assert pinger.lost(start, time.monotonic()) == 0
    assert relay_status(publisher)["state"] == "kernel" and counted()[1] > 20
    subscriber.write_config(subscriber_config(lab, "rem"))
    subscriber.cli("reload", check=True)
    wait_way(lab, "direct", seconds=UPGRADE_S + SLACK_S)
    wait_path(subscriber, "cli0", "direct")
    pinger.stop()


@pytest.mark.long
def test_mixed_families(make_lab, interpreter):
    """The client has IPv6 alone, the device IPv4: the kernel does not translate, so the daemon passes it on."""
    lab = make_lab()
    publisher, subscriber = start_pair(lab, interpreter)
    lab.move("cli0", "nata")
    netns.batch("cli0", "ip", f"addr del {lab.inner('cli0')}/24 dev nata")
    lab.wg_up("cli0", profile="one", endpoints={"pub": f"[{lab.outer('pub', ipv6=True)}]:{wireguard.PORT}"})
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_replies(pinger)
    assert lab.peer("cli0", "rem").endpoint == f"[{lab.outer('pub', ipv6=True)}]:{wireguard.PORT}"
    assert lab.peer("rem", "cli0").endpoint == lab.endpoint("pub")
    wait_path(subscriber, "cli0", "relay")
    start = time.monotonic()
    stays(lambda: path_of(subscriber, "cli0")["path"] == "relay", 5, "it lasts", every=1)
    assert pinger.lost(start, time.monotonic()) == 0
    assert relay_status(publisher)["state"] == "kernel", "for everybody else"
    pinger.stop()


@pytest.mark.slow
def test_forwarding_is_dropped(make_lab, interpreter):
    """A firewall of the server's that nobody told of the relay: the daemon sees it by the counters, and does it."""
    lab = make_lab(networks=("symmetric",))
    netns.nft("pub", nat.SERVER_RULES.replace(stock_router.RELAYED, ""))
    publisher, subscriber = start_pair(lab, interpreter)
    join(lab, "cli0", "nata", profile="one")
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_replies(pinger, 30)
    wait_for(lambda: relay_status(publisher)["state"] == "userspace", 20, "the status says so")
    start = time.monotonic()
    wait_path(subscriber, "cli0", "relay")
    stays(lambda: way(lab) == "relay", 5, "it lasts")
    assert pinger.lost(start, time.monotonic()) == 0
    print(relay_status(publisher), publisher.doctor())
    assert relay_status(publisher)["problem"]
    pinger.stop()


@pytest.mark.slow
def test_off(make_lab, interpreter):
    """`option relay '0'`: nothing of ours in nftables, and no device is sent there."""
    lab = make_lab(networks=("cone",))
    publisher, subscriber = start_pair(lab, interpreter, relay="0")
    join(lab, "cli0", "nata", profile="one")
    server = lab.endpoint("pub")
    wait_for(lambda: lab.peer("rem", "cli0").endpoint not in (None, server), 20, "called straight")
    wait_path(subscriber, "cli0", "direct")
    assert lab.ping("cli0", "rem")
    assert relay_status(publisher)["state"] == "off"
    assert not stock_router.has_table("pub", "wgp2p_relay")
