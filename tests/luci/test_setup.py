"""The page Set up in a browser: from an empty router to a connection."""
import re
import subprocess

import pytest
import router as routers
import x25519
from browser import everything, let_pass
from playwright.sync_api import expect
from server import GOLDEN, recorded

from wgp2p import config

INSTALL = (GOLDEN / "install.txt").read_text()
TOKEN = re.search(r"which is a secret: (\S+)", INSTALL).group(1)
KEY = re.search(r"public key (\S+),", INSTALL).group(1)


def empty(pages):
    """A router as it is when the package has just been installed: no WireGuard, and nothing runs."""
    answers = recorded("no_token")
    network = answers["uci"]["network"]
    answers["uci"]["network"] = network[:network.index("config interface 'wg0'")]
    answers["uci"]["firewall"] = answers["uci"]["firewall"].replace("\tlist network 'wg0'\n", "")
    answers["uci"]["wgp2p"] = (routers.PROJECT / "files/etc/config/wgp2p").read_text()
    pages.web.router = routers.Router(answers)
    pages.router.running = False
    return pages.router


def press(page, name):
    """Presses one of the page's buttons, and waits until it has done its work."""
    button = page.locator("button[name=%s]" % name)
    button.click()
    expect(page.locator("#view .spinning")).to_have_count(0)


def steps(page):
    """The steps that are shown, each as [label, text]."""
    return [[row.locator("span").first.text_content(), row.text_content()]
            for row in page.locator("#setup-steps > div").all() if row.is_visible()]


def test_from_an_empty_router_to_a_connection(pages):
    router = empty(pages)
    page = pages.open("setup")
    press(page, "create")
    assert router.applied == 1
    own = next(one for one in router.sections("network", "interface") if one.get("proto") == "wireguard")
    assert own["listen_port"] == "51820"
    assert x25519.public_of(own["private_key"]) in page.locator("#setup-command").input_value()
    assert own["private_key"] not in everything(page)
    zone = next(one for one in router.sections("firewall", "zone") if one["name"] == "lan")
    assert zone["network"] == ["lan", own[".name"]]

    page.locator("#setup-router").fill("cabin")
    command = page.locator("#setup-command").input_value()
    assert "name='cabin'" in command
    assert subprocess.run(["sh", "-n"], input=command, text=True, check=False).returncode == 0

    page.locator("#setup-paste").fill(INSTALL)
    for field, value in {"host": "8.8.4.4", "port": "51820", "key": KEY, "publisher": "10.7.0.1", "api": "8080",
                         "token": TOKEN}.items():
        expect(page.locator("#setup-" + field)).to_have_value(value)
    expect(page.locator("#setup-paste")).to_have_value("")
    router.running = True
    press(page, "save")
    server = router.sections("network", "wireguard_" + own[".name"])[0]
    assert server["public_key"] == KEY
    assert (server["endpoint_host"], server["endpoint_port"]) == ("8.8.4.4", "51820")
    assert router.called("wgp2p", "token") == [{"subscriber": "vps", "token": TOKEN}]
    parsed = config.parse(router.text("wgp2p"))
    assert parsed.main.enabled
    assert [(one.interface, one.publisher) for one in parsed.subscribers] == [(own[".name"], "10.7.0.1")]
    assert TOKEN not in router.text("wgp2p")
    assert TOKEN not in everything(page)


def test_the_steps_follow_what_the_daemon_sees(pages):
    router = pages.load("no_token")
    page = pages.open("setup")
    assert "to do" in [label for label, _ in steps(page)]
    assert any("no token yet" in text for _, text in steps(page))
    router.answers.update({name: answer for name, answer in recorded("empty").items() if name != "uci"})
    let_pass(page, 3)
    assert {label for label, _ in steps(page)} == {"done"}
    router.answers.update({name: answer for name, answer in recorded("server_down").items() if name != "uci"})
    let_pass(page, 3)
    assert "done" in {label for label, _ in steps(page)} != {"done"}
    router.running = False
    let_pass(page, 3)
    assert any("does not run" in text for _, text in steps(page))


