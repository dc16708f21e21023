"""What the pages of luci-app-wgp2p reach of a router, in memory: ubus, the session's rights, UCI.

The daemon's answers are recorded ones (tests/golden/luci). The rights are those of the app's own acl.d files, and they
are enforced: a page that calls what no group names is refused here, as on a router."""
import base64
import copy
import fnmatch
import json
import pathlib
import secrets
import sys

import x25519

PROJECT = pathlib.Path(__file__).resolve().parents[2]
APP = PROJECT / "luci-app-wgp2p"
sys.path.insert(0, str(PROJECT / "package/wgp2p"))

from wgp2p import uci as uci_text  # noqa: E402

OK, INVALID, NO_METHOD, NO_DATA, DENIED = 0, 2, 3, 5, 6


class Refused(Exception):
    """A call fails: `status` of ubus, `body` comes with it (or None)."""

    def __init__(self, status, body=None):
        super().__init__(status, body)
        self.status = status
        self.body = body


class Absent(Exception):
    """No such object on the bus."""


class Rights:
    """What a user may do: `everything`, or only read what the group for the status names."""

    def __init__(self, everything):
        self.groups = {}
        for path in sorted((APP / "root/usr/share/rpcd/acl.d").glob("*.json")):
            for name, group in json.loads(path.read_text()).items():
                if everything:
                    self.groups[name] = {kind: group[kind] for kind in ("read", "write") if kind in group}
                elif name == "luci-app-wgp2p-status":
                    self.groups[name] = {"read": group["read"]}

    def _grants(self, kinds, scope):
        for group in self.groups.values():
            for kind in kinds:
                yield group.get(kind, {}).get(scope, {})

    def call(self, name, method):
        """Whether this method of an object may be called."""
        return any(fnmatch.fnmatchcase(name, pattern) and any(fnmatch.fnmatchcase(method, one) for one in methods)
                   for grant in self._grants(("read", "write"), "ubus") for pattern, methods in grant.items())

    def config(self, kind, name):
        """Whether this configuration may be read, or changed (`kind`: read, write)."""
        return any(fnmatch.fnmatchcase(name, pattern) for grant in self._grants((kind,), "uci") for pattern in grant)

    def execute(self, words):
        """Whether this program may be run with these words."""
        return any("exec" in rights and (fnmatch.fnmatchcase(words[0], pattern)
                                         or fnmatch.fnmatchcase(" ".join(words), pattern))
                   for grant in self._grants(("read", "write"), "file") for pattern, rights in grant.items())


