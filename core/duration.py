import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
LONGEST = timedelta(days=3650)
EXPECTED = "a duration such as 30s, 5m, 1h30m or 2d"


def parse_duration(text: str) -> timedelta:
    """Raises ValueError with what was expected."""
    compact = text.strip().replace(" ", "")
    parts = PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact or len(text) > 40:
        raise ValueError(f"expected {EXPECTED}, got {text[:40]!r}")
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"at most {LONGEST.days} days, got {text[:40]!r}")
    return timedelta(seconds=seconds)


def format_duration(length: timedelta) -> str:
    seconds = length.total_seconds()
    for unit in ("w", "d", "h", "m"):
        if seconds >= UNITS[unit] and seconds % UNITS[unit] == 0:
            return f"{int(seconds // UNITS[unit])}{unit}"
    return f"{seconds:g}s"


def as_duration(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool):
        raise ValueError(f"expected {EXPECTED}, got {value}")
    return value


# Read from "5m"; on the wire, seconds.
Duration = Annotated[
    timedelta,
    BeforeValidator(as_duration),
    PlainSerializer(lambda length: length.total_seconds(), return_type=float),
]
