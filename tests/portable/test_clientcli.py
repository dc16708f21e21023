"""clientcli.py: what the commands change, what they print where, and every fact that may be missing."""
import os

from fakeprograms import Programs
from fakewg import FakeWireGuard, key
from folders import new_folder
from helpers import VirtualLoop, raises

from wgp2p import cli, clientcli, config
from wgp2p.beaconkey import beacon_key, beacon_of
from wgp2p.clientcli import ClientCommand, UsageError
from wgp2p.clients import ClientError
from wgp2p.files import exists, read_text, write_private
from wgp2p.wireguard import WireGuardError

SERVER, DEVICE = key(1), key(255)
SUBSCRIBER = """config subscriber 'vps'
\toption interface 'wg0'
\toption publisher '10.7.0.1'
\toption server_host 'vpn.example.org'
"""
CONF = "[Interface]\nAddress = 10.7.0.2/24\n\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.7.0.1/32\n" % SERVER
NETWORK = """config interface 'lan'
\toption ipaddr '192.168.1.1'
config interface 'wg0'
\toption proto 'wireguard'
\tlist addresses '%s'
"""


def mapping(external, verdict="open to this server", forward=None):
    return {"external": external, "verdict": verdict, "forward": forward}


class Desk:
    """A remote device on which commands are given. `seen`: where the public server sees it, `others`: where another
    one does; `mappings`: rows of the port mapping helper for wg0; `wan`: of the status; `answer`: the daemon's, when it
    is text; `reloads`: how often it was told of a change."""

    def __init__(self, sections=SUBSCRIBER, conf=CONF):
        self.folder = new_folder()
        self.path = self.folder + "/wgp2p"
        write_private(self.path, "config wgp2p\n\toption keep_dir '%s/keep'\n%s" % (self.folder, sections))
        if conf:
            write_private(self.folder + "/wg0.conf", conf)
        self.wireguard = FakeWireGuard()
        self.wireguard.add("wg0")
        self.wireguard.peer("wg0", SERVER, endpoint="192.0.2.1:51820", allowed_ips=("10.7.0.1/32", "fd00:7::1/128"))
        self.wireguard.close = lambda: None
        self.programs = Programs()
        self.seen, self.others, self.answer = "203.0.113.9:51820", None, None
        self.mappings, self.wan = [], {"device": []}
        self.reloads, self.routes = 0, {}

    def run(self, *words, **options):
        """(standard output, standard error). Words with -- are flags; options: allowed_ips for --allowed-ips."""
        named = {}
        for name in options:
            named["--" + name.replace("_", "-")] = options[name]
        saved = clientcli.WIREGUARD, clientcli.open_backend, clientcli.route
        clientcli.WIREGUARD, clientcli.open_backend = self.folder, lambda loop, kind: self.wireguard
        clientcli.route = self._route
        try:
            with self.programs:
                command = ClientCommand(VirtualLoop(), config.parse(read_text(self.path, 100000)), self.path, self._ask,
                                        self._reload)
                return command.run([word for word in words if not word.startswith("--")], named,
                                   [word for word in words if word.startswith("--")])
        finally:
            clientcli.WIREGUARD, clientcli.open_backend, clientcli.route = saved

    def _route(self, ip):
        if ip not in self.routes:
            raise OSError(101)
        return self.routes[ip], 7, None

    def _ask(self):
        if self.answer is not None:
            return self.answer
        return {"wan": self.wan, "subscribers": [
            {"interface": "wg1", "publishers": [{"name": "vps", "you": "198.51.100.1:1"}]},
            {"interface": "wg0", "publishers": [{"name": "none", "you": None}, {"name": "other", "you": self.others},
                                                {"name": "vps", "you": self.seen}]}],
            "portmaps": [{"interface": None, "mappings": [mapping("203.0.113.9:51821")]},
                         {"interface": "wg1", "mappings": [mapping("203.0.113.9:1")]},
                         {"interface": "wg0", "mappings": self.mappings}]}

    def _reload(self):
        self.reloads += 1
        return ["warning: one"]

    def refused(self, *words, **options):
        """The text of the ClientError; nothing may have changed."""
        before = self.files()
        error = raises(ClientError, lambda: self.run(*words, **options))
        assert self.files() == before
        assert key(201) not in str(error)
        return str(error)

    def files(self):
        """Everything that is kept, the beacon's key aside."""
        found = {}
        for folder in (self.folder, self.folder + "/wgp2p.clients"):
            for name in os.listdir(folder) if exists(folder) else ():
                path = folder + "/" + name
                if os.stat(path)[0] & 0o040000 == 0:
                    found[path] = read_text(path, 100000)
        return found


