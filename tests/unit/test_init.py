"""The init script, uci-defaults and the files beside them, under busybox ash with stand-ins for OpenWrt's functions."""
import json
import os
import pathlib
import stat
import subprocess
import sys

import pytest
from openwrt.service import FILES, Router

from wgp2p import config, relayrules

KEY = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
TOKEN = "0123456789abcdef" * 4
MAIN = "config wgp2p 'main'\n"
SUBSCRIBER = MAIN + """
config subscriber 'vps'
	option interface 'wg0'
	option publisher '10.7.0.1'
"""
PUBLISHER = MAIN + """
config publisher
	option interface 'wg0'
	option port '8081'
config peer
	option name 'cabin'
	option public_key '%s'
	option device '1'
""" % KEY
WG_RULE = "type=rule target=ACCEPT src=wan proto=udp dest_port=51820"
API_RULE = "type=rule target=ACCEPT src=* device=wg0 direction=in proto=tcp dest_port=8081"
NEWS_RULE = "type=rule target=ACCEPT src=wan proto=udp dest_ip=224.0.0.1 dest_port=5350"
RELAY_RULE = "type=rule target=ACCEPT src=* dest=* proto=udp mark=0x77000001/0xff0000ff"


@pytest.fixture
def router(tmp_path):
    return Router(tmp_path / "router")


def use(router, text):
    """Write the configuration; its paths lead into the router's folder."""
    for folder in ("/etc/wgp2p", "/var/", "/srv/"):
        text = text.replace("'" + folder, "'%s%s" % (router.root, folder))
    router.write("etc/config/wgp2p", text)


def start(router, text, **environment):
    use(router, text)
    return router.run("start", **environment)


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


# -- what is started ------------------------------------------------------------------------------

def test_the_default_config_does_nothing(router):
    text = (FILES / "etc/config/wgp2p").read_text()
    done = start(router, text)
    assert done.ok and done.command is None and not done.all("rule") and not done.all("changed") and not done.all("log")
    assert not router.path("var/run/wgp2p").exists()
    assert "config wgp2p reload" in done.all("trigger")  # so that switching it on is noticed


@pytest.mark.parametrize("switched_on", [False, True])
def test_the_default_config_is_valid(switched_on):
    text = (FILES / "etc/config/wgp2p").read_text()
    if switched_on:
        text = text.replace("enabled '0'", "enabled '1'")
    bare = "\n".join(line for line in text.splitlines() if not line.strip().startswith("#"))  # as uci leaves it
    for version in (text, bare):
        found = config.parse(version)
        assert found.problems == []
        assert [bool(found.subscribers), bool(found.publishers), found.main.enabled] == [switched_on] * 3


def test_a_subscriber(router):
    done = start(router, SUBSCRIBER)
    assert done.ok
    assert done.command == ["/usr/bin/wgp2p", "--config", "/var/run/wgp2p/config", "run"]
    assert len(done.all("instance")) == 1
    assert done.param("user") == done.param("group") == ["wgp2p"]
    assert done.param("no_new_privs") == ["1"] and done.param("stdout") == ["1"] and done.param("stderr") == ["1"]
    assert done.param("capabilities") == ["/etc/capabilities/wgp2p.json"]
    assert done.param("respawn") == ["3600", "10", "0"]
    assert done.param("file") == ["/usr/bin/wgp2p", "/etc/capabilities/wgp2p.json", "/usr/lib/wgp2p/daemon.mpy"]
    assert done.all("rule") == [WG_RULE]
    assert done.all("changed") == ["firewall"]
    assert done.all("trigger") == ["config wgp2p reload", "config network reload", "interface.*.up wg0 wgp2p reload",
                                   "interface.*.up wan wgp2p reload", "interface.*.up wan6 wgp2p reload"]
    assert done.all("validation") == ["wgp2p", "publisher", "subscriber", "portmap", "peer"]


def test_the_jail(router):
    done = start(router, SUBSCRIBER + "option token_file '/srv/token'\n")
    assert done.all("jail") == ["wgp2p ubus procfs ronly"]
    assert done.all("mount") == ["ro /usr/lib/wgp2p", "ro /usr/bin/micropython", "ro /tmp/resolv.conf.d",
                                 "ro /etc/resolv.conf", "ro /usr/sbin/nft", "ro /usr/bin/wg", "rw /srv/token",
                                 "rw /var/run/wgp2p", "rw /etc/wgp2p"]


