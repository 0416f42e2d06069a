"""Steps that ask models: their words, their prompts, and what the answers may be taken for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.bundle import ALONE
from core.flow import ClassifyStep, ExtractStep, Flow, GenerateStep, ReasonStep, Retry
from tests.unit.bundles import SKILL_MD, check, errors, warnings

ITEM: dict[str, Any] = {
    "type": "object",
    "properties": {"who": {"type": "string"}, "due": {"type": ["string", "null"]}},
    "required": ["who"],
    "additionalProperties": False,
}
FOUND = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": ITEM}},
    "additionalProperties": False,
}
ASKING = """
max_tokens: 50000
inputs: {notes: {type: string}}
steps:
  - id: found
    extract: prompts/find.md
    schema:
      type: object
      properties:
        items:
          type: array
          items:
            type: object
            properties: {who: {type: string}, due: {type: [string, "null"]}}
            required: [who]
            additionalProperties: false
      additionalProperties: false
    model: openrouter/anthropic/some-model:free
    max_tokens: 2000
    timeout: 2m
    retry: {attempts: 2, backoff: 1s}
  - id: urgency
    for_each: ${steps.found.items}
    concurrency: 2
    classify: How urgent is what ${item.who} has to do by ${item.due}?
    labels: {now: Today or tomorrow, later: null}
  - id: summary
    when: size(steps.urgency) > 0
    generate: |
      Sum this up:
      ${inputs.notes}
    on_error: continue
  - id: report
    reason: Report on ${steps.summary} and ${steps.found.items[0].who}.
    tools: [crm_*, echo]
    schema: {type: object, properties: {text: {type: string}}}
    turns: 6
    approve_writes: always
    timeout: 10m
