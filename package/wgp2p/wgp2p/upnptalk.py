"""One attempt to have a port mapped by UPnP, or to list what is mapped (see mapping.py for how it is driven).

The gateway is searched for, unless it is known from before where it takes requests. Its description names the services
that map ports; the first of them with an external address is used. Before a mapping is made, the gateway is asked what
it has at this port: what is ours is renewed or taken over, what another machine has there stays. Ours is what leads to
this machine and has our port or our description; gateways do not all keep descriptions, and our port may have changed.

A gateway of version 2 gives another port by itself when the one asked for is in use. That is not asked for while we
have one, since it could leave us with two.
"""
from . import ssdp, upnp
from .mapping import UPNP, Datagram, Mapping, Refused, Request

_ROUND_MS = 1000  # between two searches
_LAST_MS = 2000  # after the last one
_ANSWERS_MOST = 8  # to a search, that are looked at
_FOR_EVER = (upnp.ONLY_PERMANENT, upnp.INVALID_ARGS)  # by which a gateway says that it knows no lifetimes
_TAKEN = (upnp.CONFLICT, upnp.OTHER_MECHANISM)
_PASSING = _TAKEN + (0, upnp.ACTION_FAILED, upnp.NO_PORTS)  # every other code: UPnP is of no use here
_LISTED_MOST, _LIST_MS = 256, 60000


class _Search:
    """Finds the gateway's services; `_try` of the classes below uses the first of them."""

    def __init__(self, now, want):
        self.outcome = None
        self._want = want
        self._searches, self._due_ms = 0, now  # that were sent, and when the next one is due
        self._answers = 0  # to them
        self._locations, self._read = [], 0  # of descriptions, and how many of them were asked for
        self._services = []  # that are still to be tried, the present one first
        self._problem = Refused(None, "no UPnP gateway answers at %s" % want.gateway, True)
        self._out = []  # the Request that `act` is to give
        self._tag, self._waiting = 0, None  # its number, and who takes the answer, and who the failure
        if want.service:
            self._services.append(want.service)
            self._proceed()

    # -- driving it -----------------------------------------------------------------------------------

    def act(self, now):
        """What is to be sent now: a list of Datagram and Request."""
        out, self._out = self._out, []
        if self.outcome is None and self._waiting is None and now >= self._due_ms:
            if self._searches == len(ssdp.TARGETS):
                self.outcome = self._problem
                return []
            target = ssdp.TARGETS[self._searches]
            self._searches += 1
            self._due_ms = now + (_ROUND_MS if self._searches < len(ssdp.TARGETS) else _LAST_MS)
            out += [Datagram(ip, ssdp.PORT, ssdp.search(ip, target)) for ip in (self._want.gateway, ssdp.ADDRESS)]
        return out

    def next_ms(self):
        """When to call `act` (0: at once), or None: an answer is waited for, or it is over."""
        if self._out:
            return 0
        return self._due_ms if self.outcome is None and self._waiting is None else None

    def received(self, _now, ip, _port, data):
        """A datagram came: one from the gateway may say where its description is."""
        if self.outcome is not None or ip != self._want.gateway or self._answers == _ANSWERS_MOST:
            return
        self._answers += 1
        try:
            location = upnp.locate(ssdp.parse_answer(data), ip)
        except ssdp.SsdpError:
            return
        except upnp.UpnpError as error:
            self._problem = _refused(error)
            return
        if location not in self._locations:
            self._locations.append(location)
            if self._waiting is None:
                self._proceed()

    def answered(self, _now, tag, response, error):
        """A Request's http.Response, or None and why there is none."""
        if self.outcome is not None or self._waiting is None or tag != self._tag:
            return
        (then, otherwise), self._waiting = self._waiting, None
        try:
            if response is None:
                raise upnp.UpnpError(error, None)
            if response.status not in (200, 500):  # 500: a refusal, which the body explains
                raise upnp.UpnpError("the gateway answers with HTTP status %d" % response.status)
            then(response.body)
        except upnp.UpnpError as problem:
            otherwise(problem)

    # -- which service --------------------------------------------------------------------------------

    def _proceed(self):
        """Try the next service, else read the next description, else go on searching."""
        if self._services:
            self._try()
        elif self._read < len(self._locations):
            port, path = self._locations[self._read]
            self._read += 1
            self._send(port, "GET", path, {}, b"", upnp.MAX_DESCRIPTION, self._described, self._of_no_use)

    def _described(self, body):
        location = self._locations[self._read - 1]
        self._services = upnp.parse_description(body, self._want.gateway, location)
        if not self._services:
            raise upnp.UpnpError("what answers at the gateway by UPnP maps no ports")
        self._proceed()

    def _of_no_use(self, error):
        """This service, or this description."""
        self._problem = _refused(error)
        self._services = self._services[1:]
        self._proceed()

    # -- requests -------------------------------------------------------------------------------------

    def _ask(self, action, arguments, then, otherwise):
        service = self._services[0]
        headers, body = upnp.request(service.kind, action, arguments)
        self._send(service.port, "POST", service.path, headers, body, upnp.MAX_ANSWER, then, otherwise)

    def _send(self, port, method, path, headers, body, limit, then, otherwise):
        """Have a Request sent; then(body) is called with its answer, or otherwise(UpnpError)."""
        self._tag += 1
        self._waiting = (then, otherwise)
        self._out = [Request(self._tag, self._want.gateway, port, method, path, headers, body, limit)]


