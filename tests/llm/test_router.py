"""What the router itself makes of providers that do not behave."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.errors import ProviderTimeout
from core.llm import ModelQuestion, UserTurn
from llm import router
from llm.payment import Heard
from llm.router import KeyChecks
from tests.llm.asking import KEY

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    usage = heard.usage(ModelQuestion(model="openai/m", turns=(UserTurn(text="Hello"),)))
    assert usage is not None
    assert usage.output == 1