def lines(text):
    """The lines `NAME = VALUE` of a profile, in order."""
    return [line for line in text.split("\n") if " = " in line]


def expected(desk, number=3, port=36906, private=201):
    beacon = beacon_of(beacon_key(desk.folder + "/keep"), key(private - 100))
    return ["PrivateKey = " + key(private), "Address = 10.7.0.%d/32" % number, "ListenPort = %d" % port,
            "PublicKey = " + SERVER, "Endpoint = vpn.example.org:51820", "AllowedIPs = 10.7.0.1/32",
            "PersistentKeepalive = 25",
            "PublicKey = " + DEVICE, "AllowedIPs = 10.7.0.2/32", "PersistentKeepalive = 25",
            "PublicKey = " + beacon, "Endpoint = 203.0.113.9:51820", "PersistentKeepalive = 25"]


def test_added_on_a_host():
    desk = Desk()
    out, said = desk.run("add", "phone")
    assert lines(out) == expected(desk), out
    assert out == desk.run("profile", "phone")[0], "shown again"
    assert "phone is a client of this device now: 10.7.0.3, listen port 36906" in said and "warning: one\n" in said
    assert key(201) not in said and key(101) in said and DEVICE in said, "the server's part has public keys only"
    assert said.endswith(desk.run("profile", "phone", "--server")[0] + "\n")
    assert desk.reloads == 1
    assert desk.programs.commands("wg")[:3] == [
        "wg genkey", "wg pubkey", "wg set wg0 peer %s allowed-ips 10.7.0.3/32" % key(101)]
    assert desk.programs.commands("ip") == [] and key(201) not in " ".join(desk.programs.commands("wg"))
    assert "PublicKey = " + key(101) in read_text(desk.folder + "/wg0.conf", 10000)
    assert config.parse(read_text(desk.path, 10000)).peers[key(101)].name == "phone"
    assert os.stat(desk.folder + "/wgp2p.clients/phone")[0] & 0o777 == 0o600
    for name in ("wg0.conf", "wgp2p", "keep/beacon.key"):
        assert key(201) not in read_text(desk.folder + "/" + name, 10000)
    out, _ = desk.run("add", "tablet")
    assert lines(out) == expected(desk, 4, 36907, 202)
    assert desk.run("list")[0].split("\n")[1].split() == ["phone", "wg0", "36906", key(101), "10.7.0.3"]


def test_removed_on_a_host():
    desk = Desk()
    before = desk.files()
    desk.run("add", "phone")
    out, said = desk.run("remove", "phone")
    assert out == "" and "removed: the client in %s/wg0.conf\n" % desk.folder in said
    assert "The public server still knows the client" in said and key(101) in said and desk.reloads == 2
    assert desk.programs.commands("wg")[-1] == "wg set wg0 peer %s remove" % key(101)
    assert desk.files() == before and desk.run("list") == ("", "")
    assert "no client has the name 'phone'" in desk.refused("remove", "phone")
    desk.run("add", "phone")
    desk.programs.fail["wg set"] = "Unable to modify interface: No such device"
    out, said = desk.run("remove", "phone")
    assert "No such device: where the interface is down, that is as it should be" in said
    assert desk.files() == before


