"""The gateway: `python -m server`."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import uvicorn
from temporalio.client import Client

from api.app import Doors, create_app
from integrations import Connectors
from llm.router import KeyChecks
from outbound import Guard, Outbound
from process import open_models, run
from services.furnishing import furnish
from services.gateway import assemble
from services.library import Library
from services.llm import ModelOffer
from services.temporal import converter
from settings import Settings
from store.pool import open_pool
from store.sealing import Keyring
from store.secrets import Secrets
from store.source_files import SourceFiles
from tools import specs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import FastAPI
    from pydantic import SecretStr

# A client that follows a log never leaves by itself.
GRACE_SECONDS = 2


async def serve(settings: Settings) -> None:
    tools = specs()
    library = Library.load(settings.skills, tools)
    client = await connect(settings)
    keyring, hosts = Keyring(settings.keys), frozenset(settings.http_allowed_hosts)
    async with (
        await open_pool(settings.database_url.get_secret_value()) as pool,
        open_models(settings, pool, keyring) as models,
        Outbound(hosts, settings.own_endpoints) as outbound,
    ):
        gateway = assemble(
            client,
            pool,
            encryption_keys=settings.keys,
            library=library,
            tools=tools,
            admin_key=_opened(settings.admin_key),
            temporal_ui=settings.temporal_ui_url,
            public_url=settings.address,
            models=ModelOffer(
                providers=tuple(models.providers),
                routing=models.table.routing,
                check=KeyChecks(models.providers),
                trials=models.router,
            ),
            logs_after=timedelta(seconds=settings.archive_after),
            model_queue=settings.model_queue,
            ways=outbound,
            connectors=Connectors(
                Secrets(pool, keyring),
                SourceFiles(pool),
                outbound,
                Guard(hosts, settings.own_endpoints),
            ),
        )

        @asynccontextmanager
        async def reconciling(_: FastAPI) -> AsyncGenerator[None]:
            async def work() -> None:
                await furnish(client, settings.database_url.get_secret_value())
                await gateway.reconciler.keep_going()

            working = asyncio.create_task(work())
            try:
                yield
            finally:
                working.cancel()
                with suppress(asyncio.CancelledError):
                    await working

        doors = Doors(
            codec_token=_opened(settings.codec_token), temporal_ui=settings.temporal_ui_url
        )
        config = uvicorn.Config(
            create_app(gateway, doors, reconciling),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        await uvicorn.Server(config).serve()


async def connect(settings: Settings) -> Client:
    """Connects when it is first needed, and again whenever that is: Temporal may come later."""
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=converter(settings.keys),
        api_key=settings.api_key,
        tls=settings.temporal_tls,
        lazy=True,
    )


def _opened(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def stand(settings: Settings) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has stopped, before we have put things away.
        signal.signal(number, lambda *_: None)
    try:
        loop = uvicorn.Config("", log_config=None).get_loop_factory()
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(serve(settings))
    except SystemExit as stopped:
        # uvicorn's way to say that it could not start, which it has logged.
        return stopped.code if isinstance(stopped.code, int) else 1
    return 0


if __name__ == "__main__":
    run(stand)
