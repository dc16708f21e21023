"""wgpacket.py: a message's type, indices, and for whom it is."""
from wgp2p import wgpacket
from wgp2p.blake2s import Mac1, pure_blake2s
from wgp2p.wgpacket import COOKIE, INITIATION, RESPONSE, TRANSPORT, is_for, kind, mac1_key, receiver, sender

SIZES = ((INITIATION, 148), (RESPONSE, 92), (COOKIE, 64), (TRANSPORT, 32))


def message(number, size):
    return bytes([number, 0, 0, 0, 1, 2, 3, 4, 0xFF, 6, 7, 8]) + bytes(size - 12)


def test_types_by_size():
    for number, size in SIZES:
        assert kind(message(number, size)) == number
        assert kind(message(number, size - 1)) is None
        assert kind(message(number, size + 1)) == (TRANSPORT if number == TRANSPORT else None)
    assert kind(message(TRANSPORT, 1500)) == TRANSPORT


def test_every_cut_and_every_reserved_byte():
    whole = message(INITIATION, 148)
    for end in range(148):
        assert kind(whole[:end]) is None
    for at in (1, 2, 3):
        for number, size in SIZES:
            spoiled = bytearray(message(number, size))
            spoiled[at] = 1
            assert kind(bytes(spoiled)) is None
    for number in (0, 5, 255):
        for size in (32, 64, 92, 148):
            assert kind(message(number, size)) is None


def test_indices():
    assert sender(message(INITIATION, 148)) == sender(message(RESPONSE, 92)) == 0x01020304
    assert receiver(message(RESPONSE, 92)) == 0xFF060708
    assert receiver(message(COOKIE, 64)) == receiver(message(TRANSPORT, 32)) == 0x01020304


def test_for_whom():
    ours, other = bytes(range(32)), bytes(32)
    key = mac1_key(ours)
    assert key == pure_blake2s(b"mac1----" + ours) and len(key) == 32
    body = message(INITIATION, 116)
    whole = body + pure_blake2s(body, key, 16) + bytes(16)
    assert kind(whole) == INITIATION
    assert is_for(whole, Mac1(key)) and not is_for(whole, Mac1(mac1_key(other)))
    for at in (0, 115, 116, 131):
        spoiled = bytearray(whole)
        spoiled[at] ^= 1
        assert not is_for(bytes(spoiled), Mac1(key))
    assert is_for(whole[:132] + b"mac2 is not in it", Mac1(key))
    assert not wgpacket.is_for(bytes(148), Mac1(key))
