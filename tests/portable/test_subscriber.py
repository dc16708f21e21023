"""subscriber.py, public_server.py and path.py together, with a fake WireGuard, a fake client and virtual time."""
import json
import os

from fakeclient import FakeClient
from fakewg import FakeWireGuard, key
from folders import new_folder
from helpers import FakeSweeper, Listener, VirtualLoop

from wgp2p import config, link, log, subscriber
from wgp2p.files import write_private
from wgp2p.history import UNKNOWN
from wgp2p.path import OFFLINE, TRYING
from wgp2p.subscriber import Subscriber
from wgp2p.wireguard import WireGuardError

SERVER, PHONE, LAPTOP, OTHER = key(9), key(1), key(2), key(8)
OLD, NEW, LAN = "203.0.113.31:36906", "198.51.100.9:1234", "192.168.1.20:36906"
SERVER_AT = "192.0.2.1:51820"
TOKEN = "0123456789abcdef" * 4


class FakeResolver:
    def __init__(self):
        self.asked = []
        self.closed = False

    def resolve(self, name, done):
        self.asked.append((name, done))

    def answer(self, *ips):
        self.asked[-1][1](list(ips), None if ips else "vpn.example: no name server answers")

    def close(self):
        self.closed = True


class Bench:
    """A Subscriber on wg0 that follows one publisher through its server's peer, with a phone and a laptop."""

    def __init__(self, lines=("option token '%s'" % TOKEN,), peers="", sections=None):
        self.folder = new_folder()
        self.loop = VirtualLoop()
        self.wireguard = FakeWireGuard()
        self.client, self.resolver = FakeClient(), FakeResolver()
        self.addresses = ["192.0.2.77", "10.0.0.5"]
        self.logged = []
        self._saved = [(link, "client", link.client), (log, "_write", log._write),
                       (subscriber.probe, "send", subscriber.probe.send),
                       (subscriber, "Resolver", subscriber.Resolver), (subscriber, "addresses", subscriber.addresses)]
        link.client = self.client
        log._write = lambda level, text: self.logged.append(text) if level < 3 else None
        subscriber.Resolver, subscriber.addresses = lambda loop: self.resolver, lambda: self.addresses
        self.probes = []
        subscriber.probe.send = lambda interface, ip: self.probes.append((interface, ip))
        self.interface(7)
        found = self.config(lines, peers, sections)
        self.listener = Listener()
        self.changed = self.listener.paths
        self.subscriber = Subscriber(self.loop, self.wireguard, found, "wg0", found.subscribers, self.listener,
                                     FakeSweeper())

    def config(self, lines, peers, sections):
        text = "config wgp2p\n option keep_dir '%s'\n" % self.folder
        if sections is None:
            sections = "config subscriber 'home'\n option interface 'wg0'\n option publisher '10.0.0.100'\n"
            sections += "".join([" %s\n" % line for line in lines])
        for number, name in ((1, "phone"), (2, "laptop")):
            if key(number) not in peers:
                peers += "config peer\n option public_key '%s'\n option name '%s'\n" % (key(number), name)
        return config.parse(text + sections + peers)

    def configure(self, lines=("option token '%s'" % TOKEN,), peers="", sections=None):
        found = self.config(lines, peers, sections)
        self.subscriber.configure(found, found.subscribers)

    def interface(self, ifindex, peers=True):
        self.wireguard.add("wg0", ifindex=ifindex)
        if peers:
            self.wireguard.peer("wg0", SERVER, endpoint=SERVER_AT, allowed_ips=("10.0.0.0/24",), keepalive=25,
                                rx=1000, handshake=1700000000)
            self.wireguard.peer("wg0", PHONE, allowed_ips=("10.0.0.1/32",))
            self.wireguard.peer("wg0", LAPTOP, allowed_ips=("10.0.0.2/32",))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for module, name, value in self._saved:
            setattr(module, name, value)

    # -- shortcuts ------------------------------------------------------------------------------------

    @property
    def stream(self):
        return self.client.streams[-1]

    @property
    def link(self):
        return self.subscriber.servers["home"].link

    def say(self, *rows):
        """The publisher's snapshot, on a new connection where there is none."""
        if self.link.mode != "events":
            self.stream.begin()
        self.stream.say("snapshot", {"peers": list(rows), "fetched_at": 1763800000}, "boot-1")

    def tell(self, peer, endpoint, age=0.5, quiet=False):
        self.stream.say("peer", row(peer, endpoint, age, quiet), "boot-2")

    def hear(self, peer, endpoint):
        self.wireguard.hear("wg0", peer, endpoint)

    def step(self, ms, hear=()):
        """Time passes; the stream has its heartbeats, the server its keepalives, and so have paths in `hear`,
        {peer: where it sends from}."""
        while ms > 0:
            part = min(ms, 10000)
            self.loop.advance(part)
            ms -= part
            if self.client.streams and not self.stream.closed and self.link.mode == "events":
                self.stream.beat()
            if SERVER in self.wireguard.devices["wg0"].peers:
                self.hear(SERVER, self.wireguard.get("wg0", SERVER).endpoint)
            for peer in hear:
                self.hear(peer, hear[peer])

    def sets(self, peer):
        """What was set on this peer since the last time it was asked, (endpoint, keepalive, nudge)."""
        return [one[1:] for one in self.wireguard.take_sets() if one[0] == peer]

    def path(self, peer):
        return self.subscriber.paths[peer].state

    def connected(self, peer=PHONE, endpoint=OLD):
        """A direct path to the peer."""
        self.say(row(peer, endpoint))
        self.loop.advance(100)
        self.hear(peer, endpoint)
        self.step(3000)
        assert self.path(peer) == "direct"
        self.wireguard.take_sets()
        return self


