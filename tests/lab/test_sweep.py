"""Directly through a symmetric NAT: the device opens its own NAT towards the ports that the client may have, while the
relay goes on."""
import statistics
import time

import pytest
from opened import Opened, tracked
from pairs import path_of, start_pair, wait_path
from programs import Pinger
from scenes import SLACK_S, join, wait_way, way
from waiting import stays, wait_for

DIRECT_S = 10  # the median of what it takes
MOST_S = 40  # a later wave, and the next beacon after it
AFTER_S = 3  # how long pings are watched on the new path


class Visits:
    """A client that goes from network to network, and what came of it: {network: [seconds to the direct path]}."""

    def __init__(self, lab, opened, client="cli0", profile="one"):
        self._lab, self._opened, self._client, self._profile = lab, opened, client, profile
        self._pinger = None
        self.seconds, self.lost = {}, 0

    def go(self, network, word="direct", seconds=MOST_S):
        """To a network, there until the path is of this word: the seconds from arriving."""
        lab, client, before = self._lab, self._client, self._opened.sent
        if self._pinger is None:
            lab.move(client, network)
            begin = lab.wg_up(client, profile=self._profile)
            self._pinger = Pinger(client, lab.tunnel("rem"), 0.2)
        else:
            begin = lab.move(client, network)
        answered = begin + self._pinger.wait_after(begin, 30, f"{network} answers")
        wait_way(lab, word, client, seconds=seconds + SLACK_S)
        took = time.monotonic() - begin
        time.sleep(AFTER_S)
        lost = self._pinger.lost(answered, time.monotonic())
        print(f"{lab.kinds[network]:26} {network}: answered {answered - begin:.1f} s, {word} {took:.1f} s, "
              f"{lost} pings lost, {self._opened.sent - before} packets, entries: {tracked('natr')} in the NAT, "
              f"{tracked('rem')} own")
        self.seconds.setdefault(network, []).append(took)
        self.lost += lost
        return took

    def stop(self):
        self._pinger.stop()

    def told(self):
        """Medians of the first visits, of the later ones, and of all."""
        first = [row[0] for row in self.seconds.values()]
        later = [took for row in self.seconds.values() for took in row[1:]]
        found = [statistics.median(row) for row in (first, later or first, first + later)]
        print("direct after: first visit {:.1f} s, later {:.1f} s, all {:.1f} s (median)".format(*found),
              f"longest {max(first + later):.1f} s")
        return found


def check_visits(visits, opened):
    first, later, everything = visits.told()
    assert everything <= DIRECT_S + SLACK_S
    assert later < first, "what was learned of a network is used"
    assert visits.lost == 0, "the relay carries everything meanwhile"
    print(opened.check())


def test_visits(make_lab, interpreter):
    """Blocks and a sequential NAT: direct from each, and sooner at the second visit."""
    lab = make_lab(networks=("symmetric-block:128", "symmetric-block:1024+300", "sequential"), apart=True)
    _, subscriber = start_pair(lab, interpreter)
    opened = Opened(lab, rate=1000, entries=2048)
    visits = Visits(lab, opened)
    for network in ("nata", "natb", "natc") * 2:
        visits.go(network)
        wait_path(subscriber, "cli0", "direct")
        assert lab.peer("rem", "cli0").endpoint.rpartition(":")[0] == lab.outer(network)
    visits.stop()
    check_visits(visits, opened)


@pytest.mark.long
@pytest.mark.parametrize("device", ["cone", "eim-shift", "cone/700"])
@pytest.mark.parametrize("kind", ["symmetric-block:128", "symmetric-block:128+50", "symmetric-block:512",
                                  "symmetric-block:512+300", "symmetric-block:1024", "symmetric-block:1024+300",
                                  "symmetric-block:2048+300", "sequential"])
def test_every_kind(make_lab, interpreter, kind, device):
    """Two networks of a kind, three visits to each. (Two servers are needed to see that a NAT which gives another port
    gives everybody the same.)"""
    lab = make_lab(servers=1 + (device == "eim-shift"), devices=(device,), networks=(kind, kind), apart=True)
    start_pair(lab, interpreter)
    opened = Opened(lab, rate=1000, entries=2048)
    visits = Visits(lab, opened)
    for network in ("nata", "natb") * 3:
        visits.go(network)
    visits.stop()
    check_visits(visits, opened)


@pytest.mark.long
def test_the_whole_range(make_lab, interpreter):
    """A NAT that draws from all ports, and `full`: direct within the time that all of them take."""
    lab = make_lab(networks=("symmetric", "symmetric"), apart=True)
    entries = 16384
    lab.sweep = {"sweep": "full", "sweep_rate": 10000, "sweep_entries": entries}
    start_pair(lab, interpreter)
    opened = Opened(lab, rate=10000, entries=entries)
    visits = Visits(lab, opened)
    planned = 60 + 64512 / (entries / 30) + 10  # the plan and its last wave's end; all ports; the client's next beacon
    for network in ("nata", "natb") * 3:
        visits.go(network, seconds=planned)
    visits.stop()
    visits.told()
    assert visits.lost == 0
    print(opened.check())


@pytest.mark.slow
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
        sent = opened.sent
        stays(lambda: opened.sent <= sent + 5, 15, "quiet in the pause", every=1)
    assert pinger.lost(begin, time.monotonic()) == 0
    pinger.stop()
    assert len(opened.ports(lab.outer("nata"))) <= 4096
    print(opened.check(), len(opened.ports()), "ports")


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


@pytest.mark.slow
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
