"""WireGuard's packets made by hand, as anybody can make them: any source, any index, the mac1 of any public key
(whitepaper 5.4; the lab's wires let forged sources pass)."""
import base64
import hashlib
import os
import socket
import struct
import threading

import netns

INITIATION, RESPONSE, COOKIE, TRANSPORT = 1, 2, 3, 4
SIZES = {INITIATION: 148, RESPONSE: 92}


def split(endpoint):
    """("address", port) of an IPv4 endpoint's text."""
    address, _, port = endpoint.rpartition(":")
    return address, int(port)


def datagram(source, target, payload):
    """An IPv4 packet with UDP in it, from one (address, port) to another. (No checksum: IPv4's UDP needs none.)"""
    udp = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0) + payload
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, socket.inet_aton(source[0]),
                       socket.inet_aton(target[0])) + udp


def raw_sender(host):
    """A socket of a host's for whole IPv4 packets."""
    return netns.open_socket(host, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def mac1(message, public_key):
    """For whom an initiation or a response is (5.4.4): the keyed hash of all that is before it."""
    key = hashlib.blake2s(b"mac1----" + base64.b64decode(public_key)).digest()
    return hashlib.blake2s(message[:-32], key=key, digest_size=16).digest()


def is_for(message, public_key):
    return mac1(message, public_key) == message[-32:-16]


def initiation(public_key, index=None):
    """An initiation to the owner of a public key, with its mac1 right and the rest junk. index: the sender's."""
    message = bytes([INITIATION, 0, 0, 0]) + (os.urandom(4) if index is None else struct.pack("!I", index))
    message += os.urandom(SIZES[INITIATION] - 8 - 32) + bytes(32)
    return message[:-32] + mac1(message, public_key) + bytes(16)


def response(sender, receiver):
    """Junk of the form of a response. Indices as they lie in the packet, read big-endian."""
    return struct.pack("!B3xII", RESPONSE, sender, receiver) + os.urandom(SIZES[RESPONSE] - 12)


def transport(receiver, size=32):
    """Junk of the form of a data packet."""
    return struct.pack("!B3xI", TRANSPORT, receiver) + os.urandom(size - 8)


class Stream(threading.Thread):
    """Sends what packets() gives, one after another, so many times a second, from a host to an address."""

    def __init__(self, host, address, packets, rate):
        super().__init__(daemon=True)
        self.sent = 0
        self._socket, self._address, self._packets, self._pause = raw_sender(host), address, packets, 1 / rate
        self._over = threading.Event()
        self.start()

    def run(self):
        while not self._over.wait(self._pause):
            self._socket.sendto(self._packets(), (self._address, 0))
            self.sent += 1

    def stop(self):
        self._over.set()
        self.join()
        self._socket.close()
