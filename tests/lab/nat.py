"""The routers' rules: five kinds of NAT, and the firewalls of a server (which lets the relay's packets through) and of
a device.

| kind            | a client's source port outside                              | who may send to it         |
|-----------------|-------------------------------------------------------------|----------------------------|
| cone            | the same as inside                                          | whom the client sent to    |
| eim-shift       | another one, the same towards everybody (inside + SHIFT)    | whom the client sent to    |
| symmetric       | a random one for each destination                           | whom the client sent to    |
| symmetric-block | a random one for each destination, of BLOCK (a CG-NAT's)    | whom the client sent to    |
| open            | the same as inside                                          | everybody (port forwarded) |

Linux's own masquerading keeps the port where it can; that makes it a cone for our purpose.
IPv6 is routed, not translated, behind a firewall that lets in what the kind says.
"""
KINDS = ("cone", "eim-shift", "symmetric", "symmetric-block", "open")
SHIFT = 5000
BLOCK = 512


def block(number):
    """The first port of the block that the NAT with this address has for each of its clients."""
    return 20000 + 1000 * (number % 40)


def nat_rules(kind, wan, number, ports):
    """nftables rules of one NAT. wan: its address; ports: {WireGuard port: address inside}."""
    source, forward, inward = [], [], "drop"
    if kind == "eim-shift":
        source = [f"udp sport {port} snat to {wan}:{port + SHIFT}" for port in ports]
    elif kind == "symmetric":
        source = ["meta l4proto udp masquerade fully-random"]
    elif kind == "symmetric-block":
        first = block(number)
        source = [f"meta l4proto udp masquerade to :{first}-{first + BLOCK - 1} fully-random"]
    elif kind == "open":
        forward = [f"ip daddr {wan} udp dport {port} dnat to {host}" for port, host in ports.items()]
        inward = "accept"
    elif kind != "cone":
        raise ValueError(f"no such kind of NAT: {kind}")
    source = [f'oifname "wan" {rule}' for rule in [*source, "masquerade"]]
    source.append('iifname "lan" oifname "lan" ct status dnat masquerade')  # hairpin
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
  chain input {{
    type filter hook input priority 0
    ct state established,related accept
    meta l4proto udp drop
  }}
  chain forward {{
    type filter hook forward priority 0
    ct state established,related accept
    ct status dnat accept
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