def row(peer, endpoint, age=0.5, quiet=False):
    return {"public_key": peer, "endpoint": endpoint, "seen_age": age, "quiet": quiet, "latest_handshake": 1763799990}


def excluded(peer):
    return "config peer\n option public_key '%s'\n option name 'x'\n option exclude '1'\n" % peer


# -- the main job -----------------------------------------------------------------------------------------

def test_a_roam():
    with Bench() as bench:
        bench.loop.advance(500)
        bench.say(row(PHONE, OLD))
        assert bench.sets(PHONE) == [(OLD, 25, True)], "at once"
        bench.loop.advance(300)
        bench.hear(PHONE, OLD)
        bench.loop.advance(1500)
        assert bench.path(PHONE) == "direct" and (PHONE, "direct") in bench.changed
        assert [text for text in bench.logged if "phone: direct at " + OLD in text]
        bench.sets(PHONE)
        bench.tell(PHONE, NEW)
        assert bench.sets(PHONE) == [(NEW, 25, True)]
        bench.loop.advance(100)
        bench.hear(PHONE, NEW)
        bench.step(60000, {PHONE: NEW})
        assert bench.sets(PHONE) == [] and bench.path(PHONE) == "direct"
        assert bench.subscriber.status()["peers"][0]["endpoint"] == NEW


def test_the_server_is_no_client():
    with Bench() as bench:
        bench.say(row(SERVER, NEW), row(OTHER, NEW), row(PHONE, OLD))
        bench.step(30000)
        assert bench.sets(SERVER) == []
        rows = dict([(one["public_key"], one) for one in bench.subscriber.status()["peers"]])
        assert (rows[SERVER]["path"], rows[SERVER]["reason"]) == ("static", "the public server")
        assert OTHER not in rows and bench.subscriber.servers["home"].key == SERVER


def test_which_peer_is_the_server_follows_the_allowed_ips():
    with Bench() as bench:
        bench.wireguard.peer("wg0", LAPTOP, allowed_ips=("10.0.0.2/32", "10.0.0.100/32"))
        bench.step(2000)
        assert bench.subscriber.servers["home"].key == LAPTOP
        bench.wireguard.drop("wg0", LAPTOP)
        bench.step(2000)
        assert bench.subscriber.servers["home"].key == SERVER


def test_a_path_of_its_own_is_left_alone():
    with Bench() as bench:
        bench.connected()
        bench.hear(PHONE, LAN)
        bench.step(5000, {PHONE: LAN})
        bench.tell(PHONE, OLD)
        bench.step(60000, {PHONE: LAN})
        assert bench.wireguard.get("wg0", PHONE).endpoint == LAN
        assert not [one for one in bench.sets(PHONE) if one[0]], "no endpoint was set"
        assert bench.path(PHONE) == "direct"


