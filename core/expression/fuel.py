"""Work is bounded by counting it, never by the clock: a replay must come to the same answer."""

from __future__ import annotations

from core.expression.fault import OutOfFuel

FUEL = 500_000


class Meter:
    """Fuel for one evaluation. A unit is at most about 0.4 µs of work and 16 bytes of new text."""

    __slots__ = ("left", "limit")

    def __init__(self, limit: int = FUEL) -> None:
        self.limit = limit
        self.left = limit

    @property
    def spent(self) -> int:
        return self.limit - self.left

    def charge(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise exhausted(self)


def exhausted(meter: Meter) -> OutOfFuel:
    meter.left = 0
    return OutOfFuel(
        f"out of fuel: this takes more than the {meter.limit:,} units of work"
        " that an expression may spend",
        kind="fuel",
    )


def text_cost(text: str) -> int:
    """What building a text costs: sixteen characters a unit, eight where they are wide."""
    return len(text) >> (4 if text.isascii() else 3)


def search_cost(length: int, wanted: int) -> int:
    """What finding a text in another costs; CPython searches short texts in quadratic time."""
    quadratic = length < 2_500 or (wanted < 100 and length < 30_000)
    return 1 + (length >> 6) + (length * wanted >> 11 if quadratic else 0)
