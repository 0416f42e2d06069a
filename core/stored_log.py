"""Pages of a log that was stored when its run ended; the cursors are those of the live log."""

from collections.abc import Iterable, Iterator

from core.cursor import Cursor, Position
from core.event import LogEvent
from core.log import Entry

OUTCOMES = ("step.finished", "step.failed", "step.cancelled", "step.waiting", "model.called")


def entries(events: Iterable[LogEvent], after: Cursor | None) -> Iterator[Entry]:
    """A retry stands before the outcome of its step: told are those of outcomes told."""
    start = after or Cursor((0, 0, 0))
    here: Position = (0, 0, 0)
    told: dict[str, tuple[int, int]] = {}  # by step: its activity and the attempt told
    retries: list[tuple[LogEvent, int, int]] = []
    for event in events:
        part, history, line = event.id.split(".")
        if line.startswith("a"):
            retries.append((event, int(history), int(line[1:])))
            continue
        place = (int(part), int(history), int(line))
        for retry, scheduled, attempt in retries:
            told[retry.step or ""] = scheduled, attempt
            known = start.told.get(scheduled, 1) if start.position[0] == place[0] else 1
            if place > start.position and attempt > known:
                yield retry, _cursor(max(here, start.position), told)
        retries.clear()
        here = place
        if event.kind in OUTCOMES:
            told.pop(event.step or "", None)
        if place > start.position:
            yield event, _cursor(place, told)


def _cursor(place: Position, told: dict[str, tuple[int, int]]) -> str:
    return str(Cursor(place, dict(told.values())))
