"""How steps that ask models end is told: no one activity shows it."""

from __future__ import annotations

from typing import Any

import pytest

from core.execution import Ask, StepFailed
from core.llm import ModelAnswer
from core.run import Failure
from tests.unit.test_reasoning import Talking, calls, extract, reason, run, says, use


class Refused(Talking):
    """The provider takes no call from this path on."""

    def __init__(self, path: str, *answers: ModelAnswer) -> None:
        super().__init__(*answers)
        self.path = path

    async def ask(self, call: Ask) -> ModelAnswer:
        if call.path == self.path:
            failure = Failure(code="invalid_key", message="no such key", step=call.path)
            raise StepFailed(failure, told=True)
        return await super().ask(call)


def told(effects: Talking) -> list[tuple[str, str, str]]:
    return [(each.path, each.kind, each.status) for each in effects.settled]


async def test_a_step_is_told_as_a_whole() -> None:
    effects = Talking(says("no"), says('{"age": 44}'), calls(use("look")), says("fine"))
    await run(effects, extract(), reason(), text="")
    assert told(effects) == [("who", "extract", "succeeded"), ("think", "reason", "succeeded")]


async def test_items_are_told_one_by_one() -> None:
    effects = Talking(says('{"age": 44}'), says("no"), says("never"))
    step = extract(for_each="${inputs.items}", concurrency=1, on_error="continue")
    await run(effects, step, items=[1, 2], text="")
    assert told(effects) == [
        ("who[0]", "extract", "succeeded"),
        ("who[1]", "extract", "failed"),
        ("who", "extract", "succeeded"),
    ]


@pytest.mark.parametrize(
    ("step", "path", "whole"),
    [(reason(), "think.turn2", "think"), (extract(), "who.repair", "who")],
)
async def test_a_call_that_fails_inside_a_step_fails_the_whole(
    step: dict[str, Any], path: str, whole: str
) -> None:
    effects = Refused(path, says("no") if whole == "who" else calls(use("look")))
    with pytest.raises(StepFailed):
        await run(effects, step, text="")
    assert [(each.path, each.status) for each in effects.settled] == [(whole, "failed")]
    assert effects.settled[0].error is not None
    assert effects.settled[0].error.step == path


async def test_a_failure_that_the_history_shows_is_not_told_again() -> None:
    effects = Refused("who")
    with pytest.raises(StepFailed):
        await run(effects, extract(), text="")
    assert effects.settled == []
