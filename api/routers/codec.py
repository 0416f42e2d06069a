import hmac
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from api.auth import Admin, Services
from api.bodies import StrictRoute, bounded
from api.errors import REFUSED
from core.errors import NotFound
from services.codec import Operation

router = APIRouter(prefix="/codec", tags=["codec"], route_class=StrictRoute, responses=REFUSED)

MAX_PAYLOADS = 25 * 1024 * 1024
PAYLOADS = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "payloads": {
                            "type": "array",
                            "items": {"type": "object"},
                            "description": "as Temporal's JSON has them",
                        }
                    },
                }
            }
        },
    }
}
JSON: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}}
}


async def holder_of_token(
    request: Request, token: Annotated[str, Path(description="PERDURE_CODEC_TOKEN")]
) -> None:
    """A wrong one is a page that does not exist."""
    known = request.app.state.codec_token
    if known is None or not hmac.compare_digest(token.encode(), known.encode()):
        raise NotFound("there is nothing here")


Holder = Annotated[None, Depends(holder_of_token)]


@router.post("/decode", openapi_extra=PAYLOADS, responses=JSON, response_class=Response)
async def decode(request: Request, _: Admin, services: Services) -> Response:
    """Open payloads of Temporal's histories: the codec endpoint of its command line."""
    return await _apply("decode", request, services)


@router.post("/encode", openapi_extra=PAYLOADS, responses=JSON, response_class=Response)
async def encode(request: Request, _: Admin, services: Services) -> Response:
    """Seal payloads."""
    return await _apply("encode", request, services)


@router.post("/{token}/decode", openapi_extra=PAYLOADS, responses=JSON, response_class=Response)
async def decode_for_ui(request: Request, _: Holder, services: Services) -> Response:
    """Open payloads for the Temporal Web UI, which was given an unguessable path."""
    return await _apply("decode", request, services)


@router.post("/{token}/encode", openapi_extra=PAYLOADS, responses=JSON, response_class=Response)
async def encode_for_ui(request: Request, _: Holder, services: Services) -> Response:
    """Seal payloads for the Temporal Web UI."""
    return await _apply("encode", request, services)


async def _apply(operation: Operation, request: Request, services: Services) -> Response:
    body = await bounded(request, MAX_PAYLOADS)
    return Response(await services.codec.apply(operation, body), media_type="application/json")