def test_the_jail_of_cpython_holds_its_library(router):
    router.path("usr/bin/micropython").unlink()
    router.path("usr/bin/python3").symlink_to(os.path.realpath("/usr/bin/python3"))
    mounts = start(router, SUBSCRIBER).all("mount")
    assert {"ro /usr/bin/python3", "ro /lib", "ro /usr/lib"} <= set(mounts)


def test_other_folders_are_prepared_and_mounted(router):
    done = start(router, MAIN + "option state_dir '/var/run/other'\noption keep_dir '/srv/keep'\n"
                 + SUBSCRIBER.replace(MAIN, "") + "option token_file '/srv/keep/token'\n")
    assert {"rw /var/run/other", "rw /srv/keep", "rw /var/run/wgp2p"} <= set(done.all("mount"))
    assert "rw /srv/keep/token" not in done.all("mount")  # a mounted file would stay the old one after a change
    assert mode(router.path("srv/keep")) == mode(router.path("var/run/other")) == 0o1770


def test_a_folder_of_others_is_left_as_it_is(router):
    router.path("srv").mkdir()
    done = start(router, MAIN + "option state_dir '/srv/'\n" + SUBSCRIBER.replace(MAIN, ""))
    assert mode(router.path("srv")) == 0o755 and "root:wgp2p /srv/" not in done.all("chown")


def test_without_ujail_the_daemon_changes_the_user_itself(router):
    router.path("sbin/ujail").unlink()
    done = start(router, SUBSCRIBER)
    assert done.command == ["/usr/bin/wgp2p", "--config", "/var/run/wgp2p/config", "--user", "wgp2p", "run"]
    assert done.start()["user"] == "root" and not done.start()["jail"]
    assert done.param("capabilities") is None and done.all("mount") == []


def test_without_its_user_nothing_is_started(router):
    router.write("etc/passwd", "root:x:0:0:root:/root:/bin/ash\n")
    done = start(router, SUBSCRIBER)
    assert not done.ok or done.command is None
    assert done.all("log") == ["there is no user wgp2p: install the package again"] and not done.all("rule")


def test_a_publisher(router):
    done = start(router, PUBLISHER)
    assert done.all("rule") == [WG_RULE, API_RULE, RELAY_RULE]
    assert mode(router.path("etc/wgp2p/tokens")) == 0o1770


def test_both_roles_on_several_interfaces(router):
    router.write("etc/config/network", "config interface 'wg0'\n\toption listen_port '51820'\n"
                 "config interface 'wg1'\n\toption listen_port '51821'\n")
    done = start(router, PUBLISHER + "config subscriber\noption interface wg1\noption publisher 10.8.0.1\n"
                 "config subscriber\noption interface wg0\noption publisher 10.7.0.9\n")
    assert done.all("rule") == [WG_RULE, WG_RULE.replace("51820", "51821"), API_RULE, RELAY_RULE]
    assert "interface.*.up wg1 wgp2p reload" in done.all("trigger")


def test_no_role_is_switched_on(router):
    done = start(router, SUBSCRIBER + "option enabled off\n")
    assert done.ok and done.command is None and not done.all("rule")
    assert done.all("log") == ["no publisher, subscriber or portmap section is switched on: nothing to do"]


def test_no_main_section_is_enough(router):
    assert start(router, SUBSCRIBER.replace(MAIN, "")).command


# -- the firewall ---------------------------------------------------------------------------------

def test_no_listen_port_is_said_and_no_rule_is_made(router):
    done = start(router, SUBSCRIBER.replace("wg0", "wg1"))
    assert done.command and done.all("rule") == [] and done.all("changed") == []
    assert done.all("log") == ["interface wg1 has no listen_port in /etc/config/network: no port is opened for it"]


@pytest.mark.parametrize("port", ["51820; reboot", "0x1", "-1", ""])
def test_a_listen_port_that_is_none(router, port):
    router.write("etc/config/network", "config interface 'wg0'\n\toption listen_port '%s'\n" % port)
    assert start(router, SUBSCRIBER).all("rule") == []


def test_open_port_off(router):
    done = start(router, MAIN + "option open_port no\n" + PUBLISHER.replace(MAIN, ""))
    assert done.command and done.all("rule") == []


