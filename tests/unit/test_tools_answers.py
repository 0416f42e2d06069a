from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from core.errors import HttpFailed
from outbound import retry_after
from tools.answers import read
from tools.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOTHING = Redaction(())


class Parts(httpx2.AsyncByteStream):
    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for part in self._parts:
            yield part


def answer(content: bytes, content_type: str | None = None, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if content_type is not None:
        named["content-type"] = content_type
    return httpx2.Response(200, headers=named, stream=Parts(content))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", None),
        ("7", 7),
        (" 120 ", 120),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 5000, 3600),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Fri, 20 Nov 2026 12:01:30 GMT", 90),
        ("Fri, 20 Nov 2026 14:01:30 +0200", 90),
        ("Fri, 20 Nov 2026 12:01:30 -0000", 90),
        ("Fri, 20 Nov 2026 11:59:00 GMT", None),
        ("Fri, 20 Nov 2037 12:00:00 GMT", 3600),
        ("Fri, 99 Nov 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(value: str | None, seconds: int | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert retry_after(value, NOW) == expected


@pytest.mark.parametrize(
    ("content", "content_type", "body"),
    [
        (b'{"a": [1, null]}', "application/json", {"a": [1, None]}),
        (b'{"a": 1}', "application/vnd.api+json; charset=utf-8", {"a": 1}),
        (b"false", "text/json", False),
        (b"{broken", "application/json", "{broken"),
        (b"[NaN]", "application/json", "[NaN]"),
        (b'["\\ud800"]', "application/json", '["\\ud800"]'),
        (b"[" * 5000, "application/json", "[" * 5000),
        (b"<p>hi</p>", "text/html", "<p>hi</p>"),
        ("é".encode("latin-1"), "text/plain; charset=ISO-8859-1", "é"),
        ("é".encode("utf-16"), "text/plain; charset=utf-16", "é"),
        ("é".encode(), "text/plain; charset=nonsense", "é"),
        (b"a-b", "text/plain; charset=idna", "a-b"),
        (b"abc", "text/plain; charset=zip", "abc"),
        (b"\xff", "text/plain", "\ufffd"),
        (b"a,b", "application/csv", "a,b"),
        (b"hello", None, "hello"),
        (b"<a/>", "image/svg+xml", "<a/>"),
        (b"", "application/json", None),
        (b"", "text/plain", None),
    ],
)
async def test_a_body_is_told_as_its_type_says(
    content: bytes, content_type: str | None, body: Any
) -> None:
    told = await read(answer(content, content_type), "GET x", NOTHING)
    assert told["body"] == body
    assert "encoding" not in told
    json.dumps(told, allow_nan=False).encode()


async def test_a_body_that_is_no_text_is_told_in_base64() -> None:
    told = await read(answer(b"\x89PNG\x00", "image/png"), "GET x", NOTHING)
    assert base64.b64decode(told["body"]) == b"\x89PNG\x00"
    assert told["encoding"] == "base64"


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
async def test_a_content_encoding_nobody_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(HttpFailed, match="content-encoding"):
        await read(answer(b"x", content_encoding=encoding), "GET x", NOTHING)


def test_a_secret_is_hidden_in_every_spelling() -> None:
    hidden = Redaction(["Bearer s3cr/t+value=="])
    told = "Bearer s3cr/t+value== s3cr/t+value== s3cr\\/t+value== s3cr%2Ft%2Bvalue%3D%3D"
    assert hidden.of_text(told) == "*** *** *** ***"
    assert hidden.of_bytes(told.encode()) == hidden.of_text(told).encode()
    assert Redaction(['p"w"1234']).of_text(r'{"k": "p\"w\"1234"}') == '{"k": "***"}'


def test_what_was_not_secret_is_left_alone() -> None:
    assert Redaction(["Bearer abcdefgh"]).of_text("Bearer of news") == "Bearer of news"
    assert Redaction(["a"]).of_text("banana") == "banana"
    assert Redaction(()).of_text("as it was") == "as it was"
