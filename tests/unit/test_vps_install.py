"""install and uninstall on a machine that is a folder."""
import os
import pathlib
import subprocess
import sys

import pytest
from vpsworld import ARCHIVE, BOAT, CABIN, PHONE, PUBLISHER, SERVER, SUBSCRIBER, TOKEN, VPS, Machine, Talk, go
from wgp2p_install import paths, unit

from wgp2p import config


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def read(machine):
    return config.parse(machine.text(paths.CONFIG))


def owner(machine, path):
    if machine.is_folder(path):
        return machine.folder(path)
    found = machine.file(path)
    return found.mode, found.owner


def test_a_publisher(machine):
    code, talk = go(machine, PUBLISHER)
    assert code == 0, talk.text()
    found = read(machine)
    assert [(values.interface, values.port) for values in found.publishers] == [("wg0", 8080)]
    assert (found.peers[CABIN].name, found.peers[CABIN].device) == ("cabin", True)
    assert found.problems == []
    assert owner(machine, paths.CONFIG) == (0o640, (0, 990))
    assert owner(machine, paths.KEEP) == (0o1770, (0, 990))
    assert owner(machine, paths.PYZ) == (0o644, (0, 0))
    assert owner(machine, paths.LAUNCHER) == (0o755, (0, 0))
    assert owner(machine, paths.INSTALLED) == (0o600, (0, 0))
    assert machine.text(paths.LAUNCHER).endswith('exec /usr/bin/python3 -I /usr/local/lib/wgp2p/wgp2p.pyz "$@"\n')
    assert [paths.LAUNCHER, "check"] in [words for words, user in machine.ran if user == "wgp2p"]
    said = talk.text()
    for words in (f"public key {SERVER}, endpoint 8.8.4.4:51820", "uci set wgp2p.vps.publisher='10.7.0.1'",
                  "uci set wgp2p.vps.server_host='8.8.4.4'", f".public_key='{SERVER}'",
                  "sudo wgp2p token cabin"):
        assert words in said, words
    assert TOKEN not in said, "nobody sits at a terminal"


def test_its_token_is_shown_once_and_on_a_terminal_only(machine):
    _, talk = go(machine, PUBLISHER, Talk(yes=True, private=True))
    assert talk.text().count(TOKEN) == 1
    for words in ("install --yes", PUBLISHER):
        _, talk = go(machine, words, Talk(yes=True, private=True))
        assert TOKEN not in talk.text() and ("uci set" in talk.text()) == (words == PUBLISHER)


def test_a_cloud_address_is_not_taken_for_a_public_one(machine):
    machine.public = "172.31.4.4"
    _, talk = go(machine, PUBLISHER)
    assert "172.31.4.4" not in talk.text() and "endpoint SERVER:51820" in talk.text()


def test_devices_are_asked_for_and_their_names_made_safe(machine):
    talk = Talk(["2, 1", "boat", " ../my cabin' "])
    code, _ = go(machine, "install --role publisher --interface wg0", talk)
    assert code == 0, talk.text()
    named = {peer.name: key for key, peer in read(machine).peers.items()}
    peers = sorted([CABIN, BOAT, PHONE])
    assert named == {"boat": peers[1], "my-cabin": peers[0]}
    assert "it is called my-cabin" in talk.lines


@pytest.mark.parametrize("answers", [["4"], ["0"], ["x"], [""], ["1", ""], ["1", "//"], ["²"]])
def test_bad_answers(machine, answers):
    before = machine.tree()
    code, _ = go(machine, "install --role publisher --interface wg0", Talk(answers))
    assert code == 1 and machine.tree() == before


def test_without_anybody_to_ask_the_peers_are_listed(machine):
    code, talk = go(machine, "install --role publisher --interface wg0 --yes")
    assert code == 1 and CABIN in talk.text() and "--device NAME=PUBLICKEY" in talk.text()
    assert not machine.exists(paths.CONFIG) and not machine.users


def test_a_subscriber_takes_its_token_from_a_person(machine):
    machine.interfaces["wg0"] = ["10.7.0.2"]
    code, talk = go(machine, SUBSCRIBER + " --server-host vpn.example.org")
    assert code == 0, talk.text()
    values = read(machine).subscribers[0]
    assert (values.label, values.publisher, values.server_host) == ("vps", "10.7.0.9", "vpn.example.org")
    assert machine.text("/etc/wgp2p/token") == TOKEN + "\n"
    assert owner(machine, "/etc/wgp2p/token") == (0o640, (0, 990))
    assert not secret_leaks(machine, talk)


