"""Reader of UCI config files, so that the same file serves on a router and where no `uci` is installed.

The grammar as OpenWrt's own reader has it, its corners included. Lines hold commands, `;` parts two of one line:
    package NAME             ignored: the file's name counts
    config TYPE [NAME]       opens a section; the name of an earlier one continues it, the type must be the same
    option NAME [VALUE]      sets; with an empty or missing value nothing happens
    list NAME [VALUE]        appends; an option of that name becomes the list's first item
The first letter may stand for the command. Words are parted by white space; '...' takes everything as it is,
line ends included; "..." likewise, but \\ makes the next character plain; outside of quotes \\ does too, and #
starts a comment, even inside a word. A \\ at the end of a line joins the next line.

tests/golden/uci.json holds what real `uci` says to each corner.
"""

_COMMANDS = {b"p": "package", b"c": "config", b"o": "option", b"l": "list"}
_DOUBLE_QUOTE, _HASH, _SINGLE_QUOTE, _SEMICOLON, _BACKSLASH = 34, 35, 39, 59, 92
_WHITE = b" \t\n\v\f\r"
_SPECIAL = _WHITE + b"'\"#;\\"  # what ends a plain piece of an unquoted word


class UciError(ValueError):
    """The text is no UCI file. `line` (from 1) and `byte` (from 0, within the line and what it continues)."""

    def __init__(self, line, byte, message):
        super().__init__("line %d, byte %d: %s" % (line, byte, message))
        self.line = line
        self.byte = byte
        self.message = message


class Option:
    """`value`: str for an option, list of str for a list. `line`: where it was last set."""

    def __init__(self, name, value, line):
        self.name = name
        self.value = value
        self.line = line


class Section:
    """`name`: None for an anonymous one. `index`: how many sections of this type come before it.
    `options`: in the order of the file."""

    def __init__(self, kind, name, index, line):
        self.type = kind
        self.name = name
        self.index = index
        self.line = line
        self.options = []

    @property
    def label(self):
        """As `uci` takes it on the command line: `main`, `@peer[0]`."""
        return self.name or "@%s[%d]" % (self.type, self.index)

    def option(self, name):
        """The Option of this name, or None."""
        for option in self.options:
            if option.name == name:
                return option
        return None

    def get(self, name):
        """The value of this option, str or list of str, or None."""
        option = self.option(name)
        return option.value if option else None


def parse(text):
    """The sections of a UCI file, str or bytes, in order. Raises UciError."""
    reader = _Reader(text.encode() if isinstance(text, str) else text)
    sections = []
    section = None
    named, counts = {}, {}
    while reader.next_line():
        while True:
            command = reader.command()
            if command is None:
                break
            if command == "config":
                section = _config(reader, sections, named, counts)
            elif command == "package":
                _package(reader)
            else:
                _option(reader, section, command)
    return sections


def _package(reader):
    reader.enter("package")
    reader.argument(True, _is_package)
    reader.end_of_command()


def _config(reader, sections, named, counts):
    """Read `config TYPE [NAME]`; gives the section that the options below it belong to. `sections`: all so far,
    `named`: those with a name by it, `counts`: how many of each type."""
    line = reader.line
    reader.enter("config")
    kind = reader.argument(True, None)
    if not all([33 <= c <= 126 for c in kind]):
        raise reader.error("invalid character in type field")
    name = reader.argument(False, _is_name).decode() or None
    reader.end_of_command()
    kind = kind.decode()
    section = named.get(name)
    if section is None:
        section = Section(kind, name, counts.get(kind, 0), line)
        sections.append(section)
        counts[kind] = section.index + 1
        if name is not None:
            named[name] = section
    elif section.type != kind:
        raise reader.error("section of different type overwrites prior section with same name")
    return section


def _option(reader, section, command):
    """Read `option NAME [VALUE]` or `list NAME [VALUE]` into the section."""
    line = reader.line
    if section is None:
        raise reader.error("option/list command found before the first section")
    reader.enter("option")
    name = reader.argument(True, _is_name).decode()
    value = reader.argument(False, None)
    reader.end_of_command()
    try:
        value = value.decode()
    except UnicodeError:
        raise reader.error("value is not UTF-8")
    option = section.option(name)
    if command == "option" and not value:
        return
    if option is None:
        section.options.append(Option(name, value if command == "option" else [value], line))
        return
    if command == "option":
        option.value = value
    elif isinstance(option.value, list):
        option.value.append(value)
    else:
        option.value = [option.value, value]
    option.line = line


