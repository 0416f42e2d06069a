"""What tools ask of business data: each question is one statement, in a file of `queries`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store.pool import Pool

FOLDER = Path(__file__).parent
PARAMETER = re.compile(r"(?<!:):([a-z_]+)")
# The first line of a query that finds deals, which are told in the same way everywhere.
OF_DEALS = "-- deals\n"


@dataclass(frozen=True)
class Query:
    """A statement whose parameters are numbered in the order of `parameters`."""

    sql: str
    parameters: tuple[str, ...]

    @staticmethod
    def read(text: str) -> Query:
        parameters = tuple(dict.fromkeys(PARAMETER.findall(text)))
        if "workspace" not in parameters:
            raise ValueError("a query of business data is bound to :workspace")
        numbered = PARAMETER.sub(lambda found: f"${parameters.index(found[1]) + 1}", text)
        return Query(numbered, parameters)

    def values(self, workspace: str, arguments: Mapping[str, Any]) -> list[Any]:
        given = {**arguments, "workspace": workspace}
        if odd := given.keys() ^ set(self.parameters):
            raise TypeError(f"the query does not take, or lacks: {', '.join(sorted(odd))}")
        return [given[name] for name in self.parameters]


def load(folder: Path = FOLDER) -> dict[str, Query]:
    """By the file's name."""
    around = (folder / "deals.sql").read_text("utf-8")
    texts = {file.stem: file.read_text("utf-8") for file in sorted(folder.glob("queries/*.sql"))}
    return {
        name: Query.read(around.replace("{query}", text) if text.startswith(OF_DEALS) else text)
        for name, text in texts.items()
    }


class CRM:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queries = load()

    async def ask(self, query: str, workspace: str, arguments: Mapping[str, Any]) -> Any:
        """The answer as JSON values; None where there is no such thing in this workspace."""
        asked = self._queries[query]
        rows = await self._pool.fetch_filtered(asked.sql, *asked.values(workspace, arguments))
        return rows[0][0] if rows else None
