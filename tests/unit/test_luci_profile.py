"""What LuCI's page shows as the phone's profile is what `wgp2p client` would give out: tests/golden/luci/profile.conf
from profile.json, which has the arguments by their names in profile.js, and the secret of the router's beacons."""
import base64
import json
import pathlib

from wgp2p.beaconkey import beacon_of
from wgp2p.profile import Remote, profile, tunnel_mtu

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/luci"
FACTS = json.loads((GOLDEN / "profile.json").read_text())
BUSY = json.loads((GOLDEN / "busy.json").read_text())


def remote(facts):
    return Remote(facts["publicKey"], facts["endpoint"], facts["allowedIps"])


def test_profile_is_the_command_lines():
    assert (GOLDEN / "profile.conf").read_text() == profile(
        FACTS["kind"], FACTS["privateKey"], FACTS["addresses"], FACTS["listenPort"], remote(FACTS["server"]),
        remote(FACTS["device"]), FACTS["beacon"], FACTS["dns"], FACTS["keepalive"], FACTS["mtu"])


def test_facts_are_those_of_the_busy_router():
    (part,), (portmap,) = BUSY["status"]["subscribers"], BUSY["status"]["portmaps"]
    phone = [peer for peer in part["peers"] if peer["name"] == "phone"][0]
    assert FACTS["beacon"] == beacon_of(base64.b64decode(FACTS["beaconSecret"]), phone["public_key"])
    assert FACTS["mtu"] == tunnel_mtu(BUSY["status"]["wan"]["mtu"])
    assert FACTS["server"]["publicKey"] == part["publishers"][0]["public_key"]
    assert FACTS["device"]["endpoint"] in [row["external"] for row in portmap["mappings"] if row["verdict"]]
    for fact in ("privateKey", "listenPort", "addresses"):
        for value in FACTS[fact] if isinstance(FACTS[fact], list) else [FACTS[fact]]:
            assert "'%s" % value in BUSY["uci"]["network"] + BUSY["uci"]["wgp2p"]
