"""Keys of providers are nowhere to be read, whatever goes wrong with them."""

from __future__ import annotations

import asyncio
import json
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from google.protobuf.json_format import ParseDict
from temporalio.api.common.v1 import Payload
from temporalio.client import Client as Temporal

from dev.home import Home
from dev.plan import NAMESPACE
from llm.demo.trouble import KINDS
from perdure.errors import Refused
from services.temporal import Codec
from settings import encryption_keys
from tests.chaos import spent
from tests.chaos.conftest import PLATFORM_KEYS
from tests.chaos.test_plaintext import archived, kept
from tests.chaos.traces import traces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from perdure.run import Run
    from tests.chaos.installed import Installed

# A stall takes as long as our patience; its error is made where all others of the kind are.
FAULTS = [kind for kind in KINDS if kind != "stall"]
WIRES = ("anthropic", "openai")
STEP = """\
      {name}:
        - id: {name}
          generate: Tell me about {name}.
          model: {provider}/fake-{fault}
          retry: {{attempts: 1}}
          on_error: continue
"""
ECHOING = ("auth", "badrequest")  # these answer with the key they were sent


def every_fault() -> str:
    steps = "".join(
        STEP.format(name=f"{provider}_{fault.replace('-', '_')}", provider=provider, fault=fault)
        for provider in WIRES
        for fault in FAULTS
    )
    return f"steps:\n  - id: all\n    parallel:\n{steps}output: ${{errors}}\n"


@pytest_asyncio.fixture
async def ours(modelled: Installed) -> AsyncIterator[Installed]:
    async with modelled.new_workspace() as ours:
        yield ours


async def test_no_key_can_be_read_anywhere_after_every_fault(
    modelled: Installed, ours: Installed
) -> None:
    keys = {provider: f"sk-{provider}-tenant-{token_hex(16)}" for provider in WIRES}
    for provider, key in keys.items():
        await ours.client.llm.set_key(provider, key)
    bad = f"bad-{token_hex(16)}"
    with pytest.raises(Refused) as refused:
        await ours.client.llm.set_key("anthropic", bad)
    secrets = [*PLATFORM_KEYS.values(), *keys.values(), bad]

    told: dict[str, bytes] = {"refused": repr(vars(refused.value)).encode()}
    for installed, source in ((modelled, "platform"), (ours, "own")):
        run = await installed.run(await installed.push(every_fault()))
        assert run.status == "succeeded", run.error
        failed = {step.path for step in run.steps if step.error}
        assert {f"{provider}_{fault}" for provider in WIRES for fault in ECHOING} <= failed
        assert "[key]" in json.dumps(run.output)
        states = ("settled", "released", "reserved", "spent")
        rows = await spent.calls(installed, run.run_id, *states)
        assert {row["key_source"] for row in rows} == {source}
        assert len(rows) == len(WIRES) * len(FAULTS)
        told |= responses(installed, run)
        told[f"history of {source}"] = await history(installed, run)
        await archived(installed, run.run_id)

    for capability, provider, fault in zip(("extract", "generate"), WIRES, ECHOING, strict=True):
        await ours.client.llm.route(capability, [f"{provider}/fake-{fault}"])
    key = ours.client.connection.key
    # The vendor that is asked lives in this process.
    tries = await asyncio.to_thread(ours.installation.get, "/api/health/llm", key)
    assert tries.text.count("[key]") == len(WIRES)
    told["tries"] = tries.content

    home = modelled.installation.home
    loose = [each for each in home.rglob("*") if each.is_file() and each.parts[-2] != "logs"]
    for file in loose:
        if "postgres" not in file.relative_to(home).parts[0] and "temporal" not in file.name:
            told[str(file)] = file.read_bytes()
    for place, content in (told | kept(modelled)).items():
        for secret in secrets:
            assert traces(secret, content) == set(), place
    assert b"Tell me about" in told["history of own"]


def responses(installed: Installed, run: Run) -> dict[str, bytes]:
    connection = installed.client.connection
    home = f"/api/workspaces/{connection.workspace}"
    paths = (
        f"/api/runs/{run.run_id}",
        f"/api/runs/{run.run_id}/log",
        f"{home}/runs",
        f"{home}/llm/config",
        f"{home}/llm/usage",
    )
    got = {path: installed.installation.get(path, connection.key) for path in paths}
    assert {answer.status_code for answer in got.values()} == {200}
    return {path: answer.content for path, answer in got.items()}


async def history(installed: Installed, run: Run) -> bytes:
    """All of it, with its payloads opened."""
    keys = encryption_keys(Home(installed.installation.home).keys().encryption)
    codec = Codec(keys)
    address = f"127.0.0.1:{installed.installation.ports['PERDURE_TEMPORAL_PORT']}"
    temporal = await Temporal.connect(address, namespace=NAMESPACE)
    whole = await temporal.get_workflow_handle(run.run_id).fetch_history()
    found = whole.to_json_dict()
    sealed = [ParseDict(each, Payload()) for each in payloads(found)]
    opened = [part for each in sealed for part in await codec.decode([each])]
    return b"\n".join([json.dumps(found).encode(), *(part.data for part in opened)])


def payloads(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("metadata"), dict) and "encoding" in value["metadata"]:
            yield value
        else:
            for inner in value.values():
                yield from payloads(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from payloads(inner)
