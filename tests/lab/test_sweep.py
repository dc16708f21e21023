"""Directly through a symmetric NAT: the device opens its own NAT towards the ports that the client may have, while the
relay goes on."""
import statistics
import time

import pytest
from opened import ENTRY_S, Opened, connection_tables_of, tracked
from pairs import path_of, start_pair, wait_path
from programs import Pinger
from scenes import SLACK_S, join, wait_way, way
from waiting import stays, wait_for

from conftest import IN_VM

DIRECT_S = 10  # the median of what it takes, from the first answer through the relay
MOST_S = 40  # a later wave, and the next beacon after it
AFTER_S = 3  # how long pings are watched on the new path
TRIES = 16  # more packets in a visit than the plain tries have: a sweep


class Visits:
    """A client that goes from network to network, and what came of it. Seconds count from its first answer, which is
    when the device knows where it is."""

    def __init__(self, lab, opened, client="cli0"):
        self._lab, self._opened, self._client = lab, opened, client
        self._pinger = None
        self.begun, self.direct = {}, {}  # {network: [seconds to the first packet of the sweep, or the direct path]}
        self.lost = 0

    def go(self, network, seconds=MOST_S):
        """To a network, there until the path is direct."""
        lab, opened, before = self._lab, self._opened, self._opened.sent
        if self._pinger is None:
            lab.move(self._client, network)
            start = lab.wg_up(self._client, profile="one")
            self._pinger = Pinger(self._client, lab.tunnel("rem"), 0.2)
        else:
            start = lab.move(self._client, network)
        answered = start + self._pinger.wait_after(start, 30, f"{network} answers")
        wait_for(lambda: opened.sent > before + TRIES or way(lab, self._client) == "direct", 30, "a sweep")
        begun = time.monotonic() - answered
        wait_way(lab, "direct", self._client, seconds=seconds + SLACK_S)
        direct = time.monotonic() - answered
        time.sleep(AFTER_S)
        lost = self._pinger.lost(answered, time.monotonic())
        print(f"{lab.kinds[network]:26} {network}: answered {answered - start:4.1f} s, sweep {begun:4.1f} s, direct "
              f"{direct:4.1f} s later, {lost} pings lost, {opened.sent - before} packets, entries: {tracked('natr')} "
              f"in the NAT, {tracked('rem')} own")
        self.begun.setdefault(network, []).append(begun)
        self.direct.setdefault(network, []).append(direct)
        self.lost += lost

    def stop(self):
        """No more; the median of the seconds to the direct path."""
        self._pinger.stop()
        everything = [took for row in self.direct.values() for took in row]
        for name, rows in (("sweep", self.begun), ("direct", self.direct)):
            first, later = [row[0] for row in rows.values()], [took for row in rows.values() for took in row[1:]]
            print(f"{name}: first visits {statistics.median(first):.1f} s, later ones {statistics.median(later):.1f} s "
                  f"(medians of {len(first)} and {len(later)}), longest {max(first + later):.1f} s")
        return statistics.median(everything)


def check_visits(visits, opened):
    assert visits.stop() <= DIRECT_S + SLACK_S
    assert visits.lost == 0, "the relay carries everything meanwhile"
    for network, (first, *later) in visits.begun.items():
        assert max(later, default=0) < first, f"{network}: it was known"
    print(opened.check())


@pytest.mark.long
def test_direct(make_lab, interpreter):
    """A client behind a symmetric NAT comes, goes to another, and comes back: sooner, since the network is known."""
    lab = make_lab(networks=("symmetric-block:512+300", "sequential"), apart=True)
    _, subscriber = start_pair(lab, interpreter)
    opened = Opened(lab, rate=1000, entries=2048)
    visits = Visits(lab, opened)
    for network in ("nata", "natb", "nata"):
        visits.go(network)
        wait_path(subscriber, "cli0", "direct")
        assert lab.peer("rem", "cli0").endpoint.rpartition(":")[0] == lab.outer(network)
    check_visits(visits, opened)


@pytest.mark.long
def test_known_after_a_restart(make_lab, interpreter):
    """What was learned of a network is there after the daemon began anew."""
    lab = make_lab(networks=("symmetric-block:128", "cone"), apart=True)
    _, subscriber = start_pair(lab, interpreter)
    opened = Opened(lab, rate=1000, entries=2048)
    visits = Visits(lab, opened)
    visits.go("nata")
    visits.go("natb")
    subscriber.stop()
    subscriber.start()
    subscriber.wait_log("publisher pub: connected", 30, count=2)
    visits.go("nata")
    check_visits(visits, opened)


@pytest.mark.long
@pytest.mark.parametrize("device", ["cone", "eim-shift", "cone/1500"])
@pytest.mark.parametrize("kind", ["symmetric-block:128", "symmetric-block:128+50", "symmetric-block:512",
                                  "symmetric-block:512+300", "symmetric-block:1024", "symmetric-block:1024+300",
                                  "symmetric-block:2048+300", "sequential"])
