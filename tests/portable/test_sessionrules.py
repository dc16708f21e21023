"""sessionrules.py: the text for nft. (That nft takes it and what the kernel notes: tests/lab/test_upgrade_parts.py.)"""
from helpers import raises

from wgp2p.copier import OPENER
from wgp2p.sessionrules import TABLE, script


def rules(text):
    """The lines that note something."""
    return [line.strip() for line in text.split("\n") if "update" in line]


def test_what_is_noted():
    for family in ("4", "6"):
        ip = "ip" if family == "4" else "ip6"
        there, here = ip + " daddr . udp dport", ip + " saddr . udp sport"
        sender, receiver = " . @th,96,32", " . @th,128,32"
        mine = [rule for rule in rules(script(51820)) if ip + " " in rule]
        assert mine == [
            "udp length 156 @th,64,32 0x01000000 update @calls" + family + " { " + there + sender + " }",
            "udp length 100 @th,64,32 0x02000000 update @sessions" + family + " { " + there + sender + receiver + " }",
            "udp length 100 @th,64,32 0x02000000 " + here + receiver + " @calls" + family + " update @sessions" + family
            + " { " + here + receiver + sender + " }"]


def test_bounded_and_one_message_is_changed():
    text = script(51820)
    assert len([line for line in text.split("\n") if "timeout;" in line and "size" in line]) == 10
    for word in ("drop", "accept", "reject", "mark set", "delete table"):
        assert word not in text, word
    changing = [line.strip() for line in text.split("\n") if "set udp" in line or "addr set" in line]
    assert changing == [
        "%s daddr . udp dport . udp length @probes%s @th,64,32 0x04000000 delete @probes%s { %s daddr . udp dport . "
        "udp length } udp dport set udp length map @port%s %s daddr set udp length map @address%s" % (
            ip, family, family, ip, family, ip, family) for family, ip in (("4", "ip"), ("6", "ip6"))]


def test_what_only_opens_a_nat_is_not_tracked():
    lines = [line.strip() for line in script(51820).split("\n")]
    assert [line for line in lines if "notrack" in line or "mark" in line] == [
        "udp length 12 meta mark 0x77000005 notrack"]
    assert "udp sport @ports udp length { 12, 100, 156 } goto outgoing_rules" in lines
    assert 8 + len(OPENER) == 12


def test_again_over_what_is_there():
    text = script(40000)
    for name in ("incoming", "outgoing_rules"):
        assert text.index("flush chain inet %s %s\n" % (TABLE, name)) < text.index("\tchain %s {\n" % name)
    assert "flush set" not in text and text.endswith("add element inet %s ports { 40000 }\n" % TABLE)
    for port in (0, 65536, -1):
        raises(ValueError, script, port)
