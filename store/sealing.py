"""Encryption of what is stored: who reads the database alone reads nothing."""

from __future__ import annotations

import base64
import binascii
import json
import os
import zlib
from typing import Any, ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import PerdureError

KEY_BYTES = 32
NONCE_BYTES = 12
LONGEST_ID = 64
WORTH_COMPRESSING = 1024
AS_IT_IS, COMPRESSED = b"\x00", b"\x01"


class CannotOpen(PerdureError):
    """The key is not here any more, or the bytes were made for another place."""

    code: ClassVar[str] = "cannot_open"


def parse_keys(text: str) -> dict[str, bytes]:
    """Reads `id:base64,older:base64`; the first key seals, all of them open."""
    keys: dict[str, bytes] = {}
    for part in text.split(","):
        name, _, encoded = part.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not 0 < len(name.encode()) <= LONGEST_ID or len(key) != KEY_BYTES or name in keys:
            raise ValueError(
                f"expected encryption keys as id:base64[,older:base64], {KEY_BYTES} bytes each, "
                f"ids all different; key {len(keys) + 1} is not"
            )
        keys[name] = key
    return keys


class Keyring:
    """`bound_to` names the place a value belongs to: sealed for one, it opens in no other."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._ciphers = {name.encode(): AESGCM(key) for name, key in keys.items()}
        active = next(iter(self._ciphers))
        self._active = self._ciphers[active]
        self._header = bytes([len(active)]) + active

    @classmethod
    def parse(cls, text: str) -> Keyring:
        return cls(parse_keys(text))

    def seal(self, data: bytes, bound_to: str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._active.encrypt(nonce, data, self._header + bound_to.encode())
        return self._header + nonce + sealed

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        start = 1 + sealed[0] if sealed else 0
        header, nonce = sealed[:start], sealed[start : start + NONCE_BYTES]
        cipher = self._ciphers.get(header[1:])
        if cipher is None:
            raise CannotOpen(
                f"no encryption key named {header[1:].decode(errors='replace')!r} here"
            )
        try:
            return cipher.decrypt(nonce, sealed[start + NONCE_BYTES :], header + bound_to.encode())
        except (InvalidTag, ValueError) as error:
            raise CannotOpen("sealed for another place, or damaged") from error

    def seal_json(self, value: Any, bound_to: str) -> bytes:
        raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
            errors="surrogatepass"
        )
        if len(raw) > WORTH_COMPRESSING:
            return self.seal(COMPRESSED + zlib.compress(raw, 1), bound_to)
        return self.seal(AS_IT_IS + raw, bound_to)

    def open_json(self, sealed: bytes, bound_to: str) -> Any:
        data = self.open(sealed, bound_to)
        raw = zlib.decompress(data[1:]) if data[:1] == COMPRESSED else data[1:]
        return json.loads(raw.decode(errors="surrogatepass"))
