"""Connections to other systems: each goes to an address that was checked, under its own name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Self, cast

import httpcore2
import httpx2

from core.errors import AddressRefused
from outbound.addresses import Endpoint, Guard, Resolve, resolve
from outbound.hosts import host_of, port_of
from outbound.urls import parse_url

if TYPE_CHECKING:
    from types import TracebackType

SECONDS_TO_RESOLVE = 3.0
SECONDS_PER_ADDRESS = 5.0  # where another address is left to try
IDLE_CONNECTIONS = 50
IDLE_SECONDS = 15.0

Network = httpcore2.AsyncNetworkBackend


class GuardedNetwork(Network):
    """Resolves, checks and connects in one go, so that no second answer of DNS is ever used.

    TLS is still verified against the name: httpcore takes it from the URL, not from here.
    """

    def __init__(self, guard: Guard, network: Network | None) -> None:
        self._guard = guard
        self._network = network or cast(Network, httpcore2.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            addresses = await self._guard.admit(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"the name {host} does not resolve") from error
        failure: Exception = httpcore2.ConnectError(f"the name {host} has no address")
        for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
            try:
                return await self._network.connect_tcp(
                    address,
                    port,
                    timeout=SECONDS_PER_ADDRESS if left else timeout,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


class Outbound:
    """One pool for a worker. It keeps no cookies, follows no redirect and knows no proxy.

    `network` and `resolve` are what it stands on; tests put others in their place.
    """

    def __init__(
        self,
        allowed_hosts: frozenset[str] = frozenset(),
        refused: frozenset[Endpoint] = frozenset(),
        *,
        resolve: Resolve = resolve,
        network: Network | None = None,
    ) -> None:
        self._guard = Guard(allowed_hosts, refused, resolve)
        self._network = GuardedNetwork(self._guard, network)
        self._pool: httpcore2.AsyncConnectionPool | None = None

    async def __aenter__(self) -> Self:
        self._pool = httpcore2.AsyncConnectionPool(
            network_backend=self._network,
            ssl_context=httpcore2.default_ssl_context(),
            # The worker bounds what runs at once; a slow host must not take others' places.
            max_connections=None,
            max_keepalive_connections=IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pool, self._pool = self._pool, None
        if pool:
            await pool.aclose()

    async def require(self, url: str) -> None:
        """Before it is kept for later: raises AddressRefused where `send` is sure to.

        Plain http only where an operator allows the host. A name that does not resolve now may do
        so by the time it is needed.
        """
        try:
            target = parse_url(url)
            host, port = host_of(target), port_of(target)
        except ValueError as error:
            raise AddressRefused(str(error)) from None
        if target.scheme != "https" and not self._guard.allows(host, port):
            raise AddressRefused("expected https: what is sent is not for everybody on the way")
        with suppress(OSError, UnicodeError, TimeoutError):
            async with asyncio.timeout(SECONDS_TO_RESOLVE):
                await self._guard.admit(host, port)

    @asynccontextmanager
    async def send(
        self, method: str, url: httpx2.URL, headers: httpx2.Headers, content: bytes | None
    ) -> AsyncGenerator[httpx2.Response, None]:
        """One request, one response, its body not yet read. Raises httpcore2's errors."""
        if self._pool is None:
            raise RuntimeError("open Outbound first: async with Outbound() as outbound")
        target = httpcore2.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        named = [(b"Host", url.netloc), *headers.raw]
        async with self._pool.stream(method, target, headers=named, content=content) as answer:
            yield httpx2.Response(
                answer.status, headers=answer.headers, stream=_Body(answer.aiter_stream())
            )


class _Body(httpx2.AsyncByteStream):
    def __init__(self, parts: AsyncGenerator[bytes, None]) -> None:
        self._parts = parts

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self._parts
