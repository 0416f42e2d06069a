"""Amounts, dates, shares and counts that a text claims, and whether they are known."""

from __future__ import annotations

import re
from collections.abc import Iterator

DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b")
MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-][\d:]+)?)?")
MONEY = re.compile(r"(?:\b[A-Z]{3}|[€$£])\s?(\d[\d,]*(?:\.\d+)?)\s?([kMB]?)\b")
COUNT = re.compile(r"(?<![\w.,:/-])(\d[\d,]*(?:\.\d+)?)\s?(%|days?|weeks?|times?|deals?|contacts?)")
# No part of a word, an id or an address.
NUMBER = re.compile(r"(?<![\w.:/-])\d[\d,]*(?:\.\d+)?\s?[kMB]?(?![\w])")
QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"")
SCALES = {"": 1.0, "k": 1e3, "M": 1e6, "B": 1e9}


def claims(text: str) -> Iterator[str]:
    """What is quoted is somebody else's claim."""
    text = QUOTED.sub(" ", text)
    for pattern in (DATE, MONEY, COUNT):
        yield from (found[0] for found in pattern.finditer(text))


def supported(claim: str, known: str) -> bool:
    """A date stands there; a number is one of those there, as far as it was rounded."""
    if DATE.fullmatch(claim):
        return claim in known
    size, step = _read(claim)
    return any(abs(abs(each) - size) <= step / 2 + 1e-9 for each, _ in map(_read, _numbers(known)))


def _numbers(text: str) -> Iterator[str]:
    yield from (found[0] for found in NUMBER.finditer(MOMENT.sub(" ", text)))


def _read(text: str) -> tuple[float, float]:
    """Its size, and the size of its last digit."""
    found = re.search(r"(\d[\d,]*(?:\.(\d+))?)\s?([kMB]?)", text)
    assert found, text
    scale = SCALES[found[3]]
    return float(found[1].replace(",", "")) * scale, scale * 10.0 ** -len(found[2] or "")
