"""What the vendors' models are particular about, told by their names."""

from __future__ import annotations

import hashlib
from typing import Literal

Echo = Literal["thinking", "thought_signature", "reasoning_content"]


def echo(model: str) -> Echo | None:
    """What a model's tool calls come with and must be brought back with."""
    if "thinking" in model or model.startswith(("claude-sonnet-5", "claude-opus-5")):
        return "thinking"
    if "gemini" in model:
        return "thought_signature"
    if "deepseek" in model or "kimi" in model:
        return "reasoning_content"
    return None


def signature(model: str) -> str:
    return hashlib.sha256(f"signed by {model}".encode()).hexdigest()[:16]


def marked(model: str) -> str:
    """Ids carry who gave them: what must be brought back is known without any memory."""
    return signature(model)[:6] if echo(model) else "plain0"


def never_forced(model: str) -> bool:
    return model.startswith(("claude-sonnet-5-5", "claude-opus-5-5"))


def thinking_types(model: str) -> tuple[str, ...]:
    if model.startswith("claude-opus-5-5"):
        return ("adaptive",)
    if model.startswith("claude-sonnet-5-5"):
        return ("adaptive", "between_tools")
    return ("adaptive", "enabled", "disabled", "between_tools")


def reasons(model: str) -> bool:
    """Models that refuse the old name of the limit, and sampling."""
    return model.startswith(("gpt-5", "gpt-6", "o3", "o4"))


def plain(model: str) -> bool:
    """Servers that know only the oldest parameters and refuse the rest."""
    return model.startswith(("llama", "qwen"))


def json_mode_only(model: str) -> bool:
    return model.startswith(("deepseek", "glm", "qwen"))


def reasons_elsewhere(model: str) -> bool:
    """With tools, these reason only over another wire: here they want to be told not to."""
    return model.startswith(("gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-6"))
