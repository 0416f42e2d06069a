"""Lists in pages: a cursor names the last row seen, so rows that come meanwhile move nothing."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from core.errors import FieldFault, Invalid

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    items: list[T]
    next_cursor: str | None = None


def encode_cursor(*place: str | datetime) -> str:
    """Opaque to callers, who would otherwise build on what is in it."""
    parts = [part.isoformat() if isinstance(part, datetime) else part for part in place]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def decode_id(cursor: str) -> str:
    match _parts(cursor):
        case [str(identity)]:
            return identity
        case _:
            raise _not_ours()


def decode_time_and_id(cursor: str) -> tuple[datetime, str]:
    match _parts(cursor):
        case [str(time), str(identity)]:
            try:
                at = datetime.fromisoformat(time)
            except ValueError:
                raise _not_ours() from None
            if at.tzinfo:
                return at, identity
        case _:
            pass
    raise _not_ours()


def _parts(cursor: str) -> object:
    try:
        return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        raise _not_ours() from None


def _not_ours() -> Invalid:
    message = "expected the `next_cursor` of the page before, unchanged"
    return Invalid(message, [FieldFault(field="cursor", message=message)])
