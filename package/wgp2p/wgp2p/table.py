"""The status as a person reads it: one word per peer, since when, and why not; and the doctor's findings."""
from .log import plain

_WORDS = {"direct": "32", "relay": "36", "seen": "32", "trying": "33", "quiet": "33", "restored": "33", "offline": "31",
          "never": "31", "static": "2", "excluded": "2", "ok": "32", "warning": "33", "error": "31"}  # ANSI colours
_WIDTH = 100


def age(seconds):
    """An age in s as text: `3 s`, `12 min`, `5 h`, `9 d`; `-` for None."""
    if seconds is None:
        return "-"
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return "%d %s" % (seconds // size, unit)
    return "%d d" % (seconds // 86400)


def _rows(head, rows, colour):
    """Lines of a table; the second column is the word, coloured where the terminal can."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max([len(row[i]) for row in [head] + rows]) for i in range(len(head))]
    lines = []
    for row in [head] + rows:
        cells = [cell + " " * (widths[i] - len(cell)) for i, cell in enumerate(row)]
        if colour and row[1] in _WORDS:
            cells[1] = "\x1b[%sm%s\x1b[0m" % (_WORDS[row[1]], cells[1])
        lines.append("  ".join(cells).rstrip())
    return lines


def _subscriber(status, colour):
    lines = ["subscriber on %s%s" % (status["interface"], ", listen port %d" % status["listen_port"]
                                     if status["listen_port"] else "")]
    if status["problem"]:
        lines.append("  ! " + plain(status["problem"]))
    for link in status["publishers"]:
        if link["problem"]:
            words = "not connected: " + link["problem"]
        else:
            words = "connected for %s (%s)" % (age(link["connected_age"]), link["mode"])
            if link["you"]:
                kept = link["you"].endswith(":%s" % status["listen_port"])
                words += ", sees us at " + link["you"] + ("" if kept else " (another port: see wgp2p doctor)")
        lines.append(plain("publisher %s at %s: %s" % (link["name"], link["publisher"], words)))
    rows = [[peer["name"], peer["path"], peer["endpoint"] or "-", age(peer["since_age"]), age(peer["seen_age"]),
             peer["reason"]] for peer in sorted(status["peers"], key=lambda peer: peer["name"])]
    if rows:
        lines += [""] + _rows(["NAME", "PATH", "ENDPOINT", "SINCE", "LAST SEEN", "WHY"], rows, colour)
    return lines


def _publisher(status, colour):
    lines = ["publisher on %s%s, %d connected" % (
        status["interface"], " at %s port %d" % (", ".join(status["address"]), status["port"])
        if status["address"] else "", status["subscribers"])]
    if status["problem"]:
        lines.append("  ! " + plain(status["problem"]))
    lines += _relay(status)
    rows = [[peer["name"], peer["state"], peer["endpoint"] or "-", age(peer["seen_age"]), age(peer["handshake_age"]),
             "remote device" if peer["device"] else ""]
            for peer in sorted(status["peers"], key=lambda peer: peer["name"])]
    if rows:
        lines += [""] + _rows(["NAME", "STATE", "ENDPOINT", "LAST SEEN", "HANDSHAKE", ""], rows, colour)
    return lines


def _relay(status):
    """A line of the relay, and one for each pair that uses it."""
    relay, names = status["relay"], {}
    for peer in status["peers"]:
        names[peer["public_key"]] = peer["name"]
    where = {"kernel": "in the kernel", "userspace": "in the daemon", "off": "off"}[relay["state"]]
    lines = [plain("relay: %s%s" % (where, ", " + relay["problem"] if relay["problem"] else ""))]
    for pair in relay["pairs"]:
        lines.append(plain("  %s and %s: %s, %d packets, %d handshakes" % (
            names.get(pair["a"], pair["a"]), names.get(pair["b"], pair["b"]), size(pair["bytes"]), pair["packets"],
            pair["initiations"])))
    return lines


def _portmap(status):
    lines = ["port mapping%s%s" % (" for " + status["interface"] if status["interface"] else "",
                                   ", gateway " + status["gateway"] if status["gateway"] else "")]
    if status["problem"]:
        lines.append("  ! " + status["problem"])
    for row in status["mappings"]:
        words = "  port %d%s: " % (row["port"], " for " + row["forward"] if row["forward"] else "")
        if row["external"]:
            words += "%s by %s, %s" % (row["external"], row["protocol"], "for ever" if row["lifetime_left"] is None
                                       else "for %s more" % age(row["lifetime_left"]))
            words += ", seen from outside: " + row["verdict"] if row["verdict"] else ""
        else:
            words += "not mapped"
        lines.append(words + (" (%s)" % row["error"] if row["error"] else ""))
    return [plain(line) for line in lines]


def size(count):
    """Bytes as text: `17 B`, `3 kB`, `12 MB`, `1.5 GB`."""
    for limit, unit, name in ((1000, 1, "B"), (1000000, 1000, "kB"), (1000000000, 1000000, "MB")):
        if count < limit:
            return "%d %s" % (count // unit, name)
    return "%d.%d GB" % (count // 1000000000, count % 1000000000 // 100000000)


def render(status, colour=False):
    """The whole status (as Daemon.status gives it) as text."""
    parts = [_subscriber(part, colour) for part in status["subscribers"]]
    parts += [_publisher(part, colour) for part in status["publishers"]]
    parts += [_portmap(part) for part in status["portmaps"]]
    lines = ["wgp2p %s, running for %s" % (status["version"], age(status["uptime"]))]
    for part in parts:
        lines += [""] + part
    if not parts:
        lines += ["", "nothing is switched on: add a publisher or subscriber section to the configuration"]
    warnings = list(status["warnings"])
    if status["stale_profiles"]:
        warnings.append("profiles that lead to another address or port of this device: %s (wgp2p doctor)"
                        % ", ".join(status["stale_profiles"]))
    for warning in warnings:
        lines += ["", plain(warning)]
    return "\n".join(lines) + "\n"


def render_findings(findings, colour=False):
    """The doctor's findings (as doctor.examine gives them) as text."""
    lines = []
    for row in findings:
        mark = "\x1b[%sm%-9s\x1b[0m" % (_WORDS[row["level"]], row["level"]) if colour else "%-9s" % row["level"]
        for text in _wrapped(plain(row["text"]), _WIDTH - 9):
            lines.append(mark + text)
            mark = " " * 9
        for text in _wrapped("To do: " + plain(row["advice"]), _WIDTH - 9) if row["advice"] else ():
            lines.append(" " * 9 + text)
    return "\n".join(lines) + "\n"


def _wrapped(text, width):
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines
