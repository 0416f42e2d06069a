"""What a model's answer must be before a step takes it."""

import json
from typing import Any

from core.depth import too_deep
from core.execution import StepFailed
from core.llm import ModelAnswer, Stop
from core.run import Failure
from core.schema import problems

FENCE = "```"
LONGEST_COMPLAINT = 1_500
WHY_NOT: dict[Stop, tuple[str, str]] = {
    "length": ("answer_cut", "the answer was cut at its `max_tokens`"),
    "refusal": ("answer_refused", "the model refused to answer"),
    "context": ("context_window", "the conversation no longer fits the model"),
}


def text_of(answer: ModelAnswer, path: str) -> str:
    """Raises StepFailed for an answer that is none."""
    if answer.stop in WHY_NOT:
        code, message = WHY_NOT[answer.stop]
        raise StepFailed(Failure(code=code, message=message, step=path))
    if not answer.content.strip():
        message = "the model answered with nothing"
        raise StepFailed(Failure(code="answer_empty", message=message, step=path))
    return answer.content


def read(text: str, schema: dict[str, Any]) -> tuple[Any, str | None]:
    """The value, and what is wrong with it for the model to mend."""
    try:
        value = json.loads(unfenced(text))
    except (ValueError, RecursionError) as error:
        return None, f"it is not JSON ({error})"
    if too_deep(value):
        return None, "it is nested too deep"
    found = problems(schema, value)
    if not found:
        return value, None
    complaint = "; ".join(
        f"{'.'.join(map(str, each.path)) or 'it'}: {each.message}" for each in found
    )
    return None, complaint[:LONGEST_COMPLAINT]


def unfenced(text: str) -> str:
    """Some models wrap JSON in a Markdown fence, with words before it."""
    text = text.strip()
    if FENCE not in text:
        return text
    inner = text.split(FENCE)[1]
    return inner.removeprefix("json").strip()
