"""What runs work with cannot be read where it is kept."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import subprocess
import zlib
from typing import TYPE_CHECKING

import asyncpg
import pytest

from dev import postgres
from dev.plan import DATABASE
from tests.chaos import flows
from tests.chaos.traces import traces
from tests.waiting import LOOK_EVERY, WITHIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.installed import Installed
    from tests.chaos.outside import Outside

SENSITIVE = """\
inputs:
  base: {type: string}
  text: {type: string}
steps:
  - id: kept
    set: {text: "${inputs.text}"}
  - id: sent
    compute: http_request
    with:
      method: POST
      url: ${inputs.base}/sent
      headers: {Authorization: "Bearer ${secret.token}"}
      json: {text: "${vars.text}"}
  - id: child
    skill: %s
    with: {value: "${inputs.text}"}
  - id: busy
    compute: http_request
    with: {url: "${inputs.base}/busy"}
    retry: {attempts: 2, backoff: 10ms}
    on_error: continue
  - id: many
    for_each: ${range(201)}
    concurrency: 100
    compute: echo
    with: {value: "${inputs.text}"}
  - id: asked
    approve: "Is ${inputs.text} right?"
  - id: broken
    when: inputs.text.endsWith("!")
    compute: http_request
    with: {url: "${inputs.base}/broken"}
output: {text: "${inputs.text}", child: "${steps.child}", why: "${errors.busy}"}
"""


@pytest.mark.parametrize(
    "spelled",
    [
        bytes,
        lambda text: text.hex().encode(),
        base64.b64encode,
        lambda text: base64.b64encode(b"1" + text),
        lambda text: base64.b64encode(b"22" + text),
        lambda text: b"before" + zlib.compress(b"{" + text + b"}", 1) + b"after",
    ],
)
def test_marker_is_found_however_it_is_spelled(spelled: Callable[[bytes], bytes]) -> None:
    marker = f"marker{secrets.token_hex(12)}"
    assert traces(marker, b"a" * 100 + spelled(marker.encode()) + b"z" * 100)
    assert not traces(marker, b"a" * 100)


async def test_nothing_a_run_works_with_is_kept_readable(
    installed: Installed, outside: Outside
) -> None:
    given, secret = f"given{secrets.token_hex(12)}", f"secret{secrets.token_hex(12)}"
    await installed.client.secrets.put("token", secret, allowed_hosts=[outside.host])
    child = await installed.push(flows.ECHO)
    skill = await installed.push(SENSITIVE % child, allowed_tools="http_request echo")
    outside.broken["/broken"] = outside.busy["/busy"] = given.encode()
    runs = installed.client.runs

    ended = []
    for text in (given, f"{given}!"):
        run_id = await installed.start(skill, base=outside.base, text=text)
        await installed.status(run_id, "waiting")
        await runs.approve(run_id, comment=given)
        ended.append(await runs.wait(run_id))
    good, bad = ended
    assert good.output["text"] == good.output["child"] == given
    assert given in str(good.output["why"])
    assert bad.status == "failed"
    assert given in str(bad.error)
    assert f"Bearer {secret}" in {asked.headers.get("authorization") for asked in outside.requests}

    await archived(installed, good.run_id)
    for place, content in kept(installed).items():
        for marker in (given, secret):
            assert traces(marker, content) == set(), place
        if place in ("temporal.db", "pg_dump"):
            assert "plain" in traces(skill, content), place


def kept(installed: Installed) -> dict[str, bytes]:
    home = installed.installation.home
    dumped = subprocess.run(
        [str(postgres.binaries() / "pg_dump"), "--inserts", dsn(installed)],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    binary = re.findall(rb"'\\x([0-9a-f]+)'", dumped)
    content = {
        "temporal.db": b"".join(path.read_bytes() for path in home.glob("temporal.db*")),
        "pg_dump": dumped,
        "its binary columns": b"".join(bytes.fromhex(text.decode()) for text in binary),
        "screen": installed.installation.screen().encode(),
    }
    assert len(content["its binary columns"]) > 1_000
    return content | {str(path): path.read_bytes() for path in (home / "logs").iterdir()}


async def archived(installed: Installed, run_id: str) -> None:
    database = await asyncpg.connect(dsn(installed))
    try:
        asked = "SELECT archived_at FROM runs WHERE run_id = $1"
        async with asyncio.timeout(WITHIN):
            while await database.fetchval(asked, run_id) is None:
                await asyncio.sleep(LOOK_EVERY)
    finally:
        await database.close()


def dsn(installed: Installed) -> str:
    return postgres.dsn(installed.installation.home / "postgres", DATABASE)
