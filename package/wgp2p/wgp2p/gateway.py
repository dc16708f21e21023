"""The sockets between leases (lease.py) and the upstream gateway: PCP and NAT-PMP, the gateway's announcements, the
search for UPnP, and HTTP.

What does not come from the gateway's address the leases do not look at. Each socket is a tap.Tap, and an answer by HTTP
has a size and a time, so a gateway that never stops talking costs a bounded share of the CPU and of memory.
"""
from . import client, links, log
from .compat import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET, open_socket, sockaddr, sockaddr_text
from .mapping import PORT, Request
from .tap import Tap

ANNOUNCEMENTS = "224.0.0.1", 5350  # RFC 6887 19.1, RFC 6886 3.2.1
_LONGEST = 2048  # bytes of a datagram; PCP has at most 1,100
_HTTP_MS = 5000


def find_gateway(named, far, how):
    """(the gateway, this machine's address towards it, "") of the way to the address `far`, all texts, or
    (None, None, why). `named`: the gateway, where a person has named it; `how`: how that is done."""
    try:
        ip = named or links.gateway(far)
        if ip is None:
            return None, None, "the way to the internet has no next hop to ask: " + how
        return ip, links.source_of(ip), ""
    except OSError as error:
        return None, None, "no way to the gateway: " + client.words(error)


class Gateway:
    """Drives `leases`, a list of lease.Lease. Whoever changes it, or says something to one of them, calls `step`.
    `changed()` is called whenever something may be different. `ip`: the gateway's address, None while there is none;
    `problem`: why its sockets could not be opened."""

    def __init__(self, loop, changed):
        self._loop = loop
        self._changed = changed
        self._taps, self._requests = [], []
        self._direct = self._other = None  # the sockets: to PORT, and to elsewhere
        self._timer = None
        self.ip = self.own_ip = None
        self.problem = ""
        self.leases = []

    def uplink(self, ip, own_ip):
        """The gateway's address (text), or None, and this machine's towards it."""
        if (ip, own_ip) != (self.ip, self.own_ip):
            self._shut()
            self.problem = ""
            if ip is not None:
                self._open(ip, own_ip)
            self.step()

    def _open(self, ip, own_ip):
        family = AF_INET6 if ":" in ip else AF_INET
        try:
            # Connected, so that the kernel tells when nothing listens there.
            self._direct = self._socket(family, (own_ip, 0), self._heard_directly)
            self._direct.connect(sockaddr(ip, PORT))
            # A multicast leaves through the interface that has the address of its socket.
            self._other = self._socket(family, (own_ip, 0), self._heard)
        except OSError as error:
            self._shut()
            self.problem = "the gateway %s cannot be asked: %s" % (ip, client.words(error))
            return
        self.ip, self.own_ip = ip, own_ip
        try:
            self._socket(AF_INET, ANNOUNCEMENTS, self._announced)
        except OSError as error:  # without it a restart is noticed later
            log.debug("gateway: its announcements are not heard: " + client.words(error))

    def _socket(self, family, address, heard):
        sock = open_socket(family, SOCK_DGRAM)
        try:
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            sock.bind(sockaddr(*address))
        except OSError:
            sock.close()
            raise
        self._taps.append(Tap(self._loop, sock, _LONGEST, heard))
        return sock

    def _heard(self, packets):
        now = self._loop.now()
        for data, address in packets:
            ip, port = sockaddr_text(address)
            for lease in self.leases:
                lease.received(now, ip, port, data)
        self.step()

    def _heard_directly(self, packets):
        for lease in self.leases if not packets else ():  # an error alone: nothing listens there
            lease.unreachable()
        self._heard(packets)

    def _announced(self, packets):
        now = self._loop.now()
        for data, address in packets:
            for lease in self.leases:
                lease.announced(now, sockaddr_text(address)[0], data)
        self.step()

    def step(self):
        """Send what is due, and wait for what is next."""
        now = self._loop.now()
        for lease in self.leases:
            lease.uplink(now, self.ip, self.own_ip)
        times = []
        busy = [lease for lease in self.leases if lease.busy]
        for lease in busy + [lease for lease in self.leases if lease not in busy]:
            for item in lease.act(now):
                self._send(lease, item)
            self._tell_others(lease, now)
            times.append(lease.next_ms())
            if lease.busy:  # the others wait until it has its answer
                times = times[-1:]
                break
        times = [when for when in times if when is not None]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(max(1, min(times) - now), self.step) if times else None
        self._changed()

    def _tell_others(self, lease, now):
        """One has learned that the gateway lost what it had mapped."""
        if lease.mapping is not None and lease.mapping.rebooted:
            lease.mapping.rebooted = False
            for other in self.leases:
                if other is not lease:
                    other.doubt(now)

    def _send(self, lease, item):
        if isinstance(item, Request):
            self._ask(lease, item)
            return
        try:
            if (item.ip, item.port) == (self.ip, PORT):
                self._direct.send(item.data)
            else:
                self._other.sendto(item.data, sockaddr(item.ip, item.port))
        except OSError as error:  # as if it were lost: it is sent again
            log.debug("gateway: to %s: %s" % (item.ip, client.words(error)))

    def _ask(self, lease, item):
        def done(response, error):
            self._requests.remove(request)
            lease.answered(self._loop.now(), item.tag, response, error)
            self.step()

        request = client.get(self._loop, item.ip, item.port, item.path, item.headers, done, _HTTP_MS,
                             max_body=item.limit, method=item.method, body=item.body)
        self._requests.append(request)

    def _shut(self):
        for tap in self._taps:
            tap.close()
        for request in self._requests:
            request.close()
        self._taps, self._requests = [], []
        self._direct = self._other = self.ip = self.own_ip = None

    def close(self):
        """Close the sockets; no more calls. Leases are closed by wanting nothing, before."""
        self._shut()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.leases = []
