"""What the expressions of a flow may read, and from where."""

from __future__ import annotations

import pytest

from tests.unit.bundles import check, errors

AROUND = """
inputs: {{days: {{type: integer, default: 1}}}}
steps:
  - {{id: fetch, compute: echo, with: {{value: []}}}}
  - id: each
    for_each: ${{steps.fetch}}
    steps:
      - {{id: seen, set: {{last: "${{item}}"}}}}
      - {{id: told, compute: echo, with: {{value: "{in_item}"}}}}
    on_error:
      steps: [{{id: mended, compute: echo, with: {{value: "{in_recovery}"}}}}]
  - id: both
    parallel:
      left: [{{id: one, compute: echo}}, {{id: two, compute: echo, with: {{value: "{in_branch}"}}}}]
      right: {{id: three, set: {{total: 1}}}}
    on_error:
      steps: [{{id: after_both, compute: echo, with: {{value: "{after_failure}"}}}}]
  - {{id: group, steps: [{{id: inner, compute: echo, with: {{value: "{in_group}"}}}}]}}
  - {{id: last, compute: echo, with: {{value: "{at_end}"}}}}
output: "{output}"
"""
PLACES = (
    *("in_item", "in_recovery", "in_branch", "after_failure", "in_group", "at_end", "output"),
)


def reading(place: str, name: str) -> list[str]:
    """What the checker says where one place of the flow reads one name."""
    read = dict.fromkeys(PLACES, "")
    read[place] = f"${{{name}}}"
    return [fault.message for fault in errors(check(AROUND.format(**read)))]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("in_item", "item.name"),
        ("in_item", "index"),
        ("in_item", "steps.seen.last"),
        ("in_item", "vars.last"),
        ("in_item", "steps.fetch"),
        ("in_recovery", "errors.each.message"),
        ("in_recovery", "status.each"),
        ("in_recovery", "item"),
        ("in_recovery", "steps.seen"),
        ("in_branch", "steps.one"),
        ("in_branch", "steps.each[0]"),
        ("after_failure", "steps.one"),
        ("after_failure", "errors.both"),
        ("in_group", "steps.both.left"),
        ("in_group", "steps.three"),
        ("at_end", "steps.inner"),
        ("at_end", "vars.total"),
        ("at_end", "errors.fetch"),
        ("at_end", "steps[inputs.days]"),
        ("at_end", "steps.each.map(item, item.name)"),
        ("at_end", "event.data.anything"),
        ("at_end", "workspace.timezone"),
        ("at_end", "run.started_at"),
        ("output", "steps.last"),
        ("output", "inputs.days + size(steps.each)"),
    ],
)
def test_what_came_before_may_be_read(place: str, name: str) -> None:
    assert reading(place, name) == []


EACH_ONLY = (
    "runs once for each item of `each`: its outputs are only known inside;"
    " `steps.each` is the list of all"
)


