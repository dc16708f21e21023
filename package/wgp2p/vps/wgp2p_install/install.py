"""`wgp2p.pyz install`: the whole way from a file that somebody copied here to a service that answers."""
import sys

from . import advice, forwarding, installed, paths, service, settings, tokens, unit
from .journal import Journal
from .problems import Refused


def install(system, console, options, archive):
    """Install, or bring up to date what is installed. `options`: of the command line (cli.py); `archive`: the path of
    wgp2p.pyz. Refused, with everything undone."""
    service.check_machine(system)
    state = installed.load(system)
    plan = _Plan(system, console, options)
    python = service.python(system, sys.executable)
    data = system.file(archive)
    if data is None or not data.data.startswith(b"#!"):
        raise Refused("install works from the file wgp2p.pyz (make vps builds it)")
    journal = Journal(system, console.say, options.dry_run)
    was_there = system.exists(paths.UNIT)
    if not options.dry_run:
        console.say("bring wgp2p up to date" if was_there else "install wgp2p")
    try:
        journal.first(lambda: _settle(system, was_there))
        journal.folder(paths.LIB, 0o755, (0, 0))
        owner = service.make_user(journal, state)
        service.make_folders(journal, plan.found.main.keep_dir, owner)
        journal.write(paths.PYZ, data.data)
        journal.write(paths.LAUNCHER, unit.launcher(python), 0o755)
        service.write_config(journal, plan.text, owner)
        if plan.token:
            service.write_token(journal, plan.token_file, plan.token, owner)
        service.check_config(journal)
        service.open_firewall(journal, console, state, plan.found)
        forwarding.switch_on(journal, console, state, plan.found, options.forward)
        status = service.start(journal, state, plan.found, was_there)
        if options.dry_run:
            console.say("nothing was changed")
            return
    except BaseException as error:
        if not options.dry_run:
            console.say("that failed; undoing what was done")
            journal.roll_back()
        if isinstance(error, OSError):
            raise Refused(str(error))
        raise
    advice.after(system, console, plan.found, status, plan.new_devices, bool(options.role))


def _settle(system, was_there):
    """After a roll-back: the service as it was, or gone."""
    system.run(["systemctl", "daemon-reload"])
    if was_there:
        system.run(["systemctl", "restart", paths.SERVICE])


class _Plan:
    """What the configuration is to be: `text`, `found` (its Config), `new_devices` (names), and a subscriber's
    `token_file` with the `token` to put there, or None. Refused."""

    def __init__(self, system, console, options):
        self.token = self.token_file = None
        self.new_devices = []
        self.text = system.text(paths.CONFIG)
        before = settings.read(self.text)
        if options.role:
            device = service.check_interface(system, options.interface)
            (self._publisher if options.role == "publisher" else self._subscriber)(system, console, options, device)
        elif not before.publishers and not before.subscribers:
            raise Refused("say what this machine is to be:\n"
                          "  the public server: install --role publisher --interface wg0\n"
                          "  a remote device:   install --role subscriber --interface wg0 --publisher 10.7.0.1")
        self.found = settings.read(self.text)
        if not self.found.main.enabled:
            raise Refused(f"{paths.CONFIG} has option enabled '0' in section wgp2p: remove it, and run this again")
        service.check_folders(self.found)

    def _publisher(self, system, console, options, device):
        known = settings.read(self.text)
        devices = [settings.device(words) for words in options.device]
        if not devices and not [peer for peer in known.peers.values() if peer.device]:
            devices = _ask_devices(console, device)
        for name, key in devices:
            if key == device.public_key:
                raise Refused(f"the key of {name} is that of {options.interface} itself, this server's")
            if key not in device.peers:
                console.say(f"note: {options.interface} has no peer with the key of {name} yet")
            if known.peer(key) is None:
                self.new_devices.append(name)
        self.text = settings.publisher(self.text, options.interface, options.port, devices=devices)

    def _subscriber(self, system, console, options, device):
        publisher = settings.ip(options.publisher)
        self.text, self.token_file = settings.subscriber(self.text, options.interface, publisher, options.port,
                                                         options.server_host)
        if options.token_file:
            if self.token_file is None:
                raise Refused(f"{paths.CONFIG} has option token: remove it, and run this again")
            self.token = tokens.from_file(system, options.token_file)
        elif self.token_file and not system.exists(self.token_file):
            self.token = "" if options.dry_run else tokens.from_person(console)


def _ask_devices(console, device):
    """[(name, key)] of the peers that are remote devices. Refused when nobody can be asked."""
    keys = sorted(device.peers)
    rows = [f"{number}  {key}  {', '.join(device.peers[key].allowed_ips) or 'no allowed IPs'}"
            for number, key in enumerate(keys, 1)]
    if not keys:
        raise Refused(f"{device.name} has no peers yet: add the remote device's (and the clients') to WireGuard first, "
                      "or name it now: --device NAME=PUBLICKEY")
    if not console.asks() or console.yes:
        raise Refused("which peers are remote devices (routers)? Say it with --device NAME=PUBLICKEY, once for each. "
                      f"The peers of {device.name}:\n  " + "\n  ".join(rows))
    console.say(f"The peers of {device.name}:")
    for row in rows:
        console.say("  " + row)
    words = console.ask("Which are remote devices (routers), not clients? Numbers:").replace(",", " ").split()
    found = []
    for word in dict.fromkeys(words):
        if not word.isascii() or not word.isdigit() or not 0 < int(word) <= len(keys):
            raise Refused(f"{word} is none of the numbers 1 to {len(keys)}")
        typed = console.ask(f"A name for {word}, {keys[int(word) - 1][:8]}…:")
        name = settings.safe_name(typed)
        if not name:
            raise Refused("a device needs a name of letters and digits")
        if name != typed:
            console.say(f"it is called {name}")
        found.append((name, keys[int(word) - 1]))
    if not found:
        raise Refused("without a remote device nobody may ask this server")
    return found
