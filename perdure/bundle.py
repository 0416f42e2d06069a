"""A skill's folder, read to be sent."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from perdure.errors import BadBundle
from perdure.skill import Bundle

MOST_FILES = 500
MOST_BYTES = 20 * 1024 * 1024
SKIPPED = frozenset({"__pycache__"})
MARKERS = ("SKILL.md", "skill.md")


def read_bundle(folder: Path, name: str | None = None) -> Bundle:
    """The folder's name is the skill's; hidden files and __pycache__ stay here."""
    place = folder.expanduser().resolve()
    if not place.is_dir():
        hint = f": name its folder, {folder.parent}" if folder.name in MARKERS else ""
        raise BadBundle(f"{folder} is not a folder{hint}")
    files: dict[str, bytes] = {}
    size = 0
    for path in _paths(place):
        size += path.stat().st_size
        if len(files) == MOST_FILES:
            raise BadBundle(f"{folder} has more than {MOST_FILES} files")
        if size > MOST_BYTES:
            raise BadBundle(f"{folder} is larger than {MOST_BYTES // 1024 // 1024} MB")
        files[path.relative_to(place).as_posix()] = path.read_bytes()
    if not any(marker in files for marker in MARKERS):
        raise BadBundle(f"{folder} has no SKILL.md: `perdure skills new` writes one")
    return Bundle(name=name or place.name, files=files)


def zipped(bundle: Bundle) -> bytes:
    """The same bytes for the same files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(bundle.files):
            archive.writestr(zipfile.ZipInfo(path), bundle.files[path], zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _paths(place: Path) -> list[Path]:
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise BadBundle(f"cannot read {error.filename}: {error.strerror}")

    for folder, folders, files in os.walk(place, onerror=refuse):
        folders[:] = sorted(name for name in folders if _is_sent(name))
        for name in [*folders, *files]:
            path = Path(folder, name)
            if path.is_symlink() and _is_sent(name):
                raise BadBundle(f"{path.relative_to(place)} is a symbolic link: copy its target")
        for name in sorted(filter(_is_sent, files)):
            path = Path(folder, name)
            if not path.is_file():
                raise BadBundle(f"{path.relative_to(place)} is not a regular file")
            found.append(path)
    return found


def _is_sent(name: str) -> bool:
    return not name.startswith(".") and name not in SKIPPED
