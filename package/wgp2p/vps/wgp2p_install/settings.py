"""/etc/config/wgp2p: new sections are added to what is there, and nothing that is there is changed."""
from wgp2p import addr, config, uci
from wgp2p.compat import b64decode

from . import paths
from .problems import Refused

_HEAD = "# Every option is explained in docs/config.md. After a change: wgp2p check && wgp2p reload\n\nconfig wgp2p\n"
_NAME_LIMIT = 64
_REMOTE_NAME = "vps"  # of a subscriber's first section


def read(text):
    """The Config in a text, an empty one for "". Refused with every fault."""
    try:
        return config.parse(text, paths.CONFIG)
    except config.ConfigError as error:
        raise Refused("\n".join([str(problem) for problem in error.problems]))


def quote(text):
    """One word of UCI."""
    return "'" + text.replace("'", "'\\''") + "'"


def section(kind, options, name=None):
    """The text of a section; options: (name, value) in order, a list's items one by one as (name, [value])."""
    lines = ["config " + kind + (" " + quote(name) if name else "")]
    for option, value in options:
        is_list = isinstance(value, list)
        lines += ["\t%s %s %s" % ("list" if is_list else "option", option, quote(str(word)))
                  for word in (value if is_list else [value])]
    return "\n".join(lines) + "\n"


def safe_name(text):
    """A name for a device that is good as a file name and to type: letters, digits, dot, dash, underscore."""
    name = "".join([char if char.isalnum() or char in "._-" else "-" for char in text.strip()]).strip("-.")
    return name[:_NAME_LIMIT]


def is_key(text):
    """Whether it is a WireGuard public key."""
    try:
        return len(b64decode(text)) == 32
    except ValueError:
        return False


def device(words):
    """(name, key) of NAME=PUBLICKEY. Refused."""
    name, equals, key = words.partition("=")
    if not equals or not safe_name(name):
        raise Refused(f"--device {words}: must be NAME=PUBLICKEY")
    if not is_key(key):
        raise Refused(f"--device {words}: what follows {name}= is no WireGuard public key (44 characters of base64)")
    return safe_name(name), key


def _join(text, sections):
    """The text with the sections behind it; checked. Refused."""
    text = (text if text.endswith("\n") or not text else text + "\n") or _HEAD
    for added in sections:
        text += "\n" + added
    read(text)
    return text


def _roles(text, kind, interface):
    """The raw sections of this kind for an interface. Refused for one that is switched off."""
    found = [row for row in uci.parse(text) if row.type == kind and row.get("interface") == interface]
    for row in found:
        if row.get("enabled") in ("0", "off", "false", "no", "disabled"):
            raise Refused(f"{paths.CONFIG}, section {row.label}, is for {interface} and switched off: remove its "
                          "option enabled, and run this again")
    return found


def publisher(text, interface, port=None, addresses=(), devices=()):
    """The configuration with a publisher on this interface and these devices, (name, key) each. Refused where the text
    says something else."""
    found, added = read(text), []
    rows = _roles(text, "publisher", interface)
    if not rows:
        added.append(section("publisher", [("interface", interface)] + ([("port", port)] if port else [])
                             + [("address", [ip]) for ip in addresses]))
    elif port and str(port) != (rows[0].get("port") or str(config.DEFAULT_PORT)):
        raise Refused(f"{paths.CONFIG}, section {rows[0].label}, has another port: change it there, and run this again "
                      "without --port")
    for name, key in devices:
        peer = found.peer(key)
        if peer is None:
            if [other for other in found.peers.values() if other.name == name]:
                raise Refused(f"{paths.CONFIG} has a peer '{name}' with another key: choose another name, or change "
                              "the key there")
            added.append(section("peer", [("name", name), ("public_key", key), ("device", 1)]))
        elif peer.name != name or not peer.device:
            raise Refused(f"{paths.CONFIG} has a section for the key of '{name}': give it there option name '{name}' "
                          "and option device '1', and run this again")
    return _join(text, added) if added or not text else text


def subscriber(text, interface, publisher_ip, port=None, server_host=None, keepalive=None, stale_after=None):
    """(configuration with a subscriber to this publisher, file of its token). Refused where the text says something
    else."""
    found = read(text)
    for values in found.subscribers:
        if (values.interface, values.publisher) == (interface, publisher_ip):
            if port and port != values.port:
                raise Refused(f"{paths.CONFIG}, section {values.label}, has another port: change it there, and run "
                              "this again without --port")
            if server_host and server_host != values.server_host:
                raise Refused(f"{paths.CONFIG}, section {values.label}, has another server_host: change it there, and "
                              "run this again without --server-host")
            return text, None if values.token else values.token_file or default_token(found)
    _roles(text, "subscriber", interface)
    taken = [values.token_file or default_token(found) for values in found.subscribers if not values.token]
    token_file = default_token(found)
    options = [("interface", interface), ("publisher", publisher_ip), ("port", port), ("server_host", server_host),
               ("keepalive", keepalive), ("stale_after", stale_after)]
    if token_file in taken:
        token_file += "-" + publisher_ip.replace(":", "_")
        options.append(("token_file", token_file))
    labels, name, number = [row.name for row in uci.parse(text)], _REMOTE_NAME, 1
    while name in labels:
        number += 1
        name = _REMOTE_NAME + str(number)
    added = section("subscriber", [(option, value) for option, value in options if value], name)
    return _join(text, [added]), token_file


def default_token(found):
    """The file that a subscriber without token_file takes."""
    return found.main.keep_dir + "/token"


def ip(text):
    """A canonical IP address. Refused."""
    try:
        return addr.canonical_ip(text)
    except ValueError:
        raise Refused(f"{text} is no IP address")
