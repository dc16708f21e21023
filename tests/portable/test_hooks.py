"""hooks.py with real programs: who is run, with what, one after another, and what a bad one costs."""
import os

from folders import new_folder
from helpers import drive

from wgp2p import hooks, log
from wgp2p.loop import Loop


class Bench:
    def __init__(self):
        self.folder = new_folder()
        self.loop = Loop()
        self.logged = []
        self._write, log._write = log._write, lambda level, text: self.logged.append(text)
        self.hooks = hooks.Hooks(self.loop, self.folder + "/hooks.d")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        log._write = self._write

    def add(self, name, lines, mode="755"):
        os.system("mkdir -p %s/hooks.d" % self.folder)
        path = "%s/hooks.d/%s" % (self.folder, name)
        out = open(path, "w")
        out.write("#!/bin/sh\n" + lines)
        out.close()
        assert os.system("chmod %s %s" % (mode, path)) == 0

    def said(self):
        try:
            source = open(self.folder + "/said")
        except OSError:
            return []
        try:
            return source.read().split()
        finally:
            source.close()

    def say(self):
        return "echo ${0##*/}:$ADDRESS >>%s/said\n" % self.folder


def test_in_order_with_the_environment():
    with Bench() as bench:
        bench.hooks.tell(["ADDRESS=1"])  # no folder: nothing happens
        for name in ("20-b", "10-a", "30-c"):
            bench.add(name, bench.say())
        bench.hooks.tell(["ADDRESS=2"])
        drive(bench.loop, lambda: len(bench.said()) == 3)
        assert bench.said() == ["10-a:2", "20-b:2", "30-c:2"] and bench.logged == []


def test_who_is_not_run():
    with Bench() as bench:
        bench.add("a", bench.say(), "644")
        bench.add("b", bench.say(), "777")
        bench.add("c~", bench.say())
        bench.add(".d", bench.say())
        os.system("mkdir -p %s/hooks.d/e" % bench.folder)
        bench.add("f", "exit 3\n")
        bench.add("g", "echo first >&2; echo last >&2; exit 4\n")
        bench.add("z", bench.say())
        bench.hooks.tell(["ADDRESS=1"])
        drive(bench.loop, lambda: bench.said())
        assert bench.said() == ["z:1"]
        path = bench.folder + "/hooks.d/"
        assert bench.logged == ["hook %sb is not run: others may change it (chmod go-w)" % path,
                                "hook %sf: exit code 3" % path, "hook %sg: exit code 4: last" % path], bench.logged


def test_the_newest_counts_while_one_runs():
    with Bench() as bench:
        bench.add("a", "while [ ! -e %s/go ]; do sleep 0.05; done\n" % bench.folder + bench.say())
        for number in range(5):
            bench.hooks.tell(["ADDRESS=%d" % number])
        open(bench.folder + "/go", "w").close()
        drive(bench.loop, lambda: len(bench.said()) == 2)
        assert bench.said() == ["a:0", "a:4"]


def test_one_that_never_ends():
    with Bench() as bench:
        limit, hooks.TIMEOUT_MS = hooks.TIMEOUT_MS, 100
        try:
            bench.add("a", "exec sleep 60\n")
            bench.add("b", bench.say())
            bench.hooks.tell(["ADDRESS=1"])
            drive(bench.loop, lambda: bench.said())
            assert len(bench.logged) == 1 and "a: stopped after" in bench.logged[0]
        finally:
            hooks.TIMEOUT_MS = limit


def test_close_ends_what_runs():
    with Bench() as bench:
        bench.add("a", "echo $$ >%s/pid; exec sleep 60\n" % bench.folder)
        bench.hooks.tell(["ADDRESS=1"])

        def pid():
            try:
                return open(bench.folder + "/pid").read().strip()
            except OSError:
                return ""

        drive(bench.loop, pid)
        bench.hooks.close()
        drive(bench.loop, lambda: os.system("kill -0 %s 2>/dev/null" % pid()) != 0)
        assert bench.said() == []
