"""Ask a client through the tunnel for a sign of life.

Keepalives are not answered, and in a tunnel that both sides keep alive only one of them ever sends any: each packet
received puts off the own keepalive (timers.c of the kernel, wg_timers_any_authenticated_packet_traversal). So silence
alone tells nothing. A data packet does: WireGuard itself answers one with a keepalive after 10 s when nothing else
goes back (section 6.5 of the WireGuard paper, "Passive Keepalive"), whatever the client's firewall thinks of it.
"""
from .addr import format_ip, parse_network
from .compat import AF_INET, AF_INET6, SOCK_DGRAM, bind_to_device, open_socket, sockaddr

_DISCARD = 9  # RFC 863


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
    sock = open_socket(AF_INET6 if ":" in ip else AF_INET, SOCK_DGRAM)
    try:
        bind_to_device(sock, interface)
        sock.sendto(b"", sockaddr(ip, _DISCARD))
    finally:
        sock.close()
