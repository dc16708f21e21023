"""upnptalk.py: what was said to a real gateway (golden/upnp.json), and gateways that are odd, silent or hostile."""
import json

from test_upnp import GATEWAY, KIND, PPP, answer, description, fault, list_entry, service

from wgp2p import http, upnp
from wgp2p.mapping import Datagram, Mapping, Refused, Request, Want
from wgp2p.upnptalk import UpnpList, UpnpTalk

with open((__file__.rpartition("/")[0] or ".") + "/../golden/upnp.json") as file:
    GOLDEN = json.loads(file.read())

OWN, OTHER = "192.168.1.2", "192.168.1.3"
FOUND = ("HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: http://%s/root.xml\r\n\r\n" % GATEWAY).encode()
ADDRESS = answer(upnp.GET_ADDRESS, "<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>")
NO_ADDRESS = answer(upnp.GET_ADDRESS, "<NewExternalIPAddress></NewExternalIPAddress>")


def wanted(lifetime_s=7200, external_port=51820, known=None):
    want = Want(GATEWAY, OWN, 51820, external_port, lifetime_s, b"n" * 12, "wgp2p home 51820")
    want.service = known
    return want


def known(version=1):
    return upnp.Service(80, "/ctl", KIND + str(version))


def entry(client=OWN, port=51820, text=""):
    return answer(upnp.GET_ENTRY, "<NewInternalPort>%d</NewInternalPort><NewInternalClient>%s</NewInternalClient>"
                  "<NewPortMappingDescription>%s</NewPortMappingDescription>" % (port, client, text))


class World:
    """An attempt in virtual time, and a gateway that answers as `answers` says: by path for GET, else by action, a body
    or a list of bodies, one after the other. `said`: every Request as (path or action, the body's fields)."""

    def __init__(self, want, answers, talker=UpnpTalk):
        self.now = 1000000
        self.talk = talker(self.now, want, None)
        self.answers, self.said, self.searches = answers, [], []

    def run(self, found=FOUND):
        """Until it is over; searches are answered by `found`, unless that is None."""
        while self.talk.outcome is None:
            self.step(found)
        assert self.talk.act(self.now) == [] and self.talk.next_ms() is None
        return self.talk.outcome

    def step(self, found=None):
        due = self.talk.next_ms()
        self.now = max(self.now, due)
        out = self.talk.act(self.now)
        for item in out:
            if isinstance(item, Request):
                self.answer(item)
            else:
                assert isinstance(item, Datagram) and item.port == 1900
                self.searches.append((self.now - 1000000, item.ip))
                if found and item.ip == GATEWAY:
                    self.talk.received(self.now, GATEWAY, 1900, found)
        return out

    def answer(self, item):
        assert item.ip == GATEWAY and http.request(item.method, item.path, "x", item.headers, item.body)
        name = item.path
        if item.method == "POST":
            kind, _, name = item.headers["SOAPAction"][1:-1].partition("#")
            assert (kind in (KIND + "1", KIND + "2", PPP + "1") and item.limit == upnp.MAX_ANSWER)
        self.said.append((name, fields(item.body)))
        body = self.answers.get(name)
        if isinstance(body, list):
            body = body.pop(0)
        if body is None:
            self.talk.answered(self.now, item.tag, None, "nobody is there")
        else:
            response = http.Response(500 if b"Fault" in body else 200, {})
            response.body = body
            self.talk.answered(self.now, item.tag, response, None)

    def names(self):
        return [name for name, _ in self.said]


def fields(body):
    """{name: text} of a request."""
    found = {}
    for piece in body.decode().split("<New")[1:]:
        name, _, text = piece.partition(">")
        found[name] = text.partition("<")[0]
    return found


# -- a real gateway -------------------------------------------------------------------------------

