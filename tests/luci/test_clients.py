"""The page Clients in a browser: add one, scan its code, rename and remove it."""
import json

import pytest
import x25519
from browser import everything, let_pass, row_of
from playwright.sync_api import expect
from qr import scan
from server import GOLDEN

from wgp2p import config

# The profile that a lab test brings up with real WireGuard, and from what it is made.
PROFILE = (GOLDEN / "profile.conf").read_text()
FACTS = json.loads((GOLDEN / "profile.json").read_text())
PHONE = (FACTS["privateKey"], x25519.public_of(FACTS["privateKey"]))


def known(pages, name):
    """A router as recorded, whose daemon knows the beacon of the lab's phone; on one without clients the next keys
    are those of that phone."""
    router = pages.load(name)
    router.answers["beacon"] = {"beacon": FACTS["beacon"]}
    if name == "empty":
        router.keys.append(PHONE)
    return router


def dialog(page):
    return page.locator("#modal_overlay .modal")


def add(page, name):
    """Adds a client by its name, and waits for its profile."""
    page.locator("#client-name").fill(name)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(dialog(page).locator("svg")).to_be_visible()


def text_of(page):
    return dialog(page).locator("textarea[name=profile]").input_value()


def choose_kind(page, kind):
    dialog(page).locator("[data-kind=%s]" % kind).click()


def edit(page, field, value):
    """Changes a field of the profile."""
    dialog(page).locator("summary", has_text="Change what is in it").evaluate(
        "summary => summary.parentNode.open = true")
    dialog(page).locator("[name=%s]" % field).fill(value)


def valid(router):
    """What a page has left in /etc/config/wgp2p is a configuration without faults."""
    assert config.parse(router.text("wgp2p")).problems == []


def test_the_code_of_a_client_is_the_profile_that_the_lab_brings_up(pages, tmp_path):
    known(pages, "busy")
    page = pages.open("clients")
    row_of(page, "phone").get_by_role("button", name="Show profile").click()
    expect(dialog(page).locator("svg")).to_be_visible()
    assert text_of(page) == PROFILE
    assert scan(dialog(page).locator("svg"), tmp_path / "code.png") == PROFILE.rstrip("\n")


def test_a_client_is_added_by_its_name_and_scanned(pages, tmp_path):
    router = known(pages, "empty")
    page = pages.open("clients")
    add(page, "phone")
    # The lab's phone has an address of its own; all else is as it was chosen here.
    edit(page, "address", FACTS["addresses"][0])
    assert scan(dialog(page).locator("svg"), tmp_path / "code.png") == PROFILE.rstrip("\n")
    assert router.applied == 1
    peer = router.sections("network", "wireguard_wg0")[-1]
    assert peer["description"] == "phone"
    assert peer["public_key"] == PHONE[1]
    assert "private_key" not in peer
    assert "endpoint_host" not in peer
    section = router.sections("wgp2p", "peer")[-1]
    assert section["name"] == "phone"
    assert section["public_key"] == PHONE[1]
    assert section["listen_port"] == "36906"
    assert section["profile_endpoint"] == FACTS["device"]["endpoint"]
    assert ["client", "apply"] in [one["params"] for one in router.called("file", "exec")]
    valid(router)


def test_each_client_has_an_address_and_a_port_of_its_own(pages):
    router = known(pages, "busy")
    page = pages.open("clients")
    for name in "one", "two":
        add(page, name)
        dialog(page).get_by_role("button", name="Close").click()
    peers = router.sections("network", "wireguard_wg0")
    addresses = [one for peer in peers for one in peer["allowed_ips"]]
    assert len(set(addresses)) == len(addresses) == 8
    ports = [section["listen_port"] for section in router.sections("wgp2p", "peer") if "listen_port" in section]
    assert len(set(ports)) == len(ports) == 4
    valid(router)


