"""One test per system call that the product stands on, run by both Pythons and on other machines' ABIs."""
import os
import struct

from helpers import Skip, drive, raises

from wgp2p import compat, process
from wgp2p.loop import READ, WRITE, Loop


def udp(port_of=None):
    sock = compat.open_socket(compat.AF_INET, compat.SOCK_DGRAM)
    sock.bind(compat.sockaddr("127.0.0.1", port_of or 0))
    return sock


def free_port_pair():
    """A bound socket and its port; MicroPython has no getsockname, so ports are tried."""
    for _ in range(50):
        port = 20000 + compat.random_below(20000)
        try:
            return udp(port), port
        except OSError:
            pass
    raise AssertionError("no free port")


def privileged_socket(family, kind, protocol):
    try:
        return compat.open_socket(family, kind, protocol)
    except OSError as error:
        if error.args[0] in (1, 13):
            raise Skip("needs root")
        if error.args[0] in (93, 96, 97, 22):
            raise Skip("not offered here: errno %d" % error.args[0])
        raise


def test_poll_tells_readable_and_writable():
    loop, (sock, port) = Loop(), free_port_pair()
    seen = []
    loop.watch(sock.fileno(), READ | WRITE, seen.append)
    drive(loop, lambda: seen)
    assert seen[0] == WRITE
    sock.sendto(b"x", compat.sockaddr("127.0.0.1", port))
    loop.watch(sock.fileno(), READ, seen.append)
    drive(loop, lambda: READ in seen)
    data, source = sock.recvfrom(10)
    assert data == b"x" and compat.sockaddr_text(source) == ("127.0.0.1", port)
    loop.unwatch(sock.fileno())
    sock.close()


def test_nonblocking_receive_says_again():
    sock, _ = free_port_pair()
    try:
        sock.recv(10)
    except OSError as error:
        assert compat.is_again(error)
    else:
        raise AssertionError("received nothing as something")
    sock.close()


def test_ipv6_address_goes_there_and_back():
    sock = compat.open_socket(compat.AF_INET6, compat.SOCK_DGRAM)
    for _ in range(50):
        port = 20000 + compat.random_below(20000)
        try:
            sock.bind(compat.sockaddr("::1", port))
            break
        except OSError as error:
            if error.args[0] == compat.EADDRNOTAVAIL:
                raise Skip("no IPv6 here")
    sock.sendto(b"six", compat.sockaddr("::1", port))
    loop = Loop()
    seen = []
    loop.watch(sock.fileno(), READ, seen.append)
    drive(loop, lambda: seen)
    data, source = sock.recvfrom(10)
    assert data == b"six" and compat.sockaddr_text(source) == ("::1", port)
    sock.close()


def test_signals_arrive_on_a_descriptor():
    loop, signals, seen = Loop(), compat.Signals([compat.SIGTERM, compat.SIGHUP]), []
    loop.watch(signals.fd, READ, lambda _: seen.extend(signals.take()))
    ended = []
    process.start(loop, ["sh", "-c", "kill -TERM $PPID"], ended.append)
    drive(loop, lambda: seen and ended)
    assert seen == [compat.SIGTERM]
    loop.unwatch(signals.fd)
    signals.close()


def test_netlink_route_answers():
    sock = privileged_socket(compat.AF_NETLINK, compat.SOCK_RAW, 0)
    sock.bind(compat.sockaddr_netlink())
    # RTM_GETLINK of index 1 (lo): nlmsghdr, ifinfomsg (linux/rtnetlink.h)
    request = struct.pack("IHHII", 32, 18, 1, 77, 0) + struct.pack("BBHiII", 0, 0, 0, 1, 0, 0)
    sock.sendto(request, compat.sockaddr_netlink())
    loop, seen = Loop(), []
    loop.watch(sock.fileno(), READ, seen.append)
    drive(loop, lambda: seen)
    answer = sock.recv(8192)
    assert struct.unpack_from("IHHI", answer, 0)[1:] == (16, 0, 77) and b"lo\0" in answer
    sock.close()


def test_filter_by_pointer_lets_only_its_packets_through():
    sock, port = free_port_pair()
    # accept when the UDP payload (after the 8 bytes of its header) begins with 0x41
    compat.attach_filter(sock, [(0x30, 0, 0, 8), (0x15, 0, 1, 0x41), (0x06, 0, 0, 65535), (0x06, 0, 0, 0)])
    for word in (b"no", b"Ayes"):
        sock.sendto(word, compat.sockaddr("127.0.0.1", port))
    loop, seen = Loop(), []
    loop.watch(sock.fileno(), READ, seen.append)
    drive(loop, lambda: seen)
    assert sock.recv(10) == b"Ayes"
    sock.close()