@pytest.mark.parametrize(
    ("place", "name", "message"),
    [
        ("at_end", "steps.fech", "unknown step `steps.fech`; did you mean `fetch`?"),
        ("at_end", "errors.grup", "unknown step `errors.grup`; did you mean `group`?"),
        ("at_end", "status.inputs", "unknown step `status.inputs`"),
        ("in_item", "steps.last", "`last` comes later: a step sees only those before it"),
        ("in_item", "steps.mended", "`mended` comes later"),
        ("in_item", "steps.told", "`told` has not finished here: this is part of it"),
        ("in_item", "steps.each", "`each` has not finished here: this is part of it"),
        ("in_item", "errors.each", "`each` has not finished here: this is part of it"),
        ("in_recovery", "steps.each", "`each` has failed here: it has no output; "
                                      "`errors.each` says why"),
        ("in_branch", "steps.three", "`three` comes later"),
        ("in_group", "steps.group", "`group` has not finished here"),
        ("at_end", "steps.seen", f"`seen` {EACH_ONLY}"),
        ("at_end", "status.mended", f"`mended` {EACH_ONLY}"),
        ("output", "steps.told", f"`told` {EACH_ONLY}"),
        ("at_end", "vars.last", "`vars.last` is set inside the items of `for_each`, and stays"),
        ("at_end", "vars.totl", "no step sets `vars.totl`; did you mean `total`?"),
        ("in_item", "vars.total", "`vars.total` is only set later, by `three`"),
        ("at_end", "inputs.dys", "unknown input `dys`; did you mean `days`?"),
        ("at_end", "workspace.nme", "unknown name in `workspace`: `nme`; did you mean `name`?"),
        ("at_end", "run.user", "unknown name in `run`: `user`; there is `id`"),
        ("at_end", "stps.fetch", "unknown name `stps`; did you mean `steps`?"),
        ("at_end", "days", "unknown name `days`; write `inputs.days`"),
        ("at_end", "fetch.rows", "unknown name `fetch`; write `steps.fetch`"),
        ("at_end", "item", "`item` is known only in a step with `for_each`, and inside it"),
        ("output", "index", "`index` is known only in a step with `for_each`, and inside it"),
        ("at_end", "secret.token", "`secret.token` may not stand here: `echo` keeps no secrets"),
        ("output", "secret.token", "`secret.token` may not stand here: only in `with`"),
        ("at_end", "secret.token + 'x'", "expression: secrets can only be written as"),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_refused(place: str, name: str, message: str) -> None:
    (told,) = reading(place, name)
    assert told.startswith(message)


def test_the_branches_of_a_parallel_do_not_see_each_other() -> None:
    flow = """
    steps:
      - id: both
        parallel:
          left: {id: one, compute: echo}
          right: [{id: two, steps: [{id: three, compute: echo, with: {value: "${steps.one}"}}]}]
    """
    (fault,) = errors(check(flow))
    assert fault.message == "`one` runs at the same time, in another branch of `both`"


def test_a_branch_may_be_called_on_error_and_is_still_a_branch() -> None:
    flow = """
    steps:
      - id: both
        parallel:
          left: {id: one, compute: echo}
          on_error: {id: two, compute: echo, with: {value: "${steps.one}"}}
    """
    (fault,) = errors(check(flow))
    assert fault.message == "`one` runs at the same time, in another branch of `both`"


@pytest.mark.parametrize(("key", "is_known"), [("when", True), ("with", True), ("for_each", False)])
def test_a_step_sees_its_own_items_except_where_it_makes_them(key: str, is_known: bool) -> None:
    fields = {"for_each": "[1]", "with": "{value: 1}", "when": "'true'"}
    fields[key] = {"when": "item > 1", "with": "{value: '${item}'}", "for_each": "'${item}'"}[key]
    step = ", ".join(f"{name}: {value}" for name, value in fields.items())
    told = errors(check(f"steps: [{{id: a, compute: echo, {step}}}]"))
    assert [fault.message for fault in told] == (
        []
        if is_known
        else ["`item` is not known in `for_each` itself: it is what `for_each` makes"]
    )


def test_an_inner_for_each_may_go_over_the_outer_item() -> None:
    flow = """
    steps:
      - id: outer
        for_each: [[1], [2]]
        steps: [{id: inner, for_each: "${item}", compute: echo, with: {value: "${item}"}}]
    """
    assert errors(check(flow)) == []


def test_a_step_that_counts_needs_a_beginning() -> None:
    flow = 'steps: [{id: a, set: {n: "${vars.n + 1}"}}]'
    (fault,) = errors(check(flow))
    assert fault.message == "`vars.n` is only set later, by `a`"
    flow = 'steps: [{id: z, set: {n: 0}}, {id: a, set: {n: "${vars.n + 1}"}}]'
    assert errors(check(flow)) == []


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("${steps.no}", "5:16"),
        ('"${steps.no}"', "5:17"),
        ("[1, {deep: 'x ${steps.no}'}]", "5:30"),
        ("|\n        first\n        then ${steps.no}", "7:16"),
        # Folded and escaped texts are not written as they are read: their beginning is named.
        (">\n        first\n        then ${steps.no}", "5:14"),
        ("'it''s ${steps.no}'", "5:14"),
        ('"\\t${steps.no}"', "5:14"),
    ],
)
def test_the_place_is_exact_where_the_text_is_written_as_it_is_read(value: str, place: str) -> None:
    flow = f"steps:\n  - id: a\n    compute: echo\n    with:\n      value: {value}\n"
    (fault,) = errors(check(flow.encode()))
    assert str(fault).startswith(f"flow.yaml:{place}: unknown step `steps.no`")
