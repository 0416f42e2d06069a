"""How a workspace uses models: its routing, its limits, and keys that only calls open."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from core.llm import Capability, ModelName
from core.model import Frozen
from store.waits import STIR
from store.workspaces import no_workspace, owned_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store.pool import Pool
    from store.sealing import Keyring

Routing = dict[Capability, tuple[ModelName, ...]]

FIND = """
    SELECT routing, token_budget, run_max_tokens, llm_configs.updated_at,
        ARRAY(SELECT provider FROM llm_keys WHERE workspace_id = $1 ORDER BY provider) AS providers
    FROM (SELECT) AS one
    LEFT JOIN llm_configs ON workspace_id = $1
"""
CHANGE = """
    INSERT INTO llm_configs AS known (workspace_id, routing, token_budget, run_max_tokens)
    VALUES ($1, jsonb_strip_nulls($2::jsonb), $3, $4)
    ON CONFLICT (workspace_id) DO UPDATE SET
        routing = jsonb_strip_nulls(known.routing || $2::jsonb),
        token_budget = CASE WHEN $5 THEN $3 ELSE known.token_budget END,
        run_max_tokens = CASE WHEN $6 THEN $4 ELSE known.run_max_tokens END,
        updated_at = now()
"""
PUT_KEY = """
    INSERT INTO llm_keys (workspace_id, provider, value) VALUES ($1, $2, $3)
    ON CONFLICT (workspace_id, provider) DO UPDATE SET value = excluded.value, updated_at = now()
"""
DELETE_KEY = "DELETE FROM llm_keys WHERE workspace_id = $1 AND provider = $2"
OPEN = """
    SELECT timezone, routing, run_max_tokens,
        ARRAY(SELECT provider FROM llm_keys WHERE workspace_id = $1 ORDER BY provider) AS providers,
        ARRAY(SELECT value FROM llm_keys WHERE workspace_id = $1 ORDER BY provider) AS keys
    FROM workspaces
    LEFT JOIN llm_configs ON workspace_id = id
    WHERE id = $1
"""


class LLMConfig(Frozen):
    """`routing` holds only what the workspace chose itself; `providers` those it has a key for."""

    routing: Routing = Field(default_factory=Routing)
    token_budget: int | None = None
    run_max_tokens: int | None = None
    providers: frozenset[str] = frozenset()
    updated_at: datetime | None = None


class OpenConfig(Frozen):
    """What a call has to know."""

    timezone: str
    routing: Routing
    run_max_tokens: int | None
    keys: dict[str, str] = Field(repr=False)


class LLMChange(Frozen):
    """What is not set stays as it is; None takes a route or a key back, or a limit away."""

    routing: dict[Capability, tuple[ModelName, ...] | None] = Field(default_factory=dict)
    token_budget: int | None = None
    run_max_tokens: int | None = None
    keys: dict[str, str | None] = Field(default_factory=dict, repr=False)


class LLMConfigs:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def find(self, workspace: str) -> LLMConfig:
        """That of a workspace which never chose anything is empty."""
        row = await self._pool.fetchrow(FIND, workspace)
        assert row is not None
        return LLMConfig(
            routing=row["routing"] or {},
            token_budget=row["token_budget"],
            run_max_tokens=row["run_max_tokens"],
            providers=frozenset(row["providers"]),
            updated_at=row["updated_at"],
        )

    async def change(self, workspace: str, change: LLMChange) -> None:
        """All of it or nothing."""
        told: Mapping[str, Any] = change.model_dump(mode="json", include={"routing"})
        with owned_by(workspace):
            async with self._pool.transaction() as connection:
                await connection.execute(
                    CHANGE,
                    workspace,
                    told["routing"],
                    change.token_budget,
                    change.run_max_tokens,
                    "token_budget" in change.model_fields_set,
                    "run_max_tokens" in change.model_fields_set,
                )
                for provider, key in sorted(change.keys.items()):
                    if key is None:
                        await connection.execute(DELETE_KEY, workspace, provider)
                    else:
                        sealed = self._keyring.seal(key.encode(), _place(workspace, provider))
                        await connection.execute(PUT_KEY, workspace, provider, sealed)
                # A budget, a key or a route: each may let go on who waits for tokens.
                await connection.execute(STIR, workspace, "budget")

    async def open(self, workspace: str) -> OpenConfig:
        """For calls. A key that does not open raises: the platform's must not serve instead."""
        row = await self._pool.fetchrow(OPEN, workspace)
        if row is None:
            raise no_workspace(workspace)
        return OpenConfig(
            timezone=row["timezone"],
            routing=row["routing"] or {},
            run_max_tokens=row["run_max_tokens"],
            keys={
                provider: self._keyring.open(key, _place(workspace, provider)).decode()
                for provider, key in zip(row["providers"], row["keys"], strict=True)
            },
        )


def _place(workspace: str, provider: str) -> str:
    return f"{workspace}/llm/keys/{provider}"
