r"""A little internet of network namespaces, in which WireGuard clients roam between NATs.

        pub .10   pub2 .11   dns .53            natr .20 --- rem     natr2 .21 --- rem2
            \        |        /                 /                    /
             \       |       /                 /                    /
      --------------- the internet: 203.0.113.0/24 and 2001:db8::/64 ---------------
               /                |                    \        20 ms in each direction
          nata .31          natb .32                (inet)      between any two wires
              \                |                    /
               cli0, cli1, ...   one uplink each at a time; behind natr it is on rem's own LAN,
                                 "inet" is a public address .100, .101, ... of its own

 servers   pub, pub2, ...   public servers; WireGuard port 51820        tunnel 10.77.1.1, .2, ...
 devices   rem, rem2, ...   remote devices, each behind its own NAT     tunnel 10.77.2.1, .2, ...
 clients   cli0, cli1, ...  nothing but plain WireGuard, port 36906+n   tunnel 10.77.3.1, .2, ...
 networks  natr, natr2, ... (LAN 10.20.0.0/24, 10.21.0.0/24, ...), nata, natb, ... (LAN 10.31.0.0/24, ...)

A host is addressed by its name everywhere. Its uplink is called "wan" (a client's is called as its network),
its WireGuard device "wg0". Servers and devices have WireGuard up from the start: a server has all as its
peers and knows nobody's endpoint; a device knows its servers' endpoints and keeps them alive; it has the
clients as peers without endpoint, which is what wgp2p is for.
"""
import pathlib
import shutil
import tempfile
import time

import dns_server
import nat
import netns
import wireguard_lab as wireguard
from daemon import Daemon

DELAY = "20ms"
CLIENT_PORT = 36906
TUNNEL_BITS = 16
INET = "inet"
PREFIX = "203.0.113"
APART = ("198.51.100", "192.0.2", "198.18.0", "198.19.0")  # prefixes of which no two are of one /16


def numbered(stem, count):
    """pub, pub2, pub3"""
    return [stem + (str(n) if n > 1 else "") for n in range(1, count + 1)]


