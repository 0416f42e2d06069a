"""Asks one provider over its wire; every fault comes out as an error of ours, without the key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import httpx2

from core.errors import ModelConfig, ModelError, ModelNotFound, ProviderPermission
from core.llm import ModelAnswer, ModelQuestion, UserTurn
from core.model import Frozen
from llm import faults
from llm.faults import Asked
from llm.models import ModelTable, Profile
from llm.providers.answers import Asking, estimated

T = TypeVar("T")
OnText = Callable[[str], None]
TRIAL_TOKENS = 16
EVENTS = "text/event-stream"
LARGEST_EVENT = 32 * 2**20
# How each wire says that its stream is over: what breaks afterwards takes nothing back.
DONE, STOPPED = "[DONE]", "message_stop"
# A connection is only used again once it was read to its end, which some keep open.
END_WITHIN_SECONDS = 1.0
# What reading an answer raises where a provider leaves out, or puts in, what nobody expects.
MISSHAPEN = (KeyError, IndexError, TypeError, AttributeError, ValueError)
# A key that may not list models, or a server that has no list.
MAY_STILL_ASK = (ProviderPermission, ModelNotFound, ModelConfig)


class KeyCheck(Frozen):
    """By model: `ok`, or the code of what stood in the way."""

    models: Mapping[str, str]


class Folding(Protocol):
    """Puts the events of a stream together into the answer they would have been."""

    def add(self, event: Any) -> str:
        """All that the model wrote in it and is paid for: text, thoughts, arguments of calls."""
        ...

    def whole(self) -> dict[str, Any] | None:
        """None while the end has not come."""
        ...


class Wire(Protocol):
    """One vendor's format."""

    path: str
    models_path: str
    headers: Mapping[str, str]
    streaming: Mapping[str, Any]

    def asking(self, question: ModelQuestion, profile: Profile) -> Asking: ...

    def folding(self) -> Folding: ...

    def is_answer(self, body: dict[str, Any]) -> bool: ...

    def read(self, body: dict[str, Any], asking: Asking) -> ModelAnswer: ...


@dataclass(frozen=True)
class Patience:
    """Seconds: to connect, between two pieces of a stream, for an answer in one piece."""

    connect: float = 10.0
    silence: float = 300.0
    answer: float = 600.0

    @property
    def streaming(self) -> httpx2.Timeout:
        return httpx2.Timeout(self.silence, connect=self.connect)

    @property
    def at_once(self) -> httpx2.Timeout:
        return httpx2.Timeout(self.silence, connect=self.connect, read=self.answer)


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
        answering = _Answering(self._wire, asked, asking)
        return await _faults_named(self._answer(answering, on_text), asked, answering.so_far)

    async def check_key(self, key: str, models: Sequence[str]) -> KeyCheck:
        """Raises InvalidKey, or what kept it from being tried; models are tried one by one."""
        faults.check_key(key, self._name)
        await self._list_models(key)
        return KeyCheck(models={model: await self._tried(key, model) for model in models})

    async def _answer(self, answering: _Answering, on_text: OnText | None) -> ModelAnswer:
        streams = on_text is not None
        request = answering.asking.request
        if streams:
            request = {**request, "stream": True, **self._wire.streaming}
        patience = self._patience.streaming if streams else self._patience.at_once
        async with self._open(answering.asked, self._wire.path, patience, request) as response:
            # Some servers know no streams, and answer at once whatever is asked of them.
            if on_text is not None and _is_stream(response):
                return await answering.fold(response, on_text)
            return answering.read(await response.aread())

    async def _list_models(self, key: str) -> None:
        asked = Asked(self._name, "", key)
        try:
            await _faults_named(self._listed(asked), asked, dict)
        except MAY_STILL_ASK:
            return

    async def _listed(self, asked: Asked) -> None:
        async with self._open(asked, self._wire.models_path, self._patience.streaming) as response:
            await response.aread()

    @asynccontextmanager
    async def _open(
        self, asked: Asked, path: str, timeout: httpx2.Timeout, body: Any = None
    ) -> AsyncGenerator[httpx2.Response]:
        headers = {"authorization": f"Bearer {asked.key}", **self._wire.headers}
        async with self._pool.stream(
            "GET" if body is None else "POST",
            f"{self._base_url}{path}",
            json=body,
            headers=headers,
            timeout=timeout,
        ) as response:
            if not response.is_success:
                said = _parsed(await response.aread())
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


