"""A publisher with many peers and many subscribers on the loopback interface, its WireGuard made up: run by
load.py under either Python. Prints `ready`, then for every line on standard input moves one client and prints the
monotonic ms at which WireGuard showed it.
"""
import sys

PEERS, DEVICES = int(sys.argv[1]), int(sys.argv[2])
STATE = sys.argv[3]

from wgp2p import config, log  # noqa: E402
from wgp2p.compat import b64encode, tune_heap  # noqa: E402
from wgp2p.loop import READ, Loop  # noqa: E402
from wgp2p.publisher import Publisher  # noqa: E402
from wgp2p.wgmessage import Device, Peer  # noqa: E402


def key(number):
    return b64encode(bytes([number >> 8, number & 255]) + bytes(30))


class MadeUp:
    """WireGuard as a publisher reads it; a peer that is as it was is the same object, as with netlink."""

    def __init__(self):
        self.device = Device("lo")
        self.device.ifindex = 1
        self.device.listen_port = 51820
        for number in range(PEERS):
            network = "127.1.%d.%d/32" % (number >> 8, number & 255)
            self.device.peers[key(number)] = self.peer(number, "203.0.113.9:%d" % (10000 + number), network)

    def peer(self, number, endpoint, network):
        peer = Peer(key(number))
        peer.endpoint, peer.allowed_ips, peer.handshake, peer.rx = endpoint, (network,), 1, 148
        return peer

    def read(self, name, done):
        done(self.device, None)

    def set_peer(self, name, key, done, **change):
        done(None)

    def move(self, number, port):
        old = self.device.peers[key(number)]
        self.device.peers[key(number)] = self.peer(number, "203.0.113.10:%d" % port, old.allowed_ips[0])


def settings():
    lines = ["config wgp2p", " option keep_dir '%s'" % STATE, " option state_dir '%s'" % STATE,
             "config publisher 'main'", " option interface 'lo'", " list address '127.0.0.1'", " option port 18080"]
    for number in range(DEVICES):
        lines += ["config peer", " option public_key '%s'" % key(number), " option name 'device%d'" % number,
                  " option device 1"]
    return config.parse("\n".join(lines))


class Nobody:
    """The daemon, which has nothing to do here."""

    def interface_changed(self):
        pass


def main():
    log.set_level("error")
    loop, wireguard, found = Loop(), MadeUp(), settings()
    publisher = Publisher(loop, wireguard, found, found.publishers[0], Nobody())
    moves = [0]

    def tune():
        tune_heap()
        loop.call_later(1000, tune)

    def asked(_):
        if not sys.stdin.readline():
            loop.stop()
            return
        moves[0] += 1
        wireguard.move(PEERS - 1, 20000 + moves[0])
        print(loop.now())
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()
        publisher.look()

    tune()
    loop.watch(0, READ, asked)
    print("ready")
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
    loop.run()


main()
