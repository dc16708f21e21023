"""mapcli.py: what `wgp2p map` prints where, what it leaves behind, and what the publisher is told; with a gateway and a
publisher that are none, in virtual time. One test asks over real sockets."""
from fakewg import FakeWireGuard
from folders import new_folder
from helpers import Skip, VirtualLoop, raises
from test_cli import Stream
from test_gateway import Box as RealBox
from test_portmap import GATEWAY, OWN, PUBLIC, FakeGateway
from test_upnp import KIND, description, fault, list_entry, service
from test_upnptalk import FOUND

from wgp2p import cli, compat, http, log, mapcli, upnp
from wgp2p.files import write_private
from wgp2p.gateway import Gateway
from wgp2p.loop import Loop
from wgp2p.mapcli import MapCommand, MapError, UsageError
from wgp2p.mapping import NATPMP, PCP, UPNP, Datagram, Mapping, Refused
from wgp2p.outside import FILTERED, OPEN, OPEN_HERE, REWRITTEN, UNKNOWN
from wgp2p.portmap import own_name
from wgp2p.wireguard import WireGuardError

TOKEN = "0123456789abcdef" * 4
PUBLISHER = "10.7.0.1"


class Talk:
    """A talker; `Talk.refused`: {protocol: the Refused that it comes to at once}."""

    refused = {}

    def __init__(self, protocol, want):
        self.want, self.outcome = want, self.refused.get(protocol)
        want.protocol = protocol
        self.out = [Datagram(GATEWAY, 5351, want)]

    def act(self, now):
        out, self.out = self.out, []
        return out

    def received(self, now, ip, port, data):
        if data.protocol == self.want.protocol:
            self.outcome = data

    def next_ms(self):
        return None


class Box(FakeGateway):
    """A gateway that maps by every protocol, in turn."""

    def answer(self, lease, want):
        if self.closed or not self.public:
            return
        if want.lifetime_s:
            self.table[want.internal_port] = want.protocol
            mapping = Mapping(want.protocol, self.public, want.external_port, want.lifetime_s)
        else:
            if self.table.get(want.internal_port) == want.protocol:
                del self.table[want.internal_port]
            mapping = Mapping(want.protocol, None, 0, 0)
        lease.received(self.loop.now(), self.ip, 5351, mapping)
        self.step()


