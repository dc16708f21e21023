"""A household as the pages of LuCI know it: UCI's files of the router and of its public server, and the answers of the
daemons that run by them.

The files are those of OpenWrt, so the same text goes to the daemon, apart from where it keeps what it keeps, and into
the recordings. Keys are the lab's: made for it, and known to everybody.
"""
import base64
import json

import netns
import wireguard_lab as wireguard
from daemon import uci
from pairs import token_of

KEEP_DIR = "/etc/wgp2p"  # as the recordings have it
LAN = "192.168.1"
NAMES = {"cli0": "phone", "cli1": "laptop", "cli2": "tablet", "cli3": "old phone", "cli4": "camera"}
PROFILE_OF = {"cli0": "203.0.113.20:51820", "cli1": "198.51.100.7:51820"}  # where profiles find us; the second is stale
HOW = {"cli2": {"path": "direct"}, "cli4": {"exclude": "1"}}


def keep(lab, host):
    """The keep_dir of a host's daemon."""
    folder = lab.folder / host / "keep"
    (folder / "tokens").mkdir(parents=True, exist_ok=True)
    return folder


def give_token(lab, device="rem", server="pub"):
    """The token that both sides know."""
    for path in (keep(lab, device) / "token", keep(lab, server) / "tokens/home"):
        path.write_text(token_of(device))
        path.chmod(0o600)


def give_beacon_key(lab, device="rem"):
    path = keep(lab, device) / "beacon.key"
    path.write_bytes(base64.b64encode(wireguard.beacon_secret(device)) + b"\n")
    path.chmod(0o640)


def lan(device="rem"):
    """The router's LAN, without anybody in it."""
    netns.batch(device, "ip", "link add br-lan type dummy", f"addr add {LAN}.1/24 dev br-lan", "link set br-lan up")


# -- UCI's files --------------------------------------------------------------------------------------

def router_network(lab, clients):
    """/etc/config/network of the router. The first client's private key stands in it, as its user asked for."""
    server, _, port = lab.endpoint("pub").rpartition(":")
    sections = [
        *_interfaces("br-lan", f"{LAN}.1", lab.inner("rem"), lab.inner("natr")), _tunnel(lab, "rem"),
        ("wireguard_wg0", {"description": "public server", "public_key": lab.key("pub"), "endpoint_host": server,
                           "endpoint_port": port, "persistent_keepalive": "25",
                           "allowed_ips": [f"{lab.tunnel('pub')}/32"]})]
    for client in clients:
        private = {"private_key": wireguard.key_pair(client)[0]} if client == "cli0" else {}
        sections.append(("wireguard_wg0", {"description": NAMES[client], "public_key": lab.key(client), **private,
                                           "allowed_ips": [f"{lab.tunnel(client)}/32"]}))
    return uci(*sections)


def server_network(lab, clients):
    """/etc/config/network of the public server."""
    peers = {"rem": "home", **{client: NAMES[client] for client in clients}}
    return uci(*_interfaces("br-lan", "192.168.9.1", lab.outer("pub"), f"{lab.outer('pub').rpartition('.')[0]}.1"),
               _tunnel(lab, "pub"),
               *[("wireguard_wg0", {"description": name, "public_key": lab.key(host),
                                    "allowed_ips": [f"{lab.tunnel(host)}/32"]}) for host, name in peers.items()])


def _interfaces(bridge, lan, wan, gateway):
    return [("interface", "loopback", {"device": "lo", "proto": "static", "ipaddr": "127.0.0.1",
                                       "netmask": "255.0.0.0"}),
            ("device", {"name": bridge, "type": "bridge", "ports": ["lan1", "lan2"]}),
            ("interface", "lan", {"device": bridge, "proto": "static", "ipaddr": lan, "netmask": "255.255.255.0"}),
            ("interface", "wan", {"device": "wan", "proto": "static", "ipaddr": wan, "netmask": "255.255.255.0",
                                  "gateway": gateway})]


def _tunnel(lab, host):
    return ("interface", "wg0", {"proto": "wireguard", "private_key": wireguard.key_pair(host)[0],
                                 "listen_port": lab.port(host), "addresses": [f"{lab.tunnel(host)}/16"]})


