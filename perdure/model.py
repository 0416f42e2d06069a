from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")


class Answer(BaseModel):
    """What the gateway says: immutable, and open to fields that newer gateways add."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def document(self) -> dict[str, Any]:
        """As the gateway said it, without the defaults of fields it left out."""
        return self.model_dump(mode="json", exclude_unset=True)


class Page(Answer, Generic[Item]):
    items: tuple[Item, ...]
    next_cursor: str | None = None