class World:
    """Everything around a MapCommand. `at`: {ms: what happens then}."""

    names = ("Gateway", "TALKERS", "Signals", "open_backend", "wireguards", "Outside")

    def __init__(self):
        self.folder = new_folder()
        self.loop = Steps()
        self.wireguard = FakeWireGuard()
        self.wireguard.add("wg0", listen_port=51820)
        self.wireguard.close = lambda: None
        self.there = ["wg0"]
        self.hop, self.own, self.way = GATEWAY, OWN, "wg0"
        self.out, self.said, self.table = "", [], {}
        self.gateway = self.command = self.callback = None
        self.signals, self.closed, self.fails = [], [], ""
        self.internal = []
        self.you, self.status = PUBLIC + ":40000", 200  # of the publisher; status 0: broken, None: silent
        self.posts, self.looked_ms = [], []
        self.verdicts, self.looks = [(OPEN_HERE, "")], []

    def __enter__(self):
        self.saved = [(name, getattr(mapcli, name)) for name in self.names]
        self.saved_get, self.saved_links = mapcli.client.get, [
            (name, getattr(mapcli.links, name)) for name in ("gateway", "source_of", "route", "LinkWatch")]
        self.saved_folder = mapcli._folder
        mapcli._folder = lambda: self.folder
        mapcli.Gateway = self.make_gateway
        mapcli.TALKERS = {}
        for protocol in (PCP, NATPMP, UPNP):
            mapcli.TALKERS[protocol] = lambda now, want, _, protocol=protocol: Talk(protocol, want)
        Talk.refused = {}
        mapcli.Signals = lambda numbers: Part(self, "signals")
        mapcli.open_backend = lambda loop, kind: self.wireguard
        mapcli.wireguards = lambda: self.there
        mapcli.Outside = lambda loop, port: Part(self, "outside")
        self.saved_write, log._write = log._write, lambda number, text: number or self.internal.append(text)
        mapcli.client.get = self.get
        links = mapcli.links
        links.gateway, links.source_of = lambda ip: self.found(self.hop), lambda ip: self.found(self.own)
        links.route = lambda ip: (self.found(self.way), 7, None)
        links.LinkWatch = self.watch_links
        return self

    def __exit__(self, *_):
        for name, value in self.saved:
            setattr(mapcli, name, value)
        for name, value in self.saved_links:
            setattr(mapcli.links, name, value)
        mapcli.client.get, mapcli._folder, log._write = self.saved_get, self.saved_folder, self.saved_write
        assert self.internal == []

    def found(self, value):
        if value == "none":
            raise OSError(101)
        return value

    def make_gateway(self, loop, changed):
        self.gateway = Box(loop, changed)
        self.gateway.table, self.gateway.fails = self.table, self.fails
        return self.gateway

    def watch_links(self, loop, callback):
        self.callback = callback
        return Part(self, "links")

    def goes(self, hop, own):
        """To another network, or "none"."""
        self.hop, self.own = hop, own
        self.callback(set())

    # -- the publisher

    def get(self, loop, ip, port, path, headers, done, timeout_ms, device=None, max_body=65536, method="GET", body=b""):
        assert (ip, port, device) == (PUBLISHER, 8080, "wg0") and headers == {"Authorization": "Bearer " + TOKEN}
        if method == "POST":
            self.posts.append((path, compat.json_loads(body.decode())))
        else:
            assert path == "/api/whoami"
            self.looked_ms.append(loop.now())
        response = http.Response(self.status, {})
        response.body = (b'{"you": {"endpoint": "%s"}}' % self.you.encode() if method == "GET" and self.you
                         else b'{"error": "no %s"}' % TOKEN.encode() if self.you is None else b"<html>")
        if self.status is not None:
            loop.call_later(10, done, *((response, None) if self.status else (None, "no answer")))
        return Part(self, path)

    def run(self, *flags, **options):
        """Run the command; what happens meanwhile is planned with `at`."""
        named = {}
        for name in options:
            named["--" + name.replace("_", "-")] = options[name]
        self.out, self.said = "", []
        self.command = MapCommand(self.loop, named, list(flags), self.write, self.said.append)
        self.command.run()
        return self.out

    def write(self, text):
        self.out += text

    def at(self, ms, call, *args):
        self.loop.call_later(ms, call, *args)

    def interrupt(self):
        self.signals.append(2)
        self.loop.watched(1)

    def announcing(self, ms, **options):
        """Keep and announce for so long."""
        write_private(self.folder + "/token", TOKEN + "\n")
        self.at(ms, self.interrupt)
        return self.run(announce=PUBLISHER, token_file=self.folder + "/token", **options)


class Part:
    """Stands for Signals, a LinkWatch, an Outside, a request."""

    fd = 7

    def __init__(self, world, name):
        self.world, self.name = world, name

    def take(self):
        signals, self.world.signals = self.world.signals, []
        return signals

    def verify(self, publishers, port, done):
        world = self.world
        world.looks.append((publishers[0].you, port))
        verdict = world.verdicts.pop(0) if len(world.verdicts) > 1 else world.verdicts[0]
        world.loop.call_later(1000, done, *verdict)

    def close(self):
        self.world.closed.append(self.name)


class Steps(VirtualLoop):
    """A Loop whose time passes while it waits."""

    watched = None

    def run_once(self, limit_ms=1000):
        self.advance(min(limit_ms, 100))

    def watch(self, fd, events, callback):
        self.watched = callback

    def unwatch(self, fd):
        self.watched = None


def test_asked_once():
    with World() as world:
        assert world.run("--once") == PUBLIC + ":51820\n"
        assert world.said == ["port 51820 is mapped by pcp, for 7200 s"] and world.table == {51820: PCP}
        assert world.gateway.closed and len(world.gateway.asked) == 1, "and left there"
        nonce = world.gateway.asked[0].nonce
        assert world.run("--once", port="4000", protocol="upnp") == PUBLIC + ":4000\n"
        assert world.table == {51820: PCP, 4000: UPNP}
        assert world.gateway.asked[0].nonce[:10] == nonce[:10], "ours, still"


