"""A host of the lab as a machine of its own: this one's file system with a layer over it, in which a person installs
packages, edits files and starts services. Nothing of that stays.

What a Debian in a VM cannot have are stand-ins (standins/): systemd as process 1, and OpenWrt's opkg, service, ifup.
They carry out what our own files tell them: units, packages, the init script.
"""
import pathlib
import subprocess
import time

import netns

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
BOUND = ("proc", "dev")
ENTER = 'mount --bind /sys "$0/sys"; exec chroot "$0" /bin/sh -ec "$1"'  # `ip netns exec` has made the right /sys


class Machine:
    """programs: names from standins/ to be found there."""

    def __init__(self, lab, host, programs):
        self.host = host
        self.folder = lab.folder / f"{host}-machine"
        self.root = self.folder / "root"
        for name in ("layer", "root"):
            (self.folder / name).mkdir(parents=True)
        # The layer must be of another file system than what it lies over.
        netns.call(None, "mount", "-t", "tmpfs", "none", str(self.folder / "layer"))
        for name in ("upper", "work"):
            (self.folder / "layer" / name).mkdir()
        layer = self.folder / "layer"
        netns.call(None, "mount", "-t", "overlay", "none", str(self.root), "-o",
                   f"lowerdir=/,upperdir={layer}/upper,workdir={layer}/work")
        for name in BOUND:
            netns.call(None, "mount", "--rbind", f"/{name}", str(self.root / name))
        netns.call(None, "mount", "-t", "tmpfs", "none", str(self.root / "run"))
        project = self.root / str(PROJECT).lstrip("/")
        project.mkdir(parents=True, exist_ok=True)
        netns.call(None, "mount", "--bind", str(PROJECT), str(project))
        if "systemctl" in programs:
            self.path("/run/systemd/system").mkdir(parents=True)  # by which it is known that systemd runs
        for name in programs:
            self.path(f"/usr/local/sbin/{name}").symlink_to(HERE / "standins" / name)
        self.path("/etc/resolv.conf").unlink(missing_ok=True)
        self.write("/etc/resolv.conf", f"nameserver {lab.outer('dns', ipv6=False)}\n")

    def path(self, name):
        """Where a file of the machine lies."""
        return self.root / name.lstrip("/")

    def write(self, name, text):
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def run(self, script, text="", folder="/root"):
        """A shell script, as root would type it. What it printed; AssertionError when a line of it failed."""
        words = netns.command(self.host, "sh", "-ec", ENTER, str(self.root), f"cd {folder}\n{script}")
        start = time.monotonic()
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=300)
        print(f"{self.host}: {time.monotonic() - start:.1f} s: {script.strip()[:200]}\n{done.stdout}{done.stderr}")
        assert done.returncode == 0, f"{self.host}: exit code {done.returncode}: {script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def log(self):
        """What its service has said so far."""
        path = self.path("/run/wgp2p.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def service(self):
        """The state of the running service: /proc/PID/status as {name: value}."""
        pid = self.path("/run/wgp2p.pid").read_text().strip()
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def close(self):
        netns.call(None, "umount", "-R", "-l", str(self.root), check=False)
        netns.call(None, "umount", "-l", str(self.folder / "layer"), check=False)
