"""What was done, a line for each step, so that a failure can take it all back."""
from .problems import Refused
from .system import File


class Journal:
    """Carries out steps. With `dry` it only says them. `say` takes a line."""

    def __init__(self, system, say, dry=False):
        self.system = system
        self.say = say
        self.dry = dry
        self._undo = []

    def step(self, text, do, undo=None):
        """Say it ("" says nothing), do it, and remember how to undo it (also when `do` fails half way). Gives what `do`
        gave."""
        if text:
            self.say(("would " if self.dry else "") + text)
        if self.dry:
            return None
        if undo is not None:
            self._undo.append((text, undo))
        return do()

    def first(self, undo):
        """What a roll-back does at its very end."""
        self._undo.insert(0, ("the rest", undo))

    def write(self, path, data, mode=0o644, owner=(0, 0), quiet=False):
        """Put a file there, unless it is just so already. `quiet`: it goes without saying."""
        system, before = self.system, self.system.file(path)
        after = File(data.encode() if isinstance(data, str) else data, mode, owner)
        if before and (before.data, before.mode, before.owner) == (after.data, mode, owner):
            return

        def undo():
            system.write(path, before) if before else system.remove(path)

        self.step("" if quiet else f"write {path}", lambda: system.write(path, after), undo)

    def remove(self, path):
        """Remove a file, when it is there."""
        before = self.system.file(path) if self.system.exists(path) else None
        if before:
            self.step(f"remove {path}", lambda: self.system.remove(path), lambda: self.system.write(path, before))

    def folder(self, path, mode, owner):
        """A folder with these permissions."""
        system, before = self.system, self.system.folder(path)
        if before == (mode, owner):
            return
        if before is None and system.exists(path):
            raise Refused(f"{path} is there, but is no folder; move it away")

        def undo():
            system.set_folder(path, *before) if before else system.remove_folder(path)

        self.step(f"{'set up' if before else 'make'} folder {path}", lambda: system.set_folder(path, mode, owner), undo)

    def run(self, text, words, undo=None):
        """A program that has to succeed; `undo` are the words of the one that takes it back. Refused."""
        system = self.system

        def do():
            ran = system.run(words)
            if ran.code:
                raise Refused(f"{' '.join(words)}: {ran.words()}")
            return ran

        return self.step(text, do, (lambda: system.run(undo)) if undo else None)

    def roll_back(self):
        """Undo every step, the last first. What cannot be undone is said."""
        while self._undo:
            text, undo = self._undo.pop()
            try:
                undo()
            except (OSError, Refused) as error:
                self.say(f"not undone: {text}: {error}")
