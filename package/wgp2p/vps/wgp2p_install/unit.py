"""The texts of the service: systemd's unit, and the program /usr/local/bin/wgp2p."""
from . import paths

_UNIT = """\
{mark}
[Unit]
Description=wgp2p: direct WireGuard paths to devices behind NAT
After=network.target {after}
# Rules of ours that "nft flush ruleset" took away come back with a reload.
ReloadPropagatedFrom=nftables.service
StartLimitIntervalSec=0

[Service]
Type=exec
{before}ExecStart={launcher} run
{reload}ExecReload={launcher} reload
{after_stop}Restart=always
RestartSec=2
User={user}
Group={user}
UMask=0077
RuntimeDirectory=wgp2p
RuntimeDirectoryMode=0750
RuntimeDirectoryPreserve=restart
ReadWritePaths={keep}

# CAP_NET_ADMIN: WireGuard, conntrack and nftables. CAP_NET_RAW: handshakes that WireGuard refuses, and the relay.
AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW
NoNewPrivileges=yes
# UNIX: the control socket. NETLINK: WireGuard, routes and the firewall. PACKET: what leaves for the relay.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK AF_PACKET
# No IPAddressDeny here: it would filter every packet of the service. The API is tied to the tunnel by its sockets.
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""
_BOOT_FIREWALLS = "nftables.service netfilter-persistent.service iptables.service docker.service"
# Each is added first, so that taking it away is never an error.
NO_TABLES = "; ".join([f"add table inet {name}; delete table inet {name}" for name in paths.TABLES])


def unit(interfaces, keep, nft=None, own_rules=False):
    """The unit's text. `interfaces`: WireGuard's, which come first at boot. `keep`: option keep_dir. `nft`: the path of
    that program, or None. `own_rules`: whether firewall rules must be added at each start (they are not kept by the
    firewall itself)."""
    again = f"+-{paths.LAUNCHER} firewall\n"
    # Not after a crash: the relay goes on in the kernel until the service is there again, and takes its table over.
    tables = ("ExecStopPost=+-/bin/sh -c 'case $$SERVICE_RESULT in success|timeout) "
              f"exec {nft} \"{NO_TABLES}\" ;; esac'\n")
    return _UNIT.format(
        mark=paths.MARK, launcher=paths.LAUNCHER, user=paths.USER, keep=keep,
        after=" ".join([_BOOT_FIREWALLS] + [f"wg-quick@{name}.service" for name in interfaces]),
        before="ExecStartPre=" + again if own_rules else "", reload="ExecReload=" + again if own_rules else "",
        after_stop=tables if nft else "")


def launcher(python):
    """The text of a shell script that starts wgp2p with this Python (its path)."""
    return f'#!/bin/sh\n{paths.MARK}\nexec {python} -I {paths.PYZ} "$@"\n'
