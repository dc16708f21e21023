"""The few places where MicroPython's unix port and CPython differ.

Everything else in the package is written in the common subset. What stands here: the clock, socket
addresses (raw buffers on one, tuples on the other), socket options, strict base64 and JSON, signals.
"""
import binascii
import errno
import gc
import json
import os
import socket
import struct
import sys
import time

MICROPYTHON = sys.implementation.name == "micropython"

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET = 1, 2, 10, 16, 17
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = 1, 2, 3
# asm-generic/socket.h; MIPS numbers SOL_SOCKET and several options differently (asm/socket.h there).
_MIPS = MICROPYTHON and socket.SOL_SOCKET != 1
SOL_SOCKET = socket.SOL_SOCKET
SO_REUSEADDR = socket.SO_REUSEADDR
SO_RCVBUF = 0x1002 if _MIPS else 8
SO_BINDTODEVICE = 25
SO_ATTACH_FILTER = 26
IPPROTO_TCP, TCP_NODELAY, TCP_USER_TIMEOUT = 6, 1, 18
IPPROTO_IPV6, IPV6_V6ONLY = 41, 26
# Linux numbers that neither `errno` module of MicroPython names; MIPS has its own from 35 up.
EINPROGRESS = errno.EINPROGRESS
EADDRNOTAVAIL = 126 if _MIPS else 99
ENETDOWN = 127 if _MIPS else 100
ENETUNREACH = 128 if _MIPS else 101
O_NONBLOCK = 0x80 if _MIPS else 0x800  # asm/fcntl.h
EPIPE, EMFILE, ENFILE, EINTR = 32, 24, 23, 4

if MICROPYTHON:
    import ffi
    import uctypes

    _libc = ffi.open(None)
    _recvfrom = _libc.func("l", "recvfrom", "iPLiPP")
else:
    import array
    import signal


# -- clock ----------------------------------------------------------------------------------------

if MICROPYTHON:
    _ticks = [time.ticks_ms(), 0]

    def monotonic_ms():
        """Milliseconds of a clock that is never set and never wraps (call it at least every 6 days:
        `ticks_ms` wraps at 2**30 on 32-bit machines)."""
        now = time.ticks_ms()
        _ticks[1] += time.ticks_diff(now, _ticks[0])
        _ticks[0] = now
        return _ticks[1]
else:
    def monotonic_ms():
        """Milliseconds of a clock that is never set and never wraps."""
        return time.monotonic_ns() // 1000000


def unix_s():
    """The wall clock in whole seconds. For people and for the original wire format only: it may jump."""
    return int(time.time())


# -- socket addresses -----------------------------------------------------------------------------

def sockaddr(ip, port):
    """What bind, connect and sendto take here for an IPv4 or IPv6 address in text."""
    if not MICROPYTHON:
        return (ip, port)
    if ":" in ip:
        return (struct.pack("H", AF_INET6) + struct.pack("!HI", port, 0) + socket.inet_pton(AF_INET6, ip)
                + bytes(4))
    return struct.pack("H", AF_INET) + struct.pack("!H", port) + socket.inet_pton(AF_INET, ip) + bytes(8)


def sockaddr_text(address):
    """(ip, port) of what accept or recvfrom gave; (None, 0) for one without (a UNIX socket)."""
    if not MICROPYTHON:
        return (address[0], address[1]) if isinstance(address, tuple) and len(address) >= 2 else (None, 0)
    if isinstance(address, tuple):  # MicroPython's accept decodes what it knows
        return (address[0], address[1])
    family = struct.unpack_from("H", address, 0)[0] if len(address) >= 2 else 0
    if family == AF_INET and len(address) >= 8:
        return socket.inet_ntop(AF_INET, address[4:8]), struct.unpack_from("!H", address, 2)[0]
    if family == AF_INET6 and len(address) >= 24:
        return socket.inet_ntop(AF_INET6, address[8:24]), struct.unpack_from("!H", address, 2)[0]
    return (None, 0)


def sockaddr_unix(path):
    """The address of a UNIX socket; `path` of up to 107 bytes."""
    if len(path.encode()) > 107:
        raise ValueError("socket path longer than 107 bytes: " + path)
    return struct.pack("H", AF_UNIX) + path.encode() + b"\0" if MICROPYTHON else path


def sockaddr_netlink(groups=0):
    """The kernel's netlink address (to send to), or with a group mask the one to bind to."""
    return struct.pack("HHII", AF_NETLINK, 0, 0, groups) if MICROPYTHON else (0, groups)


def sockaddr_packet(ifindex, protocol):
    """What binds an AF_PACKET socket to an interface and an EtherType in host order (packet(7))."""
    if MICROPYTHON:
        return struct.pack("H", AF_PACKET) + struct.pack("!H", protocol) + struct.pack("iHBB8s", ifindex, 0, 0, 0, b"")
    return (socket.if_indextoname(ifindex), protocol)


