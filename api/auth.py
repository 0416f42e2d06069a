"""Who asks, and what they may: an endpoint says it in the type of a parameter."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from core.errors import FieldFault, Forbidden, Invalid, NotFound, Unauthorized
from core.faults import near
from core.run import Run
from services.access import Access, Scope
from services.gateway import Gateway
from services.workspaces import WorkspaceRow

LONGEST_KEY = 200

in_header = APIKeyHeader(
    name="X-API-Key",
    scheme_name="key",
    description="a workspace's key, or an admin's",
    auto_error=False,
)
as_bearer = HTTPBearer(scheme_name="bearer", description="the same key", auto_error=False)


async def gateway(request: Request) -> Gateway:
    return request.app.state.gateway


Services = Annotated[Gateway, Depends(gateway)]


async def caller(
    request: Request,
    services: Services,
    key: Annotated[str | None, Security(in_header)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(as_bearer)],
) -> Access:
    presented = key or (bearer.credentials if bearer else None)
    if not presented:
        raise Unauthorized("send a key, as X-API-Key or as Authorization: Bearer")
    if len(presented) > LONGEST_KEY or not presented.isascii():
        raise Unauthorized("this key is not known")
    access = await services.keys.find(presented)
    if access is None:
        raise Unauthorized("this key is not known")
    refuse_strange(request)
    return access


def refuse_strange(request: Request) -> None:
    _refuse_nameless(request)
    _refuse_unknown_query(request)


Caller = Annotated[Access, Depends(caller)]


@dataclass(frozen=True)
class Visit:
    access: Access
    workspace: WorkspaceRow


@dataclass(frozen=True)
class RunVisit:
    access: Access
    run: Run


@dataclass(frozen=True)
class InWorkspace:
    """A workspace key sees its own workspace; every other one, there or not, is 404."""

    scope: Scope

    async def __call__(
        self,
        ws: Annotated[str, Path(description="the id of the workspace")],
        access: Caller,
        services: Services,
    ) -> Visit:
        if access.workspace_id not in (None, ws):
            raise NotFound(f"there is no workspace {ws[:80]!r}")
        workspace = await services.workspaces.get(ws)
        require(access, self.scope)
        return Visit(access, workspace)


@dataclass(frozen=True)
class OfRun:
    """Finds the run first, so that somebody else's is 404 whatever else is wrong."""

    scopes: tuple[Scope, ...]

    async def __call__(
        self,
        run_id: Annotated[str, Path(description="the id of the run")],
        access: Caller,
        services: Services,
    ) -> RunVisit:
        run = await services.runs.get(run_id, access.workspace_id)
        require(access, *self.scopes)
        return RunVisit(access, run)


@dataclass(frozen=True)
class OfReport(OfRun):
    """A link that was signed for this report opens it too: browsers cannot send a key."""

    async def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        request: Request,
        run_id: Annotated[str, Path(description="the id of the run")],
        services: Services,
        key: Annotated[str | None, Security(in_header)],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Security(as_bearer)],
        token: Annotated[
            str | None, Query(max_length=200, description="of a link, in place of a key")
        ] = None,
    ) -> Run:
        if token is None or key is not None or bearer is not None:
            access = await caller(request, services, key, bearer)
            return (await super().__call__(run_id, access, services)).run
        refuse_strange(request)
        services.reports.admit(run_id, token)
        return await services.runs.get(run_id, None)


@dataclass(frozen=True)
class Anywhere:
    """`admin` alone reaches what no workspace owns."""

    scope: Scope | None

    async def __call__(self, access: Caller) -> Access:
        if self.scope is None and access.workspace_id is not None:
            raise Forbidden("this needs an admin key")
        if self.scope is not None:
            require(access, self.scope)
        return access


def require(access: Access, *scopes: Scope) -> None:
    """Any one of them is enough."""
    if access.workspace_id is not None and not access.scopes.intersection(scopes):
        raise Forbidden(f"this key lacks the scope {' or '.join(scopes)}")


CanRead = Annotated[Visit, Depends(InWorkspace("read"))]
CanRun = Annotated[Visit, Depends(InWorkspace("run"))]
CanManage = Annotated[Visit, Depends(InWorkspace("manage"))]
CanReadRun = Annotated[RunVisit, Depends(OfRun(("read",)))]
CanReadReport = Annotated[Run, Depends(OfReport(("read",)))]
CanActOnRun = Annotated[RunVisit, Depends(OfRun(("run", "approve")))]
Runner = Annotated[Access, Depends(Anywhere("run"))]
Reader = Annotated[Access, Depends(Anywhere("read"))]
Manager = Annotated[Access, Depends(Anywhere("manage"))]
Admin = Annotated[Access, Depends(Anywhere(None))]


def scopes_of(dependant: Dependant) -> tuple[str, ...] | None:
    """What an endpoint asks for; None where it asks for no key at all."""
    for inner in dependant.dependencies:
        match cast("object", inner.call):
            case InWorkspace(scope):
                return (scope,)
            case OfRun(scopes):
                return scopes
            case Anywhere(scope):
                return (scope or "admin",)
            case _:
                pass
    return None


def _refuse_nameless(request: Request) -> None:
    # Nothing that is stored can have such a name.
    if any("\x00" in str(part) for part in request.path_params.values()):
        raise NotFound("there is nothing here")


def _refuse_unknown_query(request: Request) -> None:
    known = _query_names(request.scope["route"].dependant)
    faults: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            faults[name] = f"unknown parameter{near(name, known)}"
        elif name in faults:
            continue
        elif len(request.query_params.getlist(name)) > 1:
            faults[name] = "expected one value, it is given more than once"
        elif "\x00" in value:
            faults[name] = "expected text without NUL characters"
    if faults:
        raise Invalid(
            "a parameter of the query cannot be used",
            [FieldFault(field=name[:80], message=message) for name, message in faults.items()],
        )


def _query_names(dependant: Dependant) -> list[str]:
    own = [field.alias for field in dependant.query_params]
    return own + [name for inner in dependant.dependencies for name in _query_names(inner)]
