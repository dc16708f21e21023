"""UPnP Internet Gateway Device, versions 1 and 2: where a gateway takes requests, and what they and its answers say
(UPnP WANIPConnection:1 and :2; UPnP Device Architecture 1.1, sections 2 and 3). Bytes in, values out, no sockets.

The XML of a gateway is untrusted, and seldom quite what the documents say. It is not read as a whole: an element is
looked for by its name, whatever its namespace and its place, and what is wanted of it is text. Nothing is nested,
declared or expanded on the way, and what is looked at is bounded. A URL must lead to the gateway's own address.
"""
from .addr import canonical_ip
from .compat import utf8

MAX_DESCRIPTION = 65536  # bytes
MAX_ANSWER = 8192
_MAX_TRIES = 128  # places where a name stands: about 10 in a description, and each costs time
_MAX_URL = 512
_MAX_PREFIX = 32  # of a name, with its namespace
_MAX_SERVICES = 4
_AFTER_NAME = (b">", b"/", b" ", b"\t", b"\r", b"\n")
_SERVICE = "urn:schemas-upnp-org:service:"
_SERVICES = [_SERVICE + name for name in (  # no document has the last one, and some gateways do
    "WANIPConnection:1", "WANIPConnection:2", "WANPPPConnection:1", "WANPPPConnection:2")]
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&"))  # & last: nothing twice

GET_ADDRESS, GET_ENTRY, DELETE = "GetExternalIPAddress", "GetSpecificPortMappingEntry", "DeletePortMapping"
ADD, ADD_ANY, LIST = "AddPortMapping", "AddAnyPortMapping", "GetGenericPortMappingEntry"

INVALID_ACTION = 401
INVALID_ARGS = 402
ACTION_FAILED = 501
NOT_IMPLEMENTED = 602
END_OF_LIST = 713
NO_SUCH_ENTRY = 714
CONFLICT = 718
SAME_PORTS = 724
ONLY_PERMANENT = 725
NO_PORTS = 728
OTHER_MECHANISM = 729
ERRORS = {  # WANIPConnection:2, section 2.5; Device Architecture, section 3.2.2: what it means, and what to do
    INVALID_ACTION: "the gateway does not offer this",
    INVALID_ARGS: "the gateway does not accept what we ask in this form",
    ACTION_FAILED: "the gateway could not do it and does not say why: see whether port forwarding is on there, "
                   "and whether it has a public address itself",
    NOT_IMPLEMENTED: "the gateway does not offer this",
    606: "the gateway forbids it: allow this machine, and this port, in its UPnP settings",
    NO_SUCH_ENTRY: "the gateway has no such mapping",
    715: "the gateway wants to know who may send to the port: it cannot be open to clients on the move",
    716: "the gateway does not choose a port by itself",
    CONFLICT: "another machine has this port on the gateway",
    SAME_PORTS: "the gateway maps a port only to the same port",
    ONLY_PERMANENT: "the gateway maps for ever only",
    726: "the gateway does not take a mapping that is open to every sender in the form in which we ask",
    727: "the gateway maps all ports or none: forward the one port there by hand",
    NO_PORTS: "the gateway has no port left that this machine may have: delete mappings there, or allow more",
    OTHER_MECHANISM: "the gateway uses this port itself, or it is forwarded there by hand",
}


class UpnpError(ValueError):
    """`code`: the one with which the gateway refuses; 0: what came cannot be used; None: nothing came."""

    def __init__(self, text, code=0):
        super().__init__(text)
        self.code = code


class Service:
    """Where a gateway maps ports: `port` and `path` of its HTTP server, and the `kind` of service that it is."""

    def __init__(self, port, path, kind):
        self.port = port
        self.path = path
        self.kind = kind

    def any_port(self):
        """Whether it has AddAnyPortMapping, which takes another port where the one asked for is in use."""
        return self.kind.endswith(":2")


class Entry:
    """A mapping that a gateway has: `client` and `port` (text and int) are where it leads. Of one that was asked for by
    its place in the list also `protocol` ("UDP" or "TCP"), `external_port`, and `left_s` (0: for ever)."""

    def __init__(self, client, port, description):
        self.client = client
        self.port = port
        self.description = description
        self.protocol = self.external_port = self.left_s = None


# -- requests -------------------------------------------------------------------------------------

