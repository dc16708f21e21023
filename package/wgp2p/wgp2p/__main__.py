"""`python3 -m wgp2p` and `micropython -m wgp2p`."""
import sys

from wgp2p.cli import main

sys.exit(main(sys.argv[1:]))
