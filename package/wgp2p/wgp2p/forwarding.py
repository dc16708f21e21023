"""Whether the kernel forwards what the relay's table has sent on its way: a setting may forbid it, and so may any
chain of the firewall, which shows only in packets that go in and do not come out."""
from .files import read_text

LOST_PACKETS = 20
RETRY_MS, RETRY_MOST_MS = 600000, 21600000


class Forwarding:
    """One family of addresses. `problem`: why the kernel does not forward it, in words, or None as far as anybody
    knows. It is tried again when the setting is another one, after a reload, and with growing pauses: each try may lose
    some seconds of packets."""

    def __init__(self, ipv6):
        self.problem = None
        self._name = "ipv6/conf/all/forwarding" if ipv6 else "ipv4/ip_forward"
        self._swallowed = "the firewall drops %s that the kernel should forward" % ("IPv6" if ipv6 else "IPv4")
        self._by_setting = False
        self._counted = None  # the counters when a packet last came out
        self._retry_ms, self._retry_at = RETRY_MS, 0

    def again(self):
        """Somebody may have mended it: try at the next check."""
        self._retry_ms, self._retry_at = RETRY_MS, 0

    def check(self, now, counters):
        """Look again, every few seconds while there is something to forward; gives `problem`. counters: packets (sent
        on their way, come out) so far, None where unknown."""
        forbidden = self._forbidden()
        if self.problem is None:
            lost = counters is not None and self._lost(counters)
            self.problem = forbidden or (self._swallowed if lost else None)
            if self.problem is not None:
                self._by_setting = forbidden is not None
                self._retry_at = now + self._retry_ms
                self._retry_ms = min(4 * self._retry_ms, RETRY_MOST_MS)
        elif forbidden is None and (self._by_setting or now >= self._retry_at):
            self.problem = self._counted = None
        return self.problem

    def _forbidden(self):
        try:
            if read_text("/proc/sys/net/" + self._name, 64).strip() == "0":
                return "net.%s is 0" % self._name.replace("/", ".")
        except (OSError, ValueError):  # not for us to read
            pass
        return None

    def _lost(self, counters):
        if self._counted is None or counters[1] != self._counted[1] or counters[0] < self._counted[0]:
            self._counted = counters
        return counters[0] - self._counted[0] >= LOST_PACKETS
