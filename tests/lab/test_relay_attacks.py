"""Whoever is no member gets nothing through the relay, and members get no more than they may; others do not notice."""
import itertools
import json
import multiprocessing
import os
import random
import time

import forging
import netns
import pytest
import wireguard_lab as wireguard
from forging import datagram, split
from pairs import publisher_config, subscriber_config, token_of, wait_path
from programs import Pinger, Watch
from relay_watch import relay_status, routes
from scenes import join, wait_way, way
from waiting import stays, wait_for
from wire import API_PORT, connect, read_all

FLOOD_S = 15
QUOTA = 8  # routes of one pair, each way


def start_members(make_lab, interpreter, **options):
    """cli0 on the relay with pings; cli1, a member, too, on an address of its own; rem2, another device."""
    lab = make_lab(networks=("symmetric",), devices=("cone", "cone"), clients=2)
    clients = {"rem": ["cli0", "cli1"], "rem2": ["cli1"]}
    publisher = lab.daemon("pub", interpreter, publisher_config(lab, "pub", clients=clients, **options)).start()
    subscriber = lab.daemon("rem", interpreter, subscriber_config(lab, "rem", paths={"cli1": "relay"})).start()
    join(lab, "cli0", "nata", profile="one")
    join(lab, "cli1", "inet", profile="one", endpoints={"rem2": ""})
    for client in lab.clients:
        wait_way(lab, "relay", client)
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_for(lambda: pinger.replies, 20, "the first ping")
    return lab, publisher, subscriber, pinger


def place(lab, host):
    """(address, port) of a member, as the server sees it."""
    return split(lab.peer("pub", host).endpoint)


class Wire:
    """Sends made packets to the server's WireGuard, and tells which came out at hosts' wires."""

    def __init__(self, lab, *hosts):
        self.server = (lab.outer("pub"), wireguard.PORT)
        self._socket = forging.raw_sender("dns")
        self._watches = {host: Watch(host, lab.uplink.get(host) or "wan") for host in hosts}

    def send(self, source, message):
        self._socket.sendto(datagram(source, self.server, message), (self.server[0], 0))

    def arrived(self, message):
        """The hosts at which a packet that begins so has come."""
        return [host for host, watch in self._watches.items()
                if [row for row in list(watch.packets) if row[3][:len(message)] == message[:16]]]


@pytest.mark.slow
def test_strangers_and_members(make_lab, interpreter):
    """Packets of every type, with the right indices and the wrong source, and the other way round."""
    lab, publisher, _, pinger = start_members(make_lab, interpreter)
    known = routes()
    mine, theirs, device = place(lab, "cli1"), place(lab, "cli0"), place(lab, "rem")
    to_rem = {source[:2]: source[2] for source, target in known.items() if target == device[0]}
    to_client = {target: source[2] for source, target in known.items() if source[:2] == device}
    assert {theirs, mine} <= set(to_rem), known
    wire = Wire(lab, "rem", "rem2", "cli0")
    start = time.monotonic()
    elsewhere = [("203.0.113.99", 5000), (theirs[0], theirs[1] ^ 1), mine]
    junk = []
    for source in elsewhere:
        junk += [(source, forging.transport(to_rem[theirs])), (source, forging.transport(to_client[theirs[0]])),
                 (source, forging.response(7, to_rem[theirs])), (source, forging.response(7, to_client[theirs[0]]))]
    for source in [*elsewhere, device]:
        junk += [(source, forging.transport(index)) for index in (0, 1, 0xFFFFFFFF)]
        junk += [(source, forging.response(index, index)) for index in (0, 1, 0xFFFFFFFF)]
    # whom a member may not call: another client, the device of others, the server of all; and strangers, anybody
    junk += [(mine, forging.initiation(lab.key("cli0"))), (theirs, forging.initiation(lab.key("rem2"))),
             (("203.0.113.99", 5000), forging.initiation(lab.key("rem"))),
             (("203.0.113.99", 5000), forging.initiation(lab.key("cli0"))),
             (mine, forging.initiation(lab.key("cli1")))]
    junk += [(mine, os.urandom(size)) for size in (0, 1, 4, 31, 147, 149, 1400)]
    for source, message in junk:
        wire.send(source, message)
        time.sleep(0.02)
    allowed = forging.initiation(lab.key("rem"))
    time.sleep(2)  # the limits of the member's address are for all of its calls
    wire.send(mine, allowed)
    wait_for(lambda: wire.arrived(allowed) == ["rem"], 10, "whom it may call, it may call")
    came = [(source, message[:16]) for source, message in junk if len(message) >= 16 and wire.arrived(message)]
    assert not came, came
    fresh = set(routes()) - set(known)
    assert fresh <= {(*device, int.from_bytes(allowed[4:8], "big"))}, "nothing was learned from any of that"
    assert all(routes().get(key, target) == target for key, target in known.items()), "nothing was turned elsewhere"
    assert pinger.lost(start, time.monotonic()) == 0
    assert "Traceback" not in publisher.log()
    pinger.stop()


