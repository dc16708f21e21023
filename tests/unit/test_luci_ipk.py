"""The package luci-app-wgp2p: what is in it, and that menu, rights, pages and daemon know of the same things."""
import json
import pathlib
import re
import subprocess

import pytest
from test_ipk import build
from test_ipk import dated as dated

PROJECT = pathlib.Path(__file__).resolve().parents[2]
APP = PROJECT / "luci-app-wgp2p"
RESOURCES = "www/luci-static/resources/"
MENU = json.loads((APP / "root/usr/share/luci/menu.d/luci-app-wgp2p.json").read_text())
GROUPS = json.loads((APP / "root/usr/share/rpcd/acl.d/luci-app-wgp2p.json").read_text())
STATUS, CONFIG = "luci-app-wgp2p-status", "luci-app-wgp2p"


@pytest.fixture(scope="module")
def ipk(dated, tmp_path_factory):
    return build(PROJECT, tmp_path_factory.mktemp("dist"))[1]


def granted(group, kind, scope):
    """What a group may do: {object: its methods}, or files."""
    return GROUPS[group].get(kind, {}).get(scope, {})


def asked():
    """What the pages ask of ubus: {(object, method)}."""
    found = set()
    for path in APP.glob("htdocs/**/*.js"):
        text = path.read_text()
        found.update(re.findall(r"declare\('([a-z0-9.]+)', '([A-Za-z]+)'", text))
        for names in re.findall(r"object: '([a-z0-9.]+)', method: '([A-Za-z]+)'", text):
            found.add(names)
        for name in re.findall(r"declare\('([a-z]+)'\)", text):  # apply.js: of network.interface
            found.add(("network.interface", name))
    return found


def test_files_and_modes(ipk):
    shipped = {"%s%s" % (RESOURCES, path.relative_to(APP / "htdocs/luci-static/resources").as_posix())
               for path in APP.glob("htdocs/**/*") if path.is_file()}
    shipped |= {path.relative_to(APP / "root").as_posix() for path in APP.glob("root/**/*") if path.is_file()}
    assert {name for name, (member, _) in ipk.data.items() if member.isfile()} == shipped
    for name, (member, _) in ipk.data.items():
        assert (member.mode, member.uid, member.gid) == (0o644 if member.isfile() else 0o755, 0, 0), name


def test_what_opkg_is_told(ipk):
    assert ipk.path.name == "luci-app-wgp2p_%s_all.ipk" % ipk.fields["Version"]
    assert ipk.fields["Architecture"] == "all" and "Require-User" not in ipk.fields
    assert set(ipk.fields["Depends"].split(", ")) == {
        "libc", "luci-base", "luci-lib-uqr", "luci-proto-wireguard", "rpcd-mod-file", "wgp2p"}


def test_after_the_installation_menu_and_rights_are_read_anew(ipk, tmp_path):
    script = ipk.control["postinst-pkg"][1].decode()
    assert "/etc/init.d/rpcd reload" in script and "/tmp/luci-indexcache" in script
    # In an image that is being built nothing runs.
    environment = {"IPKG_INSTROOT": str(tmp_path), "PATH": "/nowhere"}
    subprocess.run(["/bin/sh", "-eu", "-c", script], env=environment, check=True)


def test_the_menu_leads_to_pages_that_there_are(ipk):
    for path, node in MENU.items():
        if node["action"]["type"] == "view":
            assert RESOURCES + "view/%s.js" % node["action"]["path"] in ipk.data, path
        if node["action"]["type"] == "alias":
            assert node["action"]["path"] in MENU
        assert set(node.get("depends", {}).get("acl", [])) <= set(GROUPS)


def test_modules_that_are_required_exist(ipk):
    """As LuCI finds them: a dot is a slash."""
    luci = {"baseclass", "dom", "form", "fs", "network", "poll", "rpc", "uci", "ui", "uqr", "view", "validation",
            "tools.widgets", "firewall"}
    for path in APP.glob("htdocs/**/*.js"):
        for name in re.findall(r"^'require ([\w.]+)", path.read_text(), re.M):
            assert name in luci or RESOURCES + name.replace(".", "/") + ".js" in ipk.data, (path.name, name)


def test_who_may_only_look_gets_no_configuration():
    assert set(GROUPS) == {STATUS, CONFIG}
    for kind in ("read", "write"):
        assert set(GROUPS[STATUS][kind]) == {"ubus"} and set(granted(STATUS, kind, "ubus")) == {"wgp2p"}
    assert granted(STATUS, "write", "ubus")["wgp2p"] == ["punch"]


def test_pages_ask_for_what_is_granted_and_nothing_else_is():
    given = {(name, method) for group in GROUPS for kind in ("read", "write")
             for name, methods in granted(group, kind, "ubus").items() for method in methods}
    assert asked() - given == {("uci", "apply"), ("uci", "confirm")}, "LuCI's own group luci-base grants these"
    assert given - asked() - {("wgp2p", "peers")} == set(), "a right that no page uses"


def test_the_daemon_has_the_methods():
    bus = (PROJECT / "package/wgp2p/wgp2p/bus.py").read_text()
    methods = set(re.findall(r'^\s+\("([a-z]+)", \[', bus, re.M)) | set(re.findall(r'\[\("([a-z]+)", \[', bus))
    ours = {method for name, method in asked() if name == "wgp2p"}
    assert ours and ours <= methods, methods


def test_commands_are_named_to_the_word():
    """A pattern in the middle would let more through."""
    files = {**granted(CONFIG, "read", "file"), **granted(CONFIG, "write", "file")}
    assert sorted(files) == ["/usr/bin/wgp2p client apply", "/usr/bin/wgp2p client list",
                             "/usr/bin/wgp2p client profile *", "/usr/bin/wgp2p client remove *"]
    assert all(rights == ["exec"] for rights in files.values())
