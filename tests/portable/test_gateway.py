"""gateway.py: real sockets on loopback between leases and gateways that behave, and one that does not."""
import struct

from helpers import Skip, drive
from test_syscalls import udp

from wgp2p import compat
from wgp2p.compat import AF_INET, SOCK_DGRAM, open_socket, sockaddr
from wgp2p.gateway import ANNOUNCEMENTS, Gateway
from wgp2p.lease import Lease, Options
from wgp2p.listeners import listen_tcp
from wgp2p.loop import READ, Loop
from wgp2p.mapping import NATPMP, PCP, PORT, UPNP, Datagram, Mapping, Refused, Request
from wgp2p.pcptalk import PcpTalk

OWN = "127.0.0.1"
PUBLIC = "203.0.113.5"
SEARCH = "239.255.255.250", 1900
HTTP_PORT = 30000


def bound(ip, port):
    sock = open_socket(AF_INET, SOCK_DGRAM)
    sock.bind(sockaddr(ip, port))
    return sock


class Box:
    """A gateway at an address of its own. `pcp`: it answers; `heard`: the datagrams that came to its sockets."""

    def __init__(self, loop, pcp=True):
        self.loop = loop
        self.ip = "127.%d.%d.9" % (1 + compat.random_below(250), compat.random_below(250))
        self.heard = []
        self.epoch_s = 100
        self.socks = []
        self.elsewhere = bound(self.ip, 0)
        if pcp:
            self.pcp = self.watch(bound(self.ip, PORT), self.answer)
        self.ssdp = self.watch(bound(self.ip, 1900), lambda data, address: None)

    def watch(self, sock, take):
        def readable(_):
            data, address = sock.recvfrom(2048)
            self.heard.append(data)
            take(data, address)

        self.socks.append(sock)
        self.loop.watch(sock.fileno(), READ, readable)
        return sock

    def answer(self, data, address):
        self.pcp.sendto(self.granted(data), address)

    def granted(self, data):
        """PCP's success (RFC 6887 11.1) to a request."""
        lifetime_s = struct.unpack_from("!I", data, 4)[0]
        head = struct.pack("!BBBBII", 2, 129, 0, 0, lifetime_s, self.epoch_s) + bytes(12)
        return head + data[24:44] + bytes(10) + b"\xff\xff" + bytes([203, 0, 113, 5])

    def close(self):
        self.elsewhere.close()
        for sock in self.socks:
            self.loop.unwatch(sock.fileno())
            sock.close()


class Searcher:
    """A talker that searches as UPnP does, then asks by HTTP what the first answer says."""

    seen = []

    def __init__(self, now, want, random_below):
        self.want, self.outcome, self.asked = want, None, False
        self.out = [Datagram(want.gateway, 1900, b"search")]

    def act(self, now):
        out, self.out = self.out, []
        return out

    def received(self, now, ip, port, data):
        self.seen.append((ip, port, data))
        if not self.asked:
            self.asked = True
            self.out = [Request("get", ip, int(data), "POST", "/x", {"SOAPAction": '"x"'}, b"<a/>", 1000)]

    def answered(self, now, tag, response, error):
        if response is not None and response.status == 200:
            self.outcome = Mapping(UPNP, PUBLIC, self.want.external_port, 7200)
        else:
            self.outcome = Refused(None, error or "status", True)

    def next_ms(self):
        return None


class Mute(Searcher):
    """A talker of which nobody hears."""

    def act(self, now):
        out, self.out = self.out, []
        return [Datagram(self.want.gateway, PORT, b"hello") for _ in out]

    def received(self, now, ip, port, data):
        raise AssertionError("%s" % data)


TALKERS = {PCP: PcpTalk, NATPMP: Mute, UPNP: Searcher}


def play(test, protocols=(PCP,), ports=(51820,), pcp=True):
    """Call test(loop, box, gateway, lease of the first port)."""
    loop = Loop()
    try:
        box = Box(loop, pcp)
    except OSError:
        raise Skip("the ports are in use")
    del Searcher.seen[:]
    gateway = Gateway(loop, lambda: None)
    options = Options(protocols, 7200, bytes(range(12)), "wgp2p")
    for port in ports:
        lease = Lease(options, TALKERS, compat.random_below)
        lease.want(loop.now(), port)
        gateway.leases.append(lease)
    gateway.uplink(box.ip, OWN)
    assert gateway.problem == "" and gateway.ip == box.ip
    try:
        test(loop, box, gateway, gateway.leases[0])
    finally:
        gateway.close()
        box.close()
    assert not loop._watched


