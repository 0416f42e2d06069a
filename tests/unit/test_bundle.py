from __future__ import annotations

from datetime import timedelta

import pytest

from core.bundle import facts_of, read_bundle, read_python_bundle
from core.errors import InvalidSkill
from core.flow import (
    ApproveStep,
    ComputeStep,
    EventTrigger,
    GroupStep,
    ParallelStep,
    Recovery,
    Retry,
    ScheduleTrigger,
    SetStep,
    SkillStep,
    WaitStep,
)
from tests.unit.bundles import SKILL_MD, TOOLS, check, errors, warnings

WHOLE = """
inputs:
  stale_after_days: {type: integer, default: 14, minimum: 1}
  note: {type: string, required: false}
triggers:
  - schedule: "0 8 * * MON"
  - event: sync_completed
    when: event.data.records > 0
    with: {stale_after_days: "${event.data.days}"}
steps:
  - id: stale
    compute: crm_stale_deals
    with: {days: "${inputs.stale_after_days}"}
    timeout: 30s
    retry: {attempts: 3, backoff: 2s, max_backoff: 1m}
  - id: signals
    for_each: ${steps.stale.deals}
    when: ${item.amount > 100}
    concurrency: 4
    steps:
      - {id: seen, set: {last: "${item.name}"}}
      - {id: told, compute: echo, with: {value: "${vars.last} ${steps.seen} ${index}"}}
    on_error:
      steps:
        - {id: sorry, compute: echo, with: {value: "${errors.signals.message}"}}
  - id: both
    parallel:
      short: {id: pause, wait: 5m}
      long:
        - {id: until, wait: {until: 2026-12-01T09:00:00Z}}
        - {id: length, wait: {for: "${inputs.stale_after_days}d"}}
    on_error: continue
  - {id: greeting, skill: greet, with: {who: "${workspace.name}", times: 2}}
  - {id: ask, approve: "Send to ${size(steps.signals)} people?", timeout: 2d}
output: {said: "${steps.signals}", by: "${steps.ask.by}", how: "${status.both}"}
format: slack
timeout: 1h
"""


def test_a_whole_flow_is_read_as_it_was_meant() -> None:
    checked = check(WHOLE)
    assert errors(checked) == []
    skill = checked.accepted()
    flow = skill.flow
    assert skill.allowed_tools == ("echo", "http_request", "crm_*")
    assert flow.inputs["note"] == {"type": "string", "required": False}
    assert flow.triggers == (
        ScheduleTrigger(schedule="0 8 * * MON"),
        EventTrigger(
            event="sync_completed",
            when="event.data.records > 0",
            arguments={"stale_after_days": "${event.data.days}"},
        ),
    )
    stale, signals, both, greeting, ask = flow.steps
    assert stale == ComputeStep(
        id="stale",
        tool="crm_stale_deals",
        arguments={"days": "${inputs.stale_after_days}"},
        timeout=timedelta(seconds=30),
        retry=Retry(attempts=3, backoff=timedelta(seconds=2), max_backoff=timedelta(minutes=1)),
    )
    assert isinstance(signals, GroupStep)
    assert (signals.for_each, signals.when) == ("${steps.stale.deals}", "item.amount > 100")
    assert signals.concurrency == 4
    assert signals.steps[0] == SetStep(id="seen", values={"last": "${item.name}"})
    assert isinstance(signals.on_error, Recovery)
    assert [step.id for step in signals.on_error.steps] == ["sorry"]
    assert isinstance(both, ParallelStep)
    assert both.branches == {
        "short": (WaitStep(id="pause", length="5m"),),
        "long": (
            WaitStep(id="until", until="2026-12-01T09:00:00Z"),
            WaitStep(id="length", length="${inputs.stale_after_days}d"),
        ),
    }
    assert both.on_error == "continue"
    assert greeting == SkillStep(
        id="greeting", skill="greet", inputs={"who": "${workspace.name}", "times": 2}
    )
    assert ask == ApproveStep(
        id="ask", message="Send to ${size(steps.signals)} people?", timeout=timedelta(days=2)
    )
    assert (flow.has_output, flow.format, flow.timeout) == (True, "slack", timedelta(hours=1))
    assert facts_of(skill).uses == ("greet",)


