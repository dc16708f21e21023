"""Where a probe goes."""
from wgp2p import probe

PLACES = [
    (("10.0.0.3/32",), "10.0.0.3"), (("192.168.1.0/24", "10.0.0.3/32"), "10.0.0.3"), (("fd00::7/128",), "fd00::7"),
    (("192.168.1.0/24",), "192.168.1.1"), (("fd00:1::/64", "10.0.0.0/8"), "fd00:1::1"), (("0.0.0.0/0", "::/0"), None),
    ((), None),
]


def test_an_address_that_leads_to_the_peer():
    for allowed, ip in PLACES:
        assert probe.host_of(allowed) == ip, allowed
