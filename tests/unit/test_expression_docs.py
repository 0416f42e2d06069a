"""The page that skill authors read says what is true, and leaves nothing out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from core.expression import ExpressionFault, Meter, compile_expression
from core.expression.functions import FUNCTIONS
from core.expression.lexer import MAX_SOURCE
from core.expression.macros import MACROS
from core.expression.parser import MAX_NESTING
from core.template import MAX_EXPRESSIONS, MAX_TEXT, compile_template

PAGE = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
SCOPE: dict[str, Any] = json.loads(next(text for kind, text in BLOCKS if kind == "json"))


def examples(kind: str) -> list[tuple[str, str]]:
    lines = [line for name, text in BLOCKS if name == kind for line in text.splitlines()]
    return [(source, wanted) for source, _, wanted in (line.partition(" → ") for line in lines)]


@pytest.mark.parametrize(("source", "wanted"), examples("cel"))
def test_an_example_has_the_value_beside_it(source: str, wanted: str) -> None:
    value = compile_expression(source)(SCOPE, Meter())
    assert repr(value) == repr(json.loads(wanted))


@pytest.mark.parametrize(("source", "wanted"), examples("template"))
def test_a_template_renders_as_the_text_beside_it(source: str, wanted: str) -> None:
    rendered = compile_template(source).render(SCOPE, Meter())
    assert repr(rendered.value) == repr(json.loads(wanted))


@pytest.mark.parametrize(("source", "wanted"), examples("fault"))
def test_a_fault_says_what_stands_beside_it(source: str, wanted: str) -> None:
    with pytest.raises(ExpressionFault) as caught:
        compile_expression(source)(SCOPE, Meter())
    assert caught.value.message.startswith(wanted)


def test_the_page_has_examples_of_every_kind() -> None:
    assert len(examples("cel")) > 50
    assert len(examples("template")) > 5
    assert len(examples("fault")) > 5
    assert {kind for kind, _ in BLOCKS} == {"json", "cel", "template", "fault"}


@pytest.mark.parametrize("name", [*FUNCTIONS, *MACROS, "has"])
def test_every_function_is_explained_and_shown(name: str) -> None:
    explained = re.sub(r"^```\w+\n.*?^```$", "", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert re.search(rf"`(?:\w+\.)?{name}[(`]", explained)
    assert any(re.search(rf"\b{name}\(", source) for source, _ in examples("cel"))


def test_the_limits_on_the_page_are_the_real_ones() -> None:
    for limit in (MAX_SOURCE, MAX_NESTING, Meter().limit, MAX_TEXT, MAX_EXPRESSIONS):
        assert f" {limit:,} " in PAGE


def test_filtering_ten_thousand_items_takes_what_the_page_says() -> None:
    meter = Meter()
    compile_expression("items.filter(i, i.n > 5)")({"items": [{"n": 1}] * 10_000}, meter)
    assert 50_000 < meter.spent < 70_000
