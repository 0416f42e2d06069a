"""JSON as we take it: bounded, finite, storable; names of fields in snake_case or camelCase."""

from __future__ import annotations

import asyncio
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from starlette.exceptions import HTTPException

from core.errors import FieldFault

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from starlette.responses import Response

MAX_BODY = 2 * 1024 * 1024
MAX_UPLOAD = 25 * 1024 * 1024
LARGE = 64 * 1024
MAX_DEPTH = 64
LARGEST_INTEGER = 2**63 - 1
HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Malformed:
    """Stands for a body that cannot be read, so that who may not ask learns only that."""

    faults: list[FieldFault]


M = TypeVar("M", bound=BaseModel)


class Asked(BaseModel):
    """A request body. Its own names may come in camelCase; names in free-form fields stay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _in_snake_case(cls, given: Any) -> Any:
        if isinstance(given, Malformed):
            # FastAPI would read its attributes, and find that nothing is required.
            raise ValueError("the body is not usable")
        if not isinstance(given, dict):
            return given
        return {cls._own_name(name, given): value for name, value in given.items()}

    @classmethod
    def _own_name(cls, name: str, given: dict[str, Any]) -> str:
        snake = _snake(name)
        return snake if snake in cls.model_fields and snake not in given else name


class StrictRequest(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await bounded(self, MAX_BODY)
        return self._body

    async def json(self) -> Any:
        return await parsed(await self.body())


class StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_strictly(request: Request) -> Response:
            return await answer(StrictRequest(request.scope, request.receive))

        return answer_strictly


class BodyInvalid(RequestValidationError):
    """Of a body that an endpoint reads itself; `model` says what was expected."""

    def __init__(self, errors: Sequence[Any], body: Any, model: type[BaseModel]) -> None:
        super().__init__(errors, body=body)
        self.model = model


def read_as(model: type[M], value: Any) -> M:
    """As FastAPI does it, for an endpoint that takes more than one kind of body."""
    if isinstance(value, Malformed):
        raise BodyInvalid([], value, model)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [
            {**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)
        ]
        raise BodyInvalid(faults, value, model) from error


async def bounded(request: Request, most: int) -> bytes:
    """Raises 413 as soon as too much has come, without waiting for the rest."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        refuse_size(most)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            refuse_size(most)
        chunks.append(chunk)
    return b"".join(chunks)


def refuse_size(most: int) -> NoReturn:
    raise HTTPException(413, f"the body is larger than {most // (1024 * 1024)} MB")


async def parsed(raw: bytes) -> Any:
    """The value, or Malformed. A large one is read beside the loop that others live in."""
    return await asyncio.to_thread(parse, raw) if len(raw) > LARGE else parse(raw)


def parse(raw: bytes) -> Any:
    try:
        value = json.loads(raw, parse_constant=_no_constant)
    except RecursionError:
        return _malformed("body", f"nested deeper than {MAX_DEPTH} levels")
    except UnicodeDecodeError:
        return _malformed("body", "expected UTF-8")
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        return _malformed("body", f"expected JSON: {error.msg[:80]} at {at}")
    except ValueError as error:
        return _malformed("body", f"expected JSON: {str(error)[:80]}")
    fault = _unusable(value)
    return Malformed([fault]) if fault else value


def _malformed(field: str, message: str) -> Malformed:
    return Malformed([FieldFault(field=field, message=message)])


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _unusable(value: Any) -> FieldFault | None:
    """The first thing that neither Postgres nor an expression could hold, and where it is."""
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), value)]
    while waiting:
        path, one = waiting.pop()
        message = _refusal(one, len(path))
        if message:
            return FieldFault(field=_place(path), message=message)
        if isinstance(one, dict):
            for name, inner in one.items():
                if UNSTORABLE.search(name):
                    return FieldFault(field=_place(path), message="a name with a NUL or half sign")
                waiting.append(((*path, name), inner))
        elif isinstance(one, list):
            waiting.extend(((*path, index), inner) for index, inner in enumerate(one))
    return None


def _refusal(value: Any, depth: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH} levels"
    if isinstance(value, str) and UNSTORABLE.search(value):
        return "expected text without NUL characters or lone surrogates"
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return "expected an integer of at most 64 bits"
    return None


def _place(path: tuple[Any, ...]) -> str:
    return (
        ".".join(str(part) for part in path[:6])[:200].encode(errors="replace").decode() or "body"
    )


def _snake(name: str) -> str:
    return HUMP.sub(lambda hump: f"_{hump[1].lower()}", name)
