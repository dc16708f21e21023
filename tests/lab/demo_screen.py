"""What the demo shows: facts in, lines of text out, and a Screen that puts them before a person.

On a terminal the Screen redraws one frame in place; anywhere else (a pipe, a CI log, a tiny window) it prints
one line per thing that happened. Where the terminal does not say that it can do UTF-8, everything is ASCII.
"""
import re

WIDTH, HIGHEST = 96, 38  # the frame never gets larger than this
SMALLEST = (78, 22)  # columns and rows below which nothing is redrawn
ASCII = str.maketrans("─│┌┐└┘├┤┬┴┼═◄►▼░▓█·…→▁▂▃▄▅▆▇", "-|+++++++++=<>v.=#.~>#######")
COLOURS = {"direct": "32", "no path": "33", "offline": "31"}  # ANSI; the words alone are enough

NETWORKS = {"hotel": ("hotel Wi-Fi", "NAT, same port"), "mobile": ("mobile network", "NAT, other port"),
            "office": ("office Wi-Fi", "symmetric NAT")}
LEFT, RIGHT = {"hotel": 0, "office": 0, "mobile": 21}, 53  # columns of the boxes; the office comes after the hotel
BOX, WIRE = 19, 9  # how wide the phone's are, and where a wire meets a box
LEVELS = "▁▂▃▄▅▆▇█"
LEVEL_MS = 40  # one step of the strip


class Canvas:
    """A rectangle of characters to draw on."""

    def __init__(self, width, height):
        self._rows = [[" "] * width for _ in range(height)]

    def text(self, x, y, text):
        self._rows[y][x:x + len(text)] = text

    def box(self, x, y, width, *lines):
        """A frame with text; its first row is y."""
        self.text(x, y, "┌" + "─" * (width - 2) + "┐")
        for number, line in enumerate(lines, y + 1):
            self.text(x, number, "│ " + line.ljust(width - 4)[:width - 4] + " │")
        self.text(x, y + len(lines) + 1, "└" + "─" * (width - 2) + "┘")

    def lines(self):
        return ["".join(row).rstrip() for row in self._rows]


def topology(addresses, network=None, link="", server="", router="", seen=""):
    """The picture of who is where.

    addresses: {"hotel", "mobile", "office", "router": internet address}; network: where the phone is, None while
    it is off; link: the word between phone and router ("direct", "relay", "no path"), "" for none; server and router:
    what runs there, as text; seen: the endpoint at which the server sees the phone."""
    canvas = Canvas(78, 16)
    canvas.box(23, 0, 33, "public server: WireGuard and", "wgp2p (publisher)", server)
    if seen:
        canvas.text(57, 2, "sees the phone at")
        canvas.text(57, 3, seen)
    canvas.text(0, 5, "─" * 78)
    canvas.text(44, 5, " the internet ")
    canvas.text(39, 4, "┬")
    canvas.text(39, 5, "┴")
    for name in ("office" if network == "office" else "hotel", "mobile"):
        _behind_nat(canvas, LEFT[name], BOX, addresses[name], *NETWORKS[name])
    _behind_nat(canvas, RIGHT, 78 - RIGHT, addresses["router"], "the router's", "provider: a NAT")
    canvas.box(RIGHT, 11, 78 - RIGHT, "router: WireGuard and", "wgp2p (subscriber)", router)
    _join(canvas, RIGHT)
    left = LEFT[network or "hotel"]
    words = ("WireGuard app,", "nothing else") if network else ("(its WireGuard", "is off)")
    canvas.box(left, 11, BOX, "phone:", *words)
    if network:
        _join(canvas, left)
    if link:
        room = RIGHT - left - BOX - 2
        line, ends = {"direct": ("═", "◄►"), "relay": ("─", "◄►")}.get(link, ("·", "··"))
        link = {"relay": "relayed by the server"}.get(link, link)
        canvas.text(left + BOX, 13, ends[0] + f" {link} ".center(room, line) + ends[1])
    return canvas.lines()


def _behind_nat(canvas, left, width, address, *lines):
    """A NAT's box below the internet."""
    canvas.text(left + WIRE, 5, "┬")
    canvas.text(left + WIRE, 6, "│ " + address)
    canvas.box(left, 7, width, *lines)
    canvas.text(left + WIRE, 7, "┴")


def _join(canvas, left):
    """A NAT and the box right below it."""
    canvas.text(left + WIRE, 10, "┬")
    canvas.text(left + WIRE, 11, "┴")


def strip(pings, moves, now, width):
    """Two lines: where the phone moved, and the newest pings, one character each.

    pings: [(sent, round trip in s or None)] in the order of sending, moves: [time], all in monotonic s. A low bar is
    a quick answer, a dot is none, a space is not answered yet."""
    pings = pings[-width:]
    above, below = "", ""
    for sent, took in pings:
        if took is not None:
            below += LEVELS[min(int(took * 1000 / LEVEL_MS), len(LEVELS) - 1)]
        else:
            below += "·" if now - sent > 1 else " "
    for moment in moves:
        after = [x for x, (sent, _) in enumerate(pings) if sent >= moment]
        if after and len(after) < len(pings):
            above = above.ljust(after[0])[:after[0]] + "▼ moved"
    return [above, below]


