"""What /etc/config/wgp2p means: every section, option, type and default, checked, with a message for each fault.

The tables below are the whole schema; docs/config.md explains the same options to people, and a test holds the two
together. A fault of the kind "error" keeps the daemon from starting (a reload keeps the old configuration); a
"warning" does not.
"""
from . import addr, uci
from .compat import b64decode
from .log import plain

DEFAULT_PORT = 8080  # as in the original scripts
LEAST_STALE_S = 125  # WireGuard shakes hands every 120 s


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` lists every Problem found."""

    def __init__(self, problems):
        super().__init__("; ".join([str(problem) for problem in problems if problem.fatal]))
        self.problems = problems


class Problem:
    """One fault: where it is and what is wrong."""

    def __init__(self, fatal, where, message):
        self.fatal = fatal
        self.where = where
        self.message = message

    def text(self):
        """Where and what, without the level: the log has its own."""
        return "%s: %s" % (self.where, self.message)

    def __str__(self):
        return "%s: %s" % ("error" if self.fatal else "warning", self.text())


# -- types: text in, value out, ValueError with words ----------------------------------------------

ON = ("1", "on", "true", "yes", "enabled")  # as OpenWrt's scripts have it


def _boolean(text):
    if text in ON:
        return True
    if text in ("0", "off", "false", "no", "disabled"):
        return False
    raise ValueError("must be 1 or 0")


def _integer(least, most):
    def parse(text):
        if not 0 < len(text) < 10 or text.strip("0123456789") or not least <= int(text) <= most:
            raise ValueError("must be a whole number from %d to %d" % (least, most))
        return int(text)
    return parse


def _choice(*words):
    def parse(text):
        if text not in words:
            raise ValueError("must be one of " + ", ".join(words))
        return text
    return parse


def _interface(text):
    if not 0 < len(text.encode()) < 16 or "/" in text or text in (".", "..") or not _printable(text) or " " in text:
        raise ValueError("must be the name of a network interface, such as wg0")
    return text


def _ip(text):
    try:
        return addr.canonical_ip(text)
    except ValueError:
        raise ValueError("must be an IP address")


def _key(text):
    try:
        if len(b64decode(text)) == 32:
            return text
    except ValueError:
        pass
    raise ValueError("must be a WireGuard public key (44 characters of base64)")


def _path(text):
    if not text.startswith("/") or not _printable(text):
        raise ValueError("must be an absolute path")
    return text


def _name(text):
    if not 0 < len(text) <= 64 or not _printable(text) or text != text.strip():
        raise ValueError("must be 1 to 64 printable characters")
    return text


def _token(text):
    if not is_token(text):
        raise ValueError("must be a token as the publisher shows it (32 to 256 ASCII characters, no spaces)")
    return text


def is_token(text):
    """Whether it can be a token: it must fit into a header."""
    return 32 <= len(text) <= 256 and not [c for c in text if not "!" <= c <= "~"]


def _host(text):
    host = text[:-1] if text.endswith(".") else text
    if not 0 < len(host) <= 253:
        raise ValueError("must be a host name or an IP address")
    if ":" in host or host.strip("0123456789.") == "":
        return _ip(host)
    for label in host.split("."):
        if not 0 < len(label) <= 63 or label.startswith("-") or label.endswith("-"):
            raise ValueError("must be a host name or an IP address")
        if label.strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"):
            raise ValueError("must be a host name or an IP address")
    return host


def _printable(text):
    return plain(text) == text


def _ipv4(text):
    ip = _ip(text)
    if ":" in ip or not addr.is_unicast(ip):
        raise ValueError("must be the IPv4 address of a host")
    return ip


def _endpoint(text):
    """HOST:PORT with a name, an IPv4 address or an IPv6 address in brackets."""
    host, _, port = text.rpartition(":")
    try:
        if host.startswith("["):
            return addr.canonical_endpoint(text)
        if ":" not in host:
            # Port and address are checked as those of an endpoint; a name is put in the address's place.
            return "%s:%d" % (_host(host), addr.parse_endpoint("192.0.2.1:" + port)[1])
    except ValueError:
        pass
    raise ValueError("must be HOST:PORT or [IPv6]:PORT")


def _forward(text):
    """(port outside, address in the LAN, port there) of `51821:192.168.1.20` or `51821:192.168.1.20:51820`."""
    try:
        outside, _, rest = text.partition(":")
        ip, _, port = rest.partition(":")
        return _integer(1024, 65535)(outside), _ipv4(ip), _integer(1, 65535)(port or outside)
    except ValueError:
        pass
    raise ValueError("must be PORT:ADDRESS or PORT:ADDRESS:PORT, such as 51821:192.168.1.20")


_REQUIRED = ()  # as a default: the option must be there
_LIST = True

# option: (type, default, list?)
SCHEMA = {
    "wgp2p": {
        "enabled": (_boolean, True, False),
        "log_level": (_choice("error", "warning", "info", "debug"), "info", False),
        "backend": (_choice("auto", "netlink", "uapi", "tool"), "auto", False),
        "state_dir": (_path, "/var/run/wgp2p", False),
        "keep_dir": (_path, "/etc/wgp2p", False),
        "open_port": (_boolean, True, False),
        "preserve_port": (_boolean, True, False),
        "preserve": (_integer(1, 65535), None, _LIST),
        "at_home": (_boolean, True, False),
        "wan": (_interface, None, _LIST),
        "sweep": (_choice("off", "block", "full"), "block", False),
        "sweep_rate": (_integer(10, 10000), 1000, False),
        "sweep_entries": (_integer(64, 16384), 2048, False),
        "sweep_share": (_integer(1, 90), 50, False),
    },
    "publisher": {
        "enabled": (_boolean, True, False),
        "interface": (_interface, _REQUIRED, False),
        "address": (_ip, None, _LIST),
        "port": (_integer(1, 65535), DEFAULT_PORT, False),
        "relay": (_boolean, True, False),
        "relay_limit": (_integer(0, 10000), 0, False),
    },
    "subscriber": {
        "enabled": (_boolean, True, False),
        "interface": (_interface, _REQUIRED, False),
        "publisher": (_ip, _REQUIRED, False),
        "port": (_integer(1, 65535), DEFAULT_PORT, False),
        "token_file": (_path, None, False),
        "token": (_token, None, False),
        "keepalive": (_integer(1, 120), 25, False),
        "stale_after": (_integer(LEAST_STALE_S, 86400), 180, False),
        "server_host": (_host, None, False),
    },
    "portmap": {
        "enabled": (_boolean, False, False),
        "interface": (_interface, None, False),
        "protocol": (_choice("auto", "pcp", "natpmp", "upnp"), "auto", False),
        "gateway": (_ipv4, None, False),
        "lifetime": (_integer(120, 86400), 7200, False),
        "forward": (_forward, None, _LIST),
    },
    "peer": {
        "public_key": (_key, _REQUIRED, False),
        "name": (_name, None, False),
        "exclude": (_boolean, False, False),
        "device": (_boolean, False, False),
        "client": (_name, None, _LIST),
        "keepalive": (_integer(1, 120), None, False),
        "path": (_choice("auto", "direct", "relay"), "auto", False),
        "listen_port": (_integer(1, 65535), None, False),
        "profile_endpoint": (_endpoint, None, False),
    },
}


class Values:
    """The checked options of one section as attributes, and `label`, its name for messages."""

    def __init__(self, section):
        self.label = section.label
        self.line = section.line


class Config:
    """A configuration that can be run: `main` (Values), `publishers`, `subscribers`, `portmaps` (lists of the enabled
    Values, empty when the whole is not enabled), `peers` {public key: Values}, `problems` (warnings)."""

    def __init__(self):
        self.main = None
        self.publishers = []
        self.subscribers = []
        self.portmaps = []
        self.peers = {}
        self.problems = []

    def peer(self, key):
        """The section of this peer, or None."""
        return self.peers.get(key)

    def name(self, key):
        """What people call this peer: its name in the config, else the beginning of its key."""
        peer = self.peers.get(key)
        return peer.name if peer is not None and peer.name else key[:8] + "…"

    def excluded(self, key):
        """Whether an admin wants this peer left alone."""
        peer = self.peers.get(key)
        return peer is not None and peer.exclude


def parse(text, file="/etc/config/wgp2p"):
    """The Config that UCI text (str or bytes) says. Raises ConfigError with every fault found."""
    problems = []
    config = Config()
    try:
        sections = uci.parse(text)
    except uci.UciError as error:
        raise ConfigError([Problem(True, file, str(error))])
    mains = []
    for section in sections:
        schema = SCHEMA.get(section.type)
        if schema is None:
            problems.append(Problem(False, "%s, line %d" % (file, section.line),
                                    "unknown section type '%s' is ignored" % section.type))
            continue
        values = _read(section, schema, file, problems)
        if section.type == "wgp2p":
            mains.append(values)
        elif section.type == "peer":
            _add_peer(config, values, file, problems)
        elif values.enabled:
            roles = {"publisher": config.publishers, "subscriber": config.subscribers, "portmap": config.portmaps}
            roles[section.type].append(values)
    config.main = mains[0] if mains else _read(uci.Section("wgp2p", None, 0, 0), SCHEMA["wgp2p"], file, problems)
    if len(mains) > 1:
        problems.append(Problem(True, _where(file, mains[1]), "only one section of type wgp2p is allowed"))
    _check_roles(config, file, problems)
    if not config.main.enabled:
        config.publishers, config.subscribers, config.portmaps = [], [], []
    if [problem for problem in problems if problem.fatal]:
        raise ConfigError(problems)
    config.problems = problems
    return config


def _where(file, values, option=None):
    where = "%s, section %s" % (file, values.label)
    return where + ", option " + option if option else where


def _read(section, schema, file, problems):
    values = Values(section)
    for name in schema:
        setattr(values, name, [] if schema[name][2] else schema[name][1] or None if schema[name][1] == _REQUIRED
                else schema[name][1])
    for option in section.options:
        where = "%s, line %d, section %s, option %s" % (file, option.line, section.label, option.name)
        if option.name not in schema:
            problems.append(Problem(False, where, "unknown option is ignored"))
            continue
        parse_text, _, is_list = schema[option.name]
        words = option.value if isinstance(option.value, list) else [option.value]
        if not is_list and isinstance(option.value, list):
            problems.append(Problem(True, where, "must be an option, not a list"))
            continue
        try:
            parsed = [parse_text(word) for word in words]
        except ValueError as error:
            problems.append(Problem(True, where, str(error)))
            continue
        setattr(values, option.name, parsed if is_list else parsed[0])
    for name in schema:
        missing = schema[name][1] == _REQUIRED and getattr(values, name) is None and not section.option(name)
        if missing and getattr(values, "enabled", True):
            problems.append(Problem(True, _where(file, values, name), "is missing"))
    return values


def _add_peer(config, values, file, problems):
    if values.public_key is None:
        return
    if values.public_key in config.peers:
        problems.append(Problem(True, _where(file, values, "public_key"), "is the key of section %s already"
                                % config.peers[values.public_key].label))
        return
    for other in config.peers.values():
        if values.name and other.name == values.name:
            problems.append(Problem(True, _where(file, values, "name"), "is the name of section %s already"
                                    % other.label))
    config.peers[values.public_key] = values


def _check_roles(config, file, problems):
    listens, follows = {}, {}
    for values in config.publishers:
        spot = (values.interface, values.port)
        if spot in listens:
            problems.append(Problem(True, _where(file, values, "port"), "is the port of section %s already"
                                    % listens[spot]))
        listens[spot] = values.label
    for values in [values for values in config.publishers if values.relay][1:]:
        values.relay = False
        problems.append(Problem(False, _where(file, values, "relay"), "one publisher section can relay, and another "
                                "one does: say option relay '0' in all but that"))
    for values in config.subscribers:
        spot = (values.interface, values.publisher, values.port)
        if spot in follows:
            problems.append(Problem(True, _where(file, values, "publisher"), "is followed by section %s already"
                                    % follows[spot]))
        follows[spot] = values.label
        if values.token and values.token_file:
            problems.append(Problem(True, _where(file, values, "token"), "goes with no token_file: give one of them"))
    _check_portmaps(config, file, problems)
    names = [peer.name for peer in config.peers.values()]
    for peer in config.peers.values():
        for client in peer.client:
            if client not in names and client not in config.peers:
                problems.append(Problem(True, _where(file, peer, "client"), "no peer section has the name or key '%s'"
                                        % client))
        if peer.client and not peer.device:
            problems.append(Problem(False, _where(file, peer, "client"), "has no effect without option device '1'"))
        if peer.device and not peer.name:
            problems.append(Problem(True, _where(file, peer, "name"), "is missing: a device's token is filed under it"))
        elif peer.device and ("/" in peer.name or peer.name.startswith(".")):
            problems.append(Problem(True, _where(file, peer, "name"), "of a device must be good as a file name"))


def _check_portmaps(config, file, problems):
    mapped, forwarded = {}, {}
    for values in config.portmaps:
        if values.interface in mapped:
            problems.append(Problem(True, _where(file, values, "interface"), "is mapped by section %s already"
                                    % mapped[values.interface]))
        if values.interface is None and not values.forward:
            problems.append(Problem(False, _where(file, values), "has neither an interface nor a forward to map"))
        mapped[values.interface] = values.label
        for outside, _, _ in values.forward:
            if outside in forwarded:
                problems.append(Problem(True, _where(file, values, "forward"), "port %d is forwarded by section %s "
                                        "already" % (outside, forwarded[outside])))
            forwarded[outside] = values.label


def find_peer(config, keys, word):
    """The one public key that `word` means: a name, a key or an unambiguous beginning of either, among `keys` and the
    configured peers. ValueError says what is wrong."""
    known = sorted(set(list(keys) + list(config.peers)))
    names = {}
    for key in known:
        peer = config.peers.get(key)
        names[key] = peer.name if peer is not None and peer.name else key
    for match in (lambda key: word in (key, names[key]),
                  lambda key: word and (key.startswith(word) or names[key].startswith(word))):
        found = [key for key in known if match(key)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError("'%s' may be %s" % (word, " or ".join([config.name(key) for key in found[:4]])))
    raise ValueError("no peer '%s'" % word)
