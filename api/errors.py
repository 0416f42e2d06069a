"""Every failure leaves as application/problem+json (RFC 9457)."""

from __future__ import annotations

import logging
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.bodies import BodyInvalid, Malformed
from api.words import refusal
from core.errors import (
    Conflict,
    FieldFault,
    Forbidden,
    Invalid,
    NotFound,
    PerdureError,
    Unauthorized,
    Unavailable,
    ValueTooLarge,
)
from core.faults import near

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response
    from starlette.routing import Route

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds, where a failure does not know better
MOST_ERRORS = 50
STATUS: dict[type[PerdureError], int] = {
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Invalid: 422,
    ValueTooLarge: 422,
    Unavailable: 503,
}
CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media"}


class Problem(BaseModel):
    """What went wrong: `code` is stable, `errors` names each field."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:perdure:error:invalid_inputs",
                    "title": "Invalid inputs",
                    "status": 422,
                    "detail": "inputs.nmes: unknown input; did you mean `names`?",
                    "code": "invalid_inputs",
                    "errors": [
                        {
                            "field": "inputs.nmes",
                            "message": "unknown input; did you mean `names`?",
                        }
                    ],
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldFault] = []


REFUSED: dict[int | str, dict[str, Any]] = {
    "default": {
        "model": Problem,
        "description": "Refused: an RFC 9457 problem, sent as `application/problem+json`",
    }
}


def install(app: FastAPI, routes: Sequence[Route]) -> None:
    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = CODES.get(error.status_code, "error")
        headers = dict(error.headers or {})
        if error.status_code == 405:
            # Starlette names the methods of the first route of the path alone.
            headers["Allow"] = ", ".join(_methods(routes, request))
        return problem(error.status_code, code, str(error.detail), headers=headers)

    app.add_exception_handler(PerdureError, _named)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, _unexpected)


def problem(
    status: int,
    code: str,
    detail: str,
    errors: Sequence[FieldFault] = (),
    *,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """`more` says what this failure alone has to say."""
    content = {
        "type": f"urn:perdure:error:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [error.model_dump() for error in errors[:MOST_ERRORS]],
    }
    return JSONResponse(content | dict(more or {}), status, dict(headers or {}), MEDIA_TYPE)


def status_of(error: PerdureError) -> int:
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


async def _named(_: Request, error: Exception) -> Response:
    assert isinstance(error, PerdureError)
    status = status_of(error)
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        seconds = error.retry_after.total_seconds() if error.retry_after else RETRY_AFTER
        headers["Retry-After"] = str(max(1, round(seconds)))
    errors = error.errors if isinstance(error, Invalid) else []
    more = {name: _plain(value) for name, value in error.data.items()}
    return problem(status, error.code, error.message, errors, headers=headers, more=more)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, Malformed):
        return problem(422, "invalid", "the body is not usable", error.body.faults)
    errors = [_fault(_expected(request, error), fault) for fault in error.errors()]
    count = "1 field" if len(errors) == 1 else f"{len(errors)} fields"
    return problem(422, "invalid", f"{count} of the request cannot be used", errors)


def _methods(routes: Sequence[Route], request: Request) -> list[str]:
    here = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in here for method in route.methods or ()}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "internal", "something unexpected went wrong; the gateway's log says what")


def _expected(request: Request, error: RequestValidationError) -> Any:
    """The model of the body, or the union of some."""
    if isinstance(error, BodyInvalid):
        return error.model
    body = getattr(request.scope.get("route"), "body_field", None)
    return body.field_info.annotation if body else None


def _fault(expected: Any, fault: Mapping[str, Any]) -> FieldFault:
    place, *path = fault["loc"]
    if place == "body":
        return _body_fault(expected, path, fault)
    name = ".".join(str(part) for part in path)
    return FieldFault(field=name, message=refusal(fault))


def _body_fault(expected: Any, path: list[Any], fault: Mapping[str, Any]) -> FieldFault:
    names, model = _walk(expected, path)
    field = ".".join(names) or "body"
    if fault["type"] == "extra_forbidden" and model is not None:
        hint = near(str(path[-1]), model.model_fields)
        return FieldFault(field=field, message=f"unknown field{hint}")
    if not names and fault["type"] == "missing":
        return FieldFault(field="body", message="expected a JSON object")
    if isinstance(fault.get("input"), bytes):
        return FieldFault(field="body", message="expected JSON, with Content-Type application/json")
    if fault["type"].startswith("union_tag"):
        field = ".".join([*names, str(fault["ctx"]["discriminator"]).strip("'")])
    return FieldFault(field=field, message=refusal(fault))


def _walk(kind: Any, path: list[Any]) -> tuple[list[str], type[BaseModel] | None]:
    """The names on the way, without the tags of unions, and the model the last one is in."""
    names: list[str] = []
    for number, part in enumerate(path):
        kind = _required(kind)
        options = {_tag(option): option for option in get_args(kind)}
        if str(part) in options:
            kind = options[str(part)]
            continue
        if part == "[key]":  # of a dict, where the key itself is at fault
            continue
        names.append(str(part))
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
            continue
        fields = getattr(kind, "model_fields", {})
        if part in fields and number < len(path) - 1:
            kind = fields[part].annotation
    kind = _required(kind)
    return names, kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _required(kind: Any) -> Any:
    options = [option for option in get_args(kind) if option is not NoneType]
    return options[0] if len(options) == 1 and NoneType in get_args(kind) else kind


def _tag(option: Any) -> str | None:
    fields = getattr(option, "model_fields", {})
    tag = fields.get("action") or fields.get("type")
    return next(iter(get_args(tag.annotation)), None) if tag else None


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
