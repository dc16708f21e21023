"""The documents say what the code does, as far as a machine can hold the two together."""
import ast
import inspect
import json
import pathlib
import re
import shlex

from wgp2p import VERSION, api, bus, cli, config, control, daemon, doctor, http, link, registry, server
from wgp2p.wgmessage import Peer

PROJECT = pathlib.Path(__file__).resolve().parents[2]
CONFIG, PROTOCOL, ARCHITECTURE, BY_HAND, README, CHANGELOG = [
    (PROJECT / name).read_text() for name in ("docs/config.md", "docs/protocol.md", "docs/architecture.md",
                                              "docs/by-hand.md", "README.md", "CHANGELOG.md")]
TYPES = {"_boolean": "boolean", "_interface": "interface", "_ip": "IP address", "_ipv4": "IPv4 address",
         "_forward": "forward", "_endpoint": "endpoint", "_key": "public key", "_path": "path",
         "_name": "name", "_token": "token", "_host": "host"}


def section(text, heading):
    """What stands below a heading, up to the next one of its level or above."""
    level = heading.split()[0]
    body = text.split("\n" + heading + "\n", 1)[1]
    return re.split(r"\n#{1,%d} " % len(level), body)[0]


def rows(text):
    """The cells of every table row, heads and rulers left out."""
    found = [[cell.strip() for cell in line.strip().strip("|").split(" | ")]
             for line in text.split("\n") if line.startswith("| ")]
    return found[1:]


def fields(text):
    """The first column's names, several in one row included."""
    return {name for row in rows(text) for name in re.findall(r"`([a-z_]+)`", row[0])}


def blocks(text):
    """What stands between fences without a language."""
    parts = re.split(r"^```(\w*)\n", text, flags=re.M)
    return [part for mark, part in list(zip(parts[1::2], parts[2::2]))[::2] if not mark]


def returned(function):
    """The keys of every dict that a function writes down, and of `row["key"] = …`."""
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    keys = {key.value for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
    return keys | {node.slice.value for node in ast.walk(tree) if isinstance(node, ast.Subscript)
                   and isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Constant)}


# -- docs/config.md -----------------------------------------------------------------------------------

def type_words(parser, is_list):
    if parser.__name__ in TYPES:
        words = TYPES[parser.__name__]
    else:
        inside = inspect.getclosurevars(parser).nonlocals
        words = ("one of " + ", ".join("`%s`" % word for word in inside["words"]) if "words" in inside
                 else "integer %d–%d" % (inside["least"], inside["most"]))
    return "list of " + words if is_list else words


def default_words(value):
    if value == ():
        return "**required**"
    return "none" if value is None else "`%s`" % (int(value) if isinstance(value, bool) else value)


def test_config_lists_exactly_the_options_types_and_defaults():
    for name, schema in config.SCHEMA.items():
        said = [tuple(row[:3]) for row in rows(section(CONFIG, "## Section `%s`" % name))]
        assert said == [("`%s`" % option, type_words(parser, is_list), default_words(default))
                        for option, (parser, default, is_list) in schema.items()], name
    assert re.findall(r"\n## Section `(\w+)`", CONFIG) == list(config.SCHEMA)


def test_every_type_is_explained():
    explained = {row[0].partition(" A–B")[0].partition(" …")[0] for row in rows(section(CONFIG, "## Types"))}
    assert explained == set(TYPES.values()) | {"integer", "one of", "list of"}


def test_examples_are_configurations_without_a_fault():
    for text in (CONFIG, BY_HAND):
        examples = [block for block in blocks(text) if block.startswith("config ") and "TYPE" not in block]
        assert len(examples) == 2
        for example in examples:
            found = config.parse(example)
            assert found.problems == []
            assert found.publishers or found.subscribers


# -- docs/protocol.md ---------------------------------------------------------------------------------

def test_protocol_names_every_field_of_a_peer():
    entry = registry.Entry("k", 0)
    entry.peer = Peer("k")
    snapshot = section(PROTOCOL, "### `GET /api/peers`")
    assert fields(snapshot) == (set(json.loads(json.dumps(registry.describe(entry, 0)))) | returned(api.Api._head)
                                | {"peers"})
    for name in returned(api.Api._you):
        assert "`%s`" % name in snapshot.split("`you`")[1].split("\n")[0]


