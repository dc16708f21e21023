"""receivers.py: in which order, with how many hashes, and how many searches at a time."""
from fakewg import key

from wgp2p import receivers, wgpacket
from wgp2p.blake2s import Mac1
from wgp2p.receivers import PENDING_EACH, PENDING_MOST, Receivers
from wgp2p.wgmessage import key_bytes

SERVER, DEVICE = key(255), key(254)


def initiation(receiver, index=7):
    """A message that is an initiation for this key as far as anybody can see without the private key."""
    body = b"\x01\0\0\0" + bytes([0, 0, 0, index]) + bytes(108)
    return body + Mac1(wgpacket.mac1_key(key_bytes(receiver))).of(body) + bytes(16)


class Counted:
    """Counts the hashes meanwhile."""

    def __enter__(self):
        self.count = 0
        self._real = wgpacket.is_for
        wgpacket.is_for = self._is_for
        return self

    def _is_for(self, message, mac1):
        self.count += 1
        return self._real(message, mac1)

    def __exit__(self, *_):
        wgpacket.is_for = self._real


def members(count):
    found = Receivers()
    found.own = SERVER
    for number in range(count, 0, -1):
        found.changed(key(number))
    return found


def anybody(_):
    return True


def finish(found):
    ended = []
    while found.pending():
        search = found.go_on()
        if search is not None:
            ended.append(search)
    return ended


def test_server_itself_costs_one_hash():
    found = members(100)
    with Counted() as counted:
        search = found.begin(DEVICE, initiation(SERVER), anybody)
    assert search.over and search.found == SERVER and counted.count == 1


def test_who_changed_last_is_looked_at_first():
    found = members(100)
    found.changed(key(90))
    with Counted() as counted:
        assert found.begin(DEVICE, initiation(key(90)), anybody).found == key(90)
    assert counted.count == 2


def test_the_rest_goes_on_in_slices_and_is_remembered():
    found = members(100)
    with Counted() as counted:
        search = found.begin(DEVICE, initiation(key(60)), anybody)
        assert not search.over and search.found is None and counted.count == 4 and found.pending() == 1
        ended = finish(found)
        assert ended == [search] and search.found == key(60) and counted.count == 61
        counted.count = 0
        assert found.begin(DEVICE, initiation(key(60), 8), anybody).found == key(60)
        assert counted.count == 2, "who was called before comes first"


def test_only_those_that_the_sender_may_talk_to():
    found = members(100)
    with Counted() as counted:
        search = found.begin(DEVICE, initiation(key(60)), lambda other: other in (key(3), key(61)))
        assert search.over and search.found is None and counted.count == 3, "the server and the two"
    assert found.begin(DEVICE, initiation(key(60)), lambda other: other == key(60)).found == key(60)
    assert not found.begin(DEVICE, initiation(key(60)), lambda other: False).found, "not any more"


def test_nobody_is_its_own_receiver():
    found = members(3)
    search = found.begin(key(2), initiation(key(2)), anybody)
    assert search.over and search.found is None


def test_unknown_receiver():
    found = members(100)
    with Counted() as counted:
        found.begin(DEVICE, initiation(key(200)), anybody)
        ended = finish(found)
    assert len(ended) == 1 and ended[0].found is None and counted.count == 101


def test_searches_are_bounded_and_take_turns():
    found = members(100)
    for _ in range(20):
        found.begin(DEVICE, initiation(key(200)), anybody)
    assert found.pending() == PENDING_EACH
    found.begin(key(150), initiation(key(20)), anybody)
    with Counted() as counted:
        while True:
            search = found.go_on()
            if search is not None:
                break
    assert search.sender == key(150) and counted.count <= 17 * (PENDING_EACH + 1), "not behind those of another"
    for number in range(100, 150):
        found.begin(key(number), initiation(key(200)), anybody)
    assert found.pending() == PENDING_MOST


def test_who_left_is_forgotten():
    found = members(10)
    found.begin(DEVICE, initiation(key(9)), anybody)
    assert finish(found)[0].found == key(9)
    found.begin(key(3), initiation(key(200)), anybody)
    found.keep([key(1), key(2), DEVICE])
    assert not found.pending(), "whose sender left"
    assert not found.begin(DEVICE, initiation(key(9)), anybody).found
    with Counted() as counted:
        assert found.begin(DEVICE, initiation(key(2)), anybody).found == key(2)
    assert counted.count == 3


def test_a_search_outlives_what_changes_meanwhile():
    found = members(100)
    found.begin(DEVICE, initiation(key(60)), anybody)
    for number in range(20, 90):
        found.changed(key(number))
    assert finish(found)[0].found == key(60)


def test_without_the_servers_key():
    found = members(2)
    found.own = None
    assert found.begin(DEVICE, initiation(key(2)), anybody).found == key(2)
    assert receivers.AT_ONCE == 4
