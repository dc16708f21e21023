"""1,000 peers and 100 subscribers on one publisher: the time from a change to the last of them, memory, CPU.

Runs on any machine as root (loopback only): `python3 tests/bench/load.py`. Its subscribers read the raw streams, so
that what is measured is the publisher.
"""
import os
import pathlib
import selectors
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS, DEVICES, MOVES = 1000, 100, 10
TICKS = os.sysconf("SC_CLK_TCK")


def words(name):
    """The words that start one of the two Pythons."""
    if name == "python3":
        return [sys.executable]
    found = subprocess.run([sys.executable, ROOT / "tests/tools/micropython"], check=True, capture_output=True,
                           text=True).stdout
    return [*shlex.split(found), "-X", "heapsize=16M"]


def memory_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Subscribers:
    """DEVICES open event streams; `wait` until every one of them has read a text."""

    def __init__(self, keep):
        self._selector = selectors.DefaultSelector()
        self._read = {}
        for number in range(DEVICES):
            sock = socket.socket()
            sock.bind((f"127.1.{number >> 8}.{number & 255}", 0))
            sock.connect(("127.0.0.1", 18080))
            token = (keep / f"tokens/device{number}").read_text().strip()
            sock.sendall(f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:18080\r\n"
                         f"Authorization: Bearer {token}\r\n\r\n".encode())
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ)
            self._read[sock] = b""

    def wait(self, text, seconds=300):
        """The monotonic ms at which the last one had it."""
        left, end = set(self._read), time.monotonic() + seconds
        for sock in left:
            self._read[sock] = self._read[sock][-len(text):]
        while left:
            assert time.monotonic() < end, f"{len(left)} subscribers have not heard {text!r}"
            for ready, _ in self._selector.select(0.1):
                data = self._read[ready.fileobj] + ready.fileobj.recv(65536)
                if text in data:
                    left.discard(ready.fileobj)
                self._read[ready.fileobj] = data[-200:]
        return time.monotonic() * 1000


def measure(name):
    with tempfile.TemporaryDirectory() as folder:
        package = str(ROOT / "package/wgp2p")
        process = subprocess.Popen(
            [*words(name), str(ROOT / "tests/bench/publisher_load.py"), str(PEERS), str(DEVICES), folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": package, "MICROPYPATH": package})
        try:
            assert process.stdout.readline() == "ready\n"
            begin = time.monotonic()
            subscribers = Subscribers(pathlib.Path(folder))
            subscribers.wait(b"]}")
            snapshots = time.monotonic() - begin
            took = []
            for number in range(1, MOVES + 1):
                process.stdin.write("move\n")
                process.stdin.flush()
                told = time.monotonic() * 1000  # MicroPython's clock starts at 0: ours is the one that counts
                process.stdout.readline()
                took.append(subscribers.wait(b"203.0.113.10:%d" % (20000 + number)) - told)
            before = cpu_s(process.pid)
            time.sleep(20)
            idle = (cpu_s(process.pid) - before) / 20
            print(f"{name:12} change to last subscriber {statistics.median(took):6.0f} ms "
                  f"({min(took):.0f} … {max(took):.0f})   {DEVICES} snapshots {snapshots:5.1f} s   "
                  f"memory {memory_kb(process.pid):6} kB   idle CPU {100 * idle:4.1f} %", flush=True)
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    print(f"{PEERS} peers, {DEVICES} subscribers")
    for python in ("micropython", "python3"):
        measure(python)
