"""daemon.py with fake roles: what runs is what the configuration says, also after a reload; the control socket."""
import errno
import json
import os

from fakewg import FakeWireGuard, key
from folders import new_folder
from helpers import VirtualLoop, raises

from wgp2p import config, control, daemon, exported, http, log, outside, portmap
from wgp2p.beaconkey import beacon_of
from wgp2p.control import Impossible
from wgp2p.files import read_text, write_private
from wgp2p.mapping import PCP, Mapping

PUBLISHER = "config publisher '%s'\n option interface '%s'\n option port '%d'\n"
SUBSCRIBER = "config subscriber '%s'\n option interface '%s'\n option publisher '10.0.0.%d'\n"
PEERS = "config peer\n option public_key '%s'\n option name 'phone'\nconfig peer\n option public_key '%s'\n" \
    " option name 'phone2'\n" % (key(1), key(2))


class FakeRole:
    """A Publisher or Subscriber that remembers what happens to it."""

    def __init__(self, interface, sections):
        self.interface, self.sections = interface, sections
        self.told = []
        self.paths = {key(1): None}
        self.registry = self
        self.entries = {key(3): None}
        self.device, self.listen_port = self, 51820
        self.places = []
        self.now_in = {}

    def states(self):
        return self.now_in

    def follow_anew(self, label):
        self.told.append(label)

    def configure(self, found, sections):
        self.told.append("configure")
        self.sections = sections

    def wan_changed(self):
        self.told.append("wan")

    def seen_at(self):
        return self.places

    def connected_links(self):
        return ["link"]

    def row(self, key):
        return {"name": "phone", "path": "direct", "reason": "", "endpoint": "192.0.2.1:5"}

    def links_changed(self, risen):
        self.told.append(risen)

    def close(self, done=lambda: None):
        self.told.append("close")
        done()

    def punch(self, peer):
        self.told.append(peer)
        return peer == key(1)

    def status(self):
        return {"interface": self.interface, "peers": []}


class Thing:
    """A Server, LinkWatch or Signals."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.fd = 99
        self.numbers = []
        self.closed = False

    def take(self):
        taken, self.numbers = self.numbers, []
        return taken

    def close(self):
        self.closed = True


class Wan(Thing):
    """The WAN role: what it was told, and what it is asked."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.told = []

    def configure(self, main):
        self.told.append(main.preserve_port)

    def links_changed(self):
        self.told.append("links")

    def refresh(self):
        self.told.append("refresh")

    def status(self):
        return {"device": [], "address": [], "problem": ""}

    def rewritten(self):
        return [(51820, 1024)]

    def close(self, done):
        super().close()
        done()


class Bus(Thing):
    """ubus; `procd` says whether hotplug can be asked."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.told = []
        self.procd = True

    def tell(self, data):
        self.told.append(data)

    def hotplug(self, environment):
        self.told.append(environment)
        return self.procd


class FakePortmap:
    """A portmap.Portmap that remembers what happens to it."""

    def __init__(self, loop, values, keep_dir, interfaces, verify, changed):
        self.values, self.keep_dir = values, keep_dir
        self.verify, self.changed = verify, changed
        self.told, self.open = [], False

    def configure(self, values):
        self.values = values
        self.told.append("configure")

    def refresh(self):
        self.told.append("refresh")

    def address_changed(self):
        self.told.append("address")

    def is_open(self):
        return self.open

    def endpoints(self):
        return ["198.51.100.7:51820"]

    def status(self):
        return {"interface": self.values.interface}

    def close(self, done):
        self.told.append("close")
        done()


class FakeOutside:
    """An outside.Outside of which one verdict is known."""

    def __init__(self, loop, port):
        self.port = port

    def verify(self, links, external, done, ip):
        done((self.port, links, external, ip), "")


class Link:
    label, you = "vps", "198.51.100.7:1234"


class Loop(VirtualLoop):
    """The fake's descriptors."""

    def __init__(self):
        super().__init__()
        self.watched = {}
        self.stopped = False

    def watch(self, fd, events, callback):
        self.watched[fd] = callback

    def unwatch(self, fd):
        self.watched.pop(fd, None)

    def stop(self):
        self.stopped = True


