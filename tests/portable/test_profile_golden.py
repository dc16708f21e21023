"""What golden/profiles.json says of profiles, of the public server's script, endpoints, networks, free addresses and
keys. The page of LuCI is held to the same file (tests/luci/node): what it makes is what `wgp2p client` makes."""
import json

from wgp2p import addr
from wgp2p.clients import free_address, hosts
from wgp2p.profile import ProfileError, Remote, checked_endpoint, profile, server_script
from wgp2p.wgmessage import key_bytes

with open((__file__.rpartition("/")[0] or ".") + "/../golden/profiles.json") as file:
    GOLDEN = json.loads(file.read())


def remote(given):
    return Remote(given["publicKey"], given["endpoint"], given["allowedIps"])


def attempt(make, *args):
    """What it gives, None when it refuses."""
    try:
        return make(*args)
    except ValueError as error:  # ProfileError is one
        assert str(error)
        return None


def made(given):
    return profile(given["kind"], given["privateKey"], given["addresses"], given["listenPort"],
                   remote(given["server"]), remote(given["device"]), given["beacon"], given["dns"], given["keepalive"],
                   given["mtu"])


def test_profiles():
    for row in GOLDEN["profiles"]:
        assert attempt(made, row["given"]) == row["text"], row["case"]


def test_refusals_hold_no_private_key():
    for row in GOLDEN["profiles"]:
        try:
            made(row["given"])
        except ProfileError as error:
            assert row["given"]["privateKey"] not in str(error), row["case"]


def test_scripts():
    for row in GOLDEN["scripts"]:
        assert server_script(row["name"], row["publicKey"], hosts(row["hosts"]), row["deviceKey"]) == row["text"]


def test_endpoints():
    for text, canonical in GOLDEN["endpoints"]:
        assert attempt(checked_endpoint, text) == canonical, text


def test_networks():
    for text, canonical in GOLDEN["networks"]:
        network = attempt(addr.parse_network, text)
        assert (network and addr.format_network(network)) == canonical, text


def test_free_addresses():
    for row in GOLDEN["freeAddresses"]:
        used = [addr.parse_network(text) for text in row["used"]]
        assert free_address(row["ip"], row["length"], used) == row["address"], row


def test_keys():
    for text, good in GOLDEN["keys"]:
        assert (attempt(key_bytes, text) is not None) == good, text
