"""Resolves a host name with the machine's name servers, on the reactor (`getaddrinfo` would block it).

A and AAAA are asked at once. An answer counts only when it comes from the server that was asked, to the random
port and with the random id of the question; a connected UDP socket sees to the first two.
"""
from . import dns
from .addr import format_ip, parse_ip
from .client import words
from .compat import AF_INET, AF_INET6, SOCK_DGRAM, is_again, open_socket, random_below, sockaddr
from .loop import READ

PATHS = ("/tmp/resolv.conf.d/resolv.conf.auto", "/etc/resolv.conf")
PORT = 53
_TRIES_MS = (1000, 2000)  # the wait for each try of one server; then comes the next server
_TOTAL_MS = 8000
_LARGEST = 4096


class Resolver:
    """`paths`: resolv.conf files; the first that names a server counts, and is read anew for each name."""

    def __init__(self, loop, paths=PATHS, port=PORT):
        self._loop = loop
        self._paths = paths
        self._port = port
        self._lookups = []

    def resolve(self, name, done):
        """Call `done(addresses, None)` with canonical texts, IPv4 first, at least one; or `done([], text)`. Never
        before this returns; within 8 s."""
        try:
            address = format_ip(parse_ip(name))
        except ValueError:
            self._lookups.append(_Lookup(self._loop, self._servers(), self._port, name, done, self._lookups))
        else:
            self._loop.call_later(0, done, [address], None)

    def close(self):
        """Forget what is under way; nothing is called any more."""
        for lookup in list(self._lookups):
            lookup.close()

    def _servers(self):
        for path in self._paths:
            try:
                with open(path) as file:
                    servers = dns.parse_resolv_conf(file.read())
            except (OSError, ValueError):
                continue
            if servers:
                return servers
        return []


class _Lookup:
    """One name: a question for A and one for AAAA, put to one server after the other until both are answered.
    Sockets stay open to the end, so that a late answer to an earlier try counts too."""

    def __init__(self, loop, servers, port, name, done, lookups):
        self._loop = loop
        self._port = port
        self._name = name
        self._done = done
        self._lookups = lookups
        self._plan = [(server, wait_ms) for server in servers for wait_ms in _TRIES_MS]
        self._server = None  # the one asked now
        self._found = {}  # kind: addresses, once answered
        self._sockets = []
        self._problem = "no name server answers" if servers else "no name server is configured"
        self._end = loop.call_later(_TOTAL_MS, self._finish)
        self._timer = loop.call_later(0, self._next)

    def close(self):
        """Forget it; `done` is not called any more."""
        self._end.cancel()
        self._timer.cancel()
        for sock in self._sockets:
            self._loop.unwatch(sock.fileno())
            sock.close()
        self._sockets = []
        if self in self._lookups:
            self._lookups.remove(self)

    def _next(self):
        """Ask the next server, or the same once more. With some addresses known nobody waits for the others."""
        if not self._plan or any(self._found.values()):
            self._finish()
            return
        self._server, wait_ms = self._plan.pop(0)
        self._timer = self._loop.call_later(wait_ms, self._next)
        for kind in (dns.A, dns.AAAA):
            if kind not in self._found:
                self._ask(self._server, kind)

    def _ask(self, server, kind):
        identifier = random_below(65536)
        try:
            query = dns.build_query(self._name, kind, identifier)
            sock = open_socket(AF_INET6 if ":" in server else AF_INET, SOCK_DGRAM)
            self._sockets.append(sock)
            sock.connect(sockaddr(server, self._port))
            sock.send(query)
        except dns.DnsError as error:
            self._plan = []
            self._failed(server, str(error))
        except OSError as error:
            self._failed(server, words(error))
        else:
            self._loop.watch(sock.fileno(), READ, lambda _: self._answered(sock, server, kind, identifier))

    def _answered(self, sock, server, kind, identifier):
        try:
            addresses, _ = dns.parse_answer(sock.recv(_LARGEST), self._name, kind, identifier)
        except OSError as error:
            if not is_again(error):
                self._loop.unwatch(sock.fileno())
                self._failed(server, words(error))
            return
        except dns.DnsError as error:
            if error.final:  # else it is not the answer to our question, which may still come
                self._loop.unwatch(sock.fileno())
                self._failed(server, str(error))
            return
        self._loop.unwatch(sock.fileno())
        self._found[kind] = addresses
        if len(self._found) == 2:
            self._finish()

    def _failed(self, server, text):
        """This server is of no use: go on to the next at once."""
        self._problem = "name server %s: %s" % (server, text)
        self._plan = [row for row in self._plan if row[0] != server]
        if server == self._server:
            self._timer.cancel()
            self._timer = self._loop.call_later(0, self._next)

    def _finish(self):
        self.close()
        addresses = self._found.get(dns.A, []) + self._found.get(dns.AAAA, [])
        if addresses:
            self._done(addresses, None)
        else:
            self._done([], self._name + ": " + ("no address" if len(self._found) == 2 else self._problem))
