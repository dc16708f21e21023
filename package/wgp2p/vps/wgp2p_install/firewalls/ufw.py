"""Ubuntu's firewall (ufw(8)). It keeps its rules itself."""
from .opening import Passage, checked


class Ufw:
    """Rules through the program `ufw`."""

    NAME = "ufw"
    KEPT = True

    def __init__(self, system):
        self._system = system

    @classmethod
    def found(cls, system):
        """When it is switched on."""
        active = system.which("ufw") and "Status: active" in system.run(["ufw", "status"]).out
        return cls(system) if active else None

    def needed(self, opening):
        """See firewalls. ufw knows no marks; what passes is up to the chain FORWARD of iptables, where ufw leaves the
        rules of others alone."""
        if isinstance(opening, Passage):
            return []
        words = ["in"] + (["on", opening.interface] if opening.interface else [])
        words += ["proto", opening.protocol, "to", opening.address or "any", "port", str(opening.port)]
        return [{"kind": self.NAME, "words": words}]

    def has(self, record):
        """See firewalls. A dry run of ufw says whether it has the rule."""
        return "Skipping" in checked(self._system, ["ufw", "--dry-run", "allow"] + record["words"]).out

    def words(self, record):
        """See firewalls."""
        return ["ufw", "allow"] + record["words"]

    def add(self, record):
        """See firewalls."""
        checked(self._system, self.words(record))

    def remove(self, record):
        """See firewalls. (ufw ends with 0 for a rule that is gone.)"""
        if self._system.which("ufw"):
            checked(self._system, ["ufw", "--force", "delete", "allow"] + record["words"])