def test_or_from_a_file(machine):
    machine.put("/root/token", TOKEN + "\n", 0o600)
    code, talk = go(machine, SUBSCRIBER + " --token-file /root/token", Talk(yes=True, secret=""))
    assert code == 0 and machine.text("/etc/wgp2p/token") == TOKEN + "\n"
    assert not secret_leaks(machine, talk)


def test_a_key_that_is_no_peer_yet_is_noted(machine):
    code, talk = go(machine, PUBLISHER.replace(CABIN, "Z" * 42 + "A="))
    assert code == 0 and "note: wg0 has no peer with the key of cabin yet" in talk.lines
    assert "note:" not in go(machine, PUBLISHER.replace("cabin", "boat").replace(CABIN, BOAT))[1].text()


def test_a_second_publisher_has_its_own_token_file(machine):
    go(machine, SUBSCRIBER)
    code, _ = go(machine, SUBSCRIBER.replace("10.7.0.9", "10.7.0.8"), Talk(yes=True, secret="other" * 10))
    assert code == 0
    first, second = read(machine).subscribers
    assert (first.label, first.token_file, second.label) == ("vps", None, "vps2")
    assert second.token_file == "/etc/wgp2p/token-10.7.0.8"
    assert machine.text(second.token_file) == "other" * 10 + "\n" and TOKEN in machine.text("/etc/wgp2p/token")


def test_a_bad_token_changes_nothing_and_is_not_repeated(machine):
    for secret in ("", "short", "x" * 300, "with space " * 5):
        code, talk = go(machine, SUBSCRIBER, Talk(yes=True, secret=secret))
        assert code == 1 and "is no token" in talk.text()
        assert not secret or secret.strip() not in talk.text()
        assert not machine.exists(paths.CONFIG) and not machine.users


def secret_leaks(machine, talk):
    return [words for words, _ in machine.ran if TOKEN in " ".join(words)] + [
        line for line in talk.lines + talk.warnings if TOKEN in line]


def test_a_dry_run_changes_nothing(machine):
    machine.programs.add("ufw")
    before = machine.tree()
    for words in (PUBLISHER, SUBSCRIBER):
        code, talk = go(machine, words + " --dry-run")
        assert code == 0, talk.text()
        assert f"would write {paths.UNIT}" in talk.lines and "would make user wgp2p" in talk.lines
        assert machine.tree() == before
    looks = (["nft", "-j", "list"], ["ufw", "status"], ["ufw", "--dry-run"], ["/usr/bin/python3", "-I", "-c"])
    assert not [words for words, _ in machine.ran if words[:3] not in looks and words[:2] not in looks]


def test_the_second_run_keeps_the_configuration_and_starts_anew(machine):
    go(machine, PUBLISHER)
    machine.put(paths.CONFIG, "# mine\n" + machine.text(paths.CONFIG) + "\nconfig peer\n\toption public_key '%s'\n"
                % PHONE, 0o600)
    text, before = machine.text(paths.CONFIG), machine.tree()
    for words in ("install --yes", PUBLISHER):
        machine.ran.clear()
        code, talk = go(machine, words)
        assert code == 0, talk.text()
        assert machine.text(paths.CONFIG) == text
        assert ["systemctl", "restart", paths.SERVICE] in [words for words, _ in machine.ran]
        assert "useradd" not in [words[0] for words, _ in machine.ran]
    assert set(machine.tree()) == set(before)
    assert owner(machine, paths.CONFIG) == (0o640, (0, 990))


def test_a_device_more(machine):
    go(machine, PUBLISHER)
    code, talk = go(machine, f"install --role publisher --interface wg0 --device boat={BOAT} --yes",
                    Talk(yes=True, private=True))
    assert code == 0 and {peer.name for peer in read(machine).peers.values()} == {"cabin", "boat"}
    assert len(read(machine).publishers) == 1 and talk.text().count(TOKEN) == 1