def test_a_peer_that_has_not_been_seen_loses_its_keepalive():
    with Bench() as bench:
        bench.connected()
        bench.tell(PHONE, OLD, 41, True)
        bench.step(200000)
        assert bench.sets(PHONE)[-1] == (None, 0, False) and bench.path(PHONE) == "offline"
        bench.tell(PHONE, NEW, 0)
        assert bench.sets(PHONE) == [(NEW, 25, True)]


def test_removed_on_the_publisher():
    with Bench() as bench:
        bench.connected()
        bench.stream.say("removed", {"public_key": PHONE})
        bench.loop.advance(60)
        assert bench.sets(PHONE) == [(None, 0, False)]
        bench.say(row(PHONE, OLD), row(LAPTOP, OLD))
        bench.loop.advance(60)
        bench.wireguard.take_sets()
        bench.say(row(LAPTOP, OLD))
        bench.loop.advance(60)
        assert bench.sets(PHONE) == [(None, 0, False)], "a snapshot without it"


# -- state that someone else changed --------------------------------------------------------------------

def test_a_keepalive_that_was_taken_away_comes_back():
    with Bench() as bench:
        bench.connected()
        bench.wireguard.peer("wg0", PHONE, keepalive=0)
        bench.loop.advance(2000)
        assert bench.sets(PHONE) == [(None, 25, False)]


def test_the_interface_made_anew():
    with Bench() as bench:
        bench.connected()
        bench.interface(8)
        bench.loop.advance(2000)
        assert bench.sets(PHONE)[0] == (OLD, 25, True)
        assert len(bench.client.streams) == 2 and bench.stream.headers.get("Last-Event-ID") == "boot-1"
        assert len(bench.client.open()) == 1


def test_the_interface_seen_before_it_has_its_peers():
    with Bench() as bench:
        bench.connected()
        bench.interface(8, peers=False)
        bench.subscriber.links_changed(set())
        bench.loop.advance(100)
        bench.interface(8)
        bench.subscriber.links_changed(set())
        bench.loop.advance(1000)
        assert "Last-Event-ID" not in bench.stream.headers, "what was known is gone: all of it is asked for"
        assert len(bench.client.open()) == 1
        bench.say(row(PHONE, OLD))
        bench.loop.advance(60)
        assert bench.sets(PHONE) == [(OLD, 25, True)]


def test_a_new_peer_while_the_publisher_is_out_of_reach():
    for wait in (0, 3000):
        with Bench() as bench:
            bench.connected()
            bench.stream.end()
            bench.loop.advance(wait)  # then a connection is under way that would go on where it was
            assert len(bench.client.open()) == (1 if wait else 0)
            bench.wireguard.peer("wg0", key(3), allowed_ips=("10.0.0.3/32",))
            bench.subscriber.look()
            bench.loop.advance(3000)
            assert "Last-Event-ID" not in bench.stream.headers and len(bench.client.open()) == 1


def test_an_interface_that_is_missing():
    with Bench() as bench:
        bench.connected()
        device = bench.wireguard.devices["wg0"]
        bench.wireguard.remove("wg0")
        bench.loop.advance(30000)
        assert bench.subscriber.problem == "wg0: no such interface"
        assert len([text for text in bench.logged if "no such interface" in text]) == 1
        assert "wg0" in bench.subscriber._sweeper.left, "nothing is sent from a port that nobody has"
        bench.wireguard.devices["wg0"] = device
        bench.loop.advance(1100)
        assert bench.subscriber.problem == ""


def test_a_peer_removed_between_reading_and_setting_stays_removed():
    with Bench() as bench:
        bench.wireguard.before_set = lambda peer: peer in bench.wireguard.devices["wg0"].peers and (
            bench.wireguard.drop("wg0", peer))
        bench.say(row(PHONE, OLD))
        bench.step(20000)
        assert PHONE not in bench.wireguard.devices["wg0"].peers and PHONE not in bench.subscriber.paths
        assert not [text for text in bench.logged if "internal" in text]
        bench.tell(PHONE, NEW)
        bench.step(5000)
        assert len(bench.sets(PHONE)) == 1


