"""Whoever reads a log, and however often the line breaks, reads the same events, each once."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from core.cursor import Cursor
from core.event import LogEvent
from core.log import Log
from core.stored_log import entries
from tests.histories import AttemptNote, History, note, reply


@dataclass
class World:
    """A run that goes on while somebody reads: history, notes and what `describe` would say."""

    chance: random.Random
    parts: list[History] = field(default_factory=lambda: [History()])
    notes: dict[str, dict[int, AttemptNote]] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    ended: bool = False

    @property
    def history(self) -> History:
        return self.parts[-1]

    def described(self) -> dict[str, int]:
        offset = len(self.parts) * 1_000
        return {self.names[offset + number]: attempt for number, attempt in self.attempts.items()}

    def move(self) -> None:
        moves = [self.start, self.start, self.fail, self.fail, self.finish, self.finish]
        self.chance.choice([*moves, self.other, self.cancel, self.go_on])()

    def start(self) -> None:
        name = f"s{len(self.names)}"
        settled = [{"path": f"set{name}", "kind": "set", "status": "succeeded"}]
        settled = settled if self.chance.random() < 0.3 else []
        if self.chance.random() < 0.3:
            name = f"{name}.turn1"
            number = self.history.asks(name, settled=settled)
        else:
            number = self.history.tool(name, settled=settled)
        self.attempts[number] = 1
        self.names[len(self.parts) * 1_000 + number] = name

    def fail(self) -> None:
        """An attempt ends badly; what is lost with its worker leaves no note."""
        if not self.attempts:
            return
        number = self.chance.choice(list(self.attempts))
        name = self.names[len(self.parts) * 1_000 + number]
        attempt = self.attempts[number]
        if self.chance.random() < 0.8:
            written = note(name, attempt, len(self.history.events))
            self.notes.setdefault(name, {})[attempt] = written
            self.attempts[number] += 1

    def finish(self) -> None:
        if self.attempts:
            number = self.chance.choice(list(self.attempts))
            attempt = self.attempts.pop(number)
            lost = self.chance.random() < 0.2
            name = self.names[len(self.parts) * 1_000 + number]
            ends = [self._answer if name.endswith(".turn1") else self.history.done]
            end = self.chance.choice([*ends, *ends, self.history.fails, self._without_budget])
            end(number, attempt=attempt + lost)

    def _answer(self, number: int, attempt: int) -> None:
        self.history.told(number, reply("fine"), attempt)

    def _without_budget(self, number: int, attempt: int) -> None:
        self.history.fails(number, attempt, code="budget_exceeded")

    def cancel(self) -> None:
        if self.attempts and self.chance.random() < 0.5:
            number = self.chance.choice(list(self.attempts))
            del self.attempts[number]
            self.history.cancelled(number)

    def other(self) -> None:
        self.chance.choice([self.history.pause, self.history.resume, self._timer])()

    def _timer(self) -> None:
        self.history.timer_ends(self.history.timer(f"nap{len(self.history.events)}"))

    def go_on(self) -> None:
        if self.chance.random() < 0.2 and len(self.parts) < 4:
            self.history.closes("continued")
            self.attempts.clear()
            self.parts.append(History())
            self.history.began(continued="yes")

    def end(self) -> None:
        how = self.chance.choice(["completed", "cancelled", "terminated"])
        self.history.closes(how)
        self.attempts.clear()
        self.ended = True

    def read(self, after: str | None = None) -> list[tuple[LogEvent, str]]:
        log = Log(Cursor.parse(after) if after else None)
        found = []
        for part, history in enumerate(self.parts):
            found += log.read(part, history.events, self.notes)
        return found


@dataclass
class Follower:
    """Reads what is new, asks for pending retries now and then, and loses its connection."""

    world: World
    chance: random.Random
    heard: list[LogEvent] = field(default_factory=list)
    cursor: str | None = None

    def __post_init__(self) -> None:
        self.connect()

    def connect(self) -> None:
        self.log = Log(Cursor.parse(self.cursor) if self.cursor else None)
        self.seen = (0, 0)

    def follow(self) -> None:
        while True:
            part, position = self.seen
            fresh = self.world.parts[part].events[position:]
            for event in fresh:
                self.seen = (part, self.seen[1] + 1)
                for entry in self.log.read(part, [event], self.world.notes):
                    self.heard.append(entry[0])
                    self.cursor = entry[1]
                    if self.chance.random() < 0.15:
                        return self.connect()
            if part + 1 == len(self.world.parts):
                break
            self.seen = (part + 1, 0)
        if self.chance.random() < 0.5:
            for entry in self.log.pending(self.world.described(), self.world.notes):
                self.heard.append(entry[0])
                self.cursor = entry[1]
        if self.chance.random() < 0.1:
            self.connect()
        return None


def order_but_for_retries(events: list[LogEvent]) -> list[str]:
    return [event.id for event in events if event.kind != "step.retrying"]


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_reading_live_is_reading_afterwards(seed: int) -> None:
    chance = random.Random(seed)
    world = World(chance)
    world.history.began()
    followers = [Follower(world, random.Random(seed + 1)), Follower(world, random.Random(seed + 2))]
    for _ in range(chance.randrange(60)):
        world.move()
        for follower in followers:
            if chance.random() < 0.4:
                follower.follow()
    world.end()
    whole = world.read()
    by_id = {event.id: event for event, _ in whole}

    assert len(by_id) == len(whole)
    assert whole[-1][0].kind.startswith("run.")
    for follower in followers:
        while follower.heard[-1:] != [whole[-1][0]]:
            follower.follow()
        assert len({event.id for event in follower.heard}) == len(follower.heard)
        assert {event.id: event for event in follower.heard} == by_id
        assert order_but_for_retries(follower.heard) == order_but_for_retries(
            [event for event, _ in whole]
        )
        assert_told_in_turn(follower.heard)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_paging_is_the_whole(seed: int) -> None:
    chance = random.Random(seed)
    world = World(chance)
    world.history.began()
    for _ in range(chance.randrange(60)):
        world.move()
    world.end()
    whole = world.read()
    stored = [event for event, _ in whole]

    assert list(entries(stored, None)) == whole
    for position, (_, cursor) in enumerate(whole):
        assert world.read(after=cursor) == whole[position + 1 :]
        assert list(entries(stored, Cursor.parse(cursor))) == whole[position + 1 :]


def assert_told_in_turn(events: list[LogEvent]) -> None:
    """A step starts, is retried in ascending order, and ends."""
    attempts: dict[str, int] = {}
    for event in events:
        if event.step is None or event.step.startswith("set"):
            continue
        match event.kind:
            case "step.started":
                assert event.step not in attempts
                attempts[event.step] = 1
            case "step.retrying":
                assert event.attempt == attempts[event.step] + 1
                attempts[event.step] += 1
            case "step.waiting":
                assert event.step in attempts
            case _:
                del attempts[event.step]
    assert attempts == {}
