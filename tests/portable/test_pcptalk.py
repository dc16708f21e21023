"""pcptalk.py in virtual time: the retries of both RFCs, grants, refusals, and every answer that must not count."""
import binascii

from test_natpmp import address, mapped
from test_pcp import NONCE, OURS, PUBLIC, V4, announce, answer

from wgp2p import natpmp, pcp
from wgp2p.mapping import NATPMP, PCP, PORT, Mapping, Refused, Want
from wgp2p.pcptalk import NATPMP_WORDS, PCP_WORDS, NatPmpTalk, PcpTalk, is_news

GATEWAY = "192.168.1.1"
EPOCH = (1000, 5000)  # the gateway's clock as it was last heard


def want(lifetime_s=7200, previous=None):
    wanted = Want(GATEWAY, OURS, 51820, 40000, lifetime_s, NONCE, "")
    wanted.previous = previous
    return wanted


def middle(limit):
    """The random number without which the RFC's schedule is exact."""
    return limit // 2


def talk(kind, lifetime_s=7200, previous=None, random_below=middle):
    """An attempt that has sent its first datagram at 5000 ms."""
    made = kind(5000, want(lifetime_s, previous), random_below)
    assert made.next_ms() == 5000 and len(made.act(5000)) == 1 and made.outcome is None
    return made


def after_address(lifetime_s=7200, previous=None):
    made = talk(NatPmpTalk, lifetime_s, previous)
    made.received(5010, GATEWAY, PORT, address())
    assert made.next_ms() == 5010 and [sent.data for sent in made.act(5010)] == [natpmp.build_map(51820, 40000, 7200)]
    return made


def tell(made, data, now=5020):
    made.received(now, GATEWAY, PORT, data)
    return made.outcome


def schedule(made):
    """When it sends, and at last when it gives up; it sends the same each time."""
    times, first = [], None
    while made.outcome is None:
        now = made.next_ms()
        assert made.act(now - 1) == [] and made.next_ms() == now
        for sent in made.act(now):
            first = first or sent.data
            assert (sent.ip, sent.port, sent.data) == (GATEWAY, PORT, first)
        times.append(now)
    assert made.next_ms() is None and made.act(now + 1000000) == []
    assert made.outcome.code is None and made.outcome.final and "answer" in made.outcome.words
    return times


def test_pcp_tries():
    assert schedule(PcpTalk(0, want(), middle)) == [0, 3000, 9000]
    assert schedule(PcpTalk(0, want(0), middle)) == [0, 3000, 9000]
    assert schedule(PcpTalk(0, want(7200, (1000, 0)), middle)) == [0, 3000, 9000, 21000, 45000, 93000]
    # every wait is twice the one before, and a tenth more or less
    assert schedule(PcpTalk(0, want(), lambda limit: 0)) == [0, 2700, 2700 + 4860]
    assert schedule(PcpTalk(0, want(), lambda limit: limit - 1)) == [0, 3300, 3300 + 7260]


def test_natpmp_tries():
    short = [0, 250, 750, 1750, 3750]
    assert schedule(NatPmpTalk(0, want(), middle)) == short
    assert schedule(NatPmpTalk(0, want(0), middle)) == short
    assert schedule(NatPmpTalk(0, want(7200, (1000, 0)), middle)) == short + [7750, 15750, 31750, 63750, 127750]
    made = after_address()  # the mapping has its own tries
    assert [time - 5010 for time in schedule(made)] == short[1:]


def test_a_pause_of_the_program_costs_no_try():
    made = talk(PcpTalk)
    assert len(made.act(500000)) == 1 and made.next_ms() == 506000


def test_pcp_grants():
    made = talk(PcpTalk)
    got = tell(made, answer())
    assert isinstance(got, Mapping) and made.next_ms() is None
    assert (got.protocol, got.external_ip, got.external_port, got.lifetime_s) == (PCP, PUBLIC, 40000, 7200)
    assert got.epoch_s == 1000 and not got.rebooted
    assert tell(talk(PcpTalk), answer(external=1024, lifetime_s=1)).external_port == 1024
    assert tell(talk(PcpTalk), answer(lifetime_s=0xFFFFFFFF)).lifetime_s == 0xFFFFFFFF
    for nowhere in (bytes(16), bytes(10) + b"\xff\xff" + bytes(4)):
        assert tell(talk(PcpTalk), answer(ip=nowhere)).external_ip is None


