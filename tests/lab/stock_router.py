"""OpenWrt routers, with the ruleset that a stock fw4 loads (tests/golden/fw4-default.nft) beside ours. A remote device
has a LAN behind it; a public server lets WireGuard in, and lets through what has the mark of the relay."""
import pathlib
import re

import netns

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/fw4-default.nft"
RELAYED = "meta mark & 0xff0000ff == 0x77000001 accept"  # as fw4 writes the rule that the service has
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


def make_server(server="pub"):
    """A public server gets fw4's rules, with WireGuard's port open, a zone for the tunnel, and the service's rule for
    the relay."""
    netns.nft(server, f"""flush ruleset
{fw4()}
insert rule inet fw4 input_wan udp dport 51820 counter accept
insert rule inet fw4 forward iifname "wg0" oifname "wg0" accept
insert rule inet fw4 forward {RELAYED}
""")


def forget(device, *words):
    """Every connection of a device is forgotten, or those that `conntrack -D` finds by these words."""
    netns.call(device, "conntrack", *(("-D", *words) if words else ("-F",)), check=False)


def outside_port(device, source, port, target):
    """The source port that a device gives the UDP flow from (source, port) to (address, port); None: no such flow."""
    rows = netns.call(device, "conntrack", "-L", "-p", "udp", "--orig-src", source, "--orig-port-src", str(port),
                      "--orig-dst", target[0], "--orig-port-dst", str(target[1]), check=False)
    ports = re.findall(r"dport=(\d+)", rows)
    return int(ports[1]) if ports else None


def has_table(device, name="wgp2p"):
    """Whether there is a table inet NAME on a device."""
    return f"table inet {name}\n" in netns.call(device, "nft", "list", "tables")


def with_options(config, **options):
    """A configuration whose section wgp2p has these options, too: text or a list of texts each."""
    lines = "".join(f"\t{'list' if isinstance(value, list) else 'option'} {name} '{word}'\n"
                    for name, value in options.items() for word in (value if isinstance(value, list) else [value]))
    head = "config wgp2p 'global'\n"
    assert head in config
    return config.replace(head, head + lines)
