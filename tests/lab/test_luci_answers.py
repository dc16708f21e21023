"""What the daemons answer in the situations that LuCI's pages are tested with, beside what was recorded of it.

The recordings are tests/golden/luci/*.json, made by tests/lab/record-luci. Their numbers are of one run; their fields
and types are those of today, which is what is looked at here.
"""
import json
import os
import pathlib

import luci_scenes as scenes
import netns
import pytest
from gateway_router import GatewayRouter
from luci_scenes import NAMES, answers, differences, shape
from pairs import wait_path
from programs import Pinger
from scenes import join
from waiting import wait_for

RECORDED = pathlib.Path(__file__).resolve().parents[1] / "golden/luci"
BLOCKED = """
table inet hotel {
  chain forward { type filter hook forward priority -1; ip daddr 203.0.113.20 udp dport 1-65535 drop; }
}
"""
PATHS = {"phone": "direct", "laptop": "relay", "tablet": "trying", "old phone": "offline", "camera": "static"}


@pytest.fixture
def check():
    """check(name, found): whether the fields and types are those of the recording of this name, which is said when the
    scene is over. What was found is kept for the recorder."""
    different = []

    def compare(name, found):
        if "WGP2P_LAB_OUT" in os.environ:
            folder = pathlib.Path(os.environ["WGP2P_LAB_OUT"], "luci")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
        path = RECORDED / f"{name}.json"
        recorded = json.loads(path.read_text()) if path.exists() else {}
        different.extend(differences(shape(recorded), shape(found), name))

    yield compare
    if different:
        pytest.fail("record anew, by tests/lab/record-luci:\n" + "\n".join(different), pytrace=False)


class Busy:
    """A router with a client on each kind of path, its public server, and UCI's files of both."""

    def __init__(self, make_lab, interpreter):
        lab = self.lab = make_lab(networks=("cone", "symmetric", "cone"), clients=len(NAMES))
        GatewayRouter(lab).start()
        scenes.lan()
        netns.nft("natb", BLOCKED)
        scenes.give_token(lab)
        scenes.give_beacon_key(lab)
        self.files = {"network": scenes.router_network(lab, lab.clients),
                      "wgp2p": scenes.router_wgp2p(lab, lab.clients, portmap=True), "firewall": scenes.firewall()}
        self.files_of_server = {"network": scenes.server_network(lab, lab.clients),
                                "wgp2p": scenes.server_wgp2p(lab, lab.clients), "firewall": scenes.firewall()}
        self.server = scenes.daemon(lab, "pub", interpreter, self.files_of_server["wgp2p"]).start()
        router = self.router = scenes.daemon(lab, "rem", interpreter, self.files["wgp2p"]).start()
        router.wait_log("publisher vps: connected", 30)
        lab.wg_set("rem", "cli4", "endpoint", f"{lab.outer('natc')}:{lab.port('cli4')}", "persistent-keepalive", 15)
        for client, network in (("cli0", "nata"), ("cli1", "natb"), ("cli2", "natb"), ("cli4", "natc")):
            join(lab, client, network, keepalive=25, profile="classic" if client == "cli4" else "one")
        self.pingers = [Pinger(client, lab.tunnel("rem")) for client in ("cli0", "cli1", "cli4")]
        for name, word in PATHS.items():
            wait_path(router, name, word, 40)
        wait_for(lambda: all(row["verdict"] for part in router.status()["portmaps"] for row in part["mappings"]
                             if not row["forward"]), 40, "the mapping was looked at from outside", every=0.5)
        wait_for(lambda: {row["name"]: row["states"][-1] for row in router.get("/history")["peers"]} == {
            name: path[0] for name, path in PATHS.items()}, 60, "most of the time it was like that", every=1)

    def stop(self):
        for pinger in self.pingers:
            assert pinger.replies
            pinger.stop()


@pytest.mark.slow
def test_busy(make_lab, interpreter, check):
    """A client on each kind of path; and what the public server says of them."""
    busy = Busy(make_lab, interpreter)
    found = answers(busy.lab, busy.router, **busy.files)
    peers = found["status"]["subscribers"][0]["peers"]
    assert {row["name"]: row["path"] for row in peers if row["name"] in PATHS} == PATHS
    assert found["status"]["stale_profiles"] == ["laptop"]
    check("busy", found)
    check("publisher", answers(busy.lab, busy.server, **busy.files_of_server))
    busy.stop()


@pytest.mark.long
def test_server_down(make_lab, interpreter, check):
    """The public server is gone for three minutes: no session with it lives on."""
    busy = Busy(make_lab, interpreter)
    netns.batch("pub", "ip", "link set wan down")
    wait_path(busy.router, "laptop", "trying", 120)
    wait_for(lambda: "tunnel-down" in busy.router.doctor(), 240, "the doctor misses the public server", every=1)
    check("server_down", answers(busy.lab, busy.router, **busy.files))
    busy.stop()


@pytest.mark.slow
def test_empty(make_lab, interpreter, check):
    """A router that was just set up: first it has no token yet, then no client."""
    lab = make_lab(clients=0)
    scenes.give_token(lab)
    (scenes.keep(lab, "rem") / "token").unlink()
    files = {"network": scenes.router_network(lab, []), "wgp2p": scenes.router_wgp2p(lab, []),
             "firewall": scenes.firewall()}
    scenes.daemon(lab, "pub", interpreter, scenes.server_wgp2p(lab, [])).start()
    router = scenes.daemon(lab, "rem", interpreter, files["wgp2p"]).start()
    wait_for(lambda: "token-missing" in router.doctor(), 30, "the doctor misses the token", every=0.5)
    check("no_token", answers(lab, router, **files))
    scenes.give_token(lab)
    router.cli("reload", check=True)
    router.wait_log("publisher vps: connected", 30)
    wait_for(lambda: router.doctor().get("port-kept") == "ok", 30, "the port is seen", every=0.5)
    check("empty", answers(lab, router, **files))
