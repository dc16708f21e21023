"""A RelayTable in a program of its own, under either Python: a command a line on standard input, [method, arguments],
an answer a line on standard output, [value or None, error or None, ready, problem, forwarding, calls of changed]."""
import json
import sys

from wgp2p.compat import tune_heap
from wgp2p.loop import READ, Loop
from wgp2p.process import read_fd
from wgp2p.relaytable import RelayTable, RelayTableError

calls = []
loop = Loop()
table = RelayTable(loop, lambda: calls.append(1))
rest = b""
running = True


def readable(_):
    global rest
    data = read_fd(0)
    if data == b"":  # the test has ended
        stop()
    rest += data or b""
    while b"\n" in rest:
        line, _, rest = rest.partition(b"\n")
        answer(*json.loads(line))


def answer(method, arguments):
    value = error = None
    if method == "close":
        table.close(stop)
        return
    try:
        if method != "state":
            value = getattr(table, method)(*arguments)
    except RelayTableError as caught:
        error = str(caught)
    say([value, error, table.ready, table.problem, table.forwarding, len(calls)])


def say(words):
    sys.stdout.write(json.dumps(words) + "\n")
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


def stop():
    global running
    running = False


tune_heap()
loop.watch(0, READ, readable)
while running:
    loop.run_once(1000)
