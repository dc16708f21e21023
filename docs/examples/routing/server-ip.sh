#!/bin/sh
# public server without wg-quick: what to add once wg0 is there. As root.
set -e
nft -f /etc/wireguard/server.nft
ip address add 10.8.0.1/24 dev wg0
ip route add default dev wg0 table 1008
ip rule add from 10.8.0.0/24 lookup 1008 priority 1008
