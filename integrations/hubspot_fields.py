"""One record of HubSpot, field by field: of what cannot be read the rest stays."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integrations.hubspot_api import Json

T = TypeVar("T")

NAME = 1000  # characters
BODY = 200_000  # characters
CENT = Decimal("0.01")
TOO_MUCH = Decimal(10) ** 16
LARGEST_INTEGER = 2**31 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS = re.compile(r"-?\d{1,15}", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
BREAKING = frozenset({"br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "blockquote"})
UNSEEN = frozenset({"script", "style", "head"})


@dataclass
class Notes:
    """What a person should know of a page: records that are lost, and values that are."""

    faults: list[str] = field(default_factory=list[str])
    remarks: list[str] = field(default_factory=list[str])


class Fields:
    def __init__(self, what: str, found: Json, notes: Notes) -> None:
        self.id = str(found["id"])
        self.found = found
        self._what = what
        properties = found.get("properties")
        self._properties: dict[str, Any] = properties if isinstance(properties, dict) else {}
        self._notes = notes

    def lose(self, words: str) -> None:
        """The record cannot be told."""
        self._notes.faults.append(f"{self._what} {self.id}: {words}")

    def remark(self, words: str) -> None:
        self._notes.remarks.append(f"{self._what} {self.id}: {words}")

    def text(self, name: str, longest: int = NAME) -> str | None:
        value = self._properties.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            self.remark(f"{name} is no text")
            return None
        text = storable(value)
        if len(text) > longest:
            self.remark(f"{name} has {len(text)} characters and was cut to {longest}")
        return text[:longest] or None

    def plain(self, name: str) -> str | None:
        """What a person reads of a text that may be HTML."""
        text = self.text(name, longest=BODY)
        return (_plain(text) if text and "<" in text else text) or None

    def reference(self, name: str) -> str | None:
        """The id of another record."""
        return self.text(name, longest=200)

    def chosen(self, name: str, known: Mapping[str, T]) -> T | None:
        text = self.text(name)
        if text is not None and text not in known:
            self.remark(f"{name} is {text[:60]!r}, which is not known here")
        return known.get(text) if text is not None else None

    def moment(self, name: str) -> datetime | None:
        text = self.text(name)
        return None if text is None else self._read(name, text, moment)

    def day(self, name: str, zone: ZoneInfo) -> date | None:
        text = self.text(name)
        return None if text is None else self._read(name, text, lambda given: day(given, zone))

    def money(self, name: str) -> Decimal | None:
        text = self.text(name)
        return None if text is None else self._read(name, text, money)

    def integer(self, name: str) -> int | None:
        text = self.text(name)
        return None if text is None else self._read(name, text, _integer)

    def told(self, name: str) -> datetime | None:
        """A time beside the properties: `createdAt`, `updatedAt`, `archivedAt`."""
        value = self.found.get(name)
        return self._read(name, value, moment) if isinstance(value, str) else None

    def _read(self, name: str, text: str, read: Any) -> Any:
        try:
            return read(text)
        except (ValueError, OverflowError, InvalidOperation):
            self.remark(f"{name} is {text[:60]!r}, which cannot be read")
            return None


def dicts(value: Any) -> list[Json]:
    """The objects of a list, where there is one."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def storable(text: str) -> str:
    """Neither a database nor JSON takes a NUL or half a character."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def moment(text: str) -> datetime:
    if MILLISECONDS.fullmatch(text):
        return EPOCH + timedelta(milliseconds=int(text))
    read = datetime.fromisoformat(text)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def day(text: str, zone: ZoneInfo) -> date:
    """Times of day that stand for a date are those of the account's own time zone."""
    if DAY.fullmatch(text):
        return date.fromisoformat(text)
    return moment(text).astimezone(zone).date()


def money(text: str) -> Decimal:
    amount = Decimal(text)
    if not amount.is_finite() or abs(amount) >= TOO_MUCH:
        raise ValueError(text)
    return amount.quantize(CENT)


def _integer(text: str) -> int:
    number = int(Decimal(text))
    if abs(number) > LARGEST_INTEGER:
        raise ValueError(text)
    return number


class _Plain(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self._unseen += tag in UNSEEN
        if tag in BREAKING:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in UNSEEN))

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data)


def _plain(html: str) -> str:
    parser = _Plain()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
