"""What the router itself makes of providers that do not behave."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock

import pytest

from core.budget import CallId, Reserved
from core.errors import BadResponse, ProviderTimeout
from core.llm import ModelQuestion, Usage, UserTurn
from llm import router
from llm.models import load
from llm.payment import Heard, Payments
from llm.router import KeyChecks
from tests.llm.asking import KEY

if TYPE_CHECKING:
    from collections.abc import Sequence


QUESTION = ModelQuestion(model="openai/m", turns=(UserTurn(text="Hello"),), max_tokens=100)


class Endless:
    """Always says a little more, so that it is never silent for long."""

    async def check_key(self, _key: str, _models: Sequence[str]) -> None:
        await asyncio.Event().wait()


async def test_a_key_is_not_checked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "TRIAL_WITHIN", timedelta(milliseconds=10))
    with pytest.raises(ProviderTimeout):
        await KeyChecks({"openai": Endless()}).check("openai", KEY)


def test_halves_of_a_character_are_heard() -> None:
    heard = Heard()
    for text in ("\ud83d", "\ude00"):
        heard.add(text)
    usage = heard.usage(QUESTION)
    assert usage is not None
    assert usage.output == 1


@pytest.mark.parametrize("told", [True, False])
async def test_a_stream_without_end_costs_no_more_than_was_asked_for(told: bool) -> None:
    usage = Usage(input=7, output=5_000_000, estimated=True)
    error = BadResponse("broken off", usage=usage.model_dump() if told else None)
    budgets, heard = AsyncMock(), Heard(bytes=15_000_000)
    reserved = Reserved(call=CallId(workspace="w", id=1), tokens=150)
    await Payments(load(), budgets).close(reserved, QUESTION, error, lambda _: True, heard)
    assert budgets.spend.await_args.args[1].output == QUESTION.max_tokens
