from typing import Annotated, Any, Literal, NewType

from pydantic import Field

from core.duration import Duration
from core.model import Frozen

StepId = NewType("StepId", str)
LANGUAGE = 1  # version of the expression language, pinned in every run's input
DEFAULT_CONCURRENCY = 8
MAX_CONCURRENCY = 100
MAX_FLOW_BYTES = 256 * 1024
# Where a `notify` step can tell people something; each needs a notifier in the worker.
Channel = Literal["slack"]


class Retry(Frozen):
    attempts: int | None = Field(None, ge=1, le=100, description="attempts in all")
    backoff: Duration | None = None
    max_backoff: Duration | None = None


class Recovery(Frozen):
    """`on_error: {steps: […]}`: runs instead of failing; its last step's output is the step's."""

    steps: tuple["Step", ...]


class StepBase(Frozen):
    """`when` is an expression without its `${}`; templates are kept as they were written."""

    id: str
    when: str | None = None
    for_each: Any = None
    concurrency: int = Field(DEFAULT_CONCURRENCY, ge=1, le=MAX_CONCURRENCY)
    timeout: Duration | None = None
    retry: Retry | None = None
    on_error: Literal["fail", "continue"] | Recovery = "fail"


class ComputeStep(StepBase):
    kind: Literal["compute"] = "compute"
    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])


class SetStep(StepBase):
    kind: Literal["set"] = "set"
    values: dict[str, Any]


class GroupStep(StepBase):
    kind: Literal["steps"] = "steps"
    steps: tuple["Step", ...]


class ParallelStep(StepBase):
    kind: Literal["parallel"] = "parallel"
    branches: dict[str, tuple["Step", ...]]


class SkillStep(StepBase):
    kind: Literal["skill"] = "skill"
    skill: str
    inputs: dict[str, Any] = Field(default_factory=dict[str, Any])


class WaitStep(StepBase):
    """`length` is a duration ("5m"), `until` a time (RFC 3339); either may be a template.

    With `event` they bound the wait for it; `matching` is an expression that the event has to meet.
    """

    kind: Literal["wait"] = "wait"
    length: str | None = None
    until: str | None = None
    event: str | None = None
    matching: str | None = None


class ApproveStep(StepBase):
    """Waits for a person; `timeout` is how long."""

    kind: Literal["approve"] = "approve"
    message: str


class NotifyStep(StepBase):
    """Tells people; `message` is a template of text, of a report, or of any other value."""

    kind: Literal["notify"] = "notify"
    channel: Channel
    message: Any


class PromptStep(StepBase):
    """Asks a model; `prompt` is a template, also where it was a file of the bundle.

    `model` ("provider/model") overrides the routing; `max_tokens` bounds one answer.
    """

    prompt: str
    model: str | None = None
    max_tokens: int | None = Field(None, ge=1, le=1_000_000)


class ExtractStep(PromptStep):
    """Gives JSON that `output_schema` accepts, checked here and not by the provider alone."""

    kind: Literal["extract"] = "extract"
    output_schema: dict[str, Any]


class ClassifyStep(PromptStep):
    """Gives one of the labels; each may say what it means."""

    kind: Literal["classify"] = "classify"
    labels: dict[str, str | None]


class GenerateStep(PromptStep):
    """Gives text."""

    kind: Literal["generate"] = "generate"


class ReasonStep(PromptStep):
    """A loop of turns with tools, under the body of SKILL.md as instructions.

    `tools` narrows what SKILL.md allows; `turns` bounds the loop.
    """

    kind: Literal["reason"] = "reason"
    tools: tuple[str, ...] | None = None
    output_schema: dict[str, Any] | None = None
    turns: int = Field(20, ge=1, le=100)
    approve_writes: Literal["never", "always"] = "never"


Step = Annotated[
    ComputeStep
    | SetStep
    | GroupStep
    | ParallelStep
    | SkillStep
    | WaitStep
    | ApproveStep
    | NotifyStep
    | ExtractStep
    | ClassifyStep
    | GenerateStep
    | ReasonStep,
    Field(discriminator="kind"),
]


class ScheduleTrigger(Frozen):
    schedule: str
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])


class EventTrigger(Frozen):
    event: str
    when: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])


class Flow(Frozen):
    """`inputs` maps a name to its JSON Schema; one without `default` is required.

    `output` is a template; where `has_output` is false, the last step's output is the flow's.
    """

    language: int = LANGUAGE
    inputs: dict[str, dict[str, Any]] = Field(default_factory=dict[str, dict[str, Any]])
    triggers: tuple[ScheduleTrigger | EventTrigger, ...] = ()
    steps: tuple[Step, ...] = ()
    output: Any = None
    has_output: bool = False
    format: Literal["slack", "markdown", "json"] = "json"
    timeout: Duration | None = None
    # Tokens that all model calls of a run may use together.
    max_tokens: int | None = None


Recovery.model_rebuild()
for _kind in (GroupStep, ParallelStep):
    _kind.model_rebuild()


def children(step: Step) -> tuple[tuple["Step", ...], ...]:
    """The lists of steps nested directly in this one, its recovery last."""
    inner: tuple[tuple[Step, ...], ...] = ()
    match step:
        case GroupStep():
            inner = (step.steps,)
        case ParallelStep():
            inner = tuple(step.branches.values())
        case _:
            pass
    return (*inner, step.on_error.steps) if isinstance(step.on_error, Recovery) else inner


def every_step(steps: tuple[Step, ...]) -> list[Step]:
    found: list[Step] = []
    waiting = list(reversed(steps))
    while waiting:
        step = waiting.pop()
        found.append(step)
        for nested in reversed(children(step)):
            waiting.extend(reversed(nested))
    return found
