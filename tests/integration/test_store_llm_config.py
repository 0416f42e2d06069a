from __future__ import annotations

import pytest

from core.errors import NotFound
from core.llm import ModelName
from store.llm_config import LLMChange, LLMConfig, LLMConfigs, OpenConfig
from store.pool import Pool
from store.sealing import CannotOpen, Keyring
from store.workspaces import Workspaces

CHEAP = (ModelName("fireworks/cheap"),)
CHAIN = (ModelName("anthropic/large"), ModelName("openai/other"))


@pytest.fixture
async def configs(pool: Pool) -> LLMConfigs:
    for workspace in ("acme", "globex"):
        await Workspaces(pool).create(workspace, workspace)
    return LLMConfigs(pool, Keyring({"test": bytes(32)}))


async def test_a_workspace_that_chose_nothing_has_no_limit(configs: LLMConfigs) -> None:
    assert await configs.find("acme") == LLMConfig()


async def test_what_is_not_named_stays(configs: LLMConfigs) -> None:
    await configs.change("acme", LLMChange(routing={"extract": CHEAP}, token_budget=1000))
    await configs.change("acme", LLMChange(routing={"reason": CHAIN}, run_max_tokens=10))
    config = await configs.find("acme")
    assert config.routing == {"extract": CHEAP, "reason": CHAIN}
    assert (config.token_budget, config.run_max_tokens) == (1000, 10)
    assert await configs.find("globex") == LLMConfig()


async def test_what_is_none_is_taken_back(configs: LLMConfigs) -> None:
    everything = LLMChange(
        routing={"extract": CHEAP, "reason": CHAIN},
        token_budget=0,
        run_max_tokens=10,
        keys={"openai": "sk-one", "anthropic": "sk-two"},
    )
    await configs.change("acme", everything)
    assert (await configs.find("acme")).token_budget == 0
    nothing = LLMChange(
        routing={"extract": None}, token_budget=None, run_max_tokens=None, keys={"openai": None}
    )
    await configs.change("acme", nothing)
    config = await configs.find("acme")
    assert config.routing == {"reason": CHAIN}
    assert (config.token_budget, config.run_max_tokens) == (None, None)
    assert config.providers == {"anthropic"}
    assert set((await configs.open("acme")).keys) == {"anthropic"}


async def test_a_call_is_told_what_its_workspace_chose(configs: LLMConfigs, pool: Pool) -> None:
    await Workspaces(pool).change("acme", timezone="Asia/Kolkata")
    everything = LLMChange(
        routing={"reason": CHAIN},
        run_max_tokens=10,
        keys={"openai": "sk-marker", "anthropic": "sk-other"},
    )
    await configs.change("acme", everything)
    opened = await configs.open("acme")
    assert opened == OpenConfig(
        timezone="Asia/Kolkata",
        routing={"reason": CHAIN},
        run_max_tokens=10,
        keys={"openai": "sk-marker", "anthropic": "sk-other"},
    )
    assert "sk-" not in repr(opened)
    assert await configs.open("globex") == OpenConfig(
        timezone="UTC", routing={}, run_max_tokens=None, keys={}
    )
    await configs.change("acme", LLMChange(keys={"openai": "sk-another"}))
    assert (await configs.open("acme")).keys["openai"] == "sk-another"
    with pytest.raises(NotFound, match="nobody"):
        await configs.open("nobody")


async def test_a_key_is_readable_nowhere(configs: LLMConfigs, pool: Pool) -> None:
    change = LLMChange(keys={"openai": "sk-marker"})
    await configs.change("acme", change)
    assert "marker" not in repr(change)
    assert "marker" not in str(await configs.find("acme"))
    assert b"marker" not in await pool.fetchval("SELECT value FROM llm_keys")


@pytest.mark.parametrize(
    "move",
    ["UPDATE llm_keys SET workspace_id = 'globex'", "UPDATE llm_keys SET provider = 'another'"],
)
async def test_a_moved_key_does_not_open(configs: LLMConfigs, pool: Pool, move: str) -> None:
    await configs.change("acme", LLMChange(keys={"openai": "sk-marker"}))
    await pool.execute(move)
    row = await pool.fetchrow("SELECT workspace_id FROM llm_keys")
    assert row is not None
    with pytest.raises(CannotOpen):
        await configs.open(row["workspace_id"])


async def test_a_config_needs_a_workspace_that_exists(configs: LLMConfigs) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await configs.change("nobody", LLMChange(token_budget=1))
