"""Where the tool goes, and where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpcore2
import pytest

from core.errors import AddressRefused, HttpFailed, SecretNotAllowed
from core.tool import Actor, RunContext, ToolContext
from outbound import Outbound
from tests.receiver import Received, Receiver, reply
from tools.http import http_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RUN = RunContext(
    workspace="acme", run="r", lineage="r", path="a", actor=Actor(kind="system", id="test")
)
PUBLIC, ALSO_PUBLIC = "93.184.216.34", "2606:4700::1111"


async def call(
    outbound: Outbound, url: str, secrets: dict[str, Iterable[str]] | None = None, **arguments: Any
) -> Any:
    tool = http_request(outbound)
    bound = {pointer: frozenset(hosts) for pointer, hosts in (secrets or {}).items()}
    return await tool.call(
        tool.arguments.model_validate({"url": url, **arguments}), ToolContext(RUN, "k", bound)
    )


class Internet(httpcore2.AsyncNetworkBackend):
    """Stands for every public address, and leads each to a server on this machine."""

    def __init__(self, *silent: str) -> None:
        self.connected: list[str] = []
        self.verified: list[str | None] = []
        self._silent = silent
        self._wire = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, *args: Any, **kwargs: Any
    ) -> httpcore2.AsyncNetworkStream:
        self.connected.append(host)
        if host in self._silent:
            raise httpcore2.ConnectError("no route")
        stream = await self._wire.connect_tcp("127.0.0.1", port)
        return Unencrypted(stream, self.verified)


class Unencrypted(httpcore2.AsyncNetworkStream):
    """Notes whose certificate would be asked for."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, verified: list[str | None]) -> None:
        self._stream, self._verified = stream, verified
        self.read, self.write, self.aclose = stream.read, stream.write, stream.aclose
        self.get_extra_info = stream.get_extra_info

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        assert ssl_context.check_hostname
        self._verified.append(server_hostname)
        return self


class Names:
    """Answers of DNS, each used once; the last one stays."""

    def __init__(self, **answers: list[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): list(a) for name, a in answers.items()}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        left = self._answers[host]
        return left.pop(0) if len(left) > 1 else left[0]


async def ok(_: Received) -> bytes:
    return reply(200, b"ok")


async def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    internet = Internet()
    names = Names(api_example=[[PUBLIC], ["127.0.0.1"], [PUBLIC, "127.0.0.1"]])
    async with Receiver(ok) as receiver, Outbound(resolve=names, network=internet) as outbound:
        url = receiver.url("/deals", "api.example")
        assert (await call(outbound, url))["body"] == "ok"
        with pytest.raises(AddressRefused, match="not on the public internet"):
            await call(outbound, url)
        assert (await call(outbound, url))["body"] == "ok"
    assert internet.connected == [PUBLIC, PUBLIC]
    assert [sent.headers["host"] for sent in receiver.requests] == [
        f"api.example:{receiver.port}"
    ] * 2


async def test_tls_is_verified_against_the_name_not_the_address() -> None:
    internet = Internet()
    async with (
        Receiver(ok) as receiver,
        Outbound(resolve=Names(api_example=[[PUBLIC]]), network=internet) as outbound,
    ):
        await call(outbound, receiver.url("/", "API.example", "https"))
    assert (internet.connected, internet.verified) == ([PUBLIC], ["api.example"])


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    internet = Internet(ALSO_PUBLIC)
    names = Names(api_example=[[ALSO_PUBLIC, "10.0.0.1", PUBLIC]])
    async with Receiver(ok) as receiver, Outbound(resolve=names, network=internet) as outbound:
        assert (await call(outbound, receiver.url("/", "api.example")))["body"] == "ok"
    assert internet.connected == [ALSO_PUBLIC, PUBLIC]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "0.0.0.0",
        "0",
        "127.0.0.1.",
        "127。0。0。1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[0:0:0:0:0:0:0:1]",
    ],
)
async def test_no_spelling_of_this_machine_is_reached(host: str) -> None:
    async with Receiver(ok) as receiver, Outbound() as outbound:
        with pytest.raises(AddressRefused) as caught:
            await call(outbound, receiver.url("/", host))
    assert receiver.requests == []
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://192.168.0.1/",
        "http://10.0.0.1:8080/",
    ],
)
async def test_nothing_of_the_network_behind_us_is_reached(url: str) -> None:
    internet = Internet()
    async with Outbound(network=internet) as outbound:
        with pytest.raises(AddressRefused):
            await call(outbound, url)
    assert internet.connected == []


async def test_our_own_port_is_refused_though_its_host_is_allowed() -> None:
    async with Receiver(ok) as ours, Receiver(ok) as other:
        allowed = frozenset({"127.0.0.1", "localhost", "127.0.0.2"})
        async with Outbound(allowed, frozenset({("localhost", ours.port)})) as outbound:
            for host in allowed:
                with pytest.raises(AddressRefused, match="belongs to Perdure"):
                    await call(outbound, ours.url("/", host))
            assert (await call(outbound, other.url("/", "localhost")))["body"] == "ok"
    assert ours.requests == []


