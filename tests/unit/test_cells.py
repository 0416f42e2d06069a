from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from core.connector import Columns
from integrations.cells import Cells

if TYPE_CHECKING:
    from core.crm_fields import Shape

NEW_YORK = ZoneInfo("America/New_York")


def read(shape: Shape, value: Any, **options: Any) -> Any:
    return Cells(Columns(**options), NEW_YORK).read(shape, value)


@pytest.mark.parametrize("shape", ["text", "id", "ids", "number", "whole", "date", "time", "truth"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_what_is_empty_is_nothing(shape: Shape, value: str | None) -> None:
    assert read(shape, value) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1234", "1234"),
        ("-1234.5", "-1234.5"),
        ("1,234.50", "1234.50"),
        ("1.234,50", "1234.50"),
        ("$1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1 234,50 €", "1234.50"),
        ("1'234.50", "1234.50"),
        ("12,5", "12.5"),
        ("1234.567", "1234.567"),
    ],
)
def test_a_number_that_can_be_read_in_one_way_is_read(text: str, number: str) -> None:
    assert read("number", text) == Decimal(number)


@pytest.mark.parametrize("text", ["1,234", "1.234", "12.345", "-123,456"])
def test_a_number_that_can_be_read_in_two_ways_is_not_guessed(text: str) -> None:
    with pytest.raises(ValueError, match=r"may be .* say which sign stands before decimals"):
        read("number", text)


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("1,234", ".", "1234"),
        ("1,234", ",", "1.234"),
        ("1.234", ",", "1234"),
        ("1.234", ".", "1.234"),
    ],
)
def test_who_says_the_sign_is_taken_at_their_word(text: str, decimal: str, number: str) -> None:
    assert read("number", text, decimal=decimal) == Decimal(number)


@pytest.mark.parametrize("text", ["12.5.0", "12,34,5", "1,234.5,0", "twelve", "1e3", "NaN", "--1"])
def test_what_is_no_number_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a number such as 1234\.50, got `"):
        read("number", text)


def test_the_other_sign_is_refused_where_one_is_said() -> None:
    with pytest.raises(ValueError, match="expected a number"):
        read("number", "1.234,50", decimal=".")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, [1]])
def test_a_number_of_json_is_finite_and_a_number(value: Any) -> None:
    with pytest.raises(ValueError, match="number"):
        read("number", value)


def test_a_whole_number_has_no_decimals() -> None:
    assert read("whole", "1,200", decimal=".") == 1200
    with pytest.raises(ValueError, match="whole"):
        read("whole", "1.5")


@pytest.mark.parametrize(
    ("text", "dates", "day"),
    [
        ("2026-12-01", "iso", date(2026, 12, 1)),
        ("01.12.2026", "dmy", date(2026, 12, 1)),
        ("1/12/26", "dmy", date(2026, 12, 1)),
        ("12/01/2026", "mdy", date(2026, 12, 1)),
        ("12/01/2026 9:30 PM", "mdy", date(2026, 12, 1)),
        ("2026/12/1", "ymd", date(2026, 12, 1)),
        # Midnight UTC is how many write a day; other moments are of the day they are in here.
        ("2026-12-01T00:00:00Z", "iso", date(2026, 12, 1)),
        ("2026-12-01T02:30:00Z", "iso", date(2026, 11, 30)),
        ("1796083200000", "unix_ms", date(2026, 12, 1)),
    ],
)
def test_a_date_is_read_as_it_is_said_to_be_written(text: str, dates: str, day: date) -> None:
    assert read("date", text, dates=dates) == day


@pytest.mark.parametrize(
    ("text", "dates"),
    [("12/01/2026", "iso"), ("13/13/2026", "dmy"), ("31.02.2026", "dmy"), ("13:00", "iso")],
)
def test_a_date_that_is_written_otherwise_is_not_guessed(text: str, dates: str) -> None:
    with pytest.raises(ValueError, match=r"expected .* such as .*, got `"):
        read("date", text, dates=dates)


@pytest.mark.parametrize(
    ("text", "dates", "time"),
    [
        ("2026-11-20T09:30:00Z", "iso", datetime(2026, 11, 20, 9, 30, tzinfo=UTC)),
        ("2026-11-20 09:30", "iso", datetime(2026, 11, 20, 9, 30, tzinfo=NEW_YORK)),
        ("11/20/2026 12:05 AM", "mdy", datetime(2026, 11, 20, 0, 5, tzinfo=NEW_YORK)),
        ("11/20/2026 12:05:30 PM", "mdy", datetime(2026, 11, 20, 12, 5, 30, tzinfo=NEW_YORK)),
        ("1764000000", "unix", datetime(2025, 11, 24, 16, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_of_the_workspace(
    text: str, dates: str, time: datetime
) -> None:
    assert read("time", text, dates=dates) == time


def test_ids_stand_apart_by_their_separator_or_in_a_list() -> None:
    assert read("ids", "a; b;;c ") == ("a", "b", "c")
    assert read("ids", "a|b", separator="|") == ("a", "b")
    assert read("ids", [1, "b"]) == ("1", "b")


def test_an_id_that_a_file_took_for_a_number_is_whole() -> None:
    assert read("id", 123.0) == "123"


@pytest.mark.parametrize(
    ("value", "truth"),
    [("yes", True), ("FALSE", False), (True, True), (0, False), ("2026-01-01", True)],
)
def test_truth_has_many_words(value: Any, truth: bool) -> None:
    assert read("truth", value) is truth


def test_what_is_neither_is_said() -> None:
    with pytest.raises(ValueError, match="expected true or false, got `perhaps`"):
        read("truth", "perhaps")
