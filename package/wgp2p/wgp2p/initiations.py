"""Sees handshake initiations as they arrive at the listen port, those that WireGuard refuses included.

WireGuard takes no initiation that is older by its sender's clock than the last one, and does not tell. A device whose
clock was set back is found by this: its initiations arrive, and nothing comes of them.
"""
from .ears import INITIATION, Ears


class Initiations(Ears):
    """Calls `callback(endpoint)` for each that comes to `port`. Raises OSError as Ears."""

    def __init__(self, loop, port, callback):
        Ears.__init__(self, loop, port, INITIATION, 2, lambda endpoint, _: callback(endpoint))
