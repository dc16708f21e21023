"""The uplink goes and comes back: no entry of our own flow from in between stays, and peers are called."""
import netns
import pytest
from pairs import subscriber_config
from programs import UdpSocket
from stock_router import CLIENTS, LAN, forget, make_router, outside_port
from waiting import stays, wait_for

OTHER = 40000


@pytest.mark.slow
def test_wan_change(make_lab, interpreter):
    """While the uplink has no address, our packets leave by another route, with a LAN address and untranslated. When
    it is back and the route asks for that source still, each packet belongs to the entry from then: it leaves with the
    LAN address for ever, since keepalives keep the entry alive. First so, without us; then with us."""
    lab = make_lab(clients=0)
    make_router()
    server = (lab.outer("pub"), 51820)
    other = UdpSocket("home", CLIENTS[0], OTHER)

    def away():
        netns.batch("rem", "ip", "addr del 10.20.0.2/24 dev wan",
                    f"route add default via {CLIENTS[1]} src {LAN}.1")
        assert not lab.ping("rem", "pub")

    def back():
        netns.batch("rem", "ip", "addr add 10.20.0.2/24 dev wan",
                    f"route replace default via 10.20.0.1 src {LAN}.1")

    def untranslated():
        return f"dst={LAN}.1 sport=51820" in netns.call(
            "rem", "conntrack", "-L", "-p", "udp", "--orig-src", f"{LAN}.1", check=False)

    wait_for(lambda: lab.ping("rem", "pub"), 10, "the tunnel works")
    away()
    assert untranslated()
    back()
    stays(lambda: untranslated() and not lab.ping("rem", "pub"), 4, "nothing comes through any more", every=0.5)
    print(netns.call("rem", "conntrack", "-L", "-p", "udp", "--orig-src", f"{LAN}.1", check=False))
    forget("rem")
    wait_for(lambda: lab.ping("rem", "pub"), 10, "without that entry it does")

    daemon = lab.daemon("rem", interpreter, subscriber_config(lab, "rem")).start()
    daemon.wait_log("uplink: wan (192.168.1.1)", 10)
    away()
    daemon.wait_log("uplink: br-lan", 10)
    assert untranslated()
    other.send(lab.outer("dns"), OTHER)
    back()
    other.send(lab.outer("dns"), OTHER)
    daemon.wait_log("uplink: wan (192.168.1.1)", 10, count=2)
    wait_for(lambda: lab.ping("rem", "pub"), 10, "the tunnel works")
    assert not untranslated() and outside_port("rem", f"{LAN}.1", 51820, server) == 51820
    assert outside_port("rem", CLIENTS[0], OTHER, (lab.outer("dns"), OTHER)) == OTHER, "others are left alone"
    assert daemon.status()["wan"]["device"] == ["wan"]
    assert daemon.stop() == 0