def test_sets_that_are_refused():
    with Bench() as bench:
        bench.wireguard.refuse_sets = WireGuardError("denied", "wg0: needs CAP_NET_ADMIN")
        bench.say(row(PHONE, OLD))
        bench.step(60000)
        assert [text for text in bench.logged if "CAP_NET_ADMIN" in text] == ["phone: wg0: needs CAP_NET_ADMIN"]
        assert len(bench.sets(PHONE)) <= 12 + 60
        bench.wireguard.refuse_sets = None
        bench.step(2000)
        assert bench.wireguard.get("wg0", PHONE).keepalive == 25


def test_a_peer_that_is_gone_when_its_change_is_answered():
    for hold in (False, True):
        with Bench() as bench:
            bench.connected()
            bench.step(60000)
            assert ("wg0", "10.0.0.1") in bench.probes, "a silent client is asked"
            bench.wireguard.hold = hold
            bench.subscriber.punch(PHONE)
            bench.wireguard.drop("wg0", PHONE)
            bench.subscriber.look()
            for _ in range(5):
                bench.wireguard.release()
                bench.loop.advance(2000)
            assert PHONE not in bench.subscriber.paths
            assert not [text for text in bench.logged if "internal" in text], bench.logged


def test_answers_that_come_later():
    """As from a userspace WireGuard or the tool: reading and setting take their time."""
    with Bench() as bench:
        bench.wireguard.hold = True
        bench.say(row(PHONE, OLD))
        for _ in range(100):
            bench.loop.advance(30)
            assert len(bench.wireguard.held) <= 4
            bench.wireguard.release()
        assert bench.wireguard.get("wg0", PHONE).endpoint == OLD
        assert 2 <= len(bench.sets(PHONE)) <= 8
        bench.hear(PHONE, OLD)
        for _ in range(100):
            bench.loop.advance(30)
            bench.wireguard.release()
        assert bench.path(PHONE) == "direct"


def test_closed_means_closed():
    for hold in (False, True):
        with Bench(("option token '%s'" % TOKEN, "option server_host 'vpn.example'")) as bench:
            bench.connected()
            bench.wireguard.hold = hold
            bench.tell(PHONE, NEW)
            bench.subscriber.close()
            bench.wireguard.take_sets()
            bench.wireguard.hold = False
            reads = bench.wireguard.reads
            bench.wireguard.release()
            bench.subscriber.links_changed(set())
            bench.loop.advance(120000)
            assert bench.wireguard.reads <= reads + 1 and bench.wireguard.take_sets() == []
            assert bench.client.open() == [] and bench.resolver.closed
            assert bench.loop._timers.next_ms() is None, "no timer is left"


# -- exclusion and reload -----------------------------------------------------------------------------------

def test_the_excluded_one_is_never_touched():
    with Bench(peers=excluded(PHONE)) as bench:
        bench.wireguard.peer("wg0", PHONE, keepalive=17)
        bench.say(row(PHONE, NEW))
        bench.step(60000, {PHONE: LAN})
        bench.tell(PHONE, OLD)
        bench.stream.say("removed", {"public_key": PHONE})
        bench.interface(8)
        bench.step(300000)
        assert bench.sets(PHONE) == [] and bench.path(PHONE) == "static" and not bench.subscriber.punch(PHONE)


def test_excluded_by_a_reload_and_back():
    with Bench() as bench:
        bench.connected()
        bench.configure(peers=excluded(PHONE))
        assert bench.path(PHONE) == "static"
        bench.wireguard.peer("wg0", PHONE, keepalive=0)
        bench.tell(PHONE, NEW)
        bench.step(60000)
        assert bench.sets(PHONE) == [] and bench.wireguard.get("wg0", PHONE).endpoint == OLD
        bench.configure()
        assert bench.sets(PHONE) == [(NEW, 25, True)] and len(bench.client.streams) == 1


def test_a_reload_keeps_paths_and_connections():
    with Bench() as bench:
        bench.connected()
        path, stream, since = bench.subscriber.paths[PHONE], bench.stream, bench.subscriber.paths[PHONE].since_ms
        for lines in ((), ("option keepalive '10'",), ("option stale_after '300'",), ("option server_host 'a.b'",)):
            bench.configure(("option token '%s'" % TOKEN,) + lines)
            bench.step(10000, {PHONE: OLD})
            assert bench.subscriber.paths[PHONE] is path and path.since_ms == since
            assert bench.stream is stream and not stream.closed
        assert bench.sets(PHONE) == [(None, 10, False), (None, 25, False)]


