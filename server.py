"""The gateway: `python -m server`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import uvicorn
from temporalio.client import Client

from api.app import Doors, create_app
from core.errors import InvalidSkill
from llm.models import load as load_models
from llm.providers import DEMO_KEY, ProviderSettings, open_providers
from llm.router import KeyChecks, Router
from services.choices import Choices
from services.furnishing import furnish
from services.gateway import assemble
from services.library import Library
from services.llm import ModelOffer
from services.temporal import converter
from settings import BadSettings, Settings, load
from store.budgets import Budgets
from store.llm_config import LLMConfigs
from store.pool import open_pool
from store.sealing import Keyring
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
    table = load_models()
    reached = ProviderSettings(settings.base_urls, settings.demo_url)
    async with (
        await open_pool(settings.database_url.get_secret_value()) as pool,
        open_providers(reached, table) as providers,
    ):
        keyring = Keyring(settings.keys)
        router = Router(
            providers,
            table,
            Choices(LLMConfigs(pool, keyring), table.routing),
            Budgets(pool, keyring),
            settings.platform_keys | ({"demo": DEMO_KEY} if settings.demo_url else {}),
        )
        gateway = assemble(
            client,
            pool,
            encryption_keys=settings.keys,
            library=library,
            tools=tools,
            admin_key=_opened(settings.admin_key),
            temporal_ui=settings.temporal_ui_url,
            models=ModelOffer(
                providers=tuple(providers),
                routing=table.routing,
                check=KeyChecks(providers),
                trials=router,
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


def main() -> int:
    try:
        settings = load()
    except BadSettings as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has stopped, before we have put things away.
        signal.signal(number, lambda *_: None)
    try:
        loop = uvicorn.Config("", log_config=None).get_loop_factory()
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(serve(settings))
    except InvalidSkill as wrong:
        sys.stderr.write(f"{wrong.message}\n")
        return 2
    except SystemExit as stopped:
        # uvicorn's way to say that it could not start, which it has logged.
        return stopped.code if isinstance(stopped.code, int) else 1
    return 0


def leave(status: int) -> Any:
    """The Temporal library may abort an interpreter that ends the ordinary way."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main())
