"""bus.py against a fake ubusd: what is published, what is told, and a bus that goes away."""
import os

from fakeubus import FakeUbus
from folders import new_folder
from helpers import drive

from wgp2p import bus, config, log
from wgp2p.control import Impossible
from wgp2p.loop import Loop
from wgp2p.ubusmessage import INVALID_ARGUMENT, NOT_SUPPORTED, OK


class Commands:
    """The daemon."""

    def __init__(self):
        self.error = None

    def status(self):
        return {"version": "1.2.3", "subscribers": [{"peers": [{"endpoint": None, "seen_age": 0.5, "rx": 1 << 40}]}]}

    def peers(self):
        return [{"name": "phone"}]

    def history(self):
        return {"slot": 900, "peers": [{"states": "-d"}]}

    def mappings(self):
        return [{"interface": "wg0"}]

    def beacon(self, key):
        if self.error is not None:
            raise self.error
        return {"beacon": key}

    def token(self, label, token):
        if self.error is not None:
            raise self.error
        return {}

    def doctor(self, done):
        done([{"code": "off", "level": "error"}])

    def punch(self, word):
        if self.error is not None:
            raise self.error
        return {"peer": word}

    def reload(self):
        if self.error is not None:
            raise self.error
        return ["warning: x"]


class Bench:
    def __init__(self, path=None):
        self.loop = Loop()
        self.path = path or new_folder() + "/ubus.sock"
        self.fake = FakeUbus(self.loop, self.path) if path is None else None
        self.commands, self.events, self.gone, self.logged = Commands(), [], [], []
        self._saved = [(bus, "socket_path", bus.socket_path), (bus, "_AGAIN_MS", bus._AGAIN_MS),
                       (bus, "_GIVE_UP_MS", bus._GIVE_UP_MS), (log, "_write", log._write)]
        bus.socket_path, bus._AGAIN_MS, bus._GIVE_UP_MS = lambda: None if path == "none" else self.path, 20, 200
        log._write = lambda level, text: self.logged.append((level, text))
        self.bus = bus.Bus(self.loop, self.commands, lambda: self.events.append(1), lambda: self.gone.append(1))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.bus.close()
        if self.fake is not None:
            self.fake.close()
        for module, name, value in self._saved:
            setattr(module, name, value)

    def published(self):
        drive(self.loop, lambda: self.fake.objects() == ["wgp2p"])
        return self


def test_the_object():
    with Bench() as bench:
        bench.published()
        for method, wanted in (("status", bench.commands.status()), ("peers", {"peers": [{"name": "phone"}]}),
                               ("mappings", {"mappings": [{"interface": "wg0"}]}),
                               ("history", bench.commands.history()),
                               ("doctor", {"findings": [{"code": "off", "level": "error"}]}),
                               ("reload", {"warnings": ["warning: x"]})):
            assert bench.fake.invoke("wgp2p", method) == (wanted, OK), method
        assert bench.fake.invoke("wgp2p", "punch", {"peer": "phone"}) == ({"peer": "phone"}, OK)
        assert bench.fake.invoke("wgp2p", "punch", {"peer": 7}) == (None, INVALID_ARGUMENT)
        assert bench.fake.invoke("wgp2p", "beacon", {"public_key": "x"}) == ({"beacon": "x"}, OK)
        assert bench.fake.invoke("wgp2p", "token", {"subscriber": "", "token": "x"}) == ({}, OK)
        assert bench.fake.invoke("wgp2p", "token", {"subscriber": "", "token": 7}) == (None, INVALID_ARGUMENT)
        assert bench.logged == []


def test_refusals_say_why():
    with Bench() as bench:
        bench.published()
        for method, args in (("punch", {"peer": "x"}), ("beacon", {"public_key": "x"}),
                             ("token", {"subscriber": "x", "token": "x"})):
            bench.commands.error = ValueError("no peer 'x'")
            assert bench.fake.invoke("wgp2p", method, args) == ({"error": "no peer 'x'"}, INVALID_ARGUMENT)
            bench.commands.error = Impossible("phone is excluded")
            assert bench.fake.invoke("wgp2p", method, args) == ({"error": "phone is excluded"}, NOT_SUPPORTED)
        bench.commands.error = config.ConfigError([config.Problem(True, "line 3", "is missing")])
        assert bench.fake.invoke("wgp2p", "reload") == (
            {"error": "the configuration is not used", "problems": ["error: line 3: is missing"]}, INVALID_ARGUMENT)


def test_events():
    with Bench() as bench:
        bench.bus.tell({"action": "path"})  # not connected yet: nobody to tell
        bench.published()
        bench.bus.tell({"action": "path", "path": "direct"})
        drive(bench.loop, lambda: bench.fake.events)
        assert bench.fake.events == [("wgp2p.peer", {"action": "path", "path": "direct"})]

        def heard():
            bench.fake.emit("network.interface", {"action": "ifup", "interface": "wg0"})
            return bench.events

        drive(bench.loop, heard)  # as soon as it listens


def test_hotplug():
    with Bench() as bench:
        assert not bench.bus.hotplug(["ACTION=address"]), "nobody to ask yet"
        bench.published()
        asked = []
        assert bench.bus.hotplug(["ACTION=address"])  # no procd, or no folder
        drive(bench.loop, lambda: bench.logged)
        assert "hotplug.wgp2p" in bench.logged[0][1]
        bench.fake.serve("hotplug.wgp2p", {"call": lambda args: asked.append(args)})
        assert bench.bus.hotplug(["ACTION=address", "ADDRESS=192.0.2.1"])
        drive(bench.loop, lambda: asked)
        assert asked == [{"env": ["ACTION=address", "ADDRESS=192.0.2.1"]}]


def test_what_the_access_lists_forbid_is_said():
    with Bench() as bench:
        bench.fake.denied.add(("publish", "wgp2p"))
        bench.fake.denied.add(("listen", "network.interface"))
        drive(bench.loop, lambda: len(bench.logged) == 2)
        assert sorted([text.split(": ")[1] for _, text in bench.logged]) == [
            "listening to network.interface", "the object wgp2p"]
        assert bench.gone == [] and bench.bus.connected


def test_a_bus_that_comes_back():
    with Bench() as bench:
        bench.published()
        bench.fake.drop()
        drive(bench.loop, lambda: not bench.bus.connected)
        bench.bus.tell({"action": "path"})
        bench.published()
        drive(bench.loop, lambda: bench.bus.connected)
        assert bench.gone == []


def test_a_bus_that_stays_away():
    with Bench() as bench:
        bench.published()
        bench.fake.close()
        drive(bench.loop, lambda: bench.gone)
        bench.loop.run_once(50)
        assert bench.gone == [1] and [level for level, _ in bench.logged] == [1, 0]


def test_a_socket_that_nobody_serves():
    path = new_folder() + "/ubus.sock"
    open(path, "w").close()
    seldom, bus._SELDOM_MS = bus._SELDOM_MS, 20
    try:
        with Bench(path) as bench:
            drive(bench.loop, lambda: bench.logged)
            for _ in range(20):
                bench.loop.run_once(20)
            assert bench.gone == [] and [level for level, _ in bench.logged] == [1], bench.logged
            os.remove(path)
            bench.fake = FakeUbus(bench.loop, path)
            bench.published()
    finally:
        bus._SELDOM_MS = seldom


def test_no_bus():
    with Bench("none") as bench:
        bench.loop.run_once(30)
        assert not bench.bus.connected and bench.gone == [] and bench.logged == []
        bench.bus.tell({})
        assert not bench.bus.hotplug([])
