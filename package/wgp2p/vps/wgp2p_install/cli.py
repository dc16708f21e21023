"""The command line of the installer."""
import argparse
import os

from . import importing, install, service, uninstall
from .console import Console
from .problems import Refused
from .system import System

OK, FAILED = 0, 1


def parser():
    """The argparse parser."""
    top = argparse.ArgumentParser(prog="wgp2p", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True)

    def command(name, text):
        added = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        added.add_argument("--yes", action="store_true", help="change what is asked for without asking")
        return added

    add = command("install", "Install wgp2p as a service of systemd, or bring it up to date.")
    add.add_argument("--role", choices=("publisher", "subscriber"),
                     help="publisher: the public server; subscriber: a remote device. Not needed for an update")
    add.add_argument("--interface", help="the WireGuard interface, such as wg0")
    add.add_argument("--port", type=_port, help="TCP port of the publisher (8080)")
    add.add_argument("--device", action="append", default=[], metavar="NAME=PUBLICKEY",
                     help="publisher: a remote device that may ask; may be repeated")
    add.add_argument("--publisher", metavar="ADDRESS", help="subscriber: the public server's address in the tunnel")
    add.add_argument("--server-host", metavar="NAME",
                     help="subscriber: the public server's name or address, for when its address changes")
    add.add_argument("--token-file", metavar="FILE",
                     help="subscriber: a file with the token; without it the token is asked for or read from stdin")
    add.add_argument("--forward", action="store_true",
                     help="switch net.ipv4.ip_forward on where it is off, so that the kernel does the relaying")
    add.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    remove = command("uninstall", "Remove what install did. Configuration and tokens are kept.")
    remove.add_argument("--purge", action="store_true", help="remove configuration and tokens, too")
    remove.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    take = command("import-systemd", "Read services of the original WireguardP2P scripts and say the same for wgp2p.")
    take.add_argument("unit", nargs="*", metavar="UNIT",
                      help="a service's name or file; none: look through /etc/systemd/system")
    take.add_argument("--device", action="append", default=[], metavar="NAME=PUBLICKEY",
                      help="what to call a remote device (--exclude-peer of the original)")
    take.add_argument("--write", action="store_true", help="write the configuration and the token, too")
    command("firewall", "Add again what install added and the firewall did not keep. Runs at each start.")
    return top


def _port(text):
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError("must be 1 to 65535")
    return int(text)


def check(found, options):
    """argparse's error for options that do not go together."""
    if options.command != "install":
        return
    foreign = {"publisher": ("publisher", "server_host", "token_file"), "subscriber": ("device",)}.get(
        options.role, ("interface", "port", "device", "publisher", "server_host", "token_file"))
    for name in foreign:
        if getattr(options, name):
            found.error(f"--{name.replace('_', '-')} does not go " + (
                f"with --role {options.role}" if options.role else "without --role"))
    if options.role and not options.interface:
        found.error("--interface is needed")
    if options.role == "subscriber" and not options.publisher:
        found.error("--publisher is needed: the public server's address in the tunnel")


def main(words, archive, system=None, console=None):
    """Carry out a command line (without the program's name); gives the exit code. `archive`: the path of wgp2p.pyz.
    `system`, `console`: in place of the real ones."""
    os.umask(0o022)  # the service has to reach what is made, however careful root is
    top = parser()
    options = top.parse_args(words)
    check(top, options)
    system, console = system or System(), console or Console(options.yes)
    try:
        if options.command == "install":
            install.install(system, console, options, archive)
        elif options.command == "uninstall":
            uninstall.uninstall(system, console, options)
        elif options.command == "firewall":
            service.keep_open(system)
        else:
            importing.import_systemd(system, console, options)
    except Refused as refused:
        for line in str(refused).split("\n"):
            console.warn(f"wgp2p: {line}")
        return FAILED
    except KeyboardInterrupt:
        console.warn("wgp2p: interrupted")
        return FAILED
    return OK
