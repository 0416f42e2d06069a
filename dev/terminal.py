from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOK_EVERY = 0.2  # seconds
LAST_WORDS = 2.0  # seconds for a terminal that may be blocked
COLOURS = {"gateway": "36", "worker": "35", "perdure": "32"}


class Terminal:
    """Shows our words and the children's logs, from a thread: a blocked terminal blocks nothing."""

    def __init__(self, when_gone: Callable[[], object]) -> None:
        self._when_gone = when_gone
        self._words: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._tails: list[_Tail] = []
        self._was_terminal = os.isatty(1)
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
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
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
        if self._was_terminal and not os.isatty(1):
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
            sys.stdout.write(f"{label} {line}\n")
        sys.stdout.flush()


class _Tail:
    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self._file = log.open("rb")
        self._rest = b""

    def news(self) -> list[str]:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line.decode(errors="replace") for line in lines]
