"""The command line: `run` is the daemon, everything else talks to it or looks at its files."""
import json
import os
import sys

from . import VERSION, client, config, log, table
from .files import device_token, device_token_path, exists, has_token, may_have_token, read_token
from .log import plain
from .loop import Loop
from .privileges import PrivilegeError, become, find_user, is_possible, is_root
from .wireguard import WireGuardError

USAGE = """usage: wgp2p [--config FILE] [--socket PATH] [--state DIR] [--user NAME] COMMAND

  run              be the daemon, in the foreground
  status           one word per peer; --json for scripts, --watch to see it live
  doctor           what is wrong, and what to do about it: then with exit code 1; --json for scripts
  peers            the peers alone, as JSON
  punch PEER       connect to a peer now
  reload           apply a changed configuration without dropping a path
  check            look for faults in the configuration without starting
  token NAME       show (and make, if need be) a remote device's token, on the public server; that of another peer
                   lets it announce a mapped port of its own
  client WHAT      phones and their profiles, on the remote device: see below
  map              have the gateway map this machine's WireGuard port, as long as this runs: see below
  --version, --help

client add NAME      a new client: configured here, its profile (a secret) on standard output, what the public server
                     must run on standard error; with --interface NAME where there are several
client profile NAME  its profile again; --proxied or --classic: of another kind; --server: what the server must run
client list, client remove NAME
client apply         the running WireGuard gets the peers that UCI has, and loses others (the LuCI page does this)
With add and profile, in place of what is found: --address IP, --allowed-ips NETWORK,NETWORK, --dns IP,
--endpoint HOST:PORT, --server-endpoint HOST:PORT

map on any Linux, without configuration or daemon: the external endpoint on standard output
  --once             leave the mapping there, until its time is over; --delete: delete it; default --keep: until ended
  --list             show what the gateway has mapped, for all machines (by UPnP alone)
  --port N           default: the listen port of --interface NAME, or of the one WireGuard interface that there is
  --gateway ADDRESS, --protocol auto|pcp|natpmp|upnp
  --announce PUBLISHER[:PORT] --token-file FILE
                     tell the public server, through the tunnel, and say whether the port is open (needs CAP_NET_RAW)

PEER: a name, a public key, or an unambiguous beginning of one.
--config FILE      default /etc/config/wgp2p
--state DIR        default: option state_dir, /var/run/wgp2p
--socket PATH      default: control.sock in the state folder
--user NAME        with run, as root: be this user, and keep the capabilities for the network alone

exit codes: 0 done, 1 failed, 2 wrong usage, 3 the daemon does not answer
"""
OK, FAILED, USAGE_ERROR, NO_DAEMON = 0, 1, 2, 3
_OPTIONS = ("--config", "--socket", "--state", "--user")
_CLIENT_OPTIONS = ("--address", "--allowed-ips", "--dns", "--endpoint", "--interface", "--server-endpoint")
_MAP_OPTIONS = ("--announce", "--gateway", "--interface", "--port", "--protocol", "--token-file")
_TIMEOUT_MS = 5000
_ANSWER_LIMIT = 4 << 20
_REDRAW_MS = 1000
_CONFIG = "/etc/config/wgp2p"
_STATE = "/var/run/wgp2p"
_INIT = "/etc/init.d/wgp2p"
_USER = "wgp2p"  # whom the packages make


class _Failure(Exception):
    """The command failed: exit code and text for standard error."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code
        self.text = text


class _Arguments:
    """What the command line says."""

    def __init__(self, words):
        self.config, self.socket, self.state, self.user = _CONFIG, None, None, None
        self.flags = []
        self.words = []
        self.options = {}  # of `client` and `map`
        i = 0
        while i < len(words):
            name, equals, value = words[i].partition("=")
            if name in _OPTIONS + _CLIENT_OPTIONS + _MAP_OPTIONS:
                if not equals:
                    i += 1
                    if i == len(words):
                        raise _Failure(USAGE_ERROR, name + " needs a value")
                    value = words[i]
                if name in _OPTIONS:
                    setattr(self, name[2:], value)
                else:
                    self.options[name] = value
            elif words[i].startswith("-") and len(words[i]) > 1:
                self.flags.append(words[i])
            else:
                self.words.append(words[i])
            i += 1

    def take(self, count, *flags):
        """The words after the command, exactly `count`; only these flags may stand."""
        for flag in self.flags + list(self.options):
            if flag not in flags:
                raise _Failure(USAGE_ERROR, "unknown option " + flag)
        if len(self.words) - 1 != count:
            raise _Failure(USAGE_ERROR, "wrong number of arguments for " + self.words[0])
        return self.words[1:]


def _socket(arguments):
    """Where the daemon listens."""
    if arguments.socket:
        return arguments.socket
    if arguments.state:
        return arguments.state + "/control.sock"
    try:
        from .daemon import load_config
        return load_config(arguments.config).main.state_dir + "/control.sock"
    except config.ConfigError:
        return _STATE + "/control.sock"


def _ask(arguments, method, path, body=None):
    """The daemon's answer, a dict. _Failure when there is none or it is an error."""
    loop = Loop()
    where, got = _socket(arguments), []
    client.get(loop, where, None, path, [], lambda response, error: got.append((response, error)), _TIMEOUT_MS,
               max_body=_ANSWER_LIMIT, method=method, body=json.dumps(body).encode() if body is not None else b"")
    while not got:
        loop.run_once(100)
    response, error = got[0]
    if error is not None:
        raise _Failure(NO_DAEMON, "the daemon does not answer at %s: %s" % (where, error))
    try:
        data = response.json()
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise _Failure(NO_DAEMON, "what answers at %s is not wgp2p" % where)
    if response.status != 200:
        raise _Failure(FAILED, "\n".join(data.get("problems", []) + [data.get("error", "failed")]))
    return data


