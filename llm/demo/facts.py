"""What a text says, as names and values: its JSON, and its lines of `name: value`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

LINE = re.compile(r"^[\s>*\-•]*([A-Za-z][\w /-]{0,40}?)\**\s*[:=]\s+(\S.*)$")
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
MOST_JSON = 50
LONGEST_TEXT = 400_000


@dataclass
class Facts:
    text: str
    named: dict[str, Any] = field(default_factory=dict[str, Any])
    whole: list[Any] = field(default_factory=list[Any])

    def find(self, name: str) -> Any:
        """The value of that name, or of one that shares its words; None where there is none."""
        wanted = plain(name)
        if wanted in self.named:
            return self.named[wanted]
        sought = words(name)
        near = [key for key in self.named if _akin(sought, set(key.split(" ")))]
        return self.named[min(near, key=len)] if near else None

    def items(self, name: str) -> list[Any] | None:
        found = self.find(name)
        if isinstance(found, list):
            return found
        lists = [each for each in self.whole if isinstance(each, list)]
        lists += [each for each in self.named.values() if isinstance(each, list)]
        return lists[0] if lists else None

    @property
    def sentence(self) -> str:
        for line in self.text.splitlines():
            said = line.strip(" \t#*->`")
            if len(said) > 2 and said[0] not in "{[":
                return re.split(r"(?<=[.!?])\s", said)[0]
        return self.text.strip()[:80]

    @property
    def number(self) -> float | None:
        found = NUMBER.search(self.text)
        return float(found[0].replace(",", "")) if found else None


def words(name: str) -> set[str]:
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).lower()
    return {each.rstrip("s") for each in re.findall(r"[a-z0-9]+", parted)}


def plain(name: str) -> str:
    return " ".join(sorted(words(name)))


def _akin(one: set[str], other: set[str]) -> bool:
    return bool(one) and bool(other - {""}) and (one <= other or other <= one)


def read(text: str) -> Facts:
    facts = Facts(text[:LONGEST_TEXT])
    for value in _json_in(facts.text):
        facts.whole.append(value)
        _note(value, facts.named)
    for line in facts.text.splitlines():
        if match := LINE.match(line):
            facts.named.setdefault(plain(match[1]), match[2].strip())
    return facts


def of(value: Any) -> Facts:
    """An item of a list, as if it were all there is."""
    facts = Facts(value if isinstance(value, str) else json.dumps(value), whole=[value])
    _note(value, facts.named)
    if isinstance(value, str):
        facts.named |= read(value).named
    return facts


def _note(value: Any, named: dict[str, Any]) -> None:
    """The outermost value of a name wins."""
    level = [value]
    while level:
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                for key, inner in each.items():
                    named.setdefault(plain(key), inner)
                    below.append(inner)
            elif isinstance(each, list):
                below.extend(each[:20])
        level = below


def _json_in(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    at, tried = 0, 0
    while tried < MOST_JSON and (found := re.compile(r"[{\[]").search(text, at)):
        tried += 1
        try:
            value, at = decoder.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            at = found.start() + 1
            continue
        if value:
            yield value
