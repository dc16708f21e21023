"""The page Settings in a browser: an option, a peer to leave alone, a token."""
from browser import everything, row_of
from playwright.sync_api import expect

from wgp2p import config

TOKEN = "T0ken-of-the-cabin-" + "x" * 24


def tab(page, title):
    page.locator(".cbi-tabmenu").first.get_by_text(title, exact=True).click()


def press_save(page):
    page.get_by_role("button", name="Save", exact=True).click()


def save(page):
    """Saves, and waits until the form is drawn anew."""
    page.evaluate("document.querySelector('#cbi-wgp2p > h2').dataset.old = '1'")
    press_save(page)
    expect(page.locator("h2[data-old]")).to_have_count(0)


def field(page, section, option):
    return page.locator("[data-field='cbid.wgp2p.%s.%s']" % (section, option)).locator("input, select").last


def test_saving_without_a_change_changes_nothing(pages):
    router = pages.router
    page = pages.open("settings")
    before = router.text("wgp2p")
    save(page)
    assert router.saved == router.uci
    assert router.text("wgp2p") == before


def test_a_peer_is_left_alone_and_taken_care_of_again(pages):
    router = pages.router
    page = pages.open("settings")
    tab(page, "Peers")
    for name in "phone", "public server":  # with a section, and without one
        row_of(page, name).locator("[data-name=exclude] input[type=checkbox]").check()
    row_of(page, "camera").locator("[data-name=exclude] input[type=checkbox]").uncheck()
    save(page)
    peers = {one["public_key"]: one for one in router.saved["wgp2p"].values() if one[".type"] == "peer"}
    keys = {one["description"]: one["public_key"] for one in router.sections("network", "wireguard_wg0")}
    assert peers[keys["phone"]]["exclude"] == "1"
    assert peers[keys["phone"]]["listen_port"] == "36906"
    assert peers[keys["public server"]]["exclude"] == "1"
    assert "exclude" not in peers[keys["camera"]]


def test_a_token_goes_to_the_daemon_and_nowhere_else(pages):
    router = pages.router
    router.answers["token"] = {}
    page = pages.open("settings")
    tab(page, "Public servers")
    box = page.get_by_label("Token", exact=True)
    assert box.get_attribute("type") == "password" and box.input_value() == ""
    box.fill(TOKEN)
    page.get_by_role("button", name="Send to the router").click()
    expect(page.get_by_text("The router has the token now.")).to_be_visible()
    assert router.called("wgp2p", "token")[-1] == {"subscriber": "", "token": TOKEN}
    assert TOKEN not in everything(page)
    assert TOKEN not in str(router.saved)


def test_a_token_in_the_file_is_warned_of_and_not_shown(pages):
    router = pages.router
    router.saved["wgp2p"]["vps"]["token"] = router.uci["wgp2p"]["vps"]["token"] = TOKEN
    page = pages.open("settings")
    tab(page, "Public servers")
    expect(page.locator(".alert-message.warning", has_text="option token")).to_be_visible()
    assert TOKEN not in everything(page)


def test_an_option_is_changed_and_wrong_ones_are_refused(pages):
    router = pages.router
    page = pages.open("settings")
    tab(page, "Public servers")
    field(page, "vps", "stale_after").fill("124")
    press_save(page)
    expect(page.locator("#modal_overlay .modal")).to_contain_text("Offline after")
    assert "stale_after" not in router.saved["wgp2p"]["vps"]
    page.get_by_role("button", name="Dismiss").click()
    assert len(pages.faults) == 1 and "Offline after" in pages.faults.pop()  # LuCI says it on the console, too
    field(page, "vps", "stale_after").fill("300")
    save(page)
    expect(field(page, "vps", "stale_after")).to_have_value("300")
    router.uci = router.saved
    assert router.sections("wgp2p", "subscriber")[0]["stale_after"] == "300"
    assert config.parse(router.text("wgp2p")).problems == []


def test_a_peers_description_is_text(pages):
    router = pages.router
    for files in router.saved, router.uci:
        next(one for one in files["network"].values() if one.get("description") == "phone")["description"] = (
            "<img src=x onerror=alert(1)>")
    page = pages.open("settings")
    tab(page, "Peers")
    expect(row_of(page, "<img src=x onerror=alert(1)>")).to_have_count(1)
    assert page.locator("#view img").count() == 0
