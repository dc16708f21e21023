"""Listening sockets: a TCP one that may hear one interface alone, a UNIX one with permissions from the start."""
import errno
import os

from .compat import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    IPPROTO_IPV6,
    IPV6_V6ONLY,
    SO_REUSEADDR,
    SOCK_STREAM,
    SOL_SOCKET,
    bind_to_device,
    open_socket,
    sockaddr,
    sockaddr_unix,
    umask,
)

_BACKLOG = 128


def listen_tcp(ip, port, device=None):
    """A listening socket on an address in text and a port (0: any), with `device` for packets of that interface
    alone. OSError EADDRINUSE, EADDRNOTAVAIL, ENODEV, EPERM."""
    sock = open_socket(AF_INET6 if ":" in ip else AF_INET, SOCK_STREAM)
    try:
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        if ":" in ip:
            sock.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
        if device:
            bind_to_device(sock, device)
        sock.bind(sockaddr(ip, port))
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def listen_unix(path, mode=0o600):
    """A listening UNIX socket with these permissions from the start. A socket file that a dead program left is
    replaced; OSError EADDRINUSE when a program answers on it, or when it is no socket."""
    sock = open_socket(AF_UNIX, SOCK_STREAM)
    old = umask(0o777 & ~mode)
    try:
        try:
            sock.bind(sockaddr_unix(path))
        except OSError as error:
            if error.args[0] != errno.EADDRINUSE or not _is_stale(path):
                raise
            os.unlink(path)
            sock.bind(sockaddr_unix(path))
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    finally:
        umask(old)
    return sock


def _is_stale(path):
    """Whether this is a socket file on which nobody listens."""
    if os.stat(path)[0] & 0o170000 != 0o140000:
        return False
    sock = open_socket(AF_UNIX, SOCK_STREAM)
    try:
        sock.connect(sockaddr_unix(path))
    except OSError as error:
        return error.args[0] == errno.ECONNREFUSED
    finally:
        sock.close()
    return False
