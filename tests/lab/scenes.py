"""What scenarios say again and again: a client comes, is where it should be, and the server knows it."""
import os
import time

from waiting import wait_for

# What limits of a second or two get on top in the emulated VM, some 17 times slower than a machine that is often busy
# itself. Less than 5 s in all: that is when WireGuard tries again by itself.
SLACK_S = 2.5 if "WGP2P_LAB_VM" in os.environ else 0


def join(lab, client, network, **wireguard):
    """A client appears on a network with WireGuard switched on."""
    lab.move(client, network)
    lab.wg_up(client, **wireguard)


def points_to(lab, client, device="rem"):
    """Whether the device's WireGuard sends to where the client is now."""
    peer = lab.peer(device, client)
    return bool(peer and peer.endpoint) and lab.seen_as(client) == peer.endpoint.rpartition(":")[0].strip("[]")


def connected(lab, client, device="rem"):
    """... and has heard from it."""
    return points_to(lab, client, device) and lab.peer(device, client).rx > 0


def wait_connected(lab, client="cli0", device="rem", seconds=20):
    """Wait until client and device talk straight to each other; seconds that it took."""
    begin = time.monotonic()
    wait_for(lambda: connected(lab, client, device), seconds, f"{device} talks to {client} where it is now")
    return time.monotonic() - begin


def heard(lab, server, host):
    """Whether the server's present WireGuard device has received something from a host."""
    peer = lab.peer(server, host)
    return bool(peer) and peer.rx > 0


def wait_heard(lab, server, hosts, since, limit):
    """Wait until the server has heard from all these hosts; AssertionError when that is later than `limit` s (and the
    VM's slack) after the moment `since`."""
    wait_for(lambda: all(heard(lab, server, host) for host in hosts), limit + 5, f"{server} hears {hosts}", every=0.05)
    took = time.monotonic() - since
    print(f"{server} knows {', '.join(hosts)} again after {took:.2f} s")
    assert took <= limit + SLACK_S, f"{took:.2f} s is more than {limit + SLACK_S} s"


def way(lab, client="cli0", device="rem"):
    """By what client and device send to each other, as both WireGuards have it: "relay", "direct", or None while they
    do not agree."""
    servers = [lab.endpoint(server) for server in lab.servers]
    ends = [lab.peer(device, client), lab.peer(client, device)]
    relayed = {end.endpoint in servers for end in ends if end and end.endpoint}
    if not all(end and end.endpoint for end in ends) or len(relayed) > 1:
        return None
    return "relay" if relayed == {True} else "direct"


def wait_way(lab, word, client="cli0", device="rem", seconds=20):
    """Wait until both send that way; seconds that it took."""
    begin = time.monotonic()
    wait_for(lambda: way(lab, client, device) == word, seconds, f"{client} and {device}: {word}", every=0.5)
    return time.monotonic() - begin
