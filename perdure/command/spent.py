"""What models took, in words: tokens and dollars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.run import LogEvent

SMALLEST = 0.0001  # dollars


@dataclass
class Spent:
    """Sums over calls; one whose cost is unknown is never counted as free."""

    calls: int = 0
    tokens: int = 0
    cost: float = 0
    unpriced: int = 0

    def add(self, called: LogEvent) -> None:
        if was_paid_before(called):
            return
        cost = called.data.get("cost")
        self.calls += 1
        self.tokens += tokens_of(called)
        if isinstance(cost, int | float):
            self.cost += cost
        else:
            self.unpriced += 1

    @property
    def words(self) -> str:
        if not self.calls:
            return ""
        if self.unpriced == self.calls:
            return f"{counted(self.tokens)}, cost unknown"
        rest = f" and {self.unpriced} of unknown cost" if self.unpriced else ""
        return f"{counted(self.tokens)}, {dollars(self.cost)}{rest}"


def was_paid_before(called: LogEvent) -> bool:
    """By an earlier run: a first attempt that found its answer stored bought nothing."""
    return bool(called.data.get("stored")) and (called.attempt or 1) == 1


def tokens_of(called: LogEvent) -> int:
    found = called.data.get("tokens")
    counts = found.values() if isinstance(found, dict) else ()
    return sum(count for count in counts if isinstance(count, int))


def call_words(called: LogEvent) -> str:
    """One call: its model, its tokens, and its cost."""
    data = called.data
    model = str(data.get("model") or "a model")
    if data.get("key_source") == "demo" and "demo" not in model:
        model = f"{model} (demo)"
    if was_paid_before(called):
        return f"{model}  paid for before"
    cost = data.get("cost")
    price = dollars(cost) if isinstance(cost, int | float) else "cost unknown"
    about = "about " if data.get("estimated") else ""
    return f"{model}  {about}{counted(tokens_of(called))}, {price}"


def counted(tokens: int) -> str:
    return f"{tokens:,} token{'' if tokens == 1 else 's'}"


def dollars(cost: float) -> str:
    if 0 < cost < SMALLEST:
        return f"under ${SMALLEST}"
    return f"${cost:,.2f}" if cost >= 1 or cost == 0 else f"${cost:.4f}"


def in_all(document: dict[str, Any]) -> str:
    """The totals of a run, as the gateway tells them; nothing where no model was called."""
    usage = document.get("token_usage")
    total = usage.get("total") if isinstance(usage, dict) else None
    if not total:
        return ""
    cost = document.get("cost")
    return f"{counted(total)}, {dollars(cost) if cost is not None else 'cost unknown'}"
