"""The package wgp2p as `make ipk` and `make feed` build it: what is in it, and that it runs where nothing else is."""
import gzip
import hashlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zlib

import pytest

from wgp2p import VERSION

PROJECT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "package/wgp2p"
MAKEFILE = (PACKAGE / "Makefile").read_text()
LIMIT = 320_000  # bytes installed
FLASH = 225_000  # of it, on a file system that compresses pieces of 4 KiB, as routers have
MODULES = {path.stem for path in (PACKAGE / "wgp2p").glob("*.py")}
FILES = {path.relative_to(PROJECT / "files").as_posix() for path in (PROJECT / "files").rglob("*") if path.is_file()}
QEMU = {"amd64": None, "i386": "qemu-i386", "armhf": "qemu-arm", "s390x": "qemu-s390x"}


EPOCH = 1700000000


@pytest.fixture(scope="module", autouse=True)
def dated():
    """All builds here have one date, whoever commits meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
        yield


def load(name):
    loader = importlib.machinery.SourceFileLoader(name + "_tool", str(PROJECT / "tests/tools" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name + "_tool", loader))
    loader.exec_module(module)
    return module


def run(*words, **options):
    """What it printed on standard output; a failure shows both outputs."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60, check=False,
                          **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assigned(name, text=MAKEFILE):
    """The value of a variable of the Makefile."""
    return re.search(r"^ *%s:=(.*)$" % name, text, re.M).group(1).strip()


def members(archive):
    """Name without the leading ./ -> (member, content)."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name[2:]: (member, tar.extractfile(member).read() if member.isfile() else None)
                for member in tar.getmembers()}


class Ipk:
    def __init__(self, path):
        self.path = path
        self.whole = members(path.read_bytes())
        self.data = members(self.whole["data.tar.gz"][1])
        self.control = members(self.whole["control.tar.gz"][1])
        self.fields = fields(self.control["control"][1].decode())


def fields(paragraph):
    found = re.findall(r"^([A-Za-z0-9-]+): (.*(?:\n .*)*)", paragraph, re.M)
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.fixture(scope="module")
def ipk(dated, tmp_path_factory):
    return build(PROJECT, tmp_path_factory.mktemp("dist"))[0]


def build(project, out):
    """wgp2p, luci-app-wgp2p."""
    return [Ipk(pathlib.Path(line)) for line in run(sys.executable, project / "package/tools/ipk", out).splitlines()]


# -- what is in it --------------------------------------------------------------------------------------

def test_one_version():
    assert assigned("PKG_VERSION") == VERSION
    assert assigned("PKG_VERSION", (PROJECT / "luci-app-wgp2p/Makefile").read_text()) == VERSION
    assert re.fullmatch(r"\d+(\.\d+)*", VERSION), "apk takes digits and dots"
    assert re.fullmatch(r"\d+", assigned("PKG_RELEASE"))


def test_every_file_is_shipped_and_nothing_else(ipk):
    shipped = {name for name, (member, _) in ipk.data.items() if member.isfile()}
    assert shipped == FILES | {f"usr/lib/wgp2p/{name}.mpy" for name in MODULES} | {"lib/upgrade/keep.d/wgp2p"}
    assert all(member.isfile() or member.isdir() for member, _ in ipk.data.values())


def test_each_file_is_the_one_of_the_project(ipk):
    for name in FILES:
        assert ipk.data[name][1] == (PROJECT / "files" / name).read_bytes(), name


def test_owners_and_modes(ipk):
    for contents in (ipk.whole, ipk.data, ipk.control):
        assert {(member.uid, member.gid, member.uname, member.gname) for member, _ in contents.values()} == {
            (0, 0, "", "")}
    for name, (member, content) in ipk.data.items():
        if member.isdir():
            mode = 0o755
        elif name.startswith("etc/config/"):
            mode = 0o600
        else:
            mode = 0o755 if content.startswith(b"#!") else 0o644
        assert oct(member.mode) == oct(mode), name
    assert {name: oct(member.mode) for name, (member, _) in ipk.control.items() if name.startswith("p")} == {
        "postinst": "0o755", "postrm": "0o755", "prerm": "0o755"}


def test_control_says_what_the_makefile_says(ipk):
    description = re.search(r"/description\n(.*?)\nendef", MAKEFILE, re.S).group(1)
    assert ipk.fields == {
        "Package": "wgp2p", "Version": "%s-r%s" % (VERSION, assigned("PKG_RELEASE")),
        "Depends": "libc, micropython, wireguard-tools, nftables, kmod-nf-conntrack-netlink",
        "Source": "package/wgp2p", "SourceName": "wgp2p", "License": "MIT", "Section": "net",
        "Require-User": assigned("USERID"), "Maintainer": assigned("PKG_MAINTAINER"), "Architecture": "all",
        "Installed-Size": str(len(gzip.decompress(ipk.whole["data.tar.gz"][1]))),
        "Description": "\n".join(line[1:] for line in description.split("\n")).lstrip()}
    assert ["+" + name for name in ipk.fields["Depends"].split(", ")[1:]] == assigned("DEPENDS").split()
    assert ipk.path.name == "wgp2p_%s_all.ipk" % ipk.fields["Version"]


def test_configuration_is_kept(ipk):
    """By opkg as conffiles, and by sysupgrade what no package ships: hooks and tokens."""
    assert ipk.control["conffiles"][1] == b"/etc/config/wgp2p\n"
    assert ipk.data["lib/upgrade/keep.d/wgp2p"][1] == (
        b"/etc/hotplug.d/wgp2p/\n/etc/wgp2p/\n/etc/wireguard/wgp2p.clients/\n")


def test_scripts_leave_the_work_to_openwrt(ipk, tmp_path):
    """They call its shell library, and do nothing where it is not."""
    (tmp_path / "lib").mkdir()
    for name in ("postinst", "prerm"):
        script = tmp_path / f"wgp2p.{name}"
        script.write_bytes(ipk.control[name][1])
        assert run("sh", script, env={"IPKG_INSTROOT": "/nowhere"}) == ""
        (tmp_path / "lib/functions.sh").write_text(f"default_{name}() {{ echo \"$@\"; }}\n")
        assert run("sh", script, "configure", env={"IPKG_INSTROOT": str(tmp_path)}) == f"{script} configure\n"
    assert run("sh", tmp_path / "wgp2p.postinst", env={"IPKG_INSTROOT": str(tmp_path), "IPKG_NO_SCRIPT": "1"}) == ""


def test_removal_leaves_what_is_the_owners(ipk, tmp_path):
    """Folders that opkg leaves go, one with an owner's file stays; an upgrade is no removal."""
    folders = [tmp_path / name for name in ("var/run/wgp2p", "usr/lib/wgp2p", "etc/hotplug.d/wgp2p", "etc/wgp2p")]
    for folder in folders:
        folder.mkdir(parents=True)
    (folders[0] / "memory").write_text("")
    (folders[2] / "10-mine").write_text("")
    script = tmp_path / "postrm"
    script.write_bytes(ipk.control["postrm"][1])
    run("sh", script, env=dict(os.environ, IPKG_INSTROOT=str(tmp_path), PKG_UPGRADE="1"))
    assert [folder.exists() for folder in folders] == [True, True, True, True]
    run("sh", script, env=dict(os.environ, IPKG_INSTROOT=str(tmp_path)))
    assert [folder.exists() for folder in folders] == [False, False, True, True]


