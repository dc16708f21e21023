"""exported.py: the endpoint that profiles have, and which of them lead nowhere."""
import os

from folders import new_folder

from wgp2p.exported import note, read, stale


def test_what_is_noted_is_read():
    folder = new_folder()
    assert read(folder) == {}
    note(folder, "phone", "192.0.2.1:51820")
    note(folder, "laptop", "home.example.org:51820")
    assert read(folder) == {"phone": "192.0.2.1:51820", "laptop": "home.example.org:51820"}
    assert os.stat(folder + "/profiles.json")[0] & 0o777 == 0o640
    note(folder, "phone", None)
    note(folder, "nobody", None)
    assert read(folder) == {"laptop": "home.example.org:51820"}


def test_rubbish_is_nothing():
    folder = new_folder()
    for text in ("", "{", "[]", '{"a": 1, "b": "x", "c": "1.2.3.4:", "d": "h:5", "e": null}', "x" * 70000):
        with open(folder + "/profiles.json", "w") as file:
            file.write(text)
        assert read(folder) in ({}, {"d": "h:5"})


def test_stale_is_what_leads_nowhere():
    profiles = {"a": "192.0.2.1:51820", "b": "192.0.2.1:40000", "c": "home.example.org:51820",
                "d": "home.example.org:1", "e": "[2001:db8::1]:51820"}
    assert stale(profiles, []) == []
    assert stale(profiles, ["192.0.2.1:51820"]) == ["b", "d"], "of IPv6 nothing is known"
    assert stale(profiles, ["192.0.2.1:40000", "192.0.2.1:51820"]) == ["d"]
    assert stale(profiles, ["192.0.2.2:51820"]) == ["a", "b", "d"]
    assert stale(profiles, ["[2001:db8::2]:51820"]) == ["d", "e"]
