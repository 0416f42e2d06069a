from __future__ import annotations

from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from perdure.errors import NotUnderstood

Item = TypeVar("Item")


class Answer(BaseModel):
    """What the gateway says: immutable, and open to fields that newer gateways add."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @classmethod
    def read(cls, answer: Any) -> Self:
        try:
            return cls.model_validate(answer)
        except ValidationError as error:
            raise _not_understood(error) from error

    @classmethod
    def read_json(cls, answer: str) -> Self:
        try:
            return cls.model_validate_json(answer)
        except ValidationError as error:
            raise _not_understood(error) from error

    def document(self) -> dict[str, Any]:
        """As the gateway said it, without the defaults of fields it left out."""
        return self.model_dump(mode="json", exclude_unset=True)


class Page(Answer, Generic[Item]):
    items: tuple[Item, ...]
    next_cursor: str | None = None


def _not_understood(error: ValidationError) -> NotUnderstood:
    fault = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"]) or "it"
    return NotUnderstood(
        f"the gateway's answer is not understood ({place}: {fault['msg']}): is it of this version?"
    )
