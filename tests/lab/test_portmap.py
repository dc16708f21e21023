"""The port mapping helper on a remote device, against the real miniupnpd on the NAT before it."""
import json
import time

import netns
import pytest
import stock_router
from daemon import uci
from gateway_router import GatewayRouter, between
from pairs import publisher_config, subscriber_config
from programs import Pinger, UdpSocket
from scenes import SLACK_S, join, wait_connected
from waiting import stays, wait_for

PORT = 51820
SPREAD_S = 5  # after a gateway's announcement
COST_KB = 700  # of memory
GAP_S = 3  # without an answer to pings, while nobody moves
RENEWED_S = 120 / 2 + 120 / 8 + 5  # half of a lifetime of 120 s, and what chance adds
ROAM_S = 12  # a client's next packet is its keepalive, every 10 s


def with_portmap(config, **options):
    """A device's configuration with the helper on."""
    return config + uci(("portmap", "home", {"enabled": "1", "interface": "wg0", **options}))


def start(lab, interpreter, **options):
    """(publisher, subscriber), connected; the device has the helper with these options on."""
    publisher = lab.daemon("pub", interpreter, publisher_config(lab, "pub")).start()
    device = lab.daemon("rem", interpreter, with_portmap(subscriber_config(lab, "rem"), **options)).start()
    device.wait_log("publisher pub: connected", 30)
    return publisher, device


def mapping(device):
    """What status says of the device's own port, and of the gateway; {} when there is nothing to say yet."""
    parts = device.status()["portmaps"]
    return {"problem": parts[0]["problem"], **parts[0]["mappings"][0]} if parts and parts[0]["mappings"] else {}


def wait_mapping(device, seconds=20, **expected):
    """Wait until status says these things of the mapping; the row, and the seconds that it took."""
    begin, last = time.monotonic(), {}

    def said():
        last.clear()
        last.update(mapping(device))
        return all(last.get(name) == value for name, value in expected.items())

    try:
        wait_for(said, seconds + SLACK_S, f"the mapping is {expected}", every=0.3)
    except AssertionError as error:
        raise AssertionError(f"{error}; status: {last}") from None
    print(f"{expected}: {time.monotonic() - begin:.1f} s: {last}")
    return dict(last)


def outside(lab, port=PORT, network="natr"):
    return f"{lab.outer(network)}:{port}"


@pytest.mark.slow
def test_symmetric_to_symmetric(make_lab, interpreter):
    """A device and a client both behind a symmetric NAT: with the device's port mapped they need no relay and no sweep,
    and once they have met, no publisher. The gateway's restart is noticed; nothing is left there in the end."""
    lab = make_lab(devices=("symmetric",), networks=("symmetric", "symmetric"))
    router = GatewayRouter(lab).start()
    publisher, device = start(lab, interpreter)
    wait_mapping(device, protocol="pcp", external=outside(lab), verdict="open to this server", error="")
    assert router.mapped() == {PORT: (lab.inner("rem"), PORT)}

    publisher.freeze()
    join(lab, "cli0", "nata")
    print(f"connected after {wait_connected(lab):.1f} s")
    pinger = Pinger("cli0", lab.tunnel("rem"))
    for network in ("natb", "nata"):
        moved = lab.move("cli0", network)
        wait_connected(lab, seconds=ROAM_S)
        print(f"to {network}: first answer after {pinger.wait_after(moved, ROAM_S):.1f} s")
    pinger.stop()
    publisher.thaw()

    rebooted = time.monotonic()
    router.reboot()
    wait_for(router.mapped, SPREAD_S + SLACK_S, "mapped again")
    print(f"mapped again {time.monotonic() - rebooted:.1f} s after the gateway was switched off")
    wait_mapping(device, external=outside(lab), verdict="open to this server", error="")
    assert device.stop() == 0 and router.mapped() == {}


