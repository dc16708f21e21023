"""The search for a UPnP gateway (SSDP, UPnP Device Architecture 1.1, section 1.3): the question, and where an answer
says that the gateway describes itself.

The same question goes to everybody on the network and to the gateway alone. Only the answer to the latter passes a
firewall that follows connections (as of OpenWrt): that to the former comes from another address than was asked.
"""
from .compat import utf8

ADDRESS = "239.255.255.250"
PORT = 1900
TARGETS = (  # asked for in this order: a gateway should know them all, and some do not
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",  # one of version 2 answers to 1, too
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
    "upnp:rootdevice",
)
WAIT_S = 1  # within which answers are to be sent
_MAX_BYTES = 2048


class SsdpError(ValueError):
    """A datagram that is no answer to a search."""


def search(ip, target):
    """The datagram that asks at this address (text) for what is this or has it."""
    return ('M-SEARCH * HTTP/1.1\r\nHOST: %s:%d\r\nMAN: "ssdp:discover"\r\nMX: %d\r\nST: %s\r\n\r\n'
            % (ip, PORT, WAIT_S, target)).encode()


def parse_answer(data):
    """The URL (text, not checked) of the description. SsdpError."""
    if len(data) > _MAX_BYTES:
        raise SsdpError("an SSDP answer is too long")
    try:
        lines = utf8(data).split("\n")
    except ValueError:
        raise SsdpError("an SSDP answer is not text")
    if lines[0].split()[:2] not in (["HTTP/1.1", "200"], ["HTTP/1.0", "200"]):
        raise SsdpError("not an SSDP answer")
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "location":
            return value.strip()
    raise SsdpError("an SSDP answer names no description")
