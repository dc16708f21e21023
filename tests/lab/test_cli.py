"""The command line against running daemons: what a person and a script get."""
import json
import signal
import stat

import pytest
from pairs import publisher_config, start_pair, subscriber_config, token_of
from scenes import join, wait_connected
from waiting import stays, wait_for
from wire import get


@pytest.mark.slow
def test_command_line(lab, interpreter):
    publisher, subscriber = start_pair(lab, interpreter)
    join(lab, "cli0", "nata")
    wait_connected(lab)
    assert stat.S_IMODE(subscriber.socket_path.stat().st_mode) == 0o600

    checked = subscriber.cli("check", check=True)
    assert "no errors" in checked.out and "subscriber on wg0" in checked.out
    assert publisher.cli("token", "rem", check=True).out == token_of("rem") + "\n"
    stranger = publisher.cli("token", "nobody")
    assert stranger.code == 1 and "rem" in stranger.err and not stranger.out

    text = subscriber.cli("status", check=True).out
    row = next(line.split() for line in text.splitlines() if line.startswith("cli0 "))
    assert row[:3] == ["cli0", "direct", f"{lab.seen_as('cli0')}:{lab.port('cli0')}"]
    assert "\x1b" not in text
    told = json.loads(subscriber.cli("status", "--json", check=True).out)
    assert [peer["path"] for peer in told["subscribers"][0]["peers"] if peer["name"] == "cli0"] == ["direct"]
    assert token_of("rem") not in text + json.dumps(told) + json.dumps(publisher.status()) + subscriber.log()

    assert subscriber.cli("punch", "cli0", check=True).out == "calling cli0\n"
    assert subscriber.cli("punch", lab.key("cli0")[:8], check=True).out == "calling cli0\n"
    nobody = subscriber.cli("punch", "nobody")
    assert nobody.code == 1 and "no peer 'nobody'" in nobody.err
    assert subscriber.cli("dance").code == 2

    good = subscriber.config_path.read_text()
    subscriber.write_config(good + "\nconfig peer\n\toption name 'who'\n")
    broken = subscriber.cli("reload")
    assert broken.code == 1 and "public_key" in broken.err
    assert subscriber.cli("check").code == 1
    assert subscriber.running and lab.ping("cli0", "rem"), "the old configuration stays in use"
    subscriber.write_config(good)
    subscriber.signal(signal.SIGHUP)
    subscriber.wait_log("configuration loaded again", 10)

    assert publisher.stop() == 0 and subscriber.stop() == 0
    gone = subscriber.cli("status")
    assert gone.code == 3 and "does not answer" in gone.err
    assert lab.ping("cli0", "rem"), "paths outlive the daemon"


@pytest.mark.slow
def test_exclude_and_reload(make_lab, interpreter):
    """`uci set wgp2p.@peer[0].exclude=1` and a reload: the device leaves it alone, the server does not serve it."""
    lab = make_lab(clients=2)
    publisher, subscriber = start_pair(lab, interpreter)
    for client in lab.clients:
        join(lab, client, "nata")
        wait_connected(lab, client)
    wait_for(lambda: lab.peer("rem", "cli0").keepalive == 10, 5, "the device keeps it alive")
    subscriber.write_config(subscriber_config(lab, "rem", excluded=("cli0",)))
    subscriber.cli("reload", check=True)
    lab.wg_set("rem", "cli0", "endpoint", "203.0.113.99:9", "persistent-keepalive", 0)
    lab.wg_set("rem", "cli1", "persistent-keepalive", 0)
    wait_for(lambda: lab.peer("rem", "cli1").keepalive == 10, 5, "the other is still cared for")
    stays(lambda: lab.peer("rem", "cli0").keepalive == 0, 3, "this one is not", every=1)
    rows = {row["name"]: row["path"] for row in subscriber.status()["subscribers"][0]["peers"]}
    assert (rows["cli0"], rows["cli1"]) == ("static", "direct")

    publisher.write_config(publisher_config(lab, "pub", excluded=("cli1",)))
    publisher.cli("reload", check=True)
    _, data = get("rem", lab.tunnel("pub"), token=token_of("rem"))
    assert [row["public_key"] for row in data["peers"]] == [lab.key("cli0")]
