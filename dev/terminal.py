from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOK_EVERY = 0.2  # seconds
LAST_WORDS = 2.0  # seconds for a terminal that may be blocked
COLOURS = {"gateway": "36", "worker": "35", "perdure": "32"}


class Terminal:
    """Shows our words and the children's logs, from a thread: a blocked terminal blocks nothing."""

    def __init__(self, screen: TextIO, when_gone: Callable[[], object]) -> None:
        self._screen = screen
        self._when_gone = when_gone
        self._words: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._tails: list[_Tail] = []
        self._was_terminal = screen.isatty()
        self._coloured = self._was_terminal and not os.environ.get("NO_COLOR")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        self._words.put(text)

    def follow(self, name: str, log: Path) -> None:
        self._tails.append(_Tail(name, log))

    def close(self) -> None:
        self._words.put(None)
        self._thread.join(LAST_WORDS)

    def _run(self) -> None:
        try:
            self._show_until_closed()
        except (OSError, ValueError):
            # Nobody reads any more; what is said from here on stays unheard.
            self._when_gone()

    def _show_until_closed(self) -> None:
        while True:
            try:
                text = self._words.get(timeout=LOOK_EVERY)
            except queue.Empty:
                self._check_terminal()
            else:
                if text is None:
                    self._show_tails()
                    return
                self._show("perdure", text)
            self._show_tails()

    def _check_terminal(self) -> None:
        """A session leader other than us gets the hang-up alone."""
        if self._was_terminal and not self._screen.isatty():
            raise OSError("the terminal is gone")

    def _show_tails(self) -> None:
        for tail in self._tails:
            for line in tail.news():
                self._show(tail.name, line)

    def _show(self, name: str, text: str) -> None:
        label = f"{name:8}│"
        if self._coloured:
            label = f"\x1b[{COLOURS.get(name, '33')}m{label}\x1b[0m"
        for line in text.split("\n"):
            self._screen.write(f"{label} {line}\n")
        self._screen.flush()


class _Tail:
    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self._log = log
        self._seen = 0
        self._rest = b""

    def news(self) -> list[str]:
        with self._log.open("rb") as log:
            log.seek(self._seen)
            new = log.read()
        self._seen += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        return [line.decode(errors="replace") for line in lines]
