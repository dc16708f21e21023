#!/bin/sh
# The packages feed runs this on an emulated router that has the package: $1 is its name, $2 its version.
set -e

[ "$1" = wgp2p ] || exit 0

wgp2p --version | grep -F "$2"
wgp2p check
# What the daemon imports only when it needs it is there, too, and loads on this machine.
cd /usr/lib/wgp2p
for module in [a-z]*.mpy; do
	MICROPYPATH=/usr/lib micropython -c "import wgp2p.${module%.mpy}"
done
