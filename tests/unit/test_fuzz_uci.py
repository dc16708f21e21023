"""uci.py under random input: what was written as `uci` writes it is read back; nothing but UciError comes out."""
from hypothesis import example, given
from hypothesis import strategies as st
from test_uci import GOLDEN, export

from wgp2p import uci

NAMES = st.text("abcXYZ019_", min_size=1, max_size=8)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=30)
OPTIONS = st.dictionaries(NAMES, VALUES | st.lists(VALUES | st.just(""), min_size=1, max_size=3), max_size=5)
WORDS = st.sampled_from(["config", "option", "list", "package", "c", "o", "l", "p", " ", "\t", "\n", "'", '"', ";", "#",
                         "\\", "\\\n", "\r\n", "a", "peer", "'x'", "'y z'", "\u00fc", "\0", "config s 'x'\n"])


def parse(text):
    """The sections, or None when refused; any other exception than UciError fails the test."""
    try:
        return uci.parse(text)
    except uci.UciError as error:
        assert error.line >= 1 and error.byte >= 0 and error.message
        return None


@given(st.lists(st.tuples(NAMES, st.none() | NAMES, OPTIONS), max_size=5,
                unique_by=lambda section: section[1] or object()))
def test_round_trip(wanted):
    sections = []
    for kind, name, options in wanted:
        section = uci.Section(kind, name, len([s for s in sections if s.type == kind]), 0)
        section.options = [uci.Option(key, value, 0) for key, value in options.items()]
        sections.append(section)
    text = export(sections)
    found = uci.parse(text)
    assert [(s.type, s.name, s.label, [(o.name, o.value) for o in s.options]) for s in found] == [
        (s.type, s.name, s.label, [(o.name, o.value) for o in s.options]) for s in sections]
    assert export(found) == text


@given(st.lists(WORDS, max_size=30).map("".join))
@example("config \\;")
@example("config \\'")
def test_junk_words(text):
    parse(text)
    sections = parse("config s 'x'\n" + text)
    # uci writes a type without quotes, whatever is in it, and does not read it back either
    if sections and not set("".join(section.type for section in sections)) & set("'\";#\\"):
        assert export(uci.parse(export(sections))) == export(sections)


@given(st.binary(max_size=200))
def test_junk_bytes(data):
    parse(data)


def test_every_truncation():
    for case in GOLDEN:
        text = case["text"].encode()
        for end in range(min(len(text), 300)):
            parse(text[:end])
