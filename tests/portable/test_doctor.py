"""doctor.py: for each thing that can be wrong, the one finding, and words that say what to do."""
from wgp2p import doctor

NOW_S = 1800000000


def link(**more):
    row = {"name": "vps", "publisher": "10.7.0.1", "port": 8080, "public_key": "K", "mode": "events", "problem": "",
           "connected_age": 60.0, "tunnel_age": 3.0, "refused": None, "you": "203.0.113.9:51820", "relays": False}
    row.update(more)
    return row


def status(*links, **more):
    found = {"publishers": [], "warnings": [], "portmaps": [], "stale_profiles": [],
             "wan": {"device": ["eth1"], "address": ["192.0.2.7"], "problem": ""},
             "subscribers": [{"interface": "wg0", "problem": "", "listen_port": 51820, "peers": [],
                              "publishers": list(links)}]}
    found.update(more)
    return found


def examine(found, unix_s=NOW_S, rewritten=None, flowtables=""):
    rows = doctor.examine(doctor.Facts(found, unix_s, rewritten or [], flowtables))
    for row in rows:
        assert sorted(row) == ["advice", "code", "level", "text"] and row["text"].endswith("."), row
        assert row["level"] in ("ok", "warning", "error") and (row["advice"] or row["level"] != "error"), row
    return rows


def codes(rows, level=None):
    return [row["code"] for row in rows if level in (None, row["level"])]


def wan(*addresses):
    return {"device": ["eth1"], "address": list(addresses), "problem": ""}


def test_all_is_well():
    rows = examine(status(link()))
    assert codes(rows) == codes(rows, "ok") == ["publisher", "port-kept"]


def test_one_finding_for_each_fault():
    down = {"mode": "connecting", "problem": "connection refused", "connected_age": None, "you": None}
    for code, level, found in (
            ("token-missing", "error", status(link(mode="no token", problem="cannot read the token file",
                                                   public_key=None, you=None))),
            ("token-refused", "error", status(link(refused=401, **down))),
            ("token-refused", "error", status(link(refused=403, **down))),
            ("no-publisher", "error", status(link(**down))),
            ("tunnel-down", "error", status(dict(
                link(**down), tunnel_age=None))),
            ("tunnel-down", "error", status(dict(link(**down), tunnel_age=181.0))),
            ("no-server-peer", "error", status(dict(link(**down), public_key=None))),
            ("off", "error", status(subscribers=[])),
            ("interface", "error", status(subscribers=[{"interface": "wg0", "problem": "no such device", "peers": [],
                                                        "listen_port": None, "publishers": []}])),
            ("firewall", "warning", status(link(), wan=dict(wan("192.0.2.7"), problem="nft is not installed"))),
            ("cgnat", "warning", status(link(), wan=wan("100.64.3.4"))),
            ("cgnat", "warning", status(link(), wan=wan("192.168.1.2", "100.127.255.254"))),
            ("behind-router", "ok", status(link(), wan=wan("192.168.178.20"))),
            ("configuration", "warning", status(link(), warnings=["warning: line 3: unknown option is ignored."]))):
        rows = [row for row in examine(found) if row["code"] not in ("publisher", "port-kept")]
        assert codes(rows) == [code] and rows[0]["level"] == level, (code, rows)


def publisher(state="off", problem="", pairs=()):
    """With a relay of this state and problem."""
    return {"interface": "wg0", "problem": "", "address": ["10.7.0.1", "fd00::1"], "port": 8080, "subscribers": 2,
            "peers": [{"device": True}, {"device": False}],
            "relay": {"state": state, "problem": problem, "pairs": list(pairs), "routes": 2 * len(pairs)}}


def test_a_publisher():
    part = publisher()
    rows = examine(status(subscribers=[], publishers=[part]))
    assert codes(rows, "ok") == ["serving"] and "10.7.0.1, fd00::1, port 8080; connections: 2." in rows[0]["text"]
    rows = examine(status(subscribers=[], publishers=[dict(part, peers=[{"device": False}])]))
    assert codes(rows) == codes(rows, "warning") == ["no-device"]
    assert codes(examine(status(subscribers=[], publishers=[dict(part, problem="no such device")]))) == ["interface"]


def test_the_relay():
    for code, level, part, words in (
            ("relay", "ok", publisher("kernel", "", [{}, {}]), "on it: 2."),
            ("relay-slow", "warning", publisher("userspace", "this machine forwards no packets"),
             "slower: this machine forwards no packets."),
            ("relay-off", "warning", publisher("off", "nft is not installed"), "does not work: nft is not installed.")):
        rows = [row for row in examine(status(subscribers=[], publishers=[part])) if row["code"] != "serving"]
        assert codes(rows, level) == [code] and words in rows[0]["text"], rows
        part["problem"] = "no such device"
        assert codes(examine(status(subscribers=[], publishers=[part]))) == ["interface"]
    assert codes(examine(status(subscribers=[], publishers=[publisher()]))) == ["serving"], "nobody wants it"


def peer(path, since_age, name="phone", reason="through the public server"):
    return {"name": name, "path": path, "since_age": since_age, "reason": reason}


