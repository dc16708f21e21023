"""The profile that LuCI's page shows of the phone in tests/golden/luci/busy.json, letter for letter as in its QR code
(tests/golden/luci/profile.conf): brought up by wg-quick, it leads straight to the router. The router's WireGuard has
the phone from `wgp2p client apply` alone, as after the page has added it, and loses it in the same way."""
import pathlib

import luci_scenes as scenes
import netns
import pytest
from pairs import wait_path
from scenes import wait_way
from waiting import wait_for

TEXT = (pathlib.Path(__file__).resolve().parents[1] / "golden/luci/profile.conf").read_text()


@pytest.mark.slow
def test_connected_directly(make_lab, interpreter):
    lab = make_lab(networks=("cone",))
    scenes.give_token(lab)
    scenes.give_beacon_key(lab)
    scenes.lan()
    scenes.daemon(lab, "pub", interpreter, scenes.server_wgp2p(lab, lab.clients)).start()
    router = scenes.daemon(lab, "rem", interpreter, scenes.router_wgp2p(lab, lab.clients)).start()
    router.wait_log("publisher vps: connected", 30)
    network = router.folder / "network"
    network.write_text(scenes.router_network(lab, lab.clients))
    netns.call("rem", "wg", "set", "wg0", "peer", lab.key("cli0"), "remove")
    assert router.cli("client", "apply", check=True).err == "added to wg0: phone\n"
    assert router.cli("client", "apply", check=True).err == "", "nothing is left to do"
    lab.move("cli0", "nata")
    scanned = lab.folder / "wg0.conf"
    scanned.write_text(TEXT)
    scanned.chmod(0o600)
    netns.call("cli0", "wg-quick", "up", str(scanned))
    wait_for(lambda: lab.ping("cli0", "rem"), 20, "the phone reaches the router")
    wait_path(router, "phone", "direct")
    wait_way(lab, "direct")
    assert lab.ping("cli0", f"{scenes.LAN}.1"), "and its LAN"
    assert router.status()["stale_profiles"] == []
    network.write_text(scenes.router_network(lab, []))
    assert router.cli("client", "apply", check=True).err == "removed from wg0: phone\n"
    wait_for(lambda: not lab.ping("cli0", "rem"), 20, "the phone is kept out")
    assert router.status()["subscribers"][0]["publishers"][0]["mode"] == "events", "and nobody else"
