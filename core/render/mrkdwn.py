"""Slack's own markup: nothing from data becomes a link, a mention or a channel by accident."""

from __future__ import annotations

import re
from collections.abc import Callable

from core.render.words import URL, clean, line, web

# A word joiner keeps Slack from reading a name of everybody, where a text is parsed after all.
EVERYBODY = re.compile(r"@(?=(?:channel|here|everyone|group)\b)", re.IGNORECASE)
ROOM_FOR_MARKS = 40
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def size(text: str) -> int:
    """As Slack counts: an emoji may be two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def escaped(text: str) -> str:
    text = EVERYBODY.sub("@\u2060", clean(text))
    return "".join(ENTITIES.get(letter, letter) for letter in text)


def flat(text: str) -> str:
    """On one line, for what stands among other marks."""
    return " ".join(escaped(text).split())


def link(url: str | None, text: str) -> str:
    """The text alone, where the address may not be linked."""
    named = flat(text) or "link"
    address = web(url)
    if address is None:
        return named
    for mark, code in (("|", "%7C"), ("<", "%3C"), (">", "%3E"), ("&", "&amp;")):
        address = address.replace(mark, code)
    return f"<{address}|{named}>"


def linked(text: str) -> str:
    """Prose, in which only plain web addresses become links."""
    parts: list[str] = []
    begin = 0
    for found in URL.finditer(text):
        parts += [escaped(text[begin : found.start()]), link(found[0], found[0])]
        begin = found.end()
    return "".join([*parts, escaped(text[begin:])])


def fit(text: str, longest: int, mark: Callable[[str], str] = linked) -> str:
    """Cut before it is marked up, so that no mark is cut in two."""
    marked = mark(text)
    while size(marked) > longest:
        text = text[: min(len(text) - 1, len(text) * longest // size(marked))].rstrip()
        marked = f"{mark(text)}…"
    return marked


def brief(text: str, longest: int) -> str:
    """On one line; marks and all take at most a little more."""
    return fit(line(text, longest), longest + ROOM_FOR_MARKS)


def packed(lines: list[str], longest: int) -> list[str]:
    """Lines, each short enough, as few texts as can hold them."""
    texts: list[str] = []
    for each in lines:
        if texts and size(texts[-1]) + 1 + size(each) <= longest:
            texts[-1] = f"{texts[-1]}\n{each}"
        else:
            texts.append(each)
    return texts
