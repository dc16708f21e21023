"""WireGuard's messages as far as they can be read without a key (WireGuard whitepaper, 5.4.2 to 5.4.6).

An index is given as the four bytes lie in the packet, read as a big-endian integer: the same number that nftables
shows for them.
"""
import struct

from .blake2s import blake2s

INITIATION, RESPONSE, COOKIE, TRANSPORT = 1, 2, 3, 4
_SIZES = {INITIATION: 148, RESPONSE: 92, COOKIE: 64}
_LEAST_TRANSPORT = 32  # the header and the tag of an empty packet: a keepalive
_MAC1, _MAC1_END = 116, 132
_LABEL_MAC1 = b"mac1----"


def kind(message):
    """The message's type, or None for what is no message of WireGuard: by its size and the first four bytes."""
    if len(message) < _LEAST_TRANSPORT or message[1] or message[2] or message[3]:
        return None
    found = message[0]
    return found if found == TRANSPORT or _SIZES.get(found) == len(message) else None


def sender(message):
    """The sender's index in an initiation or a response."""
    return struct.unpack_from("!I", message, 4)[0]


def receiver(message):
    """The receiver's index in a response, a cookie reply or a transport message."""
    return struct.unpack_from("!I", message, 8 if message[0] == RESPONSE else 4)[0]


def mac1_key(public_key):
    """The key of mac1 in messages for the peer with this public key (32 bytes, as the key)."""
    return blake2s(_LABEL_MAC1 + public_key)


def is_for(message, mac1):
    """Whether an initiation is for the peer whose blake2s.Mac1 (of its mac1_key) this is. It proves nothing of the
    sender: whoever knows a public key can write such a message."""
    return mac1.of(message[:_MAC1]) == message[_MAC1:_MAC1_END]
