"""Programs that run on the lab's hosts beside a scenario: a pinger, a watch on a wire, a socket that tells ports."""
import re
import socket
import struct
import subprocess
import threading
import time

import netns
from waiting import wait_for


class Pinger:
    """A host that pings without a pause, and when each answer came (monotonic s)."""

    def __init__(self, host, address, interval=0.2, size=56):
        self.replies = []  # monotonic s
        self._answered = []  # (number, monotonic s)
        words = ["ping", "-n", "-i", str(interval), "-s", str(size), address]
        with netns.inside(host):
            self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._process.stdout:
            if found := re.search(r"icmp_seq=(\d+) ttl=", line):
                self.replies.append(time.monotonic())
                self._answered.append((int(found[1]), self.replies[-1]))

    def first_after(self, moment):
        """When the first answer after a moment came; None as long as there is none."""
        return next((reply for reply in self.replies if reply > moment), None)

    def wait_after(self, moment, seconds, why="an answer to a ping"):
        """Seconds from a moment to the first answer after it."""
        return wait_for(lambda: self.first_after(moment), seconds, why) - moment

    def longest_gap(self, start, end):
        """The longest time without an answer between two moments, in s."""
        inside = [start, *[reply for reply in self.replies if start < reply < end], end]
        return max(later - earlier for earlier, later in zip(inside, inside[1:]))

    def lost(self, start, end):
        """How many pings were never answered, of those between the first and the last one answered in that time."""
        inside = [number for number, when in self._answered if start < when < end]
        return max(inside) - min(inside) + 1 - len(set(inside))

    def stop(self):
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        self._process.stdout.close()


class Watch:
    """What WireGuard's packets there were on a host's wire: (monotonic s, source, destination, the first bytes)."""

    def __init__(self, host, device="wan"):
        # Of one ethertype a packet socket sees only what comes in; of all (ETH_P_ALL) what goes out as well.
        self._socket = netns.open_socket(host, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self._socket.bind((device, 3))
        self.packets = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                data = self._socket.recv(2048)
            except OSError:
                return
            if len(data) >= 28 and data[0] == 0x45 and data[9] == 17 and 51820 in struct.unpack_from("!HH", data, 20):
                self.packets.append((time.monotonic(), socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20]),
                                     data[28:44]))

    def first(self, moment, source=None, destination=None):
        """The time of the first packet after a moment with this source or destination."""
        for when, came_from, goes_to, _ in list(self.packets):
            if when > moment and (source is None or came_from == source) and (
                    destination is None or goes_to == destination):
                return when
        return None


class UdpSocket:
    """A UDP socket on a host, for seeing what a NAT makes of its packets."""

    def __init__(self, host, address="0.0.0.0", port=0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = netns.open_socket(host, family, socket.SOCK_DGRAM)
        self._socket.bind((address, port))

    def send(self, address, port, data=b"hello"):
        self._socket.sendto(data, (address, port))

    def receive(self, seconds=1):
        """(data, address, port) of the next packet; None when none came."""
        self._socket.settimeout(seconds)
        try:
            data, source = self._socket.recvfrom(2048)
        except socket.timeout:
            return None
        return data, source[0], source[1]

    def close(self):
        self._socket.close()
