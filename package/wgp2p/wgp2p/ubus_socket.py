"""The socket to ubusd: whole messages out and in, without blocking, and the end noticed."""
from .client import words
from .compat import AF_UNIX, SOCK_STREAM, is_again, open_socket, receive, sockaddr_unix
from .files import exists
from .loop import READ, WRITE, guarded
from .ubusmessage import Reader, UbusError

SOCKETS = ("/var/run/ubus/ubus.sock", "/var/run/ubus.sock")  # since OpenWrt 21.02, and before
_WAITING_MOST = 524288  # bytes that ubusd has not taken yet
_buffer = bytearray(4096)


def socket_path():
    """Where ubusd listens on this machine, or None."""
    for path in SOCKETS:
        if exists(path):
            return path
    return None


class UbusSocket:
    """Connects to the socket at `path`; OSError when that fails. Calls `received(message)` with each
    ubusmessage.Message, and `lost(why)` once when the connection is over, neither within a call of ours nor after
    `close()`. File descriptors that others send with a message are dropped by the kernel, since nothing takes them."""

    def __init__(self, loop, path, received, lost):
        self._loop = loop
        self._received = received
        self._lost = lost
        self._reader = Reader()
        self._out = []  # messages that are still to be sent
        self._offset = 0  # what of the first has gone already
        self._waiting = 0  # bytes in all
        self._sock = open_socket(AF_UNIX, SOCK_STREAM)
        try:
            self._sock.connect(sockaddr_unix(path))
        except OSError:
            self._sock.close()
            raise
        self._watch()

    def send(self, message):
        """Send a message, now or when ubusd takes it; nothing when the connection is over. One who lets more than
        512 KiB wait is lost."""
        if self._sock is None:
            return
        if self._waiting + len(message) > _WAITING_MOST:
            self._loop.call_later(0, self.fail, "ubusd takes nothing any more")
            return
        self._waiting += len(message)
        self._out.append(message)
        if len(self._out) == 1:
            self._flush()

    def fail(self, why):
        """Close, and tell the owner why."""
        if self._sock is not None:
            self.close()
            self._lost(why)

    def close(self):
        """Close at once; the owner hears nothing more."""
        if self._sock is not None:
            self._loop.unwatch(self._sock.fileno())
            self._sock.close()
            self._sock = None
            del self._out[:]

    def _watch(self):
        self._loop.watch(self._sock.fileno(), READ | WRITE if self._out else READ, self._ready)

    def _ready(self, events):
        if events & WRITE and self._out:
            self._flush()
        if events & READ:
            self._readable()

    def _flush(self):
        try:
            while self._out:
                first = self._out[0]
                count = self._sock.send(memoryview(first)[self._offset:])
                self._waiting -= count
                self._offset += count
                if self._offset == len(first):
                    self._out.pop(0)
                    self._offset = 0
        except OSError as error:
            if not is_again(error):
                self._loop.call_later(0, self.fail, words(error))
        self._watch()

    def _readable(self):
        try:
            data = receive(self._sock, _buffer)
            messages = self._reader.feed(data)
        except OSError as error:
            if not is_again(error):
                self.fail(words(error))
            return
        except UbusError as error:
            return self.fail(str(error))
        except MemoryError:  # what was read is gone, and with it where the next message begins
            return self.fail("out of memory")
        for message in messages:
            if self._sock is not None:
                guarded(self._received, (message,))
        if not data:
            self.fail("ubusd closed the connection")
