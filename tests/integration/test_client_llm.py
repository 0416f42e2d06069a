"""`perdure llm`, spoken to a gateway as a person or a script does."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from perdure.command.progress import local
from tests.integration.stand_in import StandIn, problem
from tests.integration.test_client_command import gateway as gateway
from tests.integration.test_client_command import perdure as perdure

CONFIG, USAGE = "/api/workspaces/demo/llm/config", "/api/workspaces/demo/llm/usage"
KEY = "sk-never-shown"
CONFIGURED = {
    "providers": [
        {"provider": "anthropic", "connected": True},
        {"provider": "openai", "connected": False},
    ],
    "routing": {
        "extract": ["anthropic/claude-haiku-5-5"],
        "reason": ["anthropic/claude-sonnet-5-5", "openai/gpt-5.6"],
    },
    "overridden": ["reason"],
    "token_budget": 5_000_000,
    "run_max_tokens": None,
}
USED = {
    "period": "2026-11",
    "tokens_used": 184_210,
    "tokens_reserved": 0,
    "token_budget": 1_000_000,
    "topped_up": 500_000,
    "tokens_remaining": 815_790,
    "own_tokens": 12,
    "resets_at": "2026-12-01T00:00:00Z",
    "alerts": [
        {"percent": 75, "at": "2026-11-19T12:00:00Z"},
        {"percent": 90, "at": "2026-11-20T12:00:00Z"},
    ],
    "by_skill": [
        {"skill_id": "hygiene", "calls": 31, "tokens": 184_210, "cost": 0.61, "unpriced_calls": 2},
        {"skill_id": "notes", "calls": 1, "tokens": 12, "cost": None, "unpriced_calls": 1},
    ],
}


def sent(gateway: StandIn, monkeypatch: pytest.MonkeyPatch, perdure: Any, *words: str) -> Any:
    """What the gateway was asked to change."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\n"))
    gateway.answer(f"POST {CONFIG}", 200, CONFIGURED)
    told = perdure("llm", "config", *words)
    assert told.code == 0, told.err
    assert KEY not in told.out + told.err
    (asked,) = gateway.asked_for(f"POST {CONFIG}")
    return asked.body


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (["set-key", "anthropic"], {"providers": {"anthropic": {"api_key": KEY}}}),
        (["remove-key", "openai"], {"providers": {"openai": None}}),
        (["route", "reason", "a/b, c/d"], {"routing": {"reason": ["a/b", "c/d"]}}),
        (["route", "extract", "default"], {"routing": {"extract": None}}),
        (["budget", "5M"], {"token_budget": 5_000_000}),
        (["budget", "1_500,000"], {"token_budget": 1_500_000}),
        (["budget", "0"], {"token_budget": 0}),
        (["budget", "none"], {"token_budget": None}),
        (["run-limit", "200k"], {"run_max_tokens": 200_000}),
    ],
)
def test_each_change_is_that_change_alone(
    gateway: StandIn,
    perdure: Any,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    change: dict[str, Any],
) -> None:
    assert sent(gateway, monkeypatch, perdure, *words) == change


def test_config_shows_who_is_connected_and_which_models_answer(
    gateway: StandIn, perdure: Any
) -> None:
    gateway.answer(f"GET {CONFIG}", 200, CONFIGURED)
    lines = [" ".join(line.split()) for line in perdure("llm", "config").out.splitlines()]
    assert lines[1:3] == ["anthropic yes", "openai no"]
    assert lines[5:7] == [
        "extract by default anthropic/claude-haiku-5-5",
        "reason here anthropic/claude-sonnet-5-5, then openai/gpt-5.6",
    ]
    assert lines[-2:] == ["month: 5,000,000 tokens", "run: no limit"]
    assert not any("demo" in line for line in lines)


def test_config_says_that_the_demo_model_stands_in(gateway: StandIn, perdure: Any) -> None:
    demo = {"provider": "demo", "connected": False}
    gateway.answer(f"GET {CONFIG}", 200, CONFIGURED | {"providers": [demo]})
    assert "the demo model answers" in perdure("llm", "config").out


