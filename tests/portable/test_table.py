"""table.py: the status as a person reads it."""
from fakewg import key

from wgp2p import table


def peer(name, path, **more):
    row = {"public_key": key(1), "name": name, "endpoint": "203.0.113.31:36906", "path": path, "reason": "",
           "since_age": 12.0, "seen_age": 3.0, "keepalive": 25, "rx_bytes": 1, "tx_bytes": 1}
    row.update(more)
    return row


def link(**more):
    row = {"name": "home", "publisher": "10.0.0.1", "port": 8080, "public_key": key(9), "mode": "events", "problem": "",
           "connected_age": 130.0, "you": "192.0.2.4:51820"}
    row.update(more)
    return row


def subscriber(*peers, **more):
    row = {"interface": "wg0", "problem": "", "listen_port": 51820, "peers": list(peers), "publishers": [link()]}
    row.update(more)
    return row


def client(name, state, **more):
    row = {"public_key": key(1), "name": name, "endpoint": "203.0.113.31:36906", "state": state, "seen_age": 3.0,
           "handshake_age": None, "device": False}
    row.update(more)
    return row


def relay(*pairs, **more):
    row = {"state": "kernel", "problem": "", "pairs": list(pairs), "routes": 2 * len(pairs)}
    row.update(more)
    return row


def publisher(*peers, **more):
    row = {"interface": "wg0", "address": ["10.0.0.1", "fd00::1"], "port": 8080, "problem": "", "subscribers": 2,
           "peers": list(peers), "relay": relay()}
    row.update(more)
    return row


def render(subscribers=(), publishers=(), warnings=(), colour=False, portmaps=(), stale=()):
    return table.render({"version": "1.2.3", "uptime": 7260.4, "subscribers": list(subscribers),
                         "publishers": list(publishers), "warnings": list(warnings), "portmaps": list(portmaps),
                         "stale_profiles": list(stale)}, colour)


def mapping(**more):
    row = {"port": 51820, "gateway": "192.168.1.1", "protocol": "pcp", "external": "203.0.113.9:51820",
           "lifetime_left": 3600, "error": "", "forward": None, "verdict": "open to this server"}
    row.update(more)
    return row


def test_port_mappings():
    part = {"interface": "wg0", "gateway": "192.168.1.1", "address": "192.168.1.2", "problem": "", "mappings": [
        mapping(), mapping(port=51821, forward="192.168.1.20:51821", verdict="", lifetime_left=None),
        mapping(external=None, protocol=None, verdict="", lifetime_left=None, error="no answer from the gateway")]}
    assert render([subscriber()], portmaps=[part]).split("\n")[-5:-1] == [
        "port mapping for wg0, gateway 192.168.1.1",
        "  port 51820: 203.0.113.9:51820 by pcp, for 60 min more, seen from outside: open to this server",
        "  port 51821 for 192.168.1.20:51821: 203.0.113.9:51820 by pcp, for ever",
        "  port 51820: not mapped (no answer from the gateway)"]
    part = {"interface": "wg0", "gateway": None, "address": None, "problem": "no way to the gateway", "mappings": []}
    assert "port mapping for wg0\n  ! no way to the gateway\n" in render([subscriber()], portmaps=[part])


def test_stale_profiles():
    assert "profiles that lead to another address or port of this device: a, b (wgp2p doctor)\n" in render(
        [subscriber()], stale=["a", "b"])


def test_ages():
    for seconds, text in ((None, "-"), (0, "0 s"), (0.9, "0 s"), (119.9, "119 s"), (120, "2 min"), (7199, "119 min"),
                          (7200, "2 h"), (172799, "47 h"), (172800, "2 d"), (1e8, "1157 d")):
        assert table.age(seconds) == text, (seconds, table.age(seconds))


def test_a_subscriber():
    text = render([subscriber(peer("phone", "direct"),
                              peer("laptop", "trying", endpoint=None, seen_age=None, reason="calling 1.2.3.4:5"))])
    assert text == """wgp2p 1.2.3, running for 2 h

subscriber on wg0, listen port 51820
publisher home at 10.0.0.1: connected for 2 min (events), sees us at 192.0.2.4:51820

NAME    PATH    ENDPOINT            SINCE  LAST SEEN  WHY
laptop  trying  -                   12 s   -          calling 1.2.3.4:5
phone   direct  203.0.113.31:36906  12 s   3 s
""", text


def test_a_publisher():
    text = render(publishers=[publisher(client("router", "seen", device=True), client("phone", "quiet"))])
    assert text == """wgp2p 1.2.3, running for 2 h

publisher on wg0 at 10.0.0.1, fd00::1 port 8080, 2 connected
relay: in the kernel

NAME    STATE  ENDPOINT            LAST SEEN  HANDSHAKE
phone   quiet  203.0.113.31:36906  3 s        -
router  seen   203.0.113.31:36906  3 s        -          remote device
""", text


def test_what_is_wrong_is_said():
    text = render([subscriber(problem="wg0: no such interface", listen_port=None,
                              publishers=[link(problem="connection refused", connected_age=None, you=None)])],
                  [publisher(problem="wg0 has no address yet", address=[])], ["warning: x: y"])
    for line in ("subscriber on wg0\n", "  ! wg0: no such interface\n",
                 "publisher home at 10.0.0.1: not connected: connection refused\n", "publisher on wg0, 2 connected\n",
                 "  ! wg0 has no address yet\n", "warning: x: y\n"):
        assert line in text, (line, text)
    assert "nothing is switched on" in render()


def test_colours_on_the_word_alone():
    for word in ("direct", "trying", "offline", "static"):
        plain = render([subscriber(peer("phone", word))])
        text = render([subscriber(peer("phone", word))], colour=True)
        assert text.count("\x1b[") == 2 and "m" + word + "\x1b[0m" in text
        for code in ("32", "33", "31", "2", "0"):
            text = text.replace("\x1b[" + code + "m", "")
        assert text == plain


HOSTILE = "a\x1b[2J\x1b]0;x\x07\nroot\r\t\x7f\x9b31m"


def test_hostile_text_is_plain_text():
    status = ([subscriber(peer(HOSTILE, "direct", reason=HOSTILE), problem=HOSTILE,
                          publishers=[link(problem=HOSTILE), link(name=HOSTILE)])],
              [publisher(client(HOSTILE, "seen"), problem=HOSTILE)], [HOSTILE])
    text = render(*status)
    for char in text:
        assert char == "\n" or " " <= char < "\x7f" or char > "\x9f", repr(char)
    assert "\nroot" not in text
    assert render(*status, colour=True).count("\x1b") == 4, "our own colours"


def test_the_relay_and_who_uses_it():
    pair = {"a": key(1), "b": key(7), "packets": 1234, "bytes": 1500000, "initiations": 3}
    text = render(publishers=[publisher(client("phone", "seen"), relay=relay(
        pair, state="userspace", problem="IPv4 forwarding is off"))])
    assert "relay: in the daemon, IPv4 forwarding is off\n" in text
    assert "  phone and %s: 1 MB, 1234 packets, 3 handshakes\n" % key(7) in text
    assert "relay: off\n" in render(publishers=[publisher(relay=relay(state="off"))])
    assert "\x1b[36mrelay\x1b[0m" in render([subscriber(peer("phone", "relay"))], colour=True)


def test_sizes():
    for count, text in ((0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999999, "999 kB"), (1000000, "1 MB"),
                        (1500000000, "1.5 GB"), (12340000000, "12.3 GB")):
        assert table.size(count) == text
