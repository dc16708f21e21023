"""Plain nftables (nft(8)): whatever tables an admin has made. Our rules carry a comment, by which they are found again.

An accept in one chain of a hook does not overrule a drop in another, so the rules go into each that filters.
"""
import json
import re

from .opening import Passage, checked

_COMMENT = 'comment "wgp2p"'
_FAMILIES = ("inet", "ip", "ip6")
# Tables of ours, and of programs that want nobody else in theirs.
_FOREIGN = re.compile(r"wgp2p|wgp2p_.*|firewalld|docker-.*")
_FILTERS = re.compile(r"policy drop|^\s+.*\b(drop|reject|jump|goto)\b", re.M)


class Nftables:
    """Rules through the program `nft`."""

    NAME = "nftables"
    KEPT = False  # the admin's file, mostly /etc/nftables.conf, is not ours to write

    def __init__(self, system):
        self._system = system

    @classmethod
    def found(cls, system):
        """When its program is there."""
        return cls(system) if system.which("nft") else None

    def _chains(self, hook):
        """(family, table, chain) of each that filters at "input" or "forward"; those of iptables and our own aside."""
        ran = self._system.run(["nft", "-j", "list", "chains"])
        try:
            rows = [row["chain"] for row in json.loads(ran.out)["nftables"] if "chain" in row]
        except (ValueError, KeyError, TypeError):
            return []
        found = []
        for row in rows:
            place = (row.get("family"), row.get("table"), row.get("name"))
            if (row.get("hook"), row.get("type")) != (hook, "filter") or place[0] not in _FAMILIES:
                continue
            of_iptables = place[1:] == ("filter", hook.upper()) and self._system.which("iptables")
            if of_iptables or _FOREIGN.fullmatch(place[1]):
                continue
            if _FILTERS.search(self._text(place)):
                found.append(place)
        return found

    def _text(self, place, *flags):
        return self._system.run(["nft", *flags, "list", "chain", *place]).out

    def needed(self, opening):
        """See firewalls."""
        if isinstance(opening, Passage):  # the rules are as nft prints them, too
            hook, rule = "forward", f"meta mark & {opening.mask} == {opening.value} accept"
        else:
            hook, rule = "input", f'iifname "{opening.interface}" ' if opening.interface else ""
            rule += f"{opening.protocol} dport {opening.port} accept"
        return [{"kind": self.NAME, "place": list(place), "rule": rule} for place in self._chains(hook)]

    def has(self, record):
        """See firewalls."""
        return bool(self._lines(record))

    def _lines(self, record, *flags):
        """The lines of its chain that are this rule, with or without counter, comment and handle."""
        match, _, verdict = record["rule"].rpartition(" ")
        wanted = re.compile(r"\s*%s (counter .*)?%s( comment .*)?( # handle \d+)?" % (re.escape(match), verdict))
        return [line for line in self._text(record["place"], *flags).split("\n") if wanted.fullmatch(line)]

    def words(self, record):
        """See firewalls."""
        return ["nft", "insert rule %s %s %s" % tuple(record["place"]) + f" {record['rule']} {_COMMENT}"]

    def add(self, record):
        """See firewalls."""
        checked(self._system, self.words(record))

    def remove(self, record):
        """See firewalls."""
        for line in self._lines(record, "-a"):
            if _COMMENT in line:
                handle = line.rpartition(" ")[2]
                checked(self._system, ["nft", "delete rule %s %s %s" % tuple(record["place"]) + " handle " + handle])
