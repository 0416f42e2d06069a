"""Collects what is wrong in a bundle, with its place and the nearest right name."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import Literal, NamedTuple

from core.errors import FieldFault, InvalidSkill
from core.skill import Fault

MAX_FAULTS = 100
MAX_STRANGERS = 20
FEW = 12
LONGEST_WORD = 80

Severity = Literal["error", "warning"]


class Place(NamedTuple):
    """Counted from 1, as editors do."""

    line: int
    column: int | None = None


@dataclass
class Faults:
    """Stops listening after the hundredth, so that a hostile bundle cannot make a long answer."""

    found: list[Fault] = field(default_factory=list[Fault])

    @property
    def failed(self) -> bool:
        return any(fault.severity == "error" for fault in self.found)

    @property
    def full(self) -> bool:
        return len(self.found) >= MAX_FAULTS

    def error(self, file: str, message: str, place: Place | None = None) -> None:
        self._add(file, message, place, "error")

    def warn(self, file: str, message: str, place: Place | None = None) -> None:
        # A warning never takes the place of an error.
        if len(self.found) < MAX_FAULTS // 2:
            self._add(file, message, place, "warning")

    def in_order(self) -> tuple[Fault, ...]:
        """Each once, by file and line, whatever found it."""
        once = dict.fromkeys(self.found)
        return tuple(
            sorted(once, key=lambda fault: (fault.file, fault.line or 0, fault.column or 0))
        )

    def _add(self, file: str, message: str, place: Place | None, severity: Severity) -> None:
        if self.full:
            return
        line, column = place or (None, None)
        self.found.append(
            Fault(file=file, line=line, column=column, message=message, severity=severity)
        )


def refusal(faults: Iterable[Fault]) -> InvalidSkill:
    """What a caller is told; `data["faults"]` holds all of them, warnings too."""
    told = list(faults)
    errors = [fault for fault in told if fault.severity == "error"]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return InvalidSkill(
        f"{errors[0]}{more}" if errors else "the bundle cannot be used",
        errors=[FieldFault(field=_place(fault), message=fault.message) for fault in errors],
        faults=[fault.model_dump(mode="json") for fault in told],
    )


def _place(fault: Fault) -> str:
    return ":".join(str(part) for part in (fault.file, fault.line, fault.column) if part)


def strangers(words: Iterable[str], known: Container[str]) -> list[str]:
    """Those not known, but no more than anybody reads: looking for what was meant is slow."""
    return list(islice((word for word in words if word not in known), MAX_STRANGERS))


def near(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: what was meant, or what there is."""
    names = sorted(known)
    closest = nearest(word, names)
    if closest is not None:
        return f"; did you mean `{closest}`?"
    if 0 < len(names) <= FEW:
        return f"; there is {', '.join(f'`{name}`' for name in names)}"
    return ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    if len(word) > LONGEST_WORD:
        return None
    spelled = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), spelled, n=1, cutoff=0.6)
    return spelled[found[0]] if found else None


def quoted(word: object) -> str:
    """A word of the author in a message: marked, and never long."""
    text = str(word)
    cut = text if len(text) <= LONGEST_WORD else text[: LONGEST_WORD - 1] + "…"
    return f"`{cut}`"
