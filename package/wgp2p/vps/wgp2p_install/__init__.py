"""The installer of wgp2p for any Linux with systemd: service, user, configuration, firewall, and all of it undone.

For CPython 3.9 and newer with its whole standard library; it travels in wgp2p.pyz beside the package itself.
What touches the machine goes through `system.System`, and what changes it through `journal.Journal`.
"""

COMMANDS = ("install", "uninstall", "import-systemd", "firewall")
HELP = """
on this machine also (each with --help):
  install          install as a service, or bring up to date
  uninstall        remove it again
  import-systemd   take over the configuration of the original WireguardP2P scripts
"""
