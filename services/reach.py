"""Asking Temporal, which may be away: an answer soon, or `Unavailable`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.service import RPCError, RPCStatusCode

from core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ANSWER_WITHIN = timedelta(seconds=4)
AWAY = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.UNAUTHENTICATED,
        RPCStatusCode.PERMISSION_DENIED,
    }
)


@asynccontextmanager
async def temporal(within: timedelta = ANSWER_WITHIN) -> AsyncGenerator[None]:
    """The client's own rpc_timeout does not bound a call while the server cannot be reached."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            yield
    except TimeoutError:
        raise Unavailable("Temporal does not answer in time") from None
    except RPCError as error:
        if error.status not in AWAY:
            raise
        raise Unavailable(f"Temporal does not answer ({error.status.name.lower()})") from error
    except RuntimeError as error:
        # What a lazy client says when it cannot connect; there is no class for it.
        if "client connect" not in str(error):
            raise
        raise Unavailable("Temporal cannot be reached") from error


def is_not_found(error: RPCError) -> bool:
    return error.status is RPCStatusCode.NOT_FOUND
