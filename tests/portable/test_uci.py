"""uci.py against what real `uci` said (golden/uci.json), and what the product adds: labels and line numbers."""
import json

from helpers import raises

from wgp2p import uci

with open((__file__.rpartition("/")[0] or ".") + "/../golden/uci.json", "rb") as file:
    GOLDEN = json.loads(file.read().decode())


def quoted(value):
    return "'" + value.replace("'", "'\\''") + "'"


def values(option):
    return option.value if isinstance(option.value, list) else [option.value]


def export(sections):
    """What `uci export wgp2p` prints."""
    out = "package wgp2p\n\n"
    for section in sections:
        out += "config " + section.type + (" " + quoted(section.name) if section.name else "") + "\n"
        for option in section.options:
            word = "list" if isinstance(option.value, list) else "option"
            for value in values(option):
                out += "\t" + word + " " + option.name + " " + quoted(value) + "\n"
        out += "\n"
    return out


def hashed_name(section, number):
    """The name that `uci -X show` gives to an anonymous section: its number in the file, a hash of the type."""
    hashed = 5381
    for char in section.type:
        hashed = (hashed * 33 + ord(char)) & 0xFFFFFFFF
    return "cfg%02x%04x" % (number, hashed & 0xFFFF)


def show(sections):
    """What `uci -X show wgp2p` prints."""
    out = ""
    for i, section in enumerate(sections):
        name = "wgp2p." + (section.name or hashed_name(section, i + 1))
        out += name + "=" + section.type + "\n"
        for option in section.options:
            out += name + "." + option.name + "=" + " ".join([quoted(v) for v in values(option)]) + "\n"
    return out


def golden_test(case):
    def test():
        try:
            sections = uci.parse(case["text"])
        except uci.UciError as error:
            assert case["export"]["exit"] == 1, error
            said = "Parse error (%s) at line %d, byte %d" % (error.message, error.line, error.byte)
            assert case["export"]["stderr"] == "uci: " + said, said
            return
        assert case["export"]["exit"] == 0, "uci rejects this"
        assert export(sections) == case["export"]["stdout"], export(sections)
        assert show(sections) == case["show_X"]["stdout"], show(sections)
    return test


for _case in GOLDEN:
    globals()["test_golden_" + _case["case"].replace("-", "_")] = golden_test(_case)


def test_golden_is_all_there():
    assert len(GOLDEN) == 31


# More corners, as real `uci` (November 2025) answers them: text, then the export's lines or the error.
CORNERS = (
    ("config s 'x'; option a 1;option b 2\n", "config s 'x'\n\toption a '1'\n"),  # the unquoted 1; loses the rest
    ("config s 'x'\noption a 'b'\noption a ''\n", "config s 'x'\n\toption a 'b'\n"),
    ("config s 'x'\nlist a 'b'\noption a\n", "config s 'x'\n\tlist a 'b'\n"),
    ("c s x\no a b\nl c d\n", "config s 'x'\n\toption a 'b'\n\tlist c 'd'\n"),
    ("config s 'x'\noption a 1\\\n2\n", "config s 'x'\n\toption a '12'\n"),
    ("config s 'x'\noption a \"1\\\r\n2\"\n", "config s 'x'\n\toption a '12'\n"),
    ("config s 'x'\noption a '1'\"2\"3\\'4\n", "config s 'x'\n\toption a '123'\\''4'\n"),
    ("config s 'x'\noption a 'b'#c\n", "config s 'x'\n\toption a 'b'\n"),
    ("config s 'x';\n", "invalid command at 1, 13"),
    ("config s 'x'\nlist", "option without name at 2, 0"),
    ("config s 'x'\nconfig\n", "invalid command at 2, 0"),
    ("config\t\n", "insufficient arguments at 1, 8"),
    ("config 's\tt'\n", "invalid character in type field at 1, 13"),
    ("package a.b\n", "invalid character in name field at 1, 12"),
    ("config s 'x'\noption a \"b\n\n", "EOF with unterminated \" at 3, 13"),
    ("config s\0 'x'\n", "NUL byte at 1, 0"),
    (b"config s 'x'\noption a '\xff'\n", "value is not UTF-8 at 2, 13"),
)


def test_corners():
    for text, expected in CORNERS:
        try:
            said = export(uci.parse(text))
            expected = "package wgp2p\n\n" + expected + "\n"
        except uci.UciError as error:
            said = "%s at %d, %d" % (error.message, error.line, error.byte)
        assert said == expected, (text, said, expected)


def test_labels_and_lines():
    sections = uci.parse("config wgp2p\nconfig peer\n option name a\n\nconfig peer 'tv'\n list l '1\n2'\n list l 3\n"
                         "config peer\n option name c\n")
    assert [s.label for s in sections] == ["@wgp2p[0]", "@peer[0]", "tv", "@peer[2]"]
    assert [s.line for s in sections] == [1, 2, 5, 9]
    assert [[(o.name, o.line) for o in s.options] for s in sections] == [
        [], [("name", 3)], [("l", 8)], [("name", 10)]]
    assert sections[2].get("l") == ["1\n2", "3"]
    assert sections[1].get("name") == "a" and sections[1].get("none") is None


def test_error_text():
    error = raises(uci.UciError, uci.parse, "config s\nfoo a\n")
    assert str(error) == "line 2, byte 0: invalid command", str(error)
    assert isinstance(error, ValueError)
