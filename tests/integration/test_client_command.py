"""The command, spoken to a gateway as a person or a script does."""

from __future__ import annotations

import fcntl
import io
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from perdure.main import carry_out
from tests.integration.stand_in import ADMIN_KEY, KEY, WORKSPACE, StandIn, event, serving

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

RUN = "POST /api/workspaces/demo/skills/orders/run"
CHECK = "POST /api/workspaces/demo/skills/check"
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b1m\u202e[bold]x[/bold]\x00"


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[StandIn]:
    with serving() as stand_in:
        home = tmp_path / ".perdure"
        home.mkdir(mode=0o700)
        credentials = home / "credentials.json"
        credentials.write_text(
            json.dumps(
                {
                    "url": stand_in.url,
                    "temporal_ui": stand_in.url,
                    "admin_key": ADMIN_KEY,
                    "workspace_id": WORKSPACE,
                    "workspace_key": KEY,
                }
            )
        )
        credentials.chmod(0o600)
        monkeypatch.chdir(tmp_path)
        yield stand_in


class Told:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def perdure(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> Told:
        code = carry_out(list(arguments))
        return Told(code, *capsys.readouterr())

    return call


def begins(gateway: StandIn, status: str = "succeeded", **more: Any) -> None:
    gateway.run("orders-1", status, **more)
    gateway.answer(RUN, 202, {"run_id": "orders-1", "status": "queued"})


def test_the_output_goes_to_stdout_and_the_story_to_stderr(gateway: StandIn, perdure: Any) -> None:
    begins(gateway)
    told = perdure("run", "orders")
    assert told.code == 0
    assert told.document == {"total": 3}
    for part in ("orders-1", "▸ fetch", "✓ fetch", "succeeded after 3.0 s", "/runs/orders-1"):
        assert part in told.err


def test_text_output_is_printed_as_text(gateway: StandIn, perdure: Any) -> None:
    begins(gateway, output="Dear all,\n\tgood news")
    assert perdure("run", "orders").out == "Dear all,\n\tgood news\n"


@pytest.mark.parametrize(
    ("status", "code"), [("succeeded", 0), ("failed", 1), ("cancelled", 4), ("timed_out", 5)]
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_exit_code_says_how_the_run_ended(
    gateway: StandIn, perdure: Any, status: str, code: int, form: list[str]
) -> None:
    begins(gateway, status)
    assert perdure("run", "orders", *form).code == code


def test_a_failed_run_says_where_and_why_and_how_to_go_on(gateway: StandIn, perdure: Any) -> None:
    error = {"code": "http_failed", "message": "status 500", "step": "fetch", "attempts": 5}
    begins(gateway, "failed", error=error)
    told = perdure("run", "orders")
    assert told.out == ""
    assert "fetch: status 500 (http_failed, 5 attempts)" in told.err
    assert "perdure runs retry orders-1" in told.err


def test_json_is_one_document_and_nothing_else(gateway: StandIn, perdure: Any) -> None:
    begins(gateway)
    told = perdure("run", "orders", "--json")
    assert told.document == gateway.runs["orders-1"]
    assert told.err == ""


def test_inputs_are_json_where_they_are_json_and_text_otherwise(
    gateway: StandIn, perdure: Any, tmp_path: Path
) -> None:
    begins(gateway)
    (tmp_path / "in.json").write_text('{"n": 1, "kept": [1, 2]}')
    perdure(
        "run", "orders", "--inputs", "in.json", "-i", "n=5", "-i", "who=ann", "-i", "when=5 o'clock"
    )
    (asked,) = gateway.asked_for(RUN)
    assert asked.body["inputs"] == {"n": 5, "kept": [1, 2], "who": "ann", "when": "5 o'clock"}


def test_inputs_come_from_stdin(
    gateway: StandIn, perdure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins(gateway)
    monkeypatch.setattr("sys.stdin", io.StringIO('{"n": 2}'))
    perdure("run", "orders", "--inputs", "-")
    assert gateway.asked_for(RUN)[0].body["inputs"] == {"n": 2}


def test_label_mode_and_idempotency_key_are_sent(gateway: StandIn, perdure: Any) -> None:
    begins(gateway)
    perdure("run", "orders", "--label", "Tuesday", "--idempotency-key", "k1", "--dry")
    (asked,) = gateway.asked_for(RUN)
    assert asked.body == {"inputs": {}, "label": "Tuesday", "mode": "dry"}
    assert asked.headers["idempotency-key"] == "k1"


def test_a_detached_run_is_named_and_left_alone(gateway: StandIn, perdure: Any) -> None:
    begins(gateway)
    told = perdure("run", "orders", "--detach")
    assert (told.code, told.out) == (0, "orders-1\n")
    assert "perdure runs logs --follow orders-1" in told.err
    assert len(gateway.asked) == 1


def test_a_wait_that_is_over_leaves_the_run_going_on(gateway: StandIn, perdure: Any) -> None:
    waiting = [{"kind": "approval", "step": "ask", "message": "Send it?"}]
    begins(gateway, status="running", waiting_for=waiting)
    gateway.logs["orders-1"].pop()
    gateway.holds.add("orders-1")
    told = perdure("run", "orders", "--wait", "0.2")
    assert told.code == 5
    assert "it is still running" in told.err
    assert "waiting for approval at ask: Send it?" in told.err
    assert "perdure runs cancel orders-1" in told.err


def test_progress_of_items_is_told_now_and_then(gateway: StandIn, perdure: Any) -> None:
    begins(gateway)
    gateway.logs["orders-1"] = [
        event(0, "run.started"),
        *(event(number, "step.finished", f"deals[{number}]") for number in range(1, 50)),
        event(51, "step.retrying", "deals[7]", 2, code="http_failed", message="status 503"),
        event(52, "step.finished", "deals"),
        event(53, "run.succeeded"),
    ]
    told = perdure("run", "orders")
    assert "deals[7]: attempt 1 failed, trying again: status 503" in told.err
    assert "✓ deals  49 done" in told.err
    assert 5 < len(told.err.splitlines()) < 20


def test_a_pause_is_told_with_who_asked(gateway: StandIn, perdure: Any) -> None:
    begins(gateway)
    paused = event(9, "run.paused", actor={"kind": "key", "id": "k7"})
    gateway.logs["orders-1"].insert(2, paused)
    assert "paused by key k7" in perdure("run", "orders").err


def test_bad_inputs_are_shown_field_by_field(gateway: StandIn, perdure: Any) -> None:
    problem = {
        "title": "Invalid inputs",
        "detail": "1 input cannot be used",
        "code": "invalid_inputs",
        "errors": [{"field": "inputs.n", "message": "expected an integer"}],
    }
    gateway.answer(RUN, 422, problem)
    told = perdure("run", "orders", "-i", "n=x")
    assert told.code == 2
    assert told.err.splitlines() == [
        "error: 1 input cannot be used",
        "  inputs.n: expected an integer",
    ]
    gateway.answer(RUN, 422, problem)
    told = perdure("run", "orders", "-i", "n=x", "--json")
    assert told.out == ""
    assert json.loads(told.err) == problem | {"status": 422, "exit_code": 2}


@pytest.mark.parametrize(("status", "code"), [(401, 1), (404, 1), (409, 1), (503, 3), (502, 3)])
def test_a_refusal_has_an_exit_code(gateway: StandIn, perdure: Any, status: int, code: int) -> None:
    gateway.answer("GET /api/runs/orders-1", status, {"title": "No", "detail": "no such luck"})
    told = perdure("runs", "show", "orders-1")
    assert told.code == code
    assert "no such luck" in told.err


def test_the_admin_key_is_used_where_asked_for_and_hinted_at(
    gateway: StandIn, perdure: Any
) -> None:
    forbidden = {"title": "Forbidden", "detail": "this needs an admin key", "code": "forbidden"}
    gateway.answer("POST /api/workspaces", 403, forbidden)
    told = perdure("workspaces", "create", "Ops")
    assert (told.code, "--admin" in told.err) == (1, True)
    gateway.answer("POST /api/workspaces", 201, {"id": "ops", "name": "Ops"})
    assert perdure("workspaces", "create", "Ops", "--admin", "--timezone", "UTC").code == 0
    first, second = gateway.asked_for("POST /api/workspaces")
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert second.headers["authorization"] == f"Bearer {ADMIN_KEY}"
    assert second.body == {"name": "Ops", "timezone": "UTC"}


def test_runs_are_listed_and_searched(gateway: StandIn, perdure: Any) -> None:
    gateway.run("orders-1", "failed", label="Tuesday")
    page = {"items": [gateway.runs["orders-1"]], "next_cursor": "abc"}
    place = "GET /api/workspaces/demo/runs"
    gateway.answer(place, 200, page)
    told = perdure(
        "runs", "list", "--status", "failed", "-q", "tue", "--since", "2h", "--limit", "1"
    )
    assert "orders-1" in told.out
    assert "Tuesday" in told.out
    assert "--cursor abc" in told.err
    query = gateway.asked_for(place)[0].query
    assert (query["status"], query["q"], query["limit"]) == ("failed", "tue", "1")
    assert query["since"].endswith("Z")
    gateway.answer(place, 200, page)
    assert perdure("runs", "list", "--json").document == page


def test_a_run_is_shown_with_what_it_waits_for(gateway: StandIn, perdure: Any) -> None:
    gateway.run(
        "orders-1",
        "waiting",
        waiting_for=[{"kind": "approval", "step": "ask", "message": "Send it?"}],
        steps=[{"path": "fetch", "kind": "compute", "status": "succeeded", "attempts": 3}],
    )
    told = perdure("runs", "show", "orders-1")
    assert told.code == 0
    assert "waiting for approval at ask: Send it?" in told.out
    assert "perdure runs approve orders-1 --step ask" in told.out
    assert "3 attempts" in told.out
    assert '"who": "ann"' in told.out
    assert perdure("runs", "show", "orders-1", "--json").document == gateway.runs["orders-1"]


def test_a_log_is_printed_whole(gateway: StandIn, perdure: Any) -> None:
    gateway.run("orders-1")
    assert perdure("runs", "logs", "orders-1", "--json").lines == gateway.logs["orders-1"]
    told = perdure("runs", "logs", "orders-1")
    assert [line.split()[2] for line in told.out.splitlines()] == [
        each["kind"] for each in gateway.logs["orders-1"]
    ]


def test_a_followed_log_ends_with_the_runs_own_code(gateway: StandIn, perdure: Any) -> None:
    gateway.run("orders-1", "cancelled")
    gateway.breaks = [1, 1]
    told = perdure("runs", "logs", "-f", "orders-1", "--json")
    assert told.code == 4
    assert told.lines == gateway.logs["orders-1"]


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["pause"], {"action": "pause"}),
        (["resume"], {"action": "resume"}),
        (["cancel"], {"action": "cancel"}),
        (["approve"], {"action": "approve"}),
        (
            ["approve", "--step", "ask", "--comment", "fine"],
            {"action": "approve", "step": "ask", "comment": "fine"},
        ),
        (["reject", "--comment", "no"], {"action": "reject", "comment": "no"}),
        (["retry", "--detach"], {"action": "retry"}),
        (["retry", "--detach", "--latest"], {"action": "retry", "version": "latest"}),
        (
            ["retry", "--detach", "-i", "n=2"],
            {"action": "retry", "inputs": {"n": 2, "who": "ann"}},
        ),
    ],
)
def test_an_action_is_sent(
    gateway: StandIn, perdure: Any, arguments: list[str], body: dict[str, Any]
) -> None:
    gateway.run("orders-1")
    place = "POST /api/runs/orders-1"
    gateway.answer(place, 202, {"run_id": "orders-2", "status": "running"})
    verb, *options = arguments
    told = perdure("runs", verb, "orders-1", *options)
    assert told.code == 0
    assert "orders-2" in told.out
    assert gateway.asked_for(place)[0].body == body


