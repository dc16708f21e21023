"""config.py: every option's type, default and fault, and how a fault is told."""
from fakewg import key
from helpers import raises

from wgp2p import config

FILE = "/etc/config/wgp2p"
TOKEN = "0123456789abcdef" * 4
PUBLISHER = "config publisher 'main'\n\toption interface 'wg0'\n"
SUBSCRIBER = "config subscriber 'main'\n\toption interface 'wg0'\n\toption publisher '10.0.0.1'\n"
PEER = "config peer\n\toption public_key '%s'\n" % key(1)
PORTMAP = "config portmap 'main'\n\toption interface 'wg0'\n\toption enabled '1'\n"
BASE = {"wgp2p": "config wgp2p 'main'\n", "publisher": PUBLISHER, "subscriber": SUBSCRIBER, "portmap": PORTMAP,
        "peer": PEER}


def faults(text):
    """The problems, as text, that keep the configuration from being used."""
    error = raises(config.ConfigError, config.parse, text)
    assert str(error) == "; ".join([str(problem) for problem in error.problems if problem.fatal])
    return [str(problem) for problem in error.problems if problem.fatal]


def warnings(text):
    found = config.parse(text)
    assert not [problem for problem in found.problems if problem.fatal]
    return [str(problem) for problem in found.problems]


def section(kind, text):
    """The Values of one section of this type with these lines added."""
    found = config.parse(BASE[kind] + text)
    return {"wgp2p": [found.main], "publisher": found.publishers, "subscriber": found.subscribers,
            "portmap": found.portmaps, "peer": list(found.peers.values())}[kind][0]


DEFAULTS = {
    "wgp2p": {"enabled": True, "log_level": "info", "backend": "auto", "state_dir": "/var/run/wgp2p",
              "keep_dir": "/etc/wgp2p", "open_port": True, "preserve_port": True, "preserve": [], "at_home": True,
              "wan": [], "sweep": "block", "sweep_rate": 1000, "sweep_entries": 2048, "sweep_share": 50},
    "publisher": {"enabled": True, "interface": "wg0", "address": [], "port": 8080, "relay": True,
                  "relay_limit": 0},
    "subscriber": {"enabled": True, "interface": "wg0", "publisher": "10.0.0.1", "port": 8080, "token_file": None,
                   "token": None, "keepalive": 25, "stale_after": 180, "server_host": None},
    "portmap": {"enabled": True, "interface": "wg0", "protocol": "auto", "gateway": None, "lifetime": 7200,
                "forward": []},
    "peer": {"public_key": key(1), "name": None, "exclude": False, "device": False, "client": [], "keepalive": None,
             "path": "auto", "listen_port": None, "profile_endpoint": None},
}


def test_defaults_are_all_there():
    assert sorted(DEFAULTS) == sorted(config.SCHEMA)
    for kind in DEFAULTS:
        assert sorted(DEFAULTS[kind]) == sorted(config.SCHEMA[kind]), kind
        values = section(kind, "")
        for option in DEFAULTS[kind]:
            assert getattr(values, option) == DEFAULTS[kind][option], (kind, option)
    empty = config.parse("")
    assert (empty.main.log_level, empty.publishers, empty.subscribers, empty.peers) == ("info", [], [], {})


def test_switched_off_as_a_whole():
    for value in ("0", "1"):
        found = config.parse("config wgp2p\n\toption enabled '%s'\n" % value + PUBLISHER)
        assert len(found.publishers) == int(value) and found.subscribers == []


def test_lists_of_two_sections_are_two():
    found = config.parse(PUBLISHER + "\tlist address '10.0.0.1'\nconfig publisher 'two'\n\toption interface 'wg1'\n")
    assert [values.address for values in found.publishers] == [["10.0.0.1"], []]


BOOLEANS = [(word, True) for word in ("1", "on", "true", "yes", "enabled")] + [
    (word, False) for word in ("0", "off", "false", "no", "disabled")]
