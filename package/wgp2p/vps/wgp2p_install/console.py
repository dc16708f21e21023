"""Talking with the person who installs."""
import getpass
import sys

from .problems import Refused


class Console:
    """Standard input and output. `yes`: every question about a change is answered with yes."""

    def __init__(self, yes=False):
        self.yes = yes

    def say(self, line):
        """One line."""
        print(line, flush=True)

    def warn(self, line):
        """One line on standard error."""
        print(line, file=sys.stderr, flush=True)

    def asks(self):
        """Whether somebody is there to answer."""
        return sys.stdin.isatty() and sys.stdout.isatty()

    def is_private(self):
        """Whether what is said goes to a terminal, not to a file or another program."""
        return sys.stdout.isatty()

    def ask(self, question):
        """A line of answer."""
        try:
            return input(question + " ").strip()
        except EOFError:
            raise Refused("no answer")

    def confirm(self, question):
        """Whether it may be done; None when nobody can be asked."""
        if self.yes:
            return True
        if not self.asks():
            return None
        return self.ask(question + " [Y/n]").lower() in ("", "y", "yes")

    def secret(self, question):
        """A line that does not appear on the terminal; from standard input where that is none."""
        if sys.stdin.isatty():
            return getpass.getpass(question + " ").strip()
        return sys.stdin.readline(1024).strip()
