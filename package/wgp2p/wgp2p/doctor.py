"""What is wrong, in words, and what to do about it. Pure: facts in, findings out.

Each check below looks at one thing and knows nothing of the others. To add one, write it and put it into CHECKS.
"""
from . import addr

OK, WARNING, ERROR = "ok", "warning", "error"

_BUILT_S = 1735689600  # 2025: no clock that is right shows less
_TUNNEL_SILENT_S = 180  # WireGuard's REJECT_AFTER_TIME: no session lives longer
_RELAYED_S = 300  # by then every way off the relay has been tried (upgrade.py)


class Facts:
    """What the checks look at: `status` as Daemon.status gives it; `unix_s`, the wall clock; `rewritten`, the listen
    ports that this machine's own NAT changes; `flowtables`, what `nft list flowtables` prints, or ""."""

    def __init__(self, status, unix_s, rewritten, flowtables):
        self.status = status
        self.unix_s = unix_s
        self.rewritten = rewritten
        self.flowtables = flowtables


def _finding(level, code, text, advice=""):
    return {"level": level, "code": code, "text": text, "advice": advice}


def examine(facts):
    """Every finding, as a list of {"level": ok, warning or error, "code", "text", "advice"}, the worst first."""
    found = []
    for check in CHECKS:
        found += check(facts)
    return [row for level in (ERROR, WARNING, OK) for row in found if row["level"] == level]


# -- checks -----------------------------------------------------------------------------------------

def _switched_on(facts):
    if facts.status["publishers"] or facts.status["subscribers"] or facts.status["portmaps"]:
        return []
    return [_finding(ERROR, "off", "Nothing is switched on.",
                     "Set `option enabled '1'` and add a publisher or subscriber section to the configuration.")]


def _interfaces(facts):
    found = []
    for role in ("publishers", "subscribers"):
        for part in facts.status[role]:
            if part["problem"]:
                found.append(_finding(ERROR, "interface", "%s on %s: %s." % (role[:-1], part["interface"],
                                                                           part["problem"]),
                                      "Look whether the WireGuard interface %s exists and is up." % part["interface"]))
    return found


def _clock(facts):
    if facts.unix_s >= _BUILT_S:
        return []
    return [_finding(WARNING, "clock", "This machine's clock is wrong: it shows a time long past.",
                     "Let it set its clock (NTP). WireGuard refuses handshakes of a machine whose clock went back; "
                     "until then the other side has to begin.")]


def _serving(facts):
    found = []
    for part in facts.status["publishers"]:
        name = "The publisher on %s" % part["interface"]
        if part["problem"]:
            continue
        if not [peer for peer in part["peers"] if peer["device"]]:
            found.append(_finding(WARNING, "no-device", "%s has no remote device to tell." % name,
                                  "Add a peer section with the device's name, its public key and `option device '1'`, "
                                  "and the device to %s as a peer." % part["interface"]))
        else:
            found.append(_finding(OK, "serving", "%s serves at %s, port %d; connections: %d." % (
                name, ", ".join(part["address"]), part["port"], part["subscribers"])))
    return found


def _relays(facts):
    return [_relay(part["relay"], "The relay on %s" % part["interface"]) for part in facts.status["publishers"]
            if not part["problem"] and (part["relay"]["state"] != "off" or part["relay"]["problem"])]


def _relay(relay, name):
    if relay["state"] == "kernel":
        return _finding(OK, "relay", "%s is the kernel's work; pairs of a device and a client on it: %d." % (
            name, len(relay["pairs"])))
    if relay["state"] == "userspace":
        return _finding(WARNING, "relay-slow", "%s is the work of wgp2p instead of the kernel, which is slower: %s." % (
            name, relay["problem"]),
            "On OpenWrt keep `option open_port '1'`. Elsewhere run `sudo wgp2p install --forward`, which switches "
            "forwarding on and adds a firewall rule for it (IPv6: docs/vps.md); after the firewall was loaded anew "
            "`sudo systemctl reload wgp2p` adds the rule again.")
    return _finding(WARNING, "relay-off", "%s does not work: %s. Clients without a direct path cannot connect." % (
        name, relay["problem"]),
        "It needs nftables, and the daemon the capability CAP_NET_RAW. `option relay '0'` in the publisher section "
        "says that none is wanted.")


