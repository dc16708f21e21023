"""What a sweep does to the wire between a remote device and its NAT, counted by the NAT's kernel: Python in the
emulated VM would see a thousand packets a second, and nothing else."""
import contextlib
import json
import pathlib

import netns

TABLE = "lab_opened"
OPENER_UDP = 12  # a UDP header, and the 4 bytes that open a port
ENTRY_S = 30
GC_S = 2  # the kernel counts an element of a set for a moment longer than it lasts


class Opened:
    """The device's packets that open a port. rate, entries: what it may send in a second, and what may be open at once
    (nothing: not looked at)."""

    def __init__(self, lab, device="rem", rate=10000, entries=65535):
        self._network = lab.nat_of[device]
        places = {lab.outer(network, False) for network in lab.kinds} | {lab.outer(client, False)
                                                                         for client in lab.clients}
        # A slice of 10 ms, 50 ms caught up on, and the plain tries at the direct path, one a second for each client.
        burst = max(rate * 60 // 1000, 5) + 2 * len(lab.clients) + 5
        netns.nft(self._network, f"""
table inet {TABLE} {{
  counter sent {{ }}
  counter strays {{ }}
  counter fast {{ }}
  counter crowd {{ }}
  set places {{ type ipv4_addr; elements = {{ {", ".join(sorted(places))} }} }}
  set ports {{ type ipv4_addr . inet_service; size 65535; flags dynamic; }}
  set open {{ type ipv4_addr . inet_service; size {min(65535, entries + 2 * len(lab.clients))}
              flags dynamic,timeout; timeout {ENTRY_S - GC_S}s; }}
  chain pre {{
    type filter hook prerouting priority -310
    iifname "lan" udp length {OPENER_UDP} jump look
  }}
  chain look {{
    counter name sent
    add @ports {{ ip daddr . udp dport }}
    ip daddr != @places counter name strays
    limit rate over {rate}/second burst {burst} packets counter name fast
    update @open {{ ip daddr . udp dport }} accept
    counter name crowd
  }}
}}
""")

    def _read(self, *words):
        return json.loads(netns.call(self._network, "nft", "-j", *words))["nftables"]

    def counts(self):
        """{sent: all; strays: to an address that is no client's; fast: too many in a moment; crowd: more open than may
        be}, in packets"""
        return {row["counter"]["name"]: row["counter"]["packets"]
                for row in self._read("list", "counters", "table", "inet", TABLE) if "counter" in row}

    @property
    def sent(self):
        return self.counts()["sent"]

    def ports(self, address=None):
        """The ports (of an address) that were ever opened."""
        rows = next(row["set"] for row in self._read("list", "set", "inet", TABLE, "ports") if "set" in row)
        pairs = [element["concat"] for element in rows.get("elem", [])]
        return {port for place, port in pairs if address in (None, place)}

    def check(self):
        """Nothing went to strangers, and no limit was passed. What was counted."""
        counts = self.counts()
        assert counts["strays"] == counts["fast"] == counts["crowd"] == 0, counts
        return counts


def tracked(host):
    """How many connections a host's kernel has noted."""
    return int(_table(host, "count"))


def _table(host, name):
    with netns.inside(host):
        return pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_" + name).read_text()


@contextlib.contextmanager
def connection_tables_of(most):
    """Every host's connection table holds so many. It is the whole machine's setting: only for the VM."""
    path = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
    before = path.read_text()
    path.write_text(str(most))
    try:
        yield
    finally:
        path.write_text(before)