class Router:
    """Change it as the test needs: `answers` (method of the daemon: answer, or a Refused), `running`, `keys` (pairs
    that are given out before random ones), `programs` (words: output, or a Refused). `calls` notes each call, as
    (object, method, arguments)."""

    def __init__(self, recorded):
        self.answers = {name: copy.deepcopy(recorded[name]) for name in recorded if name != "uci"}
        self.answers.setdefault("reload", {"warnings": []})
        self.answers.setdefault("token", {})
        self.running = True
        self.keys = []
        self.programs = {("/usr/bin/wgp2p", "client", "list"): "", ("/usr/bin/wgp2p", "client", "apply"): ""}
        self.calls = []
        self.uci = {"network": {}, "firewall": {}, "wgp2p": {}}
        for name, text in recorded["uci"].items():
            self.uci[name] = _sections(text)
        self.saved = copy.deepcopy(self.uci)
        self.applied = 0

    # What tests ask

    def called(self, name, method):
        """The arguments of each call of this method, the oldest first."""
        return [arguments for one, other, arguments in self.calls if (one, other) == (name, method)]

    def peer(self, name):
        """The peer of this name in the daemon's status, to be changed in place."""
        return next(peer for subscriber in self.answers["status"]["subscribers"] for peer in subscriber["peers"]
                    if peer["name"] == name)

    def sections(self, config, kind):
        """The sections of this type as applied, as dicts with `.name`."""
        return [section for section in self.uci[config].values() if section[".type"] == kind]

    def text(self, config):
        """The applied configuration, as its file would be."""
        lines = []
        for section in self.uci[config].values():
            name = "" if section[".anonymous"] else " '%s'" % section[".name"]
            lines.append("config %s%s" % (section[".type"], name))
            for option, value in section.items():
                if isinstance(value, list):
                    lines += ["\tlist %s '%s'" % (option, _quoted(one)) for one in value]
                elif not option.startswith("."):
                    lines.append("\toption %s '%s'" % (option, _quoted(value)))
        return "\n".join(lines) + "\n"

    # What pages ask

    def call(self, rights, name, method, arguments):
        """The answer of a ubus call by somebody with these rights. Raises Refused, Absent, PermissionError."""
        self.calls.append((name, method, arguments))
        if name == "uci":
            return self._uci(rights, method, arguments)
        objects = {"luci.wireguard": self._wireguard, "network.interface": lambda *_: {}, "wgp2p": self._daemon,
                   "file": lambda *call: self._file(rights, *call)}
        if name not in objects or name == "wgp2p" and not self.running:
            raise Absent
        if not rights.call(name, method):
            raise PermissionError
        return objects[name](method, arguments)

    def _daemon(self, method, arguments):
        if method == "punch" and "punch" not in self.answers:
            for peer in self.answers["peers"]["peers"]:
                if arguments["peer"] in (peer["public_key"], peer["name"]):
                    return {"peer": peer["name"], "public_key": peer["public_key"]}
            raise Refused(INVALID, {"error": "no such peer"})
        answer = self.answers.get(method)
        if answer is None:
            raise Refused(NO_METHOD)
        if isinstance(answer, Refused):
            raise answer
        return answer

    def _wireguard(self, method, arguments):
        if method == "generateKeyPair":
            if self.keys:
                private, public = self.keys.pop(0)
            else:
                private = base64.b64encode(secrets.token_bytes(32)).decode()
                public = x25519.public_of(private)
            return {"keys": {"priv": private, "pub": public}}
        if method == "getPublicAndPrivateKeyFromPrivate":
            try:
                public = x25519.public_of(arguments["privkey"])
            except (ValueError, IndexError):
                public = ""
            return {"keys": {"priv": arguments["privkey"], "pub": public}}
        if method == "getWgInstances":
            return self.answers.get("getWgInstances", {})
        raise Refused(NO_METHOD)

    def _file(self, rights, method, arguments):
        words = [arguments["command"], *(arguments.get("params") or [])]
        if method != "exec" or not rights.execute(words):
            raise Refused(DENIED)
        output = self.programs.get(tuple(words))
        if output is None:
            return {"code": 1, "stdout": "", "stderr": "no such client\n"}
        return {"code": 0, "stdout": output}

    def _uci(self, rights, method, arguments):
        if method in ("changes", "apply", "confirm"):
            return getattr(self, "_" + method)()
        config = arguments["config"]
        if not rights.config("read" if method == "get" else "write", config):
            raise Refused(DENIED)
        if config not in self.saved:
            raise Refused(4)
        sections = self.saved[config]
        if method == "get":
            return {"values": sections}
        if method == "add":
            return {"section": _add(sections, arguments["type"], arguments.get("name"), arguments.get("values") or {})}
        if method == "order":
            self.saved[config] = {name: sections[name] for name in arguments["sections"]}
            return {}
        section = sections.get(arguments["section"])
        if section is None:
            raise Refused(4)
        if method == "set":
            section.update(_values(arguments["values"]))
        elif arguments.get("options"):
            for option in arguments["options"]:
                section.pop(option, None)
        else:
            del sections[arguments["section"]]
        return {}

    def _changes(self):
        return {"changes": {name: [["set", "section", "option", "value"]] for name in self.uci
                            if self.uci[name] != self.saved[name]}}

    def _apply(self):
        if self.uci == self.saved:
            raise Refused(NO_DATA)
        self.uci = copy.deepcopy(self.saved)
        self.applied += 1
        return {}

    def _confirm(self):
        return {}


def _sections(text):
    """A UCI file as rpcd gives it: name to section."""
    sections = {}
    for section in uci_text.parse(text):
        _add(sections, section.type, section.name, {option.name: option.value for option in section.options})
    return sections


def _add(sections, kind, name, values):
    index = len(sections)
    anonymous = not name
    while anonymous and (not name or name in sections):
        name = "cfg%06x" % (index * 0x10001)
        index += 1
    sections[name] = {".anonymous": anonymous, ".type": kind, ".name": name, ".index": len(sections), **_values(values)}
    return name


def _values(values):
    return {name: [str(one) for one in value] if isinstance(value, list) else str(value)
            for name, value in values.items()}


def _quoted(value):
    return value.replace("'", "'\\''")
