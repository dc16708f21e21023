"""Every pair of NATs: connected with the one profile, through the server at once, and directly where that can be."""
import os
import pathlib
import statistics

import nat
import netns
import pytest
from pairs import start_pair
from programs import Pinger
from scenes import SLACK_S, wait_way, way
from waiting import wait_for

LAN = "same LAN"
PATH_S = 5
NETWORKS = ["nata", "natb", "natc", "natd", "nate"]  # of the kinds in nat.KINDS, in their order
KNOWN_PORT = ("cone", "eim-shift")


def expected(device, client):
    """Direct when either lets everybody in, or both keep one port towards everybody. Behind one NAT that does not pass
    its own clients' packets back in, the two do not find each other by public addresses."""
    if device == "open" or client == "open":
        return "direct"
    return "direct" if device in KNOWN_PORT and client in KNOWN_PORT else "relay"


def table(found):
    """The findings {(device's kind, client's kind): (s, path)} as markdown."""
    clients = [*nat.KINDS, LAN]
    lines = ["| device behind \\ client behind | " + " | ".join(clients) + " |", "|---" * (len(clients) + 1) + "|"]
    for device in nat.KINDS:
        cells = ["{1}, {0:.1f} s".format(*found[device, client]) for client in clients]
        lines.append(f"| {device} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


@pytest.mark.slow
def test_every_pair_connects(make_lab, interpreter):
    """Each pair has a client of its own, so that nobody knows anything of it."""
    lab = make_lab(networks=nat.KINDS, clients=len(nat.KINDS) * (len(nat.KINDS) + 1))
    start_pair(lab, interpreter)
    clients = iter(lab.clients)
    found, wrong = {}, []
    for device in nat.KINDS:
        lab.set_kind("natr", device)
        wait_for(lambda: lab.ping("rem", "pub"), 20, "the device's NAT is another one")
        here = {}
        for network, kind in zip([*NETWORKS, "natr"], [*nat.KINDS, LAN]):
            here[kind] = client = next(clients)
            lab.move(client, network)
            up = lab.wg_up(client, profile="one")
            pinger = Pinger(client, lab.tunnel("rem"))
            took = pinger.wait_after(up, 20, f"{client} behind {kind} pings a device behind {device}")
            want = "direct" if (device, kind) == ("open", LAN) else expected(device, kind)
            try:
                wait_way(lab, want, client, seconds=PATH_S + SLACK_S)
            except AssertionError:
                wrong.append((device, kind, way(lab, client), want))
            pinger.stop()
            found[device, kind] = took, way(lab, client)
        for client in here.values():
            lab.wg_down(client)
    text = table(found)
    median = statistics.median(seconds for seconds, _ in found.values())
    print(f"{text}\nfrom interface up to first answer: median {median:.2f} s")
    if "WGP2P_LAB_OUT" in os.environ:
        pathlib.Path(os.environ["WGP2P_LAB_OUT"], "relay-pairs.md").write_text(text)
    assert not wrong, wrong
    assert "Traceback" not in netns.call(None, "cat", str(lab.folder / "pub/log"), str(lab.folder / "rem/log"))
