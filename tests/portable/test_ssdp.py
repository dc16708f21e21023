"""ssdp.py: the question, and every answer that is none."""
from helpers import raises

from wgp2p import ssdp

ANSWER = (b"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: upnp:rootdevice\r\nUSN: uuid:1::upnp:rootdevice\r\n"
          b"EXT:\r\nSERVER: Debian/6.12 UPnP/1.1 MiniUPnPd/2.3.1\r\nLOCATION: http://192.168.1.1:5000/rootDesc.xml\r\n"
          b"OPT: \"http://schemas.upnp.org/upnp/1/0/\"; ns=01\r\n\r\n")
URL = "http://192.168.1.1:5000/rootDesc.xml"


def test_search():
    assert ssdp.search("192.168.1.1", "upnp:rootdevice") == (
        b'M-SEARCH * HTTP/1.1\r\nHOST: 192.168.1.1:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n'
        b'ST: upnp:rootdevice\r\n\r\n')


def test_answers():
    for answer in (ANSWER, ANSWER.replace(b"LOCATION: ", b"Location:"), ANSWER.replace(b"\r\n", b"\n"),
                   ANSWER.replace(b"1.1 200 OK", b"1.0 200"), ANSWER.replace(b"LOCATION: ", b" location \t:\t"),
                   b"HTTP/1.1 200 OK\nlocation:" + URL.encode(), ANSWER + b"LOCATION: http://192.168.1.2/\r\n"):
        assert ssdp.parse_answer(answer) == URL, answer


def test_what_is_no_answer():
    notify = ANSWER.replace(b"HTTP/1.1 200 OK", b"NOTIFY * HTTP/1.1")
    for data in (b"", b"\r\n", b"HTTP/1.1", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\n\r\n", notify,
                 b"HTTP/1.1 404 x" + ANSWER[15:], ANSWER.replace(b"LOCATION", b"LOCATIO"),
                 ANSWER + b"\xff", ANSWER + b"x" * 2048, b"\0" * 100,
                 ssdp.search("192.168.1.1", "upnp:rootdevice"), ANSWER[5:]):
        raises(ssdp.SsdpError, ssdp.parse_answer, data)
    for end in range(len(ANSWER)):
        try:
            assert URL.startswith(ssdp.parse_answer(ANSWER[:end]))
        except ssdp.SsdpError:
            pass