def _run(arguments):
    from .daemon import Daemon

    arguments.take(0)
    if arguments.user and is_root():
        if is_possible():
            _become(arguments.user, True)
        else:
            log.warning("running as root: this Python has no ctypes, and cannot keep capabilities without it")
    loop = Loop()
    try:
        daemon = Daemon(loop, arguments.config, arguments.socket, arguments.state)
    except config.ConfigError as error:
        raise _Failure(FAILED, _problems(error.problems))
    except (OSError, ValueError, WireGuardError) as error:
        raise _Failure(FAILED, "cannot start: %s" % error)
    loop.run()
    daemon.close()
    if daemon.failed:
        raise _Failure(FAILED, "cannot go on, see the log")


def _problems(problems):
    return "\n".join([plain(str(problem)) for problem in problems])


def _status(arguments):
    arguments.take(0, "--json", "--watch")
    if "--watch" in arguments.flags:
        _watch(arguments)
    status = _ask(arguments, "GET", "/status")
    if "--json" in arguments.flags:
        print(json.dumps(status))
    else:
        sys.stdout.write(table.render(status, _is_terminal()))


def _watch(arguments):
    """Redraw until interrupted."""
    while True:
        try:
            text = table.render(_ask(arguments, "GET", "/status"), _is_terminal())
        except _Failure as failure:
            if failure.code != NO_DAEMON:
                raise
            text = failure.text + "\n"
        # Home, each line cleared to its end, then all below: no flicker.
        sys.stdout.write("\x1b[H" + text.replace("\n", "\x1b[K\n") + "\x1b[J")
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()
        _pause(_REDRAW_MS)


def _pause(ms):
    loop = Loop()
    end = loop.now() + ms
    while loop.now() < end:
        loop.run_once(end - loop.now())


def _is_terminal():
    """Whether colours are welcome; MicroPython cannot tell, and stays plain."""
    return hasattr(sys.stdout, "isatty") and sys.stdout.isatty()


def _peers(arguments):
    arguments.take(0)
    print(json.dumps(_ask(arguments, "GET", "/peers")))


def _punch(arguments):
    peer = arguments.take(1)[0]
    answer = _ask(arguments, "POST", "/punch", {"peer": peer})
    print("calling " + plain(answer["peer"]))


def _doctor(arguments):
    arguments.take(0, "--json")
    findings = _ask(arguments, "GET", "/doctor")["findings"]
    if "--json" in arguments.flags:
        print(json.dumps(findings))
    else:
        sys.stdout.write(table.render_findings(findings, _is_terminal()))
    if [row for row in findings if row["level"] == "error"]:
        raise _Failure(FAILED, "")


def _reload(arguments):
    arguments.take(0)
    for warning in _reloaded(arguments):
        sys.stderr.write(plain(warning) + "\n")


def _reloaded(arguments):
    """Have the configuration applied; gives warnings."""
    if exists(_INIT) and is_root() and (arguments.config, arguments.socket, arguments.state) == (_CONFIG, None, None):
        # On OpenWrt the daemon may not read /etc/config itself, and the firewall is to follow, too.
        warnings = [str(problem) for problem in _load(arguments).problems]
        if os.system(_INIT + " reload"):
            raise _Failure(FAILED, "%s reload failed; what runs goes on as before" % _INIT)
        return warnings
    return _ask(arguments, "POST", "/reload", {})["warnings"]


def _load(arguments):
    from .daemon import load_config

    try:
        return load_config(arguments.config, arguments.state)
    except config.ConfigError as error:
        raise _Failure(FAILED, _problems(error.problems))


