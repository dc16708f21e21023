"""What wgp2p.pyz does: `install` and the like are the installer's, every other command is wgp2p's own."""
import os
import sys

# Any Python understands this file, to say so.
if sys.version_info < (3, 9):  # noqa: UP036
    sys.exit("wgp2p: needs Python 3.9 or newer, this is %d.%d: try python3.9, python3.10, ... before the file's name"
             % tuple(sys.version_info[:2]))

from wgp2p_install import COMMANDS, HELP  # noqa: E402 (not before the version is known)

words = sys.argv[1:]
if words[:1] and words[0] in COMMANDS:
    from wgp2p_install.cli import main

    sys.exit(main(words, os.path.dirname(os.path.abspath(__file__))))

# The daemon does without what the installer needs.
from wgp2p.cli import main  # noqa: E402

code = main(words)
if words in (["--help"], ["-h"]):
    sys.stdout.write(HELP)
sys.exit(code)
