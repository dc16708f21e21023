"""profile.py: the three kinds of profile, word by word, and every input that makes none."""
from fakewg import key
from helpers import raises

from wgp2p import profile
from wgp2p.profile import CLASSIC, ONE, PROXIED, ProfileError, Remote

SERVER = Remote(key(1), "vpn.example.org:51820", ["10.7.0.1/32"])
DEVICE = Remote(key(2), "203.0.113.9:51820", ["10.7.0.2/32", "192.168.1.0/24"])
HEAD = "[Interface]\nPrivateKey = %s\nAddress = 10.7.0.3/32\nListenPort = 36906\n" % key(9)


def make(kind, server=SERVER, device=DEVICE, private=None, addresses=("10.7.0.3",), port=36906, beacon=None, **more):
    return profile.profile(kind, private or key(9), addresses, port, server, device,
                           beacon if beacon is not None else key(3), **more)


def peers(text):
    """The peers' lines as [{name: value}], comments left out; the keys of one section occur once."""
    found = []
    for line in text.split("\n"):
        if line.startswith("["):
            found.append({})
        elif line and not line.startswith("#"):
            name, _, value = line.partition(" = ")
            assert name not in found[-1] and value
            found[-1][name] = value
    return found[1:]


def test_one_profile():
    text = make(ONE)
    assert text == HEAD + """
# public server
[Peer]
PublicKey = %s
Endpoint = vpn.example.org:51820
AllowedIPs = 10.7.0.1/32
PersistentKeepalive = 25

# remote device: it chooses the path
[Peer]
PublicKey = %s
AllowedIPs = 10.7.0.2/32, 192.168.1.0/24
PersistentKeepalive = 25

# beacon: keeps the way to the remote device open
[Peer]
PublicKey = %s
Endpoint = 203.0.113.9:51820
PersistentKeepalive = 25
""" % (key(1), key(2), key(3)), text


def test_classic():
    text = make(CLASSIC, beacon="", keepalive=10)
    assert text.startswith(HEAD) and key(3) not in text
    assert peers(text) == [
        {"PublicKey": key(1), "Endpoint": "vpn.example.org:51820", "AllowedIPs": "10.7.0.1/32",
         "PersistentKeepalive": "10"},
        {"PublicKey": key(2), "Endpoint": "203.0.113.9:51820", "AllowedIPs": "10.7.0.2/32, 192.168.1.0/24",
         "PersistentKeepalive": "10"}]


def test_proxied():
    text = make(PROXIED, beacon="", device=Remote(key(2), "", ["10.7.0.2", "192.168.1.7/24", "10.7.0.1/32"]))
    assert text.startswith(HEAD)
    assert peers(text) == [{"PublicKey": key(1), "Endpoint": "vpn.example.org:51820",
                            "AllowedIPs": "10.7.0.1/32, 10.7.0.2/32, 192.168.1.0/24", "PersistentKeepalive": "25"}]


def test_the_mtu():
    assert "\nListenPort = 36906\nMTU = 1412\nDNS = 10.7.0.1\n" in make(PROXIED, mtu=1412, dns=("10.7.0.1",))
    for kind in (ONE, CLASSIC):
        assert make(kind, mtu=1280).replace("MTU = 1280\n", "") == make(kind) == make(kind, mtu=None)
    for bad in (0, -1, 1279, 1421):
        assert "MTU" in str(raises(ProfileError, lambda: make(ONE, mtu=bad)))
    for line, mtu in ((None, None), (1500, 1420), (1492, 1412), (9000, 1420), (1360, 1280), (1359, 1280), (576, 1280)):
        assert profile.tunnel_mtu(line) == mtu, line


