from __future__ import annotations

import asyncio

import pytest

from core.errors import NotFound
from core.flow import Flow
from core.skill import Skill
from store.pool import Pool
from store.skills import Skills, hash_files
from store.workspaces import Workspaces

FILES = {"SKILL.md": b"---\nname: greet\n---\n", "data.bin": bytes(range(256)), "z/a.txt": b""}


@pytest.fixture
async def skills(pool: Pool) -> Skills:
    for workspace in ("acme", "globex"):
        await Workspaces(pool).create(workspace, workspace)
    return Skills(pool)


def skill(name: str = "greet", description: str = "Greets.") -> Skill:
    flow = {
        # An order that jsonb would not keep.
        "inputs": {"zulu": {"type": "string"}, "a": {"type": "integer", "default": 1.0}},
        "steps": [
            {"kind": "set", "id": "s", "values": {"zulu": "${1}", "a": 2, "mike": None}},
            {
                "kind": "steps",
                "id": "g",
                "steps": [{"kind": "compute", "id": "c", "tool": "echo", "retry": {"backoff": 2}}],
                "on_error": {"steps": [{"kind": "approve", "id": "ok", "message": "Go on?\x00"}]},
                "timeout": "1m30s",
            },
        ],
        "output": {"zulu": 1, "a": [1.0, "é😀"]},
        "has_output": True,
    }
    return Skill(
        name=name,
        description=description,
        instructions="Say ${HOME}.",
        flow=Flow.model_validate(flow),
    )


async def test_a_skill_reads_exactly_as_it_was_put(skills: Skills) -> None:
    put = await skills.put("acme", skill(), FILES)
    found = await skills.find("acme", "greet")
    assert found == put
    assert found is not None
    assert (found.skill, found.hash, found.layer) == (skill(), hash_files(FILES), "workspace")
    assert found.skill.model_dump_json() == skill().model_dump_json()
    assert await skills.files("acme", put.hash) == FILES


async def test_same_files_are_the_same_version(skills: Skills, pool: Pool) -> None:
    first = await skills.put("acme", skill(), FILES)
    again = await skills.put("acme", skill(), dict(reversed(FILES.items())))
    assert again == first
    assert await pool.fetchval("SELECT count(*) FROM skill_versions") == 1


async def test_same_files_at_once_are_one_version(skills: Skills, pool: Pool) -> None:
    puts = await asyncio.gather(*(skills.put("acme", skill(), FILES) for _ in range(10)))
    assert {put.hash for put in puts} == {hash_files(FILES)}
    assert await pool.fetchval("SELECT count(*) FROM skill_versions") == 1


async def test_a_new_upload_leaves_the_version_before_it(skills: Skills) -> None:
    old = await skills.put("acme", skill(), FILES)
    new = await skills.put("acme", skill(description="Greets well."), FILES | {"new.md": b"x"})
    assert await skills.find("acme", "greet") == new
    assert await skills.find_version("acme", "greet", old.hash) == old
    assert await skills.files("acme", old.hash) == FILES
    back = await skills.put("acme", skill(), FILES)
    assert await skills.find("acme", "greet") == back == old


async def test_versions_outlive_a_removal(skills: Skills) -> None:
    put = await skills.put("acme", skill(), FILES)
    await skills.remove("acme", "greet")
    assert await skills.find("acme", "greet") is None
    assert await skills.list_skills("acme") == []
    assert await skills.find_version("acme", "greet", put.hash) == put
    assert await skills.files("acme", put.hash) == FILES
    with pytest.raises(NotFound):
        await skills.remove("acme", "greet")


async def test_another_workspace_sees_none_of_it(skills: Skills) -> None:
    put = await skills.put("acme", skill(), FILES)
    assert await skills.find("globex", "greet") is None
    assert await skills.find_version("globex", "greet", put.hash) is None
    assert await skills.files("globex", put.hash) == {}
    assert await skills.list_skills("globex") == []
    with pytest.raises(NotFound):
        await skills.remove("globex", "greet")
    theirs = await skills.put("globex", skill(description="Theirs."), {"SKILL.md": b"theirs"})
    assert await skills.find("acme", "greet") == put
    assert await skills.find("globex", "greet") == theirs


async def test_skills_are_listed_by_name(skills: Skills) -> None:
    for name in ("report", "alarm", "greet"):
        await skills.put("acme", skill(name), {"SKILL.md": name.encode()})
    assert [each.skill.name for each in await skills.list_skills("acme")] == [
        "alarm",
        "greet",
        "report",
    ]


async def test_a_skill_needs_a_workspace_that_exists(skills: Skills) -> None:
    with pytest.raises(NotFound, match="nobody"):
        await skills.put("nobody", skill(), FILES)


def test_any_difference_makes_another_version() -> None:
    alike: list[dict[str, bytes]] = [
        {},
        {"a": b""},
        {"a": b"bc"},
        {"ab": b"c"},
        {"a": b"b", "c": b""},
        {"a": b"", "b": b"c"},
    ]
    assert len({hash_files(files) for files in alike}) == len(alike)
