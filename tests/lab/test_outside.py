"""Whether a port is reached from outside, against the real kernel: probes from public servers through a NAT and through
the device's own firewall, to a port on which WireGuard listens.

    pub, pub2   rem behind a NAT of each kind
"""
import binascii
import pathlib
import sys
import time

import netns
import pytest
import stock_router
import wireguard_lab as wireguard
from waiting import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "package/wgp2p"))

from wgp2p import reach  # noqa: E402
from wgp2p.addr import parse_endpoint  # noqa: E402
from wgp2p.loop import Loop  # noqa: E402
from wgp2p.outside import FILTERED, MAGIC, OPEN, OPEN_HERE, REWRITTEN, Outside  # noqa: E402

PORT = wireguard.PORT


class ServerLink:
    """In the place of a link.Link: the probe goes out of a server."""

    def __init__(self, lab, server, loop):
        self.server, self._loop = server, loop
        self.you = lab.peer(server, "rem").endpoint

    def announce(self, port, ttl_s, done):
        self._loop.call_later(0, done, "")

    def probe(self, port, nonce, done):
        with netns.inside(self.server):
            reach._send(parse_endpoint(self.you)[0], port, MAGIC + binascii.unhexlify(nonce))
        self._loop.call_later(0, done, "")


def verdict(lab, port, *servers):
    with netns.inside("rem"):
        loop, told = Loop(), []
        outside = Outside(loop, PORT)
        outside.verify([ServerLink(lab, server, loop) for server in servers], port, lambda *row: told.append(row))
        end = time.monotonic() + 30
        while not told:
            assert time.monotonic() < end
            loop.run_once(20)
        assert told[0][1] == ""
        return told[0][0]


def change_nat(lab, kind):
    """Another NAT before the device; both servers have heard it through there."""
    lab.set_kind("natr", kind)
    netns.call("natr", "conntrack", "-F", check=False)
    for server in lab.servers:
        wait_for(lambda server=server: lab.ping("rem", server), 20, f"{server} is reached through {kind}")
    return parse_endpoint(lab.peer("pub", "rem").endpoint)[1]


@pytest.mark.long
def test_what_each_nat_lets_in(make_lab):
    lab = make_lab(servers=2, devices=("open",))
    assert change_nat(lab, "open") == PORT
    assert verdict(lab, PORT, "pub", "pub2") == OPEN
    assert verdict(lab, PORT, "pub") == OPEN_HERE

    assert change_nat(lab, "cone") == PORT
    assert verdict(lab, PORT, "pub", "pub2") == FILTERED
    seen = change_nat(lab, "eim-shift")
    assert seen != PORT and verdict(lab, seen, "pub") == FILTERED
    assert change_nat(lab, "symmetric") != PORT
    assert verdict(lab, PORT, "pub", "pub2") == REWRITTEN

    change_nat(lab, "open")
    netns.nft("rem", "flush ruleset\n" + stock_router.fw4())
    assert verdict(lab, PORT, "pub", "pub2") == FILTERED, "by our own firewall"
    netns.call("rem", "nft", "insert", "rule", "inet", "fw4", "input_wan", "udp", "dport", str(PORT), "accept")
    before = lab.peer("rem", "pub").endpoint
    assert verdict(lab, PORT, "pub", "pub2") == OPEN
    assert lab.peer("rem", "pub").endpoint == before and lab.ping("rem", "pub"), "WireGuard takes no notice"