MILESTONES = ("moved", "server knows", "router sends", "first answer")


def progress(marks, elapsed, first="moved"):
    """One line: what has happened since the phone moved, and what is awaited. marks: three times in s or None."""
    cells, awaited = [first], False
    for name, mark in zip(MILESTONES[1:], marks):
        if mark is not None:
            cells.append(f"{name} {mark:.2f} s")
        elif not awaited:
            cells.append(f"{name}? {elapsed:.1f} s")
            awaited = True
    return " ─► ".join(cells)


# -- the closing picture ----------------------------------------------------------------------------------

CELLS_PER_S, SECONDS, LABEL = 3, 16, 16  # the ruler, and the width of the words before it
ORIGINAL = (("median", 4.9, 10.1), ("worst", None, 15.4))  # s: server knew, first answer


def bar(knew, sent, answered):
    """░ nobody could know yet, ▓ the server knows but not the router, █ until the answer: three times in s. With
    knew None only the end is known."""
    if knew is None:
        return "─" * round(answered * CELLS_PER_S)
    # What took any time at all is seen, however short it is.
    shares = [max(1, round(share * CELLS_PER_S)) if share > 0 else 0 for share in (sent - knew, answered - sent)]
    return "░" * round(knew * CELLS_PER_S) + "▓" * shares[0] + "█" * shares[1]


def closing(steps):
    """The timeline as a picture. steps: [(what, (server knew, router sent, first answer))], in s since the move."""
    left = " " * LABEL
    lines = ["How long phone and router could not reach each other, in seconds from the",
             "moment the phone's new network was there:", "",
             left + "".join(f"{second:<{2 * CELLS_PER_S}}" for second in range(0, SECONDS + 1, 2)).rstrip(),
             left + "├" + "┼".join(["─" * (2 * CELLS_PER_S - 1)] * (SECONDS // 2)) + "┤"]
    lines += [what.ljust(LABEL) + bar(*marks) + f" {marks[2]:.1f}" for what, marks in steps]
    lines += ["", "A roam with the original project's polling scripts (measured earlier, not now):"]
    lines += [what.ljust(LABEL) + bar(knew, end, end) + f" {end:.1f}" for what, knew, end in ORIGINAL]
    lines += ["", "░ nobody can know yet: the phone speaks to the server every 10 s; luck, 0 to 10",
              "▓ the server knows, the router does not send there yet: what wgp2p shortens",
              "█ the router has sent, which opens its NAT; the first answer is on its way", "",
              left + "".join(f"{name:>15}" for name in (*MILESTONES[1:], "wgp2p's share"))]
    for what, (knew, sent, answered) in steps:
        lines.append(what.ljust(LABEL) + "".join(f"{value:>13.2f} s" for value in (knew, sent, answered, sent - knew)))
    return lines


# -- showing it -------------------------------------------------------------------------------------------

class Screen:
    """write: takes text. columns, rows: the terminal's, 0 for none (then nothing is ever redrawn)."""

    def __init__(self, write, columns=0, rows=0, unicode=True, colour=False):
        self._write = write
        self.live = columns >= SMALLEST[0] and rows >= SMALLEST[1]
        self.width = min(columns, WIDTH) if self.live else WIDTH
        self._rows = min(rows - 1, HIGHEST)  # the last row is the cursor's
        self._unicode, self._colour = unicode, colour and self.live
        self._drawn = 0

    def _line(self, line):
        if len(line) > self.width:
            line = line[:self.width - 1] + "…"
        if not self._unicode:
            line = line.translate(ASCII)
        if self._colour:
            line = re.sub(r"\b(?:" + "|".join(COLOURS) + r")\b",
                          lambda found: f"\x1b[{COLOURS[found[0]]}m{found[0]}\x1b[0m", line)
        return line

    def lines(self, lines):
        """Print lines that stay, below what is drawn."""
        self._drawn = 0
        self._write("".join(self._line(line) + "\n" for line in lines))

    def draw(self, *parts):
        """Redraw the frame: parts (lists of lines) below each other, as many as fit, with a line between them where
        there is room. True when all were shown."""
        shown, left = [], self._rows
        for part in parts:
            if part and len(part) <= left:
                shown.append(part)
                left -= len(part)
        frame = []
        for number, part in enumerate(shown):
            frame += [""] * (number > 0 and number <= left) + part
        up = f"\x1b[{self._drawn}A" if self._drawn else "\x1b[?25l"
        self._write(up + "\r" + "".join(self._line(line) + "\x1b[K\n" for line in frame) + "\x1b[J")
        self._drawn = len(frame)
        return all(part in shown for part in parts if part)

    def close(self):
        """Give the cursor back."""
        if self.live:
            self._write("\x1b[?25h")
