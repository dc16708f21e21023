"""The router's own WireGuard keeps its source port, whatever LAN clients and the firewall's rules do."""
import netns
import pytest
from pairs import subscriber_config
from programs import UdpSocket
from stock_router import CLIENTS, forget, fw4, has_table, make_router, outside_port, with_options
from waiting import wait_for

PORT, LISTED, UNLISTED = 51820, 40000, 40001


@pytest.mark.slow
def test_preserve(make_lab, interpreter):
    """First what happens without us, with the stock rules; then the daemon puts it right, also where a rule draws
    every source port, after a reload of the firewall and after all rules were flushed. At the end the table goes."""
    lab = make_lab(clients=0)
    make_router()
    server = (lab.outer("pub"), PORT)
    sockets = {(source, port): UdpSocket("home", source, port)
               for source in CLIENTS for port in (PORT, LISTED, UNLISTED)}

    def lan_first(device="rem"):
        """Nothing is remembered, and LAN clients send before our WireGuard does. ({(client, port): port outside},
        ours)"""
        forget(device)
        for client_socket in sockets.values():
            client_socket.send(*server)
        wait_for(lambda: lab.ping("rem", "pub"), 10, "the tunnel works")
        return ({who: outside_port(device, *who, server) for who in sockets},
                outside_port(device, lab.inner("rem"), PORT, server))

    def seen():
        return int(lab.peer("pub", "rem").endpoint.rpartition(":")[2])

    theirs, ours = lan_first()
    print(f"stock rules, without us: {theirs}, our WireGuard: {ours}, as the server sees it: {seen()}")
    assert theirs[CLIENTS[0], PORT] == PORT and ours != PORT and seen() == ours

    netns.nft("rem", "add table inet stranger")
    config = with_options(subscriber_config(lab, "rem"), preserve=[str(LISTED)])
    daemon = lab.daemon("rem", interpreter, config).start()
    wait_for(lambda: seen() == PORT, 15, "the server sees us at our own port again: old entries are taken away")
    assert daemon.status()["wan"]["device"] == ["wan"] and daemon.status()["wan"]["preserve"] is True
    theirs, ours = lan_first()
    print(f"stock rules, with us: {theirs}, our WireGuard: {ours}")
    assert ours == PORT and PORT not in (theirs[client, PORT] for client in CLIENTS)

    netns.nft("rem", fw4(fully_random=True))
    assert has_table("rem"), "a reload of fw4 leaves it alone"
    theirs, ours = lan_first()
    print(f"fully-random, with us: {theirs}, our WireGuard: {ours}")
    assert ours == PORT == seen()
    assert theirs[CLIENTS[0], LISTED] == LISTED and theirs[CLIENTS[1], LISTED] != LISTED, "the first one keeps it"
    assert theirs[CLIENTS[0], UNLISTED] != UNLISTED, "the rule is at work"

    netns.nft("rem", "flush ruleset\nadd table inet stranger\n" + fw4(fully_random=True))
    wait_for(lambda: has_table("rem"), 15, "loaded again after somebody flushed everything")

    assert daemon.stop() == 0
    assert not has_table("rem") and has_table("rem", "stranger")
    theirs, ours = lan_first()
    print(f"fully-random, after the end: {theirs}, our WireGuard: {ours}")
    assert ours != PORT and theirs[CLIENTS[0], LISTED] != LISTED
