"""Keeps the secrets a request carried out of what is told about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDDEN = "***"
SHORTEST = 4  # what is shorter would be found everywhere
SHORTEST_WORD = 8


class Redaction:
    """Knows the values as they were sent, and the spellings in which receivers echo them.

    The long words of a value count by themselves: a receiver may echo `Bearer abc` as `abc`.
    """

    def __init__(self, values: Iterable[str]) -> None:
        words = {
            word
            for value in values
            for word in (value, *(w for w in value.split() if len(w) >= SHORTEST_WORD))
            if len(word) >= SHORTEST
        }
        spellings = {spelling for word in words for spelling in _spellings(word)}
        self._spellings = sorted(spellings, key=len, reverse=True)
        self.longest = max((len(spelling) for spelling in self._spellings), default=0)

    def of_text(self, text: str) -> str:
        for spelling in self._spellings:
            text = text.replace(spelling, HIDDEN)
        return text

    def of_bytes(self, content: bytes) -> bytes:
        for spelling in self._spellings:
            content = content.replace(spelling.encode(), HIDDEN.encode())
        return content


def _spellings(word: str) -> set[str]:
    in_json = json.dumps(word)[1:-1]
    return {word, in_json, in_json.replace("/", "\\/"), quote(word), quote(word, safe="")}
