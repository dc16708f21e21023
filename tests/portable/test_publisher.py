"""publisher.py with a fake WireGuard and virtual time: learning, serving, remembering, calling."""
import json
import os

from fakewg import FakeWireGuard, key
from folders import new_folder
from helpers import FakeRelay, Listener, VirtualLoop

from wgp2p import config, http, log, publisher
from wgp2p.conntrack import ConntrackError
from wgp2p.files import exists, read_text, write_private
from wgp2p.publisher import POLL_MS, Publisher
from wgp2p.wireguard import WireGuardError

ROUTER, PHONE, LAPTOP, SECRET = [key(number) for number in range(1, 5)]
HOME, AWAY = "203.0.113.31:36906", "198.51.100.9:1234"


class FakeWatcher:
    """Conntrack or Initiations: remembers its port and callback."""

    def __init__(self, port, callback):
        self.port, self.callback = port, callback
        self.closed = False
        self.forgotten = []

    def forget(self, endpoint, own):
        self.forgotten.append(endpoint)

    def close(self):
        self.closed = True


class FakeServer:
    def __init__(self, where, handler):
        self.where, self.handler = where, handler
        self.closed = False

    def close(self):
        self.closed = True


class Answer:
    """The least of a server.Connection."""

    def __init__(self, ip):
        self.peer = (ip, 1)
        self.status = self.value = None

    def reply(self, status, body=b"", headers=None):
        self.status = status
        self.value = json.loads(body.decode()) if isinstance(body, bytes) else body

    def error(self, status, text):
        self.reply(status, {"error": text})


class Bench:
    """A Publisher on wg0 with the router (a device), the phone, the laptop and an excluded peer."""

    def __init__(self, folder=None, lines=(), excluded=(SECRET,), begin=True, peers=True):
        self.folder = folder or new_folder()
        self.loop = VirtualLoop()
        self.wireguard = FakeWireGuard()
        self.addresses = ["10.0.0.100", "fe80::1"]
        self.servers, self.conntracks, self.initiations, self.logged = [], [], [], []
        self.listen_error = self.conntrack_error = self.initiations_error = None
        self.lines, self.excluded = lines, excluded
        self._saved = [(publisher, name, getattr(publisher, name)) for name in (
            "Conntrack", "Initiations", "Relay", "addresses", "listen_tcp", "Server")]
        self._saved += [(log, "_write", log._write), (publisher.probe, "send", publisher.probe.send)]
        self.probes = []
        publisher.probe.send = lambda interface, ip: self.probes.append((interface, ip))
        publisher.Conntrack, publisher.Initiations = self._conntrack, self._initiations
        publisher.Relay = FakeRelay
        publisher.addresses, publisher.listen_tcp = self._addresses, self._listen
        publisher.Server = lambda loop, listener, handler, limits: self._server(listener, handler)
        log._write = lambda level, text: self.logged.append(text) if level < 3 else None
        self.listener = Listener()
        self.interface(7, peers)
        if begin:
            self.begin()

    def begin(self):
        found = self.config()
        self.publisher = Publisher(self.loop, self.wireguard, found, found.publishers[0], self.listener)
        return self.publisher

    def config(self, lines=None):
        return config.parse(self.text(lines))

    def text(self, lines=None):
        text = "config wgp2p\n option state_dir '%s/state'\n option keep_dir '%s/keep'\n" % (self.folder, self.folder)
        text += "config publisher\n option interface 'wg0'\n%s" % "".join(
            [" %s\n" % line for line in (self.lines if lines is None else lines)])
        text += "config peer\n option public_key '%s'\n option name 'router'\n option device '1'\n" % ROUTER
        for peer in self.excluded:
            text += "config peer\n option public_key '%s'\n option exclude '1'\n" % peer
        return text

    def configure(self, lines=()):
        found = self.config(lines)
        self.publisher.configure(found, found.publishers[0])

    def interface(self, ifindex, peers=True):
        """wg0, made anew."""
        self.wireguard.add("wg0", ifindex=ifindex)
        if peers:
            for number, peer in enumerate((ROUTER, PHONE, LAPTOP, SECRET)):
                self.wireguard.peer("wg0", peer, allowed_ips=("10.0.0.%d/32" % (number + 1),))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for module, name, value in self._saved:
            setattr(module, name, value)

    # -- what stands for the kernel -------------------------------------------------------------------

    def _conntrack(self, loop, port, callback):
        if self.conntrack_error:
            raise self.conntrack_error
        self.conntracks.append(FakeWatcher(port, callback))
        return self.conntracks[-1]

    def _initiations(self, loop, port, callback):
        if self.initiations_error:
            raise self.initiations_error
        self.initiations.append(FakeWatcher(port, callback))
        return self.initiations[-1]

    def _addresses(self, ifindex=None):
        assert ifindex in (None, self.wireguard.devices["wg0"].ifindex)
        if isinstance(self.addresses, Exception):
            raise self.addresses
        return self.addresses

    def _listen(self, ip, port, device):
        if self.listen_error:
            raise self.listen_error
        return (ip, port, device)

    def _server(self, where, handler):
        self.servers.append(FakeServer(where, handler))
        return self.servers[-1]

    # -- shortcuts ------------------------------------------------------------------------------------

    def open(self):
        """Where it is served."""
        return [server.where for server in self.servers if not server.closed]

    def hear(self, peer, endpoint=HOME):
        self.wireguard.hear("wg0", peer, endpoint)

    def token(self):
        return self.publisher.token(ROUTER).decode()

    def ask(self, ip="10.0.0.1", path="/api/peers", token=None):
        request = http.Request("GET", path, {}, {"host": "10.0.0.100:8080",
                                                 "authorization": "Bearer " + (token or self.token())})
        answer = Answer(ip)
        [server for server in self.servers if not server.closed][0].handler(request, answer)
        return answer

    def is_secret(self, token):
        """No log line and no status shows the token."""
        return token not in json.dumps(self.publisher.status()) + "".join(self.logged)

    def row(self, peer):
        return [row for row in self.publisher.status()["peers"] if row["public_key"] == peer][0]


