import re
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header, Query
from pydantic import AfterValidator

LONGEST_WAIT = 300
WAIT = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})(\.\d*)?"?\s*(;.*)?', re.IGNORECASE)
VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")


def _visible(key: str) -> str:
    if not VISIBLE.fullmatch(key):
        raise ValueError("expected 1 to 255 visible ASCII characters")
    return key


IdempotencyKey = Annotated[
    Annotated[str, AfterValidator(_visible)] | None,
    Header(
        description="makes the request safe to repeat: the same key and body give the same run, "
        "for ever; with another body it is 409 `idempotency_key_reused`"
    ),
]


class Patience:
    """How long the caller will wait for the end, and whether a header asked for it."""

    def __init__(self, seconds: int, applied: str | None) -> None:
        self.length = timedelta(seconds=seconds)
        self.headers = {"Preference-Applied": applied} if applied else {}


async def patience(
    wait: Annotated[
        int | None, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait for the end")
    ] = None,
    prefer: Annotated[
        list[str] | None, Header(description="`wait=SECONDS`, at most 300: wait for the end")
    ] = None,
) -> Patience:
    if wait is not None:
        return Patience(wait, None)
    for preference in ",".join(prefer or ()).split(","):
        if asked := WAIT.fullmatch(preference):
            seconds = min(int(asked[1]), LONGEST_WAIT)
            return Patience(seconds, f"wait={seconds}")
    return Patience(0, None)


Wait = Annotated[Patience, Depends(patience)]
