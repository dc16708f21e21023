"""A phone: wireguard-go, which apps are made of, with the one profile.

Apps switch on what wireguard-go calls DisableSomeRoamingForBrokenMobileSemantics: a peer whose endpoint the profile
names never gets another one. No environment variable and no line of the UAPI does that, so it cannot be switched on for
the program of the same name. The profile does not need such a peer to move: its device has no endpoint, so it follows
the device's packets; the server and the beacon have one and stay there.
"""
import subprocess
import sys

import pytest
import wireguard_lab as wireguard
from daemon import PACKAGE
from pairs import start_pair, wait_path
from programs import Pinger
from scenes import SLACK_S, wait_way
from waiting import wait_for

PROFILE = """
from wgp2p.profile import ONE, Remote, profile
device = Remote({device!r}, "203.0.113.20:51820", ["10.77.2.1/32"])
server = Remote({server!r}, "203.0.113.10:51820", ["10.77.1.1/32"])
print(profile(ONE, {private!r}, ["10.77.3.1"], 36906, server, device, {beacon!r}))
"""


def peers(text):
    """{public key: {option: value}} of a profile or of a configuration for `wg setconf`."""
    found = {}
    for section in text.split("[Peer]")[1:]:
        options = dict(line.split(" = ", 1) for line in section.splitlines() if " = " in line)
        found[options.pop("PublicKey")] = options
    return found


def test_profile_has_that_shape(make_lab):
    """What we give out is what the lab's clients have, and no peer in it has both allowed IPs and an endpoint, but the
    server."""
    lab = make_lab()
    beacon = wireguard.beacon_key("rem", "cli0")
    script = PROFILE.format(device=lab.key("rem"), server=lab.key("pub"), beacon=beacon,
                            private=wireguard.key_pair("cli0")[0])
    done = subprocess.run([sys.executable, "-c", script], cwd=PACKAGE, check=True, capture_output=True, text=True)
    ours = peers(done.stdout)
    assert ours == peers(lab.wg_config("cli0", keepalive=25, profile="one"))
    assert {key for key, options in ours.items() if "Endpoint" in options} == {lab.key("pub"), beacon}
    assert {key for key, options in ours.items() if "AllowedIPs" in options} == {lab.key("pub"), lab.key("rem")}
    assert all(int(options["PersistentKeepalive"]) <= 25 for options in ours.values())


@pytest.mark.slow
def test_wireguard_go(make_lab, interpreter):
    """Through the relay and directly, and nothing that the profile names has another endpoint at any time."""
    lab = make_lab(networks=("symmetric", "cone"))
    _, subscriber = start_pair(lab, interpreter)
    named = {"pub": lab.endpoint("pub"), wireguard.beacon_key("rem", "cli0"): lab.endpoint("rem")}
    lab.move("cli0", "nata")
    up = lab.wg_up("cli0", profile="one", userspace=True)
    pinger = Pinger("cli0", lab.tunnel("rem"))
    print(f"wireguard-go: first answer after {pinger.wait_after(up, 20):.2f} s")
    for network, word in (("nata", "relay"), ("natb", "direct"), ("nata", "relay")):
        if lab.uplink["cli0"] != network:
            print(f"to {network}: {pinger.wait_after(lab.move('cli0', network), 30):.2f} s")
        wait_way(lab, word, seconds=15 + SLACK_S)
        wait_path(subscriber, "cli0", word)
        there = lab.peers("cli0")
        assert {name: there[name].endpoint for name in named} == named
    wait_for(lambda: lab.ping("cli0", "pub"), 10, "the server's own tunnel, too")
    pinger.stop()