# -- learning -----------------------------------------------------------------------------------------

def test_it_looks_every_second():
    with Bench() as bench:
        assert bench.wireguard.reads == 1
        bench.hear(PHONE)
        bench.loop.advance(POLL_MS - 1)
        assert bench.row(PHONE)["endpoint"] is None
        bench.loop.advance(1)
        assert bench.row(PHONE)["endpoint"] == HOME and bench.row(PHONE)["state"] == "seen"
        bench.loop.advance(60000)
        assert bench.wireguard.reads == 62 and bench.row(PHONE)["state"] == "quiet"


def test_a_new_flow_is_looked_at_twice():
    with Bench() as bench:
        bench.loop.advance(2000)
        reads = bench.wireguard.reads
        bench.conntracks[-1].callback()
        bench.loop.advance(4)
        assert bench.wireguard.reads == reads
        bench.hear(PHONE)
        bench.loop.advance(1)
        assert bench.wireguard.reads == reads + 1 and bench.row(PHONE)["endpoint"] == HOME
        bench.loop.advance(45)
        assert bench.wireguard.reads == reads + 2


def test_a_client_that_returns_is_a_new_flow_again():
    with Bench() as bench:
        bench.loop.advance(2000)
        for endpoint in (HOME, HOME, AWAY, HOME):
            bench.wireguard.peer("wg0", PHONE, endpoint=endpoint)
            bench.loop.advance(1000)
        assert bench.conntracks[0].forgotten == [HOME, AWAY]
        bench.addresses = OSError(1)
        bench.wireguard.peer("wg0", PHONE, endpoint=AWAY)
        bench.loop.advance(1000)
        assert bench.conntracks[0].forgotten == [HOME, AWAY]


