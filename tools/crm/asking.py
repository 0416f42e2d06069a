"""How the tools ask: filters by name become ids before the question is put."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from core.tool import ToolContext

# What an argument means, once its word is known.
FILTERS = {
    "pipeline": "pipelines",
    "stage": "stages",
    "owner": "owners",
    "segment": "segments",
    "category": "categories",
}
NAMED_AT_MOST = 20


class CRM(Protocol):
    async def ask(self, query: str, workspace: str, arguments: Mapping[str, Any]) -> Any:
        """The answer of one named query; None where there is no such thing in this workspace."""
        ...


class NoCRM:
    """For a registry that is only read: nothing can be called."""

    async def ask(self, *_: Any, **__: Any) -> Any:
        raise InvalidArguments("there is no business data here")


class Asking:
    def __init__(self, crm: CRM) -> None:
        self._crm = crm

    async def __call__(
        self, query: str, arguments: BaseModel, context: ToolContext, **more: Any
    ) -> Any:
        workspace = context.run.workspace
        given = arguments.model_dump()
        words = {name: given.pop(name) for name in FILTERS if name in given}
        meant = await self._meant(workspace, words)
        return await self._crm.ask(query, workspace, given | meant | more)

    async def _meant(
        self, workspace: str, words: dict[str, str | None]
    ) -> dict[str, list[str] | None]:
        if not any(words.values()):
            return {FILTERS[name]: None for name in words}
        asked = dict.fromkeys(FILTERS) | words
        found = await self._crm.ask("names", workspace, asked)
        return {
            FILTERS[name]: None if word is None else ids_of(name, word, found[name])
            for name, word in words.items()
        }


def ids_of(name: str, word: str, found: Mapping[str, list[str]]) -> list[str]:
    if found["ids"]:
        return found["ids"]
    known = found["known"]
    lowered = {each.lower(): each for each in known}
    nearest = difflib.get_close_matches(word.lower(), lowered, n=1)
    hint = f"; did you mean {lowered[nearest[0]]!r}?" if nearest else "."
    more = ", …" if len(known) > NAMED_AT_MOST else ""
    there = ", ".join(known[:NAMED_AT_MOST]) + more if known else "none"
    raise InvalidArguments(f"{name}: there is no {name} {word[:80]!r}{hint} There are: {there}")
