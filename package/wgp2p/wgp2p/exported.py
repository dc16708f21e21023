"""Under which endpoint the clients' profiles know this machine. When its address or port is another one they lead
nowhere, and nobody sees it in them: so it is noted when a profile is given out, and compared ever after.

KEEP_DIR/profiles.json has the clients' names and that endpoint, no key. `wgp2p client` writes it as root, the daemon
reads it. What the LuCI page gives out is in the option profile_endpoint of the client's peer section.
"""
import json

from .addr import parse_endpoint
from .compat import json_loads
from .files import exists, read_text, write_shared

_LIMIT = 1 << 16


def read(keep_dir):
    """{client's name: endpoint, with an address or a host name}. What is no such file is none."""
    path = _path(keep_dir)
    try:
        said = json_loads(read_text(path, _LIMIT)) if exists(path) else {}
    except (OSError, ValueError):
        return {}
    found = {}
    for name in said if isinstance(said, dict) else ():
        if isinstance(said[name], str) and said[name].rpartition(":")[2].isdigit():
            found[name] = said[name]
    return found


def given_out(config):
    """{client's name: endpoint} of all profiles that are known of (config.Config): what the page says of one counts
    more than the file."""
    found = read(config.main.keep_dir)
    for key in config.peers:
        if config.peers[key].profile_endpoint:
            found[config.name(key)] = config.peers[key].profile_endpoint
    return found


def note(keep_dir, name, endpoint):
    """This client's profile has this endpoint of ours; None: it has none any more. OSError."""
    profiles = read(keep_dir)
    if profiles.get(name) == endpoint:
        return
    profiles.pop(name, None)
    if endpoint is not None:
        profiles[name] = endpoint
    write_shared(_path(keep_dir), json.dumps(profiles) + "\n")


def stale(profiles, endpoints):
    """The names, sorted, of the profiles that lead to none of these endpoints of ours. Of a host name only the port can
    be compared. Where no endpoint is known, none is stale."""
    ports = [parse_endpoint(endpoint)[1] for endpoint in endpoints]
    return sorted([name for name in profiles if endpoints and not _leads(profiles[name], endpoints, ports)])


def _leads(endpoint, endpoints, ports):
    try:
        ip = parse_endpoint(endpoint)[0]
    except ValueError:
        return int(endpoint.rpartition(":")[2]) in ports
    return endpoint in endpoints or not [one for one in endpoints if (":" in parse_endpoint(one)[0]) == (":" in ip)]


def _path(keep_dir):
    return keep_dir + "/profiles.json"