def replay(scene):
    """What the attempt says is what it said then; what was answered is answered."""
    asked = scene["want"]
    want = Want(GATEWAY, asked["own_ip"], asked["internal_port"], asked["external_port"], asked["lifetime_s"],
                b"n" * 12, asked["description"])
    if asked["service"]:
        place = asked["service"]
        want.service = upnp.Service(place["port"], place["path"], place["kind"])
    now, out = 5000, []
    talk = UpnpTalk(now, want, None)
    for step in scene["steps"]:
        if "from" in step:
            talk.received(now, step["from"], 1900, step["datagram"].encode())
            continue
        while not out:
            now = max(now, talk.next_ms())
            out = talk.act(now)
        item = out.pop(0)
        if isinstance(item, Datagram):
            assert (item.ip, item.port, item.data.decode()) == (step["to"], 1900, step["datagram"])
            continue
        said = {"method": item.method, "path": item.path, "headers": item.headers, "body": item.body.decode()}
        assert ("%s:%d" % (item.ip, item.port), said) == (step["to"], step["request"])
        if "error" in step:
            talk.answered(now, item.tag, None, step["error"])
            continue
        reader = http.ResponseReader(item.limit)
        body = reader.feed(step["answer"].encode())
        assert reader.done
        reader.head.body = body
        talk.answered(now, item.tag, reader.head, None)
    if talk.outcome is None:
        assert out == [] and talk.act(talk.next_ms()) == []  # it has waited for more answers to its search
    for name in scene["outcome"]:
        assert getattr(talk.outcome, name) == scene["outcome"][name], (scene["scenario"], name)
    return talk.outcome


def test_golden():
    scenes = {scene["scenario"]: replay(scene) for scene in GOLDEN}
    assert len(scenes) == 15
    assert scenes["version 1: forbidden"].words == upnp.ERRORS[606]
    assert "no public address" in scenes["the gateway is behind another NAT"].words
    place = scenes["version 2: a new mapping"].service
    assert (place.port, place.path, place.kind) == (5000, "/ctl/IPConn", KIND + "2")


# -- the search -----------------------------------------------------------------------------------

def test_nobody_answers():
    world = World(wanted(), {})
    refused = world.run(None)
    assert refused.code is None and refused.final and GATEWAY in refused.words
    assert world.searches == [(when, ip) for when in (0, 1000, 2000, 3000) for ip in (GATEWAY, "239.255.255.250")]
    assert world.now == 1005000


def test_only_the_gateway_is_believed():
    world = World(wanted(), {})
    world.step()
    world.talk.received(world.now, OTHER, 1900, FOUND)
    world.talk.received(world.now, OTHER, 1900, FOUND.replace(GATEWAY.encode(), OTHER.encode()))
    world.talk.received(world.now, GATEWAY, 1900, b"rubbish")
    assert world.talk.next_ms() == world.now + 1000
    world.talk.received(world.now, GATEWAY, 40000, FOUND)  # some gateways answer from another port
    assert world.talk.next_ms() == 0
    request, = world.talk.act(world.now)
    assert (request.method, request.path, request.port, request.limit) == ("GET", "/root.xml", 80, 65536)
    assert world.talk.next_ms() is None


def test_a_description_elsewhere():
    world = World(wanted(), {})
    refused = world.run(FOUND.replace(GATEWAY.encode(), OTHER.encode()))
    assert refused.code == 0 and "elsewhere" in refused.words and world.said == []


def test_so_many_answers_are_looked_at():
    world = World(wanted(), {})
    world.step()
    for number in range(10000):
        world.talk.received(world.now, GATEWAY, 1900, FOUND.replace(b"root", b"%d" % number))
    refused = world.run(None)
    assert world.names() == ["/%d.xml" % number for number in range(8)]
    assert refused.code is None and refused.words == "nobody is there"


def test_devices_that_map_nothing():
    answers = {"/tv.xml": description(""), "/root.xml": description(service(KIND + "1", "/ctl")),
               upnp.GET_ADDRESS: ADDRESS, upnp.GET_ENTRY: fault(714), upnp.ADD: answer(upnp.ADD)}
    world = World(wanted(), answers)
    world.step(FOUND.replace(b"root", b"tv"))
    world.step()
    assert world.names() == ["/tv.xml"]
    assert isinstance(world.run(), Mapping)  # the search goes on
    assert world.searches[-1][0] == 1000
    assert world.names() == ["/tv.xml", "/root.xml", upnp.GET_ADDRESS, upnp.GET_ENTRY, upnp.ADD]


