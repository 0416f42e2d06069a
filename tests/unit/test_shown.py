from __future__ import annotations

from typing import Any

import pytest

from core.shown import SUMMARY_BYTES, in_brief


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "GET", "url": "https://x.example/a"}, "fetch: GET https://x.example/a"),
        ({"days": 14, "deep": False}, "fetch: days=14 deep=False"),
        ({"value": "two\n  lines"}, "fetch: two lines"),
        ({"headers": {"A": "b"}, "list": [1], "nothing": None}, "fetch"),
        ({}, "fetch"),
    ],
)
def test_summary_says_what_a_step_does_on_one_line(arguments: dict[str, Any], said: str) -> None:
    assert in_brief("fetch", arguments) == said


@pytest.mark.parametrize("text", ["x" * 2_000_000, "é" * 500, "\ud800" * 500])
def test_summary_is_short_whatever_the_arguments_are(text: str) -> None:
    said = in_brief("deep[3]." * 20 + "fetch", {"value": text})
    assert SUMMARY_BYTES - 4 < len(said.encode()) <= SUMMARY_BYTES
