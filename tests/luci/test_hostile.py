"""Names and texts by somebody who means harm, everywhere where they can come from: shown as text, and nothing else."""
import json

import pytest
from browser import let_pass

NAMES = {
    "script": "<script class=hostile>alert(1)</script>",
    "image": "<img class=hostile src=x onerror=alert(1)>",
    "quotes": "\"'`--><b class=hostile>&lt;b class=hostile&gt;",
    "long": "long" * 50,
    "backwards": "\u202egnp.exe\u2066\u200f",
    "emoji": "\U0001f984\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "format": "%s %d %h ${1} {{1}}",
    "lines": "one\ntwo\ttree\0four\x1b[31m",
}
# What a program reads, and no person writes.
WORDS = {"public_key", "path", "state", "states", "mode", "level", "code", "protocol", "verdict", "a", "b"}


def spoil(answer, name, field=None):
    """The answer with every text of it replaced, but for the words that the page compares."""
    if isinstance(answer, dict):
        return {key: spoil(value, name, key) for key, value in answer.items()}
    if isinstance(answer, list):
        return [spoil(value, name, field) for value in answer]
    if isinstance(answer, str) and answer and field not in WORDS:
        return name
    return answer


def check(page):
    """Nothing of it became HTML, and nothing that turns or hides text is in what is shown."""
    assert page.locator(".hostile").count() == 0
    assert page.evaluate("document.title") in ("Overview", "Set up", "Clients", "Settings")
    shown = page.evaluate("document.body.textContent + document.title")
    assert not {"\u202e", "\u2066", "\u200f", "\0", "\x1b"} & set(shown)
    assert "long" * 50 not in page.locator("bdi").all_text_contents()


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("recording", ["busy", "publisher"])
def test_what_the_daemon_says(pages, recording, kind):
    router = pages.load(recording)
    name = NAMES[kind]
    page = pages.open("overview")
    router.answers = {method: spoil(answer, name) for method, answer in router.answers.items()}
    let_pass(page, 30)
    check(page)
    page = pages.open("overview")
    check(page)
    if kind in ("script", "image", "quotes", "format"):
        assert name[:40] in page.locator("#view").text_content()


@pytest.mark.parametrize("kind", NAMES)
def test_what_stands_in_the_configuration(pages, kind):
    name = NAMES[kind].replace("\0", "")
    router = pages.router
    for sections in (router.uci, router.saved):
        for config in ("network", "wgp2p"):
            for section in sections[config].values():
                for option in ("description", "name", "endpoint_host", "server_host"):
                    if option in section:
                        section[option] = name
    router.answers = {method: spoil(answer, name) if method != "beacon" else answer
                      for method, answer in router.answers.items()}
    for menu in "clients", "setup", "settings":
        page = pages.open(menu)
        check(page)
        let_pass(page, 30)
        check(page)


def test_secrets_go_nowhere(pages):
    """No private key and no token in an address, in the browser's storage, or in a title."""
    secrets = [section["private_key"] for section in pages.router.uci["network"].values() if "private_key" in section]
    assert secrets
    page = pages.open("clients")
    urls = []
    page.on("request", lambda request: urls.append(request.url))
    let_pass(page, 30)
    kept = page.evaluate("JSON.stringify([location.href, document.title, {...localStorage}, {...sessionStorage}])")
    for secret in secrets:
        assert secret not in kept + json.dumps(urls)
