"""What workflows ask of activities; the names never change, as they are on the wire."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from core.duration import Duration
from core.flow import Flow, Step
from core.llm import Capability, KeySource, ModelAnswer, Turn
from core.model import Frozen
from core.run import Failure, RunOrigin, RunStatus, Waiting, Workspace
from core.template import SecretUse
from core.tool import RunContext

TASK_QUEUE = "perdure"
RECORD = "perdure.record"
GIVEN = "perdure.given"
CHILD = "perdure.child"
BATCH = "perdure.batch"
EVENT = "perdure.event"
CALLBACK = "perdure.callback"
CALLBACK_POST = "perdure.callback_post"
CALLBACK_SETTLE = "perdure.callback_settle"
TOOL = "tool."  # + the tool's name
MODEL = "llm.call"
NOTIFY = "notify.send"
MODEL_QUEUE = "-llm"  # + behind the name of the run's own queue, where it is not shared
ModelQueue = Literal["shared", "own"]

PAUSE = "perdure.pause"
RESUME = "perdure.resume"
HALT = "perdure.halt"
DECIDE = "perdure.decide"
STATUS = "perdure.status"
WAKE = "perdure.wake"
WAITS = "perdure.waits"

MAX_VALUE_BYTES = 1_500_000


# `given`: a person was asked, and agreed.
ApproveWrites = Literal["never", "always", "given"]


class Settled(Frozen):
    """A step that ended without an activity of its own, told with the next activity's request."""

    path: str
    kind: str
    status: Literal["succeeded", "failed", "skipped"]
    given: bool = False
    error: Failure | None = None


class ToolRequest(Frozen):
    """`digest` is over tool, arguments and the names of secrets: the identity of the effect.

    `began` is the run's first record, told by whoever takes this request.
    """

    tool: str
    arguments: dict[str, Any]
    secrets: tuple[SecretUse, ...] = ()
    digest: str
    context: RunContext
    allowed_tools: tuple[str, ...] | None = None
    # What the step of a model offers it, and whether a person is asked before it writes.
    offered: tuple[str, ...] | None = None
    approve_writes: ApproveWrites = "never"
    timeout: Duration | None = None
    attempts: int | None = None
    settled: tuple[Settled, ...] = ()
    began: "RecordRequest | None" = None


class ModelRequest(Frozen):
    """`tools` are patterns: offered is what they, SKILL.md and the registry have in common.

    `instructions` puts the body of SKILL.md above the conversation; `run_limit` is the flow's bound
    on the tokens of all its calls.
    """

    capability: Capability
    turns: tuple[Turn, ...]
    instructions: bool = False
    tools: tuple[str, ...] | None = None
    output_schema: dict[str, Any] | None = None
    model: str | None = None
    max_tokens: int | None = None
    digest: str
    context: RunContext
    skill: str
    version: str
    allowed_tools: tuple[str, ...] | None = None
    timeout: Duration | None = None
    attempts: int | None = None
    # Grows with each wait for budget: attempts are then counted from one again.
    round: int = 0
    run_limit: int | None = None
    settled: tuple[Settled, ...] = ()
    began: "RecordRequest | None" = None


class ModelReply(Frozen):
    """`cost_nano` is in billionths of a dollar; None is unknown, never free.

    `stored`: the answer was paid for before and comes from the ledger.
    """

    answer: ModelAnswer
    cost_nano: int | None = None
    latency_ms: int = 0
    key_source: KeySource
    stored: bool = False


class NotifyRequest(Frozen):
    """`digest` is over channel and message: told once for ever, however often it is asked."""

    channel: str
    message: Any
    workspace: Workspace
    digest: str
    context: RunContext
    timeout: Duration | None = None
    attempts: int | None = None
    settled: tuple[Settled, ...] = ()
    began: "RecordRequest | None" = None


class RecordRequest(Frozen):
    """One change of a run's row. Later `seq` wins, so a record that comes late changes nothing."""

    run: str
    seq: int
    origin: RunOrigin
    status: RunStatus
    at: datetime
    started_at: datetime
    waiting_for: tuple[Waiting, ...] = ()
    output: Any = None
    error: Failure | None = None
    settled: tuple[Settled, ...] = ()


class Recorded(Frozen):
    """What the log reads from a record's marker."""

    status: RunStatus
    waiting_for: tuple[Waiting, ...] = ()
    error: Failure | None = None
    settled: tuple[Settled, ...] = ()


class GivenRequest(Frozen):
    """`prefix` narrows to the paths of one batch; pages keep results below the payload limit."""

    workspace: str
    run: str
    paths: tuple[str, int, int] | None = None
    page: int = 0


class GivenStep(Frozen):
    digest: str
    output: Any = None


class Given(Frozen):
    """`children` names child runs that had begun but not finished, for the retry to continue."""

    steps: dict[str, GivenStep] = Field(default_factory=dict[str, GivenStep])
    children: dict[str, str] = Field(default_factory=dict[str, str])
    more: bool = False


class ChildRequest(Frozen):
    """Resolves a pinned skill, checks the inputs and writes the child's row as `queued`."""

    run: str
    skill: str
    inputs: dict[str, Any]
    origin: RunOrigin
    parent: str
    path: str
    given_by: str | None = None


class ChildReady(Frozen):
    kind: Literal["flow", "python"]
    origin: RunOrigin
    flow: Flow | None = None
    inputs: dict[str, Any]


class EventRequest(Frozen):
    """Looks for an event that a step waits for; `known` is what `matching` reads besides it.

    `wait` names the wait among those of the run; `taken` are events that the run was given by the
    one it retries. `patience` ends with `over`: the wait is given up where nothing is found now.
    """

    wait: str
    event: str
    matching: str | None = None
    known: dict[str, Any] = Field(default_factory=dict[str, Any])
    taken: tuple[str, ...] = ()
    since: datetime
    until: datetime | None = None
    patience: Literal["lasts", "over"] = "lasts"
    digest: str
    context: RunContext
    settled: tuple[Settled, ...] = ()
    began: "RecordRequest | None" = None


class EventReply(Frozen):
    """None: it did not come yet."""

    event: dict[str, Any] | None = None


class ChildWaits(Frozen):
    """The argument of the signal to a parent; nothing to wait for: it goes on."""

    child: str
    waiting: tuple[Waiting, ...] = ()


class Decision(Frozen):
    """The argument of the update that approves or rejects."""

    step: str | None = None
    verdict: Literal["approved", "rejected"]
    comment: str | None = None
    actor: dict[str, str]


class BatchInput(Frozen):
    """Items of a large `for_each` from `lo` on; `scope` holds what its expressions name."""

    step: Step
    path: str
    lo: int
    items: list[Any]
    scope: dict[str, Any]
    prefix: str
    lanes: int
    run: str


class BatchResult(Frozen):
    """`settled` are the steps that ended after the batch's last request, for its log."""

    outputs: list[Any]
    errors: list[Any] = Field(default_factory=list[Any])
    failed: Failure | None = None
    settled: tuple[Settled, ...] = ()


ToolRequest.model_rebuild()
ModelRequest.model_rebuild()
EventRequest.model_rebuild()
NotifyRequest.model_rebuild()