def router(*peers, sections=SUBSCRIBER):
    """A Desk whose network has these peers of wg0: (key, options as text)."""
    desk = Desk(sections, conf=None)
    write_private(desk.folder + "/network", NETWORK % "10.7.0.2/24" + "".join(
        ["config wireguard_wg0\n\toption public_key '%s'\n%s" % row for row in peers]))
    return desk


def allowed(*networks):
    return "".join(["\tlist allowed_ips '%s'\n" % network for network in networks])


def test_the_running_interface_gets_what_the_configuration_has_and_keeps_the_rest():
    name = "config peer\n\toption public_key '%s'\n\toption name 'phone'\n" % key(5)
    desk = router((SERVER, allowed("10.7.0.1/32")), (key(5), allowed("10.7.0.5/32")),
                  (key(6), allowed("10.9.0.6") + "\toption route_allowed_ips '1'\n"), (key(7), allowed("10.9.0.7")),
                  sections=SUBSCRIBER + name)
    desk.wireguard.peer("wg0", key(8), allowed_ips=("10.7.0.8/32",))
    out, said = desk.run("apply")
    assert out == "" and said == "".join(["added to wg0: %s\n" % who for who in (
        "phone", key(6)[:8] + "…", key(7)[:8] + "…")]) + "removed from wg0: %s…\n" % key(8)[:8], said
    assert desk.programs.commands("wg") == [
        "wg set wg0 peer %s allowed-ips 10.7.0.5/32" % key(5), "wg set wg0 peer %s allowed-ips 10.9.0.6/32" % key(6),
        "wg set wg0 peer %s allowed-ips 10.9.0.7/32" % key(7), "wg set wg0 peer %s remove" % key(8)]
    assert desk.programs.commands("ip") == ["ip -4 route replace 10.9.0.6/32 dev wg0"], "where it is asked for"
    raises(UsageError, lambda: desk.run("apply", "phone"))


def test_a_peer_is_taken_up_with_all_that_it_has():
    """The public server, say, that was entered in LuCI while the interface runs."""
    desk = router(
        (SERVER, allowed("10.7.0.1/32", "0.0.0.0/0") + "\toption route_allowed_ips '1'\n\toption endpoint_host "
         "'vpn.example.org'\n\toption endpoint_port '51821'\n\toption persistent_keepalive '25'\n"),
        (key(5), allowed("10.7.0.5/32") + "\toption endpoint_host '2001:db8::5'\n\toption preshared_key '%s'\n" % (
            key(9))))
    desk.wireguard.add("wg0")
    desk.run("apply")
    assert desk.programs.ran == [
        (["wg", "set", "wg0", "peer", SERVER, "endpoint", "vpn.example.org:51821", "persistent-keepalive", "25",
          "allowed-ips", "10.7.0.1/32,0.0.0.0/0"], ""),
        (["wg", "set", "wg0", "peer", key(5), "endpoint", "[2001:db8::5]:51820", "preshared-key", "/proc/self/fd/0",
          "allowed-ips", "10.7.0.5/32"], key(9) + "\n")], "and no default route"


def test_a_peer_that_is_switched_off_stays_away():
    off = "\toption disabled '1'\n"
    desk = router((SERVER, ""), (key(5), allowed("10.7.0.5/32") + off), (key(6), off))
    desk.wireguard.peer("wg0", key(6), allowed_ips=("10.7.0.6/32",))
    desk.run("apply")
    assert desk.programs.commands("wg") == ["wg set wg0 peer %s remove" % key(6)]


