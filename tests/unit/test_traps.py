"""tests/tools/traps finds every trap it names, lets good code pass, and each trap is one on the real MicroPython."""
import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[1] / "tools"


def load(name):
    loader = importlib.machinery.SourceFileLoader(name + "_tool", str(TOOLS / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name + "_tool", loader))
    loader.exec_module(module)
    return module


traps = load("traps")

# (code that leaves its outcome in `got`, what the tool says of it). The outcome differs between the two Pythons.
DIFFERENT = [
    ("import os\ngot = os.getpid() > 0", "os.getpid: not on MicroPython"),
    ("from os import path\ngot = 1", "os.path: not on MicroPython"),
    ("import threading\ngot = 1", "import threading: not on both"),
    ("from enum import Enum\ngot = 1", "import enum: not on both"),
    ("from __future__ import annotations\ngot = 1", "import __future__: not on both"),
    ("import socket\ns = socket.socket()\nwith s:\n    got = 1", "with: only on open()"),
    ("import json\ngot = json.loads('[1,2')", "json.loads: use compat.json_loads"),
    ("import json\ngot = json.dumps({}, indent=1)", "dumps(indent=)"),
    ("import struct\ngot = struct.pack('!B', 300)", "300 does not fit 'B'"),
    ("import struct\ngot = struct.pack('!h', 40000)", "40000 does not fit 'h'"),
    ("import struct\ngot = struct.pack('!B', -1)", "-1 does not fit 'B'"),
    ("import struct\ngot = struct.pack('!2H', 1)", "2 values wanted, 1 given"),
    ("import struct\ngot = struct.pack('!H', 1, 2)", "1 values wanted, 2 given"),
    ("import struct\ngot = struct.pack('=I', 1)", "struct '='"),
    ("import struct\ngot = struct.pack('?', True)", "struct '?'"),
    ("import struct\ngot = struct.pack('!4s', 'ab')", "struct 's' with str"),
    ("import struct\ngot = struct.unpack_from('!B', b'a', offset=0)", "unpack_from(offset=)"),
    ("got = '1'.zfill(3)", ".zfill()"),
    ("got = 'abc'.removeprefix('a')", ".removeprefix()"),
    ("got = 'a'.ljust(3)", ".ljust()"),
    ("got = (5).bit_length()", ".bit_length()"),
    ("got = memoryview(b'a').tobytes()", ".tobytes()"),
    ("got = b'a'.decode(errors='replace')", "decode(errors=)"),
    ("got = b'\\xe9'.decode('latin-1')", ".decode('latin-1')"),
    ("got = '\\u20ac'.encode('ascii')", ".encode('ascii')"),
    ("got = 'a b'.split(maxsplit=1)", "split(maxsplit=)"),
    ("got = (5).to_bytes(length=2, byteorder='big')", "to_bytes(length=)"),
    ("got = list(zip([1], [2], strict=True))", "zip(strict=)"),
    ("got = print('', end='', flush=True)", "print(flush=)"),
    ("got = b'abcd'[::2]", "slice with a step"),
    ("got = 'abc'[::-1]", "slice with a step"),
    ("got = issubclass(PermissionError, OSError)", "PermissionError: MicroPython has no such name"),
    ("got = issubclass(UnicodeDecodeError, ValueError)", "UnicodeDecodeError: MicroPython has no such name"),
    ("got = format(1, 'x')", "format: MicroPython has no such name"),
    ("got = list(iter(lambda: 1, 1))", "iter(call, end)"),
    ("try:\n    open('/nowhere')\nexcept OSError as error:\n    got = error.strerror != ''", ".strerror"),
    ("def f(a, /):\n    return a\ngot = f(1)", "positional-only"),
    ("match 1:\n    case 1:\n        got = 1", "match"),
    ("a = [1]\ngot = [*a]", "[*a]"),
    ("a = {}\ngot = {**a}", "{**a}"),
    ("try:\n    raise ValueError from KeyError()\nexcept ValueError as error:\n"
     "    got = type(error.__cause__) is KeyError", "raise from"),
    ("class A(object, metaclass=type):\n    pass\ngot = 1", "class keywords"),
    ("class A:\n    def __format__(self, spec):\n        return 'x'\ngot = '{}'.format(A()) == 'x'", "__format__"),
    ("got = ('{1}' f'{2}')", "f-string"),
    ("a = 1\ngot = f'{a}' '{{}}'", "f-string"),
    ("got = f'{chr(58) + \":\"}'", "f-string"),
]