def test_protocol_names_every_route():
    assert set(re.findall(r"\n### `(GET|POST) (/api/\w+)`", PROTOCOL)) == {
        (method, path) for path, (method, _) in api.Api(None, None)._routes.items()}
    routes = set(re.findall(r'\("(GET|POST)", "(/\w+)"\)', inspect.getsource(control.Control._request)))
    assert routes == set(re.findall(r"\n### `(GET|POST) (/\w+)`", PROTOCOL))


def test_protocol_names_every_finding_and_method():
    codes = set(re.findall(r'_finding\(\w+, "([a-z-]+)"', inspect.getsource(doctor)))
    assert set(re.findall(r"`([a-z-]+)`", section(PROTOCOL, "### `GET /doctor`").split("Codes:")[1])) == codes
    methods = set(re.findall(r'\("(\w+)", \[', inspect.getsource(bus.Bus._ready)))
    assert methods == {row[0].strip("`") for row in rows(section(PROTOCOL, "## ubus").split("The event")[0])}


def test_protocol_names_every_event():
    names = set(re.findall(r'_event\(seq, "(\w+)"', inspect.getsource(api))) | {"snapshot"}
    assert {row[0].strip("`") for row in rows(section(PROTOCOL, "### `GET /api/events`"))} == names


def test_protocol_names_every_status():
    """Of the publisher's API; 200 and what only a client says or hears aside."""
    named = {int(row[0]) for row in rows(section(PROTOCOL, "### Errors"))}
    sources = "".join(inspect.getsource(module) for module in (api, server))
    sources += inspect.getsource(http.RequestReader) + inspect.getsource(http._Head) + inspect.getsource(http.unquote)
    sources += inspect.getsource(http._request_line) + inspect.getsource(http.parse_query)
    used = {int(number) for number in re.findall(
        r"(?:HttpError\(|refuse\(|reply\(|error\(|return |_failed\()([45]\d\d),", sources)}
    assert named == used


