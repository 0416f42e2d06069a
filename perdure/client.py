from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from perdure.connection import Access, Connection, connect_to
from perdure.events import Events
from perdure.keys import Keys
from perdure.llm import LLM
from perdure.runs import Runs
from perdure.secrets import Secrets
from perdure.skills import Skills
from perdure.sources import Sources
from perdure.webhooks import Webhooks
from perdure.wire import Wire
from perdure.workspace import Readiness
from perdure.workspaces import Workspaces

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import httpx2

    from perdure.run import Run


class Client:
    """Speaks to one gateway, as one workspace.

    What is not named is found as the command finds it: in PERDURE_URL, PERDURE_API_KEY and
    PERDURE_WORKSPACE, or in the nearest installation's credentials.

        async with Client() as client:
            run = await client.run("pipeline-hygiene", {"stale_after_days": 14})
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        workspace: str | None = None,
        *,
        access: Access = "workspace",
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.connection: Connection = connect_to(
            url=url, key=key, workspace=workspace, access=access
        )
        self._wire = Wire(self.connection, transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._wire.close()

    @cached_property
    def runs(self) -> Runs:
        return Runs(self._wire, self.connection)

    @cached_property
    def skills(self) -> Skills:
        return Skills(self._wire, self.connection)

    @cached_property
    def sources(self) -> Sources:
        return Sources(self._wire, self.connection)

    @cached_property
    def workspaces(self) -> Workspaces:
        return Workspaces(self._wire)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self._wire, self.connection)

    @cached_property
    def secrets(self) -> Secrets:
        return Secrets(self._wire, self.connection)

    @cached_property
    def events(self) -> Events:
        return Events(self._wire, self.connection)

    @cached_property
    def llm(self) -> LLM:
        return LLM(self._wire, self.connection)

    @cached_property
    def webhooks(self) -> Webhooks:
        return Webhooks(self._wire, self.connection)

    async def run(self, skill: str, inputs: Mapping[str, Any] | None = None) -> Run:
        """Starts a skill and waits for its end, over lost connections and however long."""
        started = await self.skills.run(skill, inputs)
        return await self.runs.wait(started.run_id)

    async def readiness(self) -> Readiness:
        """Raises `Unreachable` where no gateway answers."""
        status, details = await self._wire.probe("/readyz")
        return Readiness.read(
            (details if isinstance(details, dict) else {}) | {"ready": status == 200}
        )

    async def version(self) -> str | None:
        """The gateway's, where it says."""
        page = await self._wire.get("/openapi.json")
        said = page.get("info", {}).get("version") if isinstance(page, dict) else None
        return said if isinstance(said, str) else None
