from __future__ import annotations

import io
import stat
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.gateway import ECHO, Caller, Site, bundle, open_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from store.pool import Pool

BROKEN = """\
steps:
  - id: say
    compute: ecko
"""
PYTHON = "raise RuntimeError('nobody imports this in the gateway')\n"


def zipped(files: dict[str, str], links: dict[str, str] | None = None) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        for name, target in (links or {}).items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, target)
    return whole.getvalue()


async def test_an_upload_runs_at_once(site: Site, owner: Caller) -> None:
    await site.work()
    done = await owner.upload("talk", ECHO)
    assert done["name"] == "talk"
    assert done["warnings"] == []
    answer = await owner.start("talk", {}, Prefer="wait=20")
    assert answer.json()["output"] == "hello"


async def test_a_skill_is_listed_and_read(site: Site, owner: Caller) -> None:
    done = await owner.upload("talk", ECHO)
    (item,) = (await owner.http.get(f"{owner.home}/skills")).json()["items"]
    assert item == {
        "id": "talk",
        "name": "talk",
        "description": "A skill of the tests.",
        "category": None,
        "schedule": None,
        "last_run_at": None,
        "version": done["version"],
        "trust_level": "workspace",
    }
    run_id = await owner.started("talk")
    whole = (await owner.http.get(f"{owner.home}/skills/talk")).json()
    assert whole["last_run_at"] == (await owner.run(run_id))["created_at"].replace("Z", "+00:00")
    assert whole["files"] == bundle("talk", ECHO)
    assert whole["inputs"] == {"word": {"type": "string", "default": "hello"}}
    assert [step["id"] for step in whole["flow"]["steps"]] == ["say"]
    assert whole["allowed_tools"] is None
    assert whole["warnings"] == []


async def test_the_same_files_are_the_same_version(owner: Caller) -> None:
    first, second = await owner.upload("talk", ECHO), await owner.upload("talk", ECHO)
    third = await owner.upload("talk", ECHO + "# a note\n")
    assert first["version"] == second["version"] != third["version"]


async def test_a_zip_is_the_same_bundle(owner: Caller) -> None:
    as_json = await owner.upload("talk", ECHO)
    files = {f"talk/{name}": text for name, text in bundle("talk", ECHO).items()}
    answer = await owner.http.put(
        f"{owner.home}/skills/talk",
        content=zipped(files),
        headers={"Content-Type": "application/zip"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["version"] == as_json["version"]


async def test_faults_have_file_and_line_and_nothing_is_stored(owner: Caller) -> None:
    answer = await owner.http.put(
        f"{owner.home}/skills/talk", json={"files": bundle("talk", BROKEN)}
    )
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "invalid_skill"
    (fault,) = problem["faults"]
    assert (fault["file"], fault["line"]) == ("flow.yaml", 3)
    assert "did you mean `echo`" in fault["message"]
    assert (await owner.http.get(f"{owner.home}/skills/talk")).status_code == 404


async def test_a_check_finds_the_same_faults_and_stores_nothing(owner: Caller) -> None:
    path = f"{owner.home}/skills/check"
    sound = await owner.http.post(path, json={"files": bundle("talk", ECHO)})
    assert sound.json() == {"ok": True, "faults": []}
    broken = await owner.http.post(path, json={"name": "talk", "files": bundle("talk", BROKEN)})
    assert broken.status_code == 200
    assert broken.json()["ok"] is False
    assert [fault["line"] for fault in broken.json()["faults"]] == [3]
    misnamed = await owner.http.post(path, json={"name": "other", "files": bundle("talk", ECHO)})
    assert [fault["file"] for fault in misnamed.json()["faults"]] == ["SKILL.md"]
    assert (await owner.http.get(f"{owner.home}/skills")).json()["items"] == []


@pytest.mark.parametrize(
    "archive",
    [
        zipped({"../SKILL.md": "x"}),
        zipped(bundle("talk", ECHO), links={"passwd": "/etc/passwd"}),
        zipped({}),
        b"PK\x03\x04 but not much of a zip",
        zipped({f"{number}.md": "x" for number in range(501)}),
    ],
)
async def test_a_bad_zip_is_refused(owner: Caller, archive: bytes) -> None:
    answer = await owner.http.put(
        f"{owner.home}/skills/talk",
        content=archive,
        headers={"Content-Type": "application/zip"},
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["faults"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"file": {"SKILL.md": "x"}}, "file"),
        ({"files": {"SKILL.md": 1}}, "files.SKILL.md"),
        ({"files": []}, "files"),
        ([], "body"),
        ("files", "body"),
        (None, "body"),
    ],
)
async def test_a_bad_body_is_named(owner: Caller, body: Any, field: str) -> None:
    answer = await owner.http.put(f"{owner.home}/skills/talk", json=body)
    assert answer.status_code == 422, answer.text
    assert field in [fault["field"] for fault in answer.json()["errors"]]