def test_a_poll_leaves_what_is_being_written(pages):
    page = pages.open("setup")
    field = page.locator("#setup-host")
    field.fill("vpn.exam")
    let_pass(page, 9)
    expect(field).to_be_focused()
    assert field.input_value() == "vpn.exam"


def test_run_again_it_shows_what_is_there_and_changes_nothing(pages):
    router = pages.router
    page = pages.open("setup")
    assert page.locator("#setup-host").input_value() == "203.0.113.10"
    assert page.locator("#setup-publisher").input_value() == "10.77.1.1"
    assert page.locator("#setup-token").input_value() == ""
    let_pass(page, 30)
    assert {method for name, method, _ in router.calls if name == "uci"} <= {"get", "changes"}
    before = router.text("wgp2p"), router.text("network")
    press(page, "save")
    assert {section[".name"]: section for section in router.uci["network"].values()
            if section[".type"].startswith("wireguard_")}.keys() == {
                section[".name"] for section in router.saved["network"].values()
                if section[".type"].startswith("wireguard_")}
    assert before[1] == router.text("network")
    assert router.called("wgp2p", "token") == []


@pytest.mark.parametrize("field, value", [
    ("host", "no host name"), ("host", "$(reboot)"), ("port", "0"), ("port", "65536"), ("key", "short"),
    ("publisher", "not an address"), ("api", "-1"), ("token", "short")])
def test_what_is_wrong_is_said_and_nothing_is_changed(pages, field, value):
    router = pages.router
    page = pages.open("setup")
    page.locator("#setup-" + field).fill(value)
    press(page, "save")
    expect(page.locator("#setup-3 .alert-message").last).to_be_visible()
    assert router.applied == 0
    assert router.uci == router.saved


@pytest.mark.parametrize("name", ["", "two words", "'; reboot; '", "$(reboot)", "<b>x</b>"])
def test_no_command_for_a_name_that_does_not_belong_into_one(pages, name):
    page = pages.open("setup")
    page.locator("#setup-router").fill(name)
    assert page.locator("#setup-command").input_value() == ""
    assert not page.locator("#setup-command").is_visible()


def test_a_token_that_the_daemon_refuses(pages):
    router = pages.router
    router.answers["token"] = routers.Refused(2, {"error": "the token file is shared"})
    page = pages.open("setup")
    page.locator("#setup-token").fill(TOKEN)
    press(page, "save")
    expect(page.locator(".alert-message", has_text="the token file is shared")).to_be_visible()


def test_the_other_role(pages):
    router = empty(pages)
    page = pages.open("setup")
    page.locator("input[name=role][value=server]").check()
    page.locator("button[name=create]").wait_for()
    press(page, "create")
    press(page, "serve")
    parsed = config.parse(router.text("wgp2p"))
    assert parsed.main.enabled
    assert [one.relay for one in parsed.publishers] == [True]
    assert parsed.subscribers == []


def test_what_has_changed_since_the_page_was_opened_stays(pages):
    router = empty(pages)
    page = pages.open("setup")
    for state in router.uci, router.saved:
        next(one for one in state["firewall"].values() if one.get("name") == "lan")["network"] = ["lan", "guests"]
    press(page, "create")
    zone = next(one for one in router.sections("firewall", "zone") if one["name"] == "lan")
    assert zone["network"] == ["lan", "guests", "wg0"]


def test_a_doctor_that_does_not_answer_is_not_a_service_that_does_not_run(pages):
    router = pages.load("empty")
    router.answers["doctor"] = routers.Refused(7)
    page = pages.open("setup")
    assert [label for label, _ in steps(page)] == ["done"] * 6


def test_the_keyboard_stays_where_it_was(pages):
    page = pages.open("setup")
    page.locator("#setup-interface").focus()
    page.locator("#setup-interface").select_option("")
    page.locator("button[name=create]").wait_for()
    expect(page.locator("#setup-interface")).to_be_focused()
    page.locator("input[name=role][value=server]").check()
    page.locator("button[name=serve]").wait_for()
    expect(page.locator("input[name=role][value=server]")).to_be_focused()
