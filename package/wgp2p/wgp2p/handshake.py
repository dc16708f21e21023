"""Start a WireGuard handshake from our side, now."""

_NUDGE_KEEPALIVE_S = 25


def call(wireguard, interface, key, endpoint, keepalive, done):
    """Point the peer at `endpoint` (None: where it points already) and make WireGuard send at once; `done(error)`.

    A keepalive that goes from 0 to something sends a packet: a handshake initiation where there is no session, which
    WireGuard then repeats every 5 s for 90 s. `keepalive` (s, 0 off) is what the peer has and keeps."""
    def called(error):
        if error is not None or keepalive:
            done(error)
        else:
            wireguard.set_peer(interface, key, done, keepalive=0)

    wireguard.set_peer(interface, key, called, endpoint=endpoint, keepalive=keepalive or _NUDGE_KEEPALIVE_S, nudge=True)
