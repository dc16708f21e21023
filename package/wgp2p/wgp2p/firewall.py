"""A table of ours in nftables: loaded whole with nft(8), loaded again when somebody has flushed it away, and deleted at
the end.

After every transaction the kernel says that there is a new generation of the ruleset (linux/netfilter/nf_tables.h,
group NFNLGRP_NFTABLES). Of all that it says in that group a BPF program lets only this pass, one short message for a
whole `fw4 reload`; then we ask for our table by its name, once for many changes. Nobody asks as long as nobody changes.
"""
import errno
import struct

from . import log, netlink, nftmessage, process
from .compat import AF_NETLINK, SOCK_RAW, attach_filter, open_socket, sockaddr_netlink
from .netlink_socket import ask
from .ruleset import TABLE
from .tap import Tap

_GROUP = 1 << 6  # NFNLGRP_NFTABLES is the seventh
_POSTROUTING = 4  # NF_INET_POST_ROUTING
_CHAIN_TABLE, _CHAIN_HOOK, _CHAIN_TYPE, _HOOK_NUMBER = 1, 4, 7, 1
_LDH_ABS, _JEQ, _RET = 0x28, 0x15, 0x06  # linux/filter.h
# BPF reads in network order, the message's type is in the machine's.
_WANTED = struct.unpack("!H", struct.pack(netlink.ORDER + "H", nftmessage.NEW_GENERATION))[0]
GENERATION_FILTER = [(_LDH_ABS, 0, 0, 4), (_JEQ, 0, 1, _WANTED), (_RET, 0, 0, 64), (_RET, 0, 0, 0)]

_SETTLE_MS, _CHECK_EVERY_MS = 500, 5000
_BACKOFF_MS, _LONGEST_MS = 5000, 300000
_NFT_MS, _CLOSE_MS = 10000, 1500


class FirewallError(Exception):
    """nftables cannot be asked; the text says why."""


# -- asking the kernel ----------------------------------------------------------------------------

def _ask(request, take):
    """The errno of the answer, 0 for success. FirewallError."""
    try:
        return ask(netlink.NETFILTER, request, take).error
    except netlink.NetlinkError as error:
        raise FirewallError(str(error))


def has_table(name):
    """Whether the table `inet NAME` is in the kernel. FirewallError."""
    error = _ask(lambda sequence: nftmessage.get_table(sequence, name), lambda data, start, end: None)
    if error and error != errno.ENOENT:
        raise FirewallError("nftables does not answer (errno %d)" % error)
    return not error


def delete_table(table=TABLE):
    """Take our table away, whether it is there or not. FirewallError."""
    error = _ask(lambda sequence: nftmessage.batch(sequence, [nftmessage.delete_table(table)]),
                 lambda data, start, end: None)
    if error and error not in (errno.ENOENT, errno.EOPNOTSUPP):  # a kernel without nf_tables has none either
        raise FirewallError("the table inet %s cannot be deleted (errno %d)" % (table, error))


def elements(name, table):
    """The elements of a set or map, as nftmessage.Element. FirewallError."""
    for _ in range(3):  # what changes meanwhile makes the kernel's walk skip some
        found = []
        try:
            answer = ask(netlink.NETFILTER, lambda sequence: nftmessage.dump_elements(sequence, table, name),
                         lambda data, start, end, found=found: found.extend(nftmessage.read_elements(data, start, end)))
        except netlink.NetlinkError as error:
            raise FirewallError(str(error))
        if answer.error or not answer.interrupted:
            break
    if answer.error:
        raise FirewallError("the elements of %s cannot be read (errno %d)" % (name, answer.error))
    return found


def counter(name, table):
    """(packets, bytes) of a named counter. FirewallError."""
    found = []
    error = _ask(lambda sequence: nftmessage.get_counter(sequence, table, name),
                 lambda data, start, end: found.append(nftmessage.read_counter(data, start, end)))
    if error or not found or found[0] is None:
        raise FirewallError("the counter %s cannot be read (errno %d)" % (name, error))
    return found[0]


def change(requests):
    """Make these changes of nftmessage (lists of `add`, `delete`, `flush`) in one transaction. Gives an errno, 0 for
    success. FirewallError."""
    if not requests:
        return 0
    return _ask(lambda sequence: nftmessage.batch(sequence, requests), lambda data, start, end: None)


def others_translate():
    """Whether a table of others translates source addresses: a host that does not is no router with NAT, and our table
    would only make it track connections. FirewallError."""
    found = []

    def take(data, start, end):
        values = {}
        for kind, one, other in netlink.attributes(data, netlink.skip(start, end, 4), end):
            values[kind] = (one, other)
        if _CHAIN_HOOK not in values or _CHAIN_TYPE not in values or _CHAIN_TABLE not in values:
            return
        number = None
        for kind, one, other in netlink.attributes(data, *values[_CHAIN_HOOK]):
            if kind == _HOOK_NUMBER and other - one == 4:
                number = struct.unpack_from("!I", data, one)[0]
        if (number == _POSTROUTING and netlink.read_string(data, *values[_CHAIN_TYPE]) == "nat"
                and netlink.read_string(data, *values[_CHAIN_TABLE]) != TABLE):
            found.append(True)

    error = _ask(lambda sequence: netlink.message(nftmessage.GET_CHAIN, netlink.REQUEST | netlink.DUMP, sequence,
                                                  bytes(4)), take)
    if error:
        raise FirewallError("nftables does not answer (errno %d)" % error)
    return bool(found)


