"""WireGuard as text: the UAPI and the output of `wg show dump`."""
from binascii import hexlify

import wgfixture as made
from helpers import raises

from wgp2p import wgtext
from wgp2p.wgtext import TextError

HEX = [hexlify(made.raw_key(n)).decode() for n in range(4)]
UAPI = """private_key=%s
listen_port=51820
fwmark=1
public_key=%s
preshared_key=%s
protocol_version=1
endpoint=203.0.113.9:1024
last_handshake_time_sec=1700000000
last_handshake_time_nsec=5
tx_bytes=18446744073709551615
rx_bytes=12
persistent_keepalive_interval=25
allowed_ip=10.0.0.0/8
allowed_ip=fd00:0::/64
public_key=%s
protocol_version=1
endpoint=[2001:DB8::1]:9
last_handshake_time_sec=0
tx_bytes=0
rx_bytes=0
errno=0

""" % (hexlify(made.PRIVATE).decode(), HEX[1], hexlify(made.PRESHARED).decode(), HEX[2])

DUMP = "\t".join(["privatekey", made.key(3), "51820", "off"]) + "\n" + "\t".join(
    [made.key(1), "presharedkey", "203.0.113.9:1024", "10.0.0.0/8,fd00::/64", "1700000000", "12",
     "18446744073709551615", "25"]) + "\n" + "\t".join(
    [made.key(2), "(none)", "[2001:db8::1]:9", "(none)", "0", "0", "0", "off"]) + "\n"


def values(peer):
    return (peer.key, peer.endpoint, peer.allowed_ips, peer.keepalive, peer.handshake, peer.rx, peer.tx)


PEERS = [(made.key(1), "203.0.113.9:1024", ("10.0.0.0/8", "fd00::/64"), 25, 1700000000, 12, 2 ** 64 - 1),
         (made.key(2), "[2001:db8::1]:9", (), 0, 0, 0, 0)]


def test_uapi_device_whole_and_byte_by_byte():
    for size in (1, 7, 4096):
        answer, data = wgtext.UapiAnswer("wg0"), UAPI.encode()
        ends = [answer.feed(data[at:at + size]) for at in range(0, len(data), size)]
        assert ends[-1] and not any(ends[:-1]) and answer.errno == 0
        assert answer.device.listen_port == 51820 and answer.device.public_key is None
        assert sorted([values(peer) for peer in answer.device.peers.values()]) == sorted(PEERS)


def test_uapi_errors():
    answer = wgtext.UapiAnswer("wg0")
    assert answer.feed(b"errno=-22\n\n") and answer.errno == 22
    answer = wgtext.UapiAnswer("wg0")
    assert answer.feed(b"errno=1\n\n") and answer.errno == 1
    key = "public_key=" + HEX[1] + "\n"
    for text in ("\n", "x\n", "errno=x\n\n", "public_key=12\n", "public_key=" + "g" * 64 + "\n",
                 key + "endpoint=host:1\n", key + "rx_bytes=-1\n", key + "rx_bytes=18446744073709551616\n",
                 key + "allowed_ip=10.0.0.0/33\n", key + "persistent_keepalive_interval=65536\n", "x" * 2000):
        raises(TextError, wgtext.UapiAnswer("wg0").feed, text.encode())
    raises(TextError, wgtext.UapiAnswer("wg0").feed, b"public_key=\xff\xfe\n")


def test_zone_and_port_0():
    answer = wgtext.UapiAnswer("wg0")
    for number, text in ((1, "[fe80::1%eth0]:7"), (2, "203.0.113.9:0")):
        answer.feed(("public_key=%s\nendpoint=%s\n" % (HEX[number], text)).encode())
    answer.feed(b"allowed_ip=::ffff:0:0/96\nerrno=0\n\n")
    assert answer.device.peers[made.key(1)].endpoint == "[fe80::1]:7"
    assert answer.device.peers[made.key(2)].endpoint is None and answer.device.peers[made.key(2)].allowed_ips == ()


def test_uapi_set_only_updates():
    assert wgtext.uapi_set(made.key(1), "[2001:DB8::1]:9", 25, True).decode() == (
        "set=1\npublic_key=%s\nupdate_only=true\npersistent_keepalive_interval=0\n"
        "public_key=%s\nupdate_only=true\nendpoint=[2001:db8::1]:9\npersistent_keepalive_interval=25\n\n"
        % (HEX[1], HEX[1]))
    raises(ValueError, wgtext.uapi_set, made.key(1), "203.0.113.9:1\nprivate_key=0")


def test_tool_dump():
    device = wgtext.read_dump("wg0", DUMP.encode())
    assert (device.name, device.listen_port, device.public_key) == ("wg0", 51820, made.key(3))
    assert sorted([values(peer) for peer in device.peers.values()]) == sorted(PEERS)
    assert wgtext.read_dump("wg0", b"(none)\t(none)\t0\toff\n").public_key is None
    lines = DUMP.encode().split(b"\n")
    for bad in (
            b"", b"\n", lines[0], lines[1] + b"\n", lines[0] + b"\n" + lines[1][:-3], lines[0] + b"\n\n",
            lines[0] + b"\n" + lines[1].replace(b"25", b"x") + b"\n",
            lines[0] + b"\n" + lines[1].replace(b"=\t", b"\t") + b"\n",
            lines[0].replace(b"51820", b"70000") + b"\n"):
        raises(TextError, wgtext.read_dump, "wg0", bad)


def test_tool_set():
    assert wgtext.tool_set("wg0", made.key(1), "203.0.113.9:9", 25, True) == [
        "wg", "set", "wg0", "peer", made.key(1), "persistent-keepalive", "0",
        "peer", made.key(1), "endpoint", "203.0.113.9:9", "persistent-keepalive", "25"]
    raises(ValueError, wgtext.tool_set, "wg0", "remove", "203.0.113.9:9")


def test_secrets_are_nowhere():
    answer = wgtext.UapiAnswer("wg0")
    answer.feed(UAPI.encode())
    kept = repr(answer.__dict__) + repr(answer.device.__dict__)
    assert hexlify(made.PRIVATE).decode() not in kept and hexlify(made.PRESHARED).decode() not in kept
