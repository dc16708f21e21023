"""The page Overview in a browser: who is connected how, live."""
import pytest
from browser import let_pass, row_of
from playwright.sync_api import expect
from router import INVALID, Refused


def clients_of(router):
    """The peers of the daemon's status that are clients."""
    return [peer for subscriber in router.answers["status"]["subscribers"] for peer in subscriber["peers"]
            if peer["public_key"] not in [one["public_key"] for one in subscriber["publishers"]]]


def punch_button(page, name):
    return row_of(page, name).get_by_role("button", name="Connect now")


def test_every_client_has_its_path_in_a_word_and_the_reason_in_words(pages):
    page = pages.open("overview")
    assert len(clients_of(pages.router)) >= 5
    for peer in clients_of(pages.router):
        row = row_of(page, peer["name"])
        assert row.count() == 1
        assert row.locator(".label").text_content() == peer["path"]
        assert peer["reason"] in row.text_content()
        assert (peer["endpoint"] or "") in row.text_content()


def test_the_public_server_is_no_client(pages):
    page = pages.open("overview")
    assert row_of(page, "Bdi5KSj4").count() == 0


def test_a_day_is_drawn_and_told_in_words(pages):
    for peer in pages.router.answers["history"]["peers"]:
        if peer["name"] == "phone":
            peer["states"] = "-" * 40 + "o" * 16 + "r" * 10 + "d" * 30
    page = pages.open("overview")
    strip = row_of(page, "phone").locator("[aria-label]").first
    assert "direct" in strip.get_attribute("aria-label")
    assert strip.locator("rect").count() >= 3


def test_the_doctors_findings_are_there_with_what_to_do(pages):
    page = pages.open("overview")
    text = page.locator("#view").text_content()
    for finding in pages.router.answers["doctor"]["findings"]:
        assert finding["text"] in text
        assert finding["advice"] in text


def test_how_the_router_is_seen_from_outside(pages):
    text = pages.open("overview").locator("#view").text_content()
    link = pages.router.answers["status"]["subscribers"][0]["publishers"][0]
    assert link["you"] in text
    assert "port kept" in text


def test_what_changes_is_changed_in_place(pages):
    page = pages.open("overview")
    button = punch_button(page, "phone")
    button.focus()
    row_of(page, "phone").evaluate("row => row.mark = 'the same'")
    page.evaluate("window.rows = [...document.querySelectorAll('tr')]")
    peer = pages.router.peer("phone")
    peer.update(path="relay", reason="through the public server", endpoint="203.0.113.10:51820", rx_bytes=5_000_000)
    let_pass(page, 5)
    row = row_of(page, "phone")
    assert row.locator(".label").text_content() == "relay"
    assert "203.0.113.10:51820" in row.text_content()
    assert row.evaluate("row => row.mark") == "the same"
    assert page.evaluate("window.rows.every(row => row.isConnected)")
    expect(button).to_be_focused()


def test_a_client_that_comes_and_one_that_goes(pages):
    page = pages.open("overview")
    row_of(page, "phone").evaluate("row => row.mark = 'the same'")
    peers = pages.router.answers["status"]["subscribers"][0]["peers"]
    gone = pages.router.peer("tablet")
    peers.remove(gone)
    peers.append(dict(gone, name="a new one", public_key="aGVyZSBjb21lcyBhIG5ldyBvbmUsIDMyIGJ5dGVzISE="))
    let_pass(page, 5)
    assert row_of(page, "tablet").count() == 0
    assert row_of(page, "a new one").count() == 1
    assert row_of(page, "phone").evaluate("row => row.mark") == "the same"


def test_status_is_asked_often_and_the_rest_seldom(pages):
    page = pages.open("overview")
    pages.router.calls.clear()
    let_pass(page, 60)
    assert len(pages.router.called("wgp2p", "status")) == 12
    assert len(pages.router.called("wgp2p", "doctor")) == 2
    assert len(pages.router.called("wgp2p", "history")) == 2


def test_connect_now_calls_the_client(pages):
    page = pages.open("overview")
    punch_button(page, "tablet").click()
    expect(punch_button(page, "tablet")).to_be_enabled()
    assert pages.router.called("wgp2p", "punch") == [{"peer": pages.router.peer("tablet")["public_key"]}]


def test_why_a_client_cannot_be_called(pages):
    pages.router.answers["punch"] = Refused(INVALID, {"error": "no such peer: <b>tablet</b>"})
    page = pages.open("overview")
    punch_button(page, "tablet").click()
    expect(page.locator(".alert-message", has_text="no such peer: <b>tablet</b>")).to_be_visible()


def test_a_daemon_that_stops_is_told_once_and_what_was_known_stays(pages):
    page = pages.open("overview")
    pages.router.running = False
    let_pass(page, 60)
    said = page.locator(".alert-message", has_text="does not run")
    assert said.count() == 1
    assert row_of(page, "phone").count() == 1
    assert "ago" in said.text_content()
    pages.router.running = True
    let_pass(page, 60)
    assert said.count() == 0


def test_a_router_on_which_nothing_runs_says_what_to_do(pages):
    pages.router.running = False
    page = pages.open("overview")
    link = page.get_by_role("link", name="Set up")
    assert link.get_attribute("href").endswith("/admin/vpn/wgp2p/setup")


def test_a_router_without_clients_says_what_to_do(pages):
    pages.load("empty")
    page = pages.open("overview")
    assert page.get_by_role("link", name="Add a client").get_attribute("href").endswith("/admin/vpn/wgp2p/clients")


@pytest.mark.parametrize("name", ["empty", "no_token", "server_down", "publisher"])
def test_what_other_routers_say_is_drawn(pages, name):
    router = pages.load(name)
    page = pages.open("overview")
    text = page.locator("#view").text_content()
    for finding in router.answers["doctor"]["findings"]:
        assert finding["text"] in text
    let_pass(page, 30)


def test_a_public_servers_peers_have_their_states(pages):
    router = pages.load("publisher")
    page = pages.open("overview")
    for peer in router.answers["status"]["publishers"][0]["peers"]:
        assert row_of(page, peer["name"]).count() == 1


def test_whoever_may_only_look_sees_and_cannot_click(pages):
    page = pages.open("overview", user="viewer")
    assert row_of(page, "phone").locator(".label").text_content() == "direct"
    buttons = page.locator("#view button")
    assert buttons.count() >= 1
    assert all(buttons.nth(i).is_disabled() for i in range(buttons.count()))
    assert all(name == "wgp2p" for name, _, _ in pages.router.calls)


@pytest.mark.parametrize("name", ["setup", "clients", "settings"])
def test_the_other_pages_are_not_for_whoever_may_only_look(pages, name):
    answer = pages.context.request.get(pages.web.url(name, "viewer"))
    assert answer.status == 403


def test_a_phones_screen_is_wide_enough(pages):
    page = pages.open("overview", width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 900