output: ${steps.report.text}
"""
PROMPTS = {"prompts/find.md": b"Who has to do what, in these notes?\r\n\r\n${inputs.notes}\r\n"}


def test_steps_that_ask_are_read_as_they_were_meant() -> None:
    checked = check(ASKING, more=PROMPTS)
    assert checked.faults == ()
    flow = checked.accepted().flow
    assert flow.max_tokens == 50_000
    assert flow.steps == (
        ExtractStep(
            id="found",
            prompt="Who has to do what, in these notes?\n\n${inputs.notes}\n",
            output_schema=FOUND,
            model="openrouter/anthropic/some-model:free",
            max_tokens=2_000,
            timeout=timedelta(minutes=2),
            retry=Retry(attempts=2, backoff=timedelta(seconds=1)),
        ),
        ClassifyStep(
            id="urgency",
            for_each="${steps.found.items}",
            concurrency=2,
            prompt="How urgent is what ${item.who} has to do by ${item.due}?",
            labels={"now": "Today or tomorrow", "later": None},
        ),
        GenerateStep(
            id="summary",
            when="size(steps.urgency) > 0",
            prompt="Sum this up:\n${inputs.notes}\n",
            on_error="continue",
        ),
        ReasonStep(
            id="report",
            prompt="Report on ${steps.summary} and ${steps.found.items[0].who}.",
            tools=("crm_*", "echo"),
            output_schema={"type": "object", "properties": {"text": {"type": "string"}}},
            turns=6,
            approve_writes="always",
            timeout=timedelta(minutes=10),
        ),
    )


def test_a_reason_step_may_say_no_more_than_its_prompt() -> None:
    (step,) = check("steps: [{id: a, reason: Look.}]").accepted().flow.steps
    assert step == ReasonStep(id="a", prompt="Look.", turns=20, tools=None, approve_writes="never")


def test_labels_may_be_a_list_and_no_tools_are_a_choice() -> None:
    flow = "steps: [{id: a, classify: '?', labels: [yes, no]}, {id: b, reason: Think., tools: []}]"
    first, second = check(flow).accepted().flow.steps
    assert isinstance(first, ClassifyStep)
    assert first.labels == {"yes": None, "no": None}
    assert isinstance(second, ReasonStep)
    assert second.tools == ()


def asking(step: str, more: dict[str, bytes] | None = None) -> list[str]:
    return [str(fault) for fault in check(f"steps:\n  - {{id: a, {step}}}\n", more=more).faults]


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("extract: x", "2:13: `extract` needs `schema`: what the answer is"),
        ("classify: x", "2:13: `classify` needs `labels`: what may be answered"),
        ("generate: ''", "2:23: expected a prompt, or the path of one such as prompts/report.md, "
                         "got an empty text"),
        ("generate: {prompt: x}", "2:23: expected a prompt, or the path of one"),
        ("generate: x, model: gpt", "2:33: expected a model, written `provider/model`, got"),
        ("generate: x, model: '${vars.m}/x'", "2:33: expected a model, written `provider/model`"),
        ("generate: x, max_tokens: 0",
         "2:38: expected a whole number from 1 to 1000000, got the number 0"),
        ("generate: x, schema: {}", "2:26: `schema` does not belong to `generate`: it goes with "
                                    "`extract` and `reason`"),
        ("compute: echo, model: a/b", "2:28: `model` does not belong to `compute`: it goes with "
                                      "`extract` and `classify` and `generate` and `reason`"),
        ("reason: x, with: {}", "2:24: `with` does not belong to `reason`: it goes with `compute`"),
        ("reason: x, tolls: []", "2:24: unknown key `tolls`; did you mean `tools`?"),
        ("reason: x, generate: y", "2:24: `generate` beside `reason`: exactly one word"),
        ("reason: x, turns: 101", "2:31: expected a whole number from 1 to 100"),
        ("reason: x, approve_writes: true", "2:40: expected never | always, got true"),
        ("reason: x, tools: crm_* echo",
         "2:31: expected a list of tools, got the text `crm_* echo`; write [crm_*, echo]"),
        ("reason: x, tools: [1]", "2:32: expected the name of a tool, or a pattern such as crm_*"),
        ("classify: x, labels: yes", "2:34: expected a list of labels, or a mapping of each"),
        ("classify: x, labels: [a]", "2:34: expected 2 to 50 labels, got 1"),
        (f"classify: x, labels: {list(range(51))}", "2:34: expected 2 to 50 labels, got 51"),
        ("classify: x, labels: [a, a]", "2:38: the label `a` is there twice"),
        ("classify: x, labels: [a, true]", "2:38: expected a label, got true; quote it"),
        ("classify: x, labels: [a, '']", "2:38: a label is one line of 1 to 100 characters"),
        ("classify: x, labels: [a, '${item}']",
         "2:38: labels and their meanings hold no `${…}`"),
        ("classify: x, labels: {a: '', b: '${item}'}",
         "2:45: labels and their meanings hold no `${…}`"),
        ("classify: x, labels: {a: , b: 1}", "2:43: expected what `b` means, got the number 1"),
        ("extract: x, schema: string", "2:33: expected a JSON Schema such as {type: object, "),
        ("extract: x, schema: {}", "2:33: the root of an answer's schema is an object"),
        ("extract: x, schema: {type: array, items: {}}",
         "2:33: the root of an answer's schema is an object: write {type: object, properties: …}, "
         "and put the list under one of them"),
        ("reason: x, schema: {type: [object, 'null']}", "2:32: the root of an answer's schema is"),
        ("reason: x, schema: {type: object, anyOf: [{}]}",
         "2:47: `anyOf` at the root of a schema is what providers refuse: put it under one of"),
        ("extract: x, schema: {type: object, properties: {a: {type: strin}}}",
         '2:65: unknown type "strin"; did you mean `string`?'),
        ("extract: x, schema: {type: object, properties: {a: {$ref: 'https://x.org/a'}}}",
         "2:65: `https://x.org/a`: only references inside this schema"),
        ("generate: 'Say ${secret.token} and $${secret.not}'",
         "2:30: `secret.token` may not stand here: secrets never go to a model"),
        ("generate: 'Say ${inputs.x}'", "2:30: unknown input `x`"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_with_its_place(step: str, fault: str) -> None:
    (told,) = asking(step)
    assert told.startswith(f"flow.yaml:{fault}")


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("extract: x, schema: {type: object}", "2:33: this schema names no `properties`"),
        ("extract: x, schema: {type: object, properties: {a: {description: 'of ${item}'}}}",
         "2:78: `${…}` in a schema stays as it is"),
        ("extract: x, schema: {type: object, property: {}, properties: {a: {}}}",
         "2:48: `property` means nothing in JSON Schema; did you mean `properties`?"),
        ("reason: x, tools: [echo, Bash]", "2:38: `Bash` is no tool here, and is not offered; "
                                           "there is `crm_stale_deals`, `echo`"),
        ("reason: x, tools: [http_requst]",
         "2:32: `http_requst` is no tool here, and is not offered; did you mean `http_request`?"),
        ("reason: x, tools: ['mail_*']",
         "2:32: nothing that `mail_*` means is among the `allowed-tools` of SKILL.md"),
        ("generate: prompts/report.markdown",
         "2:23: `prompts/report.markdown` is taken for the prompt itself: the path of one ends"),
    ],
)  # fmt: skip
def test_what_is_probably_not_meant_is_a_warning(step: str, fault: str) -> None:
    checked = check(f"steps:\n  - {{id: a, {step}}}\n")
    assert checked.skill is not None
    (told,) = checked.faults
    assert str(told).startswith(f"flow.yaml:{fault}")


def test_writing_tools_are_not_offered_where_skill_md_allows_none() -> None:
    alone = SKILL_MD.replace("allowed-tools: echo http_request crm_*\n", "")
    flow = "steps: [{id: a, reason: x, tools: ['*', mail_send]}]"
    (warning,) = check(flow, alone).faults
    assert str(warning).startswith("flow.yaml:1:41: what `mail_send` means may write, and SKILL.md")


MANY = "First\n\nthen ${inputs.note}\n  and ${1 +} with ${ secret.token }\n${steps.b}$${HOME}\n"


def test_every_fault_of_a_prompt_file_has_its_own_line() -> None:
    checked = check(
        "inputs: {notes: {type: string}}\n"
        "steps: [{id: a, generate: prompts/a.md}, {id: b, compute: echo}]",
        more={"prompts/a.md": MANY.encode()},
    )
    assert [str(fault) for fault in checked.faults] == [
        "prompts/a.md:3:8: unknown input `note`; did you mean `notes`?",
        "prompts/a.md:4:12: expression: the expression ends too early",
        "prompts/a.md:4:22: `secret.token` may not stand here: secrets never go to a model",
        "prompts/a.md:5:3: `b` comes later: a step sees only those before it",
    ]


def test_a_prompt_file_sees_what_its_step_sees() -> None:
    flow = """
    steps:
      - {id: a, for_each: [1], generate: prompts/a.md}
      - {id: b, generate: prompts/a.md}
    """
    (fault,) = check(flow, more={"prompts/a.md": b"No ${index}"}).faults
    message = "`index` is known only in a step with `for_each`, and inside it"
    assert str(fault) == f"prompts/a.md:1:6: {message}"


@pytest.mark.parametrize(
    ("path", "files", "fault"),
    [
        ("prompts/reprot.md", {"prompts/report.md": b"x", "notes.txt": b"y"},
         "flow.yaml:2:23: `prompts/reprot.md` is no file of this bundle; "
         "did you mean `prompts/report.md`?"),
        ("./prompts/report.md", {"prompts/report.md": b"x"},
         "flow.yaml:2:23: `./prompts/report.md` is no file of this bundle; did you mean"),
        ("report.md", {}, "flow.yaml:2:23: `report.md` is no file of this bundle"),
        ("SKILL.md", {}, "flow.yaml:2:23: the body of SKILL.md is no prompt"),
        ("prompts/a.md", {"prompts/a.md": b"x\n\xff"},
         "prompts/a.md:2: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("notes.txt", {"notes.txt": b"x\n\0"}, "notes.txt:2:1: control character U+0000"),
        ("prompts/a.md", {"prompts/a.md": b" \n"}, "prompts/a.md: the prompt is empty"),
        ("prompts/a.md", {"prompts/a.md": b"${1}" + b"x" * 99_997},
         "prompts/a.md:1:100001: expression: a text has at most 100,000 characters"),
    ],
)  # fmt: skip
def test_a_prompt_file_that_cannot_be_used_is_named(
    path: str, files: dict[str, bytes], fault: str
) -> None:
    (told,) = asking(f"generate: {path}", files)
    assert told.startswith(fault)


@pytest.mark.parametrize("size", [60_000, 99_000])
def test_a_flow_too_large_for_its_prompts_names_the_largest(size: int) -> None:
    names = ("a", "b", "c", "d", "e")
    steps = "".join(f"- {{id: {name}, generate: prompts/{name}.md}}\n" for name in names)
    texts = {f"prompts/{name}.md": b"x" * (size - (name != "d")) for name in names}
    (fault,) = check(f"steps:\n{steps}", more=texts).faults
    assert fault.message.startswith("the flow is ")
    assert fault.message.endswith(f"the largest prompt is `prompts/d.md` with {size // 1024} KB")


@pytest.mark.parametrize(
    ("read", "doubt"),
    [
        ("steps.found.itms", "the schema of `steps.found` has no `itms`; did you mean `items`?"),
        ("steps.found.items", None),
        ("steps.found.items[0].whom", None),
        ("steps.each", None),
        ("steps.each[0].now", None),
        ("steps.text.length", "`steps.text` is a text, and has no `length`"),
        ("steps.open.anything", None),
        ("steps.open.in.more", "the schema of `steps.open.in` has no `more`; there is `one`"),
        ("steps.mended.itms", None),
        ("item.whom", "the schema of `item` has no `whom`; did you mean `who`?"),
        ("item.due.day", None),
        ("item.who", None),
    ],
)
def test_what_no_answer_can_hold_is_doubted(read: str, doubt: str | None) -> None:
    closed = str(FOUND).replace("True", "true").replace("False", "false")
    flow = f"""
    steps:
      - {{id: found, extract: x, schema: {closed}}}
      - {{id: mended, extract: x, schema: {closed},
          on_error: {{steps: [{{id: m, compute: echo}}]}}}}
      - {{id: text, generate: x}}
      - id: open
        reason: x
        schema:
          type: object
          properties: {{in: {{properties: {{one: {{}}}}, additionalProperties: false}}}}
      - {{id: each, for_each: "${{steps.found.items}}", classify: x, labels: [now, later]}}
      - id: last
        for_each: ${{steps.found.items}}
        steps: [{{id: inner, generate: "${{{read}}}"}}]
    """
    checked = check(flow)
    assert errors(checked) == []
    assert [fault.message for fault in warnings(checked)] == ([] if doubt is None else [doubt])


def test_items_of_items_are_known_too() -> None:
    flow = """
    steps:
      - id: found
        for_each: [1]
        extract: x
        schema:
          type: object
          properties: {names: {type: array, items: {type: object, additionalProperties: false}}}
          additionalProperties: false
      - id: outer
        for_each: ${steps.found}
        steps:
          - {id: inner, for_each: "${item.names}", generate: "${item.first} ${steps.found.x}"}
    """
    (warning,) = check(flow).faults
    assert warning.message == "the schema of `item` has no `first`"


# As other tools write them, with what they offer and we do not.
FOREIGN = """\
---
name: mine
description: Fills in PDF forms. Use when somebody has a form.
allowed-tools: Read Bash(python:*)
---
# Forms

