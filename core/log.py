"""The log of a run: a pure function of its history, the same for whoever reads it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from core.cursor import Cursor, Position
from core.event import LogEvent
from core.fold import Fold, Notes
from core.history import Attempted, Cancelled, Closed, Failed, Happened
from core.line import LOST, Line, Open, Retry
from core.shown import shown_failure

Entry = tuple[LogEvent, str]  # with the cursor that continues after it


def wants_notes(events: Iterable[Happened]) -> bool:
    """Whether reading these may need the notes of failed attempts."""
    return any(
        isinstance(event, Failed | Cancelled | Closed)
        or (isinstance(event, Attempted) and event.attempt > 1)
        for event in events
    )


class Log:
    """Reads the history of one execution, part by part, and is silent up to a cursor."""

    def __init__(self, after: Cursor | None = None) -> None:
        self._after = after or Cursor((0, 0, 0))
        self._fold = Fold()
        self._position: Position = (0, 0, 0)
        self._turn_to(0)

    @property
    def attempting(self) -> bool:
        """Whether an activity is open, so that retries may be pending."""
        return any(step.activity is not None for step in self._fold.open.values())

    def read(self, part: int, events: Iterable[Happened], notes: Notes) -> Iterator[Entry]:
        if part != self._part:
            self._turn_to(part)
        for event in events:
            yield from self._numbered(event, notes)

    def pending(self, attempts: Mapping[str, int], notes: Notes) -> Iterator[Entry]:
        """Retries the history does not show yet; `attempts` says where each open activity is.

        An attempt without a note is told later, by the activity's end: only then is it certain
        what every reader will see of it.
        """
        for key, step in self._fold.open.items():
            noted = notes.get(step.activity or "", {})
            while step.told < attempts.get(step.activity or "", 1) and step.told in noted:
                step.told += 1
                yield self._retry(key, step, notes)

    def _turn_to(self, part: int) -> None:
        self._part = part
        self._fold.next_part(self._after.told if self._after.position[0] == part else {})

    def _numbered(self, event: Happened, notes: Notes) -> Iterator[Entry]:
        number = 0
        for line in self._fold.lines(event, notes):
            place = (self._part, event.id, number)
            silent = place <= self._after.position
            if isinstance(line, Retry):
                step = self._fold.open[line.scheduled]
                step.told = line.attempt
                if not silent:
                    yield self._retry(line.scheduled, step, notes)
                continue
            self._position, number = place, number + 1
            if not silent:
                yield self._entry("{}.{}.{}".format(*place), event.at, line)

    def _retry(self, scheduled: int | str, step: Open, notes: Notes) -> Entry:
        note = notes.get(step.activity or "", {}).get(step.told - 1)
        why, at = (note.failure, note.at) if note else (LOST, step.at)
        line = Line("step.retrying", step.step, step.told, shown_failure(why))
        return self._entry(f"{self._part}.{scheduled}.a{step.told}", at, line)

    def _entry(self, name: str, at: datetime, line: Line) -> Entry:
        event = LogEvent(
            id=name,
            at=at,
            kind=line.kind,
            step=line.step,
            attempt=line.attempt,
            data=dict(line.data or {}),
        )
        told = {
            key: step.told
            for key, step in self._fold.open.items()
            if step.told > 1 and isinstance(key, int)
        }
        return event, str(Cursor(self._position, told))
