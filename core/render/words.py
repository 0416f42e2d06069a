"""Text from models and from other people's data, made safe to show anywhere."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlsplit

from core.money import short
from core.report import DealRef, Severity

# Control characters, and those that make a line read backwards.
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]"
)
URL = re.compile(r"https?://[^\s<>\"'`|\\]+[^\s<>\"'`|\\.,;:!?)\]}]")
LONGEST_URL = 2_000
CIRCLE: dict[Severity, str] = {"high": "🔴", "medium": "🟠", "low": "⚪"}
BY_DEMO = (
    "Written by the built-in demo model, which follows rules instead of thinking:"
    " connect a real model to get its judgement."
)


def clean(text: str) -> str:
    """Keeps newlines and tabs."""
    return UNSEEN.sub("", text.replace("\r\n", "\n"))


def line(text: str, longest: int) -> str:
    return cut(" ".join(clean(text).split()), longest)


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def web(url: str | None) -> str | None:
    """The address, if it is one that may be linked."""
    if url is None or len(url) > LONGEST_URL or UNSEEN.search(url) or re.search(r"\s", url):
        return None
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return None
    return url if known else None


def title_of(slug: str) -> str:
    """`single_threaded` as a heading: Single threaded."""
    words = " ".join(re.split(r"[_\-\s]+", line(slug, 80))).strip()
    return words[:1].upper() + words[1:]


def counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def moment(at: datetime) -> str:
    return f"{at.day} {at:%B %Y, %H:%M} {at.tzname() or ''}".rstrip()


def facts(deal: DealRef) -> list[str]:
    """What stands beside a deal's name."""
    amount = None if deal.amount is None else short(deal.amount, deal.currency)
    return [line(fact, 80) for fact in (amount, deal.stage, deal.owner) if fact]