def test_a_retry_is_watched_like_a_run(gateway: StandIn, perdure: Any) -> None:
    gateway.run("orders-2", "failed")
    gateway.logs["orders-2"][2]["data"] = {"given": True}
    gateway.answer("POST /api/runs/orders-1", 202, {"run_id": "orders-2", "status": "queued"})
    told = perdure("runs", "retry", "orders-1")
    assert told.code == 1
    assert "✓ fetch  kept from the run before" in told.err


@pytest.fixture
def folder(tmp_path: Path, perdure: Any) -> Path:
    assert perdure("skills", "new", "orders").code == 0
    return tmp_path / "orders"


def test_faults_are_printed_with_file_and_line(
    gateway: StandIn, perdure: Any, folder: Path
) -> None:
    faults = [
        {"file": "flow.yaml", "line": 4, "column": 3, "message": "unknown tool ecco"},
        {"file": "SKILL.md", "message": "long", "severity": "warning"},
    ]
    gateway.answer(CHECK, 200, {"ok": False, "faults": faults})
    told = perdure("skills", "check", "orders")
    assert told.code == 1
    assert told.out.splitlines() == [
        "orders/flow.yaml:4:3: error: unknown tool ecco",
        "orders/SKILL.md: warning: long",
    ]
    assert gateway.asked_for(CHECK)[0].body["name"] == "orders"
    assert set(gateway.asked_for(CHECK)[0].body["files"]) == {"SKILL.md", "flow.yaml"}


