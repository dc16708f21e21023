"""A client's profile: the text that WireGuard's apps and wg-quick(8) take.

Of three kinds. ONE connects anywhere: the remote device stands in it without an endpoint, since apps follow packets for
such a peer alone, and so the device chooses the path; a third peer, the beacon, has the device's public endpoint and a
key that nobody holds the private key of. It never completes a handshake; its attempts keep the client's NAT open
towards the device, and show where the client is. CLASSIC has the two peers of the original scripts, both with an
endpoint. PROXIED has the public server alone, which routes to the device and decrypts on the way.
"""
from . import addr, config
from .wgmessage import key_bytes

ONE, CLASSIC, PROXIED = KINDS = ("one", "classic", "proxied")
KEEPALIVE_S = 25  # and never more: many NATs forget a UDP flow after 30 s
LEAST_MTU, MOST_MTU = 1280, 1420  # IPv6's least; WireGuard's own on a line of 1500
_OVERHEAD = 80  # bytes of WireGuard, UDP and IPv6 around a packet
_parse_endpoint = config.SCHEMA["peer"]["profile_endpoint"][0]


class ProfileError(ValueError):
    """What was given makes no profile; the text says what is wrong, and holds no key."""


class Remote:
    """The public server or the remote device: `public_key`, `endpoint` (text, host:port, ""
    where it is not known), `allowed_ips`: networks in text."""

    def __init__(self, public_key, endpoint, allowed_ips):
        self.public_key = public_key
        self.endpoint = endpoint
        self.allowed_ips = allowed_ips


def tunnel_mtu(line):
    """The MTU of a tunnel over a line with this one (both in bytes, None: not known)."""
    return None if line is None else max(LEAST_MTU, min(MOST_MTU, line - _OVERHEAD))


def profile(kind, private_key, addresses, listen_port, server, device, beacon=None, dns=(), keepalive=KEEPALIVE_S,
            mtu=None):
    """The text of a profile.

    `addresses`: the client's own in the tunnel, with or without prefix length; `server`, `device`: Remote (of `device`
    the endpoint is the beacon's in ONE); `beacon`: a public key, for ONE; `dns`: addresses; `keepalive` in s, 1 to 25;
    `mtu` in bytes, 1280 to 1420, None: the app takes its own. ProfileError."""
    if kind not in KINDS:
        raise ProfileError("no such kind of profile: " + kind)
    keys = [("the client's private key", private_key), ("the key of the public server", server.public_key),
            ("the key of the remote device", device.public_key)]
    _check_keys(keys + [("the beacon's key", beacon)] if kind == ONE else keys)
    if not addresses:
        raise ProfileError("the client needs an address")
    if not 1 <= listen_port <= 65535:
        raise ProfileError("the listen port must be from 1 to 65535")
    if not 1 <= keepalive <= KEEPALIVE_S:
        raise ProfileError("the keepalive must be from 1 to %d s" % KEEPALIVE_S)
    if mtu is not None and not LEAST_MTU <= mtu <= MOST_MTU:
        raise ProfileError("the MTU must be from %d to %d bytes" % (LEAST_MTU, MOST_MTU))
    to_server, to_device = networks(server.allowed_ips), networks(device.allowed_ips)
    lines = ["[Interface]", "PrivateKey = " + private_key,
             "Address = " + ", ".join([with_prefix(text) for text in addresses]),
             "ListenPort = %d" % listen_port]
    if mtu is not None:
        lines.append("MTU = %d" % mtu)
    if dns:
        lines.append("DNS = " + ", ".join([_ip(text) for text in dns]))
    if kind == PROXIED:
        to_server += [network for network in to_device if network not in to_server]
        return _text(lines, _peer("public server, which routes to the remote device", server.public_key,
                                  server.endpoint, to_server, keepalive))
    both = [network for network in to_server if network in to_device]
    if both:
        raise ProfileError("%s would lead to the public server and to the remote device" % both[0])
    to_server = _peer("public server", server.public_key, server.endpoint, to_server, keepalive)
    if kind == CLASSIC:
        return _text(lines, to_server, _peer("remote device", device.public_key, device.endpoint, to_device, keepalive))
    return _text(lines, to_server,
                 _peer("remote device: it chooses the path", device.public_key, None, to_device, keepalive),
                 _peer("beacon: keeps the way to the remote device open", beacon, device.endpoint, [], keepalive))


def _check_keys(rows):
    """`rows`: (what, key). Each must be a key, and no two the same."""
    seen = []
    for what, key in rows:
        try:
            key_bytes(key)
        except (ValueError, TypeError):
            raise ProfileError(what + " is no key of WireGuard (44 characters of base64)")
        if key in seen:
            raise ProfileError(what + " is another one's, too")
        seen.append(key)


