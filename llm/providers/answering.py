"""What comes back of a question, in one piece or as a stream: an answer, or a fault with a name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import httpx2
from pydantic import ValidationError

from core.errors import ModelError
from core.llm import ModelAnswer, ModelQuestion
from llm import faults
from llm.faults import Asked
from llm.models import Profile
from llm.providers.answers import Asking

OnText = Callable[[str], None]
EVENTS = "text/event-stream"
LARGEST_ANSWER = 32 * 2**20
# Shorter ones are what servers on one's own machine are given, and may be words of an answer.
SECRET_KEY_LENGTH = 20
TOO_LARGE = "with more than anybody reads"
# How each wire says that its stream is over.
DONE, STOPPED = "[DONE]", "message_stop"
# After its end a stream is read on: for its usage, and since a connection that was not read out is
# not used again. What breaks then, or is kept open, takes nothing back.
USAGE_WITHIN_SECONDS = 5.0
END_WITHIN_SECONDS = 1.0
# What reading an answer raises where a provider leaves out, or puts in, what nobody expects.
MISSHAPEN = (KeyError, IndexError, TypeError, AttributeError, ValueError, RecursionError)


class Folding(Protocol):
    """Puts the events of a stream together into the answer they would have been."""

    def add(self, event: Any) -> str:
        """What the model wrote in it: text, thoughts, arguments of calls."""
        ...

    @property
    def ended(self) -> bool: ...

    def whole(self) -> dict[str, Any]: ...


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


class Answering:
    """One question that was asked, and what has come back."""

    def __init__(self, wire: Wire, asked: Asked, asking: Asking) -> None:
        self.asked = asked
        self.asking = asking
        self._wire = wire
        self._streams = False

    def so_far(self) -> dict[str, Any]:
        return {"in_stream": True} if self._streams else {}

    async def hear(self, response: httpx2.Response, on_text: OnText) -> ModelAnswer:
        # Some servers know no streams, and answer at once whatever is asked of them.
        kind = response.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != EVENTS:
            return await self.read(response)
        self._streams = True
        # Whatever it says of itself: events have no other encoding.
        response.encoding = "utf-8-sig"
        folding = self._wire.folding()
        try:
            with suppress(TimeoutError):
                await self._fold(folding, response, on_text)
        except httpx2.HTTPError:
            if not folding.ended:
                raise
        if not folding.ended:
            raise self._unreadable("half of an answer, without its end")
        return self._understood(folding.whole)

    async def _fold(self, folding: Folding, response: httpx2.Response, on_text: OnText) -> None:
        size, over, now = 0, False, asyncio.get_running_loop().time
        async with asyncio.timeout(None) as limit:
            async for event in httpx2.EventSource(response, LARGEST_ANSWER):
                size += len(event.data)
                if size > LARGEST_ANSWER:
                    raise self._unreadable(TOO_LARGE)
                if over or not event.data:
                    continue
                if event.data.startswith(DONE) or event.event == STOPPED:
                    over = True
                    limit.reschedule(now() + END_WITHIN_SECONDS)
                    continue
                if text := self._add(folding, event):
                    on_text(text)
                # Some servers tell with every piece why they will have stopped.
                if folding.ended and (text or limit.when() is None):
                    limit.reschedule(now() + USAGE_WITHIN_SECONDS)

    def _add(self, folding: Folding, event: httpx2.ServerSentEvent) -> str:
        said = parsed(event.data)
        if event.event == "error" or (isinstance(said, dict) and said.get("error")):
            raise self.asked.refused(faults.refusal(None, said, {}), **self.so_far())
        if isinstance(said, str):
            raise self._unreadable("with events that cannot be read")
        try:
            return folding.add(said)
        except MISSHAPEN as error:
            raise self._misshapen(error) from None

    async def read(self, response: httpx2.Response) -> ModelAnswer:
        content = await beginning(response)
        if len(content) > LARGEST_ANSWER:
            raise self._unreadable(TOO_LARGE)
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            page = content.lstrip()[:1] == b"<"
            what = "with a web page: is its address right?" if page else "with no JSON"
            raise self._unreadable(what if content else "with nothing") from None
        if not isinstance(body, dict):
            raise self._unreadable("with JSON that is no object")
        if not self._wire.is_answer(body):
            if body.get("error"):
                raise self.asked.refused(faults.refusal(None, body, {}))
            raise self._unreadable("with an object that is no answer")
        return self._understood(lambda: body)

    def _understood(self, body: Callable[[], dict[str, Any]]) -> ModelAnswer:
        try:
            answer = self._wire.read(_of_whole_characters(body()), self.asking)
            # Before it is paid for: what cannot be written cannot be kept.
            written = answer.model_dump_json()
            key = json.dumps(self.asked.key)[1:-1]
            if len(key) < SECRET_KEY_LENGTH or key not in written:
                return answer
            return ModelAnswer.model_validate_json(written.replace(key, "[key]"))
        except MISSHAPEN as error:
            raise self._misshapen(error) from None

    def _misshapen(self, error: Exception) -> ModelError:
        # What our forms say shows parts of what came, and those may be parts of the key.
        what = type(error).__name__ if isinstance(error, ValidationError) else repr(error)
        return self._unreadable(f"in no known form ({what})")

    def _unreadable(self, what: str) -> ModelError:
        return self.asked.unreadable(what, **self.so_far())


async def beginning(response: httpx2.Response) -> bytes:
    """All of it, unless that is more than an answer can be."""
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > LARGEST_ANSWER:
            break
    return bytes(content)


def parsed(said: str | bytes) -> Any:
    """What is no JSON is given back as text."""
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return said if isinstance(said, str) else said.decode(errors="replace")


def _of_whole_characters(body: dict[str, Any]) -> dict[str, Any]:
    """Some servers cut their texts in the midst of what JSON writes as two escapes."""
    text = json.dumps(body, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return body
