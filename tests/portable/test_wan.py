"""wan.py with a fake kernel and a fake firewall: when it looks, what it wants, whose entries it takes away."""
from helpers import VirtualLoop

from wgp2p import firewall, flows, links, log, wan
from wgp2p.flows import Flow, FlowsError

SERVER = ("203.0.113.10", 51820)
ROW = ("wg0", 51820, ["203.0.113.10:51820"], [])
HOME = ("wg0", 51820, ["203.0.113.10:51820"], ["198.51.100.7:7777"])


class Main:
    def __init__(self, **options):
        self.enabled, self.preserve_port, self.preserve, self.at_home, self.wan = True, True, [], True, []
        for name in options:
            setattr(self, name, options[name])


class Guard:
    """The Firewall."""

    def __init__(self, loop, loaded, changed):
        self.loaded, self.changed = loaded, changed
        self.wanted, self.problem = [], None

    def want(self, text):
        if not self.wanted or self.wanted[-1] != text:
            self.wanted.append(text)

    def close(self, done):
        self.wanted.append("closed")
        done()


class Bench:
    """A Wan in virtual time on a router: eth1 with 100.64.0.2 is the uplink, br-lan has 192.168.1.1."""

    def __init__(self, rows=(ROW,), **options):
        self.rows, self.main = list(rows), Main(**options)

    def __enter__(self):
        self.loop, self.nudges, self.logged, self.deleted = VirtualLoop(), [], [], []
        self.default = ("eth1", 3, "100.64.0.2")
        self.devices = {"eth1": (3, ["100.64.0.2", "fe80::1"]), "br-lan": (2, ["192.168.1.1"])}
        self.routes, self.flows, self.routed = {}, [], []
        self.translated, self.no_flows = True, None
        self.sizes = {}  # where it is not 1500
        self._real = (links.route, links.addresses, links.link_index, links.mtu, flows.find, flows.delete,
                      firewall.Firewall, firewall.others_translate, log.info, log.warning)
        links.route, links.addresses, links.link_index = self._route, self._addresses, self._index
        links.mtu = lambda name: self.sizes.get(name, 1500)
        flows.find, flows.delete = self._find, self.deleted.extend
        firewall.Firewall, firewall.others_translate = Guard, self._translated
        log.info = log.warning = self.logged.append
        self.wan = wan.Wan(self.loop, self.main, lambda: list(self.rows), lambda: self.nudges.append(self.loop.now()))
        self.guard = self.wan._firewall
        return self

    def __exit__(self, *_):
        (links.route, links.addresses, links.link_index, links.mtu, flows.find, flows.delete,
         firewall.Firewall, firewall.others_translate, log.info, log.warning) = self._real

    def _route(self, ip):
        self.routed.append(ip)
        found = self.routes.get(ip, self.default)
        if found is None or (":" in ip) != (":" in found[2]):
            raise OSError(101)
        return found

    def _addresses(self, index=None):
        found = []
        for name in sorted(self.devices):
            if index in (None, self.devices[name][0]):
                found += self.devices[name][1]
        return found

    def _index(self, name):
        if name not in self.devices:
            raise OSError(19)
        return self.devices[name][0]

    def _find(self, source_port=None, destination=None):
        if self.no_flows:
            raise FlowsError(self.no_flows)
        return [flow for flow in self.flows if (flow.source_port == source_port if destination is None else
                                                (flow.destination, flow.destination_port) == destination)]

    def _translated(self):
        if isinstance(self.translated, Exception):
            raise self.translated
        return self.translated

    def settle(self):
        self.loop.advance(300)

    def change(self):
        self.wan.links_changed()
        self.settle()


def flow(source, outside_port, target=SERVER, source_port=51820, outside="100.64.0.2"):
    return Flow(source, source_port, target[0], target[1], outside, outside_port, target[0])


def test_the_route_says_which_it_is():
    with Bench() as bench:
        assert bench.guard.wanted == []
        bench.settle()
        assert bench.routed == ["203.0.113.10"]
        assert bench.wan.status() == {"device": ["eth1"], "address": ["100.64.0.2"], "mtu": 1500, "preserve": True,
                                      "at_home": [], "problem": ""}
        assert len(bench.guard.wanted) == 1 and 'oifname { "eth1" }' in bench.guard.wanted[0]
        assert bench.nudges == [], "the first look is no change"