@pytest.mark.slow
def test_each_protocol(make_lab, interpreter):
    """What the gateway does not speak is passed over; each protocol maps, takes over what a crash left, and deletes on
    stop. (Who asks as often as this, a publisher does not look for.)"""
    lab = make_lab(devices=("symmetric",))
    router = GatewayRouter(lab)
    only_upnp = {"pcp": False, "natpmp": False}
    router.start(**only_upnp)
    _, device = start(lab, interpreter)
    for protocol, options in (("upnp", only_upnp), ("upnp", {"version": 1, **only_upnp}),
                              ("upnp", {"for_ever": True, **only_upnp}), ("natpmp", {"pcp": False}), ("pcp", {})):
        print(f"-- {protocol} {options}")
        if not device.running:
            router.reboot(**options)
            # PCP alone takes 9 s for a gateway that does not answer to it.
            device.write_config(with_portmap(subscriber_config(lab, "rem"), protocol=(
                "natpmp" if protocol == "natpmp" else "auto")))
            device.start()
        row = wait_mapping(device, 30, protocol=protocol, external=outside(lab))
        assert (row["lifetime_left"] is None) == ("for_ever" in options), row
        if "version" not in options:
            device.kill()
            device.start()
            wait_mapping(device, 30, protocol=protocol, external=outside(lab))
        assert router.mapped() == {PORT: (lab.inner("rem"), PORT)}
        assert device.stop() == 0 and router.mapped() == {}


@pytest.mark.slow
def test_refused(make_lab, interpreter):
    """Rules that deny it are said in words. Rules, or another host, that have this one port: it is another one, and the
    profile that leads to this one is named."""
    lab = make_lab(devices=("symmetric",))
    router = GatewayRouter(lab).start(deny=["1-65535"])
    _, device = start(lab, interpreter, protocol="pcp")
    row = wait_for(lambda: mapping(device).get("error") and mapping(device), 20, "why there is no mapping")
    print(row)
    assert "does not allow it" in row["error"] and row["external"] is None
    router.reboot(deny=[PORT])
    row = wait_mapping(device, SPREAD_S, protocol="pcp")
    assert row["external"] != outside(lab)
    device.stop()
    assert router.mapped() == {}
    router.reboot()
    device.start()
    wait_mapping(device, protocol="pcp", external=outside(lab))

    lab.move("cli0", "natr")
    neighbour = UdpSocket("cli0")
    device.stop()
    ask(neighbour, lab)
    (lab.folder / "rem/keep/profiles.json").write_text(json.dumps({"cli0": outside(lab)}))
    assert router.mapped() == {PORT: (lab.inner("cli0"), PORT)}
    for protocol, version in (("pcp", 2), ("natpmp", 2), ("upnp", 2), ("upnp", 1)):
        router.stop()
        router.start(version=version)
        device.write_config(with_portmap(subscriber_config(lab, "rem"), protocol=protocol))
        device.start()
        row = wait_mapping(device, 20, protocol=protocol)
        number = int(row["external"].rpartition(":")[2])
        assert number != PORT and router.mapped() == {PORT: (lab.inner("cli0"), PORT), number: (lab.inner("rem"), PORT)}
        assert device.status()["stale_profiles"] == ["cli0"]
        assert device.stop() == 0 and list(router.mapped()) == [PORT], "the neighbour's is left alone"


def ask(socket, lab):
    """NAT-PMP by hand: this host has the port outside."""
    socket.send(lab.inner("natr"), 5351, b"\0\1\0\0" + 2 * PORT.to_bytes(2, "big") + (600).to_bytes(4, "big"))
    data, _, _ = socket.receive(5)
    assert data[:4] == b"\0\x81\0\0" and data[10:12] == PORT.to_bytes(2, "big"), data


@pytest.mark.slow
def test_behind_another_nat(make_lab, interpreter):
    """A gateway whose own address is private maps nothing, or maps in vain: neither is taken for a mapping."""
    lab = make_lab(devices=("cone",))
    router = GatewayRouter(lab, between(lab)).start(public=False)
    _, device = start(lab, interpreter)
    for words in ("another NAT", "another NAT stands above"):
        row = wait_for(lambda words=words: words in mapping(device).get("error", "") and mapping(device), 30, words)
        print(row)
        assert row["external"] is None
        wait_for(lambda: not router.mapped(), 5, "nothing is left there")
        if words == "another NAT":
            router.stop()
            router.start(public=True)
            device.stop()
            device.start()
    stays(lambda: not router.mapped(), 3, "nothing is mapped")


