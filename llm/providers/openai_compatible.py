"""The chat completions wire, as OpenAI and those who follow it speak it."""

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
    Turn,
    Usage,
    UserTurn,
)
from llm.models import Profile
from llm.providers.answers import Asking, answer, grow, in_words, tool_use
from llm.providers.shapes import Shape, strict
from llm.providers.transcript import mended

STOPS: dict[str, Stop] = {
    "stop": "end",
    "tool_calls": "tools",
    "function_call": "tools",
    "length": "length",
    "content_filter": "refusal",
}
# There is no field for failure on this wire.
FAILED = "ERROR: "
SHAPE_NAME = "answer"
Message = dict[str, Any]


class CompletionsWire:
    path = "/chat/completions"
    models_path = "/models"
    headers: Mapping[str, str] = {}
    # Without this a stream tells no usage at all.
    streaming: Mapping[str, Any] = {"stream_options": {"include_usage": True}}

    def asking(self, question: ModelQuestion, profile: Profile) -> Asking:
        shape = strict(question.output_schema) if question.output_schema is not None else None
        request: dict[str, Any] = {"model": question.model.partition("/")[2]}
        limit = min(question.max_tokens, profile.max_output or question.max_tokens)
        request[profile.max_param] = limit
        system = question.system
        if shape is not None:
            form, told = _format(shape, profile)
            request["response_format"] = form
            system = f"{system}\n\n{told}".strip()
        request["messages"] = _messages(system, mended(question.turns, question.model))
        request |= _tools(question, profile)
        return Asking(question, request, shape)

    def folding(self) -> _Folding:
        return _Folding()

    def is_answer(self, body: dict[str, Any]) -> bool:
        match body:
            case {"choices": [{"message": dict()}, *_]}:
                return True
            case _:
                return False

    def read(self, body: dict[str, Any], asking: Asking) -> ModelAnswer:
        choice = body["choices"][0]
        message: Message = {k: v for k, v in choice["message"].items() if v is not None}
        calls = _named(message.pop("tool_calls", ()), body.get("id") or "call")
        if not asking.question.parallel_tools:
            calls = calls[:1]
        if calls:
            message["tool_calls"] = calls
        text = _text(message.get("content"))
        refused = message.get("refusal")
        stop = STOPS.get(choice.get("finish_reason") or "stop", "end")
        return answer(
            asking,
            text=text or refused or "",
            uses=tuple(
                tool_use(each["id"], each["function"]["name"], each["function"].get("arguments"))
                for each in calls
            ),
            stop="refusal" if refused else stop,
            usage=_usage(body.get("usage")),
            native=_native(message),
            spoken=_message,
        )


def _format(shape: Shape, profile: Profile) -> tuple[dict[str, Any], str]:
    """What the provider enforces, and what the prompt has to say."""
    if profile.structured == "json":
        return {"type": "json_object"}, in_words(shape)
    named: dict[str, Any] = {"name": SHAPE_NAME, "schema": shape.enforced or shape.asked}
    if profile.strict_ok and shape.enforced is not None:
        named["strict"] = True
    told = "" if shape.enforced is not None else in_words(shape)
    return {"type": "json_schema", "json_schema": named}, told


def _messages(system: str, turns: list[Turn]) -> list[Message]:
    messages: list[Message] = [{"role": "system", "content": system}] if system.strip() else []
    for turn in turns:
        match turn:
            case UserTurn():
                messages.append({"role": "user", "content": turn.text})
            case AnswersTurn():
                for each in turn.answers:
                    content = f"{FAILED}{each.content}" if each.failed else each.content
                    messages.append({"role": "tool", "tool_call_id": each.id, "content": content})
            case ModelTurn():
                messages.append(_message(turn))
    return messages


