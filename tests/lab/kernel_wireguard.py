"""WireGuard's adapters against the real kernel: what test_wireguard_kernel.py runs under both Pythons, by
tests/portable/run.py, as root where there is WireGuard. Everything happens on this machine's loopback."""
import errno
import gc
import sys

import wgfixture as made
from helpers import Skip, drive

from wgp2p import addr, compat, conntrack, initiations, links, process, wgtext, wireguard
from wgp2p.loop import Loop

NAME, OTHER = "wgk0", "wgk1"
PORT, OTHER_PORT = 41820, 41821
FOLDER = "/tmp/wgp2p-kernel-test"


def sh(script, stdin=b""):
    """What a shell script prints; fails when it fails."""
    loop, ended = Loop(), []
    process.start(loop, ["sh", "-ec", script], ended.append, stdin=stdin, timeout_ms=60000, privileged=True)
    drive(loop, lambda: ended, 70000)
    assert ended[0].code == 0, (script, ended[0].err)
    return ended[0].out.decode()


def fresh():
    """The interface NAME, empty, with its own key and port; gives its public key."""
    try:
        return sh("""
            mkdir -p {f}
            ip link del {n} 2>/dev/null || true; ip link del {o} 2>/dev/null || true
            ip link add {n} type wireguard; wg genkey > {f}/key; wg set {n} private-key {f}/key listen-port {p}
            ip link set {n} up; wg pubkey < {f}/key""".format(f=FOLDER, n=NAME, o=OTHER, p=PORT)).strip()
    except AssertionError as error:
        raise Skip("no root or no WireGuard here: %s" % (error.args,))


def pair(ip="127.0.0.1"):
    """NAME and OTHER know each other; only NAME knows the other's endpoint. Gives both public keys."""
    key = fresh()
    other = sh("""
        ip link add {o} type wireguard; wg genkey > {f}/other; wg set {o} private-key {f}/other listen-port {q}
        ip link set {o} up; wg pubkey < {f}/other""".format(f=FOLDER, o=OTHER, q=OTHER_PORT)).strip()
    sh("wg set {o} peer {key} allowed-ips 10.9.0.1/32; wg set {n} peer {other} allowed-ips 10.9.0.2/32".format(
        n=NAME, o=OTHER, key=key, other=other))
    return key, other, addr.format_endpoint(ip, OTHER_PORT)


def call(method, *args, **options):
    """What an adapter gives to `done`: (device, error) or (error,)."""
    loop, got = Loop(), []
    backend = options.pop("backend", wireguard.Netlink)(loop)
    args = list(args)
    args.insert(2 if method == "set_peer" else 1, lambda *values: got.append(values))
    getattr(backend, method)(*args, **options)
    drive(loop, lambda: got, 15000)
    backend.close()
    assert len(got) == 1
    return got[0]


def read(name=NAME, backend=wireguard.Netlink):
    device, error = call("read", name, backend=backend)
    assert error is None, str(error)
    return device


def change(name, key, **options):
    error = call("set_peer", name, key, **options)[0]
    assert error is None, str(error)


def values(device):
    """Everything of a device that `wg show` tells too."""
    peers = [(p.key, p.endpoint, tuple(sorted(p.allowed_ips)), p.keepalive, p.handshake, p.rx, p.tx)
             for p in device.peers.values()]
    return device.name, device.listen_port, device.public_key, sorted(peers, key=lambda row: row[0])


def shown(name=NAME):
    """The same by wg(8)."""
    return values(wgtext.read_dump(name, sh("wg show %s dump" % name).encode()))