def test_a_skill_with_faults_is_not_pushed(gateway: StandIn, perdure: Any, folder: Path) -> None:
    gateway.answer(CHECK, 200, {"ok": False, "faults": [{"file": "flow.yaml", "message": "bad"}]})
    told = perdure("skills", "push", "orders/")
    assert told.code == 1
    assert "orders was not pushed" in told.err
    assert not [asked for asked in gateway.asked if asked.method == "PUT"]


def test_a_skill_with_warnings_is_pushed(gateway: StandIn, perdure: Any, folder: Path) -> None:
    warning = {"file": "SKILL.md", "message": "long", "severity": "warning"}
    gateway.answer(CHECK, 200, {"ok": True, "faults": [warning]})
    gateway.answer(
        "PUT /api/workspaces/demo/skills/orders",
        200,
        {"name": "orders", "version": "0123456789abcdef"[:13]},
    )
    told = perdure("skills", "push", "orders")
    assert told.code == 0
    assert "orders/SKILL.md: warning: long" in told.out
    assert "orders was pushed as version 0123456789ab" in told.out


def test_skills_are_listed_shown_and_removed(gateway: StandIn, perdure: Any) -> None:
    skill = {"id": "orders", "name": "orders", "description": "Counts.", "version": "v1"}
    skill |= {"trust_level": "built_in", "last_run_at": None}
    gateway.answer("GET /api/workspaces/demo/skills", 200, {"items": [skill]})
    assert "Counts." in perdure("skills", "list").out
    whole = skill | {
        "inputs": {"n": {"type": "integer", "default": 14}, "who": {"type": "string"}},
        "files": {"SKILL.md": "# Orders\n"},
    }
    for _ in range(3):
        gateway.answer("GET /api/workspaces/demo/skills/orders", 200, whole)
    shown = perdure("skills", "show", "orders").out
    assert "14" in shown
    assert "required" in shown
    assert perdure("skills", "show", "orders", "--file", "SKILL.md").out == "# Orders\n"
    assert perdure("skills", "show", "orders", "--file", "x").code == 2
    gateway.answer("DELETE /api/workspaces/demo/skills/orders", 204, None)
    assert perdure("skills", "remove", "orders").code == 0


