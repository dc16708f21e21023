"""The doctor names what is wrong, while it is."""
import nat
import netns
import pytest
from pairs import publisher_config, start_pair, subscriber_config
from waiting import wait_for

FINE = {"publisher": "ok", "port-kept": "ok", "behind-router": "ok"}
RANDOM = nat.DEVICE_RULES.replace("masquerade", "masquerade fully-random")


def wait_found(daemon, code, level, seconds=30):
    """Wait until the doctor says so; everything that it says."""
    def found():
        said = daemon.doctor()
        return said if said.get(code) == level else None

    return wait_for(found, seconds, f"{daemon.host}'s doctor says {code}", every=1)


@pytest.mark.slow
def test_what_is_wrong_is_named(make_lab, interpreter):
    lab = make_lab()
    publisher, subscriber = start_pair(lab, interpreter)
    wait_for(lambda: subscriber.doctor() == FINE, 30, "the doctor finds all well")
    assert publisher.doctor() == {"serving": "ok"}

    # ports: changed by the router in front, by a carrier's NAT, by this very machine
    lab.set_kind("natr", "eim-shift")
    wait_found(subscriber, "port-rewritten-upstream", "warning")
    lab.set_kind("natr", "cone")
    wait_found(subscriber, "port-kept", "ok")
    netns.batch("natr", "ip", "addr add 100.64.7.1/24 dev lan")
    netns.batch("rem", "ip", "addr add 100.64.7.2/24 dev wan", "route replace default via 100.64.7.1")
    wait_found(subscriber, "cgnat", "warning")
    netns.batch("rem", "ip", f"route replace default via {lab.inner('natr')}", "addr del 100.64.7.2/24 dev wan")
    subscriber.write_config(subscriber_config(lab, "rem").replace(
        "\toption log_level", "\toption preserve_port '0'\n\toption log_level", 1))
    subscriber.cli("reload", check=True)
    netns.nft("rem", RANDOM)
    netns.call("rem", "conntrack", "-F", check=False)
    lab.ping("rem", "pub")  # a packet of the server's would begin a flow that is not translated
    wait_found(subscriber, "port-rewritten-here", "error")
    subscriber.write_config(subscriber_config(lab, "rem"))
    subscriber.cli("reload", check=True)
    wait_found(subscriber, "port-kept", "ok")  # preserve_port has mended it

    # the publisher: gone, no tunnel to it, another token
    publisher.freeze()
    publisher.kill()
    assert wait_found(subscriber, "no-publisher", "error").keys().isdisjoint({"tunnel-down", "publisher"})
    publisher.write_config(publisher_config(lab, "pub"))
    token = lab.folder / "pub/keep/tokens/rem"
    token.write_text("another-" + token.read_text()[8:])
    publisher.start()
    wait_found(subscriber, "token-refused", "error", 60)