NO_BOOLEAN = ("2", "True", " 1", "-1", "j")
NAMES_BAD = ("x" * 65, " a", "a ", "a\tb", "a\x1b[2J", "a\x7f", "\x9b2J")
PATHS_BAD = ("etc/x", "./x", "/a\x1bb", "~/x")
KEYS_BAD = ("x", key(1)[:-1], key(1) + "=", key(1)[:-2] + "F=", key(1).replace("=", " "), "é" * 44, "A" * 44)
TOKENS_BAD = (TOKEN[:31], "x" * 257, TOKEN + " x", TOKEN + "\x01", TOKEN + "ü", TOKEN + "\r\nHost: x")
GOOD = {
    ("wgp2p", "log_level"): [("error", "error"), ("debug", "debug")],
    ("wgp2p", "backend"): [("netlink", "netlink"), ("uapi", "uapi"), ("tool", "tool")],
    ("wgp2p", "state_dir"): [("/tmp/x", "/tmp/x")],
    ("wgp2p", "keep_dir"): [("/tmp/x y", "/tmp/x y")],
    ("wgp2p", "enabled"): [("1", True)],
    ("wgp2p", "open_port"): [("0", False)],
    ("wgp2p", "preserve_port"): [("off", False)],
    ("wgp2p", "preserve"): [("1", [1]), ("65535", [65535])],
    ("wgp2p", "at_home"): [("no", False)],
    ("wgp2p", "wan"): [("pppoe-wan", ["pppoe-wan"])],
    ("wgp2p", "sweep"): [("off", "off"), ("block", "block"), ("full", "full")],
    ("wgp2p", "sweep_rate"): [("10", 10), ("10000", 10000)],
    ("wgp2p", "sweep_entries"): [("64", 64), ("16384", 16384)],
    ("wgp2p", "sweep_share"): [("1", 1), ("90", 90)],
    ("publisher", "enabled"): [("1", True)],
    ("publisher", "interface"): [("a", "a"), ("wg-home.5", "wg-home.5"), ("x" * 15, "x" * 15)],
    ("publisher", "address"): [("10.0.0.1", ["10.0.0.1"]), ("FD00:0::1", ["fd00::1"])],
    ("publisher", "port"): [("1", 1), ("65535", 65535)],
    ("publisher", "relay"): [("0", False)],
    ("publisher", "relay_limit"): [("0", 0), ("10000", 10000)],
    ("subscriber", "enabled"): [("on", True)],
    ("subscriber", "interface"): [("wg1", "wg1")],
    ("subscriber", "publisher"): [("10.0.0.9", "10.0.0.9"), ("fd00::0:9", "fd00::9")],
    ("subscriber", "port"): [("80", 80)],
    ("subscriber", "token_file"): [("/etc/token", "/etc/token")],
    ("subscriber", "token"): [(TOKEN, TOKEN), ("!" * 32, "!" * 32)],
    ("subscriber", "keepalive"): [("1", 1), ("120", 120)],
    ("subscriber", "stale_after"): [("125", 125), ("86400", 86400)],
    ("subscriber", "server_host"): [("vpn.example.org", "vpn.example.org"), ("vpn.example.org.", "vpn.example.org"),
                                    ("10.1.2.3", "10.1.2.3"), ("2001:DB8::1", "2001:db8::1"), ("a_b", "a_b")],
    ("peer", "public_key"): [(key(9), key(9))],
    ("peer", "name"): [("phone", "phone"), ("Ännas Handy", "Ännas Handy"), ("x" * 64, "x" * 64)],
    ("peer", "exclude"): BOOLEANS,
    ("peer", "device"): [("0", False)],
    ("peer", "client"): [(key(1), [key(1)])],
    ("peer", "keepalive"): [("10", 10)],
    ("portmap", "enabled"): [("1", True)],
    ("portmap", "interface"): [("wg0", "wg0")],
    ("portmap", "protocol"): [("pcp", "pcp"), ("natpmp", "natpmp"), ("upnp", "upnp")],
    ("portmap", "gateway"): [("192.168.1.1", "192.168.1.1")],
    ("portmap", "lifetime"): [("120", 120), ("86400", 86400)],
    ("portmap", "forward"): [("51821:192.168.1.20", [(51821, "192.168.1.20", 51821)]),
                             ("51821:192.168.1.20:51820", [(51821, "192.168.1.20", 51820)])],
    ("peer", "path"): [("auto", "auto"), ("direct", "direct"), ("relay", "relay")],
    ("peer", "listen_port"): [("1", 1), ("65535", 65535)],
    ("peer", "profile_endpoint"): [("Home.example.org.:51820", "Home.example.org:51820"),
                                   ("192.0.2.1:1", "192.0.2.1:1"), ("[2001:DB8:0::1]:51820", "[2001:db8::1]:51820")],
}
BAD = {
    ("wgp2p", "log_level"): ("Info", "all", "4"),
    ("wgp2p", "backend"): ("kernel",),
    ("wgp2p", "state_dir"): PATHS_BAD,
    ("wgp2p", "keep_dir"): PATHS_BAD,
    ("wgp2p", "enabled"): NO_BOOLEAN,
    ("wgp2p", "open_port"): NO_BOOLEAN,
    ("wgp2p", "preserve_port"): NO_BOOLEAN,
    ("wgp2p", "preserve"): ("0", "65536", "x", "80-90"),
    ("wgp2p", "at_home"): NO_BOOLEAN,
    ("wgp2p", "wan"): ("x" * 16, "a b", "a/b"),
    ("wgp2p", "sweep"): ("1", "all"),
    ("wgp2p", "sweep_rate"): ("9", "10001"),
    ("wgp2p", "sweep_entries"): ("63", "16385"),
    ("wgp2p", "sweep_share"): ("0", "91"),
    ("publisher", "enabled"): NO_BOOLEAN,
    ("publisher", "interface"): ("x" * 16, "a/b", ".", "..", "a b", "a\tb", "ä" * 8),
    ("publisher", "address"): ("10.0.0", "10.0.0.1/24", "host", "fe80::1%wg0"),
    ("publisher", "relay"): ("2",),
    ("publisher", "relay_limit"): ("-1", "10001", "1.5"),
    ("publisher", "port"): ("0", "65536", "-1", "+1", "1.0", " 1", "1e3", "9999999999999", "²", "١"),
    ("portmap", "enabled"): NO_BOOLEAN,
    ("portmap", "interface"): ("x" * 16,),
    ("portmap", "protocol"): ("igd", "1"),
    ("portmap", "gateway"): ("router", "192.168.1.1/24", "2001:db8::1"),
    ("portmap", "lifetime"): ("119", "86401"),
    ("portmap", "forward"): ("51821", "80:192.168.1.20", "51821:host", "51821:192.168.1.20:0", "51821:127.0.0.1",
                             "51821:[fd00::1]:1", "51821:192.168.1.20:1:2"),
    ("subscriber", "enabled"): NO_BOOLEAN,
    ("subscriber", "interface"): ("x" * 16,),
    ("subscriber", "publisher"): ("http://10.0.0.1", "10.0.0.1:8080"),
    ("subscriber", "port"): ("0",),
    ("subscriber", "token_file"): PATHS_BAD,
    ("subscriber", "token"): TOKENS_BAD,
    ("subscriber", "keepalive"): ("0", "121", "off"),
    ("subscriber", "stale_after"): ("124", "86401"),
    ("subscriber", "server_host"): ("a b", "-a", "a-", "a..b", "x" * 64 + ".org", "a." * 130, "1.2.3", "a:b", "ä.org",
                                    "a\x1b", "."),
    ("peer", "public_key"): KEYS_BAD,
    ("peer", "name"): NAMES_BAD,
    ("peer", "exclude"): NO_BOOLEAN,
    ("peer", "device"): NO_BOOLEAN,
    ("peer", "client"): NAMES_BAD,
    ("peer", "keepalive"): ("0", "121"),
    ("peer", "path"): ("Relay", "static"),
    ("peer", "listen_port"): ("0", "65536", "x"),
    ("peer", "profile_endpoint"): ("192.0.2.1", "192.0.2.1:0", "host:65536", "2001:db8::1:5", "[host]:5", ":5",
                                   "a b:5"),
}


