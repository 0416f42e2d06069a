"""Tools and skills that a flow calls: what they are given is right before anything runs."""

from __future__ import annotations

import pytest

from core.calls import literal_problems
from tests.unit.bundles import check, errors


def calling(step: str) -> list[str]:
    flow = f"inputs: {{n: {{default: 1}}}}\nsteps:\n  - {{id: a, {step}}}\n"
    return [str(fault) for fault in errors(check(flow))]


@pytest.mark.parametrize(
    "step",
    [
        "compute: http_request, with: {url: 'https://x.org', timeout: 5}",
        "compute: http_request, with: {url: '${inputs.n}', timeout: '${inputs.n}'}",
        "compute: http_request, with: {url: x, headers: {A: 'Bearer ${secret.token}'}}",
        "compute: http_request, with: {url: x, json: {a: [1, '${inputs.n}']}}",
        "compute: http_request, with: {url: '$${x}', method: GET}",
        "compute: crm_stale_deals, with: {days: 3}",
        "compute: echo",
        "skill: greet, with: {who: Ann}",
        "skill: greet, with: {who: '${inputs.n}', times: '${inputs.n}', mood: glad}",
    ],
)
def test_what_fits_the_schema_or_is_only_known_later_is_let_through(step: str) -> None:
    assert calling(step) == []


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("compute: http_request", "3:13: `http_request` needs the argument `url`"),
        ("compute: http_request, with: {urll: x, url: y}",
         "3:43: `http_request` has no argument `urll`; did you mean `url`?"),
        ("compute: http_request, with: {urll: '${inputs.n}', url: y}",
         "3:43: `http_request` has no argument `urll`; did you mean `url`?"),
        ("compute: http_request, with: {url: 5}", "3:48: `url`: expected string, got 5"),
        ("compute: http_request, with: {url: x, timeout: 500}",
         "3:60: `timeout`: 500 is greater than the maximum of 120"),
        ("compute: http_request, with: {url: x, method: GTE}",
         '3:59: `method`: expected one of "GET", "POST", got "GTE"; did you mean "GET"?'),
        ("compute: http_request, with: {url: x, headers: {A: 1, B: '${inputs.n}'}}",
         "3:64: `headers.A`: expected string, got 1"),
        ("compute: crm_stale_deals, with: {days: soon}",
         '3:52: `days`: expected integer, got "soon"'),
        ("compute: crm_stale_deals, with: {day: 3, days: 3}",
         "3:46: `crm_stale_deals` has no argument `day`; did you mean `days`?"),
        ("compute: echo, with: [1]", "3:34: expected a mapping of arguments, got a list"),
        ("compute: http_request, with: {url: 'https://${secret.host}/'}",
         "3:48: `secret.host` may not stand here: `http_request` keeps secrets only in `headers`"),
        ("approve: '${secret.token}?'",
         "3:22: `secret.token` may not stand here: only in `with` of a `compute` step"),
        ("skill: greet, with: {who: '${secret.token}'}",
         "3:33: `secret.token` may not stand here: only in `with` of a `compute` step"),
        ("skill: greet", "3:13: `greet` needs the input `who`"),
        ("skill: greet, with: {who: Ann, time: 1}",
         "3:44: `greet` has no input `time`; did you mean `times`?"),
        ("skill: greet, with: {who: Ann, times: 4}",
         "3:51: `times`: 4 is greater than the maximum of 3"),
    ],
)  # fmt: skip
def test_what_a_tool_or_skill_would_refuse_is_told_before(step: str, fault: str) -> None:
    assert calling(step) == [f"flow.yaml:{fault}"]


def test_only_the_parts_that_hold_expressions_are_not_judged() -> None:
    schema = {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"type": "integer"}, "maxItems": 1},
            "choice": {"anyOf": [{"type": "integer"}, {"type": "array"}]},
        },
        "required": ["list", "choice"],
    }
    given = {"list": [1, "${x}", "three"], "choice": "${y}"}
    found = [(problem.path, problem.keyword) for problem in literal_problems(schema, given)]
    assert found == [(("list", 2), "type")]
    assert [problem.path for problem in literal_problems(schema, {"list": "${x}"})] == [("choice",)]
