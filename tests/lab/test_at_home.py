"""A client in the router's own LAN reaches it at its public endpoint."""
import netns
import pytest
import wireguard_lab as wireguard
from pairs import publisher_config, subscriber_config
from stock_router import CLIENTS, has_table, make_router
from waiting import wait_for


@pytest.mark.slow
def test_at_home(lab, interpreter):
    """The phone has come home: it still sends to the device's public endpoint, which is not the router's own address
    (there is another NAT before it). Its tries from before the redirect do not stand in the way; the redirect follows
    what the publisher reports."""
    make_router()

    def phone(**endpoints):
        wireguard.up("home", lab.wg_config("cli0", 25, endpoints), f"{lab.tunnel('cli0')}/16")

    def where():
        return lab.peer("rem", "cli0").endpoint

    def redirects():
        return subscriber.status()["wan"]["at_home"]

    phone()
    assert not lab.ping("home", "rem", 2), "the NAT before the router does not turn packets around"
    lab.daemon("pub", interpreter, publisher_config(lab, "pub")).start()
    subscriber = lab.daemon("rem", interpreter, subscriber_config(lab, "rem")).start()
    wait_for(redirects, 20, "the publisher reports where we are")
    assert redirects() == [lab.endpoint("rem")] == ["203.0.113.20:51820"]
    wait_for(lambda: lab.ping("home", "rem"), 15, "the phone reaches the router")
    assert where() == f"{CLIENTS[0]}:{lab.port('cli0')}", "directly"

    wireguard.down("home")
    lab.set_kind("natr", "eim-shift")
    wait_for(lambda: redirects() == [lab.endpoint("rem")] == ["203.0.113.20:56820"], 30, "another public endpoint")
    phone()
    wait_for(lambda: lab.ping("home", "rem"), 15, "the phone reaches the router there")

    wireguard.down("home")
    assert subscriber.stop() == 0 and not has_table("rem")
    netns.call("rem", "conntrack", "-F", check=False)
    phone(rem="10.20.0.2:51820")
    wait_for(lambda: lab.ping("home", "rem"), 10, "the router's own WAN address needs no redirect under stock rules")