def test_a_port_is_mapped_and_deleted():
    def test(loop, box, gateway, lease):
        drive(loop, lambda: lease.mapping)
        assert lease.mapping.external_ip == PUBLIC and lease.mapping.external_port == 51820
        assert len(box.heard) == 1 and box.heard[0][8:24] == bytes(10) + b"\xff\xff\x7f\0\0\1"
        lease.want(loop.now(), None)
        gateway.step()
        drive(loop, lambda: lease.stopped)
        assert len(box.heard) == 2 and box.heard[1][4:8] == bytes(4)

    play(test)


def test_only_the_gateway_is_heard():
    def test(loop, box, gateway, lease):
        while not box.heard:
            loop.run_once(20)
        request, address = box.pending
        stranger = udp()
        stranger.sendto(box.granted(request), address)
        box.elsewhere.sendto(box.granted(request), address)
        loop.run_once(50)
        loop.run_once(50)
        assert lease.mapping is None, "neither another host nor another port of it"
        box.pcp.sendto(box.granted(request), address)
        drive(loop, lambda: lease.mapping)
        stranger.close()

    class Slow(Box):
        def answer(self, data, address):
            self.pending = (data, address)

    swap(Slow, lambda: play(test))


def swap(kind, call):
    global Box
    before = Box
    Box = kind
    try:
        call()
    finally:
        Box = before


def test_where_nothing_listens_the_next_protocol_comes_at_once():
    def test(loop, box, gateway, lease):
        begin = loop.now()
        drive(loop, lambda: box.heard)
        assert box.heard == [b"search"] and loop.now() - begin < 1000

    play(test, protocols=(PCP, NATPMP, UPNP), pcp=False)


def test_time_and_the_whole_network():
    """A talker that searches again after 50 ms, everywhere."""
    class Again(Searcher):
        def act(self, now):
            self.due_ms = now + 50
            return [Datagram(SEARCH[0], SEARCH[1], b"search")]

        def next_ms(self):
            return self.due_ms

    def test(loop, box, gateway, lease):
        everywhere = bound(*SEARCH)
        try:
            everywhere.setsockopt(0, 35, bytes([239, 255, 255, 250, 127, 0, 0, 1]))  # IP_ADD_MEMBERSHIP
        except OSError:
            everywhere.close()
            raise Skip("no multicast on loopback")
        box.watch(everywhere, lambda data, address: None)
        drive(loop, lambda: len(box.heard) == 3, 2000)

    TALKERS[UPNP] = Again
    try:
        play(test, protocols=(UPNP,))
    finally:
        TALKERS[UPNP] = Searcher


def test_two_hear_the_announcements():
    """`wgp2p map` beside the daemon."""
    def test(loop, box, gateway, lease):
        other = Gateway(loop, lambda: None)
        other.uplink(box.ip, OWN)
        assert len(gateway._taps) == len(other._taps) == 3
        other.close()

    play(test)


