"""The table's text out of facts. That nft takes it, and what it does, is the lab's to show."""
from helpers import raises

from wgp2p.ruleset import free_range, script

WHOLE = """add table inet wgp2p
delete table inet wgp2p
table inet wgp2p {
	chain srcnat {
		type nat hook postrouting priority srcnat - 5; policy accept;
		FROM { 51820 } fib saddr . oif type local snat ip to ip saddr
		FROM { 51820 } ip saddr PRIVATE fib saddr type local masquerade
		FROM { 51820 } ip saddr PRIVATE masquerade to :1024-39999
		FROM { 40000, 51821 } ip saddr PRIVATE masquerade
	}
	chain dstnat {
		type nat hook prerouting priority dstnat - 5; policy accept;
		iifname != { "eth1", "pppoe-wan", "wg0" } ip daddr 198.51.100.7 udp dport 7777 redirect to :51820
	}
}
""".replace("PRIVATE", "{ 10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16 }").replace(
    "FROM", 'oifname { "eth1", "pppoe-wan" } meta nfproto ipv4 udp sport')


def test_whole():
    text = script(["pppoe-wan", "eth1"], [51820], [51821, 40000], [("198.51.100.7", 7777, 51820)], ["wg0"])
    assert text == WHOLE


def test_order_and_repetition_change_nothing():
    one = script(["a", "b"], [1, 2], [4, 3], [("192.0.2.1", 1, 2), ("192.0.2.2", 1, 2)], ["wg0", "wg1"])
    assert one == script(["b", "a", "b"], [2, 1, 1], [3, 4], [("192.0.2.2", 1, 2), ("192.0.2.1", 1, 2)], ["wg1", "wg0"])


def test_nothing_wanted():
    assert script([], [], [], [], []) == "" == script(["eth1"], [], [], [], ["wg0"])
    assert script([], [51820], [40000], [], ["wg0"]) == "", "no uplink, no port to keep"


def test_at_home_needs_no_uplink():
    text = script([], [51820], [], [("198.51.100.7", 7777, 51820)], ["wg0"])
    assert 'iifname != { "wg0" } ip daddr' in text and "srcnat" not in text
    assert "\t\tip daddr" in script([], [], [], [("198.51.100.7", 7777, 51820)], [])


def test_our_own_port_goes_before_a_listed_one():
    text = script(["eth1"], [51820], [51820], [], [])
    assert text.count("udp sport") == 3 and "masquerade to :1024-51819" in text


def test_listed_ports_alone():
    text = script(["eth1"], [], [3074], [], [])
    assert "udp sport { 3074 }" in text and "fib" not in text


def test_names_that_would_be_rules_are_refused():
    for name in ("", 'a"', "a b", "eth*", "a\n", "$x", "a{", "a;", "a#", "über", "x" * 16):
        raises(ValueError, script, [name], [51820], [], [], [])
        raises(ValueError, script, [], [], [], [("192.0.2.1", 1, 2)], [name])
    for name in ("br-lan.2", "eth1@x", "wlan0_1", "a:b", "pppoe-wan", "x" * 15):
        assert '"' + name + '"' in script([name], [51820], [], [], [])


def test_addresses_and_ports_that_are_none_are_refused():
    for row in (("2001:db8::1", 1, 2), ("192.0.2.1; drop", 1, 2), ("192.0.2.1", 0, 2), ("192.0.2.1", 1, 65536)):
        raises(ValueError, script, [], [], [], [row], [])
    raises(ValueError, script, ["eth1"], [0], [], [], [])
    raises(ValueError, script, ["eth1"], [], [65536], [], [])


def test_free_range():
    assert free_range([51820]) == (1024, 51819)
    assert free_range([2000]) == (2001, 65535)
    assert free_range([51820, 20000, 20000, 500]) == (20001, 51819)
    assert free_range([1024]) == (1025, 65535) and free_range([65535]) == (1024, 65534)
    assert free_range([]) == (1024, 65535)