def test_the_private_key_is_gone_when_the_dialog_is_closed(pages):
    router = known(pages, "empty")
    page = pages.open("clients")
    add(page, "phone")
    dialog(page).get_by_role("button", name="Close").click()
    assert PHONE[0] not in everything(page)
    assert dialog(page).locator("svg").count() == 0
    assert PHONE[0] not in router.text("network")


def test_the_private_key_is_kept_when_the_user_asks(pages):
    router = known(pages, "empty")
    page = pages.open("clients")
    page.locator("summary", has_text="More").click()
    page.locator("#client-keep").check()
    add(page, "phone")
    assert router.sections("network", "wireguard_wg0")[-1]["private_key"] == PHONE[0]


def test_a_client_with_its_own_key_has_no_code(pages):
    router = known(pages, "empty")
    own = "CZ3LTi6w+EUT3z2OsTNPdSkwy/BvCA7cYIIaj5PTZjA="
    page = pages.open("clients")
    page.locator("summary", has_text="More").click()
    page.locator("#client-key").fill(own)
    page.locator("#client-name").fill("laptop")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(dialog(page).locator("textarea[name=profile]")).to_be_visible()
    assert "PrivateKey = (your private key)" in text_of(page)
    assert dialog(page).locator("svg").count() == 0
    assert router.called("luci.wireguard", "generateKeyPair") == []
    assert router.sections("network", "wireguard_wg0")[-1]["public_key"] == own


def test_what_is_edited_is_what_is_scanned_and_downloaded(pages, tmp_path):
    known(pages, "busy")
    page = pages.open("clients")
    row_of(page, "phone").get_by_role("button", name="Show profile").click()
    box = dialog(page).locator("textarea[name=profile]")
    box.fill(PROFILE.replace("MTU = 1420", "MTU = 1280"))
    assert "MTU = 1280" in scan(dialog(page).locator("svg"), tmp_path / "code.png")
    with page.expect_download() as download:
        dialog(page).get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "phone.conf"
    assert download.value.path().read_text() == box.input_value()


def test_the_kinds_have_codes_of_their_own(pages, tmp_path):
    known(pages, "busy")
    page = pages.open("clients")
    row_of(page, "phone").get_by_role("button", name="Show profile").click()
    for kind, peers in (("classic", 2), ("proxied", 1), ("one", 3)):
        choose_kind(page, kind)
        code = scan(dialog(page).locator("svg"), tmp_path / (kind + ".png"))
        assert code == text_of(page).rstrip("\n")
        assert code.count("[Peer]") == peers


@pytest.mark.parametrize("field, value, line", [
    ("dns", "10.77.1.1", "DNS = 10.77.1.1"),
    ("endpoint", "home.example.org:51820", "Endpoint = home.example.org:51820"),
    ("allowed_ips", "0.0.0.0/0, ::/0", "AllowedIPs = 0.0.0.0/0, ::/0"),
])
def test_what_is_chosen_is_in_the_profile(pages, field, value, line):
    known(pages, "busy")
    page = pages.open("clients")
    row_of(page, "phone").get_by_role("button", name="Show profile").click()
    edit(page, field, value)
    assert line in text_of(page).splitlines()


def test_the_keepalive_and_its_trade(pages):
    known(pages, "busy")
    page = pages.open("clients")
    row_of(page, "phone").get_by_role("button", name="Show profile").click()
    choice = dialog(page).locator("select[name=keepalive]")
    choice.evaluate("select => select.closest('details').open = true")
    choice.select_option("15")
    assert text_of(page).count("PersistentKeepalive = 15") >= 2
    assert "15 seconds" in choice.locator("xpath=ancestor::*[contains(@class, 'cbi-value')][1]").text_content()


@pytest.mark.parametrize("name, why", [
    ("", "name"), ("two words", "name"), ("phone", "already"), ("<b>x</b>", "name"), ("x" * 65, "name")])
def test_names_that_are_refused(pages, name, why):
    router = known(pages, "busy")
    page = pages.open("clients")
    page.locator("#client-name").evaluate("(field, name) => field.value = name", name)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#maincontent .alert-message", has_text=why).first).to_be_visible()
    assert router.applied == 0
    assert router.uci == router.saved


