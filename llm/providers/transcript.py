"""Mends a conversation so that any wire takes it: every call answered once, every id fit."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.llm import AnswersTurn, ModelTurn, ToolAnswer, Turn, UserTurn

FIT_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
NO_RESULT = "no result: the call was interrupted before it ended"
NO_OUTPUT = "(no output)"
EARLIER = "(what came before is left out)"


def mended(turns: Sequence[Turn], origin: str) -> list[Turn]:
    """Native blocks stay only where they came from; the same calls keep the same ids."""
    mending = _Mending(origin)
    for turn in turns:
        mending.add(turn)
    return mending.finished()


class _Mending:
    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._turns: list[Turn] = []
        self._open: ModelTurn | None = None
        self._renamed: dict[str, str] = {}
        self._taken: set[str] = set()

    def add(self, turn: Turn) -> None:
        match turn:
            case AnswersTurn():
                self._answer(turn.answers)
            case UserTurn():
                self._answer(())
                self._turns.append(turn)
            case ModelTurn():
                self._answer(())
                self._model(turn)

    def finished(self) -> list[Turn]:
        self._answer(())
        if self._turns and isinstance(self._turns[0], ModelTurn):
            self._turns.insert(0, UserTurn(text=EARLIER))
        return self._turns

    def _model(self, turn: ModelTurn) -> None:
        native = turn.native if turn.origin == self._origin else None
        if not (turn.text.strip() or turn.tool_uses or native):
            return
        self._renamed = {use.id: self._fit(use.id, keep=bool(native)) for use in turn.tool_uses}
        uses = tuple(use.model_copy(update={"id": self._renamed[use.id]}) for use in turn.tool_uses)
        mended = turn.model_copy(update={"tool_uses": uses, "native": native})
        self._turns.append(mended)
        self._open = mended if uses else None

    def _fit(self, id: str, *, keep: bool) -> str:
        """Some vendors begin again at `call_0` with every turn, or use signs of their own."""
        fit = id
        if not keep and (not FIT_ID.fullmatch(id) or id in self._taken):
            number = len(self._taken)
            while (fit := f"call_{number}") in self._taken:
                number += 1
        self._taken.add(fit)
        return fit

    def _answer(self, answers: Sequence[ToolAnswer]) -> None:
        """In the order of the calls; answers to nothing, and second answers, are dropped."""
        if self._open is None:
            return
        given: dict[str, ToolAnswer] = {}
        for answer in answers:
            given.setdefault(self._renamed.get(answer.id, ""), answer)
        whole = [_whole(use.id, given.get(use.id)) for use in self._open.tool_uses]
        self._turns.append(AnswersTurn(answers=tuple(whole)))
        self._open = None


def _whole(id: str, answer: ToolAnswer | None) -> ToolAnswer:
    if answer is None:
        return ToolAnswer(id=id, content=NO_RESULT, failed=True)
    content = answer.content if answer.content.strip() else NO_OUTPUT
    return answer.model_copy(update={"id": id, "content": content})
