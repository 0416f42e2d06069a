"""Asks the real adapters over HTTP, and looks at what the strict server was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.llm import (
    AnswersTurn,
    ModelAnswer,
    ModelQuestion,
    OfferedTool,
    ToolAnswer,
    Turn,
    UserTurn,
)
from llm.demo.server import DemoServer
from llm.providers import Provider

KEY = "sk-tenant-0123456789abcdef"
WIRES = ("anthropic", "openai")
WAYS = ("whole", "streamed")
ADDRESSES = {
    "anthropic": "",
    "openai": "/v1",
    "fireworks": "/v1",
    "gemini": "/v1beta/openai",
    "ollama": "/v1",
    "openrouter": "/api/v1",
}
Way = Literal["whole", "streamed"]


def tool(name: str, **properties: Any) -> OfferedTool:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return OfferedTool(name=name, description=f"Looks up {name}", parameters=schema)


LOOKUP = tool("lookup", id={"type": "integer"})
PING = OfferedTool(name="ping", description="Is it there", parameters={"type": "object"})
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 18},
        "nickname": {"type": "string"},
    },
    "required": ["name", "age"],
}


@dataclass
class House:
    demo: DemoServer
    providers: Mapping[str, Provider]
    heard: list[str] = field(default_factory=list[str])

    async def ask(
        self,
        model: str,
        *turns: Turn | str,
        way: Way = "whole",
        key: str = KEY,
        **fields: Any,
    ) -> ModelAnswer:
        said = tuple(UserTurn(text=each) if isinstance(each, str) else each for each in turns)
        question = ModelQuestion(model=model, turns=said or (UserTurn(text="Hello"),), **fields)
        provider = self.providers[model.partition("/")[0]]
        self.heard = []
        on_text = self.heard.append if way == "streamed" else None
        return await provider.ask(question, key, on_text)

    @property
    def sent(self) -> dict[str, Any]:
        return self.demo.requests[-1].body

    @property
    def rules(self) -> list[str]:
        return [each.rule for each in self.demo.requests if each.rule]


def answers(answer: ModelAnswer, *contents: str, failed: bool = False) -> AnswersTurn:
    """One content for each call, the last for all that are left."""
    given = [
        ToolAnswer(id=use.id, content=contents[min(n, len(contents) - 1)], failed=failed)
        for n, use in enumerate(answer.turn.tool_uses)
    ]
    return AnswersTurn(answers=tuple(given))