def option_line(kind, name, value):
    return "\t%s %s '%s'\n" % ("list" if config.SCHEMA[kind][name][2] else "option", name, value)


def test_every_option_takes_what_it_should():
    for kind in config.SCHEMA:
        for name in config.SCHEMA[kind]:
            for text, value in GOOD[kind, name]:
                found = getattr(section(kind, option_line(kind, name, text)), name)
                assert found == value and type(found) is type(value), (kind, name, text, found)


def test_every_option_refuses_the_rest_and_says_where():
    for kind in config.SCHEMA:
        for name in config.SCHEMA[kind]:
            for text in BAD[kind, name]:
                told = faults(BASE[kind] + option_line(kind, name, text))
                place = "error: %s, line %d, section %s, option %s: must be " % (
                    FILE, BASE[kind].count("\n") + 1, "@peer[0]" if kind == "peer" else "main", name)
                # a key that is none may be missed by what needs it, too
                assert told[0].startswith(place), (kind, name, text, told)
                assert len(told) == 1, told


def test_a_token_is_in_no_message():
    for text in TOKENS_BAD:
        for told in faults(SUBSCRIBER + option_line("subscriber", "token", text)):
            assert text not in told and text[:31] not in told
    told = faults(SUBSCRIBER + option_line("subscriber", "token", TOKEN) + "\toption token_file '/x'\n")
    assert len(told) == 1 and TOKEN not in told[0] and told[0].startswith(
        "error: %s, section main, option token: " % FILE)


