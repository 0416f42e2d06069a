from __future__ import annotations

import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = Path(__file__).parents[2] / "bootstrap.py"


class Installation:
    """A checkout whose installers only say what they were asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        self.failing = ""
        shutil.copy(SOURCE, root)
        for name in ("requirements.lock", "bootstrap.lock", "pyproject.toml"):
            (root / name).write_text("a==1\n")

    def make(self) -> int:
        spec = spec_from_file_location("bootstrap", self.root / "bootstrap.py")
        assert spec
        assert spec.loader
        module: Any = module_from_spec(spec)
        spec.loader.exec_module(module)

        def run(command: list[str], name: str) -> None:
            self.asked.append(name)
            if name == self.failing:
                raise module.CannotSetUp(f"{name} failed:\nno network")
            if name == "venv":
                self.half_make()

        module.run = run
        return module.main()

    def half_make(self) -> None:
        python = self.root / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()


@pytest.fixture
def checkout(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
def make_again(checkout: Installation) -> Callable[[], list[str]]:
    def make() -> list[str]:
        checkout.asked.clear()
        assert checkout.make() == 0
        return checkout.asked

    assert checkout.make() == 0
    return make


def test_everything_is_made_once(make_again: Callable[[], list[str]]) -> None:
    assert make_again() == []


def test_a_half_made_environment_is_made_anew(checkout: Installation) -> None:
    checkout.half_make()
    (checkout.root / ".venv" / "left-over").touch()
    assert checkout.make() == 0
    assert checkout.asked == ["venv", "pip", "uv", "perdure"]
    assert not (checkout.root / ".venv" / "left-over").exists()


def test_another_lock_makes_it_anew(
    checkout: Installation, make_again: Callable[[], list[str]]
) -> None:
    (checkout.root / "requirements.lock").write_text("a==2\n")
    assert make_again() == ["venv", "pip", "uv", "perdure"]


def test_another_project_file_installs_only_the_project_again(
    checkout: Installation, make_again: Callable[[], list[str]]
) -> None:
    (checkout.root / "pyproject.toml").write_text("another script")
    assert make_again() == ["perdure"]


def test_a_python_that_went_away_makes_it_anew(
    checkout: Installation, make_again: Callable[[], list[str]]
) -> None:
    (checkout.root / ".venv" / "bin" / "python").unlink()
    assert "venv" in make_again()


def test_what_failed_is_done_again_next_time(
    checkout: Installation, capfd: pytest.CaptureFixture[str]
) -> None:
    checkout.failing = "perdure"
    assert checkout.make() == 1
    assert "perdure failed:\nno network" in capfd.readouterr().err
    checkout.failing = ""
    assert checkout.make() == 0
    assert checkout.asked[-4:] == ["venv", "pip", "uv", "perdure"]


def test_pip_does_it_where_uv_cannot(checkout: Installation) -> None:
    checkout.failing = "uv"
    assert checkout.make() == 0
    assert checkout.asked == ["venv", "pip", "uv", "pip", "perdure"]


def test_a_python_without_ensurepip_is_told_what_to_install(
    checkout: Installation, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert checkout.make() == 1
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"apt install python{version}-venv" in capfd.readouterr().err
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 15, 0)])
def test_a_python_we_do_not_run_on_is_refused_in_one_line(
    checkout: Installation,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    version: tuple[int, int, int],
) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert checkout.make() == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("perdure: Perdure needs Python 3.11 to 3.14")


def test_a_python_we_do_not_run_on_hands_over_to_one_that_we_do(
    checkout: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HandedOver(Exception):
        pass

    def execute(program: str, arguments: list[str]) -> None:
        raise HandedOver(program, *arguments[1:])

    shims = {"python3.13": "/bin/false", "python3.12": "/bin/true"}
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    monkeypatch.setattr(shutil, "which", shims.get)
    monkeypatch.setattr("os.execv", execute)
    with pytest.raises(HandedOver) as handed:
        checkout.make()
    assert handed.value.args == ("/bin/true", str(checkout.root / "bootstrap.py"))
