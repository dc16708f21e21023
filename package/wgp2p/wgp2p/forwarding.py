"""Whether the kernel forwards what the relay's table has sent on its way: a setting may forbid it, and so may any
chain of the firewall, which shows only in packets that go in and do not come out."""
from .files import read_text

LOST_PACKETS = 20
RETRY_MS, RETRY_MOST_MS = 600000, 21600000
_SETTINGS = ((False, "ipv4/ip_forward"), (True, "ipv6/conf/all/forwarding"))


class Forwarding:
    """`problem`: why the kernel does not, in words, or None as far as anybody knows. It is tried again when the setting
    is another one, after a reload, and with growing pauses: each try may lose some seconds of packets."""

    def __init__(self):
        self.problem = None
        self._by_setting = False
        self._counted = None  # the counters when a packet last came out
        self._retry_ms, self._retry_at = RETRY_MS, 0

    def again(self):
        """Somebody may have mended it: try at the next check."""
        self._retry_ms, self._retry_at = RETRY_MS, 0

    def check(self, now, families, counters):
        """Look again, every few seconds while there is something to forward; gives `problem`. families: of what is
        forwarded, True for IPv6; counters: packets (sent on their way, come out) so far, None where unknown."""
        forbidden = self._forbidden(families)
        if self.problem is None:
            self.problem = forbidden or self._swallowed(counters)
            if self.problem is not None:
                self._by_setting = forbidden is not None
                self._retry_at = now + self._retry_ms
                self._retry_ms = min(4 * self._retry_ms, RETRY_MOST_MS)
        elif forbidden is None and (self._by_setting or now >= self._retry_at):
            self.problem = self._counted = None
        return self.problem

    def _forbidden(self, families):
        for ipv6, name in _SETTINGS:
            try:
                if ipv6 in families and read_text("/proc/sys/net/" + name, 64).strip() == "0":
                    return "net.%s is 0" % name.replace("/", ".")
            except (OSError, ValueError):  # not for us to read
                pass
        return None

    def _swallowed(self, counters):
        if counters is None:
            return None
        if self._counted is None or counters[1] != self._counted[1] or counters[0] < self._counted[0]:
            self._counted = counters
        if counters[0] - self._counted[0] < LOST_PACKETS:
            return None
        return "the firewall drops what the kernel should forward"
