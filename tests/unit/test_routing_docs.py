"""docs/routing.md and docs/examples/routing/ say the same, and each file agrees with the others."""
import ipaddress
import pathlib
import re

import pytest

from wgp2p import config, uci

PROJECT = pathlib.Path(__file__).resolve().parents[2]
DOC = (PROJECT / "docs/routing.md").read_text()
FILES = {path.name: path.read_text() for path in (PROJECT / "docs/examples/routing").iterdir()}
KEY = "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA="


def wg_quick(name):
    """(the interface's options, {public key: the peer's options}) of a file; every value a list."""
    sections = []
    for line in FILES[name].splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("["):
            sections.append({})
        elif line:
            option, _, value = line.partition(" = ")
            sections[-1].setdefault(option, []).extend(value.split(", "))
    return sections[0], {peer["PublicKey"][0]: peer for peer in sections[1:]}


def of_type(name, kind):
    return [section for section in uci.parse(FILES[name]) if section.type == kind]


def test_the_document_shows_every_file_as_it_is():
    shown = {name: text for name, text in re.findall(
        r"^\[`[^`]+`\]\(examples/routing/([^)]+)\)\n\n```\w*\n(.*?)^```$", DOC, re.M | re.S)}
    assert shown == FILES


def test_links_lead_somewhere():
    heads = [re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)", DOC, re.M)]
    for target in re.findall(r"\]\(([^)]+)\)", DOC):
        if target.startswith("#"):
            assert target[1:] in heads
        else:
            assert (PROJECT / "docs" / target).exists(), target
    for path in re.findall(r"`(tests/[^`]+)`", DOC):
        assert (PROJECT / path).exists(), path


@pytest.mark.parametrize("side", ["server", "device"])
def test_openwrt_and_linux_are_set_up_alike(side):
    interface, peers = wg_quick(side + "-wg0.conf")
    own = of_type(side + "-network.uci", "interface")[0]
    assert own.get("addresses") == interface["Address"]
    assert [own.get("listen_port"), own.get("private_key")] == interface["ListenPort"] + interface["PrivateKey"]
    found = {}
    for section in of_type(side + "-network.uci", "wireguard_wg0"):
        found[section.get("public_key")] = peer = {
            "PublicKey": [section.get("public_key")], "AllowedIPs": section.get("allowed_ips")}
        if section.get("endpoint_host"):
            peer["Endpoint"] = ["%s:%s" % (section.get("endpoint_host"), section.get("endpoint_port"))]
            peer["PersistentKeepalive"] = [section.get("persistent_keepalive")]
    assert found == peers


def test_policy_routing_is_the_same_everywhere():
    route, = of_type("server-network.uci", "route")
    rule, = of_type("server-network.uci", "rule")
    words = ("default dev {} table %s" % route.get("table"), "ip rule add from %s lookup %s priority %s" % (
        rule.get("src"), rule.get("lookup"), rule.get("priority")))
    assert (route.get("target"), route.get("interface"), route.get("table")) == ("0.0.0.0/0", "wg0", rule.get("lookup"))
    for name, interface in (("server-wg0.conf", "%i"), ("server-ip.sh", "wg0")):
        for word in words:
            assert word.format(interface) in FILES[name]
    assert words[1].replace(" add ", " del ") in FILES["server-wg0.conf"]


def test_every_file_means_the_same_networks():
    """The networks of the firewalls, where the machines and the clients are in them."""
    server, peers = wg_quick("server-wg0.conf")
    direct, proxied = [ipaddress.ip_interface(address).network for address in server["Address"]]
    members = "{ %s, %s }" % (direct, proxied)
    for name in ("server.nft", "device.nft"):
        assert "define members = " + members in FILES[name]
    assert "define proxied = %s\n" % proxied in FILES["server.nft"]
    device = ipaddress.ip_interface(wg_quick("device-wg0.conf")[0]["Address"][0])
    assert device.network == direct
    assert "define remote_device = %s\n" % device.ip in FILES["server.nft"]
    assert peers["(the remote device's public key)"]["AllowedIPs"] == ["%s/32" % device.ip, "0.0.0.0/0"]
    rules = {section.name: section for section in of_type("server-firewall.uci", "rule")}
    assert rules["no_client_to_client"].get("dest_ip") == [str(direct), str(proxied)]
    assert rules["proxied_to_device"].get("dest_ip") == str(device.ip)
    for name in ("proxied_to_device", "proxied_to_the_rest"):
        assert rules[name].get("src_ip") == str(proxied)
    of_server = wg_quick("device-wg0.conf")[1]["(the server's public key)"]
    assert of_server["AllowedIPs"] == [str(ipaddress.ip_interface(server["Address"][0]).ip) + "/32", str(proxied)]
    for name, network, key in (("client-p2p.conf", direct, "the phone's"),
                               ("client-proxied.conf", proxied, "the proxied profile's")):
        client, to = wg_quick(name)
        address = ipaddress.ip_interface(client["Address"][0]).ip
        assert address in network
        assert peers["(%s public key)" % key]["AllowedIPs"] == ["%s/32" % address]
        assert client["PrivateKey"] == ["(%s private key)" % key]
        assert to["(the server's public key)"]["Endpoint"] == of_server["Endpoint"]


def test_rules_of_openwrt_keep_clients_apart():
    """In this order: to the device, no client, the rest; for every protocol, within the one zone that wg0 is in."""
    rules = of_type("server-firewall.uci", "rule")
    assert [(rule.name, rule.get("target")) for rule in rules] == [
        ("proxied_to_device", "ACCEPT"), ("no_client_to_client", "DROP"), ("proxied_to_the_rest", "ACCEPT")]
    assert all([rule.get("proto"), rule.get("src"), rule.get("dest")] == ["all", "tunnel", "tunnel"] for rule in rules)
    for side in ("server", "device"):
        zone, = of_type(side + "-firewall.uci", "zone")
        assert [zone.get("name"), zone.get("network"), zone.get("forward")] == ["tunnel", ["wg0"], "DROP"]
    assert [(section.get("src"), section.get("dest")) for section in of_type("device-firewall.uci", "forwarding")] == [
        ("tunnel", "lan"), ("tunnel", "wan")]
    assert not of_type("server-firewall.uci", "forwarding")


def test_the_section_for_wgp2p_has_no_fault():
    publisher = "config publisher\n\toption interface 'wg0'\n\tlist address '10.7.0.1'\n\n"
    found = config.parse(publisher + FILES["server-wgp2p.uci"].replace("(the proxied profile's public key)", KEY))
    assert found.problems == []
    assert found.publishers[0].address == ["10.7.0.1"]
