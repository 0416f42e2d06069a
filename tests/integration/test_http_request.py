"""The tool against real servers on this machine."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
import zlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import HttpFailed, HttpFailedForNow, ValueTooLarge
from core.tool import Actor, RunContext, Tool, ToolContext
from outbound import Outbound
from tests.receiver import Received, Receiver, reply
from tools.http import http_request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

HERE = frozenset({"127.0.0.1", "localhost"})
SECRET = "sk-4f9a0c17e2"
CONTEXT = ToolContext(
    run=RunContext(
        workspace="acme", run="r", lineage="r", path="a", actor=Actor(kind="system", id="test")
    ),
    effect_key="r:deals[3].post#1:9f86d081",
)
WITH_SECRET = ToolContext(
    CONTEXT.run, CONTEXT.effect_key, {"/headers/Authorization": frozenset({"127.0.0.1"})}
)


@pytest.fixture
async def request_tool() -> AsyncGenerator[Tool, None]:
    async with Outbound(HERE) as outbound:
        yield http_request(outbound)


async def call(tool: Tool, url: str, context: ToolContext = CONTEXT, **arguments: Any) -> Any:
    return await tool.call(tool.arguments.model_validate({"url": url, **arguments}), context)


def always(answer: bytes | None) -> Callable[[Received], Awaitable[bytes | None]]:
    async def script(_: Received) -> bytes | None:
        return answer

    return script


async def test_a_get_returns_status_headers_and_body(request_tool: Tool) -> None:
    answer = reply(200, b'{"deals": []}', content_type="application/json", x_total="0")
    async with Receiver(always(answer)) as receiver:
        told = await call(request_tool, receiver.url("/deals?stage=won#top"))
    assert told["status"] == 200
    assert told["body"] == {"deals": []}
    assert told["headers"]["x-total"] == "0"
    sent = receiver.requests[0]
    assert (sent.method, sent.target, sent.body) == ("GET", "/deals?stage=won", b"")
    assert sent.headers["user-agent"].startswith("perdure/")
    assert sent.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert "idempotency-key" not in sent.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_carries_json_and_the_key_of_its_effect(
    request_tool: Tool, method: str
) -> None:
    async with Receiver(always(reply(201))) as receiver:
        told = await call(request_tool, receiver.url(), method=method, json={"é": [1, None]})
    assert (told["status"], told["body"]) == (201, None)
    sent = receiver.requests[0]
    assert sent.method == method
    assert json.loads(sent.body) == {"é": [1, None]}
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["idempotency-key"] == CONTEXT.effect_key


async def test_headers_of_the_caller_win(request_tool: Tool) -> None:
    headers = {"idempotency-key": "mine", "User-Agent": "me/1", "content-type": "text/x"}
    async with Receiver(always(reply(200))) as receiver:
        await call(request_tool, receiver.url(), method="POST", headers=headers, json=1)
    assert headers.items() <= {**receiver.requests[0].headers, "User-Agent": "me/1"}.items()
    assert receiver.requests[0].headers["user-agent"] == "me/1"


async def test_head_has_no_body(request_tool: Tool) -> None:
    answer = reply(200, content_type="text/html", content_length="9000000")
    async with Receiver(always(answer)) as receiver:
        told = await call(request_tool, receiver.url(), method="HEAD")
    assert told["body"] is None
    assert told["headers"]["content-length"] == "9000000"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 451])
async def test_a_refusal_fails_for_good(request_tool: Tool, status: int) -> None:
    answer = reply(status, b'{"error": "no such deal"}', retry_after="5")
    async with Receiver(always(answer)) as receiver:
        with pytest.raises(HttpFailed, match=f"GET .*/deals/9 answered {status}") as caught:
            await call(request_tool, receiver.url("/deals/9?token=t"))
    assert not caught.value.retryable
    assert caught.value.retry_after is None
    assert caught.value.data == {"status": status, "body": '{"error": "no such deal"}'}
    assert "token" not in str(caught.value)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_an_overload_fails_for_now_and_waits_as_long_as_asked(
    request_tool: Tool, status: int
) -> None:
    async with Receiver(always(reply(status, b"busy", retry_after="17"))) as receiver:
        with pytest.raises(HttpFailedForNow) as caught:
            await call(request_tool, receiver.url())
    assert caught.value.retryable
    assert caught.value.retry_after == timedelta(seconds=17)
    assert caught.value.data == {"status": status, "body": "busy"}


async def test_a_failure_tells_two_kilobytes_of_the_body(request_tool: Tool) -> None:
    async with Receiver(always(reply(500, b"x" * 500_000))) as receiver:
        with pytest.raises(HttpFailedForNow) as caught:
            await call(request_tool, receiver.url())
    assert caught.value.data["body"] == "x" * 2048


async def test_a_failure_is_told_though_its_body_breaks_off(request_tool: Tool) -> None:
    answer = reply(403, b"go away", content_length="100")
    async with Receiver(always(answer)) as receiver:
        with pytest.raises(HttpFailed, match="answered 403") as caught:
            await call(request_tool, receiver.url())
    assert caught.value.data["body"] == "go away"


@pytest.mark.parametrize("at", [0, 2040, 2047])
async def test_an_echoed_secret_is_hidden_in_a_failure_even_across_the_cut(
    request_tool: Tool, at: int
) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    answer = reply(401, b"." * at + SECRET.encode() + b"." * 3000)
    async with Receiver(always(answer)) as receiver:
        with pytest.raises(HttpFailed) as caught:
            await call(request_tool, receiver.url(), WITH_SECRET, headers=headers)
    assert receiver.requests[0].headers["authorization"] == f"Bearer {SECRET}"
    told = caught.value.data["body"]
    assert "sk-" not in told
    assert told[at : at + 1] == "*"


async def test_an_echoed_secret_is_hidden_in_a_success(request_tool: Tool) -> None:
    body = json.dumps({"you sent": {"authorization": f"Bearer {SECRET}"}}).encode()
    answer = reply(200, body, content_type="application/json", x_echo=SECRET)
    async with Receiver(always(answer)) as receiver:
        told = await call(
            request_tool,
            receiver.url(),
            WITH_SECRET,
            headers={"Authorization": f"Bearer {SECRET}"},
        )
    assert told["body"] == {"you sent": {"authorization": "***"}}
    assert SECRET not in json.dumps(told)


async def test_a_compressed_body_is_read(request_tool: Tool) -> None:
    packed = zlib.compress(b'{"a": 1}', wbits=31)
    answer = reply(200, packed, content_encoding="gzip", content_type="application/json")
    async with Receiver(always(answer)) as receiver:
        assert (await call(request_tool, receiver.url()))["body"] == {"a": 1}
    assert receiver.requests[0].headers["accept-encoding"] == "gzip, deflate"


async def test_a_body_of_one_megabyte_is_read_and_one_byte_more_is_not(
    request_tool: Tool,
) -> None:
    whole = b"x" * 1024 * 1024
    async with Receiver(always(reply(200, whole))) as receiver:
        assert len((await call(request_tool, receiver.url()))["body"]) == len(whole)
    async with Receiver(always(reply(200, whole + b"x"))) as receiver:
        with pytest.raises(ValueTooLarge, match="more than 1 MiB") as caught:
            await call(request_tool, receiver.url())
    assert caught.value.data == {"limit": 1024 * 1024}


async def test_a_decompression_bomb_is_stopped_while_it_unpacks(request_tool: Tool) -> None:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1024 * 1024)
    bomb = b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()
    answer = reply(200, bomb, content_encoding="gzip")
    async with Receiver(always(answer)) as receiver:
        tracemalloc.start()
        try:
            with pytest.raises(ValueTooLarge):
                await call(request_tool, receiver.url())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 20 * 1024 * 1024


async def test_a_body_that_is_not_what_its_encoding_says_is_worth_another_try(
    request_tool: Tool,
) -> None:
    async with Receiver(always(reply(200, b"not gzip", content_encoding="gzip"))) as receiver:
        with pytest.raises(HttpFailedForNow, match="broke off"):
            await call(request_tool, receiver.url())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000,
    ],
)
async def test_an_answer_that_is_none_fails_for_now(request_tool: Tool, answer: bytes) -> None:
    async with Receiver(always(answer)) as receiver:
        with pytest.raises(HttpFailedForNow) as caught:
            await call(request_tool, receiver.url())
    assert caught.value.retryable


async def test_nobody_there_fails_for_now(request_tool: Tool) -> None:
    async with Receiver(always(None)) as receiver:
        url = receiver.url()
    with pytest.raises(HttpFailedForNow, match="could not be reached"):
        await call(request_tool, url)


async def test_a_name_that_does_not_resolve_fails_for_now() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    async with Outbound(resolve=nowhere) as outbound:
        with pytest.raises(HttpFailedForNow, match=r"the name gone\.example does not resolve"):
            await call(http_request(outbound), "https://gone.example/")


async def test_a_silent_server_is_given_up_after_the_timeout(request_tool: Tool) -> None:
    async with Receiver(always(None)) as receiver:
        began = asyncio.get_running_loop().time()
        with pytest.raises(HttpFailedForNow, match=r"did not answer within 0\.2 s"):
            await call(request_tool, receiver.url(), timeout=0.2)
        assert 0.1 < asyncio.get_running_loop().time() - began < 2
        await asyncio.wait_for(receiver.hung_up.wait(), 5)


async def test_the_timeout_is_for_the_whole_body(request_tool: Tool) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await asyncio.sleep(0.02)

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(HttpFailedForNow, match=r"within 0\.3 s"):
            await call(request_tool, f"http://127.0.0.1:{port}/", timeout=0.3)


async def test_a_cancelled_request_hangs_up_at_once(request_tool: Tool) -> None:
    async with Receiver(always(None)) as receiver:
        running = asyncio.create_task(call(request_tool, receiver.url(), timeout=60))
        await receiver.arrived.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 2)
        await asyncio.wait_for(receiver.hung_up.wait(), 2)


async def test_a_connection_is_used_again_and_cookies_are_not(request_tool: Tool) -> None:
    connections = 0
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while head := await _until_blank(reader):
            heads.append(head)
            writer.write(reply(200, b"ok", set_cookie="session=1", connection="keep-alive"))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for _ in range(3):
            told = await call(request_tool, url)
            assert told["headers"]["set-cookie"] == "session=1"
    assert connections == 1
    assert len(heads) == 3
    assert not any(b"cookie" in head.lower() for head in heads)


async def _until_blank(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def test_no_proxy_of_the_environment_is_used(
    request_tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with Receiver(always(reply(200, b"direct"))) as receiver:
        assert (await call(request_tool, receiver.url()))["body"] == "direct"
