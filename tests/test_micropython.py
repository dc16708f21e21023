"""Every portable test once more under the real MicroPython: all of them on this machine, and what depends on
word size and byte order on a 32-bit and a big-endian one too (routers are MIPS and ARM)."""
import importlib.machinery
import importlib.util
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
FILES = sorted((HERE / "portable").glob("test_*.py"))
FOREIGN = ("syscalls", "netlink", "wgmessage", "wgtext", "dns", "addr", "http", "sse", "loop", "blobmsg",
           "ubusmessage", "blake2s", "wgpacket", "rawudp")
ARCHES = {"amd64": None, "i386": "qemu-i386", "s390x": "qemu-s390x"}
RUNS = [(arch, path) for arch in ARCHES for path in FILES
        if arch == "amd64" or path.stem[len("test_"):] in FOREIGN]


def load_tool():
    loader = importlib.machinery.SourceFileLoader("micropython_tool", str(HERE / "tools/micropython"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("micropython_tool", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("arch,path", RUNS, ids=[f"{arch}-{path.stem}" for arch, path in RUNS])
def test_under_micropython(arch, path):
    if ARCHES[arch] and not shutil.which(ARCHES[arch]):
        pytest.skip(f"no {ARCHES[arch]}: tests/tools/install-deps test")
    done = subprocess.run([*load_tool().command(arch), str(HERE / "portable/run.py"), str(path)],
                          capture_output=True, text=True, timeout=300, check=False)
    passed = done.stdout.count("\nok ") + done.stdout.startswith("ok ")
    print(done.stdout[-6000:], done.stderr[-3000:])
    assert done.returncode == 0
    assert passed, "ran no test"
