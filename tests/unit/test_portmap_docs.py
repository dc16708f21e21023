"""docs/portmap.md says of each code what the code says, and what is done about it."""
import re

import pytest
from test_docs import PROJECT, rows, section

from wgp2p import cli, lease, mapcli, natpmp, outside, pcp, pcptalk, portmap, reach, table, upnp, upnptalk

PAGE = (PROJECT / "docs/portmap.md").read_text()
FLAT = re.sub(r"\s+", " ", PAGE)
SPECIAL = {upnp.NO_SUCH_ENTRY: "it is made", upnp.SAME_PORTS: "the same port",
           **dict.fromkeys(upnptalk._FOR_EVER, "asked for without a lifetime")}


@pytest.mark.parametrize("heading, words, passing, taken, special", [
    ("### PCP", pcptalk.PCP_WORDS, pcptalk._PCP_PASSING, (pcp.CANNOT_PROVIDE_EXTERNAL,), {}),
    ("### NAT-PMP", pcptalk.NATPMP_WORDS, pcptalk._NATPMP_PASSING, (), {}),
    ("### UPnP", upnp.ERRORS, upnptalk._PASSING, (upnp.CONFLICT, upnp.OTHER_MECHANISM), SPECIAL)])
def test_codes(heading, words, passing, taken, special):
    said = [row[:3] for row in rows(section(PAGE, heading))]
    assert said == [[str(code), words[code], special.get(code) or "another port" if code in taken or code in special
                     else "asked again" if code in passing else "the next protocol"] for code in sorted(words)]


def test_every_code_of_the_protocols():
    assert sorted(pcptalk.PCP_WORDS) == list(range(pcp.UNSUPP_VERSION, pcp.EXCESSIVE_REMOTE_PEERS + 1))
    assert sorted(pcptalk.NATPMP_WORDS) == list(range(natpmp.UNSUPP_VERSION, natpmp.UNSUPP_OPCODE + 1))


def test_verdicts():
    verdicts = [outside.OPEN, outside.OPEN_HERE, outside.FILTERED, outside.REWRITTEN, outside.UNKNOWN]
    assert [row[0] for row in rows(section(PAGE, "## Verdicts"))] == ["`%s`" % verdict for verdict in verdicts]
    assert sorted(mapcli._VERDICTS) == sorted(verdicts)


def test_options():
    said = set(re.findall(r"`(--[a-z-]+)", "".join(row[0] for row in rows(section(PAGE, "## A laptop: wgp2p map"))
                                                   if row[0].startswith("`--"))))
    said.update(re.findall(r", `(--[a-z-]+)", section(PAGE, "## A laptop: wgp2p map")))
    assert said == set(mapcli.FLAGS + cli._MAP_OPTIONS)


def test_status():
    row = {"port": 51820, "forward": None, "external": "203.0.113.9:51820", "protocol": "pcp", "lifetime_left": 3600,
           "verdict": outside.OPEN_HERE, "error": ""}
    other = dict(row, port=36906, forward="192.168.1.20:36906", external="203.0.113.9:36906", verdict="")
    lines = table._portmap({"interface": "wg0", "gateway": "192.168.1.1", "problem": "", "mappings": [row, other]})
    assert "```\n" + "\n".join(lines) + "\n```" in PAGE


def test_numbers():
    assert "for 120 s" in FLAT and mapcli._ANNOUNCED_S == 120
    assert "Every minute" in FLAT and mapcli._AGAIN_MS == 60000
    assert "every 10 s as long as" in FLAT and mapcli._RETRY_MS == 10000
    size = 20 + 8 + len(outside.MAGIC) + outside.NONCE_SIZE
    assert "one packet of %d bytes" % size in FLAT
    assert "%d at once and then one every %d s" % (reach._AT_ONCE, reach._EVERY_MS // 1000) in FLAT
    assert "then after 1, 5, and 30 minutes" in FLAT and lease._SPARED_MS == (60000, 300000, 1800000)
    assert "after 15 s, then after longer and longer pauses, up to half an hour" in FLAT
    assert (lease._RETRY_MS, lease._RETRY_MOST_MS) == (15000, 1800000)
    assert "At most %d entries are shown, within a minute" % upnptalk._LISTED_MOST in FLAT
    assert upnptalk._LIST_MS == 60000
    assert "(2 hours)" in FLAT and mapcli._SECTION["lifetime"][1] == 7200
    assert "`~/.local/state/wgp2p`" in FLAT and mapcli._folder().endswith("/.local/state/wgp2p")
    assert portmap.own_name().startswith("wgp2p")


def test_list():
    lines = []
    command = mapcli.MapCommand(None, {}, [mapcli.LIST], lines.append, None)
    for client, port, external, protocol, left_s, text in (
            ("192.168.1.2", 51820, 51820, "UDP", 3600, "wgp2p laptop 51820"),
            ("192.168.1.9", 443, 8443, "TCP", 0, "camera")):
        entry = upnp.Entry(client, port, text)
        entry.external_port, entry.protocol, entry.left_s = external, protocol, left_s
        command._listed(entry, client == "192.168.1.2")
    assert "$ wgp2p map --list\n%s```" % "".join(lines) in PAGE
