"""What wgp2p costs and how fast it is, on a real kernel, beside the same job done by polling in the same run.

  bench.py [roams] [idle] [flows] [micropython] [python3] [polling]     default: all; prints, asserts nothing

CPU seconds in an emulated VM are many times the host's: only their ratio within one run means something.
"""
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

import netns
from daemon import PYTHONS
from pairs import start_pair
from programs import Pinger, Watch
from topology import Topology
from waiting import wait_for

HERE = pathlib.Path(__file__).resolve().parent
ROAMS, BASELINE_ROAMS = 12, 4
IDLE_S = 120
ONE_WAY_S = 0.020
FLOWS_S = 10
TICKS = os.sysconf("SC_CLK_TCK")


class Loop:
    """The polling loop on a server and a device, with the Daemon's measures."""

    def __init__(self, lab, host, role, address):
        words = netns.command(host, "python3", str(HERE / "polling_loop.py"), role, address)
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self._process.pid

    def memory_kb(self):
        return memory_kb(self.pid)

    def cpu_s(self):
        return cpu_s(self.pid)

    def kill(self):
        self._process.kill()
        self._process.wait()


def memory_kb(pid):
    """Resident memory of a process."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def cpu_s(pid):
    """CPU time of a process and the children that it waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def processes_started():
    """How many processes this machine has started since it booted."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if line.startswith("processes "):
            return int(line.split()[1])
    return 0


def spread(seconds):
    """`median (least … most)` in ms."""
    return (f"{1000 * statistics.median(seconds):6.0f} ms  ({1000 * min(seconds):.0f} … {1000 * max(seconds):.0f}, "
            f"n={len(seconds)})")


def start(lab, kind, **options):
    """(publisher, subscriber) of one kind; options: of our publisher."""
    if kind in PYTHONS:
        return start_pair(lab, kind, **options)
    pair = [Loop(lab, "pub", "publisher", lab.tunnel("pub")), Loop(lab, "rem", "subscriber", lab.tunnel("pub"))]
    lab.daemons += pair
    time.sleep(10)  # nothing tells that Flask is up but its answer to the next poll
    return pair


def roams(kind):
    """A busy client that roams: how long until it is answered again, and which part of that is ours."""
    lab = Topology()
    try:
        lab.up()
        start(lab, kind, relay="0")  # the polling loop has none
        watches = {host: Watch(host) for host in ("pub", "rem")}
        lab.move("cli0", "nata")
        lab.wg_up("cli0")
        busy = [Pinger("cli0", lab.tunnel("rem"), 0.2), Pinger("cli0", lab.tunnel("pub"), 1)]
        wait_for(lambda: busy[0].replies, 60, "the first answer")
        whole, ours = [], []
        for number in range(ROAMS if kind in PYTHONS else BASELINE_ROAMS):
            network = ("natb", "nata")[number % 2]
            time.sleep(1.5)
            moved = lab.move("cli0", network)
            whole.append(busy[0].wait_after(moved, 60))
            address = lab.seen_as("cli0")
            heard = watches["pub"].first(moved, source=address)
            called = watches["rem"].first(moved, destination=address)
            if heard and called:
                ours.append(max(0.0, called - heard - ONE_WAY_S))
        for pinger in busy:
            pinger.stop()
        print(f"{kind:12} roam to first answer {spread(whole)}")
        if ours:
            print(f"{'':12} of it ours        {spread(ours)}", flush=True)
    finally:
        lab.down()


def idle(kind):
    """One idle client connected: memory, CPU, what goes through the tunnel, programs started."""
    lab = Topology()
    try:
        lab.up()
        pair = start(lab, kind)
        lab.move("cli0", "nata")
        lab.wg_up("cli0")
        wait_for(lambda: lab.peer("rem", "cli0").rx, 60, "connected")
        time.sleep(10)

        def sample():
            peer = lab.peer("rem", "pub")
            return [cpu_s(part.pid) for part in pair], peer.rx + peer.tx, processes_started()

        before = sample()
        time.sleep(IDLE_S)
        after = sample()
        minutes = IDLE_S / 60
        cpus = [(late - early) / minutes for early, late in zip(before[0], after[0])]
        print(f"{kind:12} publisher {pair[0].memory_kb():6} kB {cpus[0]:6.2f} CPU s/min   "
              f"subscriber {pair[1].memory_kb():6} kB {cpus[1]:6.2f} CPU s/min   "
              f"tunnel {(after[1] - before[1]) / minutes / 1000:5.1f} kB/min   "
              f"programs {(after[2] - before[2] - 1) / minutes:4.0f}/min", flush=True)
    finally:
        lab.down()


def flows(kind):
    """New flows at other ports of the public server: they must not wake the daemon."""
    lab = Topology()
    try:
        lab.up()
        publisher, _ = start_pair(lab, kind)
        sender = netns.open_socket("pub", socket.AF_INET, socket.SOCK_DGRAM)
        count = 0
        resting = cpu_s(publisher.pid)
        time.sleep(FLOWS_S)
        resting = cpu_s(publisher.pid) - resting
        before, begin = cpu_s(publisher.pid), time.monotonic()
        while time.monotonic() - begin < FLOWS_S:
            for _ in range(20):  # 2,000 a second where the machine can
                sender.sendto(b"x", ("10.77.1.1", 1024 + count % 40000))
                count += 1
            time.sleep(max(0.0, begin + count / 2000 - time.monotonic()))
        took = time.monotonic() - begin
        used = cpu_s(publisher.pid) - before
        print(f"{kind:12} {count / took:5.0f} foreign flows/s: {100 * used / took:.2f} % CPU "
              f"(at rest {100 * resting / FLOWS_S:.2f} %)", flush=True)
    finally:
        lab.down()


def main(words):
    kinds = [kind for kind in (*PYTHONS, "polling") if kind in words] or [*PYTHONS, "polling"]
    wanted = [word for word in words if word not in kinds] or ["roams", "idle", "flows"]
    if "idle" in wanted:
        print("\nIdle, one client connected (two minutes each)", flush=True)
        for kind in kinds:
            idle(kind)
    if "roams" in wanted:
        print("\nRoam of a busy client (one way between two wires: 20 ms)", flush=True)
        for kind in kinds:
            roams(kind)
    if "flows" in wanted:
        print("\nFlows that are none of ours", flush=True)
        for kind in PYTHONS:
            if kind in kinds:
                flows(kind)


if __name__ == "__main__":
    main(sys.argv[1:])
