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
_NEWLINE, _RETURN, _DOUBLE_QUOTE, _HASH, _SINGLE_QUOTE, _SEMICOLON, _BACKSLASH = 10, 13, 34, 35, 39, 59, 92
_BLANKS = (32, 9)
_WHITE = (32, 9, _NEWLINE, 11, 12, _RETURN)


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
    while reader.next_line():
        while True:
            command = reader.command()
            if command is None:
                break
            if command == "config":
                section = _config(reader, sections)
            elif command == "package":
                _package(reader)
            else:
                _option(reader, section, command)
    return sections


def _package(reader):
    reader.enter("package")
    reader.argument(True, _is_package)
    reader.end_of_command()


def _config(reader, sections):
    """Read `config TYPE [NAME]`; gives the section that the options below it belong to."""
    line = reader.line
    reader.enter("config")
    kind = reader.argument(True, None)
    if not all([33 <= c <= 126 for c in kind]):
        raise reader.error("invalid character in type field")
    name = reader.argument(False, _is_name).decode() or None
    reader.end_of_command()
    kind = kind.decode()
    for section in sections:
        if name is not None and section.name == name:
            if section.type != kind:
                raise reader.error("section of different type overwrites prior section with same name")
            return section
    section = Section(kind, name, len([s for s in sections if s.type == kind]), line)
    sections.append(section)
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
        self._buffer = bytearray()  # the line
        self._pos = 0  # in _buffer
        self._word_end = 0  # of the command found last
        self.line = 0  # number of the file's line read last, from 1

    def error(self, message):
        """The exception for what was found here."""
        return UciError(max(1, self.line), self._pos, message)

    def next_line(self):
        """Go on to the next line, past its leading white space; False at the end of the file."""
        self._buffer = bytearray()
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

    def _char(self, at=None):
        """The byte at `at` or at the position; 0 behind the end of the line."""
        if at is None:
            at = self._pos
        return self._buffer[at] if at < len(self._buffer) else 0

    def _skip_white(self):
        while self._char() in _WHITE:
            self._pos += 1

    def command(self):
        """The next command's name, None when the line holds no more. The position stays before it."""
        start = self._pos
        while self._char(start) in _BLANKS:
            start += 1
        end = start
        while self._char(end) and self._char(end) not in _BLANKS:
            end += 1
        word = bytes(self._buffer[start:end])
        if not word or word[0] == _HASH:
            return None
        name = _COMMANDS.get(word[:1])
        if name is None or word not in (word[:1], name.encode()):
            raise self.error("invalid command")
        self._word_end = end
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
            elif char != _BACKSLASH or self._escaped():
                if not self._char():
                    break
                word.append(self._char())
                self._pos += 1
            if not self._char() or self._char() in _WHITE:
                break
        if self._char() and self._char() != _SEMICOLON:
            self._pos += 1
        return bytes(word)

    def _quoted(self, quote, word):
        """Append what stands between the quotes."""
        self._pos += 1
        while self._char() != quote:
            if not self._char():
                if not self._join():
                    raise self.error("EOF with unterminated " + chr(quote))
            elif quote == _SINGLE_QUOTE or self._char() != _BACKSLASH or self._escaped():
                word.append(self._char())
                self._pos += 1
        self._pos += 1

    def _escaped(self):
        """Go past a backslash; False when it stood at the end of the file's line, which is joined then."""
        self._pos += 1
        if bytes(self._buffer[self._pos:]) in (b"", b"\n", b"\r\n"):
            self._join()
            return False
        return True


def _is_name(word):
    return all([48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c == 95 for c in word])


def _is_package(word):
    return _is_name(word.replace(b"-", b"_"))
