"""What a person sees of the models that a run calls."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.command.progress import Progress
from perdure.command.spent import Spent, dollars, in_all
from perdure.command.view import event_line
from perdure.run import LogEvent
from tests.unit.test_cli_progress import event, text, told

TOKENS = {"input": 1000, "cache_read": 200, "cache_write": 30, "output": 4}


def called(step: str, after: float = 0, attempt: int = 1, **more: Any) -> LogEvent:
    data = {"model": "demo/small", "tokens": TOKENS, "cost": 0.0123, **more}
    return event("model.called", step, after, attempt, **data)


def test_a_call_is_one_line_with_its_model_its_tokens_and_its_cost() -> None:
    lines = told(
        event("step.started", "who"),
        called("who", 2),
        event("step.finished", "who", 2),
    )
    assert lines == ["▸ who", "✓ who  2.0 s  demo/small  1,234 tokens, $0.0123"]


def test_a_loop_adds_up_its_turns() -> None:
    lines = told(
        event("step.started", "think"),
        event("step.started", "think.turn1"),
        called("think.turn1", 1),
        event("step.started", "think.turn2", 1),
        called("think.turn2", 3, cost=None),
        event("step.finished", "think", 3),
    )
    assert lines[2:] == [
        "✓ think.turn1  1.0 s  demo/small  1,234 tokens, $0.0123",
        "▸ think.turn2",
        "✓ think.turn2  2.0 s  demo/small  1,234 tokens, cost unknown",
        "✓ think  3.0 s  2,468 tokens, $0.0123 and 1 of unknown cost",
    ]


def test_items_are_counted_once_and_what_they_took_grows() -> None:
    progress = Progress()
    for number in range(3):
        path = f"signals[{number}]"
        for each in (event("step.started", path), called(path), event("step.finished", path)):
            progress.see(each)
    progress.see(called("signals[3].turn1"))
    signals = progress.steps["signals"]
    assert (signals.done, signals.known) == (3, 4)
    assert signals.spent.tokens == progress.spent.tokens == 4 * 1234
    assert progress.spent.words == "4,936 tokens, $0.0492"


def test_a_call_that_waits_for_budget_says_until_when() -> None:
    waits: dict[str, Any] = {"for": "budget", "message": "no tokens are left"}
    (line,) = told(event("step.waiting", "who", **waits))
    assert line == "… who  waiting for budget at this step: no tokens are left"


def test_a_step_whose_answer_was_no_use_fails_after_all() -> None:
    lines = told(called("who"), event("step.failed", "who", code="answer_invalid", message="no"))
    assert lines[-1] == "✗ who  no (answer_invalid)"


def test_what_an_earlier_run_paid_is_not_counted_again() -> None:
    spent = Spent()
    spent.add(called("who", stored=True))
    assert spent.words == ""
    spent.add(called("who", attempt=2, stored=True))
    assert spent.words == "1,234 tokens, $0.0123"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"stored": True}, "demo/small  paid for before"),
        ({"estimated": True}, "demo/small  about 1,234 tokens, $0.0123"),
        ({"cost": None}, "demo/small  1,234 tokens, cost unknown"),
        ({"model": "acme/big", "key_source": "demo"}, "acme/big (demo)  1,234 tokens, $0.0123"),
        (
            {"latency_ms": 250, "stop": "length"},
            "demo/small  1,234 tokens, $0.0123  250 ms  length",
        ),
        ({"stop": "tools", "tool_calls": ["look: id=7"]}, "$0.0123  calls look: id=7"),
        ({"stop": "end", "text": "so\nit is"}, "$0.0123  so it is"),
        ({"tokens": "many", "model": None}, "a model  0 tokens, $0.0123"),
    ],
)
def test_a_line_of_the_log_says_how_a_call_went(more: dict[str, Any], said: str) -> None:
    assert text(event_line(called("who", **more))).endswith(said)


@pytest.mark.parametrize(
    ("cost", "said"),
    [(0, "$0.00"), (0.00001, "under $0.0001"), (0.0123, "$0.0123"), (1234.5, "$1,234.50")],
)
def test_small_sums_are_not_rounded_to_nothing(cost: float, said: str) -> None:
    assert dollars(cost) == said


def test_an_unknown_total_is_called_unknown_and_no_models_are_not_mentioned() -> None:
    usage = {"input": 9, "output": 1, "total": 10}
    assert in_all({"token_usage": usage, "cost": None}) == "10 tokens, cost unknown"
    assert in_all({"token_usage": usage, "cost": 0.5}) == "10 tokens, $0.5000"
    assert in_all({"token_usage": {"total": 0}, "cost": None}) == ""
    assert in_all({}) == ""