# -- the table ------------------------------------------------------------------------------------

class Firewall:
    """Makes the kernel's table what `want` was told last. `loaded()` is called after every time that it was loaded,
    `failed()` after every time that it could not be, `changed()` some time after others have changed the ruleset.
    `problem`: why the table is not there, or None.

    With `over` the scripts are loaded over the table of an earlier run; one that does not go with the script is deleted
    first."""

    def __init__(self, loop, loaded, changed, table=TABLE, over=False, failed=lambda: None):
        self._loop = loop
        self._loaded, self._changed, self._did_fail = loaded, changed, failed
        self._table = table
        self._over, self._deleted = over, False
        self.problem = None
        self._wanted, self._present = None, None  # None: nobody said; we do not know
        self._run, self._running = None, None  # the nft that runs, and its text
        self._retry, self._pause_ms = None, _BACKOFF_MS
        self._check, self._checked_ms = None, loop.now() - _CHECK_EVERY_MS
        self._done = None
        self._tap = self._watch()

    def _watch(self):
        try:
            sock = open_socket(AF_NETLINK, SOCK_RAW, netlink.NETFILTER)
        except OSError:  # no nftables in this kernel: nft will say so, too
            return None
        try:
            attach_filter(sock, GENERATION_FILTER)
            sock.bind(sockaddr_netlink(_GROUP))
        except OSError as error:
            sock.close()
            log.debug("firewall: changes by others are not heard of (errno %d)" % error.args[0])
            return None
        return Tap(self._loop, sock, 64, self._heard)

    def want(self, text):
        """The table shall be made by this script of ruleset.py; "": there shall be none."""
        if text != self._wanted:
            self._wanted = text
            self._pause_ms = _BACKOFF_MS
            self._apply()

    def _apply(self):
        """One step towards what is wanted, unless a step is under way."""
        if self._run is not None or self._done is not None or self._wanted is None:
            return
        self._cancel_retry()
        if self._wanted == self._present:
            self.problem = None
        elif self._wanted:
            self._start(self._wanted)
        else:
            try:
                delete_table(self._table)
            except FirewallError as error:
                self._failed(str(error))
                return
            self._present, self.problem = "", None

    def _start(self, text):
        try:
            process.find("nft")
            self._running = text
            self._run = process.start(self._loop, ["nft", "-f", "-"], self._ended, text.encode(), _NFT_MS,
                                      privileged=True)
        except process.ProcessError as error:
            self._failed("nft is not installed" if str(error).endswith("no such program") else str(error))

    def _ended(self, result):
        self._run = None
        if self._done is not None:
            self._finish()
        elif result.code == 0:
            if self.problem is not None:
                log.info("firewall: table inet %s is loaded" % self._table)
            self._present, self.problem, self._pause_ms = self._running, None, _BACKOFF_MS
            self._deleted = False
            self._apply()
            self._loaded()
        elif self._wanted != self._running:
            self._apply()
        elif self._over and not self._deleted and self._delete():
            self._start(self._wanted)
        else:
            said = "".join([chr(byte) if 32 <= byte < 127 else "?" for byte in result.err.split(b"\n")[0][:200]])
            self._failed("nft takes too long" if result.timed_out else "nft: " + (said or "status %d" % result.code))

    def _delete(self):
        """Whether a table that was in the way is gone now."""
        self._deleted = True
        try:
            delete_table(self._table)
        except FirewallError:
            return False
        return True

    def _failed(self, why):
        self._deleted = False
        if why != self.problem:
            log.warning("firewall: " + why)
        self.problem = why
        self._retry = self._loop.call_later(self._pause_ms, self._apply)
        self._pause_ms = min(2 * self._pause_ms, _LONGEST_MS)
        self._did_fail()

    def _cancel_retry(self):
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    # -- what others do ---------------------------------------------------------------------------

    def _heard(self, _):
        if self._check is None:
            wait = max(_SETTLE_MS, self._checked_ms + _CHECK_EVERY_MS - self._loop.now())
            self._check = self._loop.call_later(wait, self._look)

    def _look(self):
        self._check = None
        self._checked_ms = self._loop.now()
        try:
            gone = bool(self._present) and not has_table(self._table)
        except FirewallError as error:
            log.debug("firewall: %s" % error)
            return
        if gone:
            log.info("firewall: somebody has removed table inet %s, it is loaded again" % self._table)
            self._present = None
            self._apply()
        self._changed()

    # -- the end ----------------------------------------------------------------------------------

    def close(self, done):
        """Take the table away and call `done()`, within 2 s in any case."""
        if self._tap is not None:
            self._tap.close()
        self._cancel_retry()
        if self._check is not None:
            self._check.cancel()
        self._done = done
        if self._run is None:
            self._finish()
        else:
            self._retry = self._loop.call_later(_CLOSE_MS, self._finish)
            self._run.stop()

    def _finish(self):
        """Called when no nft runs any more, or when that takes too long."""
        self._cancel_retry()
        done, self._done = self._done, lambda: None
        try:
            if self._wanted is not None and self._present != "":
                delete_table(self._table)
        except FirewallError as error:
            log.warning("firewall: %s" % error)
        done()
