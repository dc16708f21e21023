"""marked.py: the BPF program, what is taken apart, and a real kernel with real marks."""
import struct

from helpers import Skip, VirtualLoop, drive, raises
from test_syscalls import free_port_pair

from wgp2p import compat, marked
from wgp2p.loop import Loop
from wgp2p.marked import Marked, mark_filter

PORT, MARKS = 51820, (0x77000002, 0x77000004)
SO_MARK = 36
LD_ABS, AND, LDX_IP_HEADER, LDX_IMM, LDH_IND, JEQ, RET = 0x20, 0x54, 0xB1, 0x01, 0x48, 0x15, 0x06


def passes(program, mark, data):
    """Runs the instructions that our program has, as the kernel does."""
    at = accumulator = index = 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        if code == LD_ABS:
            assert k == 0xFFFFF014
            accumulator = mark
        elif code == AND:
            accumulator &= k
        elif code == LDX_IP_HEADER:
            index = 4 * (data[k] & 15)
        elif code == LDX_IMM:
            index = k
        elif code == LDH_IND:
            if index + k + 2 > len(data):
                return 0
            accumulator = struct.unpack_from("!H", data, index + k)[0]
        elif code == JEQ:
            at += yes if accumulator == k else no
        else:
            assert code == RET
            return k


def udp_header(source_port, port, payload):
    return struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload


def ipv4(payload, source_port=4000, port=PORT, options=b""):
    head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 0, 0, 0, 64, 17, 0)
    return head + bytes([198, 51, 100, 7, 192, 0, 2, 1]) + options + udp_header(source_port, port, payload)


def test_filter():
    for marks in (MARKS, MARKS[:1], MARKS + (7,)):
        four, six = mark_filter(compat.AF_INET, PORT, marks), mark_filter(compat.AF_INET6, PORT, marks)
        for mark in (0, 7, 0x77000001, 0x77000002, 0x77000003, 0x77000004):
            wanted = 0xFFFF if mark in marks else 0
            assert passes(four, mark, ipv4(b"x")) == wanted
            assert passes(four, mark, ipv4(b"x", options=bytes(8))) == wanted
            assert passes(six, mark, udp_header(1, PORT, b"x")) == wanted
            assert passes(four, mark | 0xFFFF00, ipv4(b"x")) == wanted, "bits of others"
            assert not passes(four, mark, ipv4(b"x", port=PORT + 1))
            assert not passes(six, mark, udp_header(PORT, PORT + 1, b"x"))
            assert not passes(six, mark, b"")


class Deaf(Marked):
    """Without sockets: for what is done with a packet."""

    def _open(self, family, port, marks):
        pass


def raw_address(ip):
    return compat.sockaddr(ip, 0)


def test_packets_are_taken_apart():
    heard = []
    ears = Deaf(VirtualLoop(), PORT, MARKS, lambda *what: heard.append(what))
    for _ in range(2):  # the second time the sender's name is known
        ears._take(ipv4(b"hello"), raw_address("198.51.100.7"), True)
        ears._take(ipv4(b"", options=bytes(40)), raw_address("198.51.100.7"), True)
        ears._take(udp_header(4001, PORT, b"six"), raw_address("2001:db8::7"), False)
        assert heard == [("198.51.100.7:4000", "192.0.2.1", b"hello"), ("198.51.100.7:4000", "192.0.2.1", b""),
                         ("[2001:db8::7]:4001", None, b"six")]
        del heard[:]


def test_hostile_packets():
    heard = []
    ears = Deaf(VirtualLoop(), PORT, MARKS, lambda *what: heard.append(what))
    whole = ipv4(b"hello")
    for end in range(len(whole)):
        ears._take(whole[:end], raw_address("198.51.100.7"), True)
    ears._take(whole + b"x", raw_address("198.51.100.7"), True)
    ears._take(b"\x40" + whole[1:], raw_address("198.51.100.7"), True)
    ears._take(b"\x4f" + whole[1:], raw_address("198.51.100.7"), True)
    ears._take(ipv4(b"hello", source_port=0), raw_address("198.51.100.7"), True)
    six = udp_header(4001, PORT, b"six")
    for end in range(len(six)):
        ears._take(six[:end], raw_address("2001:db8::7"), False)
    assert not heard