def _message(turn: ModelTurn) -> Message:
    if turn.native is not None:
        return {"content": "", **turn.native}
    message: Message = {"role": "assistant", "content": turn.text}
    if turn.tool_uses:
        message["tool_calls"] = [
            {
                "id": use.id,
                "type": "function",
                "function": {"name": use.name, "arguments": _dumped(use.arguments)},
            }
            for use in turn.tool_uses
        ]
    return message


def _dumped(arguments: dict[str, Any] | None) -> str:
    return json.dumps(arguments or {}, ensure_ascii=False)


def _tools(question: ModelQuestion, profile: Profile) -> dict[str, Any]:
    if not question.tools:
        return {}
    tools = sorted(question.tools, key=lambda each: each.name)
    request: dict[str, Any] = {"tools": [_tool(each) for each in tools]}
    if not question.parallel_tools and profile.parallel_ok:
        request["parallel_tool_calls"] = False
    if profile.effort_with_tools is not None:
        request["reasoning_effort"] = profile.effort_with_tools
    return request


def _tool(tool: OfferedTool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": {"type": "object", **tool.parameters},
    }
    return {"type": "function", "function": function}


def _named(calls: Any, prefix: str) -> list[dict[str, Any]]:
    """Some servers give their calls no ids."""
    return [
        {**call, "id": call.get("id") or f"{prefix[-48:]}-{number}"}
        for number, call in enumerate(calls)
    ]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content or ""


def _native(message: Message) -> Message | None:
    """None where our own words say all; arguments that are no text are not taken back."""
    kept = {key: value for key, value in message.items() if key != "refusal"}
    for call in kept.get("tool_calls", ()):
        if not isinstance(call["function"].get("arguments"), str):
            call["function"]["arguments"] = _dumped(call["function"].get("arguments"))
    return {"role": "assistant", "content": "", **kept} if set(kept) - {"role", "content"} else None


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict) or usage.get("completion_tokens") is None:
        return None
    details = usage.get("prompt_tokens_details") or {}
    read, write = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
    return Usage(
        input=max(0, (usage.get("prompt_tokens") or 0) - read - write),
        cache_read=read,
        cache_write=write,
        output=usage["completion_tokens"],
    )


class _Folding:
    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._message: Message = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish: str | None = None
        self._usage: Any = None

    def add(self, event: Any) -> str:
        self._head = {**event, **self._head}
        self._usage = event.get("usage") or self._usage
        choices = event.get("choices")
        if not choices:
            return ""
        delta = choices[0].get("delta") or {}
        self._finish = choices[0].get("finish_reason") or self._finish
        written = ""
        for number, call in enumerate(delta.get("tool_calls") or ()):
            written += self._call(call.get("index", number), call)
        for name, value in delta.items():
            if name != "tool_calls" and value is not None:
                written += self._grow(name, value)
        return written

    @property
    def ended(self) -> bool:
        return self._finish is not None

    def whole(self) -> dict[str, Any]:
        message = dict(self._message)
        if self._calls:
            message["tool_calls"] = [self._calls[index] for index in sorted(self._calls)]
        choice = {"message": message, "finish_reason": self._finish}
        return {**self._head, "choices": [choice], "usage": self._usage}

    def _grow(self, name: str, value: Any) -> str:
        """Texts grow, whatever a vendor calls them; everything else is as last said."""
        if isinstance(value, str) and name != "role":
            if not isinstance(self._message.get(name), str):
                self._message[name] = ""
            return grow(self._message, name, value)
        self._message[name] = value
        return _text(value) if name == "content" else ""

    def _call(self, index: int, part: dict[str, Any]) -> str:
        call = self._calls.setdefault(index, {"function": {"arguments": ""}})
        function = part.get("function") or {}
        call |= {k: v for k, v in part.items() if k not in ("index", "function") and v is not None}
        if function.get("name"):
            call["function"]["name"] = function["name"]
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            return grow(call["function"], "arguments", arguments)
        if arguments is not None:
            call["function"]["arguments"] = arguments
        return ""