def test_a_flood_of_flows_costs_few_looks():
    with Bench() as bench:
        bench.loop.advance(2000)
        reads = bench.wireguard.reads
        for _ in range(10000):
            bench.conntracks[-1].callback()
            bench.loop.advance(1)
        assert bench.wireguard.reads - reads <= 10 * 5 + 10, bench.wireguard.reads - reads
        bench.loop.advance(1000)
        reads = bench.wireguard.reads
        bench.loop.advance(10000)
        assert bench.wireguard.reads == reads + 10, "nothing is left over"


def test_watchers_follow_the_listen_port():
    with Bench() as bench:
        assert (bench.conntracks[-1].port, bench.initiations[-1].port) == (51820, 51820)
        bench.interface(7)
        bench.wireguard.devices["wg0"].listen_port = 4500
        bench.loop.advance(POLL_MS)
        assert [one.closed for one in bench.conntracks] == [True, False] and bench.conntracks[-1].port == 4500
        assert [one.closed for one in bench.initiations] == [True, False] and bench.initiations[-1].port == 4500
        bench.loop.advance(10000)
        assert len(bench.conntracks) == 2


def test_without_conntrack_or_raw_sockets():
    with Bench(begin=False) as bench:
        bench.conntrack_error = ConntrackError("the kernel offers none")
        bench.initiations_error = OSError(1)
        bench.begin()
        bench.hear(PHONE)
        bench.loop.advance(5000)
        assert bench.row(PHONE)["endpoint"] == HOME and len(bench.open()) == 1
        assert len([text for text in bench.logged if "no conntrack events" in text]) == 1


# -- serving ------------------------------------------------------------------------------------------

def test_served_on_the_tunnel_address_and_device_only():
    with Bench() as bench:
        assert bench.open() == [("10.0.0.100", 8080, "wg0")]
        assert bench.publisher.own_addresses() == ["10.0.0.100"] and bench.publisher.problem == ""
        assert bench.ask().status == 200
    with Bench(lines=("list address '10.0.0.7'", "list address 'fd00::7'", "option port '81'")) as bench:
        assert bench.open() == [("10.0.0.7", 81, "wg0"), ("fd00::7", 81, "wg0")]


def test_no_address_yet():
    with Bench(begin=False) as bench:
        bench.addresses = ["fe80::1"]
        bench.begin()
        assert bench.open() == [] and bench.publisher.problem == "wg0 has no address yet"
        bench.addresses = ["fe80::1", "10.0.0.100", "fd00::1"]
        bench.loop.advance(3000)
        assert bench.open() == [("10.0.0.100", 8080, "wg0"), ("fd00::1", 8080, "wg0")]
        assert bench.publisher.problem == "" and len([text for text in bench.logged if "no address" in text]) == 1


def test_an_address_that_comes_goes_or_changes():
    with Bench() as bench:
        server = bench.servers[0]
        bench.publisher.links_changed(set())
        assert not server.closed, "nothing has changed"
        bench.addresses = ["10.0.0.100", "fd00::1"]
        bench.publisher.links_changed(set())
        assert bench.open() == [("10.0.0.100", 8080, "wg0"), ("fd00::1", 8080, "wg0")]
        bench.addresses = []
        bench.publisher.links_changed(set())
        assert bench.open() == [] and bench.publisher.own_addresses() == []


def test_what_cannot_be_bound_is_tried_again():
    with Bench(begin=False) as bench:
        bench.listen_error = OSError(98)
        bench.begin()
        assert bench.publisher.problem == "cannot listen on 10.0.0.100 port 8080 (errno 98)"
        bench.loop.advance(10000)
        assert len([text for text in bench.logged if "cannot listen" in text]) == 1
        bench.listen_error = None
        bench.loop.advance(2500)
        assert len(bench.open()) == 1 and bench.publisher.problem == ""


def test_addresses_that_cannot_be_read():
    with Bench(begin=False) as bench:
        bench.addresses = OSError(105)
        bench.begin()
        assert bench.publisher.problem and bench.open() == []
        bench.addresses = ["10.0.0.100"]
        bench.loop.advance(2500)
        assert len(bench.open()) == 1
        assert not [text for text in bench.logged if "internal" in text], bench.logged


