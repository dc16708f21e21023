"""Addresses and endpoints: what is accepted, and that each has one text."""
from helpers import raises

from wgp2p import addr

SAME = [  # what comes in, its one text
    ("203.0.113.9", "203.0.113.9"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
    ("2001:DB8::1", "2001:db8::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("::", "::"), ("::1", "::1"),
    ("1::", "1::"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("::ffff:192.0.2.1", "192.0.2.1"),
    ("0:0:0:0:0:ffff:c000:201", "192.0.2.1"), ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
]
NOT_IPS = ["", ".", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.-4", "1.2.3.4 ", " 1.2.3.4", "a.b.c.d",
           "fe80::1%eth0", ":", ":::", "1::2::3", "12345::", "g::1", "(none)", "1.2.3.4\0", "::1\n", "1" * 60]
NOT_ENDPOINTS = ["", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:99999999", "::1:5", "[::1]",
                 "[::1]:0", "[1.2.3.4:5", "host:5", "1.2.3.4:+5", "1.2.3.4:05", "(none)", "[]:5", "1.2.3.4:5\n"]


def test_addresses_have_one_text():
    for given, text in SAME:
        assert addr.canonical_ip(given) == text, given
        assert addr.canonical_ip(text) == text


def test_what_is_no_address_is_refused():
    for text in NOT_IPS:
        raises(ValueError, addr.parse_ip, text)


def test_endpoints():
    assert addr.canonical_endpoint("203.0.113.9:51820") == "203.0.113.9:51820"
    assert addr.canonical_endpoint("[2001:DB8:0::1]:1") == "[2001:db8::1]:1"
    assert addr.canonical_endpoint("[::ffff:192.0.2.1]:7") == "192.0.2.1:7"
    for text in NOT_ENDPOINTS:
        raises(ValueError, addr.parse_endpoint, text)


def test_networks():
    network = addr.parse_network("10.1.2.3/20")
    assert addr.format_network(network) == "10.1.0.0/20"
    assert addr.contains(network, addr.parse_ip("10.1.15.255"))
    assert not addr.contains(network, addr.parse_ip("10.1.16.0"))
    assert not addr.contains(network, addr.parse_ip("::1"))
    assert addr.format_network(addr.parse_network("fd00::1")) == "fd00::1/128"
    assert addr.contains(addr.parse_network("0.0.0.0/0"), addr.parse_ip("8.8.8.8"))
    for text in ("10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "10.0.0.0/8/8", "/8"):
        raises(ValueError, addr.parse_network, text)


def test_inside():
    for text in ("192.168.1.7", "10.0.0.1", "172.16.0.1", "172.31.255.255", "100.64.0.0", "100.127.255.255"):
        assert addr.is_inside(text), text
    for text in ("172.32.0.1", "100.128.0.0", "192.169.0.1", "203.0.113.9", "2001:db8::1"):
        assert not addr.is_inside(text), text


def test_unicast():
    for text in ("192.168.1.7", "10.0.0.1", "100.64.3.3", "203.0.113.9", "2001:db8::1", "fd00::1"):
        assert addr.is_unicast(text), text
    for text in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "169.254.1.1", "::", "::1",
                 "ff02::1", "fe80::1", "0.1.2.3"):
        assert not addr.is_unicast(text), text


def test_the_longest_network_says_whose_an_address_is():
    rows = [("all", [addr.parse_network("0.0.0.0/0")]), ("net", [addr.parse_network("10.0.0.0/24")]),
            ("host", [addr.parse_network("fd00::1/128"), addr.parse_network("10.0.0.3/32")])]
    for ip, whose in (("10.0.0.3", "host"), ("10.0.0.4", "net"), ("8.8.8.8", "all"), ("fd00::1", "host"),
                      ("fd00::2", None)):
        assert addr.longest_match(rows, ip) == whose, ip
    raises(ValueError, addr.longest_match, rows, "nonsense")
