"""upnp.py: descriptions as vendors write them, requests byte for byte, answers, and everything that is a lie."""
from helpers import raises

from wgp2p import upnp

GATEWAY = "192.168.1.1"
BASE = (5000, "/desc/root.xml")
KIND = "urn:schemas-upnp-org:service:WANIPConnection:"
PPP = "urn:schemas-upnp-org:service:WANPPPConnection:"


def service(kind, url):
    return ("<service><serviceType>%s</serviceType><serviceId>urn:upnp-org:serviceId:1</serviceId>"
            "<SCPDURL>/scpd.xml</SCPDURL><controlURL>%s</controlURL><eventSubURL>/evt</eventSubURL></service>"
            % (kind, url))


def description(services, before=""):
    """A gateway's, three devices deep."""
    other = service("urn:schemas-upnp-org:service:Layer3Forwarding:1", "/ctl/L3F")
    return ('<?xml version="1.0"?>\n<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major>'
            '<minor>0</minor></specVersion>%s<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1'
            '</deviceType><friendlyName>R & D \xfc</friendlyName><serviceList>%s</serviceList><deviceList><device>'
            '<deviceList><device><serviceList>%s</serviceList></device></deviceList></device></deviceList></device></root>'
            % (before, other, services)).encode()


def places(data):
    return [(found.port, found.path, found.kind) for found in upnp.parse_description(data, GATEWAY, BASE)]


def test_locate():
    for url, expected in (
            ("http://192.168.1.1:5000/rootDesc.xml", (5000, "/rootDesc.xml")),
            ("HTTP://192.168.1.1/a/b?c=d", (80, "/a/b?c=d")),
            ("http://192.168.1.1", (80, "/")),
            ("http://192.168.1.1:65535#top", (65535, "/")),
            ("//192.168.1.1:81/x", (81, "/x")),
            ("/ctl/IPConn", (5000, "/ctl/IPConn")),
            ("/?go=http://198.51.100.1/", (5000, "/?go=http://198.51.100.1/")),
            ("ctl/IPConn", (5000, "/desc/ctl/IPConn")),
            ("?control", (5000, "/desc/?control"))):
        assert upnp.locate(url, GATEWAY, BASE) == expected, url
    assert upnp.locate("c", GATEWAY, (80, "/a/b?c=/d/e")) == (80, "/a/c")


def test_urls_that_lead_elsewhere():
    for url in ("http://192.168.1.2/", "http://192.168.1.1.evil.example/", "http://192.168.1.1@198.51.100.1/",
                "http://192.168.1.1:5000@198.51.100.1/", "http://router/", "http://[::1]/", "http://0192.168.1.1/",
                "https://192.168.1.1/", "ftp://192.168.1.1/", "//198.51.100.1/x", "http://", "http:///", "://192.168.1.1/",
                "http://192.168.1.1:/", "http://192.168.1.1:0/", "http://192.168.1.1:65536/", "http://192.168.1.1:8x/",
                "http://192.168.1.1:+80/", "http://192.168.1.1?x", "", "/a b", "/a\r\nX: y", "/\xfc", "/" + "a" * 512):
        raises(upnp.UpnpError, upnp.locate, url, GATEWAY, BASE)
    for url in ("/ctl", "ctl"):
        raises(upnp.UpnpError, upnp.locate, url, GATEWAY)


def test_descriptions():
    ip = service(KIND + "1", "/ctl/IP")
    both = service(PPP + "1", "http://192.168.1.1:49000/ppp") + service(KIND + "2", "ip?a=1&amp;b=2")
    prefixed = ip.replace("</", "</device:").replace("<s", "<device:s").replace("<c", "<device:c")
    apart = ("<service >\r\n<controlURL\tx='y'>\n /c </controlURL><serviceType dt:dt=\"string\">\n%s\n</serviceType>"
             "</service>" % (KIND + "1"))
    for data, expected in (
            (description(ip), [(5000, "/ctl/IP", KIND + "1")]),
            (description(both), [(49000, "/ppp", PPP + "1"), (5000, "/desc/ip?a=1&b=2", KIND + "2")]),
            (description(service(PPP + "2", "/x")), [(5000, "/x", PPP + "2")]),
            (description(prefixed), [(5000, "/ctl/IP", KIND + "1")]),
            (description(apart), [(5000, "/c", KIND + "1")]),
            (description(ip, "<URLBase>http://192.168.1.1:80/up/</URLBase>"), [(80, "/ctl/IP", KIND + "1")]),
            (description(service(KIND + "1", "ip"), "<URLBase>http://192.168.1.1:80/up/</URLBase>"),
             [(80, "/up/ip", KIND + "1")]),
            (description(ip, "<URLBase></URLBase>"), [(5000, "/ctl/IP", KIND + "1")]),
            (description(ip, "<URLBase/>"), [(5000, "/ctl/IP", KIND + "1")]),
            (description(ip * 9), [(5000, "/ctl/IP", KIND + "1")] * 4),
            (description(service(KIND + "3", "/x") + service(KIND + "1x", "/x") + service("x" + KIND + "1", "/x")), []),
            (description("<service/><service></service>"), []),
            (description(""), []), (b"", []), (b"<html>service</html>", []), (bytes(range(256)), [])):
        assert places(data) == expected, (data, places(data))