def test_an_interface_that_is_missing_and_comes_back():
    with Bench() as bench:
        device = bench.wireguard.devices["wg0"]
        bench.wireguard.remove("wg0")
        bench.loop.advance(20000)
        assert bench.publisher.problem == "wg0: no such interface"
        assert len([text for text in bench.logged if "no such interface" in text]) == 1
        bench.wireguard.devices["wg0"] = device
        bench.loop.advance(POLL_MS)
        assert bench.publisher.problem == "" and len(bench.open()) == 1
        bench.wireguard.remove("wg0")
        bench.loop.advance(2000)
        bench.interface(8)
        bench.loop.advance(3000)
        assert bench.publisher.problem == "" and len(bench.open()) == 1
        assert bench.servers[0].closed, "bound to the interface that is gone"


def test_a_reading_that_fails():
    with Bench() as bench:
        bench.wireguard.problem = WireGuardError("denied", "wg0: needs CAP_NET_ADMIN")
        bench.loop.advance(2000)
        assert bench.publisher.problem == "wg0: needs CAP_NET_ADMIN" and len(bench.open()) == 1
        bench.wireguard.problem = None
        bench.loop.advance(1000)
        assert bench.publisher.problem == ""


def test_closed_means_closed():
    for hold in (False, True):
        with Bench() as bench:
            bench.conntracks[-1].callback()
            bench.hear(PHONE)
            bench.loop.advance(3000)
            bench.initiations[-1].callback(HOME)
            bench.wireguard.hold = hold
            bench.loop.advance(POLL_MS)
            bench.publisher.close()
            bench.wireguard.hold = False
            reads = bench.wireguard.reads
            bench.wireguard.release()
            bench.loop.advance(60000)
            assert bench.wireguard.reads == reads and bench.open() == []
            assert bench.conntracks[-1].closed and bench.initiations[-1].closed
            assert bench.loop._timers.next_ms() is None, "no timer is left"


def test_tokens():
    with Bench() as bench:
        path = bench.folder + "/keep/tokens/router"
        assert os.stat(path)[0] & 0o777 == 0o600 and read_text(path, 100).strip() == bench.token()
        assert bench.publisher.token(PHONE) is None
        assert bench.ask(token="x" * 64).status == 403 and bench.ask(ip="10.0.0.2").status == 403
        write_private(path, "y" * 64 + "\n")
        assert bench.ask(token="y" * 64).status == 403, "until the reload"
        bench.configure()
        assert bench.ask(token="y" * 64).status == 200
        os.remove(path)
        write_private(path, "short\n")
        bench.configure()
        assert bench.ask(token="y" * 64).status == 403 and bench.publisher.token(ROUTER) is None
        told = [text for text in bench.logged if "no token" in text]
        assert len(told) == 1 and path in told[0] and "short" not in told[0]
        assert bench.is_secret("y" * 64)


def test_a_client_whose_token_is_there():
    named = "config peer\n option public_key '%s'\n option name '%s'\n"
    with Bench(excluded=()) as bench:
        path = bench.folder + "/keep/tokens/laptop"
        for name, extra in (("laptop", ""), ("laptop", " option exclude '1'\n"), ("../laptop", ""), ("tokens/x", "")):
            text = bench.text() + named % (LAPTOP, name) + extra
            for there in (False, True):
                if there:
                    write_private(path, "l" * 64 + "\n")
                    write_private(bench.folder + "/keep/laptop", "l" * 64 + "\n")
                found = config.parse(text)
                bench.publisher.configure(found, found.publishers[0])
                wanted = b"l" * 64 if there and (name, extra) == ("laptop", "") else None
                assert bench.publisher.token(LAPTOP) == wanted, (name, extra, there)
                assert exists(path) is there, "none is made"
                assert bench.row(LAPTOP)["device"] is False and bench.row(ROUTER)["device"] is True
            os.remove(path)


