"""What the relay costs: the same tunnel through the public server by plain routing, through the relay in its kernel,
and through its daemon; and what a look at an initiation costs.

  bench_relay.py [throughput] [mac1] [micropython] [python3]     default: all; prints, asserts nothing

One emulated processor does all of it, both ends' cryptography included: compare numbers of one run only.
"""
import socket
import subprocess
import sys
import threading
import time

import nat
import netns
import stock_router
from daemon import PACKAGE, PYTHONS, interpreter_words
from pairs import publisher_config, subscriber_config
from relay_watch import relay_status
from scenes import join, wait_way
from topology import INET, Topology
from waiting import wait_for

SECONDS = 10
PORT = 5201
MAC1 = """
import time
from wgp2p.blake2s import Mac1
from wgp2p.wgpacket import is_for, mac1_key
begin = time.ticks_us() if hasattr(time, "ticks_us") else time.perf_counter() * 1e6
key = Mac1(mac1_key(bytes(32)))
made = time.ticks_us() if hasattr(time, "ticks_us") else time.perf_counter() * 1e6
message = bytes([1]) + bytes(147)
for _ in range(200):
    is_for(message, key)
end = time.ticks_us() if hasattr(time, "ticks_us") else time.perf_counter() * 1e6
print("%d us for a key once, %d us for a message" % (made - begin, (end - made) / 200))
"""


def stream(lab, sender, receiver):
    """MB/s of one TCP connection through the tunnel."""
    listener = netns.open_socket(receiver, socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((lab.tunnel(receiver), PORT))
    listener.listen()
    got = [0]

    def take():
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(1 << 18):
                got[0] += len(data)

    taker = threading.Thread(target=take)
    taker.start()
    with netns.open_socket(sender, socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.connect((lab.tunnel(receiver), PORT))
        data, begin = bytes(1 << 17), time.monotonic()
        while time.monotonic() < begin + SECONDS:
            connection.sendall(data)
    taker.join()
    listener.close()
    return got[0] / (time.monotonic() - begin) / 1e6


def route_through_server(lab):
    """Client and device send to each other's address by way of the public server, which only forwards."""
    netns.sysctl("pub", ipv4__conf__all__send_redirects=0, ipv4__conf__wan__send_redirects=0)
    netns.nft("pub", "add rule inet filter forward udp dport 51820 accept\n"
                     "add rule inet filter forward udp sport 51820 accept\n")
    netns.batch("cli0", "ip", f"route replace {lab.outer('natr')}/32 via {lab.outer('pub')}")
    netns.batch("natr", "ip", f"route replace {lab.outer('cli0')}/32 via {lab.outer('pub')}")


def throughput(kind, interpreter):
    """kind: routed, relayed, or daemon."""
    lab = Topology(devices=("open",), networks=())
    try:
        lab.up()
        if kind == "daemon":
            netns.nft("pub", nat.SERVER_RULES.replace(stock_router.RELAYED, ""))
        policy = "direct" if kind == "routed" else "relay"
        config = publisher_config(lab, "pub", relay="0" if kind == "routed" else "1")
        publisher = lab.daemon("pub", interpreter, config).start()
        lab.daemon("rem", interpreter, subscriber_config(lab, "rem", paths={"cli0": policy})).start()
        lab.move("cli0", INET)
        if kind == "routed":
            route_through_server(lab)
        join(lab, "cli0", INET, profile="one")
        wait_way(lab, policy)
        if kind == "daemon":
            wait_for(lambda: lab.ping("cli0", "rem") and relay_status(publisher)["state"] == "userspace", 40,
                     "through the daemon")
        for host in ("pub", "natr", "cli0"):
            netns.batch(INET, "tc", f"qdisc del dev {host} root")  # no delay: the processor is the limit
        cpu = publisher.cpu_s()
        there, back = stream(lab, "cli0", "rem"), stream(lab, "rem", "cli0")
        used = (publisher.cpu_s() - cpu) / (2 * SECONDS)
        print(f"{kind:8} {interpreter if kind == 'daemon' else '':12} {there:6.2f} MB/s there, {back:6.2f} MB/s back, "
              f"daemon {100 * used:.0f} % CPU", flush=True)
        return there + back
    finally:
        lab.down()


def mac1(interpreter):
    done = subprocess.run([*interpreter_words(interpreter), "-c", MAC1], cwd=PACKAGE, capture_output=True, text=True,
                          check=True)
    print(f"{interpreter:12} mac1: {done.stdout.strip()}", flush=True)


def main(words):
    kinds = [word for word in PYTHONS if word in words] or PYTHONS
    wanted = [word for word in words if word not in kinds] or ["throughput", "mac1"]
    if "mac1" in wanted:
        print("\nFor whom an initiation is", flush=True)
        for kind in kinds:
            mac1(kind)
    if "throughput" in wanted:
        print(f"\nOne TCP connection through the tunnel, {SECONDS} s each way", flush=True)
        routed = throughput("routed", kinds[0])
        print(f"relayed : routed = {throughput('relayed', kinds[0]) / routed:.2f}", flush=True)
        for kind in kinds:
            print(f"through the daemon : routed = {throughput('daemon', kind) / routed:.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
