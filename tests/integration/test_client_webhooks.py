"""Callbacks and their secret, as the command shows them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.stand_in import StandIn
from tests.integration.test_client_command import RUN, begins
from tests.integration.test_client_command import gateway as gateway
from tests.integration.test_client_command import perdure as perdure

SECRET = "/api/workspaces/demo/webhooks/secret"
FIRST = {"secret": "whsec_b25l", "created_at": "2026-11-20T08:00:00Z", "previous_until": None}
SECOND = FIRST | {"secret": "whsec_dHdv", "previous_until": "2026-11-21T08:00:00Z"}


def test_the_secret_is_alone_on_stdout(gateway: StandIn, perdure: Any) -> None:
    gateway.answer(f"GET {SECRET}", 200, FIRST)
    told = perdure("webhooks", "secret")
    assert (told.code, told.out, told.err) == (0, "whsec_b25l\n", "")


def test_a_rotation_says_how_long_the_old_one_is_good(gateway: StandIn, perdure: Any) -> None:
    gateway.answer(f"POST {SECRET}", 200, SECOND)
    told = perdure("webhooks", "secret", "--rotate")
    assert told.out == "whsec_dHdv\n"
    assert "2026-11-2" in told.err
    gateway.answer(f"POST {SECRET}", 200, SECOND)
    assert perdure("webhooks", "secret", "--rotate", "--json").document == SECOND


def test_an_address_for_the_end_is_sent_along(gateway: StandIn, perdure: Any) -> None:
    begins(gateway)
    assert perdure("run", "orders", "--callback", "https://hooks.example.com/").code == 0
    (asked,) = gateway.asked_for(RUN)
    assert asked.body["callback_url"] == "https://hooks.example.com/"


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        ({"status": "delivered", "attempts": 6}, "delivered\n"),
        ({"status": "pending", "attempts": 0}, "pending\n"),
        (
            {"status": "pending", "attempts": 2, "last_error": "it answered 503"},
            "pending after 2 tries: it answered 503\n",
        ),
        (
            {"status": "gave_up", "attempts": 1, "last_error": "it answered 410"},
            "gave up after 1 try: it answered 410\n",
        ),
    ],
)
def test_a_run_is_shown_with_how_far_its_callback_has_come(
    gateway: StandIn, perdure: Any, callback: dict[str, Any], words: str
) -> None:
    gateway.run("orders-1", "succeeded", callback=callback)
    assert f"callback:    {words}" in perdure("runs", "show", "orders-1").out
