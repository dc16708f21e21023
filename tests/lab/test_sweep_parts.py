"""What the sweep sends, against the real kernel: packets that open ports, and what our own firewall notes of them.

    cli0 on a public address   rem behind a cone NAT, with fw4's rules and WireGuard on the port that they are sent from
"""
import pathlib
import re
import socket
import sys

import netns
import stock_router
import wireguard_lab as wireguard
from waiting import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "package/wgp2p"))

from wgp2p.copier import OPENER  # noqa: E402
from wgp2p.loop import Loop  # noqa: E402
from wgp2p.openers import Openers  # noqa: E402
from wgp2p.sessions import SessionTable  # noqa: E402
from wgp2p.tracking import room  # noqa: E402

PORT = wireguard.PORT
PORTS = range(31232, 31264)


def noted(lab):
    """The ports of the client to which the device's kernel has noted connections from WireGuard's port, and those of
    them that were answered."""
    rows = netns.call("rem", "conntrack", "-L", "-p", "udp", "--orig-port-src", str(PORT), "--orig-dst",
                      lab.outer("cli0"), check=False).splitlines()
    ports = {int(re.search(r"dport=(\d+)", row).group(1)): "[UNREPLIED]" not in row for row in rows}
    return sorted(ports), [port for port in ports if ports[port]]


def test_ports_are_opened_with_and_without_connections(make_lab):
    lab = make_lab()
    netns.nft("rem", "flush ruleset\n" + stock_router.fw4())
    lab.move("cli0", "inet")
    device = lab.endpoint("rem").rpartition(":")
    sockets = []
    for port in PORTS:
        sockets.append(netns.open_socket("cli0", socket.AF_INET, socket.SOCK_DGRAM))
        sockets[-1].bind((lab.outer("cli0"), port))
        sockets[-1].settimeout(20)
    with netns.inside("rem"):
        loop, before = Loop(), room(50)
        openers = Openers(loop)

        def open_all(untracked):
            assert openers.open(lab.outer("cli0"), PORT, PORTS, untracked) == len(PORTS)
            for sock in sockets:
                assert sock.recvfrom(100) == (OPENER, (device[0], PORT)), "the source port is kept, the checksum right"

        open_all(False)
        assert noted(lab) == (list(PORTS), [])
        assert len(PORTS) <= before - room(50) < len(PORTS) + 10, "and a few of others"
        sockets[3].sendto(bytes(4), (device[0], int(device[2])))
        wait_for(lambda: noted(lab)[1] == [PORTS[3]], 10, "what comes from an opened port gets in")

        table = SessionTable(loop)
        table.want(PORT)
        wait_for(lambda: loop.run_once(20) or table.ready, 20, "the table is loaded")
        stock_router.forget("rem")
        open_all(True)
        assert noted(lab) == ([], [])
        open_all(False)
        assert noted(lab)[0] == list(PORTS), "only what is marked goes unnoted"
        openers.close()
        table.close(lambda: None)
    for sock in sockets:
        sock.close()
