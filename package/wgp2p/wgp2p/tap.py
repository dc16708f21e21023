"""Listens on a socket that anybody on the network can fill: whatever comes, it costs a bounded share of the CPU.

At most 16 packets are read per wake-up and at most 20 wake-ups happen a second; then the socket rests until the
second is over. Its buffer is kept small, so that a rest is not followed by work on what is old.
"""
import struct

from .compat import SO_RCVBUF, SOL_SOCKET, is_again
from .loop import READ

_PACKETS, _WAKES_PER_S = 16, 20
_BUFFER = 16384


class Tap:
    """Reads `sock` (non-blocking, ours from now on) and calls `heard(packets)` once per wake-up.

    `packets` is a list of (data, address), each datum cut to `size` bytes; an empty list says that the kernel dropped
    some (ENOBUFS on netlink), so that whoever counts on them looks for himself."""

    def __init__(self, loop, sock, size, heard):
        self._loop = loop
        self._sock = sock
        self._size = size
        self._heard = heard
        self._second_ms = loop.now()
        self._wakes = 0
        self._timer = None
        sock.setsockopt(SOL_SOCKET, SO_RCVBUF, struct.pack("i", _BUFFER))
        self._listen()

    def _listen(self):
        self._timer = None
        self._loop.watch(self._sock.fileno(), READ, self._readable)

    def _readable(self, _):
        now = self._loop.now()
        if now - self._second_ms >= 1000:
            self._second_ms, self._wakes = now, 0
        self._wakes += 1
        if self._wakes >= _WAKES_PER_S:
            self._loop.unwatch(self._sock.fileno())
            self._timer = self._loop.call_later(self._second_ms + 1000 - now, self._listen)
        packets, lost = [], False
        try:
            while len(packets) < _PACKETS:
                packets.append(self._sock.recvfrom(self._size))
        except OSError as error:
            lost = not is_again(error)
        if packets or lost:
            self._heard(packets)

    def close(self):
        """No more calls."""
        if self._sock is not None:
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()
            self._sock = None
        if self._timer is not None:
            self._timer.cancel()