def test_the_firewall_is_loaded_again_only_for_a_change(router):
    assert start(router, SUBSCRIBER).all("changed") == ["firewall"]
    assert router.run("reload").all("changed") == []
    router.write("etc/config/network", "config interface 'wg0'\n\toption listen_port '51900'\n")
    assert router.run("reload").all("changed") == ["firewall"]
    stopped = router.run("stop")
    assert stopped.all("changed") == ["firewall"]
    assert stopped.all("nft") == ["delete table inet " + name for name in ("wgp2p", "wgp2p_relay", "wgp2p_sessions")]
    assert router.run("stop").all("changed") == []


def test_what_is_relayed_passes_only_where_a_publisher_relays(router):
    off = PUBLISHER.replace("option port", "option relay 'no'\n\toption port")
    assert start(router, off).all("rule") == [WG_RULE, API_RULE]
    use(router, PUBLISHER)
    switched = router.run("reload")
    assert switched.all("rule") == [WG_RULE, API_RULE, RELAY_RULE] and switched.all("changed") == ["firewall"]
    use(router, PUBLISHER.replace("option port", "option enabled '0'\n\toption port"))
    assert router.run("reload").all("rule") == []


def test_forwards_for_phones_in_the_lan(router):
    portmap = ("config portmap\n\toption enabled '1'\n\toption interface 'wg0'\n"
               "\tlist forward '51821:192.168.1.20'\n\tlist forward '51822:192.168.1.21:51820'\n")
    redirect = ("type=redirect target=DNAT src=wan dest=lan reflection=0 proto=udp src_dport=%d dest_ip=%s "
                "dest_port=%d")
    assert start(router, SUBSCRIBER + portmap).all("rule") == [
        WG_RULE, NEWS_RULE, redirect % (51821, "192.168.1.20", 51821), redirect % (51822, "192.168.1.21", 51820)]
    use(router, SUBSCRIBER + portmap.replace("enabled '1'", "enabled '0'"))
    assert router.run("reload").all("rule") == [WG_RULE]


def test_wireguards_own_port_is_not_forwarded(router):
    done = start(router, SUBSCRIBER + "config portmap p\noption enabled 1\noption interface wg0\n"
                 "list forward '51820:192.168.1.20'\n")
    assert done.command and done.all("rule") == [WG_RULE, NEWS_RULE]
    assert done.all("log") == ["port 51820 is WireGuard's own and is not forwarded"]


def test_a_router_that_only_forwards(router):
    done = start(router, MAIN + "config portmap\noption enabled 1\nlist forward '51821:192.168.1.20'\n")
    assert done.command and done.all("rule")[0] == NEWS_RULE and len(done.all("rule")) == 2


@pytest.mark.parametrize("word", ["51821", "1:2:3:4", "51821:host", "51821:1.2.3.4;reboot"])
def test_a_forward_that_is_none(router, word):
    done = start(router, SUBSCRIBER + "config portmap p\noption enabled 1\noption interface wg0\n"
                 "list forward '%s'\n" % word)
    assert not done.command and "section p: a forward is not PORT:ADDRESS" in done.all("log")[0]


def test_the_mark_is_that_of_the_relay():
    assert RELAY_RULE.endswith("mark=0x%08x/0x%08x" % (relayrules.RELAYED, relayrules.MARK_MASK))


# -- reload ---------------------------------------------------------------------------------------

def test_reload_is_live(router):
    start(router, SUBSCRIBER)
    use(router, SUBSCRIBER + "option keepalive '30'\n")
    done = router.run("reload", OPENWRT_RELOAD="0")
    assert done.ok and done.lines[-1] == "ubus reload" and "deleted" not in done.lines
    assert "keepalive '30'" in router.path("var/run/wgp2p/config").read_text()


def test_reload_with_the_daemon_absent(router):
    start(router, SUBSCRIBER)
    done = router.run("reload", OPENWRT_RELOAD="4")
    assert done.ok and not done.all("log")


def test_reload_that_the_daemon_refuses(router):
    start(router, SUBSCRIBER)
    done = router.run("reload", OPENWRT_RELOAD="2")
    assert done.all("log") == ["the daemon did not take the configuration over; its own messages say why"]


def test_reload_with_a_wrong_value_changes_nothing(router):
    start(router, SUBSCRIBER)
    before = router.path("var/run/wgp2p/config").read_text()
    use(router, SUBSCRIBER + "option port '99999'\n")
    done = router.run("reload")
    assert not done.ok and "service" not in done.lines and not done.all("ubus")
    assert router.path("var/run/wgp2p/config").read_text() == before
    assert done.all("log")[-1] == "the configuration is not applied; what runs goes on as before"