async def test_skills_that_start_each_other_are_refused(owner: Caller) -> None:
    calls = "steps:\n  - id: other\n    skill: {}\n"
    await owner.upload("one", ECHO)
    await owner.upload("two", calls.format("one"))
    answer = await owner.http.put(
        f"{owner.home}/skills/one", json={"files": bundle("one", calls.format("two"))}
    )
    assert answer.status_code == 422
    assert "for ever" in answer.json()["faults"][0]["message"]


async def test_a_run_is_pinned_to_what_its_children_were(site: Site, owner: Caller) -> None:
    calls = "steps:\n  - id: other\n    skill: {}\n"
    child = await owner.upload("one", ECHO)
    middle = await owner.upload("two", calls.format("one"))
    await owner.upload("three", calls.format("two"))
    run_id = await owner.started("three")
    described = await site.kernel.client.get_workflow_handle(run_id).describe()
    origin = (await described.memo())["perdure"]
    assert origin["pins"] == {"one": child["version"], "two": middle["version"]}


async def test_a_removed_skill_is_gone_and_its_runs_stay(owner: Caller) -> None:
    await owner.upload("talk", ECHO)
    run_id = await owner.started("talk")
    assert (await owner.http.delete(f"{owner.home}/skills/talk")).status_code == 204
    assert (await owner.http.delete(f"{owner.home}/skills/talk")).status_code == 404
    assert (await owner.start("talk")).status_code == 404
    runs = (await owner.http.get(f"{owner.home}/skills/talk/runs")).json()["items"]
    assert [run["run_id"] for run in runs] == [run_id]


async def test_lists_page(owner: Caller) -> None:
    for name in ("c", "a", "b"):
        await owner.upload(name, ECHO)
    first = (await owner.http.get(f"{owner.home}/skills", params={"limit": 2})).json()
    second = await owner.http.get(f"{owner.home}/skills", params={"cursor": first["next_cursor"]})
    names = [skill["name"] for skill in first["items"] + second.json()["items"]]
    assert names == ["a", "b", "c"]
    assert second.json()["next_cursor"] is None


class TestBuiltIn:
    @pytest_asyncio.fixture
    async def site(
        self,
        temporal_address: str,
        temporal_namespace: str,
        pool: Pool,
        task_queue: str,
        tmp_path: Path,
    ) -> AsyncIterator[Site]:
        """With a flow that starts another, and one of Python."""
        write(tmp_path / "alpha", bundle("alpha", "steps:\n  - id: other\n    skill: omega\n"))
        write(tmp_path / "omega", bundle("omega", ECHO))
        write(tmp_path / "by_hand", bundle("by-hand", "inputs: {url: {type: string}}\n"))
        (tmp_path / "by_hand" / "workflow.py").write_text(PYTHON)
        (tmp_path / "by_hand" / "__init__.py").write_text("")
        async with open_site(
            temporal_address, temporal_namespace, pool, task_queue, tmp_path
        ) as site:
            yield site

    async def test_they_are_in_every_workspace(self, owner: Caller) -> None:
        await owner.upload("mine", ECHO)
        listed = (await owner.http.get(f"{owner.home}/skills")).json()["items"]
        assert {skill["name"]: skill["trust_level"] for skill in listed} == {
            "alpha": "built_in",
            "by-hand": "built_in",
            "mine": "workspace",
            "omega": "built_in",
        }
        whole = (await owner.http.get(f"{owner.home}/skills/by-hand")).json()
        assert whole["inputs"] == {"url": {"type": "string"}}
        assert set(whole["files"]) == {"SKILL.md", "flow.yaml", "workflow.py"}

    async def test_they_run(self, site: Site, owner: Caller) -> None:
        await site.work()
        answer = await owner.start("omega", {}, Prefer="wait=20")
        assert answer.json()["output"] == "hello"

    async def test_they_cannot_be_uploaded_over_or_removed(self, owner: Caller) -> None:
        path = f"{owner.home}/skills/omega"
        over = await owner.http.put(path, json={"files": bundle("omega", ECHO)})
        assert (over.status_code, over.json()["code"]) == (409, "built_in")
        gone = await owner.http.delete(path)
        assert (gone.status_code, gone.json()["code"]) == (409, "built_in")

    async def test_a_skill_of_python_is_given_its_inputs(self, site: Site, owner: Caller) -> None:
        run_id = await owner.started("by-hand", {"inputs": {"url": "https://example.com"}})
        history = await site.kernel.client.get_workflow_handle(run_id).fetch_history()
        started = history.events[0].workflow_execution_started_event_attributes
        assert started.workflow_type.name == "by-hand"
        values = await site.kernel.client.data_converter.decode(started.input.payloads)
        assert values == [{"url": "https://example.com"}]


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
