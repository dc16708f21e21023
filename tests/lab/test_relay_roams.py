"""A client with the one profile roams, and traffic goes on; nothing changes while nothing changes."""
import random
import statistics
import time

import pytest
from pairs import start_pair, wait_path
from programs import Pinger, Watch
from scenes import SLACK_S, join, wait_way, way
from waiting import stays, wait_for

KINDS = ("cone", "symmetric", "eim-shift", "symmetric-block", "open")
NETWORKS = {network: "relay" if kind.startswith("symmetric") else "direct"
            for network, kind in zip(("nata", "natb", "natc", "natd", "nate"), KINDS)}
NETWORKS["inet"] = "direct"
ROAMS, ROAMS_SLOW = 5, 50
QUIET_S, QUIET_SLOW_S = 45, 600
SEED = 4


def told(name, seconds):
    if seconds:
        print(f"{name}: median {statistics.median(seconds):.2f} s ({min(seconds):.2f} … {max(seconds):.2f}, "
              f"n={len(seconds)})")


@pytest.mark.slow
def test_random_roams(make_lab, interpreter, request):
    """Each time it is answered again, and on the path that its network allows 10 s later at the latest."""
    lab = make_lab(networks=KINDS)
    publisher, subscriber = start_pair(lab, interpreter)
    watch = Watch("pub")
    join(lab, "cli0", "nata", profile="one")
    pinger = Pinger("cli0", lab.tunnel("rem"), 0.1)
    wait_for(lambda: pinger.replies, 20, "the first ping")
    wait_way(lab, "direct")
    chance = random.Random(SEED)
    known, busy, others, upgrades = [], [], [], []
    network = "nata"
    for number in range(ROAMS_SLOW if request.config.getoption("--slow") else ROAMS):
        before, network = way(lab), chance.choice([name for name in (*NETWORKS, "natb", "natd") if name != network])
        moved = lab.move("cli0", network)
        took = pinger.wait_after(moved, 30, f"roam {number} from {before} to {network}")
        heard = watch.first(moved, source=lab.seen_as("cli0"))
        if heard:
            known.append(moved + took - heard)
        (busy if before == "relay" else others).append(took)
        begin = time.monotonic()
        wait_way(lab, NETWORKS[network], seconds=10 + SLACK_S)
        if NETWORKS[network] == "direct":
            upgrades.append(time.monotonic() - begin)
        print(f"{number:3} {before} -> {network:5} {took:6.2f} s, heard by the server "
              f"{heard - moved if heard else -1:5.2f} s, {NETWORKS[network]} {time.monotonic() - begin:.2f} s later")
        # People's pauses: any moment of every timer. (A publisher takes one hint in 5 s, so no sooner than that.)
        time.sleep(max(0.5, moved - time.monotonic() + chance.uniform(6, 9)))
    told("first packet at the server -> first answer", known)
    told("roam while busy on the relay -> first answer", busy)
    told("roam while direct -> first answer", others)
    told("first answer -> direct", upgrades)
    pinger.stop()
    for daemon in (publisher, subscriber):
        assert "Traceback" not in daemon.log()


@pytest.mark.long
@pytest.mark.parametrize("network", ["nata", "natb"], ids=["direct", "relay"])
def test_nothing_changes(make_lab, interpreter, network, request):
    """No change of path while nothing changes, and no lost ping."""
    lab = make_lab(networks=("cone", "symmetric"))
    publisher, subscriber = start_pair(lab, interpreter)
    join(lab, "cli0", network, profile="one")
    pinger = Pinger("cli0", lab.tunnel("rem"), 1)
    wait_path(subscriber, "cli0", {"nata": "direct", "natb": "relay"}[network])
    word = wait_for(lambda: way(lab), 5, "a way")
    lines, start = subscriber.log().count("info: cli0: "), time.monotonic()
    seconds = QUIET_SLOW_S if request.config.getoption("--slow") else QUIET_S
    stays(lambda: way(lab) == word, seconds, f"{word} all the time", every=1)
    assert pinger.lost(start, time.monotonic()) == 0
    assert subscriber.log().count("info: cli0: ") == lines, "and nothing to say about it"
    pinger.stop()


@pytest.mark.long
def test_app_off_and_on(make_lab, interpreter):
    """The app is switched off and on where the client is: same address, same port, and its sessions are gone."""
    lab = make_lab(networks=("cone", "symmetric"))
    start_pair(lab, interpreter)
    for network, word in NETWORKS.items():
        if network not in ("nata", "natb"):
            continue
        join(lab, "cli0", network, profile="one")
        wait_way(lab, word)
        lab.wg_down("cli0")
        up = lab.wg_up("cli0", profile="one")
        pinger = Pinger("cli0", lab.tunnel("rem"))
        print(f"{word}: the app is on again, first answer after {pinger.wait_after(up, 120):.2f} s")
        wait_way(lab, word)
        pinger.stop()
        lab.wg_down("cli0")
