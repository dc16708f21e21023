"""WireGuard's adapters against the real kernel, and a userspace WireGuard, under both Pythons."""
import pathlib
import subprocess

import pytest
from daemon import interpreter_words

HERE = pathlib.Path(__file__).resolve().parent
RUNNER = HERE.parent / "portable/run.py"
NAMES = [line[4:line.index("(")] for line in (HERE / "kernel_wireguard.py").read_text().split("\n")
         if line.startswith("def test_")]


@pytest.mark.parametrize("name", NAMES)
def test_adapters(interpreter, name):
    heap = ["-X", "heapsize=8M"] if interpreter == "micropython" else []  # the test itself holds whole dumps as text
    words = [*interpreter_words(interpreter), *heap, str(RUNNER), str(HERE / "kernel_wireguard.py"), name]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    print(done.stdout, done.stderr)
    if done.stdout.startswith("skip"):
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0 and done.stdout.startswith("ok")
