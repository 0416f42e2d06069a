from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from api.auth import CanReadReport, Services
from api.bodies import StrictRoute
from api.errors import REFUSED, status_of
from core.errors import PerdureError
from core.render.html import html, policy, refused
from core.render.markdown import markdown
from core.render.slack import slack

Format = Literal["html", "markdown", "slack", "json"]
MEDIA_TYPES: dict[str, Format] = {
    "text/html": "html",
    "text/markdown": "markdown",
    "application/json": "json",
}
PRIVATE = {
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


class PageRoute(StrictRoute):
    """Whoever comes with a browser reads a page, also where there is nothing to open."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_or_say_why(request: Request) -> Response:
            try:
                return await answer(request)
            except PerdureError as error:
                if _accepted(request.headers.get("accept", "")) != "html":
                    raise
                return _page(refused(error.message), status_of(error))

        return answer_or_say_why


router = APIRouter(tags=["runs"], route_class=PageRoute, responses=REFUSED)


@router.get(
    "/api/runs/{run_id}/report",
    response_model=None,
    responses={
        200: {
            "description": "The report, in the format that was asked for",
            "content": {
                "text/html": {"schema": {"type": "string"}},
                "text/markdown": {"schema": {"type": "string"}},
                "application/json": {"schema": {}},
            },
        }
    },
)
async def get_report(
    run: CanReadReport,
    services: Services,
    format: Annotated[
        Format | None,
        Query(
            description="`html` is a page of its own, `slack` the message that would be posted "
            "(Block Kit), `json` the output as it is; otherwise `Accept` decides, then the skill's "
            "`format`, then it is the page"
        ),
    ] = None,
    accept: Annotated[str, Header(description="such as `text/markdown`")] = "",
) -> Response:
    """What the run gave, as people read it: a report, or whatever else it is.

    Besides a key, the `token` of a link opens it, as `links.report` of the run and Slack messages
    hold one: it is good for this run's report alone, and for 30 days.
    """
    chosen = format or _accepted(accept) or await services.reports.format_of(run)
    output, occasion = await services.reports.read(run)
    match chosen:
        case "markdown":
            text = markdown(output, occasion)
            return PlainTextResponse(text, headers=PRIVATE, media_type="text/markdown")
        case "slack":
            return JSONResponse(slack(output, occasion).payload(), headers=PRIVATE)
        case "json" if format or _accepted(accept):
            return JSONResponse(output, headers=PRIVATE)
        case _:
            return _page(html(output, occasion), 200)


def _page(text: str, status: int) -> Response:
    headers = {**PRIVATE, "Content-Security-Policy": policy()}
    return HTMLResponse(text, status, headers)


def _accepted(accept: str) -> Format | None:
    """The first that is named; `*/*` leaves it to us."""
    for part in accept.split(","):
        media_type = part.partition(";")[0].strip().lower()
        if media_type in MEDIA_TYPES:
            return MEDIA_TYPES[media_type]
    return None
