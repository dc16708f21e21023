"""Every pair of NATs: connected with the one profile, through the server at once, and directly where that can be."""
import os
import pathlib
import statistics

import nat
import pytest
from pairs import start_pair
from programs import Pinger
from scenes import SLACK_S, wait_way, way

LAN = "same LAN"
KINDS = (*nat.KINDS, LAN)
NETWORKS = ("nata", "natb", "natc", "natd", "nate", "natr")  # of these kinds
KNOWN_PORT = ("cone", "eim-shift")
PATH_S = 5


def expected(device, client):
    """Direct when either lets everybody in, or both keep one port towards everybody. Two behind the same NAT meet there
    only if it passes its own clients' packets back in."""
    if device == "open" or client == "open":
        return "direct"
    return "direct" if device in KNOWN_PORT and client in KNOWN_PORT else "relay"


@pytest.mark.slow
@pytest.mark.parametrize("device", [
    kind if kind == "symmetric" else pytest.param(kind, marks=pytest.mark.long) for kind in nat.KINDS])
def test_every_pair_connects(make_lab, interpreter, device):
    """A device behind one kind of NAT and a client behind each kind, always a new one that nobody knows anything of.
    What was found is a row of the table in docs/relay.md: `cat build/lab/relay-pairs-*.md`."""
    lab = make_lab(devices=(device,), networks=nat.KINDS, clients=len(KINDS))
    start_pair(lab, interpreter)
    seconds, ways, wrong = [], [], []
    for client, kind, network in zip(lab.clients, KINDS, NETWORKS):
        want = expected(device, kind)
        lab.move(client, network)
        up = lab.wg_up(client, profile="one")
        pinger = Pinger(client, lab.tunnel("rem"))
        seconds.append(pinger.wait_after(up, 20, f"{client} behind {kind} pings a device behind {device}"))
        try:
            took = wait_way(lab, want, client, seconds=PATH_S + SLACK_S)
            print(f"{device} and {kind}: {seconds[-1]:.2f} s, {want} {took:.1f} s later")
        except AssertionError as error:
            wrong.append((kind, str(error)))
        ways.append(way(lab, client))
        pinger.stop()
        lab.wg_down(client)
    print(f"from interface up to first answer: median {statistics.median(seconds):.2f} s")
    if "WGP2P_LAB_OUT" in os.environ:
        out = pathlib.Path(os.environ["WGP2P_LAB_OUT"])
        out.joinpath("relay-pairs-0.md").write_text(
            row("device \\ client behind", *KINDS) + row("---", *["---"] * len(KINDS)))
        out.joinpath(f"relay-pairs-{1 + nat.KINDS.index(device)}.md").write_text(
            row(device, *[f"{word}, {took:.1f} s" for word, took in zip(ways, seconds)]))
    assert not wrong, wrong


def row(*cells):
    return "| " + " | ".join(cells) + " |\n"
