"""How far a sync came with the records of one kind, in words."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from perdure.source import Tally


def so_far(output: Any) -> str:
    """The words for a part of a sync; none where it is something else."""
    if not isinstance(output, dict) or not isinstance(output.get("tally"), dict):
        return ""
    tally = tally_of(output["tally"])
    told = [
        f"{count:,} {name}"
        for name, count in (
            ("read", tally.read),
            ("written", tally.written),
            ("deleted", tally.deleted),
            ("not readable", tally.faults),
        )
        if count or name == "read"
    ]
    return ", ".join(told)


def tally_of(value: Any) -> Tally:
    try:
        return Tally.model_validate(value)
    except ValidationError:
        return Tally()
