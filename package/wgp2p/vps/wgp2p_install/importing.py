"""`wgp2p.pyz import-systemd`: from the original scripts to wgp2p, one side at a time."""
from . import installed, originals, paths, service, settings, tokens
from .journal import Journal
from .problems import Refused


def import_systemd(system, console, options):
    """Print the configuration that does what the original's services do here; write it with `options.write`.
    Refused."""
    found = _find(system, options.unit)
    text, plans = system.text(paths.CONFIG), []
    names = {key: name for name, key in [settings.device(words) for words in options.device]}
    for original in found:
        if original.role == "publisher":
            text, plan = _publisher(text, original, names)
        else:
            text, plan = _subscriber(text, original)
        plans.append(plan)
    for original in found:
        console.warn(f"{original.unit}: the {original.role} on {original.interface}")
        for note in original.notes:
            console.warn(f"  {note}")
    if options.write:
        _write(system, console, text, plans)
    else:
        console.say(text.rstrip("\n"))
        console.warn("Nothing was written: --write does it, and takes over the token.")
    _how_to_go_on(console, found, options.write)


def _find(system, units):
    """The Originals in these units, or in all. Refused."""
    every = [name for name in system.names(paths.UNITS) if name.endswith(".service")]
    found = []
    for unit in units or every:
        path = unit if "/" in unit else f"{paths.UNITS}/{unit}" + ("" if unit.endswith(".service") else ".service")
        if units and not system.exists(path):
            raise Refused(f"{path}: there is no such file")
        try:
            drop_ins = [f"{path}.d/{name}" for name in system.names(path + ".d") if name.endswith(".conf")]
            texts = [system.text(each) for each in [path] + drop_ins]
        except Refused:
            if units:
                raise
            continue  # masked, or not ours to read
        original = originals.read(path.rpartition("/")[2], *texts)
        if original:
            found.append(original)
        elif units:
            raise Refused(f"{path} starts neither server_wg_publisher.py nor device_wg_subscriber.py")
    if not found:
        raise Refused(f"no service in {paths.UNITS} starts server_wg_publisher.py or device_wg_subscriber.py")
    return found


class _Plan:
    """Where a token goes: from file `source` to each of `devices` (names), or to the file `target`."""

    def __init__(self, source, devices=(), target=None):
        self.source = source
        self.devices = devices
        self.target = target


def _publisher(text, original, names):
    known, devices = settings.read(text), []
    for number, key in enumerate(original.excluded, 1):
        peer = known.peer(key)
        devices.append((names.get(key) or (peer.name if peer else "") or f"device{number}", key))
    for key, name in names.items():
        if key not in original.excluded:
            devices.append((name, key))
    if not devices:
        original.notes.append("no --exclude-peer: wgp2p must know which peers are remote devices. Name each with "
                              "--device NAME=PUBLICKEY")
    port = original.port if original.port != 8080 else None
    text = settings.publisher(text, original.interface, port, original.addresses, devices)
    return text, _Plan(original.token_file, [name for name, _ in devices])


def _subscriber(text, original):
    port = original.port if original.port != 8080 else None
    text, target = settings.subscriber(text, original.interface, original.publisher, port,
                                       keepalive=original.keepalive, stale_after=original.stale_after)
    return text, _Plan(original.token_file, target=target)


def _write(system, console, text, plans):
    service.check_machine(system)
    state, found = installed.load(system), settings.read(text)
    service.check_folders(found)
    ready = [(plan, tokens.from_file(system, plan.source)) for plan in plans]
    journal = Journal(system, console.say)
    try:
        journal.folder(paths.LIB, 0o755, (0, 0))
        owner = service.make_user(journal, state)
        service.make_folders(journal, found.main.keep_dir, owner)
        service.write_config(journal, text, owner)
        for plan, token in ready:
            for name in plan.devices:
                tokens.hand_over(journal, found.main.keep_dir, name, token, owner)
            if plan.target:
                service.write_token(journal, plan.target, token, owner)
    except BaseException as error:
        console.say("that failed; undoing what was done")
        journal.roll_back()
        if isinstance(error, OSError):
            raise Refused(str(error))
        raise


def _how_to_go_on(console, found, written):
    units = " ".join([original.unit for original in found])
    role = found[0].role
    other = "remote device" if role == "publisher" else "public server"
    for line in ([] if written else ["First run this again with --write."]) + [
            f"Then change over, at any time; the {other} may still run the original, or wgp2p already:",
            f"  systemctl disable --now {units}",
            "  python3 wgp2p.pyz install",
            "And back again, should you want to:",
            "  systemctl disable --now wgp2p",
            f"  systemctl enable --now {units}"]:
        console.warn(line)