def test_an_interface_that_is_down_or_another_ones_does_not_keep_others_waiting():
    other = "config subscriber 'other'\n\toption interface '%s'\n\toption publisher '10.7.0.1'\n"
    desk = router((SERVER, ""), (key(5), allowed("10.7.0.5/32")), sections=SUBSCRIBER + other % "vpn")
    write_private(desk.folder + "/network", read_text(desk.folder + "/network", 10000) +
                  "config interface 'vpn'\n\toption proto 'wireguard'\n")
    _, said = desk.run("apply")
    assert "added to wg0: " in said and "vpn is down: it gets its peers when it comes up\n" in said
    write_private(desk.path, read_text(desk.path, 10000) + (other % "hand").replace("'other'", "'third'"))
    write_private(desk.folder + "/hand.conf", CONF)
    assert "hand is not set up by OpenWrt" in desk.refused("apply")
    assert desk.programs.commands("wg")[-1] == "wg set wg0 peer %s allowed-ips 10.7.0.5/32" % key(5)
    assert "switches no subscriber on" in Desk("").refused("apply")


def test_on_a_router():
    desk = Desk(conf=None)
    write_private(desk.folder + "/network", NETWORK % "10.7.0.2/24")
    out, said = desk.run("add", "phone")
    assert "AllowedIPs = 10.7.0.2/32, 192.168.1.0/24" in out
    assert "option public_key '%s'" % key(101) in read_text(desk.folder + "/network", 10000)
    # The LuCI page, which gives listen ports, too, knows of this one.
    assert "option listen_port '36906'" in read_text(desk.path, 10000)
    assert config.parse(read_text(desk.path, 10000)).peers[key(101)].name == "phone"
    for argv, text in desk.programs.ran:
        assert key(201) not in " ".join(argv) and (key(201) not in text or argv == ["wg", "pubkey"])
    out, said = desk.run("remove", "phone")
    assert "removed: section network.@wireguard_wg0[0]\nremoved: section wgp2p.@peer[0]\n" in said
    assert key(101) not in read_text(desk.folder + "/network", 10000) + read_text(desk.path, 10000)


def test_a_router_with_a_single_address_gets_a_route():
    desk = Desk(conf=None)
    write_private(desk.folder + "/network", NETWORK % "10.7.0.2")
    desk.wireguard.peer("wg0", SERVER, allowed_ips=("0.0.0.0/0", "10.7.0.0/24"))
    out, said = desk.run("add", "phone")
    assert "Address = 10.7.0.3/32\n" in out
    assert "option route_allowed_ips '1'" in read_text(desk.folder + "/network", 10000)
    assert desk.programs.commands("ip") == ["ip -4 route replace 10.7.0.3/32 dev wg0"]
    desk.routes["10.7.0.4"] = "wg0"
    desk.run("add", "tablet")
    assert len(desk.programs.commands("ip")) == 1, "there was one"
    desk.run("remove", "tablet")
    desk.run("remove", "phone")
    assert desk.programs.commands("ip")[1:] == ["ip -4 route del 10.7.0.4/32 dev wg0"], "what is not there stays away"
    desk.run("add", "six", address="fd00:7::9")
    assert desk.programs.commands("ip")[-1] == "ip -6 route replace fd00:7::9/128 dev wg0"
    desk.wireguard.peer("wg0", SERVER, allowed_ips=("10.7.0.1/32",))
    assert "choose one with --address" in desk.refused("add", "other")


def test_both_families():
    desk = Desk(conf=CONF.replace("10.7.0.2/24", "10.7.0.2/24, fd00:7::2/64, 10.9.0.2/24"))
    desk.wireguard.peer("wg0", key(7), allowed_ips=("10.7.0.3/32", "fd00:7::1/128"))
    desk.seen = "[2001:db8::9]:51820"
    out, _ = desk.run("add", "phone")
    assert "Address = 10.7.0.4/32, fd00:7::3/128\n" in out
    assert "AllowedIPs = 10.7.0.2/32, fd00:7::2/128, 10.9.0.2/32\n" in out
    assert "Endpoint = [2001:db8::9]:51820\n" in out
    assert "wg set wg0 peer %s allowed-ips 10.7.0.4/32,fd00:7::3/128" % key(101) in desk.programs.commands("wg")


