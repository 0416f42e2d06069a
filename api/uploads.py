"""A skill's bundle as it comes over HTTP: `{"files": {path: text}}` or a zip."""

import re
from typing import Annotated, Any

from fastapi import Request
from pydantic import Field

from api.bodies import MAX_UPLOAD, Asked, bounded, parsed, read_as
from core.files import SKILL
from services.skills import SkillService

ZIP = frozenset({"application/zip", "application/x-zip-compressed"})
ZIP_MAGIC = b"PK"
NAME = re.compile(r"^name:[ \t]*[\"']?([^\s\"']{1,64})", re.MULTILINE)
NAMELESS = "skill"

Files = Annotated[
    dict[str, str],
    Field(
        min_length=1,
        description="path inside the bundle → text",
        examples=[
            {
                "SKILL.md": "---\nname: hello\ndescription: Greets everybody.\n---\n",
                "flow.yaml": "steps:\n  - id: greet\n    compute: echo\n    with: {value: Hello}\n",
            }
        ],
    ),
]


class Bundle(Asked):
    files: Files


class NamedBundle(Bundle):
    """Without a name, it is the one that SKILL.md gives itself."""

    name: str | None = Field(None, max_length=200, description="what it is to be called")


def _request_body(model: type[Asked]) -> dict[str, Any]:
    archive = {"schema": {"type": "string", "contentMediaType": "application/zip"}}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": model.model_json_schema()},
            "application/zip": archive,
        },
    }


BUNDLE = _request_body(Bundle)
NAMED_BUNDLE = _request_body(NamedBundle)


async def read_bundle(request: Request, skills: SkillService) -> dict[str, bytes]:
    body = await bounded(request, MAX_UPLOAD)
    if _is_zip(request, body):
        return await skills.unpacked(body)
    return _files(read_as(Bundle, await parsed(body)))


async def read_named_bundle(request: Request, skills: SkillService) -> tuple[str, dict[str, bytes]]:
    body = await bounded(request, MAX_UPLOAD)
    if _is_zip(request, body):
        files = await skills.unpacked(body)
        return _own_name(files), files
    bundle = read_as(NamedBundle, await parsed(body))
    files = _files(bundle)
    return bundle.name or _own_name(files), files


def _files(bundle: Bundle) -> dict[str, bytes]:
    return {path: text.encode() for path, text in bundle.files.items()}


def _is_zip(request: Request, body: bytes) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in ZIP or body.startswith(ZIP_MAGIC)


def _own_name(files: dict[str, bytes]) -> str:
    found = NAME.search(files.get(SKILL, b"").decode(errors="replace"))
    return found[1] if found else NAMELESS