def test_every_kind(make_lab, interpreter, kind, device):
    """Two networks of a kind, three visits to each. Two servers are needed to see that a NAT which gives another port
    gives everybody the same. Somebody who roams within 30 s waits until what was opened before is closed again."""
    lab = make_lab(servers=1 + (device == "eim-shift"), devices=(device,), networks=(kind, kind), apart=True)
    entries = 1024 if "/" in device else 2048
    lab.sweep = {"sweep_entries": entries}
    start_pair(lab, interpreter)
    opened = Opened(lab, rate=1000, entries=entries)
    visits = Visits(lab, opened)
    for network in ("nata", "natb") * 3:
        visits.go(network)
        time.sleep(ENTRY_S)
    check_visits(visits, opened)


@pytest.mark.long
@pytest.mark.skipif(not IN_VM, reason="sets how many connections this machine's kernel notes: only in the VM")
def test_the_whole_range(make_lab, interpreter):
    """A NAT that draws from all ports, and `full`: direct within the time that all of them take. What bounds that is
    how many may be open at once, in the device's own kernel, too."""
    lab = make_lab(networks=("symmetric", "symmetric"), apart=True)
    entries = 16384
    lab.sweep = {"sweep": "full", "sweep_rate": 10000, "sweep_entries": entries}
    planned = 60 + 64512 / (entries / 30) + 10  # the plan and its last wave's end; all ports; the client's next beacon
    with connection_tables_of(65536):
        start_pair(lab, interpreter)
        opened = Opened(lab, rate=10000, entries=entries)
        visits = Visits(lab, opened)
        for network in ("nata", "natb") * 2:
            visits.go(network, seconds=planned)
    visits.stop()
    assert visits.lost == 0
    print(opened.check())


@pytest.mark.long
def test_beyond_the_plan(make_lab, interpreter):
    """A NAT that draws from all ports, and no `full`: the client stays on the relay, which does not notice, and the
    pauses grow."""
    lab = make_lab(networks=("symmetric",))
    _, subscriber = start_pair(lab, interpreter)
    opened = Opened(lab, rate=1000, entries=2048)
    join(lab, "cli0", "nata", profile="one")
    pinger = Pinger("cli0", lab.tunnel("rem"), 0.2)
    wait_path(subscriber, "cli0", "relay")
    begin = time.monotonic()
    wait_for(lambda: "trying ports" in path_of(subscriber, "cli0")["reason"] and opened.sent > 100, 15, "it says so")
    print(path_of(subscriber, "cli0")["reason"])
    wait_for(lambda: "again in" in path_of(subscriber, "cli0")["reason"] or way(lab) == "direct", 90,
             "the likely ports are tried", every=0.5)
    print(f"{time.monotonic() - begin:.0f} s: {path_of(subscriber, 'cli0')['reason']}, {opened.sent} packets")
    if way(lab) != "direct":  # by chance
        counts = [opened.sent]

        def is_over():  # what is open stays so for another 30 s
            counts.append(opened.sent)
            return counts[-1] == counts[-2]

        wait_for(is_over, 40, "the last refresh", every=5)
        stays(is_over, 10, "quiet in the pause", every=5)
    assert pinger.lost(begin, time.monotonic()) == 0
    pinger.stop()
    assert len(opened.ports(lab.outer("nata"))) <= 4096
    print(opened.check(), len(opened.ports()), "ports")


@pytest.mark.long
def test_no_hope(make_lab, interpreter):
    """The device itself is behind a symmetric NAT, as two servers see: opening ports would open others of its own. That
    is said, and not done."""
    lab = make_lab(servers=2, devices=("symmetric",), networks=("symmetric-block",))
    _, subscriber = start_pair(lab, interpreter)
    opened = Opened(lab)
    join(lab, "cli0", "nata", profile="one")
    wait_path(subscriber, "cli0", "relay")
    wait_for(lambda: "our own NAT is symmetric" in path_of(subscriber, "cli0")["reason"], 30, "it says so")
    print(path_of(subscriber, "cli0")["reason"])
    stays(lambda: opened.sent < 30, 8, "no more than the plain tries", every=2)


@pytest.mark.long
def test_a_port_that_is_open(make_lab, interpreter):
    """A forwarded port lets the client's own packets in: that is found out, and no ports are tried any more."""
    lab = make_lab(devices=("open",), networks=("symmetric-block", "symmetric"), apart=True)
    start_pair(lab, interpreter)
    opened = Opened(lab)
    visits = Visits(lab, opened)
    visits.go("nata")
    visits.go("natb")
    sent = opened.sent
    visits.go("nata")
    visits.go("natb")
    visits.stop()
    assert opened.sent <= sent + 30, "no more than the plain tries"


@pytest.mark.long
def test_without_a_relay(make_lab, interpreter):
    """A client of the old kind, and no server that relays: its own handshakes find the open port."""
    lab = make_lab(networks=("symmetric-block", "cone", "symmetric-block:128+50"), apart=True)
    _, subscriber = start_pair(lab, interpreter, relay="0")
    opened = Opened(lab, rate=1000, entries=2048)
    join(lab, "cli0", "nata")
    begin, pinger = time.monotonic(), Pinger("cli0", lab.tunnel("rem"), 0.2)
    for network in ("nata", "natb", "natc", "nata"):
        begin = time.monotonic() if lab.uplink["cli0"] == network else lab.move("cli0", network)
        print(f"{network}: {pinger.wait_after(begin, 60):.1f} s")
        wait_path(subscriber, "cli0", "direct")
        time.sleep(5)
    pinger.stop()
    print(opened.check())
