"""Which ports a symmetric NAT may have given a client towards us, seen that it gave it `port` towards the publisher.

The likely ones first: the neighbours, for a NAT that counts up; the blocks around it, for one that gives each
subscriber a block; the port set of a network that shares its address with others by MAP (RFC 7597, 5.1). Not all NATs
begin their blocks at multiples of the size, so beside each aligned block stands a window around the port. Order and
sizes come from the simulation in docs/sweep.md (tests/unit/test_portplan_sim.py).

A range is (first port, last port); a wave is a list of ranges in the order of sending, and no port comes twice.
"""
FIRST, LAST = 1024, 65535  # those below belong to services: NATs keep them for themselves
WAVES = (1024, 1024, 2048)  # ports in each, at most
_NEAR = 32  # connections that a client makes between that to the publisher and that to us, and then some
_AGAIN = 8  # around the port that is as far from the one seen as it was before
_PIECE = 256


def waves(port, known=None):
    """The ports to open for a client that is seen at `port`, as a list of waves, the last of them not always full;
    `known` (networks.Known): what was found in this network before, or None."""
    ranges = []
    for wanted in _likely(port, known):
        ranges += _without(wanted, ranges)
    plan = []
    for size in WAVES:
        wave = []
        while ranges and size:
            low, high = ranges.pop(0)
            last = min(high, low + size - 1)
            wave.append((low, last))
            size -= last - low + 1
            if last < high:
                ranges.insert(0, (last + 1, high))
        if wave:
            plan.append(wave)
    return plan


def rest(plan):
    """A generator of all further ports after these waves, from the nearest to the farthest."""
    taken = [span for wave in plan for span in wave]
    middle = taken[0][0]
    pieces = [(abs(start - middle), start, min(start + _PIECE - 1, high))
              for low, high in _without((FIRST, LAST), taken) for start in range(low, high + 1, _PIECE)]
    for _, low, high in sorted(pieces):
        yield from range(low, high + 1)


def _likely(port, known):
    """Ranges, from the most to the least likely; they overlap."""
    first, last = _block(port, 1024)
    return (_learned(port, known) if known is not None and known.symmetric else []) + [
        (port - _NEAR, port + _NEAR),
        _block(port, 128), _block(port, 256), _block(port, 512), (port - 256, port + 256),
        (first, last), (port - 512, port + 512)] + _port_set(port, 4) + [
        (port - 1024, port + 1024), (first - 1024, last + 1024)] + _port_set(port, 6)


def _learned(port, known):
    """Ranges by what another visit has shown: a port set, or the block of that time, or else the same distance."""
    span = known.high - known.low
    if span > 1024 - 16 and _port_set(known.low, 6) == _port_set(known.high, 6):
        return _port_set(port, 4) + _port_set(port, 6)  # the first are among the second
    low, high = min(port, known.low), max(port, known.high)
    if high - low <= min(2 * span, 2048):
        return [(low, high)]
    return [(port + known.offset - _AGAIN, port + known.offset + _AGAIN)]


def _block(port, size):
    return port - port % size, port - port % size + size - 1


def _port_set(port, bits):
    """The ports of a MAP subscriber: all that differ from `port` in the first `bits` and the last 4 bits only. Those
    with zeros in front belong to nobody."""
    step = 1 << 16 - bits
    return [(low, low + 15) for low in range(step + port % step // 16 * 16, 1 << 16, step)]


def _without(span, taken):
    """What of a range is a port at all and in none of these others, as ranges in order."""
    left = [(max(span[0], FIRST), min(span[1], LAST))]
    for low, high in taken:
        if low <= span[1] and high >= span[0]:
            left = [piece for begin, end in left
                    for piece in ((begin, min(end, low - 1)), (max(begin, high + 1), end)) if piece[0] <= piece[1]]
    return [piece for piece in left if piece[0] <= piece[1]]