def test_descriptions_that_lie():
    for data in (description(service(KIND + "1", "http://198.51.100.1/ctl")), description(service(KIND + "1", "")),
                 description(service(KIND + "1", "/ctl"), "<URLBase>http://198.51.100.1/</URLBase>"),
                 description(service(KIND + "1", "/c<x/>tl")), description(service(KIND + "1", "/\xfc")),
                 description(service(KIND + "1", "&slash;" * 200)), b"<serviceType>" * 100 + b"<service>",
                 b"<service><serviceType>" + KIND.encode() + b"\xff1</serviceType></service>",
                 b"<service><serviceType>", b"<service>", b"<service>x", b"<service>x<service>", b"<service>service>",
                 b"<service></x service>", b" service" * 200, b"<service></service>" * 200, description("x" * 65536)):
        raises(upnp.UpnpError, places, data)
    for data in (b"<a>" * 20000, b"<service", b"</service>", b"<x service>", b"<x y:service >", b"<!service>",
                 b"<service-x></service-x>"):
        assert places(data) == []


def test_entities_are_not_expanded():
    laughs = '<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>'
    assert places(description(service(KIND + "1", "/&a;&c;"), laughs)) == [(5000, "/&a;&c;", KIND + "1")]
    assert places(description(service(KIND + "1", "/&lt;&gt;&quot;&apos;&amp;lt;"))) == [
        (5000, "/<>\"'&lt;", KIND + "1")]


