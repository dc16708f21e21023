"""clients.py: free addresses and ports, what is kept of a client, and the two kinds of configuration that name it."""
import os

from fakeprograms import Programs
from fakewg import key
from folders import new_folder
from helpers import Skip, VirtualLoop, raises

from wgp2p import clients, config, process, uci
from wgp2p.addr import parse_network
from wgp2p.clients import ClientError, Quick, Record, Records, Uci, find_place, free_address, free_port
from wgp2p.files import exists, read_text, write_private
from wgp2p.loop import Loop

NETWORK = """
config interface 'lan'
\toption proto 'static'
\toption ipaddr '192.168.1.1'
\toption netmask '255.255.254.0'

config interface 'wg0'
\toption proto 'wireguard'
\toption private_key 'secret'
\tlist addresses '10.7.0.2/24'
\tlist addresses 'fd00:7::2/64'

config wireguard_wg0
\toption public_key '%s'
\tlist allowed_ips '10.7.0.1/32'
""" % key(1)
CONF = """[Interface]
Address = 10.7.0.2/24, fd00:7::2/64   # ours
PrivateKey = secret
address=10.9.0.2

[Peer]
# PublicKey = old
PublicKey = %s
AllowedIPs = 10.7.0.1/32,10.9.0.0/16
AllowedIPs = fd00:7::1/128
Endpoint = vpn.example.org:51820""" % key(1)
CONFIG = "config subscriber 'vps'\n\toption interface 'wg0'\n\toption publisher '10.7.0.1'\n"


def text_of(path):
    return read_text(path, 100000)


def record(name="phone", number=3, **fields):
    made = Record(name)
    made.interface, made.private_key, made.public_key, made.listen_port = "wg0", key(200), key(number), 36906
    made.addresses, made.allowed_ips = ["10.7.0.%d" % number, "fd00:7::%d" % number], ["192.168.1.0/24"]
    for field in fields:
        setattr(made, field, fields[field])
    return made


def router():
    """(Uci, its folder) of a router."""
    folder = new_folder()
    write_private(folder + "/network", NETWORK)
    write_private(folder + "/wgp2p", CONFIG)
    return Uci(VirtualLoop(), folder, "wgp2p", "wg0"), folder


def host():
    """(Quick, its folder) of a Linux host."""
    folder = new_folder()
    write_private(folder + "/wg0.conf", CONF)
    write_private(folder + "/wgp2p", CONFIG)
    return Quick(folder + "/wg0.conf", folder + "/wgp2p"), folder


# -- addresses and ports ------------------------------------------------------------------------------

def free(own, *used):
    ip, _, length = own.partition("/")
    return free_address(ip, int(length), [parse_network(text) for text in (ip,) + used])


def test_the_next_free_address():
    assert free("10.7.0.2/24") == "10.7.0.3"
    assert free("10.7.0.2/24", "10.7.0.1", "10.7.0.3", "10.7.0.5") == "10.7.0.4"
    assert free("10.7.0.2/24", "10.7.0.0/25", "10.7.0.128/32") == "10.7.0.129"
    assert free("10.7.0.2/24", "10.7.0.0/24", "0.0.0.0/0", "10.0.0.0/8") == "10.7.0.3", "wider ones say nothing"
    assert free("10.7.0.2/24", "fd00::3") == "10.7.0.3"
    assert free("10.7.0.254/24") == "10.7.0.1" and free("10.7.0.254/24", "10.7.0.1") == "10.7.0.2"
    assert free("fd00:7::1/64", "fd00:7::2/127") == "fd00:7::4"
    assert free("fd00:7::1/64", "fd00:7::/65") == "fd00:7:0:0:8000::"


def test_no_free_address():
    assert free("10.7.0.1/30") == "10.7.0.2" and free("10.7.0.2/30") == "10.7.0.1"
    assert free("10.7.0.1/30", "10.7.0.2") is None, "the last is for broadcasts"
    assert free("10.7.0.2/24", "10.7.0.0/25", "10.7.0.128/25") is None
    assert free("10.7.0.0/31") is None and free("10.7.0.1/32") is None
    assert free("10.7.0.1/0") is None and free("fd00::1/0") is None, "that is no tunnel's network"
    assert free("10.7.0.1/16", *["10.7.%d.0/24" % n for n in range(256)]) is None


