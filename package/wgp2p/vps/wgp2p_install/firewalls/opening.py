"""What is let in, and what is let through."""
from typing import NamedTuple, Optional

from wgp2p import relayrules

from ..problems import Refused


class Opening(NamedTuple):
    """A port of this machine. With `interface`: from there alone, and to this `address` of it."""

    protocol: str
    port: int
    interface: Optional[str] = None
    address: Optional[str] = None

    def __str__(self):
        return f"{self.protocol.upper()} port {self.port}" + (f" from {self.interface}" if self.interface else "")


class Passage(NamedTuple):
    """What the relay forwards: packets whose mark is `value`, as far as `mask` (both hexadecimal)."""

    value: str = "0x%08x" % relayrules.RELAYED
    mask: str = "0x%08x" % relayrules.MARK_MASK

    def __str__(self):
        return "what the relay forwards"


def checked(system, words):
    """Run a program that has to succeed; a Ran. Refused."""
    ran = system.run(words)
    if ran.code:
        raise Refused(f"{' '.join(words)}: {ran.words()}")
    return ran