def _check(arguments):
    arguments.take(0)
    found = _load(arguments)
    tokens = [(values, "token_file", values.token_file or found.main.keep_dir + "/token")
              for values in found.subscribers if not values.token]
    if found.publishers:  # which makes those that are missing
        tokens += [(peer, "device" if peer.device else "name", device_token_path(found.main.keep_dir, peer.name))
                   for peer in found.peers.values() if has_token(found.main.keep_dir, peer)]
    faults = []
    for values, option, path in tokens:
        try:
            read_token(path)
        except ValueError as error:
            faults.append("error: %s, section %s, option %s: %s" % (arguments.config, values.label, option, error))
    if found.problems:
        print(_problems(found.problems))
    if faults:
        raise _Failure(FAILED, "\n".join(faults))
    roles = ["publisher on " + values.interface for values in found.publishers]
    roles += ["subscriber on %s to %s" % (values.interface, values.publisher) for values in found.subscribers]
    print("%s: no errors; %s" % (arguments.config, ", ".join(roles) or (
        "nothing is switched on" if found.main.enabled else "switched off by option enabled")))


def _be_the_daemon(keep_dir):
    """A file that root makes must be the daemon's, where that has a user of its own. (And root does not write into a
    folder that another user may change.)"""
    try:
        if not is_root() or not is_possible() or os.stat(keep_dir)[5] != find_user(_USER)[1]:
            return
    except (OSError, PrivilegeError):
        return
    _become(_USER, False)


def _become(user, networking):
    try:
        become(user, networking)
    except PrivilegeError as error:
        raise _Failure(FAILED, "cannot be user %s: %s" % (user, error))


def _token(arguments):
    name = arguments.take(1)[0]
    found = _load(arguments)
    _be_the_daemon(found.main.keep_dir)
    peers = [peer for peer in found.peers.values() if may_have_token(peer)]
    for peer in peers:
        if name in (peer.name, peer.public_key):
            try:
                print(device_token(found.main.keep_dir, peer.name))
                if not peer.device:
                    sys.stderr.write("%s is no remote device: this token lets it announce a port of its own, once the "
                                     "daemon knows it: wgp2p reload\n" % plain(peer.name))
            except OSError as error:
                raise _Failure(FAILED, "%s: %s" % (device_token_path(found.main.keep_dir, peer.name),
                                                   client.words(error)))
            except ValueError as error:
                raise _Failure(FAILED, str(error))
            return
    names = ", ".join(sorted([peer.name for peer in peers])) or "none is configured"
    raise _Failure(FAILED, "no peer section that may have a token has the name '%s' (%s)" % (name, names))


def _client(arguments):
    from . import clientcli

    def ask():
        try:
            return _ask(arguments, "GET", "/status")
        except _Failure as failure:
            return failure.text

    def reload():
        try:
            return [plain(line) for line in _reloaded(arguments)]
        except _Failure as failure:
            return [plain(line) for line in failure.text.split("\n")]

    command = clientcli.ClientCommand(Loop(), _load(arguments), arguments.config, ask, reload)
    try:
        out, said = command.run(arguments.words[1:], arguments.options, arguments.flags)
    except clientcli.UsageError as error:
        raise _Failure(USAGE_ERROR, str(error))
    except (clientcli.ClientError, OSError) as error:
        raise _Failure(FAILED, str(error))
    sys.stdout.write(out)
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
    sys.stderr.write(said)


def _map(arguments):
    from . import mapcli

    def out(text):
        sys.stdout.write(text)
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()

    arguments.take(0, *(mapcli.FLAGS + _MAP_OPTIONS))
    try:
        mapcli.MapCommand(Loop(), arguments.options, arguments.flags, out,
                          lambda text: sys.stderr.write("wgp2p: %s\n" % plain(text))).run()
    except mapcli.UsageError as error:
        raise _Failure(USAGE_ERROR, str(error))
    except (mapcli.MapError, OSError) as error:
        raise _Failure(FAILED, str(error))


_COMMANDS = {"run": _run, "status": _status, "doctor": _doctor, "peers": _peers, "punch": _punch, "reload": _reload,
             "check": _check, "token": _token, "client": _client, "map": _map}


def main(words):
    """Carry out a command line (without the program's name); gives the exit code."""
    try:
        arguments = _Arguments(words)
        if "--version" in arguments.flags:
            print("wgp2p " + VERSION)
        elif "--help" in arguments.flags or "-h" in arguments.flags:
            sys.stdout.write(USAGE)
        elif not arguments.words:
            raise _Failure(USAGE_ERROR, "a command is needed")
        elif arguments.words[0] not in _COMMANDS:
            raise _Failure(USAGE_ERROR, "unknown command " + arguments.words[0])
        else:
            _COMMANDS[arguments.words[0]](arguments)
    except _Failure as failure:
        for line in failure.text.split("\n") if failure.text else ():
            sys.stderr.write("wgp2p: %s\n" % plain(line))
        if failure.code == USAGE_ERROR:
            sys.stderr.write("try wgp2p --help\n")
        return failure.code
    except KeyboardInterrupt:
        return OK
    return OK
