from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from api.auth import CanManage, CanRead, Services
from api.bodies import Asked, StrictRoute
from api.errors import REFUSED
from api.headers import IdempotencyKey
from api.words import Form
from core.budget import NANO, Alert, SkillUsage, UsageMonth
from core.llm import Capability, ModelName
from services.llm import ConfigView, LLMChange

router = APIRouter(
    prefix="/api/workspaces/{ws}/llm", tags=["llm"], route_class=StrictRoute, responses=REFUSED
)

MOST_TOKENS = 10**15
PROVIDER = "[a-z][a-z0-9-]{0,39}"
Provider = Annotated[
    str, Form(rf"^{PROVIDER}$", "a provider's name in small letters, such as `anthropic`")
]
Model = Annotated[
    str,
    Field(description="`provider/model`", examples=["anthropic/claude-sonnet-5-5"]),
    Form(
        rf"^{PROVIDER}/[!-~]{{1,200}}$", "`provider/model`, such as `anthropic/claude-sonnet-5-5`"
    ),
]
Chain = Annotated[
    list[Model],
    BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
    Field(
        min_length=1,
        max_length=10,
        description="a model, or several: the next one answers where one cannot",
        json_schema_extra={"anyOf": [{"type": "string"}, {"type": "array"}]},
    ),
]


class ProviderKey(Asked):
    """The key is checked, stored sealed, used for this workspace's calls, and never comes back."""

    api_key: Annotated[SecretStr, Field(min_length=1, max_length=512)]


Key = Annotated[
    ProviderKey | None,
    BeforeValidator(lambda given: {"api_key": given} if isinstance(given, str) else given),
]


class ConfigChange(Asked):
    """What is left out stays as it is; null takes a key or a route back, or a limit away."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "providers": {"anthropic": {"api_key": "sk-ant-…"}},
                    "routing": {"reason": ["anthropic/claude-sonnet-5-5", "openai/gpt-5.6"]},
                    "token_budget": 5000000,
                    "run_max_tokens": 200000,
                }
            ]
        }
    )

    providers: Annotated[
        dict[Provider, Key],
        Field(default_factory=dict, max_length=50, description="by the provider's name"),
    ]
    routing: Annotated[dict[Capability, Chain | None], Field(default_factory=dict)]
    token_budget: Annotated[
        int | None, Field(ge=0, le=MOST_TOKENS, description="a month; null is no limit")
    ] = None
    run_max_tokens: Annotated[
        int | None, Field(ge=1, le=MOST_TOKENS, description="a run; null is no limit")
    ] = None

    @property
    def change(self) -> LLMChange:
        told: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("token_budget", "run_max_tokens")
            if name in self.model_fields_set
        }
        return LLMChange(
            routing={
                capability: None if chain is None else tuple(map(ModelName, chain))
                for capability, chain in self.routing.items()
            },
            keys={
                provider: None if key is None else key.api_key.get_secret_value()
                for provider, key in self.providers.items()
            },
            **told,
        )


class ProviderState(BaseModel):
    """Whether the workspace has a key of its own for it; without one the platform's serves."""

    provider: str
    connected: bool


class Config(BaseModel):
    """How the workspace uses models; `overridden` says which routes it chose itself."""

    providers: list[ProviderState]
    routing: dict[Capability, list[str]]
    overridden: list[Capability]
    token_budget: int | None
    run_max_tokens: int | None

    @classmethod
    def of(cls, view: ConfigView) -> "Config":
        return cls(
            providers=[
                ProviderState(provider=provider, connected=connected)
                for provider, connected in view.connected.items()
            ],
            routing={name: [*chain] for name, chain in view.routing.items()},
            overridden=[*view.overridden],
            token_budget=view.token_budget,
            run_max_tokens=view.run_max_tokens,
        )


class OfSkill(BaseModel):
    """`cost` in dollars at list prices, of calls whose price is known; null where none is."""

    skill_id: str
    calls: int
    tokens: int
    own_tokens: int
    cost: float | None
    unpriced_calls: int

    @classmethod
    def of(cls, usage: SkillUsage) -> "OfSkill":
        return cls(
            skill_id=usage.skill,
            calls=usage.calls,
            tokens=usage.tokens,
            own_tokens=usage.own_tokens,
            cost=None if usage.cost_nano is None else usage.cost_nano / NANO,
            unpriced_calls=usage.unpriced_calls,
        )


class Usage(BaseModel):
    """`tokens_used` counts against the budget, what went by keys of the workspace's own
    (`own_tokens`) does not; `tokens_reserved` is held by calls under way. Top-ups are in
    `token_budget`; null is no limit."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "period": "2026-11",
                    "tokens_used": 184210,
                    "tokens_reserved": 0,
                    "token_budget": 1000000,
                    "topped_up": 0,
                    "tokens_remaining": 815790,
                    "own_tokens": 0,
                    "resets_at": "2026-11-30T23:00:00Z",
                    "alerts": [],
                    "by_skill": [
                        {
                            "skill_id": "pipeline-hygiene",
                            "calls": 31,
                            "tokens": 184210,
                            "own_tokens": 0,
                            "cost": 0.61,
                            "unpriced_calls": 0,
                        }
                    ],
                }
            ]
        }
    )

    period: str
    tokens_used: int
    tokens_reserved: int
    token_budget: int | None
    topped_up: int
    tokens_remaining: int | None
    own_tokens: int
    resets_at: datetime
    alerts: list[Alert]
    by_skill: list[OfSkill]

    @classmethod
    def of(cls, month: UsageMonth) -> "Usage":
        return cls(
            period=month.month.name,
            tokens_used=month.used,
            tokens_reserved=month.reserved,
            token_budget=month.budget,
            topped_up=month.topped_up,
            tokens_remaining=month.remaining,
            own_tokens=sum(skill.own_tokens for skill in month.skills),
            resets_at=month.month.resets_at,
            alerts=[*month.alerts],
            by_skill=[OfSkill.of(skill) for skill in month.skills],
        )


class TopUp(Asked):
    """More tokens for this month, which runs that wait for them go on with at once."""

    action: Literal["top_up"]
    tokens: Annotated[int, Field(ge=1, le=MOST_TOKENS)]


@router.get("/config")
async def get_llm_config(visit: CanRead, services: Services) -> Config:
    """Which models answer, by whose keys, and within which limits; keys are write-only."""
    return Config.of(await services.llm.config(visit.workspace.id))


@router.post("/config")
async def change_llm_config(body: ConfigChange, visit: CanManage, services: Services) -> Config:
    """Set providers' keys, routing and limits. Runs in flight see it with their next call."""
    return Config.of(await services.llm.change(visit.workspace.id, body.change))


@router.get("/usage")
async def get_llm_usage(visit: CanRead, services: Services) -> Usage:
    """This month's tokens, as months are where the workspace is."""
    return Usage.of(await services.llm.usage(visit.workspace))


@router.post("/usage")
async def top_up_llm_usage(
    body: TopUp, visit: CanManage, services: Services, idempotency_key: IdempotencyKey = None
) -> Usage:
    """Add tokens to this month's budget."""
    topped = await services.llm.top_up(visit.workspace, body.tokens, visit.access, idempotency_key)
    return Usage.of(topped)
