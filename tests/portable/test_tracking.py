"""tracking.py with files of a test's own."""
from folders import new_folder

from wgp2p import tracking


def room(share, **files):
    """What is said of these files' texts."""
    folder = new_folder()
    for name in files:
        out = open(folder + "/nf_conntrack_" + name, "w")
        out.write(files[name])
        out.close()
    real, tracking._FOLDER = tracking._FOLDER, folder + "/nf_conntrack_"
    try:
        return tracking.room(share)
    finally:
        tracking._FOLDER = real


def test_room():
    assert room(50, count="0\n", max="1024\n") == 512
    assert room(50, count="500\n", max="1024\n") == 12
    assert room(90, count="100\n", max="262144\n") == 235829
    assert room(1, count="0\n", max="99\n") == 0


def test_never_less_than_nothing():
    assert room(50, count="512\n", max="1024\n") == room(50, count="1024\n", max="1024\n") == 0


def test_nothing_tracks():
    assert room(50) is None and room(50, count="1\n") is None
    for text in ("", "many\n", "\xff" * 100):
        assert room(50, count=text, max="1024\n") is None


def test_this_machine():
    found = tracking.room(100)
    assert found is None or found >= 0