def test_reload():
    with Bench(excluded=()) as bench:
        bench.hear(SECRET)
        bench.loop.advance(POLL_MS)
        assert SECRET in json.dumps(bench.ask().value)
        boot = bench.publisher.registry.boot
        bench.excluded = (SECRET,)
        bench.configure()
        assert SECRET not in json.dumps(bench.ask().value) and len(bench.servers) == 1
        assert bench.publisher.registry.boot != boot, "nobody goes on where he was"
        assert bench.row(SECRET)["state"] == "excluded"
        bench.configure(lines=("option port '81'",))
        bench.loop.advance(POLL_MS)
        assert bench.open() == [("10.0.0.100", 81, "wg0")]


# -- remembering and calling ----------------------------------------------------------------------------

def remembered(bench):
    path = bench.folder + "/state/endpoints-wg0.json"
    return json.loads(read_text(path, 10000))["endpoints"] if exists(path) else {}


def test_endpoints_are_remembered():
    with Bench() as bench:
        bench.hear(PHONE)
        bench.loop.advance(3000)
        assert remembered(bench) == {PHONE: HOME}
        bench.hear(PHONE, AWAY)
        bench.hear(LAPTOP)
        bench.loop.advance(3000)
        assert remembered(bench) == {PHONE: AWAY, LAPTOP: HOME}
        bench.loop.advance(120000)
        bench.wireguard.drop("wg0", LAPTOP)
        bench.loop.advance(3000)
        assert remembered(bench) == {PHONE: AWAY}, "what an admin has removed is forgotten"
        bench.publisher.close()
        assert exists(bench.folder + "/keep/endpoints-wg0.json")


def knows_three(bench):
    """Phone, laptop and the excluded one have been seen; the router has not."""
    for peer in (PHONE, LAPTOP, SECRET):
        bench.hear(peer)
    bench.loop.advance(3000)
    assert bench.wireguard.take_sets() == []


CALLED = [(PHONE, HOME, 25, True), (PHONE, None, 0, False), (LAPTOP, HOME, 25, True), (LAPTOP, None, 0, False)]


def by_peer(sets):
    """The changes of each peer in their order; dicts have none."""
    found = {}
    for one in sets:
        found.setdefault(one[0], []).append(one[1:])
    return found


def test_a_new_interface_gets_its_endpoints_back():
    with Bench() as bench:
        knows_three(bench)
        bench.interface(8)
        bench.loop.advance(POLL_MS)
        assert by_peer(bench.wireguard.take_sets()) == by_peer(CALLED), "not the excluded one, nor one never seen"
        assert bench.wireguard.get("wg0", PHONE).keepalive == 0, "as it was"
        assert (bench.row(PHONE)["state"], bench.row(PHONE)["endpoint"]) == ("restored", HOME)
        bench.loop.advance(30000)
        assert bench.wireguard.take_sets() == [], "one burst"
        bench.hear(PHONE, AWAY)
        bench.loop.advance(POLL_MS)
        assert (bench.row(PHONE)["state"], bench.row(PHONE)["endpoint"]) == ("seen", AWAY)


def test_a_keepalive_of_an_admin_stays():
    with Bench() as bench:
        knows_three(bench)
        bench.interface(8)
        bench.wireguard.peer("wg0", PHONE, keepalive=17)
        bench.loop.advance(POLL_MS)
        assert [one for one in bench.wireguard.take_sets() if one[0] == PHONE] == [(PHONE, HOME, 17, True)]
        assert bench.wireguard.get("wg0", PHONE).keepalive == 17


def test_only_peers_that_exist_and_have_no_endpoint():
    with Bench() as bench:
        knows_three(bench)
        bench.interface(8)
        bench.wireguard.drop("wg0", LAPTOP)
        bench.wireguard.peer("wg0", PHONE, endpoint=AWAY)
        bench.loop.advance(POLL_MS)
        assert bench.wireguard.take_sets() == []
        assert bench.row(PHONE)["endpoint"] == AWAY and bench.row(PHONE)["restored"] is False