def test_one_asks_at_a_time_and_the_others_learn_from_it():
    def test(loop, box, gateway, lease):
        http_server(loop, box, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        busy = []

        def step():
            busy.append(len([one for one in gateway.leases if one.busy]))
            Gateway.step(gateway)

        gateway.step = step
        searched = found(loop, box)
        drive(loop, lambda: [one for one in gateway.leases if one.mapping] == gateway.leases, 2000)
        assert len(searched) == 3 and max(busy) == 1 and lease._options.order == (UPNP, PCP)
        assert [row[0] for row in Searcher.seen] == [box.ip] * 3
        for one in (gateway.leases[2], lease):
            one.doubt(loop.now())
            gateway.step()
        gateway.step()
        assert max(busy) == 1 and gateway.leases[2].busy, "who has begun goes on"

    play(test, protocols=(PCP, UPNP), ports=(51820, 51821, 51822), pcp=False)


def http_server(loop, box, data):
    """Says this to whoever connects and asks, and leaves the connection open."""
    listener = listen_tcp(box.ip, HTTP_PORT)
    asked = []

    def accept(_):
        sock, _ = listener.accept()
        sock.setblocking(False)
        box.socks.append(sock)
        loop.watch(sock.fileno(), READ, lambda _: readable(sock))

    def readable(sock):
        try:
            asked.append(sock.recv(4096))
            sock.send(data)
        except OSError:  # the client has what it wants
            loop.unwatch(sock.fileno())

    box.socks.append(listener)
    loop.watch(listener.fileno(), READ, accept)
    return asked


def found(loop, box):
    """The answer to a search: says where to ask."""
    address = []

    def take(data, sender):
        address.append(sender)
        box.ssdp.sendto(b"%d" % HTTP_PORT, sender)

    box.socks.remove(box.ssdp)
    box.watch(box.ssdp, take)
    return address


def test_search_and_http():
    def test(loop, box, gateway, lease):
        asked = http_server(loop, box, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        searched = found(loop, box)
        drive(loop, lambda: searched)
        stranger = bound(OWN, 0)
        stranger.sendto(b"1", searched[0])
        drive(loop, lambda: lease.mapping)
        assert asked[0].startswith(b"POST /x HTTP/1.1\r\n") and asked[0].endswith(b"\r\n\r\n<a/>")
        assert ("Host: %s:%d" % (box.ip, HTTP_PORT)).encode() in asked[0]
        assert [row[0] for row in Searcher.seen] == [box.ip], "nobody else is heard"
        stranger.close()

    play(test, protocols=(UPNP,))


def test_a_gateway_that_never_stops_talking():
    """10,000 answers to the search, and one by HTTP without an end."""
    def test(loop, box, gateway, lease):
        http_server(loop, box, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 40000)
        searched = found(loop, box)
        drive(loop, lambda: searched)
        sent, stalls = [0], []

        def flood():
            for _ in range(100):
                try:
                    box.ssdp.sendto(b"HTTP/1.1 200 OK\r\nLOCATION: http://%d/\r\n" % sent[0] + bytes(1200), searched[0])
                except OSError:
                    pass
                sent[0] += 1
            if sent[0] < 10000:
                loop.call_later(10, flood)

        def timed(call):
            def run(events):
                begin = cpu_ms()
                call(events)
                stalls.append(cpu_ms() - begin)
            return run

        for tap in gateway._taps:
            tap._readable = timed(tap._readable)
            tap._listen()
        before = resident_kb()
        flood()
        drive(loop, lambda: sent[0] >= 10000 and lease.error, 20000)
        assert len(Searcher.seen) < 1000 and lease.mapping is None and "larger than 1000 bytes" in str(refusals)
        assert resident_kb() - before < 1024, (before, resident_kb())
        assert stalls and max(stalls) < 50, stalls

    refusals = []

    class Noted(Searcher):
        def answered(self, now, tag, response, error):
            refusals.append(error)
            Searcher.answered(self, now, tag, response, error)

    TALKERS[UPNP] = Noted
    try:
        play(test, protocols=(UPNP,))
    finally:
        TALKERS[UPNP] = Searcher


def cpu_ms():
    """The time that this process had on a CPU: what else runs on the machine is no stall of ours."""
    with open("/proc/self/schedstat") as file:
        return int(file.read().split()[0]) // 1000000


def resident_kb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4


def test_one_who_learns_of_a_restart_tells_the_others():
    def test(loop, box, gateway, lease):
        drive(loop, lambda: [one for one in gateway.leases if one.mapping] == gateway.leases)
        assert len(box.heard) == 2
        box.epoch_s = 0
        lease.doubt(loop.now())
        gateway.step()
        drive(loop, lambda: [data for data in box.heard[2:] if data[40:42] == b"\xca\x6d"])

    play(test, ports=(51820, 51821))


def test_announcements():
    def test(loop, box, gateway, lease):
        drive(loop, lambda: lease.mapping)
        box.epoch_s = 0
        word = bytes([2, 128, 0, 0]) + bytes(20)
        multicast = bound(box.ip, 0)
        multicast.setsockopt(0, 32, bytes([int(part) for part in box.ip.split(".")]))
        multicast.sendto(word, sockaddr(*ANNOUNCEMENTS))
        doubted = []
        lease.doubt = lambda now, spread_ms=0: doubted.append(spread_ms)
        try:
            drive(loop, lambda: doubted, 500)
        except AssertionError:
            raise Skip("no multicast on loopback")
        finally:
            multicast.close()
        assert doubted[0] == 5000

    play(test)


def test_an_address_that_is_gone():
    gateway = Gateway(Loop(), lambda: None)
    gateway.uplink("127.0.0.9", "203.0.113.77")
    assert gateway.ip is None and "127.0.0.9 cannot be asked: no address of this machine" in gateway.problem
    gateway.uplink("127.0.0.9", OWN)
    assert gateway.problem == ""
    gateway.uplink(None, None)
    assert gateway.ip is None and not gateway._taps
    gateway.close()


def test_a_request_that_is_under_way_is_closed():
    def test(loop, box, gateway, lease):
        http_server(loop, box, b"")
        found(loop, box)
        drive(loop, lambda: gateway._requests)
        gateway.uplink(None, None)
        assert not gateway._requests and lease.next_ms() is None
        loop.run_once(20)

    play(test, protocols=(UPNP,))