class Answer:
    def __init__(self):
        self.status = self.value = None

    def reply(self, status, value, headers=None):
        assert self.status is None
        self.status, self.value = status, json.loads(json.dumps(value))

    def error(self, status, text):
        self.reply(status, {"error": text})


class Bench:
    def __init__(self, text):
        self.folder = new_folder()
        self.path = self.folder + "/config"
        self.roles, self.logged, self.things = [], [], {}
        self._saved = [(daemon, name, getattr(daemon, name)) for name in (
            "Publisher", "Subscriber", "LinkWatch", "Signals", "open_backend", "Wan", "Bus", "Hooks", "delete_table")]
        self._saved += [(control, name, getattr(control, name)) for name in ("Server", "listen_unix")]
        self._saved += [(portmap, "Portmap", portmap.Portmap), (outside, "Outside", outside.Outside)]
        portmap.Portmap, outside.Outside = FakePortmap, FakeOutside
        self._saved += [(daemon.process, "drop_ambient", daemon.process.drop_ambient), (log, "_write", log._write)]
        daemon.Publisher = lambda loop, wireguard, found, values, listener: self._role(values.interface, values)
        daemon.Subscriber = lambda loop, wireguard, found, interface, sections, listener, sweeper: self._role(
            interface, sections)
        for name in ("LinkWatch", "Signals", "Hooks"):
            setattr(daemon, name, self._maker(name, Thing))
        daemon.Wan, daemon.Bus = self._maker("Wan", Wan), self._maker("Bus", Bus)
        control.Server = self._maker("Server", Thing)
        control.listen_unix = lambda path, mode: (path, mode)
        daemon.open_backend = lambda loop, kind: FakeWireGuard()
        self.deleted = []
        daemon.delete_table = self.deleted.append
        daemon.process.drop_ambient = lambda: None
        log._write = lambda level, text: self.logged.append(text)
        self.write(text)
        self.loop = Loop()
        try:
            self.daemon = daemon.Daemon(self.loop, self.path)
        except Exception:  # a daemon that does not start, and no __exit__ to come
            self.__exit__()
            raise

    def _role(self, interface, sections):
        self.roles.append(FakeRole(interface, sections))
        return self.roles[-1]

    def _maker(self, name, kind):
        def make(*arguments):
            self.things[name] = kind(*arguments)
            return self.things[name]
        return make

    def write(self, text):
        write_private(self.path, "config wgp2p\n option state_dir '%s/state'\n option log_level 'error'\n"
                      % self.folder + text)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for module, name, value in self._saved:
            setattr(module, name, value)
        log.set_level("info")

    def ask(self, method, path, value=None):
        """(status, value) of a request on the control socket."""
        request = http.Request(method, path, {}, {})
        request.body = value if isinstance(value, bytes) else json.dumps(value).encode() if value is not None else b""
        answer = Answer()
        self.things["Server"].arguments[2](request, answer)
        return answer.status, answer.value

    def signal(self, number):
        self.things["Signals"].numbers.append(number)
        self.loop.watched[99](1)


def test_what_runs():
    with Bench(PUBLISHER % ("a", "wg0", 80) + SUBSCRIBER % ("b", "wg1", 1) + SUBSCRIBER % ("c", "wg1", 2)) as bench:
        assert sorted([role.interface for role in bench.roles]) == ["wg0", "wg1"]
        role = bench.daemon.subscribers["wg1"]
        assert [values.label for values in role.sections] == ["b", "c"]
        assert bench.things["Server"].arguments[1] == (bench.folder + "/state/control.sock", 0o600)
        assert os.stat(bench.folder + "/state")[0] & 0o777 == 0o700
        bench.things["LinkWatch"].arguments[1](set([5]))
        assert [role.told for role in bench.roles] == [[set([5])]] * 2
    with Bench("") as bench:
        assert bench.roles == [] and [text for text in bench.logged if "switches nothing on" in text]


