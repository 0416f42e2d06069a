"""Which files a bundle may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from unicodedata import normalize

from core.faults import Faults, quoted
from core.skill import MAX_FILES, MAX_TEXT_FILE, MAX_UNPACKED
from core.source import decode

SKILL, FLOW, WORKFLOW = "SKILL.md", "flow.yaml", "workflow.py"
EVALS = "evals/"
MAX_FILE = 4 * 1024 * 1024
MAX_PATH = 240
_TEXTS = re.compile(r"(?:skill\.md|flow\.yaml|prompts/.*)\Z", re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass
class Texts:
    """The files of a bundle that somebody reads as text: each is decoded, and told of, once."""

    files: Mapping[str, bytes]
    faults: Faults
    _decoded: dict[str, str | None] = field(default_factory=dict[str, "str | None"])

    def find(self, path: str) -> str | None:
        """None where there is no such file, and where a fault says why it is no text."""
        if path not in self._decoded and path in self.files:
            self._decoded[path] = decode(path, self.files[path], self.faults)
        return self._decoded.get(path)


def path_fault(path: str) -> str | None:
    """Why a path may not be in a bundle."""
    if not path or len(path) > MAX_PATH:
        return f"a path has 1 to {MAX_PATH} characters"
    if _CONTROL.search(path):
        return "a path holds no control characters"
    if "\\" in path:
        return "write paths with `/`; a backslash is not allowed"
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return "absolute paths are not allowed"
    parts = path.split("/")
    if ".." in parts:
        return "`..` is not allowed: a bundle stays in its folder"
    if "" in parts or "." in parts:
        return "empty parts and `.` are not allowed in a path"
    return None


def is_text(path: str) -> bool:
    """Whether we read this file ourselves, all of it."""
    return _TEXTS.match(path) is not None


def size_fault(path: str, size: int) -> str | None:
    limit = MAX_TEXT_FILE if is_text(path) else MAX_FILE
    if size <= limit:
        return None
    return f"{megabytes(size)}; a file like this has at most {megabytes(limit)}"


def megabytes(size: int) -> str:
    return f"{size / (1024 * 1024):.1f} MB"


def check_paths(paths: Iterable[str], faults: Faults) -> None:
    """Paths one by one, and those that would meet in one place of a file system."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        fault = path_fault(path)
        if fault is not None:
            faults.error(shown(path), fault)
            continue
        plain = _folded(path)
        if plain in seen:
            faults.error(path, f"the same name as {quoted(seen[plain])} but for case")
        seen[plain] = path
        for end in (at for at, letter in enumerate(plain) if letter == "/"):
            folders.setdefault(plain[:end], path)
    for plain in sorted(seen.keys() & folders.keys()):
        faults.error(seen[plain], f"a file, and also a folder: {quoted(folders[plain])}")


def check_files(files: Mapping[str, bytes], faults: Faults) -> None:
    if len(files) > MAX_FILES:
        faults.error(".", f"{len(files)} files; a bundle has at most {MAX_FILES}")
        return
    check_paths(files, faults)
    for path, data in files.items():
        fault = size_fault(path, len(data))
        if fault is not None:
            faults.error(shown(path), fault)
    total = sum(len(data) for data in files.values())
    if total > MAX_UNPACKED:
        message = f"{megabytes(total)} in all; a bundle has at most {megabytes(MAX_UNPACKED)}"
        faults.error(".", message)


def shown(path: str) -> str:
    """A path as a fault can name it, however strange."""
    return _CONTROL.sub("?", path[:120]) or "(no name)"


def _folded(path: str) -> str:
    return normalize("NFC", normalize("NFC", path).casefold())