# -- sockets --------------------------------------------------------------------------------------

def open_socket(family, kind, protocol=0):
    """A non-blocking socket. Raises OSError (EPERM where a capability is missing)."""
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    return sock


def bind_to_device(sock, name):
    """Only packets of this interface, in both directions (SO_BINDTODEVICE, socket(7))."""
    sock.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, name.encode() + b"\0")


def attach_filter(sock, program):
    """Attach a classic BPF program, a list of (code, jt, jf, k) (linux/filter.h, struct sock_filter)."""
    code = bytearray()
    for op, jt, jf, k in program:
        code += struct.pack("HBBI", op, jt, jf, k)
    if MICROPYTHON:
        where = uctypes.addressof(code)
        sock.setsockopt(SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), where))
    else:
        held = array.array("B", code)
        sock.setsockopt(SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), held.buffer_info()[0]))


def receive(sock, buffer):
    """The bytes of one datagram, read through a buffer that is kept: MicroPython's own `recv` takes as much from the
    heap as is asked for, whatever comes. OSError."""
    if not MICROPYTHON:
        return bytes(memoryview(buffer)[:sock.recv_into(buffer)])
    count = _libc.func("l", "recv", "iPLi")(sock.fileno(), buffer, len(buffer), 0)
    if count < 0:
        raise OSError(os.errno())
    return bytes(memoryview(buffer)[:count])


def receive_from(sock, buffer):
    """(the bytes of one datagram, its sender's address for `sockaddr_text`), read as `receive` does. OSError."""
    if not MICROPYTHON:
        count, address = sock.recvfrom_into(buffer)
        return bytes(memoryview(buffer)[:count]), address
    address = bytearray(28)
    count = _recvfrom(sock.fileno(), buffer, len(buffer), 0, address, bytearray(struct.pack("I", len(address))))
    if count < 0:
        raise OSError(os.errno())
    return bytes(memoryview(buffer)[:count]), bytes(address)


def shut_down_output(sock):
    """Tell the peer that nothing more comes, and go on reading. OSError when the connection is gone."""
    if not MICROPYTHON:
        sock.shutdown(socket.SHUT_WR)
    elif _libc.func("i", "shutdown", "ii")(sock.fileno(), 1) < 0:
        raise OSError(errno.ENOTCONN)


def umask(mask):
    """Set the permissions that new files do not get; gives the ones before."""
    return _libc.func("i", "umask", "i")(mask) if MICROPYTHON else os.umask(mask)


# -- files ----------------------------------------------------------------------------------------

if MICROPYTHON:
    def link(old, new):
        """Give a file a second name, which no file has yet. OSError."""
        if _libc.func("i", "link", "ss")(old, new):
            raise OSError(os.errno())

    def is_symlink(path):
        """Whether this name is a symbolic link, wherever it leads."""
        return _libc.func("l", "readlink", "sPL")(path, bytearray(1), 1) >= 0

    def sync(out):
        """What was written to an open file is on the disk when this returns."""
        out.flush()
        _libc.func("i", "fsync", "i")(out.fileno())

    def give(out, uid, gid, mode):
        """Make an open file another user's and group's, with these permissions. OSError."""
        if (_libc.func("i", "fchown", "iII")(out.fileno(), uid, gid)
                or _libc.func("i", "fchmod", "iI")(out.fileno(), mode)):
            raise OSError(os.errno())
else:
    link = os.link
    is_symlink = os.path.islink

    def sync(out):
        """What was written to an open file is on the disk when this returns."""
        out.flush()
        os.fsync(out.fileno())

    def give(out, uid, gid, mode):
        """Make an open file another user's and group's, with these permissions. OSError."""
        os.fchown(out.fileno(), uid, gid)
        os.fchmod(out.fileno(), mode)


def is_again(error):
    """The OSError only says: nothing there yet, or no room yet."""
    return error.args[0] in (errno.EAGAIN, EINTR)


# -- strict text ----------------------------------------------------------------------------------

def b64encode(data):
    """Standard base64 without a line end."""
    return binascii.b2a_base64(data).decode().strip()


def b64decode(text):
    """Bytes of canonical standard base64; ValueError for anything else."""
    try:
        data = binascii.a2b_base64(text)
    except (ValueError, TypeError):
        raise ValueError("not base64")
    if b64encode(data) != text:
        raise ValueError("not base64")
    return data


def utf8(data):
    """Text of bytes (or a view of them) that are strictly UTF-8; ValueError for anything else."""
    text = str(data, "utf8")
    if MICROPYTHON and len(text) != len(data):  # it lets through longer forms than needed, and surrogates
        for char in text:
            code = ord(char)
            if (len(char.encode()) != (1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4)
                    or 0xD800 <= code < 0xE000 or code > 0x10FFFF):
                raise ValueError("not UTF-8")
    return text