def _links(facts):
    found = []
    for subscriber in facts.status["subscribers"]:
        for link in subscriber["publishers"]:
            if not subscriber["problem"]:  # of which all else is a consequence
                found.append(_link(subscriber, link))
    return found


def _link(subscriber, link):
    name = "The publisher %s (%s)" % (link["name"], link["publisher"])
    if link["mode"] == "no token":
        return _finding(ERROR, "token-missing", "%s is not asked: %s." % (name, link["problem"]),
                        "Run `wgp2p token NAME` on the public server and put what it shows into the token file.")
    if not link["problem"]:
        return _finding(OK, "publisher", "%s is connected." % name)
    if link["public_key"] is None:
        return _finding(ERROR, "no-server-peer", "No WireGuard peer of %s has %s in its allowed IPs." % (
            subscriber["interface"], link["publisher"]),
            "Add the public server to %s as a peer, with %s/32 in its allowed IPs." % (
                subscriber["interface"], link["publisher"]))
    if link["refused"] in (401, 403):
        return _finding(ERROR, "token-refused", "%s refuses our token." % name,
                        "Run `wgp2p token NAME` on the public server, with the name that this device has there, and "
                        "put what it shows into the token file. The device's public key must be in that section.")
    if link["tunnel_age"] is None or link["tunnel_age"] > _TUNNEL_SILENT_S:
        return _finding(ERROR, "tunnel-down", "The WireGuard tunnel to the public server %s is down: nothing comes "
                        "from it." % link["name"],
                        "Check the server peer's endpoint, port and keys, that the server's firewall lets its UDP port "
                        "in, that it has this device as a peer, and that the peer here has a persistent keepalive.")
    return _finding(ERROR, "no-publisher", "The tunnel works, but %s does not answer: %s." % (
        name[0].lower() + name[1:], link["problem"]),
        "Check that wgp2p runs on the public server, and that its firewall lets TCP port %d in from the WireGuard "
        "interface." % link["port"])


def _ports(facts):
    found = []
    for subscriber in facts.status["subscribers"]:
        port, seen = subscriber["listen_port"], []
        for link in subscriber["publishers"]:
            if link["you"] and port:
                seen.append((link, addr.parse_endpoint(link["you"])))
        places = sorted(set([place for _, place in seen if ":" not in place[0]]))
        if len(places) > 1 and len(set([ip for ip, _ in places])) == 1 and port not in facts.rewritten:
            found.append(_finding(ERROR, "symmetric", "A NAT in front of this machine gives each destination another "
                                  "port: publishers see %s." % " and ".join([str(number) for _, number in places]),
                                  "Forward UDP port %d on that router to this one, or have it keep ports "
                                  "(docs/static-port.md)." % port))
            continue
        for link, (ip, outside) in seen:
            found.append(_port(facts, link, ip, outside, port))
    return found


def _port(facts, link, ip, outside, port):
    if outside == port:
        return _finding(OK, "port-kept", "The listen port %d is kept on the way out: the publisher %s sees us at %s."
                        % (port, link["name"], link["you"]))
    text = "The listen port is %d, but the publisher %s sees us at %s. " % (port, link["name"], link["you"])
    clients = "Until that is so, clients must name port %d." % outside
    if port in facts.rewritten or ip in facts.status["wan"]["address"]:
        return _finding(ERROR, "port-rewritten-here", text + "This router itself changes the port.",
                        "Set `option preserve_port '1'`; a firewall rule of your own that changes source ports must "
                        "leave UDP port %d alone. %s" % (port, clients))
    return _finding(WARNING, "port-rewritten-upstream", text + "A router in front of this one, or the provider, "
                    "changes the port.", "On a router of yours forward UDP port %d to this one, or have it keep "
                    "the port (docs/static-port.md). %s" % (port, clients))


def _relayed(facts):
    found = []
    for subscriber in facts.status["subscribers"]:
        names = [peer["name"] for peer in subscriber["peers"]
                 if peer["path"] == "relay" and (peer["since_age"] or 0) >= _RELAYED_S
                 and not peer["reason"].endswith("option path says")]
        if names:
            found.append(_finding(OK, "relayed", "Reached through the public server for some time: %s. The NAT on one "
                                  "of the two sides gives each destination another port, or drops what comes from "
                                  "elsewhere." % ", ".join(sorted(names)),
                                  "Where UDP port %d is forwarded to this device (docs/static-port.md), mapped "
                                  "(docs/portmap.md), or open, clients behind any NAT reach it directly." % (
                                      subscriber["listen_port"] or 0)))
    return found


