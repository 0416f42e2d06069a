"""Who has the link may read the report: browsers cannot send a key."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from core.errors import Unauthorized

VALID_FOR = timedelta(days=30)
PURPOSE = b"perdure report links 1"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ReportTokens:
    """A token names its last day, and opens the report of one run until then.

    Signed with what is derived from the newest key, and read with all of them.
    """

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = tuple(hmac.digest(key, PURPOSE, "sha256") for key in keys)

    def make(self, run_id: str) -> str:
        day = (datetime.now(UTC) + VALID_FOR - EPOCH).days
        return f"{day}.{_signature(self._keys[0], run_id, day)}"

    def check(self, token: str, run_id: str) -> None:
        """Raises Unauthorized."""
        day, _, signature = token.partition(".")
        if not day.isascii() or not day.isdecimal() or len(day) > 7:
            raise Unauthorized("this link is not complete: open it again from where it came")
        known = (_signature(key, run_id, int(day)) for key in self._keys)
        matching = [hmac.compare_digest(each.encode(), signature.encode()) for each in known]
        if not any(matching):
            raise Unauthorized("this link is not for this report: open it again from its source")
        if (datetime.now(UTC) - EPOCH).days > int(day):
            raise Unauthorized("this link has expired: ask for a new one, or send a key")


def _signature(key: bytes, run_id: str, day: int) -> str:
    signed = hmac.new(key, f"{day}\n{run_id}".encode(), sha256).digest()
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
