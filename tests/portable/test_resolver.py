"""resolver.py against name servers by hand: answers, silence, lies and failures."""
import os
import struct

from helpers import drive

from wgp2p import compat, dns
from wgp2p.compat import sockaddr
from wgp2p.loop import READ, Loop
from wgp2p.resolver import Resolver

PORT = 20000 + compat.random_below(10000)
CONF = "/tmp/wgp2p-test-resolv-%d" % compat.random_below(1 << 32)
ADDRESSES = {dns.A: bytes([203, 0, 113, 9]), dns.AAAA: bytes([0x20, 1, 0xD, 0xB8]) + bytes(11) + b"\1"}


def answer(query, addresses, flags=0x8180):
    """The packet that gives these addresses (bytes)."""
    kind = struct.unpack_from("!H", query, len(query) - 4)[0]
    out = query[:2] + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0) + query[12:]
    for address in addresses:
        out += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(address)) + address
    return out


class NameServer:
    """Answers with what `handler(query, kind, count)` gives: a list of packets."""

    def __init__(self, loop, ip, handler):
        self.loop, self.handler = loop, handler
        self.queries = []
        self.sock = compat.open_socket(compat.AF_INET, compat.SOCK_DGRAM)
        self.sock.bind(sockaddr(ip, PORT))
        loop.watch(self.sock.fileno(), READ, self.ready)

    def ready(self, _):
        query, address = self.sock.recvfrom(1000)
        kind = struct.unpack_from("!H", query, len(query) - 4)[0]
        self.queries.append((query, address))
        for packet in self.handler(query, kind, len(self.queries)):
            self.sock.sendto(packet, address)

    def close(self):
        self.loop.unwatch(self.sock.fileno())
        self.sock.close()


def good(query, kind, count):
    return [answer(query, [ADDRESSES[kind]])]


def lookup(handlers, name="vpn.example.org", limit_ms=9000):
    """((addresses, error), the servers, ms that it took) with name servers at 127.0.0.1, 127.0.0.2, ...; None as a
    handler: nobody listens there."""
    before = len(os.listdir("/proc/self/fd"))
    loop = Loop()
    servers = [handler and NameServer(loop, "127.0.0.%d" % (i + 1), handler) for i, handler in enumerate(handlers)]
    with open(CONF, "w") as file:
        file.write("".join(["nameserver 127.0.0.%d\n" % (i + 1) for i in range(len(handlers))]))
    got = []
    begun = loop.now()
    try:
        resolver = Resolver(loop, ("/nonexistent", CONF), PORT)
        resolver.resolve(name, lambda addresses, error: got.append((addresses, error)))
        assert not got, "an answer before the call returned"
        drive(loop, lambda: got, limit_ms)
        took = loop.now() - begun
        loop.run_once(1)
        assert len(got) == 1 and not resolver._lookups
    finally:
        os.unlink(CONF)
        for server in servers:
            if server:
                server.close()
    assert len(os.listdir("/proc/self/fd")) == before, "a descriptor is lost"
    return got[0], servers, took


BOTH = (["203.0.113.9", "2001:db8::1"], None)


def test_both_kinds_at_once():
    got, servers, took = lookup([good])
    assert got == BOTH and took < 500
    first, second = [query for query, _ in servers[0].queries]
    assert sorted([first[-3], second[-3]]) == [1, 28]
    ports = [compat.sockaddr_text(address)[1] for _, address in servers[0].queries]
    assert ports[0] != ports[1]


def test_ids_and_ports_are_random():
    seen = set()
    ports = set()
    for _ in range(10):
        _, servers, _ = lookup([good])
        for query, address in servers[0].queries:
            seen.add(query[:2])
            ports.add(compat.sockaddr_text(address)[1])
    assert len(seen) >= 18 and len(ports) >= 15, (seen, ports)


def test_literal_addresses_ask_nobody():
    for name, expected in (("203.0.113.7", "203.0.113.7"), ("2001:DB8:0:0::1", "2001:db8::1")):
        got, servers, took = lookup([good], name)
        assert got == ([expected], None) and not servers[0].queries


def test_one_kind_only():
    got, _, took = lookup([lambda query, kind, count: [answer(query, [ADDRESSES[1]] if kind == 1 else [])]])
    assert got == (["203.0.113.9"], None) and took < 500
    got, _, took = lookup([lambda query, kind, count: [answer(query, [])]])
    assert got == ([], "vpn.example.org: no address") and took < 500


