from __future__ import annotations

from typing import Literal

FaultKind = Literal["syntax", "evaluation", "fuel"]


class ExpressionFault(Exception):
    """The one way an expression fails; a position counts characters from 0."""

    def __init__(
        self, message: str, position: int | None = None, kind: FaultKind = "evaluation"
    ) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.kind: FaultKind = kind

    def at(self, position: int) -> ExpressionFault:
        """Keeps the innermost position: that is where the reader has to look."""
        if self.position is None:
            self.position = position
        return self

    def __str__(self) -> str:
        if self.position is None:
            return self.message
        return f"{self.message} (at character {self.position + 1})"


class OutOfFuel(ExpressionFault):
    """Its own class so that `&&`, `||`, `all` and `exists`, which absorb faults, let it pass."""


def syntax_fault(message: str, position: int) -> ExpressionFault:
    return ExpressionFault(message, position, "syntax")
