from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from core.errors import InvalidArguments, SecretNotAllowed
from core.tool import Actor, RunContext, ToolContext
from outbound import Outbound
from tools.http import Hop, HttpRequest, http_request

REQUEST = http_request(Outbound())  # not opened: whatever is sent is a RuntimeError


def context(**secrets: str) -> ToolContext:
    return ToolContext(
        run=RunContext(
            workspace="acme",
            run="r",
            lineage="r",
            path="a",
            actor=Actor(kind="system", id="test"),
        ),
        effect_key="r:a#1:0",
        secrets={
            f"/headers/{name.replace('_', '-')}": frozenset(hosts.split())
            for name, hosts in secrets.items()
        },
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/x",
        "/x",
        "ftp://example.com",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http:example.com",
        "https://user:pw@example.com/",
        "https://user@example.com/",
        "https://good.com\\@evil.com/",
        "https://a b.com/",
        "https://example.com/a b",
        "https://example.com/\r\nX-Evil: 1",
        "https://example.com/\x00",
        "https://ex%61mple.com/",
        "https://exa$mple.com/",
        "https://a..b/",
        "https://[::1",
        "https://[::1%25eth0]/",
        "https://[example.com]/",
        "https://example.com:0/",
        "https://example.com:70000/",
        "https://example.com:x/",
        "https://ⓛocalhost/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://" + "a" * 300 + "/",
        "https://example.com/" + "a" * 8200,
    ],
)
def test_a_url_that_is_not_plainly_one_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpRequest(url=url)
    assert "evil" not in str(caught.value)
    assert [error["loc"] for error in caught.value.errors()] == [("url",)]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "line\nbreak"},
        {"X-A": "line\r\nX-Evil: 1"},
        {"X-A": "nul\x00"},
        {"X-A": "é"},
        {"X A": "1"},
        {"X-A:": "1"},
        {"": "1"},
        {"X\n": "1"},
        {"Host": "example.com"},
        {"content-length": "3"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "upgrade"},
        {"Accept-Encoding": "br"},
        {"X-A": "1", "x-a": "2"},
    ],
)
def test_a_header_that_would_break_the_message_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpRequest(url="https://example.com", headers=headers)
    assert "Evil" not in str(caught.value)


def test_white_space_around_a_header_is_dropped() -> None:
    request = HttpRequest(url="https://example.com", headers={"X-A": "  a b \r\n"})
    assert request.headers == {"X-A": "a b"}


@pytest.mark.parametrize(
    "fault",
    [
        {"method": "TRACE"},
        {"method": "get"},
        {"timeout": 0},
        {"timeout": 121},
        {"timeout": "5m"},
        {"body": {}},
        {"header": {}},
        {"headers": {"X-A": 1}},
    ],
)
def test_other_arguments_are_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpRequest.model_validate({"url": "https://example.com", **fault})


@pytest.mark.parametrize(
    ("method", "effect"),
    [
        ("GET", "read"),
        ("HEAD", "read"),
        ("POST", "write"),
        ("PUT", "write"),
        ("PATCH", "write"),
        ("DELETE", "write"),
    ],
)
def test_only_get_and_head_are_reads(method: str, effect: str) -> None:
    request = HttpRequest.model_validate({"url": "https://example.com", "method": method})
    assert REQUEST.effect(request) == effect


def test_the_time_of_a_step_covers_the_longest_request() -> None:
    assert REQUEST.timeout > timedelta(seconds=120)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://evil.com/", "api.example.com"),
        ("https://api.example.com.evil.com/", "api.example.com"),
        ("https://example.com/", "*.example.com"),
        ("https://api.example.com:8443/", "api.example.com:443"),
        ("http://api.example.com/", "api.example.com:443"),
        ("https://api.example.com/", ""),
        ("https://api.example.com/", "https://api.example.com"),
        ("https://2130706433/", "127.0.0.1"),
    ],
)
async def test_a_secret_goes_to_its_own_hosts_only(url: str, hosts: str) -> None:
    request = HttpRequest(url=url, headers={"Authorization": "Bearer s3cr3t-value"})
    with pytest.raises(SecretNotAllowed, match="the header Authorization is not meant") as caught:
        await REQUEST.call(request, context(Authorization=hosts))
    assert "s3cr3t" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize("pointer", ["/url", "/json/token", "/headers", "/headers/X-Other", ""])
async def test_a_secret_stands_in_a_header_only(pointer: str) -> None:
    request = HttpRequest(url="https://api.example.com", headers={"X-Key": "k"})
    told = ToolContext(context().run, "k", {pointer: frozenset({"api.example.com"})})
    with pytest.raises(SecretNotAllowed, match="header only"):
        await REQUEST.call(request, told)


async def test_json_that_cannot_be_said_is_refused() -> None:
    request = HttpRequest(method="POST", url="https://example.com", json=[float("nan")])
    with pytest.raises(InvalidArguments, match="NaN"):
        await REQUEST.call(request, context())


def hop(url: str, method: str = "POST", secrets: frozenset[str] = frozenset()) -> Hop:
    headers = {"authorization": "a", "cookie": "c", "x-key": "k", "x-trace": "t"}
    headers |= {"content-type": "application/json", "idempotency-key": "i"}
    return Hop(method, httpx2.URL(url), httpx2.Headers(headers), b"{}", secrets)


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (307, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_a_redirect_rewrites_the_method_as_browsers_do(status: int, method: str, then: str) -> None:
    following = hop("https://a.com/x", method).to(status, "/y")
    assert (following.method, str(following.url)) == (then, "https://a.com/y")
    kept = then == method
    assert following.content == (b"{}" if kept else None)
    assert ("content-type" in following.headers) is kept
    assert ("idempotency-key" in following.headers) is kept
    assert following.headers["authorization"] == "a"


@pytest.mark.parametrize(
    ("origin", "location", "kept"),
    [
        ("https://a.com/x", "/y", True),
        ("https://a.com/x", "https://A.com:443/y", True),
        ("http://a.com/x", "https://a.com/y", True),
        ("https://a.com/x", "https://b.com/y", False),
        ("https://a.com/x", "//b.com/y", False),
        ("https://a.com/x", "https://sub.a.com/y", False),
        ("https://a.com/x", "https://a.com:8443/y", False),
        ("http://a.com:8080/x", "https://a.com/y", False),
    ],
)
def test_credentials_do_not_leave_their_place(origin: str, location: str, kept: bool) -> None:
    following = hop(origin, "GET", frozenset({"x-key"})).to(302, location)
    for name in ("authorization", "cookie", "x-key"):
        assert (name in following.headers) is kept
    assert following.headers["x-trace"] == "t"
    assert following.secrets == ({"x-key"} if kept else set())


@pytest.mark.parametrize("location", ["http://a.com/y", "http://b.com/y"])
def test_a_secret_is_not_taken_to_plain_http(location: str) -> None:
    with pytest.raises(SecretNotAllowed, match="plain http"):
        hop("https://a.com/x", "GET", frozenset({"x-key"})).to(302, location)
    assert "authorization" not in hop("https://a.com/x", "GET").to(302, location).headers


@pytest.mark.parametrize(
    "location", ["ftp://a.com/", "javascript:alert(1)", "https://u:p@a.com/", "https://a..b/"]
)
def test_a_redirect_to_what_is_no_url_of_ours_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        hop("https://a.com/x").to(302, location)


def test_a_request_is_named_without_its_query() -> None:
    assert str(hop("https://a.com/x?token=1")) == "POST https://a.com/x"
