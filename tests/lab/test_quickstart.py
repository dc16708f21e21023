"""The README's quick start, taken literally: its files and its command lines give a working pair."""
import re

import netns
import pytest
import wireguard_lab as wireguard
from machine import PROJECT, Machine
from programs import Pinger
from waiting import wait_for

README = (PROJECT / "README.md").read_text()
PLACES = {"server": "pub", "router": "rem"}
CAPABILITIES = 1 << 12 | 1 << 13  # CAP_NET_ADMIN, CAP_NET_RAW
UCI = PROJECT / "tests/unit/openwrt/uci"


def chapter(heading):
    """The code blocks of one chapter, [(language, text)]."""
    body = re.split(r"\n###? ", README.split(f"\n### {heading}\n", 1)[1])[0]
    return re.findall(r"\n```(\w*)\n(.*?)\n```", body, re.S)


@pytest.fixture
def fill(make_lab):
    """The lab without any WireGuard, and a function that puts its keys and addresses into a text of the README."""
    lab = make_lab()
    for host in (*lab.servers, *lab.devices):
        lab.wg_down(host)
    lab.dns.table["vpn.example.org"] = [lab.outer("pub")]

    def filled(text):
        for name, host in PLACES.items():
            private, public = wireguard.key_pair(host)
            text = text.replace(f"(the {name}'s private key)", private).replace(f"(the {name}'s public key)", public)
        return text

    return lab, filled


@pytest.fixture
def machines(fill):
    """(server, router) as machines of their own."""
    lab, _ = fill
    made = [Machine(lab, "pub", ["systemctl"]), Machine(lab, "rem", ["opkg", "service", "ifup"])]
    yield made
    for machine in made:
        machine.run(". %s/tests/lab/standins/service.sh; stop_it" % PROJECT)
        machine.close()


def built(pattern):
    """What `make vps` and `make ipk` have built."""
    found = sorted((PROJECT / "dist").glob(pattern))
    assert found, f"no dist/{pattern}: run `make vps ipk` first"
    return found[-1]


def has_little(machine):
    """Its service is its own user's, with two capabilities."""
    state = machine.service()
    for name in ("CapEff", "CapPrm", "CapInh", "CapBnd"):
        assert int(state[name], 16) == CAPABILITIES, name
    assert state["NoNewPrivs"] == "1"
    assert state["Uid"].split() == [machine.run("id -u wgp2p").strip()] * 4


def roam(lab, network):
    """The phone, in use, moves; the path follows."""
    pinger = Pinger("cli0", "10.7.0.2")
    pinger.wait_after(lab.move("cli0", network), 30)
    pinger.stop()


def test_quick_start(fill, machines):
    lab, filled = fill
    server, router = machines
    (_, config), (_, lines) = chapter("1. The public server")
    server.write("/etc/wireguard/wg0.conf", filled(config))
    server.write("/root/wgp2p.pyz", "")
    server.path("/root/wgp2p.pyz").write_bytes(built("wgp2p.pyz").read_bytes())
    said = server.run(filled(lines)).strip().split("\n")
    token = said[-1]
    assert re.fullmatch("[0-9a-f]{64}", token) and token not in "".join(said[:-1])

    (_, network), (_, lines) = chapter("2. The router")
    name = re.search(r"/tmp/(wgp2p_\S+\.ipk)", lines).group(1)
    router.path(f"/tmp/{name}").write_bytes(built(name).read_bytes())
    router.path("/sbin/uci").symlink_to(UCI)
    router.write("/etc/rc.common", 'exec service "${1##*/}" "$2"\n')  # the interpreter of /etc/init.d/wgp2p
    router.write("/etc/config/network", "")
    router.write("/etc/config/firewall", "config zone\n\toption name 'wan'\n\tlist network 'wan'\n")
    router.path("/etc/init.d/wgp2p").unlink(missing_ok=True)
    router.path("/sbin/ujail").touch(mode=0o755)
    router.run(filled(network))
    router.run(filled(lines), token + "\n")
    wait_for(lambda: "publisher vps: connected (events)" in router.log(), 40, "the router has found its publisher")
    for machine in machines:
        has_little(machine)

    ((_, line),) = chapter("3. The phone")
    router.run(line)
    server.run(router.run("wgp2p client profile phone --server"))
    lab.move("cli0", "nata")
    phone = router.run("wgp2p client profile phone").replace("vpn.example.org", lab.outer("pub"))
    address = re.search(r"Address = (\S+)", phone)
    assert f"Endpoint = {lab.outer('natr')}:51820" in phone and phone.count("[Peer]") == 3
    # As wg-quick does: what `wg` does not know is left out. (The MTU is that of the lab's WireGuard anyway.)
    wireguard.up("cli0", re.sub(r"(?m)^(Address|MTU) = .*\n", "", phone), address.group(1).replace("/32", "/24"))
    wait_for(lambda: lab.ping("cli0", "10.7.0.2"), 20, "the phone reaches the router")
    wait_for(lambda: re.search(r"^phone +direct ", router.run("wgp2p status"), re.M), 40, "and directly", every=1)
    roam(lab, "natb")
    doctor = router.run("wgp2p doctor")
    assert "error" not in doctor and "The listen port 51820 is kept" in doctor
    assert "table inet wgp2p" in netns.call("rem", "nft", "list", "tables")

    # and where there is no ujail: the daemon gives up root's rights by itself
    router.path("/sbin/ujail").unlink()
    connected = router.log().count("publisher vps: connected (events)")
    router.run("service wgp2p restart")
    wait_for(lambda: router.log().count("publisher vps: connected (events)") > connected, 40, "it is back")
    has_little(router)
    roam(lab, "nata")

    router.run("service wgp2p stop")
    assert "table inet wgp2p" not in netns.call("rem", "nft", "list", "tables")
    server.run("wgp2p uninstall --yes")
    assert not server.path("/usr/local/bin/wgp2p").exists()
    assert server.path("/etc/config/wgp2p").exists(), "the configuration is kept"