def test_what_is_given_by_hand_is_kept():
    desk = Desk()
    desk.answer = "the daemon does not answer"
    given = {"address": "10.7.0.77/24", "allowed_ips": "10.1.0.0/16,0.0.0.0/0", "dns": "10.7.0.1,9.9.9.9",
             "endpoint": "home.example.org:4500", "server_endpoint": "[2001:db8::1]:51820", "interface": "wg0"}
    desk.run("add", "phone", **given)
    out, _ = desk.run("profile", "phone")
    for line in ("Address = 10.7.0.77/32", "DNS = 10.7.0.1, 9.9.9.9",
                 "AllowedIPs = 10.7.0.2/32, 10.1.0.0/16, 0.0.0.0/0",
                 "Endpoint = home.example.org:4500", "Endpoint = [2001:db8::1]:51820"):
        assert line + "\n" in out, line
    assert "Endpoint = 192.0.2.9:1\n" in desk.run("profile", "phone", endpoint="192.0.2.9:1")[0]
    assert desk.run("profile", "phone")[0] == out, "for once only"


def test_other_kinds():
    desk = Desk()
    desk.run("add", "phone", allowed_ips="192.168.1.0/24")
    out, _ = desk.run("profile", "phone", "--classic")
    assert lines(out)[7:] == ["PublicKey = " + DEVICE, "Endpoint = 203.0.113.9:51820",
                              "AllowedIPs = 10.7.0.2/32, 192.168.1.0/24", "PersistentKeepalive = 25"]
    desk.answer = "the daemon does not answer"
    out, _ = desk.run("profile", "phone", "--proxied", address="10.8.0.3")
    assert lines(out)[1] == "Address = 10.8.0.3/32"
    assert lines(out)[3:] == ["PublicKey = " + SERVER, "Endpoint = vpn.example.org:51820",
                              "AllowedIPs = 10.7.0.1/32, 10.7.0.2/32, 192.168.1.0/24", "PersistentKeepalive = 25"]


def test_the_mtu_of_the_line():
    desk = Desk()
    for wan, mtu in (({"mtu": 1492}, "\nMTU = 1412\n"), ({"mtu": 1500}, "\nMTU = 1420\n"), ({"mtu": None}, ""),
                     ({}, "")):
        desk.wan = wan
        out = desk.run("profile", "phone")[0] if "phone" in desk.run("list")[0] else desk.run("add", "phone")[0]
        assert mtu in out and ("MTU" in out) == bool(mtu)
    desk.wan = {"mtu": 1492}
    assert "MTU = 1412\n" in desk.run("profile", "phone", "--proxied")[0]
    desk.answer = "the daemon does not answer"
    assert "MTU" not in desk.run("profile", "phone", "--proxied")[0]


def test_a_port_that_a_client_of_the_page_has_is_taken():
    desk = Desk(SUBSCRIBER + "config peer\n\toption public_key '%s'\n\toption listen_port '36906'\n" % key(9))
    assert "ListenPort = 36907\n" in desk.run("add", "phone")[0]


def test_the_servers_endpoint():
    desk = Desk(SUBSCRIBER.replace("vpn.example.org", "2001:db8::1"))
    assert "Endpoint = [2001:db8::1]:51820\n" in desk.run("add", "phone")[0]
    desk = Desk(SUBSCRIBER.replace("\toption server_host 'vpn.example.org'\n", ""))
    assert "Endpoint = 192.0.2.1:51820\n" in desk.run("add", "phone")[0]
    desk.wireguard.add("wg0")
    desk.wireguard.peer("wg0", SERVER, allowed_ips=("10.7.0.1/32",))
    assert "say it with --server-endpoint" in desk.refused("profile", "phone")