class _Answering:
    """One question on its way, and what has come back of its answer."""

    def __init__(self, wire: Wire, asked: Asked, asking: Asking) -> None:
        self.asked = asked
        self.asking = asking
        self._wire = wire
        self._arrived: int | None = None  # bytes of what was written, once a stream has begun

    async def fold(self, response: httpx2.Response, on_text: OnText) -> ModelAnswer:
        self._arrived = 0
        folding = self._wire.folding()
        events = aiter(httpx2.EventSource(response, LARGEST_EVENT))
        async for event in events:
            if event.data.startswith(DONE) or event.event == STOPPED:
                await _read_on(events)
                break
            text = self._add(folding, event)
            if text:
                self._arrived += len(text.encode())
                on_text(text)
        whole = folding.whole()
        if whole is None:
            raise self.asked.unreadable("half of an answer, without its end", **self.so_far())
        return self._understood(whole)

    def _add(self, folding: Folding, event: httpx2.ServerSentEvent) -> str:
        if not event.data:
            return ""
        said = _parsed(event.data)
        if event.event == "error" or (isinstance(said, dict) and said.get("error")):
            raise self.asked.refused(faults.refusal(None, said, {}), **self.so_far())
        if isinstance(said, str):
            raise self.asked.unreadable("with events that cannot be read", **self.so_far())
        try:
            return folding.add(said)
        except MISSHAPEN as error:
            raise self._misshapen(error) from None

    def read(self, content: bytes) -> ModelAnswer:
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            page = content.lstrip()[:1] == b"<"
            what = "with a web page: is its address right?" if page else "with no JSON"
            raise self.asked.unreadable(what if content else "with nothing") from None
        if not isinstance(body, dict):
            raise self.asked.unreadable("with JSON that is no object")
        if not self._wire.is_answer(body):
            if body.get("error"):
                raise self.asked.refused(faults.refusal(None, body, {}))
            raise self.asked.unreadable("with an object that is no answer")
        return self._understood(body)

    def _understood(self, body: dict[str, Any]) -> ModelAnswer:
        try:
            return self._wire.read(body, self.asking)
        except MISSHAPEN as error:
            raise self._misshapen(error) from None

    def _misshapen(self, error: Exception) -> ModelError:
        return self.asked.unreadable(f"in no known form ({error!r})", **self.so_far())

    def so_far(self) -> dict[str, Any]:
        """What a stream has brought until it broke, and so has cost; before the first word nobody
        knows that."""
        if self._arrived is None:
            return {}
        if not self._arrived:
            return {"in_stream": True}
        usage = estimated(self.asking.request, self._arrived)
        return {"in_stream": True, "usage": usage.model_dump()}


async def _faults_named(
    work: Coroutine[Any, Any, T], asked: Asked, so_far: Callable[[], dict[str, Any]]
) -> T:
    try:
        return await work
    except ModelError:
        raise
    except httpx2.SSEError:
        failure = asked.unreadable("with events that are too large", **so_far())
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        failure = asked.unreachable(error, **so_far())
    # Outside of the handler: what the library raises holds the key, and must not be its context.
    raise failure


def _is_stream(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").startswith(EVENTS)


async def _read_on(events: AsyncIterator[Any]) -> None:
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(END_WITHIN_SECONDS):
            async for _ in events:
                pass


def _parsed(said: str | bytes) -> Any:
    """What is no JSON is given back as text."""
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return said if isinstance(said, str) else said.decode(errors="replace")