def test_removing_cleans_up(pages):
    router = known(pages, "busy")
    page = pages.open("clients")
    row_of(page, "phone").get_by_role("button", name="Remove").click()
    dialog(page).get_by_role("button", name="Remove").click()
    expect(dialog(page)).to_contain_text("is removed")
    assert PHONE[1] not in router.text("network") + router.text("wgp2p")
    assert len(router.sections("network", "wireguard_wg0")) == 5
    expect(row_of(page, "phone")).to_have_count(0)
    valid(router)


def test_renaming_changes_both_files(pages):
    router = known(pages, "busy")
    page = pages.open("clients")
    row_of(page, "laptop").get_by_role("button", name="Rename").click()
    dialog(page).locator("#new-name").fill("notebook")
    dialog(page).get_by_role("button", name="Rename").click()
    expect(row_of(page, "notebook")).to_have_count(1)
    assert "'laptop'" not in router.text("network") + router.text("wgp2p")
    assert router.text("network").count("'notebook'") == router.text("wgp2p").count("'notebook'") == 1
    valid(router)


def test_a_client_of_the_command_line(pages):
    router = known(pages, "busy")
    command = ("/usr/bin/wgp2p", "client")
    tablet = router.peer("tablet")
    row = "%-20s %-15s %5s  %-44s  %s\n"  # as the command prints it
    router.programs[(*command, "list")] = (row % ("NAME", "INTERFACE", "PORT", "PUBLIC KEY", "ADDRESS")
                                           + row % ("tablet", "wg0", "36908", tablet["public_key"], "10.77.3.3"))
    router.programs[(*command, "profile", "tablet")] = PROFILE
    router.programs[(*command, "remove", "tablet")] = ""
    page = pages.open("clients")
    row_of(page, "tablet").get_by_role("button", name="Show profile").click()
    expect(dialog(page).locator("svg")).to_be_visible()
    assert text_of(page) == PROFILE
    dialog(page).get_by_role("button", name="Close").click()
    row_of(page, "tablet").get_by_role("button", name="Remove").click()
    dialog(page).get_by_role("button", name="Remove").click()
    expect(dialog(page)).to_contain_text("is removed")
    assert ["client", "remove", "tablet"] in [one["params"] for one in router.called("file", "exec")]


def test_profiles_that_went_stale_are_marked(pages):
    known(pages, "busy")
    page = pages.open("clients")
    assert "out of date" in row_of(page, "laptop").text_content()
    expect(row_of(page, "laptop").get_by_role("button", name="Show the new profile")).to_be_visible()
    assert "up to date" in row_of(page, "phone").text_content()


def test_not_while_other_changes_wait(pages):
    router = known(pages, "empty")
    router.saved["network"]["lan"]["ipaddr"] = "192.168.2.1"
    page = pages.open("clients")
    page.locator("#client-name").fill("phone")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".alert-message", has_text="unsaved changes")).to_be_visible()
    assert router.applied == 0
    assert len(router.sections("network", "wireguard_wg0")) == 1


def test_not_while_the_daemon_does_not_run(pages):
    router = known(pages, "empty")
    router.running = False
    page = pages.open("clients")
    page.locator("#client-name").fill("phone")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#maincontent .alert-message", has_text="does not run").first).to_be_visible()
    assert router.applied == 0


def test_a_poll_leaves_what_is_being_written(pages):
    known(pages, "busy")
    page = pages.open("clients")
    page.locator("#client-name").fill("half a na")
    button = row_of(page, "laptop").get_by_role("button", name="Rename")
    button.focus()
    pages.router.answers["status"]["stale_profiles"] = []
    let_pass(page, 10)
    assert "up to date" in row_of(page, "laptop").text_content()
    expect(button).to_be_focused()
    assert page.locator("#client-name").input_value() == "half a na"
