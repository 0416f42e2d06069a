from __future__ import annotations

import struct
from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archive import unpack
from core.errors import InvalidSkill

SOUND = {"SKILL.md": b"---\n---\n", "flow.yaml": b"steps: []\n", "prompts/a.md": b"hello"}


def zipped(files: dict[str, bytes], *more: tuple[ZipInfo, bytes]) -> bytes:
    data = BytesIO()
    with ZipFile(data, "w", ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(entry(path), content, ZIP_DEFLATED)
        for info, content in more:
            archive.writestr(info, content)
    return data.getvalue()


def entry(path: str, mode: int = 0) -> ZipInfo:
    info = ZipInfo("x" * len(path))
    # Past ZipInfo's own mending of the name.
    info.filename = path
    info.external_attr = mode << 16
    return info


def refused(data: bytes) -> str:
    with pytest.raises(InvalidSkill) as caught:
        unpack(data)
    assert caught.value.data["faults"]
    return caught.value.message


def test_a_zip_is_the_files_in_it() -> None:
    assert unpack(zipped(SOUND)) == SOUND


def test_a_single_folder_around_the_files_is_left_off() -> None:
    inside = {f"my-skill/{path}": content for path, content in SOUND.items()}
    folder = (entry("my-skill/", 0o040755), b"")
    assert unpack(zipped(inside, folder)) == SOUND


def test_folders_are_kept_where_nothing_is_a_skill_without_them() -> None:
    files = {"a/b/SKILL.md": b"x", "a/c.md": b"y"}
    assert unpack(zipped(files)) == files


def test_what_a_mac_adds_is_left_out() -> None:
    noise = {"__MACOSX/._SKILL.md": b"x", "prompts/.DS_Store": b"x"}
    assert unpack(zipped(SOUND | noise)) == SOUND


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped({"../up": b""}), "../up: `..` is not allowed"),
        (zipped({"a/../../up": b""}), "a/../../up: `..` is not allowed"),
        (zipped({"/etc/passwd": b""}), "/etc/passwd: absolute paths are not allowed"),
        (zipped({"..\\up": b""}), "..\\up: write paths with `/`"),
        (zipped({"a\0/../b": b""}), "a?/../b: a path holds no control characters"),
        (zipped({"C:x": b""}), "C:x: absolute paths are not allowed"),
        (zipped({}, (entry("../up/", 0o040755), b"")), "../up/: `..` is not allowed"),
        (zipped({}, (entry("link", 0o120777), b"/etc/passwd")), "link: a symbolic link"),
        (zipped({}, (entry("pipe", 0o010600), b"")), "pipe: neither a file nor a folder"),
        (zipped({"a.md": b"", "A.md": b""}), "A.md: the same name as `a.md` but for case"),
        (zipped({f"f{n}": b"" for n in range(501)}), "(zip): more than 500 files"),
        (zipped({"big": bytes(5_000_000)}), "big: 4.8 MB; a file like this has at most 4.0 MB"),
        (zipped({f"f{n}": bytes(4_000_000) for n in range(6)}), "f5: unpacks to more than"),
        (zipped({}), "(zip): the zip holds no files"),
        (b"", "(zip): not a zip that can be read"),
        (b"PK\x03\x04 and then nothing", "(zip): not a zip that can be read"),
        (zipped(SOUND)[:-30], "(zip): not a zip that can be read"),
    ],
)
def test_a_zip_with_tricks_is_refused(data: bytes, message: str) -> None:
    assert refused(data).startswith(message)


def test_the_same_name_twice_is_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped({"a.md": b"1"}, (entry("a.md"), b"2"))
    assert refused(data).startswith("a.md: the same name as `a.md`")


def test_an_unusual_compression_is_refused() -> None:
    data = BytesIO()
    with ZipFile(data, "w", ZIP_BZIP2) as archive:
        archive.writestr("a.md", b"x" * 1000)
    assert "use the ordinary one (deflate)" in refused(data.getvalue())


def test_an_encrypted_zip_is_refused() -> None:
    data = bytearray(zipped({"a.md": b"x"}))
    directory = data.rindex(b"PK\x01\x02")
    data[directory + 8] |= 1
    data[data.index(b"PK\x03\x04") + 6] |= 1
    assert refused(bytes(data)) == "a.md: encrypted; a bundle has no password"


def test_a_header_that_lies_about_the_size_does_not_help_a_bomb() -> None:
    data = bytearray(zipped({"bomb": bytes(30_000_000)}))
    assert len(data) < 100_000
    size = struct.pack("<I", 10)
    directory, local = data.rindex(b"PK\x01\x02"), data.index(b"PK\x03\x04")
    data[directory + 24 : directory + 28] = size
    data[local + 22 : local + 26] = size
    # The zip module reads no more than the size it was told, and then finds the sum wrong.
    assert refused(bytes(data)).startswith("(zip): not a zip that can be read: Bad CRC-32")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_zip_is_refused_or_read_but_nothing_else(data: st.DataObject) -> None:
    damaged = bytearray(zipped(SOUND))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        files = unpack(bytes(damaged))
    except InvalidSkill:
        return
    assert all(isinstance(content, bytes) and ".." not in path for path, content in files.items())