def test_installed_size(ipk):
    size = sum(member.size for member, _ in ipk.data.values())
    pieces = [content[at:at + 4096] for member, content in ipk.data.values() for at in range(0, member.size, 4096)]
    flash = sum(len(zlib.compress(piece)) for piece in pieces)
    print("installed: %d bytes, %d of flash; the .ipk: %d bytes" % (size, flash, ipk.path.stat().st_size))
    assert size <= LIMIT and flash <= FLASH


def test_bytecode_is_for_every_machine(ipk):
    """.mpy version 6 without native code, integers of 31 bits: what MicroPython loads on 32 and 64 bits alike."""
    for name, (_, content) in ipk.data.items():
        if name.endswith(".mpy"):
            assert content[:4] == b"M\x06\x00\x1f", name


def test_same_bytes_elsewhere(ipk, tmp_path):
    """Another folder, other times, another user (by number), another umask, another time zone, called by make."""
    for name in ("package", "files", "luci-app-wgp2p"):
        shutil.copytree(PROJECT / name, tmp_path / "elsewhere" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tmp_path / "elsewhere").rglob("*"):
        os.utime(path, (1, 1))
    (tmp_path / "Makefile").write_text(
        "all:\n\t@umask 077; other='unshare --map-user=1000 --map-group=1000'; $$other true 2>/dev/null || other=; "
        f"$$other {sys.executable} elsewhere/package/tools/ipk out\n")
    names = run("make", "--jobs=2", "--no-print-directory", f"--directory={tmp_path}", "PKG_RELEASE=9",
               env=dict(os.environ, TZ="Asia/Tokyo", LC_ALL="C")).splitlines()
    for name, path in zip(names, (ipk.path, next(ipk.path.parent.glob("luci*")))):
        assert (tmp_path / name).read_bytes() == path.read_bytes()


