"""The demo's drawing, without a lab: everything fits, says what it must, and is still readable in ASCII."""
import pathlib
import re
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "lab"))
import demo_screen as screen  # noqa: E402

ADDRESSES = {"hotel": "203.0.113.31", "mobile": "203.0.113.32", "office": "203.0.113.33", "router": "203.0.113.20"}
STEPS = [("connect", (0.21, 0.27, 0.36)), ("hotel → mobile", (4.01, 4.06, 4.2)), ("mobile → office", (9.9, 9.93, 10.1))]


@pytest.mark.parametrize("network", [None, "hotel", "mobile", "office"])
@pytest.mark.parametrize("link", ["", "no path", "direct"])
def test_topology(network, link):
    lines = screen.topology(ADDRESSES, network, link, "python3, 14.2 MB", "micropython, 12.9 MB", "198.51.100.1:36906")
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 78 and len(lines) == 16
    assert "│ python3, 14.2 MB" in text and "│ micropython, 12.9 MB" in text
    left = "office" if network == "office" else "hotel"
    assert all((address in text) == (name in (left, "mobile", "router")) for name, address in ADDRESSES.items())
    assert ("is off" in text) == (network is None)
    if network and link:
        row = next(line for line in lines if f" {link} " in line)
        assert re.search("nothing else|WireGuard app", row) and row.index("│") == screen.LEFT[network]


def test_strip_has_one_character_for_each_ping():
    pings = [[0.2 * n, None if 20 <= n < 40 else 0.05] for n in range(60)]
    pings += [[12.0, None], [12.2, None]]  # on their way
    above, below = screen.strip(pings, [4.0], 12.3, 96)
    assert below == "▂" * 20 + "·" * 20 + "▂" * 20 + "  "
    assert above == " " * 20 + "▼ moved"
    assert screen.strip(pings, [4.0], 12.3, 30) == ["", "·" * 8 + "▂" * 20 + "  "]  # it has scrolled away
    assert screen.strip([[0, 9.0]], [], 10, 96)[1] == "█"


def test_progress_names_what_is_awaited():
    assert screen.progress((None, None, None), 2.5) == "moved ─► server knows? 2.5 s"
    assert screen.progress((1, 1.1, None), 2) == (
        "moved ─► server knows 1.00 s ─► router sends 1.10 s ─► first answer? 2.0 s")


def test_bars_show_even_the_shortest_share():
    assert screen.bar(4, 4.05, 4.1) == "░" * 12 + "▓█"
    assert screen.bar(0, 2, 2) == "▓" * 6
    assert screen.bar(None, 4, 4) == "─" * 12


def test_closing():
    lines = screen.closing(STEPS)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert "hotel → mobile  ░░░░░░░░░░░░▓█ 4.2" in text and re.search("^median .* 10.1$", text, re.M)
    assert re.search(r"^mobile → office +9.90 s +9.93 s +10.10 s +0.03 s$", text, re.M)
    ruler = next(line for line in lines if "├" in line)
    assert ruler.index("┤") - ruler.index("├") == 16 * screen.CELLS_PER_S


def frames(columns, rows, **options):
    """A Screen, and what it writes."""
    written = []
    return screen.Screen(written.append, columns, rows, **options), written


@pytest.mark.parametrize("columns, rows", [(78, 22), (80, 24), (100, 40), (300, 100)])
def test_a_frame_fits_its_terminal(columns, rows):
    view, written = frames(columns, rows)
    assert view.live
    parts = [["title"], ["x" * 400] * 16, ["what", "happens"], ["strip"] * 3, ["table"] * 9]
    view.draw(*parts)
    assert view.draw(*parts) == (rows >= 40)
    lines = written[1].split("\n")[:-1]
    assert len(lines) < rows and lines[0].endswith("title\x1b[K")
    assert lines[0].startswith(f"\x1b[{len(lines)}A")  # over the frame before
    assert max(len(re.sub("\x1b\\[[0-9]*[KA]|\r", "", line)) for line in lines) <= min(columns, 100)


def test_without_a_terminal_nothing_moves():
    for size in ((0, 0), (79, 20), (60, 50)):
        assert not frames(*size)[0].live
    view, written = frames(0, 0, unicode=False, colour=True)
    view.lines([*screen.topology(ADDRESSES, "hotel", "direct", "a", "b"), *screen.closing(STEPS),
                *screen.strip([[0, 0.1], [0.2, None], [0.4, 0.3]], [0.3], 9, 50), "direct … é"])
    view.close()
    assert "\x1b" not in written[0]
    assert [c for c in written[0] if ord(c) > 126] == ["é"]  # all that is drawn has its ASCII


def test_colours_only_underline_words():
    view, written = frames(80, 24, colour=True)
    view.lines(["phone direct directly"])
    assert written == ["phone \x1b[32mdirect\x1b[0m directly\n"]
