"""A client behind a symmetric NAT, where no server relays: nobody can know its port towards the device. That is said,
and left at that."""
import time

import pytest
from pairs import path_of, start_all, wait_path
from scenes import join
from waiting import stays, wait_for

WATCH_S = 16


@pytest.mark.long
def test_symmetric_client(make_lab, interpreter):
    lab = make_lab(servers=2, networks=("symmetric",))
    publishers, subscribers = start_all(lab, interpreter, relay="0")
    daemons = [*publishers.values(), *subscribers.values()]
    subscriber = subscribers["rem"]
    join(lab, "cli0", "nata")
    wait_path(subscriber, "cli0", "trying")
    wait_for(lambda: "symmetric NAT" in path_of(subscriber, "cli0")["reason"], 20, "the burst is over")
    cpu, logs = [daemon.cpu_s() for daemon in daemons], [daemon.log() for daemon in daemons]
    begin = time.monotonic()
    stays(lambda: (row := path_of(subscriber, "cli0"))["path"] == "trying" and "symmetric NAT" in row["reason"],
          WATCH_S, "trying, with the reason", every=4)
    watched = time.monotonic() - begin
    print(path_of(subscriber, "cli0")["reason"])
    for daemon, cpu_before, log_before in zip(daemons, cpu, logs):
        used = daemon.cpu_s() - cpu_before
        said = daemon.log()[len(log_before):].splitlines()
        print(f"{daemon.host}: {100 * used / watched:.1f} % CPU (emulated), {len(said)} lines")
        assert used / watched < 0.1, "negligible, in a VM that is some 17 times slower than its machine"
        assert len(said) <= 8, said
    assert subscriber.log().count("cli0: trying") == 1
    assert "cli0: direct" not in subscriber.log()
    lab.set_kind("nata", "cone")  # the person finds another network: it is direct without anyone's doing
    wait_path(subscriber, "cli0", "direct", 30)
