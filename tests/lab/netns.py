"""Network namespaces: making them, running tools in them, opening sockets in them.

Every namespace of the lab has the prefix below, so nothing of the machine's own is ever touched. A name
without it ("pub") is what callers use; None is the machine's own namespace.
"""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys

PREFIX = "wgp2p-"
FOLDER = pathlib.Path("/run/netns")
RESOLVERS = pathlib.Path("/etc/netns")
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

verbose = bool(os.environ.get("WGP2P_LAB_VERBOSE"))  # print every tool that runs
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(RuntimeError):
    """A tool failed: where, which, and what it said."""


def full_name(name):
    return PREFIX + name


@contextlib.contextmanager
def inside(name):
    """This thread, and what it opens or starts, in a namespace."""
    if name is None:
        yield
        return
    back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(FOLDER / full_name(name), os.O_RDONLY)
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(back)
    finally:
        os.close(back)


def _setns(descriptor):  # os.setns() came with Python 3.12
    if _libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))


def call(name, *words, text="", check=True):
    """Run one tool in a namespace and return what it printed. LabError when it failed."""
    if verbose:
        print(f"[{name or '-'}] {' '.join(words)}" + "".join("\n    " + line for line in text.splitlines()),
              file=sys.stderr)
    with inside(name):
        done = subprocess.run(words, input=text, text=True, capture_output=True, check=False)
    if check and done.returncode:
        raise LabError(f"{name}: {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}\n{text}")
    return done.stdout


def batch(name, tool, *lines):
    """Several lines for `ip` or `tc` in one go."""
    call(name, tool, "-batch", "-", text="\n".join(lines) + "\n")


def nft(name, rules):
    """Load an nftables script."""
    call(name, "nft", "-f", "-", text=rules)


def sysctl(name, **values):
    """net.* settings; __ stands for the separator: ipv4__ip_forward=1."""
    with inside(name):
        for key, value in values.items():
            pathlib.Path("/proc/sys/net", key.replace("__", "/")).write_text(str(value))


def command(name, *words):
    """The words that start a program in a namespace, with the namespace's own /sys and /etc/resolv.conf.
    (`ip` replaces itself, so the process started is the program.)"""
    return ["ip", "netns", "exec", full_name(name), *words]


def open_socket(name, *arguments):
    """A socket that lives in a namespace."""
    with inside(name):
        return socket.socket(*arguments)


def create(*names):
    """Make namespaces that forward packets."""
    batch(None, "ip", *[f"netns add {full_name(name)}" for name in names])
    for name in names:
        sysctl(name, ipv4__ip_forward=1, ipv6__conf__all__forwarding=1, ipv6__conf__all__accept_dad=0,
               ipv6__conf__default__accept_dad=0)
        with inside(name):
            _loopback_up()


def _loopback_up():  # without a program: that takes 0.1 s in the emulated VM
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def set_resolver(name, address):
    """What programs that start in a namespace find in /etc/resolv.conf."""
    folder = RESOLVERS / full_name(name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "resolv.conf").write_text(f"nameserver {address}\n")


def pids():
    """The processes that run in any of the lab's namespaces."""
    ours = {os.stat(path).st_ino for path in FOLDER.glob(PREFIX + "*")}
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            if os.stat(entry / "ns/net").st_ino in ours:
                found.append(int(entry.name))
    return found


def delete_all():
    """End what runs in the lab's namespaces and delete them."""
    for pid in pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    names = [path.name for path in FOLDER.glob(PREFIX + "*")]
    if names:
        batch(None, "ip", *[f"netns delete {name}" for name in names])
    for folder in RESOLVERS.glob(PREFIX + "*"):
        (folder / "resolv.conf").unlink(missing_ok=True)
        folder.rmdir()
