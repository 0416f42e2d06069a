"""A skill that was written for another tool, on an installation without any provider's key."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.chaos.installed import Installed

SKILL_MD = """\
---
name: invoice-review
description: >-
  Reviews invoices for missing fields and wrong sums. Use when somebody sends an invoice.
license: Apache-2.0. See LICENSE.txt
version: 1.4.0
model: claude-sonnet-4-20250514
allowed-tools: Read Bash
argument-hint: "[file]"
metadata:
  author: finance
  tags: [invoices, review]
---
# Reviewing invoices

1. Read `references/rules.md` first; it says what an invoice must have.
2. Run `python ${CLAUDE_SKILL_DIR}/scripts/sums.py "$ARGUMENTS"` from ${HOME}.
3. Answer with what is missing: {{nothing}} is a good answer.
"""
FILES = {
    "SKILL.md": SKILL_MD.encode(),
    "LICENSE.txt": b"Apache License\n",
    "references/rules.md": b"# Rules\n\nEvery invoice has a number, a date and a ${total}.\n",
    "scripts/sums.py": b"import sys\nprint(sum(map(float, sys.argv[1:])))\n",
    "assets/logo.png": b"\x89PNG\r\n\x1a\n\x00\x00",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "invoice-review"
    for name, content in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root


async def perdure(installed: Installed, *words: str) -> subprocess.CompletedProcess[str]:
    """As somebody types it in a shell of this installation."""
    command = [str(Path(sys.executable).with_name("perdure")), *words]
    return await asyncio.to_thread(
        subprocess.run,
        command,
        env=os.environ | installed.installation.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_skill_from_elsewhere_is_taken_with_warnings_and_runs_without_a_key(
    installed: Installed, folder: Path
) -> None:
    assert not any(name.endswith("_API_KEY") for name in os.environ)
    pushed = await perdure(installed, "skills", "push", str(folder))
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    for warned in ("Read", "Bash", "scripts/"):
        assert any(
            warned in line and "warning" in line.lower() for line in pushed.stdout.splitlines()
        ), (warned, pushed.stdout)

    ran = await perdure(installed, "run", "invoice-review", "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    run = json.loads(ran.stdout)
    assert run["status"] == "succeeded"
    assert "[demo model]" in run["output"]
    assert run["token_usage"]["total"] > 0
    used = {step["path"].rpartition(".")[2] for step in run["steps"]}
    assert "skill_file" in used
    assert not {"Read", "Bash", "http_request"} & used
