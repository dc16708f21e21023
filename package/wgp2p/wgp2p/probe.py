"""Ask a client through the tunnel for a sign of life.

Keepalives are not answered, and in a tunnel that both sides keep alive only one of them ever sends any: each packet
received puts off the own keepalive (timers.c of the kernel, wg_timers_any_authenticated_packet_traversal). So silence
alone tells nothing. A data packet does: WireGuard itself answers one with a keepalive after 10 s when nothing else
goes back (section 6.5 of the WireGuard paper, "Passive Keepalive"), whatever the client's firewall thinks of it.
"""
from .addr import format_ip, parse_network
from .compat import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_RAW, bind_to_device, open_socket, sockaddr

_DISCARD = 9  # RFC 863
_ICMP, _ICMPV6 = 1, 58
# Echo requests (RFC 792; RFC 4443, where the kernel adds the checksum): no identifier, since nobody reads the answer.
_ECHO, _ECHO_V6 = b"\x08\0\xf7\xff\0\0\0\0", b"\x80\0\0\0\0\0\0\0"


def host_of(allowed_ips):
    """An address that leads into the peer's tunnel: its own, the first that is allowed alone, else one of the first
    network (WireGuard answers whatever the address). None where it has none but the whole internet."""
    inside = None
    for text in allowed_ips:
        packed, bits = parse_network(text)
        if bits == 8 * len(packed):
            return format_ip(packed)
        if inside is None and bits:
            inside = format_ip(packed[:-1] + bytes([packed[-1] | 1]))
    return inside


def send(interface, ip):
    """Send an empty datagram through the interface to the discard port of a tunnel address. OSError."""
    _send(interface, ip, SOCK_DGRAM, 0, b"", _DISCARD)


def echo(interface, ip):
    """Send an ICMP echo request through the interface to a tunnel address: most phones answer at once. OSError."""
    if ":" in ip:
        _send(interface, ip, SOCK_RAW, _ICMPV6, _ECHO_V6, 0)
    else:
        _send(interface, ip, SOCK_RAW, _ICMP, _ECHO, 0)


def _send(interface, ip, kind, protocol, data, port):
    sock = open_socket(AF_INET6 if ":" in ip else AF_INET, kind, protocol)
    try:
        bind_to_device(sock, interface)
        sock.sendto(data, sockaddr(ip, port))
    finally:
        sock.close()
