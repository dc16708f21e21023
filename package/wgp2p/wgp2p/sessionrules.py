"""The rules of the table `inet wgp2p_sessions`, as text for nft(8): the kernel notes the indices of WireGuard's
handshakes, and sends one small message elsewhere when it is told to (`SessionTable.divert`). All else passes as if the
table were not there.

A handshake (WireGuard's whitepaper, 5.4.2 and 5.4.3) is an initiation with its sender's index, and a response with its
sender's and its receiver's. A response that leaves is the whole of a session; one that arrives is taken only when it
answers an initiation that left for there, since anybody may have sent it. The chains stand where WireGuard itself
stands: on its way out before any translation and tracking, and behind the filters on its way in.

A message to be diverted is known by its target and its size. The first one is: the element goes with it.

The daemon's packets that only open a NAT (openers.py) are not tracked when they have a mark.
"""
TABLE = "wgp2p_sessions"
_CALLS, _SESSIONS, _DIVERTED = 1024, 4096, 16  # at most
DIVERT_MS = 150  # how long it waits for its message
# An empty echo request has 28 bytes, with IPv6 48; WireGuard fills them up to 32 and 48 and adds 32 (whitepaper 5.4.6).
ECHO_SIZES = (64, 80)  # of the messages that can be diverted
UNTRACKED = 0x77000005  # the mark (relayrules.py has those before it)
# UDP's length, and WireGuard's first four bytes: type and three zero bytes.
_INITIATION = "udp length 156 @th,64,32 0x01000000"
_RESPONSE = "udp length 100 @th,64,32 0x02000000"
_TRANSPORT = "@th,64,32 0x04000000"
_OPENER = 12  # UDP's length


def script(port):
    """What `nft -f -` makes the table with, for WireGuard's listen port `port`; a table that is there keeps what it has
    noted, and the ports it watches. ValueError for no port."""
    if not 0 < port < 65536:
        raise ValueError("no port: %d" % port)
    lines = ["table inet %s {" % TABLE, "\tset ports { type inet_service; }"]
    outgoing = ["udp length %d meta mark 0x%08x notrack" % (_OPENER, UNTRACKED)]
    incoming, diverted = [], []
    for family, ip in (("4", "ip"), ("6", "ip6")):
        there, here = ip + " daddr . udp dport", ip + " saddr . udp sport"
        probe = there + " . udp length"
        lines += _set("set calls", family, there + " . @th,96,32", "dynamic,timeout", "20s", _CALLS)
        lines += _set("set sessions", family, there + " . @th,96,32 . @th,128,32", "dynamic,timeout", "240s", _SESSIONS)
        lines += _set("set probes", family, probe, "dynamic,timeout", "%dms" % DIVERT_MS, _DIVERTED)
        for name, data in (("map address", ip + " daddr"), ("map port", "udp dport")):
            lines += _set(name, family, "udp length : " + data, "timeout", "%dms" % DIVERT_MS, _DIVERTED)
        outgoing += ["%s update @calls%s { %s . @th,96,32 }" % (_INITIATION, family, there),
                     "%s update @sessions%s { %s . @th,96,32 . @th,128,32 }" % (_RESPONSE, family, there)]
        incoming += ["%s %s . @th,128,32 @calls%s update @sessions%s { %s . @th,128,32 . @th,96,32 }" % (
            _RESPONSE, here, family, family, here)]
        diverted.append("%s @probes%s %s delete @probes%s { %s } udp dport set udp length map @port%s "
                        "%s daddr set udp length map @address%s" % (
                            probe, family, _TRANSPORT, family, probe, family, ip, family))
    # All other traffic of this machine passes one rule in each chain.
    handshakes, echoes = "100, 156", "%d, %d" % tuple([8 + size for size in ECHO_SIZES])
    chains = (("outgoing", "type filter hook output priority raw", "sport", "%d, %s" % (_OPENER, handshakes), outgoing),
              ("incoming", "type filter hook input priority filter + 10", "dport", handshakes, incoming),
              ("diverted", "type route hook output priority raw", "sport", echoes, diverted))
    for name, hook, _, _, _ in chains:
        lines += ["\tchain %s_rules { }" % name, "\tchain %s { %s; }" % (name, hook)]
    lines.append("}")
    for name, _, own, which, rules in chains:
        lines += ["flush chain inet %s %s" % (TABLE, chain) for chain in (name, name + "_rules")]
        lines += ["table inet %s {" % TABLE, "\tchain %s_rules {" % name]
        lines += ["\t\t" + rule for rule in rules]
        lines += ["\t}", "\tchain %s {" % name,
                  "\t\tudp %s @ports udp length { %s } goto %s_rules" % (own, which, name), "\t}", "}"]
    return "\n".join(lines + ["add element inet %s ports { %d }" % (TABLE, port), ""])


def _set(name, family, key, flags, timeout, most):
    return ["\t%s%s {" % (name, family), "\t\ttypeof " + key,
            "\t\tflags %s; timeout %s; size %d" % (flags, timeout, most), "\t}"]