def test_the_first_service_with_an_address():
    services = service(KIND + "1", "/a") + service(PPP + "1", "/b") + service(KIND + "1", "/c")
    answers = {"/root.xml": description(services),
               upnp.GET_ADDRESS: [fault(501), ADDRESS], upnp.GET_ENTRY: fault(714), upnp.ADD: answer(upnp.ADD)}
    mapping = World(wanted(), answers).run()
    assert mapping.service.path == "/b" and mapping.external_ip == "203.0.113.9"


def test_no_address():
    for text in (NO_ADDRESS, NO_ADDRESS.replace(b"></", b">0.0.0.0</")):
        world = World(wanted(), {"/root.xml": description(service(KIND + "1", "/ctl")), upnp.GET_ADDRESS: text})
        refused = world.run()
        assert (refused.code, refused.final) == (0, False) and "no public address" in refused.words
        assert upnp.ADD not in world.names()


def test_a_redirect_is_refused():
    world = World(wanted(), {})
    world.step(FOUND)
    request, = world.talk.act(world.now)
    world.talk.answered(world.now, request.tag, http.Response(302, {"location": "http://192.168.1.1/root.xml"}), None)
    refused = world.run(None)
    assert "HTTP status 302" in refused.words and world.said == []


# -- mapping --------------------------------------------------------------------------------------

def attempt(version, answers, **options):
    """(outcome, names of what was asked but for the address, all that was said) with a gateway that is known."""
    answers[upnp.GET_ADDRESS] = answers.get(upnp.GET_ADDRESS, ADDRESS)
    world = World(wanted(known=known(version), **options), answers)
    outcome = world.run(None)
    return outcome, [name for name in world.names() if name != upnp.GET_ADDRESS], world.said


def test_what_is_asked():
    mapping, names, said = attempt(1, {upnp.GET_ENTRY: fault(714), upnp.ADD: answer(upnp.ADD)}, external_port=40000)
    assert (mapping.external_port, mapping.lifetime_s, mapping.protocol) == (40000, 7200, "upnp")
    assert said[-1] == (upnp.ADD, {
        "RemoteHost": "", "ExternalPort": "40000", "Protocol": "UDP", "InternalPort": "51820", "InternalClient": OWN,
        "Enabled": "1", "PortMappingDescription": "wgp2p home 51820", "LeaseDuration": "7200"})
    assert said[-2] == (upnp.GET_ENTRY, {"RemoteHost": "", "ExternalPort": "40000", "Protocol": "UDP"})


def test_whose_mapping_it_is():
    any_port = answer(upnp.ADD_ANY, "<NewReservedPort>50000</NewReservedPort>")
    for listed, ours in ((entry(), True), (entry(text="wgp2p home 51820"), True),
                         (entry(port=51999, text="wgp2p home 51820"), True), (entry(port=51999, text="other"), False),
                         (entry(port=51999), False), (entry(OTHER), False),
                         (entry(OTHER, text="wgp2p home 51820"), False)):
        for version in (1, 2):
            answers = {upnp.GET_ENTRY: listed, upnp.ADD: answer(upnp.ADD), upnp.ADD_ANY: any_port}
            outcome, names, _ = attempt(version, answers)
            if ours:
                assert names[1:] == [upnp.ADD] and outcome.external_port == 51820
            elif version == 2 and listed in (entry(OTHER), entry(OTHER, text="wgp2p home 51820")):
                assert names[1:] == [upnp.ADD_ANY] and outcome.external_port == 50000
            else:
                assert names[1:] == [] and outcome.taken and outcome.code == 718 and not outcome.final
            answers = {upnp.GET_ENTRY: listed, upnp.DELETE: answer(upnp.DELETE)}
            outcome, names, _ = attempt(version, answers, lifetime_s=0)
            assert names == [upnp.GET_ENTRY] + ([upnp.DELETE] if ours else []) and outcome.lifetime_s == 0


