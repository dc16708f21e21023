"""Together with the original project (reindertpelsma/WireguardP2P), each side in the other's place, by what the real
programs say (tests/golden/original.json)."""
import json
import re
import time

import pytest
from daemon import PROJECT
from pairs import publisher_config, subscriber_config, token_of, wait_path
from programs import Pinger
from scenes import join
from standin import StandIn, original_answer
from waiting import wait_for
from wire import connect, read_all

RECORDED = json.loads((PROJECT / "tests/golden/original.json").read_text())


@pytest.mark.slow
def test_our_subscriber_with_the_original_publisher(lab, interpreter):
    """It has nothing but /api/peers, so it is polled, every 3 s as by the original."""
    publisher = StandIn("pub", lab.tunnel("pub"), token_of("rem"), original_answer(lab, "pub"))
    subscriber = lab.daemon("rem", interpreter, subscriber_config(lab, "rem")).start()
    subscriber.wait_log("publisher pub: connected (polling)", 30)
    join(lab, "cli0", "nata")
    pinger = Pinger("cli0", lab.tunnel("rem"))
    wait_for(lambda: pinger.replies, 25, "the first ping comes back")
    moved = lab.move("cli0", "natb")
    print(f"roam: {pinger.wait_after(moved, 25):.1f} s")
    wait_path(subscriber, "cli0", "direct")
    pinger.stop()
    paths = [path for path, _ in publisher.requests]
    assert all(allowed for _, allowed in publisher.requests)
    assert paths.count("/api/events") == 1, "asked for once, not at every poll"
    publisher.close()


@pytest.mark.slow
def test_the_original_subscriber_with_our_publisher(lab, interpreter):
    """What it does: GET with the token; endpoint and latest_handshake of each peer, by its own clock."""
    lab.daemon("pub", interpreter, publisher_config(lab, "pub", address=lab.tunnel("pub"))).start()
    join(lab, "cli0", "nata")
    stale = 120

    request = re.sub("(Host: ).*", rf"\g<1>{lab.tunnel('pub')}:8080\r", RECORDED["subscriber"][0])
    request = re.sub("(Bearer ).*", rf"\g<1>{token_of('rem')}\r", request).encode()

    def poll():
        """The peers as it sees them: {key: (endpoint, online)}. KeyError where a field is missing that it reads."""
        with connect("rem", lab.tunnel("pub")) as connection:
            connection.sendall(request)
            head, _, body = read_all(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        now, data = int(time.time()), json.loads(body)
        recorded = json.loads(RECORDED["publisher"][0]["answer"].partition("\r\n\r\n")[2])
        assert set(data) >= set(recorded) and set(data["peers"][0]) >= set(recorded["peers"][0])
        return {row["public_key"]: (row["endpoint"], row["latest_handshake"] != 0
                                    and now - int(row["latest_handshake"]) <= stale) for row in data["peers"]}

    wait_for(lambda: poll().get(lab.key("cli0"), (None, False))[1], 15, "the client is online")
    peers = poll()
    assert peers[lab.key("cli0")][0] == f"{lab.outer('nata')}:{lab.port('cli0')}"
    assert lab.key("rem") not in peers, "the original excludes the remote device itself with an option"
    lab.wg_set("rem", "cli0", "endpoint", peers[lab.key("cli0")][0], "persistent-keepalive", 10)
    wait_for(lambda: lab.ping("cli0", "rem"), 15, "connected by what it was told")
