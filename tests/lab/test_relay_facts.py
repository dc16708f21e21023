"""What a keyless relay can build on, shown with real kernel WireGuard, OpenWrt's stock firewall on the server, and
stand-ins of a few lines in place of the daemons.

    cli0 behind a symmetric NAT, then a cone, then again   pub: nftables, Relay     rem behind a cone NAT: Device

- The public server's kernel forwards WireGuard's packets between two of its peers by receiver index, with nftables
  maps, on its own WireGuard's port, without a key. Only handshake initiations pass through a program.
- A client's WireGuard follows the device. A copy of one of the device's own packets, sent straight to where the client
  may be, makes both of them direct without a lost packet; sent elsewhere it does nothing.
- That takes two capabilities and no root.
"""
import base64
import contextlib
import ctypes
import hashlib
import re
import socket
import struct
import subprocess
import threading
import time

import netns
import pytest
import stock_router
import wireguard_lab as wireguard
from forging import INITIATION, SIZES, TRANSPORT, Stream, datagram, initiation, is_for, raw_sender, split
from programs import Pinger
from scenes import join
from waiting import stays, wait_for

RELAYED, INITIATION_MARK = 0x77000001, 0x77000002
RULES = """
table ip relay {
  set members { typeof ip saddr . udp sport; }
  map address { typeof ip saddr . udp sport . @th,96,32 : ip daddr; flags dynamic,timeout; timeout 240s; size 4096; }
  map port { typeof ip saddr . udp sport . @th,96,32 : udp dport; flags dynamic,timeout; timeout 240s; size 4096; }
  counter in { }
  counter out { }
  chain prerouting {
    type filter hook prerouting priority -310
    ip daddr SERVER udp dport 51820 goto wireguard
  }
  chain wireguard {
    @th,64,8 1 ip saddr . udp sport @members meta mark set INITIATION
    @th,64,8 2 goto response
    @th,64,8 { 3, 4 } udp dport set ip saddr . udp sport . @th,96,32 map @port \\
      ip daddr set ip saddr . udp sport . @th,96,32 map @address meta mark set RELAYED notrack counter name in
  }
  chain response {
    udp dport set ip saddr . udp sport . @th,128,32 map @port \\
      ip daddr set ip saddr . udp sport . @th,128,32 map @address meta mark set RELAYED notrack counter name in
    meta mark RELAYED update @address { ip daddr . udp dport . @th,96,32 : ip saddr }
    meta mark RELAYED update @port { ip daddr . udp dport . @th,96,32 : udp sport }
  }
  chain postrouting {
    type filter hook postrouting priority -150
    meta mark RELAYED ip saddr set SERVER udp sport set 51820 counter name out
  }
}
""".replace("\\\n", "").replace("RELAYED", hex(RELAYED)).replace("INITIATION", hex(INITIATION_MARK))
ELEMENT = r"([\d.]+) \. (\d+) \. (0x[0-9a-f]+) (?:timeout \S+ )?expires \S+ : ([\d.]+)"


def only_marked(sock, mark):
    """A raw socket gets packets with this mark alone: classic BPF, SKF_AD_MARK."""
    program = b"".join(struct.pack("HBBI", *line) for line in (
        (0x20, 0, 0, 0xFFFFF014), (0x15, 0, 1, mark), (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)))
    held = ctypes.create_string_buffer(program)
    sock.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 4, ctypes.addressof(held)))


class Program:
    """What a stand-in for a daemon is: a thread that reads packets and one that looks ten times a second."""

    def _start(self):
        self._over = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._look_often, self._listen)]
        for thread in self._threads:
            thread.start()

    def _look_often(self):
        while not self._over.wait(0.1):
            self._look()

    def _listen(self):
        with contextlib.suppress(OSError):  # its host is gone
            while packet := self._socket.recv(2048):
                self._heard(packet)

    def stop(self):
        self._over.set()
        self._threads[0].join()


