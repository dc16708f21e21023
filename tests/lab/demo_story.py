"""The demo's story: its steps on a real lab, what is measured meanwhile, and the frame that is drawn.

Everything shown is real: namespaces with NATs, the kernel's WireGuard, the daemons, and what they say of
themselves. A step that does not come true within its time ends the demo with exit code 1 and the daemons' logs.
"""
import sys
import textwrap
import threading
import time

import demo_screen
import netns
import pairs
from daemon import PACKAGE, uci
from demo_observer import PHONE, ROUTER, SERVER, Observer, ask_status
from topology import Topology

sys.path.insert(0, str(PACKAGE))
from wgp2p import table  # noqa: E402

TITLE = "wgp2p: a phone with the plain WireGuard app reaches a router behind NAT"
WORDS = {"direct": "Direct", "relay": "There again, through the server,"}
NETWORK = {"hotel": "nata", "mobile": "natb", "office": "natc"}


class Failure(Exception):
    """Something that the demo is about to show did not happen."""


class Story:
    """One run: the steps in their order, and the frame that is drawn meanwhile."""

    def __init__(self, lab, view):
        self.lab, self.view = lab, view
        self.began = time.monotonic()
        self.publisher = self.subscriber = self.observer = None
        self.network = None  # where the phone is: "hotel", "mobile"
        self.status = None  # of the router's daemon
        self.seen = ""  # where the server's daemon sees the phone
        self.sentence, self.progress = "", ""
        self.moves, self.steps = [], []
        self.table_shown = False
        self._next_status = self._next_draw = 0

    # -- what is seen

    def tell(self, text):
        """The sentence that explains what happens now."""
        self.sentence, self.progress = text, ""
        if not self.view.live:
            head = f"[{time.monotonic() - self.began:5.1f} s] "
            self.view.lines(["", *textwrap.wrap(text, 78, initial_indent=head, subsequent_indent=" " * 10)])

    def row(self):
        """The phone's row of the router's status; {} while there is none."""
        return phone_row(self.status, "subscribers")

    def picture(self):
        memory = [f"{daemon.interpreter}, {daemon.memory_kb() / 1024:.1f} MB" if daemon else ""
                  for daemon in (self.publisher, self.subscriber)]
        outer = {name: self.lab.outer(network) for name, network in NETWORK.items()}
        outer.update(router=self.lab.outer(self.lab.nat_of[ROUTER]))
        word = self.row().get("path")
        link = (word if word in WORDS and self.is_path(word) else "no path") if self.network else ""
        return demo_screen.topology(outer, self.network, link, *memory, self.seen)

    def is_path(self, word):
        """The router's daemon says this word, and its packets go where they must then go."""
        return self.row().get("path") == word and self.address_of(self.row().get("endpoint")) == self.place(word)

    def place(self, word):
        """Where the router sends to: to the phone itself, or to the server."""
        return self.lab.seen_as(PHONE) if word == "direct" else self.lab.outer(SERVER)

    @staticmethod
    def address_of(endpoint):
        return (endpoint or "").rpartition(":")[0]

    def table(self):
        return ["$ wgp2p status          (on the router)",
                *table.render(self.status).splitlines()] if self.status else []

    def strip(self):
        if not self.observer or not self.observer.pings:
            return []
        pings = list(self.observer.pings)
        last = next((f"{took * 1000:.0f} ms" for sent, took in pings[:-6:-1] if took), "no answer")
        return [f"pings from the phone to the router, 5 a second: {last}",
                *demo_screen.strip(pings, self.moves[1:], time.monotonic(), self.view.width)]

    def refresh(self):
        """Ask for the status and draw, if it is time."""
        now = time.monotonic()
        if self.observer and now >= self._next_status:
            self.status = ask_status(self.subscriber.socket_path)
            self.seen = phone_row(ask_status(self.publisher.socket_path), "publishers").get("endpoint") or ""
            self._next_status = time.monotonic() + 0.7
        if self.view.live and now >= self._next_draw:
            clock = f"{now - self.began:.0f} s"
            text = textwrap.wrap(self.sentence, self.view.width)
            self.table_shown = self.view.draw(
                [TITLE.ljust(self.view.width - len(clock)) + clock], self.picture(),
                text + [""] * (2 - len(text)) + [self.progress], self.strip(), self.table())
            self._next_draw = now + 0.25

    def until(self, condition, seconds, why):
        """Go on drawing until condition() is true; its value."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                raise Failure(f"not within {seconds} s: {why}")
            self.refresh()
            time.sleep(0.05)
        return value

    def pause(self, seconds):
        """Time to read."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end, seconds + 1, "time passes")

    def doing(self, action):
        """Go on drawing while action() runs; its value."""
        done = []

        def work():
            try:
                done.append((action(), None))
            except Exception as error:  # it goes on in the thread that waits for it
                done.append((None, error))

        threading.Thread(target=work, daemon=True).start()
        value, error = self.until(lambda: done, 90, "a step ends")[0]
        if error:
            raise error
        return value

    # -- what happens

    def start(self):
        self.tell("A small internet is being built of network namespaces, with real NATs and the kernel's WireGuard. "
                  "Router and server have a tunnel.")
        self.doing(self.lab.up)
        self.tell("The public server starts wgp2p as the publisher, under python3: it can tell the router where its "
                  "WireGuard sees the phone.")
        self.publisher = self.doing(self.lab.daemon(SERVER, "python3", named(
            pairs.publisher_config(self.lab, SERVER))).start)
        self.tell("The router starts wgp2p as the subscriber, under MicroPython as on OpenWrt: it listens to the "
                  "server through their tunnel.")
        config = named(pairs.subscriber_config(self.lab, ROUTER))
        config += "\n" + uci(("peer", {"name": "server", "public_key": self.lab.key(SERVER)}))
        subscriber = self.subscriber = self.doing(self.lab.daemon(ROUTER, "micropython", config).start)
        self.until(lambda: "publisher server: connected" in subscriber.log(), 30, "the router follows the server")
        self.observer = Observer(self.lab)
        self.observer.start()
        memory = [f"{daemon.memory_kb() / 1024:.1f} MB" for daemon in (self.publisher, subscriber)]
        self.tell(f"Both run, the publisher with {memory[0]} of resident memory under python3, the subscriber with "
                  f"{memory[1]} under MicroPython.")
        self.pause(5)

    def switch_on(self):
        """The phone appears in the hotel and its WireGuard is switched on. When that was."""
        self.move("hotel")
        begin = self.lab.wg_up(PHONE, profile="one")
        self.observer.ping()
        return begin

    def move(self, network):
        """The phone leaves its network for another one. When it had that."""
        moved = self.lab.move(PHONE, NETWORK[network])
        self.network = network
        return moved

    def step(self, what, first, action, sentence, word="direct"):
        """The phone does something after which it is reached anew; what it took. first: the word for that moment;
        word: the path on which it ends up."""
        self.tell(sentence)
        begin = self.doing(action)
        self.moves.append(begin)
        address = self.lab.seen_as(PHONE)

        def back():
            marks = self.observer.marks(begin, address)
            self.progress = demo_screen.progress(marks, time.monotonic() - begin, first)
            return marks if None not in marks else None

        knew, sent, answered = marks = self.until(back, 30, f"{what}: the phone's pings are answered")
        self._next_status = 0
        self.until(lambda: self.is_path(word), 25, f"{what}: `wgp2p status` says {word}")
        for host, place in ((SERVER, address), (ROUTER, self.place(word))):
            endpoint = self.doing(lambda host=host: self.lab.peer(host, PHONE).endpoint)
            if self.address_of(endpoint) != place:
                raise Failure(f"{what}: the {host}'s WireGuard has the phone at {endpoint}, not at {place}")
        if not knew <= sent <= answered:
            raise Failure(f"{what}: not in this order: {demo_screen.progress(marks, 0, first)}")
        self.steps.append((what, marks))
        self.tell(f"{WORDS[word]} after {answered:.1f} s. For {knew:.1f} s nobody could know where the phone is, until "
                  f"its WireGuard spoke to the server; wgp2p and the way took {answered - knew:.2f} s.")
        self.progress = demo_screen.progress(marks, 0, first)
        if not self.view.live:
            self.view.lines([self.progress, "", *self.picture(), "", *filter(None, self.strip()), "", *self.table()])
        self.pause(6)

    def find(self):
        """The phone's port behind the symmetric NAT is found."""
        self.tell("Meanwhile the router opens its own NAT towards the ports that the phone may have. When the phone's "
                  "next packet to the router gets in, it names the port.")
        self.until(lambda: self.is_path("direct"), 60, "the port behind the symmetric NAT is found")
        found = time.monotonic() - self.row()["since_age"]
        answered = self.moves[-1] + self.steps[-1][1][2]
        pings = [took for sent, took in list(self.observer.pings) if answered < sent < found]
        self.tell(f"Direct {found - answered:.0f} s after that first answer, at a port that only the phone's own "
                  f"packets could show. Of {len(pings)} pings in that time {pings.count(None)} had no answer.")
        if not self.view.live:
            self.view.lines(["", *self.picture(), "", *filter(None, self.strip()), "", *self.table()])
        self.pause(6)

    def tell_all(self):
        self.start()
        self.step("connect", "app on", self.switch_on,
                  "In the hotel the phone's WireGuard is switched on. It knows where the router is; the router must "
                  "hear where the phone is, to open its NAT from inside.")
        self.step("hotel → mobile", "moved", lambda: self.move("mobile"),
                  "The phone goes to the mobile network: a new address, another port from its NAT. Nobody told the "
                  "router: it sends to the old one.")
        self.step("mobile → office", "moved", lambda: self.move("office"),
                  "And into an office whose NAT is symmetric: towards the router the phone has a port that nobody "
                  "knows. The server passes the packets on, in its kernel. It has no key to them.", "relay")
        self.find()
        if self.view.live and not self.table_shown:
            self.view.lines(["", *self.table()])
        self.view.lines(["", *demo_screen.closing(self.steps)])


def phone_row(status, role):
    """The phone's row in a daemon's status; {} when there is none."""
    parts = status[role] if status else []
    return next((peer for part in parts for peer in part["peers"] if peer["name"] == "phone"), {})


def named(config):
    """A configuration with names that a visitor understands."""
    return config.replace(f"name '{PHONE}'", "name 'phone'").replace(f"subscriber '{SERVER}'", "subscriber 'server'")


def play(view):
    """Build the lab, tell the story on a Screen, delete the lab; the exit code."""
    lab = Topology(networks=("cone", "eim-shift", "symmetric-block:512"))
    try:
        Story(lab, view).tell_all()
        return 0
    except (Failure, AssertionError, OSError, netns.LabError) as error:
        logs = [line for daemon in lab.daemons for line in [f"-- {daemon.host}:", *daemon.log().splitlines()[-15:]]]
        view.lines(["", *logs, "", f"The demo failed: {error}"])
        return 1
    finally:
        view.close()
        lab.down()
