"""The service on this machine: files, user, unit; each a step that the journal can take back."""
import json
import re

from wgp2p import VERSION

from . import firewalls, installed, paths, unit
from .problems import Refused

LEAST_PYTHON = (3, 9)
INTERFACE = re.compile(r"[A-Za-z0-9_=+.-]{1,15}")  # as wg-quick(8) has it
_KEEP = re.compile(r"/[A-Za-z0-9_./-]+")
_PYTHONS = ["/usr/bin/python3"] + [f"/usr/bin/python3.{minor}" for minor in range(20, LEAST_PYTHON[1] - 1, -1)]
_HOMES = ("/home/", "/root/", "/tmp/", "/var/tmp/")  # which the service does not see
_ANSWER_S = 40
_NOLOGIN = ("/usr/sbin/nologin", "/sbin/nologin")


# -- what must be so before anything is done --------------------------------------------------------

def check_machine(system):
    """Refused where the service cannot be installed at all."""
    if not system.is_root():
        raise Refused("this needs root: run it again with sudo")
    if not system.is_folder("/run/systemd/system"):
        raise Refused("systemd does not run here. Without it, start the daemon your own way: wgp2p.pyz run")
    for path in (paths.UNIT, paths.LAUNCHER):
        text = system.text(path)
        if text and paths.MARK not in text:
            raise Refused(f"{path} is there and is not ours. Move it away (for a service: systemctl disable --now "
                          f"{paths.SERVICE} first), and run this again")


def check_interface(system, interface):
    """The Device of an interface that is up and has an address. Refused."""
    if not INTERFACE.fullmatch(interface) or interface in (".", ".."):
        raise Refused(f"{interface} cannot be the name of a WireGuard interface")
    device = system.device(interface)
    if not system.is_up(interface):
        raise Refused(f"{interface} is there, but down: ip link set {interface} up, or wg-quick up {interface}")
    if not system.addresses(interface):
        raise Refused(f"{interface} has no address: it needs one in the tunnel (Address = … in its configuration)")
    if not device.listen_port:
        raise Refused(f"{interface} has no listen port: set a fixed one (ListenPort = 51820 in its configuration)")
    return device


def check_folders(found):
    """Refused for folders in a configuration that the service could not use."""
    if found.main.state_dir not in paths.STATE_DIRS:
        raise Refused(f"{paths.CONFIG} has option state_dir: the service keeps its state in {paths.STATE_DIRS[0]}; "
                      "remove the option, and run this again")
    if not _KEEP.fullmatch(found.main.keep_dir) or ".." in found.main.keep_dir:
        raise Refused(f"{paths.CONFIG}, option keep_dir: for the service only letters, digits and ._-/ may be in it")


def python(system, own):
    """The path of the Python that the service is to use; `own`: the one that runs now. Refused."""
    for path in _PYTHONS + [own]:
        if not system.exists(path) or path.startswith(_HOMES):
            continue
        ran = system.run([path, "-I", "-c", "import sys; print(sys.version_info >= (%d, %d))" % LEAST_PYTHON])
        if ran.out.strip() == "True":
            return path
    raise Refused("no Python 3.9 or newer in /usr/bin: install the package python3 of this Linux")


# -- steps ------------------------------------------------------------------------------------------

def make_user(journal, state):
    """The user and group of the service; (uid, gid), or a stand-in in a dry run. Refused."""
    system = journal.system
    found = system.user(paths.USER)
    if found is None:
        shell = ([path for path in _NOLOGIN if system.exists(path)] + ["/bin/false"])[0]
        has_group = system.group(paths.USER) is not None
        journal.run(f"make user {paths.USER}", [
            "useradd", "--system", *(["--gid", paths.USER] if has_group else ["--user-group"]), "--no-create-home",
            "--home-dir", "/nonexistent", "--shell", shell, paths.USER], ["userdel", paths.USER])
        state.user, state.group = True, not has_group
        found = system.user(paths.USER) or (0, 0)
        _save(journal, state)
    elif found[0] == 0 or system.group(paths.USER) != found[1]:
        raise Refused(f"there is a user {paths.USER} that is root by another name, or not in the group {paths.USER}: "
                      f"the service needs a user of its own. Remove it (userdel {paths.USER}), and run this again")
    return found


def remove_user(journal, state):
    """Take away user and group, as far as we made them."""
    system = journal.system
    if state.user and system.user(paths.USER):
        journal.run(f"remove user {paths.USER}", ["userdel", paths.USER])
    if state.group and system.group(paths.USER) is not None and not journal.dry:  # userdel may have done that
        journal.run(f"remove group {paths.USER}", ["groupdel", paths.USER])


def make_folders(journal, keep, owner):
    """The folder for tokens: root and the service may make files there, and neither replace the other's."""
    system, before = journal.system, journal.system.folder(keep)
    if before and before[1][0] == 0 and not before[0] & 0o020 and system.names(keep):
        # Of a daemon that ran as root, or of an installation before: nobody else could plant a name there.
        journal.step(f"give what is in {keep} to {paths.USER}", lambda: system.give(keep, owner),
                     lambda: system.give(keep, before[1]))
    journal.folder(keep, 0o1770, (0, owner[1]))


def write_config(journal, text, owner):
    """The configuration, which may hold a token: for root and the service alone."""
    folder = paths.CONFIG.rpartition("/")[0]
    if not journal.system.exists(folder):
        journal.folder(folder, 0o755, (0, 0))
    journal.write(paths.CONFIG, text, 0o640, (0, owner[1]))


