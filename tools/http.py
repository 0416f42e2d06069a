from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, Literal

import httpcore2
import httpx2
from pydantic import AfterValidator, ConfigDict, Field

from core.errors import HttpFailed, HttpFailedForNow, InvalidArguments, SecretNotAllowed
from core.model import Frozen
from core.tool import Effect, Tool, ToolContext
from outbound.hosts import host_of, may_go_to, port_of
from outbound.urls import parse_url
from tools import answers
from tools.redaction import Redaction
from tools.registry import tool

if TYPE_CHECKING:
    from outbound import Outbound

MAX_REDIRECTS = 5
MAX_SECONDS = 120
ROOM_TO_REPORT = timedelta(seconds=10)
UNANSWERED = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpx2.DecodingError,
)
USER_AGENT = f"perdure/{version('perdure')}"
SAFE = ("GET", "HEAD")
CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
OF_THE_BODY = ("content-type", "content-language", "content-location", "idempotency-key")
# These say how the message travels, or to whom: the URL and the connection decide that.
OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te"}
    | {"trailer", "expect", "accept-encoding", "proxy-connection"}
)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


def absolute_url(text: str) -> str:
    parse_url(text)
    return text


def sendable(headers: dict[str, str]) -> dict[str, str]:
    """Raises ValueError; values are never repeated, they may be secret."""
    seen: set[str] = set()
    # A secret that was stored from a file ends in a line break that nobody meant.
    headers = {name: value.strip() for name, value in headers.items()}
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is not the name of a header")
        if name.lower() in OURS:
            raise ValueError(f"the header {name} is set by Perdure")
        if name.lower() in seen:
            raise ValueError(f"the header {name} is given twice")
        if not HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the header {name} holds a line break or a character beyond ASCII")
        seen.add(name.lower())
    return headers


class HttpRequest(Frozen):
    model_config = ConfigDict(populate_by_name=False, hide_input_in_errors=True)

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] = "GET"
    url: Annotated[str, Field(max_length=8192), AfterValidator(absolute_url)]
    headers: Annotated[dict[str, str], AfterValidator(sendable)] = Field(
        default_factory=dict[str, str]
    )
    body: Any = Field(None, alias="json", description="Sent as JSON; null sends no body.")
    timeout: float = Field(30, gt=0, le=MAX_SECONDS, description="Seconds, for all of it.")


def effect_of(request: HttpRequest) -> Effect:
    return "read" if request.method in SAFE else "write"


def http_request(outbound: Outbound) -> Tool:
    @tool(
        effect_of,
        timeout=timedelta(seconds=MAX_SECONDS) + ROOM_TO_REPORT,
        secret_fields=frozenset({"headers"}),
        reads={"method": SAFE},
    )
    async def http_request(request: HttpRequest, context: ToolContext) -> Any:
        """Call an HTTP API and return {status, headers, body}.

        The body is parsed if it is JSON. A status of 400 or above fails the step;
        5xx, 408, 425 and 429 are tried again. Only public addresses can be reached.
        """
        secrets = _secret_headers(request, context)
        redaction = Redaction(
            value for name, value in request.headers.items() if name.lower() in secrets
        )
        hop = _first_hop(request, context, secrets)
        try:
            async with asyncio.timeout(request.timeout):
                return await _follow(outbound, hop, redaction)
        except TimeoutError as error:
            raise HttpFailedForNow(f"{hop} did not answer within {request.timeout:g} s") from error
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise HttpFailedForNow(f"{hop} could not be reached: {error}") from error
        except httpcore2.LocalProtocolError:
            # Its words may quote a header.
            raise InvalidArguments(f"{hop} cannot be sent as it is") from None
        except UNANSWERED as error:
            raise HttpFailedForNow(f"{hop} broke off, or was not answered in HTTP") from error

    return http_request


@dataclass(frozen=True)
class Hop:
    method: str
    url: httpx2.URL
    headers: httpx2.Headers
    content: bytes | None
    secrets: frozenset[str]

    def __str__(self) -> str:
        """Without the query, which may hold what is not meant for every reader."""
        place = self.url.copy_with(query=None)
        return f"{self.method} {str(place)[:200]}"

    def to(self, status: int, location: str) -> Hop:
        """Where a redirect leads, and what may still be sent there. Raises ValueError."""
        url = parse_url(str(self.url.join(location)))
        if self.secrets and self.url.scheme == "https" and url.scheme == "http":
            raise SecretNotAllowed(f"{self} redirects to plain http, where a secret would be read")
        hop = replace(self, url=url)
        if not _same_place(self.url, url):
            hop = hop.without(CREDENTIALS | self.secrets)
        if (status == 303 and self.method != "HEAD") or (
            status in (301, 302) and self.method == "POST"
        ):
            hop = replace(hop.without(OF_THE_BODY), method="GET", content=None)
        return hop

    def without(self, names: frozenset[str] | tuple[str, ...]) -> Hop:
        kept = [(name, value) for name, value in self.headers.items() if name not in names]
        return replace(self, headers=httpx2.Headers(kept), secrets=self.secrets.difference(names))


async def _follow(outbound: Outbound, hop: Hop, redaction: Redaction) -> dict[str, Any]:
    for _ in range(MAX_REDIRECTS + 1):
        async with outbound.send(hop.method, hop.url, hop.headers, hop.content) as response:
            location = response.headers.get("location")
            if response.status_code not in (301, 302, 303, 307, 308) or location is None:
                return await answers.read(response, str(hop), redaction)
            try:
                hop = hop.to(response.status_code, location)
            except (ValueError, httpx2.InvalidURL) as error:
                raise HttpFailed(
                    f"{hop} redirects to what cannot be followed", status=response.status_code
                ) from error
    raise HttpFailed(f"{hop} is beyond {MAX_REDIRECTS} redirects")


def _secret_headers(request: HttpRequest, context: ToolContext) -> frozenset[str]:
    """The names of the headers that hold secrets, once every one of them may go to this host."""
    url = parse_url(request.url)
    host, port = host_of(url), port_of(url)
    names: set[str] = set()
    for pointer, hosts in context.secrets.items():
        field, _, name = pointer.removeprefix("/").partition("/")
        name = name.replace("~1", "/").replace("~0", "~")
        if field != "headers" or name not in request.headers:
            raise SecretNotAllowed("a secret of http_request can stand in a header only")
        if not may_go_to(url, hosts):
            raise SecretNotAllowed(
                f"the secret in the header {name} is not meant for {host}:{port},"
                f" only for {', '.join(sorted(hosts)) or 'no host'}"
            )
        names.add(name.lower())
    return frozenset(names)


def _first_hop(request: HttpRequest, context: ToolContext, secrets: frozenset[str]) -> Hop:
    headers = httpx2.Headers({"accept": "*/*", "user-agent": USER_AGENT})
    headers["accept-encoding"] = "gzip, deflate"
    content = None
    if request.body is not None:
        headers["content-type"] = "application/json"
        content = _encoded(request.body)
    elif request.method not in ("GET", "HEAD", "DELETE"):
        content = b""
    if effect_of(request) == "write":
        headers["idempotency-key"] = context.effect_key
    headers.update(request.headers)
    return Hop(request.method, parse_url(request.url), headers, content, secrets)


def _encoded(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise InvalidArguments("`json` holds what JSON cannot say, such as NaN") from None


def _same_place(one: httpx2.URL, other: httpx2.URL) -> bool:
    if host_of(one) != host_of(other):
        return False
    upgraded = (port_of(one), port_of(other)) == (80, 443)
    return upgraded or (one.scheme, port_of(one)) == (other.scheme, port_of(other))