def blast(host, target, packets, seconds, sent):
    """Another process: packets to a target, as many as this machine can, for so long."""
    sender = forging.raw_sender(host)
    end = time.monotonic() + seconds
    for number, packet in enumerate(itertools.cycle(packets)):
        sender.sendto(packet, (target, 0))
        if number % 100 == 0 and time.monotonic() > end:
            sent.value = number
            return
        if number % 100 == 99:
            time.sleep(0.01)  # 10,000 a second at most


@pytest.mark.slow
@pytest.mark.parametrize("who", [pytest.param("strangers", marks=pytest.mark.long), "member",
                                 pytest.param("one stranger", marks=pytest.mark.long)])
def test_flood_of_initiations(make_lab, interpreter, who):
    """As many a second as the machine can, up to 10,000."""
    lab, publisher, _, pinger = start_members(make_lab, interpreter)
    chance = random.Random(1)
    sources = {"strangers": [(f"203.0.113.{chance.randrange(150, 250)}", chance.randrange(1024, 65536))
                             for _ in range(500)],
               "member": [place(lab, "cli1")], "one stranger": [("203.0.113.99", 5000)]}[who]
    server = (lab.outer("pub"), wireguard.PORT)
    packets = [datagram(source, server, forging.initiation(lab.key(("rem", "pub")[number % 2])))
               for number, source in enumerate(sources * (500 // len(sources)))]
    busy = Pinger("cli0", lab.tunnel("pub"))
    wait_for(lambda: busy.replies, 5, "the server's own tunnel")
    sent = multiprocessing.Value("i", 0)
    flood = multiprocessing.Process(target=blast, args=("dns", server[0], packets, FLOOD_S, sent))
    start, cpu, table = time.monotonic(), publisher.cpu_s(), len(routes())
    flood.start()
    flood.join()
    end = time.monotonic()
    used = 100 * (publisher.cpu_s() - cpu) / (end - start)
    lost, others = pinger.lost(start, end), busy.lost(start, end)
    print(f"{who}: {sent.value / FLOOD_S:.0f} initiations a second: {used:.0f} % CPU (emulated), "
          f"of {FLOOD_S * 5} pings lost: relayed {lost}, to the server {others}; {len(routes()) - table} routes more")
    assert used < 25, "bounded"
    assert lost <= FLOOD_S, "the kernel passes on what it knows"
    assert len(routes()) - table <= QUOTA
    busy.stop()
    wait_for(lambda: pinger.first_after(end), 5, "and afterwards all is as before")
    assert relay_status(publisher)["state"] == "kernel"
    pinger.stop()


@pytest.mark.slow
def test_member_fills_the_maps(make_lab, interpreter):
    """A member begins session after session with a device that it may call: a quota for each pair."""
    lab, publisher, _, pinger = start_members(make_lab, interpreter)
    wire = Wire(lab)
    mine, device = place(lab, "cli1"), place(lab, "rem")

    def of_pair():
        return [key for key, target in routes().items() if key[:2] == device and target == mine[0]]

    for _ in range(40):
        wire.send(mine, forging.initiation(lab.key("rem")))
        time.sleep(0.6)
    assert 2 < len(of_pair()) <= QUOTA, of_pair()
    assert relay_status(publisher)["routes"] <= 4 * QUOTA
    stays(lambda: way(lab) == "relay" and lab.ping("cli0", "rem", 2), 3, "the other one is not concerned", every=0.5)
    pinger.stop()


def post(host, address, body, token, path="/api/relay"):
    """(status, body) of a POST request with these bytes."""
    with connect(host, address) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: {address}:{API_PORT}\r\nConnection: close\r\n"
                           f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        head, _, answer = read_all(connection).partition(b"\r\n\r\n")
    return int(head.split()[1]), answer


@pytest.mark.slow
def test_hostile_device(make_lab, interpreter):
    """A device tells sessions that it has not, to clients that are not its own, in words that are none."""
    lab, publisher, subscriber, pinger = start_members(make_lab, interpreter)
    address, start = lab.tunnel("pub"), time.monotonic()
    key, mine = lab.key("cli1"), [[1, 2]]

    def told(said, device="rem2", token=None):
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        return post(device, address, body, token or token_of(device))[0]

    assert told({"public_key": key, "sessions": mine}) == 200
    device, client = place(lab, "rem2"), place(lab, "cli1")
    assert routes()[(*device, 2)] == client[0] and routes()[(*client, 1)] == device[0]
    known = set(routes())
    for said in (b"", b"[", b"7", b"null", b"{}", b"[1]", b"\xff\xfe", b"[" * 5000, b"{" + b'"a":' * 3000,
                 {"public_key": 7, "sessions": mine}, {"public_key": key}, {"public_key": key, "sessions": {}},
                 *[{"public_key": key, "sessions": sessions} for sessions in (
                     7, [7], [[]], [[1]], [[1, 2, 3]], [["1", "2"]], [[-1, 2]], [[1, 1 << 32]], [[1.5, 2]],
                     [[True, False]], [[None, 1]], [[[1], 2]], [[n, n] for n in range(100, 105)])]):
        assert told(said) in (400, 409), said
    for other in ("cli0", "rem", "rem2", "pub"):
        assert told({"public_key": lab.key(other), "sessions": mine}) == 409, other
    assert told({"public_key": "A" * 44, "sessions": mine}) == 409
    assert told({"public_key": key, "sessions": mine}, token="wrong" * 10) == 403
    assert set(routes()) == known, "nothing came of all that"
    for number in range(40):
        assert told({"public_key": key, "sessions": [[1000 + 2 * number + n, 5000 + 2 * number + n]
                                                     for n in range(2)]}) in (200, 409)
    own = [route for route in routes() if route[:2] in (device, client) and 1000 <= route[2] < 10000]
    assert 2 <= len(own) <= 2 * QUOTA, own
    # indices that are other pairs' are still theirs
    victim = next(route for route, target in routes().items() if route[:2] == place(lab, "cli0"))
    told({"public_key": key, "sessions": [[victim[2], victim[2]]]})
    assert routes()[victim] == place(lab, "rem")[0]
    assert pinger.lost(start, time.monotonic()) == 0
    wait_path(subscriber, "cli0", "relay")
    assert "Traceback" not in publisher.log()
    pinger.stop()


@pytest.mark.long
def test_forged_beacons_move_nothing(make_lab, interpreter):
    """Beacons of a client that is on the relay, by the hundred, from addresses of strangers and of other members."""
    lab, _, subscriber, pinger = start_members(make_lab, interpreter)
    beacon, target = wireguard.beacon_key("rem", "cli0"), (lab.inner("rem"), wireguard.PORT)
    sources = itertools.cycle([place(lab, "cli1"), place(lab, "rem2"), (lab.outer("pub"), 7), ("127.0.0.1", 5),
                               ("224.0.0.1", 5), ("255.255.255.255", 5), ("0.0.0.0", 5), target,
                               *[(f"203.0.113.{number}", 4000 + number) for number in range(150, 250)]])
    start, cpu = time.monotonic(), subscriber.cpu_s()
    forged = forging.Stream("natr", target[0], lambda: datagram(next(sources), target, forging.initiation(beacon)), 100)
    watch = Watch("rem")
    stays(lambda: way(lab) == "relay", FLOOD_S, "on the relay")
    forged.stop()
    end = time.monotonic()
    used = 100 * (subscriber.cpu_s() - cpu) / (end - start)
    strangers = {row[2] for row in watch.packets if row[1] == lab.inner("rem")}
    strangers -= {target[0], lab.outer("pub"), lab.outer("nata"), lab.seen_as("cli1")}
    tried = len([row for row in watch.packets if row[2] in strangers])
    print(f"{forged.sent / (end - start):.0f} forged beacons a second: {used:.0f} % CPU (emulated), "
          f"{tried} packets to {len(strangers)} strangers")
    assert pinger.lost(start, end) == 0
    assert tried <= 4 * (end - start) + 8, "one candidate a second, an opener and three copies at most"
    assert not [address for address in strangers if not address.startswith("203.0.113.")], strangers
    assert netns.call("rem", "wg", "show", "wg0", "endpoints").count(lab.endpoint("pub")) == 3
    pinger.stop()
