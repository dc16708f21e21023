"""Paths that work without us are left alone."""
import time

import netns
import pytest
from pairs import publisher_config, subscriber_config
from programs import Pinger
from scenes import join
from waiting import stays, wait_for

UNDISTURBED_S, UNDISTURBED_SLOW_S = 30, 60


@pytest.mark.slow
def test_paths_of_their_own(make_lab, interpreter, request):
    """cli0 is on the device's own LAN and says nothing but keepalives; cli1 is hard-coded and excluded; cli2 has
    another port towards the device than towards the publisher, and the device's port is forwarded. What the
    publisher sees of them changes all the time."""
    lab = make_lab(devices=("open",), networks=("cone", "symmetric"), clients=3)
    lab.daemon("pub", interpreter, publisher_config(lab, "pub")).start()
    subscriber = lab.daemon("rem", interpreter, subscriber_config(lab, "rem", excluded=("cli1",))).start()
    subscriber.wait_log("publisher pub: connected", 30)
    lab.wg_set("rem", "cli1", "endpoint", f"{lab.outer('nata')}:{lab.port('cli1')}", "persistent-keepalive", 15)
    join(lab, "cli0", "natr", endpoints={"rem": "10.20.0.2:51820"})
    join(lab, "cli1", "nata")
    join(lab, "cli2", "natb")
    pingers = {client: Pinger(client, lab.tunnel("rem"), interval=0.5) for client in ("cli1", "cli2")}
    wait_for(lambda: all(pinger.replies for pinger in pingers.values()), 20, "all reach the device")
    assert lab.ping("cli0", "rem")
    wait_for(lambda: lab.peer("pub", "cli2").endpoint and lab.peer("pub", "cli0").endpoint, 20, "and the server")

    def directly():
        return {client: lab.peer("rem", client).endpoint for client in lab.clients}

    def seen():
        return {client: lab.peer("pub", client).endpoint for client in lab.clients}

    paths = directly()
    assert paths["cli0"] == f"{lab.inner('cli0')}:{lab.port('cli0')}"
    assert paths["cli2"] != seen()["cli2"]
    seconds = UNDISTURBED_SLOW_S if request.config.getoption("--slow") else UNDISTURBED_S
    begin = time.monotonic()
    views = [seen()]
    while time.monotonic() - begin < seconds:
        for number, (client, network) in enumerate((("cli0", "natr"), ("cli1", "nata"), ("cli2", "natb"))):
            port = 40000 + 100 * number + len(views)
            netns.nft(network, f"insert rule ip nat post ip saddr {lab.inner(client)} ip daddr {lab.outer('pub')} "
                               f"udp dport 51820 snat to {lab.outer(network)}:{port}")
            netns.call(network, "conntrack", "-D", "-s", lab.inner(client), "-d", lab.outer("pub"), check=False)
        wait_for(lambda: not set(seen().values()) & set(views[-1].values()), 15, "the server sees all elsewhere")
        views.append(seen())
        stays(lambda: directly() == paths, 5, f"{paths} (the server sees {views[-1]})", every=1)
    end = time.monotonic()
    assert len(views) >= 3
    for client, pinger in pingers.items():
        assert pinger.longest_gap(begin, end) < 5, f"{client}: more than a busy machine explains"
        pinger.stop()
    assert lab.ping("cli0", "rem")
    assert lab.peer("rem", "cli1").keepalive == 15, "excluded: not touched"
    assert "cli1: set" not in subscriber.log()
    rows = {row["name"]: row for row in subscriber.status()["subscribers"][0]["peers"]}
    assert rows["cli1"]["path"] == "static"
    assert rows["cli0"]["path"] == rows["cli2"]["path"] == "direct"
    print(rows["cli0"]["reason"], "|", rows["cli2"]["reason"])