def test_a_port_that_is_changed_on_the_way():
    desk = Desk()
    desk.seen = "203.0.113.9:40001"
    out, said = desk.run("add", "phone")
    assert "Endpoint = 203.0.113.9:40001\n" in out
    assert "sees this device at port 40001, and WireGuard listens on 51820" in said


def test_a_port_that_is_mapped():
    desk = Desk()
    desk.seen = "203.0.113.9:40001"
    desk.mappings = [mapping("203.0.113.9:51821", "", "192.168.1.20:51820"), mapping(None, ""),
                     mapping("203.0.113.9:50001")]
    out, said = desk.run("add", "phone")
    assert "Endpoint = 203.0.113.9:50001\n" in out and "port 40001" not in said, said
    for unproved in (mapping("203.0.113.9:50001", "filtered"), mapping("203.0.113.9:50001", ""), mapping("?:50001"),
                     mapping(None)):
        desk.mappings = [unproved]
        assert "Endpoint = 203.0.113.9:40001\n" in desk.run("profile", "phone")[0], unproved


def test_where_another_public_server_sees_it():
    desk = Desk()
    desk.others = "198.51.100.7:51820"
    assert "Endpoint = 203.0.113.9:51820\n" in desk.run("add", "phone")[0]
    desk.seen = None
    assert "Endpoint = 198.51.100.7:51820\n" in desk.run("profile", "phone")[0], "better than nothing"


def test_facts_that_are_missing():
    desk = Desk()
    desk.answer = "the daemon does not answer at x"
    assert desk.refused("add", "phone").startswith("the daemon does not answer at x. Start wgp2p")
    desk.answer, desk.seen = None, None
    assert "say it: --endpoint HOST:PORT" in desk.refused("add", "phone")
    desk.seen = "203.0.113.9:51820"
    desk.wireguard.problem = WireGuardError("denied", "wg0: not allowed")
    assert desk.refused("add", "phone") == "wg0: not allowed"
    desk.wireguard.problem = None
    desk.wireguard.devices["wg0"].public_key = None
    assert "has no key" in desk.refused("add", "phone")
    desk.wireguard.remove("wg0")
    assert desk.refused("add", "phone") == "wg0: no such interface; it must be up"
    desk.wireguard.add("wg0")
    assert "no peer of wg0 has the public server's address 10.7.0.1" in desk.refused("add", "phone")
    os.remove(desk.folder + "/wg0.conf")
    assert "describes the interface wg0" in desk.refused("add", "phone")
    assert "switches no subscriber on" in Desk("").refused("add", "phone")
    two = SUBSCRIBER + SUBSCRIBER.replace("'vps'", "'other'").replace("wg0", "wg1")
    assert desk.files() and Desk(two).refused("add", "phone") == "say which interface: --interface wg0, --interface wg1"
    assert Desk(two).run("add", "phone", interface="wg0")[0]
    assert "--interface wg0" in Desk().refused("add", "phone", interface="wg7")


def test_names_and_addresses_of_others():
    desk = Desk(SUBSCRIBER + "config peer\n\toption name 'phone'\n\toption public_key '%s'\n" % key(9))
    assert "section @peer[0] has the name phone already" in desk.refused("add", "phone")
    desk.run("add", "tablet")
    assert "there is a client tablet already" in desk.refused("add", "tablet")
    desk.wireguard.peer("wg0", key(9), allowed_ips=("10.7.0.50/32",))
    for taken in ("10.7.0.1", "10.7.0.2", "10.7.0.3", "10.7.0.50"):
        assert desk.refused("add", "other", address=taken) == taken + " is another one's already"
    for bad in ("x", "10.7.0.300", "", "10.7.0.9,,"):
        assert "not an IP address" in desk.refused("add", "other", address=bad)
    assert "HOST:PORT" in desk.refused("add", "other", endpoint="x\nPostUp = y:1")
    assert "letters, digits" in desk.refused("add", "../x")


