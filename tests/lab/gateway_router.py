"""A NAT of the lab with Debian's miniupnpd on it: PCP, NAT-PMP and UPnP for the hosts behind it.

miniupnpd writes its mappings into a table of its own, before the rules that make the NAT one of its kind. All that it
shall do is in its configuration, except what it cannot do: speak NAT-PMP without PCP (PCP's packets are dropped before
it), and map for ever only (a small server in front of it answers with UPnP's error 725 to any other wish).

The lab's internet has addresses for documentation. `public=False` is miniupnpd as it comes: to such a one, and to a
private one, it maps nothing.
"""
import http.client
import os
import pathlib
import re
import signal
import socketserver
import threading

import netns
from waiting import wait_for

UPNP_PORT = 5000
_FRONT_PORT = 5001
_TABLE = """
insert rule inet filter input iifname lan accept
table inet miniupnpd {
  chain input {
    type filter hook input priority -1
  }
  chain redirected {
    type nat hook prerouting priority -102
  }
  chain prerouting {
    type nat hook prerouting priority -101
    jump prerouting_miniupnpd
  }
  chain postrouting {
    type nat hook postrouting priority 99
    jump postrouting_miniupnpd
  }
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
"""


class GatewayRouter:
    """`network`: a NAT of the lab, or a host between (see `between`), whose uplink is "wan" and whose LAN is "lan". It
    has one ruleset from now on: the lab's `set_kind` would take the table away."""

    def __init__(self, lab, network="natr"):
        self.network = network
        self._folder = lab.folder / f"{network}-miniupnpd"
        self._folder.mkdir()
        self._leases = self._folder / "leases"
        self._own = re.search(r"inet ([0-9.]+)/", netns.call(network, "ip", "-4", "addr", "show", "wan"))[1]
        self._pid_path = self._folder / "pid"
        self._front = None
        netns.nft(network, _TABLE)

    def start(self, pcp=True, natpmp=True, upnp=True, version=2, deny=(), public=True, for_ever=False):
        """Start miniupnpd. `version` of UPnP's IGD; `deny`: ports or ranges outside that nobody gets; `public`:
        whether any address of its own will do; `for_ever`: it takes no other lifetime by UPnP."""
        drop = f"add rule inet miniupnpd input udp dport 5351 @th,64,8 {0 if pcp else 2} drop" if pcp != natpmp else ""
        front = f"add rule inet miniupnpd redirected iifname lan tcp dport {UPNP_PORT} redirect to :{_FRONT_PORT}"
        netns.nft(self.network, "\n".join(["flush chain inet miniupnpd input", "flush chain inet miniupnpd redirected",
                                           drop, front if for_ever else ""]))
        if for_ever and not self._front:
            self._front = Front(self.network)
        config = self._folder / "config"
        config.write_text("\n".join([
            "ext_ifname=wan", "listening_ip=lan", f"http_port={UPNP_PORT}", "ipv6_disable=yes",
            f"ext_allow_private_ipv4={yes(public)}", f"ext_ip={self._own}" if public else "",
            f"enable_pcp_pmp={yes(pcp or natpmp)}", f"enable_upnp={yes(upnp)}",
            f"force_igd_desc_v1={yes(version == 1)}", "system_uptime=no", f"lease_file={self._leases}",
            # The front asks from another address than its client's.
            *(["listening_ip=lo", "secure_mode=no"] if for_ever else []),
            "upnp_table_name=miniupnpd", "upnp_nat_table_name=miniupnpd", "uuid=c13705f9-559f-4495-9800-da6aa8cd888f",
            *[f"deny {port} 0.0.0.0/0 0-65535" for port in deny],
            "allow 1024-65535 0.0.0.0/0 1024-65535", "deny 0-65535 0.0.0.0/0 0-65535", ""]))
        # Not in the foreground: there it logs each of the 65,535 ports that a rule denies.
        netns.call(self.network, "miniupnpd", "-f", str(config), "-P", str(self._pid_path))
        wait_for(lambda: self._hears("udp", 5351) >= (pcp or natpmp) and self._hears("tcp", UPNP_PORT) >= upnp, 20,
                 "miniupnpd is up")
        return self

    def _hears(self, protocol, port):
        with netns.inside(self.network):
            return f":{port:04X} 00000000:0000" in pathlib.Path(f"/proc/thread-self/net/{protocol}").read_text()

    def stop(self, number=signal.SIGTERM):
        """It ends; what it has mapped stays in its list, and in the kernel's."""
        pid = int(self._pid_path.read_text())
        os.kill(pid, number)
        wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 10, "miniupnpd has ended")
        self._pid_path.unlink(missing_ok=True)

    def reboot(self, **options):
        """Power off and on: nothing is mapped, and its clock begins at 0. Options as `start`'s."""
        self.stop(signal.SIGKILL)
        self.lose()
        return self.start(**options)

    def lose(self):
        """What is mapped is gone, and nobody is told."""
        self._leases.unlink(missing_ok=True)
        for chain in ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"):
            netns.call(self.network, "nft", "flush", "chain", "inet", "miniupnpd", chain)
        netns.call(self.network, "conntrack", "-F", check=False)

    def mapped(self):
        """{UDP port outside: (address, port) inside}, as its kernel has them."""
        rules = netns.call(self.network, "nft", "list", "chain", "inet", "miniupnpd", "prerouting_miniupnpd")
        return {int(outside): (ip, int(inside)) for outside, ip, inside in re.findall(
            r"dport (\d+) dnat ip to ([0-9.]+):(\d+)", rules)}


