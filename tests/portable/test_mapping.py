"""mapping.py: every talker keeps what is promised there, whatever comes or does not come."""
from wgp2p.http import Response
from wgp2p.lease import Lease, Options
from wgp2p.mapping import PORT, PROTOCOLS, Datagram, Refused, Request, Want
from wgp2p.portmap import TALKERS

GATEWAY, OWN = "192.168.1.1", "192.168.1.7"
START = 1000000
FIRST_MOST_MS, MOST_MS = 27000, 140000  # until the next protocol has its turn; of a renewal


def want(lifetime_s, previous=None):
    made = Want(GATEWAY, OWN, 51820, 51820, lifetime_s, bytes(12), "wgp2p box 51820")
    made.previous = previous
    return made


def play(talk, answer=None):
    """Drive a talker to its end as a lease does; gives what it sent, and the time it took in ms."""
    now, sent, tags = START, [], []
    while talk.outcome is None:
        items = talk.act(now)
        for item in items:
            assert item.ip in (GATEWAY, "239.255.255.250")
            if isinstance(item, Request):
                assert item.tag not in tags and isinstance(item.body, bytes) and item.limit <= 65536
                tags.append(item.tag)
                talk.answered(now, item.tag, None, "no answer within 5 s")
                talk.answered(now, item.tag, Response(200, {}), None)
            else:
                assert isinstance(item, Datagram) and isinstance(item.data, bytes) and 0 < len(item.data) < 1100
                if answer:
                    talk.received(now, GATEWAY, item.port, answer)
        sent += items
        assert len(sent) < 30
        if talk.outcome is None and not items:
            assert talk.next_ms() > now, "called for nothing"
            now = talk.next_ms()
    assert not talk.act(now + 1000)
    return sent, now - START


def test_nobody_answers():
    for protocol in PROTOCOLS:
        for lifetime_s in (7200, 0):
            for previous in (None, (5, START - 1000)):
                talk = TALKERS[protocol](START, want(lifetime_s, previous), lambda limit: limit - 1)
                _, took = play(talk)
                assert isinstance(talk.outcome, Refused) and talk.outcome.final and talk.outcome.code is None
                assert talk.outcome.words and not talk.outcome.taken
                assert took <= (MOST_MS if previous else FIRST_MOST_MS), (protocol, took)


def test_rubbish_is_no_answer():
    location = b"HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1:5000/root.xml\r\n\r\n"
    for protocol in PROTOCOLS:
        for rubbish in (b"\0", bytes(2000), b"\xff" * 60, b"\2\x81" + bytes(58), location):
            talk = TALKERS[protocol](START, want(7200), lambda limit: 0)
            play(talk, rubbish)
            assert isinstance(talk.outcome, Refused) and talk.outcome.code is None


def test_from_elsewhere_is_no_answer():
    for protocol in PROTOCOLS:
        talk = TALKERS[protocol](START, want(7200), lambda limit: 0)
        before = len(talk.act(START))
        for ip, port in ((OWN, PORT), ("8.8.8.8", 1900)):
            talk.received(START, ip, port, b"HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1:5000/root.xml\r\n\r\n")
        assert before and not talk.act(START) and talk.outcome is None


def test_a_lease_of_them_all():
    lease = Lease(Options(PROTOCOLS, 7200, bytes(12), "wgp2p box"), TALKERS, lambda limit: limit - 1)
    lease.uplink(START, GATEWAY, OWN)
    lease.want(START, 51820)
    now, sent = START, []
    while not lease.error.startswith("no answer from"):
        sent += lease.act(now)
        now = lease.next_ms()
    assert len(sent) > 9 and now - START < 3 * FIRST_MOST_MS
    lease.want(now, None)
    assert lease.stopped
