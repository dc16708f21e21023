"""docs/routing.md, with its own files: a direct client and proxied clients at the same time, none of which reaches
another one, neither through the public server nor through the remote device.

From docs/examples/routing/ nothing but keys, endpoints, interface names and paths is replaced.
"""
import pathlib
import re

import netns
import pytest
import wireguard_lab as wireguard
from daemon import uci
from pairs import client_sections, path_of, publisher_config, subscriber_config, token_of, wait_path
from programs import UdpSocket
from scenes import wait_connected
from waiting import wait_for
from wire import get

FILES = pathlib.Path(__file__).resolve().parents[2] / "docs/examples/routing"
SERVER, DEVICE, DIRECT, PROXIED, PROXIED2 = "10.7.0.1", "10.7.0.2", "10.7.0.3", "10.8.0.3", "10.8.0.4"
ABSENT = "10.7.0.4"  # a second direct client, which is switched off
HOME = "192.168.1.10"  # in the device's LAN
PORT = 4000
# the rules that drop, by their comments
TO_A_CLIENT, ANYTHING_ELSE = "to a client", "anything else"  # on the server
CLIENT_TO_CLIENT, INTO_TUNNEL = "from client to client", "into the tunnel"  # on the device
WHOLE = 1420 - 28  # data bytes of a ping that fills the tunnel's MTU
# host: what its key is called in the files
NAMES = {"pub": "the server's", "rem": "the remote device's", "cli0": "the phone's", "cli1": "the proxied profile's"}


def file(lab, name):
    """A file as a user would have it here."""
    text = (FILES / name).read_text()
    for host, whose in NAMES.items():
        private, public = wireguard.key_pair(host)
        text = text.replace(f"({whose} private key)", private).replace(f"({whose} public key)", public)
    for old, new in (("vpn.example.org:51820", lab.endpoint("pub")), ("203.0.113.9:51820", lab.endpoint("rem")),
                     ("/etc/wireguard", str(lab.folder)), ('"eth0"', '"wan"')):
        text = text.replace(old, new)
    assert not re.search(r"\(the .* key\)", text)
    return text