def test_missing_options():
    assert faults("config publisher 'p'\n") == [
        "error: %s, section p, option interface: is missing" % FILE]
    assert faults("config subscriber\n\toption interface 'wg0'\n") == [
        "error: %s, section @subscriber[0], option publisher: is missing" % FILE]
    assert faults("config peer\n\toption name 'x'\n") == ["error: %s, section @peer[0], option public_key: is missing"
                                                           % FILE]


def test_portmaps():
    assert not config.parse("config portmap\n").portmaps, "off, and then nothing is missing"
    assert warnings("config portmap\n\toption enabled '1'\n") == [
        "warning: %s, section @portmap[0]: has neither an interface nor a forward to map" % FILE]
    alone = config.parse("config portmap\n\toption enabled '1'\n\tlist forward '51821:192.168.1.20'\n").portmaps
    assert alone[0].interface is None and alone[0].forward == [(51821, "192.168.1.20", 51821)]
    assert faults(PORTMAP + "\tlist forward '51821:192.168.1.20'\n\tlist forward '51821:192.168.1.21'\n") == [
        "error: %s, section main, option forward: port 51821 is forwarded by section main already" % FILE]
    assert faults(PORTMAP + PORTMAP.replace("main", "other")) == [
        "error: %s, section other, option interface: is mapped by section main already" % FILE]


def test_unknown_things_are_warnings():
    assert warnings("config zebra 'x'\n\toption a '1'\n") == [
        "warning: %s, line 1: unknown section type 'zebra' is ignored" % FILE]
    assert warnings(PUBLISHER + "\toption zebra '1'\n") == [
        "warning: %s, line 3, section main, option zebra: unknown option is ignored" % FILE]


def test_lists_where_none_belong():
    told = faults("config publisher 'main'\n\tlist interface 'wg0'\n")
    assert told == ["error: %s, line 2, section main, option interface: must be an option, not a list" % FILE]
    # an option where a list may be is a list of one
    assert section("publisher", "\toption address '10.0.0.1'\n").address == ["10.0.0.1"]


def test_what_is_no_uci():
    told = faults("config publisher\n\tinterface 'wg0'\n")
    assert len(told) == 1 and told[0].startswith("error: %s: line 2, byte " % FILE), told
    assert len(faults(b"config peer\n\toption name '\xff'\n")) == 1
    assert len(faults(b"\0")) == 1


def test_every_fault_is_told_at_once():
    assert len(faults("config publisher\n\toption port 'x'\n\toption enabled 'y'\n" + PEER
                      + "\toption exclude 'z'\n")) == 4


def test_two_of_a_kind():
    told = faults("config wgp2p\nconfig wgp2p\n")
    assert told == ["error: %s, section @wgp2p[1]: only one section of type wgp2p is allowed" % FILE]
    told = faults(PEER + PEER)
    assert told == ["error: %s, section @peer[1], option public_key: is the key of section @peer[0] already" % FILE]
    other = "config peer 'b'\n\toption public_key '%s'\n\toption name 'x'\n" % key(2)
    told = faults(PEER + "\toption name 'x'\n" + other)
    assert told == ["error: %s, section b, option name: is the name of section @peer[0] already" % FILE]
    assert len(config.parse(PEER + other.replace("\toption name 'x'\n", "")).peers) == 2, "both without a name"
    told = faults(PUBLISHER + PUBLISHER.replace("main", "two"))
    assert told == ["error: %s, section two, option port: is the port of section main already" % FILE]
    assert len(config.parse(PUBLISHER + PUBLISHER.replace("main", "two") + "\toption port '81'\n").publishers) == 2
    told = faults(SUBSCRIBER + SUBSCRIBER.replace("main", "two"))
    assert told == ["error: %s, section two, option publisher: is followed by section main already" % FILE]


