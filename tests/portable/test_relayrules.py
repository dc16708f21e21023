"""relayrules.py: what the text says; whether a kernel takes it and does it, tests/lab/test_relay_table.py sees."""
from helpers import raises

from wgp2p import relayrules


def lines(text, start):
    return [line.strip() for line in text.split("\n") if line.strip().startswith(start)]


def test_nothing_is_lost_on_a_reload():
    """The same definitions whatever the port and the limit; only rules are flushed."""
    texts = [relayrules.script(port, limit) for port, limit in ((51820, 0), (1, 1250), (65535, 1))]
    heads = [text.split("flush table inet wgp2p_relay\n")[0] for text in texts]
    assert heads[0] == heads[1] == heads[2] and "delete" not in texts[0] and "flush ruleset" not in texts[0]
    assert "chain" not in heads[0] and heads[0].count("map ") == 6


def test_another_limit_holds_at_once():
    """An element of `rates` keeps the limit that it was made with; nothing else is emptied."""
    text = relayrules.script(51820, 1250)
    assert lines(text, "flush") == [
        "flush set inet wgp2p_relay rates4", "flush set inet wgp2p_relay rates6", "flush table inet wgp2p_relay"]
    assert text.index("set rates6 {") < text.index("flush set") < text.index("chain")


def test_a_packet_at_the_end_of_its_life_is_not_taken():
    """It would be counted as one that the system has not forwarded."""
    text = relayrules.script(51820, 0)
    assert [len(lines(text, start)) for start in ("ip ttl > 1 udp dport set", "ip6 hoplimit > 1 udp dport set")] == [
        1, 1] and not lines(text, "udp dport set")


def test_every_word_is_replaced():
    for limit in (0, 1250):
        text = relayrules.script(51820, limit)
        for word in ("$", "PORT", "MASK", "LIMIT", "RELAYED", "INITIATION", "USERSPACE", "HINT"):
            assert word not in text, word
        assert text.count("{") == text.count("}") and text.endswith("}\n")
        assert text.count("@rates") == (2 if limit else 0)
    assert "limit rate over 1250 kbytes/second" in text


def test_both_families_have_the_same():
    text = relayrules.script(51820, 1250)
    for name in ("address", "port", "routes", "members", "devices", "door", "calls", "devicecalls", "strangers",
                 "pairs", "rates"):
        for count in [[text.count(form % (name, kind)) for kind in ("4", "6")] for form in (" %s%s { type", "@%s%s")]:
            assert count[0] == count[1] > 0, name
    assert text.count("ip daddr") == text.count("ip6 daddr")


def test_the_port_is_everywhere():
    text = relayrules.script(4711, 0)
    assert lines(text, "udp dport")[0] == "udp dport 4711 goto wireguard"
    assert "51820" not in text and text.count("udp sport set 4711") == 2


def test_data_comes_first():
    """A packet of type 4 with a route meets two comparisons and its own rule."""
    text = relayrules.script(51820, 0)
    chain = text.split("chain wireguard {\n")[1].split("}")[0].strip().split("\n")
    assert chain[0].strip() == "@th,64,32 0x04000000 goto transport" and len(chain) == 4
    assert [row for row in chain if "fib" in row] == [chain[3]] and "0x01000000" in chain[3]
    assert text.count("fib") == 1


def test_marks():
    text = relayrules.script(51820, 0)
    for mark, count in ((relayrules.RELAYED, 2), (relayrules.INITIATION, 2), (relayrules.USERSPACE, 4),
                        (relayrules.HINT, 1)):
        assert mark & relayrules.MARK_MASK == mark
        assert text.count("meta mark set 0x%08x" % mark) == count
        assert not mark & (0x3F00 | 0xFF0000), "mwan3's and pbr's bits"
    assert "meta mark & 0xff0000ff == 0x77000001" in text


def test_no_rubbish():
    for port, limit in ((0, 0), (65536, 0), (-1, 0), (1, -1)):
        raises(ValueError, relayrules.script, port, limit)
