from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.command.inputs import gather, parse_pairs, parse_time, parse_value
from perdure.errors import BadUsage

if TYPE_CHECKING:
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("5.5", 5.5),
        ("true", True),
        ("null", None),
        ('"5"', "5"),
        ("[1, 2]", [1, 2]),
        ('{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("", ""),
        ("hello", "hello"),
        ("True", "True"),
        ("{broken", "{broken"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("[" * 100_000, "[" * 100_000),
        ("2026-11-20", "2026-11-20"),
    ],
)
def test_a_value_is_json_where_it_is_json(text: str, value: Any) -> None:
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


@given(JSON)
def test_whatever_is_json_survives(value: Any) -> None:
    assert parse_value(json.dumps(value)) == value


def test_only_the_first_equals_sign_counts_and_the_last_of_a_key_wins() -> None:
    assert parse_pairs(["q=a=b", "n=1", "n=2", "e="]) == {"q": "a=b", "n": 2, "e": ""}


@pytest.mark.parametrize("pair", ["n", "=5", " =5", "n=\udcff"])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(BadUsage):
        parse_pairs([pair])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON.*line 1, column 2"),
        (b"[1]", "no JSON object"),
        (b"\xff{}", "not UTF-8"),
        (b'{"n": NaN}', "NaN"),
        (b'{"n": 1e999}', "too large"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "in.json"
    file.write_bytes(content)
    with pytest.raises(BadUsage, match=reason):
        gather([], str(file))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="No such file"):
        gather([], str(tmp_path / "none.json"))


def test_stdin_is_named_in_what_is_wrong_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(BadUsage, match="stdin is not JSON"):
        gather([], "-")


def test_how_long_ago_is_a_time() -> None:
    said = parse_time("2h")
    assert said is not None
    ago = datetime.now(UTC) - datetime.fromisoformat(said)
    assert timedelta(hours=2) <= ago < timedelta(hours=2, minutes=1)


@pytest.mark.parametrize("text", [None, "2026-11-20T08:00:00Z", "yesterday"])
def test_other_times_are_left_to_the_gateway(text: str | None) -> None:
    assert parse_time(text) == text


def test_longer_ago_than_time_goes_back_is_refused() -> None:
    with pytest.raises(BadUsage):
        parse_time("999999999999w")
