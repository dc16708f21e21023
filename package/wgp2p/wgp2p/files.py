"""Small files of our own: written whole or not at all, readable by the daemon's user only. Tokens live in such."""
import os

from .compat import give, is_symlink, random_bytes, sync, umask, utf8
from .config import is_token

_PIECE = 4096


def exists(path):
    """Whether something is there."""
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def read_text(path, limit):
    """The text of a file of at most `limit` bytes. OSError when it cannot be read, ValueError when it is larger or no
    UTF-8."""
    too_large = ValueError("larger than %d bytes" % limit)
    if os.stat(path)[6] > limit:
        raise too_large
    pieces, size = [], 0
    source = open(path, "rb")
    try:
        while size <= limit:
            piece = source.read(_PIECE)  # MicroPython takes the memory first, however little there is to read
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
    finally:
        source.close()
    if size > limit:
        raise too_large
    try:
        return utf8(b"".join(pieces))
    except ValueError:
        raise ValueError("not UTF-8")


def make_folder(path):
    """Make a folder and those above it, with mode 0700 where it is new. OSError."""
    if exists(path):
        return
    parent = path.rpartition("/")[0]
    if parent:
        make_folder(parent)
    old = umask(0o077)
    try:
        os.mkdir(path)
    finally:
        umask(old)


def write_private(path, text):
    """Put `text` in place of the file in one step, with mode 0600; after a power cut it is the old or the new one.
    OSError."""
    make_folder(path.rpartition("/")[0])
    _put(path, text, None)


def write_shared(path, text):
    """As write_private, but of the owner of its folder, and readable for its group: on a router the daemon's. OSError.
    """
    folder = path.rpartition("/")[0]
    make_folder(folder)
    facts = os.stat(folder)
    _put(path, text, (0o640,) + tuple(facts)[1:])


def replace(path, text):
    """Put `text` in place of a file that is there, as write_private does, with that one's owner and mode. OSError."""
    _put(path, text, os.stat(path))


def part_of(path):
    """The name of a file that is to take the place of this one: no name that a device may have, nor one that anybody
    could guess. Root writes into folders that the daemon's user may write into, too, and a symbolic link put there
    before would lead root elsewhere."""
    folder, _, name = path.rpartition("/")
    return "%s/.%s.%s.new" % (folder, name, "".join(["%02x" % byte for byte in random_bytes(8)]))


def _put(path, text, facts):
    part = part_of(path)
    old = umask(0o177)
    try:
        out = open(part, "wb")
    finally:
        umask(old)
    try:
        try:
            if facts is not None:
                give(out, facts[4], facts[5], facts[0] & 0o777)
            out.write(text.encode())
            sync(out)
        finally:
            out.close()
        os.rename(part, path)
    except OSError:
        os.remove(part)
        raise


# -- tokens ---------------------------------------------------------------------------------------

def new_token():
    """256 random bits in 64 hexadecimal digits."""
    return "".join(["%02x" % byte for byte in random_bytes(32)])


def write_token(path, token):
    """Put this token into a file, which keeps its owner and mode; one that is not there is made as write_private does.
    In place: on a router it may be root's, in a folder where only root may put another one there. A file that holds
    something else is left alone. ValueError says in words why not, without the token."""
    if not isinstance(token, str) or not is_token(token):
        raise ValueError("a token has 32 to 256 characters, no spaces: copy it as `wgp2p token` shows it")
    if is_symlink(path):
        raise ValueError("the token file %s is a symbolic link: not written" % path)
    try:
        if not exists(path):
            return write_private(path, token + "\n")
        mode = os.stat(path)[0]
        if mode & 0o170000 != 0o100000:
            raise ValueError("the token file %s is no regular file: not written" % path)
        _check_mode(path, mode)
        if os.stat(path)[6] and not _holds_token(path):
            raise ValueError("the file %s holds something that is no token: not written. If it is the right one, "
                             "delete it" % path)
        out = open(path, "wb")
        try:
            out.write((token + "\n").encode())
            sync(out)
        finally:
            out.close()
    except OSError as error:
        raise ValueError("cannot write the token file %s (errno %d)" % (path, error.args[0]))


def _holds_token(path):
    try:
        return is_token(read_text(path, 1024).strip())
    except ValueError:
        return False


def _check_mode(path, mode):
    if mode & 0o007:
        raise ValueError("token file %s is open to every user of this machine: chmod 600 it" % path)


def read_token(path):
    """The token in a file. ValueError says in words what is wrong with it; the token itself is in no message."""
    try:
        text = read_text(path, 1024).strip()
        mode = os.stat(path)[0]
    except OSError as error:
        raise ValueError("cannot read the token file %s (errno %d)" % (path, error.args[0]))
    except ValueError as error:
        raise ValueError("token file %s: %s" % (path, error))
    if not is_token(text):
        raise ValueError("token file %s holds no token (32 to 256 characters, no spaces)" % path)
    _check_mode(path, mode)
    return text


def device_token_path(keep_dir, name):
    """Where a publisher keeps the token of the remote device, or other peer, of this name."""
    return "%s/tokens/%s" % (keep_dir, name)


def may_have_token(peer):
    """Whether there can be a token for this peer section: for a remote device, and for another peer whose name is good
    as a file name and that is not to be left alone."""
    return peer.device or bool(peer.name and "/" not in peer.name and not peer.name.startswith(".")
                               and not peer.exclude)


def has_token(keep_dir, peer):
    """Whether there is one."""
    return may_have_token(peer) and exists(device_token_path(keep_dir, peer.name))


def device_token(keep_dir, name):
    """The token of a remote device, or other peer, made when there is none. ValueError, OSError."""
    path = device_token_path(keep_dir, name)
    if not exists(path):
        write_private(path, new_token() + "\n")
    return read_token(path)
