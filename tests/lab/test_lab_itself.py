"""The lab proves itself: its NATs, its roaming, its DNS, its IPv6 and its WireGuard are what they are called."""
import re
import struct
import time

import nat
import netns
import pytest
from opened import Opened, tracked
from programs import Pinger, UdpSocket
from waiting import wait_for


@pytest.fixture
def two_servers(make_lab):
    return make_lab(servers=2, networks=("cone", "cone"))


def ports_seen(lab, port):
    """The ports that pub and pub2 see for cli0's packets from this port (behind nata)."""
    client = UdpSocket("cli0", port=port)
    seen = []
    for server in ("pub", "pub2"):
        there = UdpSocket(server, port=51820)
        client.send(lab.outer(server), 51820)
        data, address, seen_port = there.receive(2)
        assert (data, address) == (b"hello", lab.outer("nata"))
        there.send(address, seen_port, b"answer")
        assert client.receive(2) == (b"answer", lab.outer(server), 51820)
        seen.append(seen_port)
        there.close()
    client.close()
    return seen


def test_nat_kinds(two_servers):
    """One lab for all kinds: what two destinations see, and who may answer."""
    lab = two_servers
    for server in lab.servers:
        lab.wg_down(server)  # its port is ours here
    lab.move("cli0", "nata")
    port = lab.port("cli0")
    lowest, highest = nat.block("symmetric-block", 31)
    expected = {
        "cone": lambda first, second: first == second == port,
        "eim-shift": lambda first, second: first == second == port + nat.SHIFT,
        "symmetric": lambda first, second: len({first, second, port}) == 3,
        "symmetric-block": lambda first, second: first != second and all(
            lowest <= seen <= highest for seen in (first, second)),
        "open": lambda first, second: first == second == port,
    }
    assert set(expected) == set(nat.KINDS)
    for kind, as_named in expected.items():
        lab.set_kind("nata", kind)
        first, second = ports_seen(lab, port)
        if kind == "symmetric-block" and first == second:  # by chance, once in 512 times
            first, second = ports_seen(lab, port + 100)
        assert as_named(first, second), f"{kind}: {port} is seen as {first} and {second}"
        for stranger_port, lets_in in ((40000, kind == "open"), (51820, True)):
            client = UdpSocket("cli0", port=port)
            stranger = UdpSocket("pub", port=stranger_port)
            stranger.send(lab.outer("nata"), first, b"knock")
            got = client.receive(0.5)
            assert bool(got) == lets_in, f"{kind}: from port {stranger_port} came {got}"
            client.close()
            stranger.close()


def ports_given(lab, ports, destinations, network="nata"):
    """The ports that cli0's NAT gives its packets from each of these ports to each of these ports of a server, in the
    order of sending; those that it drops are left out."""
    netns.call(network, "conntrack", "-F", check=False)
    for port in ports:
        client = UdpSocket("cli0", port=port)
        for destination in destinations:
            client.send(lab.outer("pub"), destination)
        client.close()
    lab.ping("cli0", lab.outer("pub"))  # what was sent before is through
    rows = netns.call(network, "conntrack", "-L", "-p", "udp", "-s", lab.inner("cli0"), check=False)
    given = {(int(port), int(destination)): int(outside) for port, destination, outside in re.findall(
        r"sport=(\d+) dport=(\d+) .*dport=(\d+)", rows)}
    wanted = [(port, destination) for port in ports for destination in destinations]
    assert set(given) <= set(wanted), given
    return [given[pair] for pair in wanted if pair in given]


def test_nats_that_give_many_ports(two_servers):
    """Blocks of several sizes, aligned or not: every port given is of the block, and they are from all of it. The
    sequential one goes on by one, whoever of its clients asks."""
    lab = two_servers
    lab.move("cli0", "nata")
    for kind, first, size in (("symmetric-block", 0, 512), ("symmetric-block:128", 0, 128),
                              ("symmetric-block:1024", 0, 1024), ("symmetric-block:1024+300", 300, 1024)):
        lab.set_kind("nata", kind)
        low, high = lab.block("nata")
        assert (low % 1024, high - low + 1) == (first, size)
        given = ports_given(lab, [lab.port("cli0")], range(1, 61))
        assert len(given) == 60 and low <= min(given) and max(given) <= high, f"{kind}: {given}"
        assert min(given) < low + size // 4 and max(given) > high - size // 4, f"{kind}: {given}"
        assert len(set(given)) > 30 and given != sorted(given), f"{kind}: {given}"
    lab.set_kind("nata", "sequential")
    given = ports_given(lab, [lab.port("cli0"), 40000], range(1, 21))
    assert given == list(range(given[0], given[0] + 40)), given