def test_a_configuration_that_cannot_be_used():
    error = raises(config.ConfigError, Bench, "config publisher\n")
    assert "option interface: is missing" in str(error)


def test_a_control_socket_that_cannot_be():
    with Bench("") as bench:
        numbers = [errno.EADDRINUSE, 13]

        def refuse(path, mode):
            raise OSError(numbers.pop(0))

        control.listen_unix = refuse
        for why in ("another wgp2p answers there", "permission denied"):
            error = raises(ValueError, daemon.Daemon, Loop(), bench.path)
            assert str(error) == "the control socket %s/state/control.sock: %s" % (bench.folder, why), error


def test_reload():
    with Bench(PUBLISHER % ("a", "wg0", 80) + SUBSCRIBER % ("b", "wg1", 1)) as bench:
        first, second = bench.daemon.publishers["a"], bench.daemon.subscribers["wg1"]
        bench.write(PUBLISHER % ("a", "wg0", 81) + SUBSCRIBER % ("b", "wg1", 2))
        assert bench.ask("POST", "/reload") == (200, {"warnings": []})
        assert first.told == ["configure"] == second.told and first.sections.port == 81 and len(bench.roles) == 2
        bench.write(PUBLISHER % ("a", "wg2", 81) + " option zebra '1'\n")
        status, value = bench.ask("POST", "/reload", {})
        assert status == 200 and "option zebra" in value["warnings"][0]
        assert not [text for text in bench.logged if text.startswith("warning")], "the log says the level itself"
        assert first.told[-1] == "close" == second.told[-1] and bench.daemon.publishers["a"].interface == "wg2"
        assert bench.daemon.subscribers == {}
        for text in (PUBLISHER % ("a", "wg2", 0), "nonsense"):
            bench.write(text)
            status, value = bench.ask("POST", "/reload")
            assert status == 400 and value["error"] == "the configuration is not used" and len(value["problems"]) == 1
        os.remove(bench.path)
        assert bench.ask("POST", "/reload")[0] == 400
        assert bench.daemon.publishers["a"].told == []


def test_signals():
    with Bench(PUBLISHER % ("a", "wg0", 80)) as bench:
        bench.signal(1)
        assert bench.roles[0].told == ["configure"] and not bench.loop.stopped
        bench.write("nonsense")
        bench.signal(1)
        assert bench.roles[0].told == ["configure"] and [text for text in bench.logged if "is not used" in text]
        bench.signal(15)
        assert bench.loop.stopped
        bench.daemon.close()
        assert bench.roles[0].told == ["configure", "close"] and not bench.loop.watched
        for name in ("Server", "LinkWatch", "Signals", "Wan", "Bus", "Hooks"):
            assert bench.things[name].closed, name


def test_a_signal_while_it_stops_starts_nothing():
    with Bench(PUBLISHER % ("a", "wg0", 80)) as bench:
        signals = []

        def wan_close(done):  # it takes its time, and the loop runs
            if 99 in bench.loop.watched:
                bench.signal(1)
            signals.append(1)
            done()

        bench.things["Wan"].close = wan_close
        bench.daemon.close()
        assert signals and bench.roles[0].told == ["close"]


def test_punch():
    with Bench(SUBSCRIBER % ("b", "wg1", 1) + PUBLISHER % ("a", "wg0", 80) + PEERS) as bench:
        assert bench.ask("POST", "/punch", {"peer": "phone"}) == (200, {"peer": "phone", "public_key": key(1)})
        assert [role.told for role in bench.roles] == [[key(1)], [key(1)]], "both roles are asked"
        assert bench.ask("POST", "/punch", {"peer": key(3)[:6]})[0] == 409, "known to the publisher"
        assert bench.ask("POST", "/punch", {"peer": "ph"}) == (400, {"error": "'ph' may be phone or phone2"})
        for value in (None, b"", b"{", b"[]", b"7", b"null", {"peer": None}, {"peer": 7}, {"peer": []}, {},
                      {"peer": ""},
                      b"\xff", {"peer": "x" * 5000}):
            status, answer = bench.ask("POST", "/punch", value)
            assert status == 400 and list(answer) == ["error"], value


