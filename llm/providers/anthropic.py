"""The messages wire, as Anthropic speaks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.llm import (
    AnswersTurn,
    ModelAnswer,
    ModelQuestion,
    ModelTurn,
    OfferedTool,
    Stop,
    ToolAnswer,
    Turn,
    Usage,
    UserTurn,
)
from llm.models import Profile
from llm.providers.answers import Asking, answer, grow, in_words, tool_use
from llm.providers.shapes import closed
from llm.providers.transcript import mended

STOPS: dict[str, Stop] = {
    "end_turn": "end",
    "stop_sequence": "end",
    "tool_use": "tools",
    "max_tokens": "length",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context",
}
NO_TEXT = "(no text)"
Block = dict[str, Any]
Message = dict[str, Any]


class MessagesWire:
    path = "/v1/messages"
    models_path = "/v1/models"
    headers: Mapping[str, str] = {"anthropic-version": "2026-10-21"}
    streaming: Mapping[str, Any] = {}

    def asking(self, question: ModelQuestion, profile: Profile) -> Asking:
        shape = closed(question.output_schema) if question.output_schema is not None else None
        turns = mended(question.turns, question.model)
        request: dict[str, Any] = {
            "model": question.model.partition("/")[2],
            "max_tokens": min(question.max_tokens, profile.max_output or question.max_tokens),
            "messages": _messages(turns),
        }
        system = question.system
        if shape is not None:
            if shape.enforced is not None and profile.structured == "schema":
                form = {"type": "json_schema", "schema": shape.enforced}
                request["output_config"] = {"format": form}
            else:
                system = f"{system}\n\n{in_words(shape)}".strip()
        if system.strip():
            request["system"] = system
        request |= _tools(question, turns)
        # Worth its price where the same beginning is sent again, as every turn of a loop does.
        if question.tools and profile.cache_control:
            request["cache_control"] = {"type": "ephemeral"}
        return Asking(question, request, shape)

    def folding(self) -> _Folding:
        return _Folding()

    def is_answer(self, body: dict[str, Any]) -> bool:
        return isinstance(body.get("content"), list) and bool(body.get("stop_reason"))

    def read(self, body: dict[str, Any], asking: Asking) -> ModelAnswer:
        content: list[Block] = body["content"]
        raws = body.get("raw_inputs", {})
        if not asking.question.parallel_tools:
            content = _only_first_call(content)
        blocks = [block for block in content if block.get("type") == "tool_use"]
        return answer(
            asking,
            text="".join(block["text"] for block in content if block.get("type") == "text"),
            uses=tuple(
                tool_use(block["id"], block["name"], raws.get(block["id"], block["input"]))
                for block in blocks
            ),
            stop=STOPS.get(body["stop_reason"], "end"),
            usage=_usage(body.get("usage")),
            native=None if _is_plain(content) else content,
            spoken=_blocks,
        )


def _messages(turns: list[Turn]) -> list[Message]:
    messages: list[Message] = []
    for turn in turns:
        match turn:
            case UserTurn():
                message = {"role": "user", "content": [_text(turn.text)]}
            case AnswersTurn():
                message = {"role": "user", "content": [_result(each) for each in turn.answers]}
            case ModelTurn():
                message = {"role": "assistant", "content": _blocks(turn)}
        # Results of tools and what the user says next are one message, the results first.
        if messages and messages[-1]["role"] == message["role"]:
            messages[-1]["content"].extend(message["content"])
        else:
            messages.append(message)
    return messages


def _text(text: str) -> Block:
    return {"type": "text", "text": text if text.strip() else NO_TEXT}


def _result(answer: ToolAnswer) -> Block:
    result: Block = {"type": "tool_result", "tool_use_id": answer.id, "content": answer.content}
    return {**result, "is_error": True} if answer.failed else result


def _blocks(turn: ModelTurn) -> list[Block]:
    if turn.native is not None:
        return [block for block in turn.native if block.get("type") != "text" or _said(block)]
    said = [_text(turn.text)] if turn.text.strip() else []
    uses = [
        {"type": "tool_use", "id": use.id, "name": use.name, "input": use.arguments or {}}
        for use in turn.tool_uses
    ]
    return said + uses


def _said(block: Block) -> bool:
    return bool(block.get("text", "").strip())


def _tools(question: ModelQuestion, turns: list[Turn]) -> dict[str, Any]:
    # Sorted, since whatever comes first in the request decides what of it is cached.
    tools = [_tool(each) for each in sorted(question.tools, key=lambda each: each.name)]
    if tools:
        serial = {"type": "auto", "disable_parallel_tool_use": True}
        return (
            {"tools": tools} if question.parallel_tools else {"tools": tools, "tool_choice": serial}
        )
    # Calls in the conversation need tools in the request, even where none is offered any more.
    used = {use.name for turn in turns if isinstance(turn, ModelTurn) for use in turn.tool_uses}
    if not used:
        return {}
    known = [{"name": name, "input_schema": {"type": "object"}} for name in sorted(used)]
    return {"tools": known, "tool_choice": {"type": "none"}}


def _tool(tool: OfferedTool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": {"type": "object", **tool.parameters},
    }


def _only_first_call(content: list[Block]) -> list[Block]:
    calls = [block for block in content if block.get("type") == "tool_use"]
    return [block for block in content if block.get("type") != "tool_use" or block is calls[0]]


def _is_plain(content: list[Block]) -> bool:
    return all(set(block) == {"type", "text"} for block in content)


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict) or usage.get("output_tokens") is None:
        return None
    return Usage(
        input=usage.get("input_tokens") or 0,
        cache_read=usage.get("cache_read_input_tokens") or 0,
        cache_write=usage.get("cache_creation_input_tokens") or 0,
        output=usage["output_tokens"],
    )


class _Folding:
    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, Block] = {}
        self._inputs: dict[int, str] = {}
        self._raw: dict[str, str] = {}

    def add(self, event: Any) -> str:
        match event.get("type"):
            case "message_start":
                self._message = dict(event["message"])
            case "content_block_start":
                self._blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                return self._grow(event["index"], event["delta"])
            case "content_block_stop":
                self._close(event["index"])
            case "message_delta":
                self._message |= {k: v for k, v in event["delta"].items() if v is not None}
                self._count(event.get("usage"))
            case _:
                pass
        return ""

    @property
    def ended(self) -> bool:
        return bool(self._message.get("stop_reason"))

    def whole(self) -> dict[str, Any]:
        content = [self._blocks[index] for index in sorted(self._blocks)]
        return {**self._message, "content": content, "raw_inputs": self._raw}

    def _grow(self, index: int, delta: dict[str, Any]) -> str:
        block = self._blocks[index]
        match delta.get("type"):
            case "text_delta":
                return grow(block, "text", delta["text"])
            case "input_json_delta":
                return grow(self._inputs, index, delta["partial_json"])
            case "thinking_delta":
                return grow(block, "thinking", delta["thinking"])
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), delta["citation"]]
            case _:
                pass
        return ""

    def _close(self, index: int) -> None:
        """Arguments that cannot be read are kept as they came, or they would pass for none."""
        text = self._inputs.get(index, "")
        block = self._blocks[index]
        if block.get("type") != "tool_use" or not text.strip():
            return
        try:
            block["input"] = json.loads(text)
        except (ValueError, RecursionError):
            self._raw[block["id"]] = text

    def _count(self, usage: Any) -> None:
        """What comes last counts: the first count of what came out is a placeholder."""
        if isinstance(usage, dict):
            said = {name: value for name, value in usage.items() if value is not None}
            self._message["usage"] = {**(self._message.get("usage") or {}), **said}
        else:
            self._message.pop("usage", None)
