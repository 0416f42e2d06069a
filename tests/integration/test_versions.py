from __future__ import annotations

from core.flow import Flow
from core.skill import Skill, SkillVersion
from services.library import BuiltIn, Library
from services.versions import Versions
from store.pool import Pool
from store.skills import Skills


def skill(name: str) -> Skill:
    return Skill(name=name, description="Says hello.", instructions="", flow=Flow())


async def test_runs_from_before_an_upgrade_find_the_built_in_skill_of_now(pool: Pool) -> None:
    now = SkillVersion(skill=skill("hello"), hash="new", layer="built_in")
    versions = Versions(Skills(pool), Library({"hello": BuiltIn(now, {}, ())}))
    assert await versions.pinned("acme", "hello", "of-the-last-release") == now


async def test_uploaded_version_is_found_after_its_removal(pool: Pool) -> None:
    await pool.execute("INSERT INTO workspaces (id, name) VALUES ('acme', 'Acme'), ('other', 'O')")
    skills = Skills(pool)
    put = await skills.put("acme", skill("mine"), {"SKILL.md": b"x"})
    await skills.remove("acme", "mine")
    versions = Versions(skills, Library({}))
    found = await versions.pinned("acme", "mine", put.hash)
    assert found is not None
    assert found.hash == put.hash
    assert await versions.pinned("other", "mine", put.hash) is None
