"""Fixtures of the lab's scenarios. They are collected only where tests/lab/run starts them: as root, on a
kernel with WireGuard, this machine's or the VM's."""
import os
import pathlib
import re
import time

import pytest

IN_VM = "WGP2P_LAB_VM" in os.environ
if "WGP2P_LAB" not in os.environ:
    collect_ignore_glob = ["test_*.py"]

REPORT = pytest.StashKey()


def pytest_addoption(parser):
    group = parser.getgroup("lab")
    group.addoption("--shard", metavar="I/N", default="1/1", help="run the I-th of N parts of the tests")
    group.addoption("--interpreter", choices=("micropython", "python3"), action="append",
                    help="only under this Python (default: both)")
    group.addoption("--slow", action="store_true",
                    help="the slow scenarios under both Pythons, too (default: under MicroPython alone), and the "
                         "long ones (default: not at all)")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes a while; under both Pythons only with --slow")
    config.addinivalue_line("markers", "long: others show the same in less time, or in part; only with --slow")


def pytest_generate_tests(metafunc):
    if "interpreter" in metafunc.fixturenames:
        from daemon import PYTHONS
        asked = metafunc.config.getoption("interpreter")
        slow = metafunc.definition.get_closest_marker("slow") and not metafunc.config.getoption("slow")
        metafunc.parametrize("interpreter", asked or (PYTHONS[:1] if slow else PYTHONS))


def pytest_collection_modifyitems(config, items):
    if not config.getoption("slow"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    part, parts = [int(word) for word in config.getoption("shard").split("/")]
    away = [item for number, item in enumerate(items) if number % parts != part - 1]
    if away:
        config.hook.pytest_deselected(items=away)
        items[:] = [item for number, item in enumerate(items) if number % parts == part - 1]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.stash.setdefault(REPORT, {})[report.when] = report
    return report


@pytest.fixture
def make_lab(request):
    """make_lab(...): a running Topology with these arguments, at most one a test; daemons that were started with
    `lab.daemon(...)` end with it. What it looked like is kept when the test failed."""
    from topology import Topology
    made = []

    def make(**arguments):
        assert not made, "one lab a test"
        start = time.monotonic()
        lab = Topology(**arguments)
        # All others are about direct paths, and their clients have the profile of the two-peer kind.
        name = request.module.__name__
        lab.relays = "relay" in name or "sweep" in name
        # Who can be direct, and who cannot, is said of plain tries.
        lab.sweep = {} if "sweep" in name else {"sweep": "off"}
        made.append(lab)
        lab.up()
        print(f"lab up in {time.monotonic() - start:.1f} s")
        return lab

    yield make
    for lab in made:
        try:
            reports = request.node.stash.get(REPORT, {})
            if any(report.failed for report in reports.values()):
                keep(request.node, lab)
        finally:
            lab.down()


@pytest.fixture
def lab(make_lab):
    """The Topology with one of everything and two client NATs, all cones."""
    return make_lab()


def keep(item, lab):
    """Artifacts of a failed test: every file in a folder of its own, the daemons' logs in the report too."""
    out = os.environ.get("WGP2P_LAB_OUT")
    found = lab.dump()
    found.update((f"{daemon.host}.log", daemon.log()) for daemon in lab.daemons)
    found.update((f"{daemon.host}.config", daemon.config_path.read_text()) for daemon in lab.daemons)
    if out:
        folder = pathlib.Path(out, re.sub(r"[^A-Za-z0-9.-]+", "_", item.name))
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            (folder / name).write_text(text)
    for name, text in sorted(found.items()):
        if name.endswith((".log", ".wg")):
            item.stash[REPORT]["call" if "call" in item.stash[REPORT] else "setup"].sections.append(
                (name, "\n".join(text.splitlines()[-60:])))


@pytest.fixture
def clock():
    """clock(unix seconds): set this machine's clock, which is set right again afterwards. Only in the VM. No kernel
    takes a time before its own boot: the first moments of 1970 are time.monotonic()."""
    if not IN_VM:
        pytest.skip("sets the machine's clock: only in the VM")
    real, ticks = time.time(), time.monotonic()
    yield lambda moment: time.clock_settime(time.CLOCK_REALTIME, moment)
    time.clock_settime(time.CLOCK_REALTIME, real + time.monotonic() - ticks)
