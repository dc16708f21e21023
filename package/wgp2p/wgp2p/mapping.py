"""What is asked of the upstream gateway for one UDP port, what it answers, and how an attempt is driven.

An attempt in one protocol is a *talker*: `Talk(now, want, random_below)`. It is pure; who drives it (lease.py) asks
`act(now)` for the Datagrams and Requests to send, hands it `received(now, ip, port, data)` for each datagram from the
gateway and `answered(now, tag, response, error)` for each Request (an http.Response or None, and why there is none),
calls `act` again at `next_ms()` (None: nothing is waited for), and stops when `outcome` is a Mapping or a Refused
instead of None. Times are monotonic ms. A `want.lifetime_s` of 0 deletes: the outcome is a Mapping of 0 s, also where
there was none, or a Refused.
"""
PCP, NATPMP, UPNP = PROTOCOLS = ("pcp", "natpmp", "upnp")  # in the order in which they are tried
PORT = 5351  # of PCP and NAT-PMP at the gateway (RFC 6887 19.1, RFC 6886 3.1)
NONCE_SIZE = 12  # of PCP (RFC 6887 11.1)


class Want:
    """One mapping that is wanted, from `gateway` to `own_ip`, this machine's address towards it (texts)."""

    def __init__(self, gateway, own_ip, internal_port, external_port, lifetime_s, nonce, description):
        self.gateway = gateway
        self.own_ip = own_ip
        self.internal_port = internal_port
        self.external_port = external_port  # suggested
        self.external_ip = None  # suggested: what was mapped before (text), or None
        self.lifetime_s = lifetime_s
        self.nonce = nonce  # PCP: NONCE_SIZE bytes that make it ours, also after a restart
        self.description = description  # UPnP: what makes it ours
        self.previous = None  # PCP, NAT-PMP: (epoch_s, at_ms) of the gateway's last answer in this protocol, or None
        self.service = None  # the `service` of the last Mapping, which need not be searched for again, or None


class Mapping:
    """What the gateway granted. `rebooted`: its epoch says that it has lost what it had mapped before."""

    def __init__(self, protocol, external_ip, external_port, lifetime_s, epoch_s=None, rebooted=False, service=None):
        self.protocol = protocol
        self.external_ip = external_ip  # text, or None where it does not say
        self.external_port = external_port
        self.lifetime_s = lifetime_s  # 0: for ever, or deleted
        self.epoch_s = epoch_s  # PCP, NAT-PMP: the gateway's clock
        self.rebooted = rebooted
        self.service = service  # UPnP: where it was asked; of no meaning but to the next talker


class Refused:
    """Why there is no mapping. `words` say what it means and what to do."""

    def __init__(self, code, words, final=False, retry_s=None, taken=False):
        self.code = code  # the protocol's number, or None: nobody answered
        self.words = words
        self.final = final  # this protocol is of no use here: try the next one
        self.retry_s = retry_s  # when the gateway wants to be asked again, or None
        self.taken = taken  # another host has the external port: ask for another one


class Datagram:
    """UDP to send, from the one socket that hears the answers."""

    def __init__(self, ip, port, data):
        self.ip = ip
        self.port = port
        self.data = data


class Request:
    """HTTP to send. `tag` names it in `answered`; `limit`: the most bytes that the answer's body may have."""

    def __init__(self, tag, ip, port, method, path, headers, body, limit):
        self.tag = tag
        self.ip = ip
        self.port = port
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.limit = limit
