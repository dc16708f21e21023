"""A machine for the installer that is a folder: its programs, users and interfaces are pretended."""
import json
import os
import pathlib
import re
import sys
import types

VPS = pathlib.Path(__file__).resolve().parents[2] / "package/wgp2p/vps"
sys.path.insert(0, str(VPS))

from wgp2p_install import cli, paths, system  # noqa: E402

from wgp2p import VERSION, config  # noqa: E402
from wgp2p.wgmessage import Device, Peer  # noqa: E402

KEYS = [text + "A" * (43 - len(text)) + "=" for text in ("server", "cabin", "boat", "phone")]
SERVER, CABIN, BOAT, PHONE = KEYS
TOKEN = "c0ffee" * 10
ARCHIVE = "/root/wgp2p.pyz"


class Machine(system.System):
    """`root` is the folder, `programs` are those that there are, `ran` every (words, user), `stdins` what they read."""

    def __init__(self, root, programs=("nft", "systemctl", "ip")):
        super().__init__(str(root))
        self.programs = set(programs)
        self.ran, self.stdins = [], []
        self.owners = {}  # inode: (uid, gid)
        self.users = {}
        self.groups = {}
        self.clock = 0.0
        self.root_user = True
        self.answers = True     # whether the service answers when it runs
        self.active = False
        self.uptime = 0         # what the service says when it has just been started
        self.fails = ()         # words whose programs fail
        self.interfaces = {"wg0": ["10.7.0.1"]}
        self.down = set()
        self.public = "8.8.4.4"
        self.firewall = types.SimpleNamespace(ufw=set(), zones=set(), chains={}, iptables={})
        os.makedirs(self.root + "/run/systemd/system")
        os.makedirs(self.root + "/usr/bin")
        self.put("/usr/bin/python3", "")
        self.put(ARCHIVE, "#!/usr/bin/env python3\nPK")

    def put(self, path, text, mode=0o644):
        """A file as it was before we came."""
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        pathlib.Path(self.root + path).write_text(text)
        os.chmod(self.root + path, mode)

    def tree(self):
        """Every file and folder with its content and permissions, but what a running system has."""
        found = {}
        for folder, folders, files in os.walk(self.root):
            for name in folders + files:
                path = os.path.join(folder, name)
                data = b"" if os.path.isdir(path) else pathlib.Path(path).read_bytes()
                state = os.lstat(path)
                found[path[len(self.root):]] = (data, state.st_mode, self.owners.get(state.st_ino, (0, 0)))
        return found

    # -- what System does ------------------------------------------------------------------------------

    def chown(self, path, owner):
        self.owners[(os.fstat(path) if isinstance(path, int) else os.lstat(path)).st_ino] = owner

    def _owner(self, path):
        return self.owners.get(os.stat(self.root + path).st_ino, (0, 0))

    def file(self, path):
        found = super().file(path)
        return found and system.File(found.data, found.mode, self._owner(path))

    def folder(self, path):
        found = super().folder(path)
        return found and (found[0], self._owner(path))

    def which(self, program):
        return "/usr/sbin/" + program if program in self.programs else None

    def is_root(self):
        return self.root_user

    def user(self, name):
        return self.users.get(name)

    def group(self, name):
        return self.groups.get(name)

    def device(self, interface):
        if interface not in self.interfaces:
            return super().device(interface)  # which says what to do
        device = Device(interface)
        device.public_key, device.listen_port = SERVER, 51820
        for number, key in enumerate((CABIN, BOAT, PHONE), 2):
            device.peers[key] = Peer(key)
            device.peers[key].allowed_ips = (f"10.7.0.{number}/32",)
        return device

    def is_up(self, interface):
        return interface not in self.down

    def addresses(self, interface):
        return self.interfaces.get(interface, [])

    def outgoing(self):
        return self.public

    def now(self):
        return self.clock

    def sleep(self, seconds):
        self.clock += seconds

    def run(self, words, user=None, stdin=""):
        self.ran.append((list(words), user))
        self.stdins.append(stdin)
        if any([part in " ".join(words) for part in self.fails]):
            return system.Ran(1, err="it failed")
        name = words[0].rpartition("/")[2].replace("-", "_").replace("ip6", "ip")
        return getattr(self, "_" + name, self._other)(words[1:], *([words[0]] if name == "iptables" else []))

    # -- programs ----------------------------------------------------------------------------------------

    def _other(self, words):
        return system.Ran(0)

    def _python3(self, words):
        return system.Ran(0, "True\n")

    def _useradd(self, words):
        self.users[words[-1]] = (990, self.groups.setdefault(words[-1], 990))
        return system.Ran(0)

    def _userdel(self, words):
        self.users.pop(words[-1], None)
        return system.Ran(0)

    def _groupdel(self, words):
        del self.groups[words[-1]]
        return system.Ran(0)

    def _systemctl(self, words):
        if "restart" in words:
            self.active = True
        if "disable" in words:
            self.active = False
        return system.Ran(0)

    def _wgp2p(self, words):
        """The launcher."""
        if words[0] == "check":
            try:
                config.parse(self.text(paths.CONFIG))
            except config.ConfigError as error:
                return system.Ran(1, err=str(error))
        if words[0] == "token":
            return system.Ran(0, TOKEN + "\n")
        if words[0] == "status":
            if not (self.answers and self.active):
                return system.Ran(3, err="the daemon does not answer")
            return system.Ran(0, json.dumps({"version": VERSION, "uptime": self.uptime, "publishers": [],
                                             "subscribers": []}))
        return system.Ran(0)

    def _ufw(self, words):
        rules = self.firewall.ufw
        if words == ["status"]:
            return system.Ran(0, "Status: active\n")
        rule = " ".join(words).partition("allow ")[2]
        if words[0] == "--dry-run":
            return system.Ran(0, "Skipping adding existing rule\n" if rule in rules else "*filter\n")
        if "delete" in words:
            rules.discard(rule)
        else:
            rules.add(rule)
        return system.Ran(0)

    def _firewall_cmd(self, words):
        kept = "--permanent" in words
        words = [word for word in words if word != "--permanent"]
        if words == ["--state"]:
            return system.Ran(0, "running\n")
        if words == ["--get-default-zone"]:
            return system.Ran(0, "public\n")
        if words[0].startswith("--get-zone-of-interface="):
            zone = {"wg0": "vpn", "eth0": "external"}.get(words[0].partition("=")[2])
            return system.Ran(0, zone + "\n") if zone else system.Ran(2, "no zone\n")
        verb, _, rule = words[1][2:].partition("-")
        place = (kept, words[0], rule)
        if verb == "query":
            return system.Ran(0 if place in self.firewall.zones else 1)
        (self.firewall.zones.add if verb == "add" else self.firewall.zones.discard)(place)
        return system.Ran(0)

    def _ip(self, words):
        return system.Ran(0, "default via 203.0.113.1 dev eth0 proto dhcp\n")

    def _nft(self, words):
        chains = self.firewall.chains  # (family, table, chain): (hook, policy, [rule])
        if words[:3] == ["-j", "list", "chains"]:
            return system.Ran(0, json.dumps({"nftables": [{"metainfo": {}}] + [{"chain": {
                "family": place[0], "table": place[1], "name": place[2], "type": "filter", "hook": chains[place][0],
                "policy": chains[place][1]}} for place in chains]}))
        flags = [word for word in words if word == "-a"]
        words = [word for word in words if word != "-a"]
        if words[0].startswith("add table "):
            return system.Ran(0)
        if words[:2] == ["list", "chain"]:
            hook, policy, rules = chains[tuple(words[2:])]
            lines = [f"\t\ttype filter hook {hook} priority filter; policy {policy};"] + [
                "\t\t" + rule + (f" # handle {number}" if flags else "") for number, rule in rules]
            return system.Ran(0, "table inet x {\n\tchain y {\n%s\n\t}\n}\n" % "\n".join(lines))
        insert = re.fullmatch(r"insert rule (\S+) (\S+) (\S+) (.*)", words[0])
        delete = re.fullmatch(r"delete rule (\S+) (\S+) (\S+) handle (\d+)", words[0])
        if insert:
            chains[insert.groups()[:3]][2].insert(0, (len(self.ran), insert[4]))
        elif delete:
            rules = chains[delete.groups()[:3]][2]
            rules[:] = [rule for rule in rules if rule[0] != int(delete[4])]
        return system.Ran(0)

    def _iptables(self, words, program):
        rows = self.firewall.iptables.get(program, ["-P INPUT ACCEPT", "-P FORWARD ACCEPT"])
        rule = f"-A {words[1]} " + " ".join(words[2:])
        heads = [number for number, row in enumerate(rows) if row.split()[:2] in (["-P", words[1]], ["-N", words[1]])]
        if not heads:
            return system.Ran(1, err="iptables: No chain/target/match by that name.")
        if words[0] == "-S":
            return system.Ran(0, "\n".join([row for row in rows if row.split()[1] == words[1]]) + "\n")
        if words[0] == "-C":
            return system.Ran(0 if rule in rows else 1)
        if words[0] == "-I":
            rows.insert(heads[0] + 1, rule)
        else:
            rows.remove(rule)
        return system.Ran(0)

    def _sysctl(self, words):
        name, _, value = words[-1].partition("=")
        self.put("/proc/sys/" + name.replace(".", "/"), value + "\n")
        return system.Ran(0)