def test_a_role_that_is_off_is_not_there():
    found = config.parse(PUBLISHER + "\toption enabled '0'\n" + SUBSCRIBER.replace("main", "s")
                         + "\toption enabled 'off'\n")
    assert (found.publishers, found.subscribers) == ([], [])
    # as a package may ship it
    found = config.parse("config publisher\n\toption enabled '0'\nconfig subscriber\n\toption enabled '0'\n")
    assert not found.problems and (found.publishers, found.subscribers) == ([], [])


def test_devices_and_their_clients():
    device = PEER + "\toption device '1'\n"
    assert faults(device) == ["error: %s, section @peer[0], option name: is missing: a device's token is filed under it"
                              % FILE]
    for name in ("a/b", "../x", ".x"):
        assert "must be good as a file name" in faults(device + "\toption name '%s'\n" % name)[0]
    device += "\toption name 'router'\n"
    assert "no peer section has the name or key 'phone'" in faults(device + "\tlist client 'phone'\n")[0]
    phone = "config peer\n\toption public_key '%s'\n\toption name 'phone'\n" % key(2)
    for client in ("phone", key(2)):
        found = config.parse(device + "\tlist client '%s'\n" % client + phone)
        assert found.peer(key(1)).client == [client] and not found.problems
    told = warnings(PEER + "\tlist client 'phone'\n" + phone)
    assert told == ["warning: %s, section @peer[0], option client: has no effect without option device '1'" % FILE]


def test_names_and_exclusion():
    found = config.parse(PEER + "\toption exclude '1'\nconfig peer\n\toption public_key '%s'\n\toption name 'phone'\n"
                         % key(2))
    assert (found.excluded(key(1)), found.excluded(key(2)), found.excluded(key(3))) == (True, False, False)
    assert (found.name(key(1)), found.name(key(2)), found.name(key(3))) == (
        key(1)[:8] + "…", "phone", key(3)[:8] + "…")
    assert found.peer(key(3)) is None
    # as `uci set wgp2p.@peer[0].exclude=1` addresses it
    assert found.peer(key(1)).label == "@peer[0]"


def test_find_peer():
    text = ""
    for number, name in ((1, "phone"), (2, "phone-of-anna"), (3, "laptop")):
        text += "config peer\n\toption public_key '%s'\n\toption name '%s'\n" % (key(number), name)
    found = config.parse(text)
    keys = [key(4), key(5), key(1)]
    for word, number in (("phone", 1), ("phone-", 2), ("phone-of-anna", 2), ("l", 3), ("laptop", 3), (key(4), 4),
                         (key(5)[:3], 5), (key(1), 1), (key(2)[:4], 2)):
        assert config.find_peer(found, keys, word) == key(number), word
    for word in ("p", "pho"):
        error = raises(ValueError, config.find_peer, found, keys, word)
        assert str(error) == "'%s' may be phone or phone-of-anna" % word, error
    for word in ("", "x", key(6), "phones", "PHONE"):
        assert str(raises(ValueError, config.find_peer, found, keys, word)) == "no peer '%s'" % word


def test_find_peer_among_many():
    found = config.parse("")
    keys = [key(number) for number in range(8)]
    error = raises(ValueError, config.find_peer, found, keys, "A")
    assert str(error).count(" or ") <= 3, error


def test_one_publisher_relays():
    two = "config publisher 'a'\n option interface 'wg0'\nconfig publisher 'b'\n option interface 'wg1'\n"
    found = config.parse(two)
    assert [values.relay for values in found.publishers] == [True, False]
    assert ["section b, option relay" in str(problem) for problem in found.problems] == [True]
    assert not config.parse(two + " option relay '0'\n").problems