Run `scripts/fill.py` in `${HOME}`, and read [the reference](references/fields.md).
"""


def test_a_skill_md_alone_is_one_question_with_its_body_as_instructions() -> None:
    more = {"scripts/fill.py": b"import os", "references/fields.md": b"${HOME}"}
    checked = check(None, FOREIGN, more)
    skill = checked.accepted()
    assert skill.kind == "flow"
    assert skill.flow.inputs == {
        "request": {"type": "string", "default": "Do what your instructions say."}
    }
    assert skill.flow.steps == (ReasonStep(id="answer", prompt="${inputs.request}"),)
    assert not skill.flow.has_output
    assert "`${HOME}`" in skill.instructions
    assert skill.allowed_tools == ("Read", "Bash(python:*)")
    assert [str(fault).split(";")[0] for fault in checked.faults] == [
        "SKILL.md:4:1: `allowed-tools` names `Read`, which is no tool here",
        "SKILL.md:4:1: `allowed-tools` names `Bash(python:*)`, which is no tool here",
        "scripts/: 1 file is stored, but not run: skills bring no code",
    ]
    assert [fault.severity for fault in checked.faults] == ["warning"] * 3


def test_what_a_skill_md_alone_is_keeps_through_json() -> None:
    assert Flow.model_validate_json(ALONE.model_dump_json()) == ALONE


@pytest.mark.parametrize("body", ["x\n" * 501, "word " * 5_000])
def test_a_long_body_is_a_warning_where_a_model_reads_it(body: str) -> None:
    (warning,) = check(None, SKILL_MD + body).faults
    assert warning.file == "SKILL.md"
    assert "goes along with every turn of a model" in warning.message
    assert check("steps: [{id: a, compute: echo}]", SKILL_MD + body).faults == ()