def test_what_was_left_is_deleted():
    with World() as world:
        for left in (PCP, NATPMP, UPNP):
            world.table = {51820: left, 9: PCP}
            assert world.run("--delete") == "" and world.said == ["what was mapped is deleted"]
            assert world.table == {9: PCP} and sorted(one.protocol for one in world.gateway.asked) == [
                NATPMP, PCP, UPNP]
            assert world.gateway.lifetimes == [0, 0, 0]
        Talk.refused = {PCP: Refused(2, "not allowed", True), NATPMP: Refused(None, "no answer", True)}
        assert world.run("--delete") == ""
        Talk.refused[UPNP] = Refused(606, "forbidden", True)
        error = str(raises(MapError, lambda: world.run("--delete")))
        assert "not allowed" in error and "forbidden" in error


def test_refused():
    with World() as world:
        Talk.refused = {PCP: Refused(2, "not allowed", True), NATPMP: Refused(None, "no answer", True),
                        UPNP: Refused(606, "forbidden", True)}
        begun = world.loop.now()
        assert str(raises(MapError, lambda: world.run("--once"))) == "not allowed; forbidden"
        assert world.loop.now() - begun < 1000 and world.gateway.closed and world.out == ""
        assert str(raises(MapError, lambda: world.run("--once", protocol="natpmp"))) == (
            "no answer from the gateway " + GATEWAY)


def test_the_next_protocol():
    with World() as world:
        Talk.refused = {PCP: Refused(2, "not allowed", True)}
        assert world.run("--once") == PUBLIC + ":51820\n"
        world.at(1000, world.interrupt)
        world.run()
        assert world.said == ["port 51820 is mapped by natpmp, for 7200 s"], "no word of what did no harm"


def test_another_nat_above():
    with World() as world:
        make = world.make_gateway

        def private(loop, changed):
            gateway = make(loop, changed)
            gateway.public = "100.64.1.1"
            return gateway

        mapcli.Gateway = private
        assert "another NAT stands above it" in str(raises(MapError, lambda: world.run("--once")))
        assert world.out == "" and world.table == {}


def test_no_gateway():
    with World() as world:
        world.hop = None
        assert "say --gateway ADDRESS" in str(raises(MapError, lambda: world.run("--once")))
        assert world.run("--once", gateway="192.168.7.1") and world.gateway.ip == "192.168.7.1"
        world.hop = "none"
        assert "the network is unreachable" in str(raises(MapError, lambda: world.run("--once")))


def test_which_port():
    with World() as world:
        world.there = ["wg0", "wg1"]
        assert "several WireGuard interfaces (wg0, wg1)" in str(raises(MapError, lambda: world.run("--once")))
        world.wireguard.add("wg1", listen_port=4711)
        assert world.run("--once", interface="wg1") == PUBLIC + ":4711\n"
        world.wireguard.add("wg1", listen_port=0)
        assert "wg1 has no listen port" in str(raises(MapError, lambda: world.run("--once", interface="wg1")))
        world.wireguard.problem = WireGuardError("denied", "wg0: not allowed")
        error = str(raises(MapError, lambda: world.run("--once", interface="wg0")))
        assert error == "wg0: not allowed; or say its listen port: --port N"
        world.there = []
        assert "there is no WireGuard interface" in str(raises(MapError, lambda: world.run("--once")))
        assert world.run("--once", port="5") == PUBLIC + ":5\n"


def test_kept_until_it_is_ended():
    with World() as world:
        world.at(3600000 * 5, world.interrupt)
        assert world.run() == PUBLIC + ":51820\n", "said once, however often it is renewed"
        assert world.gateway.lifetimes[-1] == 0 and world.table == {} and len(world.gateway.lifetimes) > 4
        assert world.said == ["port 51820 is mapped by pcp, for 7200 s"]
        assert world.loop.watched is None and world.gateway.closed and sorted(world.closed) == ["links", "signals"]


def test_a_laptop_moves():
    with World() as world:
        world.at(10000, world.goes, "none", "none")
        world.at(15000, world.goes, "none", "none")
        world.at(20000, world.goes, "10.0.0.1", "10.0.0.5")
        world.at(30000, world.interrupt)
        assert world.run("--keep") == (PUBLIC + ":51820\n") * 2
        assert world.said[1] == "port 51820 is no longer mapped" and "unreachable" in world.said[2]
        assert world.said[3:] == ["port 51820 is mapped by pcp, for 7200 s"]
        assert [want.gateway for want in world.gateway.asked] == [GATEWAY, "10.0.0.1", "10.0.0.1"]


