"""What the gateway and the worker share: how they begin and end, and how they reach models."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

from core.errors import InvalidSkill
from llm.models import ModelTable
from llm.models import load as load_models
from llm.providers import DEMO_KEY, Provider, ProviderSettings, open_providers
from llm.router import Router
from services.choices import Choices
from settings import BadSettings, Settings, load
from store.budgets import Budgets
from store.llm_config import LLMConfigs
from store.pool import Pool
from store.sealing import Keyring

WRONG_SETTINGS = 2


@dataclass(frozen=True)
class Models:
    table: ModelTable
    providers: Mapping[str, Provider]
    router: Router


@asynccontextmanager
async def open_models(settings: Settings, pool: Pool, keyring: Keyring) -> AsyncGenerator[Models]:
    table = load_models()
    async with open_providers(ProviderSettings(settings.base_urls, settings.demo_url), table) as (
        providers
    ):
        router = Router(
            providers,
            table,
            Choices(LLMConfigs(pool, keyring), table.routing),
            Budgets(pool, keyring),
            settings.platform_keys | ({"demo": DEMO_KEY} if settings.demo_url else {}),
        )
        yield Models(table, providers, router)


def run(serve: Callable[[Settings], int]) -> NoReturn:
    """Ends the process; what is wrong with its settings or its skills is said in a line."""
    try:
        settings = load()
        logging.basicConfig(
            level=settings.log_level.upper(),
            format="%(asctime)s %(levelname)s %(name)s %(message)s",
        )
        status = serve(settings)
    except BadSettings as wrong:
        sys.stderr.write(f"{wrong}\n")
        status = WRONG_SETTINGS
    except InvalidSkill as wrong:
        sys.stderr.write(f"{wrong.message}\n")
        status = WRONG_SETTINGS
    sys.stdout.flush()
    sys.stderr.flush()
    # The Temporal library may abort an interpreter that ends the ordinary way.
    os._exit(status)
