"""cli.py with a fake daemon: answers, errors on standard error, exit codes that scripts can use."""
import json
import os

from fakewg import key
from folders import new_folder
from helpers import VirtualLoop

from wgp2p import VERSION, cli, http, log
from wgp2p.files import device_token, exists, read_text, write_private

TOKEN = "0123456789abcdef" * 4
HOSTILE = "a\x1b[2J\x1b]0;x\x07\r\x7f\x9b31m"
STATUS = {"version": "1.2.3", "uptime": 5.0, "subscribers": [], "publishers": [], "warnings": [],
          "portmaps": [], "stale_profiles": []}


class Stream:
    """Standard output or error that is kept."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class Bench:
    """The command line; `answers` of the fake daemon are (status, value), or text for none at all. `asked`: what it
    was asked."""

    def __init__(self, *answers):
        self.folder = new_folder()
        self.answers = list(answers)
        self.asked = []
        self.config = self.folder + "/config"
        self.write("")

    def write(self, text):
        head = "config wgp2p\n option keep_dir '%s/keep'\n option state_dir '%s/state'\n" % (self.folder, self.folder)
        write_private(self.config, head + text)

    def run(self, *words):
        """(exit code, standard output, standard error)"""
        self.stdout, self.stderr = Stream(), Stream()
        saved = cli.sys, cli.client.get, cli.Loop
        cli.sys, cli.client.get, cli.Loop = self, self._get, lambda: Steps()
        cli.print = lambda text: self.stdout.write(text + "\n")
        try:
            code = cli.main(["--config", self.config] + list(words))
        finally:
            cli.sys, cli.client.get, cli.Loop = saved
            del cli.print
        return code, self.stdout.text, self.stderr.text

    def _get(self, loop, ip, port, path, headers, done, timeout_ms, device=None, max_body=65536, method="GET",
             body=b""):
        assert port is None and not headers
        self.asked.append((ip, method, path, json.loads(body.decode()) if body else None))
        answer = self.answers.pop(0)
        if isinstance(answer, str):
            loop.call_later(0, done, None, answer)
            return
        response = http.Response(answer[0], {})
        response.body = answer[1] if isinstance(answer[1], bytes) else json.dumps(answer[1]).encode()
        loop.call_later(0, done, response, None)


class Steps(VirtualLoop):
    """A Loop whose time passes while it waits."""

    def run_once(self, limit_ms):
        self.advance(limit_ms)


def test_wrong_usage():
    bench = Bench()
    for words in ((), ("nonsense",), ("status", "x"), ("status", "--nonsense"), ("punch",), ("punch", "a", "b"),
                  ("reload", "--json"), ("--socket",), ("status", "--state"), ("token",), ("check", "x"), ("-x",),
                  ("run", "now"), ("--json=1", "status")):
        code, out, err = bench.run(*words)
        assert (code, out) == (2, "") and err.startswith("wgp2p: ") and err.endswith("try wgp2p --help\n"), (words, err)
    assert bench.asked == []


def test_help_and_version():
    bench = Bench()
    code, out, err = bench.run("--version")
    assert (code, out, err) == (0, "wgp2p %s\n" % VERSION, "")
    for words in (("--help",), ("-h",), ("status", "--help")):
        code, out, err = bench.run(*words)
        assert code == 0 and err == ""
        for command in cli._COMMANDS:
            assert "\n  %s" % command in out, command


def test_status():
    code, out, err = Bench((200, STATUS)).run("status")
    assert code == 0 and err == "" and out.startswith("wgp2p 1.2.3, running for 5 s\n")
    code, out, err = Bench((200, STATUS)).run("status", "--json")
    assert code == 0 and err == "" and json.loads(out) == STATUS and out.count("\n") == 1


def test_peers():
    code, out, err = Bench((200, {"peers": [{"name": "phone"}]})).run("peers")
    assert code == 0 and json.loads(out) == {"peers": [{"name": "phone"}]}


def test_punch():
    bench = Bench((200, {"peer": "phone", "public_key": key(1)}))
    assert bench.run("punch", "ph") == (0, "calling phone\n", "")
    assert bench.asked[0][1:] == ("POST", "/punch", {"peer": "ph"})
    bench = Bench((400, {"error": "no peer 'x'"}), (409, {"error": "phone is excluded"}))
    assert bench.run("punch", "x") == (1, "", "wgp2p: no peer 'x'\n")
    assert bench.run("punch", "phone") == (1, "", "wgp2p: phone is excluded\n")


def test_reload():
    bench = Bench((200, {"warnings": ["warning: a: b"]}))
    assert bench.run("reload") == (0, "", "warning: a: b\n")
    assert bench.asked[0][1:] == ("POST", "/reload", {})
    code, out, err = Bench((400, {"error": "the configuration is not used", "problems": ["error: a: b", "error: c"]})
                           ).run("reload")
    assert (code, out) == (1, "") and err == (
        "wgp2p: error: a: b\nwgp2p: error: c\nwgp2p: the configuration is not used\n")


def test_reload_on_openwrt():
    bench = Bench((200, {"warnings": []}), (200, {"warnings": []}))
    saved = cli.os, cli._INIT, cli.is_root, cli._CONFIG, cli._socket
    ran = []
    bench.system = ran.append
    cli.os, cli._INIT, cli._socket = bench, bench.config, lambda arguments: "socket"
    try:
        for root, default in ((False, True), (True, False)):
            cli.is_root, cli._CONFIG = lambda: root, bench.config if default else "/other"
            assert bench.run("reload")[0] == 0 and ran == []
        assert len(bench.asked) == 2
        cli.is_root, cli._CONFIG = lambda: True, bench.config
        bench.write(ROUTER + " option zebra '1'\n")
        code, _, err = bench.run("reload")
        assert code == 0 and "option zebra" in err and ran == [bench.config + " reload"]
        bench.system = lambda command: 256  # as wait(2) says it
        code, _, err = bench.run("reload")
        assert code == 1 and "goes on as before" in err
        bench.write("nonsense")
        bench.system = ran.append
        code, _, err = bench.run("reload")
        assert code == 1 and "line" in err and len(ran) == 1, "faults are told before anything is done"
        assert len(bench.asked) == 2, "the init script asks the daemon"
    finally:
        cli.os, cli._INIT, cli.is_root, cli._CONFIG, cli._socket = saved


def test_doctor():
    error = {"level": "error", "code": "off", "text": "Nothing is switched on.", "advice": "Switch \x1b[2Jit on."}
    fine = {"level": "ok", "code": "publisher", "text": "All is well. " * 12, "advice": ""}
    bench = Bench((200, {"findings": [error, fine]}), (200, {"findings": [fine]}), (200, {"findings": [error]}),
                  "no such file")
    assert bench.run("doctor") == (1, "error    Nothing is switched on.\n         To do: Switch ?[2Jit on.\n"
                                   "ok       " + ("All is well. " * 7).strip() + "\n"
                                   "         " + ("All is well. " * 5).strip() + "\n", "")
    code, out, err = bench.run("doctor", "--json")
    assert (code, json.loads(out), err) == (0, [fine], "")
    assert bench.run("doctor", "--json")[0] == 1 and bench.run("doctor")[0] == 3
    assert [one[1:3] for one in bench.asked] == [("GET", "/doctor")] * 4


def test_where_the_daemon_is_looked_for():
    bench = Bench(*[(200, STATUS)] * 5)
    bench.run("status")
    bench.run("--socket", "/a/b", "--state", "/c", "status")
    bench.run("status", "--state=/c")
    bench.write("config nonsense without end '")
    bench.run("status")
    os.remove(bench.config)
    bench.run("status")
    assert [one[0] for one in bench.asked] == [
        bench.folder + "/state/control.sock", "/a/b", "/c/control.sock", "/var/run/wgp2p/control.sock",
        "/var/run/wgp2p/control.sock"]


def test_no_daemon():
    for answer in ("no such socket, nothing listens there", (200, b"<html>"), (200, b"[]"), (200, b"\xff"),
                   (200, b"7")):
        for words in (("status",), ("status", "--json"), ("peers",), ("punch", "x"), ("reload",)):
            code, out, err = Bench(answer).run(*words)
            assert code == 3 and out == "" and err.startswith("wgp2p: ") and "control.sock" in err, (answer, err)


def test_hostile_text_is_plain_text():
    status = dict(STATUS, warnings=[HOSTILE])
    for answer, words in (((200, status), ("status",)), ((200, {"peer": HOSTILE}), ("punch", "x")),
                          ((409, {"error": HOSTILE}), ("punch", "x")), ((200, {"warnings": [HOSTILE]}), ("reload",)),
                          ((400, {"error": HOSTILE, "problems": [HOSTILE]}), ("reload",)),
                          (HOSTILE, ("status",)), ((200, STATUS), ("status", "--" + HOSTILE)),
                          ((200, STATUS), (HOSTILE,))):
        code, out, err = Bench(answer).run(*words)
        assert out + err
        for char in out + err:
            assert char == "\n" or " " <= char < "\x7f" or char > "\x9f", (words, out + err)


def test_watch_draws_until_it_is_interrupted():
    bench = Bench((200, STATUS), "nothing listens there", (200, STATUS))
    interrupted = bench.answers.append

    class Interrupt:
        def __getitem__(self, _):
            raise KeyboardInterrupt

    interrupted(Interrupt())
    code, out, err = bench.run("status", "--watch")
    assert code == 0 and err == "" and out.count("\x1b[H") == 3 and out.count("running for") == 2
    assert "nothing listens there\x1b[K\n\x1b[J" in out


PUBLISHER = "config publisher\n option interface 'wg0'\n"
SUBSCRIBER = "config subscriber 'home'\n option interface 'wg0'\n option publisher '10.0.0.1'\n"
ROUTER = "config peer\n option public_key '%s'\n option name 'router'\n option device '1'\n" % key(1)


def test_check():
    bench = Bench()
    assert bench.run("check") == (0, "%s: no errors; nothing is switched on\n" % bench.config, "")
    bench.write(PUBLISHER)
    assert bench.run("check") == (0, "%s: no errors; publisher on wg0\n" % bench.config, "")
    bench.write(PUBLISHER + " option zebra '1'\n option port 'x'\n option interface ''\n")
    code, out, err = bench.run("check")
    assert (code, out) == (1, "") and "option zebra: unknown option is ignored" in err
    assert "wgp2p: error: %s, line 7, section @publisher[0], option port: must be" % bench.config in err
    bench.write(PUBLISHER + " option zebra '1'\n")
    code, out, err = bench.run("check")
    assert (code, err) == (0, "") and "warning: %s, line 6," % bench.config in out
    os.remove(bench.config)
    code, out, err = bench.run("check")
    assert (code, out) == (1, "") and err == "wgp2p: error: %s: cannot be read (errno 2)\n" % bench.config


def test_check_looks_at_token_files():
    bench = Bench()
    bench.write(SUBSCRIBER)
    code, out, err = bench.run("check")
    assert code == 1 and err == "wgp2p: error: %s, section home, option token_file: cannot read the token file " \
        "%s/keep/token (errno 2)\n" % (bench.config, bench.folder), err
    write_private(bench.folder + "/keep/token", TOKEN + "\n")
    code, out, err = bench.run("check")
    assert (code, err) == (0, "") and out.endswith("subscriber on wg0 to 10.0.0.1\n") and TOKEN not in out
    bench.write(SUBSCRIBER + " option token '%s'\n" % ("y" * 64))
    assert bench.run("check")[0] == 0
    write_private(bench.folder + "/keep/token", "secret\n")
    bench.write(SUBSCRIBER)
    code, out, err = bench.run("check")
    assert code == 1 and "secret" not in err


def test_check_looks_at_the_tokens_of_devices():
    bench = Bench()
    path = bench.folder + "/keep/tokens/router"
    bench.write(PUBLISHER + ROUTER)
    assert bench.run("check")[0] == 0 and not exists(path), "it makes none"
    write_private(path, "secret\n")
    code, out, err = bench.run("check")
    assert code == 1 and "secret" not in err
    assert err.startswith("wgp2p: error: %s, section @peer[0], option device: token file %s holds no" % (
        bench.config, path)), err
    bench.write(ROUTER)
    assert bench.run("check")[0] == 0, "no publisher, no business of ours"


def test_token():
    bench = Bench()
    bench.write(PUBLISHER + ROUTER)
    code, out, err = bench.run("token", "router")
    assert (code, err) == (0, "") and len(out) == 65
    assert out == read_text(bench.folder + "/keep/tokens/router", 100) == device_token(
        bench.folder + "/keep", "router") + "\n"
    assert os.stat(bench.folder + "/keep/tokens/router")[0] & 0o777 == 0o600
    assert bench.run("token", key(1))[1] == out
    code, out, err = bench.run("token", "phone")
    assert (code, out) == (1, "") and "'phone'" in err and "(router)" in err
    assert not exists(bench.folder + "/keep/tokens/phone")
    write_private(bench.folder + "/keep/tokens/router", "secret\n")
    code, out, err = bench.run("token", "router")
    assert (code, out) == (1, "") and "holds no token" in err and "secret" not in err
    os.remove(bench.folder + "/keep/tokens/router")
    os.rmdir(bench.folder + "/keep/tokens")
    write_private(bench.folder + "/keep/tokens", "a file in its place")
    code, out, err = bench.run("token", "router")
    assert (code, out) == (1, "") and bench.folder + "/keep/tokens/router: " in err
    bench.write(PUBLISHER)
    assert "(none is configured)" in bench.run("token", "router")[2]


def test_token_of_a_client():
    bench = Bench()
    section = "config peer\n option public_key '%s'\n option name '%s'\n"
    bench.write(PUBLISHER + ROUTER + section % (key(2), "laptop"))
    code, out, err = bench.run("token", "laptop")
    assert code == 0 and out == read_text(bench.folder + "/keep/tokens/laptop", 100) and len(out) == 65
    assert err == ("laptop is no remote device: this token lets it announce a port of its own, once the daemon knows "
                   "it: wgp2p reload\n")
    assert bench.run("check")[0] == 0
    write_private(bench.folder + "/keep/tokens/laptop", "secret\n")
    code, out, err = bench.run("check")
    assert code == 1 and "option name: token file" in err and "secret" not in err
    for name, more in (("../laptop", ""), (".laptop", ""), ("a/b", ""), ("laptop", " option exclude '1'\n")):
        bench.write(PUBLISHER + ROUTER + section % (key(2), name) + more)
        assert bench.run("check")[0] == 0, name
        for word in (name, key(2)):
            assert bench.run("token", word)[:2] == (1, ""), name
    assert sorted(os.listdir(bench.folder + "/keep")) == ["tokens"]


def test_run_says_why_it_cannot():
    bench = Bench()
    bench.write(PUBLISHER + " option port 'x'\n")
    code, out, err = bench.run("run")
    assert (code, out) == (1, "") and "option port: must be" in err


def test_root_acts_as_the_daemons_user():
    bench = Bench()
    bench.write(PUBLISHER + ROUTER)
    gid = os.stat(bench.folder)[5]
    os.mkdir(bench.folder + "/keep")
    saved = cli.is_root, cli.find_user, cli.become, cli.is_possible
    became = []
    try:
        cli.become = lambda name, networking: became.append((name, networking))
        for root, group, wanted in ((True, gid, [("wgp2p", False)]), (False, gid, []), (True, gid + 1, [])):
            cli.is_root, cli.find_user = lambda: root, lambda name: (4711, group)
            assert bench.run("token", "router")[0] == 0
            assert became == wanted, (root, group)
            del became[:]
        bench.write("nonsense")
        cli.is_root = lambda: True
        assert bench.run("--user", "nobody", "run")[0] == 1 and became == [("nobody", True)]
        del became[:]
        cli.is_root = lambda: False
        assert bench.run("--user", "nobody", "run")[0] == 1 and became == []

        def refuse(name, networking):
            raise cli.PrivilegeError("there is no user " + name)

        cli.become, cli.is_root = refuse, lambda: True
        code, out, err = bench.run("--user", "nobody", "run")
        assert code == 1 and err == "wgp2p: cannot be user nobody: there is no user nobody\n"
        cli.is_possible = lambda: False
        warned = []
        write, log._write = log._write, lambda level, text: warned.append(text)
        try:
            bench.run("--user", "nobody", "run")
        finally:
            log._write = write
        assert len(warned) == 1 and warned[0].startswith("running as root: this Python has no ctypes")
    finally:
        cli.is_root, cli.find_user, cli.become, cli.is_possible = saved
