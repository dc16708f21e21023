"""How much room the kernel has to note connections (nf_conntrack-sysctl in the kernel's documentation)."""
from .files import read_text

_FOLDER = "/proc/sys/net/netfilter/nf_conntrack_"


def room(share):
    """How many connections the kernel can note until `share` percent of its table are in use, at least 0; None where
    it notes none. Two small files are read."""
    try:
        count, most = [int(read_text(_FOLDER + name, 64)) for name in ("count", "max")]
    except (OSError, ValueError):
        return None
    return max(0, most * share // 100 - count)
