"""files/usr/bin/wgp2p under both Pythons."""
import pathlib
import subprocess
import sys

import pytest
from test_traps import load

from wgp2p import VERSION

PROJECT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("interpreter", ["micropython", "python3"])
def test_nothing_is_run_but_what_is_installed(tmp_path, interpreter):
    """Such as /tmp, or /etc/wgp2p, into which the daemon's user may write. Nor what the environment names: rpcd sets it
    as a user of LuCI says who may run this."""
    words = load("micropython").command() if interpreter == "micropython" else [sys.executable]
    for name in ("wgp2p/__init__.py", "wgp2p/cli.py", "wgp2p/__main__.py", "errno.py", "heapq.py", "json.py"):
        planted = tmp_path / name
        planted.parent.mkdir(exist_ok=True)
        planted.write_text("print('planted')\n")
    launcher = tmp_path / "bin/wgp2p"
    launcher.parent.mkdir()
    text = (PROJECT / "files/usr/bin/wgp2p").read_text()
    launcher.write_text(text.replace("/usr/lib", str(PROJECT / "package/wgp2p")))
    python = launcher.with_name(interpreter)
    python.write_text('#!/bin/sh\nexec %s "$@"\n' % " ".join(words))
    for path in (launcher, python):
        path.chmod(0o755)
    environment = {"PATH": str(launcher.parent), "WGP2P_PYTHON": "/bin/echo planted", "WGP2P_LIB": str(tmp_path),
                   "PYTHONPATH": str(tmp_path), "MICROPYPATH": str(tmp_path)}
    (tmp_path / "config").write_text("config wgp2p\n\toption enabled '0'\n")

    def run(*arguments):
        return subprocess.run([launcher, *arguments], cwd=tmp_path, env=environment, text=True,
                              capture_output=True, check=False, timeout=60)

    assert run("--version").stdout == "wgp2p %s\n" % VERSION
    done = run("--config", "config", "check")
    assert (done.returncode, done.stdout) == (0, "config: no errors; switched off by option enabled\n"), done.stderr
    assert run("--config", "a  b", "check").stderr == "wgp2p: error: a  b: cannot be read (errno 2)\n"
    assert run("nonsense").returncode == 2
