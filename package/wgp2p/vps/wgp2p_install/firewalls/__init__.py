"""The firewall of this machine, whichever it is, and the openings in it that wgp2p needs.

A kind of firewall is a class with `NAME`, `found` and these requests:
    found(system)       the firewall when it is in use and filters what comes in, else None
    needed(opening)     records (JSON values) of the rules that let it in, there already or not. Refused
    has(record)         whether the rule is there, whoever made it. Refused
    words(record)       the command that adds it, as a person could type it
    add(record)         add it. Refused
    remove(record)      take it away; one that is gone is no error. Refused
    KEPT                whether the firewall keeps what was added; else it is added again at every start of wgp2p
"""
from .firewalld import Firewalld
from .iptables import Iptables
from .nftables import Nftables
from .opening import Opening
from .ufw import Ufw

_MANAGERS = (Ufw, Firewalld)  # either rules alone
_PLAIN = (Iptables, Nftables)  # a packet has to pass both
_KINDS = {kind.NAME: kind for kind in _MANAGERS + _PLAIN}


def detect(system):
    """The firewalls that filter here; [] where everything comes in."""
    for kind in _MANAGERS:
        found = kind.found(system)
        if found:
            return [found]
    return [found for found in [kind.found(system) for kind in _PLAIN] if found]


def of_record(system, record):
    """The firewall that a record belongs to, whether it is in use or not."""
    return _KINDS[record["kind"]](system)


def wanted(found, device_of, addresses_of):
    """The Openings that a configuration (config.Config) needs; [] with open_port '0'. `device_of(interface)` gives a
    wgp2p Device, `addresses_of(interface)` its addresses."""
    if not found.main.open_port:
        return []
    openings = [Opening("udp", device_of(values.interface).listen_port)
                for values in found.publishers + found.subscribers]
    for values in found.publishers:
        for ip in values.address or addresses_of(values.interface):
            openings.append(Opening("tcp", values.port, values.interface, ip))
    return list(dict.fromkeys(openings))