def test_reload_switches_on_and_off(router):
    start(router, MAIN + "option enabled '0'\n" + SUBSCRIBER.replace(MAIN, ""))
    use(router, SUBSCRIBER)
    assert router.run("reload").command
    use(router, MAIN + "option enabled '0'\n" + SUBSCRIBER.replace(MAIN, ""))
    off = router.run("reload")
    assert off.ok and off.command is None and off.all("rule") == [] and off.all("changed") == ["firewall"]
    assert not off.all("ubus")


@pytest.mark.parametrize("line", ["option relay 'maybe'", "option relay_limit '10001'", "option relay_limit '-1'"])
def test_a_wrong_value_of_a_publisher_starts_nothing(router, line):
    done = start(router, PUBLISHER.replace("option port", line + "\n\toption port"))
    assert done.command is None and done.all("rule") == [] and "wrong value" in done.all("log")[0]


@pytest.mark.parametrize("line", ["option enabled 'maybe'", "option port '0'", "option publisher 'nowhere'",
                                  "option interface 'wg0 wg1'", "option interface 'wg0;reboot'", "option interface ''",
                                  "option interface '../../../../etc/passwd'", "option stale_after '1'"])
def test_a_wrong_value_starts_nothing(router, line):
    text = SUBSCRIBER + line + "\n"
    if line.endswith("''"):
        text = text.replace("option interface 'wg0'", line)
    done = start(router, text)
    assert done.command is None and done.all("rule") == []
    assert "section vps" in done.all("log")[0]


def test_a_file_that_uci_cannot_read_starts_nothing(router):
    done = start(router, "config wgp2p 'open quote\n")
    assert done.command is None and done.all("log") == ["/etc/config/wgp2p, section -: uci cannot read the file"]


# -- the export, the tokens and the daemon's user -------------------------------------------------

def test_the_export(router):
    done = start(router, SUBSCRIBER)
    exported = router.path("var/run/wgp2p/config")
    assert mode(exported) == 0o640 and mode(exported.parent) == mode(router.path("etc/wgp2p")) == 0o1770
    assert config.parse(exported.read_text()).subscribers[0].interface == "wg0"
    assert "root:wgp2p /var/run/wgp2p" in done.all("chown") and "root:wgp2p /etc/wgp2p" in done.all("chown")
    assert [line.startswith("wgp2p /var/run/wgp2p/.config.") for line in done.all("chgrp")] == [True]
    assert os.listdir(exported.parent) == ["config"]


def test_export_config_alone(router):
    use(router, SUBSCRIBER)
    done = router.run("export_config")
    assert done.ok and "service" not in done.lines and router.path("var/run/wgp2p/config").exists()


@pytest.mark.parametrize("to", ["file", "folder"])
def test_the_export_follows_no_symlink(router, to):
    target = router.path("etc/target")
    target.mkdir() if to == "folder" else target.write_text("precious")
    router.path("var/run/wgp2p").mkdir()
    router.path("var/run/wgp2p/config").symlink_to(target)
    assert start(router, SUBSCRIBER).command
    assert os.listdir(target) == [] if to == "folder" else target.read_text() == "precious"
    assert stat.S_ISREG(router.path("var/run/wgp2p/config").lstat().st_mode)


def test_a_folder_in_place_of_the_export_starts_nothing(router):
    (router.path("var/run/wgp2p") / "config").mkdir(parents=True)
    done = start(router, SUBSCRIBER)
    assert done.command is None and os.listdir(router.path("var/run/wgp2p")) == ["config"]
    assert os.listdir(router.path("var/run/wgp2p/config")) == []


def test_a_symlink_in_place_of_a_folder_starts_nothing(router):
    router.path("srv").mkdir()
    router.path("var/run/wgp2p").symlink_to(router.path("srv"))
    assert start(router, SUBSCRIBER).command is None
    assert mode(router.path("srv")) == 0o755


@pytest.mark.parametrize("planted", [False, True])
def test_a_folder_that_the_daemon_may_swap_is_never_opened(router, planted):
    """Between a look and what is done then, the daemon's user can put a symlink where its own folder was, or none."""
    elsewhere, tokens = router.path("srv"), router.path("etc/wgp2p/tokens")
    elsewhere.mkdir()
    tokens.parent.mkdir()
    if planted:
        if os.getuid():
            pytest.skip("needs root, to make a folder that is the daemon's")
        tokens.mkdir()
        os.chown(tokens, 500, 500)
    router.path("bin/ls").unlink()
    router.program("bin/ls", 'busybox ls "$@" || code=$?\ncase "$*" in *tokens) rmdir "%s"; ln -s "%s" "%s" ;; esac\n'
                   'exit $code' % (tokens, elsewhere, tokens))
    start(router, PUBLISHER)
    assert tokens.is_symlink() and mode(elsewhere) == 0o755


