from __future__ import annotations

from pathlib import Path

import pytest

from dev.home import Home
from dev.plan import Plan


def settings(plan: Plan, home: Path) -> dict[str, str]:
    return plan.settings(Home(home), Home(home).keys())


def test_everything_is_started_here_unless_told_otherwise(tmp_path: Path) -> None:
    plan = Plan.from_environment("here")
    assert plan.ports == {
        "PERDURE_PORT": 8000,
        "PERDURE_TEMPORAL_PORT": 7233,
        "PERDURE_TEMPORAL_UI_PORT": 8233,
    }
    told = settings(plan, tmp_path)
    assert told["TEMPORAL_ADDRESS"] == "127.0.0.1:7233"
    assert told["DATABASE_URL"].startswith("postgresql://postgres@/perdure?host=")
    assert told["PERDURE_TEMPORAL_UI_URL"] == "http://127.0.0.1:8233"


def test_servers_that_the_environment_names_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/perdure")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "ours")
    monkeypatch.setenv("PGSSLMODE", "require")
    plan = Plan.from_environment("here")
    told = settings(plan, tmp_path)
    assert plan.ports == {"PERDURE_PORT": 8000}
    assert told["DATABASE_URL"] == "postgresql://db/perdure"
    assert told["TEMPORAL_ADDRESS"] == "temporal:7233"
    assert told["TEMPORAL_NAMESPACE"] == "ours"
    assert plan.environment(told)["PGSSLMODE"] == "require"


def test_variables_for_another_postgres_do_not_reach_our_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    plan = Plan.from_environment("here")
    assert "PGSSLMODE" not in plan.environment(settings(plan, tmp_path))


def test_keys_of_the_users_own_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PERDURE_ADMIN_KEY", "an admin key of my own")
    assert settings(Plan.from_environment("here"), tmp_path)["PERDURE_ADMIN_KEY"] == (
        "an admin key of my own"
    )


def test_the_demo_answers_only_where_no_provider_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert settings(Plan.from_environment("here"), tmp_path)["PERDURE_DEMO"] == "1"
    monkeypatch.setenv("FIREWORKS_API_KEY", "key")
    assert "PERDURE_DEMO" not in settings(Plan.from_environment("here"), tmp_path)