def test_a_peer_removed_between_reading_and_setting_stays_removed():
    with Bench() as bench:
        knows_three(bench)
        bench.interface(8)
        bench.wireguard.before_set = lambda peer: PHONE in bench.wireguard.devices["wg0"].peers and (
            bench.wireguard.drop("wg0", PHONE))
        bench.loop.advance(5000)
        assert PHONE not in bench.wireguard.devices["wg0"].peers
        assert PHONE not in [row["public_key"] for row in bench.publisher.status()["peers"]]


def test_an_interface_that_was_down():
    with Bench() as bench:
        knows_three(bench)
        bench.wireguard.peer("wg0", LAPTOP, keepalive=17)
        bench.publisher.links_changed(set([6]))
        assert bench.wireguard.take_sets() == [], "another one"
        bench.publisher.links_changed(set([7]))
        bench.loop.advance(1)
        assert by_peer(bench.wireguard.take_sets()) == {PHONE: [(None, 25, True), (None, 0, False)],
                                                         LAPTOP: [(None, 17, True)]}
        bench.loop.advance(5000)
        assert bench.wireguard.take_sets() == []


def test_an_interface_seen_before_it_has_its_peers():
    with Bench() as bench:
        knows_three(bench)
        seq = bench.publisher.registry.seq
        bench.interface(8, peers=False)
        bench.publisher.links_changed(set())
        bench.loop.advance(3000)
        assert bench.publisher.registry.seq == seq and len(remembered(bench)) == 3
        bench.interface(8)
        bench.loop.advance(POLL_MS)
        assert by_peer(bench.wireguard.take_sets()) == by_peer(CALLED)


def test_an_interface_that_gets_its_peers_one_by_one():
    with Bench() as bench:
        knows_three(bench)
        bench.wireguard.add("wg0", ifindex=8)
        for number, peer in enumerate((ROUTER, PHONE, LAPTOP, SECRET)):
            bench.wireguard.peer("wg0", peer, allowed_ips=("10.0.0.%d/32" % (number + 1),))
            bench.loop.advance(2 * POLL_MS)
        assert by_peer(bench.wireguard.take_sets()) == by_peer(CALLED)
        assert len(remembered(bench)) == 3


def test_all_peers_removed_for_good():
    with Bench() as bench:
        knows_three(bench)
        bench.loop.advance(120000)
        bench.interface(7, peers=False)
        bench.loop.advance(10000)
        assert bench.publisher.status()["peers"] == [] and remembered(bench) == {}


def test_after_a_restart():
    for lost_state in (False, True):
        with Bench() as bench:
            knows_three(bench)
            bench.publisher.close()
            if lost_state:  # the machine was rebooted: what is on flash is left
                os.remove(bench.folder + "/state/endpoints-wg0.json")
            folder = bench.folder
        with Bench(folder) as bench:
            bench.loop.advance(1)
            assert by_peer(bench.wireguard.take_sets()) == by_peer(CALLED)
            row = bench.row(PHONE)
            assert (row["state"], row["endpoint"], row["seen_age"]) == ("restored", HOME, None)
            served = [one for one in bench.ask().value["peers"] if one["public_key"] == PHONE][0]
            assert served["restored"] is True and served["endpoint"] == HOME


def test_a_daemon_that_restarts_calls_nobody_who_has_an_endpoint():
    with Bench() as bench:
        knows_three(bench)
        bench.publisher.close()
        bench.begin()
        bench.loop.advance(5000)
        assert bench.wireguard.take_sets() == []