def test_other_requests():
    with Bench(SUBSCRIBER % ("b", "wg1", 1)) as bench:
        status, value = bench.ask("GET", "/status")
        assert status == 200 and value["subscribers"] == [{"interface": "wg1", "peers": []}]
        assert bench.ask("GET", "/peers") == (200, {"peers": []})
        assert bench.ask("GET", "/")[0] == 404 and bench.ask("GET", "/punch")[0] == 405
        assert bench.ask("POST", "/status")[0] == 405


def test_history():
    with Bench(SUBSCRIBER % ("b", "wg1", 1) + SUBSCRIBER % ("c", "wg2", 2) + PEERS) as bench:
        first, second = bench.daemon.subscribers["wg1"], bench.daemon.subscribers["wg2"]
        assert bench.ask("GET", "/history") == (200, {"slot": 900, "peers": []})
        first.now_in, second.now_in = {key(1): "direct"}, {key(3): "relay"}
        bench.loop.advance(21000)
        first.now_in, second.now_in = {key(1): "offline"}, {key(3): "relay"}
        bench.loop.advance(1800000)
        status, value = bench.ask("GET", "/history")
        assert status == 200 and [(row["public_key"], row["name"], row["states"].lstrip("-"))
                                  for row in value["peers"]] == sorted([
                                      (key(1), "phone", "ooo"), (key(3), key(3)[:8] + "\u2026", "rrr")])
        assert bench.ask("POST", "/history")[0] == 405
        first.now_in, second.now_in = {key(2): "trying"}, {}
        assert bench.ask("GET", "/history")[1]["peers"] == [
            {"public_key": key(2), "name": "phone2", "states": "-" * 95 + "t"}], "it is asked, not only noted"


def test_a_beacon_for_a_profile():
    with Bench(SUBSCRIBER % ("b", "wg1", 1)) as bench:
        bench.daemon.config.main.keep_dir = bench.folder + "/keep"
        write_private(bench.folder + "/keep/beacon.key", key(9) + "\n")
        assert bench.daemon.beacon(key(1)) == {"beacon": beacon_of(bytes([9] * 32), key(1))}
        for word in (None, 7, "", "phone", key(1) + "\n", key(1)[:-1], b"x", "\u00e9" * 44):
            assert str(raises(ValueError, bench.daemon.beacon, word)).startswith("the public key must be"), word
        write_private(bench.folder + "/keep/beacon.key", "nonsense\n")
        assert "damaged" in str(raises(Impossible, bench.daemon.beacon, key(1)))
    with Bench(PUBLISHER % ("a", "wg0", 80)) as bench:
        bench.daemon.config.main.keep_dir = bench.folder + "/keep"
        raises(Impossible, bench.daemon.beacon, key(1))
        assert "keep" not in os.listdir(bench.folder), "a public server needs no beacons"


TOKEN = "0123456789abcdef" * 4


def test_a_token_is_taken():
    with Bench(SUBSCRIBER % ("b", "wg1", 1) + PUBLISHER % ("a", "wg0", 80)) as bench:
        bench.daemon.config.main.keep_dir = bench.folder + "/keep"
        for label in ("", "b"):
            assert bench.daemon.token(label, TOKEN + label) == {}
            assert read_text(bench.folder + "/keep/token", 100) == TOKEN + label + "\n"
            assert bench.daemon.subscribers["wg1"].told.pop() == "b"
        for label, token in ((None, TOKEN), ("a", TOKEN), ("wg1", TOKEN), (7, TOKEN), ("b", None), ("b", TOKEN[:31]),
                             ("b", TOKEN + " " + TOKEN), ("b", TOKEN * 5), ("b", [TOKEN]), ("b", TOKEN + "\n")):
            error = raises(ValueError, bench.daemon.token, label, token)
            assert TOKEN[:31] not in str(error), error
        assert read_text(bench.folder + "/keep/token", 100) == TOKEN + "b\n", "what was there stays"
        assert bench.daemon.subscribers["wg1"].told == [] and not [text for text in bench.logged if TOKEN in text]