class UpnpTalk(_Search):
    """An attempt to map `want` (mapping.Want), or to delete it."""

    def __init__(self, now, want, _random_below):
        self._external_port, self._lifetime_s = want.external_port, want.lifetime_s  # as they are asked for
        self._external_ip = None
        self._action = None  # by which the mapping is asked for
        _Search.__init__(self, now, want)

    def _try(self):
        if self._want.lifetime_s:
            self._ask(upnp.GET_ADDRESS, (), self._addressed, self._of_no_use)
        else:
            self._look()

    def _addressed(self, body):
        self._external_ip = upnp.parse_address(body)
        if self._external_ip is None:
            raise upnp.UpnpError("the gateway has no public address itself: it is not connected, or behind another NAT")
        self._look()

    def _look(self):
        """See what the gateway has at this port."""
        self._ask(upnp.GET_ENTRY, upnp.mapping_key(self._external_port), self._listed, self._not_listed)

    def _listed(self, body):
        want, entry = self._want, upnp.parse_entry(body)
        is_ours = entry.client == want.own_ip and (
            entry.port == want.internal_port or entry.description == want.description)
        if not want.lifetime_s:
            if is_ours:
                self._delete()
            else:
                self._granted()
        elif is_ours:
            self._add(upnp.ADD)
        elif entry.client != want.own_ip and self._services[0].any_port():
            self._add(upnp.ADD_ANY)
        else:  # of a mapping to this very machine AddAny makes ours
            self.outcome = _refused(upnp.UpnpError(upnp.ERRORS[upnp.CONFLICT], upnp.CONFLICT))

    def _not_listed(self, error):
        is_free = error.code == upnp.NO_SUCH_ENTRY
        if error.code is None:
            self._of_no_use(error)
        elif self._want.lifetime_s:
            self._add(upnp.ADD_ANY if is_free and self._services[0].any_port() else upnp.ADD)
        elif is_free:
            self._granted()
        else:
            self._delete()

    def _add(self, action):
        self._action = action
        self._ask(action, upnp.mapping(self._external_port, self._want.internal_port, self._want.own_ip,
                                       self._want.description, self._lifetime_s), self._added, self._not_added)

    def _added(self, body):
        if self._action == upnp.ADD_ANY:
            self._external_port = upnp.parse_any_port(body)
        else:
            upnp.parse_answer(body, self._action)
        self._granted()

    def _not_added(self, error):
        internal_port = self._want.internal_port
        if error.code in _FOR_EVER and self._lifetime_s:
            self._lifetime_s = 0
            self._add(self._action)
        elif error.code == upnp.SAME_PORTS and self._external_port != internal_port:
            self._external_port = internal_port
            self._look()
        elif error.code in (upnp.INVALID_ACTION, upnp.NOT_IMPLEMENTED) and self._action == upnp.ADD_ANY:
            self._add(upnp.ADD)
        else:
            self.outcome = _refused(error)

    def _delete(self):
        self._ask(upnp.DELETE, upnp.mapping_key(self._external_port), self._deleted, self._not_deleted)

    def _deleted(self, body):
        upnp.parse_answer(body, upnp.DELETE)
        self._granted()

    def _not_deleted(self, error):
        if error.code == upnp.NO_SUCH_ENTRY:
            self._granted()
        else:
            self.outcome = _refused(error)

    def _granted(self):
        self.outcome = Mapping(UPNP, self._external_ip, self._external_port, self._lifetime_s,
                               service=self._services[0])


class UpnpList(_Search):
    """An attempt to list what the gateway of `want` has mapped, for all machines: `listed(entry, is_ours)` is called
    with each upnp.Entry, or None for one that cannot be read. The outcome is a Mapping that means nothing, or a
    Refused, also where the list is cut off: after 256 entries, or a minute."""

    def __init__(self, now, want, listed):
        self._tell, self._index, self._end_ms = listed, 0, now + _LIST_MS
        _Search.__init__(self, now, want)

    def act(self, now):
        """As of every talker."""
        if self.outcome is None and now >= self._end_ms:
            self.outcome, self._out = _refused(upnp.UpnpError("the gateway takes too long to list its mappings")), []
        return _Search.act(self, now)

    def _try(self):
        self._ask(upnp.LIST, (("NewPortMappingIndex", self._index),), self._listed, self._not_listed)

    def _listed(self, body):
        want, entry = self._want, upnp.parse_listed(body)
        # The description of ours ends with a port; that of another port of ours is ours, too.
        self._tell(entry, entry is not None and entry.client == want.own_ip and (
            entry.port == want.internal_port
            or entry.description.rpartition(" ")[0] == want.description.rpartition(" ")[0]))
        self._index += 1
        if self._index < _LISTED_MOST:
            self._try()
        else:
            self.outcome = _refused(upnp.UpnpError("only the first %d mappings are listed" % _LISTED_MOST))

    def _not_listed(self, error):
        is_empty = error.code in (upnp.END_OF_LIST, upnp.NO_SUCH_ENTRY) and len(self._services) == 1
        if is_empty or (self._index and error.code):  # gateways differ in what they say at the end
            self.outcome = Mapping(UPNP, None, 0, 0)
        elif self._index:
            self.outcome = _refused(error)
        else:
            self._of_no_use(error)


def _refused(error):
    return Refused(error.code, str(error), error.code not in _PASSING, taken=error.code in _TAKEN)
