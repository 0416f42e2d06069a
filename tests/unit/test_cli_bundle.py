from __future__ import annotations

import os
from pathlib import Path

import pytest

from perdure.bundle import read_bundle, zipped
from perdure.command.starter import write_skill
from perdure.errors import BadBundle, BadUsage
from perdure.skill import Bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_skill("orders", tmp_path)


def test_hidden_files_and_caches_stay_here(folder: Path) -> None:
    for path in (".env", ".git/config", "__pycache__/x.pyc", "prompts/.draft", "prompts/ask.md"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("x")
    assert set(read_bundle(folder).files) == {"SKILL.md", "flow.yaml", "prompts/ask.md"}


def test_the_folder_names_the_skill_however_it_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert read_bundle(Path()).name == "orders"
    assert read_bundle(folder, "renamed").name == "renamed"


@pytest.mark.parametrize("target", ["/etc/hostname", "flow.yaml", "missing"])
def test_links_are_refused(folder: Path, target: str) -> None:
    (folder / "link.md").symlink_to(target)
    with pytest.raises(BadBundle, match=r"link\.md is a symbolic link"):
        read_bundle(folder)


def test_linked_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "references").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(BadBundle, match="references is a symbolic link"):
        read_bundle(folder)


def test_what_would_never_end_is_not_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(BadBundle, match="pipe is not a regular file"):
        read_bundle(folder)


def test_too_many_files_are_refused_before_they_are_read(folder: Path) -> None:
    for number in range(500):
        (folder / f"{number}.md").touch()
    with pytest.raises(BadBundle, match="more than 500 files"):
        read_bundle(folder)


def test_too_much_is_refused_before_it_is_read(folder: Path) -> None:
    with (folder / "huge.bin").open("wb") as huge:
        huge.truncate(10 << 40)
    with pytest.raises(BadBundle, match="larger than 20 MB"):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("path", "reason"), [("none", "not a folder"), ("orders/SKILL.md", "name its folder")]
)
def test_what_is_no_folder_is_refused(folder: Path, path: str, reason: str) -> None:
    with pytest.raises(BadBundle, match=reason):
        read_bundle(folder.parent / path)


def test_a_folder_without_a_skill_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match=r"no SKILL\.md"):
        read_bundle(tmp_path)


def test_the_same_files_make_the_same_zip() -> None:
    one = Bundle(name="x", files={"a": b"1", "b": b"2"})
    other = Bundle(name="y", files={"b": b"2", "a": b"1"})
    assert zipped(one) == zipped(other)


def test_a_new_skill_never_writes_over_anything(folder: Path) -> None:
    before = (folder / "flow.yaml").read_text()
    with pytest.raises(BadUsage, match="exists already"):
        write_skill("orders", folder.parent)
    assert (folder / "flow.yaml").read_text() == before


@pytest.mark.parametrize("name", ["Orders", "a_b", "-a", "a-", "a--b", "", "../x", "a/b", "x" * 65])
def test_a_name_that_no_skill_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadUsage, match="cannot be a skill's name"):
        write_skill(name, tmp_path)
    assert list(tmp_path.iterdir()) == []
