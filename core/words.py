"""Single values of a flow.yaml: what was expected of each, and what came instead."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from core.draft import Written
from core.duration import EXPECTED, parse_duration
from core.event import EVENT_NAME
from core.expression import ExpressionFault, closing_brace
from core.expression.parser import RESERVED
from core.faults import nearest, quoted
from core.schema import schema_problems
from core.skill import Schema
from core.source import Path, Report, kind_of

NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")
LONGEST_NAME = 64
_MODEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}/[\w.:@+/-]{1,200}\Z", re.ASCII)
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)\Z", re.ASCII
)


def is_template(value: Any) -> bool:
    return isinstance(value, str) and "${" in value.replace("$${", "")


def bare(value: str) -> tuple[str, int] | None:
    """What stands inside where the whole text is one `${…}`, and from which character on."""
    start = len(value) - len(value.lstrip())
    if not value.startswith("${", start):
        return None
    try:
        end = closing_brace(value, start + 2)
    except ExpressionFault:
        # Left to the compiler, which says what is wrong with it.
        return value[start + 2 :], start + 2
    return (value[start + 2 : end], start + 2) if not value[end + 1 :].strip() else None


def text(report: Report, path: Path, value: Any, expected: str) -> str:
    if isinstance(value, str) and value.strip():
        return value
    report.error(path, f"expected {expected}, got {kind_of(value)}")
    return ""


def name(report: Report, path: Path, value: Any, what: str) -> str | None:
    """Names that expressions may use after a dot."""
    if isinstance(value, str) and NAME.match(value) and len(value) <= LONGEST_NAME:
        if value not in RESERVED:
            return value
        report.error_at_key(path, f"{quoted(value)} is a word of the expression language")
        return None
    meant = re.sub(r"[^a-z0-9_]+", "_", str(value).lower()[:LONGEST_NAME]).strip("_")
    hint = f"; write `{meant}`" if isinstance(value, str) and NAME.match(meant) else ""
    expected = f"{what} is made of small letters, digits and `_`"
    report.error_at_key(path, f"{expected}, got {kind_of(value)}{hint}")
    return None


def whole(report: Report, path: Path, value: Any, least: int, most: int) -> int:
    if type(value) is int and least <= value <= most:
        return value
    expected = f"expected a whole number from {least} to {most}"
    report.error(path, f"{expected}, got {kind_of(value)}")
    return least


def choice(report: Report, path: Path, value: Any, known: tuple[str, ...], more: str = "") -> str:
    if isinstance(value, str) and value in known:
        return value
    meant = nearest(value, known) if isinstance(value, str) else None
    hint = f"; did you mean `{meant}`?" if meant is not None else ""
    expected = f"expected {' | '.join(known)}{more}"
    report.error(path, f"{expected}, got {kind_of(value)}{hint}")
    return known[0]


def condition(report: Report, path: Path, value: Any) -> Written | None:
    """With or without `${…}` around it."""
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str) or not value.strip():
        report.error(path, f"expected a condition, got {kind_of(value)}")
        return None
    inside = bare(value)
    if inside is None and value.lstrip().startswith("${"):
        report.error(path, "write the whole condition in one `${…}`, or without any")
        return None
    source, offset = inside or (value, 0)
    return Written(path, source, "expression", text=value, offset=offset)


def length(report: Report, path: Path, value: Any, expected: str = EXPECTED) -> timedelta | None:
    if not isinstance(value, str):
        hint = f"; write `{value}s`" if type(value) is int and value > 0 else ""
        report.error(path, f"expected {expected}, got {kind_of(value)}{hint}")
        return None
    try:
        read = parse_duration(value)
    except ValueError as fault:
        is_long = str(fault).startswith("at most")
        report.error(path, str(fault) if is_long else f"expected {expected}, got {kind_of(value)}")
        return None
    if not read:
        report.error(path, f"expected {expected}, got no time at all")
    return read


def looks_like_moment(value: Any) -> bool:
    return isinstance(value, str) and re.match(r"\d{4}-\d", value) is not None


def moment(report: Report, path: Path, value: Any) -> None:
    """RFC 3339: a time without an offset is another one in every place."""
    expected = "expected a time with its offset such as 2026-12-01T09:00:00Z"
    try:
        if isinstance(value, str) and _MOMENT.match(value):
            datetime.fromisoformat(value.upper())
            return
    except ValueError as fault:
        expected = f"{expected} ({fault})"
    report.error(path, f"{expected}, got {kind_of(value)}")


def model(report: Report, path: Path, value: Any) -> str | None:
    if isinstance(value, str) and _MODEL.match(value):
        return value
    report.error(path, f"expected a model, written `provider/model`, got {kind_of(value)}")
    return None


def event(report: Report, path: Path, value: Any) -> str:
    if isinstance(value, str) and EVENT_NAME.fullmatch(value):
        return value
    expected = "expected the name of an event such as sync_completed"
    report.error(path, f"{expected}, got {kind_of(value)}")
    return ""


def is_sound_schema(report: Report, path: Path, schema: Schema) -> bool:
    """What is wrong with it, or probably not meant, is told."""
    found = schema_problems(schema)
    for problem in found:
        tell = report.warn_at_key if problem.severity == "warning" else report.error_at_key
        tell((*path, *problem.path), problem.message)
    return all(problem.severity == "warning" for problem in found)
