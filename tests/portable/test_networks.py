"""networks.py: what is remembered of a network, and what is believed of a file."""
from wgp2p.compat import b64encode, json_loads
from wgp2p.networks import EACH, MOST, Known, Networks


def key(number):
    return b64encode(bytes([number // 256, number % 256]) + bytes(30))


PHONE, OTHER = key(1), key(2)


def learned(*rows):
    networks = Networks()
    for row in rows:
        networks.learn(*row)
    return networks


def same(known, low, high, offset):
    return known is not None and (known.low, known.high, known.offset) == (low, high, offset)


def test_learns_and_recalls():
    networks = Networks()
    assert networks.recall(PHONE, "203.0.113.9:5000") is None
    assert networks.learn(PHONE, "203.0.113.9:5000", "203.0.113.9:5700")
    known = networks.recall(PHONE, "203.0.113.9:1234")
    assert same(known, 5000, 5700, 700) and known.symmetric
    assert networks.recall(OTHER, "203.0.113.9:5000") is None, "of one client only"
    assert networks.learn(PHONE, "203.0.113.9:5000", "203.0.113.9:5700") is False, "no news"


def test_the_ports_of_one_block_grow_together():
    networks = learned((PHONE, "203.0.113.9:5000", "203.0.113.9:5700"), (PHONE, "203.0.113.9:5800", "203.0.113.9:4900"))
    assert same(networks.recall(PHONE, "203.0.113.9:1"), 4900, 5800, -900)
    networks.learn(PHONE, "203.0.113.9:9000", "203.0.113.9:9001")
    assert same(networks.recall(PHONE, "203.0.113.9:1"), 9000, 9001, 1), "too far away: another block"


def test_neighbours_share_a_nat():
    networks = learned((PHONE, "203.0.113.9:5000", "203.0.113.9:5700"), (PHONE, "203.0.7.7:800", "203.0.7.7:700"),
                       (PHONE, "203.0.8.8:800", "203.0.8.8:800"), (OTHER, "203.1.0.1:1", "203.1.0.1:2"))
    assert same(networks.recall(PHONE, "203.0.113.9:1"), 5000, 5700, 700), "this address before others"
    assert same(networks.recall(PHONE, "203.0.250.1:1"), 700, 800, -100), "the last"
    assert networks.recall(PHONE, "203.1.0.1:1") is None and networks.recall(PHONE, "203.11.0.1:1") is None
    assert networks.recall(OTHER, "203.11.0.1:1") is None and networks.recall(OTHER, "203.1.9.9:1").symmetric
    networks.learn(PHONE, "203.12.0.1:1", "203.12.0.1:2")
    assert networks.recall(PHONE, "203.1.0.1:1") is None
    assert networks.recall(PHONE, "203.0.8.8:1").symmetric is False, "its own word, and only its own"


def test_what_teaches_nothing():
    networks = Networks()
    assert not networks.learn(PHONE, "203.0.113.9:5000", "203.0.113.8:5700"), "not that client's NAT"
    assert not networks.learn(PHONE, "[2001:db8::1]:5000", "[2001:db8::1]:5700")
    assert networks.dump() == "[]\n"


def test_bounded_and_the_least_recent_goes():
    networks = Networks()
    for i in range(EACH + 1):
        networks.learn(PHONE, "10.%d.0.1:5000" % i, "10.%d.0.1:5001" % i)
        networks.learn(PHONE, "10.0.0.1:5000", "10.0.0.1:5001")  # here it is all the time
    assert networks.recall(PHONE, "10.0.0.1:1") and not networks.recall(PHONE, "10.1.0.1:1")
    assert len([i for i in range(EACH + 1) if networks.recall(PHONE, "10.%d.0.1:1" % i)]) == EACH
    for i in range(2 * MOST):
        networks.learn(key(i), "10.0.0.1:5000", "10.0.0.1:5001")
    assert len(json_loads(networks.dump())) == MOST
    assert networks.recall(key(2 * MOST - 1), "10.0.0.1:1") and not networks.recall(PHONE, "10.0.0.1:1")


def test_kept_in_a_file():
    networks = learned((PHONE, "203.0.113.9:5000", "203.0.113.9:4300"), (OTHER, "198.51.100.1:1", "198.51.100.1:1"))
    again = Networks()
    again.load(networks.dump())
    assert again.dump() == networks.dump()
    assert same(again.recall(PHONE, "203.0.113.9:1"), 4300, 5000, -700)
    assert not again.recall(OTHER, "198.51.100.1:1").symmetric


def test_rubbish_in_the_file():
    good = '["%s","203.0.113.9",4300,5000,-700]' % PHONE
    wrong = ('1', '[]', '{}', 'null', '"abcde"', '["%s"]' % PHONE, '[1,2,3,4,5]', '[null,null,null,null,null]',
             '["x","203.0.113.9",1,2,1]', '["%s","203.0.113.999",1,2,1]' % PHONE, '["%s",7,1,2,1]' % PHONE,
             '["%s","::1",1,2,1]' % PHONE, '["%s","1.2.3.4:5",1,2,1]' % PHONE, '["%s","1.2.3.4",0,2,1]' % PHONE,
             '["%s","1.2.3.4",3,2,1]' % PHONE, '["%s","1.2.3.4",3,70000,1]' % PHONE, '["%s","1.2.3.4",3,9,7]' % PHONE,
             '["%s","1.2.3.4",3,9,"x"]' % PHONE, '["%s","1.2.3.4",3,9,1e999]' % PHONE,
             '["%s","1.2.3.4",3,9,{}]' % PHONE, '["%s","1.2.3.4",3,9,1.0]' % PHONE, '["%s","1.2.3.4",3.5,9,1]' % PHONE)
    networks = Networks()
    networks.load("[%s]" % ",".join(wrong + (good,) + wrong))
    assert len(json_loads(networks.dump())) == 1 and same(networks.recall(PHONE, "203.0.1.1:1"), 4300, 5000, -700)
    for text in ("", "[", "7", "null", "{}", "[" + good, '{"a":[%s]}' % good, "[" * 1000):
        networks = Networks()
        networks.load(text)
        assert networks.dump() == "[]\n", text[:20]


def test_a_file_that_is_too_long():
    row = '["%s","10.0.%d.%d",1,2,1]'
    networks = Networks()
    networks.load("[%s]" % ",".join([row % (key(i), i // 256, i % 256) for i in range(2 * MOST)]))
    assert len(json_loads(networks.dump())) == MOST


def test_knowing_the_same():
    assert Known(1, 2, 1) == Known(1, 2, 1) and Known(1, 2, 1) != Known(1, 2, -1) and Known(1, 2, 1) != (1, 2, 1)
