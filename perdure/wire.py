from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2

from perdure.connection import START
from perdure.errors import BadUsage, NotUnderstood, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping

    from perdure.connection import Connection

CONNECT = timedelta(seconds=5)
ANSWER = timedelta(seconds=30)
# The gateway says something at least every quarter of a minute.
SILENCE = timedelta(seconds=60)
LARGEST_EVENT = 16 * 1024 * 1024
AGAIN_AFTER = (timedelta(seconds=0.2), timedelta(seconds=0.6))
REPEATABLE = frozenset({"GET", "PUT", "DELETE"})
EVENTS = "text/event-stream"
IDEMPOTENCY_KEY = "Idempotency-Key"


class Wire:
    """HTTP as the gateway speaks it: JSON both ways, problems as `Refused`."""

    def __init__(
        self, connection: Connection, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._url = connection.url
        plain = self._is_plain = connection.is_local and connection.url.startswith("http://")
        self._http = httpx2.AsyncClient(
            base_url=connection.url,
            headers={"Authorization": f"Bearer {connection.key}", "Accept": "application/json"},
            timeout=httpx2.Timeout(ANSWER.total_seconds(), connect=CONNECT.total_seconds()),
            transport=transport,
            # Nothing is between us and this machine, and loading certificates takes 0.1 s.
            trust_env=not plain,
            verify=not plain,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return await self.send("GET", path, params=params)

    async def text(self, path: str, params: Mapping[str, Any]) -> str:
        """Whatever the gateway answers, as it is."""
        response = await self._answer(self._http.build_request("GET", path, params=_given(params)))
        if response.is_error or response.is_redirect:
            raise self._refused(response)
        return response.text

    async def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | AsyncIterable[bytes] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: timedelta = timedelta(),
    ) -> Any:
        """`patience` is how much longer than usual the answer may take."""
        timeout = httpx2.Timeout(
            (ANSWER + patience).total_seconds(), connect=CONNECT.total_seconds()
        )
        try:
            request = self._http.build_request(
                method,
                path,
                json=json,
                content=content,
                params=_given(params),
                headers=headers,
                timeout=timeout,
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise BadUsage(f"this cannot be sent: {error}") from error
        response = await self._answer(request)
        if response.is_error or response.is_redirect:
            raise self._refused(response)
        return self._document(response)

    async def probe(self, path: str) -> tuple[int, Any]:
        """Status and body, whatever they are."""
        response = await self._answer(self._http.build_request("GET", path))
        return response.status_code, self._document(response)

    async def listen(
        self,
        path: str,
        params: Mapping[str, Any],
        cursor: str | None,
        opened: Callable[[], None],
    ) -> AsyncGenerator[httpx2.ServerSentEvent]:
        """Server-sent events until the gateway ends them; a lost connection is `Unreachable`."""
        headers = {"Last-Event-ID": cursor} if cursor else {}
        timeout = httpx2.Timeout(SILENCE.total_seconds(), connect=CONNECT.total_seconds())
        try:
            async with self._http.sse(
                path,
                params=_given(params),
                headers=headers,
                timeout=timeout,
                max_event_size=LARGEST_EVENT,
            ) as source:
                if source.response.is_error or source.response.is_redirect:
                    await source.response.aread()
                    raise self._refused(source.response)
                if not source.response.headers.get("content-type", "").startswith(EVENTS):
                    raise self._stranger()
                opened()
                async for event in source:
                    yield event
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        repeatable = request.method in REPEATABLE or IDEMPOTENCY_KEY in request.headers
        pauses = iter(AGAIN_AFTER if repeatable else ())
        while True:
            try:
                return await self._http.send(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                raise self._unreachable(error) from error
            except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError) as error:
                pause = next(pauses, None)
                if pause is None:
                    raise self._unreachable(error) from error
                await asyncio.sleep(pause.total_seconds())
            except httpx2.TransportError as error:
                raise self._unreachable(error) from error

    def _unreachable(self, error: httpx2.TransportError) -> Unreachable | BadUsage:
        match error:
            case httpx2.ConnectError() if self._is_plain:
                return Unreachable(f"no gateway at {self._url}: {START}")
            case httpx2.ConnectError():
                return Unreachable(f"cannot reach {self._url}: {error}")
            case httpx2.TimeoutException():
                return Unreachable(f"the gateway at {self._url} does not answer in time")
            case httpx2.LocalProtocolError():
                return BadUsage(f"this cannot be sent: {error}")
            case _:
                return Unreachable(f"the connection to {self._url} broke: {error}")

    def _refused(self, response: httpx2.Response) -> Refused | Unreachable:
        problem = _json(response)
        if isinstance(problem, dict) and ("detail" in problem or "title" in problem):
            return Refused(response.status_code, problem)
        if response.is_server_error:
            return Refused(
                response.status_code,
                {"title": f"the gateway at {self._url} answered {response.status_code}"},
            )
        return self._stranger()

    def _document(self, response: httpx2.Response) -> Any:
        if not response.content:
            return None
        document = _json(response)
        if document is None:
            raise self._stranger()
        return document

    def _stranger(self) -> NotUnderstood:
        return NotUnderstood(f"what answers at {self._url} is no Perdure gateway")


def _given(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def _json(response: httpx2.Response) -> Any:
    media_type = response.headers.get("content-type", "").partition(";")[0].strip()
    if media_type != "application/json" and not media_type.endswith("+json"):
        return None
    try:
        return response.json()
    except ValueError:
        return None
