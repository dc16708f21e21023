"""Our daemon on a host of the lab, under one of the two Pythons: started, stopped, killed, frozen, asked.

Everything of one daemon lies in a folder of its own: config, socket, state/, log.
"""
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys

import netns
from waiting import wait_for

PROJECT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "package/wgp2p"
PYTHONS = ("micropython", "python3")
_TICKS = os.sysconf("SC_CLK_TCK")


def interpreter_words(name):
    """The words that start one of the two Pythons on this machine."""
    if name == "python3":
        return [sys.executable]
    if shutil.which("micropython"):
        return ["micropython"]
    return shlex.split(subprocess.run([sys.executable, PROJECT / "tests/tools/micropython"], check=True,
                                      capture_output=True, text=True).stdout)


def uci(*sections):
    """A configuration file's text. Each section: (type, {option: value or list}) or (type, name, {…})."""
    lines = []
    for kind, *name, options in sections:
        lines.append("config " + kind + "".join(f" '{word}'" for word in name))
        for option, value in options.items():
            if isinstance(value, (list, tuple)):
                lines += [f"\tlist {option} '{item}'" for item in value]
            else:
                lines.append(f"\toption {option} '{value}'")
        lines.append("")
    return "\n".join(lines)


class Answer:
    """What a command line gave: code, out, err."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}{self.err}"


class Daemon:
    """config: the text of the configuration file. environment: what is added to the daemon's. user: whom it becomes,
    root without one."""

    def __init__(self, lab, host, interpreter, config, environment=None, user=None):
        self.host, self.interpreter, self._user = host, interpreter, user
        self.folder = lab.folder / host
        self.folder.mkdir(exist_ok=True)
        self.config_path = self.folder / "config"
        self.socket_path = self.folder / "socket"
        self.state_path = self.folder / "state"
        self.log_path = self.folder / "log"
        self.write_config(config)
        self._environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "MICROPYPATH": str(PACKAGE),
                             **(environment or {})}
        self._process = None

    # -- its life -----------------------------------------------------------------------------------

    def _words(self, *words):
        return netns.command(self.host, *interpreter_words(self.interpreter), "-m", "wgp2p",
                             "--config", str(self.config_path), "--socket", str(self.socket_path),
                             "--state", str(self.state_path), *words)

    def start(self, ready=30):
        """Start it, and wait so many seconds until it answers on its socket (0: do not wait)."""
        self.state_path.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.socket_path.unlink()  # so that the new one's is the one we see
        words = ["run"]
        if self._user:
            words = ["--user", self._user, "run"]
            self.folder.parent.chmod(0o711)
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, self._user)
        with open(self.log_path, "ab") as log:
            self._process = subprocess.Popen(self._words(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             cwd=PACKAGE, env=self._environment)
        if ready:
            wait_for(lambda: self._listens() or not self.running, ready, f"{self.host}'s daemon is up")
            assert self.running, f"{self.host}'s daemon ended with {self._process.returncode}:\n{self.log()}"
        return self

    def _listens(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            return not control.connect_ex(str(self.socket_path))

    @property
    def pid(self):
        return self._process.pid

    @property
    def running(self):
        return self._process is not None and self._process.poll() is None

    def signal(self, number):
        self._process.send_signal(number)

    def stop(self, seconds=10):
        """Ask it to end (SIGTERM); its exit code."""
        self.signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def kill(self):
        """End it without asking, frozen or not."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    # -- talking to it ------------------------------------------------------------------------------

    def write_config(self, text):
        """Write its configuration file; `cli("reload")` makes it live."""
        self.config_path.write_text(text)

    def cli(self, *words, check=False, seconds=60):
        """Run `wgp2p WORDS` on its host against this daemon. An Answer; AssertionError when check and failed."""
        done = subprocess.run(self._words(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, cwd=PACKAGE, env=self._environment, timeout=seconds)
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert not check or answer.code == 0, f"wgp2p {' '.join(words)}: {answer}"
        return answer

    def status(self):
        """What `wgp2p status --json` tells, straight from the socket: starting a Python takes long in the VM."""
        return self.get("/status")

    def doctor(self):
        """What `wgp2p doctor` finds, as {code: level}."""
        return {row["code"]: row["level"] for row in self.get("/doctor")["findings"]}

    def get(self, path):
        """What its socket answers to GET, from JSON."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(10)
            control.connect(str(self.socket_path))
            control.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            with control.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        return json.loads(body)

    def log(self):
        """All that it has printed so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, text, seconds, count=1):
        """Wait until its log has a text at least so many times."""
        wait_for(lambda: self.log().count(text) >= count, seconds, f"{self.host}'s log says {text!r}")

    # -- what it costs ------------------------------------------------------------------------------

    def memory_kb(self):
        """Resident memory in KiB."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError(f"{self.host}'s daemon has no memory: it ended")

    def cpu_s(self):
        """CPU seconds used so far, its ended children's included."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / _TICKS

    def open_files(self):
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))
