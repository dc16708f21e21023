"""Fixtures for the pages in a browser: the system's Chromium, driven by Playwright, on the stand-in for LuCI."""
import pytest
from browser import Pages
from playwright.sync_api import expect, sync_playwright
from server import Server

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


@pytest.fixture
def pages(chromium, web):
    """Pages, over a router as in busy.json."""
    pages = Pages(chromium, web)
    pages.load("busy")
    yield pages
    pages.context.close()
    assert pages.faults == []
