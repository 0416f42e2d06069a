"""What goes wrong, told by the model's name: `fake-429-2`, `fake-seq-429-html`, joined by `+`."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

# Before the model is asked: a status, or a connection that breaks.
STATUSES: dict[str, tuple[int, str, str, str | None]] = {
    "429": (429, "rate_limit_error", "rate limited", None),
    "429-ms": (429, "rate_limit_error", "rate limited", None),
    "429-date": (429, "rate_limit_error", "rate limited", None),
    "529": (529, "overloaded_error", "Overloaded", None),
    "flaky": (529, "overloaded_error", "Overloaded", None),
    "500": (500, "api_error", "internal error", None),
    "502": (502, "", "", None),
    "503": (503, "api_error", "service unavailable", None),
    "504": (504, "timeout_error", "gateway timeout", None),
    "408": (408, "timeout_error", "request timeout", None),
    "409": (409, "conflict_error", "conflict", None),
    "auth": (401, "authentication_error", "invalid key {key}", "invalid_api_key"),
    "permission": (403, "permission_error", "not allowed", None),
    "notfound": (404, "not_found_error", "model: not found", "model_not_found"),
    "toolarge": (413, "request_too_large", "request exceeds the limit", None),
    "quota": (429, "insufficient_quota", "check your plan", "insufficient_quota"),
    "spend": (429, "rate_limit_error", "spend limit", "enforced_spend_limit_reached"),
    "payment": (402, "billing_error", "payment required", None),
    "credit": (400, "invalid_request_error", "Your credit balance is too low", None),
    "toolong": (400, "invalid_request_error", "prompt is too long: 9 > 8", None),
    "badrequest": (400, "invalid_request_error", "[some-rule] no, {key}", None),
}
WIRE = ("reset", "midreset", "hangup", "stall", "html", "text", "empty", "broken-json", "redirect")
ANSWERS = (
    *("error-200", "midstream-error", "nodone", "no-usage", "cut-args", "bad-args", "empty-args"),
    *("refusal", "length", "context", "fenced-json", "bad-json", "stop-with-tools", "pause"),
    *("unknown-tool", "cached", "odd-ids", "same-ids", "no-ids", "nulls"),
)
KINDS = sorted((*STATUSES, *WIRE, *ANSWERS), key=len, reverse=True)
REMEMBERED = 10_000

Kind = Literal["status", "wire", "answer"]


@dataclass(frozen=True)
class Fault:
    name: str
    times: int | None = None

    @property
    def kind(self) -> Kind:
        if self.name in STATUSES:
            return "status"
        return "wire" if self.name in WIRE else "answer"


@dataclass(frozen=True)
class Plan:
    """All that a model's name asks for; `loop` is turns and calls in each."""

    faults: tuple[Fault, ...] = ()
    slow: float = 0.0
    after: float = 1.0
    loop: tuple[int, int] | None = None


def plan(model: str) -> Plan:
    """Unknown parts mean nothing: any model may be asked for."""
    faults: list[Fault] = []
    slow, after = 0.0, 1.0
    loop: tuple[int, int] | None = None
    for part in model.split("+") if "fake-" in model else ():
        text = part.rpartition("fake-")[2]
        if match := re.fullmatch(r"slow-(\d+(?:\.\d+)?)(ms|s)", text):
            slow = float(match[1]) / (1000 if match[2] == "ms" else 1)
        elif match := re.fullmatch(r"after-(\d+(?:\.\d+)?)", text):
            after = float(match[1])
        elif match := re.fullmatch(r"loop-(\d+)x(\d+)", text):
            loop = int(match[1]), int(match[2])
        elif text.startswith("seq-"):
            faults.extend(_sequence(text.removeprefix("seq-")))
        elif fault := _fault(text):
            faults.append(fault)
    return Plan(tuple(faults), slow, after, loop)


def _fault(text: str) -> Fault | None:
    for kind in KINDS:
        if text == kind:
            return Fault(kind)
        if match := re.fullmatch(rf"{kind}-(\d+)", text):
            return Fault(kind, int(match[1]))
    return None


def _sequence(text: str) -> list[Fault]:
    """One of each, in this order."""
    found: list[Fault] = []
    while text:
        kind = next((k for k in KINDS if text == k or text.startswith(f"{k}-")), None)
        if kind is None:
            return found
        found.append(Fault(kind, 1))
        text = text[len(kind) + 1 :]
    return found


class Troubles:
    """Which fault comes next for a request; the same request again counts on."""

    def __init__(self) -> None:
        self._met: OrderedDict[str, int] = OrderedDict()

    def next(self, model: str, digest: str) -> Fault | None:
        met = self._met.pop(digest, 0)
        passed = 0
        for fault in plan(model).faults:
            if fault.times is None:
                return fault
            passed += fault.times
            if met < passed:
                self._remember(digest, met + 1)
                return fault
        return None

    def _remember(self, digest: str, met: int) -> None:
        self._met[digest] = met
        while len(self._met) > REMEMBERED:
            self._met.popitem(last=False)
