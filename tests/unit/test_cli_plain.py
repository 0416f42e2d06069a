from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.command.plain import as_json, one_line, plain

PIECES = st.sampled_from(
    ["\x1b", "[", "]", "0;", "31m", "\x07", "\\", "\x9b", "\x9c", "P", "a", "\n", "\t", "\u202e"]
)
NASTY = st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join)
BIDIRECTIONAL = {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI"}


def is_harmless(character: str) -> bool:
    control = unicodedata.category(character) in ("Cc", "Cs")
    return not control and unicodedata.bidirectional(character) not in BIDIRECTIONAL


@given(NASTY)
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    assert all(is_harmless(character) or character in "\n\t" for character in plain(text))
    assert all(is_harmless(character) for character in one_line(text))


@given(NASTY)
def test_json_is_harmless_and_says_the_same(text: str) -> None:
    said = as_json({"text": text})
    assert all(is_harmless(character) for character in said)
    assert json.loads(said) == {"text": text}


@given(st.text())
def test_json_for_an_ascii_terminal_is_ascii(text: str) -> None:
    said = as_json(text, encoding="ascii")
    assert said.isascii()
    assert json.loads(said) == text


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;Z290Y2hh", ""),
        ("a\rb\r\nc\bd", "ab\ncd"),
        ("Grüße ✓ 日本", "Grüße ✓ 日本"),
        ("\x1b(Bx\x1bcy", "xy"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_escape_sequences_go_as_a_whole(said: str, left: str) -> None:
    assert plain(said) == left
