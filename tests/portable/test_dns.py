"""dns.py: questions, answers with aliases and compression, and every lie about lengths."""
import struct

from helpers import raises

from wgp2p import dns

ID = 0x1234
QUESTION = b"\3vpn\7example\3org\0"
HEADER = struct.pack("!HHHHHH", ID, 0x8180, 1, 1, 0, 0)


def packet(answers, flags=0x8180, count=None, question=QUESTION, kind=dns.A, identifier=ID):
    """An answer of these records (bytes)."""
    count = len(answers) if count is None else count
    return (struct.pack("!HHHHHH", identifier, flags, 1, count, 0, 0) + question + struct.pack("!HH", kind, 1)
            + b"".join(answers))


def record(owner, kind, ttl, value, family=1):
    return owner + struct.pack("!HHIH", kind, family, ttl, len(value)) + value


ASKED = b"\xc0\x0c"  # the question's name
ADDRESS = record(ASKED, 1, 300, b"\xcb\x00\x71\x09")


def parse(data, kind=dns.A, name="vpn.example.org"):
    return dns.parse_answer(data, name, kind, ID)


def test_query():
    query = dns.build_query("vpn.example.org", dns.AAAA, ID)
    assert query == b"\x12\x34\x01\x00\0\1\0\0\0\0\0\0" + QUESTION + b"\0\x1c\0\1"
    assert dns.build_query("vpn.example.org.", dns.AAAA, ID) == query


def test_names_that_are_none():
    for name in ("", ".", "a..b", ".a", "a" * 64, "a b", "a\0b", "\u00fc.org", ".".join(["abcdefg"] * 32), "a\n"):
        raises(dns.DnsError, dns.build_query, name, dns.A, ID)
    dns.build_query(".".join(["a" * 63] * 3) + "." + "b" * 61, dns.A, ID)


def test_answers():
    six = bytes([0x20, 1, 0xd, 0xb8]) + bytes(11) + b"\1"
    other = record(b"\5other\xc0\x10", 1, 5, b"\1\2\3\4")
    alias = record(ASKED, 5, 60, b"\4host\xc0\x10")
    target = record(b"\4host\xc0\x10", 1, 30, b"\xcb\x00\x71\x0a")
    soa = record(b"\xc0\x10", 6, 900, b"anything")
    for data, kind, expected in (
            (packet([ADDRESS]), 1, (["203.0.113.9"], 300)),
            (packet([ADDRESS, ADDRESS, record(ASKED, 1, 10, b"\1\2\3\4")]), 1, (["203.0.113.9", "1.2.3.4"], 10)),
            (packet([record(QUESTION, 1, 300, b"\1\2\3\4")]), 1, (["1.2.3.4"], 300)),
            (packet([record(ASKED, 28, 7, six)], kind=28), 28, (["2001:db8::1"], 7)),
            (packet([]), 1, ([], 0)),
            (packet([other]), 1, ([], 0)),
            (packet([soa]), 1, ([], 0)),
            (packet([alias, target]), 1, (["203.0.113.10"], 30)),
            (packet([target, alias]), 1, (["203.0.113.10"], 30)),
            (packet([alias]), 1, ([], 0)),
            (packet([record(ASKED, 1, 0x80000001, b"\1\2\3\4")]), 1, (["1.2.3.4"], 0)),
            (packet([record(ASKED, 1, 9, b"\1\2\3\4", family=3)]), 1, ([], 0)),
            (packet([ADDRESS], question=b"\3VPN\7eXample\3org\0"), 1, (["203.0.113.9"], 300)),
            (packet([record(b"\3VPN\7EXAMPLE\3ORG\0", 1, 300, b"\1\2\3\4")]), 1, (["1.2.3.4"], 300)),
            (packet([ADDRESS], flags=0x8580), 1, (["203.0.113.9"], 300)),
    ):
        for behind in (b"", b"\0", b"\xff" * 50):
            assert parse(data + behind, kind) == expected, (data, parse(data, kind))