class Talk:
    """A console: `answers` are given in turn; None there: nobody to ask. `lines` and `warnings` are what was said."""

    def __init__(self, answers=None, yes=False, private=False, secret=TOKEN):
        self.answers, self.yes, self.private, self.typed = answers, yes, private, secret
        self.lines, self.warnings = [], []

    def say(self, line):
        self.lines.append(line)

    def warn(self, line):
        self.warnings.append(line)

    def asks(self):
        return self.answers is not None

    def is_private(self):
        return self.private

    def ask(self, question):
        self.lines.append(question)
        return self.answers.pop(0)

    def confirm(self, question):
        if self.yes:
            return True
        return self.ask(question) in ("", "y") if self.asks() else None

    def secret(self, question):
        return self.typed

    def text(self):
        """All that was said."""
        return "\n".join(self.lines + self.warnings)


def go(machine, words, talk=None):
    """(exit code, Talk) of a command line."""
    words = words.split() if isinstance(words, str) else words
    talk = talk or Talk(yes="--yes" in words)
    return cli.main(words, ARCHIVE, machine, talk), talk


PUBLISHER = f"install --role publisher --interface wg0 --device cabin={CABIN} --yes"
SUBSCRIBER = "install --role subscriber --interface wg0 --publisher 10.7.0.9 --yes"
