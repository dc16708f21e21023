"""A page of luci-app-wgp2p in the browser, as a test has it."""
import re

from router import Router
from server import recorded


class Pages:
    """Opens pages for one test. `router` is what they talk to. In `faults`, which fail the test, is what the console
    says as an error (also that something wanted to another host, which the server forbids), every uncaught exception
    and every dialog of the browser."""

    def __init__(self, chromium, web):
        self.web = web
        self.faults = []
        self.context = chromium.new_context(locale="en-US", accept_downloads=True)
        self.context.set_default_timeout(10_000)

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

    def _dialog(self, dialog):
        self.faults.append("a dialog: %s" % dialog.message)
        dialog.dismiss()


def let_pass(page, seconds):
    """So many seconds go by for the page: what it polls is asked, and drawn."""
    page.evaluate("seconds => standin.pass(seconds)", seconds)


def everything(page):
    """All that the page holds, shown or not: its HTML, and what stands in its fields."""
    return page.evaluate("""document.documentElement.outerHTML
        + [...document.querySelectorAll("input, textarea, select")].map(field => field.value).join("\\n")""")


def row_of(page, name):
    """The row of a table that shows this name, and it alone, in one of its cells."""
    shown = page.locator("bdi").filter(has_text=re.compile("^%s$" % re.escape(name)))
    return page.locator("#view tr, #view .tr").filter(has=shown)
