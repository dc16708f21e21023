"""memory.py: what a publisher remembers, when it is written and what is believed of it."""
import os

from fakewg import key
from folders import new_folder
from helpers import VirtualLoop

from wgp2p.files import exists, read_text, write_private
from wgp2p.memory import FLASH_EVERY_MS, Memory

HOME, AWAY = "203.0.113.31:36906", "[2001:db8::7]:40000"


class Bench:
    """A Memory with folders of its own; `start` begins anew, as after a restart."""

    def __init__(self):
        self.folder = new_folder()
        self.tmpfs = self.folder + "/state/endpoints-wg0.json"
        self.flash = self.folder + "/keep/endpoints-wg0.json"
        self.told = []
        self.start()

    def start(self):
        self.loop = VirtualLoop()
        self.memory = Memory(self.loop, self.folder + "/state", self.folder + "/keep", "wg0", self.told.append)
        self.memory.load()
        return self.memory.endpoints

    def flash_text(self):
        return read_text(self.flash, 10000) if exists(self.flash) else None


def test_a_change_is_on_tmpfs_a_second_later():
    bench = Bench()
    bench.memory.remember({key(1): HOME})
    bench.loop.advance(999)
    assert not exists(bench.tmpfs)
    bench.memory.remember({key(1): AWAY})
    bench.loop.advance(1)
    assert os.stat(bench.tmpfs)[0] & 0o777 == 0o600
    assert bench.flash_text() is None
    assert bench.start() == {key(1): AWAY} and bench.told == []


def test_flash_every_quarter_of_an_hour():
    bench = Bench()
    writes = []
    for step in range(240):
        bench.memory.remember({key(1): "203.0.113.1:%d" % (1 + step)})
        before = bench.flash_text()
        bench.loop.advance(15000)
        if bench.flash_text() != before:
            writes.append(step + 1)
    assert writes == [60, 120, 180, 240], writes


def test_the_last_change_comes_to_flash_too():
    bench = Bench()
    bench.memory.remember({key(1): HOME})
    bench.loop.advance(FLASH_EVERY_MS - 1)
    assert bench.flash_text() is None
    bench.loop.advance(1)
    assert HOME in bench.flash_text()
    bench.loop.advance(10 * FLASH_EVERY_MS)
    bench.memory.remember({key(1): AWAY})
    bench.loop.advance(1000)
    assert AWAY in bench.flash_text(), "the last one is long ago"


def test_nothing_is_written_without_a_change():
    bench = Bench()
    bench.memory.remember({key(1): HOME})
    bench.memory.close()
    os.remove(bench.tmpfs)
    os.remove(bench.flash)
    bench.memory.remember({key(1): HOME})
    bench.loop.advance(2 * FLASH_EVERY_MS)
    bench.memory.close()
    assert not exists(bench.tmpfs) and not exists(bench.flash)


def test_a_clean_stop_writes_both():
    bench = Bench()
    bench.memory.remember({key(1): HOME, key(2): AWAY})
    bench.memory.close()
    assert bench.flash_text() == read_text(bench.tmpfs, 10000)
    assert bench.loop._timers.next_ms() is None, "no timer is left"
    os.remove(bench.tmpfs)
    assert bench.start() == {key(1): HOME, key(2): AWAY}, "after a reboot"


def test_tmpfs_is_the_newer():
    bench = Bench()
    bench.memory.remember({key(1): HOME})
    bench.memory.close()
    bench.start()
    bench.memory.remember({key(1): AWAY})
    bench.loop.advance(1000)
    assert bench.start() == {key(1): AWAY}


CORRUPT = ("", "{", "[]", "7", "null", '{"endpoints": []}', '{"endpoints": {}', '{"endpoints": {"x": "y"}} rubbish',
           '{"peers": {}}', "[" * 5000, "\x00")


def test_corrupt_files_are_ignored():
    for text in CORRUPT:
        bench = Bench()
        write_private(bench.tmpfs, text)
        assert bench.start() == {} and len(bench.told) == 1 and bench.tmpfs in bench.told[0], (text, bench.told)
        bench.memory.remember({key(1): HOME})
        bench.memory.close()
        assert bench.start() == {key(1): HOME}, "and replaced"


def test_a_corrupt_file_on_tmpfs_leaves_the_one_on_flash():
    bench = Bench()
    write_private(bench.flash, '{"endpoints": {"%s": "%s"}}' % (key(1), HOME))
    write_private(bench.tmpfs, "{")
    assert bench.start() == {key(1): HOME}


def test_only_what_is_valid_is_taken():
    rows = ['"%s": "%s"' % (key(1), HOME), '"%s": 7' % key(2), '"%s": null' % key(3), '"%s": ["%s"]' % (key(4), HOME),
            '"short": "%s"' % HOME, '"%s": "host:1"' % key(5), '"%s": "1.2.3.4:0"' % key(6), '"": "%s"' % HOME,
            '"%s": "[2001:DB8:0::7]:40000"' % key(7), '"%s": {"a": 1}' % key(8)]
    bench = Bench()
    write_private(bench.tmpfs, '{"endpoints": {%s}}' % ", ".join(rows))
    assert bench.start() == {key(1): HOME, key(7): AWAY} and bench.told == []


def test_too_large():
    bench = Bench()
    write_private(bench.tmpfs, "")
    out = open(bench.tmpfs, "wb")
    try:
        for _ in range(257):
            out.write(b" " * 4096)
    finally:
        out.close()
    assert bench.start() == {} and "larger than" in bench.told[0]


def test_a_folder_that_cannot_be_written():
    bench = Bench()
    write_private(bench.folder + "/state", "a file in its place")
    bench.memory.remember({key(1): HOME})
    bench.loop.advance(1000)
    assert len(bench.told) == 1 and bench.tmpfs in bench.told[0]
    bench.memory.close()
    assert HOME in bench.flash_text()
