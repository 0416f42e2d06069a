import hashlib
import json
from typing import Any


def canonical(value: Any) -> str:
    """One text for equal JSON values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(kind: str, body: Any) -> str:
    """What an effect is: equal digests ask for the same thing."""
    return digest_of_text(canonical([kind, body]))


def digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def size_of(value: Any) -> int:
    """Bytes of its JSON."""
    return size_of_text(canonical(value))


def size_of_text(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
