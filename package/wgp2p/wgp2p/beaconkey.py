"""Beacon keys: for each client a public key whose private key nobody has.

Each is HMAC-SHA256 (RFC 2104) of the client's public key under one secret of this machine, KEEP_DIR/beacon.key: 32
random bytes as a line of base64. All profiles that were ever given out depend on it, so it is made once, and never in
place of a file that is there. On a router it must be readable for the group of its folder, which is the daemon's.
"""
import errno
import hashlib
import os

from .compat import b64decode, b64encode, give, link, random_bytes, sync, umask
from .files import exists, make_folder, part_of, read_text
from .privileges import is_root
from .wgmessage import KEY_SIZE, key_bytes, key_text

_BLOCK = 64  # of SHA-256
_FILE_LIMIT = 1024
_MODE = 0o640


class BeaconKeyError(Exception):
    """The file cannot be used or made; the text says why, and nothing of what it holds."""


def beacon_of(secret, client):
    """The public key (base64) of the beacon of the client with this public key (base64). ValueError."""
    # X25519 ignores the top bit (RFC 7748, section 5), but mac1 is made from the bytes: a program that clears it on
    # its way would speak to another key.
    made = bytearray(_hmac(secret, key_bytes(client)))
    made[31] &= 0x7F
    return key_text(bytes(made))


def _hmac(secret, message):
    """HMAC-SHA256; the secret is no longer than a block."""
    padded = secret + bytes(_BLOCK - len(secret))
    inner = hashlib.sha256(bytes([byte ^ 0x36 for byte in padded]) + message).digest()
    return hashlib.sha256(bytes([byte ^ 0x5C for byte in padded]) + inner).digest()


def beacon_key(keep_dir):
    """The secret (32 bytes) of this machine, made when there is none. BeaconKeyError."""
    path = keep_dir + "/beacon.key"
    try:
        if not exists(path):
            _make(keep_dir, path)
        text = read_text(path, _FILE_LIMIT)
    except OSError as error:
        raise BeaconKeyError("%s cannot be read or made (errno %d)" % (path, error.args[0]))
    except ValueError as error:
        raise _damaged(path, error)
    try:
        secret = b64decode(text.strip())
    except ValueError as error:
        raise _damaged(path, error)
    if len(secret) != KEY_SIZE:
        raise _damaged(path, "not 32 bytes")
    return secret


def _damaged(path, reason):
    return BeaconKeyError("%s is damaged (%s). Put it back from a backup; where there is none, delete it, and give "
                          "every client its profile anew" % (path, reason))


def _make(folder, path):
    """Make the file, whole and on the disk before it has its name. One that another process makes first, stays."""
    make_folder(folder)
    part = part_of(path)
    old = umask(0o777 & ~_MODE)
    try:
        out = open(part, "wb")
    finally:
        umask(old)
    try:
        try:
            if is_root():
                facts = os.stat(folder)
                give(out, facts[4], facts[5], _MODE)
            out.write((b64encode(random_bytes(KEY_SIZE)) + "\n").encode())
            sync(out)
        finally:
            out.close()
        link(part, path)
    except OSError as error:
        if error.args[0] != errno.EEXIST:
            raise
    finally:
        os.remove(part)