def test_what_cannot_be_written_is_taken_back():
    desk = Desk(conf=None)
    write_private(desk.folder + "/network", NETWORK % "10.7.0.2/24")
    desk.programs.deaf = True
    assert "uci did not write" in desk.refused("add", "phone")
    assert desk.run("list")[0] == "" and desk.reloads == 0
    desk = Desk()
    write_private(desk.folder + "/keep/beacon.key", "rubbish")
    assert "beacon.key is damaged" in desk.refused("add", "phone")


def test_wrong_usage():
    desk = Desk()
    for words, options in (((), {}), (("nonsense",), {}), (("add",), {}), (("add", "a", "b"), {}), (("list", "a"), {}),
                           (("remove",), {}), (("add", "a", "--proxied"), {}), (("profile", "a", "--json"), {}),
                           (("list",), {"dns": "1.1.1.1"}), (("profile", "a"), {"interface": "wg0"}),
                           (("remove", "a"), {"address": "1.1.1.1"})):
        raises(UsageError, lambda: desk.run(*words, **options))
    desk.run("add", "a")
    raises(UsageError, lambda: desk.run("profile", "a", "--proxied", "--classic"))


# -- from the command line ----------------------------------------------------------------------------

class Line:
    """`wgp2p` with a ClientCommand that is none: `given` is what it was made and run with, `answer` what it gives or
    raises. It stands for `sys`, too: `out` and `err` are what was written there."""

    def __init__(self, answer=("profile\n", "said\n")):
        self.answer, self.given, self.out, self.err = answer, [], "", ""
        self.folder = new_folder()
        write_private(self.folder + "/config", "config wgp2p\n\toption state_dir '%s/none'\n" % self.folder)

    def main(self, *words):
        saved = cli.sys, clientcli.ClientCommand
        cli.sys, clientcli.ClientCommand = self, self._make
        try:
            return cli.main(["--config", self.folder + "/config"] + list(words))
        finally:
            cli.sys, clientcli.ClientCommand = saved

    def _make(self, *given):
        self.given += given
        return self

    def run(self, *given):
        self.given += given
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @property
    def stdout(self):
        return Pen(lambda text: setattr(self, "out", self.out + text))

    @property
    def stderr(self):
        return Pen(lambda text: setattr(self, "err", self.err + text))


class Pen:
    def __init__(self, write):
        self.write = write


def test_the_command_line():
    line = Line()
    assert line.main("client", "add", "phone", "--dns=10.7.0.1", "--endpoint", "x:1", "--server") == 0
    assert (line.out, line.err) == ("profile\n", "said\n")
    _, found, path, ask, reload, words, options, flags = line.given
    assert found.main.state_dir == line.folder + "/none" and path == line.folder + "/config"
    assert (words, flags) == (["add", "phone"], ["--server"])
    assert options == {"--dns": "10.7.0.1", "--endpoint": "x:1"}
    assert "does not answer at %s/none/control.sock" % line.folder in ask(), "text, where there is no daemon"
    assert len(reload()) == 1 and "does not answer" in reload()[0]
    for error, code in ((ClientError("no\x1b"), 1), (UsageError("no\x1b"), 2), (OSError(5), 1)):
        line = Line(error)
        assert line.main("client", "list") == code and line.out == "" and line.err.startswith("wgp2p: ")
        assert "\x1b" not in line.err
    for words in (("client", "add", "x", "--dns"), ("status", "--dns", "1.1.1.1"), ("--address=1", "check")):
        line = Line()
        assert line.main(*words) == 2 and line.given == []


def test_the_command_line_knows_every_option():
    assert sorted(cli._CLIENT_OPTIONS) == sorted([name for name in clientcli._KNOWN["add"]])
    for command in clientcli._KNOWN:
        assert "client " + command in cli.USAGE
        for option in clientcli._KNOWN[command]:
            assert option in cli.USAGE
