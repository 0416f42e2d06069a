"""What a source of business data must be able to do."""

from datetime import datetime
from typing import Protocol

from pydantic import Field

from core.crm import Kind, Record
from core.model import Frozen


class Page(Frozen):
    """`next` is where the next page begins, in the connector's own words; None ends the pass."""

    records: tuple[Record, ...] = ()
    next: str | None = Field(None, max_length=4000)
    # Rows that could not be read, each as one sentence for a person; they are not lost silently.
    faults: tuple[str, ...] = ()


class Connector(Protocol):
    """One source, opened for one pass. A page may be asked for again: the same answer, or a newer.

    Failures are those of `core.errors`; what a retry can heal says so, with `retry_after`.
    """

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What it tells of, in the order in which it should be read."""
        ...

    async def page(self, kind: Kind, since: datetime | None, cursor: str | None) -> Page:
        """Changed at or after `since` (None: all), tombstones included, from `cursor` on."""
        ...

    def lists_all(self, kind: Kind, since: datetime | None) -> bool:
        """Whether a whole pass names all that exists, so that what it did not name is gone."""
        ...