def test_a_reload_with_another_token_or_publisher():
    for lines in (("option token '%s'" % TOKEN[::1].upper(),), ("option token '%s'" % TOKEN, "option port '81'")):
        with Bench() as bench:
            bench.connected()
            bench.configure(lines)
            bench.loop.advance(5000)
            assert len(bench.client.streams) == 2 and len(bench.client.open()) == 1
            assert bench.sets(PHONE) == [], "the path stays as it is meanwhile"
            bench.say(row(LAPTOP, OLD))
            bench.loop.advance(100)
            assert bench.sets(PHONE) == [(None, 0, False)], "until the new one does not name it"


def test_a_publisher_that_is_not_followed_any_more():
    second = "config subscriber 'two'\n option interface 'wg0'\n option publisher '10.0.0.101'\n option token '%s'\n"
    first = second.replace("two", "home").replace("101", "100")
    with Bench(sections=(first + second) % (TOKEN, TOKEN)) as bench:
        assert len(bench.client.open()) == 2
        other = bench.client.streams[1]
        other.begin()
        other.say("snapshot", {"peers": [row(PHONE, NEW)]}, "b-1")
        bench.loop.advance(100)
        assert bench.sets(PHONE)[0] == (NEW, 25, True)
        bench.configure(sections=first % TOKEN)
        bench.loop.advance(100)
        assert other.closed and bench.sets(PHONE)[-1] == (None, 0, False)


# -- tokens ---------------------------------------------------------------------------------------------------

def test_a_token_file_that_appears_later():
    with Bench(lines=()) as bench:
        path = bench.folder + "/token"
        assert bench.client.streams == []
        assert bench.subscriber.status()["publishers"][0]["mode"] == "no token"
        problem = bench.subscriber.status()["publishers"][0]["problem"]
        assert path in problem and "wgp2p token NAME" in problem
        bench.loop.advance(60000)
        assert len([text for text in bench.logged if path in text]) == 1
        write_private(path, TOKEN + "\n")
        bench.loop.advance(10000)
        assert bench.stream.headers["Authorization"] == "Bearer " + TOKEN
        bench.say(row(PHONE, OLD))
        assert bench.sets(PHONE) == [(OLD, 25, True)]


def test_a_token_file_that_changes():
    with Bench(lines=()) as bench:
        path = bench.folder + "/token"
        write_private(path, "x" * 64)
        bench.loop.advance(10000)
        bench.stream.refuse(403, {"error": "the token is not that of this WireGuard peer"})
        write_private(path, TOKEN)
        bench.configure(lines=())
        assert bench.stream.headers["Authorization"] == "Bearer " + TOKEN and len(bench.client.open()) == 1
        bench.say(row(PHONE, OLD))
        os.remove(path)
        bench.configure(lines=())
        bench.step(20000)
        assert not bench.stream.closed and [text for text in bench.logged if "errno 2" in text]
        shown = json.dumps(bench.subscriber.status()) + "".join(bench.logged)
        assert TOKEN not in shown and "xxxx" not in shown


def test_a_token_that_is_given_to_us():
    with Bench(lines=()) as bench:
        path = bench.folder + "/token"
        write_private(path, "x" * 64)
        bench.subscriber.follow_anew("home")
        bench.loop.advance(100)
        assert bench.stream.headers["Authorization"] == "Bearer " + "x" * 64 and len(bench.client.open()) == 1
        bench.stream.refuse(403, {"error": "the token is not that of this WireGuard peer"})
        tries = len(bench.client.streams)
        bench.subscriber.follow_anew("home")
        bench.loop.advance(100)
        assert len(bench.client.streams) > tries, "the same one: it may be right by now"
        write_private(path, TOKEN)
        bench.subscriber.follow_anew("home")
        bench.loop.advance(100)
        assert bench.stream.headers["Authorization"] == "Bearer " + TOKEN and len(bench.client.open()) == 1