def test_a_nat_of_limited_entries(two_servers):
    """It drops what is more, whoever of its clients sends."""
    lab = two_servers
    lab.wg_down("pub")
    lab.move("cli0", "nata")
    lab.set_kind("nata", "symmetric-block:128/20")
    client, server = UdpSocket("cli0", port=40000), UdpSocket("pub", port=51820)
    client.send(lab.outer("pub"), 51820)
    _, address, port = server.receive(2)
    server.send(address, port)
    assert client.receive(2)
    client.close()
    given = ports_given(lab, [lab.port("cli0")], range(1, 61))
    assert len(given) == 19, given
    lab.set_kind("nata", "cone/50")
    assert len(ports_given(lab, [lab.port("cli0"), 40001], range(1, 41))) == 50
    server.close()


def test_networks_apart(make_lab):
    """Client NATs of several providers: the first halves of their addresses differ, and all reach each other."""
    lab = make_lab(networks=("cone", "cone", "cone", "cone"), apart=True)
    lab.move("cli0", "nata")
    lab.wg_up("cli0", keepalive=1)
    networks = [name for name in lab.kinds if name != "natr"]
    assert len({lab.outer(name).rpartition(".")[0].rpartition(".")[0] for name in networks}) == len(networks) == 4
    for network in (*networks, "inet", "nata"):
        lab.move("cli0", network)
        wait_for(lambda: (lab.peer("pub", "cli0").endpoint or "").startswith(lab.seen_as("cli0") + ":"), 20, network)
        wait_for(lambda: lab.ping("cli0", "pub"), 10, f"the answer from {network}")
    assert lab.ping("cli0", lab.outer("natb"))


def test_what_opens_ports_is_counted(lab):
    """The kernel of the device's NAT counts what goes to strangers, too fast, or to more ports than may be open."""
    opened = Opened(lab, rate=100, entries=100)
    device = UdpSocket("rem", port=40000)

    def send(address, ports, pause=0.02):
        for port in ports:
            device.send(address, port, bytes(4))
            time.sleep(pause)
        device.send(address, 9, b"something else")
        lab.ping("rem", lab.outer("dns"))
        return opened.counts()

    assert send(lab.outer("nata"), range(1000, 1060)) == {"sent": 60, "strays": 0, "fast": 0, "crowd": 0}
    assert opened.check() and opened.ports() == opened.ports(lab.outer("nata")) == set(range(1000, 1060))
    assert send(lab.outer("natb"), range(2000, 2080))["crowd"] == 60 + 80 - 100 - 2
    assert send(lab.outer("dns"), range(1, 6))["strays"] == 5
    assert 0 < send(lab.outer("natb"), range(2000, 2300), 0)["fast"] <= 300 - 13
    with pytest.raises(AssertionError):
        opened.check()
    assert tracked("natr") > 300
    device.close()


def test_a_knock_on_a_closed_nat_leaves_nothing_behind(two_servers):
    """What came unasked neither opens the NAT nor takes the port from the client that sends later."""
    lab = two_servers
    lab.wg_down("pub")
    lab.wg_down("pub2")
    lab.move("cli0", "nata")
    knocker = UdpSocket("pub", port=51820)
    knocker.send(lab.outer("nata"), lab.port("cli0"))
    knocker.close()
    assert lab.ping("pub", lab.outer("nata")), "what was sent before has arrived too"
    assert ports_seen(lab, lab.port("cli0")) == [lab.port("cli0")] * 2


def test_a_client_that_comes_back_is_forgotten_or_not(lab):
    """Whether the device's NAT still lets in what comes from where the client was before."""
    lab.wg_down("rem")
    lab.move("cli0", "nata")
    client = UdpSocket("cli0", port=lab.port("cli0"))
    device = UdpSocket("rem", port=51820)

    def knock():
        client.send(lab.outer("natr"), 51820)
        return device.receive(0.7)

    assert not knock(), "nobody has opened the device's NAT yet"
    device.send(lab.outer("nata"), lab.port("cli0"))
    assert knock(), "opened from inside"
    lab.move("cli0", "natb")
    assert not knock(), "not for this address"
    lab.move("cli0", "nata", forget=False)
    assert knock(), "still open"
    lab.move("cli0", "natb")
    lab.move("cli0", "nata")
    assert not knock(), "forgotten"
    client.close()
    device.close()


