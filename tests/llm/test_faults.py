"""Whatever goes wrong ends in the class that says what to do, and never tells the key."""

from __future__ import annotations

import pickle
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from core import errors
from core.errors import (
    BadResponse,
    ConnectionFailed,
    ContextWindow,
    InvalidKey,
    InvalidModelRequest,
    ModelConfig,
    ModelError,
    ModelNotFound,
    Overloaded,
    ProviderConflict,
    ProviderError,
    ProviderPermission,
    ProviderTimeout,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
)
from core.llm import OfferedTool
from llm.faults import Asked, refusal, retry_after
from llm.providers import ProviderSettings, open_providers
from tests.llm.asking import KEY, LOOKUP, WAYS, WIRES

if TYPE_CHECKING:
    from tests.llm.asking import House, Way

FAULTS: dict[str, type[ModelError]] = {
    "429": RateLimited,
    "529": Overloaded,
    "503": Overloaded,
    "500": ProviderError,
    "502": ProviderError,
    "504": ProviderTimeout,
    "408": ProviderTimeout,
    "409": ProviderConflict,
    "auth": InvalidKey,
    "permission": ProviderPermission,
    "notfound": ModelNotFound,
    "toolarge": RequestTooLarge,
    "toolong": ContextWindow,
    "quota": QuotaExhausted,
    "spend": QuotaExhausted,
    "payment": QuotaExhausted,
    "credit": QuotaExhausted,
    "badrequest": InvalidModelRequest,
    "redirect": ModelConfig,
    "reset": ConnectionFailed,
    "hangup": ConnectionFailed,
    "midreset": ConnectionFailed,
    "stall": ProviderTimeout,
    "html": BadResponse,
    "text": BadResponse,
    "empty": BadResponse,
    "broken-json": BadResponse,
    "error-200": Overloaded,
    "midstream-error": Overloaded,
}
IN_STREAM = ("midreset", "stall", "midstream-error", "nodone")
RETRYABLE = {
    *("rate_limited", "overloaded", "server_error", "timeout", "connection", "conflict"),
    "bad_response",
}


async def failure(house: House, model: str, way: Way = "whole", **fields: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await house.ask(
            model, "A question of several words to be told in pieces", way=way, **fields
        )
    return caught.value


def everything_said(error: ModelError) -> str:
    shown = "".join(traceback.format_exception(error))
    return f"{error!r} {error.message} {error.data} {error.args} {shown}"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("wire", WIRES)
async def test_every_fault_has_its_name(house: House, wire: str, way: Way, fault: str) -> None:
    error = await failure(house, f"{wire}/fake-{fault}", way)
    assert type(error) is FAULTS[fault]
    assert error.retryable == (error.code in RETRYABLE)
    assert error.data["provider"] == wire
    assert error.data["model"] == f"fake-{fault}"
    assert KEY not in everything_said(error)
    # Nothing of the libraries' own hangs on to it: what they raise holds the key in its headers.
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    streamed = way == "streamed" and fault in IN_STREAM
    assert error.data.get("in_stream", False) == streamed


@pytest.mark.parametrize("wire", WIRES)
async def test_stream_without_its_end_is_no_answer(house: House, wire: str) -> None:
    error = await failure(house, f"{wire}/fake-nodone", "streamed")
    assert type(error) is BadResponse
    assert error.data["in_stream"] is True
    assert house.heard


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", ["midreset", "stall", "midstream-error"])
async def test_what_came_before_the_break_was_heard(house: House, wire: str, fault: str) -> None:
    await failure(house, f"{wire}/fake-{fault}", "streamed")
    assert "".join(house.heard)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", ["429", "auth", "toolong", "529"])
async def test_refused_request_was_not_processed(house: House, wire: str, fault: str) -> None:
    error = await failure(house, f"{wire}/fake-{fault}")
    assert error.data["processed"] == "no"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("fault", ["reset", "html", "midreset"])
async def test_what_may_have_been_processed_is_not_said_to_be_free(
    house: House, wire: str, fault: str
) -> None:
    error = await failure(house, f"{wire}/fake-{fault}")
    assert "processed" not in error.data


@pytest.mark.parametrize("wire", WIRES)
async def test_nobody_listening_is_a_connection_that_failed(wire: str) -> None:
    addresses = {"anthropic": "http://127.0.0.1:9", "openai": "http://127.0.0.1:9/v1"}
    async with open_providers(ProviderSettings(base_urls=addresses)) as providers:
        with pytest.raises(ConnectionFailed) as caught:
            await providers[wire].check_key(KEY, [])
    assert caught.value.data["processed"] == "no"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("fault", "seconds"),
    [("429+after-2", 2.0), ("429-ms+after-0.25", 0.25), ("429+after-7.5", 7.5)],
)
async def test_vendor_says_when_to_come_back(
    house: House, wire: str, fault: str, seconds: float
) -> None:
    error = await failure(house, f"{wire}/fake-{fault}")
    assert error.retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize("wire", WIRES)