def test_a_listen_port_of_its_own():
    assert free_port([], [51820]) == 36906
    others = [record(listen_port=36906), record(listen_port=36908)]
    assert free_port(others, [51820]) == 36907
    assert free_port(others, [36907]) == 36909


# -- what is kept -------------------------------------------------------------------------------------

def test_a_record_comes_back_as_it_was_saved():
    folder = new_folder() + "/clients"
    records = Records(folder)
    assert records.names() == [] and not exists(folder)
    made = record(endpoint="home.example.org:51820", dns=["10.7.0.1"])
    records.save(made)
    records.save(record("tablet.2", 4))
    assert os.stat(folder)[0] & 0o777 == 0o700 and os.stat(folder + "/phone")[0] & 0o777 == 0o600
    assert records.names() == ["phone", "tablet.2"] == [one.name for one in records.all()]
    found = records.load("phone")
    for field in Record.OPTIONS + Record.LISTS:
        assert getattr(found, field) == getattr(made, field), field
    assert found.server_endpoint == "" and found.listen_port == 36906
    records.delete("phone")
    assert records.names() == ["tablet.2"]
    error = raises(ClientError, records.load, "phone")
    assert str(error) == "no client has the name 'phone' (tablet.2)"
    write_private(folder + "/tablet.2~", "an editor's")
    write_private(folder + "/.x.new", "left behind")
    assert records.names() == ["tablet.2"]


def test_a_damaged_record_shows_nothing_of_itself():
    records = Records(new_folder())
    for text in ("", "rubbish", "config client\n\toption private_key 'secret'\n", "config client\n"):
        write_private(records._folder + "/phone", text)
        error = raises(ClientError, records.load, "phone")
        assert "/phone is damaged" in str(error) and "secret" not in str(error)


def test_a_name_is_good_for_a_file_and_an_app():
    for good in ("phone", "Anna-2", "a", "a_b.c", "x" * 32):
        assert clients.check_name(good) == good
    for bad in ("", ".phone", "-phone", "a b", "a/b", "../x", "a'b", "a\nb", "x" * 33, "handy\u00e4", "a$b", ".."):
        assert "letters, digits" in str(raises(ClientError, clients.check_name, bad))
        raises(ClientError, Records(new_folder()).load, bad)


# -- programs -----------------------------------------------------------------------------------------

def test_keys_go_through_pipes():
    with Programs() as programs:
        assert clients.new_keys(VirtualLoop()) == (key(201), key(101))
    assert programs.ran == [(["wg", "genkey"], ""), (["wg", "pubkey"], key(201) + "\n")]


def test_real_keys():
    try:
        process.find("wg")
    except process.ProcessError:
        raise Skip("needs wg")
    one, other = clients.new_keys(Loop()), clients.new_keys(Loop())
    assert len(set(one + other)) == 4


def test_programs_that_fail():
    with Programs() as programs:
        programs.fail["wg pubkey"] = "wg: Key is not the correct length or format\nmore"
        error = raises(ClientError, clients.new_keys, VirtualLoop())
        assert str(error) == "wg pubkey ended with 1: wg: Key is not the correct length or format"
        programs.missing.append("wg")
        assert "install wireguard-tools" in str(raises(ClientError, clients.new_keys, VirtualLoop()))


# -- places -------------------------------------------------------------------------------------------

def test_which_place():
    folder = new_folder()
    error = raises(ClientError, find_place, VirtualLoop(), folder + "/wgp2p", folder, "wg0")
    assert folder + "/network nor %s/wg0.conf describes the interface wg0" % folder in str(error)
    write_private(folder + "/wg0.conf", CONF)
    assert isinstance(find_place(VirtualLoop(), folder + "/wgp2p", folder, "wg0"), Quick)
    write_private(folder + "/network", "config interface 'wg0'\n\toption proto 'static'\n")
    assert isinstance(find_place(VirtualLoop(), folder + "/wgp2p", folder, "wg0"), Quick)
    write_private(folder + "/network", NETWORK)
    assert isinstance(find_place(VirtualLoop(), folder + "/wgp2p", folder, "wg0"), Uci)
    write_private(folder + "/network", "rubbish '")
    assert "/network: line 1" in str(raises(ClientError, find_place, VirtualLoop(), folder + "/wgp2p", folder, "wg0"))


