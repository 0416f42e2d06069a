"""Whatever is uploaded, the answer is a skill or its faults, soon."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core import source
from core.bundle import Checked, read_python_bundle
from core.faults import MAX_FAULTS, Faults
from tests.unit.bundles import SKILL_MD, TOOLS, check
from tests.unit.test_bundle import WHOLE
from tests.unit.test_check_models import ASKING, PROMPTS

# Words of the language and of YAML, so that mutations reach beyond the first parser.
WORDS = (
    *("steps", "id", "compute", "set", "parallel", "skill", "wait", "approve", "with", "when"),
    *("for_each", "concurrency", "timeout", "retry", "on_error", "inputs", "output", "triggers"),
    *("extract", "classify", "generate", "reason", "schema", "labels", "tools", "turns", "model"),
    *("prompts/find.md", "prompts/lost.md", "max_tokens", "approve_writes", "object", "anyOf"),
    *("schedule", "event", "for", "until", "attempts", "continue", "echo", "greet", "mine"),
    *("${steps.a}", "${item}", "${", "}", "$${", "${secret.x}", "${[1].map(x, x)}", "a", "b"),
    *("5m", "2026-12-01T09:00:00Z", "true", "null", "010", "1e999", "~", ": ", "- ", "\n", "\n  "),
    *("&a ", "*a", "!!x ", "---\n", "<<: ", "| ", "> ", "'", '"', "{", "[", "]", ",", "#", "\t"),
    *("type", "$ref", "#/$defs/a", "$defs", "default", "required", "\u2028", "\ufeff", "é", "\x85"),
)


def is_sound(checked: Checked) -> bool:
    refused = any(fault.severity == "error" for fault in checked.faults)
    assert (checked.skill is None) == refused
    assert len(checked.faults) <= MAX_FAULTS
    assert all(len(fault.message) < 1_000 for fault in checked.faults)
    return not refused


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.binary(max_size=400))
def test_random_bytes_only_make_faults(skill_md: bytes, flow: bytes) -> None:
    assert not is_sound(check(flow, skill_md))
    is_sound(check(WHOLE, skill_md))
    is_sound(read_python_bundle("mine", {"SKILL.md": SKILL_MD.encode(), "flow.yaml": flow}, TOOLS))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_mutated_flow_only_makes_faults(data: st.DataObject) -> None:
    text = WHOLE
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from((0, 0, 1, 3, 20)))
        text = text[:at] + data.draw(st.sampled_from(WORDS)) + text[at + length :]
    is_sound(check(text.encode()))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_mutated_steps_for_models_only_make_faults(data: st.DataObject) -> None:
    texts = [ASKING, PROMPTS["prompts/find.md"].decode()]
    for _ in range(data.draw(st.integers(1, 6))):
        which = data.draw(st.integers(0, 1))
        at = data.draw(st.integers(0, len(texts[which])))
        length = data.draw(st.sampled_from((0, 0, 1, 3, 20)))
        word = data.draw(st.sampled_from(WORDS))
        texts[which] = texts[which][:at] + word + texts[which][at + length :]
    flow, prompt = (text.encode() for text in texts)
    is_sound(check(flow, more={"prompts/find.md": prompt}))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map("".join))
def test_a_mutated_skill_md_only_makes_faults(text: str) -> None:
    is_sound(check(WHOLE, f"---\ndescription: d\n{text}\n---\n{text}".encode()))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=12,
)
a_step = st.dictionaries(
    st.sampled_from(("id", "compute", "set", "steps", "parallel", "skill", "wait", "approve",
                     "with", "when", "for_each", "timeout", "retry", "on_error", "concurrency",
                     "extract", "classify", "generate", "reason", "schema", "labels", "tools",
                     "turns", "approve_writes", "model", "max_tokens")),
    anything,
    max_size=6,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {"steps": st.lists(a_step, max_size=4)},
        optional={
            "inputs": anything | st.dictionaries(st.sampled_from(("a", "b", "in")), anything),
            "triggers": anything | st.lists(anything),
            "output": anything,
            "format": anything,
            "timeout": anything,
        },
    )
)
def test_any_value_in_any_place_only_makes_faults(flow: dict[str, Any]) -> None:
    is_sound(check(yaml.safe_dump(flow, allow_unicode=True).encode()))


# What a hostile bundle may take of this process' time, beside a plain one that is as large: work
# that grows faster than the text takes hundreds of times as much, and a busy machine never does.
MOST = 8


def seconds(flow: str, more: Mapping[str, bytes] | None = None) -> float:
    begun = time.process_time()
    assert not is_sound(check(flow.encode(), more=more))
    return time.process_time() - begun


@pytest.fixture(scope="module")
def plain() -> float:
    """What it takes to read and refuse a large flow with one fault, on this machine, now."""
    flow = "steps:\n" + "".join(f"- {{id: a{n}, compute: echo}}\n" for n in range(25_000))
    return min(seconds(flow) for _ in range(2))


@pytest.mark.parametrize(
    "flow",
    [
        "[" * 500_000,
        "- " * 300_000,
        "{a: " * 200_000,
        "? " * 200_000,
        "output: " + "'" * 900_000,
        "output: [" + "x," * 400_000 + "]",
        "".join(f"k{n}: 1\n" for n in range(80_000)),
        "a: 1\n" * 100_000,
        "steps:\n" + "- {id: a, compute: eco}\n" * 30_000,
        "inputs:\n" + "".join(f"  k{n}: {{typ: x{n}}}\n" for n in range(20_000)),
        "inputs: {a: {" + ", ".join(f"k{n}: 1" for n in range(50_000)) + "}}",
        "steps:\n- {id: a, compute: echo, with: {" + ", ".join(f"v{n}: 1" for n in range(50_000)),
        "steps:\n- id: a\n  set:\n" + "".join(f"    v{n}: '${{w{n}}}'\n" for n in range(900)),
        "steps:\n- {id: a, compute: echo, with: {value: '" + "${steps.b}" * 990 + "'}}",
        "steps: [{id: a, when: '" + "(" * 900_000 + "', compute: echo}]",
        "output: '" + "${" * 300_000 + "'",
    ],
)  # fmt: skip
def test_a_hostile_flow_is_answered_soon(flow: str, plain: float) -> None:
    assert seconds(flow) < MOST * plain


@pytest.mark.parametrize("steps", ["few", "many"])
@pytest.mark.parametrize(
    "prompt",
    ["${a} " * 19_000, "${inputs.a + 1} " * 900, "${" * 40_000, "${1 +} " * 30, "${secret.a}" * 40],
)
def test_a_hostile_prompt_of_every_step_is_answered_soon(
    prompt: str, steps: Literal["few", "many"], plain: float
) -> None:
    # As many as a flow is large enough for, or as it may have.
    count = min(500, 250_000 // len(prompt)) if steps == "few" else 500
    flow = "".join(f"- {{id: s{n}, generate: prompts/a.md}}\n" for n in range(count))
    assert seconds(f"steps:\n{flow}", {"prompts/a.md": prompt.encode()}) < MOST * plain


@pytest.mark.parametrize(
    "text", [WHOLE, "a: [1, 0x1f, ~, yes, 'x', .5]\nb: {c: | \n  d}\n", "é: '"]
)
def test_both_yaml_parsers_read_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = source.read("f", text, Faults())
    monkeypatch.setattr(source, "_LOADER", yaml.SafeLoader)
    slow = source.read("f", text, Faults())
    assert (fast is None) == (slow is None)
    if fast is not None and slow is not None:
        assert (fast.value, fast.places, fast.keys) == (slow.value, slow.places, slow.keys)
