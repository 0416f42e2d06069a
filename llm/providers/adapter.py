"""Asks one provider over its wire; every fault comes out as an error of ours, without the key."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
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
        """The text that the event brings."""
        ...

    def whole(self) -> dict[str, Any] | None:
        """None while the end has not come."""
        ...


class Wire(Protocol):
    """One vendor's format; `sdk` is its library, which knows the addresses and headers."""

    library: str
    path: str
    models_path: str
    streaming: Mapping[str, Any]

    @property
    def sdk(self) -> Any: ...

    def client(self, key: str, base_url: str, pool: httpx2.AsyncClient) -> Any: ...

    def asking(self, question: ModelQuestion, profile: Profile) -> Asking: ...

    def folding(self) -> Folding: ...

    def is_answer(self, body: dict[str, Any]) -> bool: ...

    def read(self, body: dict[str, Any], asking: Asking) -> ModelAnswer: ...


@dataclass(frozen=True)
class Patience:
    """Seconds: to connect, between two pieces of a stream, for an answer in one piece."""

    connect: float = 10.0
    silence: float = 120.0
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
        self._base_url = base_url
        self._pool = pool
        self._table = table
        self._patience = patience

    async def ask(
        self, question: ModelQuestion, key: str, on_text: OnText | None = None
    ) -> ModelAnswer:
        """Streams if somebody listens; the answer is the same either way."""
        faults.check_key(key, self._name)
        await self._get_ready()
        asking = self._wire.asking(question, self._table.profile(question.model))
        asked = Asked(self._name, question.model.partition("/")[2], key)
        call = _Call(self._wire, asked, asking, self._patience)
        client = self._wire.client(key, self._base_url, self._pool)
        work = call.at_once(client) if on_text is None else call.streamed(client, on_text)
        return await _faults_named(work, self._wire.sdk, asked, call.so_far)

    async def check_key(self, key: str, models: Sequence[str]) -> KeyCheck:
        """Raises InvalidKey, or what kept it from being tried; models are tried one by one."""
        faults.check_key(key, self._name)
        await self._get_ready()
        await self._list_models(key)
        return KeyCheck(models={model: await self._tried(key, model) for model in models})

    async def _get_ready(self) -> None:
        """A vendor's library takes a second and 20 to 50 MB: only where somebody asks there."""
        if self._wire.library not in sys.modules:
            await asyncio.to_thread(importlib.import_module, self._wire.library)

    async def _list_models(self, key: str) -> None:
        client = self._wire.client(key, self._base_url, self._pool)
        listing = client.get(
            self._wire.models_path,
            cast_to=httpx2.Response,
            options={"timeout": self._patience.streaming},
        )
        try:
            await _faults_named(listing, self._wire.sdk, Asked(self._name, "", key), dict)
        except MAY_STILL_ASK:
            return

    async def _tried(self, key: str, model: str) -> str:
        turns = (UserTurn(text="Say ok."),)
        question = ModelQuestion(model=model, turns=turns, max_tokens=TRIAL_TOKENS)
        try:
            await self.ask(question, key)
        except ModelError as error:
            return error.code
        return "ok"


class _Call:
    def __init__(self, wire: Wire, asked: Asked, asking: Asking, patience: Patience) -> None:
        self._wire = wire
        self._asked = asked
        self._asking = asking
        self._patience = patience
        self._arrived: str | None = None  # the text of a stream, once it has begun

    async def at_once(self, client: Any) -> ModelAnswer:
        response = await client.post(
            self._wire.path,
            cast_to=httpx2.Response,
            body=self._asking.request,
            options={"timeout": self._patience.at_once},
        )
        return self._read(response.content)

    async def streamed(self, client: Any, on_text: OnText) -> ModelAnswer:
        stream = await client.post(
            self._wire.path,
            cast_to=object,
            body={**self._asking.request, "stream": True, **self._wire.streaming},
            options={"timeout": self._patience.streaming},
            stream=True,
            stream_cls=self._wire.sdk.AsyncStream[object],
        )
        async with stream:
            if not stream.response.headers.get("content-type", "").startswith(EVENTS):
                # Some servers know no streams, and answer at once whatever is asked of them.
                return self._read(await stream.response.aread())
            return await self._fold(stream, on_text)

    async def _fold(self, events: AsyncIterator[Any], on_text: OnText) -> ModelAnswer:
        self._arrived = ""
        folding = self._wire.folding()
        async for event in events:
            try:
                text = folding.add(event)
            except MISSHAPEN as error:
                raise self._misshapen(error) from None
            if text:
                self._arrived += text
                on_text(text)
        whole = folding.whole()
        if whole is None:
            raise self._asked.unreadable("half of an answer, without its end", **self.so_far())
        return self._understood(whole)

    def _read(self, content: bytes) -> ModelAnswer:
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            page = content.lstrip()[:1] == b"<"
            what = "with a web page: is its address right?" if page else "with no JSON"
            raise self._asked.unreadable(what if content else "with nothing") from None
        if not isinstance(body, dict):
            raise self._asked.unreadable("with JSON that is no object")
        if not self._wire.is_answer(body):
            if body.get("error"):
                raise self._asked.refused(faults.refusal(None, body, {}))
            raise self._asked.unreadable("with an object that is no answer")
        return self._understood(body)

    def _understood(self, body: dict[str, Any]) -> ModelAnswer:
        try:
            return self._wire.read(body, self._asking)
        except MISSHAPEN as error:
            raise self._misshapen(error) from None

    def _misshapen(self, error: Exception) -> ModelError:
        return self._asked.unreadable(f"in no known form ({error!r})", **self.so_far())

    def so_far(self) -> dict[str, Any]:
        """What a stream has brought until it broke, and so has cost."""
        if self._arrived is None:
            return {}
        usage = estimated(self._asking.request, len(self._arrived.encode()))
        return {"in_stream": True, "usage": usage.model_dump()}


async def _faults_named(
    work: Coroutine[Any, Any, T], sdk: Any, asked: Asked, so_far: Callable[[], dict[str, Any]]
) -> T:
    try:
        return await work
    except ModelError:
        raise
    except Exception as error:
        failure = _named(error, sdk, asked, so_far())
        if failure is None:
            raise
    # Outside of the handler: what the libraries raise holds the key, and must not be its context.
    raise failure


def _named(error: Any, sdk: Any, asked: Asked, data: dict[str, Any]) -> ModelError | None:
    """None for what is no fault of the provider's or of the way to it."""
    if isinstance(error, sdk.APIStatusError):
        # A fault told in the midst of a stream comes with the status of its beginning.
        status = None if error.status_code == 200 else error.status_code
        body = error.body if error.body is not None else error.response.text
        return asked.refused(faults.refusal(status, body, error.response.headers), **data)
    if isinstance(error, sdk.APIConnectionError):
        cause = error.__cause__
        broken = httpx2.TransportError(type(error).__name__)
        return asked.unreachable(cause if isinstance(cause, Exception) else broken, **data)
    if isinstance(error, sdk.APIError):
        return asked.refused(faults.refusal(None, error.body, {}), **data)
    if isinstance(error, httpx2.HTTPError | httpx2.InvalidURL | UnicodeEncodeError):
        return asked.unreachable(error, **data)
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return asked.unreadable("with events that cannot be read", **data)
    return None
