"""The publisher's API as seen from any host, without our own client: plain requests, event streams, and rude bytes."""
import contextlib
import json
import socket
import threading
import time

import netns
from waiting import wait_for

API_PORT = 8080


def connect(host, address, port=API_PORT, seconds=5):
    """A TCP connection from a host. OSError."""
    made = netns.open_socket(host, socket.AF_INET, socket.SOCK_STREAM)
    made.settimeout(seconds)
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        raise
    return made


def request(path="/api/peers", token=None, address="10.77.1.1", headers=""):
    """The bytes of a GET request."""
    authorization = f"Authorization: Bearer {token}\r\n" if token is not None else ""
    return f"GET {path} HTTP/1.1\r\nHost: {address}:{API_PORT}\r\n{authorization}{headers}\r\n".encode()


def read_all(connection, limit=1 << 20):
    """What comes until the other side closes, or nothing comes any more."""
    data = b""
    with contextlib.suppress(OSError):
        while len(data) < limit and (part := connection.recv(65536)):
            data += part
    return data


def rude(host, address, data, seconds=5):
    """The status (int) that these bytes are answered with; None when the connection is closed without a word, "open"
    when nothing happens. What the other side does not take any more is not sent."""
    with connect(host, address, seconds=seconds) as connection:
        with contextlib.suppress(OSError):
            for start in range(0, len(data), 65536):
                connection.sendall(data[start:start + 65536])
        try:
            answer = connection.recv(65536)
        except socket.timeout:
            return "open"
        except OSError:
            return None
        return int(answer.split()[1]) if answer else None


def get(host, address, path="/api/peers", token=None):
    """(status, JSON) of a GET request."""
    with connect(host, address) as connection:
        connection.sendall(request(path, token, address, "Connection: close\r\n"))
        head, _, body = read_all(connection).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


class Events:
    """An event stream that is read: `events` [(monotonic s, name, data)]. A chunk is taken for a piece of text, which
    is enough for events that arrive whole."""

    def __init__(self, host, address, token):
        self.events = []
        self._connection = connect(host, address)
        self._connection.sendall(request("/api/events", token, address))
        self._connection.settimeout(None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        text, name = b"", ""
        while True:
            try:
                part = self._connection.recv(65536)
            except OSError:
                return
            if not part:
                return
            text += part
            *lines, text = text.split(b"\n")
            for line in lines:
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data: ") and name == "peer":
                    self.events.append((time.monotonic(), name, json.loads(line[6:])))

    def wait_endpoint(self, key, endpoint, seconds):
        """When the event came that says that this peer is at this endpoint."""
        return wait_for(lambda: next((when for when, _, row in self.events if row["public_key"] == key
                                      and row["endpoint"] == endpoint), None), seconds,
                        f"an event says {endpoint}", every=0.02)

    def close(self):
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()