def test_what_is_read_of_either():
    for place, lan in ((router()[0], ["192.168.0.0/23"]), (host()[0], [])):
        assert place.networks()[:2] == [("10.7.0.2", 24), ("fd00:7::2", 64)]
        assert place.lan() == lan
    assert host()[0].networks()[2:] == [("10.9.0.2", 32)]
    assert router()[0].peers() == [(key(1), ["10.7.0.1/32"])]
    assert host()[0].peers() == [(key(1), ["10.7.0.1/32", "10.9.0.0/16", "fd00:7::1/128"])]


def test_lan_networks():
    place, folder = router()
    for options, lan in (("option ipaddr '10.1.2.3/20'", ["10.1.0.0/20"]),
                         ("option ipaddr '10.1.2.3'", ["10.1.2.0/24"]),
                         ("list ipaddr '10.1.2.3/24'\n\tlist ipaddr '10.2.0.1/16'", ["10.1.2.0/24", "10.2.0.0/16"]),
                         ("option proto 'dhcp'", []), ("option ipaddr '10.1.2.3'\n\toption netmask '0.0.0.0'",
                                                       ["0.0.0.0/0"])):
        write_private(folder + "/network", "config interface 'lan'\n\t%s\n" % options)
        assert place.lan() == lan, options
    write_private(folder + "/network", "config interface lan\n\toption ipaddr 1.2.3.4\n\toption netmask 255.0.255.0\n")
    assert "section lan: not a netmask" in str(raises(ClientError, place.lan))
    write_private(folder + "/network", "")
    assert place.lan() == []


def test_added_on_a_router_and_removed():
    place, folder = router()
    before = text_of(folder + "/network")
    with Programs() as programs:
        place.add(record("it", endpoint="x"), False)
        assert place.peers()[1:] == [(key(3), ["10.7.0.3/32", "fd00:7::3/128"])]
        text = text_of(folder + "/network")
        assert "option description 'it'" in text and "route_allowed_ips" not in text and key(200) not in text
        found = config.parse(text_of(folder + "/wgp2p"))
        assert found.problems == [] and found.peers[key(3)].name == "it" and len(found.subscribers) == 1
        place.add(record("other", 4), True)
        assert "option route_allowed_ips '1'" in text_of(folder + "/network")
        for argv, text in programs.ran:
            assert key(200) not in " ".join(argv) + text
            assert argv[-1] in ("batch", "network", "wgp2p"), "what is changed is not in argv"
        assert place.remove(record("it")) == ["section network.@wireguard_wg0[1]", "section wgp2p.@peer[0]"]
        assert [one for one, _ in place.peers()] == [key(1), key(4)]
        assert place.remove(record("it")) == []
        place.remove(record("other", 4))
    assert len(place.peers()) == 1 and config.parse(text_of(folder + "/wgp2p")).peers == {}
    assert text_of(folder + "/network").split() == before.split()


def test_a_key_that_stands_there_twice():
    place, folder = router()
    twice = "config wireguard_wg0\n\toption public_key '%s'\nconfig wireguard_wg0 'other'\n" % key(3)
    write_private(folder + "/network", NETWORK + 2 * twice.replace("'other'", ""))
    with Programs():
        assert len(place.remove(record())) == 2
    assert [one for one, _ in place.peers()] == [key(1), None, None]


def test_a_value_is_quoted():
    for value in ("it's", "'", "''", 'a "b" #c; $d \\', " "):
        found = uci.parse("config x\n\toption y %s\n\toption z 1\n" % clients.quoted(value))[0]
        assert (found.get("y"), found.get("z")) == (value, "1")