def test_tokens_and_keys_are_opened_to_the_group(router):
    """What the page gives us is written in place: the folder is root's, and so may be the file."""
    router.path("etc/wgp2p/tokens").mkdir(parents=True)
    names = {"token": 0o660, "other": 0o660, "tokens/cabin": 0o640, "beacon.key": 0o640}
    for name in names:
        router.path("etc/wgp2p/" + name).write_text("\n" + TOKEN + " \r\n\n")
        router.path("etc/wgp2p/" + name).chmod(0o600)
    done = start(router, SUBSCRIBER + "option token_file '/etc/wgp2p/other'\n")
    for name, opened in names.items():
        assert mode(router.path("etc/wgp2p/" + name)) == opened
        assert "wgp2p /etc/wgp2p/" + name in done.all("chgrp")


@pytest.mark.parametrize("text", ["", "exit 0\n", f"{TOKEN}\nanother line\n", f"two {TOKEN}\n"])
def test_what_is_no_token_is_not_opened(router, text):
    """Whoever may write our configuration names the file, and the page's token is written into it."""
    other = router.path("srv/other")
    other.parent.mkdir(exist_ok=True)
    other.write_text(text)
    other.chmod(0o600)
    done = start(router, SUBSCRIBER + "option token_file '/srv/other'\n")
    assert mode(other) == 0o600 and done.all("log") == ["/srv/other holds no token: not used"]


@pytest.mark.parametrize("how", ["symlink", "hardlink"])
def test_a_planted_token_opens_no_other_file(router, how):
    secret = router.path("etc/shadow")
    secret.write_text("root:secret")
    secret.chmod(0o600)
    router.path("etc/wgp2p").mkdir()
    if how == "symlink":
        router.path("etc/wgp2p/token").symlink_to(secret)
    else:
        os.link(secret, router.path("etc/wgp2p/token"))
    done = start(router, SUBSCRIBER)
    assert done.command and mode(secret) == 0o600 and "wgp2p /etc/wgp2p/token" not in done.all("chgrp")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to make a symlink that is the daemon's")
def test_a_planted_folder_of_tokens_opens_no_other_files(router):
    secret = router.path("etc/shadow")
    secret.write_text("root:secret")
    secret.chmod(0o600)
    tokens = router.path("etc/wgp2p/tokens")
    tokens.parent.mkdir()
    tokens.symlink_to(router.path("etc"))
    os.chown(tokens, 500, 500, follow_symlinks=False)
    start(router, SUBSCRIBER)
    assert mode(secret) == 0o600


def test_a_token_where_others_can_rename_is_left_alone(router):
    folder = router.path("srv/mine")
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    done = start(router, SUBSCRIBER + "option token_file '/srv/mine/token'\n")
    assert mode(folder / "token") == 0o600
    assert done.all("log") == ["/srv/mine/token: others than root can change its folder; keep tokens in /etc/wgp2p"]


# -- uci-defaults ---------------------------------------------------------------------------------

