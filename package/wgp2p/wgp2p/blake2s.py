"""BLAKE2s (RFC 7693): WireGuard's hash, here for mac1 alone, which says whom a handshake message is for.

MicroPython has none, so here is one of plain integers. Words are kept in halves of 16 bits: on a 32-bit machine every
number above 30 bits would be a big integer, three times slower than this; on a 64-bit one halves cost twice as much as
words. CPython's own comes from `_blake2`, which, unlike hashlib, does not load OpenSSL (3 MB).
"""
import struct

from .compat import MICROPYTHON

_BLOCK = 64
_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_LOW, _HIGH = [word & 0xFFFF for word in _IV], [word >> 16 for word in _IV]
_SIGMA = (  # RFC 7693 2.7, a hexadecimal digit for each index
    "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
    "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0")
_MIXED = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
          (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def _steps():
    """Every mixing of the ten rounds: four places of the state, and where both message words have their halves."""
    steps = []
    for row in _SIGMA:
        for i in range(8):
            x, y = 2 * int(row[2 * i], 16), 2 * int(row[2 * i + 1], 16)
            steps.append(_MIXED[i] + (x, x + 1, y, y + 1))
    return tuple(steps)


_STEPS = _steps()


def _compress(state, block, count, last):
    """The state (low halves, high halves) after one block of 64 bytes, with `count` bytes in all (RFC 7693 3.2)."""
    message = struct.unpack("<32H", block)
    low, high = state[0] + _LOW, state[1] + _HIGH
    low[12] ^= count & 0xFFFF
    high[12] ^= count >> 16
    if last:
        low[14] ^= 0xFFFF
        high[14] ^= 0xFFFF
    for i, j, k, n, x, x_high, y, y_high in _STEPS:
        b, b_high = low[j], high[j]
        a = low[i] + b + message[x]
        a_high = (high[i] + b_high + message[x_high] + (a >> 16)) & 0xFFFF
        a &= 0xFFFF
        d, d_high = high[n] ^ a_high, low[n] ^ a  # turned by 16
        c = low[k] + d
        c_high = (high[k] + d_high + (c >> 16)) & 0xFFFF
        c &= 0xFFFF
        b ^= c
        b_high ^= c_high
        turned = (b >> 12 | b_high << 4) & 0xFFFF
        b_high = (b_high >> 12 | b << 4) & 0xFFFF
        a += turned + message[y]
        a_high = (a_high + b_high + message[y_high] + (a >> 16)) & 0xFFFF
        a &= 0xFFFF
        d ^= a
        d_high ^= a_high
        low[i], high[i] = a, a_high
        a = (d >> 8 | d_high << 8) & 0xFFFF
        d_high = (d_high >> 8 | d << 8) & 0xFFFF
        low[n], high[n] = a, d_high
        c += a
        c_high = (c_high + d_high + (c >> 16)) & 0xFFFF
        c &= 0xFFFF
        low[k], high[k] = c, c_high
        b = turned ^ c
        b_high ^= c_high
        low[j] = (b >> 7 | b_high << 9) & 0xFFFF
        high[j] = (b_high >> 7 | b << 9) & 0xFFFF
    return ([state[0][i] ^ low[i] ^ low[i + 8] for i in range(8)],
            [state[1][i] ^ high[i] ^ high[i + 8] for i in range(8)])


def _begin(key_size, size):
    low, high = list(_LOW), list(_HIGH)
    low[0] ^= key_size << 8 | size
    high[0] ^= 0x0101
    return low, high


def _digest(state, data, count, size):
    """The end: `data` are all the bytes that come after the first `count`."""
    at = 0
    while len(data) - at > _BLOCK:
        state = _compress(state, data[at:at + _BLOCK], count + at + _BLOCK, False)
        at += _BLOCK
    low, high = _compress(state, data[at:] + bytes(_BLOCK - len(data) + at), count + len(data), True)
    return b"".join([struct.pack("<HH", low[i], high[i]) for i in range(8)])[:size]


def pure_blake2s(data, key=b"", size=32):
    """The hash of `size` bytes (1 to 32) of `data` (bytes, less than 2**30), with a key of up to 32 bytes."""
    if key:
        data = key + bytes(_BLOCK - len(key)) + data
    return _digest(_begin(len(key), size), data, 0, size)


class PureMac1:
    """Keyed BLAKE2s of 16 bytes with one key of 32 bytes for many data: what the key does to the state is kept."""

    def __init__(self, key):
        self._state = _compress(_begin(len(key), 16), key + bytes(_BLOCK - len(key)), _BLOCK, False)

    def of(self, data):
        """The 16 bytes for these data (bytes, at least one)."""
        return _digest(self._state, data, _BLOCK, 16)


blake2s, Mac1 = pure_blake2s, PureMac1

if not MICROPYTHON:
    try:
        import _blake2
    except ImportError:  # an interpreter built without it
        pass
    else:
        def blake2s(data, key=b"", size=32):
            """The hash of `size` bytes (1 to 32) of `data` (bytes), with a key of up to 32 bytes."""
            return _blake2.blake2s(data, key=key, digest_size=size).digest()

        class Mac1:
            """Keyed BLAKE2s of 16 bytes with one key of 32 bytes for many data."""

            def __init__(self, key):
                self._keyed = _blake2.blake2s(key=key, digest_size=16)

            def of(self, data):
                """The 16 bytes for these data (bytes, at least one)."""
                hashed = self._keyed.copy()
                hashed.update(data)
                return hashed.digest()