def test_a_client_that_stays_on_the_relay():
    found = status(link())
    part = found["subscribers"][0]
    for peers, names in (([peer("relay", 299.0)], None), ([peer("direct", 999.0), peer("static", None)], None),
                         ([peer("relay", 999.0, "phone", "through the public server, as option path says")], None),
                         ([peer("relay", 300.0)], "time: phone."),
                         ([peer("relay", 900.0, "tablet"), peer("relay", 301.0), peer("relay", 1.0, "laptop")],
                          "time: phone, tablet.")):
        part["peers"] = peers
        rows = [row for row in examine(found) if row["code"] == "relayed"]
        assert len(rows) == (names is not None), rows
        if names:
            assert names in rows[0]["text"] and "51820" in rows[0]["advice"] and rows[0]["level"] == "ok"


def test_without_nftables_a_device_cannot_hand_its_sessions_to_the_relay():
    for relays in (False, True):
        found = status(link(relays=relays), wan=dict(wan("192.0.2.7"), problem="nft is not installed"))
        rows = [row for row in examine(found) if row["code"] == "firewall"]
        assert len(rows) == 1 and ("over the relay" in rows[0]["text"]) == relays


def test_a_fault_hides_its_consequences():
    found = status(dict(link(), public_key=None, mode="connecting", problem="no such interface"))
    found["subscribers"][0]["problem"] = "no such device"
    assert codes(examine(found), "error") == ["interface"]


def test_addresses_that_tell_nothing():
    for ip in ("100.63.255.255", "100.128.0.1", "172.32.0.1", "2001:db8::1", "192.0.2.7"):
        assert codes(examine(status(link(), wan=wan(ip)))) == ["publisher", "port-kept"], ip


def portmap(**more):
    row = {"port": 51820, "gateway": "192.168.1.1", "protocol": "pcp", "external": "203.0.113.9:51820",
           "lifetime_left": 3600, "error": "", "forward": None, "verdict": "open"}
    row.update(more)
    return [{"interface": "wg0", "gateway": "192.168.1.1", "address": "192.168.1.2", "problem": "", "mappings": [row]}]


def test_mappings():
    for code, level, parts in (
            ("mapped", "ok", portmap()), ("mapped", "ok", portmap(verdict="")),
            ("mapped", "ok", portmap(verdict="unknown", error="no publisher is connected")),
            ("mapping-dead", "warning", portmap(verdict="filtered")),
            ("mapping-dead", "warning", portmap(verdict="rewritten")),
            ("mapped-elsewhere", "warning", portmap(external="203.0.113.9:40000")),
            ("not-mapped", "warning", portmap(external=None, error="it does not want to")),
            ("portmap", "warning", [dict(portmap()[0], problem="no way to the gateway")])):
        rows = [row for row in examine(status(link(), portmaps=parts)) if row["code"] not in ("publisher", "port-kept")]
        assert codes(rows) == [code] and rows[0]["level"] == level, (code, rows)


def test_what_is_seen_of_a_mapping():
    for words, parts in (("by pcp; seen from outside: open.", portmap()),
                         ("by pcp; not looked at from outside yet.", portmap(verdict="")),
                         ("seen from outside: unknown (no publisher is connected).",
                          portmap(verdict="unknown", error="no publisher is connected")),
                         ("by pcp, for 192.168.1.20:51820.", portmap(verdict="", forward="192.168.1.20:51820"))):
        text = [row["text"] for row in examine(status(link(), portmaps=parts)) if row["code"] == "mapped"][0]
        assert text.endswith(words), text


def test_stale_profiles():
    rows = examine(status(link(), stale_profiles=["laptop", "phone"]))
    assert codes(rows, "warning") == ["stale-profiles"] and "laptop, phone" in rows[0]["text"]


def test_clock():
    assert codes(examine(status(link()), unix_s=86400), "warning") == ["clock"]


def test_who_changed_the_port():
    other = link(you="203.0.113.9:61000")
    for code, level, found, rewritten in (
            ("port-rewritten-upstream", "warning", status(other), []),
            ("port-rewritten-here", "error", status(other), [51820]),
            ("port-rewritten-here", "error", status(other, wan=wan("203.0.113.9")), []),
            ("port-rewritten-upstream", "warning", status(other), [51821])):
        rows = examine(found, rewritten=rewritten)
        assert codes(rows, level)[0] == code, (code, rows)
        assert "61000" in rows[0]["text"] + rows[0]["advice"] and "51820" in rows[0]["text"]


def test_a_symmetric_nat_shows_with_two_publishers():
    rows = examine(status(link(you="203.0.113.9:61000"), link(name="office", you="203.0.113.9:61001")))
    assert codes(rows, "error") == ["symmetric"] and "61000 and 61001" in rows[0]["text"]
    rows = examine(status(link(), link(name="office", you="198.51.100.9:51820")))
    assert codes(rows, "error") == [], "two WANs, each keeps the port"


def test_hardware_offload():
    text = "table inet fw4 {\n\tflowtable ft {\n\t\thook ingress priority filter\n\t\tdevices = { eth1 }\n%s\t}\n}\n"
    for line, wanted in (("\t\tflags offload;\n", ["hardware-offload"]), ("\t\tflags counter,offload\n",
                         ["hardware-offload"]), ("\t\tcounter\n", []), ("", [])):
        assert codes(examine(status(link()), flowtables=text % line), "warning") == wanted, line


def test_the_worst_comes_first():
    rows = examine(status(link(), wan=wan("100.64.0.1"), warnings=["warning: x."],
                          publishers=[dict(publisher(), problem="no such device")]))
    order = ["error", "warning", "ok"]
    places = [order.index(row["level"]) for row in rows]
    assert places == sorted(places) and len(rows) == 5, rows
