#!/usr/bin/env python3
"""The demo: on this machine where it can be the lab, otherwise in the lab's VM; `tests/lab/demo` starts it."""
import argparse
import fcntl
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from demo_screen import Screen
from demo_story import play

HERE = pathlib.Path(__file__).resolve().parent
VM_LIMIT_S = 240
INTRODUCTION = """
A phone has the WireGuard app and nothing else. It wants to reach a router
behind its provider's NAT, without a public address or an open port. Both reach
a small public server. With wgp2p on server and router they talk directly where
that is possible, and through the server where it is not, with one profile on
the phone. The server cannot read a word of it.
"""


def build_image(live):
    """The VM's image, with the seconds counted while it is made (unless sudo may have to ask for a password)."""
    begin = time.monotonic()
    building = subprocess.Popen([HERE / "vm", "build"])
    printed = 0
    while building.poll() is None:
        time.sleep(0.2)
        seconds = time.monotonic() - begin
        if os.geteuid() == 0 and seconds - printed > (1 if live else 15):
            printed = seconds
            sys.stdout.write(f"  {seconds:3.0f} s" + ("\r" if live else "\n"))
            sys.stdout.flush()
    if building.returncode:
        sys.exit(building.returncode)


def in_vm(words):
    """The story in a VM of its own, which ends with us; the exit code."""
    command = [HERE / "vm", "run", "--limit", str(VM_LIMIT_S), "--", "python3", "tests/lab/demo.py", *words]
    vm = subprocess.Popen(command, start_new_session=True)  # Ctrl-C is for us
    try:
        return vm.wait()
    finally:
        if vm.poll() is None:
            vm.terminate()
            vm.wait()


def why_not_here():
    """What tests/lab/run says that this machine lacks."""
    loader = importlib.machinery.SourceFileLoader("lab_run", str(HERE / "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module.why_not_here()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--story", help=argparse.SUPPRESS)  # in the VM: what the host knows of its terminal
    parser.add_argument("--vm", action="store_true", help="in the VM even where this machine could do it")
    options = parser.parse_args()
    if options.story:
        return play(Screen(write, **json.loads(options.story)))

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: sys.exit(128 + got))
    live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    size = shutil.get_terminal_size() if live else (0, 0)
    facts = {"columns": size[0], "rows": size[1], "unicode": os.environ.get("WGP2P_DEMO_CHARSET") == "UTF-8",
             "colour": "NO_COLOR" not in os.environ}
    print(INTRODUCTION, flush=True)
    reason = "asked to" if options.vm else why_not_here()
    try:
        if not reason:
            with open("/run/wgp2p-lab.lock", "w") as lock:  # the namespaces have fixed names
                fcntl.flock(lock, fcntl.LOCK_EX)
                return play(Screen(write, **facts))
        print(f"The demo runs in a small virtual machine ({reason}).", flush=True)
        build_image(live)
        print("It boots within about 15 seconds; all ends by itself after a minute or two.", flush=True)
        return in_vm(["--story", json.dumps(facts)])
    except KeyboardInterrupt:
        return 130
    finally:
        if live:
            write("\x1b[?25h")  # the cursor, if we were stopped


def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
