"""What a skill is given, as it is typed."""

from __future__ import annotations

import json
import math
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.errors import BadUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

STDIN = "-"
SURROGATE = re.compile("[\ud800-\udfff]")
AGO = re.compile(r"(\d+)([smhdw])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def gather(pairs: Sequence[str], source: str | None) -> dict[str, Any]:
    """The file's object, with each key=value over it."""
    return (read_object(source) if source else {}) | parse_pairs(pairs)


def parse_pairs(pairs: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        if SURROGATE.search(pair):
            raise BadUsage(f"{pair!a} is not UTF-8 text")
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise BadUsage(f"expected key=value, got {pair!r}")
        found[key.strip()] = parse_value(value)
    return found


def parse_value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return _parse(text)
    except (ValueError, RecursionError):
        return text


def read_object(source: str) -> dict[str, Any]:
    name = "stdin" if source == STDIN else source
    try:
        text = sys.stdin.read() if source == STDIN else Path(source).read_text("utf-8")
        value = _parse(text)
    except OSError as error:
        raise BadUsage(f"cannot read {name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadUsage(f"{name} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadUsage(f"{name} is not JSON: {error.msg} at {place}") from None
    except (ValueError, RecursionError) as error:
        raise BadUsage(f"{name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadUsage(f'{name} holds no JSON object: expected {{"key": value, …}}')
    return value


def parse_time(text: str | None) -> str | None:
    """`2h` is two hours ago; anything else is left to the gateway to read."""
    match = AGO.fullmatch(text.strip()) if text else None
    if not match:
        return text
    try:
        ago = timedelta(seconds=int(match[1]) * SECONDS[match[2]])
        return (datetime.now(UTC) - ago).isoformat().replace("+00:00", "Z")
    except OverflowError:
        raise BadUsage(f"{text} is longer ago than time goes back") from None


def _parse(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant, parse_float=_finite)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large")
    return number
