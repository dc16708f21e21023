"""The rules of the table `inet wgp2p`, as text for nft(8), out of facts.

Of all NAT chains at a hook the kernel asks one after the other, by priority, until one has decided; ours come just
before fw4's. An `accept` decides nothing; naming an address or port does. Everything is about IPv4: IPv6 is not
translated here.

The router's own WireGuard keeps its source port: for a packet that has the uplink's own address that address itself is
named ("snat to ip saddr"), which settles that nothing is changed, whatever a later rule would draw. LAN clients with
the same source port get another one, and never ours: they may send to where our WireGuard sends, now or later, and who
comes first has the port. Listed ports of LAN clients stay as they are, as long as only one of them has it.

At home: a LAN client that sends to the address and port under which publishers see this device gets to its own
WireGuard directly.
"""
from . import addr

TABLE = "wgp2p"
_SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@:+~"
# Who has such an address needs translation to get out. Public addresses in a LAN are left alone.
_PRIVATE = "{ %s }" % ", ".join(sorted(addr.PRIVATE + (addr.SHARED,)))


def script(wan, listen, preserve, home, tunnels):
    """What `nft -f -` makes the table with, whatever was there before, in one step; "" when there is nothing to say.

    wan: the uplinks' names; listen: ports of our WireGuard interfaces; preserve: ports of LAN clients to be kept;
    home: (public address, public port, listen port) rows; tunnels: names of our WireGuard interfaces. ValueError for
    what cannot stand in a rule."""
    source = _source_rules(wan, listen, preserve) if wan else []
    target = ["%sip daddr %s udp dport %s redirect to :%s" % (
        _not_from(wan, tunnels), _ipv4(row[0]), _port(row[1]), _port(row[2])) for row in sorted(set(home))]
    if not source and not target:
        return ""
    lines = ["add table inet " + TABLE, "delete table inet " + TABLE, "table inet " + TABLE + " {"]
    for name, hook, rules in (("srcnat", "postrouting", source), ("dstnat", "prerouting", target)):
        if rules:
            lines += ["\tchain " + name + " {", "\t\ttype nat hook %s priority %s - 5; policy accept;" % (hook, name)]
            lines += ["\t\t" + rule for rule in rules] + ["\t}"]
    return "\n".join(lines + ["}", ""])


def _source_rules(wan, listen, preserve):
    rules = []
    kept = [port for port in preserve if port not in listen]
    from_port = "oifname %s meta nfproto ipv4 udp sport %s "
    if listen:
        ours = from_port % (_names(wan), _ports(listen))
        rules.append(ours + "fib saddr . oif type local snat ip to ip saddr")
        # from another address of ours: it must become the uplink's, and still keep the port
        rules.append(ours + "ip saddr %s fib saddr type local masquerade" % _PRIVATE)
        rules.append(ours + "ip saddr %s masquerade to :%d-%d" % ((_PRIVATE,) + free_range(list(listen) + kept)))
    if kept:
        rules.append(from_port % (_names(wan), _ports(kept)) + "ip saddr %s masquerade" % _PRIVATE)
    return rules


def free_range(ports):
    """(first, last) of the largest range of ports from 1024 on that holds none of these."""
    best = (0, 0)
    edges = [1023] + sorted([port for port in set(ports) if port > 1023]) + [65536]
    for i in range(len(edges) - 1):
        if edges[i + 1] - edges[i] > best[1] - best[0] + 2:
            best = (edges[i] + 1, edges[i + 1] - 1)
    return best


def _not_from(wan, tunnels):
    names = list(wan) + list(tunnels)
    return "iifname != %s " % _names(names) if names else ""


def _names(names):
    for name in names:
        if not 0 < len(name) < 16 or [c for c in name if c not in _SAFE]:
            raise ValueError("the name of interface %s cannot stand in a firewall rule" % name[:16])
    return "{ %s }" % ", ".join(['"%s"' % name for name in sorted(set(names))])


def _ports(ports):
    return "{ %s }" % ", ".join([_port(port) for port in sorted(set(ports))])


def _port(port):
    if not 0 < port < 65536:
        raise ValueError("no port: %d" % port)
    return "%d" % port


def _ipv4(text):
    ip = addr.canonical_ip(text)
    if ":" in ip:
        raise ValueError("no IPv4 address: " + ip)
    return ip
