"""The parts that move a relayed client to the direct path, against the real kernel: sessions that it notes, a copied
packet, beacons.

    cli0 on a public address   pub: a relay of a few lines, for one client   rem behind a cone NAT, with fw4's rules
"""
import base64
import contextlib
import hashlib
import pathlib
import socket
import struct
import sys
import threading
import time

import netns
import pytest
import stock_router
import wireguard_lab as wireguard
from programs import Pinger
from waiting import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "package/wgp2p"))

from wgp2p import probe  # noqa: E402
from wgp2p.beacons import Beacons  # noqa: E402
from wgp2p.blake2s import Mac1  # noqa: E402
from wgp2p.copier import Copier  # noqa: E402
from wgp2p.loop import Loop  # noqa: E402
from wgp2p.sessions import SessionTable  # noqa: E402
from wgp2p.wgpacket import mac1_key  # noqa: E402

PORT = wireguard.PORT
RELAY_PORT = 9999
SIZE = 64  # of the message that an echo request becomes


def run(loop, condition, seconds, why):
    """Let a loop of the product run until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {why}"
        loop.run_once(20)


class Relay(threading.Thread):
    """Passes whatever comes on between two endpoints, for each of which it is the other."""

    def __init__(self, host, address, ends):
        super().__init__(daemon=True)
        self.passed = 0
        self._ends = [(end.rpartition(":")[0], int(end.rpartition(":")[2])) for end in ends]
        self._socket = netns.open_socket(host, socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, RELAY_PORT))
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                data, source = self._socket.recvfrom(2048)
                if source in self._ends:
                    self.passed += 1
                    self._socket.sendto(data, self._ends[1 - self._ends.index(source)])


class Indices(threading.Thread):
    """The receiver indices of WireGuard's data packets at a device's uplink: `theirs` in those that leave for an
    address, `ours` in those that come from there."""

    def __init__(self, host, address):
        super().__init__(daemon=True)
        self.ours, self.theirs = set(), set()
        self._address = socket.inet_aton(address)
        self._socket = netns.open_socket(host, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self._socket.bind(("wan", 3))
        self.start()

    def run(self):
        while packet := self._heard():
            if packet[9] == socket.IPPROTO_UDP and packet[28:32] == b"\4\0\0\0":
                index = struct.unpack_from("!I", packet, 32)[0]
                if packet[12:16] == self._address:
                    self.ours.add(index)
                elif packet[16:20] == self._address:
                    self.theirs.add(index)

    def _heard(self):
        with contextlib.suppress(OSError):  # its host is gone
            return self._socket.recv(2048)


def make(make_lab, **arguments):
    lab = make_lab(**arguments)
    netns.nft("rem", "flush ruleset\n" + stock_router.fw4())
    return lab


@pytest.mark.parametrize("ipv6", (False, pytest.param(True, marks=pytest.mark.long)))
def test_sessions_of_both_directions(make_lab, ipv6):
    lab = make(make_lab, ipv6=ipv6)
    with netns.inside("rem"):
        loop = Loop()
        table = SessionTable(loop)
        table.want(PORT)
        run(loop, lambda: table.ready, 20, "the table is loaded")
        lab.move("cli0", "inet")
        lab.wg_up("cli0", endpoints={"rem": None})
        where = f"[{lab.outer('cli0')}]:{lab.port('cli0')}" if ipv6 else f"{lab.outer('cli0')}:{lab.port('cli0')}"
        indices = None if ipv6 else Indices("rem", lab.outer("cli0"))
        lab.wg_set("rem", "cli0", "endpoint", where, "persistent-keepalive", "10")
        run(loop, lambda: lab.ping("rem", "cli0"), 20, "the device has called")
        first = table.read([where])[where]
        print(f"the device called: {first}")
        assert len(first) == 1
        if indices:
            assert lab.ping("cli0", "rem")
            assert first == [(*indices.ours, *indices.theirs)], "as packets have them"
        lab.wg_down("cli0")
        lab.wg_up("cli0")
        run(loop, lambda: lab.ping("cli0", "rem"), 20, "the client has called")
        both = table.read([where])[where]
        print(f"then the client: {both}")
        assert len(both) >= 2 and both[-1] == first[0]
        if indices:
            assert both[0][0] in indices.ours and both[0][1] in indices.theirs, "the newest comes first"
        done = []
        table.close(lambda: done.append(True))
        assert done and not stock_router.has_table("rem", "wgp2p_sessions")


def relayed(lab):
    """cli0 and rem talk through the relay. (cli0's endpoint, the relay's)"""
    netns.call("pub", "nft", "insert rule inet filter input udp dport", str(RELAY_PORT), "accept")
    lab.move("cli0", "inet")
    lab.wg_up("cli0", endpoints={"rem": None})
    direct = f"{lab.outer('cli0')}:{lab.port('cli0')}"
    Relay("pub", lab.outer("pub"), (lab.endpoint("rem"), direct))
    lab.wg_set("rem", "cli0", "endpoint", f"{lab.outer('pub')}:{RELAY_PORT}", "persistent-keepalive", "10")
    wait_for(lambda: lab.ping("rem", "cli0"), 20, "a ping through the relay")
    assert lab.peer("rem", "cli0").endpoint == lab.peer("cli0", "rem").endpoint == f"{lab.outer('pub')}:{RELAY_PORT}"
    return direct, f"{lab.outer('pub')}:{RELAY_PORT}"


def stands(lab):
    return lab.peer("rem", "cli0").endpoint, lab.peer("cli0", "rem").endpoint


@pytest.mark.long
def test_a_copy_moves_both_sides_and_a_beacon_is_heard(make_lab):
    lab = make(make_lab)
    direct, relay = relayed(lab)
    beacon = hashlib.sha256(b"nobody").digest()
    netns.call("cli0", "wg", "set", "wg0", "peer", base64.b64encode(beacon).decode(), "endpoint", lab.endpoint("rem"),
               "persistent-keepalive", "5")
    with netns.inside("rem"):
        loop, heard = Loop(), []
        beacons = Beacons(loop, PORT, lambda *row: heard.append(row))
        beacons.want({"cli0": Mac1(mac1_key(beacon))})
        copier = Copier(loop)
        copier.attempt(relay, "203.0.113.77:1", PORT, SIZE, lambda: probe.echo("wg0", lab.tunnel("cli0")))
        run(loop, lambda: not copier.busy, 5, "an attempt towards nobody")
        assert stands(lab) == (relay, relay) and not heard, "nothing has moved"

        copier.attempt(relay, direct, PORT, SIZE, lambda: None)  # opens the NAT of the device, no more
        run(loop, lambda: heard, 20, "the beacon comes in")
        assert heard[0] == ("cli0", direct) and stands(lab) == (relay, relay)

        pinger = Pinger("rem", lab.tunnel("cli0"))
        begin = time.monotonic()
        copier.attempt(relay, direct, PORT, SIZE, lambda: probe.echo("wg0", lab.tunnel("cli0")))
        run(loop, lambda: not copier.busy, 5, "an attempt towards the client")
        wait_for(lambda: stands(lab) == (direct, lab.endpoint("rem")), 10, "direct, both ways")
        end = time.monotonic()
        pinger.wait_after(end, 10)
        pinger.stop()
        print(f"direct {end - begin:.2f} s after the attempt began, longest gap {pinger.longest_gap(begin, end):.2f} s")
        beacons.close()


@pytest.mark.parametrize("busy", (False, pytest.param(True, marks=pytest.mark.long)))
def test_a_diverted_packet_moves_to_a_slower_path(make_lab, busy):
    """A copy comes too late there; a diverted packet is one of a kind. One to where nobody is takes nothing along."""
    lab = make(make_lab)
    direct, relay = relayed(lab)
    netns.batch("natr", "tc", "qdisc add dev wan root handle 1: prio priomap" + 16 * " 0",
                "qdisc add dev wan parent 1:3 handle 30: netem delay 100ms",
                f"filter add dev wan parent 1: protocol ip u32 match ip dst {lab.outer('cli0')}/32 flowid 1:3")

    with netns.inside("rem"):
        loop = Loop()
        table, copier = SessionTable(loop), Copier(loop)
        table.want(PORT)
        run(loop, lambda: table.ready, 20, "the table is loaded")

        def attempt(candidate, diverted):
            def ask():
                assert not diverted or table.divert(relay, candidate, SIZE)
                probe.echo("wg0", lab.tunnel("cli0"))

            copier.attempt(relay, candidate, PORT, SIZE, ask)
            run(loop, lambda: not copier.busy, 5, "an attempt")

        pinger = Pinger("rem", lab.tunnel("cli0")) if busy else None
        begin = time.monotonic()
        for candidate, diverted in ((direct, False), ("203.0.113.77:1", True)) * 3:
            attempt(candidate, diverted)
        time.sleep(0.5)  # for what must not happen
        assert stands(lab) == (relay, relay)
        assert pinger is None or pinger.lost(begin, time.monotonic()) == 0

        def moved():
            """A busy client may be called back by a packet that is still under way through the relay."""
            attempt(direct, True)
            time.sleep(0.5)
            return stands(lab) == (direct, lab.endpoint("rem"))

        begin = time.monotonic()
        wait_for(moved, 20, "direct, both ways")
        print(f"direct after {time.monotonic() - begin:.2f} s")
        if pinger:
            pinger.wait_after(time.monotonic(), 10)
            assert pinger.lost(begin, time.monotonic()) == 0
            pinger.stop()
        assert lab.ping("rem", "cli0") and lab.ping("cli0", "rem")
        table.close(lambda: None)