@pytest.mark.parametrize("text, words, said", [
    ("config publisher\n\toption interface wg0\n\toption port 9000\n", PUBLISHER + " --port 8080", "another port"),
    ("config publisher\n\toption interface wg0\n\toption enabled 0\n", PUBLISHER, "switched off"),
    ("config wgp2p\n\toption enabled 0\n", PUBLISHER, "option enabled '0'"),
    ("config wgp2p\n\toption state_dir /x\n", PUBLISHER, "option state_dir"),
    ("config wgp2p\n\toption keep_dir '/x y'\n", PUBLISHER, "option keep_dir"),
    ("config peer\n\toption public_key '%s'\n" % CABIN, PUBLISHER, "option device '1'"),
    ("config peer\n\toption name cabin\n\toption public_key '%s'\n" % BOAT, PUBLISHER, "another name"),
    ("config wgp2p\n\toption log_level loud\n", PUBLISHER, "log_level"),
    ("rubbish", PUBLISHER, "invalid command"),
    ("config subscriber\n\toption interface wg0\n\toption publisher 10.7.0.9\n", SUBSCRIBER + " --port 9",
     "another port"),
])
def test_a_configuration_that_says_something_else_is_left_alone(machine, text, words, said):
    machine.put(paths.CONFIG, text)
    before = machine.tree()
    code, talk = go(machine, words)
    assert code == 1 and said in talk.text(), talk.text()
    after = machine.tree()
    assert {path: after[path] for path in before} == before and not machine.users


def test_what_is_missing_is_said(machine):
    def said(words=PUBLISHER):
        code, talk = go(machine, words)
        assert code == 1 and not machine.users and not machine.exists(paths.LIB)
        return talk.text()

    machine.root_user = False
    assert "sudo" in said()
    machine.root_user = True
    assert "cannot be the name" in said(PUBLISHER.replace("wg0", "wg$0"))
    machine.down.add("wg0")
    assert "ip link set wg0 up" in said()
    machine.down.clear()
    machine.interfaces["wg0"] = []
    assert "no address" in said()
    machine.interfaces["wg0"] = ["10.7.0.1"]
    assert "say what this machine is to be" in said("install")
    assert "no WireGuard public key" in said(PUBLISHER + " --device boat=xyz")
    assert "NAME=PUBLICKEY" in said(PUBLISHER + " --device boat")
    assert "no IP address" in said(SUBSCRIBER.replace("10.7.0.9", "vpn.example.org"))
    assert "no such file" in said(SUBSCRIBER + " --token-file /nowhere")
    assert "this server's" in said(PUBLISHER + f" --device me={SERVER}")
    machine.put(paths.UNIT, "[Service]\nExecStart=/usr/bin/wgp2p run\n")
    assert "is not ours" in said()
    machine.remove(paths.UNIT)
    machine.remove("/usr/bin/python3")
    assert "no Python 3.9" in said()
    pathlib.Path(machine.root + "/run/systemd/system").rmdir()
    assert "systemd does not run here" in said()


@pytest.mark.parametrize("words", [
    "install --role publisher", "install --role subscriber --interface wg0", "install --device a=b",
    "install --role publisher --interface wg0 --publisher 10.7.0.1", "install --role other --interface wg0",
    "install --role publisher --interface wg0 --port 0", "install --role publisher --interface wg0 --port 65536",
    "install --token x", "uninstall now"])
def test_wrong_usage(machine, words, capsys):
    with pytest.raises(SystemExit) as ended:
        go(machine, words)
    assert ended.value.code == 2 and capsys.readouterr().err


# -- failures ---------------------------------------------------------------------------------------

STEPS = ["useradd", "wgp2p check", "systemctl daemon-reload", "enable", "restart"]


@pytest.mark.parametrize("failing", STEPS + ["no answer"])
def test_a_failed_installation_leaves_nothing(machine, failing):
    machine.put("/usr/local/bin/other", "")
    pathlib.Path(machine.root + "/usr/local/lib").mkdir()
    pathlib.Path(machine.root + "/etc/systemd/system").mkdir(parents=True)
    machine.firewall.ufw.add("in proto tcp to any port 22")
    machine.programs.add("ufw")
    before = machine.tree()
    machine.fails, machine.answers = (failing,), failing != "no answer"
    code, talk = go(machine, PUBLISHER)
    assert code == 1 and "undoing" in talk.text()
    assert machine.tree() == before
    assert not machine.users and not machine.active
    assert machine.firewall.ufw == {"in proto tcp to any port 22"}


