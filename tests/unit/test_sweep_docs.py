"""docs/sweep.md names bounds: they are those of the code. Its table of the simulation: test_portplan_sim.py."""
import pathlib
import re

import pytest

from wgp2p import config, copier, networks, portplan, sweep, sweeper

PAGE = re.sub(r"\s+", " ", (pathlib.Path(__file__).resolve().parents[2] / "docs/sweep.md").read_text())
DEFAULTS = {name: config.SCHEMA["wgp2p"][name][1] for name in ("sweep", "sweep_rate", "sweep_entries", "sweep_share")}
RATE, ENTRIES = DEFAULTS["sweep_rate"], DEFAULTS["sweep_entries"]
KEPT_S = sweep.OPEN_MS // 1000
PORTS = portplan.LAST + 1 - portplan.FIRST
BITS = 8 * (20 + 8 + len(copier.OPENER))  # of IPv4, UDP and what is sent


@pytest.mark.parametrize("words, values", [
    ("({} bytes that mean nothing)", (len(copier.OPENER),)),
    ("All of the {:,} ports", (PORTS,)),
    *[("wave %d, up to {:,} ports" % number, (size,)) for number, size in enumerate(portplan.WAVES, 1)],
    ("not direct {} s later", (sweep.FIRST_MS // 1000,)),
    ("known to be symmetric, {} s later where it is known not to be", (sweep.OTHER_MS // 1000,)),
    ("The next one comes {} s after it", (sweep.WAVE_MS / 1000,)),
    ("refreshed {} s after it was sent, until {} s after the last wave", (sweep.REFRESH_MS // 1000, KEPT_S)),
    ("a pause of {} minute, of {} minutes, of {} minutes", [pause // 60000 for pause in sweep.PAUSES_MS]),
    ("a plan every {} minutes", (sweep.PAUSES_MS[-1] // 60000,)),
    ("With the defaults {} a second. Behind", (ENTRIES // KEPT_S,)),
    ("Never more than `sweep_entries` ports ({:,}) are opened in any {} s", (ENTRIES, KEPT_S)),
    ("No more than `sweep_rate` packets a second ({:,}): {} kbit/s", (RATE, RATE * BITS // 1000)),
    ("with the defaults {} packets a second", (ENTRIES // KEPT_S,)),
    ("{} kbit/s for moments, {} kbit/s in the long run", (RATE * BITS // 1000, ENTRIES * BITS // KEPT_S // 1000)),
    ("Then at most {} ports are tried", (sweeper.CAUTIOUS,)),
    ("went in the last {} minutes does not count", (sweeper._WENT_MS // 60000,)),
    ("{} networks for each client and {} in all", (networks.EACH, networks.MOST)),
    ("| `sweep` | `{}`, the default", (DEFAULTS["sweep"],)),
    ("packets a second, 10–10000; {} |", (RATE,)),
    ("64–16384; {} |", (ENTRIES,)),
    ("in percent, 1–90; {} |", (DEFAULTS["sweep_share"],)),
])
def test_numbers(words, values):
    assert words.format(*values) in PAGE


def test_how_long_all_ports_take():
    schedule, tried, now, quarters = sweep.Sweep(sweep.Limits("full", RATE, ENTRIES)), set(), 0, {}
    schedule.want(now, {"client": sweep.Target("198.51.100.7:31300", None, None)})
    while len(tried) < PORTS:
        now = max(now, schedule.next_ms())
        tried.update((schedule.take(now) or ("", ()))[1])
        quarters.setdefault(4 * len(tried) // PORTS, now)
    assert [round(quarters[number] / 60000) for number in (1, 2, 4)] == [4, 8, 16]
    assert "a quarter of the clients are found within 4 minutes, half within 8, all within 16" in PAGE


def test_the_order_is_that_of_the_plan():
    """What a wave is said to hold, it holds, wherever the port lies in its blocks."""
    for port in range(30720, 32768, 37):
        first, second, third = [{other for low, high in wave for other in range(low, high + 1)}
                                for wave in portplan.waves(port)]
        block = {size: set(range(port - port % size, port - port % size + size)) for size in (128, 256, 512, 1024)}
        assert block[128] | block[256] | block[512] | set(range(port - 256, port + 257)) <= first
        assert block[1024] | set(range(port - 512, port + 513)) | port_set(port, 12) <= first | second
        low = min(block[1024])
        assert set(range(low - 1024, low + 2048)) | port_set(port, 10) == first | second | third
    assert (len(port_set(port, 12)), len(port_set(port, 10))) == (240, 1008)


def port_set(port, bits):
    """MAP's ports of the same subscriber, as in test_portplan.py."""
    own = port % (1 << bits) // 16 * 16
    return {n << bits | own | i for n in range(1, 1 << 16 - bits) for i in range(16)}
