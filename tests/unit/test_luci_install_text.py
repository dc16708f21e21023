"""What the installer prints for the router, and what LuCI's page reads out of it when somebody pastes it there:
tests/golden/luci/install.txt is the text that both are held to (the other half: tests/luci/node/install.test.js)."""
import pathlib

from vpsworld import PUBLISHER, TOKEN, Machine, Talk, go

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/luci/install.txt"


def test_what_is_printed_is_what_the_page_reads(tmp_path):
    code, talk = go(Machine(tmp_path), PUBLISHER, Talk(yes=True, private=True))
    said = talk.text()
    assert code == 0 and TOKEN in said
    printed = said[said.index("This server: "):]
    assert printed.rstrip("\n") + "\n" == GOLDEN.read_text()
