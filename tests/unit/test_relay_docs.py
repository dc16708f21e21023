"""docs/relay.md names bounds: they are those of the code."""
import re

import pytest
from test_docs import PROJECT

from wgp2p import beacons, copier, path, receivers, relay, relayrules, relaytable, roam, sessionrules, upgrade, upgrader

PAGE = re.sub(r"\s+", " ", (PROJECT / "docs/relay.md").read_text())
RULES = relayrules.script(51820, 0)


def size(name):
    return int(re.search(r"(?:set|map) %s .*size (\d+)" % name, RULES)[1])


@pytest.mark.parametrize("words, values", [
    ("at once, after %g s, each second for %d s, then once a minute",
     (upgrade.TRIES_MS[1] / 1000, upgrade.TRIES_MS[-1] // 1000)),
    ("the last %d, each %d times", (upgrade.BEACONS_MOST, upgrade.BEACON_TRIES)),
    ("%d try a second for each client, %d in a minute for each of the last %d addresses",
     (1000 // upgrade.GAP_MS, upgrade.BEACON_TRIES, upgrade.BEACONS_MOST)),
    ("%d hashes for a packet, %d a second in all", (beacons._AT_ONCE, beacons._A_SECOND)),
    ("a **copy** (at most %d)", (copier.COPIES,)),
    ("packets of at most %d bytes", (max(sessionrules.ECHO_SIZES),)),
    ("for the first packet of that size within %d ms", (sessionrules.DIVERT_MS,)),
    ("%g s later the phone is asked once more", (upgrader._AGAIN_MS / 1000,)),
    ("and for %g s of each try a packet socket", (copier.WINDOW_MS / 1000,)),
    ("{:,} routes of {} s in the daemon", (relaytable.MOST_ROUTES, relayrules.ROUTE_LIFE_MS // 1000)),
    ("room for {:,} in the kernel", (size("routes4"),)),
    ("counters for {:,} pairs", (size("pairs4"),)),
    ("%d numbers in use, in each direction of a pair", (relay.ROUTES_MOST,)),
    ("and %d entries in each direction of a pair, the oldest make room", (relay.ROUTES_MOST,)),
    ("%d sessions at once, %d entries", (relay.SESSIONS_MOST, relay.ROUTES_MOST)),
    ("%d hashes at once; what is left waits in a queue of %d, %d for each sender",
     (receivers.AT_ONCE, receivers.PENDING_MOST, receivers.PENDING_EACH)),
    ("gets %d ms of every %d", (relay._SLICE_MS, relay._SLICE_MS + relay._PAUSE_MS)),
    ("one for each client in %d s, %d at once", (roam.EVERY_MS // 1000, roam._PENDING_MOST)),
    ("silent for %d s. Without an authentic answer within %g s", (roam.SILENT_MS // 1000, roam.ANSWER_MS / 1000)),
    ("%d changes of an endpoint at once, then one a second", (path.SETS_AT_ONCE,)),
])
def test_numbers(words, values):
    wanted = words.format(*values) if "{" in words else words % values
    assert wanted in PAGE


@pytest.mark.parametrize("words, rule", [
    ("10 handshakes a second from an address (IPv6: from a /64 network), 20 at once",
     "@strangers6 { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over 10/second burst 20 packets } drop"),
    ("2 a second from an endpoint, 5 at once",
     "@calls4 { ip saddr . udp sport limit rate over 2/second burst 5 packets }"),
    ("10 hints a second", "limit rate 10/second meta mark set 0x%08x" % relayrules.HINT)])
def test_numbers_of_the_rules(words, rule):
    assert words in PAGE and rule in RULES


def test_once_a_second_is_a_second():
    assert relay.CALL_EVERY_MS == upgrade.GAP_MS == path.SET_EVERY_MS == 1000
    assert upgrade.RETRY_MS == 60000, "a minute"


def test_tables_are_named_as_they_are():
    for name in (relayrules.TABLE, sessionrules.TABLE):
        assert "`nft list table inet %s`" % name in PAGE