def test_sockets_that_cannot_be_opened():
    with World() as world:
        world.fails = "the gateway cannot be asked"
        assert str(raises(MapError, lambda: world.run("--once"))) == world.fails
        world.at(1000, world.goes, GATEWAY, OWN)
        world.at(3000, lambda: setattr(world.gateway, "fails", ""))
        world.at(4000, world.goes, GATEWAY, OWN)
        world.at(5000, world.interrupt)
        assert world.run() == PUBLIC + ":51820\n"
        assert world.said == ["the gateway cannot be asked", "port 51820 is mapped by pcp, for 7200 s"]


def test_a_refusal_is_said_once_and_tried_again():
    with World() as world:
        refused = Talk.refused = {PCP: Refused(8, "no room"), NATPMP: Refused(None, "", True),
                                  UPNP: Refused(None, "", True)}
        world.at(100000, lambda: refused.pop(PCP))
        world.at(400000, world.interrupt)
        assert world.run() == PUBLIC + ":51820\n"
        assert world.said == ["no room", "port 51820 is mapped by pcp, for 7200 s"]


# -- announced ----------------------------------------------------------------------------------------

def announced(posts):
    return [said["port"] for path, said in posts if path == "/api/endpoint"]


def test_announced_while_it_is_kept():
    with World() as world:
        world.announcing(150000)
        assert announced(world.posts) == [51820, 51820, 51820, 0]
        assert world.posts[0][1]["ttl"] == 120 and world.looks == [(PUBLIC + ":40000", 51820)]
        assert world.said == ["port 51820 is mapped by pcp, for 7200 s", "seen from outside: open to this server: the "
                              "public server reached it", "announced to the public server"]
        assert TOKEN not in " ".join(world.said)


