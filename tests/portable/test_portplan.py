"""portplan.py: which ports are opened in which order. How well that does is in tests/unit/test_portplan_sim.py."""
from wgp2p.networks import Known
from wgp2p.portplan import FIRST, LAST, WAVES, rest, waves

EDGES = (1, 500, 1023, 1024, 1025, 1055, 2047, 2048, 31487, 32768, 51820, 65000, 65504, 65534, 65535)
KNOWN = (None, Known(31000, 31900, 900), Known(31000, 31001, -1), Known(5000, 5000, 0), Known(5000, 60000, -55000),
         Known(4096 + 0x120, 9 * 4096 + 0x12F, 15), Known(1, 65535, 65534), Known(64000, 65535, 1535))


def count(wave):
    return sum([high - low + 1 for low, high in wave])


def ports(plan):
    return [port for wave in plan for low, high in wave for port in range(low, high + 1)]


def number(plan, port):
    """In which wave a port is, from 1; 0: in none."""
    for i, wave in enumerate(plan):
        if [1 for low, high in wave if low <= port <= high]:
            return i + 1
    return 0


def test_no_port_twice_and_only_real_ones():
    for port in EDGES:
        for known in KNOWN:
            plan = waves(port, known)
            all_of_it = ports(plan)
            assert len(set(all_of_it)) == len(all_of_it)
            assert FIRST <= min(all_of_it) and max(all_of_it) <= LAST
            assert [count(wave) for wave in plan[:-1]] == list(WAVES[:len(plan) - 1])
            assert 0 < count(plan[-1]) <= WAVES[len(plan) - 1]


def test_nearest_first():
    first = waves(31500)[0]
    assert first[0] == (31468, 31532), "neighbours on both sides"
    sent = ports([first])
    for size in (128, 256, 512):
        low = 31500 - 31500 % size
        assert set(range(low, low + size)) <= set(sent[:65 + size + 512])
    assert set(range(31500 - 256, 31500 + 257)) <= set(sent), "a block that begins anywhere"


def test_blocks_and_sets_of_later_waves():
    plan = waves(31500)
    assert {number(plan, port) for port in range(30720, 31744)} == {1, 2}, "aligned to 1024"
    assert {number(plan, port) for port in range(31500 - 512, 31500 + 513)} == {1, 2}
    assert 0 not in {number(plan, port) for port in range(29696, 32768)}, "2048, aligned or begun at 1024"
    assert {number(plan, port) for port in port_set(31500, 12)} == {1, 2}, "MAP with 240 ports for each subscriber"
    assert 0 not in {number(plan, port) for port in port_set(31500, 10)}, "with 1008"


def port_set(port, bits):
    """What has the same PSID, in the `bits` from the right without the last 4."""
    own = port % (1 << bits) // 16 * 16
    return [n << bits | own | i for n in range(1, 1 << 16 - bits) for i in range(16)]


def test_the_rest_is_all_the_rest():
    for port in (1024, 31500, 65535):
        plan = waves(port)
        seen, done = bytearray(LAST + 1), 0
        for later in ports(plan):
            seen[later] = 1
        for later in rest(plan):
            assert not seen[later] and FIRST <= later <= LAST
            seen[later] = 1
            done += 1
            assert done > 1000 or abs(later - port) < 4096, "from near"
        assert abs(later - port) > 30000, "to far"
        assert seen.count(b"\1") == LAST + 1 - FIRST


def test_the_block_of_another_visit():
    known = Known(31000, 31900, 900)
    assert {number(waves(31100, known), port) for port in range(31000, 31901)} == {1}
    assert {number(waves(31100), port) for port in range(31000, 31901)} == {1, 2, 3}
    assert {number(waves(30300, known), port) for port in range(30300, 31901)} == {1, 2}, "it is larger than it looked"
    assert 31300 not in ports(waves(32000, Known(31000, 31100, 100)))[:500], "a small one, far off"
    few = ports(waves(50000, Known(31008, 31011, 3)))
    assert sorted(few[:65]) == list(range(49968, 50033)), "four ports are no port set"
    assert ports(waves(50000, known))[:17] == list(range(50892, 50909)), "another one: the same distance"
    assert ports(waves(30000, Known(31000, 32900, 50)))[:17] == list(range(30042, 30059)), "no block is so large"
    assert ports(waves(50000, known))[17:82] == ports(waves(50000))[:65], "and then as ever"


def test_the_port_set_of_another_visit():
    for low, high in ((0x1120, 0x912F), (0x1120, 0x952F), (0x1120, 0x1525)):
        plan = waves(0x2945, Known(low, high, high - low))
        assert {number(plan, port) for port in port_set(0x2945, 10)} == {1}
        assert set(ports(plan)[:240]) == set(port_set(0x2945, 12)), "none with zeros in front"
    assert 3 in {number(waves(0x2345, Known(0x1120, 0x9535, 900)), port) for port in port_set(0x2345, 10)}


def test_what_is_no_symmetric_nat_teaches_nothing():
    assert waves(31500, Known(5000, 5000, 0)) == waves(31500)
