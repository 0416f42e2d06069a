"""Makes the database and the namespace ready, whoever starts first and whatever starts late."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from temporalio.service import RPCError

from core.errors import Unavailable
from services.namespace import ensure_namespace
from services.reach import temporal
from store.schema import migrate

if TYPE_CHECKING:
    from temporalio.client import Client

log = logging.getLogger("perdure.furnishing")
AGAIN_AFTER_SECONDS = 1.0


async def furnish(client: Client, dsn: str) -> None:
    """Returns when both are ready; a cluster that does not let us is left to its owner."""
    await asyncio.gather(
        _until_done("Postgres", lambda: migrate(dsn)),
        _until_done("Temporal", lambda: _ensure(client)),
    )


async def _ensure(client: Client) -> None:
    try:
        async with temporal():
            await ensure_namespace(client)
    except RPCError as refused:
        _give_up(client, refused)
    except Unavailable as away:
        cause = away.__cause__
        if not isinstance(cause, RPCError) or "PERMISSION" not in cause.status.name:
            raise
        _give_up(client, cause)


def _give_up(client: Client, refused: RPCError) -> None:
    log.warning(
        "namespace %s could not be prepared (%s): docs/operations.md says what it needs",
        client.namespace,
        refused.status.name.lower(),
    )


async def _until_done(name: str, work: Callable[[], Awaitable[object]]) -> None:
    said = False
    while True:
        try:
            await work()
        except Unavailable as away:
            if not said:
                log.warning("waiting for %s: %s", name, away.message)
            said = True
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
        else:
            return