def test_a_refused_initiation_is_answered_by_a_call():
    with Bench() as bench:
        knows_three(bench)
        bench.initiations[-1].callback(HOME.replace("36906", "1"))
        bench.loop.advance(5000)
        assert bench.wireguard.take_sets() == [], "from nobody we know"
        bench.hear(PHONE, AWAY)
        bench.loop.advance(POLL_MS)
        bench.initiations[-1].callback(AWAY)
        bench.loop.advance(299)
        assert bench.wireguard.take_sets() == []
        bench.loop.advance(20)
        assert bench.wireguard.take_sets() == [(PHONE, None, 25, True), (PHONE, None, 0, False)]
        assert bench.wireguard.get("wg0", PHONE).endpoint == AWAY and bench.probes == [("wg0", "10.0.0.2")]
        bench.loop.advance(10000)
        assert bench.wireguard.take_sets() == []


def test_an_accepted_initiation_is_none_of_ours():
    with Bench() as bench:
        bench.hear(PHONE)
        bench.loop.advance(POLL_MS)
        bench.initiations[-1].callback(HOME)
        bench.hear(PHONE)
        bench.loop.advance(5000)
        assert bench.wireguard.take_sets() == []


def test_refused_but_excluded_or_gone():
    with Bench() as bench:
        bench.hear(SECRET, AWAY)
        bench.hear(PHONE, HOME)
        bench.loop.advance(POLL_MS)
        bench.initiations[-1].callback(AWAY)
        bench.initiations[-1].callback(HOME)
        bench.wireguard.drop("wg0", PHONE)
        bench.loop.advance(5000)
        assert bench.wireguard.take_sets() == []


def test_a_flood_of_initiations():
    with Bench() as bench:
        for number in range(100):
            bench.wireguard.peer("wg0", key(100 + number), endpoint="203.0.113.31:%d" % (number + 1))
        bench.loop.advance(POLL_MS)
        reads = bench.wireguard.reads
        for _ in range(10):
            for number in range(100):
                bench.initiations[-1].callback("203.0.113.31:%d" % (number + 1))
        assert len(bench.publisher._refused) <= 16
        bench.loop.advance(1000)
        assert bench.wireguard.reads - reads <= 20 and not len(bench.publisher._refused)
        assert len(bench.wireguard.take_sets()) <= 32


def test_a_call_that_fails_is_told():
    with Bench() as bench:
        knows_three(bench)
        bench.wireguard.refuse_sets = WireGuardError("denied", "wg0: needs CAP_NET_ADMIN")
        bench.interface(8)
        bench.loop.advance(POLL_MS)
        assert len(bench.wireguard.take_sets()) == 2, "no second step after a first that failed"
        assert [text for text in bench.logged if "CAP_NET_ADMIN" in text]


def test_a_thousand_peers_are_called_a_few_at_a_time():
    with Bench() as bench:
        for number in range(200):
            bench.wireguard.peer("wg0", key(50 + number), endpoint="203.0.113.31:%d" % (number + 1))
        bench.loop.advance(POLL_MS)
        bench.publisher.links_changed(set([7]))
        most = 0
        called = set()
        for _ in range(200):
            bench.loop.advance(1)
            sets = bench.wireguard.take_sets()
            most = max(most, len(sets))
            called |= set([one[0] for one in sets])
        assert len(called) == 200 and most <= 32, (len(called), most)


def test_excluded_while_it_waits_for_its_call():
    with Bench(excluded=()) as bench:
        bench.hear(SECRET)
        bench.loop.advance(3000)
        bench.publisher.punch(SECRET)
        bench.excluded = (SECRET,)
        bench.configure()
        bench.loop.advance(1000)
        assert bench.wireguard.take_sets() == []


def test_punch():
    with Bench() as bench:
        knows_three(bench)
        assert not bench.publisher.punch(ROUTER) and not bench.publisher.punch(SECRET)
        assert not bench.publisher.punch(key(77)) and bench.wireguard.take_sets() == []
        assert bench.publisher.punch(PHONE)
        bench.loop.advance(1)
        assert bench.wireguard.take_sets() == [(PHONE, None, 25, True), (PHONE, None, 0, False)]