def test_dates(ipk, tmp_path, monkeypatch):
    assert {member.mtime for part in (ipk.whole, ipk.data, ipk.control) for member, _ in part.values()} == {EPOCH}
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    sources = {"package", "files", "luci-app-wgp2p"}
    shutil.copytree(PROJECT, tmp_path / "tree", ignore=lambda folder, names: set(names) - sources if
                    folder == str(PROJECT) else {"__pycache__"})

    def built():
        return build(tmp_path / "tree", tmp_path / "out")[0].data["usr/bin/wgp2p"][0].mtime

    assert built() == 0
    git = ["git", "-C", tmp_path / "tree", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    run(*git, "init", "--quiet")
    run(*git, "commit", "--quiet", "--allow-empty", "--message=one", "--date=@1", env=dict(
        os.environ, GIT_COMMITTER_DATE="@1600000000 +0000"))
    assert built() == 1600000000


# -- the feed -------------------------------------------------------------------------------------------

def test_feed(ipk, tmp_path):
    run(sys.executable, PROJECT / "package/tools/feed", tmp_path)
    index = (tmp_path / "Packages").read_text()
    assert gzip.decompress((tmp_path / "Packages.gz").read_bytes()).decode() == index
    assert index.endswith("\n\n")
    luci, core = [fields(paragraph) for paragraph in index[:-2].split("\n\n")]
    assert luci["Package"] == "luci-app-wgp2p"
    assert list(core)[-1] == "Description"
    assert core == dict(ipk.fields, Filename=ipk.path.name, Size=str(ipk.path.stat().st_size),
                        SHA256sum=hashlib.sha256(ipk.path.read_bytes()).hexdigest())
    assert {path.name for path in tmp_path.iterdir()} == {"Packages", "Packages.gz", ipk.path.name, luci["Filename"]}
    assert (tmp_path / ipk.path.name).read_bytes() == ipk.path.read_bytes()


def test_feed_is_signed(tmp_path):
    """usign's own part is a stand-in here: it writes down what it was asked to sign."""
    tool, key, feed = PROJECT / "package/tools/feed", tmp_path / "key", tmp_path / "feed"
    key.write_text("secret\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "make").symlink_to(shutil.which("make"))
    nothing = dict(os.environ, PATH=str(programs))
    for arguments, said in ((["--key", key], "no program usign"), (["--key", tmp_path / "none"], "no such key")):
        done = subprocess.run([sys.executable, tool, *arguments, feed], env=nothing, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 1 and said in done.stderr and not feed.exists()
    (programs / "usign").write_text('#!/bin/sh\n[ "$1 $2 $4 $5 $6" = "-S -m -s %s -x" ] && cat "$3" "$5" >"$7"\n' % key)
    (programs / "usign").chmod(0o755)
    path = dict(os.environ, PATH="%s:%s" % (programs, os.environ["PATH"]))
    run(sys.executable, tool, "--key", key, feed, env=path)
    assert (feed / "Packages.sig").read_text() == (feed / "Packages").read_text() + "secret\n"
    run(sys.executable, tool, feed)
    assert not (feed / "Packages.sig").exists(), "a signature of something else"


# -- that it runs ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("arch", QEMU)
def test_modules_load_on(arch, ipk, tmp_path):
    if QEMU[arch] and not shutil.which(QEMU[arch]):
        pytest.skip(f"no {QEMU[arch]}: tests/tools/install-deps test")
    with tarfile.open(fileobj=io.BytesIO(ipk.whole["data.tar.gz"][1])) as tar:
        tar.extractall(tmp_path)
    words = load("micropython").command(arch)
    environment = dict(os.environ, MICROPYPATH=str(tmp_path / "usr/lib"))
    assert run(*words, "-m", "wgp2p", "--version", env=environment) == f"wgp2p {VERSION}\n"
    script = tmp_path / "load.py"
    script.write_text("".join(f"import wgp2p.{name}\n" for name in sorted(MODULES - {"__init__", "__main__"})))
    run(*words, script, env=environment)


def libraries(*listing):
    """What a program is linked with: the path where it expects each -> the file here. `listing` prints it as ldd."""
    found = {}
    for line in run(*listing).split("\n"):
        match = re.match(r"\s*(\S+)(?: => (\S+))? \(0x", line)
        if match and "/" in line:
            name, here = match.group(1), match.group(2) or match.group(1)
            found[name if name.startswith("/") else "/lib/" + name] = here
    return found


def add(root, program, *listing):
    """Put a program into the root, with its libraries."""
    for name, here in {"/bin/" + pathlib.Path(program).name: program, **libraries(*listing)}.items():
        target = root / name[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(here, target)
        target.chmod(0o755)


def changing_root(root):
    """The words that run a program in that root, without network where possible, as root or as who is nearly that."""
    tries = (["unshare", "--net", "chroot"], ["chroot"], ["unshare", "--user", "--map-root-user", "--net", "chroot"])
    for words in tries:
        try:
            if subprocess.run([*words, root, "/bin/busybox", "true"], capture_output=True, check=False).returncode == 0:
                return [*words, str(root)]
        except FileNotFoundError:
            pass
    return pytest.skip("may not change the root folder here, and has no user namespaces")


class Router:
    """busybox, MicroPython, the package, and nothing else."""

    ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}

    def __init__(self, root, ipk):
        busybox = shutil.which("busybox") or pytest.skip("no busybox: tests/tools/install-deps test")
        words = load("micropython").command()
        # The C library of MicroPython is the newer one, and good for busybox, too.
        linked = "not a dynamic executable" not in subprocess.run(
            ["ldd", busybox], capture_output=True, text=True, check=False).stderr
        add(root, busybox, *(["ldd", busybox] if linked else ["true"]))
        add(root, words[-1], *([*words[:-1], "--list", words[-1]] if len(words) > 1 else ["ldd", words[0]]))
        for name in ("sh", "cat", "grep", "mkdir", "kill"):
            (root / "bin" / name).symlink_to("busybox")
        (root / "tmp").mkdir()
        with tarfile.open(fileobj=io.BytesIO(ipk.whole["data.tar.gz"][1])) as tar:
            tar.extractall(root)
        self.root = root
        self.words = changing_root(root)

    def run(self, *words):
        return run(*self.words, *words, env=self.ENVIRONMENT)


@pytest.fixture(scope="module")
def router(ipk, tmp_path_factory):
    return Router(tmp_path_factory.mktemp("router"), ipk)


def test_only_busybox_and_micropython(router):
    assert sorted(os.listdir(router.root / "bin")) == ["busybox", "cat", "grep", "kill", "micropython", "mkdir", "sh"]
    assert router.run("/usr/bin/wgp2p", "--version") == f"wgp2p {VERSION}\n"
    assert router.run("/usr/bin/wgp2p", "check").startswith("/etc/config/wgp2p: no errors")


def test_what_the_packages_feed_runs(router):
    """test.sh, on the installed package: its version, its default configuration, every module."""
    shutil.copyfile(PACKAGE / "test.sh", router.root / "tmp/test.sh")
    assert router.run("sh", "/tmp/test.sh", "wgp2p", VERSION).startswith(f"wgp2p {VERSION}\n")
    broken = router.root / "usr/lib/wgp2p/broken.mpy"
    broken.write_bytes(b"M\x05\x00\x1f")
    try:
        with pytest.raises(AssertionError, match="incompatible"):
            router.run("sh", "/tmp/test.sh", "wgp2p", VERSION)
    finally:
        broken.unlink()


def test_the_daemon_runs_there(router):
    (router.root / "tmp/config").write_text(
        "config wgp2p\n\toption state_dir '/tmp/state'\n\toption keep_dir '/tmp/keep'\n"
        "config subscriber 'vps'\n\toption interface 'wg0'\n\toption publisher '10.7.0.1'\n"
        "\toption token_file '/tmp/token'\n")
    (router.root / "tmp/token").write_text("0123456789abcdef0123456789abcdef\n")
    (router.root / "tmp/token").chmod(0o600)
    daemon = subprocess.Popen([*router.words, "/usr/bin/wgp2p", "--config", "/tmp/config", "run"],
                              env=router.ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        deadline, status = time.monotonic() + 20, None
        while status is None and daemon.poll() is None and time.monotonic() < deadline:
            try:
                status = json.loads(router.run("/usr/bin/wgp2p", "--config", "/tmp/config", "status", "--json"))
            except AssertionError:
                time.sleep(0.05)
    finally:
        daemon.send_signal(signal.SIGTERM)
        said = daemon.communicate(timeout=20)[1]
    assert status and status["version"] == VERSION and daemon.returncode == 0, said
    assert "Traceback" not in said and "ImportError" not in said
