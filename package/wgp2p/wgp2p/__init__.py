"""wgp2p: a phone with the stock WireGuard app reaches a router behind NAT, directly."""

VERSION = "0.1.0"
