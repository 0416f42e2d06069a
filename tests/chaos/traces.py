"""Looks for a text in bytes, also where it was packed or spelled differently."""

from __future__ import annotations

import base64
import re
import zlib

STREAM = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
UNPACKED_AT_MOST = 1 << 20  # bytes of each stream


def traces(marker: str, haystack: bytes) -> set[str]:
    """How the marker can be read there; empty where it cannot."""
    text = marker.encode()
    found = {
        name
        for name, needles in _spellings(text).items()
        if any(needle in haystack for needle in needles)
    }
    if any(text in stream for stream in _streams(haystack)):
        found.add("zlib")
    return found


def _spellings(text: bytes) -> dict[str, set[bytes]]:
    return {
        "plain": {text},
        "utf-16": {text.decode().encode("utf-16-le")},
        "hex": {text.hex().encode(), text.hex().upper().encode()},
        "base64": {_core_of_base64(text, offset) for offset in range(3)},
        "reversed": {text[::-1]},
    }


def _core_of_base64(text: bytes, offset: int) -> bytes:
    """What is the same whatever surrounds the text, at this offset into a group of three."""
    encoded = base64.b64encode(b"\0" * offset + text)
    return encoded[(0, 2, 3)[offset] : len(encoded) // 4 * 4 - 4]


def _streams(haystack: bytes) -> list[bytes]:
    found: list[bytes] = []
    for start in STREAM.finditer(haystack):
        unpacking = zlib.decompressobj()
        try:
            found.append(
                unpacking.decompress(
                    haystack[start.start() : start.start() + UNPACKED_AT_MOST], UNPACKED_AT_MOST
                )
            )
        except zlib.error:
            continue
    return found
