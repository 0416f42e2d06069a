"""Pages of lists that are short enough to be read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from store.page import Page, decode_id, encode_cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")


def page_of(
    items: Iterable[Item], name: Callable[[Item], str], limit: int, cursor: str | None
) -> Page[Item]:
    after = decode_id(cursor) if cursor else ""
    rest = sorted((item for item in items if name(item) > after), key=name)
    shown = rest[:limit]
    return Page(shown, encode_cursor(name(shown[-1])) if len(rest) > limit else None)
