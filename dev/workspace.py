"""The workspace and the key everybody starts with, made through the gateway like any other."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import httpx2

ID = "demo"
SCOPES = ["read", "run", "approve", "manage"]
LOOK_EVERY = 0.05  # seconds


class Gateway:
    def __init__(self, url: str) -> None:
        self._url = url

    async def alive(self) -> None:
        await self._until_ok("/healthz")

    async def ready(self) -> None:
        """Temporal, PostgreSQL and a worker, as the gateway sees them."""
        await self._until_ok("/readyz")

    async def workspace_key(self, admin_key: str, known: str | None) -> str:
        """The known one if it still opens the workspace, else a new one."""
        async with self._client() as client:
            path = f"/api/workspaces/{ID}"
            if known and (await client.get(path, headers=_key(known))).is_success:
                return known
            client.headers.update(_key(admin_key))
            if (await client.get(path)).status_code == HTTPStatus.NOT_FOUND:
                made = await client.post("/api/workspaces", json={"id": ID, "name": ID})
                made.raise_for_status()
            answer = await client.post(f"{path}/keys", json={"name": ID, "scopes": SCOPES})
            key: str = answer.raise_for_status().json()["key"]
            return key

    async def _until_ok(self, path: str) -> None:
        async with self._client() as client:
            while True:
                try:
                    if (await client.get(path)).status_code == HTTPStatus.OK:
                        return
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(LOOK_EVERY)

    def _client(self) -> httpx2.AsyncClient:
        return client_of(self._url)


def client_of(url: str, key: str | None = None) -> httpx2.AsyncClient:
    # A proxy of the user's would not find our loopback.
    headers = _key(key) if key else {}
    return httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=10)


def _key(key: str) -> dict[str, str]:
    return {"X-API-Key": key}
