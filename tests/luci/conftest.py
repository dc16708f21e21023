"""Fixtures for the pages in a browser: the system's Chromium, driven by Playwright, on the stand-in for LuCI."""
import re

import pytest
from playwright.sync_api import expect, sync_playwright
from router import Router
from server import Server, recorded

expect.set_options(timeout=10_000)


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def web():
    """One server for all tests; each gets a router of its own."""
    server = Server(None)
    yield server
    server.close()


class Pages:
    """Opens pages for one test. `router` is what they talk to. Whatever the console says as an error, every uncaught
    exception, every dialog of the browser and every request to another host is in `faults`, and fails the test."""

    def __init__(self, chromium, web):
        self.web = web
        self.faults = []
        self.context = chromium.new_context(locale="en-US", accept_downloads=True)
        self.context.route(re.compile("^(?!%s/|data:|blob:)" % re.escape(web.origin)), self._outside)

    @property
    def router(self):
        return self.web.router

    def load(self, name):
        """Answer as the daemon did that is recorded under this name."""
        self.web.router = Router(recorded(name))
        return self.web.router

    def open(self, name, user="root", width=1200):
        """The page `name`, drawn; for root or for the viewer."""
        page = self.context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", self._dialog)
        page.goto(self.web.url(name, user))
        self.drawn(page)
        return page

    def drawn(self, page):
        """Wait until the view is there, as after the page was loaded anew."""
        page.wait_for_selector("#view[data-ready]", state="attached")
        assert page.get_attribute("#view", "data-ready") == "1", self.faults

    def _outside(self, route):
        self.faults.append("asked for %s" % route.request.url)
        route.abort()

    def _dialog(self, dialog):
        self.faults.append("a dialog: %s" % dialog.message)
        dialog.dismiss()


@pytest.fixture
def pages(chromium, web):
    """Pages, over a router as in busy.json."""
    pages = Pages(chromium, web)
    pages.load("busy")
    yield pages
    pages.context.close()
    assert pages.faults == []


def let_pass(page, seconds):
    """So many seconds go by for the page: what it polls is asked, and drawn."""
    page.evaluate("seconds => standin.pass(seconds)", seconds)
