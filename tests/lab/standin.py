"""Publishers that are not ours, in the place of ours on a server: one that speaks as the original project's does,
and one that means harm."""
import contextlib
import http.server
import json
import socket
import threading
import time

import netns
import wireguard_lab as wireguard


class StandIn:
    """An HTTP server at a tunnel address; `answer(path) -> (status, type, iterable of bytes)`."""

    def __init__(self, host, address, token, answer, port=8080):
        self.requests = []  # (path, authorized)
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"  # the end of the connection ends the body

            def do_GET(self):
                allowed = self.headers.get("Authorization") == "Bearer " + token
                stand_in.requests.append((self.path, allowed))
                status, kind, parts = answer(self.path) if allowed else (403, "text/html", [b"no"])
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.end_headers()
                with contextlib.suppress(OSError):
                    for part in parts:
                        self.wfile.write(part)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def server_bind(self):
                self.socket.close()
                self.socket = netns.open_socket(host, socket.AF_INET, socket.SOCK_STREAM)
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.socket.bind(self.server_address)
                self.server_name, self.server_port = self.server_address

        self._server = Server((address, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def original_answer(lab, server):
    """How the original publisher answers: `wg show wg0 dump` in JSON; it has no other path. (Recorded exchanges of the
    real one: tests/golden/original.json.)"""
    def answer(path):
        if path != "/api/peers":
            return 404, "text/html", [b"<!doctype html>\n<title>404 Not Found</title>\n"]
        peers = [{"public_key": key, "endpoint": peer.endpoint or "(none)", "allowed_ips": peer.allowed_ips,
                  "latest_handshake": peer.handshake, "rx_bytes": peer.rx, "tx_bytes": peer.tx,
                  "persistent_keepalive": peer.keepalive or None}
                 for key, peer in wireguard.show(server).items()]
        data = {"fetched_at": int(time.time()), "interface": "wg0", "peers": peers}
        return 200, "application/json", [json.dumps(data).encode() + b"\n"]

    return answer