def test_what_others_have_staged_is_not_committed():
    place, folder = router()
    before = text_of(folder + "/network")
    with Programs() as programs:
        programs.staged = "network.lan.ipaddr='10.0.0.1'\n"
        assert "network has changes that are not committed" in str(raises(ClientError, place.add, record(), False))
        programs.staged = ""
        programs.deaf = True
        assert "uci did not write" in str(raises(ClientError, place.add, record(), False))
        assert "revert network\n" in programs.ran[-1][1] and "revert wgp2p\n" in programs.ran[-1][1]
    assert text_of(folder + "/network") == before
    with Programs() as programs:
        place.add(record(), False)
        programs.staged = "wgp2p.main.enabled='0'\n"
        assert "network has changes that are not" in str(raises(ClientError, place.remove, record()))
        assert place.remove(record("other", 9)) == [], "nothing of it is there, so nothing is committed"
        programs.staged = ""
        programs.deaf = True
        error = raises(ClientError, place.remove, record())
        assert str(error) == "uci did not delete network.@wireguard_wg0[1], wgp2p.@peer[0]"


def test_added_on_a_host_and_removed():
    place, folder = host()
    os.system("chmod 640 %s/wgp2p" % folder)
    place.add(record(), False)
    assert text_of(folder + "/wg0.conf") == CONF + """

# wgp2p client phone: begin
[Peer]
PublicKey = %s
AllowedIPs = 10.7.0.3/32, fd00:7::3/128
# wgp2p client phone: end
""" % key(3)
    assert place.peers()[1:] == [(key(3), ["10.7.0.3/32", "fd00:7::3/128"])]
    found = config.parse(text_of(folder + "/wgp2p"))
    assert found.problems == [] and found.peers[key(3)].name == "phone"
    assert os.stat(folder + "/wgp2p")[0] & 0o777 == 0o640 and os.stat(folder + "/wg0.conf")[0] & 0o777 == 0o600
    place.add(record("phone2", 4), False)
    error = raises(ClientError, place.add, record(), False)
    assert "has a client phone already" in str(error)
    assert place.remove(record()) == ["the client in %s/wg0.conf" % folder, "the client in %s/wgp2p" % folder]
    assert [one for one, _ in place.peers()] == [key(1), key(4)]
    place.remove(record("phone2", 4))
    assert text_of(folder + "/wg0.conf") == CONF + "\n" and text_of(folder + "/wgp2p") == CONFIG
    assert place.remove(record()) == []
    assert sorted(os.listdir(folder)) == ["wg0.conf", "wgp2p"]


def test_removed_where_an_editor_took_the_last_line_end():
    place, folder = host()
    place.add(record(), False)
    write_private(folder + "/wg0.conf", text_of(folder + "/wg0.conf")[:-1])
    place.remove(record())
    assert text_of(folder + "/wg0.conf") == CONF + "\n"


def test_a_block_that_somebody_cut_is_left_alone():
    place, folder = host()
    place.add(record(), False)
    text = text_of(folder + "/wg0.conf").replace("# wgp2p client phone: end\n", "")
    write_private(folder + "/wg0.conf", text)
    assert place.remove(record()) == ["the client in %s/wgp2p" % folder]
    assert text_of(folder + "/wg0.conf") == text


def test_files_that_are_not_there():
    place, folder = host()
    os.remove(folder + "/wg0.conf")
    assert folder + "/wg0.conf: " in str(raises(ClientError, place.networks))
    error = raises(ClientError, clients._replace, folder + "/none", "x")
    assert folder + "/none cannot be changed: " in str(error)


def test_a_file_keeps_its_owner():
    if os.stat("/proc/self")[4]:
        raise Skip("needs root")
    place, folder = host()
    if os.system("chown 12:34 %s/wgp2p && chmod 660 %s/wgp2p" % (folder, folder)):
        raise Skip("no chown here")
    place.add(record(), False)
    facts = os.stat(folder + "/wgp2p")
    assert (facts[4], facts[5], facts[0] & 0o777) == (12, 34, 0o660)