def json_loads(text):
    """One whole JSON value from str; ValueError for anything else, a truncated text included."""
    try:
        if not MICROPYTHON:
            return json.loads(text)
        # MicroPython 1.25 closes what the text left open: the 7 then lands inside the value.
        pair = json.loads("[" + text + ",7]")
    except (ValueError, RuntimeError, MemoryError):
        raise ValueError("not JSON")
    if len(pair) != 2 or pair[1] != 7:
        raise ValueError("not JSON")
    return pair[0]


def equal(one, other):
    """Whether two byte strings are the same, in a time that does not tell where they differ."""
    # Not hmac.compare_digest: its module alone costs CPython 4 MB.
    if len(one) != len(other):
        return False
    difference = 0
    for i in range(len(one)):
        difference |= one[i] ^ other[i]
    return difference == 0


def random_bytes(count):
    """Bytes from the kernel's generator."""
    return os.urandom(count)


def random_below(limit):
    """A random integer, 0 <= n < limit <= 2**32. Its bias (below 2**-32 of `limit`) suits jitter and ids."""
    return int.from_bytes(os.urandom(8), "little") % limit


# -- memory ---------------------------------------------------------------------------------------

_COLLECT_LEAST = 131072


def tune_heap():
    """Let MicroPython collect after as much garbage as there is in use, at least 128 KiB: the heap does not spread
    over all that it may have, and a large one is not walked all the time. Call it now and then."""
    if MICROPYTHON:
        gc.threshold(max(_COLLECT_LEAST, gc.mem_alloc() // 2))


# -- signals --------------------------------------------------------------------------------------

SIGHUP, SIGINT, SIGKILL, SIGTERM = 1, 2, 9, 15

if MICROPYTHON:
    class Signals:
        """Signals as bytes on a descriptor. `fd` becomes readable; `take()` gives the numbers that came."""

        def __init__(self, numbers):
            # sigset_t: one bit a signal, in longs of native order; 128 bytes serve glibc and musl.
            # SIG_BLOCK is 0, on MIPS 1.
            word = 0
            for number in numbers:
                word |= 1 << (number - 1)
            mask = struct.pack("L", word) + bytes(120)
            self._mask = mask + bytes(8)
            _libc.func("i", "sigprocmask", "iPP")(1 if _MIPS else 0, self._mask, None)
            # SFD_NONBLOCK | SFD_CLOEXEC (asm/fcntl.h)
            flags = O_NONBLOCK | 0x80000
            self.fd = _libc.func("i", "signalfd", "iPi")(-1, self._mask, flags)
            self._read = _libc.func("l", "read", "iPL")

        def take(self):
            """The numbers of the signals that have come since, without waiting."""
            record, numbers = bytearray(128), []
            while self._read(self.fd, record, 128) == 128:
                numbers.append(struct.unpack_from("I", record, 0)[0])
            return numbers

        def close(self):
            """Give the descriptor back and let the signals act again."""
            _libc.func("i", "close", "i")(self.fd)
            _libc.func("i", "sigprocmask", "iPP")(2 if _MIPS else 1, self._mask, None)
else:
    class Signals:
        """Signals as bytes on a descriptor. `fd` becomes readable; `take()` gives the numbers that came."""

        def __init__(self, numbers):
            self.fd, self._out = os.pipe()
            os.set_blocking(self.fd, False)
            os.set_blocking(self._out, False)
            self._old = [(number, signal.signal(number, lambda *_: None)) for number in numbers]
            signal.set_wakeup_fd(self._out)

        def take(self):
            """The numbers of the signals that have come since, without waiting."""
            try:
                return list(os.read(self.fd, 64))
            except BlockingIOError:
                return []

        def close(self):
            """Give the descriptor back and let the signals act again."""
            signal.set_wakeup_fd(-1)
            for number, action in self._old:
                signal.signal(number, action)
            os.close(self.fd)
            os.close(self._out)


def libc(result, name, arguments):
    """A function of the C library by MicroPython's ffi letters (i int, I unsigned, l long, L unsigned long, P pointer,
    s string), or None where CPython comes without ctypes."""
    if MICROPYTHON:
        return _libc.func(result, name, arguments)
    try:  # imported where it is used, to save memory; split out of OpenWrt's python3-light
        import ctypes
    except (ImportError, MemoryError):  # MemoryError: it may not make memory executable
        return None
    kinds = {"i": ctypes.c_int, "I": ctypes.c_uint, "l": ctypes.c_long, "L": ctypes.c_ulong, "P": ctypes.c_void_p,
             "s": ctypes.c_char_p}
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    function.restype = kinds[result]
    function.argtypes = [kinds[letter] for letter in arguments]
    return function
