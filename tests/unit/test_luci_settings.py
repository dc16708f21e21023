"""The page Settings has every option that there is."""
import pathlib
import re

from wgp2p import config

RESOURCES = pathlib.Path(__file__).resolve().parents[2] / "luci-app-wgp2p/htdocs/luci-static/resources"
PAGE = (RESOURCES / "view/wgp2p/settings.js").read_text()
PARTS = {  # section: the functions of the page that draw it
    "wgp2p": ("general", "advanced"), "subscriber": ("subscribers",), "publisher": ("publishers",),
    "portmap": ("portmaps",)}
NOT_ON_THE_PAGE = {
    ("subscriber", "token"): "never in the browser but while typed: the page writes the token file",
    ("peer", "public_key"): "which row it is; the keys are those of the WireGuard peers",
    ("peer", "listen_port"): "the Clients page sets it, with the profile",
    ("peer", "profile_endpoint"): "the Clients page sets it, with the profile",
}


def options(text):
    found = set(re.findall(r"(?:flag|choice)\(section, '(\w+)'", text))
    found |= set(re.findall(r"fields\.put\(section, form\.\w+, '(\w+)'", text))
    return found | ({"interface"} if "fields.wireguard(" in text else set())


def shown(kind):
    """The options of a section that the page has."""
    if kind == "peer":
        return options((RESOURCES / "wgp2p/peertable.js").read_text())
    bodies = [re.search(r"^function %s\(.*?^}" % name, PAGE, re.MULTILINE | re.DOTALL).group() for name in PARTS[kind]]
    return options("\n".join(bodies))


def test_every_option_is_on_the_page_or_has_a_reason():
    for kind, schema in config.SCHEMA.items():
        excepted = {option for section, option in NOT_ON_THE_PAGE if section == kind}
        assert shown(kind) | excepted == set(schema), kind
        assert not shown(kind) & excepted, kind


def test_the_default_that_holds_is_the_one_shown():
    for kind in PARTS:
        for option, (_, default, _) in config.SCHEMA[kind].items():
            if isinstance(default, bool):
                assert "'%s', '%d'" % (option, default) in PAGE
            elif isinstance(default, int):
                assert re.search(r"'%s',.*placeholder: '%d'" % (option, default), PAGE), option
            elif option in ("sweep", "log_level", "backend", "protocol"):
                assert "'%s', [ [ '%s'" % (option, default) in PAGE, option