def configure(count, networks):
    """Give NAME `count` peers of many allowed IPs each."""
    lines = ["[Interface]", "ListenPort = %d" % PORT, "PrivateKey = " + sh("cat %s/key" % FOLDER).strip()]
    for number in range(1, count + 1):
        allowed = ["10.%d.%d.%d/32" % (number % 200, n // 200, n % 200) for n in range(networks)]
        allowed += ["fd00:%x::/64" % number] if networks else []
        endpoint = "[2001:db8::%x]:%d" % (number, number) if number % 2 else "203.0.113.%d:%d" % (number % 250, number)
        lines += ["[Peer]", "PublicKey = " + made.key(number), "Endpoint = " + endpoint,
                  "PersistentKeepalive = %d" % (number % 3 * 1000)]
        lines += ["PresharedKey = " + made.key(number + 5000)] if number % 4 == 0 else []
        lines += ["AllowedIPs = " + ", ".join(allowed)] if allowed else []
    sh("cat > {f}/conf; wg setconf {n} {f}/conf".format(f=FOLDER, n=NAME), "\n".join(lines).encode() + b"\n")


# -- reading ----------------------------------------------------------------------------------------

def test_device_without_peers():
    key = fresh()
    device = read()
    assert (device.name, device.listen_port, device.public_key, device.peers) == (NAME, PORT, key, {})
    assert device.ifindex == int(sh("cat /sys/class/net/%s/ifindex" % NAME)) == links.link_index(NAME)


def test_devices_read_as_wg_shows_them():
    fresh()
    for count, networks in ((1, 0), (1, 3), (1, 600), (150, 12), (3, 250)):
        configure(count, networks)
        assert values(read()) == shown(), (count, networks)
        gc.collect()


def test_tool_reads_the_same():
    fresh()
    configure(3, 3)
    assert values(read(backend=wireguard.Tool)) == shown() and read(backend=wireguard.Tool).ifindex


def test_unchanged_peers_are_the_same_objects():
    key, other, endpoint = pair()
    sh("wg set %s peer %s" % (NAME, made.key(1)))
    loop, got = Loop(), []
    backend = wireguard.Netlink(loop)
    backend.read(NAME, lambda device, error: got.append(device))
    backend.set_peer(NAME, other, lambda error: got.append(error), endpoint=endpoint)
    backend.read(NAME, lambda device, error: got.append(device))
    assert got[1] is None and got[0].peers[made.key(1)] is got[2].peers[made.key(1)]
    assert got[0].peers[other].endpoint is None and got[2].peers[other].endpoint == endpoint
    backend.close()


def test_errors_are_told_apart():
    fresh()
    for backend in (wireguard.Netlink, wireguard.Tool, wireguard.Auto, wireguard.Uapi):
        device, error = call("read", "wgk-none", backend=backend)
        assert device is None and error.code == "missing", (backend, str(error))
        assert call("set_peer", "wgk-none", made.key(1), backend=backend, keepalive=1)[0].code == "missing"
        assert call("read", "../x", backend=backend)[1].code == "failed"
    for backend in (wireguard.Netlink, wireguard.Tool):
        error = call("read", "lo", backend=backend)[1]
        assert error.code == "failed" and "not a WireGuard interface" in str(error), str(error)
    assert call("set_peer", NAME, "short", keepalive=1)[0].code == "failed"
    assert call("set_peer", NAME, made.key(1), endpoint="203.0.113.1:0")[0].code == "failed"


UNPRIVILEGED = """
import sys
sys.path[:0] = %r
from wgp2p import wireguard, conntrack, initiations
from wgp2p.loop import Loop
loop = Loop()
def say(*values):
    print(values[-1].code, str(values[-1]))
wireguard.Netlink(loop).read("wgk0", say)
wireguard.Netlink(loop).set_peer("wgk0", %r, say, keepalive=1)
for what, kind in ((conntrack.Conntrack, conntrack.ConntrackError), (initiations.Initiations, OSError)):
    try:
        what(loop, 1, None)
    except kind as error:
        print(error)
"""


def test_unprivileged_user_is_told_so():
    fresh()
    program = FOLDER + "/unprivileged.py"
    python = sys.executable or "micropython"
    sh("cat > " + program, (UNPRIVILEGED % (sys.path, made.key(1))).encode())
    out = sh("setpriv --reuid=65534 --regid=65534 --clear-groups %s %s" % (python, program)).strip().split("\n")
    assert len(out) == 4 and out[0].startswith("denied") and out[1].startswith("denied"), out
    assert "CAP_NET_ADMIN" in out[0] and "CAP_NET_ADMIN" in out[2] and out[3], out


# -- changing ---------------------------------------------------------------------------------------

def test_endpoint_and_keepalive_are_set():
    key, other, _ = pair()
    for endpoint in ("203.0.113.7:1", "[2001:db8::7]:65535"):
        change(NAME, other, endpoint=endpoint)
        assert read().peers[other].endpoint == endpoint and read().peers[other].keepalive == 0
    change(NAME, other, keepalive=65535)
    peer = read().peers[other]
    assert (peer.endpoint, peer.keepalive, peer.allowed_ips) == ("[2001:db8::7]:65535", 65535, ("10.9.0.2/32",))
    change(NAME, other, keepalive=0)
    assert read().peers[other].keepalive == 0


def test_nudge_sends_at_once_and_a_set_does_not():
    for ip in ("127.0.0.1", "::1"):
        key, other, endpoint = pair(ip)
        change(NAME, other, endpoint=endpoint)
        assert read().peers[other].tx == 0
        change(NAME, other, endpoint=endpoint, keepalive=25, nudge=True)  # no session: a handshake initiation
        loop = Loop()
        begin = loop.now()
        drive(loop, lambda other=other: read().peers[other].handshake)
        assert loop.now() - begin < 2000
        drive(loop, lambda key=key: read(OTHER).peers[key].handshake)
        assert read(OTHER).peers[key].endpoint == addr.format_endpoint(ip, PORT)
        for _ in range(3):  # a session: a keepalive, each time
            before = read(OTHER).peers[key].rx
            change(NAME, other, endpoint=endpoint, keepalive=25, nudge=True)
            drive(loop, lambda key=key, before=before: read(OTHER).peers[key].rx > before, 2000)
        assert read().peers[other].keepalive == 25


def test_peer_deleted_between_read_and_set_stays_deleted():
    for backend in (wireguard.Netlink, wireguard.Tool, wireguard.Auto):
        key, other, endpoint = pair()
        assert other in read(backend=backend).peers
        sh("wg set %s peer %s remove" % (NAME, other))
        for nudge in (False, True):
            error = call("set_peer", NAME, other, backend=backend, endpoint=endpoint, keepalive=25, nudge=nudge)[0]
            assert error is None, str(error)
        assert read().peers == {}, backend


def test_tool_removes_a_peer_that_it_made():
    """The peer is deleted after the tool's own look, just before `wg set`."""
    key, other, endpoint = pair()
    loop, got = Loop(), []
    backend = wireguard.Tool(loop)
    run = backend._run

    def interfere(name, words, ran):
        if words[1] == "set" and "remove" not in words:
            sh("wg set %s peer %s remove" % (NAME, other))
        run(name, words, ran)

    backend._run = interfere
    backend.set_peer(NAME, other, got.append, endpoint=endpoint, keepalive=25)
    drive(loop, lambda: got, 15000)
    assert got == [None] and read().peers == {}


def test_tool_sets():
    key, other, endpoint = pair()
    error = call("set_peer", NAME, other, backend=wireguard.Tool, endpoint=endpoint, keepalive=25, nudge=True)[0]
    assert error is None, str(error)
    peer = read().peers[other]
    assert (peer.endpoint, peer.keepalive, peer.allowed_ips) == (endpoint, 25, ("10.9.0.2/32",)) and peer.tx


# -- links ------------------------------------------------------------------------------------------

def test_interface_made_again_is_known_at_once_and_has_another_index():
    fresh()
    before, loop, calls, risen = read().ifindex, Loop(), [], set()

    def called(up_again):
        calls.append(loop.now())
        risen.update(up_again)

    watch = links.LinkWatch(loop, called)
    loop.run_once(150)
    assert not calls
    fresh()
    begin = loop.now()
    drive(loop, lambda: calls)
    assert calls[0] - begin < 100 and read().ifindex != before
    counted(loop, calls, lambda: None)
    assert counted(loop, calls, lambda: sh("ip address add 10.9.0.1/24 dev " + NAME))
    risen.clear()
    assert counted(loop, calls, lambda: sh("ip link set {n} down".format(n=NAME))) and not risen
    assert counted(loop, calls, lambda: sh("ip link set {n} up".format(n=NAME))) and risen == {read().ifindex}
    watch.close()


def test_addresses():
    fresh()
    sh("ip address add 10.9.0.1/24 dev {n}; ip address add fd00:9::1/64 dev {n}".format(n=NAME))
    found = links.addresses(links.link_index(NAME))
    assert sorted([ip for ip in found if not ip.startswith("fe80")]) == ["10.9.0.1", "fd00:9::1"], found
    assert "127.0.0.1" in links.addresses() and "10.9.0.1" in links.addresses()
    assert links.addresses(99999) == []
    try:
        links.link_index("wgk-none")
    except OSError as error:
        assert error.args[0] == errno.ENODEV
    else:
        raise AssertionError("found")


# -- signals ----------------------------------------------------------------------------------------

def tracked():
    """Make the kernel track flows here, from an empty table, or skip."""
    fresh()
    sh("""nft add table inet wgk; nft add chain inet wgk in '{ type filter hook input priority 0; }'
          nft flush chain inet wgk in; nft add rule inet wgk in ct state new counter; conntrack -F 2>/dev/null""")


def udp_from(ip, port, to, data=b"x"):
    """Send a datagram from ip:port to `to`."""
    sock = compat.open_socket(compat.AF_INET6 if ":" in ip else compat.AF_INET, compat.SOCK_DGRAM)
    sock.bind(compat.sockaddr(ip, port))
    sock.sendto(data, compat.sockaddr(*to))
    sock.close()


def counted(loop, seen, send):
    """How often a signal came from what `send` does, given 150 ms."""
    del seen[:]
    send()
    end = loop.now() + 150
    while loop.now() < end:
        loop.run_once(20)
    return len(seen)


def test_conntrack_tells_new_flows_to_the_port_and_no_others():
    tracked()
    loop, seen = Loop(), []
    watch = conntrack.Conntrack(loop, OTHER_PORT, lambda: seen.append(1))
    for ip in ("127.0.0.1", "::1"):
        assert counted(loop, seen, lambda ip=ip: udp_from(ip, 5001, (ip, OTHER_PORT))) == 1, ip
        assert counted(loop, seen, lambda ip=ip: udp_from(ip, 5001, (ip, OTHER_PORT))) == 0  # the same flow
        assert counted(loop, seen, lambda ip=ip: udp_from(ip, 5002, (ip, OTHER_PORT))) == 1
        assert counted(loop, seen, lambda ip=ip: udp_from(ip, 5003, (ip, OTHER_PORT + 1))) == 0
        assert counted(loop, seen, lambda ip=ip: udp_from(ip, OTHER_PORT, (ip, 5004))) == 0
    assert counted(loop, seen, lambda: sh("python3 -c '%s'" % (
        "import socket; s = socket.socket(); s.connect_ex((\"127.0.0.1\", %d))" % OTHER_PORT))) == 0  # TCP
    watch.close()


def test_a_forgotten_flow_is_new_again():
    tracked()
    loop, seen = Loop(), []
    watch = conntrack.Conntrack(loop, OTHER_PORT, lambda: seen.append(1))
    for ip, endpoint, own in (("127.0.0.1", "127.0.0.1:5021", ["::1", "127.0.0.1"]), ("::1", "[::1]:5021", ["::1"])):
        def send(ip=ip):
            udp_from(ip, 5021, (ip, OTHER_PORT))

        assert counted(loop, seen, send) == 1
        assert counted(loop, seen, send) == 0
        watch.forget(endpoint, own)
        assert counted(loop, seen, send) == 1, ip
    watch.forget("127.0.0.1:5022", ["127.0.0.1"])  # there is none
    watch.close()


def test_conntrack_flood_costs_few_calls_and_ends():
    tracked()
    loop, seen = Loop(), []
    watch = conntrack.Conntrack(loop, PORT, lambda: seen.append(1))
    begin = loop.now()
    for port in range(10000, 10600):
        udp_from("127.0.0.1", port, ("127.0.0.1", PORT))
        loop.run_once(0)
    while loop.now() < begin + 1000:
        loop.run_once(20)
    limit = 20 * ((loop.now() - begin) // 1000 + 2)
    assert 0 < len(seen) <= limit, (len(seen), limit)
    end = loop.now() + 1500
    while loop.now() < end:
        loop.run_once(20)
    assert counted(loop, seen, lambda: udp_from("127.0.0.1", 5010, ("127.0.0.1", PORT))) >= 1  # it hears again
    watch.close()


def test_lost_events_are_a_call():
    tracked()
    loop, seen = Loop(), []
    watch = conntrack.Conntrack(loop, PORT, lambda: seen.append(1))
    for port in range(20000, 20400):  # nobody reads meanwhile
        udp_from("127.0.0.1", port, ("127.0.0.1", PORT))
    loop.run_once(100)
    assert seen
    watch.close()


def test_initiations_are_seen_and_nothing_else():
    for ip in ("127.0.0.1", "::1"):
        initiations_at(ip)


def initiations_at(ip):
    key, other, endpoint = pair(ip)
    loop, seen = Loop(), []
    watch = initiations.Initiations(loop, OTHER_PORT, seen.append)
    change(NAME, other, endpoint=endpoint, keepalive=25, nudge=True)
    drive(loop, lambda: seen)
    assert seen == [addr.format_endpoint(ip, PORT)]
    drive(loop, lambda: read().peers[other].handshake)
    good = b"\x01\0\0\0" + bytes(144)
    for to, data in ((OTHER_PORT, b"\x02" + good[1:]), (OTHER_PORT, good[:-1]), (OTHER_PORT, good + b"x"),
                     (OTHER_PORT, b"\x01\0\0\x01" + good[4:]), (OTHER_PORT + 1, good), (PORT, good)):
        assert counted(loop, seen, lambda to=to, data=data: udp_from(ip, 5020, (ip, to), data)) == 0
    assert counted(loop, seen, lambda: udp_from(ip, 5020, (ip, OTHER_PORT), good)) == 1
    assert seen == [addr.format_endpoint(ip, 5020)]
    watch.close()


# -- userspace --------------------------------------------------------------------------------------

def userspace():
    """NAME by wireguard-go instead of the kernel, with OTHER in the kernel as its peer."""
    key, other, endpoint = pair()
    try:
        process.find("wireguard-go")
    except process.ProcessError:
        raise Skip("no wireguard-go")
    sh("""ip link del {n}; mkdir -p /dev/net; test -c /dev/net/tun || mknod /dev/net/tun c 10 200; modprobe tun
          WG_PROCESS_FOREGROUND=1 setsid wireguard-go {n} >{f}/go.log 2>&1 &
          for i in $(seq 100); do test -S /var/run/wireguard/{n}.sock && break; sleep 0.1; done
          wg set {n} private-key {f}/key listen-port {p} peer {other} allowed-ips 10.9.0.2/32,fd00::2/128
          ip link set {n} up""".format(n=NAME, f=FOLDER, p=PORT, other=other))
    return key, other, endpoint


def test_userspace_wireguard():
    key, other, endpoint = userspace()
    for backend in (wireguard.Uapi, wireguard.Auto, wireguard.Tool):
        device = read(backend=backend)
        assert device.listen_port == PORT and device.ifindex == links.link_index(NAME)
        assert device.peers[other].allowed_ips == ("10.9.0.2/32", "fd00::2/128"), device.peers[other].allowed_ips
        assert device.peers[other].endpoint is None
    for backend in (wireguard.Uapi, wireguard.Auto):
        change(NAME, other, backend=backend, endpoint="[2001:db8::7]:9", keepalive=0)
        assert read(backend=backend).peers[other].endpoint == "[2001:db8::7]:9"
        change(NAME, other, backend=backend, endpoint=endpoint, keepalive=25, nudge=True)
        drive(Loop(), lambda: read(OTHER).peers[key].handshake)
        drive(Loop(), lambda: read(backend=wireguard.Uapi).peers[other].handshake)
        before = read(OTHER).peers[key].rx
        change(NAME, other, backend=backend, endpoint=endpoint, keepalive=25, nudge=True)
        drive(Loop(), lambda before=before: read(OTHER).peers[key].rx > before)
    sh("wg set %s peer %s remove" % (NAME, other))
    for backend in (wireguard.Uapi, wireguard.Auto):
        change(NAME, other, backend=backend, endpoint=endpoint, keepalive=25, nudge=True)
        assert read(backend=backend).peers == {}
    sh("ip link del " + NAME)
    loop = Loop()
    drive(loop, lambda: call("read", NAME, backend=wireguard.Auto)[1] is not None)
    assert call("read", NAME, backend=wireguard.Auto)[1].code == "missing"