def test_the_states_of_the_peers():
    with Bench() as bench:
        assert bench.subscriber.states() == {PHONE: OFFLINE, LAPTOP: OFFLINE}, "and not of the public server"
        bench.say(row(PHONE, OLD))
        bench.loop.advance(100)
        assert bench.subscriber.states() == {PHONE: TRYING, LAPTOP: OFFLINE}
        bench.wireguard.peer("wg0", SERVER, allowed_ips=("10.0.1.0/24",))
        bench.loop.advance(3000)
        assert SERVER in bench.subscriber.states(), "for now it is a peer like others"
        bench.wireguard.peer("wg0", SERVER, allowed_ips=("10.0.0.0/24",))
        bench.loop.advance(3000)
        assert sorted(bench.subscriber.states()) == sorted([PHONE, LAPTOP])
        bench.wireguard.remove("wg0")
        bench.loop.advance(3000)
        assert bench.subscriber.states() == {PHONE: UNKNOWN, LAPTOP: UNKNOWN}


# -- the public server ------------------------------------------------------------------------------------------

HOST = ("option token '%s'" % TOKEN, "option server_host 'vpn.example'")


def silent(bench, ms):
    """Time without a sign of the server; what it tries is refused."""
    for _ in range(ms // 1000):
        if not bench.stream.closed:
            bench.stream.end("no answer within 5 s")
        bench.loop.advance(1000)


def test_the_server_moves():
    with Bench(HOST) as bench:
        bench.connected()
        bench.step(60000, {PHONE: OLD})
        assert bench.resolver.asked == []
        silent(bench, 18)
        assert bench.resolver.asked == [] and bench.sets(SERVER) == []
        silent(bench, 4000)
        silent(bench, 18000)
        assert [one[0] for one in bench.resolver.asked] == ["vpn.example"]
        bench.resolver.answer("192.0.2.1")
        assert bench.sets(SERVER) == [], "it is where we send already"
        silent(bench, 9000)
        assert len(bench.resolver.asked) <= 2
        silent(bench, 3000)
        assert len(bench.resolver.asked) == 2
        streams = len(bench.client.streams)
        bench.resolver.answer("192.0.2.1", "192.0.2.9", "2001:db8::9")
        assert bench.sets(SERVER) == [("192.0.2.9:51820", 25, True)]
        bench.loop.advance(10)
        assert len(bench.client.streams) == streams + 1, "and connects at once"


def test_at_most_one_move_in_30_s():
    with Bench(HOST) as bench:
        bench.connected()
        moves = []
        for _ in range(300):
            silent(bench, 1000)
            if bench.resolver.asked:
                bench.resolver.answer("192.0.2.8", "192.0.2.9")
            if bench.sets(SERVER):
                moves.append(bench.loop.now())
        assert len(moves) >= 5
        for one, other in zip(moves, moves[1:]):
            assert other - one >= 30000
        assert len([text for text in bench.logged if "trying vpn.example" in text]) == len(moves)


def test_dns_every_10_s_and_told_once():
    with Bench(HOST) as bench:
        bench.connected()
        asked = []
        for _ in range(200):
            silent(bench, 1000)
            if len(bench.resolver.asked) > len(asked):
                asked.append(bench.loop.now())
                bench.resolver.answer()
        for one, other in zip(asked, asked[1:]):
            assert 10000 <= other - one < 15000
        assert len([text for text in bench.logged if "no name server answers" in text]) == 1
        assert bench.sets(SERVER) == []


def test_addresses_that_are_none():
    with Bench(HOST) as bench:
        bench.connected()
        silent(bench, 40000)
        for ip in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "::1", "fe80::1", "ff02::1"):
            bench.resolver.answer(ip)
        assert bench.sets(SERVER) == []


def test_a_server_that_is_heard_is_not_looked_up():
    with Bench(HOST) as bench:
        bench.connected()
        for _ in range(120):
            if not bench.stream.closed:
                bench.stream.end("connection refused, nothing listens there")
            bench.hear(SERVER, SERVER_AT)
            bench.loop.advance(1000)
        assert bench.resolver.asked == [], "only the publisher is down"


def test_a_server_without_an_endpoint_is_looked_up_at_once():
    with Bench(HOST) as bench:
        bench.wireguard.peer("wg0", SERVER, endpoint=None)
        bench.loop.advance(2000)
        bench.resolver.answer("192.0.2.9")
        assert bench.sets(SERVER) == [("192.0.2.9:51820", 25, True)]


def test_an_excluded_server_is_left_where_it_is():
    peers = "config peer\n option public_key '%s'\n option exclude '1'\n" % SERVER
    with Bench(HOST, peers) as bench:
        bench.connected()
        silent(bench, 60000)
        assert bench.resolver.asked == []
        bench.configure(HOST)
        silent(bench, 2000)
        assert len(bench.resolver.asked) == 1
        bench.configure(HOST, peers)
        bench.resolver.answer("192.0.2.9")
        assert bench.sets(SERVER) == []


