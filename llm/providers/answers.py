"""What both wires have in common when an answer is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

from core.llm import ModelAnswer, ModelQuestion, ModelTurn, Stop, ToolUse, Usage
from llm.providers.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Callable

BYTES_A_TOKEN = 3
CUT = "the answer was cut off before the arguments were complete"


@dataclass(frozen=True)
class Asking:
    """A question on its way: the request as it is sent, and how to read what comes back."""

    question: ModelQuestion
    request: dict[str, Any]
    shape: Shape | None


def grow(texts: dict[Any, Any], name: Any, piece: str) -> str:
    """Gives the piece. A text that nothing else holds meanwhile grows in place; one that does is
    copied for each piece, which takes minutes where a stream never stops."""
    text = texts.get(name, "")
    texts[name] = ""
    text += piece
    texts[name] = text
    return piece


def tool_use(id: str, name: str, arguments: Any) -> ToolUse:
    """Arguments come as text or as an object; nothing at all means none."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            fault = f"the arguments are no JSON: {error}"
            return ToolUse(id=id, name=name, arguments=None, fault=fault)
    if not isinstance(arguments, dict):
        return ToolUse(id=id, name=name, arguments=None, fault="the arguments are no JSON object")
    try:
        to_json(arguments)
    except ValueError as error:  # half a character, or deeper than anybody reads
        fault = f"the arguments cannot be kept: {error}"
        return ToolUse(id=id, name=name, arguments=None, fault=fault)
    return ToolUse(id=id, name=name, arguments=arguments)


def answer(
    asking: Asking,
    *,
    text: str,
    uses: tuple[ToolUse, ...],
    stop: Stop,
    usage: Usage | None,
    native: Any,
    spoken: Callable[[ModelTurn], Any],
) -> ModelAnswer:
    """`spoken` is how the provider is told a turn in our words: `native` is kept only where that
    would say something else."""
    question = asking.question
    if stop in ("end", "tools"):
        stop = "tools" if uses else "end"
    else:
        uses = tuple(use.model_copy(update={"arguments": None, "fault": CUT}) for use in uses)
    if asking.shape is not None and stop == "end":
        text = asking.shape.read(text)
    turn = ModelTurn(text=text, tool_uses=uses, origin=question.model)
    if native is not None and native != spoken(turn):
        turn = turn.model_copy(update={"native": native})
    return ModelAnswer(
        turn=turn,
        stop=stop,
        usage=usage or estimated(asking.request, written(text, uses)),
        model=question.model,
    )


def written(text: str, uses: tuple[ToolUse, ...]) -> int:
    """Bytes of what came out."""
    return len(text.encode()) + sum(len(json.dumps(use.arguments)) for use in uses)


def estimated(request: dict[str, Any], out: int) -> Usage:
    """Where nobody counted: rather too many than too few, and never 0."""
    size = len(json.dumps(request, ensure_ascii=False).encode())
    return Usage(input=size // BYTES_A_TOKEN + 1, output=out // BYTES_A_TOKEN + 1, estimated=True)


def in_words(shape: Shape) -> str:
    """For providers that do not enforce a schema."""
    schema = json.dumps(shape.asked, ensure_ascii=False)
    return f"Answer with one JSON value alone, of this JSON Schema:\n{schema}"