@pytest.mark.slow
def test_on_and_off_behind_openwrts_rules(make_lab, interpreter):
    """A device with OpenWrt's rules: UPnP's answers get through them. Its own closed port is seen from outside. What is
    switched off is deleted. What the helper costs in memory."""
    lab = make_lab(devices=("cone",))
    netns.nft("rem", "flush ruleset\n" + stock_router.fw4())
    router = GatewayRouter(lab).start(pcp=False, natpmp=False)
    off = subscriber_config(lab, "rem")
    lab.daemon("pub", interpreter, publisher_config(lab, "pub")).start()
    device = lab.daemon("rem", interpreter, off).start()
    device.wait_log("publisher pub: connected", 30)
    before = device.memory_kb()
    device.write_config(with_portmap(off))
    device.cli("reload", check=True)
    wait_mapping(device, protocol="upnp", external=outside(lab), verdict="filtered")
    opened = time.monotonic()
    netns.nft("rem", f"insert rule inet fw4 input_wan udp dport {PORT} counter accept")
    wait_mapping(device, 30, protocol="upnp", external=outside(lab), verdict="open to this server")
    cost = device.memory_kb() - before
    print(f"noticed {time.monotonic() - opened:.1f} s after the port was opened; the helper costs {cost} KiB")
    assert interpreter != "micropython" or cost <= COST_KB
    device.write_config(off)
    device.cli("reload", check=True)
    wait_for(lambda: not router.mapped(), 10, "deleted")
    assert not device.status()["portmaps"]


@pytest.mark.long
def test_renewed(make_lab, interpreter):
    """At half of its lifetime, which brings back what a gateway has forgotten without a word."""
    lab = make_lab(devices=("cone",))
    router = GatewayRouter(lab).start()
    _, device = start(lab, interpreter, lifetime="120")
    for protocol, options in (("pcp", {}), ("upnp", {"pcp": False, "natpmp": False})):
        if not device.running:
            router.reboot(**options)
            device.start()
        wait_mapping(device, 30, protocol=protocol, external=outside(lab), verdict="open to this server")
        router.lose()
        begin = time.monotonic()
        wait_for(router.mapped, RENEWED_S, "it is back")
        took = time.monotonic() - begin
        print(f"{protocol}: back {took:.1f} s after it was forgotten")
        assert took > 120 / 2 - 10, "nothing but the renewal finds out"
        assert device.stop() == 0 and router.mapped() == {}


@pytest.mark.long
def test_fallback_to_who_answers(make_lab, interpreter):
    """PCP's packets vanish at a gateway that speaks NAT-PMP; all of them at one that speaks UPnP."""
    lab = make_lab(devices=("cone",))
    router = GatewayRouter(lab).start(pcp=False)
    _, device = start(lab, interpreter)
    wait_mapping(device, 40, protocol="natpmp", external=outside(lab))
    device.stop()
    router.reboot(pcp=False, natpmp=False)
    netns.call("natr", "nft", "add rule inet miniupnpd input udp dport 5351 drop")
    device.start()
    wait_mapping(device, 60, protocol="upnp", external=outside(lab))
    device.stop()


@pytest.mark.long
def test_beside_a_publisher(make_lab, interpreter):
    """A client behind a cone NAT: what the device sends to where the publisher sees it does not stand in the way of the
    mapping, though it leaves by another port."""
    lab = make_lab(devices=("symmetric",), networks=("cone", "cone"))
    GatewayRouter(lab).start()
    _, device = start(lab, interpreter)
    wait_mapping(device, protocol="pcp", external=outside(lab))
    join(lab, "cli0", "nata")
    wait_connected(lab)
    pinger = Pinger("cli0", lab.tunnel("rem"))
    for network in ("natb", "nata", "natb"):
        moved = lab.move("cli0", network)
        pinger.wait_after(moved, ROAM_S)
        wait_connected(lab, seconds=ROAM_S)
        settled = time.monotonic()
        time.sleep(20)  # what the publisher says meanwhile
        gap = pinger.longest_gap(settled, time.monotonic())
        print(f"to {network}: {settled - moved:.1f} s, then no answer for {gap:.1f} s at most; the device sends to "
              f"{lab.peer('rem', 'cli0').endpoint}")
        assert gap < GAP_S
    pinger.stop()