class Relay(Program):
    """The server's side: sends on what members begin, and lets their places in the kernel's maps follow them."""

    def __init__(self, lab, members):
        self.lab, self.forwarded = lab, []
        self.places = {name: lab.peer("pub", name).endpoint for name in members}
        self._socket = netns.open_socket("pub", socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        only_marked(self._socket, INITIATION_MARK)
        self._out = raw_sender("pub")
        netns.nft("pub", "\n".join(f"add element ip relay members {{ {self._key(place)} }}"
                                   for place in self.places.values()))
        self._start()

    @staticmethod
    def _key(endpoint):
        return "{} . {}".format(*split(endpoint))

    def _heard(self, packet):
        source = f"{socket.inet_ntoa(packet[12:16])}:{struct.unpack_from('!H', packet, 20)[0]}"
        sender = [name for name, place in self.places.items() if place == source]
        target = [name for name in self.places if is_for(packet[28:], self.lab.key(name))]
        if sender and target and sender != target:
            self._send_on(packet[28:], source, self.places[target[0]])
            self.forwarded.append((sender[0], target[0]))

    def _send_on(self, message, source, target):
        address, port = split(source)
        key = f"{self._key(target)} . 0x{message[4:8].hex()}"
        netns.nft("pub", f"add element ip relay address {{ {key} : {address} }}\n"
                         f"add element ip relay port {{ {key} : {port} }}\n")
        self._out.sendto(datagram((self.lab.outer("pub"), wireguard.PORT), split(target), message),
                         (split(target)[0], 0))

    def _look(self):
        for name, old in self.places.items():
            peer = self.lab.peer("pub", name)
            if peer.endpoint != old:
                self._move(split(old), split(peer.endpoint))
                self.places[name] = peer.endpoint

    def _move(self, old, new):
        """Every element with a member's old place has its new one, in one transaction."""
        maps = [{(ip, int(port), index): value for ip, port, index, value in re.findall(
            ELEMENT, " ".join(netns.call("pub", "nft", "list", "map", "ip", "relay", name).split()))}
            for name in ("address", "port")]
        lines = ["delete element ip relay members {{ {} . {} }}".format(*old),
                 "add element ip relay members {{ {} . {} }}".format(*new)]
        for key, address in maps[0].items():
            source, target = key[:2], (address, int(maps[1][key]))
            fresh = [new if place == old else place for place in (source, target)]
            if fresh != [source, target]:
                lines += [f"delete element ip relay {name} {{ {key[0]} . {key[1]} . {key[2]} }}"
                          for name in ("address", "port")]
                lines += [f"add element ip relay {name} {{ {fresh[0][0]} . {fresh[0][1]} . {key[2]} : {value} }}"
                          for name, value in zip(("address", "port"), fresh[1])]
        netns.nft("pub", "\n".join(lines) + "\n")


class Device(Program):
    """The device's side: to the relay whenever the client is somewhere else, then a try each second to be direct, at
    where the server says and at where a beacon came from in turn: its NAT is opened with four bytes, and the next
    packets of its own go there a second time."""

    def __init__(self, lab, relay, beacon):
        self.lab, self.relay, self.beacon = lab, relay, beacon
        self.tried, self.stood = [], set()  # candidates; where WireGuard had the client
        self._known, self._tried_s, self._beaconed, self._candidate, self._left = None, 0, None, None, 0
        self._socket = netns.open_socket("rem", socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self._socket.bind(("wan", 3))
        self._out = raw_sender("rem")
        self._start()

    def _look(self):
        place, stands = self.relay.places["cli0"], self.lab.peer("rem", "cli0").endpoint
        self.stood.add(stands)
        if place != self._known:
            self._known = place
            self.lab.wg_set("rem", "cli0", "endpoint", self.lab.endpoint("pub"), "persistent-keepalive", 0)
            self.lab.wg_set("rem", "cli0", "persistent-keepalive", 10)
        elif stands == self.lab.endpoint("pub") and time.monotonic() - self._tried_s > 1:
            self._tried_s = time.monotonic()
            self._try(place if len(self.tried) % 2 == 0 or not self._beaconed else self._beaconed)

    def _try(self, candidate):
        self.tried.append(candidate)
        self._send(candidate, bytes(4))
        self._candidate, self._left = candidate, 3

    def _send(self, endpoint, message):
        self._out.sendto(datagram((self.lab.inner("rem"), wireguard.PORT), split(endpoint), message),
                         (split(endpoint)[0], 0))

    def _heard(self, packet):
        source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
        ports, message = struct.unpack_from("!HH", packet, 20), packet[28:]
        if packet[9] != socket.IPPROTO_UDP:
            return
        if (target, ports[0]) == (self.lab.outer("pub"), wireguard.PORT) and message[:1] == bytes([TRANSPORT]):
            if self._left:
                self._left -= 1
                self._send(self._candidate, message)
        elif ports[1] == wireguard.PORT and len(message) == SIZES[INITIATION] and is_for(message, self.beacon):
            self._beaconed = f"{source}:{ports[0]}"


def setup(lab, network):
    """The server with fw4's stock rules and the relay's, cli0 with the one profile, both known to the server."""
    stock_router.make_server("pub")
    netns.nft("pub", RULES.replace("SERVER", lab.outer("pub")))
    beacon = base64.b64encode(hashlib.sha256(b"nobody").digest()).decode()
    join(lab, "cli0", network, endpoints={"rem": None})
    netns.call("cli0", "wg", "set", "wg0", "peer", beacon, "endpoint", lab.endpoint("rem"), "persistent-keepalive", "5")
    wait_for(lambda: lab.peer("pub", "cli0").rx and lab.peer("pub", "rem").rx, 20, "the server knows both")
    return beacon


def both_at(lab, device_sends_to, client_sends_to):
    return (lab.peer("rem", "cli0").endpoint, lab.peer("cli0", "rem").endpoint) == (device_sends_to, client_sends_to)


def counted(name):
    return int(re.search(r"packets (\d+)", netns.call("pub", "nft", "list", "counter", "ip", "relay", name))[1])


@pytest.mark.long
def test_relay_direct_relay(make_lab):
    """Pings run all the time, and 10 forged beacons a second come to the device, from anywhere."""
    lab = make_lab(networks=("symmetric", "cone"))
    beacon = setup(lab, "nata")
    sources = [(f"203.0.113.{200 + number % 50}", 1024 + number) for number in range(500)]
    forged = Stream("natr", lab.inner("rem"), lambda: datagram(
        sources[forged.sent % 500], (lab.inner("rem"), wireguard.PORT), initiation(beacon)), 10)
    relay = Relay(lab, ["rem", "cli0"])
    device = Device(lab, relay, beacon)
    server, cone = lab.endpoint("pub"), f"{lab.outer('natb')}:{lab.port('cli0')}"
    pinger = Pinger("cli0", lab.tunnel("rem"))
    busy = Pinger("cli0", lab.tunnel("pub"))  # so that the server hears of moves at once
    wait_for(lambda: pinger.replies, 20, "a ping through the relay")
    start = time.monotonic()
    stays(lambda: both_at(lab, server, server), 6, "on the relay, behind a symmetric NAT")
    assert pinger.lost(start, time.monotonic()) == 0
    assert relay.forwarded == [("rem", "cli0")], "of the whole session one packet passed through a program"

    took = pinger.wait_after(lab.move("cli0", "natb"), 20)
    back = time.monotonic()
    wait_for(lambda: both_at(lab, cone, lab.endpoint("rem")), 20, "direct both ways")
    direct = time.monotonic()
    stays(lambda: both_at(lab, cone, lab.endpoint("rem")), 3, "it stays")
    assert pinger.lost(back, time.monotonic()) == 0, "a switch that nobody notices"
    print(f"roam on the relay: {took:.2f} s, direct {direct - back:.2f} s later")

    took = pinger.wait_after(lab.move("cli0", "nata"), 20)
    back = time.monotonic()
    stays(lambda: both_at(lab, server, server), 6, "on the relay again")
    assert pinger.lost(back, time.monotonic()) == 0
    print(f"back to the relay: {took:.2f} s; {forged.sent} beacons forged, {len(device.tried)} candidates tried")
    assert any(candidate in {"%s:%d" % source for source in sources} for candidate in device.tried)
    assert device.stood <= {None, server, cone}, "nothing forged moved it anywhere"
    assert len(relay.forwarded) <= 2, "the session that began on the relay lives on through every move"
    for program in (device, relay, forged, pinger, busy):
        program.stop()
    wait_for(lambda: 0 < counted("in") == counted("out"), 5, "the kernel lost nothing")


@pytest.mark.long
def test_stock_firewall_decides(make_lab):
    """An accept in a table of one's own does not overrule fw4's forward chain; a rule in that chain does it."""
    lab = make_lab(networks=("symmetric",))
    setup(lab, "nata")
    netns.nft("pub", "flush chain inet fw4 forward")
    netns.nft("pub", "add chain ip relay forward { type filter hook forward priority -10; }\n"
                     f"add rule ip relay forward meta mark {RELAYED:#x} accept")
    relay = Relay(lab, ["rem", "cli0"])
    lab.wg_set("rem", "cli0", "endpoint", lab.endpoint("pub"), "persistent-keepalive", 10)
    wait_for(lambda: counted("in") > 0, 20, "the client's response is to be relayed")
    assert counted("out") == 0, "and lost: by these two counters one knows"
    netns.nft("pub", f"insert rule inet fw4 forward meta mark {RELAYED:#x} accept")
    wait_for(lambda: lab.ping("cli0", "rem"), 20, "with that rule it works")
    assert counted("out") > 0
    relay.stop()


@pytest.mark.long
def test_two_capabilities_suffice(make_lab):
    """A user of its own may do all this with CAP_NET_ADMIN and CAP_NET_RAW."""
    make_lab(clients=0)
    netns.nft("pub", RULES.replace("SERVER", "203.0.113.10"))
    capabilities = "-all,+net_admin,+net_raw"
    script = "\n".join(("import socket", "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)",
                        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)",
                        "socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)).bind(('wan', 3))"))
    add = "add element ip relay port { 203.0.113.1 . 5 . 0x12345678 : 51820 }"
    for words, text in ((["nft", "-f", "-"], add), (["python3", "-c", script], "")):
        done = subprocess.run(
            netns.command("pub", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
                          f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}",
                          f"--bounding-set={capabilities}", *words), input=text, capture_output=True, text=True,
            check=False)
        assert done.returncode == 0, done.stderr
    assert "0x12345678" in netns.call("pub", "nft", "list", "map", "ip", "relay", "port")
