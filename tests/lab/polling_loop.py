"""What wgp2p is measured against: the same job done by polling, as the original scripts do it.

  polling_loop.py publisher ADDRESS     answers GET /api/peers with what `wg show wg0 dump` says
  polling_loop.py subscriber ADDRESS    asks every 3 s, runs `wg show wg0 dump`, and `wg set` on a difference

Flask and requests, one program started per look, keepalive 10 s: the shipped settings. Not product code.
"""
import subprocess
import sys
import time

PORT = 8080
POLL_S = 3
KEEPALIVE_S = "10"
STALE_S = 120


def dump():
    """{public key: columns} of wg0."""
    text = subprocess.run(["wg", "show", "wg0", "dump"], check=True, capture_output=True, text=True).stdout
    return {columns[0]: columns for columns in (line.split("\t") for line in text.splitlines()[1:])}


def publish(address):
    import flask

    app = flask.Flask(__name__)

    @app.route("/api/peers")
    def peers():
        return flask.jsonify({"interface": "wg0", "fetched_at": int(time.time()), "peers": [
            {"public_key": key, "endpoint": row[2], "allowed_ips": row[3].split(","), "latest_handshake": int(row[4])}
            for key, row in dump().items()]})

    app.run(host=address, port=PORT)


def subscribe(address):
    import requests

    while True:
        try:
            told = requests.get(f"http://{address}:{PORT}/api/peers", timeout=10).json()["peers"]
        except (requests.RequestException, ValueError):
            time.sleep(1)
            continue
        here = dump()
        for peer in told:
            row = here.get(peer["public_key"])
            if row is None or peer["endpoint"] == "(none)":
                continue
            online = time.time() - peer["latest_handshake"] <= STALE_S
            keepalive = KEEPALIVE_S if online else "off"
            if peer["endpoint"] != row[2] or keepalive != row[7]:
                subprocess.run(["wg", "set", "wg0", "peer", peer["public_key"], "endpoint", peer["endpoint"],
                                "persistent-keepalive", keepalive], check=True)
        time.sleep(POLL_S)


if __name__ == "__main__":
    {"publisher": publish, "subscriber": subscribe}[sys.argv[1]](sys.argv[2])
