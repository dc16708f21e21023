"""A remote device that is an OpenWrt router: a LAN behind it, and beside ours the ruleset that a stock fw4 loads
(tests/golden/fw4-default.nft)."""
import pathlib

import netns

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/fw4-default.nft"
HOME, LAN = "home", "192.168.1"
CLIENTS = [f"{LAN}.{number}" for number in (10, 11)]  # LAN clients: addresses of one host


def fw4(fully_random=False):
    """The stock ruleset for a router whose uplink is called "wan". As `fw4 reload` loads it: the script flushes its
    own table alone. fully_random: as if a rule said that every source port is to be drawn."""
    rules = GOLDEN.read_text().replace('"eth1"', '"wan"').replace('include "', '# include "')
    if fully_random:
        rules = rules.replace("meta nfproto ipv4 masquerade", "meta nfproto ipv4 masquerade fully-random")
    return rules


def make_router(device="rem", fully_random=False):
    """A host "home" with two LAN addresses behind a device, which gets fw4's rules in place of the lab's."""
    netns.create(HOME)
    netns.batch(device, "ip", f"link add br-lan type veth peer name eth0 netns {netns.full_name(HOME)}",
                f"addr add {LAN}.1/24 dev br-lan", "link set br-lan up")
    netns.batch(HOME, "ip", *[f"addr add {address}/24 dev eth0" for address in CLIENTS], "link set eth0 up",
                f"route add default via {LAN}.1")
    netns.nft(device, "flush ruleset\n" + fw4(fully_random))


def forget(device, *words):
    """Every connection of a device is forgotten, or those that `conntrack -D` finds by these words."""
    netns.call(device, "conntrack", *(("-D", *words) if words else ("-F",)), check=False)