@pytest.mark.parametrize("failing", ["wgp2p check", "enable", "no answer"])
def test_a_failed_update_leaves_what_was_there_running(machine, failing):
    go(machine, PUBLISHER)
    before = machine.tree()
    machine.put(ARCHIVE, "#!a newer one")
    machine.fails, machine.answers = (failing,), failing != "no answer"
    machine.ran.clear()
    code, _ = go(machine, PUBLISHER + f" --device boat={BOAT}")
    assert code == 1
    after = machine.tree()
    for path in (paths.CONFIG, paths.PYZ, paths.UNIT, paths.INSTALLED, paths.KEEP):
        assert after[path] == before[path], path
    assert machine.ran[-1][0] == ["systemctl", "restart", paths.SERVICE] and machine.users


def test_a_daemon_that_somebody_started_by_hand_is_not_taken_for_the_service(machine):
    machine.uptime = 3600
    code, talk = go(machine, PUBLISHER)
    assert code == 1 and "started by hand?" in talk.text() and not machine.users


# -- uninstall --------------------------------------------------------------------------------------

def test_uninstall_keeps_configuration_and_tokens_for_root(machine):
    go(machine, PUBLISHER)
    machine.put("/etc/wgp2p/tokens/cabin", TOKEN, 0o600)
    machine.give("/etc/wgp2p", (990, 990))
    code, talk = go(machine, "uninstall --yes")
    assert code == 0, talk.text()
    for path in (paths.UNIT, paths.LAUNCHER, paths.LIB):
        assert not machine.exists(path)
    assert not machine.users and not machine.groups and not machine.active
    assert owner(machine, paths.CONFIG) == (0o600, (0, 0))
    assert owner(machine, "/etc/wgp2p") == (0o700, (0, 0))
    assert owner(machine, "/etc/wgp2p/tokens/cabin") == (0o600, (0, 0))
    assert ["/usr/sbin/nft", unit.NO_TABLES] in [words for words, _ in machine.ran]
    code, _ = go(machine, "install --yes")
    assert code == 0 and owner(machine, "/etc/wgp2p/tokens/cabin") == (0o600, (990, 990))


def test_purge_removes_all(machine):
    go(machine, PUBLISHER)
    code, _ = go(machine, "uninstall --purge --yes")
    assert code == 0
    assert not [path for path in machine.tree() if "wgp2p" in path and path != ARCHIVE]


def test_a_user_that_was_there_stays(machine):
    machine.users["wgp2p"], machine.groups["wgp2p"] = (77, 77), 77
    go(machine, PUBLISHER)
    assert owner(machine, paths.KEEP) == (0o1770, (0, 77))
    go(machine, "uninstall --yes")
    assert machine.users == {"wgp2p": (77, 77)} and machine.groups


def test_a_group_that_was_there_stays(machine):
    machine.groups["wgp2p"] = 55
    go(machine, PUBLISHER)
    assert machine.users == {"wgp2p": (990, 55)}
    go(machine, "uninstall --yes")
    assert not machine.users and machine.groups == {"wgp2p": 55}


@pytest.mark.parametrize("owner, groups", [((0, 0), {"wgp2p": 0}), ((77, 100), {}), ((77, 100), {"wgp2p": 78})])
def test_a_user_that_is_no_good_is_refused(machine, owner, groups):
    machine.users["wgp2p"] = owner
    machine.groups.update(groups)
    code, talk = go(machine, PUBLISHER)
    assert code == 1 and "root by another name" in talk.text()


def test_a_careful_umask_does_not_shut_the_service_out(machine):
    before = os.umask(0o077)
    try:
        assert go(machine, PUBLISHER)[0] == 0
    finally:
        os.umask(before)
    assert owner(machine, "/etc/config") == owner(machine, "/usr/local/bin") == (0o755, (0, 0))


def test_uninstall_asks(machine):
    go(machine, PUBLISHER)
    before = machine.tree()
    for talk in (Talk(), Talk(["n"])):
        code, _ = go(machine, "uninstall", talk)
        assert code == 1 and machine.tree() == before
    code, talk = go(machine, "uninstall --purge --yes --dry-run")
    assert code == 0 and machine.tree() == before and machine.active
    assert f"would remove {paths.UNIT}" in talk.lines


