"""What the installer did to this machine beyond its files, so that `uninstall` takes away that and nothing else."""
import json

from . import paths
from .problems import Refused

_VERSION = 1


class Installed:
    """`user`, `group`: whether we made them. `openings`: records of firewall rules that we added (firewalls).
    `forward`: whether we switched forwarding on."""

    def __init__(self, user=False, group=False, openings=(), forward=False):
        self.user = user
        self.group = group
        self.openings = list(openings)
        self.forward = forward

    def text(self):
        """For the file."""
        return json.dumps({"version": _VERSION, "user": self.user, "group": self.group, "openings": self.openings,
                           "forward": self.forward}, indent=1, sort_keys=True) + "\n"


def load(system):
    """What the file says; nothing where there is none. Refused."""
    text = system.text(paths.INSTALLED)
    if not text:
        return Installed()
    try:
        data = json.loads(text)
        if data["version"] != _VERSION:
            raise Refused(f"{paths.INSTALLED} is of a newer wgp2p; use that one")
        return Installed(bool(data["user"]), bool(data["group"]), data["openings"], bool(data.get("forward")))
    except (ValueError, KeyError, TypeError):
        raise Refused(f"{paths.INSTALLED} is damaged: it lists what an earlier installation added. Look at it, undo "
                      "by hand what it names, and remove it")


def save(journal, installed):
    """Write the file."""
    journal.write(paths.INSTALLED, installed.text(), 0o600, quiet=True)
