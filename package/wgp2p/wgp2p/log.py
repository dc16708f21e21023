"""One line on standard error per event that matters; procd or systemd adds time and name."""
import io
import sys

LEVELS = ("error", "warning", "info", "debug")
_level = [2]


def set_level(name):
    """Show this level and those more serious; ValueError for an unknown name."""
    _level[0] = LEVELS.index(name)


def _write(number, text):
    if number <= _level[0]:
        line = "wgp2p " + LEVELS[number] + ": " + plain(text) + "\n"
        try:
            sys.stderr.write(line)
            sys.stderr.flush()
        except (OSError, AttributeError):  # nobody reads: never a reason to stop; MicroPython has no flush
            pass


def plain(text):
    """The text on one line and without what a terminal takes for a command, whoever wrote it."""
    return "".join([c if " " <= c < "\x7f" or c > "\x9f" else "?" for c in text])


def error(text):
    """Something that a person must mend."""
    _write(0, text)


def warning(text):
    """Something is not as it should be; wgp2p goes on."""
    _write(1, text)


def info(text):
    """Something changed."""
    _write(2, text)


def debug(text):
    """For those who look for a fault."""
    _write(3, text)


def exception(error_object):
    """A bug of ours: the traceback, as debug lines follow the error."""
    if hasattr(sys, "print_exception"):  # MicroPython
        out = io.StringIO()
        sys.print_exception(error_object, out)
        text = out.getvalue()
    else:
        import traceback

        text = "".join(traceback.format_exception(type(error_object), error_object, error_object.__traceback__))
    for line in text.strip().split("\n"):
        error("internal: " + line)