def test_a_secret_comes_from_stdin_and_is_said_nowhere(
    gateway: StandIn, perdure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "PUT /api/workspaces/demo/secrets/crm"
    gateway.answer(place, 200, {"name": "crm", "allowed_hosts": ["api.example.com"]})
    monkeypatch.setattr("sys.stdin", io.StringIO("hush\nhush\n"))
    told = perdure("secrets", "set", "crm", "--host", "api.example.com")
    assert told.code == 0
    assert gateway.asked_for(place)[0].body == {
        "value": "hush\nhush",
        "allowed_hosts": ["api.example.com"],
    }
    assert "hush" not in told.out + told.err


def test_an_empty_secret_is_refused_here(
    gateway: StandIn, perdure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert perdure("secrets", "set", "crm", "--host", "x").code == 2
    assert gateway.asked == []


def test_a_new_key_is_alone_on_stdout(gateway: StandIn, perdure: Any) -> None:
    place = "POST /api/workspaces/demo/keys"
    made = {"id": "k1", "name": "ci", "scopes": ["run"], "key": "pk_k1_secret"}
    gateway.answer(place, 201, made)
    told = perdure("keys", "create", "ci", "--scope", "run")
    assert told.out == "pk_k1_secret\n"
    assert gateway.asked_for(place)[0].body == {"name": "ci", "scopes": ["run"]}
    gateway.answer("DELETE /api/workspaces/demo/keys/k1", 204, None)
    assert perdure("keys", "revoke", "k1", "--json").document == {"id": "k1", "revoked": True}


def test_a_changed_setting_leaves_the_others(gateway: StandIn, perdure: Any) -> None:
    place = "/api/workspaces/demo"
    before = {"id": "demo", "name": "Demo", "timezone": "UTC", "settings": {"a": 1, "b": 2}}
    gateway.answer(f"GET {place}", 200, before)
    gateway.answer(f"PATCH {place}", 200, before)
    assert perdure("workspaces", "update", "--setting", "b=3").code == 0
    assert gateway.asked_for(f"PATCH {place}")[0].body == {"settings": {"a": 1, "b": 3}}
    assert perdure("workspaces", "update").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "orders"],
        ["runs", "show", "orders-1"],
        ["runs", "list"],
        ["runs", "logs", "orders-1"],
        ["runs", "show", "refused"],
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_comes_from_elsewhere_cannot_steer_the_terminal(
    gateway: StandIn, perdure: Any, arguments: list[str], form: list[str]
) -> None:
    begins(
        gateway,
        label=HOSTILE,
        skill=HOSTILE,
        output=HOSTILE,
        links={"temporal_ui": HOSTILE},
        waiting_for=[{"kind": "approval", "step": HOSTILE, "message": HOSTILE}],
        steps=[{"path": HOSTILE, "error": {"code": HOSTILE, "message": HOSTILE}}],
    )
    failed = event(4, "step.failed", HOSTILE, message=HOSTILE, code=HOSTILE, other=HOSTILE)
    gateway.logs["orders-1"].insert(2, failed)
    page = {"items": [gateway.runs["orders-1"]], "next_cursor": HOSTILE}
    gateway.answer("GET /api/workspaces/demo/runs", 200, page)
    refusal = {"detail": HOSTILE, "code": HOSTILE, "errors": [{"field": HOSTILE, "message": "x"}]}
    gateway.answer("GET /api/runs/refused", 404, refusal)
    told = perdure(*arguments, *form)
    said = told.out + told.err
    assert said
    assert not set(said) & set("\x1b\x9b\x07\x00\u202e\r")
    if not form:
        assert "owned" not in said
        assert "[bold]x[/bold]" in said


def test_a_sound_installation_is_found_well(gateway: StandIn, perdure: Any) -> None:
    from importlib.metadata import version

    part = {"ok": True, "detail": "fine"}
    ready = {"ready": True, "temporal": part, "postgres": part, "worker": part}
    for _ in range(2):
        gateway.answer("GET /readyz", 200, ready)
        gateway.answer("GET /openapi.json", 200, {"info": {"version": version("perdure")}})
        gateway.answer("GET /api/workspaces/demo", 200, {"id": "demo"})
        gateway.answer("GET /", 200, {})
    told = perdure("doctor")
    assert told.code == 0, told.out
    assert "✗" not in told.out
    assert told.out.count("✓") == 10
    document = perdure("doctor", "--json").document
    assert document["ok"]
    assert len(document["checks"]) == 10


def test_each_thing_that_is_wrong_has_its_remedy(
    gateway: StandIn, perdure: Any, tmp_path: Path
) -> None:
    (tmp_path / ".perdure").chmod(0o755)
    worker = {"ok": False, "detail": "nobody works"}
    ready = {"ready": False, "temporal": {"ok": True, "detail": "fine"}, "worker": worker}
    gateway.answer("GET /readyz", 503, ready)
    gateway.answer("GET /openapi.json", 200, {"info": {"version": "9.9.9"}})
    unknown = {"title": "Unauthorized", "detail": "this key is not known", "code": "unauthorized"}
    gateway.answer("GET /api/workspaces/demo", 401, unknown)
    gateway.answer("GET /", 500, {})
    document = perdure("doctor", "--json").document
    wrong = {check["name"]: check["mend"] for check in document["checks"] if not check["ok"]}
    assert set(wrong) == {"permissions of .perdure", "worker", "version", "key", "Temporal UI"}
    assert wrong["permissions of .perdure"] == f"chmod 700 {tmp_path / '.perdure'}"
    assert "perdure worker" in wrong["worker"]
    assert "PERDURE_API_KEY" in wrong["key"]


def test_a_gateway_that_is_not_there_is_named_with_the_ports_it_wants(
    gateway: StandIn, perdure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = gateway.url.rpartition(":")[2]
    monkeypatch.setenv("PERDURE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PERDURE_API_KEY", "k")
    monkeypatch.setenv("PERDURE_PORT", taken)
    monkeypatch.setenv("PERDURE_TEMPORAL_PORT", "x")
    told = perdure("doctor")
    assert told.code == 1
    assert "✗ gateway: no gateway at http://127.0.0.1:9\n    → start one with `make up`" in told.out
    assert f"port {taken} is taken" in told.out
    assert "x is not a port" in told.out


def test_a_new_skill_cannot_have_the_name_of_a_built_in_one(
    gateway: StandIn, perdure: Any, tmp_path: Path
) -> None:
    built_in = {"name": "hello", "trust_level": "built_in"}
    gateway.answer("GET /api/workspaces/demo/skills/hello", 200, built_in)
    told = perdure("skills", "new", "hello")
    assert told.code == 2
    assert "hello comes with this installation" in told.err
    assert not (tmp_path / "hello").exists()


@pytest.mark.parametrize("trust", ["unknown", "workspace"])
def test_any_other_name_is_free(gateway: StandIn, perdure: Any, tmp_path: Path, trust: str) -> None:
    if trust == "workspace":
        mine = {"name": "greet", "trust_level": trust}
        gateway.answer("GET /api/workspaces/demo/skills/greet", 200, mine)
    assert perdure("skills", "new", "greet").code == 0
    assert (tmp_path / "greet" / "SKILL.md").exists()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_skill_needs_no_gateway(nowhere: Path, perdure: Any) -> None:
    assert perdure("skills", "new", "hello").code == 0
    assert (nowhere / "hello" / "flow.yaml").exists()


def test_a_url_without_a_key_lacks_the_key(
    nowhere: Path, perdure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERDURE_URL", "https://perdure.example.com")
    [check] = perdure("doctor", "--json").document["checks"]
    assert "PERDURE_API_KEY is missing" in check["said"]
    assert check["mend"] == "set PERDURE_API_KEY"


def test_a_key_without_a_url_lacks_the_url(
    nowhere: Path, perdure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERDURE_API_KEY", "pk_x")
    checks = perdure("doctor", "--json").document["checks"]
    assert checks[0]["mend"] == "set PERDURE_URL"


def test_a_malformed_key_is_not_the_fault_of_who_has_the_ports(
    gateway: StandIn, perdure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERDURE_API_KEY", "clé")
    monkeypatch.setenv("PERDURE_PORT", gateway.url.rpartition(":")[2])
    told = perdure("doctor")
    assert told.code == 1
    assert "PERDURE_API_KEY holds characters" in told.out
    assert "is taken" not in told.out


@pytest.fixture
def listening() -> Generator[int]:
    """A port that somebody has, and says nothing on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_ports_of_what_still_runs_here_are_its_own(
    gateway: StandIn, listening: int, perdure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    home = tmp_path / ".perdure"
    (home / "environment").write_text(
        f"PERDURE_PORT={free}\nTEMPORAL_ADDRESS=127.0.0.1:{listening}\n"
        f"PERDURE_TEMPORAL_UI_URL='http://127.0.0.1:{listening}'\n"
    )
    credentials = home / "credentials.json"
    known = json.loads(credentials.read_text()) | {"url": f"http://127.0.0.1:{free}"}
    credentials.write_text(json.dumps(known))
    with (home / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        document = perdure("doctor", "--json").document
    checks = {check["name"]: check for check in document["checks"]}
    assert checks["PERDURE_TEMPORAL_PORT"]["ok"]
    assert checks["PERDURE_TEMPORAL_UI_PORT"]["ok"]
    assert "logs/gateway.log" in checks["gateway"]["mend"]
    assert not any("stop who has it" in (check["mend"] or "") for check in document["checks"])
    # Once it has stopped, whoever has these ports is somebody else.
    monkeypatch.setenv("PERDURE_TEMPORAL_PORT", str(listening))
    later = {each["name"]: each for each in perdure("doctor", "--json").document["checks"]}
    assert "stop who has it" in later["PERDURE_TEMPORAL_PORT"]["mend"]
    assert "make up" in later["gateway"]["mend"]


def test_another_installation_is_not_to_be_stopped(
    gateway: StandIn,
    listening: int,
    perdure: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".perdure" / "credentials.json").unlink()
    gateway.answer("GET /openapi.json", 200, {"info": {"title": "Perdure"}})
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("PERDURE_PORT", gateway.url.rpartition(":")[2])
    monkeypatch.setenv("PERDURE_TEMPORAL_PORT", str(listening))
    told = perdure("doctor").out
    assert "another Perdure has port" in told
    assert "PERDURE_HOME" in told
    assert "stop who has it" not in told


def test_nothing_is_asked_of_a_postgres_that_does_not_answer(
    gateway: StandIn, perdure: Any
) -> None:
    away = {"ok": False, "detail": "Postgres does not answer"}
    well = {"ok": True, "detail": "fine"}
    gateway.answer(
        "GET /readyz", 503, {"ready": False, "temporal": well, "postgres": away, "worker": well}
    )
    checks = {each["name"]: each for each in perdure("doctor", "--json").document["checks"]}
    assert not checks["postgres"]["ok"]
    assert "key" not in checks
    assert not any(asked.path == "/api/workspaces/demo" for asked in gateway.asked)


def test_who_works_is_not_a_fault_while_temporal_is_away(gateway: StandIn, perdure: Any) -> None:
    away = {"ok": False, "detail": "Temporal does not answer"}
    unknown = {"ok": False, "detail": "unknown while Temporal is away"}
    gateway.answer("GET /readyz", 503, {"ready": False, "temporal": away, "worker": unknown})
    told = perdure("doctor").out
    assert "✗ temporal" in told
    assert "perdure worker" not in told


@pytest.mark.parametrize(
    ("arguments", "variable", "named"),
    [
        (["-w", "nope"], None, "--workspace nope"),
        ([], "nope", "PERDURE_WORKSPACE=nope"),
        ([], None, "workspace_id in credentials.json"),
    ],
)
def test_an_unknown_workspace_is_mended_where_it_was_named(
    gateway: StandIn,
    perdure: Any,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    variable: str | None,
    named: str,
) -> None:
    if variable:
        monkeypatch.setenv("PERDURE_WORKSPACE", variable)
    for workspace in ("nope", "demo"):
        unknown = {"title": "Not found", "detail": "there is no workspace", "code": "not_found"}
        gateway.answer(f"GET /api/workspaces/{workspace}", 404, unknown)
    checks = perdure("doctor", "--json", *arguments).document["checks"]
    [key] = [check for check in checks if check["name"] == "key"]
    assert key["mend"].endswith(f"mend {named}")


def with_models(gateway: StandIn, cost: float | None) -> None:
    usage = {"input": 1200, "output": 34, "total": 1234}
    begins(gateway, token_usage=usage, cost=cost)
    tokens = {"input": 1200, "output": 34}
    called = {"model": "demo/small", "tokens": tokens, "cost": cost, "stop": "end", "text": "x"}
    gateway.logs["orders-1"][2:2] = [event(9, "model.called", "fetch", 1, **called)]


@pytest.mark.parametrize(
    ("cost", "said"), [(0.5, "1,234 tokens, $0.5000"), (None, "1,234 tokens, cost unknown")]
)
def test_what_models_took_is_told_as_it_comes_and_in_all(
    gateway: StandIn, perdure: Any, cost: float | None, said: str
) -> None:
    with_models(gateway, cost)
    told = perdure("run", "orders")
    assert f"demo/small  {said}" in told.err
    assert f"\n  {said}\n" in told.err
    log = perdure("runs", "logs", "-f", "orders-1").out.splitlines()
    assert f"model.called  fetch  demo/small  {said}  x" in log[2]
    assert log[-1] == f"models took {said}"
    assert perdure("runs", "logs", "orders-1").out.splitlines()[-1] == f"models took {said}"
    assert f"models:      {said}" in perdure("runs", "show", "orders-1").out
    assert len(perdure("runs", "logs", "-f", "orders-1", "--json").lines) == 5
