"""privileges.py for real, where the test is root: in a process of its own, which cannot come back."""
import os
import sys

from folders import new_folder
from helpers import Skip, drive, raises

from wgp2p import privileges, process
from wgp2p.compat import MICROPYTHON
from wgp2p.loop import Loop

BOTH = (1 << 12) | (1 << 13)
CHILD = """
try:
    import subprocess  # the user may not be allowed to read Python's own files
except ImportError:
    pass
from wgp2p import privileges, process
from wgp2p.loop import Loop
privileges.become('nobody', %s)
process.drop_ambient()
for line in open('/proc/self/status'):
    print(line.strip())
loop = Loop()
for privileged in (True, False):
    done = []
    process.start(loop, ['cat', '/proc/self/status'], done.append, privileged=privileged)
    while not done:
        loop.run_once(100)
    print(done[0].out.decode())
"""


def statuses(networking):
    """/proc/self/status of a process that became nobody, of a privileged child of it, and of another, as dicts."""
    if not privileges.is_root():
        raise Skip("not root")
    words = ["micropython" if MICROPYTHON else sys.executable, "-c", CHILD % networking]
    if MICROPYTHON:
        words[:1] = [word for word in open("/proc/self/cmdline").read().split("\0") if word][:-2]
    path = privileges.__file__.rpartition("/wgp2p/")[0]
    loop, done = Loop(), []
    process.start(loop, words, done.append, environment=["PYTHONPATH=" + path, "MICROPYPATH=" + path])
    drive(loop, lambda: done)
    assert done[0].code == 0, done[0].err
    found = []
    for line in done[0].out.decode().split("\n"):
        name, _, value = line.partition(":")
        if name == "Name":
            found.append({})
        if value:
            found[-1][name] = value.split()
    assert len(found) == 3
    return found


def test_with_the_network():
    own, privileged, other = statuses(True)
    uid, gid = [str(number) for number in privileges.find_user("nobody")]
    for one in (own, privileged, other):
        assert one["Uid"] == [uid] * 4 and one["Gid"] == [gid] * 4 and one.get("Groups", []) == []
        assert one["NoNewPrivs"] == ["1"]
    for name in ("CapEff", "CapPrm"):
        assert int(own[name][0], 16) == BOTH == int(privileged[name][0], 16), name
        assert int(other[name][0], 16) == 0
    assert int(own["CapBnd"][0], 16) == BOTH
    assert int(own["CapAmb"][0], 16) == 0, "children get them only when asked for"


def test_with_nothing():
    for one in statuses(False):
        for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"):
            assert int(one[name][0], 16) == 0, name
        assert one["Uid"][0] == str(privileges.find_user("nobody")[0])


def test_find_user():
    path = new_folder() + "/passwd"
    out = open(path, "w")
    out.write("root:x:0:0:root:/root:/bin/ash\nwgp2p:x:4711:4712::/var:/bin/false\nodd:x:y:1:\nshort:x\n\n")
    out.close()
    assert privileges.find_user("wgp2p", path) == (4711, 4712)
    for name in ("wgp", "odd", "short", "", "wgp2p:x"):
        assert str(raises(privileges.PrivilegeError, privileges.find_user, name, path)).startswith("there is no user")
    assert "cannot be read" in str(raises(privileges.PrivilegeError, privileges.find_user, "root", path + "x"))


def test_nobody_to_become():
    before = os.stat("/proc/self")[4]
    raises(privileges.PrivilegeError, privileges.become, "no-such-user-here", True)
    assert os.stat("/proc/self")[4] == before
