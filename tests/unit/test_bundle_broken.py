"""Broken bundles: each is refused with the file, the line and the nearest right name."""

from __future__ import annotations

from textwrap import dedent

import pytest

from core.bundle import read_bundle
from tests.unit.bundles import SKILL_MD, TOOLS, check, errors

STEPS = "steps:\n"
GOOD = "steps: [{id: a, compute: echo}]"

BROKEN_FLOWS: dict[str, tuple[str, list[str]]] = {
    "unknown step": (
        """
        steps:
          - id: a
            comput: echo
        """,
        ["flow.yaml:4:5: unknown step `comput`; did you mean `compute`?"],
    ),
    "unknown tool": (
        """
        steps:
          - id: a
            compute: htp_request
            with: {url: x}
        """,
        ["flow.yaml:4:14: unknown tool `htp_request`; did you mean `http_request`?"],
    ),
    "tool that is not allowed": (
        "steps: [{id: a, compute: mail_send}]",
        ["flow.yaml:1:26: `mail_send` is not among the `allowed-tools` of SKILL.md, which list"
         " echo http_request crm_*; add it there"],
    ),
    "bad expression": (
        """
        steps:
          - id: a
            when: inputs.x >
            compute: echo
        """,
        ["flow.yaml:4:21: expression: the expression ends too early"],
    ),
    "a condition in pieces": (
        "steps: [{id: a, when: '${status.b} && ${status.c}', compute: echo}]",
        ["flow.yaml:1:23: write the whole condition in one `${…}`, or without any"],
    ),
    "bad expression in a block": (
        """
        steps:
          - id: a
            approve: |
              Hello,
              may ${1 +} go?
        """,
        ["flow.yaml:6:16: expression: "],
    ),
    "expression never closed": (
        'steps: [{id: a, compute: echo, with: {value: "${inputs"}}]',
        ['flow.yaml:1:47: expression: "${" is never closed'],
    ),
    "unknown function": (
        'steps: [{id: a, compute: echo, with: {value: "${sise([])}"}}]',
        ['flow.yaml:1:49: expression: there is no function "sise", did you mean "size"?'],
    ),
    "cycle of skills": (
        """
        steps:
          - id: a
            skill: first
        """,
        ["flow.yaml:4:12: skills would start each other for ever: mine → first → second → mine"],
    ),
    "a skill that starts itself": (
        "steps: [{id: a, skill: mine}]",
        ["flow.yaml:1:24: skills would start each other for ever: mine → mine"],
    ),
    "unknown skill": (
        "steps: [{id: a, skill: gret}]",
        ["flow.yaml:1:24: unknown skill `gret`; did you mean `greet`?"],
    ),
    "wrong schema": (
        """
        inputs:
          days: {type: intger}
          name: {type: string, pattern: "(?=a)"}
          size: {type: integer, minimum: few}
        steps: [{id: a, compute: echo}]
        """,
        [
            'flow.yaml:3:10: unknown type "intger"; did you mean `integer`?',
            "flow.yaml:4:24: no regular expression, or one with look-around or back-references",
            'flow.yaml:5:25: expected number, got "few"',
        ],
    ),
    "a schema from elsewhere": (
        "inputs: {a: {$ref: 'https://example.com/a.json'}}\nsteps: [{id: a, compute: echo}]",
        ["flow.yaml:1:14: `https://example.com/a.json`: only references inside this schema"],
    ),
    "a schema without an end": (
        "inputs: {a: {items: {$ref: '#'}}}\nsteps: [{id: a, compute: echo}]",
        ["flow.yaml:1:10: refers to itself"],
    ),
    "a default that breaks its schema": (
        "inputs: {a: {type: integer, default: soon}}\nsteps: [{id: a, compute: echo}]",
        ['flow.yaml:1:38: the default breaks its own schema: expected integer, got "soon"'],
    ),
    "an input that is no schema": (
        "inputs: {a: string}\nsteps: [{id: a, compute: echo}]",
        ["flow.yaml:1:13: expected a JSON Schema such as {type: string}, got the text `string`;"
         " write {type: string}"],
    ),
    "an input with a strange name": (
        "inputs: {Stale-Days: {}}\nsteps: [{id: a, compute: echo}]",
        ["flow.yaml:1:10: the name of an input is made of small letters, digits and `_`,"
         " got the text `Stale-Days`; write `stale_days`"],
    ),
    "duplicate id": (
        """
        steps:
          - {id: a, compute: echo}
          - id: b
            steps: [{id: c, compute: echo, on_error: {steps: [{id: a, compute: echo}]}}]
        """,
        ["flow.yaml:5:60: step id `a` is used twice; first in line 3"],
    ),
    "an id of the expression language": (
        "steps: [{id: in, compute: echo}]",
        ["flow.yaml:1:10: `in` is a word of the expression language"],
    ),
    "no id": ("steps: [{compute: echo}]", ["flow.yaml:1:9: this step has no `id`"]),
    "two things at once": (
        """
        steps:
          - id: a
            compute: echo
            set: {x: 1}
        """,
        ["flow.yaml:5:5: `set` beside `compute`: exactly one word says what a step is"],
    ),
    "nothing to do": (
        "steps: [{id: a, when: true}]",
        ["flow.yaml:1:9: this step says nothing to do: it needs one of `compute`, `set`"],
    ),
    "a step of a later version": (
        "steps: [{id: a, gate: x}]",
        ["flow.yaml:1:17: `gate` is not part of this version: use one of `compute`, `set`"],
    ),
    "a channel that is not there": (
        "steps: [{id: a, notify: slak, message: hello}]",
        ["flow.yaml:1:25: expected slack, got the text `slak`; did you mean `slack`?"],
    ),
    "nothing to tell": (
        "steps: [{id: a, notify: slack}]",
        ["flow.yaml:1:17: `notify` needs a `message`: what to tell, such as ${steps.report}"],
    ),
    "a message where nobody is told": (
        "steps: [{id: a, wait: 1s, message: hello}]",
        ["flow.yaml:1:27: `message` does not belong to `wait`: it goes with `notify`"],
    ),
    "a message that names nothing": (
        'steps: [{id: a, notify: slack, message: "${steps.b}"}]',
        ["flow.yaml:1:44: unknown step `steps.b`"],
    ),
    "a secret in a message": (
        'steps: [{id: a, notify: slack, message: {text: "${secret.x}"}}]',
        ["flow.yaml:1:41: `secret.x` may not stand here: only in `with` of a `compute` step"],
    ),
    "waiting for an event": (
        """
        steps:
          - {id: a, wait: {event: Signed, when: "event.data.id ==", for: 3 days}}
          - {id: b, wait: {event: signed, for: 3d, until: "2026-12-01T09:00:00Z"}}
          - {id: c, wait: {when: event.data.id == 1, for: 3d}}
          - {id: d, wait: {evnt: signed}}
          - {id: e, wait: {event: signed, when: event.data.id == steps.f}}
          - {id: f, wait: {event: signed}, timeout: 3d}
        """,
        [
            "flow.yaml:3:27: expected the name of an event such as sync_completed, "
            "got the text `Signed`",
            "flow.yaml:3:58: expression: the expression ends too early",
            "flow.yaml:3:66: expected a duration such as 30s, 5m, 1h30m or 2d, "
            "got the text `3 days`",
            "flow.yaml:4:19: expected one of `for` and `until`, not both",
            "flow.yaml:5:20: `when` is about an event: it goes with `event`",
            "flow.yaml:6:19: expected `for`, `until` or `event`",
            "flow.yaml:6:20: unknown key `evnt`; did you mean `event`?",
            "flow.yaml:7:58: `f` comes later: a step sees only those before it",
            "flow.yaml:8:36: `timeout` does not belong to `wait`: `wait` is itself the time: "
            "write `wait: 5m`, or `wait: {event: signed, for: 3d}`",
        ],
    ),
    "unknown keys at every level": (
        """
        input: {a: {}}
        steps:
          - id: a
            compute: echo
            wth: {value: 1}
            retry: {attempt: 3}
            on_error: {step: []}
        """,
        [
            "flow.yaml:2:1: unknown key `input`; did you mean `inputs`?",
            "flow.yaml:6:5: unknown key `wth`; did you mean `with`?",
            "flow.yaml:7:13: unknown key `attempt`; did you mean `attempts`?",
            "flow.yaml:8:15: expected a list of steps, got nothing",
            "flow.yaml:8:16: unknown key `step`; did you mean `steps`?",
        ],
    ),
    "fields of SKILL.md in the flow": (
        "description: d\nsteps: [{id: a, compute: echo}]",
        ["flow.yaml:1:1: `description` belongs to the frontmatter of SKILL.md"],
    ),
    "no steps": ("inputs: {}", ["flow.yaml:1:1: `steps` is missing"]),
    "a list instead of a flow": (
        "- {id: a, compute: echo}",
        ["flow.yaml:1:1: expected a mapping with `steps`, got a list"],
    ),
    "an empty flow": ("", ["flow.yaml: expected a mapping with `steps`, got nothing"]),
    "durations": (
        """
        timeout: 1 hour
        steps:
          - {id: a, compute: echo, timeout: 30}
          - {id: b, compute: echo, timeout: 0s}
          - {id: c, wait: a while}
          - {id: d, wait: 2026-12-01T09:00:00}
          - {id: e, wait: {until: 2026-13-01T09:00:00Z}}
          - {id: f, compute: echo, retry: {backoff: 9999d}}
        """,
        [
            "flow.yaml:2:10: expected a duration such as 30s, 5m, 1h30m or 2d",
            "flow.yaml:4:37: expected a duration such as 30s, 5m, 1h30m or 2d, "
            "got the number 30; write `30s`",
            "flow.yaml:5:37: expected a duration such as 30s, 5m, 1h30m or 2d, got no time at all",
            "flow.yaml:6:19: expected a duration such as 30s, 5m, 1h30m or 2d, a time, or `${…}`, "
            "got the text `a while`",
            "flow.yaml:7:19: expected a time with its offset such as 2026-12-01T09:00:00Z",
            "flow.yaml:8:27: expected a time with its offset",
            "flow.yaml:9:45: at most 3650 days",
        ],
    ),
    "retries": (
        """
        steps:
          - {id: a, compute: echo, retry: 3}
          - {id: b, compute: echo, retry: {attempts: 0}}
          - {id: c, wait: 5m, retry: {attempts: 2}}
        """,
        [
            "flow.yaml:3:35: expected a mapping such as {attempts: 3, backoff: 2s}, "
            "got the number 3",
            "flow.yaml:4:46: expected a whole number from 1 to 100, got the number 0",
            "flow.yaml:5:23: `retry` does not belong to `wait`: there is nothing to try again",
        ],
    ),
    "timeouts in the wrong place": (
        """
        steps:
          - {id: a, set: {x: 1}, timeout: 5m}
          - {id: b, wait: 5m, timeout: 5m}
          - {id: c, timeout: 5m, steps: [{id: d, compute: echo}]}
          - {id: e, timeout: 5m, parallel: {f: {id: g, compute: echo}}}
        """,
        [
            "flow.yaml:3:26: `timeout` does not belong to `set`: `set` takes no time",
            "flow.yaml:4:23: `timeout` does not belong to `wait`: `wait` is itself the time",
            "flow.yaml:5:13: `timeout` does not belong to `steps`: put it on the steps inside",
            "flow.yaml:6:13: `timeout` does not belong to `parallel`: put it on the steps inside",
        ],
    ),
    "for_each over no list": (
        """
        steps:
          - {id: a, compute: echo, for_each: steps.b}
          - {id: b, compute: echo, for_each: 3}
          - {id: c, compute: echo, concurrency: 200, for_each: [1]}
        """,
        [
            "flow.yaml:3:38: expected a list, got the text `steps.b`; an expression is written",
            "flow.yaml:4:38: expected a list or `${…}`, got the number 3",
            "flow.yaml:5:41: expected a whole number from 1 to 100, got the number 200",
        ],
    ),
    "on_error, format": (
        "format: slck\nsteps: [{id: a, compute: echo, on_error: contine}]",
        [
            "flow.yaml:1:9: expected slack | markdown | json, got the text `slck`; "
            "did you mean `slack`?",
            "flow.yaml:2:42: expected fail | continue | {steps: […]}, got the text `contine`; "
            "did you mean `continue`?",
        ],
    ),
    "branches": (
        """
        steps:
          - {id: a, parallel: {}}
          - {id: b, parallel: {Left Side: {id: c, compute: echo}}}
          - {id: d, parallel: [{id: e, compute: echo}]}
        """,
        [
            "flow.yaml:3:23: `parallel` has no branches",
            "flow.yaml:4:24: the name of a branch is made of small letters, digits and `_`, "
            "got the text `Left Side`; write `left_side`",
            "flow.yaml:5:23: expected a mapping of branches, got a list",
        ],
    ),
    "triggers": (
        """
        inputs: {days: {type: integer}}
        triggers:
          - schedule: every monday
            with: {days: 1}
          - {event: sync done, with: {day: 1}}
          - {event: x, when: steps.a > 1, with: {days: soon}}
          - {evnt: x}
        steps: [{id: a, compute: echo}]
        """,
        [
            "flow.yaml:4:15: expected a cron line of five fields such as `0 8 * * MON`",
            "flow.yaml:6:5: this skill needs the input `days`",
            "flow.yaml:6:13: expected the name of an event such as sync_completed",
            "flow.yaml:6:31: this skill has no input `day`; did you mean `days`?",
            "flow.yaml:7:22: unknown name `steps`; a trigger sees `event` and `workspace`",
            'flow.yaml:7:48: `days`: expected integer, got "soon"',
            "flow.yaml:8:5: expected a trigger such as",
            "flow.yaml:8:6: unknown key `evnt`; did you mean `event`?",
        ],
    ),
    "alias bomb": (
        """
        steps: [{id: a, compute: echo}]
        output:
          - &a [x, x]
          - &b [*a, *a]
          - [*b, 1]
        """,
        ["flow.yaml:4:5: anchor `&a`: anchors are not used",
         "flow.yaml:5:5: anchor `&b`: anchors are not used",
         "flow.yaml:5:9: alias `*a`: write the value out",
         "flow.yaml:5:13: alias `*a`: write the value out",
         "flow.yaml:6:6: alias `*b`: write the value out"],
    ),
    "a key written twice": (
        """
        steps:
          - id: a
            compute: echo
            with: {value: 1, value: 2}
        """,
        ["flow.yaml:5:22: `value` is written twice here; first in line 5"],
    ),
    "a tab": (
        "steps:\n\t- id: a\n",
        ["flow.yaml:2:1: not YAML: ", "a tab stands here, YAML is indented with spaces"],
    ),
    "a colon that needs quotes": (
        "steps:\n  - {id: a, compute: echo}\noutput: note: this\n",
        ["flow.yaml:3:13: not YAML: ", "quote a value that contains a colon"],
    ),
    "an expression that needs quotes": (
        "steps:\n  - {id: a, compute: echo, with: {value: ${inputs.x}}}\n",
        ["flow.yaml:2:", "inside { } and [ ] quote a value that holds `${…}`"],
    ),
    "two documents": (
        "steps: [{id: a, compute: echo}]\n---\nsteps: []\n",
        ["flow.yaml:2:1: a second document begins here"],
    ),
    "a Python object": (
        "output: !!python/object/apply:os.system [ls]\nsteps: [{id: a, compute: echo}]",
        ["flow.yaml:1:9: tag `!!python/object/apply:os.system`: tags are not used"],
    ),
    "numbers that JSON does not know": (
        "output: [.inf, 123456789012345678901234567890]\nsteps: [{id: a, compute: echo}]",
        ["flow.yaml:1:10: `.inf` is no JSON number",
         "flow.yaml:1:16: `123456789012345678901234567890` does not fit 64 bits"],
    ),
    "a key that is a mapping": (
        "output: {a: 1, {b: 2}: 3}\nsteps: [{id: a, compute: echo}]",
        ["flow.yaml:1:16: a key is a plain word"],
    ),
    "endless nesting of YAML": (
        "output: " + "[" * 100_000,
        ["flow.yaml:1:59: nested more than 50 levels deep"],
    ),
    "endless nesting of steps": (
        STEPS + "".join(f"{'  ' * n}- id: s{n}\n{'  ' * n}  steps:\n" for n in range(1, 12)),
        ["steps are nested more than 10 levels deep"],
    ),
    "too many steps": (
        STEPS + "".join(f"- {{id: s{n}, compute: echo}}\n" for n in range(501)),
        ["flow.yaml:502:3: a flow has at most 500 steps"],
    ),
    "too large a flow": (
        STEPS + "- id: a\n  compute: echo\n  with:\n    value:\n"
        + "".join(f"    - {'x' * 4_000}\n" for _ in range(70)),
        ["flow.yaml:1:1: the flow is 273 KB as JSON; a flow has at most 256 KB"],
    ),
    "expression in a key": (
        'steps: [{id: a, compute: echo, with: {value: {"${inputs.k}": 1}}}]',
        ["flow.yaml:1:47: `${inputs.k}`: only values hold `${…}`, keys do not"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN_FLOWS)
def test_a_broken_flow_is_refused_with_its_place(case: str) -> None:
    flow, expected = BROKEN_FLOWS[case]
    checked = check(dedent(flow))
    assert checked.skill is None
    told = [str(fault) for fault in errors(checked)]
    assert [part for part in expected if not any(part in fault for fault in told)] == []
    # Every fault was expected: nothing follows from another fault.
    places = [part for part in expected if part.startswith("flow.yaml:")]
    assert len(told) <= max(len(places), 1), told


FILES: dict[str, tuple[dict[str, bytes | None], str]] = {
    "no SKILL.md": ({"SKILL.md": None}, "SKILL.md: missing: every skill has one"),
    "SKILL.md with another name": (
        {"SKILL.md": None, "SKILLS.md": b""}, "SKILL.md: missing: every skill has one, at the top; "
                                              "is it `SKILLS.md`?",
    ),
    "SKILL.md without frontmatter": (
        {"SKILL.md": b"# Mine"}, "SKILL.md:1: there is no frontmatter: begin with `---`",
    ),
    "frontmatter never closed": (
        {"SKILL.md": b"---\nname: mine\n"}, "SKILL.md:1: the frontmatter is never closed",
    ),
    "no description": (
        {"SKILL.md": b"---\nname: mine\n---\n"}, "SKILL.md:2:1: `description` is missing",
    ),
    "frontmatter that is not YAML": (
        {"SKILL.md": b"---\nname: mine\ndescription: [a\n---\n"}, "SKILL.md:3:1: not YAML: ",
    ),
    "a schedule in SKILL.md": (
        {"SKILL.md": SKILL_MD.replace("name: mine", "name: mine\nschedule: daily").encode()},
        "SKILL.md:3:1: `schedule` is no field of SKILL.md: write it in flow.yaml, under `triggers`",
    ),
    "an author in SKILL.md": (
        {"SKILL.md": SKILL_MD.replace("name: mine", "name: mine\nauthor: a").encode()},
        "SKILL.md:3:1: `author` is no field of SKILL.md: write `metadata.author`",
    ),
    "allowed-tools that are no names": (
        {"SKILL.md": SKILL_MD.replace("echo http_request crm_*", "{echo: true}").encode()},
        "SKILL.md:4:16: expected names of tools",
    ),
    "a skill without flow.yaml and without a body": (
        {"flow.yaml": None, "SKILL.md": SKILL_MD.replace("# Mine\n", "").encode()},
        "SKILL.md: there is nothing below the frontmatter: without a flow.yaml that is what",
    ),
    "flow.yml": (
        {"flow.yaml": None, "flow.yml": b""},
        "flow.yaml: missing: `flow.yml` is not read, call it `flow.yaml`",
    ),
    "not UTF-8": (
        {"flow.yaml": b"steps:\n  - id: caf\xe9\n"},
        "flow.yaml:2: byte 0xe9 is not UTF-8; save the file as UTF-8",
    ),
    "UTF-16": (
        {"flow.yaml": "steps: []".encode("utf-16")}, "flow.yaml:1: this is UTF-16; save",
    ),
    "a NUL in the text": (
        {"flow.yaml": b"steps:\n  - id: \0\n"}, "flow.yaml:2:9: control character U+0000",
    ),
    "a prompt that is no text": (
        {"prompts/a.md": b"\xff"}, "prompts/a.md:1: byte 0xff is not UTF-8",
    ),
    "a 5 MB file": (
        {"assets/film.bin": bytes(5_000_000)},
        "assets/film.bin: 4.8 MB; a file like this has at most 4.0 MB",
    ),
    "a text too long to read": (
        {"prompts/a.md": b"x" * (1024 * 1024 + 1)},
        "prompts/a.md: 1.0 MB; a file like this has at most 1.0 MB",
    ),
    "too much in all": (
        {f"assets/{n}": bytes(4_000_000) for n in range(6)},
        ".: 22.9 MB in all; a bundle has at most 20.0 MB",
    ),
    "too many files": (
        {f"assets/{n}": b"" for n in range(500)}, ".: 502 files; a bundle has at most 500",
    ),
    "a way out": ({"../up": b""}, "../up: `..` is not allowed"),
    "a way out in the middle": ({"a/../../up": b""}, "a/../../up: `..` is not allowed"),
    "an absolute path": ({"/etc/passwd": b""}, "/etc/passwd: absolute paths are not allowed"),
    "a drive": ({"C:/x": b""}, "C:/x: absolute paths are not allowed"),
    "a backslash": ({"a\\..\\b": b""}, "a\\..\\b: write paths with `/`"),
    "a control character": ({"a\nb": b""}, "a?b: a path holds no control characters"),
    "an empty part": ({"a//b": b""}, "a//b: empty parts and `.` are not allowed"),
    "no name": ({"": b""}, "(no name): a path has 1 to 240 characters"),
    "names that differ by case": (
        {"Notes.md": b"", "notes.MD": b""}, "notes.MD: the same name as `Notes.md` but for case",
    ),
    "names that look alike": (
        {"caf\u00e9": b"", "cafe\u0301": b""},
        "cafe\u0301: the same name as `caf\u00e9` but for case",
    ),
    "a file that is a folder": (
        {"a": b"", "a/b": b""}, "a: a file, and also a folder: `a/b`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_files_that_may_not_be_in_a_bundle_are_named(case: str) -> None:
    changes, expected = FILES[case]
    sound: dict[str, bytes | None] = {"SKILL.md": SKILL_MD.encode(), "flow.yaml": GOOD.encode()}
    files = {path: data for path, data in {**sound, **changes}.items() if data is not None}
    checked = read_bundle("mine", files, TOOLS, {})
    assert checked.skill is None
    (fault,) = errors(checked)
    assert str(fault).startswith(expected)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Pipeline Hygiene", "pipeline-hygiene"),
        ("a.b", "a-b"),
        ("a--b", "a-b"),
        ("a" * 65, "a" * 64),
    ],
)
def test_a_skills_name_is_small_words_with_hyphens(name: str, meant: str) -> None:
    (fault,) = errors(check(GOOD, name=name))
    assert fault.file == "(name)"
    assert fault.message.endswith(f"parted by `-`; write `{meant}`")
