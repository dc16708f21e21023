"""Another user's identity, with CAP_NET_ADMIN and CAP_NET_RAW at most (credentials(7), capabilities(7), capset(2)).

procd with ujail, and systemd, start the daemon that way already; this is for where neither is there, and for commands
of root that make files of the daemon's.
"""
import os
import struct

from .compat import libc
from .files import read_text

_NET_ADMIN, _NET_RAW = 12, 13  # linux/capability.h
_VERSION_3 = 0x20080522
_KEEPCAPS, _DROP_BOUND, _NO_NEW_PRIVS, _AMBIENT, _RAISE = 8, 24, 38, 47, 2  # linux/prctl.h, PR_…
_LAST_CAP = 63  # more than any kernel has
_PASSWD_LIMIT = 1 << 20


class PrivilegeError(Exception):
    """The user is not known here, or the kernel does not let us be it; the text says which."""


def find_user(name, passwd="/etc/passwd"):
    """(uid, gid) of a user of this machine. PrivilegeError."""
    try:
        lines = read_text(passwd, _PASSWD_LIMIT).split("\n")
    except (OSError, ValueError):
        raise PrivilegeError("%s cannot be read" % passwd)
    for line in lines:
        fields = line.split(":")
        if fields[0] == name and len(fields) > 3:
            try:
                return int(fields[2]), int(fields[3])
            except ValueError:
                break
    raise PrivilegeError("there is no user %s" % name)


def is_root():
    """Whether this process is root's."""
    return os.stat("/proc/self")[4] == 0


def is_possible():
    """Whether this Python can call the C library at all: OpenWrt's python3-light comes without ctypes."""
    return libc("i", "prctl", "iLLLL") is not None


def become(name, networking):
    """Be this user from now on, for good: with the capabilities for the network or with none. PrivilegeError: a part of
    it may have been done, and the process should end."""
    uid, gid = find_user(name)
    prctl = libc("i", "prctl", "iLLLL")
    kept = (_NET_ADMIN, _NET_RAW) if networking else ()
    for cap in range(_LAST_CAP + 1):
        if cap not in kept:
            prctl(_DROP_BOUND, cap, 0, 0, 0)
    for what, call, *arguments in (
            ("keep capabilities", prctl, _KEEPCAPS, 1 if networking else 0, 0, 0, 0),
            ("leave all groups", libc("i", "setgroups", "LP"), 0, None),
            ("be group %d" % gid, libc("i", "setgid", "I"), gid),
            ("be user %d" % uid, libc("i", "setuid", "I"), uid),
            ("limit capabilities", libc("i", "capset", "PP")) + _capabilities(kept),
            ("forbid new privileges", prctl, _NO_NEW_PRIVS, 1, 0, 0, 0)):
        if call(*arguments):
            raise PrivilegeError("this process cannot %s" % what)
    for cap in kept:  # for programs that need them, see process.start
        prctl(_AMBIENT, _RAISE, cap, 0, 0)


def _capabilities(kept):
    """The arguments of capset(2): header, and effective, permitted, inheritable, low words first."""
    low = sum([1 << cap for cap in kept])
    return struct.pack("Ii", _VERSION_3, 0), struct.pack("6I", low, low, low, 0, 0, 0)
