"""docs/vps.md and docs/migrating.md say what the installer does."""
import contextlib
import io
import re
import shlex

import pytest
from test_docs import PROJECT, rows, section
from vpsworld import CABIN, VPS
from wgp2p_install import COMMANDS, HELP, cli, firewalls, originals, paths

from wgp2p import cli as wgp2p_cli
from wgp2p import config

GUIDE, MIGRATING = [(PROJECT / "docs" / name).read_text() for name in ("vps.md", "migrating.md")]


def lines():
    """Every command that the documents show, also inside of a list."""
    blocks = re.findall(r"^ *```\n(.*?)^ *```", GUIDE + MIGRATING, re.M | re.S)
    return [line.strip() for block in blocks for line in block.split("\n") if line]


def test_every_command_that_is_shown_is_one():
    shown = set()
    for line in lines() + re.findall(r"`(sudo wgp2p [^`&]*)`", GUIDE + MIGRATING):
        words = shlex.split(line.replace("…", "").replace("PUBLICKEY", CABIN))
        while words and words[0] in ("python3", "python3.11", "sudo"):
            words.pop(0)
        if not words or words.pop(0) not in ("wgp2p.pyz", "wgp2p"):
            continue
        shown.add(words[0])
        if words[0] in COMMANDS:
            with contextlib.redirect_stderr(io.StringIO()) as said:
                try:
                    cli.check(cli.parser(), cli.parser().parse_args(words))
                except SystemExit:
                    pytest.fail(f"{line}: {said.getvalue()}")
        else:
            assert words[0] in wgp2p_cli._COMMANDS, line
    assert shown >= set(COMMANDS) - {"firewall"}


def test_every_command_is_in_the_help():
    assert set(re.findall(r"^  ([a-z-]+) ", HELP, re.M)) == set(COMMANDS) - {"firewall"}


def test_every_path_is_in_the_table():
    said = section(GUIDE, "## What it does to the machine")
    for path in (paths.PYZ, paths.LAUNCHER, paths.UNIT, paths.CONFIG, paths.KEEP, paths.SYSCTL, paths.INSTALLED):
        assert "`%s`" % path in said, path


def test_every_kind_of_firewall_is_in_the_table():
    assert {row[0] for row in rows(section(GUIDE, "## Firewall"))} - {"nothing that filters"} == set(firewalls._KINDS)


def test_every_option_of_the_original_has_a_row():
    for role, heading in (("publisher", "## The publisher's options"), ("subscriber", "## The subscriber's options")):
        table = rows(section(MIGRATING, heading))
        flags = {re.match(r"`--([a-z-]+)", row[0])[1] for row in table}
        known = set(originals._FLAGS[role]) | ({"dry-run"} if role == "subscriber" else set())
        assert flags == known - ({"interface"} if role == "subscriber" else set())
        for option in [name for row in table for name in re.findall(r"`(?:option|list) (\w+)", row[1])]:
            assert option in config.SCHEMA[role] or option in config.SCHEMA["peer"], option


def test_links_lead_somewhere():
    for text in (GUIDE, MIGRATING):
        for target in re.findall(r"\]\(([^)]+)\)", text):
            file, _, anchor = target.partition("#")
            if anchor:
                heads = re.findall(r"^#+ (.*)", text, re.M)
                assert anchor in [re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads], target
            elif not target.startswith("http"):
                assert (PROJECT / "docs" / file).exists(), target


def test_the_builder_is_what_make_calls():
    assert "\nvps: " in (PROJECT / "Makefile").read_text() and (VPS / "build").exists()
