"""The service's unit: what it says, and what systemd's own programs say of it, where they are."""
import re
import shlex
import shutil
import subprocess

import pytest
import vpsworld  # noqa: F401 (makes wgp2p_install importable)
from wgp2p_install import paths, unit

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def values(text, name):
    return re.findall(r"^%s=(.*)" % name, text, re.M)


def test_what_the_service_may_do():
    text = unit.unit(["wg0", "wg1"], "/etc/wgp2p")
    for name in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert values(text, name) == ["CAP_NET_ADMIN CAP_NET_RAW"]
    assert set(values(text, "RestrictAddressFamilies")[0].split()) == {
        "AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"}
    assert values(text, "User") == values(text, "Group") == ["wgp2p"]
    assert values(text, "IPAddressDeny") == [], "it would cut off whatever is not for the tunnel"
    assert values(text, "ReadWritePaths") == ["/etc/wgp2p"]
    assert values(text, "RuntimeDirectory") == ["wgp2p"]
    assert "wg-quick@wg0.service wg-quick@wg1.service" in values(text, "After")[0]
    assert paths.MARK in text


def test_programs_that_are_started_as_root_are_few():
    text = unit.unit(["wg0"], "/etc/wgp2p", "/usr/sbin/nft", True)
    lines = [line for line in text.split("\n") if re.match(r"Exec\w+=\+", line)]
    assert lines[:2] == ["ExecStartPre=+-/usr/local/bin/wgp2p firewall", "ExecReload=+-/usr/local/bin/wgp2p firewall"]
    assert len(lines) == 3 and lines[2].startswith("ExecStopPost=+-/bin/sh -c 'case $$SERVICE_RESULT in ")
    assert "=+" not in unit.unit(["wg0"], "/etc/wgp2p")


@pytest.mark.parametrize("result", ["success", "timeout", "signal", "exit-code", "core-dump", "watchdog", "oom-kill"])
def test_tables_go_at_a_stop_and_outlive_a_crash(tmp_path, result):
    nft = tmp_path / "nft"
    nft.write_text('#!/bin/sh\nprintf "%s" "$*"\n')
    nft.chmod(0o755)
    words = shlex.split(values(unit.unit(["wg0"], "/etc/wgp2p", nft), "ExecStopPost")[0].replace("$$", "$"))
    assert words.pop(0) == "+-/bin/sh"
    said = subprocess.check_output(["/bin/sh", *words], env={"SERVICE_RESULT": result}, text=True)
    tables = re.findall(r"add table inet (\w+); delete table inet \1(?:; |$)", said)
    assert tables == (["wgp2p", "wgp2p_relay", "wgp2p_sessions"] if result in ("success", "timeout") else [])


@needs_systemd
def test_systemd_takes_it_and_finds_it_closed(tmp_path):
    text = unit.unit(["wg0"], "/etc/wgp2p", "/bin/true", True).replace(paths.LAUNCHER, "/bin/true")
    file = tmp_path / paths.SERVICE
    file.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.split("\n") if str(file) in line]
    assert not said and done.returncode == 0, done.stderr
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", file],
                          capture_output=True, text=True, check=False)
    if "offline" in done.stderr:
        pytest.skip("this systemd cannot look at a file")
    assert done.returncode == 0, done.stdout


def test_the_launcher_hides_what_the_caller_set(tmp_path):
    text = unit.launcher("/usr/bin/python3")
    assert text.startswith("#!/bin/sh\n") and " -I " in text, "no PYTHONPATH, no folder of the caller"
    assert paths.MARK in text
