import re
from dataclasses import dataclass, field

from core.errors import FieldFault, Invalid

WRITTEN = re.compile(r"(\d{1,9})-(\d{1,9})-(\d{1,9})(?:~(\d{1,9}=\d{1,9}(?:,\d{1,9}=\d{1,9})*))?")
LONGEST = 40_000  # 2,000 pending activities, each with a retry told

Position = tuple[int, int, int]  # part of a continued run, history event, line made from it


@dataclass(frozen=True)
class Cursor:
    """Where a reader of a log stands.

    A retry has no place in history while it happens, so the retries told of activities still
    open travel along.
    """

    position: Position
    told: dict[int, int] = field(default_factory=dict[int, int])

    @staticmethod
    def parse(text: str) -> "Cursor":
        match = WRITTEN.fullmatch(text) if len(text) <= LONGEST else None
        if match is None:
            fault = FieldFault(field="cursor", message="expected a cursor of this log")
            raise Invalid("the cursor is not one of this log", [fault])
        part, event, line, told = match.groups()
        pairs = (pair.split("=") for pair in told.split(",")) if told else ()
        return Cursor(
            (int(part), int(event), int(line)),
            {int(scheduled): int(attempt) for scheduled, attempt in pairs},
        )

    def __str__(self) -> str:
        place = "-".join(map(str, self.position))
        told = ",".join(f"{scheduled}={attempt}" for scheduled, attempt in self.told.items())
        return f"{place}~{told}" if told else place