def test_no_server_and_the_option():
    with Bench(rows=[("wg0", 51820, [], [])]) as bench:
        bench.settle()
        assert bench.routed == ["192.0.2.1", "2001:db8::1"] and bench.wan.status()["device"] == ["eth1"]
    with Bench(wan=["wwan0", "eth1"]) as bench:
        bench.settle()
        assert bench.wan.status()["device"] == ["eth1", "wwan0"] and bench.wan.status()["address"] == ["100.64.0.2"]
        assert '"eth1", "wwan0"' in bench.guard.wanted[0]
    with Bench(rows=[]) as bench:
        bench.settle()
        assert bench.guard.wanted == [""] and bench.routed == []


def test_the_smallest_mtu_counts():
    with Bench(wan=["pppoe-wan", "eth1", "gone"]) as bench:
        bench.devices["pppoe-wan"] = (7, ["198.51.100.7"])
        bench.sizes["pppoe-wan"] = 1492
        bench.settle()
        assert bench.wan.status()["mtu"] == 1492
        bench.sizes["pppoe-wan"] = 1480
        bench.change()
        assert bench.wan.status()["mtu"] == 1480
        bench.devices.clear()
        bench.change()
        assert bench.wan.status()["mtu"] is None


def test_a_server_through_the_tunnel_is_no_uplink():
    with Bench() as bench:
        bench.routes["203.0.113.10"] = ("wg0", 9, "10.77.2.1")
        bench.settle()
        assert bench.wan.status()["device"] == [] and "set option wan" in bench.wan.status()["problem"]
        bench.routes.clear()
        bench.change()
        assert bench.wan.status()["problem"] == ""


def test_switched_off():
    with Bench(rows=[HOME], preserve_port=False, preserve=[40000], at_home=False) as bench:
        bench.settle()
        assert bench.guard.wanted == [""] and bench.wan.status()["preserve"] is False
        bench.wan.configure(Main(preserve=[40000]))
        bench.settle()
        assert "40000" in bench.guard.wanted[1] and bench.wan.status()["preserve"] is True
        bench.rows = []
        bench.wan.configure(Main(enabled=False, preserve=[40000]))
        bench.settle()
        assert bench.guard.wanted[2:] == [""], "the whole is off, and no rule stays"


def test_a_host_without_nat_is_left_alone():
    with Bench(rows=[HOME]) as bench:
        bench.translated = False
        bench.settle()
        assert bench.guard.wanted == [""]
        bench.translated = True
        bench.guard.changed()
        bench.settle()
        assert "srcnat" in bench.guard.wanted[1]
        bench.translated = firewall.FirewallError("nftables does not answer")
        bench.change()
        assert bench.guard.wanted[2] == "" and bench.wan.status()["problem"] == "nftables does not answer"
        bench.wan.configure(Main(preserve_port=False, at_home=False))
        bench.settle()
        assert bench.wan.status()["problem"] == "", "who wants no rules needs no nftables"


def test_at_home_follows_what_publishers_report():
    with Bench() as bench:
        bench.settle()
        looks = len(bench.routed)
        bench.wan.refresh()
        bench.settle()
        assert len(bench.routed) == looks, "nothing new, nobody asked"
        bench.rows = [HOME]
        bench.wan.refresh()
        bench.wan.refresh()
        bench.settle()
        assert "ip daddr 198.51.100.7 udp dport 7777 redirect to :51820" in bench.guard.wanted[-1]
        assert bench.wan.status()["at_home"] == ["198.51.100.7:7777"]
        for you in (["198.51.100.8:7777"], ["198.51.100.8:7777", "[2001:db8::7]:51820", "127.0.0.1:5"]):
            bench.rows = [ROW[:3] + (you,)]
            bench.wan.refresh()
            bench.settle()
            assert bench.wan.status()["at_home"] == ["198.51.100.8:7777"]
        for you in ([], ["100.64.0.2:51820"]):
            bench.rows = [ROW[:3] + (you,)]
            bench.wan.refresh()
            bench.settle()
            assert bench.wan.status()["at_home"] == [], "the router's own address is local anyway"
        bench.rows = [ROW[:3] + (["100.64.0.2:4711"],)]
        bench.wan.refresh()
        bench.settle()
        assert bench.wan.status()["at_home"] == ["100.64.0.2:4711"], "its address, another port"


def test_no_more_redirects_than_bounded():
    with Bench(rows=[ROW[:3] + (["198.51.100.%d:7777" % n for n in range(1, 100)],)]) as bench:
        bench.settle()
        assert bench.guard.wanted[0].count("redirect") == 8