def test_pcp_asks_for_what_it_had():
    wanted = want()
    wanted.external_ip = PUBLIC
    sent = PcpTalk(5000, wanted, middle).act(5000)[0].data
    assert sent == pcp.build_map(OURS, NONCE, 51820, 7200, 40000, PUBLIC)
    wanted.lifetime_s = 0
    assert PcpTalk(5000, wanted, middle).act(5000)[0].data == pcp.build_map(OURS, NONCE, 51820, 0)


def test_pcp_refusals():
    for code in range(1, 15):
        got = tell(talk(PcpTalk), answer(code, 30))
        assert isinstance(got, Refused) and got.code == code and got.retry_s == 30
        assert got.words == PCP_WORDS[code] if code < 14 else "14" in got.words
        assert got.final is (code not in (7, 8, 10, 11)) and got.taken is (code == 11)
    assert tell(talk(PcpTalk), answer(2, 0)).retry_s is None
    assert tell(talk(PcpTalk), answer(2, 0xFFFFFFFF)).retry_s == 1800


def test_miniupnpd_behind_another_nat():
    for inside in ([192, 168, 0, 2], [10, 0, 0, 9], [100, 64, 0, 1]):
        got = tell(talk(PcpTalk), answer(8, 30, ip=V4 + bytes(inside)))
        assert got.code == 8 and got.words == PCP_WORDS[7] and got.retry_s == 30 and not got.final
    assert tell(talk(PcpTalk), answer(8, ip=V4 + bytes(4))).words == PCP_WORDS[8]


def test_pcp_that_is_not_spoken():
    for data in (b"\0\x81\0\1\0\0\3\xe8", b"\0\x80\0\1\0\0\3\xe8", b"\0\0\0\1\0\0\3\xe8", answer(1, version=1),
                 answer(1)):
        got = tell(talk(PcpTalk), data)
        assert got.code == 1 and got.final and got.words == PCP_WORDS[1]


def test_pcp_deletes():
    for data in (answer(lifetime_s=0, external=0), answer(lifetime_s=0), answer(8, 30)):
        got = tell(talk(PcpTalk, 0), data)
        assert isinstance(got, Mapping) and got.lifetime_s == got.external_port == 0
    got = tell(talk(PcpTalk, 0), answer(2, 0))
    assert isinstance(got, Refused) and got.code == 2


def test_pcp_answers_that_do_not_count():
    made = talk(PcpTalk)
    other = bytes([NONCE[0] ^ 1]) + NONCE[1:]
    for data in (answer(nonce=other), answer(2, nonce=other), answer(1, nonce=other), answer(internal=51821),
                 answer(2, internal=51821), answer(external=0), answer(lifetime_s=0), announce(), answer()[:24],
                 answer(protocol=6), answer(options=b"\1\0\0\x10" + bytes(16)), b"", b"\0", mapped(), address(),
                 made.act(8000)[0].data):
        assert tell(made, data) is None, data
    for ip, port in (("192.168.1.3", PORT), (GATEWAY, 5350), (GATEWAY, 53), ("::1", PORT)):
        made.received(5020, ip, port, answer())
        assert made.outcome is None
    assert tell(made, answer())
    got = made.outcome  # from now on nothing changes it
    for data in (answer(external=1), answer(2), answer(epoch_s=0)):
        assert tell(made, data) is got
    deletes = talk(PcpTalk, 0)
    assert tell(deletes, answer()) is None, "a late answer to the mapping"
    assert deletes.next_ms() == 8000


def test_natpmp_grants():
    got = tell(after_address(), mapped())
    assert (got.protocol, got.external_ip, got.external_port, got.lifetime_s) == (NATPMP, PUBLIC, 40000, 7200)
    assert got.epoch_s == 1000 and not got.rebooted
    made = talk(NatPmpTalk)
    tell(made, address(ip=bytes(4)))
    assert made.act(5020) and tell(made, mapped(external=1, lifetime_s=0xFFFFFFFF)).lifetime_s == 0xFFFFFFFF
    assert made.outcome.external_ip is None and made.outcome.external_port == 1


def test_natpmp_refusals():
    for code in range(2, 8):
        for made, data in ((talk(NatPmpTalk), address(code)), (talk(NatPmpTalk), address(code)[:8]),
                           (after_address(), mapped(code)), (after_address(), mapped(code)[:8]),
                           (after_address(), mapped(code, internal=0, external=0, lifetime_s=0)),
                           (talk(NatPmpTalk, 0), mapped(code))):
            got = tell(made, data)
            assert isinstance(got, Refused) and got.code == code and got.retry_s is None and not got.taken
            assert got.words == NATPMP_WORDS[code] if code < 6 else str(code) in got.words
            assert got.final is (code not in (3, 4))
    for made, opcode in ((talk(NatPmpTalk), b"\x80"), (talk(NatPmpTalk, 0), b"\x81")):
        got = tell(made, b"\2" + opcode + b"\0\1" + bytes(20))
        assert got.code == 1 and got.final and got.words == NATPMP_WORDS[1]


