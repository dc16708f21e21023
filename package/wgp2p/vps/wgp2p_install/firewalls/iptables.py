"""Plain iptables and ip6tables (iptables(8)), where no firewall program rules over them."""
from .opening import Passage, checked

_PROGRAMS = ("iptables", "ip6tables")
_DOCKER = "DOCKER-USER"
_COMMENT = ("-m", "comment", "--comment", "wgp2p")  # by which our rules are told from an admin's


class Iptables:
    """Rules through the programs `iptables` and `ip6tables`."""

    NAME = "iptables"
    KEPT = False  # how rules survive a reboot differs from one Linux to the next

    def __init__(self, system):
        self._system = system

    @classmethod
    def found(cls, system):
        """When one of its programs is there."""
        return cls(system) if [program for program in _PROGRAMS if system.which(program)] else None

    def _filters(self, program, chain):
        """Whether a built-in chain does more than to accept."""
        lines = self._system.run([program, "-S", chain]).out.split("\n") if self._system.which(program) else []
        return bool([line for line in lines if line.startswith("-P") and not line.endswith("ACCEPT")
                     or line.startswith("-A") and not line.endswith("-j ACCEPT")])

    def needed(self, opening):
        """See firewalls."""
        if isinstance(opening, Passage):
            words = ["-m", "mark", "--mark", f"{opening.value}/{opening.mask}"]
            return [{"kind": self.NAME, "program": program, "chain": self._forward_chain(program), "words": words}
                    for program in _PROGRAMS if self._filters(program, "FORWARD")]
        words = (["-i", opening.interface] if opening.interface else []) + ["-p", opening.protocol]
        words += ["--dport", str(opening.port)]
        programs = [program for program in _PROGRAMS if self._filters(program, "INPUT")]
        if opening.address:
            programs = [program for program in programs if (program == "ip6tables") == (":" in opening.address)]
        return [{"kind": self.NAME, "program": program, "words": words} for program in programs]

    def _forward_chain(self, program):
        """Docker has a chain for the rules of others, which comes before its own and is kept when it starts again."""
        return _DOCKER if self._system.run([program, "-S", _DOCKER]).code == 0 else "FORWARD"

    def has(self, record):
        """See firewalls."""
        return self._is_there(record, ()) or self._is_there(record)

    @staticmethod
    def _rule(record, verb, comment=_COMMENT):
        return [record["program"], verb, record.get("chain", "INPUT"), *record["words"], *comment, "-j", "ACCEPT"]

    def _is_there(self, record, comment=_COMMENT):
        return self._system.run(self._rule(record, "-C", comment)).code == 0

    def words(self, record):
        """See firewalls."""
        return self._rule(record, "-I")

    def add(self, record):
        """See firewalls."""
        checked(self._system, self.words(record))

    def remove(self, record):
        """See firewalls."""
        if self._system.which(record["program"]) and self._is_there(record):
            checked(self._system, self._rule(record, "-D"))