def test_a_kind_that_is_never_answered_does_not_block_the_other():
    got, _, took = lookup([lambda query, kind, count: good(query, kind, count) if kind == 1 else []])
    assert got == (["203.0.113.9"], None) and 900 < took < 2000, took


def test_a_lost_packet_is_asked_again():
    got, servers, took = lookup([lambda query, kind, count: good(query, kind, count) if count > 2 else []])
    assert got == BOTH and 900 < took < 2000
    ids = [query[:2] for query, _ in servers[0].queries]
    assert len(ids) == 4


def test_what_is_answered_is_not_asked_again():
    got, servers, took = lookup([lambda query, kind, count: [answer(query, [])] if kind == 1 or count > 2 else []])
    assert got == ([], "vpn.example.org: no address") and 900 < took < 2000
    assert len(servers[0].queries) == 3


def test_the_next_server_after_silence():
    got, servers, took = lookup([lambda query, kind, count: [], good])
    assert got == BOTH and 2900 < took < 4000, took
    assert len(servers[0].queries) == 4 and len(servers[1].queries) == 2


def test_the_next_server_at_once_after_a_failure():
    for broken in (None, lambda query, kind, count: [answer(query, [], 0x8182)],
                   lambda query, kind, count: [answer(query, [], 0x8185)],
                   lambda query, kind, count: [answer(query, [ADDRESSES[kind]], 0x8380)]):
        got, servers, took = lookup([broken, good])
        assert got == BOTH and took < 500, took
        assert broken is None or len(servers[0].queries) == 2, "asked again after it had failed"


def test_nobody_answers():
    got, servers, took = lookup([lambda query, kind, count: []] * 3)
    assert got == ([], "vpn.example.org: no name server answers") and 7900 < took < 8500, (got, took)
    got, _, took = lookup([])
    assert got == ([], "vpn.example.org: no name server is configured") and took < 500
    got, _, took = lookup([None])
    assert got[0] == [] and "refused" in got[1] and took < 500
    got, _, took = lookup([lambda query, kind, count: [answer(query, [], 0x8183)]])
    assert got == ([], "vpn.example.org: name server 127.0.0.1: no such name") and took < 500


def test_lies_are_ignored():
    def lying(query, kind, count):
        other = bytes([6, 6, 6, 6]) + (bytes(12) if kind == 28 else b"")
        wrong_id = bytes([query[0] ^ 1]) + query[1:]
        wrong_name = query[:13] + b"x" + query[14:]
        return [b"", b"junk", answer(wrong_id, [other]), answer(wrong_name, [other]), answer(query, [other], 0x0100),
                answer(query, [other])[:-1]] + good(query, kind, count)
    got, _, took = lookup([lying])
    assert got == BOTH and took < 500


def test_answers_of_another_server_do_not_count():
    loop = Loop()
    other = compat.open_socket(compat.AF_INET, compat.SOCK_DGRAM)
    other.bind(sockaddr("127.0.0.9", PORT))

    def answered_elsewhere(query, kind, count):
        address = servers[0].queries[-1][1]
        other.sendto(answer(query, [bytes([6, 6, 6, 6])] if kind == 1 else []), address)
        return good(query, kind, count)

    servers = [NameServer(loop, "127.0.0.1", answered_elsewhere)]
    with open(CONF, "w") as file:
        file.write("nameserver 127.0.0.1\n")
    got = []
    Resolver(loop, (CONF,), PORT).resolve("vpn.example.org", lambda addresses, error: got.append((addresses, error)))
    drive(loop, lambda: got)
    assert got == [BOTH]
    servers[0].close()
    other.close()
    os.unlink(CONF)


def test_names_that_are_none():
    for name in ("", "a..b", "\u00fc.example", "x" * 64 + ".org"):
        got, servers, took = lookup([good], name)
        assert got[0] == [] and "not a host name" in got[1] and took < 500 and not servers[0].queries


def test_closing():
    loop = Loop()
    server = NameServer(loop, "127.0.0.1", lambda query, kind, count: [])
    with open(CONF, "w") as file:
        file.write("nameserver 127.0.0.1\n")
    got = []
    resolver = Resolver(loop, (CONF,), PORT)
    for _ in range(3):
        resolver.resolve("vpn.example.org", lambda addresses, error: got.append((addresses, error)))
    drive(loop, lambda: len(server.queries) == 6)
    resolver.close()
    begun = loop.now()
    drive(loop, lambda: loop.now() > begun + 1300)
    assert not got and len(server.queries) == 6
    server.close()
    os.unlink(CONF)