def test_a_gateway_that_does_not_list():
    for version in (1, 2):
        outcome, names, _ = attempt(version, {upnp.GET_ENTRY: fault(401), upnp.ADD: answer(upnp.ADD)})
        assert names[1:] == [upnp.ADD] and outcome.external_port == 51820  # never two
    outcome, names, _ = attempt(1, {upnp.GET_ENTRY: fault(606), upnp.DELETE: answer(upnp.DELETE)}, lifetime_s=0)
    assert names == [upnp.GET_ENTRY, upnp.DELETE] and outcome.lifetime_s == 0


def test_deleting():
    for listed, deleted in ((fault(714), None), (entry(), answer(upnp.DELETE)), (entry(), fault(714))):
        outcome, _, _ = attempt(1, {upnp.GET_ENTRY: listed, upnp.DELETE: deleted}, lifetime_s=0)
        assert isinstance(outcome, Mapping) and outcome.lifetime_s == 0
    outcome, _, _ = attempt(1, {upnp.GET_ENTRY: entry(), upnp.DELETE: fault(606)}, lifetime_s=0)
    assert outcome.code == 606 and outcome.final


def test_only_permanent():
    for code in (725, 402):
        for version, action in ((1, upnp.ADD), (2, upnp.ADD_ANY)):
            done = answer(action, "<NewReservedPort>51820</NewReservedPort>")
            outcome, names, said = attempt(version, {upnp.GET_ENTRY: fault(714), action: [fault(code), done]})
            assert outcome.lifetime_s == 0 and names[1:] == [action, action]
            assert [said[-2][1]["LeaseDuration"], said[-1][1]["LeaseDuration"]] == ["7200", "0"]
        outcome, names, _ = attempt(1, {upnp.GET_ENTRY: fault(714), upnp.ADD: fault(code)})
        assert (outcome.code, outcome.final) == (code, True) and names[1:] == [upnp.ADD] * 2


def test_only_the_same_port():
    answers = {upnp.GET_ENTRY: fault(714), upnp.ADD: [fault(724), answer(upnp.ADD)]}
    outcome, names, said = attempt(1, answers, external_port=40000)
    assert outcome.external_port == 51820 and said[-2][1]["ExternalPort"] == "51820"
    assert names[1:] == [upnp.ADD, upnp.GET_ENTRY, upnp.ADD]
    outcome, _, _ = attempt(1, {upnp.GET_ENTRY: fault(714), upnp.ADD: fault(724)})
    assert (outcome.code, outcome.final, outcome.taken) == (724, True, False)


def test_version_2_without_its_action():
    for code in (401, 602):
        answers = {upnp.GET_ENTRY: fault(714), upnp.ADD_ANY: fault(code), upnp.ADD: answer(upnp.ADD)}
        outcome, names, _ = attempt(2, answers)
        assert names[1:] == [upnp.ADD_ANY, upnp.ADD] and outcome.external_port == 51820


def test_refusals():
    for code, final, taken in ((501, False, False), (606, True, False), (715, True, False), (718, False, True),
                               (726, True, False), (727, True, False), (728, False, False), (729, False, True),
                               (899, True, False)):
        outcome, _, _ = attempt(1, {upnp.GET_ENTRY: fault(714), upnp.ADD: fault(code)})
        assert (outcome.code, outcome.final, outcome.taken) == (code, final, taken), code
        assert outcome.words == upnp.ERRORS.get(code, "the gateway refuses with error 899")
    outcome, _, _ = attempt(1, {upnp.GET_ENTRY: fault(714), upnp.ADD: b"<html>"})
    assert isinstance(outcome, Refused) and outcome.code == 0


def test_a_gateway_that_is_gone():
    outcome, names, _ = attempt(1, {upnp.GET_ADDRESS: None})
    assert outcome.code is None and outcome.final and names == []
    outcome, names, _ = attempt(1, {upnp.GET_ENTRY: None})  # it is searched for again
    assert outcome.code is None and names == [upnp.GET_ENTRY]


