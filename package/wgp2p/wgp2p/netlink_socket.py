"""A netlink socket for requests: ask the kernel, get its whole answer back.

The kernel works a request off inside of `send`, and the next part of a dump inside of each `recv`, so the answer
is always there already and the loop does not wait. Should a kernel do otherwise, it gets 50 ms.
"""
import select

from .compat import AF_NETLINK, SOCK_RAW, is_again, open_socket, receive, sockaddr_netlink
from .netlink import Answer, NetlinkError

# The kernel fills a dump's datagrams up to the size that it is read with, and 8 KiB at first.
_buffer = bytearray(16384)
_PATIENCE_MS = 50


def ask(family, request, take):
    """One request on a socket of its own: NetlinkSocket.ask. Gives the Answer; raises NetlinkError."""
    sock = NetlinkSocket(family)
    try:
        return sock.ask(request, take)
    finally:
        sock.close()


class NetlinkSocket:
    """One netlink family (netlink.ROUTE, NETFILTER or GENERIC), opened at the first request."""

    def __init__(self, family):
        self._family = family
        self._sock = None
        self._sequence = 0

    def ask(self, request, take):
        """Send `request(sequence)` and give the payload of every message of the answer to
        `take(data, start, end)`. Gives the Answer, whose `error` is an errno of the kernel or of the socket.
        Raises NetlinkError for an answer that is none."""
        self._sequence = self._sequence + 1 & 0x3FFFFFFF
        answer = Answer(self._sequence, take)
        complete = False
        try:
            if self._sock is None:
                self._sock = open_socket(AF_NETLINK, SOCK_RAW, self._family)
                self._sock.bind(sockaddr_netlink())
            self._sock.sendto(request(self._sequence), sockaddr_netlink())
            while not complete:
                complete = answer.feed(self._receive())
        except OSError as error:
            answer.error = error.args[0]
        finally:
            if not complete:  # what is left of a broken answer goes with the socket
                self.close()
        return answer

    def _receive(self):
        try:
            return receive(self._sock, _buffer)
        except OSError as error:
            if not is_again(error):
                raise
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        if not poll.poll(_PATIENCE_MS):
            raise NetlinkError("the kernel does not answer")
        return receive(self._sock, _buffer)

    def close(self):
        """Give the descriptor back; the next request opens another one."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
