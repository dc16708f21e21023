"""X25519 (RFC 7748), for the stand-in's key pairs: slow, and not for secrets."""
import base64

P = 2**255 - 19


def public_of(private):
    """The public key, base64 text, of a private one."""
    scalar = bytearray(base64.b64decode(private))
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    number = int.from_bytes(scalar, "little")
    base, one, other = 9, (1, 0), (9, 1)
    for bit in range(254, -1, -1):
        if number >> bit & 1:
            one, other = other, one
        one, other = _double(*one), _sum(base, *one, *other)
        if number >> bit & 1:
            one, other = other, one
    return base64.b64encode((one[0] * pow(one[1], P - 2, P) % P).to_bytes(32, "little")).decode()


def _double(x, z):
    plus, minus = (x + z) ** 2 % P, (x - z) ** 2 % P
    return plus * minus % P, (plus - minus) * (plus + 121665 * (plus - minus)) % P


def _sum(base, xa, za, xb, zb):
    one, other = (xb - zb) * (xa + za) % P, (xb + zb) * (xa - za) % P
    return (one + other) ** 2 % P, base * (one - other) ** 2 % P