def test_names_are_bounded():
    ears = Deaf(VirtualLoop(), PORT, MARKS, lambda *what: None)
    for port in range(1, 2000):
        ears._take(ipv4(b"x", source_port=port), raw_address("198.51.100.7"), True)
    assert len(ears._names) <= 256


def opened(loop, port, heard):
    try:
        return Marked(loop, port, MARKS, heard)
    except OSError as error:
        if error.args[0] == 1:
            raise Skip("needs root")
        raise


def sender(family, mark):
    sock = compat.open_socket(family, compat.SOCK_DGRAM)
    try:
        sock.setsockopt(compat.SOL_SOCKET, SO_MARK, struct.pack("I", mark))
    except OSError:
        raise Skip("needs root")
    return sock


def test_kernel_gives_what_is_marked():
    for family, ip in ((compat.AF_INET, "127.0.0.1"), (compat.AF_INET6, "::1")):
        loop, heard = Loop(), []
        holder, port = free_port_pair()
        ears = opened(loop, port, lambda *what: heard.append(what))
        socks = [sender(family, mark) for mark in (0, 0x77000001, 0x77003F02, MARKS[1])]
        try:
            for i in range(len(socks)):
                socks[i].sendto(b"m%d" % i, compat.sockaddr(ip, port))
                socks[i].sendto(b"elsewhere", compat.sockaddr(ip, port + 1))
        except OSError as error:
            if error.args[0] == compat.EADDRNOTAVAIL:
                raise Skip("no IPv6")
            raise
        drive(loop, lambda: len(heard) >= 2)
        loop.run_once(20)
        assert [what[2] for what in heard] == [b"m2", b"m3"]
        for source, own, _ in heard:
            assert source.startswith("127.0.0.1:" if own else "[::1]:") and own == (None if ":" in ip else ip)
        ears.close()
        ears.close()
        for sock in socks + [holder]:
            sock.close()


def test_sockets_rest_as_long_as_the_work_took():
    loop, heard = Loop(), []
    holder, port = free_port_pair()
    slow = sender(compat.AF_INET, MARKS[0])

    def work(*_):
        heard.append(loop.now())
        end = loop.now() + 4
        while loop.now() < end:
            pass

    ears = opened(loop, port, work)
    begin = loop.now()
    while loop.now() < begin + 600:
        for _ in range(10):
            slow.sendto(b"x" * 1400, compat.sockaddr("127.0.0.1", port))
        loop.run_once(5)
    assert 20 <= len(heard) <= 95, len(heard)  # half of the time has 75
    ears.close()
    count, end = len(heard), loop.now() + 300
    drive(loop, lambda: loop.now() > end)
    assert len(heard) == count, "closed while it rests"
    holder.close()
    slow.close()


def test_closed_by_who_heard_it():
    loop, heard = Loop(), []
    holder, port = free_port_pair()
    sock = sender(compat.AF_INET, MARKS[0])
    ears = opened(loop, port, lambda *what: (heard.append(what), ears.close()))
    for _ in range(3):
        sock.sendto(b"x", compat.sockaddr("127.0.0.1", port))
    drive(loop, lambda: heard)
    loop.run_once(20)
    assert len(heard) == 1
    holder.close()
    sock.close()


def test_no_right_no_sockets():
    real, opened_sockets = marked.attach_filter, []

    def refuse(sock, program):
        opened_sockets.append(sock)
        raise OSError(1)

    class Sock:
        closed = False

        def close(self):
            self.closed = True

    marked.attach_filter, real_open, marked.open_socket = refuse, marked.open_socket, lambda *_: Sock()
    try:
        assert raises(OSError, Marked, VirtualLoop(), PORT, MARKS, None).args[0] == 1
    finally:
        marked.attach_filter, marked.open_socket = real, real_open
    assert len(opened_sockets) == 1 and opened_sockets[0].closed
