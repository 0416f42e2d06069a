"""What workspaces say of models, remembered for a moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from core.llm import Capability, ModelChoices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store.llm_config import LLMConfigs

REMEMBERED_SECONDS = 2.0  # so that a change is seen everywhere soon
MOST_REMEMBERED = 1_000


class Choices:
    """`defaults` is the installation's routing; a workspace may have other."""

    def __init__(self, configs: LLMConfigs, defaults: Mapping[Capability, tuple[str, ...]]) -> None:
        self._configs = configs
        self._defaults = defaults
        self._known: dict[str, tuple[float, ModelChoices]] = {}

    async def choices(self, workspace: str) -> ModelChoices:
        """Without a workspace, what the installation itself would use."""
        if not workspace:
            return ModelChoices(timezone="UTC", routing={**self._defaults}, own_keys={})
        now = time.monotonic()
        known = self._known.get(workspace)
        if known is not None and now - known[0] < REMEMBERED_SECONDS:
            return known[1]
        config = await self._configs.open(workspace)
        found = ModelChoices(
            timezone=config.timezone,
            routing={**self._defaults, **config.routing},
            own_keys=config.keys,
            run_max_tokens=config.run_max_tokens,
        )
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[workspace] = (now, found)
        return found
