"""The rules of the table `inet wgp2p_sessions`, as text for nft(8): the kernel notes the indices of WireGuard's
handshakes, and lets every packet pass as if the table were not there.

A handshake (WireGuard's whitepaper, 5.4.2 and 5.4.3) is an initiation with its sender's index, and a response with its
sender's and its receiver's. A response that leaves is the whole of a session; one that arrives is taken only when it
answers an initiation that left for there, since anybody may have sent it. The chains stand where WireGuard itself
stands: on its way out before any translation, and behind the filters on its way in.
"""
TABLE = "wgp2p_sessions"
_CALLS, _SESSIONS = 1024, 4096  # at most
# UDP's length, and WireGuard's first four bytes: type and three zero bytes.
_INITIATION = "udp length 156 @th,64,32 0x01000000"
_RESPONSE = "udp length 100 @th,64,32 0x02000000"


def script(port):
    """What `nft -f -` makes the table with, for WireGuard's listen port `port`; a table that is there keeps what it has
    noted, and the ports it watches. ValueError for no port."""
    if not 0 < port < 65536:
        raise ValueError("no port: %d" % port)
    lines = ["table inet %s {" % TABLE, "\tset ports { type inet_service; }"]
    outgoing, incoming = [], []
    for family, ip in (("4", "ip"), ("6", "ip6")):
        there, here = ip + " daddr . udp dport", ip + " saddr . udp sport"
        lines += _set("calls" + family, there + " . @th,96,32", 20, _CALLS)
        lines += _set("sessions" + family, there + " . @th,96,32 . @th,128,32", 240, _SESSIONS)
        outgoing += ["%s update @calls%s { %s . @th,96,32 }" % (_INITIATION, family, there),
                     "%s update @sessions%s { %s . @th,96,32 . @th,128,32 }" % (_RESPONSE, family, there)]
        incoming += ["%s %s . @th,128,32 @calls%s update @sessions%s { %s . @th,128,32 . @th,96,32 }" % (
            _RESPONSE, here, family, family, here)]
    hooks = (("outgoing", "sport", "output priority raw", outgoing),
             ("incoming", "dport", "input priority filter + 10", incoming))
    for name, _, hook, _ in hooks:
        lines += ["\tchain %s_handshakes { }" % name, "\tchain %s { type filter hook %s; }" % (name, hook)]
    lines.append("}")
    for name, own, _, rules in hooks:
        lines += ["flush chain inet %s %s" % (TABLE, chain) for chain in (name, name + "_handshakes")]
        lines += ["table inet %s {" % TABLE, "\tchain %s_handshakes {" % name]
        lines += ["\t\t" + rule for rule in rules]
        lines += ["\t}", "\tchain %s {" % name,  # all other traffic of this machine passes this one rule
                  "\t\tudp %s @ports udp length { 100, 156 } goto %s_handshakes" % (own, name), "\t}", "}"]
    return "\n".join(lines + ["add element inet %s ports { %d }" % (TABLE, port), ""])


def _set(name, key, seconds, most):
    return ["\tset %s {" % name, "\t\ttypeof " + key,
            "\t\tflags dynamic,timeout; timeout %ds; size %d" % (seconds, most), "\t}"]
