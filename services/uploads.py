"""Text as it is uploaded, in whatever encoding, becomes UTF-8 with plain ends of lines."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, Literal

from core.errors import FieldFault, Invalid
from core.faults import near

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ENCODINGS = ("utf-8", "utf-16", "windows-1252", "iso-8859-1", "iso-8859-15")
# Longer ones first: that of UTF-32 begins like that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LONGEST_MARK = 3


async def as_utf8(data: AsyncIterator[bytes], stated: str | None) -> AsyncIterator[bytes]:
    """A mark at its beginning says more than anybody. Raises Invalid with the line."""
    if stated is not None and stated.lower() not in ENCODINGS:
        message = f"unknown encoding{near(stated, ENCODINGS)}"
        raise Invalid(message, [FieldFault(field="encoding", message=message)])
    decoder: io.IncrementalNewlineDecoder | None = None
    lines, first, name = 1, b"", (stated or "utf-8").lower()
    async for piece in data:
        if decoder is None:
            first += piece
            if len(first) < LONGEST_MARK:
                continue
            name, piece = _marked(first, name), first
            decoder = _decoder(name)
        text = _decoded(decoder, piece, lines, name)
        lines += text.count("\n")
        yield text.encode()
    if decoder is None:
        decoder, piece = _decoder(name), first
    else:
        piece = b""
    yield _decoded(decoder, piece, lines, name, final=True).encode()


async def format_of(
    data: AsyncIterator[bytes],
) -> tuple[Literal["csv", "jsonl"], AsyncIterator[bytes]]:
    """By its first sign; and the data again, whole."""
    first = b""
    async for piece in data:
        first += piece
        if first.strip():
            break

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for piece in data:
            yield piece

    return "jsonl" if first.lstrip().startswith(b"{") else "csv", whole()


def _marked(first: bytes, stated: str) -> str:
    return next((name for mark, name in MARKS if first.startswith(mark)), stated)


def _decoder(name: str) -> io.IncrementalNewlineDecoder:
    decoder = codecs.getincrementaldecoder(name)()
    return io.IncrementalNewlineDecoder(decoder, translate=True)


def _decoded(
    decoder: io.IncrementalNewlineDecoder,
    piece: bytes,
    lines: int,
    name: str,
    *,
    final: bool = False,
) -> str:
    try:
        return decoder.decode(piece, final=final)
    except UnicodeDecodeError as error:
        line = lines + error.object[: error.start].count(b"\n")
        message = (
            f"line {line}: this is not {name.removesuffix('-sig')};"
            " say which it is with ?encoding=, such as windows-1252"
        )
        raise Invalid(message, [FieldFault(field="body", message=message)]) from None
