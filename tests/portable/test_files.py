"""files.py: small files that are whole, private, and whose faults are told without their content."""
import os

from folders import new_folder
from helpers import raises

from wgp2p import files
from wgp2p.compat import MICROPYTHON, libc, umask

FOLDER = new_folder()


def put(path, data):
    out = open(path, "wb")
    try:
        out.write(data)
    finally:
        out.close()


def chmod(path, bits):
    """MicroPython has none of its own."""
    if MICROPYTHON:
        assert libc("i", "chmod", "si")(path, bits) == 0
    else:
        os.chmod(path, bits)


def symlink(target, path):
    """As chmod."""
    if MICROPYTHON:
        assert libc("i", "symlink", "ss")(target, path) == 0
    else:
        os.symlink(target, path)


def mode(path):
    return os.stat(path)[0] & 0o777


def folder(name):
    """A folder of the test's own."""
    path = FOLDER + "/" + name
    files.make_folder(path)
    return path


def test_private_whatever_the_umask():
    for mask in (0o000, 0o022, 0o077):
        old = umask(mask)
        try:
            path = folder("umask%d" % mask) + "/deep/er/file"
            files.write_private(path, "text\n")
            assert umask(mask) == mask, "the umask is put back"
        finally:
            umask(old)
        assert mode(path) == 0o600 and files.read_text(path, 100) == "text\n"
        assert mode(path.rpartition("/")[0]) == 0o700


def test_replaced_in_one_step():
    path = folder("atomic") + "/file"
    files.write_private(path, "one")
    reader = open(path, "rb")
    try:
        files.write_private(path, "two, and longer")
        assert reader.read() == b"one", "who reads the old one goes on reading it"
    finally:
        reader.close()
    assert files.read_text(path, 100) == "two, and longer"
    assert os.listdir(folder("atomic")) == ["file"], "nothing is left behind"


def test_what_another_has_put_there_is_not_written_through():
    """On a router root writes into a folder that the daemon's user may write into, too."""
    place, target = folder("planted"), folder("elsewhere") + "/target"
    put(place + "/.file.new", b"old and much longer than the new one")
    symlink(target, place + "/.shared.new")
    files.write_private(place + "/file", "new")
    files.write_shared(place + "/shared", "new")
    assert mode(place + "/file") == 0o600 and files.read_text(place + "/file", 100) == "new"
    assert mode(place + "/shared") == 0o640 and not files.exists(target)
    assert sorted(os.listdir(place)) == [".file.new", ".shared.new", "file", "shared"]


def test_names_that_look_like_the_part():
    place = folder("names")
    files.write_private(place + "/a.new", "one")
    files.write_private(place + "/a", "two")
    assert files.read_text(place + "/a.new", 10) == "one"


def test_write_that_cannot_be():
    place = folder("cannot")
    put(place + "/file", b"")
    raises(OSError, files.write_private, place + "/file/below", "x")
    raises(OSError, files.make_folder, "/proc/wgp2p")


def test_reading():
    path = folder("read") + "/file"
    put(path, b"x" * 10)
    assert files.read_text(path, 10) == "x" * 10
    raises(ValueError, files.read_text, path, 9)
    put(path, b"a\xff")
    raises(ValueError, files.read_text, path, 9)
    raises(OSError, files.read_text, path + "?", 9)
    assert files.exists(path) and not files.exists(path + "?")


def test_tokens_are_new_each_time():
    tokens = set([files.new_token() for _ in range(20)])
    assert len(tokens) == 20
    for token in tokens:
        assert len(token) == 64 and not token.strip("0123456789abcdef")


def test_a_devices_token_is_made_once():
    keep = folder("tokens")
    token = files.device_token(keep, "router")
    assert files.device_token(keep, "router") == token != files.device_token(keep, "other")
    path = files.device_token_path(keep, "router")
    assert path == keep + "/tokens/router" and mode(path) == 0o600 and mode(keep + "/tokens") == 0o700
    assert files.read_token(path) == token


