from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and, where it is wrong, the sentence that mends it."""

    name: str
    ok: bool
    said: str
    mend: str | None = None

    def document(self) -> dict[str, Any]:
        return asdict(self)


def well(name: str, said: str) -> Check:
    return Check(name, ok=True, said=said)


def wrong(name: str, said: str, mend: str) -> Check:
    return Check(name, ok=False, said=said, mend=mend)