async def test_vendor_says_when_to_come_back_as_a_date(house: House, wire: str) -> None:
    error = await failure(house, f"{wire}/fake-429-date+after-30")
    assert error.retry_after is not None
    assert timedelta(seconds=29) < error.retry_after <= timedelta(seconds=31)


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e30"}, timedelta(days=1)),
        ({"retry-after": "0"}, timedelta(0)),
        ({"retry-after": "2", "retry-after-ms": "1500"}, timedelta(seconds=1.5)),
        ({"retry-after": format_datetime(NOW, usegmt=True)}, timedelta(0)),
        ({"retry-after": "Thu, 19 Nov 2026 12:00:00 GMT"}, timedelta(0)),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:09 GMT"}, timedelta(seconds=9)),
    ],
)
def test_only_a_sensible_wait_is_obeyed(
    headers: dict[str, str], expected: timedelta | None
) -> None:
    assert retry_after(headers, NOW) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, [{"error": {"code": 400, "message": "API key not valid"}}], InvalidKey),
        (
            400,
            {"error": {"message": "foo/bar is not a valid model ID", "code": 400}},
            ModelNotFound,
        ),
        (404, "<html>nothing here</html>", ModelConfig),
        (404, {"error": "model 'x' not found"}, ModelNotFound),
        (429, {"error": {"message": "You exceeded your current quota", "code": 429}}, RateLimited),
        (None, {"error": {"code": 429, "message": "slow down"}}, RateLimited),
        (None, {"error": {"code": 502, "message": "upstream"}}, ProviderError),
        (None, {"error": {"message": "who knows"}}, ProviderError),
        (413, {"error": {"message": "prompt is too long"}}, RequestTooLarge),
        (418, None, InvalidModelRequest),
        (599, None, ProviderError),
    ],
)
def test_shapes_of_other_vendors_are_understood(
    status: int | None, body: Any, expected: type[ModelError]
) -> None:
    assert refusal(status, body, {}).error is expected


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("way", WAYS)
async def test_broken_rule_is_named(house: House, wire: str, way: Way) -> None:
    error = await failure(house, f"{wire}/fake-badrequest", way)
    assert error.data["rule"] == "some-rule"
    assert "[key]" in error.message


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("way", WAYS)
async def test_storm_passes_and_the_answer_comes(house: House, wire: str, way: Way) -> None:
    model = f"{wire}/fake-seq-429-529-midreset-html"
    codes = [(await failure(house, model, way)).code for _ in range(4)]
    assert codes == ["rate_limited", "overloaded", "connection", "bad_response"]
    question = "A question of several words to be told in pieces"
    assert (await house.ask(model, question, way=way)).stop == "end"
    assert len(house.demo.requests) == 5, "the libraries tried again by themselves"


@pytest.mark.parametrize("error", [RateLimited, BadResponse, InvalidKey])
def test_errors_survive_being_pickled(error: type[ModelError]) -> None:
    made = Asked("anthropic", "m", KEY).error(error, "said", status=429)
    again = pickle.loads(pickle.dumps(made))
    assert type(again) is error
    assert again.data == made.data


def test_codes_of_models_are_all_different() -> None:
    found = [each for each in vars(errors).values() if isinstance(each, type)]
    codes = [each.code for each in found if issubclass(each, ModelError)]
    assert len(codes) == len(set(codes))
    assert len(codes) >= 17


async def test_tools_are_offered_to_models_that_reason_elsewhere(house: House) -> None:
    assert (await house.ask("openai/gpt-6-luna", "Go", tools=(LOOKUP,))).stop == "tools"
    assert house.sent["reasoning_effort"] == "none"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("way", WAYS)
async def test_text_that_is_no_text_is_our_fault_and_not_the_networks(
    house: House, wire: str, way: Way
) -> None:
    error = await failure(house, f"{wire}/m", way, system="half of a pair: \ud800")
    assert type(error) is InvalidModelRequest
    assert not house.demo.requests


async def test_number_that_json_does_not_have_is_our_fault_too(house: House) -> None:
    offered = OfferedTool(name="t", description="", parameters={"maximum": float("nan")})
    error = await failure(house, "anthropic/m", tools=(offered,))
    assert type(error) is InvalidModelRequest
    assert not house.demo.requests
