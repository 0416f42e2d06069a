"""What a step does with a model: one question, or a loop of questions and tools."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from core.answers import read, text_of
from core.digest import canonical
from core.execution import Approval, Ask, Compute, Effects, Halted, StepFailed
from core.flow import ClassifyStep, ExtractStep, GenerateStep, PromptStep, ReasonStep
from core.llm import AnswersTurn, ModelAnswer, ToolAnswer, ToolUse, Turn, UserTurn
from core.run import Failure

TOOL_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
LONGEST_RESULT = 30_000  # characters of one tool's result
LONGEST_TRANSCRIPT = 1_200_000
MOST_TOOLS_A_TURN = 20


async def answered(
    effects: Effects, step: PromptStep, prompt: str, path: str, halted: Callable[[], bool]
) -> Any:
    match step:
        case ExtractStep():
            return await structured(effects, step, prompt, path, step.output_schema)
        case ClassifyStep():
            found = await structured(effects, step, labelled(step, prompt), path, one_of(step))
            return found["label"]
        case ReasonStep():
            work = Reasoning(effects, step, path, halted).answer(prompt)
            return await (
                work if step.timeout is None else effects.within(path, step.timeout, work)
            )
        case _:
            turns = (UserTurn(text=prompt),)
            answer = await effects.ask(asked(step, path, turns, timeout=step.timeout))
            return text_of(answer, path)


def asked(step: PromptStep, path: str, turns: tuple[Turn, ...], **more: Any) -> Ask:
    capability = (
        step.kind if isinstance(step, ExtractStep | ClassifyStep | GenerateStep) else "reason"
    )
    return Ask(
        path=path,
        capability=capability,
        turns=turns,
        model=step.model,
        max_tokens=step.max_tokens,
        retry=step.retry,
        **more,
    )


async def structured(
    effects: Effects, step: PromptStep, prompt: str, path: str, schema: dict[str, Any]
) -> Any:
    """The model gets one chance to mend an answer that its schema does not accept."""
    turns: tuple[Turn, ...] = (UserTurn(text=prompt),)
    more = {"output_schema": schema, "timeout": step.timeout}
    answer = await effects.ask(asked(step, path, turns, **more))
    value, wrong = read(text_of(answer, path), schema)
    if wrong is None:
        return value
    turns = (*turns, answer.turn, UserTurn(text=complaint(wrong)))
    answer = await effects.ask(asked(step, f"{path}.repair", turns, **more))
    return accepted(answer, path, schema)


def accepted(answer: ModelAnswer, path: str, schema: dict[str, Any]) -> Any:
    value, wrong = read(text_of(answer, path), schema)
    if wrong is not None:
        message = f"the model's answer does not fit its schema: {wrong}"
        raise StepFailed(Failure(code="answer_invalid", message=message, step=path))
    return value


def complaint(wrong: str) -> str:
    return f"That answer cannot be used: {wrong}. Answer again, with JSON of the asked shape alone."


def one_of(step: ClassifyStep) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": list(step.labels)}},
        "required": ["label"],
        "additionalProperties": False,
    }


def labelled(step: ClassifyStep, prompt: str) -> str:
    lines = [
        f"- {name}: {meaning}" if meaning else f"- {name}" for name, meaning in step.labels.items()
    ]
    return f"{prompt}\n\nAnswer with one of these labels:\n" + "\n".join(lines)


class Reasoning:
    """The tool loop: each question and each tool call is an effect of its own."""

    def __init__(
        self, effects: Effects, step: ReasonStep, path: str, halted: Callable[[], bool]
    ) -> None:
        self._effects = effects
        self._step = step
        self._offered = step.tools if step.tools is not None else ("*",)
        self._path = path
        self._halted = halted

    async def answer(self, prompt: str) -> Any:
        turns: tuple[Turn, ...] = (UserTurn(text=prompt),)
        mended = False
        for number in range(1, self._step.turns + 1):
            answer = await self._ask(turns, number)
            if answer.stop in ("tools", "pause"):
                turns = (*turns, answer.turn, *await self._used(answer, number))
                continue
            text = text_of(answer, self._path)
            schema = self._step.output_schema
            if schema is None:
                return text
            value, wrong = read(text, schema)
            if wrong is None:
                return value
            if mended:
                return accepted(answer, self._path, schema)
            mended = True
            turns = (*turns, answer.turn, UserTurn(text=complaint(wrong)))
        message = f"no answer after {self._step.turns} turns"
        raise StepFailed(Failure(code="turns_exhausted", message=message, step=self._path))

    async def _ask(self, turns: tuple[Turn, ...], number: int) -> ModelAnswer:
        await self._effects.gate()
        if self._halted():
            raise Halted
        size = sum(len(turn.model_dump_json()) for turn in turns)
        if size > LONGEST_TRANSCRIPT:
            message = f"the conversation has {size:,} bytes; {LONGEST_TRANSCRIPT:,} are the most"
            raise StepFailed(Failure(code="transcript_too_large", message=message, step=self._path))
        return await self._effects.ask(
            asked(
                self._step,
                f"{self._path}.turn{number}",
                turns,
                instructions=True,
                tools=self._offered,
                output_schema=self._step.output_schema,
            )
        )

    async def _used(self, answer: ModelAnswer, number: int) -> tuple[AnswersTurn, ...]:
        uses = answer.turn.tool_uses
        if not uses:
            return ()
        names: dict[str, int] = {}
        work: list[Any] = []
        for use in uses:
            names[use.name] = names.get(use.name, 0) + 1
            again = f"-{names[use.name]}" if names[use.name] > 1 else ""
            work.append(self._use(use, f"{self._path}.turn{number}.{use.name}{again}", len(work)))
        return (AnswersTurn(answers=tuple(await asyncio.gather(*work))),)

    async def _use(self, use: ToolUse, path: str, position: int) -> ToolAnswer:
        """Whatever goes wrong is told to the model, which may do better."""
        if position >= MOST_TOOLS_A_TURN:
            return failed(use, f"at most {MOST_TOOLS_A_TURN} tool calls a turn; ask again")
        if not TOOL_NAME.fullmatch(use.name):
            return failed(use, "there is no tool of that name")
        if use.arguments is None:
            return failed(use, f"the arguments cannot be read: {use.fault}")
        try:
            output = await self._call(use, path)
        except StepFailed as wrong:
            return failed(use, f"{wrong.failure.code}: {wrong.failure.message}")
        text = output if isinstance(output, str) else canonical(output)
        if len(text) > LONGEST_RESULT:
            rest = f"… cut here, {len(text):,} characters in all; ask for less at once"
            text = text[:LONGEST_RESULT] + rest
        return ToolAnswer(id=use.id, content=text)

    async def _call(self, use: ToolUse, path: str) -> Any:
        arguments = use.arguments or {}
        call = Compute(
            path, use.name, arguments, (), None, None, self._offered, self._step.approve_writes
        )
        try:
            return await self._effects.compute(call)
        except StepFailed as wrong:
            if wrong.failure.code != "approval_needed":
                raise
        asked = Approval(f"{path}.approval", f"{use.name} {canonical(arguments)[:500]}?", None)
        await self._effects.approve(asked, self._halted)
        return await self._effects.compute(
            Compute(f"{path}.approved", use.name, arguments, (), None, None, self._offered, "given")
        )


def failed(use: ToolUse, why: str) -> ToolAnswer:
    return ToolAnswer(id=use.id, content=why, failed=True)
