"""A bundle from a zip."""

from __future__ import annotations

import stat
import zlib
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from core.faults import Faults, refusal
from core.files import MAX_FILE, SKILL, check_paths, megabytes, path_fault, shown, size_fault
from core.skill import MAX_FILES, MAX_UNPACKED

ARCHIVE = "(zip)"
_ENCRYPTED = 0x1
_PIECE = 64 * 1024
# What the zip module raises for damaged data; the other compressions are refused before.
_DAMAGE = (BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, NotImplementedError)


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of a bundle; raises InvalidSkill. A single folder around them is left off."""
    faults = Faults()
    try:
        with ZipFile(BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not _is_noise(entry)]
            _check_entries(entries, faults)
            files = {} if faults.failed else _read(archive, entries, faults)
    except _DAMAGE as broken:
        faults.error(ARCHIVE, f"not a zip that can be read: {broken}"[:200])
        files = {}
    if not files and not faults.failed:
        faults.error(ARCHIVE, "the zip holds no files")
    if faults.failed:
        raise refusal(faults.in_order())
    return _without_folder(files)


def _is_noise(entry: ZipInfo) -> bool:
    """What a Mac adds without being asked."""
    name = entry.orig_filename
    return name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1] == ".DS_Store"


def _check_entries(entries: list[ZipInfo], faults: Faults) -> None:
    if len(entries) > 4 * MAX_FILES or sum(not _is_folder(each) for each in entries) > MAX_FILES:
        faults.error(ARCHIVE, f"more than {MAX_FILES} files")
        return
    for entry in entries:
        fault = _entry_fault(entry)
        if fault is not None:
            faults.error(shown(entry.orig_filename), fault)
    if not faults.failed:
        check_paths((entry.orig_filename for entry in entries if not _is_folder(entry)), faults)


def _entry_fault(entry: ZipInfo) -> str | None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "a symbolic link; put the file itself into the zip"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "neither a file nor a folder"
    if entry.flag_bits & _ENCRYPTED:
        return "encrypted; a bundle has no password"
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return "compressed in an unusual way; use the ordinary one (deflate)"
    if _is_folder(entry):
        return path_fault(entry.orig_filename.rstrip("/") or "/")
    # `orig_filename` is what the zip says; `filename` was mended and would hide tricks.
    return path_fault(entry.orig_filename) or size_fault(entry.orig_filename, entry.file_size)


def _is_folder(entry: ZipInfo) -> bool:
    return entry.orig_filename.endswith("/")


def _read(archive: ZipFile, entries: list[ZipInfo], faults: Faults) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = MAX_UNPACKED
    for entry in entries:
        if _is_folder(entry):
            continue
        content = _content(archive, entry, min(left, MAX_FILE))
        if content is None:
            limit = f"{megabytes(MAX_FILE)} a file, {megabytes(MAX_UNPACKED)} in all"
            faults.error(shown(entry.orig_filename), f"unpacks to more than is allowed: {limit}")
            break
        left -= len(content)
        files[entry.orig_filename] = content
    return files


def _content(archive: ZipFile, entry: ZipInfo, limit: int) -> bytes | None:
    """Counts what really comes out: the header's word for the size may be a lie."""
    content = bytearray()
    with archive.open(entry) as stream:
        while piece := stream.read(_PIECE):
            content += piece
            if len(content) > limit:
                return None
    return bytes(content)


def _without_folder(files: dict[str, bytes]) -> dict[str, bytes]:
    folders = {path.partition("/")[0] for path in files}
    inside = all("/" in path for path in files)
    if not inside or len(folders) != 1:
        return files
    stripped = {path.partition("/")[2]: content for path, content in files.items()}
    has_skill = any(path.lower() == SKILL.lower() for path in stripped)
    return stripped if has_skill else files
