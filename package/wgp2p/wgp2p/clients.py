"""The clients that this remote device has given a profile: what is kept of each, and where the configuration of
WireGuard and our own name it.

A Record holds a client's private key, so that its profile can be shown again. It lies in a folder of root's own, not in
KEEP_DIR: that one is writable for the daemon, which has no business with these keys.
The places in the configuration are either OpenWrt's (Uci: /etc/config/network and /etc/config/wgp2p, changed by `uci`)
or files that people edit (Quick: that of wg-quick(8), and our own), where a marked block is put in and taken out.
"""
import errno
import os

from . import addr, process, uci
from .client import words
from .config import ON
from .files import exists, read_text, replace, write_private
from .wgmessage import key_bytes

FIRST_PORT = 36906  # as in the original's profiles
_FILE_LIMIT = 1 << 20
_NAME_CHARS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
_WIDEST = {4: 8, 16: 32}  # bytes of an address: the shortest prefix of a network that is taken for a tunnel's


class ClientError(Exception):
    """It cannot be done; the text says why and what to do, and holds no private key."""


# -- programs and files -------------------------------------------------------------------------------

def run_program(loop, argv, text=""):
    """What a program prints (text), which gets `text` on standard input. ClientError when it fails."""
    got = []
    try:
        process.start(loop, argv, got.append, stdin=text.encode())
    except process.ProcessError as error:
        raise ClientError("%s%s" % (error, ": install wireguard-tools" if argv[0] == "wg" else ""))
    while not got:
        loop.run_once(1000)
    said = got[0].err.decode().strip().split("\n")[0]
    if got[0].code:
        raise ClientError("%s ended with %d: %s" % (" ".join(argv[:3]), got[0].code, said))
    return got[0].out.decode()


def new_keys(loop):
    """(private, public) of a new key pair, by `wg`. ClientError."""
    private = run_program(loop, ["wg", "genkey"]).strip()
    public = run_program(loop, ["wg", "pubkey"], private + "\n").strip()
    try:
        key_bytes(private)
        key_bytes(public)
    except ValueError:
        raise ClientError("what wg genkey and wg pubkey gave are no keys")
    return private, public


def _read(path):
    try:
        return read_text(path, _FILE_LIMIT)
    except OSError as error:
        raise ClientError("%s: %s" % (path, words(error)))
    except ValueError as error:
        raise ClientError("%s: %s" % (path, error))


def _replace(path, text):
    """Put `text` in place of the file in one step, with its owner and mode. ClientError."""
    try:
        replace(path, text)
    except OSError as error:
        raise ClientError("%s cannot be changed: %s" % (path, words(error)))


def quoted(text):
    """A value for a UCI file or for `uci batch`."""
    return "'%s'" % text.replace("'", "'\\''")


# -- what is kept of a client -------------------------------------------------------------------------

class Record:
    """One client. `addresses`: its own in the tunnel, without prefix length. `allowed_ips`: what it reaches through
    the device beside the device itself. `dns`, `endpoint` (of the device), `server_endpoint`: as given by hand."""

    OPTIONS = ("interface", "private_key", "public_key", "listen_port", "endpoint", "server_endpoint")
    LISTS = ("addresses", "allowed_ips", "dns")

    def __init__(self, name):
        self.name = name
        for option in self.OPTIONS:
            setattr(self, option, "")
        for option in self.LISTS:
            setattr(self, option, [])


class Records:
    """The folder with a file (0600) for each client."""

    def __init__(self, folder):
        self._folder = folder

    def names(self):
        """All clients, sorted. ClientError."""
        try:
            return sorted([name for name in os.listdir(self._folder) if _is_name(name)])
        except OSError as error:
            if error.args[0] == errno.ENOENT:
                return []
            raise ClientError("%s: %s" % (self._folder, words(error)))

    def all(self):
        """Every Record, by name. ClientError."""
        return [self.load(name) for name in self.names()]

    def load(self, name):
        """The Record of a client. ClientError."""
        if check_name(name) not in self.names():
            raise ClientError("no client has the name '%s' (%s)" % (name, ", ".join(self.names()) or "there is none"))
        record = Record(name)
        path = self._folder + "/" + name
        try:
            section = uci.parse(_read(path))[0]
            for option in Record.OPTIONS:
                setattr(record, option, section.get(option) or "")
            for option in Record.LISTS:
                setattr(record, option, section.get(option) or [])
            key_bytes(record.private_key)
            key_bytes(record.public_key)
            record.listen_port = int(record.listen_port)
        except (ValueError, IndexError, TypeError):
            raise ClientError(path + " is damaged: delete this file, and take the client out of the configuration here "
                              "and on the server by hand")
        return record

    def save(self, record):
        """Write a new client's file. ClientError."""
        lines = ["config client"]
        for option in Record.OPTIONS:
            if getattr(record, option):
                lines.append("\toption %s %s" % (option, quoted(str(getattr(record, option)))))
        for option in Record.LISTS:
            lines += ["\tlist %s %s" % (option, quoted(value)) for value in getattr(record, option)]
        path = self._folder + "/" + record.name
        try:
            write_private(path, "\n".join(lines) + "\n")
        except OSError as error:
            raise ClientError("%s cannot be written: %s" % (path, words(error)))

    def delete(self, name):
        """Forget a client. OSError."""
        os.remove(self._folder + "/" + name)