def test_whose_token_it_is_must_be_clear():
    with Bench(SUBSCRIBER % ("b", "wg1", 1) + SUBSCRIBER % ("c", "wg1", 2)) as bench:
        keep = bench.daemon.config.main.keep_dir = bench.folder + "/keep"
        assert "several" in str(raises(ValueError, bench.daemon.token, "", TOKEN))
        assert "b and c" in str(raises(ValueError, bench.daemon.token, "b", TOKEN)), "one file for two publishers"
        bench.daemon.config.subscribers[1].token_file = keep + "/other"
        bench.daemon.token("c", TOKEN)
        assert os.listdir(keep) == ["other"] and bench.roles[0].told == ["c"]
        bench.daemon.config.subscribers[0].token = TOKEN
        assert "option token" in str(raises(ValueError, bench.daemon.token, "b", TOKEN))
    with Bench(PUBLISHER % ("a", "wg0", 80)) as bench:
        raises(ValueError, bench.daemon.token, "", TOKEN)


def test_switched_off():
    with Bench(PUBLISHER % ("a", "wg0", 80)) as bench:
        bench.write(" option enabled '0'\n" + PUBLISHER % ("a", "wg0", 80))
        assert bench.ask("POST", "/reload")[0] == 200
        assert bench.roles[0].told == ["close"] and bench.daemon.publishers == {}
        assert [text for text in bench.logged if "switched off by option enabled" in text]


def test_the_wan():
    with Bench(SUBSCRIBER % ("b", "wg1", 1) + PUBLISHER % ("a", "wg0", 80)) as bench:
        wan = bench.things["Wan"]
        assert wan.told == [True]
        bench.things["LinkWatch"].arguments[1](set())
        bench.daemon.interface_changed()
        assert wan.told == [True, "links", "refresh"]
        wan.arguments[3]()
        assert bench.daemon.subscribers["wg1"].told[-1] == "wan" != bench.daemon.publishers["a"].told[-1]
        bench.write(" option preserve_port '0'\n" + SUBSCRIBER % ("b", "wg1", 1))
        bench.ask("POST", "/reload")
        assert wan.told[-1] is False


def test_what_ubus_and_hooks_are_told():
    with Bench(SUBSCRIBER % ("b", "wg1", 1)) as bench:
        told, role = bench.things["Bus"].told, bench.roles[0]
        hooked = []
        bench.things["Hooks"].tell = hooked.append
        bench.daemon.path_changed(role, key(1))
        assert told.pop() == {"action": "path", "interface": "wg1", "public_key": key(1), "name": "phone",
                              "path": "direct", "reason": "", "endpoint": "192.0.2.1:5"}
        bench.daemon.address_changed(role, Link, None)
        assert told == [
            {"action": "address", "interface": "wg1", "port": 51820, "publisher": "vps", "endpoint": Link.you,
             "previous": None, "stale_profiles": []},
            ["ACTION=address", "INTERFACE=wg1", "LISTEN_PORT=51820", "PUBLISHER=vps", "ADDRESS=198.51.100.7",
             "PORT=1234", "PREVIOUS_ADDRESS=", "PREVIOUS_PORT=", "STALE_PROFILES="]]
        assert hooked == [] and bench.things["Wan"].told[-1] == "refresh"
        bench.things["Bus"].procd = False
        bench.daemon.address_changed(role, Link, "[2001:db8::1]:9")
        assert hooked == [told[-1]] and hooked[0][-3:-1] == ["PREVIOUS_ADDRESS=2001:db8::1", "PREVIOUS_PORT=9"]