def test_another_uplink():
    with Bench() as bench:
        bench.settle()
        ours, lan = flow("192.168.1.1", 51820), flow("192.168.1.10", 1024)
        old, stranger = flow("100.64.0.2", 51820), flow("100.64.0.2", 9, source_port=9)
        bench.flows = [ours, lan, old, stranger]
        bench.default = ("wwan0", 7, "10.9.0.2")
        bench.devices = {"wwan0": (7, ["10.9.0.2"]), "br-lan": (2, ["192.168.1.1"])}
        for _ in range(10):
            bench.wan.links_changed()
        bench.settle()
        assert bench.deleted == [ours, old] and len(bench.nudges) == 1
        assert bench.wan.status()["device"] == ["wwan0"] and '"wwan0"' in bench.guard.wanted[-1]
        bench.change()
        assert len(bench.nudges) == 1, "no change, no call"


def test_an_address_or_a_source_is_a_change_too():
    with Bench() as bench:
        bench.settle()
        bench.default = ("eth1", 3, "192.168.1.1")
        bench.change()
        assert len(bench.nudges) == 1
        bench.devices["eth1"] = (3, ["100.64.0.3"])
        bench.change()
        assert len(bench.nudges) == 2
        bench.devices["eth1"] = (3, ["100.64.0.3", "2001:db8:1::9"])
        bench.change()
        bench.devices["tun0"] = (8, ["10.1.1.1"])
        bench.change()
        assert len(bench.nudges) == 2, "other addresses are nothing to us"


def test_gone_and_back():
    with Bench() as bench:
        bench.settle()
        rules = bench.guard.wanted[-1]
        bench.default = None
        bench.flows = [flow("192.168.1.1", 51820)]
        bench.change()
        assert bench.nudges == [] and bench.deleted == [], "nowhere to call"
        assert bench.guard.wanted == [rules], "the rules wait for the device"
        bench.default = ("eth1", 3, "100.64.0.2")
        bench.change()
        assert len(bench.nudges) == 1 and bench.deleted == bench.flows, "the same as before, but not meanwhile"


def test_a_wireguard_interface_made_anew_is_no_change():
    with Bench(rows=[]) as bench:
        bench.settle()
        for rows in ([ROW], [], [ROW]):
            bench.rows = rows
            bench.wan.refresh()
            bench.settle()
        assert bench.nudges == [] and [line for line in bench.logged if "none" in line] == []


def test_booted_without_an_uplink():
    with Bench() as bench:
        bench.default = None
        bench.settle()
        assert bench.wan.status()["device"] == []
        bench.default = ("eth1", 3, "100.64.0.2")
        bench.change()
        assert len(bench.nudges) == 1 and "srcnat" in bench.guard.wanted[-1]


def test_new_rules_take_old_entries_away():
    with Bench(rows=[HOME], preserve=[40000, 51820]) as bench:
        bench.settle()
        holder, ours = flow("192.168.1.10", 51820), flow("100.64.0.2", 4711)
        listed = flow("192.168.1.10", 999, source_port=40000)
        past = flow("192.168.1.10", 5, ("198.51.100.7", 7777), source_port=36906)
        fine, other = flow("192.168.1.11", 2000), flow("192.168.1.12", 7, source_port=7)
        bench.flows = [ours, holder, listed, past, fine, other]
        assert bench.wan.rewritten() == [(51820, 4711)]
        bench.guard.loaded()
        assert bench.deleted == [holder, ours, listed, past], "who holds the port goes before who wants it"
        assert len(bench.nudges) == 1, "our packets have another port from now on"
        bench.flows = [fine, other]
        bench.guard.loaded()
        assert len(bench.deleted) == 4 and len(bench.nudges) == 1
        assert bench.wan.rewritten() == []


def test_a_kernel_that_tells_no_entries():
    with Bench() as bench:
        bench.settle()
        bench.no_flows = "this kernel cannot pick out connections"
        bench.guard.loaded()
        assert "cannot pick out" in bench.logged[-1]
        bench.default = ("wwan0", 7, "10.9.0.2")
        bench.change()
        assert len(bench.nudges) == 1, "called all the same"


def test_names_that_nft_would_not_take():
    with Bench(wan=['a"b']) as bench:
        bench.settle()
        assert bench.guard.wanted == [""] and "cannot stand" in bench.wan.status()["problem"]
        bench.guard.problem = "nft is not installed"
        assert bench.wan.status()["problem"] == "nft is not installed"


def test_close():
    with Bench() as bench:
        bench.settle()
        bench.wan.links_changed()
        closed = []
        bench.wan.close(lambda: closed.append(True))
        looks = len(bench.routed)
        bench.wan.links_changed()
        bench.loop.advance(10000)
        assert closed == [True] and bench.guard.wanted[-1] == "closed" and len(bench.routed) == looks
