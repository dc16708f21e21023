"""What someone else does to the remote device's WireGuard is put right within 2 s, but no peer comes back that was
removed on purpose."""
import time

import pytest
from pairs import start_pair, wait_path
from scenes import SLACK_S, join, wait_connected
from waiting import stays, wait_for

AGAIN_S = 2


def wait_again(lab, what, seconds=AGAIN_S + SLACK_S):
    """The peer has its endpoint and its keepalive again."""
    begin = time.monotonic()

    def is_set():
        peer = lab.peer("rem", "cli0")
        return peer and (peer.endpoint, peer.keepalive) == (f"{lab.seen_as('cli0')}:{lab.port('cli0')}", 10)

    wait_for(is_set, seconds, f"set again after {what}", every=0.05)
    print(f"{what}: set again after {time.monotonic() - begin:.2f} s")


@pytest.mark.slow
def test_what_others_change_is_set_again(lab, interpreter):
    publisher, subscriber = start_pair(lab, interpreter)
    join(lab, "cli0", "nata")
    wait_connected(lab)
    wait_again(lab, "connecting")

    lab.wg_sync("rem")  # as OpenWrt does: the keepalive of the configuration, which is none
    wait_again(lab, "wg syncconf")

    lab.wg_set("rem", "cli0", "remove", "peer", lab.key("cli0"), "allowed-ips", f"{lab.tunnel('cli0')}/32")
    wait_again(lab, "the endpoint is gone")

    lab.wg_down("rem")
    lab.wg_up("rem")
    wait_again(lab, "wg0 is a new one")
    wait_connected(lab, seconds=10)
    wait_path(subscriber, "cli0", "direct")
    assert lab.ping("cli0", "rem")

    lab.wg_set("rem", "cli0", "remove")
    stays(lambda: lab.peer("rem", "cli0") is None, 5, "a removed peer stays removed", every=0.5)
    lab.wg_down("rem")
    lab.wg_up("rem", endpoints={"cli0": ""})
    subscriber.wait_log("publisher pub: connected", 10, count=3)
    stays(lambda: lab.peer("rem", "cli0") is None, 3, "also on a new wg0", every=0.5)
    assert "Traceback" not in subscriber.log() + publisher.log()
