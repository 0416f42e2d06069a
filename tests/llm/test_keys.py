from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING

import httpx2
import pytest

from core.errors import ConnectionFailed, InvalidKey, ModelError
from core.llm import ModelQuestion, UserTurn
from llm.demo.server import open_server
from llm.providers import ProviderSettings, open_providers
from llm.providers.adapter import KeyCheck
from tests.llm.asking import KEY, WAYS, WIRES, House

if TYPE_CHECKING:
    from tests.llm.asking import Way

OURS = {
    *(
        "authorization",
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "user-agent",
        "content-type",
    ),
    *("content-length", "anthropic-version", "idempotency-key"),
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "key",
    [
        "",
        "short",
        "with space in",
        "new\nline-new",
        "trailing-newline\n",
        "schlüssel-123",
        "x" * 513,
    ],
)
async def test_key_that_can_be_none_is_refused_before_anything_is_sent(
    house: House, wire: str, way: Way, key: str
) -> None:
    with pytest.raises(InvalidKey) as caught:
        await house.ask(f"{wire}/m", way=way, key=key)
    assert not caught.value.retryable
    assert not key or key not in str(caught.value)
    with pytest.raises(InvalidKey):
        await house.providers[wire].check_key(key, [])
    assert not house.demo.requests


LEAKS = {
    "ANTHROPIC_API_KEY": "sk-platform-anthropic",
    "ANTHROPIC_AUTH_TOKEN": "sk-platform-token",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Platform: yes\nAuthorization: Bearer sk-platform-custom",
    "ANTHROPIC_PROFILE": "platform",
    "OPENAI_API_KEY": "sk-platform-openai",
    "OPENAI_ADMIN_KEY": "sk-platform-admin",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "OPENAI_CUSTOM_HEADERS": "X-Platform: yes\nAuthorization: Bearer sk-platform-custom",
    "OPENAI_ORG_ID": "org-PLATFORM",
    "OPENAI_PROJECT_ID": "proj-PLATFORM",
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("way", WAYS)
async def test_platform_leaves_no_trace_in_what_a_tenant_sends(
    monkeypatch: pytest.MonkeyPatch, wire: str, way: Way
) -> None:
    for name, value in LEAKS.items():
        monkeypatch.setenv(name, value)
    async with open_server(record="bodies") as demo:
        addresses = {"anthropic": demo.url, "openai": f"{demo.url}/v1"}
        async with open_providers(ProviderSettings(base_urls=addresses)) as providers:
            await House(demo, providers).ask(f"{wire}/m", way=way)
        [request] = demo.requests
    headers = {name for name in request.headers if not name.startswith("x-stainless-")}
    assert headers <= OURS
    assert "platform" not in str(request.headers).lower()
    assert request.key == digest(KEY)


async def test_what_a_provider_sets_for_one_tenant_is_not_sent_with_anothers_key(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = httpx2.AsyncHTTPTransport.handle_async_request

    async def marks(pool: httpx2.AsyncHTTPTransport, request: httpx2.Request) -> httpx2.Response:
        response = await send(pool, request)
        response.headers["set-cookie"] = "session=one; Path=/"
        return response

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", marks)
    for key in ("sk-tenant-one", "sk-tenant-two"):
        await house.ask("anthropic/m", way="streamed", key=key)
        assert "cookie" not in house.demo.requests[-1].headers


async def test_two_hundred_tenants_at_once_keep_their_keys_apart() -> None:
    keys = [f"sk-tenant-{number:06d}" for number in range(200)]
    async with open_server() as demo:
        addresses = {"anthropic": demo.url, "openai": f"{demo.url}/v1"}
        async with open_providers(ProviderSettings(base_urls=addresses)) as providers:
            asked = [
                providers[wire].ask(question(f"{wire}/m-{number}"), key)
                for wire in WIRES
                for number, key in enumerate(keys)
            ]
            await asyncio.gather(*asked)
        assert len(demo.requests) == 400
        for request in demo.requests:
            number = int(request.model.removeprefix("m-"))
            assert request.key == digest(keys[number])


def question(model: str) -> ModelQuestion:
    return ModelQuestion(model=model, turns=(UserTurn(text="Hello"),))


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:24]


@pytest.mark.parametrize("wire", WIRES)
async def test_good_key_is_tried_on_every_model(house: House, wire: str) -> None:
    names = ["m", "missing-m", "fake-quota", "fake-429", "fake-529"]
    models = [f"{wire}/{name}" for name in names]
    found = await house.providers[wire].check_key(KEY, models)
    codes = ["ok", "model_not_found", "quota_exhausted", "rate_limited", "overloaded"]
    assert found == KeyCheck(models=dict(zip(models, codes, strict=True)))


@pytest.mark.parametrize("wire", WIRES)
async def test_bad_key_is_refused_and_not_told(house: House, wire: str) -> None:
    with pytest.raises(InvalidKey) as caught:
        await house.providers[wire].check_key("bad-key-0123456789", [f"{wire}/m"])
    assert "bad-key-0123456789" not in f"{caught.value!r} {caught.value.data}"
    assert not house.demo.requests, "a bad key was tried on a model"


@pytest.mark.parametrize("wire", WIRES)
async def test_key_that_may_not_list_models_may_still_ask_them(house: House, wire: str) -> None:
    found = await house.providers[wire].check_key("restricted-0123456789", [f"{wire}/m"])
    assert found.models == {f"{wire}/m": "ok"}


@pytest.mark.parametrize("wire", WIRES)
async def test_key_without_credit_is_good_and_says_so(house: House, wire: str) -> None:
    found = await house.providers[wire].check_key("poor-0123456789", [f"{wire}/m"])
    assert found.models == {f"{wire}/m": "quota_exhausted"}


async def test_unreachable_provider_says_nothing_about_a_key() -> None:
    settings = ProviderSettings(base_urls={"anthropic": "http://127.0.0.1:9"})
    async with open_providers(settings) as providers:
        with pytest.raises(ConnectionFailed):
            await providers["anthropic"].check_key(KEY, ["anthropic/m"])


async def test_providers_without_an_address_are_not_there() -> None:
    async with open_providers(ProviderSettings()) as providers:
        assert {"anthropic", "openai", "fireworks", "openrouter", "gemini"} == set(providers)
    local = ProviderSettings(
        base_urls={"ollama": "http://127.0.0.1:1/v1"}, demo_url="http://127.0.0.1:1"
    )
    async with open_providers(local) as providers:
        assert {"ollama", "demo", "demo-openai"} <= set(providers)
        assert "vllm" not in providers


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("way", WAYS)
async def test_key_is_in_no_log_however_talkative(
    house: House, caplog: pytest.LogCaptureFixture, wire: str, way: Way
) -> None:
    caplog.set_level(logging.DEBUG)
    await house.ask(f"{wire}/m", way=way)
    for fault in ("auth", "midreset", "badrequest", "reset", "html"):
        with pytest.raises(ModelError):
            await house.ask(f"{wire}/fake-{fault}", way=way)
    assert caplog.records
    said = "\n".join(f"{each.getMessage()} {each.exc_text}" for each in caplog.records)
    assert KEY not in said
