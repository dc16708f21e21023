"""ssdp.py, upnp.py and upnptalk.py under random input: their own errors and no other, and little is sent."""
import json
import pathlib

from hypothesis import given
from hypothesis import strategies as st
from test_upnp import BASE, GATEWAY, KIND, answer, description, fault, list_entry, service
from test_upnptalk import ADDRESS, FOUND, entry, known, wanted

from wgp2p import http, ssdp, upnp
from wgp2p.mapping import Mapping, Refused, Request
from wgp2p.upnptalk import UpnpList, UpnpTalk

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden/upnp.json").read_text())
STEPS = [step for scene in GOLDEN for step in scene["steps"] if "answer" in step]
REAL = sorted({step["answer"].partition("\r\n\r\n")[2].encode() for step in STEPS})
REAL += [description(service(KIND + "2", "/ctl")), fault(725), list_entry(text="x")]
PIECES = [KIND.encode() + b"1", b"/ctl", b"http://", b"192.168.1.1", b"<!DOCTYPE x [", b"<![CDATA[", b"]]>", b"<!--",
          b"GetSpecificPortMappingEntryResponse", b"GetExternalIPAddressResponse", b"AddAnyPortMappingResponse", b"714",
          b"GetGenericPortMappingEntryResponse", b"713",
          b"-->"]
PIECES += b"< > </ /> // : @ &amp; &lt; # ? s: \xff \0 \n".split(b" ") + [b" "]
PIECES += [mark + name + b">" for mark in (b"<", b"</") for name in (
    b"service", b"serviceType", b"controlURL", b"URLBase", b"errorCode", b"NewInternalPort", b"NewReservedPort",
    b"NewExternalPort", b"NewProtocol", b"NewLeaseDuration")]
JUNK = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join))
READERS = [upnp.parse_address, upnp.parse_entry, upnp.parse_any_port, upnp.parse_listed,
           lambda data: upnp.parse_answer(data, upnp.ADD)]


def parse(data):
    """Whatever it is, every reader takes or refuses it."""
    try:
        for found in upnp.parse_description(data, GATEWAY, BASE):
            assert found.kind.startswith("urn:schemas-upnp-org:service:WAN") and 0 < found.port < 65536
            assert http.request("POST", found.path, "x")  # fit for a request
    except upnp.UpnpError as error:
        assert str(error).isprintable()
    for read in READERS:
        try:
            read(data)
        except upnp.UpnpError as error:
            assert str(error).isprintable() and 0 <= error.code <= 999


@given(JUNK)
def test_junk(data):
    parse(data)


@st.composite
def damaged(draw):
    """A real answer with something put in place of a part of it."""
    data = draw(st.sampled_from(REAL))
    begin = draw(st.integers(0, len(data)))
    end = draw(st.integers(begin, min(len(data), begin + 40)))
    return data[:begin] + draw(JUNK) + data[end:]


@given(damaged())
def test_damaged(data):
    parse(data)


@given(st.text(max_size=60), st.lists(st.sampled_from(
    ["http://", "192.168.1.1", "198.51.100.1", "/", ":", "@", "80", "//", "?", "#", "a", "\\", "%2f", "\t", " "]),
    max_size=12).map("".join))
def test_urls_stay_at_the_gateway(text, pieces):
    for url in (text, pieces):
        try:
            port, path = upnp.locate(url, GATEWAY, BASE)
        except upnp.UpnpError:
            continue
        assert 0 < port < 65536 and path.startswith("/") and path.isascii() and path.isprintable() and " " not in path


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_is_escaped_is_read_back(client, text):
    shown = text.strip()
    body = upnp.request(KIND + "1", upnp.GET_ENTRY + "Response", (
        ("NewInternalClient", client), ("NewInternalPort", 7), ("NewPortMappingDescription", text)))[1]
    found = upnp.parse_entry(body)
    assert (found.client, found.port, found.description) == (client.strip(), 7, shown)


@given(JUNK, st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nLOCATION:", FOUND]))
def test_ssdp(data, before):
    try:
        assert isinstance(ssdp.parse_answer(before + data), str)
    except ssdp.SsdpError as error:
        assert str(error)


BODIES = st.one_of(damaged(), st.sampled_from(REAL), st.sampled_from(
    [ADDRESS, entry(), entry("192.168.1.9"), answer(upnp.ADD), answer(upnp.DELETE),
     answer(upnp.ADD_ANY, "<NewReservedPort>5</NewReservedPort>"), list_entry()]), st.sampled_from(
         [401, 402, 501, 606, 713, 714, 718, 724, 725, 728]).map(fault))
EVENTS = st.lists(st.one_of(
    st.tuples(st.just("datagram"), st.integers(0, 20), JUNK),
    st.tuples(st.just("answer"), st.sampled_from([200, 200, 200, 500, 302, 404]), BODIES),
    st.tuples(st.just("nothing"), st.integers(0, 3000), st.none())), max_size=60)


@given(st.sampled_from([0, 7200]), st.sampled_from([None, 1, 2]), st.booleans(), EVENTS)
def test_a_hostile_gateway(lifetime_s, version, lists, events):
    """Whatever it says, the attempt sends little, and ends when it is silent."""
    want, told = wanted(lifetime_s, 40000, known(version) if version else None), []
    talk = UpnpList(0, want, lambda *entry: told.append(entry)) if lists else UpnpTalk(0, want, None)
    now, sent, waiting = 0, [], None

    def act():
        nonlocal waiting
        for item in talk.act(now):
            sent.append(item)
            if isinstance(item, Request):
                assert waiting is None and item.ip == GATEWAY and item.limit <= 65536
                waiting = item

    for kind, number, data in events:
        act()
        if kind == "datagram":
            talk.received(now, GATEWAY, 1900, FOUND.replace(b"root", b"%d" % number) if number % 3 else data)
        elif kind == "answer" and waiting is not None:
            response = http.Response(number, {})
            response.body = data
            tag, waiting = waiting.tag, None
            talk.answered(now, tag, response, None)
        elif kind == "nothing":
            now += number
    for _ in range(100):
        act()
        if talk.outcome is not None:
            break
        if waiting is not None:
            tag, waiting = waiting.tag, None
            talk.answered(now, tag, None, "no answer within 5 s")
        elif talk.next_ms() is not None:
            now = max(now, talk.next_ms())
    assert isinstance(talk.outcome, (Mapping, Refused)), len(sent)
    assert len(sent) < 100
    if isinstance(talk.outcome, Refused):
        assert talk.outcome.words.isprintable()
    elif not lists:
        assert 0 < talk.outcome.external_port < 65536 and (lifetime_s or talk.outcome.lifetime_s == 0)