def test_the_address_must_be_the_one_that_is_seen():
    with World() as world:
        world.you = "198.51.100.1:4"
        world.at(25000, setattr, world, "you", PUBLIC + ":5")
        begun = world.loop.now()
        world.announcing(40000)
        assert world.said[1].startswith("not announced: the public server sees this machine at 198.51.100.1, and "
                                        "the gateway maps at %s" % PUBLIC)
        assert announced(world.posts) == [51820, 0] and len(world.looks) == 1
        assert len(world.said) == 4 and [(ms - begun) // 1000 for ms in world.looked_ms] == [0, 10, 20, 30]


def test_what_cannot_be_announced():
    with World() as world:
        for status, you, words in ((403, None, "the publisher answers 403: no (token)"), (0, None, "no answer"),
                                   (200, "rubbish", "does not know where"), (200, None, "does not know where"),
                                   (200, "", "is no publisher")):
            world.status, world.you = status, you
            world.announcing(130000)
            assert len(world.said) == 2 and "not announced: " in world.said[1] and words in world.said[1], world.said
            assert announced(world.posts) in ([0], [51820, 0]) and world.table == {}
            del world.posts[:]


def test_moving_withdraws_it():
    for lost_ms, posts in ((25, [0, 51820, 0]), (500, [0, 51820, 0]), (5000, [51820, 0, 51820, 0])):
        with World() as world:
            begun = world.loop.now()
            world.at(lost_ms, world.goes, "none", "none")
            world.at(100000, world.goes, GATEWAY, OWN)
            world.announcing(110000)
            assert announced(world.posts) == posts, lost_ms
            assert len(world.looked_ms) == 2 and world.looked_ms[1] - begun >= 100000, "not asked without a mapping"
            assert world.closed.count("outside") == 5, "at every change, and in the end"


def test_a_publisher_that_is_silent_is_not_waited_for():
    with World() as world:
        begun = world.loop.now()
        world.status = None
        world.there = ["wg0", "wg1"]  # the one that leads to the publisher
        world.announcing(10000)
        assert 12000 <= world.loop.now() - begun <= 12200 and announced(world.posts) == [0] and world.table == {}
        assert "/api/whoami" in world.closed and "/api/endpoint" in world.closed


def test_verdicts():
    for verdict, problem, taken in ((OPEN, "", True), (UNKNOWN, "nothing can be heard here: not permitted", True),
                                    (FILTERED, "", False), (REWRITTEN, "", False)):
        with World() as world:
            world.verdicts = [(verdict, problem)]
            world.announcing(20000)
            assert [line for line in world.said if line.startswith("seen from outside: " + verdict)]
            assert (51820 in announced(world.posts)) == taken and announced(world.posts)[-1] == 0
            if not taken:
                assert world.gateway.lifetimes == [7200, 0, 7200, 0], "deleted, asked for anew, deleted"
                assert len(world.looks) == 2
                world.announcing(100000)
                assert 51820 not in announced(world.posts), "nor later"
            if problem:
                assert world.said[1] == "seen from outside: unknown: " + problem


def test_the_token_goes_into_the_tunnel_or_nowhere():
    with World() as world:
        world.way = "eth0"
        assert "leads through eth0" in str(raises(MapError, lambda: world.announcing(1000)))
        world.way = "none"
        assert "no way to the public server 10.7.0.1" in str(raises(MapError, lambda: world.announcing(1000)))
        world.way = "wg0"
        error = str(raises(MapError, lambda: world.run(announce=PUBLISHER, token_file=world.folder + "/none")))
        assert "cannot read the token file" in error and world.posts == [] and world.table == {}


def test_wrong_usage():
    with World() as world:
        for flags, options in ((("--once", "--keep"), {}), ((), {"port": "0"}), ((), {"port": "x"}),
                               ((), {"gateway": "::1"}), ((), {"protocol": "stun"}), ((), {"announce": PUBLISHER}),
                               ((), {"token_file": "x"}), ((), {"announce": "x", "token_file": "x"}),
                               (("--once",), {"announce": PUBLISHER, "token_file": "x"}), ((), {"interface": "a b"}),
                               (("--list",), {"announce": PUBLISHER, "token_file": "x"}),
                               (("--list",), {"protocol": "pcp"}), (("--list", "--once"), {})):
            raises(UsageError, lambda: world.run(*flags, **options))
        assert mapcli._publisher("[fd00::1]:81") == ("fd00::1", 81) and mapcli._publisher("fd00::1") == (
            "fd00::1", 8080)


# -- from the command line ----------------------------------------------------------------------------

class Line:
    """`wgp2p map` with a MapCommand that is none; it stands for `sys`, too."""

    def __init__(self, answer=None):
        self.answer, self.given, self.stdout, self.stderr = answer, None, Stream(), Stream()

    def main(self, *words):
        saved = cli.sys, mapcli.MapCommand
        cli.sys, mapcli.MapCommand = self, self.make
        try:
            return cli.main(["map"] + list(words))
        finally:
            cli.sys, mapcli.MapCommand = saved

    def make(self, loop, options, flags, out, say):
        self.given, self.out, self.say = (options, flags), out, say
        return self

    def run(self):
        if self.answer:
            raise self.answer
        self.out("1.2.3.4:5\n")
        self.say("words\x1b")


def test_the_command_line():
    line = Line()
    assert line.main("--once", "--port", "51820", "--token-file=x") == 0
    assert line.given == ({"--port": "51820", "--token-file": "x"}, ["--once"])
    assert line.stdout.text == "1.2.3.4:5\n" and line.stderr.text == "wgp2p: words?\n"
    for error, code in ((MapError("no\x1b"), 1), (UsageError("no\x1b"), 2), (OSError(5), 1)):
        line = Line(error)
        assert line.main() == code and line.stdout.text == "" and line.stderr.text.startswith("wgp2p: ")
        assert "\x1b" not in line.stderr.text
    for words in (("--lists",), ("x",), ("--port",), ("--dns", "1.1.1.1")):
        line = Line()
        assert line.main(*words) == 2 and line.given is None
    assert sorted(cli._MAP_OPTIONS) == sorted(mapcli._READ)
    for word in cli._MAP_OPTIONS + mapcli.FLAGS:
        assert word in cli.USAGE


# -- listed -------------------------------------------------------------------------------------------

class Lister(Gateway):
    """A gateway that answers a search, and has `pages` by path or action, one after the other; None: silence."""

    pages = {}

    def uplink(self, ip, own_ip):
        self.ip, self.own_ip = ip, own_ip
        self.step()

    def _send(self, lease, item):
        if isinstance(item, Datagram):
            answers = [(lease.received, item.ip, 1900, FOUND)] if self.pages and item.ip == GATEWAY else []
        else:
            name = item.headers["SOAPAction"].split("#")[1][:-1] if item.headers else item.path
            response = http.Response(200, {})
            response.body = self.pages[name].pop(0)
            answers = [(lease.answered, item.tag, response, None)]
        for take, *values in answers:
            self._loop.call_later(20, self._take, take, *values)

    def _take(self, take, *values):
        take(self._loop.now(), *values)
        self.step()


def listing(world, *entries, **options):
    """What `--list` prints of a gateway with these entries, or with none of UPnP."""
    mapcli.Gateway = Lister
    Lister.pages = {"/root.xml": [description(service(KIND + "1", "/ctl"))],
                    upnp.LIST: list(entries)} if entries else {}
    return world.run("--list", **options)


def test_listed():
    with World() as world:
        world.own = "192.168.1.2"
        lines = listing(world, list_entry(text="a&lt;b\x9b\n31m&amp;"),
                        list_entry("192.168.1.9", 22, "x", 2222, "TCP", "0"), list_entry("<x>"), fault(713))
        assert lines == ("40000 UDP 192.168.1.2:51820        3600 * a<b??31m&\n"
                         " 2222 TCP 192.168.1.9:22              0 - x\n?\n")
        assert world.said == [] and world.table == {}
        assert listing(world, fault(713), protocol="upnp") == "" and world.said == []


def test_to_list_needs_no_rights():
    with World() as world:
        world.own = "192.168.1.2"
        ours = own_name() + " 51820"
        for there, problem in (([], None), (["wg0"], WireGuardError("denied", "wg0: not allowed"))):
            world.there, world.wireguard.problem = there, problem
            assert listing(world, list_entry(text=ours), fault(713)).endswith(" * %s\n" % ours)
            assert " - \n" in listing(world, list_entry(), fault(713)) and " * \n" in listing(
                world, list_entry(), fault(713), port="51820")
        assert "not allowed" in str(raises(MapError, lambda: listing(world, fault(713), interface="wg0")))


def test_what_cannot_be_listed():
    with World() as world:
        begun = world.loop.now()
        assert str(raises(MapError, lambda: listing(world))) == (
            "no answer from the gateway %s; PCP and NAT-PMP cannot list mappings, only UPnP can" % GATEWAY)
        assert world.loop.now() - begun < 6000 and world.out == ""
        assert "does not offer this; PCP" in str(raises(MapError, lambda: listing(world, fault(401))))
        world.own = "192.168.1.2"
        assert "not one to" in str(raises(MapError, lambda: listing(world, list_entry(), b"<html>")))
        assert world.out.count("\n") == 1
        world.hop = None
        assert "say --gateway ADDRESS" in str(raises(MapError, lambda: listing(world)))


def test_interfaces():
    saved = mapcli._INTERFACES, mapcli._SOCKETS
    folder = new_folder()
    for path, text in (("net/eth0/uevent", "INTERFACE=eth0\n"), ("net/wg1/uevent", "DEVTYPE=wireguard\nIFINDEX=4\n"),
                       ("net/wg0/uevent", "DEVTYPE=wireguard\n"), ("net/utun/uevent", "INTERFACE=utun\n"),
                       ("net/odd/uevent", "DEVTYPE=wireguards\n"), ("run/utun.sock", ""), ("net/bonding_masters", "")):
        write_private("%s/%s" % (folder, path), text)
    mapcli._INTERFACES, mapcli._SOCKETS = folder + "/net", folder + "/run"
    try:
        assert mapcli.wireguards() == ["utun", "wg0", "wg1"]
    finally:
        mapcli._INTERFACES, mapcli._SOCKETS = saved


def test_over_real_sockets():
    loop, folder, out, said = Loop(), new_folder(), [], []
    try:
        box = RealBox(loop)
    except OSError:
        raise Skip("the ports are in use")
    saved = mapcli.links.gateway, mapcli.links.source_of, mapcli._folder
    mapcli.links.gateway, mapcli.links.source_of = lambda ip: box.ip, lambda ip: "127.0.0.1"
    mapcli._folder = lambda: folder
    try:
        for flag in ("--once", "--delete"):
            MapCommand(loop, {"--port": "51820", "--protocol": "pcp"}, [flag], out.append, said.append).run()
        assert out == ["203.0.113.5:51820\n"] and len(said) == 2 and len(box.heard) == 2
        assert box.heard[1][4:8] == bytes(4) and box.heard[1][24:36] == box.heard[0][24:36], "with the same nonce"
    finally:
        mapcli.links.gateway, mapcli.links.source_of, mapcli._folder = saved
        box.close()
    assert not loop._watched