def check_name(name):
    """The name, when it is good as that of a file and of a tunnel in an app. ClientError."""
    if not _is_name(name):
        raise ClientError("a client's name is made of 1 to 32 letters, digits, _ . and -, and starts with none of . -")
    return name


def _is_name(name):
    return 0 < len(name) <= 32 and name[0] not in ".-" and not [char for char in name if char not in _NAME_CHARS]


def free_port(records, taken):
    """The lowest listen port that no client has yet, nor is in `taken`."""
    taken = taken + [record.listen_port for record in records]
    port = FIRST_PORT
    while port in taken:
        port += 1
    return port


def free_address(ip, length, used):
    """The next address (text) after `ip` (text) in its network of this prefix length that is in none of the networks
    `used`, of which the wider ones say nothing; behind the last one it goes on at the beginning. (Servers have the
    first addresses, as a rule, and not all are known here.) None when all are used."""
    packed = addr.parse_ip(ip)
    size = len(packed)
    if length < _WIDEST[size]:
        return None
    narrower = [one for one in used if len(one[0]) == size and one[1] > length]
    # The first address of a network and the last are none of a host's (RFC 1122, 3.2.1.3; RFC 4291, 2.6.1).
    first = int.from_bytes(addr.mask(packed, length), "big") + 1
    last = first + (1 << 8 * size - length) - 3
    own = int.from_bytes(packed, "big")
    for candidate, end in ((own + 1, last), (first, own - 1)):
        while candidate <= end:
            chosen = candidate.to_bytes(size, "big")
            holder = [one for one in narrower if addr.contains(one, chosen)]
            if not holder:
                return addr.format_ip(chosen)
            candidate = int.from_bytes(holder[0][0], "big") + (1 << 8 * size - holder[0][1])
    return None


# -- places in the configuration ----------------------------------------------------------------------

def find_place(loop, config_path, wireguard_folder, interface):
    """The Uci or Quick that describes this interface. ClientError."""
    folder, _, package = config_path.rpartition("/")
    network, quick = folder + "/network", "%s/%s.conf" % (wireguard_folder, interface)
    if exists(network):
        place = Uci(loop, folder, package, interface)
        if place.is_there():
            return place
    if exists(quick):
        return Quick(quick, config_path)
    raise ClientError("neither %s nor %s describes the interface %s: only there wgp2p can add a client" % (
        network, quick, interface))


class Uci:
    """On OpenWrt. `networks()`: [(ip, prefix length)] of the interface; `peers()`: [(key, [allowed IPs])];
    `lan()`: networks of the interface `lan`; `add(record, routed)` and `remove(record)`, which gives what it has
    changed. All raise ClientError."""

    def __init__(self, loop, folder, package, interface):
        self._loop = loop
        self._folder, self._package, self._interface = folder, package, interface
        self._type = "wireguard_" + interface

    def _sections(self, package):
        try:
            return uci.parse(_read(self._folder + "/" + package))
        except uci.UciError as error:
            raise ClientError("%s/%s: %s" % (self._folder, package, error))

    def _interface_section(self, name):
        for section in self._sections("network"):
            if section.type == "interface" and section.name == name:
                return section
        return None

    def is_there(self):
        """Whether the network's configuration has the interface."""
        section = self._interface_section(self._interface)
        return section is not None and section.get("proto") == "wireguard"

    def networks(self):
        """See above."""
        return [_address(text) for text in option_words(self._interface_section(self._interface).get("addresses"))]

    def peers(self):
        """See above."""
        return [(section.get("public_key"), option_words(section.get("allowed_ips")))
                for section in self._sections("network") if section.type == self._type]

    def sections(self):
        """The sections of the peers that netifd gives the interface."""
        return [section for section in self._sections("network") if section.type == self._type
                and section.get("public_key") and section.get("disabled") not in ON]

    def lan(self):
        """See above."""
        section = self._interface_section("lan")
        if section is None:
            return []
        found = []
        for text in option_words(section.get("ipaddr")):
            try:
                if "/" not in text:
                    text = "%s/%d" % (text, _prefix_length(section.get("netmask") or "255.255.255.0"))
                found.append(addr.format_network(addr.parse_network(text)))
            except ValueError as error:
                raise ClientError("%s/network, section lan: %s" % (self._folder, error))
        return found

    def add(self, record, routed):
        """See above. `routed`: a route to the client is needed, since the interface's own network does not hold it."""
        peer = "network.@%s[-1]." % self._type
        ours = "%s.@peer[-1]." % self._package
        lines = ["add network " + self._type, "set %sdescription=%s" % (peer, quoted(record.name)),
                 "set %spublic_key=%s" % (peer, quoted(record.public_key))]
        lines += ["add_list %sallowed_ips=%s" % (peer, quoted(network)) for network in hosts(record.addresses)]
        if routed:
            lines.append("set %sroute_allowed_ips='1'" % peer)
        lines += ["add %s peer" % self._package, "set %sname=%s" % (ours, quoted(record.name)),
                  "set %spublic_key=%s" % (ours, quoted(record.public_key)),
                  "set %slisten_port='%d'" % (ours, record.listen_port)]
        self._batch(lines)
        if len(self._labels(record.public_key)) != 2:
            raise ClientError("uci did not write the client into %s/network and %s" % (self._folder, self._package))

    def remove(self, record):
        """See above."""
        labels = self._labels(record.public_key)
        if labels:
            self._batch(["delete " + label for label in reversed(labels)])  # numbers before it stay
        left = self._labels(record.public_key)
        if left:
            raise ClientError("uci did not delete " + ", ".join(left))
        return ["section " + label for label in labels]

    def _labels(self, key):
        """The sections with this key, as `uci` takes them."""
        found = []
        for package, kind in (("network", self._type), (self._package, "peer")):
            found += ["%s.%s" % (package, section.label) for section in self._sections(package)
                      if section.type == kind and section.get("public_key") == key]
        return found

    def _batch(self, lines):
        """Have `uci` change and commit. It takes lines on standard input, and ends with 0 whatever they do; what is
        not committed in the end is reverted. What somebody else has not committed would be, along with ours."""
        for package in ("network", self._package):
            if run_program(self._loop, ["uci", "-q", "-c", self._folder, "changes", package]).strip():
                raise ClientError("%s has changes that are not committed (uci changes shows them): first commit or "
                                  "revert them" % package)
        for command in ("commit", "revert"):
            lines = lines + ["%s network" % command, "%s %s" % (command, self._package)]
        run_program(self._loop, ["uci", "-q", "-c", self._folder, "batch"], "\n".join(lines) + "\n")