GOOD = [
    "import os, sys, json\nx = json.dumps([], separators=(',', ':')) + os.getenv('A', '')",
    "from . import VERSION, log\nfrom .compat import json_loads",
    "with open('/etc/hostname') as file:\n    x = file.read()",
    "import struct\nx = struct.pack('!BH4s', 255, 0, b'abcd') + struct.pack('HH', *[1, 2])",
    "x = sorted({1: 2}, key=lambda k: -k)\na, *b = [1, 2]\nprint(*b)",
    "def f(x: int) -> str:\n    return '%s' % x if (y := x) else ''",
    "import sys\nx = hasattr(sys.stdout, 'isatty') and sys.stdout.isatty()",
    "from .compat import MICROPYTHON\nif MICROPYTHON:\n    import uctypes\nelse:\n    import subprocess",
    "import os\nfrom .compat import MICROPYTHON\ndef f():\n    if not MICROPYTHON:\n        return os.getpid()\n"
    "    return os.errno()",
    "import os\nfrom .compat import MICROPYTHON\ndef f():\n    if MICROPYTHON:\n        return 0\n"
    "    return os.getpid()",
    "from . import client\nx = client.get(1, headers=2)",
    "x = [1, 2][0:1]\nfor i in reversed(x):\n    pass",
]


def messages(text, name="publisher"):
    return [message for _, message in traps.check(name, text).found]


@pytest.mark.parametrize("code,said", DIFFERENT, ids=[row[0].replace("\n", "; ")[:50] for row in DIFFERENT])
def test_each_trap_is_found(code, said):
    found = messages(code)
    assert any(said in message for message in found), found


@pytest.mark.parametrize("code", GOOD, ids=range(len(GOOD)))
def test_good_code_passes(code):
    assert messages(code) == []


def test_what_the_oldest_micropython_lacks():
    for code in ("got = 'ab'.endswith(('a', 'b'))", "got = 'ab'.startswith(('a', 'b'), 1)"):
        assert any("from 1.24 on" in message for message in messages(code))


def test_each_trap_is_one_on_the_real_micropython(tmp_path):
    codes = [code for code, _ in DIFFERENT]
    script = tmp_path / "outcomes.py"
    script.write_text(f"""
for code in {codes!r}:
    names = {{}}
    try:
        exec(code, names)
        print(repr(names["got"]))
    except BaseException:
        print("raises")
""")
    outcomes = []
    for words in (load("micropython").command(), [sys.executable, "-W", "ignore"]):
        done = subprocess.run([*words, str(script)], capture_output=True, text=True, timeout=60, check=True)
        outcomes.append([line for line in done.stdout.split("\n") if line and not line.startswith("Warning")])
    assert len(outcomes[0]) == len(outcomes[1]) == len(codes)
    same = [code for code, one, other in zip(codes, *outcomes) if one == other]
    assert same == []


def test_what_is_allowed_exists_on_the_real_micropython(tmp_path):
    script = tmp_path / "names.py"
    tables = {name: words.split() for table in (traps.MODULES, traps.MICROPYTHON_MODULES)
              for name, words in table.items() if words}
    script.write_text(f"""
for name, words in {tables!r}.items():
    for word in words:
        if not hasattr(__import__(name), word):
            print(name, word)
""")
    done = subprocess.run([*load("micropython").command(), str(script)], capture_output=True, text=True, timeout=60,
                          check=True)
    assert done.stdout == ""


def test_imports_go_down():
    assert messages("from . import daemon", "compat") == ["import goes up: compat is on floor 1, daemon on 6"]
    assert messages("from .publisher import Publisher", "path") == [
        "import goes up: path is on floor 3, publisher on 5"]
    assert messages("def f():\n    from .daemon import Daemon", "cli") == []
    assert messages("from .unheard import x", "cli")[0].startswith("unheard is on no floor")
    assert messages("from wgp2p.cli import main", "__main__") == []


def test_circles_are_found():
    assert traps.circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert traps.circles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a -> b -> c -> a"]


def test_recursion_is_found():
    assert messages("def f(x):\n    return f(x - 1)")[0].startswith("f calls itself")
    assert messages("class A:\n    def f(self):\n        self.f()")[0].startswith("f calls itself")
    assert messages("class A:\n    def f(self):\n        self.other.f()") == []


def test_the_package_has_none(capsys):
    assert traps.main([]) == 0, capsys.readouterr().out
