"""Whether this machine forwards packets (net.ipv4.ip_forward), which the relay needs to be the kernel's work.

IPv6 is left alone: to switch its forwarding on makes a host ignore the router advertisements that many have their
default route from (Linux, networking/ip-sysctl, accept_ra).
"""
from . import installed, paths

_NAME = "net.ipv4.ip_forward"
_NOW = "/proc/sys/" + _NAME.replace(".", "/")
_TEXT = f"""\
{paths.MARK}
# Packets between a phone and a remote device are forwarded by the kernel where there is no direct path.
{_NAME} = 1
"""


def switch_on(journal, console, state, found, wanted):
    """Have it on, now and at every start, where a publisher of `found` (config.Config) relays and it is off. `wanted`:
    somebody said so (--forward); else a person is asked, and --yes is no answer to that. Refused."""
    system = journal.system
    if not [values for values in found.publishers if values.relay] or system.text(_NOW).strip() != "0":
        return
    console.say(f"this machine forwards no packets ({_NAME} is 0): what is relayed goes through the service instead of "
                "the kernel, which is slower")
    if not wanted and (console.yes or not console.confirm(
            f"Switch {_NAME} on? Who must not be forwarded is then for the firewall to say.")):
        console.say("it stays off. --forward switches it on")
        return
    journal.write(paths.SYSCTL, _TEXT)
    journal.run(f"switch {_NAME} on", ["sysctl", "-q", "-w", _NAME + "=1"], ["sysctl", "-q", "-w", _NAME + "=0"])
    state.forward = True
    if not journal.dry:
        installed.save(journal, state)


def forget(journal, console, state):
    """What `switch_on` wrote goes. Others may count on it by now, so it stays on until the machine starts anew."""
    if state.forward and journal.system.exists(paths.SYSCTL):
        journal.remove(paths.SYSCTL)
        console.say(f"{_NAME} stays on until the next start of this machine")
