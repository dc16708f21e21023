"""Clients at home, behind a router with miniupnpd, and a remote device behind a symmetric NAT: without a relay and
without a sweep there is a direct path only through what is mapped at the client's side."""
import os
import signal
import subprocess

import netns
import pytest
import stock_router
from daemon import PACKAGE, interpreter_words, uci
from gateway_router import GatewayRouter
from pairs import publisher_config, subscriber_config, token_of
from programs import Pinger
from scenes import SLACK_S
from waiting import stays, wait_for

PHONE = stock_router.CLIENTS[0]


def start(lab, interpreter):
    """(publisher, subscriber of rem), connected."""
    publisher = lab.daemon("pub", interpreter, publisher_config(lab, "pub")).start()
    device = lab.daemon("rem", interpreter, subscriber_config(lab, "rem")).start()
    device.wait_log("publisher pub: connected", 30)
    return publisher, device


def put_behind(lab, phone="cli0", router="rem2"):
    """A client on the LAN of a device that has OpenWrt's rules."""
    netns.nft(router, "flush ruleset\n" + stock_router.fw4())
    netns.batch(router, "ip", f"link add br-lan type veth peer name lan netns {netns.full_name(phone)}",
                f"addr add {stock_router.LAN}.1/24 dev br-lan", "link set br-lan up")
    netns.batch(phone, "ip", f"addr add {PHONE}/24 dev lan", "link set lan up",
                f"route add default via {stock_router.LAN}.1")


def forward(router, port):
    """As fw4 writes the redirect of our service data."""
    netns.nft(router, f"""
table inet fw4 {{
  chain dstnat_wan {{
    meta nfproto ipv4 udp dport {port} counter dnat ip to {PHONE}:{port}
  }}
  chain dstnat {{
    iifname "wan" jump dstnat_wan
  }}
}}
insert rule inet fw4 forward_wan ct status dnat accept
""")


@pytest.mark.slow
def test_phone_behind_a_router(make_lab, interpreter):
    """An OpenWrt router at home, itself behind a box with miniupnpd, has nothing but the helper on, with a forward for
    the phone's port. The phone has nothing but WireGuard."""
    lab = make_lab(devices=("symmetric", "cone"))
    box = GatewayRouter(lab, "natr2").start()
    start(lab, interpreter)
    put_behind(lab)
    port = lab.port("cli0")
    lab.wg_up("cli0")
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_for(lambda: lab.peer("pub", "cli0").rx, 20, "the server hears the phone")
    stays(lambda: not pinger.replies, 3, "no direct path without a mapping")

    router = lab.daemon("rem2", interpreter, uci(
        ("wgp2p", "global", {"keep_dir": lab.folder / "rem2/keep"}),
        ("portmap", "home", {"enabled": "1", "forward": [f"{port}:{PHONE}"]}))).start()
    forward("rem2", port)
    wait_for(lambda: box.mapped() == {port: (lab.inner("rem2"), port)}, 20, "the phone's port is mapped")
    wait_for(lambda: pinger.replies, 15 + SLACK_S, "a direct path")
    assert lab.peer("rem", "cli0").endpoint == f"{lab.outer('natr2')}:{port}"
    pinger.stop()
    assert router.stop() == 0 and box.mapped() == {}


class MapCommand:
    """`wgp2p map` on a laptop, until it is stopped. lines: what it has said so far."""

    def __init__(self, lab, host, interpreter, *words):
        self._log = lab.folder / f"{host}-map"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                netns.command(host, *interpreter_words(interpreter), "-m", "wgp2p", "map", *words),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=PACKAGE,
                env={**os.environ, "PYTHONPATH": str(PACKAGE), "MICROPYPATH": str(PACKAGE), "HOME": str(lab.folder)})

    def said(self):
        return self._log.read_text()

    def wait_said(self, words, seconds):
        wait_for(lambda: words in self.said() or self._process.poll() is not None, seconds + SLACK_S,
                 f"wgp2p map says {words!r}, and not {self.said()!r}")
        assert words in self.said(), self.said()

    def stop(self):
        """As Ctrl-C does; its exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(10)


def announced(publisher, client="cli0"):
    """Where a client says that it is, as the publisher has it."""
    rows = publisher.status()["publishers"][0]["peers"]
    return next((row.get("announced") for row in rows if row["name"] == client), None)


@pytest.mark.slow
def test_laptop(make_lab, interpreter):
    """A laptop at home, behind a router with miniupnpd that draws a port for each destination. `wgp2p map` has its port
    mapped and tells the publisher, through the laptop's own tunnel, with a token that allows no more. When the laptop
    goes elsewhere, or the command ends, that is withdrawn."""
    lab = make_lab(devices=("symmetric",), networks=("symmetric", "cone"))
    router = GatewayRouter(lab, "nata").start()
    publisher, _ = start(lab, interpreter)
    token = lab.folder / "pub/keep/tokens/cli0"
    token.write_text(token_of("cli0"))
    token.chmod(0o600)
    publisher.signal(signal.SIGHUP)
    lab.move("cli0", "nata")
    lab.wg_up("cli0")
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_for(lambda: lab.peer("pub", "cli0").rx, 20, "the server hears the laptop")
    stays(lambda: not pinger.replies, 3, "no direct path without a mapping")

    port = lab.port("cli0")
    command = MapCommand(lab, "cli0", interpreter, "--announce", lab.tunnel("pub"), "--token-file", str(token))
    command.wait_said("announced to the public server", 20)
    print(command.said())
    assert router.mapped() == {port: (lab.inner("cli0"), port)}
    wait_for(lambda: pinger.replies, 10 + SLACK_S, "a direct path")
    outside = f"{lab.outer('nata')}:{port}"
    assert announced(publisher) == lab.peer("rem", "cli0").endpoint == outside

    lab.move("cli0", "natb")
    wait_for(lambda: announced(publisher) is None, 15 + SLACK_S, "nothing is announced there")
    lab.move("cli0", "nata")
    wait_for(lambda: announced(publisher) == outside, 30 + SLACK_S, "announced again")
    moved = lab.peer("rem", "cli0").rx
    wait_for(lambda: lab.peer("rem", "cli0").rx > moved + 500, 15 + SLACK_S, "a direct path again")
    pinger.stop()
    assert command.stop() == 0
    print(command.said())
    assert router.mapped() == {} and announced(publisher) is None
