"""Serves the pages of luci-app-wgp2p as they are, on the stand-in for LuCI (standin/), to a browser.

By hand, with answers of tests/golden/luci: python3 tests/luci/server.py [busy], then open what it prints."""
import http.server
import json
import pathlib
import sys
import threading
import urllib.parse

import router

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = router.PROJECT / "tests/golden/luci"
RESOURCES = "/luci-static/resources"
FOLDERS = [router.APP / "htdocs/luci-static/resources", HERE / "standin"]
UQR = HERE / "node_modules/uqr/dist/index.cjs"

# Nothing from elsewhere. (LuCI itself runs its modules with eval.)
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>%(title)s</title><link rel="icon" href="data:,"><link rel="stylesheet" href="%(resources)s/style.css">
</head><body><div id="maincontent"><div id="view"></div></div>
<script>window.standinPage = %(page)s;</script><script src="%(resources)s/luci.js"></script></body></html>"""


def recorded(name):
    """What LAB has recorded of a daemon's answers under this name."""
    return json.loads((GOLDEN / (name + ".json")).read_text())


class Server:
    """A web server on a free port of this machine. `router`: whom the pages talk to; set another one at any time."""

    def __init__(self, the_router):
        self.router = the_router
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.http.daemon_threads = True
        self.http.owner = self
        self.lock = threading.Lock()
        self.origin = "http://127.0.0.1:%d" % self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def url(self, name, user="root"):
        """Where the page `name` is, for this user: root, or viewer, who has the group for the status alone."""
        return "%s/cgi-bin/luci/admin/vpn/wgp2p/%s?user=%s" % (self.origin, name, user)

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path.startswith(RESOURCES + "/"):
            self._resource(url.path[len(RESOURCES) + 1:])
        else:
            user = urllib.parse.parse_qs(url.query).get("user", ["root"])[0]
            self._page(url.path.replace("/cgi-bin/luci/", "", 1), user)

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        user, name, method, arguments = request["params"]
        reply = {"jsonrpc": "2.0", "id": request["id"]}
        owner = self.server.owner
        try:
            with owner.lock:
                answer = owner.router.call(router.Rights(user == "root"), name, method, arguments)
                reply["result"] = [0, answer] if answer != {} else [0]
                text = json.dumps(reply)
        except router.Refused as refused:
            text = json.dumps({**reply, "result": [refused.status] + ([refused.body] if refused.body else [])})
        except PermissionError:
            text = json.dumps({**reply, "error": {"code": -32002, "message": "Access denied"}})
        except router.Absent:
            text = json.dumps({**reply, "error": {"code": -32000, "message": "Object not found"}})
        self._answer(200, "application/json", text)

    def _page(self, path, user):
        nodes = {}
        for file in (router.APP / "root/usr/share/luci/menu.d").glob("*.json"):
            nodes.update(json.loads(file.read_text()))
        node = nodes.get(path)
        groups = router.Rights(user == "root").groups
        needed = (node or {}).get("depends", {}).get("acl", [])
        if node is None or node["action"]["type"] != "view":
            return self._answer(404, "text/plain", "no such page")
        if not all(name in groups for name in needed):
            return self._answer(403, "text/plain", "not allowed")
        page = {"user": user, "resources": RESOURCES, "view": "view." + node["action"]["path"].replace("/", "."),
                "readonly": not any("write" in groups[name] for name in needed)}
        self._answer(200, "text/html", PAGE % {"title": node["title"], "resources": RESOURCES,
                                               "page": json.dumps(page)})

    def _resource(self, name):
        if name == "npm/uqr.js":
            return self._answer(200, "text/javascript", "'require baseclass';\nconst exports = {};\n"
                                + UQR.read_text() + "\nreturn baseclass.extend(exports);\n")
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        for folder in FOLDERS:
            if (folder / name).is_file():
                return self._answer(200, kind, (folder / name).read_text())
        self._answer(404, "text/plain", "no such file")

    def _answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind + "; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


if __name__ == "__main__":
    server = Server(router.Router(recorded(sys.argv[1] if len(sys.argv) > 1 else "busy")))
    for menu_name in "overview", "setup", "clients", "settings":
        print(server.url(menu_name), flush=True)
    threading.Event().wait()
