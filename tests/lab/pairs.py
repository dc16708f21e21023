"""Publishers and subscribers set up as a user would: a token for each remote device, names for the clients."""
import base64

import wireguard_lab as wireguard
from daemon import uci
from waiting import wait_for


def token_of(device):
    """A token of our own making, so that both sides have it before either runs."""
    return (device + "-token-").ljust(64, "x")


def publisher_config(lab, server, excluded=(), clients=None, **options):
    """The public server's configuration: every device of the lab may ask."""
    options.setdefault("relay", "1" if lab.relays else "0")
    keep = lab.folder / server / "keep"
    (keep / "tokens").mkdir(parents=True, exist_ok=True)
    sections = [("wgp2p", "global", {"keep_dir": keep, "log_level": "debug"}),
                ("publisher", "main", {"interface": "wg0", **options})]
    for device in lab.devices:
        token = keep / "tokens" / device
        token.write_text(token_of(device))
        token.chmod(0o600)
        limits = {"client": clients[device]} if clients else {}
        sections.append(("peer", {"name": device, "public_key": lab.key(device), "device": "1", **limits}))
    sections += client_sections(lab, excluded)
    return uci(*sections)


def subscriber_config(lab, device, servers=None, excluded=(), keepalive=10, paths=None, **options):
    """The remote device's configuration: it follows these servers (default: all). paths: {client: its policy}"""
    keep = lab.folder / device / "keep"
    keep.mkdir(parents=True, exist_ok=True)
    (keep / "token").write_text(token_of(device))
    (keep / "token").chmod(0o600)
    (keep / "beacon.key").write_bytes(base64.b64encode(wireguard.beacon_secret(device)) + b"\n")
    (keep / "beacon.key").chmod(0o640)
    sections = [("wgp2p", "global", {"keep_dir": keep, "log_level": "debug", **lab.sweep})]
    for server in servers or lab.servers:
        sections.append(("subscriber", server, {"interface": "wg0", "publisher": lab.tunnel(server),
                                                "keepalive": keepalive, **options}))
    return uci(*sections, *client_sections(lab, excluded, paths))


def client_sections(lab, excluded=(), paths=None):
    """A named peer section for each client."""
    return [("peer", {"name": client, "public_key": lab.key(client),
                      **({"exclude": "1"} if client in excluded else {}),
                      **({"path": paths[client]} if client in (paths or {}) else {})}) for client in lab.clients]


def start_all(lab, interpreter, user=None, **options):
    """A publisher on every server and a subscriber on every device, connected. ({server: Daemon}, {device: Daemon})

    user: whom the daemons become; options: of the publishers."""
    publishers = {server: lab.daemon(server, interpreter, publisher_config(lab, server, **options), user=user).start()
                  for server in lab.servers}
    subscribers = {device: lab.daemon(device, interpreter, subscriber_config(lab, device), user=user).start()
                   for device in lab.devices}
    for daemon in subscribers.values():
        for server in lab.servers:
            daemon.wait_log(f"publisher {server}: connected", 30)
    return publishers, subscribers


def start_pair(lab, interpreter, user=None, **options):
    """(publisher, subscriber) of the first server and the first device, connected. Arguments as start_all's."""
    publishers, subscribers = start_all(lab, interpreter, user, **options)
    return publishers[lab.servers[0]], subscribers[lab.devices[0]]


def path_of(subscriber, name):
    """The row of `wgp2p status` for one peer."""
    for part in subscriber.status()["subscribers"]:
        for peer in part["peers"]:
            if peer["name"] == name:
                return peer
    return None


def wait_path(subscriber, name, word, seconds=20):
    """Wait until status says this word of the peer; the row."""
    def row():
        found = path_of(subscriber, name)
        return found if found and found["path"] == word else None

    return wait_for(row, seconds, f"{name} is {word}", every=0.3)
