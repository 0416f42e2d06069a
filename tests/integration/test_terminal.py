from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

from dev.terminal import Terminal
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path


class Screen(io.StringIO):
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()


def ignore() -> None:
    return


def test_words_and_logs_are_shown_by_name(tmp_path: Path) -> None:
    screen = Screen()
    log = tmp_path / "log"
    log.write_bytes(b"first\nsecond, unfin")
    terminal = Terminal(screen, ignore)
    terminal.follow("gateway", log)
    terminal.say("one\ntwo")
    wait_until(lambda: "gateway │ first" in screen.lines())
    with log.open("ab") as more:
        more.write(b"ished\n\xff" + b"x" * 100_000 + b"\n")
    wait_until(lambda: len(screen.lines()) == 5)
    terminal.close()
    assert "gateway │ second, unfinished" in screen.lines()
    assert [line for line in screen.lines() if "perdure" in line] == [
        "perdure │ one",
        "perdure │ two",
    ]


def test_what_was_said_last_is_shown_before_the_end() -> None:
    screen = Screen()
    terminal = Terminal(screen, ignore)
    terminal.say("stopped")
    terminal.close()
    assert screen.lines() == ["perdure │ stopped"]


def test_a_terminal_that_is_gone_is_noticed_and_never_raises() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    noticed = threading.Event()
    terminal = Terminal(Gone(), noticed.set)
    terminal.say("anybody there?")
    assert noticed.wait(20)
    terminal.say("still there?")
    terminal.close()
