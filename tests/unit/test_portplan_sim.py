"""How well the planner does against the ways in which NATs choose ports: the table of docs/sweep.md.

  PYTHONPATH=package/wgp2p build/venv/bin/python tests/unit/test_portplan_sim.py    prints the table

Drawn, with a fixed seed, is where a block begins. The port that a publisher sees goes through the block; all the ports
that the NAT may then give towards the device are counted, each in its wave.
"""
import pathlib
import random

import pytest

from wgp2p import portplan
from wgp2p.networks import Networks

PAGE = (pathlib.Path(__file__).resolve().parents[2] / "docs/sweep.md").read_text()
MARKS = ("<!-- simulation: begin.", "<!-- simulation: end -->")
VISITS = 60
ALL = range(portplan.FIRST, portplan.LAST + 1)
KEY = "A" * 43 + "="


def block(size, grid=1, step=1):
    """`size` ports, or each `step`-th from the first on, begun at every `grid`-th port from 1024 on."""
    def give(draw):
        start = draw.randrange(ALL.start, ALL.stop - size * step + 1, grid)
        return range(start, start + size * step, step)
    return give


def port_set(offset_bits, psid_bits):
    """A MAP subscriber's ports, RFC 7597, 5.1."""
    free = 16 - offset_bits - psid_bits

    def give(draw):
        psid = draw.randrange(1 << psid_bits)
        return [a << 16 - offset_bits | psid << free | j for a in range(1, 1 << offset_bits) for j in range(1 << free)]
    return give


def counting(most):
    """The next port for each new connection, when others have had up to `most` in between, in either order."""
    def give(draw):
        port = draw.randrange(ALL.start + most, ALL.stop - most)
        return port, [port + sign * (1 + distance) for distance in range(most) for sign in (1, -1)]
    return give


# What the table calls it, how it gives ports, whether a client is given the same ones at the next visit.
NATS = [
    *[("{:,} ports, one block after the other from 1024 on".format(size), block(size, size), False)
      for size in (128, 256, 512, 1000, 1024, 2000, 2048)],
    *[("{:,} ports, anywhere".format(size), block(size), False) for size in (128, 256, 512, 1024, 2048)],
    ("1,024 ports anywhere, the same at each visit", block(1024), True),
    ("512 ports in steps of 4, anywhere", block(512, step=4), False),
    ("512 ports of the same parity, anywhere", block(512, step=2), False),
    ("counts up, alone", counting(16), False),
    ("counts up, 200 connections of others between", counting(200), False),
    ("counts up, 2,000 connections of others between", counting(2000), False),
    ("MAP, 15 times 16 ports (a=4, k=8)", port_set(4, 8), True),
    ("MAP, 63 times 16 ports (a=6, k=6)", port_set(6, 6), True),
    ("MAP, 63 times 4 ports (a=6, k=8)", port_set(6, 8), True),
    ("any port", lambda draw: ALL, False),
]


def seen(ports, part):
    """(port that the publisher sees, ports that the device may see) of one visit; `part` of the way through a block."""
    return ports if isinstance(ports, tuple) else (ports[int(part * len(ports))], ports)


def shares(plan, ports):
    """Which share of these ports is in each wave."""
    where = bytearray(1 << 16)
    for number, wave in enumerate(plan, 1):
        for low, high in wave:
            where[low:high + 1] = bytes([number]) * (high - low + 1)
    found = where[ports.start:ports.stop:ports.step] if isinstance(ports, range) else bytes(
        where[port] for port in ports)
    return [found.count(number) / len(found) for number in range(1, 4)]


def simulate(name, give, stays):
    """Per wave the share found until then; packets in the mean; the first wave's share after an earlier visit."""
    draw = random.Random(name)
    first, second, packets = [0, 0, 0], 0, 0
    for visit in range(VISITS):
        ports = give(draw)
        port, others = seen(ports, (visit + 0.5) / VISITS)
        plan, left = portplan.waves(port), 1
        for number, share in enumerate(shares(plan, others)):
            packets += left * sum(high - low + 1 for low, high in plan[number]) if number < len(plan) else 0
            left -= share
            first[number] += 1 - left
        before, found = seen(ports if stays else give(draw), draw.random())
        networks = Networks()
        networks.learn(KEY, "192.0.2.1:%d" % before, "192.0.2.1:%d" % draw.choice(found))
        second += shares(portplan.waves(port, networks.recall(KEY, "192.0.2.1:%d" % port)), others)[0]
    return [share / VISITS for share in first], packets / VISITS, second / VISITS


def simulated():
    return {name: simulate(name, give, stays) for name, give, stays in NATS}


def table(results):
    lines = ["| the NAT gives a client | wave 1 | 2 | 3 | packets | random | second visit |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for name, (first, packets, second) in results.items():
        shares_of_it = " | ".join("%.0f %%" % (100 * share) for share in first)
        lines.append("| {} | {} | {:,.0f} | {:.1f} % | {:.0f} % |".format(
            name, shares_of_it, packets, 100 * packets / len(ALL), 100 * second))
    return "\n".join(lines)


@pytest.fixture(scope="module", name="results")
def fixture_results():
    return simulated()


def test_docs_show_it(results):
    assert table(results) in PAGE.partition(MARKS[0])[2].partition(MARKS[1])[0], "run this file and paste"


@pytest.mark.parametrize("name, least", [
    ("512 ports, one block after the other from 1024 on", 1), ("512 ports, anywhere", 0.85),
    ("1,024 ports, one block after the other from 1024 on", 0.9), ("1,024 ports, anywhere", 0.6),
    ("counts up, 200 connections of others between", 1)])
def test_most_clients_are_found_by_the_first_wave(results, name, least):
    assert results[name][0][0] >= least


def test_a_whole_plan_covers_blocks_and_sets(results):
    for name, (first, _, _) in results.items():
        if name.startswith("MAP") or (name.split(" ")[0] in ("128", "256", "512", "1,000", "1,024")
                                      and "steps" not in name):
            assert first[2] == pytest.approx(1), name


def test_knowing_the_network_does_no_harm(results):
    for name, (first, _, second) in results.items():
        assert second > first[0] - 0.03, name
        assert second > 0.85 or not name.startswith("MAP")


def test_better_than_chance(results):
    for name, (first, packets, _) in results.items():
        assert first[2] > 10 * packets / len(ALL) or name == "any port", name


if __name__ == "__main__":
    print(table(simulated()))