class Quick:
    """Where wg-quick(8) sets the interface up. As Uci."""

    def __init__(self, path, config_path):
        self._path, self._config_path = path, config_path

    def _values(self, section, name):
        """[(key of the section, [words])] of every line NAME = WORDS in such sections of the file."""
        found, inside = [], ""
        for line in _read(self._path).split("\n"):
            line = line.partition("#")[0].strip()
            if line.startswith("["):
                inside = line.lower()
                found.append(["", []])
            option, _, value = line.partition("=")
            option = option.strip().lower()
            if inside == section and option == "publickey":
                found[-1][0] = value.strip()
            elif inside == section and option == name:
                found[-1][1] += value.replace(",", " ").split()
        return [(key, values) for key, values in found if values]

    def networks(self):
        """See Uci."""
        found = []
        for _, values in self._values("[interface]", "address"):
            found += [_address(text) for text in values]
        return found

    def peers(self):
        """See Uci."""
        return self._values("[peer]", "allowedips")

    def lan(self):
        """See Uci: a host is no router."""
        return []

    def _blocks(self, record):
        return ((self._path, "[Peer]\nPublicKey = %s\nAllowedIPs = %s\n" % (
            record.public_key, ", ".join(hosts(record.addresses)))),
            (self._config_path, "config peer\n\toption name %s\n\toption public_key %s\n" % (
                quoted(record.name), quoted(record.public_key))))

    def add(self, record, routed):
        """See Uci; wg-quick makes routes by itself."""
        begin, end = _marks(record.name)
        for path, block in self._blocks(record):
            text = _read(path)
            if begin in text:
                raise ClientError("%s has a client %s already" % (path, record.name))
            _replace(path, text + ("" if text.endswith("\n") else "\n") + begin + block + end)

    def remove(self, record):
        """See Uci."""
        begin, end = _marks(record.name)
        done = []
        for path, _ in self._blocks(record):
            text = _read(path)
            before, found, rest = text.partition(begin)
            _, closed, after = rest.partition(end[:-1])  # an editor may have taken the file's last line end
            if found and closed:
                _replace(path, before + after[1:])
                done.append("the client in " + path)
        return done


def _marks(name):
    return "\n# wgp2p client %s: begin\n" % name, "# wgp2p client %s: end\n" % name


def option_words(value):
    """The words of a UCI option or list."""
    return value if isinstance(value, list) else (value or "").split()


def _address(text):
    """(ip, prefix length) of `10.7.0.2/24`. ClientError."""
    try:
        return addr.canonical_ip(text.partition("/")[0]), addr.parse_network(text)[1]
    except ValueError as error:
        raise ClientError("the interface's own address: %s" % error)


def _prefix_length(netmask):
    bits = int.from_bytes(addr.parse_ip(netmask), "big")
    length = 32
    while length and not bits >> 32 - length & 1:
        length -= 1
    if bits != (1 << 32) - (1 << 32 - length):
        raise ValueError("not a netmask: " + netmask)
    return length


def hosts(addresses):
    """The networks of single addresses."""
    return [addr.format_network(addr.parse_network(text)) for text in addresses]
