"""A socket that anybody can fill costs a bounded share of the CPU."""
from helpers import drive
from test_syscalls import free_port_pair, udp

from wgp2p import compat
from wgp2p.loop import Loop
from wgp2p.tap import Tap


def test_packets_come_cut_and_with_their_sender():
    loop, heard = Loop(), []
    sock, port = free_port_pair()
    tap = Tap(loop, sock, 4, heard.extend)
    sender = udp()
    for word in (b"hello", b"", b"you"):
        sender.sendto(word, compat.sockaddr("127.0.0.1", port))
    drive(loop, lambda: len(heard) == 3)
    assert [data for data, _ in heard] == [b"hell", b"", b"you"]
    assert compat.sockaddr_text(heard[0][1])[0] == "127.0.0.1"
    tap.close()
    tap.close()
    sender.close()


def test_flood_is_bounded_and_over_when_it_is_over():
    loop, calls, most = Loop(), [], []
    sock, port = free_port_pair()

    def heard(packets):
        calls.append(loop.now())
        most.append(len(packets))

    tap = Tap(loop, sock, 4, heard)
    sender, address, begin = udp(), compat.sockaddr("127.0.0.1", port), loop.now()
    while loop.now() < begin + 1500:
        for _ in range(40):
            sender.sendto(b"x", address)
        loop.run_once(0)
    assert 20 <= len(calls) <= 40 and max(most) <= 16, (len(calls), max(most))
    loop.run_once(0)
    drive(loop, lambda: loop.now() > begin + 3000)
    del calls[:]
    sender.sendto(b"y", address)
    drive(loop, lambda: calls, 200)
    tap.close()
    sender.close()


def test_resting_tap_can_be_closed():
    loop, calls = Loop(), []
    sock, port = free_port_pair()
    tap = Tap(loop, sock, 4, calls.append)
    sender, address = udp(), compat.sockaddr("127.0.0.1", port)
    while len(calls) < 20:
        sender.sendto(b"x", address)
        loop.run_once(0)
    resting = tap._timer
    tap.close()
    assert resting.callback is None
    count, end = len(calls), loop.now() + 1100
    drive(loop, lambda: loop.now() > end)
    assert len(calls) == count
    sender.close()
