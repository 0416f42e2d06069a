"""What is asked of models and what they answer, whoever makes them."""

from typing import Annotated, Any, Literal, NewType

from pydantic import Field

from core.model import Frozen

# "provider/model", as routing names it.
ModelName = NewType("ModelName", str)
Capability = Literal["extract", "classify", "generate", "reason"]
KeySource = Literal["own", "platform", "demo"]
Stop = Literal["end", "tools", "length", "refusal", "context", "pause"]


# Providers count these themselves: a count below 0 would give back what others have spent, and one
# beyond any number of tokens cannot be written down.
Tokens = Annotated[int, Field(ge=0, le=10**12)]


class Usage(Frozen):
    """Four disjoint counts of tokens; `estimated` where the provider did not say."""

    input: Tokens = 0
    cache_read: Tokens = 0
    cache_write: Tokens = 0
    output: Tokens = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        return self.input + self.cache_read + self.cache_write + self.output


class ToolUse(Frozen):
    """A call that a model asks for; `fault` says why its arguments cannot be read."""

    id: str
    name: str
    arguments: dict[str, Any] | None
    fault: str | None = None


class ToolAnswer(Frozen):
    id: str
    content: str
    failed: bool = False


class UserTurn(Frozen):
    kind: Literal["user"] = "user"
    text: str


class ModelTurn(Frozen):
    """`native` is replayed verbatim, and only to the `origin` it came from."""

    kind: Literal["model"] = "model"
    text: str = ""
    tool_uses: tuple[ToolUse, ...] = ()
    native: Any = None
    origin: str | None = None


class AnswersTurn(Frozen):
    """What all the tool calls of the turn before gave, in order."""

    kind: Literal["answers"] = "answers"
    answers: tuple[ToolAnswer, ...]


Turn = Annotated[UserTurn | ModelTurn | AnswersTurn, Field(discriminator="kind")]


class OfferedTool(Frozen):
    name: str
    description: str
    parameters: dict[str, Any]


class ModelQuestion(Frozen):
    """`output_schema` asks for JSON of that shape; tools are offered, never forced."""

    model: str
    system: str = ""
    turns: tuple[Turn, ...]
    tools: tuple[OfferedTool, ...] = ()
    output_schema: dict[str, Any] | None = None
    max_tokens: int = 4096
    parallel_tools: bool = True


class ModelAnswer(Frozen):
    """`model` is the one that answered; `turn` is what goes into the transcript."""

    turn: ModelTurn
    stop: Stop
    usage: Usage
    model: str

    @property
    def content(self) -> str:
        return self.turn.text


class ModelChoices(Frozen):
    """What a workspace says of models; `own_keys` are its own, by provider."""

    timezone: str
    routing: dict[Capability, tuple[str, ...]]
    own_keys: dict[str, str] = Field(repr=False)
    run_max_tokens: int | None = None


class Guide(Frozen):
    """The body of a SKILL.md, and the paths of the files that it may send a model to."""

    instructions: str
    files: tuple[str, ...] = ()


class Trial(Frozen):
    """What came of asking the model that would serve a capability."""

    capability: Capability
    model: str | None = None
    key_source: KeySource | None = None
    ok: bool = False
    latency_ms: int | None = None
    detail: str | None = None
