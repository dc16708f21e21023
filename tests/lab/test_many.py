"""More than one of everything."""
import time

import pytest
from pairs import start_all, start_pair, wait_path
from programs import Pinger
from scenes import join, wait_connected
from waiting import wait_for

CROWD = 20


@pytest.mark.slow
def test_two_devices_two_servers(make_lab, interpreter):
    """Two remote devices follow two publishers, one of which dies while the client roams."""
    lab = make_lab(servers=2, devices=("cone", "cone"))
    publishers, subscribers = start_all(lab, interpreter)
    join(lab, "cli0", "nata", profile="one")
    pingers = [Pinger("cli0", lab.tunnel(device)) for device in lab.devices]
    for device in lab.devices:
        wait_connected(lab, device=device)
    moved = lab.move("cli0", "natb")
    publishers["pub"].kill()
    for device, pinger in zip(lab.devices, pingers):
        wait_connected(lab, device=device)
        print(f"{device} followed after {time.monotonic() - moved:.2f} s with one publisher killed")
        pinger.wait_after(time.monotonic(), 5)
        wait_path(subscribers[device], "cli0", "direct")
    publishers["pub"].start()
    # One that has not seen the client leave cannot tell that it did: then its old path is asked first, for 22 s.
    for subscriber in subscribers.values():
        subscriber.wait_log("publisher pub: connected", 40, count=2)
    moved = lab.move("cli0", "nata")
    publishers["pub2"].freeze()  # it does not even close its connections
    for device, pinger in zip(lab.devices, pingers):
        wait_connected(lab, device=device, seconds=40)
        print(f"{device} followed after {time.monotonic() - moved:.2f} s with the other frozen")
        pinger.wait_after(time.monotonic(), 5)
        pinger.stop()


@pytest.mark.long
def test_crowd_roams(make_lab, interpreter):
    """20 clients from one NAT to another at the same moment."""
    lab = make_lab(clients=CROWD)
    _, subscriber = start_pair(lab, interpreter)
    lab.move(lab.clients, "nata")
    for client in lab.clients:
        lab.wg_up(client, profile="one")

    def here(address):
        peers = lab.peers("rem")
        return all((peers[client].endpoint or "").startswith(address) and peers[client].rx for client in lab.clients)

    wait_for(lambda: here(lab.outer("nata")), 40, "all are connected", every=0.3)
    rx = {client: lab.peer("rem", client).rx for client in ("cli0", "cli19")}
    moved = lab.move(lab.clients, "natb")
    wait_for(lambda: here(lab.outer("natb")), 40, "all are followed", every=0.3)
    print(f"{CROWD} followed after {time.monotonic() - moved:.1f} s")
    wait_for(lambda: all(row["path"] == "direct" for row in subscriber.status()["subscribers"][0]["peers"]
                         if row["name"].startswith("cli")), 20, "all are direct", every=0.5)
    assert all(lab.peer("rem", client).rx > before for client, before in rx.items())
