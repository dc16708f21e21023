"""What is left to do, on the other side."""
import ipaddress

from . import tokens
from .problems import Refused

_HOST = "SERVER"


def after(system, console, found, status, new_devices, in_full):
    """Say how to go on after an installation. `status`: what the service answers; `new_devices`: the names whose tokens
    are to be shown; `in_full`: what to do on the other side, too."""
    say = console.say
    problems = [role["problem"] for role in status.get("publishers", []) + status.get("subscribers", [])
                if role.get("problem")]
    say("")
    say("wgp2p runs. Look: wgp2p status. Log: journalctl -u wgp2p. Check everything: wgp2p doctor")
    for problem in problems:
        say(f"But: {problem}")
    if not in_full:
        return
    for values in found.publishers:
        _publisher(system, console, values, found, new_devices)
    if found.subscribers:
        say("")
        say("Nothing is to be done on the clients: they keep their WireGuard configuration.")


def _publisher(system, console, values, found, new_devices):
    say = console.say
    try:
        device = system.device(values.interface)
    except Refused:
        return
    address = (values.address or system.addresses(values.interface) or ["TUNNEL_ADDRESS"])[0]
    host = _public(system.outgoing())
    # LuCI's page reads these two lines, and the one of the token, out of what is pasted there (install.js).
    devices = [peer.name for peer in found.peers.values() if peer.device]
    say("")
    say(f"This server: public key {device.public_key}, endpoint {host or _HOST}:{device.listen_port},")
    say(f"address in the tunnel {address}, port {values.port} (TCP, in the tunnel only).")
    if not host:
        say(f"{_HOST} stands for the address or name at which the internet reaches this machine.")
    say(f"If your provider has a firewall of its own, let in UDP port {device.listen_port} there.")
    for name in devices:
        say("")
        say(f"On the router '{name}' (OpenWrt; wg0 is the name of its WireGuard interface):")
        say("")
        for line in uci_lines(address, values.port, host):
            say("  " + line)
        say("  mkdir -p /etc/wgp2p; (umask 077; cat > /etc/wgp2p/token)   # paste the token, Enter, Ctrl-D")
        say("  uci commit wgp2p; service wgp2p restart")
        say("")
        _token(system, console, name, name in new_devices)
    say("")
    say("And where the router has no WireGuard tunnel to this server yet:")
    say("")
    for line in peer_lines(device.public_key, host or _HOST, device.listen_port, address):
        say("  " + line)


def uci_lines(address, port, host=None):
    """The router's side of wgp2p as commands."""
    values = [("enabled", 1), ("interface", "wg0"), ("publisher", address), ("port", port)]
    values += [("server_host", host)] if host else []
    return ["uci set wgp2p.@wgp2p[0].enabled='1'", "uci set wgp2p.vps=subscriber"] + [
        f"uci set wgp2p.vps.{name}='{value}'" for name, value in values]


def peer_lines(key, host, port, address):
    """The router's WireGuard peer for this server as commands."""
    section = "network.@wireguard_wg0[-1]"
    network = address + ("/128" if ":" in address else "/32")
    return (["uci add network wireguard_wg0"]
            + [f"uci set {section}.{name}='{value}'" for name, value in (
                ("description", "public server"), ("public_key", key), ("endpoint_host", host),
                ("endpoint_port", port), ("persistent_keepalive", 25), ("route_allowed_ips", 1))]
            + [f"uci add_list {section}.allowed_ips='{network}'", "uci commit network; ifup wg0"])


def _token(system, console, name, is_new):
    if is_new and console.is_private():
        try:
            console.say(f"The token of '{name}', which is a secret: {tokens.show(system, name)}")
            return
        except Refused as error:
            console.say(str(error))
    console.say(f"The token of '{name}', which is a secret, is shown by: sudo wgp2p token {name}")


def _public(ip):
    """The address, when the whole internet can reach it; None for one behind a NAT, as many clouds have it."""
    return ip if ip and ipaddress.ip_address(ip).is_global else None