def test_a_schedule_is_kept_with_a_warning_that_nothing_starts_it_and_an_event_without() -> None:
    (warning,) = warnings(check(WHOLE))
    assert (warning.file, warning.line) == ("flow.yaml", 6)
    assert "nothing starts runs by schedule in this version" in warning.message


def test_words_of_old_yaml_are_the_text_they_look_like() -> None:
    checked = check(
        """
        steps:
          - id: all
            compute: echo
            with: {value: {on: yes, at: 8:30, day: 2026-12-01, code: 010, empty: , hex: 0x10}}
        """
    )
    (step,) = checked.accepted().flow.steps
    assert isinstance(step, ComputeStep)
    assert step.arguments["value"] == {
        "on": "yes", "at": "8:30", "day": "2026-12-01", "code": 10, "empty": None, "hex": 16,
    }  # fmt: skip
    (warning,) = warnings(checked)
    assert "`010` is read as the number 10; quote it" in warning.message


def test_the_body_of_skill_md_is_left_alone() -> None:
    body = "# Mine\n\nRun `cd ${HOME}` and ${{ matrix.os }}, then $${x} and ${unclosed.\n\n---\nend"
    skill = check("steps: [{id: a, compute: echo}]", SKILL_MD.replace("# Mine", body)).accepted()
    assert skill.instructions == body


def test_windows_line_ends_and_a_byte_order_mark_are_no_obstacle() -> None:
    flow = "\ufeffsteps:\r\n  - id: a\r\n    compute: echo\r\n"
    skill = check(flow.encode(), SKILL_MD.replace("\n", "\r\n")).accepted()
    assert [step.id for step in skill.flow.steps] == ["a"]
    assert skill.instructions == "# Mine"


FLOW = "steps: [{id: a, compute: echo}]"


def skill_md(*lines: str) -> str:
    return "\n".join(("---", "name: mine", "description: d", *lines, "---", "body"))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("allowed-tools: echo Bash(git add:*)", ("echo", "Bash(git add:*)")),
        ("allowed-tools: echo, crm_*", ("echo", "crm_*")),
        ("allowed-tools: [echo, Read]", ("echo", "Read")),
        ("allowed-tools: 'echo echo'", ("echo",)),
        ("license: MIT", None),
    ],
)
def test_allowed_tools_are_a_text_or_a_list(written: str, read: tuple[str, ...] | None) -> None:
    assert check(FLOW, skill_md(written)).accepted().allowed_tools == read


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("allowed-tools: echo Bash(git:*)", "`Bash(git:*)`, which is no tool here"),
        ("allowed-tools: echo crm_stale_deal", "did you mean `crm_stale_deals`?"),
        ("compatibility: " + "x" * 501, "`compatibility` has 501 characters"),
        ("metadata: {version: 1.0}", "metadata holds texts"),
        ("tags: [sales, weekly]", "`tags` is no field of SKILL.md; it is read as `metadata.tags`"),
        ("model: opus", "`model` is another tool's field"),
        ("licence: MIT", "`licence` is no field of SKILL.md, and does nothing here; "
                         "did you mean `license`?"),
        ("license: MIT: the short one", "a value with a colon is read as text here"),
    ],
)  # fmt: skip
def test_what_other_tools_write_is_read_with_a_warning(line: str, message: str) -> None:
    checked = check(FLOW, skill_md(line))
    (warning,) = warnings(checked)
    assert (warning.file, warning.line) == ("SKILL.md", 4)
    assert message in warning.message
    assert checked.skill is not None


def test_the_uploads_name_wins_over_the_frontmatters() -> None:
    checked = check(FLOW, skill_md().replace("name: mine", "name: Other"))
    assert checked.accepted().name == "mine"
    assert [str(fault) for fault in checked.faults] == [
        "SKILL.md:2:7: `name` is `Other`, but this skill is called `mine`"
    ]