@pytest.mark.long
def test_wireguard_clients_reach_the_server_and_roam(lab):
    lab.move("cli0", "nata")
    lab.wg_up("cli0")
    wait_for(lambda: lab.ping("cli0", "pub"), 10, "the client reaches the server through the tunnel")
    wait_for(lambda: lab.ping("rem", "pub"), 10, "the device reaches the server through the tunnel")
    assert lab.peer("pub", "cli0").endpoint == f"{lab.outer('nata')}:{lab.port('cli0')}"
    assert lab.peer("pub", "rem").endpoint == lab.endpoint("rem")
    assert lab.peer("rem", "cli0").endpoint is None
    assert not lab.ping("cli0", "rem"), "nobody told the device where the client is"

    pinger = Pinger("cli0", lab.tunnel("pub"))
    pinger.wait_after(0, 5)
    lab.move("cli0", "natb")
    place = f"{lab.outer('natb')}:{lab.port('cli0')}"
    assert place == f"{lab.seen_as('cli0')}:{lab.port('cli0')}"
    wait_for(lambda: lab.peer("pub", "cli0").endpoint == place, 20, "the tunnel has followed the client")
    pinger.wait_after(time.monotonic(), 5)
    pinger.stop()


@pytest.mark.long
def test_the_device_opens_its_nat_when_told(lab):
    """What wgp2p is going to do, by hand: the endpoint as the server sees it, and a packet towards it."""
    lab.move("cli0", "nata")
    lab.wg_up("cli0")
    wait_for(lambda: lab.peer("pub", "cli0").endpoint, 10, "the server knows the client")
    lab.wg_set("rem", "cli0", "endpoint", lab.peer("pub", "cli0").endpoint, "persistent-keepalive", 10)
    wait_for(lambda: lab.ping("cli0", "rem"), 15, "client and device talk to each other")
    assert lab.peer("cli0", "rem").endpoint == lab.endpoint("rem")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["cone", "open"])
def test_ipv6(make_lab, kind):
    lab = make_lab(devices=(kind,), ipv6=True)
    lab.move("cli0", "nata")
    lab.wg_up("cli0", keepalive=1)
    wait_for(lambda: lab.ping("cli0", "pub"), 10, "through the tunnel over IPv6")
    assert lab.peer("pub", "cli0").endpoint == f"[{lab.seen_as('cli0')}]:{lab.port('cli0')}"
    if kind == "open":
        wait_for(lambda: lab.ping("cli0", "rem"), 10, "the device can be reached from outside")
    else:
        assert not lab.ping("cli0", "rem"), "the firewall lets nobody in"
    lab.move("cli0", "natb")
    wait_for(lambda: lab.peer("pub", "cli0").endpoint.startswith(f"[{lab.inner('cli0', 'natb')}]"), 20, "roamed")


def test_at_home_and_straight_in_the_internet(lab):
    lab.move("cli0", "natr")
    lab.wg_up("cli0", keepalive=1, endpoints={"rem": f"{lab.inner('rem')}:51820"})
    wait_for(lambda: lab.ping("cli0", "rem"), 10, "the device on its own LAN")
    wait_for(lambda: lab.ping("cli0", "pub"), 10, "the server from the device's LAN")
    assert lab.peer("rem", "cli0").endpoint == f"{lab.inner('cli0')}:{lab.port('cli0')}"
    lab.move("cli0", "inet")
    wait_for(lambda: (lab.peer("pub", "cli0").endpoint or "").startswith(lab.outer("cli0") + ":"), 20, "roamed")
    lab.move("cli0", None)
    assert not lab.ping("cli0", "pub")
    lab.move("cli0", "inet")
    wait_for(lambda: lab.ping("cli0", "pub"), 20, "back again")