def yes(value):
    return "yes" if value else "no"


def between(lab, device="rem"):
    """A second router between a device and its NAT, whose own address is private. Its name, for a GatewayRouter."""
    name, network = "box", lab.nat_of[device]
    netns.create(name)
    netns.batch(device, "ip", f"link set wan netns {netns.full_name(name)}",
                f"link add wan type veth peer name lan netns {netns.full_name(name)}", "link set wan up",
                "addr add 192.168.7.2/24 dev wan", "route add default via 192.168.7.1")
    netns.batch(name, "ip", "link set wan up", f"addr add {lab.inner(device, ipv6=False)}/24 dev wan",
                f"route add default via {lab.inner(network, ipv6=False)}", "link set lan up",
                "addr add 192.168.7.1/24 dev lan")
    netns.nft(name, """
table inet filter {
  chain input { type filter hook input priority 0; }
}
table ip nat {
  chain post { type nat hook postrouting priority srcnat; oifname wan masquerade; }
}
""")
    return name


class Front:
    """Passes HTTP on to the UPnP server of a router, except for wishes of a limited time, to which it says 725."""

    def __init__(self, network):
        with netns.inside(network):
            self._server = socketserver.ThreadingTCPServer(("0.0.0.0", _FRONT_PORT), None, bind_and_activate=True)
        self._server.daemon_threads = True
        self._server.RequestHandlerClass = lambda sock, address, server: self._serve(network, sock)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @staticmethod
    def _serve(network, sock):
        with sock.makefile("rb") as stream:
            head = iter(stream.readline, b"\r\n")
            method, path, _ = next(head).decode().split()
            headers = dict(line.decode().strip().split(": ", 1) for line in head)
            body = stream.read(int(headers.get("Content-Length", 0)))
        status, answer = 500, REFUSED
        if not re.search(rb"<NewLeaseDuration>[1-9]", body):
            with netns.inside(network):
                link = http.client.HTTPConnection("127.0.0.1", UPNP_PORT, timeout=10)
                link.connect()
            link.request(method, path, body, headers)
            response = link.getresponse()
            status, answer = response.status, response.read()
        sock.sendall(b"HTTP/1.1 %d -\r\nConnection: close\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s"
                     % (status, len(answer), answer))


REFUSED = b"""<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode>
<faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0">
<errorCode>725</errorCode><errorDescription>OnlyPermanentLeasesSupported</errorDescription>
</UPnPError></detail></s:Fault></s:Body></s:Envelope>
"""
