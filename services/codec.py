"""Opens and seals payloads for the Temporal Web UI and command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from google.protobuf import json_format
from temporalio.api.common.v1 import Payloads

from core.errors import Invalid

if TYPE_CHECKING:
    from services.temporal import Codec

Operation = Literal["decode", "encode"]


class CodecService:
    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    async def apply(self, operation: Operation, body: bytes) -> str:
        """Takes and gives `{"payloads": […]}` as protobuf writes JSON."""
        try:
            given = json_format.Parse(body, Payloads()).payloads
            match operation:
                case "decode":
                    payloads = await self._codec.decode(given)
                case "encode":
                    payloads = await self._codec.encode(given)
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid("expected payloads as the Temporal Web UI sends them") from error
        except Exception as error:
            # A payload that was tampered with, or sealed with a key that is not here.
            raise Invalid(
                "a payload cannot be opened with the keys of this installation"
            ) from error
        return json_format.MessageToJson(Payloads(payloads=payloads))
