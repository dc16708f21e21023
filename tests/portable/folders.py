"""Folders that are gone when the tests are over."""
import os
import sys

from wgp2p.compat import random_below
from wgp2p.files import exists, make_folder

_made = []


def new_folder():
    """An empty folder of one's own, mode 0700."""
    path = "/tmp/wgp2p-test-%d" % random_below(1 << 32)
    make_folder(path)
    if not _made:
        _at_exit(_clean)
    _made.append(path)
    return path


def _at_exit(call):
    if hasattr(sys, "atexit"):  # MicroPython
        sys.atexit(call)
    else:
        import atexit

        atexit.register(call)


def _clean():
    for path in _made:
        _remove(path)


def _remove(path):
    try:
        os.remove(path)
    except OSError:
        if exists(path):
            for name in os.listdir(path):
                _remove(path + "/" + name)
            os.rmdir(path)
