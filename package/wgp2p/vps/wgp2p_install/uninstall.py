"""`wgp2p uninstall`: everything that `install` did, undone."""
from . import forwarding, installed, paths, service, settings, unit
from .journal import Journal
from .problems import Refused


def uninstall(system, console, options):
    """Remove service, program and firewall rules; configuration and tokens only with `options.purge`. Refused."""
    service.check_machine(system)
    state = installed.load(system)
    try:
        keep = settings.read(system.text(paths.CONFIG)).main.keep_dir
    except Refused:
        keep = paths.KEEP
    if not options.dry_run and not console.confirm("Remove wgp2p from this machine%s?" % (
            ", with its configuration and tokens" if options.purge else "")):
        raise Refused("nothing was done: --yes does it without asking")
    journal = Journal(system, console.say, options.dry_run)
    if system.exists(paths.UNIT):
        journal.run("stop it", ["systemctl", "--quiet", "disable", "--now", paths.SERVICE])
        journal.remove(paths.UNIT)
        journal.run("tell systemd", ["systemctl", "daemon-reload"])
    nft = system.which("nft")
    if nft:
        journal.step("remove its tables from nftables", lambda: system.run([nft, unit.NO_TABLES]))
    service.close_firewall(journal, state)
    forwarding.forget(journal, console, state)
    if options.purge:
        journal.remove(paths.CONFIG)
        if not journal.dry:
            system.remove_folder(paths.CONFIG.rpartition("/")[0])  # when it is empty
        if system.is_folder(keep):
            journal.step(f"remove {keep} with all tokens", lambda: system.remove_folder(keep, whole=True))
    else:
        _keep(journal, keep)
    service.remove_user(journal, state)
    for path in (paths.LAUNCHER, paths.PYZ, paths.INSTALLED):
        journal.remove(path)
    if system.is_folder(paths.LIB):
        journal.step(f"remove folder {paths.LIB}", lambda: system.remove_folder(paths.LIB))
    if not options.purge and (system.exists(paths.CONFIG) or system.exists(keep)):
        console.say(f"kept: {paths.CONFIG} and {keep} (--purge removes them, too)")


def _keep(journal, keep):
    """What stays is root's alone: another user may get the number of the one that goes."""
    system, root = journal.system, (0, 0)
    if system.exists(paths.CONFIG):
        journal.write(paths.CONFIG, system.file(paths.CONFIG).data, 0o600, root)
    if system.is_folder(keep):
        journal.folder(keep, 0o700, root)
        journal.step(f"give what is in {keep} to root", lambda: system.give(keep, root))
