"""beaconkey.py: HMAC-SHA256 as published, a secret that is made once and never replaced."""
import binascii
import os

from fakewg import key
from folders import new_folder
from helpers import Skip, raises

from wgp2p import beaconkey, compat
from wgp2p.compat import b64decode, b64encode
from wgp2p.files import read_text, write_private


def test_hmac_as_published():
    # RFC 4231, test cases 1, 2 and 3
    for secret, message, digest in (
            (b"\x0b" * 20, b"Hi There", b"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (b"Jefe", b"what do ya want for nothing?",
             b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (b"\xaa" * 20, b"\xdd" * 50, b"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe")):
        assert binascii.hexlify(beaconkey._hmac(secret, message)) == digest


def test_a_beacon_belongs_to_a_client_and_a_secret():
    one = beaconkey.beacon_of(b"s" * 32, key(1))
    assert len(b64decode(one)) == 32 and one == beaconkey.beacon_of(b"s" * 32, key(1))
    assert one != beaconkey.beacon_of(b"s" * 32, key(2)) and one != beaconkey.beacon_of(b"t" * 32, key(1))
    whole = beaconkey._hmac(b"s" * 32, b64decode(key(1)))
    assert b64decode(one)[:31] == whole[:31] and b64decode(one)[31] == whole[31] & 0x7F
    tops = [beaconkey._hmac(b"s" * 32, bytes([number]) * 32)[31] >> 7 for number in range(16)]
    assert 1 in tops, "the top bit is there to be cleared"
    for number in range(16):
        assert b64decode(beaconkey.beacon_of(b"s" * 32, key(number)))[31] < 128
    for bad in ("", key(1)[:-4], "x" * 44):
        raises(ValueError, beaconkey.beacon_of, b"s" * 32, bad)


def test_the_secret_is_made_once():
    folder = new_folder() + "/keep"
    secret = beaconkey.beacon_key(folder)
    assert len(secret) == 32 and secret != bytes(32)
    assert read_text(folder + "/beacon.key", 100) == b64encode(secret) + "\n"
    assert os.stat(folder + "/beacon.key")[0] & 0o777 == 0o640
    assert beaconkey.beacon_key(folder) == secret
    assert os.listdir(folder) == ["beacon.key"], "nothing is left of making it"
    assert beaconkey.beacon_key(new_folder()) != secret


def test_one_that_another_process_makes_meanwhile_stays():
    folder = new_folder()
    saved = beaconkey.link

    def raced(old, new):
        write_private(folder + "/beacon.key", b64encode(b"o" * 32) + "\n")
        saved(old, new)

    beaconkey.link = raced
    try:
        assert beaconkey.beacon_key(folder) == b"o" * 32
    finally:
        beaconkey.link = saved
    assert os.listdir(folder) == ["beacon.key"]


def test_a_damaged_secret_is_never_replaced():
    folder = new_folder()
    path = folder + "/beacon.key"
    for text in ("", "\n", "secret", b64encode(b"secret"), b64encode(bytes(33)), "x" * 2000):
        write_private(path, text)
        error = raises(beaconkey.BeaconKeyError, beaconkey.beacon_key, folder)
        assert path in str(error) and "is damaged" in str(error) and "secret" not in str(error)
        assert read_text(path, 4000) == text
    out = open(path, "wb")
    out.write(b"\xff" * 10)
    out.close()
    assert "not UTF-8" in str(raises(beaconkey.BeaconKeyError, beaconkey.beacon_key, folder))


def test_no_place_for_the_secret():
    folder = new_folder()
    write_private(folder + "/keep", "a file in its place")
    error = raises(beaconkey.BeaconKeyError, beaconkey.beacon_key, folder + "/keep")
    assert folder + "/keep/beacon.key cannot be read or made (errno " in str(error)


def test_root_gives_it_to_whom_the_folder_belongs():
    if os.stat("/proc/self")[4]:
        raise Skip("needs root")
    folder = new_folder()
    inside = folder + "/keep"
    os.mkdir(inside)
    out = open(folder + "/x", "wb")
    compat.give(out, 12, 34, 0o604)
    out.close()
    facts = os.stat(folder + "/x")
    assert (facts[4], facts[5], facts[0] & 0o777) == (12, 34, 0o604)
    if os.system("chown 0:4711 " + inside):
        raise Skip("no chown here")
    beaconkey.beacon_key(inside)
    facts = os.stat(inside + "/beacon.key")
    assert (facts[4], facts[5], facts[0] & 0o777) == (0, 4711, 0o640)
