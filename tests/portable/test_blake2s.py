"""blake2s.py: the vectors of RFC 7693, and the pure one against the interpreter's own where there is one."""
from wgp2p import blake2s
from wgp2p.blake2s import PureMac1, pure_blake2s


def digits(data):
    return "".join(["%02x" % byte for byte in data])


def sequence(count, seed):
    """RFC 7693, appendix E: bytes that are easily made again."""
    a, b, out = 0xDEAD4BAD * seed & 0xFFFFFFFF, 1, []
    for _ in range(count):
        a, b = b, (a + b) & 0xFFFFFFFF
        out.append(b >> 24)
    return bytes(out)


def test_abc():
    for hashed in (blake2s.blake2s, pure_blake2s):
        assert digits(hashed(b"abc")) == "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"


def test_empty():
    for hashed in (blake2s.blake2s, pure_blake2s):
        assert digits(hashed(b"")) == "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9"


def test_self_test_of_the_rfc():
    """Appendix E: every size of digest, sizes of input around the block's, with and without a key."""
    grand = b""
    for size in (16, 20, 28, 32):
        for count in (0, 3, 64, 65, 255, 1024):
            data = sequence(count, count)
            grand += pure_blake2s(data, b"", size)
            grand += pure_blake2s(data, sequence(size, size), size)
    assert digits(pure_blake2s(grand)) == "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe"


def test_a_kept_key_gives_the_same():
    key = bytes(range(32))
    for count in (1, 63, 64, 65, 116, 128, 129):
        data = sequence(count, 7)
        keyed = PureMac1(key)
        assert keyed.of(data) == pure_blake2s(data, key, 16) == keyed.of(data)
        assert blake2s.Mac1(key).of(data) == keyed.of(data)


def test_a_long_one_counts_its_bytes_in_both_halves():
    data = sequence(70000, 3)
    assert digits(pure_blake2s(data)) == "e53badd68bc4b7924bf893e90e852811c7181e92f14de810e86b503b5eb44580"