def _peer(comment, public_key, endpoint, allowed_ips, keepalive):
    lines = ["", "# " + comment, "[Peer]", "PublicKey = " + public_key]
    if endpoint is not None:
        lines.append("Endpoint = " + checked_endpoint(endpoint))
    if allowed_ips:
        lines.append("AllowedIPs = " + ", ".join(allowed_ips))
    return lines + ["PersistentKeepalive = %d" % keepalive]


def _text(*parts):
    return "\n".join(["\n".join(part) for part in parts]) + "\n"


# -- what people give ---------------------------------------------------------------------------------

def checked_endpoint(text):
    """HOST:PORT with a name, an IPv4 address or an IPv6 address in brackets, as profiles have it. ProfileError."""
    try:
        return _parse_endpoint(text)
    except ValueError as error:
        raise ProfileError("an endpoint %s, not '%s'" % (error, text[:64]))


def networks(texts):
    """Networks in canonical text, each once, in their order. ProfileError."""
    found = []
    for text in texts:
        try:
            network = addr.format_network(addr.parse_network(text))
        except ValueError as error:
            raise ProfileError(str(error))
        if network not in found:
            found.append(network)
    return found


def with_prefix(text):
    """An address and the length of its network's prefix, that of a single address where there is none. ProfileError."""
    try:
        ip = addr.canonical_ip(text.partition("/")[0])
        return "%s/%d" % (ip, addr.parse_network(text)[1])
    except ValueError as error:
        raise ProfileError(str(error))


def _ip(text):
    try:
        return addr.canonical_ip(text)
    except ValueError as error:
        raise ProfileError(str(error))


# -- for the public server ----------------------------------------------------------------------------

# No tabs: where it is pasted, a shell may take them for a wish to complete a word.
_SERVER_SCRIPT = """\
# For the public server, there as root: adds the client @NAME@ to its WireGuard. Twice does no harm.
(
key='@KEY@' allowed='@ALLOWED@' device='@DEVICE@'
for interface in $(wg show interfaces); do
  if wg show "$interface" peers | grep -qxF "$device"; then break; fi
  interface=
done
if [ -z "$interface" ]; then
  echo "No WireGuard here has the remote device as a peer: is this the public server?" >&2
  exit 1
fi
if [ -f /etc/config/wgp2p ] && ! grep -qF "$key" /etc/config/wgp2p &&
    grep -qE "^[[:space:]]*option[[:space:]]+name[[:space:]]+['\\"]?@NAME@['\\"]?[[:space:]]*$" /etc/config/wgp2p; then
  echo "Another client here has the name @NAME@: first take it out of WireGuard and /etc/config/wgp2p." >&2
  exit 1
fi
config=/etc/wireguard/$interface.conf
if uci -q get "network.$interface" >/dev/null 2>&1; then # OpenWrt
  if ! grep -qF "$key" /etc/config/network; then
    uci batch >/dev/null <<END
add network wireguard_$interface
set network.@wireguard_${interface}[-1].description='@NAME@'
set network.@wireguard_${interface}[-1].public_key='$key'
@UCI@
commit network
END
  fi
elif [ -f "$config" ]; then # wg-quick
  grep -qF "$key" "$config" || cat >>"$config" <<END

# @NAME@
[Peer]
PublicKey = $key
AllowedIPs = $allowed
END
else
  echo "Add the peer to the configuration of $interface by hand, or it is gone after a restart." >&2
fi
wg set "$interface" peer "$key" allowed-ips "$allowed"
if [ -f /etc/config/wgp2p ] && ! grep -qF "$key" /etc/config/wgp2p; then
  cat >>/etc/config/wgp2p <<END

config peer
  option name '@NAME@'
  option public_key '$key'
END
  wgp2p reload
fi
)
"""


def server_script(name, public_key, allowed_ips, device_key):
    """A piece of shell that adds the client to the public server, an OpenWrt router or a machine with wg-quick. It
    finds the interface by the device's key. `name` and the others go in as they are: they must have been checked."""
    text = _SERVER_SCRIPT
    uci_lines = ["add_list network.@wireguard_${interface}[-1].allowed_ips='%s'" % network for network in allowed_ips]
    for word, value in (
            ("@UCI@", "\n".join(uci_lines)), ("@ALLOWED@", ",".join(allowed_ips)), ("@KEY@", public_key),
            ("@DEVICE@", device_key), ("@NAME@", name)):
        text = text.replace(word, value)
    return text