async def test_an_allowed_port_does_not_open_the_others() -> None:
    async with (
        Receiver(ok) as open_one,
        Receiver(ok) as closed,
        Outbound(frozenset({f"127.0.0.1:{open_one.port}"})) as outbound,
    ):
        assert (await call(outbound, open_one.url()))["status"] == 200
        with pytest.raises(AddressRefused):
            await call(outbound, closed.url())
    assert closed.requests == []


def redirecting(status: int, location: str):
    async def script(received: Received) -> bytes:
        return reply(status, location=location) if received.target == "/" else reply(200, b"end")

    return script


async def test_a_redirect_inside_is_refused() -> None:
    names = Names(api_example=[[PUBLIC]], **{"127_0_0_1": [["127.0.0.1"]]})
    async with (
        Receiver(ok) as inside,
        Receiver(redirecting(302, inside.url("/admin"))) as outside,
        Outbound(resolve=names, network=Internet()) as outbound,
    ):
        with pytest.raises(AddressRefused):
            await call(outbound, outside.url("/", "api.example"))
    assert len(outside.requests) == 1
    assert inside.requests == []


async def test_redirects_are_followed_with_the_method_rewritten() -> None:
    async with (
        Receiver(redirecting(303, "../done?x=1#y")) as receiver,
        Outbound(frozenset({"127.0.0.1"})) as outbound,
    ):
        told = await call(outbound, receiver.url(), method="POST", json={"a": 1})
    assert told["body"] == "end"
    assert [(sent.method, sent.target) for sent in receiver.requests] == [
        ("POST", "/"),
        ("GET", "/done?x=1"),
    ]
    assert receiver.requests[1].body == b""
    assert "content-type" not in receiver.requests[1].headers


async def test_a_redirect_may_keep_the_method_and_the_body() -> None:
    async with (
        Receiver(redirecting(307, "/again")) as receiver,
        Outbound(frozenset({"127.0.0.1"})) as outbound,
    ):
        await call(outbound, receiver.url(), method="POST", json={"a": 1})
    first, second = receiver.requests
    assert (second.method, second.body) == ("POST", first.body)
    assert second.headers["idempotency-key"] == first.headers["idempotency-key"] == "k"


async def test_five_redirects_are_followed_and_not_six() -> None:
    async def count_down(received: Received) -> bytes:
        left = int(received.target.removeprefix("/"))
        return reply(302, location=f"/{left - 1}") if left else reply(200, b"end")

    async with Receiver(count_down) as receiver, Outbound(frozenset({"127.0.0.1"})) as outbound:
        assert (await call(outbound, receiver.url("/5")))["body"] == "end"
        with pytest.raises(HttpFailed, match="5 redirects") as caught:
            await call(outbound, receiver.url("/6"))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/", "http://me:pw@127.0.0.1/", "http://a..b/"],
)
async def test_a_redirect_to_what_is_not_plain_http_is_refused(location: str) -> None:
    async with (
        Receiver(redirecting(302, location)) as receiver,
        Outbound(frozenset({"127.0.0.1"})) as outbound,
    ):
        with pytest.raises(HttpFailed, match="cannot be followed"):
            await call(outbound, receiver.url())


async def test_a_redirect_without_a_place_is_an_answer() -> None:
    async def lost(_: Received) -> bytes:
        return reply(302)

    async with Receiver(lost) as receiver, Outbound(frozenset({"127.0.0.1"})) as outbound:
        assert (await call(outbound, receiver.url()))["status"] == 302


async def test_secrets_and_credentials_are_dropped_on_the_way_to_another_host() -> None:
    headers = {"X-Api-Key": "s3cr3t", "Authorization": "Basic x", "Cookie": "c=1", "X-Trace": "t"}
    async with (
        Receiver(ok) as other,
        Receiver(redirecting(307, other.url("/next", "localhost"))) as receiver,
        Outbound(frozenset({"127.0.0.1", "localhost"})) as outbound,
    ):
        bound = {"/headers/X-Api-Key": ["127.0.0.1", "localhost"]}
        await call(outbound, receiver.url(), bound, headers=headers)
    assert receiver.requests[0].headers["x-api-key"] == "s3cr3t"
    sent = other.requests[0].headers
    assert {"x-api-key", "authorization", "cookie"}.isdisjoint(sent)
    assert sent["x-trace"] == "t"


async def test_secrets_stay_on_the_same_host() -> None:
    async with (
        Receiver(redirecting(307, "/next")) as receiver,
        Outbound(frozenset({"127.0.0.1"})) as outbound,
    ):
        bound = {"/headers/X-Api-Key": [f"127.0.0.1:{receiver.port}"]}
        await call(outbound, receiver.url(), bound, headers={"X-Api-Key": "s3cr3t"})
    assert [sent.headers["x-api-key"] for sent in receiver.requests] == ["s3cr3t"] * 2


async def test_a_secret_of_another_host_is_not_even_connected_for() -> None:
    async with Receiver(ok) as receiver, Outbound(frozenset({"127.0.0.1"})) as outbound:
        bound = {"/headers/X-Api-Key": ["api.example.com"]}
        with pytest.raises(SecretNotAllowed):
            await call(outbound, receiver.url(), bound, headers={"X-Api-Key": "s3cr3t"})
    assert receiver.requests == []
    assert not receiver.hung_up.is_set()


async def test_an_unopened_pool_says_so() -> None:
    with pytest.raises(RuntimeError, match="open Outbound first"):
        await call(Outbound(), "https://example.com/")
