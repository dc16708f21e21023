"""The firewall of this machine, whichever it is, and the openings in it that wgp2p needs.

A kind of firewall is a class with `NAME`, `found` and these requests:
    found(system)       the firewall when it is in use here, else None
    needed(opening)     records (JSON values) of the rules that let an Opening in or a Passage through, there already or
                        not; [] where it does not filter that. Refused
    has(record)         whether the rule is there, whoever made it. Refused
    words(record)       the command that adds it, as a person could type it
    add(record)         add it. Refused
    remove(record)      take it away; one that is gone is no error. Refused
    KEPT                whether the firewall keeps what was added; else it is added again at every start of wgp2p
"""
from .firewalld import Firewalld
from .iptables import Iptables
from .nftables import Nftables
from .opening import Opening, Passage
from .ufw import Ufw

_MANAGERS = (Ufw, Firewalld)  # either rules alone over what comes in
_PLAIN = (Iptables, Nftables)  # a packet has to pass both; over what is forwarded others rule beside a manager (Docker)
_KINDS = {kind.NAME: kind for kind in _MANAGERS + _PLAIN}


def needed(system, openings):
    """[(firewall, record, opening)] of the rules that let these in and through, there already or not. Refused"""
    managers, plain = [[found for found in [kind.found(system) for kind in kinds] if found]
                       for kinds in (_MANAGERS, _PLAIN)]
    rows = []
    for opening in openings:
        for kind in managers + plain if isinstance(opening, Passage) else managers[:1] or plain:
            rows += [(kind, record, opening) for record in kind.needed(opening)]
    return rows


def of_record(system, record):
    """The firewall that a record belongs to, whether it is in use or not."""
    return _KINDS[record["kind"]](system)


def wanted(found, device_of, addresses_of):
    """The Openings and the Passage that a configuration (config.Config) needs; [] with open_port '0'.
    `device_of(interface)` gives a wgp2p Device, `addresses_of(interface)` its addresses."""
    if not found.main.open_port:
        return []
    openings = [Opening("udp", device_of(values.interface).listen_port)
                for values in found.publishers + found.subscribers]
    for values in found.publishers:
        for ip in values.address or addresses_of(values.interface):
            openings.append(Opening("tcp", values.port, values.interface, ip))
        if values.relay:
            openings.append(Passage())
    return list(dict.fromkeys(openings))