def test_protocol_names_the_limits():
    limits = server.Limits()
    for words in ("%d connections in all and %d from one address" % (limits.connections, limits.per_address),
                  "; %d more are told so" % server._REFUSED_EXTRA,
                  "no whole request within %d s" % (limits.request_ms // 1000),
                  "takes nothing for %d s" % (limits.stall_ms // 1000),
                  "at most %d KiB ahead" % (api._ROOM // 1024),
                  "the body is larger than %d KiB" % (http.MAX_REQUEST_BODY // 1024),
                  "the request line is longer than %d KiB" % (http.MAX_LINE // 1024),
                  "the header is larger than %d KiB, or has more than %d fields" % (
                      http.MAX_HEAD // 1024, http.MAX_FIELDS),
                  "empty comment line every %d s" % (api.HEARTBEAT_MS // 1000),
                  "nothing has come from it for %d s" % (registry.QUIET_MS // 1000),
                  "more than %d removals ago" % registry.REMOVALS_KEPT,
                  "%d s without a byte" % (link.SILENCE_MS // 1000),
                  "comes again after 0.5, 1, 2, 4, 8, then every %d s" % (link.BACKOFF_MS[-1] // 1000),
                  "After 401 or 403 it comes every %d s" % (link.REFUSED_MS // 1000),
                  "`/api/peers` every %d s instead" % (link.POLL_MS // 1000)):
        assert words in re.sub(r"\s+", " ", PROTOCOL), words
    assert link.BACKOFF_MS == (500, 1000, 2000, 4000, 8000, 15000)


def test_protocol_names_every_field_of_the_status():
    from wgp2p import lease, portmap, public_server, publisher, relay, subscriber, sweep, wan

    text = section(PROTOCOL, "### `GET /status`")
    general, _, rest = text.partition("\n`wan`:\n")
    of_wan, _, rest = rest.partition("\nOne of `portmaps`:\n")
    of_portmap, _, rest = rest.partition("\nOne of its `mappings`:\n")
    of_mapping, _, rest = rest.partition("\nA publisher:\n")
    of_publisher, _, rest = rest.partition("\n`relay` of a publisher:\n")
    of_relay, _, rest = rest.partition("\nA subscriber:\n")
    of_subscriber, _, rest = rest.partition("\nOne of its `publishers`:\n")
    of_link, _, of_peer = rest.partition("\nOne of its `peers`:\n")
    assert fields(general) == returned(daemon.Daemon.status)
    assert fields(of_wan) == returned(wan.Wan.status)
    assert fields(of_portmap) | fields(of_mapping) == returned(portmap.Portmap.status) | returned(lease.Lease.row)
    assert returned(sweep.Sweep.row) <= set(re.findall(r"`(\w+)`", re.search("(?m)^. `sweep` .*", of_peer).group()))
    assert fields(of_relay) == returned(relay.Relay.status)
    in_peers = set(re.findall(r"`(\w+)`", re.search(r"plus (.*?): `seen`", of_publisher).group(1)))
    assert fields(of_publisher) | in_peers == returned(publisher.Publisher.status)
    assert set(re.findall(r"`(\w+)`", of_publisher.partition("`state`: ")[2])) == set(
        re.findall(r'"(\w+)"', re.sub(r'row\["\w+"\]|""".*?"""', "", inspect.getsource(publisher._word))))
    assert fields(of_link) == returned(public_server.PublicServer.status)
    assert fields(of_subscriber) == returned(subscriber.Subscriber.status)
    assert fields(of_peer) == returned(subscriber.Subscriber.row)
    assert fields(of_peer) == returned(daemon.Daemon.peers)


# -- README.md, CHANGELOG.md ----------------------------------------------------------------------------

def commands_of_usage():
    return re.findall(r"^  ([a-z]+)", cli.USAGE, re.M)


def test_help_names_every_command_and_the_readme_too():
    assert commands_of_usage() == list(cli._COMMANDS)
    table = {shlex.split(row[0].strip("`"))[1] for row in rows(section(README, "## Command line"))}
    assert table == set(cli._COMMANDS)


def test_readme_uses_only_commands_and_options_that_exist():
    lines = [line for text in (README, CONFIG, BY_HAND) for block in blocks(text) for line in block.split("\n")
             if line.startswith("wgp2p ") and not line.startswith("wgp2p " + VERSION)]
    for line in lines + re.findall(r"`(wgp2p [^`]*)`", README + CONFIG + PROTOCOL + ARCHITECTURE):
        words = shlex.split(line, comments=True)[1:]
        for flag in [word for word in words if word.startswith("--")]:
            assert flag in cli.USAGE, line
        command = [word for word in words if re.fullmatch("[a-z]+", word)][:1]
        assert not command or command[0] in cli._COMMANDS, line


def test_readme_names_exit_codes():
    codes = dict(re.findall(r"(\d) ([a-z ]+)", cli.USAGE.rpartition("exit codes: ")[2]))
    assert codes == {str(cli.OK): "done", str(cli.FAILED): "failed", str(cli.USAGE_ERROR): "wrong usage",
                     str(cli.NO_DAEMON): "the daemon does not answer"}
    assert ", ".join("%s %s" % pair for pair in sorted(codes.items())) in re.sub(r"\s+", " ", README)


def test_make_targets_that_are_named_exist():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M))
    for text in (README, ARCHITECTURE, CHANGELOG):
        assert set(re.findall(r"\bmake ([a-z-]+)", "".join(re.findall(r"`[^`\n]*`|^make.*", text, re.M)))) <= targets


def test_links_lead_somewhere():
    for path in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("**/*.md"))]:
        for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
            if not target.startswith("http"):
                file, _, anchor = target.partition("#")
                whole = (path.parent / file) if file else path
                assert whole.exists(), (path.name, target)
                if anchor:
                    heads = re.findall(r"^#+ (.*)", whole.read_text(), re.M)
                    assert anchor in [re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads]


def test_changelog_has_this_version():
    assert "\n## [%s] - " % VERSION in CHANGELOG


# -- docs/architecture.md -------------------------------------------------------------------------------

def test_architecture_has_the_floors_that_are_checked():
    from test_traps import traps

    said = {row[1].strip("`").partition(".py")[0]: int(row[0]) for row in rows(section(ARCHITECTURE, "## Floors"))}
    assert said == {name: floor for name, floor in traps.FLOOR_OF.items() if name}


def test_functions_that_are_named_exist():
    """`module.name`, `module.Class.name`; of a class what it defines or sets on self."""
    modules = {path.stem: path.read_text() for path in (PROJECT / "package/wgp2p/wgp2p").glob("*.py")}
    for module, rest in re.findall(r"`([a-z_]+)\.([A-Za-z_.]+)`", ARCHITECTURE):
        if module in modules and rest not in ("py", "js"):
            for word in rest.split("."):
                assert re.search(r"(def |class |self\.|^)%s\b" % word, modules[module], re.M), (module, rest)
