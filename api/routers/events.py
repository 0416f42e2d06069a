from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import CanRead, InWorkspace, Runner, Services
from api.bodies import Asked, StrictRoute
from api.errors import REFUSED
from api.headers import IdempotencyKey
from api.pages import Cursor, Limit, Page
from api.words import Form
from core.event import EVENT_NAME, Published, Skipped, Triggered
from core.tool import Actor
from services.events import StoredEvent

router = APIRouter(tags=["events"], route_class=StrictRoute, responses=REFUSED)

EventName = Annotated[
    str,
    Form(
        f"^{EVENT_NAME.pattern}$",
        "a small letter, then up to 63 small letters, digits, `_` and `.`, such as `deal_signed`",
    ),
]
EventId = Annotated[str, Field(min_length=1, max_length=255)]


class NewEvent(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "event": "deal_signed",
                    "workspace_id": "demo",
                    "data": {"deal": "D-1", "amount": 1200},
                    "id": "crm-7741",
                }
            ]
        }
    )

    event: EventName
    workspace_id: Annotated[str, Field(max_length=80)]
    data: dict[str, Any] = Field(default_factory=dict)
    id: EventId | None = None


class EventTold(BaseModel):
    """What the event started, and what has a trigger for it and was not started."""

    event_id: str
    skills_triggered: tuple[Triggered, ...]
    skipped: tuple[Skipped, ...]

    @classmethod
    def of(cls, published: Published) -> "EventTold":
        return cls(
            event_id=published.event_id,
            skills_triggered=published.triggered,
            skipped=published.skipped,
        )


class EventLine(BaseModel):
    id: str
    name: str
    at: datetime
    actor: Actor
    dispatched_at: datetime | None
    skills_triggered: tuple[Triggered, ...]
    skipped: tuple[Skipped, ...]

    @classmethod
    def of(cls, stored: StoredEvent) -> "EventLine":
        return cls(**_line(stored))


class WholeEvent(EventLine):
    data: dict[str, Any]

    @classmethod
    def of(cls, stored: StoredEvent) -> "WholeEvent":
        return cls(**_line(stored), data=stored.event.data)


def _line(stored: StoredEvent) -> dict[str, Any]:
    published = stored.published
    return {
        "id": stored.event.id,
        "name": stored.event.name,
        "at": stored.event.at,
        "actor": stored.actor,
        "dispatched_at": stored.dispatched_at,
        "skills_triggered": published.triggered,
        "skipped": published.skipped,
    }


@router.post("/api/webhooks/events")
async def send_event(
    body: NewEvent, access: Runner, services: Services, idempotency_key: IdempotencyKey = None
) -> EventTold:
    """Tell that something happened: it starts the skills that have a trigger for it, and goes to
    the runs that wait for it.

    With an `id` it happens once: the same event again gets the same answer, another one with the
    same id is 409 `idempotency_key_reused`. Without one, the `Idempotency-Key` is its id. `data`
    may have 256 KiB.
    """
    visit = await InWorkspace("run")(body.workspace_id, access, services)
    actor = Actor(kind="key", id=access.key_id)
    published = await services.events.publish(
        visit.workspace.id, body.event, body.data, id=body.id or idempotency_key, actor=actor
    )
    return EventTold.of(published)


@router.get("/api/workspaces/{ws}/events")
async def list_events(
    visit: CanRead,
    services: Services,
    name: Annotated[EventName | None, Query(description="of this name")] = None,
    id: Annotated[EventId | None, Query(description="the one that was sent with this `id`")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[EventLine]:
    """What happened, newest first, and what each event started; without `data`."""
    page = await services.events.list_page(visit.workspace.id, name, id, limit, cursor)
    return Page(items=[EventLine.of(one) for one in page.items], next_cursor=page.next_cursor)


@router.get("/api/workspaces/{ws}/events/{event_id}")
async def get_event(
    visit: CanRead,
    services: Services,
    event_id: Annotated[str, Path(description="the id of the event, as the answer to it says")],
) -> WholeEvent:
    """One event, with its data."""
    return WholeEvent.of(await services.events.get(visit.workspace.id, event_id))
