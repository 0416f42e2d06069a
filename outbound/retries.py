from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def retry_after(
    value: str | None, now: datetime, most: timedelta = timedelta(hours=1)
) -> timedelta | None:
    """Seconds or a date, at most `most`; None where the other side names no later time."""
    value = (value or "").strip()
    if re.fullmatch("[0-9]+", value):
        wait = timedelta(seconds=int(value[-9:]) if len(value) < 10 else 10**9)
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return min(wait, most) if wait > timedelta(0) else None
