"""Numbers as a report says them: short, and never rounded to something else."""

import re
from decimal import Decimal

SCALES = ((10**9, "B"), (10**6, "M"), (10**3, "k"))
CURRENCY = re.compile(r"[A-Z]{3}")


def short(amount: float, currency: str | None = None) -> str:
    """Three digits or more: `USD 1.23M`, `EUR 128k`, `GBP 8.5k`, `950`."""
    sign, size = ("−" if amount < 0 else ""), abs(amount)
    for scale, letter in SCALES:
        # What would round to 1000 of a scale is 1 of the next.
        if size >= scale * 0.9995:
            text = _digits(size / scale) + letter
            break
    else:
        text = _digits(size)
    return f"{sign}{currency} {text}" if currency else f"{sign}{text}"


def said(value: float, unit: str | None) -> str:
    if unit and CURRENCY.fullmatch(unit):
        return short(value, unit)
    text = _digits(value) if abs(value) < 100 else f"{value:,.0f}"
    text = text.replace("-", "−")
    return f"{text} {unit}" if unit else text


def change(value: float, before: float, unit: str | None) -> str:
    difference = value - before
    if not difference:
        return "unchanged"
    return ("+" if difference > 0 else "") + said(difference, unit)


def _digits(size: float) -> str:
    places = 0 if abs(size) >= 99.95 else 1 if abs(size) >= 9.995 else 2
    text = f"{Decimal(repr(float(size))):.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
