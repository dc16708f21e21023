"""A tiny DNS server in one namespace: A and AAAA from a table that can be changed while it runs."""
import contextlib
import ipaddress
import socket
import struct
import threading
import time

import netns

TYPES = {1: "A", 28: "AAAA"}


class DnsServer:
    """table: {name: [address, …]}; queries: [(monotonic s, name, type), …] so far; silent: answer nothing."""

    def __init__(self, namespace, address, table=None, ttl=5):
        self.address = address
        self.table = dict(table or {})
        self.ttl = ttl
        self.silent = False
        self.queries = []
        self._socket = netns.open_socket(namespace, socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread; says "not connected" all the same
        self._thread.join()
        self._socket.close()

    def _serve(self):
        while True:
            query, source = self._socket.recvfrom(2048)
            if not query:
                return
            answer = self.answer(query)
            if answer and not self.silent:
                self._socket.sendto(answer, source)

    def answer(self, query):
        """The answer to one query (bytes); None for what is no query."""
        if len(query) < 17 or query[2] & 0x80:
            return None
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace").lower())
            at += 1 + query[at]
            if at >= len(query):
                return None
        question = query[12:at + 5]
        name, kind = ".".join(labels), TYPES.get(struct.unpack("!H", query[at + 1:at + 3])[0], "?")
        self.queries.append((time.monotonic(), name, kind))
        found = [ipaddress.ip_address(text) for text in self.table.get(name, ())]
        found = [address for address in found if (address.version == 4) == (kind == "A") and kind != "?"]
        flags = 0x8580 | (0 if name in self.table else 3)  # authoritative answer; no such name
        records = b"".join(
            struct.pack("!HHHIH", 0xC00C, 1 if address.version == 4 else 28, 1, self.ttl, len(address.packed))
            + address.packed for address in found)
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + question + records