TOKEN = "secret-secret-secret-secret-secret"


def test_a_token_is_written_in_place():
    path = folder("token-new") + "/deep/token"
    files.write_token(path, TOKEN)
    assert mode(path) == 0o600 and files.read_token(path) == TOKEN
    chmod(path, 0o640)
    put(path, b"x" * 200 + b"\n")
    inode = os.stat(path)[1]
    files.write_token(path, TOKEN)
    assert mode(path) == 0o640 and os.stat(path)[1] == inode, "where the folder is root's, nothing else is possible"
    assert files.read_text(path, 100) == TOKEN + "\n", "and nothing is left of a longer one"


def test_nothing_but_a_token_is_overwritten():
    """The option token_file may name the wrong file."""
    path = folder("token-wrong") + "/network"
    for text in (b"config interface 'lan'\n", b"x" * 2000, b"x" * 31, b"\xff" * 40):
        put(path, text)
        chmod(path, 0o600)
        assert "%s holds something that is no token" % path in str(raises(ValueError, files.write_token, path, TOKEN))
        assert os.stat(path)[6] == len(text)
    put(path, b"")
    files.write_token(path, TOKEN)
    assert files.read_token(path) == TOKEN, "what a power cut left"


def test_what_is_not_written_as_a_token():
    place = folder("token-refused")
    put(place + "/other", b"x")
    for path, to in (("/link", "/other"), ("/dangling", "/nothing")):
        symlink(place + to, place + path)
        told = str(raises(ValueError, files.write_token, place + path, TOKEN))
        assert "symbolic link" in told and "secret" not in told
    assert files.read_text(place + "/other", 10) == "x" and not files.exists(place + "/nothing")
    chmod(place + "/other", 0o644)
    assert "chmod 600" in str(raises(ValueError, files.write_token, place + "/other", TOKEN))
    assert files.read_text(place + "/other", 10) == "x", "nothing is written where everybody reads it"
    files.make_folder(place + "/folder")
    for path, why in (("/folder", "no regular file"), ("/other/token", "errno 20")):
        told = str(raises(ValueError, files.write_token, place + path, TOKEN))
        assert place + path in told and why in told and "secret" not in told, told
    for token in [None, 7, TOKEN + "\n", TOKEN + "\u00e9"] + [str(data, "latin-1") for data in BAD_TOKENS[:6]]:
        told = str(raises(ValueError, files.write_token, place + "/token", token))
        assert "secret" not in told and not files.exists(place + "/token")


BAD_TOKENS = (b"", b"short", b"x" * 31, b"x" * 257, b"x" * 2000, b"secret-secret-secret secret-secret-secret",
              b"secret-secret-secret-secret-secret\x00", b"secret-secret-secret-secret-secret\xc3\xa9",
              b"secret-secret-secret-secret-secret\xff", b"secret-secret-secret\nsecret-secret-secret")


def test_a_token_file_that_holds_none():
    path = folder("bad") + "/token"
    for data in BAD_TOKENS:
        put(path, data)
        chmod(path, 0o600)
        told = str(raises(ValueError, files.read_token, path))
        assert path in told and "secret" not in told and "xxxx" not in told, told


def test_a_token_file_that_is_not_there():
    path = folder("none") + "/token"
    told = str(raises(ValueError, files.read_token, path))
    assert told == "cannot read the token file %s (errno 2)" % path
    told = str(raises(ValueError, files.read_token, folder("none")))
    assert folder("none") in told, "a folder in its place"


def test_a_token_file_open_to_all():
    path = folder("loose") + "/token"
    for bits, fits in ((0o600, True), (0o640, True), (0o400, True), (0o604, False), (0o602, False), (0o601, False),
                       (0o644, False)):
        put(path, b"secret-secret-secret-secret-secret\n")
        chmod(path, bits)
        if fits:
            assert files.read_token(path) == "secret-secret-secret-secret-secret"
        else:
            told = str(raises(ValueError, files.read_token, path))
            assert "chmod 600" in told and path in told and "secret" not in told, told
