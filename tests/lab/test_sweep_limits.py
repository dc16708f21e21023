"""A sweep keeps to its limits, whoever comes; and ends when there is no reason for it any more."""
import time

import pytest
from opened import Opened, connection_tables_of, tracked
from pairs import path_of, start_pair, subscriber_config, wait_path
from programs import Pinger
from scenes import join, wait_way
from waiting import stays, wait_for

from conftest import IN_VM

CROWD = 20
WATCH_S = 20


@pytest.mark.long
def test_crowd(make_lab, interpreter):
    """20 clients at once from two networks: never more than may be in a second, or may be open; all become direct. The
    first wave of all of them is ten times what may be open at once."""
    lab = make_lab(networks=("symmetric-block:1024+300", "symmetric-block:512"), clients=CROWD, apart=True)
    _, subscriber = start_pair(lab, interpreter)
    opened = Opened(lab, rate=1000, entries=2048)
    lab.move(lab.clients[::2], "nata")
    lab.move(lab.clients[1::2], "natb")
    for client in lab.clients:
        lab.wg_up(client, profile="one")
    begin, seconds = time.monotonic(), {}

    def all_direct():
        for row in subscriber.status()["subscribers"][0]["peers"]:
            if row["name"] in lab.clients and row["path"] == "direct":
                seconds.setdefault(row["name"], time.monotonic() - begin)
        return len(seconds) == CROWD

    try:
        wait_for(all_direct, 600, "all are direct", every=1)
    finally:
        print(f"{len(seconds)} direct:", *[f"{took:.0f}" for took in sorted(seconds.values())],
              opened.counts(), f"{tracked('natr')} entries in the NAT")
    opened.check()


@pytest.mark.long
@pytest.mark.skipif(not IN_VM, reason="sets how many connections this machine's kernel notes: only in the VM")
def test_small_connection_table(make_lab, interpreter):
    """A device whose kernel notes 1,024 connections, and the NAT before it, too: never more than the share of it."""
    lab = make_lab(networks=("symmetric",), clients=3)
    share = 40
    lab.sweep = {"sweep": "full", "sweep_rate": 1000, "sweep_entries": 4096, "sweep_share": share}
    _, subscriber = start_pair(lab, interpreter)
    opened = Opened(lab)
    most = {"rem": 0, "natr": 0}
    with connection_tables_of(1024):
        for client in lab.clients:
            join(lab, client, "nata", profile="one")
        pinger = Pinger("cli0", lab.tunnel("rem"), 0.2)
        wait_path(subscriber, "cli0", "relay")
        begin = time.monotonic()
        while time.monotonic() < begin + WATCH_S:
            most = {host: max(most[host], tracked(host)) for host in most}
            time.sleep(0.1)
        assert pinger.lost(begin, time.monotonic()) == 0
        pinger.stop()
        print(most, opened.counts(), path_of(subscriber, "cli0")["reason"])
    assert opened.sent > 1024 * share // 100 // 2, "it was at work"
    assert most["rem"] <= 1024 * share // 100
    assert opened.counts()["strays"] == 0


@pytest.mark.long
def test_a_client_that_leaves(make_lab, interpreter):
    """Switched off without a word: no more than its silence takes to be noticed."""
    lab = make_lab(networks=("symmetric",))
    lab.sweep = {"sweep": "full", "sweep_rate": 200, "sweep_entries": 4096}
    start_pair(lab, interpreter)
    opened = Opened(lab)
    join(lab, "cli0", "nata", profile="one")
    wait_for(lambda: opened.sent > 50, 20, "a sweep")
    lab.wg_down("cli0")
    begin, counts = time.monotonic(), [0]

    def is_over():
        counts.append(opened.sent)
        return counts[-1] - counts[-2] < 5

    wait_for(is_over, 60, "no more packets", every=2)
    print(f"over after {time.monotonic() - begin - 2:.0f} s")


@pytest.mark.slow
def test_ends_at_once(make_lab, interpreter):
    """The path is direct, the client is elsewhere, the option is off: not one packet more."""
    lab = make_lab(networks=("symmetric", "cone"), apart=True)
    lab.sweep = {"sweep": "full", "sweep_rate": 200, "sweep_entries": 4096}
    _, subscriber = start_pair(lab, interpreter)
    opened = Opened(lab)
    join(lab, "cli0", "nata", profile="one")

    def is_at_work():
        before = opened.sent
        time.sleep(0.5)
        return opened.sent > before + 20

    def is_quiet(why):
        time.sleep(0.1)
        before = opened.sent
        stays(lambda: opened.sent <= before + 7, 6, why, every=0.5)  # the plain tries go on

    wait_for(is_at_work, 20, "a sweep")
    lab.move("cli0", "natb")
    wait_way(lab, "direct")
    wait_path(subscriber, "cli0", "direct")
    is_quiet("direct now")
    lab.move("cli0", "nata")
    wait_for(is_at_work, 30, "another sweep")
    lab.sweep["sweep"] = "off"
    subscriber.write_config(subscriber_config(lab, "rem"))
    subscriber.cli("reload", check=True)
    is_quiet("switched off")
    assert "trying ports" not in path_of(subscriber, "cli0")["reason"]
    lab.sweep["sweep"] = "full"
    subscriber.write_config(subscriber_config(lab, "rem"))
    subscriber.cli("reload", check=True)
    wait_for(is_at_work, 20, "on again")
    lab.wg_down("cli0")
    subscriber.stop()
    is_quiet("stopped")
    print(opened.check())
