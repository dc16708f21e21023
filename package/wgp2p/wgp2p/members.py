"""Who is relayed, to whom, and where they are, as a publisher's configuration and registry say.

Members are devices and the clients that they may know of, from when WireGuard knows where they are. Packets go between
a device and its clients: never from client to client, never from device to device.
"""
from .addr import parse_endpoint

ROOM_EVERY_MS = 1000
_PAST_MOST = 256


def _is_device(peer):
    return peer is not None and peer.device


class Member:
    """One of them. `door`: the server's own address under which it knows the server, or None; `knocked`: it has used
    that address itself."""

    def __init__(self, key, endpoint):
        self.key = key
        self.endpoint = endpoint
        self.door, self.knocked = None, False
        self.hinted_ms = None
        self.came = 0  # the registry's number of when it came to its endpoint

    def is_ipv6(self):
        """Whether it is reached by IPv6."""
        return self.endpoint[0] == "["

    def knock(self, own_ip):
        """It has sent something to this address; whether that is news."""
        news = self.door != own_ip
        self.door, self.knocked = own_ip, True
        return news

    def find_door(self, route):
        """Where it has not knocked itself, the door is the source of the way to it, `route(ip)` -> text or None;
        whether that is news."""
        if self.knocked and (":" in self.door) == self.is_ipv6():
            return False
        before, self.door, self.knocked = self.door, route(parse_endpoint(self.endpoint)[0]), False
        return self.door != before


class Lane:
    """One direction of a pair. Its routes are known by their index: all come from where the source is now."""

    def __init__(self, source, target):
        self.source, self.target = source, target  # keys
        self.indices = []  # the oldest first
        self.called_ms = None
        self._room_ms = None  # when sessions that were told made room
        self.initiations = self.packets = self.bytes = 0  # that went through here
        self._level = self._level_ms = 0

    def take(self, now, size, rate):
        """Whether a packet of this size may pass at `rate` bytes in a second; a quarter of a second's at once."""
        self._level = max(0, self._level - (now - self._level_ms) * rate // 1000)
        self._level_ms = now
        if self._level > rate // 4:
            return False
        self._level += size
        return True

    def may_make_room(self, now):
        """Whether routes may go now for sessions that are told: at most once a second."""
        if self._room_ms is not None and now - self._room_ms < ROOM_EVERY_MS:
            return False
        self._room_ms = now
        return True


class Members:
    """The members of one interface: `by_key` {key: Member}, `devices` (keys)."""

    def __init__(self):
        self.by_key, self.devices = {}, set()
        self._serves = None
        self._config = self._seq = None
        self._known, self._eligible = set(), set()
        self._places = {}  # endpoint: keys, the one that came there last at the end
        self._past = {}  # endpoint that was left: key

    def update(self, config, registry, serves):
        """Take what has changed. `serves(device, key)`: whether that device may know of that peer. Gives None when
        nothing has, else (keys in the order in which they changed, {key: the endpoint that it left or had when it
        ceased to be a member})."""
        if config is self._config and registry.seq == self._seq:
            return None
        rows = registry.since(self._seq) if config is self._config else None
        self._config, self._seq, self._serves = config, registry.seq, serves
        left = {}
        if rows is None or [key for _, key in rows if key not in self._known or key not in registry.entries]:
            self._choose(registry, left)
            rows = sorted([(entry.seq, entry.key) for entry in registry.entries.values()])
        changed = []
        for _, key in rows:
            endpoint = registry.entries[key].endpoint
            if key not in self._eligible or not endpoint:
                continue
            changed.append(key)
            member = self.by_key.get(key)
            if member is None:
                member = self.by_key[key] = Member(key, endpoint)
                member.came = registry.entries[key].seq
            elif member.endpoint != endpoint:
                left[key] = member.endpoint
                member.endpoint, member.came = endpoint, registry.entries[key].seq
        self._note(registry, left)
        return changed, left

    def _choose(self, registry, left):
        """Who can be a member: the configuration or the set of peers is another one."""
        keys = [key for key in registry.entries if not self._config.excluded(key)]
        self._known, self._eligible = set(registry.entries), set()
        self.devices = set([key for key in keys if _is_device(self._config.peer(key))])
        for device in self.devices:
            clients = [key for key in keys if self.may(device, key)]
            if clients:
                self._eligible.add(device)
                self._eligible.update(clients)
        for key in [key for key in self.by_key if key not in self._eligible]:
            left[key] = self.by_key.pop(key).endpoint

    def _note(self, registry, left):
        for key in left:
            if len(self._past) >= _PAST_MOST:
                self._past = {}
            self._past[left[key]] = key
        self._places = {}
        for member in self.by_key.values():
            self._places.setdefault(member.endpoint, []).append(member.key)
        for keys in self._places.values():
            if len(keys) > 1:
                keys.sort(key=lambda key: self.by_key[key].came)

    def may(self, one, other):
        """Whether packets go between these two keys."""
        if (one in self.devices) == (other in self.devices):
            return False
        return self._serves(one, other) if one in self.devices else self._serves(other, one)

    def at(self, endpoint):
        """The keys of those that are there; two of one phone may be, when it has changed its profile."""
        return self._places.get(endpoint, ())

    def between(self, source, target):
        """The (key, key) that packets from one endpoint to the other can be of, the likeliest first."""
        return [(one, other) for one in reversed(self.at(source)) for other in reversed(self.at(target))
                if self.may(one, other)]

    def doors(self):
        """{endpoint: the door of who is there, or None}"""
        found = {}
        for member in self.by_key.values():
            found[member.endpoint] = member.door or found.get(member.endpoint)
        return found

    def device_endpoints(self):
        """Where devices are."""
        return [self.by_key[key].endpoint for key in self.devices if key in self.by_key]

    def who(self, endpoint):
        """The key of who is there, or was there last; None."""
        keys = self.at(endpoint)
        return keys[-1] if keys else self._past.get(endpoint)

    def pairs(self, lanes, rows):
        """What went to and fro: `lanes` have counted what went through the daemon, `rows` are what the kernel has
        counted, (source, target, packets, bytes). [{"a": device, "b": client, "packets", "bytes", "initiations"}]"""
        counts = [(lane.source, lane.target, lane.packets, lane.bytes, lane.initiations) for lane in lanes]
        for source, target, packets, size in rows:
            one, other = self.who(source), self.who(target)
            if one is not None and other is not None and self.may(one, other):
                counts.append((one, other, packets, size, 0))
        found = {}
        for one, other, packets, size, initiations in counts:
            name = (one, other) if one in self.devices else (other, one)
            row = found.setdefault(name, {"a": name[0], "b": name[1], "packets": 0, "bytes": 0, "initiations": 0})
            row["packets"] += packets
            row["bytes"] += size
            row["initiations"] += initiations
        return [found[name] for name in sorted(found)]
