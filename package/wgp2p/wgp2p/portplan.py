"""Which ports a symmetric NAT may have given a client towards us, seen that it gave it `port` towards the publisher.

The likely ones first: the neighbours, for a NAT that counts up; the blocks around it, for one that gives each
subscriber a block; the port set of an address that many share without a NAT in the middle (MAP, RFC 7597, 5.1). Blocks
begin where they like, so next to each block aligned to its size stands a window of that size around the port.
Sizes and order were chosen by simulation: docs/sweep.md, tests/unit/test_portplan_sim.py.

A range is (first port, last port); a wave is a list of ranges in the order of sending, and no port comes twice.
"""
FIRST, LAST = 1024, 65535  # ports below belong to services: NATs keep them for themselves
WAVES = (1024, 1024, 2048)  # at most so many ports in each
_NEAR = 32  # connections that a client makes between that to the publisher and that to us, and then some
_BLOCKS = (128, 256, 512, 1024, 2048)
_MAP_BITS = (4, 6)  # of the port number before the subscriber's own, in MAP as it is deployed; 4 more are free behind
_PIECE = 256


def waves(port, known=None):
    """The ports to open for a client that is seen at `port`, as a list of waves, the last of them not always full;
    `known` (networks.Known): what was found in this network before, or None."""
    plan, taken = [[]], []
    sizes = list(WAVES)
    for wanted in _likely(port, known):
        for low, high in _without(wanted, taken):
            taken.append((low, high))
            while low <= high and sizes:
                count = min(high - low + 1, sizes[0])
                plan[-1].append((low, low + count - 1))
                low += count
                sizes[0] -= count
                if not sizes[0]:
                    sizes.pop(0)
                    plan.append([])
    return [wave for wave in plan if wave]


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
    ranges = _learned(port, known) if known is not None and known.symmetric else []
    ranges.append((port - _NEAR, port + _NEAR))
    for size in _BLOCKS:
        ranges.append(_block(port, size))
        if size >= 512:
            ranges.append((port - size // 2, port + size // 2))
        if size == 1024:
            ranges += _port_set(port, _MAP_BITS[0])
    return ranges + _port_set(port, _MAP_BITS[1])


def _learned(port, known):
    """Ranges by what another visit has shown: the same distance, the same block, another one as large."""
    ranges = [(port + known.offset - _NEAR, port + known.offset + _NEAR)]
    span = known.high - known.low
    if span < _BLOCKS[-1]:
        low, high = min(port, known.low), max(port, known.high)
        if high - low < _BLOCKS[-1]:
            ranges.append((low, high))
        ranges.append(_block(port, min([size for size in _BLOCKS if size > span])))
        ranges.append((port - span, port + span))
    for bits in _MAP_BITS:
        if span >= _BLOCKS[-1] and not (known.low ^ known.high) & ((1 << 16 - bits) - 16):
            ranges += _port_set(port, bits)
    return ranges


def _block(port, size):
    return port - port % size, port - port % size + size - 1


def _port_set(port, bits):
    """The ports of a MAP subscriber: all that differ from `port` in the first `bits` and the last 4 only. Those with
    zeros in front belong to nobody."""
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
