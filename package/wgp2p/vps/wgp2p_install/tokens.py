"""Tokens on their way: from a file, a terminal or a pipe into a file of ours; never through a command line."""
from wgp2p.config import is_token
from wgp2p.files import device_token_path

from . import paths
from .problems import Refused

_BAD = "is no token (32 to 256 ASCII characters without a space; `wgp2p token NAME` on the public server shows it)"


def from_file(system, path):
    """The token in a file. Refused; the token is in no message."""
    found = system.file(path)
    if found is None:
        raise Refused(f"{path}: there is no such file")
    try:
        token = found.data.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not is_token(token):
        raise Refused(f"what {path} holds {_BAD}")
    return token


def from_person(console):
    """The token that somebody types or pipes in. Refused."""
    token = console.secret("The token that the public server showed (it stays invisible):")
    if not is_token(token):
        raise Refused(f"that {_BAD}")
    return token


def show(system, name):
    """The token of a remote device, made when it is missing, by the service's own user. Refused."""
    ran = system.run([paths.LAUNCHER, "token", name], user=paths.USER)
    if ran.code:
        raise Refused(f"no token for {name}: {ran.err.strip()}")
    return ran.out.strip()


def hand_over(journal, keep, name, token, owner):
    """Make a token from elsewhere the one of the remote device `name`. A different one that is there stays: Refused."""
    system, path = journal.system, device_token_path(keep, name)
    folder = path.rpartition("/")[0]
    # The service makes this folder for itself alone; then root must not write by names in it.
    if system.exists(path):
        if from_file(system, path) != token:
            raise Refused(f"{path} holds another token already; remove it to take over the old one")
        return
    if system.exists(folder) and system.folder(folder) != (0o1770, (0, owner[1])):
        raise Refused(f"{folder} belongs to wgp2p already; add the token by hand: put it into {path}, for the user "
                      f"{paths.USER} alone")
    journal.folder(folder, 0o1770, (0, owner[1]))
    journal.write(path, token + "\n", 0o640, (0, owner[1]))
