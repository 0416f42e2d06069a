"""A run as it goes on: a few lines that move on a terminal, lines that stay elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from perdure.command.output import Piece, Styled
from perdure.command.plain import one_line
from perdure.command.progress import Progress, StepProgress, step_pieces

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.console import Group, RenderableType
    from rich.text import Text

    from perdure.command.output import Output
    from perdure.run import LogEvent

REFRESH = 8  # a second
MARGIN = 6  # lines of the screen left to others


class Watcher(Protocol):
    def see(self, event: LogEvent) -> None: ...


@contextmanager
def watching(output: Output, title: str, run_id: str) -> Generator[Watcher]:
    if output.form == "json":
        yield Silent()
    elif sys.stderr.isatty():
        from rich.live import Live

        screen = Screen(title, output.errors.height, Progress(run_id))
        with Live(
            get_renderable=screen.picture, console=output.errors, refresh_per_second=REFRESH
        ) as live:
            yield screen
            live.refresh()
    else:
        yield Lines(output, Progress(run_id))


class Silent:
    def see(self, event: LogEvent) -> None:
        """The document at the end says everything."""


class Lines:
    def __init__(self, output: Output, progress: Progress) -> None:
        self._output = output
        self._progress = progress

    def see(self, event: LogEvent) -> None:
        for line in self._progress.see(event):
            self._output.note(*line)
        sys.stderr.flush()


class Screen:
    def __init__(self, title: str, height: int, progress: Progress) -> None:
        self._title = title
        self._room = max(height - MARGIN, 3)
        self._progress = progress

    def see(self, event: LogEvent) -> None:
        self._progress.see(event)

    def picture(self) -> Group:
        from rich.console import Group

        return Group(*self._lines())

    def _lines(self) -> list[RenderableType]:
        progress = self._progress
        # The refreshing thread draws while events come in.
        steps = list(progress.steps.values())
        shown, hidden = most_telling(steps, self._room)
        spent = Styled(f"  {progress.spent.words}", "dim")
        title = [Styled(self._title, "bold"), f"  {progress.status}", spent]
        lines: list[RenderableType] = [_text(title)]
        if hidden:
            lines.append(_text([Styled(f"  … {hidden} more", "dim")]))
        now = datetime.now(UTC)
        for step in shown:
            lines.append(_text(["  ", *step_pieces(step, now)]))
            if step.is_open and step.known > 1:
                lines.append(_bar(step.done, step.known))
        lines += [_text([Styled("  … ", "yellow"), w]) for w in progress.waiting]
        return lines


def most_telling(steps: list[StepProgress], room: int) -> tuple[list[StepProgress], int]:
    """What goes on, then what ended last, in their order; and how many are left out."""
    order = {id(step): position for position, step in enumerate(steps)}
    by_weight = sorted(steps, key=lambda step: (step.is_open, order[id(step)]), reverse=True)
    shown = sorted(by_weight[:room], key=lambda step: order[id(step)])
    return shown, len(steps) - len(shown)


def _bar(done: int, total: int) -> RenderableType:
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar

    return Padding(ProgressBar(total=total, completed=min(done, total), width=40), (0, 0, 0, 4))


def _text(pieces: list[Piece]) -> Text:
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ellipsis")
    for piece in pieces:
        said = piece.text if isinstance(piece, Styled) else piece
        # Leading blanks are ours: they indent.
        blanks = said[: len(said) - len(said.lstrip(" "))]
        style = piece.style if isinstance(piece, Styled) else ""
        trailing = " " if said.endswith(" ") and said.strip() else ""
        text.append(blanks + one_line(said) + trailing, style)
    return text
