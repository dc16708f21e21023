"""pcp.py: MAP requests to the byte, answers of every kind, and the gateway's clock."""
import struct

from helpers import raises

from wgp2p import pcp

NONCE = b"twelve bytes"
OURS, PUBLIC = "192.168.1.2", "203.0.113.9"
SIX = "2001:db8::7"
V4 = bytes(10) + b"\xff\xff"
OURS_PACKED, PUBLIC_PACKED = V4 + bytes([192, 168, 1, 2]), V4 + bytes([203, 0, 113, 9])
SIX_PACKED = b"\x20\x01\x0d\xb8" + bytes(11) + b"\7"


def answer(code=0, lifetime_s=7200, epoch_s=1000, nonce=NONCE, internal=51820, external=40000, ip=PUBLIC_PACKED,
           protocol=17, opcode=0x81, version=2, options=b""):
    """A gateway's answer to MAP."""
    return (struct.pack("!BBBBII", version, opcode, 0, code, lifetime_s, epoch_s) + bytes(12) + nonce
            + struct.pack("!BBHHH", protocol, 0, 0, internal, external) + ip + options)


def announce(epoch_s=1000, code=0, opcode=0x80):
    return struct.pack("!BBBBII", 2, opcode, 0, code, 0, epoch_s) + bytes(12)


def test_requests():
    ports = b"\x11\0\0\0\xca\x6c"  # UDP, and 51820
    assert pcp.build_map(OURS, NONCE, 51820, 7200) == (
        b"\2\1\0\0\0\0\x1c\x20" + OURS_PACKED + NONCE + ports + b"\0\0" + V4 + bytes(4))
    assert pcp.build_map(OURS, NONCE, 51820, 7200, 40000, PUBLIC) == (
        b"\2\1\0\0\0\0\x1c\x20" + OURS_PACKED + NONCE + ports + b"\x9c\x40" + PUBLIC_PACKED)
    # a pinhole in an IPv6 firewall
    assert pcp.build_map(SIX, NONCE, 51820, 120, 51820) == (
        b"\2\1\0\0\0\0\0\x78" + SIX_PACKED + NONCE + ports + b"\xca\x6c" + bytes(16))
    assert pcp.build_map(SIX, NONCE, 51820, 120, 51820, SIX)[-16:] == SIX_PACKED
    assert pcp.build_map(OURS, NONCE, 51820, 120, 40000, None, True) == (
        pcp.build_map(OURS, NONCE, 51820, 120, 40000) + b"\2\0\0\0")


def test_answers():
    for options in (b"", b"\2\0\0\0", b"\x80\0\0\5hello\0\0\0\x81\0\0\0", b"\3\0\0\x14" + bytes(20)):
        got = pcp.parse(answer(options=options))
        assert (got.opcode, got.code, got.lifetime_s, got.epoch_s) == (pcp.MAP, pcp.SUCCESS, 7200, 1000)
        assert (got.nonce, got.internal_port, got.external_port, got.external_ip) == (NONCE, 51820, 40000, PUBLIC)
    assert pcp.parse(answer(ip=SIX_PACKED)).external_ip == SIX
    assert pcp.parse(answer(lifetime_s=0xFFFFFFFF, epoch_s=0xFFFFFFFE)).epoch_s == 0xFFFFFFFE
    for code in range(1, 256):
        got = pcp.parse(answer(code, 30))
        assert (got.code, got.lifetime_s, got.nonce) == (code, 30, NONCE)
    got = pcp.parse(announce(77))
    assert (got.opcode, got.code, got.epoch_s, got.nonce) == (pcp.ANNOUNCE, 0, 77, None)


def test_result_codes():
    assert [pcp.SUCCESS, pcp.UNSUPP_VERSION, pcp.NOT_AUTHORIZED, pcp.MALFORMED_REQUEST, pcp.UNSUPP_OPCODE,
            pcp.UNSUPP_OPTION, pcp.MALFORMED_OPTION, pcp.NETWORK_FAILURE, pcp.NO_RESOURCES, pcp.UNSUPP_PROTOCOL,
            pcp.USER_EX_QUOTA, pcp.CANNOT_PROVIDE_EXTERNAL, pcp.ADDRESS_MISMATCH,
            pcp.EXCESSIVE_REMOTE_PEERS] == list(range(14))


def test_another_version():
    for data in (b"\0\x81\0\1\0\0\3\xe8",  # NAT-PMP's 8 bytes
                 answer(1, version=1), answer(1, version=3)[:24], b"\0\x81\0\1" + bytes(12)):
        got = pcp.parse(data)
        assert (got.opcode, got.code, got.epoch_s, got.nonce) == (pcp.MAP, pcp.UNSUPP_VERSION, None, None)
    for opcode in (b"\x80", b"\0"):  # NAT-PMP's as in RFC 6886, 3.5, with and without its erratum 3618
        assert pcp.parse(b"\0" + opcode + b"\0\1\0\0\3\xe8").code == pcp.UNSUPP_VERSION
    for data in (b"\0\x81\0\1\0\0\3", b"\0\x81\0\0\0\0\3\xe8", b"\0\1\0\1\0\0\3\xe8", answer(0, version=1),
                 b"\0\0\0\0\0\0\3\xe8", b"\1\0\0\1\0\0\3\xe8", b"\2\0\0\1" + bytes(20)):
        raises(pcp.PcpError, pcp.parse, data)
    assert pcp.parse(answer(1)).nonce == NONCE  # its own version does not please it: strange, but an answer


def test_what_is_no_answer():
    good = answer(options=b"\x80\0\0\4abcd")
    for length in range(len(good)):
        if length not in (60,):  # a whole answer without the option
            raises(pcp.PcpError, pcp.parse, good[:length])
    for data in (pcp.build_map(OURS, NONCE, 51820, 120), answer(opcode=1), answer(opcode=0x82), announce(opcode=0),
                 answer(protocol=6), answer(protocol=0), good + b"\0", good + b"\0\0\0\1", bytes(60), b"\2\x81" * 50,
                 answer(options=bytes(1044)), answer(version=255)):
        raises(pcp.PcpError, pcp.parse, data)
    pcp.parse(answer(options=bytes(1040)))


def test_another_hosts_port_is_refused():
    third_party = b"\1\0\0\x10" + V4 + bytes([192, 168, 1, 3])
    for options in (third_party, b"\2\0\0\0" + third_party, third_party + b"\2\0\0\0"):
        raises(pcp.PcpError, pcp.parse, answer(options=options))


def test_the_clock():
    before = (1000, 500000)
    for epoch_s, after_ms, lost in (
            (1000, 0, False), (999, 0, False), (998, 0, True), (1002, 0, False), (1003, 0, True),
            (1000, 2000, False), (1000, 2999, False), (1000, 3000, True),
            (1160, 160000, False), (1148, 160000, False), (1147, 160000, True), (1172, 160000, False),
            (1173, 160000, True),
            (0, 3600000, True), (1000, 3600000, True), (4600, 3600000, False), (0xFFFFFFFF, 3600000, True)):
        assert pcp.rebooted(before, epoch_s, 500000 + after_ms) is lost, (epoch_s, after_ms)
    assert pcp.rebooted(None, 5, 500000) is False
