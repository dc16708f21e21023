"""forwarding.py with settings and counters of a test's own."""
from wgp2p import forwarding
from wgp2p.forwarding import LOST_PACKETS, RETRY_MOST_MS, RETRY_MS, Forwarding


class Settings:
    """What /proc says."""

    def __enter__(self):
        self.values = {"/proc/sys/net/ipv4/ip_forward": "1\n", "/proc/sys/net/ipv6/conf/all/forwarding": "1\n"}
        self._real = forwarding.read_text
        forwarding.read_text = self._read
        return self

    def _read(self, path, limit):
        if self.values[path] is None:
            raise OSError(2)
        return self.values[path]

    def __exit__(self, *_):
        forwarding.read_text = self._real


def test_settings():
    with Settings() as settings:
        four, six = Forwarding(False), Forwarding(True)
        assert four.check(0, (0, 0)) is None and six.check(0, (0, 0)) is None
        settings.values["/proc/sys/net/ipv6/conf/all/forwarding"] = "0\n"
        assert four.check(4000, (0, 0)) is None
        assert six.check(4000, (0, 0)) == "net.ipv6.conf.all.forwarding is 0" == six.problem
        assert six.check(6000, None) == six.problem is not None
        settings.values["/proc/sys/net/ipv6/conf/all/forwarding"] = "1\n"
        assert six.check(8000, None) is None, "at once when it is another one"
        settings.values["/proc/sys/net/ipv4/ip_forward"] = "0"
        assert four.check(10000, (0, 0)) == "net.ipv4.ip_forward is 0"
        settings.values["/proc/sys/net/ipv4/ip_forward"] = None
        assert Forwarding(False).check(0, (0, 0)) is None, "what cannot be read forbids nothing"


def test_packets_that_do_not_come_out():
    with Settings():
        state = Forwarding(False)
        came = 100
        for now in range(0, 20000, 2000):
            came += 50
            assert state.check(now, (came, came)) is None
        for now in range(20000, 40000, 2000):
            came += 1
            wanted = came - 600 >= LOST_PACKETS
            assert (state.check(now, (came, 600)) is not None) == wanted, "few packets take longer"
        assert state.check(40000, (came + 20, 600)) == "the firewall drops IPv4 that the kernel should forward"


def test_unknown_counters_and_those_of_a_new_table():
    with Settings():
        state = Forwarding(False)
        assert state.check(0, (1000, 1000)) is None
        assert state.check(2000, None) is None
        assert state.check(4000, (5, 0)) is None, "they begin again"
        assert state.check(6000, (24, 0)) is None
        assert state.check(8000, (25, 0)) is not None


def test_it_is_tried_again():
    with Settings():
        state, now, wait = Forwarding(False), 0, RETRY_MS
        state.check(now, (0, 0))
        for _ in range(5):
            assert state.check(now, (20, 0)) is not None
            assert state.check(now + wait - 1, (20, 0)) is not None
            now += wait
            assert state.check(now, (20, 0)) is None
            assert state.check(now, (20, 0)) is None, "counted from here"
            assert state.check(now, (40, 0)) is not None
            state.problem = None
            state._counted = (0, 0)
            wait = min(4 * wait, RETRY_MOST_MS)
            wait = min(4 * wait, RETRY_MOST_MS)
        assert wait == RETRY_MOST_MS
        assert state.check(now, (20, 0)) is not None
        state.again()
        assert state.check(now + 2000, (20, 0)) is None, "after a reload"