def request(kind, action, arguments):
    """(headers as a dict, body) of the POST that asks a service of this kind for an action; `arguments`: pairs of name
    and value, in the order of the document, which some gateways insist on."""
    fields = "".join(["<%s>%s</%s>" % (name, _escape(str(value)), name) for name, value in arguments])
    body = ('<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:%s xmlns:u="%s">%s</u:%s></s:Body>'
            '</s:Envelope>\r\n' % (action, kind, fields, action))
    return {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": '"%s#%s"' % (kind, action)}, body.encode()


def mapping_key(external_port):
    """The arguments of GET_ENTRY and DELETE: a UDP port that is open to every sender."""
    return ("NewRemoteHost", ""), ("NewExternalPort", external_port), ("NewProtocol", "UDP")


def mapping(external_port, internal_port, client, description, lifetime_s):
    """The arguments of ADD and ADD_ANY; 0 s: for ever."""
    return mapping_key(external_port) + (
        ("NewInternalPort", internal_port), ("NewInternalClient", client), ("NewEnabled", 1),
        ("NewPortMappingDescription", description), ("NewLeaseDuration", lifetime_s))


def _escape(text):
    for entity, char in reversed(_ENTITIES):
        text = text.replace(char, entity)
    return text


# -- answers --------------------------------------------------------------------------------------

def parse_answer(data, action):
    """It is an answer to this action. UpnpError when it is none, with the gateway's code where it refuses."""
    if len(data) > MAX_ANSWER:
        raise UpnpError("the gateway's answer is too long")
    for text in _elements(data, b"errorCode"):
        code = _number(_text(text), 999)
        raise UpnpError(ERRORS.get(code) or "the gateway refuses with error %d" % code, code)
    if (action + "Response").encode() not in data:
        raise UpnpError("the gateway's answer is not one to %s" % action)


def parse_address(data):
    """The gateway's external address, or None where it has none. UpnpError."""
    parse_answer(data, GET_ADDRESS)
    text = _value(data, b"NewExternalIPAddress")
    if text in ("", "0.0.0.0"):
        return None
    try:
        return canonical_ip(text)
    except ValueError:
        raise UpnpError("the gateway's external address is none")


def parse_entry(data):
    """The Entry that the gateway has. UpnpError."""
    parse_answer(data, GET_ENTRY)
    return _entry(data)


def parse_listed(data):
    """The Entry at a place of the gateway's list; None for one that cannot be read: somebody else's text is in it.
    UpnpError; END_OF_LIST behind the last one."""
    parse_answer(data, LIST)
    try:
        entry = _entry(data)
        entry.protocol = _value(data, b"NewProtocol").upper()
        entry.external_port = _number(_value(data, b"NewExternalPort"), 65535)
        # Gateways that know no lifetimes leave it empty.
        entry.left_s = _number(_value(data, b"NewLeaseDuration") or "0", 0xffffffff)
    except UpnpError:
        return None
    return entry if entry.protocol in ("UDP", "TCP") else None


def _entry(data):
    return Entry(_value(data, b"NewInternalClient"), _number(_value(data, b"NewInternalPort"), 65535),
                 _value(data, b"NewPortMappingDescription"))


def parse_any_port(data):
    """The port that ADD_ANY got. UpnpError."""
    parse_answer(data, ADD_ANY)
    port = _number(_value(data, b"NewReservedPort"), 65535)
    if not port:
        raise UpnpError("the gateway gives port 0")
    return port


# -- the description ------------------------------------------------------------------------------

def parse_description(data, gateway, base):
    """The Services that map ports, of a description that was read at `base`, a pair as of `locate`, of the gateway
    (address as text); [] where there are none. UpnpError."""
    if len(data) > MAX_DESCRIPTION:
        raise UpnpError("the gateway's description is too long")
    url = _value(data, b"URLBase")  # of Device Architecture 1.0
    if url:
        base = locate(url, gateway, base)
    services = []
    for service in _elements(data, b"service"):
        kind, url = _value(service, b"serviceType"), _value(service, b"controlURL")
        if kind in _SERVICES and len(services) < _MAX_SERVICES:
            port, path = locate(url, gateway, base)
            services.append(Service(port, path, kind))
    return services


def locate(url, gateway, base=None):
    """(port, path) of an http URL at the gateway (address as text); a relative one is seen from `base`, such a pair.
    UpnpError."""
    if not 0 < len(url) <= _MAX_URL or not all(["!" <= c <= "~" for c in url]):
        raise UpnpError("the gateway gives a URL that is none")
    url = url.partition("#")[0]
    scheme, mark, rest = ("http:" + url if url.startswith("//") else url).partition("://")
    if mark and "/" not in scheme and "?" not in scheme:
        host, _, path = rest.partition("/")
        ip, colon, digits = host.partition(":")
        port = _number(digits, 65535) if colon else 80
        if scheme.lower() != "http" or ip != gateway or not port:
            raise UpnpError("the gateway sends us elsewhere: " + url[:80])
        return port, "/" + path
    if base is None:
        raise UpnpError("the gateway gives a URL without an address")
    if url.startswith("/"):
        return base[0], url
    return base[0], base[1].partition("?")[0].rpartition("/")[0] + "/" + url


# -- XML ------------------------------------------------------------------------------------------

def _elements(data, name):
    """What is in each element of this name (bytes). Elements within others of the same name are not looked for."""
    at = 0
    for _ in range(_MAX_TRIES):
        place = data.find(name, at)
        if place < 0:
            return
        at = place + len(name)
        if not _opens(data, place) or data[at:at + 1] not in _AFTER_NAME:
            continue
        close = data.find(b">", at)
        if close >= 0 and data[close - 1:close] == b"/":
            yield b""
            at = close
            continue
        at = data.find(name + b">", close)
        inside, mark, prefix = data[close + 1:at].rpartition(b"</")
        if close < 0 or at < 0 or not mark or (prefix and not prefix.endswith(b":")):
            raise UpnpError("the gateway's XML is cut off")
        yield inside
    raise UpnpError("the gateway's XML goes on and on")


def _opens(data, place):
    """Whether the name at this place is that of a start tag: there is nothing but a namespace before it."""
    begin = data.rfind(b"<", max(0, place - _MAX_PREFIX), place)
    prefix = data[begin + 1:place]
    return begin >= 0 and (not prefix or (prefix.endswith(b":") and b" " not in prefix and not prefix.startswith(b"/")))


def _value(data, name):
    """The text of the first element of this name, empty when there is none."""
    for raw in _elements(data, name):
        return _text(raw)
    return ""


def _text(raw):
    if b"<" in raw:
        raise UpnpError("the gateway gives something else in place of a text")
    try:
        text = utf8(raw).strip()
    except ValueError:
        raise UpnpError("the gateway's XML is not UTF-8")
    for entity, char in _ENTITIES:
        text = text.replace(entity, char)
    return text


def _number(text, most):
    if not 0 < len(text) <= 10 or text.strip("0123456789") or int(text) > most:
        raise UpnpError("the gateway gives a number that is none")
    return int(text)
