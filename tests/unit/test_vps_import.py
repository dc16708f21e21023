"""import-systemd: the original project's services, said in our terms."""
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vpsworld import BOAT, CABIN, PHONE, TOKEN, Machine, Talk, go
from wgp2p_install import originals, paths, problems

from wgp2p import config

# As the original's documentation has them (server-wg-publisher.service, device-wg-subscriber.service).
PUBLISHER = """[Unit]
Description=WireGuard Publisher (public server) - binds to WG IP only
After=network.target

[Service]
Type=simple
ExecStart=/usr/bin/python3 /usr/local/bin/server_wg_publisher.py --interface wg0 --bind-ip 192.168.20.2 --port 8080 \
--token-file /etc/wg-publisher/token.txt --exclude-peer %s
Restart=on-failure
User=root

[Install]
WantedBy=multi-user.target
""" % CABIN
SUBSCRIBER = """[Unit]
After=network-online.target

[Service]
ExecStart=/usr/bin/python3 /usr/local/bin/device_wg_subscriber.py --iface wg0 --vps-api \
http://192.168.20.2:8080/api/peers --token-file /etc/wg-subscriber/token.txt --poll 3 --keepalive 10
"""
OWNER = (0, 990)


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    made.put(paths.UNITS + "/ssh.service", "[Service]\nExecStart=/usr/sbin/sshd -D\n")
    made.put("/etc/wg-publisher/token.txt", TOKEN + "\n", 0o600)
    made.put("/etc/wg-subscriber/token.txt", TOKEN + "\n", 0o600)
    return made


def read(text):
    found = originals.read("x.service", text)
    assert found is not None
    return found


def start(words):
    return "[Service]\nExecStart=python3 /x/%s\n" % words


def subscriber(words):
    return read(start("device_wg_subscriber.py --iface wg0 --token-file /t --vps-api http://10.7.0.1:80/api/peers "
                      + words))


def test_the_documented_publisher(machine):
    machine.put(paths.UNITS + "/server-wg-publisher.service", PUBLISHER)
    before = machine.tree()
    code, talk = go(machine, f"import-systemd --device cabin={CABIN}")
    assert code == 0, talk.text()
    assert machine.tree() == before
    found = config.parse("\n".join(talk.lines))
    assert [(values.interface, values.address, values.port) for values in found.publishers] == [
        ("wg0", ["192.168.20.2"], 8080)]
    assert (found.peers[CABIN].name, found.peers[CABIN].device) == ("cabin", True)
    assert "--write" in talk.text() and "systemctl disable --now server-wg-publisher.service" in talk.text()
    assert TOKEN not in talk.text()


def test_the_documented_subscriber(machine):
    machine.put(paths.UNITS + "/device-wg-subscriber.service", SUBSCRIBER)
    code, talk = go(machine, "import-systemd")
    assert code == 0, talk.text()
    values = config.parse("\n".join(talk.lines)).subscribers[0]
    assert (values.interface, values.publisher, values.port, values.keepalive, values.stale_after) == (
        "wg0", "192.168.20.2", 8080, 10, 180)
    assert "--poll: not needed" in talk.text() and "stale threshold 120 s: becomes 180 s" in talk.text()


def test_written_with_the_token_and_then_installed(machine):
    machine.put(paths.UNITS + "/server-wg-publisher.service", PUBLISHER)
    code, talk = go(machine, "import-systemd server-wg-publisher --write")
    assert code == 0, talk.text()
    assert machine.text("/etc/wgp2p/tokens/device1") == TOKEN + "\n"
    found = machine.file("/etc/wgp2p/tokens/device1")
    assert (found.mode, found.owner) == (0o640, OWNER)
    assert machine.folder("/etc/wgp2p/tokens") == (0o1770, OWNER)
    assert machine.file("/etc/wg-publisher/token.txt").owner == (0, 0), "the original goes on with it"
    assert not [words for words, _ in machine.ran if TOKEN in " ".join(words)] and TOKEN not in talk.text()
    assert not machine.exists(paths.UNIT)
    written = machine.text(paths.CONFIG)
    assert go(machine, "import-systemd --write")[0] == 0, "a second time is no fault"
    assert go(machine, "install --yes")[0] == 0
    assert machine.text(paths.CONFIG) == written
    assert machine.folder("/etc/wgp2p/tokens") == (0o1770, OWNER)
    assert go(machine, "uninstall --purge --yes")[0] == 0 and not machine.users


def test_a_subscriber_written(machine):
    machine.put("/root/my.service", SUBSCRIBER)
    code, talk = go(machine, "import-systemd /root/my.service --write")
    assert code == 0, talk.text()
    found = machine.file("/etc/wgp2p/token")
    assert (found.data.decode(), found.mode, found.owner) == (TOKEN + "\n", 0o640, OWNER)


def test_a_drop_in_and_the_other_spellings(machine):
    machine.put(paths.UNITS + "/p.service", PUBLISHER)
    machine.put(paths.UNITS + "/p.service.d/port.conf", "[Service]\nExecStart=\nExecStart=-python3 "
                "/opt/server_wg_publisher.py --inter wg1 --bind-ip=0.0.0.0 \\\n  --port=9000 --token-file '/a b/t'\n")
    code, talk = go(machine, f"import-systemd p --device boat={BOAT}")
    assert code == 0, talk.text()
    found = config.parse("\n".join(talk.lines))
    values = found.publishers[0]
    assert (values.interface, values.address, values.port) == ("wg1", [], 9000)
    assert found.peers[BOAT].name == "boat" and CABIN not in found.peers
    assert "--bind-ip 0.0.0.0" in talk.text()