def test_requests():
    headers, body = upnp.request(KIND + "1", upnp.DELETE, upnp.mapping_key(51820))
    assert headers == {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": '"%s1#DeletePortMapping"' % KIND}
    assert body == (
        b'<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        b's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:DeletePortMapping '
        b'xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1"><NewRemoteHost></NewRemoteHost>'
        b'<NewExternalPort>51820</NewExternalPort><NewProtocol>UDP</NewProtocol></u:DeletePortMapping></s:Body>'
        b'</s:Envelope>\r\n')
    body = upnp.request(KIND + "1", upnp.ADD, upnp.mapping(51820, 51821, "192.168.1.2", "a<b>&\"'", 7200))[1]
    assert (b'<NewInternalPort>51821</NewInternalPort><NewInternalClient>192.168.1.2</NewInternalClient><NewEnabled>1'
            b'</NewEnabled><NewPortMappingDescription>a&lt;b&gt;&amp;&quot;&apos;</NewPortMappingDescription>'
            b'<NewLeaseDuration>7200</NewLeaseDuration></u:AddPortMapping>') in body


def answer(action, fields="", prefix="s"):
    return ('<?xml version="1.0"?><%s:Envelope xmlns:%s="http://schemas.xmlsoap.org/soap/envelope/"><%s:Body>'
            '<u:%sResponse xmlns:u="%s1">%s</u:%sResponse></%s:Body></%s:Envelope>'
            % (prefix, prefix, prefix, action, KIND, fields, action, prefix, prefix)).encode()


def fault(code):
    return ('<SOAP:Envelope xmlns:SOAP="http://schemas.xmlsoap.org/soap/envelope/"><SOAP:Body><SOAP:Fault><faultcode>'
            'SOAP:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError '
            'xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>\n %s\n</errorCode><errorDescription>x'
            '</errorDescription></UPnPError></detail></SOAP:Fault></SOAP:Body></SOAP:Envelope>' % code).encode()


def test_addresses():
    for text, expected in (("203.0.113.9", "203.0.113.9"), (" 203.0.113.9\n", "203.0.113.9"), ("", None),
                           ("0.0.0.0", None)):
        data = answer(upnp.GET_ADDRESS, "<NewExternalIPAddress>%s</NewExternalIPAddress>" % text)
        assert upnp.parse_address(data) == expected
    for fields in ("", "<NewExternalIPAddress/>"):
        assert upnp.parse_address(answer(upnp.GET_ADDRESS, fields)) is None
    for text in ("203.0.113.256", "router.example", "203.0.113.9:80", "<x/>", "\xfc", "9" * 2000):
        raises(upnp.UpnpError, upnp.parse_address,
               answer(upnp.GET_ADDRESS, "<NewExternalIPAddress>%s</NewExternalIPAddress>" % text))


def test_entries():
    fields = ('<NewInternalPort xmlns:dt="urn:schemas-microsoft-com:datatypes" dt:dt="ui2">51820</NewInternalPort>'
              '<NewInternalClient>192.168.1.2</NewInternalClient><NewEnabled>1</NewEnabled>%s'
              '<NewLeaseDuration>0</NewLeaseDuration>')
    named = "<NewPortMappingDescription>a &amp; b</NewPortMappingDescription>"
    # A description that its owner chose must not pass for anything else.
    trick = "<NewPortMappingDescription>NewInternalClient>9.9.9.9 errorCode>714</NewPortMappingDescription>"
    for text, description in ((named, "a & b"), ("", ""), (trick, "NewInternalClient>9.9.9.9 errorCode>714")):
        entry = upnp.parse_entry(answer(upnp.GET_ENTRY, fields % text, "SOAP-ENV"))
        assert (entry.client, entry.port, entry.description) == ("192.168.1.2", 51820, description)
    for port in ("", "x", "-1", "65536", "5 1820", "123456"):
        raises(upnp.UpnpError, upnp.parse_entry,
               answer(upnp.GET_ENTRY, "<NewInternalPort>%s</NewInternalPort>" % port))


def list_entry(client="192.168.1.2", port=51820, text="", external=40000, protocol="UDP", left="3600"):
    return answer(upnp.LIST, (
        "<NewRemoteHost></NewRemoteHost><NewExternalPort>%s</NewExternalPort><NewProtocol>%s</NewProtocol>"
        "<NewInternalPort>%s</NewInternalPort><NewInternalClient>%s</NewInternalClient><NewEnabled>1</NewEnabled>"
        "<NewPortMappingDescription>%s</NewPortMappingDescription><NewLeaseDuration>%s</NewLeaseDuration>"
        % (external, protocol, port, client, text, left)))


def test_lists():
    for left, expected in (("3600", 3600), ("0", 0), ("", 0), ("604800", 604800), ("4294967295", 4294967295)):
        entry = upnp.parse_listed(list_entry(text="a &lt;b&gt;", protocol="tcp", left=left))
        assert (entry.external_port, entry.protocol, entry.left_s) == (40000, "TCP", expected)
        assert (entry.client, entry.port, entry.description) == ("192.168.1.2", 51820, "a <b>")
    for data in (list_entry(text="<b>"), list_entry(text="\xff").replace(b"\xc3\xbf", b"\xff"), list_entry(port="x"),
                 list_entry(external=65536), list_entry(external=""), list_entry(protocol="ICMP"),
                 list_entry(left="-1"), list_entry(left="4294967296"), answer(upnp.LIST)):
        assert upnp.parse_listed(data) is None, "whoever wrote that does not end the list"
    assert raises(upnp.UpnpError, upnp.parse_listed, fault(713)).code == upnp.END_OF_LIST
    for data in (answer(upnp.GET_ENTRY), b"", list_entry(text="x" * upnp.MAX_ANSWER)):
        assert raises(upnp.UpnpError, upnp.parse_listed, data).code == 0


def test_any_port():
    assert upnp.parse_any_port(answer(upnp.ADD_ANY, "<NewReservedPort>51821</NewReservedPort>")) == 51821
    for fields in ("", "<NewReservedPort>0</NewReservedPort>", "<NewReservedPort>65536</NewReservedPort>"):
        raises(upnp.UpnpError, upnp.parse_any_port, answer(upnp.ADD_ANY, fields))


def test_refusals():
    for code in (401, 402, 501, 606, 714, 718, 724, 725, 726, 727, 728, 729, 899):
        for read in (upnp.parse_address, upnp.parse_entry, upnp.parse_any_port):
            error = raises(upnp.UpnpError, read, fault(code))
            assert error.code == code
            assert str(error) == upnp.ERRORS.get(code, "the gateway refuses with error 899")
    for data in (fault("x"), fault(""), fault("1000"), fault("-1"), b"", b"<html>", answer(upnp.ADD), fault(718)[:-150],
                 b"AddPortMapping", answer(upnp.DELETE) + b" " * upnp.MAX_ANSWER):
        error = raises(upnp.UpnpError, upnp.parse_answer, data, upnp.DELETE)
        assert error.code == 0, data
    upnp.parse_answer(answer(upnp.DELETE), upnp.DELETE)


def test_every_truncation():
    data = description(service(KIND + "1", "/ctl/IP"))
    whole = places(data)
    for end in range(len(data)):
        try:
            assert places(data[:end]) in ([], whole)
        except upnp.UpnpError as error:
            assert error.code == 0
