"""A newcomer types what README.md says, in that order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.acceptance.installation import ROOT, Installation
from tests.waiting import wait_until

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
# They run this test themselves, or take long.
MINE = ("make up", "make check", "make test", "make bench")


def lines() -> list[str]:
    """Commands, and the one file that is to be written between them."""
    found: list[str] = []
    for language, text in BLOCKS:
        if language == "sh":
            found.extend(line for line in text.splitlines() if line not in MINE)
        elif language == "yaml":
            found.append(f"write {text}")
    return found


def test_every_command_of_the_readme_works(installation: Installation, tmp_path: Path) -> None:
    environment = os.environ | {"PERDURE_HOME": str(installation.home), "NO_COLOR": "1"}
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    said: dict[str, str] = {}

    def type_in(line: str, run: str) -> str:
        done = subprocess.run(
            line.replace("RUN", run),
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    # What the first `make up` of a user does by itself.
    loading = [sys.executable, "-m", "dev.demo.load"]
    subprocess.run(loading, cwd=ROOT, env=environment, check=True, capture_output=True)
    run = "no-run-yet"
    assert len(lines()) >= 9
    for line in lines():
        if line.startswith("write "):
            (tmp_path / "greeting-card" / "flow.yaml").write_text(line.removeprefix("write "))
        elif "--status waiting" in line:
            wait_until(lambda line=line, run=run: run in type_in(line, run))
        elif "runs approve" in line:
            said[line] = type_in(line, run)
            ended = f".venv/bin/perdure runs logs --follow {run}"
            assert "succeeded" in type_in(ended, run)
        else:
            said[line] = type_in(line, run)
        if "--detach" in line:
            run = said[line].split()[0]
    report = said[".venv/bin/perdure run pipeline-hygiene"]
    for shown in ("Pipeline hygiene", "open deals need to be cleaned up", "Slipped", "To do"):
        assert shown in report
    assert said['.venv/bin/perdure run hello -i \'names=["Ada", "Grace"]\''].strip() == (
        "Hello, Ada! Hello, Grace!"
    )
    assert "Dear Katherine, do come!" in said[".venv/bin/perdure runs show RUN"]