def test_the_servers_own_errors_are_final():
    for data, words in ((packet([], flags=0x8183), "no such name"), (packet([], flags=0x8182), "failed"),
                        (packet([], flags=0x8185), "refused"), (packet([], flags=0x818f), "error 15"),
                        (packet([ADDRESS], flags=0x8380), "does not fit"),
                        (packet([ADDRESS] * 65), "more than 64"),
                        (packet([record(ASKED, 5, 60, ASKED)]), "circle")):
        error = raises(dns.DnsError, parse, data)
        assert error.final and words in str(error), str(error)


def test_what_is_not_for_us_is_ignored():
    good = packet([ADDRESS])
    for data in (b"", good[:11], packet([ADDRESS], identifier=ID + 1), packet([ADDRESS], flags=0x0180),
                 packet([ADDRESS], flags=0x9180), packet([ADDRESS], kind=28),
                 packet([ADDRESS], question=b"\3vpm\7example\3org\0"), packet([ADDRESS], question=b"\0"),
                 packet([], flags=0x8183, question=b"\3vpm\7example\3org\0"),
                 good[:4] + b"\0\0" + good[6:], good[:4] + b"\0\2" + good[6:],
                 good[:-15] + b"\3" + good[-14:]):
        error = raises(dns.DnsError, parse, data)
        assert not error.final, data


def test_lies():
    for answer in (record(b"\xc0\xff", 1, 1, b"\1\2\3\4"),  # behind the end
                   record(b"\xc0\x21", 1, 1, b"\1\2\3\4"),  # to itself
                   record(b"\1a\xc0\x21", 1, 1, b"\1\2\3\4"),
                   record(b"\xc0\x23", 1, 1, b"\1\2\3\4"),  # forwards
                   record(b"\x40a", 1, 1, b"\1\2\3\4"), record(b"\x80a", 1, 1, b"\1\2\3\4"),
                   record(ASKED, 1, 1, b"\1\2\3"), record(ASKED, 1, 1, b"\1\2\3\4\5"), record(ASKED, 1, 1, b""),
                   record(ASKED, 28, 1, b"\1\2\3\4"),
                   record(ASKED, 5, 1, b""), record(ASKED, 5, 1, b"\4host"), record(ASKED, 5, 1, ASKED + b"\0"),
                   record(ASKED, 5, 1, b"\xc0"),
                   record(ASKED, 5, 1, b"\4host\0\0"), ADDRESS[:-1], ADDRESS[:5], b"\xc0", b""):
        raises(dns.DnsError, parse, packet([answer], count=1))
    # each pointer leads to the one before it: bounded
    chain = b"\0" + b"".join([struct.pack("!H", 0xC000 | (33 if i == 0 else 32 + 2 * i)) for i in range(60)])
    raises(dns.DnsError, parse, packet([chain]))
    long = b"\x3f" + b"a" * 63
    raises(dns.DnsError, parse, packet([record(long * 4 + b"\0", 1, 1, b"\1\2\3\4")]))


def test_every_truncation():
    data = packet([record(ASKED, 5, 60, b"\4host\xc0\x10"), record(b"\4host\xc0\x10", 1, 30, b"\1\2\3\4")])
    assert parse(data) == (["1.2.3.4"], 30)
    for end in range(len(data)):
        assert not raises(dns.DnsError, parse, data[:end]).final


def test_resolv_conf():
    text = ("# Interface wan\nnameserver 192.0.2.1\nnameserver  192.0.2.1 \nsearch lan\noptions x\nnameserver\n"
            "nameserver fe80::1%eth0\nnameserver bogus\n\tnameserver 2001:DB8:0::1\n;nameserver 9.9.9.9\n"
            "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\n")
    assert dns.parse_resolv_conf(text) == ["192.0.2.1", "2001:db8::1", "1.1.1.1", "1.1.1.2"]
    assert dns.parse_resolv_conf("") == []
