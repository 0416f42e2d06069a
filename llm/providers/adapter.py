"""Asks one provider over its wire; every fault comes out as an error of ours, without the key."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2

from core.errors import ModelConfig, ModelError, ModelNotFound, ProviderPermission
from core.llm import ModelAnswer, ModelQuestion, UserTurn
from core.model import Frozen
from llm import faults
from llm.faults import Asked
from llm.models import ModelTable
from llm.providers.answering import TOO_LARGE, Answering, OnText, Wire, beginning, parsed

T = TypeVar("T")
TRIAL_TOKENS = 16
# A key that may not list models, or a server that has no list.
MAY_STILL_ASK = (ProviderPermission, ModelNotFound, ModelConfig)


class KeyCheck(Frozen):
    """By model: `ok`, or the code of what stood in the way."""

    models: Mapping[str, str]


@dataclass(frozen=True)
class Patience:
    """Seconds: to connect, and until more comes; some models think for minutes before a word."""

    connect: float = 10.0
    silence: float = 600.0

    @property
    def timeout(self) -> httpx2.Timeout:
        return httpx2.Timeout(self.silence, connect=self.connect)


class Adapter:
    def __init__(
        self,
        name: str,
        wire: Wire,
        base_url: str,
        pool: httpx2.AsyncClient,
        table: ModelTable,
        patience: Patience,
    ) -> None:
        self._name = name
        self._wire = wire
        self._base_url = base_url.rstrip("/")
        self._pool = pool
        self._table = table
        self._patience = patience

    async def ask(
        self, question: ModelQuestion, key: str, on_text: OnText | None = None
    ) -> ModelAnswer:
        """Streams if somebody listens; the answer is the same either way."""
        faults.check_key(key, self._name)
        asking = self._wire.asking(question, self._table.profile(question.model))
        asked = Asked(self._name, question.model.partition("/")[2], key)
        answering = Answering(self._wire, asked, asking)
        return await _faults_named(self._answer(answering, on_text), asked, answering.so_far)

    async def check_key(self, key: str, models: Sequence[str]) -> KeyCheck:
        """Raises InvalidKey, or what kept it from being tried; models are tried one by one."""
        faults.check_key(key, self._name)
        await self._list_models(key)
        return KeyCheck(models={model: await self._tried(key, model) for model in models})

    async def _answer(self, answering: Answering, on_text: OnText | None) -> ModelAnswer:
        request = answering.asking.request
        if on_text is not None:
            request = {**request, "stream": True, **self._wire.streaming}
        async with self._open(answering.asked, self._wire.path, request) as response:
            if on_text is None:
                return await answering.read(response)
            return await answering.hear(response, on_text)

    async def _list_models(self, key: str) -> None:
        asked = Asked(self._name, "", key)
        try:
            await _faults_named(self._listed(asked), asked, dict)
        except MAY_STILL_ASK:
            return

    async def _listed(self, asked: Asked) -> None:
        async with self._open(asked, self._wire.models_path) as response:
            await beginning(response)

    @asynccontextmanager
    async def _open(
        self, asked: Asked, path: str, body: Any = None
    ) -> AsyncGenerator[httpx2.Response]:
        headers = {"authorization": f"Bearer {asked.key}", **self._wire.headers}
        async with self._pool.stream(
            "GET" if body is None else "POST",
            f"{self._base_url}{path}",
            json=body,
            headers=headers,
            timeout=self._patience.timeout,
        ) as response:
            if not response.is_success:
                said = parsed(await beginning(response))
                raise asked.refused(faults.refusal(response.status_code, said, response.headers))
            yield response

    async def _tried(self, key: str, model: str) -> str:
        turns = (UserTurn(text="Say ok."),)
        question = ModelQuestion(model=model, turns=turns, max_tokens=TRIAL_TOKENS)
        try:
            await self.ask(question, key)
        except ModelError as error:
            return error.code
        return "ok"


async def _faults_named(
    work: Coroutine[Any, Any, T], asked: Asked, so_far: Callable[[], dict[str, Any]]
) -> T:
    try:
        return await work
    except ModelError as error:
        failure = error
    except httpx2.SSEError:
        failure = asked.unreadable(TOO_LARGE, **so_far())
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        failure = asked.unreachable(error, **so_far())
    # Outside of the handler: what the library raises holds the key, and must not be its context.
    failure.__context__ = None
    raise failure