def test_natpmp_deletes():
    made = NatPmpTalk(5000, want(0), middle)
    assert [sent.data for sent in made.act(5000)] == [natpmp.build_map(51820, 0, 0)]
    got = tell(made, mapped(external=0, lifetime_s=0))
    assert isinstance(got, Mapping) and got.lifetime_s == got.external_port == 0


def test_natpmp_answers_that_do_not_count():
    made = talk(NatPmpTalk)
    for data in (mapped(), mapped(2), address()[:11], answer(), announce(), b"", natpmp.build_address()):
        assert tell(made, data) is None, data
    made = after_address()
    for data in (address(), address(3), mapped(internal=51821), mapped(2, internal=51821), mapped(external=0),
                 b"\0\x81\0\1\0\0\3\xe8",  # late, to PCP
                 mapped(lifetime_s=0), mapped()[:15],
                 answer(), b"\2\x80\0\1" + bytes(20)):
        assert tell(made, data) is None, data
    made.received(5020, "192.168.1.3", PORT, mapped())
    made.received(5020, GATEWAY, 5350, mapped())
    assert made.outcome is None
    deletes = talk(NatPmpTalk, 0)
    for data in (mapped(), mapped(internal=51821, lifetime_s=0), address()):
        assert tell(deletes, data) is None, data


def test_a_gateway_that_rebooted_is_asked_again():
    made = talk(PcpTalk, previous=EPOCH)
    hour = 5000 + 3600000
    made.act(hour)
    assert tell(made, answer(epoch_s=1000, external=1), hour) is None, "the answer of an hour ago, once more"
    assert made.next_ms() == hour and len(made.act(hour)) == 1 and made.next_ms() == hour + 3000
    got = tell(made, answer(epoch_s=4600), hour + 10)
    assert got.external_port == 40000 and got.rebooted
    made = talk(PcpTalk, previous=EPOCH)
    assert tell(made, answer(epoch_s=3)) is None and len(made.act(5020)) == 1
    got = tell(made, answer(epoch_s=3), 5030)
    assert got.rebooted and got.epoch_s == 3
    # each answer from another time: that is believed once it has been asked again
    made = talk(PcpTalk, previous=EPOCH)
    assert tell(made, answer(epoch_s=3)) is None and tell(made, answer(2, epoch_s=900000)).code == 2


def test_natpmp_that_rebooted_is_asked_again():
    made = talk(NatPmpTalk, previous=EPOCH)
    assert tell(made, address(epoch_s=3)) is None
    assert [sent.data for sent in made.act(5020)] == [natpmp.build_address()]
    assert tell(made, address(epoch_s=3)) is None and [len(sent.data) for sent in made.act(5020)] == [12]
    assert tell(made, mapped(epoch_s=3)).rebooted
    made = after_address(previous=EPOCH)
    assert tell(made, mapped(epoch_s=0)) is None and [len(sent.data) for sent in made.act(5020)] == [12]
    assert tell(made, mapped(epoch_s=0)).rebooted


def test_a_clock_that_goes_on_is_no_news():
    later = 5000 + 3600000
    for kind, data in ((PcpTalk, answer(epoch_s=4590)), (NatPmpTalk, address(epoch_s=4200))):
        made = talk(kind, previous=EPOCH)
        made.act(later)
        tell(made, data, later)
        assert kind is NatPmpTalk or not made.outcome.rebooted
        assert not made._rebooted


def test_announcements():
    for data, news in ((announce(1010), False), (announce(3), True), (announce(900000), True), (announce(3, 2), False),
                       (announce(3)[:23], False), (answer(epoch_s=3), False), (address(epoch_s=1010), False),
                       (address(epoch_s=3), True), (address(epoch_s=1010, ip=b"\1\2\3\4"), True),
                       (address(3, ip=b"\1\2\3\4"), False), (mapped(epoch_s=3), False), (b"", False),
                       (b"\0\x80\0\1" + bytes(8), False), (b"\2\x80\0\1" + bytes(20), False)):
        assert is_news(15000, data, EPOCH, PUBLIC) is news, data
    assert not is_news(15000, announce(3), None, PUBLIC)


# -- what Debian's miniupnpd 2.3.1 said ------------------------------------------------------------------
# Its addresses: 192.168.1.1, 2001:db8:1::1, and 9.9.9.9 outside; the client's: 192.168.1.2, 2001:db8:1::2.