def test_an_answer_after_the_end():
    with Bench(HOST) as bench:
        bench.connected()
        silent(bench, 30000)
        bench.configure(("option token '%s'" % TOKEN.upper(),))
        bench.resolver.answer("192.0.2.9")
        assert bench.sets(SERVER) == []


def shake(bench, unix_s):
    bench.wireguard.peer("wg0", SERVER, handshake=unix_s)
    bench.hear(SERVER, SERVER_AT)
    bench.loop.advance(2000)
    if not bench.stream.closed and bench.link.mode == "events":
        bench.stream.beat()


def test_a_server_that_began_anew():
    with Bench() as bench:
        bench.connected()
        shake(bench, 1700000001)
        bench.client.streams[-1].closed or bench.say(row(PHONE, OLD))
        count = len(bench.client.streams)
        for number in range(5):
            bench.step(118000, {PHONE: OLD})
            shake(bench, 1700000200 + 120 * number)
        assert len(bench.client.streams) == count, "its own rhythm"
        bench.step(40000, {PHONE: OLD})
        shake(bench, 1700001000)
        assert len(bench.client.streams) == count + 1 and len(bench.client.open()) == 1
        assert bench.stream.headers["Last-Event-ID"] == "boot-1"


# -- a hostile publisher --------------------------------------------------------------------------------------

def test_changes_a_hundred_times_a_second():
    with Bench() as bench:
        bench.connected()
        reads = bench.wireguard.reads
        for number in range(1000):
            bench.tell(PHONE, "203.0.113.%d:%d" % (number % 200 + 1, number + 1))
            bench.loop.advance(10)
        assert bench.wireguard.reads - reads < 300, bench.wireguard.reads - reads
        assert len(bench.sets(PHONE)) <= 12 + 11
        assert len(bench.logged) < 40, len(bench.logged)


def test_states_that_flip_are_not_all_told():
    with Bench() as bench:
        bench.connected()
        before = len(bench.logged)
        for number in range(1200):
            bench.tell(PHONE, NEW if number % 2 else OLD)
            bench.loop.advance(60)
            bench.hear(PHONE, bench.wireguard.get("wg0", PHONE).endpoint)
        assert len(bench.changed) > 100, "there is something to tell"
        assert len(bench.logged) - before <= 3 * 30, len(bench.logged)


def test_a_fault_of_ours_does_not_end_the_looking():
    with Bench() as bench:
        bench.connected()
        path = bench.subscriber.paths[PHONE]
        path.act, act = None, path.act
        for _ in range(3):
            bench.loop.advance(1500)
        path.act = act
        assert len([text for text in bench.logged if "TypeError" in text]) >= 2
        reads = bench.wireguard.reads
        bench.loop.advance(3000)
        assert bench.wireguard.reads >= reads + 2


def test_our_own_addresses():
    with Bench() as bench:
        bench.say(row(PHONE, "192.0.2.77:51820"), row(LAPTOP, "10.0.0.5:1"))
        bench.step(10000)
        assert bench.wireguard.take_sets() == []
        bench.addresses = ["10.9.9.9"]
        bench.subscriber.links_changed(set())
        bench.tell(PHONE, "192.0.2.77:51820")
        bench.loop.advance(60)
        assert bench.sets(PHONE) == [("192.0.2.77:51820", 25, True)], "ours no more"


def test_addresses_that_cannot_be_read():
    with Bench() as bench:
        def fail():
            raise OSError(105)

        subscriber.addresses = fail
        bench.say(row(PHONE, OLD))
        bench.loop.advance(60)
        assert not [text for text in bench.logged if "internal" in text]
        assert bench.sets(PHONE) == [(OLD, 25, True)], "no reason to lose a client"