def write_token(journal, path, token, owner):
    """A subscriber's token, which the service may read and not change."""
    journal.write(path, token + "\n", 0o640, (0, owner[1]))


def check_config(journal):
    """`wgp2p check` as the service will see it. Refused with what it says."""
    def do():
        ran = journal.system.run([paths.LAUNCHER, "check"], user=paths.USER)
        if ran.code:
            raise Refused(f"the configuration is not good: {ran.words()}")
    journal.step("check the configuration", do)


def open_firewall(journal, console, state, found):
    """Bring what the firewall lets in and through up to date with the configuration; asks before anything is added.
    Refused."""
    system = journal.system
    try:
        openings = firewalls.wanted(found, system.device, system.addresses)
    except Refused as error:
        console.say(f"the firewall is left as it is: {error}")
        return
    needed, missing = firewalls.needed(system, openings), []
    if not needed:
        console.say("no firewall of this machine stands in the way")
    for row in needed:  # one rule may serve two addresses
        if row[1] not in [other[1] for other in missing] and not row[0].has(row[1]):
            missing.append(row)
    for verb, of in (("in", firewalls.Opening), ("through", firewalls.Passage)):
        rows = [row for row in missing if isinstance(row[2], of)]
        if rows:
            what = ", ".join(dict.fromkeys([str(opening) for _, _, opening in rows]))
            console.say(f"the firewall must let {verb} {what}:")
        for kind, record, _ in rows:
            console.say("  " + _typed(kind.words(record)))
    allowed = journal.dry or not missing or console.confirm("Add that?")
    if not allowed:
        console.say("not added%s. Without it nothing comes in, and what is relayed goes through the service instead of "
                    "the kernel: add it yourself, or run this again" % (
                        "" if allowed is False else ", since there is nobody to ask (--yes adds it)"))
        missing = []
    for kind, record, opening in missing:
        journal.step(f"open {opening} in {kind.NAME}", lambda kind=kind, record=record: kind.add(record),
                     lambda kind=kind, record=record: kind.remove(record))
        if record not in state.openings:
            state.openings.append(record)
        _save(journal, state)
    for record in list(state.openings):
        if not _is_wanted(system, record, openings):
            _close(journal, state, record)


def _is_wanted(system, record, openings):
    """Whether what an installation added is needed still; a firewall that is not running cannot say otherwise."""
    kind = firewalls.of_record(system, record)
    try:
        return bool([opening for opening in openings if record in kind.needed(opening)])
    except Refused:
        return True


def close_firewall(journal, state):
    """Take away what `open_firewall` added."""
    for record in list(state.openings):
        _close(journal, state, record)


def _close(journal, state, record):
    kind = firewalls.of_record(journal.system, record)
    journal.step(f"take back from {kind.NAME}: {_typed(kind.words(record))}", lambda: kind.remove(record),
                 lambda: kind.add(record))
    state.openings.remove(record)
    _save(journal, state)


def _save(journal, state):
    if not journal.dry:
        installed.save(journal, state)


def _typed(words):
    """A command as one types it."""
    return " ".join([f"'{word}'" if re.search(r"[\s;\"]", word) else word for word in words])


def keep_open(system):
    """Add again what the firewall itself does not keep. At each start of the service, as root. Refused, when all that
    can be added is."""
    problems = []
    for record in installed.load(system).openings:
        kind = firewalls.of_record(system, record)
        try:
            if not kind.KEPT and not kind.has(record):
                kind.add(record)
        except Refused as refused:  # such as a chain of Docker's, which does not run
            problems.append(str(refused))
    if problems:
        raise Refused("\n".join(problems))


# -- the unit ---------------------------------------------------------------------------------------

def start(journal, state, found, was_there):
    """Write the unit and start it anew. Refused when it does not answer; gives what it says (`wgp2p status`).
    `was_there`: it runs already, and is not stopped when this fails."""
    system = journal.system
    interfaces = dict.fromkeys([values.interface for values in found.publishers + found.subscribers])
    own_rules = bool([record for record in state.openings if not firewalls.of_record(system, record).KEPT])
    journal.write(paths.UNIT, unit.unit([name for name in interfaces if INTERFACE.fullmatch(name)],
                                        found.main.keep_dir, system.which("nft"), own_rules))
    journal.run("tell systemd", ["systemctl", "daemon-reload"])
    journal.run("switch it on for every start", ["systemctl", "--quiet", "enable", paths.SERVICE],
                None if was_there else ["systemctl", "--quiet", "disable", "--now", paths.SERVICE])
    began = system.now()
    journal.run("start it", ["systemctl", "restart", paths.SERVICE])
    return journal.step("wait until it answers", lambda: _answer(system, began))


def _answer(system, began):
    """The status of a daemon that began after that, and is not another one that somebody started by hand."""
    end = system.now() + _ANSWER_S
    while True:
        ran = system.run([paths.LAUNCHER, "status", "--json"])
        try:
            status = json.loads(ran.out) if ran.code == 0 else {}
        except ValueError:
            status = {}
        if status.get("version") == VERSION and status["uptime"] <= system.now() - began + 1:
            return status
        if system.now() > end:
            log = system.run(["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=15",
                              f"--unit={paths.SERVICE}"]).out.strip()
            why = ran.words() if ran.code else "another wgp2p does, was one started by hand?"
            raise Refused(f"it does not answer ({why}). What it logged:\n{log}")
        system.sleep(0.5)
