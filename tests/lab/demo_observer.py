"""What the demo measures: the phone's pings, who sends to whom and when, and what the router's daemon says."""
import http.client
import json
import os
import select
import socket
import struct
import threading
import time

import netns
import wireguard_lab

PHONE, ROUTER, SERVER = "cli0", "rem", "pub"


class Observer(threading.Thread):
    """Pings the router from the phone, and notes who speaks to whom on the wires of server and router."""

    OUTGOING, EVERYTHING, IPV4 = 4, 3, 0x0800  # from linux/if_packet.h and linux/if_ether.h

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.pings = []  # [sent, round trip or None], in s
        self.heard = []  # (when, SERVER or ROUTER, the other's address): packets in, of the server; out, of the router
        self._target, self._icmp = lab.tunnel(ROUTER), None
        self._taps = {}
        for host in (SERVER, ROUTER):
            tap = netns.open_socket(host, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(self.EVERYTHING))
            tap.bind(("wan", self.EVERYTHING))
            self._taps[tap] = host

    def ping(self):
        """From now on the phone pings, every 0.2 s."""
        self._icmp = netns.open_socket(PHONE, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

    def run(self):
        due = time.monotonic()
        while True:
            ready = [*self._taps, *([self._icmp] if self._icmp else [])]
            for ready_one in select.select(ready, [], [], max(0, due - time.monotonic()))[0]:
                data, source = ready_one.recvfrom(2048)
                if ready_one is self._icmp:
                    self._answer(data)
                else:
                    self._packet(self._taps[ready_one], data, source)
            if time.monotonic() >= due:
                due = max(due + 0.2, time.monotonic())
                if self._icmp:
                    self._send()

    def _send(self):
        head = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xffff, len(self.pings) & 0xffff)
        total = sum(struct.unpack("!4H", head))
        checksum = ~(total + (total >> 16)) & 0xffff
        self.pings.append([time.monotonic(), None])
        try:
            self._icmp.sendto(head[:2] + struct.pack("!H", checksum) + head[4:], (self._target, 0))
        except OSError:
            pass  # the phone has no network: as good as lost

    def _answer(self, data):
        kind, _, _, number, sequence = struct.unpack_from("!BBHHH", data, 20)
        if kind == 0 and number == os.getpid() & 0xffff and sequence < len(self.pings):
            ping = self.pings[sequence]
            ping[1] = time.monotonic() - ping[0]

    def _packet(self, host, data, source):
        outgoing = source[2] == self.OUTGOING
        if source[1] != self.IPV4 or data[9] != socket.IPPROTO_UDP or outgoing != (host == ROUTER):
            return
        ports = struct.unpack_from("!HH", data, 4 * (data[0] & 15))
        if ports[0 if outgoing else 1] == wireguard_lab.PORT:
            address = data[16:20] if outgoing else data[12:16]
            self.heard.append((time.monotonic(), host, socket.inet_ntoa(address)))

    def marks(self, begin, address):
        """(server knows, router sends, first answer) in s since begin, None for what has not happened. What is sent
        through the server is not told from the tunnel's other packets; it was sent before it was answered."""
        when = [next((moment for moment, host, other in self.heard if moment >= begin and (host, other) == (
            wanted, address)), None) for wanted in (SERVER, ROUTER)]
        when.append(min((sent + took for sent, took in self.pings if took and sent + took > begin), default=None))
        if when[1] is not None and when[2] is not None:
            when[1] = min(when[1:])
        return [None if moment is None else moment - begin for moment in when]


def ask_status(socket_path):
    """What `wgp2p status --json` prints, without starting a program."""
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.settimeout(3)
        daemon.connect(str(socket_path))
        daemon.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = http.client.HTTPResponse(daemon)
        answer.begin()
        return json.loads(answer.read())
