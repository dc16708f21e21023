"""Where everything goes on a machine that is no OpenWrt router."""

USER = "wgp2p"  # and the group of the same name
CONFIG = "/etc/config/wgp2p"
KEEP = "/etc/wgp2p"  # default of option keep_dir
STATE_DIRS = ("/var/run/wgp2p", "/run/wgp2p")  # two names of one folder, which systemd makes
LIB = "/usr/local/lib/wgp2p"
PYZ = LIB + "/wgp2p.pyz"
INSTALLED = LIB + "/installed.json"
LAUNCHER = "/usr/local/bin/wgp2p"
SERVICE = "wgp2p.service"
UNITS = "/etc/systemd/system"
SYSCTL = "/etc/sysctl.d/99-wgp2p.conf"  # after what /etc/sysctl.conf says
UNIT = UNITS + "/" + SERVICE
TABLES = ("wgp2p", "wgp2p_relay", "wgp2p_sessions")  # of nftables, family inet
MARK = "# Written by `wgp2p.pyz install`, and removed by `wgp2p uninstall`."