def test_status():
    with Bench() as bench:
        bench.hear(ROUTER)
        bench.loop.advance(POLL_MS)
        status = json.loads(json.dumps(bench.publisher.status()))
        assert (status["interface"], status["address"], status["port"], status["subscribers"]) == (
            "wg0", ["10.0.0.100"], 8080, 0)
        rows = dict([(row["public_key"], row) for row in status["peers"]])
        assert [rows[peer]["state"] for peer in (ROUTER, PHONE, SECRET)] == ["seen", "never", "excluded"]
        assert [rows[peer]["device"] for peer in (ROUTER, PHONE)] == [True, False]
        assert rows[ROUTER]["name"] == "router"
        assert bench.is_secret(bench.token())


# -- the relay ------------------------------------------------------------------------------------------

def test_the_relay_hears_of_a_change_before_anybody_else():
    with Bench() as bench:
        relay, changed = bench.publisher._relay, bench.publisher.api.changed
        order = []
        relay.update = lambda: order.append("relay")
        bench.publisher.api.changed = lambda before: (order.append("readers"), changed(before))
        bench.wireguard.hear("wg0", PHONE, HOME)
        bench.publisher.look()
        assert order == ["relay", "readers"]
        bench.configure()
        assert order[2:] == ["relay"]
        assert bench.publisher.public_key == key(255)


def test_readers_are_told_when_the_relay_begins_and_ends():
    with Bench() as bench:
        boot, restarts = bench.publisher.registry.boot, []
        bench.publisher.api.restart = lambda: restarts.append(bench.publisher.relays())
        for active in (True, False):
            bench.publisher._relay.active = active
            bench.publisher.relay_changed()
            assert bench.publisher.relays() is active
        assert restarts == [True, False] and bench.publisher.registry.boot != boot


def test_nobody_is_told_before_it_is_known_whether_there_is_a_relay():
    """A device that is told "no relay" by a publisher that has just begun would leave the relay for a moment."""
    with Bench(begin=False) as bench:
        real = publisher.Relay
        publisher.Relay = lambda loop, view: setattr(bench, "relay", real(loop, view)) or _loading(bench.relay)
        bench.begin()
        bench.loop.advance(3000)
        assert not bench.servers
        bench.relay.loading, bench.relay.active = False, True
        bench.publisher.relay_changed()
        bench.loop.advance(1)
        assert len(bench.servers) == 1


def _loading(relay):
    relay.loading = True
    return relay


def test_initiations_that_the_relay_takes_are_its_word():
    with Bench() as bench:
        knows_three(bench)
        bench.hear(PHONE, AWAY)
        bench.loop.advance(POLL_MS)
        bench.publisher._relay.places = (AWAY,)
        bench.initiations[-1].callback(AWAY)
        bench.loop.advance(5000)
        assert bench.wireguard.take_sets() == [], "for another member, as far as we know"
        bench.publisher.addressed(AWAY)
        bench.loop.advance(1000)
        assert bench.wireguard.take_sets(), "for us, and refused"


def test_a_hint_is_asked_and_published_only_with_an_answer():
    with Bench() as bench:
        bench.wireguard.hear("wg0", PHONE, HOME)
        bench.publisher.look()
        bench.loop.advance(5000)
        echoes, echo = [], publisher.probe.echo
        publisher.probe.echo = lambda interface, ip: echoes.append(ip)
        bench.publisher.hinted(PHONE, AWAY)
        publisher.probe.echo = echo
        assert bench.wireguard.get("wg0", PHONE).endpoint == AWAY and echoes == ["10.0.0.2"]
        bench.publisher.look()
        assert bench.publisher.registry.entries[PHONE].endpoint == HOME
        bench.wireguard.hear("wg0", PHONE, AWAY)
        bench.loop.advance(150)
        assert bench.publisher.registry.entries[PHONE].endpoint == AWAY
        bench.publisher.hinted(SECRET, AWAY)
        assert len(echoes) == 1, "an excluded peer is left alone"


def test_the_end_of_the_relay():
    with Bench() as bench:
        gone = []
        bench.publisher.close(lambda: gone.append(True))
        assert bench.publisher._relay.closed and gone
