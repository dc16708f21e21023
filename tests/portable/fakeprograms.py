"""process.start without processes: `wg`, `uci` and `ip` as far as the clients' commands use them."""
from fakewg import key

from wgp2p import process, uci
from wgp2p.clients import quoted
from wgp2p.files import read_text, write_private


class Programs:
    """While it is used as `with`, programs are these. `ran`: (argv, standard input) of every start; `fail`: {program
    and first word: text of its failure}; `missing`: programs that are not there; `staged`: what `uci changes` says;
    `deaf`: uci takes nothing over."""

    def __init__(self):
        self.ran, self.fail, self.missing, self.staged, self.deaf = [], {}, [], "", False
        self._made = 0

    def __enter__(self):
        self._usual, process.start = process.start, self._start
        return self

    def __exit__(self, *_):
        process.start = self._usual

    def commands(self, program):
        """The argument lists of this program's starts."""
        return [" ".join(argv) for argv, _ in self.ran if argv[0] == program]

    def _start(self, loop, argv, done, stdin=b"", timeout_ms=10000, environment=(), privileged=False):
        if argv[0] in self.missing:
            raise process.ProcessError(argv[0] + ": no such program")
        self.ran.append((argv, stdin.decode()))
        error = self.fail.get(" ".join(argv[:2]))
        out = "" if error else getattr(self, "_" + argv[0])(argv[1:], stdin.decode())
        done(process.Result(1 if error else 0, out.encode(), (error or "").encode(), False))

    def _wg(self, words, text):
        if words == ["genkey"]:
            self._made += 1
            return key(200 + self._made) + "\n"
        if words == ["pubkey"]:  # of the private key 200 + N the public one is 100 + N
            return [key(100 + n) for n in range(1, 50) if key(200 + n) + "\n" == text][0] + "\n"
        assert words[0] == "set"
        return ""

    def _ip(self, words, text):
        return ""

    # -- uci ------------------------------------------------------------------------------------------

    def _uci(self, words, text):
        assert words[:2] == ["-q", "-c"]
        folder, command = words[2], words[3]
        if command == "changes":
            return self.staged
        assert command == "batch" and len(words) == 4
        packages = {}
        for line in [] if self.deaf else text.split("\n"):
            self._line(folder, packages, line)
        return ""

    def _line(self, folder, packages, line):
        word, _, rest = line.partition(" ")
        package = rest.partition(" ")[0].partition(".")[0]
        if word in ("commit", "revert"):
            if word == "commit" and package in packages:
                write_private(folder + "/" + package, _export(packages[package]))
            packages.pop(package, None)
            return
        if not word:
            return
        if package not in packages:
            packages[package] = uci.parse(read_text(folder + "/" + package, 100000))
        sections = packages[package]
        if word == "add":
            kind = rest.partition(" ")[2]
            sections.append(uci.Section(kind, None, len([one for one in sections if one.type == kind]), 0))
            return
        path, _, value = rest.partition("=")
        place = path.partition(".")[2]
        section, _, option = place.partition("].") if "]." in place else (place, "", "")
        section = section if section.endswith("]") or not option else section + "]"
        kind, _, number = section[1:-1].partition("[")
        found = [one for one in sections if one.type == kind][int(number)]  # counted anew, as uci does
        if word == "delete":
            sections.remove(found)
            return
        value = uci.parse("config x\n option x %s\n" % value)[0].get("x")
        old = found.get(option)
        if word == "set" or old is None:
            found.options.append(uci.Option(option, value if word == "set" else [value], 0))
        else:
            old.append(value)


def _export(sections):
    lines = []
    for section in sections:
        lines.append("config %s %s" % (section.type, quoted(section.name) if section.name else ""))
        for option in section.options:
            many = isinstance(option.value, list)
            lines += ["\t%s %s %s" % ("list" if many else "option", option.name, quoted(value))
                      for value in (option.value if many else [option.value])]
        lines.append("")
    return "\n".join(lines) + "\n"
