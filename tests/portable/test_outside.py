"""outside.py: what publishers send, what arrives, and what is made of it. Root for the test with real sockets."""
import binascii
import struct

from helpers import Skip, VirtualLoop, drive
from test_syscalls import udp

from wgp2p import compat, outside
from wgp2p.loop import Loop
from wgp2p.outside import FILTERED, MAGIC, OPEN, OPEN_HERE, REWRITTEN, UNKNOWN, Outside, Probes

PORT, MAPPED = 51820, 40001
HOME = "203.0.113.31"
SERVER, OTHER = "192.0.2.1", "198.51.100.1"


class FakeLink:
    """A link.Link: requests are kept in `asked`, a test answers them."""

    def __init__(self, seen_at):
        self.you = seen_at
        self.asked = []

    def announce(self, port, ttl_s, done):
        self.asked.append(("announce", port, ttl_s, done))

    def probe(self, port, nonce, done):
        self.asked.append(("probe", port, nonce, done))

    def take(self):
        """What it is asked, and nothing else."""
        assert len(self.asked) == 1, self.asked
        return self.asked.pop()


class FakeProbes:
    """Stands for outside.Probes."""

    def __init__(self, bench, port, heard):
        if bench.error is not None:
            raise OSError(bench.error)
        assert port == PORT
        self.heard, self.closed = heard, False
        bench.opened.append(self)

    def close(self):
        self.closed = True


class Bench:
    def __init__(self):
        self.loop = VirtualLoop()
        self.opened, self.told, self.error = [], [], None
        self.outside = Outside(self.loop, PORT)

    def __enter__(self):
        self._probes = outside.Probes
        outside.Probes = lambda loop, port, heard: FakeProbes(self, port, heard)
        return self

    def __exit__(self, *error):
        outside.Probes = self._probes

    def verify(self, *links, port=MAPPED, ip=None):
        self.outside.verify(list(links), port, lambda *verdict: self.told.append(verdict), ip)

    def arrive(self, nonce, ip=SERVER):
        self.opened[-1].heard("%s:33333" % ip, bytes(8) + MAGIC + binascii.unhexlify(nonce))

    def is_over(self):
        """Whether nothing is left open."""
        self.loop.advance(1000)
        return not [one for one in self.opened if not one.closed] and self.loop._timers.next_ms() is None


def sends(link, port=MAPPED):
    """The publisher takes an announcement and says that it has sent the probe; its nonce."""
    kind, _, _, done = link.asked[-1]
    if kind == "announce":
        link.take()
        done("")
    kind, asked, nonce, done = link.take()
    assert (kind, asked, len(nonce)) == ("probe", port, 32)
    done("")
    return nonce


def test_a_mapped_port_is_announced_and_probed():
    with Bench() as bench:
        link = FakeLink(HOME + ":50000")
        bench.verify(link)
        assert link.asked[0][:3] == ("announce", MAPPED, 60)
        nonce = sends(link)
        bench.loop.advance(20)
        bench.arrive(nonce)
        assert bench.told == [(OPEN_HERE, "")] and bench.is_over() and not link.asked


def test_the_port_that_is_seen_needs_no_announcement():
    with Bench() as bench:
        link = FakeLink("[2001:db8::1]:40001")
        bench.verify(link)
        bench.arrive(sends(link))
        assert bench.told == [(OPEN_HERE, "")]


def test_two_servers():
    for sources, verdict in (((SERVER, OTHER), OPEN), ((SERVER, SERVER), OPEN_HERE), ((SERVER, None), OPEN_HERE),
                             ((None, OTHER), OPEN_HERE), ((None, None), REWRITTEN)):
        with Bench() as bench:
            links = FakeLink(HOME + ":1"), FakeLink(HOME + ":2")
            bench.verify(*links)
            nonces = [sends(link) for link in links]
            assert nonces[0] != nonces[1]
            for nonce, ip in zip(nonces, sources):
                if ip:
                    assert not bench.told
                    bench.arrive(nonce, ip)
            for _ in range(2):
                bench.loop.advance(1000)
                for link in links:
                    if link.asked:
                        sends(link)
            bench.loop.advance(1000)
            assert bench.told == [(verdict, "")] and bench.is_over(), sources


def test_nothing_comes():
    for seen_at, verdict in ((HOME + ":40001", FILTERED), (HOME + ":40002", REWRITTEN)):
        with Bench() as bench:
            link = FakeLink(seen_at)
            bench.verify(link)
            nonces = set([sends(link)])
            for _ in range(2):
                bench.loop.advance(999)
                assert not link.asked
                bench.loop.advance(1)
                nonces.add(sends(link))
            assert len(nonces) == 1
            bench.loop.advance(999)
            assert not bench.told
            bench.loop.advance(1)
            assert bench.told == [(verdict, "")] and bench.is_over() and not link.asked


