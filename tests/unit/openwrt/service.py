#!/usr/bin/env python3
"""Run an init script of ours under busybox ash with stand-ins for OpenWrt's functions, and see what it registers.

service.py [ACTION] prints, as JSON, what files/etc/init.d/wgp2p would have procd start on this machine.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
FILES = HERE.parents[2] / "files"
_APPLETS = "cat chmod cmp dirname grep id ls mkdir mktemp mv readlink rm sed".split()
_FOLDERS = """bin sbin usr/bin usr/sbin usr/lib/wgp2p etc/config etc/init.d etc/capabilities etc/uci-defaults
              var/run tmp lib""".split()
_NETWORK = """config interface 'wg0'
	option proto 'wireguard'
	option listen_port '51820'
config interface 'wg1'
	option proto 'wireguard'
"""
_FIREWALL = """config zone
	option name 'lan'
	list network 'lan'
config zone
	option name 'wan'
	list network 'wan'
	list network 'wan6'
"""


class Registered:
    """What one action of the script told procd: `lines` in order, `ok`, and parts of it below."""

    def __init__(self, lines, ok):
        self.lines = lines
        self.ok = ok

    def all(self, kind):
        """The rest of every line that begins with this word."""
        return [line[len(kind) + 1:] for line in self.lines if line == kind or line.startswith(kind + " ")]

    def param(self, name):
        """The words of procd_set_param NAME, or None."""
        found = [line.split()[1:] for line in self.all("param") if line.split()[0] == name]
        return found[0] if found else None

    @property
    def command(self):
        """The command line as a list, or None when nothing is started."""
        return self.param("command")

    def start(self):
        """What procd would start: command, user, group, capabilities (those of the jail, None for root's all)."""
        capabilities = self.param("capabilities")
        if capabilities:
            capabilities = json.loads(pathlib.Path(capabilities[0]).read_text())["ambient"]
        return {"command": self.command, "user": (self.param("user") or ["root"])[0],
                "group": (self.param("group") or ["root"])[0], "capabilities": capabilities,
                "jail": bool(self.all("jail"))}


def run(script, action, bus, config="/etc/config", **environment):
    """One action of an init script. `bus` is the folder where procd's memory lies between two actions."""
    record = pathlib.Path(bus) / "record"
    record.write_text("")
    environment = dict(os.environ, OPENWRT_RECORD=str(record), OPENWRT_BUS=str(bus), OPENWRT_CONFIG=str(config),
                       **environment)
    done = subprocess.run(["busybox", "ash", str(HERE / "rc.common"), str(script), action], env=environment,
                          stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    if done.returncode == 99:
        raise AssertionError(done.stderr)
    return Registered(record.read_text().splitlines(), done.returncode == 0)


class Router:
    """A folder that looks like a router's root, with our files in it. The script's absolute paths lead there."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        for folder in _FOLDERS:
            (self.root / folder).mkdir(parents=True)
        for applet in _APPLETS:
            (self.root / "bin" / applet).symlink_to("/bin/busybox")
        self.program("usr/bin/micropython")
        self.program("usr/bin/wg")
        self.program("usr/sbin/nft", 'echo "nft $*" >>"$OPENWRT_RECORD"')
        self.program("sbin/ujail")
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/ash\nwgp2p:x:500:500:wgp2p:/var/run/wgp2p:/bin/false\n")
        self.write("usr/lib/wgp2p/daemon.mpy", "")
        self.write("etc/capabilities/wgp2p.json", (FILES / "etc/capabilities/wgp2p.json").read_text())
        self.write("etc/config/network", _NETWORK)
        self.write("etc/config/firewall", _FIREWALL)
        self.install("etc/init.d/wgp2p")

    def path(self, name):
        """A path on the router, without the leading slash."""
        return self.root / name

    def write(self, name, text):
        self.path(name).write_text(text)

    def program(self, name, text=":"):
        """A program that does what `text` says."""
        self.write(name, "#!/bin/sh\n%s\n" % text)
        self.path(name).chmod(0o755)

    def install(self, name):
        """A file of ours, its paths below this root."""
        text = (FILES / name).read_text()
        self.write(name, re.sub(r"(?<![\w.*])/(?=(etc|var|usr|sbin|tmp|lib)\b)", "%s/" % self.root, text))
        self.path(name).chmod(0o755)

    def environment(self):
        return {"PATH": "%s/bin:%s/sbin:%s/usr/bin:%s/usr/sbin:%s" % ((self.root,) * 4 + (os.environ["PATH"],))}

    def run(self, action, **environment):
        """One action of the init script; the paths in what it registers are as on a router."""
        environment = dict({"OPENWRT_OWNERS": "recorded"}, **environment)
        done = run(self.path("etc/init.d/wgp2p"), action, self.path("tmp"), self.path("etc/config"),
                   **dict(self.environment(), **environment))
        return Registered([line.replace(str(self.root), "") for line in done.lines], done.ok)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as memory:
        registered = run(FILES / "etc/init.d/wgp2p", *(sys.argv[1:] or ["start"]), memory)
        print(json.dumps(dict(registered.start(), lines=registered.lines), indent=1))
