"""pcp.py, natpmp.py and pcptalk.py under random input: what is built is read back, anything else is their own error,
and no sequence of datagrams brings a talker to send more than its tries, or to an outcome without an answer."""
import struct

from hypothesis import given
from hypothesis import strategies as st
from test_natpmp import address, mapped
from test_pcp import NONCE, announce, answer
from test_pcptalk import GATEWAY, middle, want

from wgp2p import natpmp, pcp
from wgp2p.addr import format_ip
from wgp2p.mapping import PORT, Mapping, Refused
from wgp2p.pcptalk import NatPmpTalk, PcpTalk, is_news

PORTS = st.integers(0, 65535)
SECONDS = st.integers(0, 0xFFFFFFFF)
IPS = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)).map(format_ip)
GOOD = (answer(), answer(2), announce(), mapped(), mapped(3), address(), answer(options=b"\x80\0\0\5hello\0\0\0"),
        b"\0\x81\0\1\0\0\3\xe8")


@given(IPS, st.binary(min_size=12, max_size=12), PORTS, SECONDS, PORTS, IPS)
def test_a_request_and_its_answer(own_ip, nonce, internal, lifetime_s, external, external_ip):
    request = pcp.build_map(own_ip, nonce, internal, lifetime_s, external, external_ip)
    assert len(request) == 60
    got = pcp.parse(request[:1] + b"\x81\0\0" + request[4:8] + bytes(16) + request[24:])  # as RFC 6887, 8.2 has it
    assert (got.nonce, got.internal_port, got.lifetime_s) == (nonce, internal, lifetime_s)
    assert (got.external_port, got.external_ip) == (external, external_ip)
    assert struct.unpack("!BBHHHI", natpmp.build_map(internal, external, lifetime_s)) == (
        0, 1, 0, internal, external, lifetime_s)


def parse(data):
    """Both codecs read it or raise their own error; any other exception fails the test."""
    for codec, error in ((pcp, pcp.PcpError), (natpmp, natpmp.NatPmpError)):
        try:
            got = codec.parse(data)
        except error:
            continue
        assert 0 <= got.external_port <= 65535 and 0 <= got.lifetime_s < 2**32 and got.opcode in (0, 1)
        assert got.epoch_s is None or 0 <= got.epoch_s < 2**32
        assert codec.rebooted((5, 5), got.epoch_s or 0, 10**9) in (True, False)
    is_news(10**6, data, (1000, 5000), "203.0.113.9")


@given(st.binary(max_size=1200))
def test_junk(data):
    parse(data)
    parse(b"\2\x81" + data)
    parse(b"\0\x80" + data)
    parse(answer(options=data))


def mutated(good, at, put, take):
    at %= len(good)
    return good[:at] + put + good[at + take:]


MUTATIONS = st.builds(mutated, st.sampled_from(GOOD), st.integers(0, 100), st.binary(max_size=3), st.integers(0, 3))


@given(MUTATIONS)
def test_mutations(data):
    parse(data)


DATA = st.one_of(MUTATIONS, st.sampled_from(GOOD), st.binary(max_size=80))
SOURCES = st.sampled_from([(GATEWAY, PORT)] * 4 + [(GATEWAY, 53), ("192.168.1.3", PORT)])
STEPS = st.lists(st.tuples(st.integers(0, 8000), DATA, SOURCES), max_size=30)


@given(st.sampled_from([PcpTalk, NatPmpTalk]), st.sampled_from([0, 7200]), st.sampled_from([None, (1000, 0), (9, 0)]),
       STEPS)
def test_talks(kind, lifetime_s, previous, steps):
    now = sent = 0
    talk = kind(0, want(lifetime_s, previous), middle)
    for wait_ms, data, (ip, port) in steps:
        now += wait_ms
        sent += len(talk.act(now))
        before = talk.outcome
        talk.received(now, ip, port, data)
        assert talk.outcome is before or before is None and (ip, port) == (GATEWAY, PORT)
    while talk.outcome is None:
        assert talk.next_ms() <= now + 200000
        now = max(now, talk.next_ms())
        sent += len(talk.act(now))
    assert sent <= 27 and talk.act(now + 10**6) == []  # for the address and for the mapping, one of them twice
    got = talk.outcome
    if isinstance(got, Mapping):
        assert bool(got.lifetime_s) == bool(got.external_port) == bool(lifetime_s)
    else:
        assert isinstance(got, Refused) and got.words and (got.retry_s is None or 0 < got.retry_s <= 1800)


def test_the_nonce_is_all_that_a_stranger_lacks():
    talk = PcpTalk(0, want(), middle)
    talk.act(0)
    for bit in range(96):
        nonce = bytearray(NONCE)
        nonce[bit // 8] ^= 1 << bit % 8
        talk.received(1, GATEWAY, PORT, answer(nonce=bytes(nonce)))
        assert talk.outcome is None