def test_one_that_comes_late_counts():
    with Bench() as bench:
        link = FakeLink(HOME + ":40001")
        bench.verify(link)
        sends(link)
        bench.loop.advance(1000)
        _, _, nonce, done = link.take()
        bench.arrive(nonce)
        done("")
        assert bench.told == [(OPEN_HERE, "")] and bench.is_over()


def test_what_is_not_ours_proves_nothing():
    with Bench() as bench:
        link = FakeLink(HOME + ":40001")
        bench.verify(link)
        nonce = binascii.unhexlify(sends(link))
        for data in (b"", MAGIC, MAGIC + bytes(16), MAGIC + nonce[:15], MAGIC + nonce + b"x", nonce, b"wgp!" + nonce):
            bench.opened[0].heard(SERVER + ":1", bytes(8) + data)
        bench.loop.advance(100)
        assert not bench.told


def test_why_it_is_unknown():
    for announced in (True, False):
        with Bench() as bench:
            link = FakeLink(HOME + (":1" if announced else ":40001"))
            bench.verify(link)
            link.take()[3]("its wgp2p is too old for that")
            assert bench.told == [(UNKNOWN, "its wgp2p is too old for that")] and bench.is_over()
    with Bench() as bench:
        bench.verify()
        assert not bench.told, "not before it has returned"
        bench.loop.advance(0)
        bench.error = 1
        bench.verify(FakeLink(HOME + ":1"))
        bench.loop.advance(0)
        assert [row[0] for row in bench.told] == [UNKNOWN] * 2 and "not permitted" in bench.told[1][1]
        bench.error = None
        link = FakeLink(HOME + ":40001")
        bench.verify(link)
        bench.verify(link)
        bench.loop.advance(0)
        assert bench.told[2:] == [(UNKNOWN, "another port is being looked at")]
        bench.arrive(sends(link))
        assert bench.told[3:] == [(OPEN_HERE, "")] and bench.is_over()


def test_who_sees_us_elsewhere_cannot_tell():
    with Bench() as bench:
        for you in ("198.51.100.9:40001", "[2001:db8::1]:40001", None):
            link = FakeLink(you)
            bench.verify(link, ip=HOME)
            bench.loop.advance(0)
            assert not link.asked and not bench.opened, "a neighbour's port, or another way in"
        assert [row[0] for row in bench.told] == [UNKNOWN] * 3 and "no publisher sees" in bench.told[0][1]
        assert HOME in bench.told[0][1]
        del bench.told[:]
        other, link = FakeLink("198.51.100.9:40001"), FakeLink(HOME + ":40001")
        bench.verify(other, link, ip=HOME)
        bench.arrive(sends(link))
        assert bench.told == [(OPEN_HERE, "")] and not other.asked and bench.is_over()


def test_one_that_cannot_send_spoils_nothing():
    with Bench() as bench:
        old, link = FakeLink(HOME + ":1"), FakeLink(HOME + ":40001")
        bench.verify(old, link)
        old.take()[3]("its wgp2p is too old for that")
        nonce = sends(link)
        bench.loop.advance(1000)
        link.take()[3]("the publisher answers 429")
        assert not bench.told, "it has sent one"
        bench.arrive(nonce)
        assert bench.told == [(OPEN_HERE, "")] and bench.is_over()


def test_a_publisher_that_never_answers():
    for answers, verdict in ((0, (UNKNOWN, "it does not answer")), (1, (FILTERED, ""))):
        with Bench() as bench:
            link = FakeLink(HOME + ":40001")
            bench.verify(link)
            for _ in range(answers):
                sends(link)
            bench.loop.advance(29999)
            assert not bench.told
            bench.loop.advance(1)
            assert bench.told == [verdict] and bench.is_over()
            link.take()[3]("")
            assert len(bench.told) == 1 and bench.is_over(), "too late"


def test_closed_meanwhile():
    with Bench() as bench:
        link = FakeLink(HOME + ":40001")
        bench.verify(link)
        nonce = sends(link)
        bench.outside.close()
        bench.outside.close()
        bench.arrive(nonce)
        assert bench.is_over() and not bench.told and not link.asked


def test_from_the_kernel():
    loop, heard, port = Loop(), [], 20000 + compat.random_below(20000)
    try:
        probes = Probes(loop, port, lambda *row: heard.append(row))
    except OSError as error:
        raise Skip("no raw sockets (errno %d)" % error.args[0])
    sender = udp(port + 1)
    good = MAGIC + b"n" * 16
    for data in (b"", good[:19], good + b"x", b"\x01\0\0\0" + b"n" * 16, b"n" * 20, good):
        sender.sendto(data, compat.sockaddr("127.0.0.1", port))
    sender.sendto(good, compat.sockaddr("127.0.0.1", port + 1))
    drive(loop, lambda: heard)
    assert [(endpoint, datagram[8:]) for endpoint, datagram in heard] == [("127.0.0.1:%d" % (port + 1), good)]
    assert struct.unpack_from("!H", heard[0][1], 2)[0] == port
    probes.close()
    sender.close()