class _Reader:
    """A file into lines, commands and words. A line here is what the file's line is joined with, too: by a
    line end within quotes or after a backslash."""

    def __init__(self, text):
        self._text = text
        self._next = 0  # where the next line of the file starts
        self._buffer = b""  # the line
        self._pos = 0  # in _buffer
        self._word_end = 0  # of the command found last
        self.line = 0  # number of the file's line read last, from 1

    def error(self, message):
        """The exception for what was found here."""
        return UciError(max(1, self.line), self._pos, message)

    def next_line(self):
        """Go on to the next line, past its leading white space; False at the end of the file."""
        self._buffer = b""
        self._pos = 0
        if not self._join():
            return False
        self._skip_white()
        return True

    def _join(self):
        """Put the file's next line in place of what follows the position; False when there is none."""
        end = self._text.find(b"\n", self._next) + 1 or len(self._text)
        line = self._text[self._next:end]
        self._buffer = self._buffer[:self._pos] + line
        if not line:
            return False
        self._next = end
        self.line += 1
        if b"\0" in line:
            raise self.error("NUL byte")
        return True

    def _char(self):
        """The byte at the position; 0 behind the end of the line."""
        return self._buffer[self._pos] if self._pos < len(self._buffer) else 0

    def _skip_white(self):
        self._pos = len(self._buffer) - len(self._buffer[self._pos:].lstrip(_WHITE))

    def command(self):
        """The next command's name, None when the line holds no more. The position stays before it."""
        rest = self._buffer[self._pos:].lstrip(b" \t")
        word = rest.partition(b" ")[0].partition(b"\t")[0]
        if not word or word[0] == _HASH:
            return None
        name = _COMMANDS.get(word[:1])
        if name is None or word not in (word[:1], name.encode()):
            raise self.error("invalid command")
        self._word_end = len(self._buffer) - len(rest) + len(word)
        return name

    def enter(self, command):
        """Go past the command's word."""
        if self._word_end >= len(self._buffer):
            raise self.error(command + " without name")
        self._pos = self._word_end + 1

    def argument(self, required, valid):
        """The next word of the command, b"" when there is none; `valid` checks one that is not empty."""
        self._skip_white()
        if self._char() == _SEMICOLON:
            word = b""
            self._pos += 1
        else:
            word = self._word()
        if not word and required:
            raise self.error("insufficient arguments")
        if word and valid and not valid(word):
            raise self.error("invalid character in name field")
        return word

    def end_of_command(self):
        """Nothing but `;`, a comment or the end of the line may follow."""
        if self.argument(False, None):
            raise self.error("too many arguments")

    def _word(self):
        """One word; the position goes past the white space or the `;` behind it."""
        word = bytearray()
        start = self._pos
        while True:
            char = self._char()
            if char in (_SINGLE_QUOTE, _DOUBLE_QUOTE):
                self._quoted(char, word)
            elif char == _HASH:
                self._buffer = self._buffer[:self._pos]
                break
            elif char == _SEMICOLON:
                if len(word) == self._pos - start:
                    # `uci` ends the word in place, right where the `;` stood, and loses the rest of the line
                    self._buffer = self._buffer[:self._pos]
                break
            elif char != _BACKSLASH:
                word += self._plain(_SPECIAL)
            elif self._escaped():
                word += self._one()
            if not self._char() or self._char() in _WHITE:
                break
        if self._char() and self._char() != _SEMICOLON:
            self._pos += 1
        return bytes(word)

    def _quoted(self, quote, word):
        """Append what stands between the quotes."""
        self._pos += 1
        end = b"'" if quote == _SINGLE_QUOTE else b'"\\'
        while True:
            word += self._plain(end)
            char = self._char()
            if char == quote:
                self._pos += 1
                return
            if char:
                if self._escaped():
                    word += self._one()
            elif not self._join():
                raise self.error("EOF with unterminated " + chr(quote))

    def _plain(self, end):
        """Go past what stands before the next of these bytes or the end of the line, and give it."""
        buffer, start = self._buffer, self._pos
        at, count = start, len(buffer)
        while at < count and buffer[at] not in end:
            at += 1
        self._pos = at
        return buffer[start:at]

    def _one(self):
        """Go past one byte, whatever it is, and give it."""
        self._pos += 1
        return self._buffer[self._pos - 1:self._pos]

    def _escaped(self):
        """Go past a backslash; False when it stood at the end of the file's line, which is joined then."""
        self._pos += 1
        if self._buffer[self._pos:] in (b"", b"\n", b"\r\n"):
            self._join()
            return False
        return True


def _is_name(word):
    return all([48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c == 95 for c in word])


def _is_package(word):
    return _is_name(word.replace(b"-", b"_"))