def _mappings(facts):
    found = []
    for part in facts.status["portmaps"]:
        if part["problem"]:
            found.append(_finding(WARNING, "portmap", "Ports are not mapped as they should be: %s." % part["problem"],
                                  "See docs/portmap.md."))
        else:
            found += [_mapping(row) for row in part["mappings"]]
    return found


def _mapping(row):
    if row["external"] is None:
        return _finding(WARNING, "not-mapped", "The gateway %s does not map UDP port %d: %s." % (
            row["gateway"], row["port"], row["error"] or "it is being asked"),
            "docs/portmap.md says what each answer means. A port forward that you set on it by hand does the same.")
    text = "The gateway %s maps UDP port %d to %s by %s" % (row["gateway"], row["port"], row["external"],
                                                            row["protocol"])
    if row["verdict"] in ("filtered", "rewritten"):
        return _finding(WARNING, "mapping-dead", text + ", but from outside nothing comes through it.",
                        "Another router or the provider stands in front of the gateway, or its firewall drops what it "
                        "maps (docs/portmap.md).")
    if not row["external"].endswith(":%d" % row["port"]):
        return _finding(WARNING, "mapped-elsewhere", text + ", which is another port.",
                        "Clients must name the port outside: give them their profiles anew.")
    if row["forward"]:  # what comes there nobody here can see
        return _finding(OK, "mapped", "%s, for %s." % (text, row["forward"]))
    if not row["verdict"]:
        return _finding(OK, "mapped", text + "; not looked at from outside yet.")
    return _finding(OK, "mapped", "%s; seen from outside: %s%s." % (text, row["verdict"], " (%s)" % row["error"]
                                                                    if row["error"] else ""))


def _profiles(facts):
    names = facts.status["stale_profiles"]
    if not names:
        return []
    return [_finding(WARNING, "stale-profiles", "The profiles of these clients lead to another address or port than "
                     "this device has now: %s." % ", ".join(names),
                     "They connect through the public server, where it relays. For the direct path give them their "
                     "profiles anew: with `wgp2p client profile NAME`, or on the page Clients in LuCI.")]


def _carrier(facts):
    addresses = facts.status["wan"]["address"]
    for ip in addresses:
        if _within(ip, (addr.SHARED,)):
            return [_finding(WARNING, "cgnat", "The WAN address %s is the provider's own (CG-NAT, 100.64.0.0/10): many "
                             "customers share one public address." % ip,
                             "Direct paths work as long as the provider's NAT keeps one port for all destinations; a "
                             "port forward is not possible. Ask the provider for a public address or for IPv6.")]
    for ip in addresses:
        if _within(ip, addr.PRIVATE):
            return [_finding(OK, "behind-router", "The WAN address %s is a private one: there is another router in "
                             "front of this one." % ip)]
    return []


def _within(ip, networks):
    return ":" not in ip and any([addr.contains(addr.parse_network(text), addr.parse_ip(ip)) for text in networks])


def _firewall(facts):
    problem = facts.status["wan"]["problem"]
    if not problem:
        return []
    relays = [link for subscriber in facts.status["subscribers"] for link in subscriber["publishers"] if link["relays"]]
    return [_finding(WARNING, "firewall", "The rules that keep the port and work at home are not in force: %s.%s" % (
        problem, " Nor are those by which a direct session goes on over the relay at once." if relays else ""),
        "Install nftables where it is missing. Who does not need the rules switches off `preserve_port` and "
        "`at_home`.")]


def _offload(facts):
    for line in facts.flowtables.split("\n"):
        words = line.replace(";", " ").replace(",", " ").split()
        if words[:1] == ["flags"] and "offload" in words:
            return [_finding(WARNING, "hardware-offload", "Hardware flow offloading is on.",
                             "Some chipsets go on sending a flow by its old way after a roam or a redial. If clients "
                             "behind this router hang then, switch it off (Network, Firewall, Flow Offloading).")]
    return []


def _configuration(facts):
    return [_finding(WARNING, "configuration", text) for text in facts.status["warnings"]]


CHECKS = (_switched_on, _interfaces, _clock, _serving, _relays, _links, _ports, _mappings, _profiles, _relayed,
          _carrier, _firewall, _offload, _configuration)