def write(lab, name, to=None, more=""):
    """Put a file where the others look for it; its path."""
    path = lab.folder / (to or name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(file(lab, name) + more)
    path.chmod(0o600)
    return path


def wg_quick(lab, host, name, more=""):
    """The host's wg0 from a file, by wg-quick."""
    netns.call(host, "wg-quick", "up", str(write(lab, name, f"{host}/wg0.conf", more)))


def policy(host):
    """What policy routing says there."""
    rules = netns.call(host, "ip", "rule", "show", "table", "1008").split()
    return rules, netns.call(host, "ip", "route", "show", "table", "1008").split()


def set_up_server(lab):
    """First with plain `ip`, then with wg-quick, to the same effect. Reverse path filtering is at its strictest."""
    netns.nft("pub", "flush ruleset")
    netns.sysctl("pub", ipv4__conf__all__rp_filter=1)
    write(lab, "server.nft")
    netns.call("pub", "sh", str(write(lab, "server-ip.sh")))
    by_hand, rules = policy("pub"), netns.call("pub", "nft", "list", "ruleset")
    assert by_hand[0] and by_hand[1]
    lab.wg_down("pub")
    netns.call("pub", "ip", "rule", "del", "table", "1008")
    netns.nft("pub", "flush ruleset")
    wg_quick(lab, "pub", "server-wg0.conf", "\n" + wireguard.peer_section("cli2", PROXIED2 + "/32"))
    assert (policy("pub"), netns.call("pub", "nft", "list", "ruleset")) == (by_hand, rules)


def set_up_device(lab):
    """The remote device becomes a router with a LAN, in which there is a host "home"."""
    netns.create("home")
    netns.batch("rem", "ip", f"link add lan type veth peer name lan netns {netns.full_name('home')}",
                "addr add 192.168.1.1/24 dev lan", "link set lan up")
    netns.batch("home", "ip", f"addr add {HOME}/24 dev lan", "link set lan up", "route add default via 192.168.1.1")
    netns.nft("rem", "flush ruleset")
    write(lab, "device.nft")
    lab.wg_down("rem")
    wg_quick(lab, "rem", "device-wg0.conf")


def dropped(host, comment):
    """How many packets the rule with this comment has dropped."""
    rules = netns.call(host, "nft", "list", "table", "inet", "tunnel")
    return int(re.search(r'counter packets (\d+) bytes \d+ drop comment "%s"' % re.escape(comment), rules).group(1))


def assert_dropped(sender, where, comment, *addresses):
    """What a UDP socket sends to each of these ends in this rule on the host `where`."""
    before = dropped(where, comment)
    for address in addresses:
        sender.send(address, PORT, b"dropped")
    wait_for(lambda: dropped(where, comment) == before + len(addresses), 5,
             f"{where} drops what is sent to {', '.join(addresses)}: {comment}")


def arrives(sender, receiver, address, data):
    """Send until it comes; the address it comes from, and the port."""
    def got():
        sender.send(address, PORT, data)
        found = receiver.receive(0.5)
        return found if found and found[0] == data else None

    return wait_for(got, 10, f"something comes to {address}")[1:]


def published(lab):
    """The keys that the device is told of."""
    status, answer = get("rem", SERVER, token=token_of("rem"))
    assert status == 200
    return {peer["public_key"] for peer in answer["peers"]}


@pytest.mark.slow
def test_direct_and_proxied_clients(make_lab, interpreter):
    """cli0 is direct; cli1 and cli2 are proxied, cli1 behind a symmetric NAT."""
    lab = make_lab(networks=("cone", "symmetric"), clients=3)
    set_up_server(lab)
    set_up_device(lab)
    nothing_said = publisher_config(lab, "pub", address=SERVER).replace(uci(client_sections(lab)[1]), "")
    publisher = lab.daemon("pub", interpreter, nothing_said).start()
    subscriber = lab.daemon("rem", interpreter, subscriber_config(lab, "rem", publisher=SERVER)).start()
    subscriber.wait_log("publisher pub: connected", 30)
    lab.move(["cli0", "cli2"], "nata")
    lab.move("cli1", "natb")
    assert lab.ping("cli1", lab.outer("dns", ipv6=True))
    wg_quick(lab, "cli0", "client-p2p.conf")
    wg_quick(lab, "cli1", "client-proxied.conf")
    wireguard.up("cli2", wireguard.config("cli2", 0, [wireguard.peer_section(
        "pub", "10.7.0.0/24, 10.8.0.0/24", lab.endpoint("pub"), 10)]), PROXIED2 + "/24")

    # the proxied client goes out where the remote device does, and reaches its LAN
    cli0, cli1, cli2 = [UdpSocket(host, port=PORT) for host in lab.clients]
    internet, home = UdpSocket("dns", port=PORT), UdpSocket("home", port=PORT)
    address, port = arrives(cli1, internet, lab.outer("dns"), b"proxied")
    assert address == lab.outer("natr")
    internet.send(address, port, b"answer")
    assert cli1.receive(5)[0] == b"answer"
    assert arrives(cli1, home, HOME, b"proxied") == (PROXIED, PORT), "the LAN sees the client itself"
    assert "1 received" in netns.call("cli1", "ping", "-c1", "-W5", "-Mdo", f"-s{WHOLE}", lab.outer("dns"))
    assert lab.ping("cli1", DEVICE)
    assert not lab.ping("cli1", lab.outer("dns", ipv6=True)), "nothing passes beside the tunnel"

    # the direct one is direct
    wait_connected(lab)
    wait_path(subscriber, "cli0", "direct")
    assert arrives(cli0, home, HOME, b"direct") == (DIRECT, PORT)
    assert lab.ping("cli0", DEVICE)

    # the proxied one's endpoint is of no use to the device, does no harm, and can be kept to oneself
    assert lab.key("cli1") in published(lab)
    assert path_of(subscriber, "cli1") is None and "cli1" not in lab.peers("rem")
    publisher.write_config(nothing_said + file(lab, "server-wgp2p.uci"))
    publisher.cli("reload", check=True)
    assert published(lab) & {lab.key(client) for client in lab.clients} == {lab.key("cli0"), lab.key("cli2")}

    # nobody reaches anybody else, whatever a client puts into its own configuration
    beyond = [PROXIED, PROXIED2, ABSENT]
    netns.batch("cli0", "ip", *[f"route replace {address} dev wg0" for address in [*beyond, lab.outer("dns")]])
    lab.wg_set("cli0", "pub", "allowed-ips", ",".join([SERVER, *beyond, lab.outer("dns")]))
    assert_dropped(cli0, "pub", TO_A_CLIENT, *beyond)
    assert_dropped(cli0, "pub", ANYTHING_ELSE, lab.outer("dns"))
    lab.wg_set("cli0", "rem", "allowed-ips", ",".join([DEVICE, *beyond, lab.outer("dns")]))
    assert arrives(cli0, internet, lab.outer("dns"), b"direct")[0] == lab.outer("natr")
    assert_dropped(cli0, "rem", CLIENT_TO_CLIENT, *beyond)
    assert_dropped(cli1, "pub", TO_A_CLIENT, DIRECT, ABSENT, PROXIED2)

    # and nobody from outside reaches them: only answers do
    device, neighbour = UdpSocket("rem"), UdpSocket("home")
    assert_dropped(device, "pub", TO_A_CLIENT, PROXIED)
    assert_dropped(neighbour, "rem", INTO_TUNNEL, PROXIED, DIRECT)
    netns.batch("dns", "ip", f"route add {PROXIED} via {lab.outer('pub')}")
    netns.sysctl("pub", ipv4__conf__all__rp_filter=0)
    assert_dropped(internet, "pub", ANYTHING_ELSE, PROXIED)
    server = UdpSocket("pub")
    for client, address in ((cli0, DIRECT), (cli1, PROXIED), (cli2, PROXIED2)):
        server.send(address, PORT, b"first")
        assert client.receive(5)[0] == b"first", f"{address} has received what was dropped"
    assert lab.ping("cli1", DEVICE) and lab.ping("cli0", DEVICE)
    for each in (cli0, cli1, cli2, internet, home, device, neighbour, server):
        each.close()
    assert "Traceback" not in publisher.log() + subscriber.log()