def test_hairpin(make_lab):
    """A device with a forwarded port is reached at its public address from its own LAN too."""
    lab = make_lab(devices=("open",))
    lab.move("cli0", "natr")
    lab.wg_up("cli0")
    wait_for(lambda: lab.ping("cli0", "rem"), 10, "through the router's own public address")
    assert lab.peer("rem", "cli0").endpoint.startswith(lab.inner("natr") + ":")


@pytest.mark.long
def test_two_servers_two_devices_many_clients(make_lab):
    lab = make_lab(servers=2, devices=("cone", "eim-shift"), clients=20)
    lab.move(lab.clients, "nata")
    for client in lab.clients:
        lab.wg_up(client)
    for server in lab.servers:
        wait_for(lambda server=server: all(state.handshake for state in lab.peers(server).values()), 30,
                 f"{server} has heard of everybody")
        assert len(lab.peers(server)) == 22
        assert lab.peer(server, "rem2").endpoint == lab.endpoint("rem2")
    lab.move(lab.clients, "natb")
    wait_for(lambda: all((lab.peers("pub")[client].endpoint or "").startswith(lab.outer("natb") + ":")
                         for client in lab.clients), 40, "all have roamed")


@pytest.mark.long
def test_the_server_moves(lab):
    wait_for(lambda: lab.ping("rem", "pub"), 10, "the device reaches the server")
    lab.renumber("pub", 12)
    assert not lab.ping("rem", "pub")
    lab.wg_set("rem", "pub", "endpoint", lab.endpoint("pub"))
    wait_for(lambda: lab.ping("rem", "pub"), 10, "the device reaches the server at its new address")


def test_interface_made_anew_and_synced(lab):
    lab.move("cli0", "nata")
    lab.wg_set("rem", "cli0", "endpoint", "203.0.113.99:1", "persistent-keepalive", 7)
    before = netns.call("rem", "cat", "/sys/class/net/wg0/ifindex", check=False)
    lab.wg_sync("rem")
    assert lab.peer("rem", "cli0").keepalive == 0
    assert lab.peer("rem", "cli0").endpoint == "203.0.113.99:1"
    lab.wg_down("rem")
    assert lab.peer("rem", "cli0") is None
    lab.wg_up("rem")
    assert lab.peer("rem", "cli0").endpoint is None
    assert before == netns.call("rem", "cat", "/sys/class/net/wg0/ifindex", check=False)  # the machine's /sys


def ask(lab, name, kind):
    """The addresses that the resolver gives; None without an answer."""
    asker = UdpSocket("rem")
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0" + question + b"\0" + struct.pack("!HH", kind, 1)
    asker.send(lab.dns.address, 53, query)
    got = asker.receive(1)
    asker.close()
    if got is None:
        return None
    answer = got[0]
    assert answer[:2] == b"\x12\x34" and answer[2] & 0x80
    count, at, found = struct.unpack("!H", answer[6:8])[0], len(query), []
    for _ in range(count):
        length = struct.unpack("!H", answer[at + 10:at + 12])[0]
        found.append(answer[at + 12:at + 12 + length])
        at += 12 + length
    assert at == len(answer)
    return found


def test_dns(lab):
    lab.dns.table["vpn.example.org"] = [lab.outer("pub", False), lab.outer("pub", True)]
    assert ask(lab, "vpn.example.org", 1) == [bytes([203, 0, 113, 10])]
    assert [len(address) for address in ask(lab, "VPN.example.org", 28)] == [16]
    assert ask(lab, "vpn.example.org", 16) == []
    assert ask(lab, "nobody.example.org", 1) == []
    lab.dns.table["vpn.example.org"] = ["203.0.113.12"]
    assert ask(lab, "vpn.example.org", 1) == [bytes([203, 0, 113, 12])]
    lab.dns.silent = True
    assert ask(lab, "vpn.example.org", 1) is None
    assert [query[1:] for query in lab.dns.queries][:3] == [
        ("vpn.example.org", "A"), ("vpn.example.org", "AAAA"), ("vpn.example.org", "?")]
    assert "nameserver " + lab.dns.address in netns.call(None, *netns.command("rem", "cat", "/etc/resolv.conf"))


def test_the_clock_is_set_and_set_right_again(clock):
    clock(time.monotonic() + 1)
    assert time.gmtime().tm_year == 1970
    clock(time.time() + 3600)
    assert 3600 < time.time() < time.monotonic() + 3700