PORTMAP = "config portmap\n option interface 'wg1'\n option enabled '1'\n"


def test_a_port_is_mapped_while_a_section_says_so():
    with Bench(SUBSCRIBER % ("b", "wg1", 1) + PORTMAP) as bench:
        role = bench.daemon.portmaps["@portmap[0]"]
        assert bench.ask("GET", "/status")[1]["portmaps"] == [{"interface": "wg1"}]
        bench.write(SUBSCRIBER % ("b", "wg1", 1) + PORTMAP + " option lifetime '600'\n")
        bench.ask("POST", "/reload")
        assert role.told == ["configure"] and role.values.lifetime == 600
        moved = bench.things["Wan"].arguments[3]
        for happens, word in ((lambda: bench.things["LinkWatch"].arguments[1](set()), "refresh"),
                              (bench.daemon.interface_changed, "refresh"), (moved, "refresh"),
                              (lambda: bench.daemon.address_changed(bench.roles[0], Link, None), "address")):
            del role.told[:]
            happens()
            assert role.told == [word]
        bench.write(SUBSCRIBER % ("b", "wg1", 1))
        bench.ask("POST", "/reload")
        assert role.told[-1] == "close" and bench.daemon.portmaps == {}


def test_a_mapping_is_deleted_at_the_end():
    with Bench(SUBSCRIBER % ("b", "wg1", 1) + PORTMAP) as bench:
        role = bench.daemon.portmaps["@portmap[0]"]
        bench.daemon.close()
        assert role.told == ["close"]


def test_a_mapping_is_looked_at_from_outside():
    with Bench(SUBSCRIBER % ("b", "wg1", 1) + PORTMAP + PORTMAP.replace("wg1", "wg9")) as bench:
        said, mapped = [], Mapping(PCP, "203.0.113.5", 40000, 7200)
        bench.daemon.portmaps["@portmap[0]"].verify("wg1", mapped, lambda verdict, problem: said.append(verdict))
        assert said == [(51820, ["link"], 40000, "203.0.113.5")]
        bench.daemon.portmaps["@portmap[1]"].verify("wg9", mapped, lambda *words: said.append(words))
        bench.loop.advance(1)
        assert said[1:] == [("unknown", "no publisher is followed on wg9")]


def test_profiles_that_lead_elsewhere():
    with Bench(SUBSCRIBER % ("b", "wg1", 1) + PORTMAP) as bench:
        bench.write(" option keep_dir '%s'\n" % bench.folder + SUBSCRIBER % ("b", "wg1", 1) + PORTMAP)
        bench.ask("POST", "/reload")
        exported.note(bench.folder, "phone", "198.51.100.9:51820")
        exported.note(bench.folder, "laptop", "198.51.100.7:51820")
        bench.roles[0].places = ["198.51.100.7:40000"]
        assert bench.ask("GET", "/status")[1]["stale_profiles"] == ["phone"]
        bench.daemon.portmaps["@portmap[0]"].changed("wg1", 51820, None, "198.51.100.7:51820")
        told = bench.things["Bus"].told
        assert told[0] == {"action": "mapping", "interface": "wg1", "port": 51820, "publisher": None,
                           "endpoint": "198.51.100.7:51820", "previous": None, "stale_profiles": ["phone"]}
        assert told[1][0] == "ACTION=mapping" and told[1][-1] == "STALE_PROFILES=phone"
        bench.daemon.portmaps["@portmap[0]"].changed("wg1", 51820, "198.51.100.7:51820", None)
        assert told[3][4:6] == ["ADDRESS=", "PORT="]
        bench.daemon.portmaps["@portmap[0]"].changed(None, 51821, None, "198.51.100.7:51821")
        assert told[4]["interface"] is None and told[5][1] == "INTERFACE=", "of a forward alone"