def test_files_of_a_daemon_that_ran_as_root_become_the_service_s_own(machine):
    machine.put("/etc/wgp2p/tokens/cabin", TOKEN, 0o600)
    machine.put("/etc/wgp2p/endpoints-wg0.json", "{}", 0o600)
    (pathlib.Path(machine.root) / "etc/wgp2p/link").symlink_to("/etc/passwd")
    go(machine, PUBLISHER)
    assert owner(machine, "/etc/wgp2p/tokens") == (0o755, (990, 990))
    assert owner(machine, "/etc/wgp2p/tokens/cabin") == (0o600, (990, 990))
    assert owner(machine, "/etc/wgp2p/endpoints-wg0.json") == (0o600, (990, 990))
    assert (pathlib.Path(machine.root) / "etc/wgp2p/link").lstat().st_ino not in machine.owners


# -- forwarding -------------------------------------------------------------------------------------

FORWARD = "/proc/sys/net/ipv4/ip_forward"
RELAYLESS = "config publisher\n\toption interface wg0\n\toption relay 0\n"


def forwards(machine, words, talk, before="0\n"):
    """Whether it forwards after an installation, and what was said."""
    machine.put(FORWARD, before)
    code, talk = go(machine, words, talk)
    assert code == 0, talk.text()
    assert machine.exists(paths.SYSCTL) == (machine.text(FORWARD) != before)
    return machine.text(FORWARD) == "1\n", talk.text()


@pytest.mark.parametrize("words, talk, on", [
    (PUBLISHER, None, False), (PUBLISHER + " --forward", None, True), (PUBLISHER.replace(" --yes", ""), Talk(), False),
    (PUBLISHER.replace(" --yes", ""), Talk(["y"]), True), (PUBLISHER.replace(" --yes", ""), Talk(["n"]), False),
    (PUBLISHER + " --forward --dry-run", None, False)])
def test_forwarding_is_switched_on_by_who_says_so(machine, words, talk, on):
    got, said = forwards(machine, words, talk)
    assert got == on and "forwards no packets (net.ipv4.ip_forward is 0)" in said
    assert "would write /etc/sysctl.d/99-wgp2p.conf" in said or "--dry-run" not in words
    if on:
        assert "\nnet.ipv4.ip_forward = 1\n" in machine.text(paths.SYSCTL) and paths.MARK in machine.text(paths.SYSCTL)


@pytest.mark.parametrize("words, config, before", [
    (PUBLISHER, "", "1\n"), (SUBSCRIBER, "", "0\n"), (PUBLISHER, RELAYLESS, "0\n")])
def test_forwarding_is_no_question_where_it_is_on_or_not_needed(machine, words, config, before):
    machine.put(paths.CONFIG, config)
    assert "ip_forward" not in forwards(machine, words + " --forward" * (words == PUBLISHER), None, before)[1]


def test_forwarding_stays_as_the_owner_has_it(machine):
    """A failed installation takes it back; an uninstallation takes only our file."""
    machine.fails = ("restart",)
    machine.put(FORWARD, "0\n")
    assert go(machine, PUBLISHER + " --forward")[0] == 1
    assert machine.text(FORWARD).strip() == "0" and not machine.exists(paths.SYSCTL)
    machine.fails = ()
    go(machine, PUBLISHER + " --forward")
    _, talk = go(machine, "uninstall --purge --yes")
    assert not machine.exists(paths.SYSCTL) and machine.text(FORWARD) == "1\n"
    assert "net.ipv4.ip_forward stays on until the next start of this machine" in talk.lines
    machine.put(paths.SYSCTL, "of somebody else")
    go(machine, PUBLISHER)
    go(machine, "uninstall --purge --yes")
    assert machine.exists(paths.SYSCTL)


# -- the file itself --------------------------------------------------------------------------------

def test_the_file_is_built_the_same_twice_and_runs(tmp_path):
    first, second = tmp_path / "a.pyz", tmp_path / "b.pyz"
    for target in (first, second):
        subprocess.run([sys.executable, VPS / "build", target], check=True, capture_output=True)
    assert first.read_bytes() == second.read_bytes()

    def run(*words):
        return subprocess.run([sys.executable, "-W", "error", "-I", first, *words], capture_output=True, text=True)

    assert run("--version").stdout.startswith("wgp2p ")
    helped = run("--help").stdout
    assert "be the daemon" in helped and "import-systemd" in helped
    assert "--role" in run("install", "--help").stdout
    refused = run("install", "--role", "publisher", "--interface", "wgp2p-none")
    assert refused.returncode == 1 and refused.stderr.startswith("wgp2p: ")
    (tmp_path / "config").write_text("config wgp2p\n")
    assert "nothing is switched on" in run("--config", str(tmp_path / "config"), "check").stdout
