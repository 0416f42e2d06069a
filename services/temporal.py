import asyncio
import dataclasses
import os
import zlib
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

ENCRYPTED = b"binary/encrypted"
COMPRESSED = b"binary/zlib"
WORTH_COMPRESSING = 1024
NONCE_BYTES = 12


class Codec(PayloadCodec):
    """Compresses, then encrypts; what it did not write it hands back untouched."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        """The first key encrypts; all of them decrypt."""
        self._ciphers = {name.encode(): AESGCM(key) for name, key in keys.items()}
        self._active = next(iter(self._ciphers))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._open(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        raw = payload.SerializeToString()
        if len(raw) > WORTH_COMPRESSING:
            packed = Payload(metadata={"encoding": COMPRESSED}, data=zlib.compress(raw, 1))
            raw = packed.SerializeToString()
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._active].encrypt(nonce, raw, ENCRYPTED)
        metadata = {"encoding": ENCRYPTED, "encryption-key-id": self._active}
        return Payload(metadata=metadata, data=nonce + sealed)

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCRYPTED:
            return payload
        key = payload.metadata["encryption-key-id"]
        if key not in self._ciphers:
            raise ValueError(f"no encryption key named {key.decode()!r} here")
        raw = self._ciphers[key].decrypt(
            payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:], ENCRYPTED
        )
        inner = Payload.FromString(raw)
        if inner.metadata.get("encoding") == COMPRESSED:
            return Payload.FromString(zlib.decompress(inner.data))
        return inner


def converter(keys: dict[str, bytes]) -> DataConverter:
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=Codec(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect(
    address: str,
    namespace: str,
    keys: dict[str, bytes],
    *,
    api_key: str | None = None,
    tls: bool | None = None,
    timeout: float = 10,
) -> Client:
    """Raises TimeoutError where Temporal does not answer in time."""
    async with asyncio.timeout(timeout):
        return await Client.connect(
            address,
            namespace=namespace,
            data_converter=converter(keys),
            api_key=api_key,
            tls=tls,
        )