def test_nothing_spins():
    """Whatever state a path is in, looking costs at most a look every 20 ms, and far less over a minute."""
    for endpoint, age, quiet in ((None, None, True), (None, 1, False), (OLD, 1, False), (OLD, 500, True),
                                 (OLD, None, False)):
        with Bench() as bench:
            bench.connected()
            bench.say(row(PHONE, endpoint, age, quiet))
            bench.step(10000)
            reads = bench.wireguard.reads
            bench.step(60000)
            assert bench.wireguard.reads - reads < 150, (endpoint, age, quiet, bench.wireguard.reads - reads)
            bench.say()
            reads = bench.wireguard.reads
            bench.step(60000)
            assert bench.wireguard.reads - reads < 100, (endpoint, age, quiet, bench.wireguard.reads - reads)


def test_a_path_that_was_due_does_not_spin():
    with Bench() as bench:
        bench.connected()
        bench.subscriber.paths[PHONE].next_ms = lambda: bench.loop.now() - 1
        reads = bench.wireguard.reads
        bench.step(30000, {PHONE: OLD})
        assert bench.wireguard.reads - reads < 60


def test_punch():
    with Bench() as bench:
        bench.connected()
        assert bench.subscriber.punch(PHONE) and bench.sets(PHONE) == [(OLD, 25, True)]
        assert not bench.subscriber.punch(key(77)) and not bench.subscriber.punch(SERVER)


def test_where_publishers_see_us():
    with Bench() as bench:
        bench.connected()
        assert bench.listener.interfaces == 1 and bench.subscriber.server_endpoints() == [SERVER_AT]
        for endpoint in ("192.0.2.4:51820", "192.0.2.4:51820", None, "192.0.2.4:51820"):
            bench.stream.say("you", {"endpoint": endpoint})
        bench.step(5000)
        bench.stream.say("you", {"endpoint": "192.0.2.5:51820"})
        assert bench.listener.addresses == [("home", "192.0.2.4:51820", None),
                                            ("home", "192.0.2.5:51820", "192.0.2.4:51820")], "once each"
        assert bench.subscriber.seen_at() == ["192.0.2.5:51820"]


def test_a_publisher_that_sees_us_everywhere():
    """Each word of it would start programs of root's."""
    with Bench() as bench:
        bench.connected()
        for port in range(1, 100):
            bench.stream.say("you", {"endpoint": "192.0.2.4:%d" % port})
        assert len(bench.listener.addresses) == 1
        bench.step(5000)
        assert bench.listener.addresses[1:] == [("home", "192.0.2.4:99", "192.0.2.4:1")], "the newest, once it is quiet"
        bench.step(20000)
        assert len(bench.listener.addresses) == 2
        bench.stream.say("you", {"endpoint": "192.0.2.4:7"})
        assert len(bench.listener.addresses) == 3, "at once again"
        bench.stream.say("you", {"endpoint": "192.0.2.4:8"})
        bench.subscriber.close()
        bench.loop.advance(5000)
        assert len(bench.listener.addresses) == 3, "nothing after the end"


def test_another_listen_port_is_told():
    with Bench() as bench:
        bench.step(2000)
        bench.wireguard.devices["wg0"].listen_port = 4000
        bench.step(2000)
        assert bench.listener.interfaces == 2


def test_another_wan():
    with Bench() as bench:
        bench.connected()
        bench.wireguard.take_sets()
        bench.subscriber.wan_changed()
        assert sorted(bench.wireguard.take_sets()) == sorted([
            (SERVER, SERVER_AT, 25, True), (PHONE, OLD, 25, True)]), "the laptop is offline, and left alone"
    with Bench(peers="config peer\n option public_key '%s'\n option exclude '1'\n" % SERVER) as bench:
        bench.connected()
        bench.subscriber.wan_changed()
        assert bench.sets(SERVER) == []


def test_status():
    with Bench() as bench:
        assert json.dumps(bench.subscriber.status())
        bench.connected()
        bench.stream.say("you", {"endpoint": "192.0.2.4:51820"})
        status = json.loads(json.dumps(bench.subscriber.status()))
        assert (status["interface"], status["problem"], status["listen_port"]) == ("wg0", "", 51820)
        told = status["publishers"][0]
        assert (told["name"], told["mode"], told["public_key"], told["you"]) == (
            "home", "events", SERVER, "192.0.2.4:51820")
        assert told["tunnel_age"] is not None and told["refused"] is None
        phone = [one for one in status["peers"] if one["public_key"] == PHONE][0]
        assert (phone["name"], phone["path"], phone["endpoint"], phone["keepalive"]) == ("phone", "direct", OLD, 25)
        assert TOKEN not in json.dumps(status)