def test_profiles_of_the_page_that_lead_elsewhere():
    peers = "config peer\n option public_key '%s'\n option name 'my phone'\n option profile_endpoint '%s'\n" \
        "config peer\n option public_key '%s'\n option profile_endpoint 'home.example.org:51820'\n" \
        "config peer\n option public_key '%s'\n option name 'tablet'\n"
    with Bench(SUBSCRIBER % ("b", "wg1", 1)) as bench:
        text = " option keep_dir '%s'\n" % bench.folder + SUBSCRIBER % ("b", "wg1", 1)
        exported.note(bench.folder, "my phone", "198.51.100.9:51820")
        exported.note(bench.folder, "tablet", "198.51.100.9:51820")
        bench.roles[0].places = ["198.51.100.7:51820"]
        bench.write(text + peers % (key(1), "198.51.100.7:51820", key(2), key(3)))
        bench.ask("POST", "/reload")
        assert bench.ask("GET", "/status")[1]["stale_profiles"] == ["tablet"], "the page's word counts"
        bench.write(text + peers % (key(1), "198.51.100.9:51820", key(2), key(3)))
        bench.ask("POST", "/reload")
        bench.roles[0].places = ["198.51.100.7:4711"]
        names = bench.ask("GET", "/status")[1]["stale_profiles"]
        assert names == sorted(["my phone", "tablet", key(2)[:8] + "\u2026"])
        bench.daemon.address_changed(bench.roles[0], Link, None)
        told = bench.things["Bus"].told
        assert told[0]["stale_profiles"] == names
        assert told[1][-1] == "STALE_PROFILES=" + " ".join(names).replace("my phone", "my_phone")


def test_netifd_and_a_lost_ubusd():
    with Bench(SUBSCRIBER % ("b", "wg1", 1)) as bench:
        bus = bench.things["Bus"]
        bus.arguments[2]()
        assert bench.roles[0].told == [set()], "an interface event makes it look"
        assert not bench.daemon.failed
        bus.arguments[3]()
        assert bench.daemon.failed and bench.loop.stopped


def test_doctor():
    with Bench("") as bench:
        ended = []

        def start(loop, argv, done, privileged=False):
            ended.append((argv, done, privileged))

        saved, daemon.process.start = daemon.process.start, start
        try:
            for code, out in ((0, b"flags offload"), (1, b"x"), (0, b"\xff")):
                answer, request = Answer(), http.Request("GET", "/doctor", {}, {})
                bench.things["Server"].arguments[2](request, answer)
                argv, done, privileged = ended.pop()
                assert argv == ["nft", "list", "flowtables"] and privileged and answer.status is None
                done(daemon.process.Result(code, out, b"", False))
                codes = [row["code"] for row in answer.value["findings"]]
                assert answer.status == 200 and codes == ["off", "hardware-offload"][:1 + (out == b"flags offload")]

            examined, real = [], daemon.doctor.examine

            def fault(facts):
                examined.append(facts)
                raise ValueError("a fault of ours")

            bench.things["Server"].arguments[2](http.Request("GET", "/doctor", {}, {}), Answer())
            daemon.doctor.examine = fault
            try:
                raises(ValueError, ended.pop()[1], daemon.process.Result(0, b"", b"", False))
            finally:
                daemon.doctor.examine = real
            assert len(examined) == 1, "not taken for text of nft's that cannot be read"

            def refuse(*arguments, privileged):
                raise daemon.process.ProcessError("nft: no such program")

            daemon.process.start = refuse
            assert bench.ask("GET", "/doctor")[0] == 200
        finally:
            daemon.process.start = saved


def test_a_relay_table_that_nobody_uses_goes():
    publisher = "config publisher\n option interface 'wg0'\n option relay '%d'\n"
    device = "config peer\n option public_key '%s'\n option name 'router'\n option device '1'\n" % key(1)
    with Bench(publisher % 1 + device) as bench:
        assert bench.deleted == []
        bench.write(publisher % 0 + device)
        bench.daemon.reload()
        assert bench.deleted == ["wgp2p_relay"]
        bench.write(publisher % 1)
        bench.daemon.reload()
        assert bench.deleted == ["wgp2p_relay"] * 2, "no device, no relay"
