"""The DDNS examples of docs/examples/ddns: what they call, and with what."""
import pathlib
import subprocess

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "docs/examples/ddns"
CHANGE = {"ACTION": "address", "INTERFACE": "wg0", "PUBLISHER": "vps", "ADDRESS": "203.0.113.9", "PORT": "51820",
          "PREVIOUS_ADDRESS": "198.51.100.7", "PREVIOUS_PORT": "51820"}


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


class OpenWrt:
    """Runs the hotplug script as procd does: sourced by a shell."""

    def __init__(self, root):
        self.root = root
        program(root / "etc/init.d/ddns", 'echo "$* IPKG_INSTROOT=$IPKG_INSTROOT" >>%s/calls\n' % root)
        (root / "var/run").mkdir(parents=True)
        text = (EXAMPLES / "50-ddns").read_text()
        (root / "hook").write_text(text.replace("/etc/init.d", "%s/etc/init.d" % root)
                                   .replace("=/var/run", "=%s/var/run" % root))
        self.address = root / "var/run/wgp2p.address"

    def run(self, **changes):
        """The calls of /etc/init.d/ddns."""
        (self.root / "calls").write_text("")
        subprocess.run(["busybox", "ash", "-c", "logger() { :; }\n. %s/hook" % self.root], check=True, timeout=60,
                       env=dict(dict(CHANGE, PATH="/usr/bin:/bin"), **changes))
        return (self.root / "calls").read_text().splitlines()


def test_on_openwrt_ddns_scripts_are_woken(tmp_path):
    router = OpenWrt(tmp_path)
    assert router.run() == ["stop wgp2p IPKG_INSTROOT=", "start wgp2p IPKG_INSTROOT="]
    assert router.address.read_text() == "203.0.113.9\n"


def test_on_openwrt_nothing_of_the_callers_environment_reaches_an_init_script(tmp_path):
    assert OpenWrt(tmp_path).run(IPKG_INSTROOT="/tmp/evil")[0] == "stop wgp2p IPKG_INSTROOT="


def test_on_openwrt_another_port_alone_is_nothing(tmp_path):
    router = OpenWrt(tmp_path)
    router.run()
    assert router.run(PREVIOUS_ADDRESS="203.0.113.9", PORT="51821") == []


@pytest.mark.parametrize("changes", [{"ADDRESS": "$(reboot)"}, {"ADDRESS": "203.0.113.9\nx"}, {"ADDRESS": ""},
                                     {"ACTION": "path"}])
def test_on_openwrt_what_is_no_address_does_nothing(tmp_path, changes):
    router = OpenWrt(tmp_path)
    router.run(**changes)
    assert (tmp_path / "calls").read_text() == "" and not router.address.exists()


class Linux:
    """Runs the executable of hooks.d with a stand-in for curl."""

    def __init__(self, root):
        self.root = root
        (root / "hooks.d").mkdir()
        (root / "hooks.d/ddns").write_text((EXAMPLES / "ddns").read_text())
        (root / "hooks.d/ddns").chmod(0o755)
        (root / "ddns.conf").write_text('user = "NAME:PASSWORD"\n')

    def run(self, answer="good 203.0.113.9", **changes):
        program(self.root / "bin/curl", 'printf "%%s\\n" "$@" >%s/calls\necho "%s"\n' % (self.root, answer))
        self.done = subprocess.run([str(self.root / "hooks.d/ddns")], capture_output=True, text=True, check=False,
                                   timeout=60,
                                   env=dict(dict(CHANGE, PATH="%s/bin:/usr/bin:/bin" % self.root), **changes))
        calls = self.root / "calls"
        return calls.read_text() if calls.exists() else None


def test_on_linux_the_service_is_told_without_the_password_in_the_command(tmp_path):
    machine = Linux(tmp_path)
    words = machine.run()
    assert "myip=203.0.113.9" in words and "PASSWORD" not in words and machine.done.returncode == 0
    config = words.split("--config\n")[1].split("\n")[0]
    assert "PASSWORD" in pathlib.Path(config).read_text()


def test_on_linux_a_refusal_is_a_failure(tmp_path):
    machine = Linux(tmp_path)
    machine.run("badauth")
    assert machine.done.returncode == 1 and machine.done.stderr == "the service says: badauth\n"


@pytest.mark.parametrize("changes", [{"ADDRESS": "203.0.113.9;x"}, {"ADDRESS": ""}, {"ACTION": "path"},
                                     {"PREVIOUS_ADDRESS": "203.0.113.9"}])
def test_on_linux_nothing_is_told(tmp_path, changes):
    assert Linux(tmp_path).run(**changes) is None
