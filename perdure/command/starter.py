"""A first skill to change: it runs as it is, and needs no key."""

from __future__ import annotations

import re
from pathlib import Path

from perdure.errors import BadUsage

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_NAME = 64

SKILL = """\
---
name: {name}
description: Greets somebody. Use it as the beginning of a skill of your own.
---

# {title}

Say here, for people and for models, what this skill does and when to use it.
`flow.yaml` says what happens, step by step.
"""

FLOW = """\
inputs:
  who: {type: string, default: world}

steps:
  - id: greet
    compute: echo
    with: {value: "Hello, ${inputs.who}!"}

output: ${steps.greet}
"""


def write_skill(name: str, parent: Path) -> Path:
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise BadUsage(
            f"{name!r} cannot be a skill's name: expected lowercase letters, digits and single "
            f"hyphens, at most {LONGEST_NAME} characters, such as weekly-report"
        )
    folder = parent / name
    try:
        # The one moment in which nobody else can have made it too.
        folder.mkdir()
        title = name.replace("-", " ").capitalize()
        (folder / "SKILL.md").write_text(SKILL.format(name=name, title=title), "utf-8")
        (folder / "flow.yaml").write_text(FLOW, "utf-8")
    except FileExistsError:
        raise BadUsage(f"{folder} exists already: nothing was written") from None
    except OSError as error:
        raise BadUsage(f"cannot write {folder}: {error.strerror}") from None
    return folder
