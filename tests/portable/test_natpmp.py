"""natpmp.py: requests to the byte, answers of every kind, and the gateway's clock."""
import struct

from helpers import raises

from wgp2p import natpmp


def address(code=0, epoch_s=1000, ip=b"\xcb\0\x71\x09", version=0, opcode=0x80):
    return struct.pack("!BBHI", version, opcode, code, epoch_s) + ip


def mapped(code=0, epoch_s=1000, internal=51820, external=40000, lifetime_s=7200, version=0, opcode=0x81):
    return struct.pack("!BBHIHHI", version, opcode, code, epoch_s, internal, external, lifetime_s)


def test_requests():
    assert natpmp.build_address() == b"\0\0"
    assert natpmp.build_map(51820, 40000, 7200) == b"\0\1\0\0\xca\x6c\x9c\x40\0\0\x1c\x20"
    assert natpmp.build_map(51820, 0, 0) == b"\0\1\0\0\xca\x6c\0\0\0\0\0\0"


def test_answers():
    for behind in (b"", b"\0\0\0\0"):
        got = natpmp.parse(address() + behind)
        assert (got.opcode, got.code, got.epoch_s, got.external_ip) == (natpmp.ADDRESS, 0, 1000, "203.0.113.9")
        got = natpmp.parse(mapped() + behind)
        assert (got.opcode, got.code, got.epoch_s, got.external_ip) == (natpmp.MAP_UDP, 0, 1000, None)
        assert (got.internal_port, got.external_port, got.lifetime_s) == (51820, 40000, 7200)
    for code in (2, 3, 4, 5, 6, 256, 65535):
        for data in (address(code), mapped(code)):
            got = natpmp.parse(data[:8])
            assert (got.opcode, got.code, got.epoch_s) == (data[1] - 128, code, 1000)
            assert got.external_ip is None and got.internal_port == got.external_port == got.lifetime_s == 0
        assert natpmp.parse(mapped(code)).internal_port == 51820


def test_result_codes():
    assert [natpmp.SUCCESS, natpmp.UNSUPP_VERSION, natpmp.NOT_AUTHORIZED, natpmp.NETWORK_FAILURE, natpmp.NO_RESOURCES,
            natpmp.UNSUPP_OPCODE] == list(range(6))


def test_a_gateway_that_speaks_pcp_only():
    got = natpmp.parse(b"\2\x81\0\1" + bytes(20))
    assert (got.opcode, got.code, got.epoch_s) == (natpmp.MAP_UDP, natpmp.UNSUPP_VERSION, None)
    raises(natpmp.NatPmpError, natpmp.parse, mapped(version=2))
    raises(natpmp.NatPmpError, natpmp.parse, mapped(2, version=2))


def test_what_is_no_answer():
    for good in (address(), mapped()):
        for length in range(len(good)):
            raises(natpmp.NatPmpError, natpmp.parse, good[:length])
    for data in (address(1), mapped(1), mapped(1)[:8],  # to PCP, in this version
                 natpmp.build_address(), natpmp.build_map(1, 2, 3), mapped(opcode=0x82), mapped(opcode=1), bytes(16)):
        raises(natpmp.NatPmpError, natpmp.parse, data)


def test_the_clock():
    before = (1000, 500000)
    for epoch_s, after_ms, lost in (
            (1000, 0, False), (998, 0, False), (997, 0, True), (5000, 0, False),
            (1068, 80000, False), (1067, 80000, True), (1080, 80000, False), (1000, 80000, True),
            (0, 3600000, True), (4148, 3600000, False), (4147, 3600000, True)):
        assert natpmp.rebooted(before, epoch_s, 500000 + after_ms) is lost, (epoch_s, after_ms)
    assert natpmp.rebooted(None, 5, 500000) is False
