"""WireGuard's codecs against everything that hypothesis thinks of: there and back, cut off, changed, junk."""
import ipaddress

import wgfixture as made
from hypothesis import given, settings
from hypothesis import strategies as st

from wgp2p import netlink, wgmessage, wgtext
from wgp2p.netlink import NetlinkError

counters = st.integers(0, 2 ** 64 - 1)
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6).filter(lambda ip: ip.ipv4_mapped is None))


@st.composite
def endpoints(draw):
    ip, port = draw(addresses), draw(st.integers(1, 65535))
    return f"[{ip.compressed}]:{port}" if ip.version == 6 else f"{ip}:{port}"


@st.composite
def networks(draw):
    ip = draw(addresses)
    network = ipaddress.ip_network((ip, draw(st.integers(0, ip.max_prefixlen))), strict=False)
    return network.compressed


mapped = ipaddress.ip_network("::ffff:0:0/96")
plain = networks().filter(lambda text: ":" not in text or not ipaddress.ip_network(text).subnet_of(mapped))
peers = st.fixed_dictionaries({
    "allowed": st.lists(plain, max_size=5), "at": st.none() | endpoints(), "keepalive": st.integers(0, 65535),
    "handshake": st.integers(0, 2 ** 40), "rx": counters, "tx": counters})


def read(datagrams):
    dump = wgmessage.Dump("wg0")
    answer = netlink.Answer(5, dump.take)
    for data in datagrams:
        answer.feed(data)
    return dump.finish()


@given(st.lists(peers, max_size=6))
def test_device_there_and_back(rows):
    parts = [made.peer(number, **row) for number, row in enumerate(rows)]
    device = read([made.device_message(30, 5, parts, "wg0"), made.done(5)])
    assert len(device.peers) == len(rows)
    for number, row in enumerate(rows):
        peer = device.peers[made.key(number)]
        assert (peer.endpoint, list(peer.allowed_ips), peer.keepalive, peer.handshake, peer.rx, peer.tx) == (
            row["at"], row["allowed"], row["keepalive"], row["handshake"], row["rx"], row["tx"])


@given(st.lists(plain, min_size=1, max_size=40), st.data())
def test_allowed_ips_split_anywhere(allowed, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(allowed)), max_size=3)))
    bounds = [0, *cuts, len(allowed)]
    datagrams = [made.device_message(30, 5, [made.peer(1, allowed[a:b], whole=not a)], None)
                 for a, b in zip(bounds, bounds[1:])]
    assert list(read([*datagrams, made.done(5)]).peers[made.key(1)].allowed_ips) == allowed


@given(st.lists(peers, min_size=1, max_size=2), st.data())
@settings(max_examples=300)
def test_changed_and_cut_bytes_raise_only_the_codecs_error(rows, data):
    whole = bytearray(made.device_message(30, 5, [made.peer(n, **row) for n, row in enumerate(rows)], "wg0"))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read([bytes(whole[:data.draw(st.integers(0, len(whole)))])])
    except NetlinkError:
        pass


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_junk_raises_only_the_codecs_error(junk):
    for call in (lambda: read([junk]), lambda: wgmessage.Dump("wg0").take(junk, 0, len(junk)),
                 lambda: netlink.read_family(junk, 0, len(junk)), lambda: wgmessage.read_peer(junk, 0, len(junk))):
        try:
            call()
        except NetlinkError:
            pass


@given(endpoints(), st.integers(1, 65535))
def test_set_reads_back(endpoint, keepalive):
    request = wgmessage.set_peer(30, 5, "wg0", made.key(1), endpoint, keepalive, True)
    device = read([request])  # a SET has the layout of the answer to a GET
    assert device.peers[made.key(1)].key == made.key(1)
    first_peer = wgmessage.Dump("wg0")
    first_peer.take(wgmessage.set_peer(30, 5, "wg0", made.key(1), endpoint, keepalive), 16,
                    len(wgmessage.set_peer(30, 5, "wg0", made.key(1), endpoint, keepalive)))
    peer = first_peer.finish().peers[made.key(1)]
    assert (peer.endpoint, peer.keepalive) == (endpoint, keepalive)


@given(st.lists(peers, max_size=4), st.data())
def test_uapi_there_and_back_in_pieces(rows, data):
    lines = ["private_key=" + "01" * 32, "listen_port=7"]
    for number, row in enumerate(rows):
        lines += ["public_key=" + made.raw_key(number).hex(), "preshared_key=" + "02" * 32]
        lines += [f"endpoint={row['at']}"] if row["at"] else []
        lines += [f"last_handshake_time_sec={row['handshake']}", "last_handshake_time_nsec=3",
                  f"rx_bytes={row['rx']}", f"tx_bytes={row['tx']}",
                  f"persistent_keepalive_interval={row['keepalive']}"]
        lines += ["allowed_ip=" + text for text in row["allowed"]]
    whole = ("\n".join(lines) + "\nerrno=0\n\n").encode()
    answer, at, ended = wgtext.UapiAnswer("wg0"), 0, False
    while at < len(whole):
        size = data.draw(st.integers(1, 200))
        ended = answer.feed(whole[at:at + size])
        at += size
    assert ended and answer.errno == 0 and len(answer.device.peers) == len(rows)
    for number, row in enumerate(rows):
        peer = answer.device.peers[made.key(number)]
        assert (peer.endpoint, list(peer.allowed_ips), peer.keepalive, peer.handshake, peer.rx, peer.tx) == (
            row["at"], row["allowed"], row["keepalive"], row["handshake"], row["rx"], row["tx"])


@given(st.binary(max_size=100), st.lists(st.sampled_from([
    b"public_key=", b"errno=0\n", b"\n\n", b"endpoint=", b"allowed_ip=", b"rx_bytes=", b"\t", b"(none)", b"off", b"1",
    made.raw_key(1).hex().encode() + b"\n", made.key(1).encode(), b"[::1]:5\n", b"10.0.0.0/8\n", b"%", b":0"])))
@settings(max_examples=500)
def test_text_junk_raises_only_the_codecs_error(junk, words):
    for text in (junk, b"".join(words), b"".join(words) + junk, junk + b"\n"):
        for call in (lambda text=text: wgtext.UapiAnswer("wg0").feed(text),
                     lambda text=text: wgtext.read_dump("wg0", text)):
            try:
                call()
            except wgtext.TextError:
                pass
