"""WireGuard with plain `wg`: keys, configurations, reading a device."""
import base64
import collections
import functools
import hashlib
import hmac
import subprocess

import netns
from waiting import wait_for

PORT = 51820

# endpoint: text or None; allowed_ips: list; handshake: unix s, 0 never; rx, tx: bytes; keepalive: s, 0 off
PeerState = collections.namedtuple("PeerState", "key endpoint allowed_ips handshake rx tx keepalive")


@functools.cache
def key_pair(host):
    """(private, public) of a host: always the same ones, so that logs of two runs can be compared."""
    private = base64.b64encode(hashlib.sha256(b"wgp2p lab " + host.encode()).digest()).decode()
    return private, netns.call(None, "wg", "pubkey", text=private).strip()


def public_key(host):
    return key_pair(host)[1]


def peer_section(host, allowed_ips, endpoint=None, keepalive=0):
    lines = ["[Peer]", f"PublicKey = {public_key(host)}", f"AllowedIPs = {allowed_ips}"]
    if endpoint:
        lines.append(f"Endpoint = {endpoint}")
    # said even when it is off: `wg syncconf` leaves a keepalive alone that its file does not mention
    lines.append(f"PersistentKeepalive = {keepalive}")
    return "\n".join(lines) + "\n"


def beacon_secret(device):
    """What lies in the beacon.key of a device: 32 bytes, always the same."""
    return hashlib.sha256(b"wgp2p lab beacon " + device.encode()).digest()


def beacon_key(device, client):
    """The public key of a client's beacon at a device, which nobody has the private key of."""
    made = bytearray(hmac.digest(beacon_secret(device), base64.b64decode(public_key(client)), "sha256"))
    made[31] &= 0x7F  # X25519 has 255 bits
    return base64.b64encode(made).decode()


def beacon_section(device, client, endpoint, keepalive):
    return "\n".join(["[Peer]", f"PublicKey = {beacon_key(device, client)}", f"Endpoint = {endpoint}",
                      f"PersistentKeepalive = {keepalive}"]) + "\n"


def config(host, port, sections):
    """A file for `wg setconf`."""
    head = f"[Interface]\nPrivateKey = {key_pair(host)[0]}\n" + (f"ListenPort = {port}\n" if port else "")
    return "\n".join([head, *sections])


def up(host, text, address, device="wg0"):
    """Make a device from a configuration and bring it up."""
    netns.batch(host, "ip", f"link add {device} type wireguard")
    netns.call(host, "wg", "setconf", device, "/dev/stdin", text=text)
    netns.batch(host, "ip", f"addr add {address} dev {device}", f"link set {device} mtu 1420 up")


def up_in_userspace(host, text, address, device):
    """The same by wireguard-go, the WireGuard of phone apps. Only one device of a name in the whole lab."""
    # /dev/net/tun is not there in a small VM
    netns.call(None, "sh", "-c", "modprobe tun; mkdir -p /dev/net; [ -c /dev/net/tun ] || mknod /dev/net/tun c 10 200")
    with netns.inside(host):
        subprocess.Popen(["wireguard-go", "--foreground", device], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: netns.call(host, "wg", "show", device, check=False), 20, "wireguard-go is there")
    netns.call(host, "wg", "setconf", device, "/dev/stdin", text=text)
    netns.batch(host, "ip", f"addr add {address} dev {device}", f"link set {device} mtu 1420 up")


def down(host, device="wg0"):
    netns.batch(host, "ip", f"link del {device}")


def show(host, device="wg0"):
    """{public key: PeerState} of a device; {} when there is none."""
    peers = {}
    for row in netns.call(host, "wg", "show", device, "dump", check=False).splitlines()[1:]:
        key, _, endpoint, allowed_ips, handshake, rx, tx, keepalive = row.split("\t")
        peers[key] = PeerState(
            key, None if endpoint == "(none)" else endpoint,
            [] if allowed_ips == "(none)" else allowed_ips.split(","),
            int(handshake), int(rx), int(tx), 0 if keepalive == "off" else int(keepalive))
    return peers