def firewall():
    """/etc/config/firewall: that of a new router, with the tunnel in the zone "lan"."""
    return uci(("defaults", {"syn_flood": "1", "input": "REJECT", "output": "ACCEPT", "forward": "REJECT"}),
               ("zone", {"name": "lan", "network": ["lan", "wg0"], "input": "ACCEPT", "output": "ACCEPT",
                         "forward": "ACCEPT"}),
               ("zone", {"name": "wan", "network": ["wan"], "input": "REJECT", "output": "ACCEPT", "forward": "REJECT",
                         "masq": "1", "mtu_fix": "1"}),
               ("forwarding", {"src": "lan", "dest": "wan"}))


def router_wgp2p(lab, clients, portmap=False):
    """/etc/config/wgp2p of the router."""
    sections = [("wgp2p", "main", {"enabled": "1", "log_level": "info", "open_port": "1", "preserve_port": "1",
                                   "at_home": "1", "sweep": "block"}),
                ("subscriber", "vps", {"enabled": "1", "interface": "wg0", "publisher": lab.tunnel("pub"),
                                       "token_file": f"{KEEP_DIR}/token"})]
    if portmap:
        sections.append(("portmap", "upstream", {"enabled": "1", "interface": "wg0",
                                                 "forward": [f"51821:{LAN}.10:51820"]}))
    return uci(*sections, *_clients(lab, clients))


def server_wgp2p(lab, clients):
    """/etc/config/wgp2p of the public server."""
    return uci(("wgp2p", "main", {"enabled": "1", "log_level": "info", "open_port": "1", "preserve_port": "1"}),
               ("publisher", "server", {"enabled": "1", "interface": "wg0", "relay": "1", "relay_limit": "0"}),
               ("peer", {"name": "home", "public_key": lab.key("rem"), "device": "1"}),
               *[("peer", {"name": NAMES[client], "public_key": lab.key(client)}) for client in clients])


def _clients(lab, clients):
    made = {client: {"listen_port": lab.port(client), "profile_endpoint": endpoint}
            for client, endpoint in PROFILE_OF.items()}
    return [("peer", {"name": NAMES[client], "public_key": lab.key(client), **made.get(client, {}),
                      **HOW.get(client, {})}) for client in clients]


def daemon(lab, host, interpreter, text):
    """The daemon of a host by this text of /etc/config/wgp2p; it has not started yet."""
    folder = str(keep(lab, host))
    there = text.replace(KEEP_DIR, folder).replace("\n", f"\n\toption keep_dir '{folder}'\n", 1)
    return lab.daemon(host, interpreter, there)


# -- what the pages get -------------------------------------------------------------------------------

def answers(lab, running, **files):
    """What each method of the ubus object answers (the control socket says the same, docs/protocol.md), and UCI's
    files as texts."""
    status = running.get("/status")
    said = {"status": status, "history": running.get("/history"), "doctor": running.get("/doctor"),
            "mappings": {"mappings": status["portmaps"]}, "peers": running.get("/peers"), "uci": files}
    return json.loads(json.dumps(said).replace(str(keep(lab, running.host)), KEEP_DIR))


def shape(value):
    """What a value is made of: a dict with the shapes of its fields, [shape of all items or None], or its type's name;
    None where there is nothing to see (null, an empty list)."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_both([shape(one) for one in value])]
    if value is None or isinstance(value, (bool, str)):
        return {bool: "boolean", str: "text"}.get(type(value))
    return "number"


def _both(shapes):
    """One shape for all items of a list. ValueError when there is none."""
    found = None
    for one in shapes:
        if isinstance(one, dict) and isinstance(found, dict) and one.keys() == found.keys():
            found = {name: _both([found[name], one[name]]) for name in found}
        elif isinstance(one, list) and isinstance(found, list):
            found = [_both([found[0], one[0]])]
        elif None in (found, one):
            found = one if found is None else found
        elif found != one:
            raise ValueError(f"{found} and {one} in one list")
    return found


def differences(before, now, where=""):
    """How two shapes differ, in lines; what one of them cannot say (None) is no difference."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [line for name in {**before, **now} for line in (
            [f"{where}.{name} is {'new' if name in now else 'gone'}"] if (name in before) != (name in now)
            else differences(before[name], now[name], f"{where}.{name}"))]
    if isinstance(before, list) and isinstance(now, list):
        return differences(before[0], now[0], where + "[]")
    return [] if None in (before, now) or before == now else [f"{where}: {before}, now {now}"]
