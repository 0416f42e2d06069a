"""What a run gave that is no report: found out from the JSON itself, and bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.render.words import clean, cut, line, title_of

MOST_PIECES = 60
MOST_ROWS = 200
MOST_COLUMNS = 8
LONGEST_CELL = 300
LONGEST_PROSE = 20_000
LONGEST_CODE = 20_000
NOTHING = "This run gave nothing to show."


@dataclass(frozen=True)
class Heading:
    text: str


@dataclass(frozen=True)
class Prose:
    text: str


@dataclass(frozen=True)
class Facts:
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0


@dataclass(frozen=True)
class Code:
    text: str


Piece = Heading | Prose | Facts | Bullets | Table | Code


def pieces(value: Any) -> list[Piece]:
    found = list(_pieces(value))
    if len(found) > MOST_PIECES:
        found = [*found[: MOST_PIECES - 1], Prose("… and more, which only the JSON shows.")]
    return found or [Prose(NOTHING)]


def _pieces(value: Any) -> Iterator[Piece]:
    if value in (None, "", [], {}):
        return
    match value:
        case dict():
            yield from _object(value)
        case list():
            yield _list(value)
        case str():
            if text := clean(value).strip():
                yield Prose(cut(text, LONGEST_PROSE))
        case _:
            yield Prose(cell(value))


def _object(value: Mapping[str, Any]) -> Iterator[Piece]:
    """What is short first, as a list of facts; what is not, each under its own heading."""
    plain = {name: each for name, each in value.items() if _is_short(each)}
    if plain:
        yield Facts(tuple((title_of(name), cell(each)) for name, each in plain.items()))
    for name, each in value.items():
        if name in plain or each in ([], {}):
            continue
        yield Heading(title_of(name))
        if isinstance(each, dict):
            yield Facts(_facts(each)) if all(map(_is_short, each.values())) else _code(each)
        else:
            yield from _pieces(each)


def _facts(value: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((title_of(name), cell(each)) for name, each in value.items())


def _list(items: list[Any]) -> Piece:
    left_out = max(0, len(items) - MOST_ROWS)
    shown = items[:MOST_ROWS]
    if not any(isinstance(item, list | dict) for item in shown):
        return Bullets(tuple(cell(item) for item in shown), left_out)
    if not all(isinstance(item, dict) for item in shown) or not any(shown):
        return _code(items)
    columns = list(dict.fromkeys(name for item in shown for name in item))[:MOST_COLUMNS]
    rows = tuple(tuple(cell(item.get(name)) for name in columns) for item in shown)
    return Table(tuple(title_of(name) for name in columns), rows, left_out)


def _code(value: Any) -> Code:
    return Code(cut(clean(json.dumps(value, ensure_ascii=False, indent=2)), LONGEST_CODE))


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_CELL and "\n" not in value.strip()
    return not isinstance(value, list | dict)


def cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case str():
            return line(value, LONGEST_CELL)
        case _:
            return line(json.dumps(value, ensure_ascii=False), LONGEST_CELL)
