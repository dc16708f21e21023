"""Names and texts by somebody who means harm, everywhere where they can come from: shown as text, and nothing else."""
import copy
import itertools
import json

import pytest
from browser import let_pass

NAMES = {
    "script": "<script class=hostile>alert(1)</script>",
    "image": "<img class=hostile src=x onerror=alert(1)>",
    "quotes": "\"'`--><b class=hostile>&lt;b class=hostile&gt;",
    "long": "long" * 500,
    "backwards": "\u202egnp.exe\u2066\u200f",
    "emoji": "\U0001f984\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "format": "%s %d %h ${1} {{1}}",
    "lines": "one\ntwo\ttree\0four\x1b[31m",
}
# What a program reads, and no person writes.
WORDS = {"public_key", "path", "state", "states", "mode", "level", "code", "protocol", "verdict", "a", "b"}


def spoil(answer, names, field=None):
    """The answer with every text of it replaced by the next of `names`, but for the words that the page compares."""
    if isinstance(answer, dict):
        return {key: spoil(value, names, key) for key, value in answer.items()}
    if isinstance(answer, list):
        return [spoil(value, names, field) for value in answer]
    if isinstance(answer, str) and answer and field not in WORDS:
        return next(names)
    return answer


def check(page):
    """Nothing of it became HTML, and nothing that turns or hides text is in what is shown."""
    assert page.locator(".hostile").count() == 0
    assert page.evaluate("document.title") in ("Overview", "Set up", "Clients", "Settings")
    shown = page.evaluate("document.body.textContent + document.title")
    assert not {"\u202e", "\u2066", "\u200f", "\0", "\x1b"} & set(shown)
    assert NAMES["long"] not in page.locator("bdi").all_text_contents()


@pytest.mark.parametrize("recording", ["busy", "publisher"])
def test_what_the_daemon_says(pages, recording):
    router = pages.load(recording)
    said = router.answers
    page = pages.open("overview")
    for name in NAMES.values():
        router.answers = {method: spoil(answer, itertools.repeat(name)) for method, answer in said.items()}
        let_pass(page, 30)
        check(page)
    shown = page.locator("#view").text_content
    for kind in "script", "image", "quotes", "format":
        router.answers = {method: spoil(answer, itertools.repeat(NAMES[kind])) for method, answer in said.items()}
        let_pass(page, 30)
        assert NAMES[kind] in shown()


@pytest.mark.parametrize("menu", ["overview", "clients", "setup", "settings"])
def test_what_there_is_when_a_page_is_opened(pages, menu):
    """All kinds at once: the first name is of the first kind, and so on."""
    router = pages.router
    said = router.answers
    for config in "network", "wgp2p":
        names = itertools.cycle(NAMES.values())
        for section in router.uci[config].values():
            for option in ("description", "name", "endpoint_host", "server_host"):
                if option in section:
                    section[option] = next(names).replace("\0", "")  # no file of UCI can have that
    router.saved = copy.deepcopy(router.uci)
    for shift in range(0, len(NAMES), 3):
        names = itertools.cycle([*NAMES.values()][shift:] + [*NAMES.values()][:shift])
        router.answers = {method: spoil(answer, names) for method, answer in said.items()}
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