class Defaults:
    """Runs uci-defaults on the router; `calls` are the programs it started."""

    def __init__(self, router):
        self.router = router
        router.install("etc/uci-defaults/wgp2p")
        router.path("lib").mkdir(exist_ok=True)
        here = pathlib.Path(__file__).resolve().parent / "openwrt"
        script = router.path("etc/init.d/wgp2p")
        # The functions alone, without an action of the init script.
        router.write("lib/functions.sh", "set -- /dev/null :\n. %s/rc.common\n" % here)
        self.text = router.path("etc/uci-defaults/wgp2p").read_text()
        router.write("etc/uci-defaults/wgp2p", self.text.replace(
            str(script), "record() { :; }; busybox ash %s/rc.common %s" % (here, script)))
        for name in ("killall", "start-stop-daemon"):
            router.program("bin/" + name, 'echo "%s $*" >>"$OPENWRT_BUS/calls"' % name)
        router.program("usr/bin/uci", 'echo "uci $*" >>"$OPENWRT_BUS/calls"\nexec %s -S -E %s/uci "$@"'
                       % (sys.executable, here))

    def run(self):
        calls = self.router.path("tmp/calls")
        calls.write_text("")
        environment = dict(os.environ, OPENWRT_RECORD=str(self.router.path("tmp/record")),
                           OPENWRT_BUS=str(self.router.path("tmp")), OPENWRT_OWNERS="recorded",
                           OPENWRT_CONFIG=str(self.router.path("etc/config")), **self.router.environment())
        done = subprocess.run(["busybox", "ash", str(self.router.path("etc/uci-defaults/wgp2p"))], env=environment,
                              stderr=subprocess.PIPE, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        self.calls = calls.read_text().replace(str(self.router.root), "").splitlines()
        self.log = self.router.path("tmp/record").read_text()


@pytest.fixture
def defaults(router):
    return Defaults(router)


def test_defaults_with_the_default_config(router, defaults):
    use(router, (FILES / "etc/config/wgp2p").read_text())
    defaults.run()
    assert "killall -q -HUP ubusd" in defaults.calls
    assert not [call for call in defaults.calls if "start-stop-daemon" in call]
    assert router.path("etc/config/wgp2p").read_text().startswith("# wgp2p")  # not written


def test_defaults_without_a_config(defaults):
    defaults.run()


def test_defaults_move_a_token_into_a_file(router, defaults):
    use(router, SUBSCRIBER + "option token '%s'\n" % TOKEN)
    for _ in range(2):
        defaults.run()
        moved = config.parse(router.path("etc/config/wgp2p").read_text()).subscribers[0]
        assert moved.token is None and moved.token_file == str(router.path("etc/wgp2p/token-vps"))
        file = pathlib.Path(moved.token_file)
        assert file.read_text() == TOKEN + "\n" and mode(file) == 0o660
        assert TOKEN not in "\n".join(defaults.calls) + defaults.log
        assert TOKEN not in router.path("var/run/wgp2p/config").read_text()


def test_defaults_keep_a_token_file_that_is_there(router, defaults):
    router.path("etc/wgp2p").mkdir()
    router.write("etc/wgp2p/token-vps", "another\n")
    use(router, SUBSCRIBER + "option token '%s'\n" % TOKEN)
    defaults.run()
    assert config.parse(router.path("etc/config/wgp2p").read_text()).subscribers[0].token == TOKEN
    assert router.path("etc/wgp2p/token-vps").read_text() == "another\n"
    assert os.listdir(router.path("etc/wgp2p")) == ["token-vps"]


def test_defaults_make_the_tokens_of_a_publishers_devices(router, defaults):
    use(router, PUBLISHER + "config peer\noption name phone\noption public_key %s\n" % KEY.replace("T", "U", 1))
    defaults.run()
    assert [call for call in defaults.calls if "start-stop-daemon" in call] == [
        "start-stop-daemon -S -q -p /var/run/wgp2p.none -c wgp2p:wgp2p -x /usr/bin/wgp2p -- "
        "--config /var/run/wgp2p/config token cabin"]


def test_defaults_make_no_token_without_a_publisher(router, defaults):
    use(router, PUBLISHER.replace("config publisher", "config publisher\noption enabled 0"))
    defaults.run()
    assert not [call for call in defaults.calls if "start-stop-daemon" in call]


# -- what the daemon may do -----------------------------------------------------------------------

def test_the_capabilities():
    sets = json.loads((FILES / "etc/capabilities/wgp2p.json").read_text())
    assert sorted(sets) == ["ambient", "bounding", "effective", "inheritable", "permitted"]
    assert all(names == ["CAP_NET_ADMIN", "CAP_NET_RAW"] for names in sets.values())


def test_the_access_list():
    assert json.loads((FILES / "usr/share/acl.d/wgp2p.json").read_text()) == {
        "user": "wgp2p", "publish": ["wgp2p"], "send": ["wgp2p.peer"], "listen": ["network.interface"],
        "access": {"hotplug.wgp2p": {"methods": ["call"]}}}


def test_the_messages_that_the_documents_explain_are_said():
    text = (FILES.parent / "docs/openwrt.md").read_text().split("\n## When something fails\n")[1]
    explained = [line.split("`")[1] for line in text.split("\n") if line.startswith("| `")]
    sources = [path.read_text() for path in (FILES.parent / "package/wgp2p/wgp2p").glob("*.py")]
    sources.append((FILES / "etc/init.d/wgp2p").read_text().replace("$DAEMON_USER", "wgp2p"))
    assert len(explained) > 5
    for message in explained:
        assert any(message in source for source in sources), message
