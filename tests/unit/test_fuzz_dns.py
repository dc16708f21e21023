"""dns.py under random input: answers built here are read back; anything else is DnsError."""
import struct

from hypothesis import given
from hypothesis import strategies as st
from test_dns import ADDRESS, ID, packet, record

from wgp2p import dns

LABELS = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-_", min_size=1, max_size=20)
HOSTS = st.lists(LABELS, min_size=1, max_size=5).map(".".join)
ALIAS = packet([record(b"\xc0\x0c", 5, 60, b"\4host\xc0\x10"), record(b"\4host\xc0\x10", 1, 30, b"\1\2\3\4")])


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


ADDRESSES = st.lists(st.binary(min_size=4, max_size=4), max_size=5, unique=True)


@given(HOSTS, st.lists(HOSTS, max_size=4, unique_by=str.lower), ADDRESSES, st.integers(0, 0x7FFFFFFF),
       st.randoms())
def test_round_trip(name, aliases, addresses, ttl, random):
    chain = [name] + [alias for alias in aliases if alias.lower() != name.lower()]
    records = [record(wire(one), 5, ttl, wire(other)) for one, other in zip(chain, chain[1:])]
    records += [record(wire(chain[-1]), 1, ttl, address) for address in addresses]
    random.shuffle(records)
    data = packet(records, question=wire(name))
    found, keep_s = dns.parse_answer(data, name, dns.A, ID)
    assert sorted(found) == sorted(".".join(map(str, address)) for address in addresses)
    assert keep_s == (ttl if addresses else 0)
    assert dns.build_query(name, dns.A, ID)[12:] == wire(name) + b"\0\1\0\1"


def parse(data):
    """Parses or raises DnsError; any other exception fails the test."""
    try:
        addresses, keep_s = dns.parse_answer(data, "vpn.example.org", dns.A, ID)
        assert len(addresses) <= 64 and 0 <= keep_s < 2**31
    except dns.DnsError as error:
        assert str(error)


@given(st.binary(max_size=120))
def test_junk(data):
    parse(data)
    parse(packet([data], count=3))
    parse(packet([data, ADDRESS]))


@given(st.lists(st.sampled_from([b"\xc0", b"\x0c", b"\xc0\x0c", b"\0", b"\1a", b"\3vpn", b"\0\1\0\1", b"\0\0\0\5",
                                 b"\0\4", b"\0\5\0\1\0\0\0\5", b"\xc0\x21", b"\xc0\x25", b"\1\2\3\4"]),
                max_size=20).map(b"".join), st.integers(0, 70))
def test_near_records(data, count):
    parse(packet([data], count=count))


@given(st.integers(0, 1000), st.binary(max_size=3), st.integers(0, 3))
def test_mutations(at, put, take):
    at %= len(ALIAS)
    parse(ALIAS[:at] + put + ALIAS[at + take:])


@given(st.text(max_size=80))
def test_names(name):
    try:
        query = dns.build_query(name, dns.A, ID)
        assert struct.unpack_from("!H", query)[0] == ID and len(query) <= 12 + 255 + 4
    except dns.DnsError:
        pass


@given(st.text(max_size=200))
def test_resolv_conf(text):
    assert len(dns.parse_resolv_conf("nameserver 1.2.3.4\n" + text)) <= 4