FROM_US = "020100000000%s00000000000000000000ffffc0a801027477656c7665206279746573"
TO_US = "0281%s0000000000000000000000007477656c7665206279746573"
FOUR, SIX = "00000000000000000000ffff", "20010db8000100000000000000000002"
ASKS = FROM_US % "0258" + "11000000ca6cca6c" + FOUR + "00000000"
DELETES = FROM_US % "0000" + "11000000ca6c0000" + FOUR + "00000000"
RECORDED = (  # what it was about: lifetime, internal port; the exchange; what came of it
    (PcpTalk, 600, 51820, ((ASKS, TO_US % "00000000025800000001" + "11000000ca6cca6c" + FOUR + "09090909"),),
     (51820, "9.9.9.9")),
    # another host had the suggested port
    (PcpTalk, 600, 51822, ((FROM_US % "0258" + "11000000ca6eca6c" + FOUR + "00000000",
                            TO_US % "00000000025800000001" + "11000000ca6eca6e" + FOUR + "09090909"),),
     (51822, "9.9.9.9")),
    (PcpTalk, 0, 51820, ((DELETES, TO_US % "00000000000000000001" + "11000000ca6c0000" + FOUR + "09090909"),),
     (0, None)),
    # there was none
    (PcpTalk, 0, 51820, ((DELETES, TO_US % "00080000001e00000001" + "11000000ca6c0000" + FOUR + "09090909"),),
     (0, None)),
    # it was made with another nonce
    (PcpTalk, 0, 51820, ((DELETES, TO_US % "00020000000000000001" + "11000000ca6c0000" + FOUR + "09090909"),), 2),
    # its rules deny it
    (PcpTalk, 600, 51820, ((ASKS, TO_US % "00020000000000000002" + "11000000ca6cca6c" + FOUR + "09090909"),), 2),
    # its own address is 10.0.0.9
    (PcpTalk, 600, 51820, ((ASKS, TO_US % "00080000001e00000001" + "11000000ca6cca6c" + FOUR + "0a000009"),), 8),
    (NatPmpTalk, 600, 51820, (("0000", "008000030000000100000000"),), 3),
    (NatPmpTalk, 600, 51820, (("0000", "008000000000000109090909"),
                              ("00010000ca6cca6c00000258", "0081000000000001ca6cca6c00000258")), (51820, "9.9.9.9")),
    (NatPmpTalk, 600, 51821, (("0000", "008000000000000109090909"),
                              ("00010000ca6dca6c00000258", "0081000000000001ca6dca6d00000258")), (51821, "9.9.9.9")),
    (NatPmpTalk, 600, 51820, (("0000", "008000000000000209090909"),
                              ("00010000ca6cca6c00000258", "0081000200000002ca6cca6c00000258")), 2),
    (NatPmpTalk, 0, 51820, (("00010000ca6c000000000000", "0081000000000001ca6c000000000000"),), (0, None)),
)


def replay(made, exchange, expected):
    """The talker says what was said then, and the answers bring it to the same."""
    for request, reply in exchange:
        assert [binascii.hexlify(sent.data).decode() for sent in made.act(5000)] == [request]
        assert made.outcome is None
        tell(made, binascii.unhexlify(reply), 5000)
    got = made.outcome
    if isinstance(got, Mapping):
        assert (got.external_port, got.external_ip) == expected and bool(got.lifetime_s) == bool(got.external_port)
    else:
        assert got.code == expected and got.words


def test_miniupnpd():
    for kind, lifetime_s, port, exchange, expected in RECORDED:
        wanted = Want(GATEWAY, OURS, port, 51820, lifetime_s, NONCE, "")
        replay(kind(5000, wanted, middle), exchange, expected)


def test_miniupnpds_pinhole():
    us = "0201000000000258" + SIX + "7477656c7665206279746573" + "11000000ca6cca6c" + 32 * "0"
    gateway = "2001:db8:1::1"
    made = PcpTalk(5000, Want(gateway, "2001:db8:1::2", 51820, 51820, 600, NONCE, ""), middle)
    assert binascii.hexlify(made.act(5000)[0].data).decode() == us
    made.received(5000, gateway, PORT, binascii.unhexlify(TO_US % "00000000025800000001" + "11000000ca6cca6c" + SIX))
    assert (made.outcome.external_ip, made.outcome.external_port) == ("2001:db8:1::2", 51820)


def test_miniupnpd_restarted():
    assert is_news(15000, binascii.unhexlify("0280" + 44 * "0"), EPOCH, PUBLIC)