def test_ipv6_and_dns():
    text = make(ONE, Remote(key(1), "[2001:DB8:0::1]:51820", ["fd00:7::1"]),
                Remote(key(2), "[2001:db8::2]:4500", ["fd00:7::2/128", "::/0"]),
                addresses=("10.7.0.3/24", "FD00:7:0::3/64"), dns=("10.7.0.1", "fd00:7::1"))
    assert "\nAddress = 10.7.0.3/24, fd00:7::3/64\n" in text and "\nDNS = 10.7.0.1, fd00:7::1\n" in text
    server, device, beacon = peers(text)
    assert server["Endpoint"] == "[2001:db8::1]:51820" and server["AllowedIPs"] == "fd00:7::1/128"
    assert device["AllowedIPs"] == "fd00:7::2/128, ::/0" and "Endpoint" not in device
    assert beacon["Endpoint"] == "[2001:db8::2]:4500" and "AllowedIPs" not in beacon


def test_an_endpoint_is_a_host_and_a_port():
    for good, canonical in (("home.example.org:1", None), ("192.0.2.1:65535", None),
                            ("[::ffff:1.2.3.4]:5", "1.2.3.4:5"), ("[2001:db8::0]:5", "[2001:db8::]:5")):
        assert profile.checked_endpoint(good) == (canonical or good)
    for bad in ("", ":", "x", "x:", ":1", "x:0", "x:65536", "x:-1", "x:+1", "x:1 ", " x:1", "x:1\nPostUp = y", "x y:1",
                "2001:db8::1:5", "[2001:db8::1]", "[x]:1", "1.2.3:4", "1.2.3.4.5:1", "-x:1", "x;y:1", "x:1:2",
                "[::1%eth0]:1", "a" * 64 + ".org:1", "x:\uff11"):
        assert "HOST:PORT" in str(raises(ProfileError, profile.checked_endpoint, bad)), bad


def test_what_makes_no_profile():
    for call, words in (
            (lambda: make("half"), "no such kind"),
            (lambda: make(ONE, private="x\nPostUp = y"), "private key is no key"),
            (lambda: make(ONE, Remote("", SERVER.endpoint, [])), "public server is no key"),
            (lambda: make(ONE, device=Remote(None, DEVICE.endpoint, [])), "remote device is no key"),
            (lambda: make(ONE, beacon=""), "beacon's key is no key"),
            (lambda: make(ONE, beacon=key(2)), "beacon's key is another one's"),
            (lambda: make(CLASSIC, device=Remote(key(1), DEVICE.endpoint, [])), "is another one's"),
            (lambda: make(ONE, addresses=()), "needs an address"),
            (lambda: make(ONE, addresses=("10.7.0.3/33",)), "10.7.0.3"),
            (lambda: make(ONE, addresses=("phone",)), "phone"),
            (lambda: make(ONE, port=0), "from 1 to 65535"),
            (lambda: make(ONE, port=65536), "from 1 to 65535"),
            (lambda: make(ONE, keepalive=26), "from 1 to 25"),
            (lambda: make(ONE, keepalive=0), "from 1 to 25"),
            (lambda: make(ONE, dns=("example.org",)), "example.org"),
            (lambda: make(ONE, Remote(key(1), "", ["10.7.0.1"])), "HOST:PORT"),
            (lambda: make(ONE, device=Remote(key(2), "", ["10.7.0.2"])), "HOST:PORT"),
            (lambda: make(CLASSIC, device=Remote(key(2), "", ["10.7.0.2"])), "HOST:PORT"),
            (lambda: make(ONE, device=Remote(key(2), DEVICE.endpoint, ["10.7.0.0/33"])), "10.7.0.0/33"),
            (lambda: make(CLASSIC, device=Remote(key(2), DEVICE.endpoint, ["10.7.0.1"])),
             "10.7.0.1/32 would lead to the public server and to the remote device")):
        error = raises(ProfileError, call)
        assert words in str(error) and key(9) not in str(error), (words, str(error))


def test_a_network_that_is_said_twice():
    assert profile.networks(["10.0.0.7/24", "10.1.0.1", "10.0.0.0/24"]) == ["10.0.0.0/24", "10.1.0.1/32"]


def test_a_machine_without_networks_has_no_line_for_them():
    assert "AllowedIPs" not in make(ONE, Remote(key(1), SERVER.endpoint, []), Remote(key(2), DEVICE.endpoint, []))
