"""The table `inet wgp2p_relay` of the public server, as text for nft(8): WireGuard's packets between members go from
one to the other inside of the kernel, by their receiver index, and nobody there has a key.

A message begins with its type and three zero bytes (WireGuard's whitepaper, 5.4); the receiver index is at byte 4 of
types 3 and 4 and at byte 8 of type 2. Behind the UDP header of eight bytes these are `@th,64,32`, `@th,96,32` and
`@th,128,32`. A packet of type 4 whose source address, source port and receiver index are in the maps gets another
destination before anything else looks at it, and this server as its source when it leaves: with a source of our own it
would not be routed. A miss ends the rule before anything is changed, so the server's own WireGuard gets its packets as
ever. `routes` has every route. What has one and does not go by the maps goes through the daemon: between two families,
every type 2, packets without a checksum (the kernel would make a wrong one of it), everything where the kernel does not
forward. The kernel learns nothing by itself.

The maps hold what is relayed right now, so a script is loaded over the table of an earlier run: what has the same
definition stays, only the rules are made anew. Who changes a definition gives it another name: kernels before 6.2 keep
the old one without a word.

A packet that would die here of its age is not taken: it would count as lost by the forwarding.
"""
TABLE = "wgp2p_relay"
ROUTE_LIFE_MS = 240000  # a session ends after 180 s, and the next one has other indices

# What kind a packet is of (meta mark). Others mark packets, too (mwan3, pbr): only the bits of MARK_MASK are ours.
RELAYED, INITIATION, USERSPACE, HINT = 0x77000001, 0x77000002, 0x77000003, 0x77000004
MARK_MASK = 0xFF0000FF

# A line with $ is there for each family. Only `calls` and those after it are filled by packets; where one is full, the
# rule ends there.
_SETS = """
map address$n { typeof $ip saddr . udp sport . @th,96,32 : $ip daddr; flags timeout; timeout 240s; size 16384; }
map port$n { typeof $ip saddr . udp sport . @th,96,32 : udp dport; flags timeout; timeout 240s; size 16384; }
set routes$n { typeof $ip saddr . udp sport . @th,96,32; flags timeout; timeout 240s; size 16384; }
set indices { typeof @th,96,32; flags timeout; timeout 240s; size 32768; }
set members$n { type $type . inet_service; }
set devices$n { type $type . inet_service; }
map door$n { type $type . inet_service : $type; }
set calls$n { type $type . inet_service; flags dynamic,timeout; timeout 1m; size 16384; }
set devicecalls$n { type $type . inet_service; flags dynamic,timeout; timeout 1m; size 16384; }
set strangers$n { type $type; flags dynamic,timeout; timeout 10s; size 16384; }
set pairs$n { type $type . inet_service . $type . inet_service; flags dynamic,timeout; timeout 1h; size 4096; }
set rates$n { type $type . inet_service . $type . inet_service; flags dynamic,timeout; timeout 1m; size 4096; }
counter in$n { }
counter out$n { }
"""

# Handshakes cost the server's own WireGuard and the daemon something, so they are limited before both. A device calls
# each of its clients that are away every 5 s, and may do so more often than others.
_CHAINS = (("prerouting", """
type filter hook prerouting priority -310; policy accept;
udp dport PORT goto wireguard
"""), ("wireguard", """
@th,64,32 0x04000000 goto transport
@th,64,32 0x03000000 goto transport
@th,64,32 0x02000000 udp length 100 goto response
@th,64,32 0x01000000 udp length 156 fib daddr type local goto initiation
"""), ("transport", """
udp checksum 0 goto userspace
$hops > 1 udp dport set $ip saddr . udp sport . @th,96,32 map @port$n \
$ip daddr set $ip saddr . udp sport . @th,96,32 map @address$n meta mark set RELAYED notrack counter name "in$n" accept
goto userspace
"""), ("userspace", """
$ip saddr . udp sport . @th,96,32 @routes$n meta mark set USERSPACE accept
@th,96,32 @indices limit rate 10/second meta mark set HINT
"""), ("response", """
jump limited
$ip saddr . udp sport . @th,128,32 @routes$n meta mark set USERSPACE accept
"""), ("initiation", """
jump limited
$ip saddr . udp sport @members$n meta mark set INITIATION accept
update @strangers$n { $source limit rate over 10/second burst 20 packets } drop
"""), ("limited", """
$ip saddr . udp sport @devices$n goto limited_device
$ip saddr . udp sport @members$n \
update @calls$n { $ip saddr . udp sport limit rate over 2/second burst 5 packets } drop
"""), ("limited_device", """
update @devicecalls$n { $ip saddr . udp sport limit rate over 20/second burst 40 packets } drop
"""), ("postrouting", """
type filter hook postrouting priority -150; policy accept;
meta mark & MASK == RELAYED goto relayed
"""), ("relayed", """
meta nfproto $proto counter name "out$n"
update @pairs$n { $ip saddr . udp sport . $ip daddr . udp dport counter }
LIMIT
udp sport set PORT $ip saddr set $ip daddr . udp dport map @door$n accept
drop
"""))
_LIMIT = "update @rates$n { $ip saddr . udp sport . $ip daddr . udp dport limit rate over %d kbytes/second } drop"
_FAMILIES = (  # a network of IPv6 is what one customer has
    {"$ip": "ip", "$n": "4", "$proto": "ipv4", "$type": "ipv4_addr", "$hops": "ip ttl", "$source": "ip saddr"},
    {"$ip": "ip6", "$n": "6", "$proto": "ipv6", "$type": "ipv6_addr", "$hops": "ip6 hoplimit",
     "$source": "ip6 saddr & ffff:ffff:ffff:ffff::"})


def script(port, limit_kbytes):
    """What `nft -f -` makes the table with, or gives it other rules.

    port: where the server's WireGuard listens; limit_kbytes: what goes from one endpoint to another in a second at
    most, in 1024 bytes, 0 for no limit."""
    if not 0 < port < 65536 or limit_kbytes < 0:
        raise ValueError("no port or limit: %d, %d" % (port, limit_kbytes))
    words = (("PORT", "%d" % port), ("MASK", "0x%08x" % MARK_MASK), ("RELAYED", "0x%08x" % RELAYED),
             ("INITIATION", "0x%08x" % INITIATION), ("USERSPACE", "0x%08x" % USERSPACE), ("HINT", "0x%08x" % HINT),
             ("LIMIT\n", _LIMIT % limit_kbytes + "\n" if limit_kbytes else ""))
    # An element keeps the limit that it was made with.
    lines = ["table inet %s {" % TABLE] + _lines(_SETS) + ["}"]
    lines += ["flush set inet %s rates%s" % (TABLE, family) for family in ("4", "6")]
    lines += ["flush table inet " + TABLE, "table inet %s {" % TABLE]
    for name, rules in _CHAINS:
        for word, value in words:
            rules = rules.replace(word, value)
        lines += ["\tchain %s {" % name] + _lines(rules) + ["\t}"]
    return "\n".join(lines + ["}", ""])


def _lines(text):
    """A line with $ becomes one for each family."""
    lines = []
    for line in text.strip().split("\n"):
        for names in _FAMILIES if "$" in line else ({},):
            made = line
            for name in names:
                made = made.replace(name, names[name])
            lines.append("\t\t" + made)
    return lines