def test_a_description_is_never_cut() -> None:
    checked = check(FLOW, skill_md().replace("description: d", "description: " + "d" * 1025))
    assert len(checked.accepted().description) == 1025
    assert "1025 characters" in warnings(checked)[0].message


def test_category_and_metadata_are_kept_as_text() -> None:
    skill = check(FLOW, skill_md("metadata:", "  category: sales", "  weight: 3")).accepted()
    assert skill.category == "sales"
    assert skill.metadata == {"category": "sales", "weight": "3"}


def test_skill_md_may_be_written_small() -> None:
    files = {"skill.md": skill_md().encode(), "flow.yaml": FLOW.encode()}
    assert read_bundle("mine", files, TOOLS, {}).accepted().description == "d"


def test_an_uploaded_workflow_is_stored_with_a_warning_that_it_does_not_run() -> None:
    checked = check(FLOW, more={"workflow.py": b"import os"})
    assert checked.accepted().kind == "flow"
    (warning,) = warnings(checked)
    assert (warning.file, "not run" in warning.message) == ("workflow.py", True)


def test_a_writing_tool_needs_to_be_listed_and_the_author_is_told() -> None:
    checked = check("steps: [{id: a, compute: mail_send}]", skill_md())
    (warning,) = warnings(checked)
    assert str(warning).startswith("flow.yaml:1:26: `mail_send` may write")


@pytest.mark.parametrize("method", ["", ", method: GET"])
def test_a_call_that_only_reads_needs_no_word(method: str) -> None:
    flow = f"steps: [{{id: a, compute: http_request, with: {{url: 'https://x.org'{method}}}}}]"
    assert warnings(check(flow, skill_md())) == []


@pytest.mark.parametrize("method", ["POST", "'${inputs.how}'"])
def test_a_call_that_may_write_is_told_of(method: str) -> None:
    call = f"{{url: 'https://x.org', method: {method}}}"
    flow = f"inputs: {{how: {{}}}}\nsteps: [{{id: a, compute: http_request, with: {call}}}]"
    (warning,) = warnings(check(flow, skill_md()))
    assert "`http_request` may write" in warning.message


PYTHON = {
    "SKILL.md": SKILL_MD.encode(),
    "workflow.py": b"",
    "flow.yaml": b"inputs: {days: {type: integer}}\nformat: markdown\n",
}


def test_a_skill_in_python_declares_its_inputs_and_no_steps() -> None:
    skill = read_python_bundle("mine", PYTHON, TOOLS).accepted()
    assert skill.kind == "python"
    assert skill.flow.inputs == {"days": {"type": "integer"}}
    assert (skill.flow.steps, skill.flow.format) == ((), "markdown")


def test_a_skill_in_python_needs_no_flow_yaml() -> None:
    files = {path: PYTHON[path] for path in ("SKILL.md", "workflow.py")}
    assert read_python_bundle("mine", files, TOOLS).accepted().flow.inputs == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flow.yaml": b"steps: []"}, "flow.yaml:1:1: `steps` does not belong here: "
                                      "the steps of this skill are workflow.py"),
        ({"workflow.py": None}, "workflow.py: the steps of a skill in Python are here"),
    ],
)  # fmt: skip
def test_a_skill_in_python_with_steps_in_the_wrong_place(
    changes: dict[str, bytes | None], message: str
) -> None:
    files = {path: data for path, data in (PYTHON | changes).items() if data is not None}
    checked = read_python_bundle("mine", files, TOOLS)
    assert checked.skill is None
    assert str(errors(checked)[0]).startswith(message)


def test_a_refused_bundle_raises_with_every_fault_named() -> None:
    with pytest.raises(InvalidSkill) as caught:
        check("steps: [{id: a, compute: eco}, {id: a, compute: echo}]").accepted()
    refused = caught.value
    assert refused.message.startswith("flow.yaml:1:26: unknown tool `eco`")
    assert refused.message.endswith("(and 1 more)")
    assert [error.field for error in refused.errors] == ["flow.yaml:1:26", "flow.yaml:1:37"]
    assert [fault["line"] for fault in refused.data["faults"]] == [1, 1]