def test_raw_udp_socket_hears_local_packets():
    raw = privileged_socket(compat.AF_INET, compat.SOCK_RAW, 17)
    sock, port = free_port_pair()
    # IPv4 without options: UDP destination port at byte 22
    compat.attach_filter(raw, [(0x28, 0, 0, 22), (0x15, 0, 1, port), (0x06, 0, 0, 65535), (0x06, 0, 0, 0)])
    sock.sendto(b"hello", compat.sockaddr("127.0.0.1", port))
    loop, seen = Loop(), []
    loop.watch(raw.fileno(), READ, seen.append)
    drive(loop, lambda: seen)
    packet, source = raw.recvfrom(200)
    assert packet[-5:] == b"hello" and compat.sockaddr_text(source)[0] == "127.0.0.1"
    raw.close()
    sock.close()


def test_packet_socket_hears_an_interface():
    in_network_order = struct.unpack("!H", struct.pack("H", 0x0800))[0]
    packet = privileged_socket(compat.AF_PACKET, compat.SOCK_DGRAM, in_network_order)
    try:
        packet.bind(compat.sockaddr_packet(1, 0x0800))
    except OSError as error:
        raise Skip("bind: errno %d" % error.args[0])
    sock, port = free_port_pair()
    sock.sendto(b"framed", compat.sockaddr("127.0.0.1", port))
    loop, seen = Loop(), []

    def take(_):
        seen.append(packet.recv(200)[-6:])

    loop.watch(packet.fileno(), READ, take)
    drive(loop, lambda: b"framed" in seen)
    packet.close()
    sock.close()


def test_bound_to_a_device():
    sock, port = free_port_pair()
    try:
        compat.bind_to_device(sock, "lo")
    except OSError as error:
        raise Skip("errno %d" % error.args[0])
    sock.sendto(b"x", compat.sockaddr("127.0.0.1", port))
    loop, seen = Loop(), []
    loop.watch(sock.fileno(), READ, seen.append)
    drive(loop, lambda: seen)
    sock.close()


def run(argv, **options):
    loop, ended = Loop(), []
    process.start(loop, argv, ended.append, **options)
    drive(loop, lambda: ended)
    return ended[0]


def test_program_reads_writes_and_ends():
    result = run(["sh", "-c", "cat; echo oops >&2; exit 3"], stdin=b"z" * 100000)
    assert (result.code, len(result.out), result.err) == (3, 100000, b"oops\n")


def test_program_gets_only_descriptors_0_to_2_and_its_environment():
    extra, _ = free_port_pair()
    result = run(["sh", "-c", "ls /proc/$$/fd; echo $WORD; echo $HOME"], environment=["WORD=it's"])
    lines = result.out.decode().split("\n")
    names = [line for line in lines if line.isdigit()]
    assert set(names) <= {"0", "1", "2", "10", "255"}, names  # 10 and 255 are the shell's own
    assert "it's" in lines
    extra.close()


def test_program_has_no_blocked_signals():
    signals = compat.Signals([compat.SIGTERM])
    result = run(["grep", "SigBlk", "/proc/self/status"])
    signals.close()
    assert result.out.split() == [b"SigBlk:", b"0000000000000000"]


def test_program_that_hangs_is_killed_with_what_it_said():
    result = run(["sh", "-c", "echo early; sleep 60 & sleep 60"], timeout_ms=300)
    assert result.timed_out and result.code == -9 and result.out == b"early\n"


def test_missing_program_is_named():
    try:
        run(["wgp2p-no-such-program"])
    except process.ProcessError as error:
        assert "wgp2p-no-such-program" in str(error)
    else:
        raise AssertionError("started")


def test_many_programs_leave_no_descriptor_behind():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert run(["true"]).code == 0
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_program_of_a_daemon_with_many_connections():
    """Its pipes have high numbers, wherever the way to 0 to 2 leads through."""
    socks = []
    while len(os.listdir("/proc/self/fd")) < 190:
        socks.append(free_port_pair()[0])
    try:
        for _ in range(12):
            result = run(["sh", "-c", "cat; echo oops >&2"], stdin=b"yes")
            assert (result.code, result.out, result.err) == (0, b"yes", b"oops\n")
            socks.append(free_port_pair()[0])
    finally:
        for sock in socks:
            sock.close()


def test_spawned_without_waiting():
    loop, ended = Loop(), []
    begin = loop.now()
    process.start(loop, ["sleep", "5"], ended.append).stop()
    assert loop.now() - begin < 1000
    drive(loop, lambda: ended)
    assert ended[0].code == -9


def test_a_start_that_fails_leaves_no_descriptor_open():
    """When none is left, each try would otherwise take more of them."""
    if not compat.MICROPYTHON:
        raise Skip("subprocess sees to it")
    saved, left = (process._pipe, process.os), [2]
    before = len(os.listdir("/proc/self/fd"))

    def pipe():
        left[0] -= 1
        if left[0] < 0:
            raise OSError(24)
        return saved[0]()

    class Os:
        def listdir(self, path):
            raise OSError(24)

        def stat(self, path):
            return saved[1].stat(path)

    try:
        process._pipe = pipe
        raises(process.ProcessError, process.start, Loop(), ["true"], None)
        process._pipe, process.os = saved[0], Os()
        raises(process.ProcessError, process.start, Loop(), ["true"], None)
    finally:
        process._pipe, process.os = saved
    assert len(os.listdir("/proc/self/fd")) == before
