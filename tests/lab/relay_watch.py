"""What the public server's relay has in the kernel, and what it tells of itself."""
import re

import netns

TABLE = "wgp2p_relay"
SESSIONS = "wgp2p_sessions"  # the device's
_ELEMENT = re.compile(r"([0-9a-f.:]+) \. (\d+) \. (0x[0-9a-f]+) (?:timeout \S+ )?expires \S+ : ([0-9a-f.:]+)")


def relay_status(publisher):
    """What `wgp2p status` tells of a publisher's relay."""
    return publisher.status()["publishers"][0]["relay"]


def routes(server="pub", family=4):
    """{(source address, port, index): target address} that the kernel passes on."""
    text = netns.call(server, "nft", "list", "map", "inet", TABLE, f"address{family}", check=False)
    return {(address, int(port), int(index, 16)): target
            for address, port, index, target in _ELEMENT.findall(" ".join(text.split()))}


def counted(server="pub"):
    """(packets that the kernel was to pass on, packets that it did)"""
    def packets(name):
        text = netns.call(server, "nft", "list", "counter", "inet", TABLE, name)
        return int(re.search(r"packets (\d+)", text)[1])

    return packets("in4") + packets("in6"), packets("out4") + packets("out6")
