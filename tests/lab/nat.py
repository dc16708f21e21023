"""The routers' rules: the kinds of NAT, and the firewalls of a server (which lets the relay's packets through) and of
a device.

| kind            | a client's source port outside                              | who may send to it         |
|-----------------|-------------------------------------------------------------|----------------------------|
| cone            | the same as inside                                          | whom the client sent to    |
| eim-shift       | another one, the same towards everybody (inside + SHIFT)    | whom the client sent to    |
| symmetric       | a random one for each destination, 1024 to 65535            | whom the client sent to    |
| symmetric-block | a random one for each destination, of a block (a CG-NAT's)  | whom the client sent to    |
| sequential      | the next one for each destination, all clients in one row   | whom the client sent to    |
| open            | the same as inside                                          | everybody (port forwarded) |

A kind may say more of itself:

| written                  | meaning                                                                               |
|--------------------------|---------------------------------------------------------------------------------------|
| symmetric-block:1024     | so many ports in the block (BLOCK unless said), which begins at a multiple of its size |
| symmetric-block:1024+300 | ... and 300 ports later: a block that is not aligned                                   |
| cone/600                 | any kind: at most so many unanswered UDP flows in 30 s, further ones are dropped       |

Linux's own masquerading keeps the port where it can; that makes it a cone for our purpose.
IPv6 is routed, not translated, behind a firewall that lets in what the kind says.
"""
KINDS = ("cone", "eim-shift", "symmetric", "symmetric-block", "open")  # what every pair is made of
SHIFT = 5000
BLOCK = 512
BLOCKS_FROM, BLOCKS_EVERY = 16384, 2048
SEQUENCE = range(30000, 30400)  # then it begins anew


def block(kind, number):
    """(first, last) port of the block that a NAT of this kind, with this address, has for its clients."""
    size, _, offset = kind.partition("/")[0].partition(":")[2].partition("+")
    size = int(size or BLOCK)
    first = BLOCKS_FROM + BLOCKS_EVERY * (number % 20) + int(offset or 0)
    return first, first + size - 1


def nat_rules(kind, wan, number, ports):
    """nftables rules of one NAT. wan: its address; ports: {WireGuard port: address inside}."""
    source, forward, inward = [], [], "drop"
    name, _, most = kind.partition("/")
    name = name.partition(":")[0]
    if name == "eim-shift":
        source = [f"udp sport {port} snat to {wan}:{port + SHIFT}" for port in ports]
    elif name == "symmetric":
        source = ["meta l4proto udp masquerade fully-random"]
    elif name == "symmetric-block":
        source = ["meta l4proto udp masquerade to :{}-{} fully-random".format(*block(kind, number))]
    elif name == "sequential":
        row = ", ".join(f"{step} : {port}" for step, port in enumerate(SEQUENCE))
        source = [f"meta l4proto udp masquerade to :numgen inc mod {len(SEQUENCE)} map {{ {row} }}"]
    elif name == "open":
        forward = [f"ip daddr {wan} udp dport {port} dnat to {host}" for port, host in ports.items()]
        inward = "accept"
    elif name != "cone":
        raise ValueError(f"no such kind of NAT: {kind}")
    source = [f'oifname "wan" {rule}' for rule in [*source, "masquerade"]]
    source.append('iifname "lan" oifname "lan" ct status dnat masquerade')  # hairpin
    entries, limit = "", ""
    if most:  # a set: `ct count` walks through all entries for each packet
        entries = f"""set entries {{
    type ipv4_addr . inet_service . ipv4_addr . inet_service
    size {most}; flags dynamic,timeout; timeout 30s
  }}"""
        new = 'iifname "lan" oifname "wan" meta l4proto udp ct state new'
        limit = f"""{new} update @entries {{ ip saddr . udp sport . ip daddr . udp dport }} accept
    {new} drop"""
    return f"""
flush ruleset
table ip nat {{
  chain pre {{
    type nat hook prerouting priority dstnat
    {"; ".join(forward)}
  }}
  chain post {{
    type nat hook postrouting priority srcnat
    {"; ".join(source)}
  }}
}}
table inet filter {{
  {entries}
  chain input {{
    type filter hook input priority 0
    ct state established,related accept
    meta l4proto udp drop
  }}
  chain forward {{
    type filter hook forward priority 0
    ct state established,related accept
    ct status dnat accept
    {limit}
    iifname "wan" meta nfproto ipv6 {inward}
    iifname "wan" drop
  }}
}}
"""


SERVER_RULES = """
flush ruleset
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop
    iifname { lo, wg0 } accept
    ct state established,related accept
    udp dport 51820 accept
    meta l4proto { icmp, ipv6-icmp } accept
  }
  chain forward {
    type filter hook forward priority 0; policy drop
    iifname wg0 oifname wg0 accept
    meta mark & 0xff0000ff == 0x77000001 accept
  }
}
"""
DEVICE_RULES = """
flush ruleset
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop
    ct state established,related accept
    iifname wg0 oifname wan accept
  }
}
table ip nat {
  chain post {
    type nat hook postrouting priority srcnat
    oifname wan masquerade
  }
}
"""