def test_json_is_what_the_gateway_said(gateway: StandIn, perdure: Any) -> None:
    for path, known, words in ((CONFIG, CONFIGURED, "config"), (USAGE, USED, "usage")):
        gateway.answer(f"GET {path}", 200, known)
        assert perdure("llm", words, "--json").document == known


def test_usage_shows_the_budget_and_who_took_it(gateway: StandIn, perdure: Any) -> None:
    gateway.answer(f"GET {USAGE}", 200, USED)
    told = perdure("llm", "usage").out
    reached = [datetime(2026, 11, day, 12, tzinfo=UTC) for day in (19, 20)]
    for fact in (
        "2026-11",
        "184,210 tokens",
        "1,000,000 tokens, 500,000 of them added",
        "815,790 tokens",
        "12 tokens, which do not count",
        f"75 % at {local(reached[0])}, 90 % at {local(reached[1])}",
    ):
        assert fact in told
    assert "hygiene  31     184,210  $0.6100 and 2 of unknown cost" in told
    assert "notes    1      12       unknown" in told


def test_a_month_without_a_budget_has_no_remainder(gateway: StandIn, perdure: Any) -> None:
    unlimited = {**USED, "token_budget": None, "topped_up": 0, "tokens_remaining": None}
    gateway.answer(f"GET {USAGE}", 200, unlimited)
    told = perdure("llm", "usage").out
    assert "no limit" in told
    assert "remaining" not in told


def test_a_top_up_that_is_asked_for_again_is_the_same_one(gateway: StandIn, perdure: Any) -> None:
    gateway.answer(f"POST {USAGE}", 0, None)  # the connection breaks
    gateway.answer(f"POST {USAGE}", 200, USED)
    assert perdure("llm", "top-up", "500k").code == 0
    first, second = gateway.asked_for(f"POST {USAGE}")
    assert first.body == {"action": "top_up", "tokens": 500_000}
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


@pytest.mark.parametrize(
    "words",
    [
        ["config", "budget", "lots"],
        ["config", "budget", "-5"],
        ["config", "route", "dream", "a/b"],
        ["config", "--json", "budget", "5"],
        ["top-up", "none"],
        ["top-up", "0"],
    ],
)
def test_what_cannot_be_meant_is_not_sent(gateway: StandIn, perdure: Any, words: list[str]) -> None:
    assert perdure("llm", *words).code == 2
    assert gateway.asked == []


def test_a_test_says_who_answers_and_why_not(gateway: StandIn, perdure: Any) -> None:
    well = {"capability": "extract", "model": "a/b", "key_source": "own", "ok": True}
    ill = {"capability": "reason", "model": "c/d", "key_source": "platform", "ok": False}
    trials = [{**well, "latency_ms": 210}, {**ill, "detail": "the account has no credit left"}]
    for tried, code in ((trials, 1), (trials[:1], 0)):
        answer = {"ok": code == 0, "capabilities": tried}
        gateway.answer("GET /api/health/llm", 200, answer)
        told = perdure("llm", "test")
        assert told.code == code
        lines = [" ".join(line.split()) for line in told.out.splitlines()]
        assert lines[1] == "✓ extract a/b own 210 ms"
        assert (
            lines[2:] == ["✗ reason c/d platform the account has no credit left"][: len(tried) - 1]
        )


def test_an_empty_key_is_not_sent(
    gateway: StandIn, perdure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    told = perdure("llm", "config", "set-key", "openai")
    assert told.code == 2
    assert "the key for openai is empty" in told.err
    assert gateway.asked == []


def test_a_key_that_the_provider_does_not_take_is_refused_with_its_reason(
    gateway: StandIn, perdure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = {"field": "providers.openai.api_key", "message": "openai does not take this key"}
    refusal = problem(422, "invalid", "a key cannot be used", errors=[fault])
    monkeypatch.setattr("sys.stdin", io.StringIO(KEY))
    gateway.answer(f"POST {CONFIG}", 422, refusal)
    told = perdure("llm", "config", "set-key", "openai")
    assert told.code == 2
    assert "openai does not take this key" in told.err
    assert KEY not in told.err
