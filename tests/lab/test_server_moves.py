"""The public server gets another address, and the DNS says so."""
import time

import pytest
from pairs import publisher_config, subscriber_config
from waiting import wait_for

NAME = "vps.example.org"
BACK_S = 30


@pytest.mark.slow
def test_server_moves(lab, interpreter):
    """At the same moment as the DNS, which is the hardest: nobody has noticed anything yet."""
    lab.dns.table[NAME] = [lab.outer("pub")]
    lab.daemon("pub", interpreter, publisher_config(lab, "pub")).start()
    subscriber = lab.daemon("rem", interpreter, subscriber_config(lab, "rem", server_host=NAME)).start()
    subscriber.wait_log("publisher pub: connected", 30)
    assert not lab.dns.queries, "no need to ask while it works"
    lab.renumber("pub", 44)
    lab.dns.table[NAME] = [lab.outer("pub")]
    moved = time.monotonic()
    subscriber.wait_log("publisher pub: connected", BACK_S + 15, count=2)
    took = time.monotonic() - moved
    print(f"back after {took:.1f} s")
    assert lab.peer("rem", "pub").endpoint == "203.0.113.44:51820"
    assert lab.peer("rem", "pub").keepalive == 10
    assert took < BACK_S
    asked = len(lab.dns.queries)
    assert 1 <= asked <= 8, "A and AAAA, every 10 s at most"
    wait_for(lambda: lab.ping("rem", "pub"), 2, "the tunnel works")