def test_publisher_without_devices_is_told_so(machine):
    machine.put(paths.UNITS + "/p.service", PUBLISHER.replace("--exclude-peer %s" % CABIN,
                                                             "--exclude-peer REMOTE_DEVICE_PUBLIC_KEY"))
    _, talk = go(machine, "import-systemd")
    assert "REMOTE_DEVICE_PUBLIC_KEY: left out" in talk.text() and "--device NAME=PUBLICKEY" in talk.text()


@pytest.mark.parametrize("words, keepalive, stale, note", [
    ("", None, None, "stale threshold 120"),
    ("--keepalive 25 --stale-threshold 180", None, None, None),
    ("--keepalive 0 --stale-threshold 125", None, 125, "--keepalive 0"),
    ("--keepalive 600 --stale-threshold 999999", 120, 86400, "120 s is the most"),
    ("--dry-run --stale-threshold 300", None, 300, "--dry-run"),
])
def test_numbers(words, keepalive, stale, note):
    found = subscriber(words)
    assert (found.publisher, found.port, found.keepalive, found.stale_after) == ("10.7.0.1", 80, keepalive, stale)
    assert [line for line in found.notes if note and note in line] or found.notes == []


def test_the_url():
    assert subscriber("--vps-api http://10.7.0.1/api/peers").port == 80
    assert subscriber("--vps-api http://[fd00::1]:8080/api/peers/").publisher == "fd00::1"
    for url in ("https://10.7.0.1/api/peers", "http://10.7.0.1/", "http://vps/api/peers", "http://10.7.0.1:x/api/peers",
                "10.7.0.1", "http:///api/peers", "http://[fd00::1/api/peers"):
        with pytest.raises(problems.Refused):
            subscriber("--vps-api " + url)


@pytest.mark.parametrize("words", [
    "server_wg_publisher.py --interface wg0", "server_wg_publisher.py --token-file /t",
    "server_wg_publisher.py --interface wg0 --token-file", "server_wg_publisher.py --frob x",
    "server_wg_publisher.py --interface ${IFACE} --token-file /t",
    "server_wg_publisher.py --interface %i --token-file /t",
    "server_wg_publisher.py --interface wg0 --token-file /t --port x",
    "server_wg_publisher.py --interface wg0 --token-file /t --bind-ip vpn", "server_wg_publisher.py --interface 'wg0",
    "device_wg_subscriber.py --iface wg0 --token-file /t",
])
def test_what_cannot_be_read_is_said(words):
    with pytest.raises(problems.Refused):
        read(start(words))


def test_other_services_are_none_of_ours(machine):
    other = "[Service]\nExecStart=/usr/sbin/sshd -D\n[Install]\nExecStart=server_wg_publisher.py\n"
    assert originals.read("x", other) is None
    assert "no service in /etc/systemd/system" in go(machine, "import-systemd")[1].text()
    assert "starts neither" in go(machine, "import-systemd ssh")[1].text()
    assert "no such file" in go(machine, "import-systemd nowhere")[1].text()


@given(st.sampled_from(["server_wg_publisher.py", "device_wg_subscriber.py"]), st.lists(st.one_of(
    st.sampled_from(["--" + flag for flags in originals._FLAGS.values() for flag in flags]), st.text(max_size=20),
    st.sampled_from(["wg0", "--interface=wg0", "--token-file=/t", "http://10.7.0.1/api/peers", "http://[", "9"]))))
def test_whatever_stands_there_is_read_or_refused(script, words):
    try:
        found = originals.read("x", start(script + " " + " ".join(words)))
    except problems.Refused as refused:
        assert str(refused)
    else:
        assert found is None or found.interface and found.token_file


@pytest.mark.parametrize("token, said", [("short\n", "is no token"), ("\xff" * 40, "is no token")])
def test_a_token_that_is_not_good_enough_changes_nothing(machine, token, said):
    machine.put(paths.UNITS + "/p.service", PUBLISHER)
    machine.put("/etc/wg-publisher/token.txt", token)
    before = machine.tree()
    code, talk = go(machine, "import-systemd --write")
    assert code == 1 and said in talk.text() and machine.tree() == before
    machine.remove("/etc/wg-publisher/token.txt")
    assert "no such file" in go(machine, "import-systemd --write")[1].text()


def test_a_token_that_is_there_is_not_replaced(machine):
    machine.put(paths.UNITS + "/p.service", PUBLISHER)
    machine.put("/etc/wgp2p/tokens/device1", "other" * 10, 0o600)
    code, talk = go(machine, "import-systemd --write")
    assert code == 1 and "holds another token" in talk.text()
    assert machine.text("/etc/wgp2p/tokens/device1") == "other" * 10 and not machine.exists(paths.CONFIG)
    assert not machine.users


def test_beside_a_configuration(machine):
    text = ("config wgp2p\n\toption log_level 'debug'\n\nconfig peer\n\toption name 'phone'\n"
            "\toption public_key '%s'\n" % PHONE)
    machine.put(paths.CONFIG, text)
    machine.put(paths.UNITS + "/p.service", PUBLISHER)
    code, talk = go(machine, "import-systemd --write", Talk())
    assert code == 0 and machine.text(paths.CONFIG).startswith(text)
    assert config.parse(machine.text(paths.CONFIG)).main.log_level == "debug"