class Topology:
    """servers: how many; devices: the kind of NAT before each; networks: the kind of each client NAT
    (nata, natb, ...); clients: how many; ipv6: WireGuard's own packets go over IPv6; apart: client NATs have addresses
    that are not alike, as those of different providers."""

    def __init__(self, servers=1, devices=("cone",), networks=("cone", "cone"), clients=1, ipv6=False, apart=False):
        self.ipv6 = ipv6
        self.servers = numbered("pub", servers)
        self.devices = numbered("rem", len(devices))
        self.clients = [f"cli{n}" for n in range(clients)]
        self.nat_of = dict(zip(self.devices, numbered("natr", len(devices))))
        self.kinds = dict(zip(self.nat_of.values(), devices))
        self.kinds.update(zip(["nat" + letter for letter in "abcdefgh"], networks))
        self.uplink = dict.fromkeys(self.clients)  # {client: network or None}
        self._joined = set()  # (client, network) with a wire between them
        self._wg = {}  # {host: what its WireGuard device is called}
        self._numbers = {"dns": 53}
        self._numbers.update((name, 10 + n) for n, name in enumerate(self.servers))
        self._numbers.update((name, 20 + n) for n, name in enumerate(self.nat_of.values()))
        others = [name for name in self.kinds if name not in self.nat_of.values()]
        self._numbers.update((name, 31 + n) for n, name in enumerate(others))
        self._prefixes = dict(zip(others, APART * 2)) if apart else {}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wgp2p-lab-"))
        self.dns = None  # DnsServer, while the lab is up
        self.relays = True  # whether publishers relay unless told otherwise
        self.sweep = {}  # options of the devices' sweep
        self.daemons = []

    # -- addresses ----------------------------------------------------------------------------------

    def outer(self, host, ipv6=None):
        """The internet address of a server, of a NAT, of "dns", or of a client whose uplink is "inet"."""
        number = 100 + self.clients.index(host) if host in self.clients else self._numbers[host]
        return f"2001:db8::{number}" if self._v6(ipv6) else f"{self._prefixes.get(host, PREFIX)}.{number}"

    def inner(self, host, network=None, ipv6=None):
        """A host's address behind a NAT (a client's: behind its uplink, unless told which). The NAT's own
        is inner(network)."""
        if host in self.kinds:
            network, member = host, 1
        elif host in self.devices:
            network, member = self.nat_of[host], 2
        else:
            network, member = network or self.uplink[host], 10 + self.clients.index(host)
        number = self._numbers[network]
        return f"2001:db8:{number}::{member}" if self._v6(ipv6) else f"10.{number}.0.{member}"

    def _v6(self, ipv6):
        return self.ipv6 if ipv6 is None else ipv6

    def tunnel(self, host):
        """The address of a host inside the tunnels."""
        for third, names in ((1, self.servers), (2, self.devices), (3, self.clients)):
            if host in names:
                return f"10.77.{third}.{names.index(host) + 1}"
        raise KeyError(host)

    def port(self, host):
        """A host's WireGuard listen port."""
        return CLIENT_PORT + self.clients.index(host) if host in self.clients else wireguard.PORT

    def endpoint(self, host):
        """Where a server is, or where a person would say that a device is: its NAT's address, and the port
        that the NAT gives it (with a symmetric NAT that is not true, and nobody could say better)."""
        port = wireguard.PORT
        if host in self.servers:
            address = self.outer(host)
        elif self.ipv6:
            address = self.inner(host)
        else:
            address = self.outer(self.nat_of[host])
            port += nat.SHIFT * (self.kinds[self.nat_of[host]].startswith("eim-shift"))
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    def seen_as(self, client):
        """The address under which the others see a client now (its port depends on the NAT)."""
        network = self.uplink[client]
        if network == INET:
            return self.outer(client)
        return self.inner(client) if self.ipv6 else self.outer(network)

    # -- the network --------------------------------------------------------------------------------

    def up(self):
        """Build everything, from nothing: what an earlier lab left is deleted first."""
        netns.delete_all()
        # -a: as many as there are; on some kernels they are built in
        netns.call(None, "modprobe", "-a", "wireguard", "veth", "sch_netem", "nf_conntrack_netlink", check=False)
        outside = [*self.servers, "dns", *self.kinds]
        netns.create(INET, *outside, *self.devices, *self.clients)
        self._wire_to_internet({host: "wan" for host in outside}, "link add hub type bridge", "link set hub up")
        for host in [*self.servers, "dns"]:
            netns.batch(host, "ip", *self._internet_lines(host, "wan"))
        for network in self.kinds:
            netns.batch(network, "ip", *self._internet_lines(network, "wan"),
                        # its own address: else it takes that of whoever joins, and the others lose their router
                        f"link add lan address 02:00:00:00:00:{self._numbers[network]:02x} type bridge",
                        "link set lan up",
                        f"addr add {self.inner(network, ipv6=False)}/24 dev lan",
                        f"addr add {self.inner(network, ipv6=True)}/64 dev lan",
                        *[line for device, own in self.nat_of.items() if own == network
                          for line in self._lan_lines(device, "wan")])
            self._load_nat(network)
        for device, network in self.nat_of.items():
            netns.batch(device, "ip", *self._uplink_lines(device, "wan", network))
            netns.nft(device, nat.DEVICE_RULES)
            netns.set_resolver(device, self.outer("dns", ipv6=False))
        for server in self.servers:
            netns.nft(server, nat.SERVER_RULES)
        self.dns = dns_server.DnsServer("dns", self.outer("dns", ipv6=False))
        for host in [*self.servers, *self.devices]:
            self.wg_up(host)
        return self

    def down(self):
        """Delete everything."""
        for running in self.daemons:
            running.kill()
        if self.dns:
            self.dns.close()
        netns.delete_all()
        shutil.rmtree(self.folder)

    def _wire_to_internet(self, names, *first):
        """Wires from the hub to hosts: {host: what it calls its end}."""
        lines = list(first)
        for host, name in names.items():
            lines += [f"link add {host} type veth peer name {name} netns {netns.full_name(host)}",
                      f"link set {host} master hub up"]
        netns.batch(INET, "ip", *lines)
        netns.batch(INET, "tc", *[f"qdisc add dev {host} root netem delay {DELAY}" for host in names])

    def _internet_lines(self, host, name):
        """For `ip`: a host's uplink straight to the internet."""
        return [f"link set {name} up", f"addr replace {self.outer(host, False)}/24 dev {name}",
                f"addr replace {self.outer(host, True)}/64 dev {name}", *self._routes_v6(host),
                *[f"route replace {prefix}.0/24 dev {name}" for prefix in {PREFIX, *self._prefixes.values()}
                  if self._prefixes]]

    def _routes_v6(self, host):
        """For `ip`: how a host of the internet reaches the networks behind the NATs."""
        return [f"route replace 2001:db8:{self._numbers[network]}::/64 via {self.outer(network, True)}"
                for network in self.kinds if network != host]

    def _lan_lines(self, host, name):
        """For `ip` on a NAT: a wire from its LAN to a host, and what the host calls its end."""
        return [f"link add {host} type veth peer name {name} netns {netns.full_name(host)}",
                f"link set {host} master lan up"]

    def _uplink_lines(self, host, name, network):
        """For `ip` on a host: its uplink to a NAT's LAN."""
        return [f"link set {name} up",
                f"addr replace {self.inner(host, network, False)}/24 dev {name}",
                f"addr replace {self.inner(host, network, True)}/64 dev {name}",
                f"route replace default via {self.inner(network, ipv6=False)}",
                f"route replace ::/0 via {self.inner(network, ipv6=True)}"]

    def block(self, network):
        """(first, last) of the ports that a NAT of kind symmetric-block has for its clients."""
        return nat.block(self.kinds[network], self._numbers[network])

    def set_kind(self, network, kind):
        """Make a NAT one of another kind; its rules are made anew, its connections forgotten."""
        self.kinds[network] = kind
        self._load_nat(network)
        netns.call(network, "conntrack", "-F", check=False)

    def _load_nat(self, network):
        ports = {self.port(client): self.inner(client, network, False) for client in self.clients}
        for device, own in self.nat_of.items():
            if own == network:
                ports[wireguard.PORT] = self.inner(device, ipv6=False)
        wan, number = self.outer(network, False), self._numbers[network]
        netns.nft(network, nat.nat_rules(self.kinds[network], wan, number, ports))

    def renumber(self, server, number):
        """Give a public server another address, 203.0.113.NUMBER and 2001:db8::NUMBER; the old one is gone.
        Its WireGuard does not notice; DNS tells what `dns.table` says."""
        old = self.outer(server, False), self.outer(server, True)
        self._numbers[server] = number
        netns.batch(server, "ip", f"addr del {old[0]}/24 dev wan", *self._internet_lines(server, "wan"),
                    f"addr del {old[1]}/64 dev wan")

    # -- moving clients -----------------------------------------------------------------------------

    def move(self, clients, network, forget=True):
        """Switch one client, or several at once, to another uplink: a network, "inet", or None (no uplink).

        forget: no NAT on the path remembers them from an earlier stay, so what they get is new. Returns the
        monotonic time at which the (last) new uplink was ready; the old one went just before."""
        clients = [clients] if isinstance(clients, str) else list(clients)
        for client in clients if network else ():
            if forget and (client, network) in self._joined:
                self._forget(client, network)
            if (client, network) not in self._joined:
                self._join(client, network)
        for client in clients:
            old = self.uplink[client]
            lines = [f"link set {old} down"] if old and old != network else []
            self.uplink[client] = network
            if network == INET:
                lines += self._internet_lines(client, INET)
            elif network:
                lines += self._uplink_lines(client, network, network)
            if lines:
                netns.batch(client, "ip", *lines)
        return time.monotonic()

    def _join(self, client, network):
        """The first time there: a wire, still down at the client's end."""
        self._joined.add((client, network))
        if network == INET:
            self._wire_to_internet({client: INET})
        else:
            netns.batch(network, "ip", *self._lan_lines(client, network))

    def _forget(self, client, network):
        """No NAT on the path remembers this client there. (What the remote devices' NATs let in from a NAT's
        address is forgotten for all behind it.)"""
        inside = None if network == INET else self.inner(client, network)
        if inside:
            netns.call(network, "conntrack", "-D", "-s", inside, check=False)
        seen = self.outer(client) if network == INET else inside if self.ipv6 else self.outer(network)
        for far in self.nat_of.values():
            for side in ("-s", "-d"):
                netns.call(far, "conntrack", "-D", side, inside if far == network else seen, check=False)

    # -- WireGuard ----------------------------------------------------------------------------------

    def key(self, host):
        """A host's public key."""
        return wireguard.public_key(host)

    def name_of(self, key):
        """The host with this public key; None for a stranger's."""
        hosts = [*self.servers, *self.devices, *self.clients]
        return next((host for host in hosts if self.key(host) == key), None)

    def wg_config(self, host, keepalive=10, endpoints=None, profile="classic"):
        """The host's configuration for `wg setconf`: a server's has everybody without endpoints, a device's
        its servers with and the clients without, a client's its servers and devices (both with keepalive).

        endpoints: {peer: endpoint or None} in place of what endpoint(peer) says; a client whose config
        leaves out a device altogether has {device: ""}. profile: "one" is that of a client whose devices have
        no endpoint, but a beacon each, at their endpoint."""
        endpoints = dict(endpoints or {})
        sections = []
        if profile == "one":
            for device in self.devices:
                if endpoints.get(device) != "":
                    at = endpoints.get(device) or self.endpoint(device)
                    sections.append(wireguard.beacon_section(device, host, at, keepalive))
                    endpoints[device] = None
        for peer in [*self.servers, *self.devices, *self.clients]:
            same_role = any(host in names and peer in names for names in (self.servers, self.devices, self.clients))
            if same_role or endpoints.get(peer) == "":
                continue
            known = host not in self.servers and peer not in self.clients
            address = endpoints[peer] if peer in endpoints else self.endpoint(peer) if known else None
            sections.append(wireguard.peer_section(
                peer, f"{self.tunnel(peer)}/32", address, keepalive if known else 0))
        return wireguard.config(host, self.port(host), sections)

    def wg_up(self, host, keepalive=10, endpoints=None, profile="classic", userspace=False):
        """Make a host's wg0. For a client this is what switching on the WireGuard app does. Returns the
        monotonic time just before the device came up. Arguments as wg_config's. userspace: wireguard-go, of
        which the lab can have one; its device is called so, since `wg` finds it by name on every host."""
        text = self.wg_config(host, keepalive, endpoints, profile)
        self._wg[host] = "wggo" if userspace else "wg0"
        start = time.monotonic()
        (wireguard.up_in_userspace if userspace else wireguard.up)(
            host, text, f"{self.tunnel(host)}/{TUNNEL_BITS}", self._wg[host])
        return start

    def wg_down(self, host):
        """Delete a host's wg0."""
        wireguard.down(host, self._wg[host])

    def wg_sync(self, host, keepalive=10, endpoints=None):
        """`wg syncconf` with the host's configuration, as OpenWrt does on an interface update: what was set
        at run time is set back."""
        netns.call(host, "wg", "syncconf", "wg0", "/dev/stdin", text=self.wg_config(host, keepalive, endpoints))

    def wg_set(self, host, peer, *words):
        """`wg set wg0 peer KEY words` on a host."""
        netns.call(host, "wg", "set", "wg0", "peer", self.key(peer), *[str(word) for word in words])

    def peers(self, host):
        """{peer's name, or its key when it is a stranger: PeerState} of a host's wg0."""
        return {self.name_of(key) or key: state for key, state in self._show(host).items()}

    def peer(self, host, peer):
        """The PeerState of one peer on a host; None when it has none such (or no wg0)."""
        return self._show(host).get(self.key(peer))

    def _show(self, host):
        return wireguard.show(host, self._wg.get(host, "wg0"))

    # -- programs --------------------------------------------------------------------------------

    def daemon(self, host, interpreter, config, environment=None, user=None):
        """A Daemon on a host, not yet started, which ends with the lab."""
        made = Daemon(self, host, interpreter, config, environment, user)
        self.daemons.append(made)
        return made

    # -- traffic ------------------------------------------------------------------------------------

    def ping(self, host, target, seconds=1):
        """One ping through the tunnel (target: a host's name) or to an address. True when it came back."""
        address = target if "." in target or ":" in target else self.tunnel(target)
        return "1 received" in netns.call(
            host, "ping", "-n", "-c", "1", "-W", str(seconds), address, check=False)

    def dump(self):
        """What a person needs to see when a scenario has failed: {file name: text}."""
        found = {}
        for host in [*self.servers, *self.devices, *self.clients]:
            found[f"{host}.wg"] = netns.call(host, "wg", "show", check=False)
        for host in [*self.servers, *self.devices, *self.kinds]:
            found[f"{host}.conntrack"] = netns.call(host, "conntrack", "-L", check=False)
            found[f"{host}.nft"] = netns.call(host, "nft", "list", "ruleset", check=False)
        found["network"] = "\n".join(
            f"# {host}\n" + netns.call(host, "ip", "-br", "addr", check=False)
            + netns.call(host, "ip", "route", check=False)
            for host in [*self.servers, *self.devices, *self.clients, *self.kinds])
        return found
