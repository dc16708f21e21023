"""The firewall of Fedora, RHEL and SUSE (firewall-cmd(1)). It keeps its rules itself, in zones of interfaces."""
from .opening import Passage, checked


class Firewalld:
    """Rules through the program `firewall-cmd`, for now and for the next start."""

    NAME = "firewalld"
    KEPT = True

    def __init__(self, system):
        self._system = system

    @classmethod
    def found(cls, system):
        """When it runs."""
        runs = system.which("firewall-cmd") and system.run(["firewall-cmd", "--state"]).code == 0
        return cls(system) if runs else None

    def needed(self, opening):
        """See firewalls. The port is opened in the zone of the interface; a rule that names the tunnel's own address
        keeps the API out of reach of other interfaces in the same zone. What the relay forwards comes from the internet
        and goes there: within one zone."""
        if isinstance(opening, Passage):
            rule, zone = "forward", self._zone(self._wan())
        elif opening.interface is None:
            rule = f"port={opening.port}/{opening.protocol}"
            zone = self._zone(self._wan())
        else:
            family = "ipv6" if ":" in opening.address else "ipv4"
            rule = (f'rich-rule=rule family="{family}" destination address="{opening.address}" '
                    f'port port="{opening.port}" protocol="{opening.protocol}" accept')
            zone = self._zone(opening.interface)
        return [{"kind": self.NAME, "zone": zone, "rule": rule}]

    def has(self, record):
        """See firewalls."""
        return all([self._system.run(words).code == 0 for words in self._both(record, "query")])

    def _wan(self):
        """The interface of the default route."""
        words = self._system.run(["ip", "route", "show", "default"]).out.split()
        return words[words.index("dev") + 1] if "dev" in words[:-1] else None

    def _zone(self, interface):
        ran = self._system.run(["firewall-cmd", f"--get-zone-of-interface={interface}"]) if interface else None
        if ran and ran.code == 0 and ran.out.strip():
            return ran.out.strip()
        return checked(self._system, ["firewall-cmd", "--get-default-zone"]).out.strip()

    @staticmethod
    def _both(record, verb):
        words = [f"--zone={record['zone']}", f"--{verb}-{record['rule']}"]
        return ["firewall-cmd"] + words, ["firewall-cmd", "--permanent"] + words

    def words(self, record):
        """See firewalls."""
        return self._both(record, "add")[1]

    def add(self, record):
        """See firewalls. (What is there already ends with 0.)"""
        for words in self._both(record, "add"):
            checked(self._system, words)

    def remove(self, record):
        """See firewalls."""
        if not self._system.which("firewall-cmd"):
            return
        runs = self._system.run(["firewall-cmd", "--state"]).code == 0
        now, later = self._both(record, "remove")
        if runs:
            checked(self._system, now)
            checked(self._system, later)
        else:
            checked(self._system, ["firewall-offline-cmd"] + later[2:])