def test_late_and_duplicate_answers():
    talk = UpnpTalk(0, wanted(known=known()), None)
    response = http.Response(200, {})
    response.body = ADDRESS
    first, = talk.act(0)
    for tag in (first.tag + 1, first.tag - 1, None):
        talk.answered(0, tag, response, None)
        assert talk.act(0) == [] and talk.next_ms() is None
    talk.answered(0, first.tag, response, None)
    second, = talk.act(0)
    talk.answered(0, first.tag, response, None)
    talk.received(0, GATEWAY, 1900, FOUND)
    assert talk.act(0) == [] and talk.next_ms() is None
    response.body = fault(714)
    talk.answered(0, second.tag, response, None)
    third, = talk.act(0)
    response.body = answer(upnp.ADD)
    talk.answered(0, third.tag, response, None)
    outcome = talk.outcome
    talk.answered(0, third.tag, response, None)
    talk.received(0, GATEWAY, 1900, FOUND)
    assert talk.outcome is outcome and talk.act(10000) == []


# -- listing --------------------------------------------------------------------------------------

class List(World):
    """Asks for the list. `entries`: what was told, as (external port, whether it is ours), or None."""

    def __init__(self, answers, services=None, slow_ms=0):
        answers["/root.xml"] = description(services or service(KIND + "1", "/ctl"))
        self.entries, self.slow_ms = [], slow_ms
        World.__init__(self, wanted(), answers, lambda now, want, _: UpnpList(now, want, self.tell))

    def tell(self, entry, is_ours):
        self.entries.append(entry and (entry.external_port, is_ours))
        self.now += self.slow_ms


def test_list():
    world = List({upnp.LIST: [list_entry(external=1), list_entry(OTHER, external=2), list_entry("<x>"), fault(713)]})
    assert isinstance(world.run(), Mapping)
    assert world.entries == [(1, True), (2, False), None]
    assert [said for name, said in world.said if name == upnp.LIST] == [
        {"PortMappingIndex": str(index)} for index in range(4)]
    assert world.names() == ["/root.xml"] + [upnp.LIST] * 4, "also of a gateway without a public address"


def test_which_of_the_list_are_ours():
    for port, client, text, ours in (
            (51820, OWN, "", True), (9, OWN, "", False), (51820, OTHER, "", False), (9, OWN, "wgp2p home 51820", True),
            (9, OWN, "wgp2p home 36906", True), (9, OWN, "wgp2p homes 9", False), (9, OWN, "wgp2p home", False),
            (51820, OTHER, "wgp2p home 51820", False)):
        data = list_entry(client, port, text)
        world = List({upnp.LIST: [data, fault(713)]})
        world.run()
        assert world.entries == [(40000, ours)], data


def test_the_end_of_the_list():
    for last in (713, 714):
        world = List({upnp.LIST: fault(last)})
        assert isinstance(world.run(), Mapping) and world.entries == []
    for last in (402, 501):
        world = List({upnp.LIST: [list_entry(), fault(last)]})
        assert isinstance(world.run(), Mapping) and len(world.entries) == 1
        refused = List({upnp.LIST: fault(last)}).run()
        assert isinstance(refused, Refused) and refused.code == last
    for last, words in ((None, "nobody is there"), (b"<html>", "not one to GetGeneric")):
        world = List({upnp.LIST: [list_entry(), last]}, service(KIND + "1", "/a") + service(PPP + "1", "/b"))
        assert words in world.run().words and len(world.entries) == 1, "told as far as it is known"


def test_the_service_that_lists():
    both = service(KIND + "1", "/a") + service(PPP + "1", "/b")
    for first in (713, 401, 501):
        world = List({upnp.LIST: [fault(first), list_entry(), fault(713)]}, both)
        assert isinstance(world.run(), Mapping) and len(world.entries) == 1
    assert isinstance(List({upnp.LIST: fault(713)}, both).run(), Mapping)


def test_a_list_without_end():
    world = List({upnp.LIST: list_entry()})
    refused = world.run()
    assert "first 256" in refused.words and len(world.entries) == 256
    world = List({upnp.LIST: list_entry()}, slow_ms=1000)
    assert "too long" in world.run().words and len(world.entries) == world.names().count(upnp.LIST) == 60
    world = List({})
    assert world.run(None).code is None and world.entries == []
