"""Services of the original scripts (reindertpelsma/WireguardP2P), read from systemd's units and said in our terms.

Source: server_wg_publisher.py, device_wg_subscriber.py and their .service files there, as of 2025.
"""
import re
import shlex
import urllib.parse

from wgp2p import config

from . import settings
from .problems import Refused

_SCRIPTS = {"server_wg_publisher.py": "publisher", "device_wg_subscriber.py": "subscriber"}
_FLAGS = {  # those with a value
    "publisher": ("interface", "bind-ip", "port", "token-file", "exclude-peer"),
    "subscriber": ("iface", "interface", "vps-api", "token-file", "poll", "keepalive", "stale-threshold"),
}
_LEAST_KEEPALIVE, _MOST_KEEPALIVE = 1, 120
_KEEPALIVE, _STALE_S, _ORIGINAL_STALE_S = 25, 180, 120
_PATH = "/api/peers"


class Original:
    """What a unit of the original says: `role`, `unit`, `interface`, `port`, `token_file`; of a publisher `addresses`
    and `excluded` (keys); of a subscriber `publisher`, `keepalive`, `stale_after` (None: the default). `notes`: what
    has no counterpart or is done otherwise, in words."""

    def __init__(self, unit, role):
        self.unit = unit
        self.role = role
        self.interface = self.token_file = self.port = self.publisher = self.keepalive = self.stale_after = None
        self.addresses, self.excluded, self.notes = [], [], []


def commands(*texts):
    """The ExecStart commands (lists of words) of a unit and its drop-ins, in order. Refused."""
    found = []
    for text in texts:
        part = ""
        for line in re.sub(r"\\\n", " ", text).split("\n"):
            line = line.strip()
            if line.startswith("["):
                part = line
            name, equals, value = line.partition("=")
            if part != "[Service]" or not equals or name.strip() != "ExecStart":
                continue
            if not value.strip():  # systemd.service(5): takes back what came before
                found = []
                continue
            try:
                found.append(shlex.split(value.strip().lstrip("-@:+!")))
            except ValueError as error:
                raise Refused(f"cannot read {line}: {error}")
    return found


def read(unit, *texts):
    """The Original in a unit's text and its drop-ins', or None when it is of something else. Refused."""
    for words in commands(*texts):
        role = _role(words)
        if role:
            try:
                return _read(Original(unit, role), words)
            except Refused as refused:
                raise Refused(f"{unit}: {refused}")
    return None


def _role(words):
    names = [word.rpartition("/")[2] for word in words]
    for script, role in _SCRIPTS.items():
        if script in names:
            return role
    return None


def _read(found, words):
    start = [number for number, word in enumerate(words) if word.rpartition("/")[2] in _SCRIPTS][0]
    flags = _values(found, words[start + 1:])
    found.interface = flags.get("interface") or flags.get("iface")
    found.token_file = flags.get("token-file")
    if not found.interface or not found.token_file:
        raise Refused("its interface or its token file is not named in ExecStart")
    if found.role == "publisher":
        _publisher(found, flags)
    else:
        _subscriber(found, flags)
    return found


def _values(found, words):
    """{flag: value}, and "exclude-peer" a list; as argparse reads them, shortened flags included. Refused."""
    values, known = {"exclude-peer": []}, _FLAGS[found.role]
    at = 0
    while at < len(words):
        flag, equals, value = words[at].partition("=")
        names = [name for name in known if "--" + name == flag] or [
            name for name in known if len(flag) > 2 and ("--" + name).startswith(flag)]
        at += 1
        if found.role == "subscriber" and flag == "--dry-run":
            found.notes.append("--dry-run: wgp2p has none; `wgp2p status` says what it does and why")
            continue
        if len(names) != 1:
            raise Refused(f"{flag} is no option of the original script")
        if not equals:
            if at == len(words):
                raise Refused(f"{flag} has no value")
            value = words[at]
            at += 1
        if "$" in value or "%" in value:
            raise Refused(f"{flag} {value}: a variable of systemd; put the value itself there, and run this again")
        if names[0] == "exclude-peer":
            values[names[0]].append(value)
        else:
            values[names[0]] = value
    return values


def _publisher(found, flags):
    bind = settings.ip(flags.get("bind-ip", "0.0.0.0"))
    if bind in ("0.0.0.0", "::"):
        found.notes.append(f"--bind-ip {bind}: wgp2p answers in the tunnel only, at the addresses of {found.interface}")
    else:
        found.addresses = [bind]
    found.port = _number("--port", flags.get("port", "8080"))
    for key in flags["exclude-peer"]:
        if settings.is_key(key):
            found.excluded.append(key)
        else:
            found.notes.append(f"--exclude-peer {key}: left out, this is no WireGuard public key")
    found.notes.append("the token: the original has one for all. Here each remote device (--exclude-peer) gets it as "
                       "its own, and it is good from that device's tunnel address only")


def _subscriber(found, flags):
    url = flags.get("vps-api", "")
    try:
        address = urllib.parse.urlsplit(url)
        found.publisher, found.port = settings.ip(address.hostname or ""), address.port or 80
        good = address.scheme == "http" and address.path.rstrip("/") == _PATH
    except (Refused, ValueError):
        good = False
    if not good:
        raise Refused(f"--vps-api {url}: must be http://ADDRESS:PORT{_PATH} to be taken over, with the publisher's "
                      "address in the tunnel and not its name")
    if "poll" in flags:
        found.notes.append("--poll: not needed, the publisher tells of a change at once (an original one is asked "
                           "every 3 s)")
    keepalive = _number("--keepalive", flags.get("keepalive", str(_KEEPALIVE)))
    found.keepalive = min(max(keepalive, _LEAST_KEEPALIVE), _MOST_KEEPALIVE)
    if keepalive == 0:
        found.keepalive = None
        found.notes.append(f"--keepalive 0: wgp2p always keeps a path open, here every {_KEEPALIVE} s")
    elif found.keepalive != keepalive:
        found.notes.append(f"--keepalive {keepalive}: {_MOST_KEEPALIVE} s is the most")
    found.keepalive = None if found.keepalive == _KEEPALIVE else found.keepalive
    stale = _number("--stale-threshold", flags.get("stale-threshold", str(_ORIGINAL_STALE_S)))
    if stale < config.LEAST_STALE_S:
        found.notes.append(f"stale threshold {stale} s: becomes {_STALE_S} s. WireGuard shakes hands every 120 s, so "
                           f"one below {config.LEAST_STALE_S} s takes a client for gone that is not")
    elif stale != _STALE_S:
        found.stale_after = min(stale, 86400)


def _number(flag, text):
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refused(f"{flag} {text}: must be a whole number")
    return int(text)
