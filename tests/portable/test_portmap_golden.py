"""What a real gateway said by PCP and NAT-PMP (golden/portmap.json): the talkers ask the same, byte for byte, and make
the same of the answers."""
import binascii
import json

from wgp2p.mapping import NATPMP, PCP, PORT, Mapping, Want
from wgp2p.pcptalk import NatPmpTalk, PcpTalk, is_news

with open((__file__.rpartition("/")[0] or ".") + "/../golden/portmap.json") as file:
    GOLDEN = json.loads(file.read())

GATEWAY = "10.20.0.1"
TALKERS = {PCP: PcpTalk, NATPMP: NatPmpTalk}


def wanted(said):
    return Want(GATEWAY, said["own_ip"], said["internal_port"], said["external_port"], said["lifetime_s"],
                said["nonce"].encode(), "")


def replay(row, answers):
    """An attempt that hears these answers; what it asked, and its outcome."""
    talk, asked = TALKERS[row["protocol"]](0, wanted(row["want"]), lambda limit: limit // 2), []
    for answer in answers:
        asked += [binascii.hexlify(sent.data).decode() for sent in talk.act(0)]
        talk.received(0, GATEWAY, PORT, binascii.unhexlify(answer))
    return asked, talk.outcome


def test_every_exchange():
    for row in GOLDEN["exchanges"]:
        asked, got = replay(row, [step["answer"] for step in row["steps"]])
        assert asked == [step["ask"] for step in row["steps"]], row["scenario"]
        names = ("external_ip", "external_port", "lifetime_s") if isinstance(got, Mapping) else (
            "code", "final", "taken")
        assert {name: getattr(got, name) for name in names} == row["outcome"], row["scenario"]


def test_no_exchange_is_taken_for_another():
    """An answer to other talkers comes the same way."""
    for row in GOLDEN["exchanges"]:
        others = [step["answer"] for other in GOLDEN["exchanges"] for step in other["steps"]
                  if other["protocol"] != row["protocol"]]
        assert replay(row, others)[1] is None, row["scenario"]


def test_a_restart_is_announced():
    announcement = binascii.unhexlify(GOLDEN["announcement"])
    assert is_news(15000, announcement, (600, 5000), "9.9.9.9")
    assert not is_news(15000, announcement, (0, 14000), "9.9.9.9")
