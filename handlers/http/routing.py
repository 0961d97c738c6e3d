"""What a route is: one value that the router, the checks and the OpenAPI document are all made from.

Longer than most: the checks of a call are read in their order, beside the value that they are made from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from aiohttp import web

from handlers.http.admission import Precedence
from handlers.http.envelope import CHANGING, REQUEST_ID
from handlers.http.forms import FormReader
from handlers.http.incoming import CALLER_ID, Incoming
from handlers.http.json_answers import JsonAnswer, success
from handlers.http.protocol import expect
from handlers.http.quick_load import loader
from handlers.http.reading import LARGEST_BODY, load_body, load_checked, load_query, read_reason
from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.common.ids import read_id
from rdchat.domain import permissions
from rdchat.domain.operator_action import DONE, ActionKind, ActionSubject, Operator, SubjectType
from rdchat.domain.person import Caller, Role
from rdchat.security.refusals import NO_TOKEN
from statemachine.values import value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from marshmallow import Schema

    from handlers.http.admission import Admission
    from handlers.http.envelope import Precheck, Serve
    from handlers.http.gate import Guards
    from rdchat.redis.rates import RateLimitStatus
    from rdchat.runtime import Runtime

PREFIX: Final = "/api/v1"
ANONYMOUS: Final = Caller(UUID(int=0), Role.CLIENT, "")


@value
class Call:
    """One checked request: who calls, and what they say, already loaded by the route's schemas.

    `headers` are as they came, and are found by their names in any case.
    """

    runtime: Runtime
    caller: Caller
    path: dict[str, UUID]
    query: dict[str, Any]
    body: dict[str, Any]
    operation: str = ""
    idempotency_key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""

    @property
    def operator(self) -> Operator:
        """Who calls, and by which request, for what is written down of those who run the service."""
        return Operator(self.caller.id, self.request_id, read_reason(self.headers))


@value
class Answer:
    """What a handler gives back; the envelope is put around it. `data` is JSON.

    `beside`: what a dialect puts beside the data.
    """

    data: Any
    message: str
    status: int = 200
    headers: Mapping[str, str] | None = None
    beside: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route under /api/v1.

    `data` describes the answer's data, `done` says what a success with `status` means, and `also` what one
    with another status does; `message` is the sentence in their envelope. `rate` is the kind of calls that it
    is counted as, None where no one may ever be locked out; an `idempotent` one heeds the header
    Idempotency-Key (its handler does, see `handlers/api/idempotency.py`). `errors` lists the codes beyond
    those that the route's other values imply. A handler may also answer with a response of its own, as the
    diagram does; `bare` lists the media types of such answers.

    With `admit`, the body is a form with a file in it: `admit` is called with what came before the file (it
    may be nothing) and raises what need not wait for it.

    A `tagged` one shows the state that it is about by an `ETag`, and heeds `If-None-Match`, or `If-Match` if
    it changes that. A `ranged` one answers with a file, or with the part of it that `Range` asks for (see
    `handlers/http/ranges.py`).

    `recorded` says what is written down of a call by one who runs the service, or oversees it, and what the
    path's `{id}` is the id of.

    `roles` are those that are admitted, one of the sets in `rdchat.domain.permissions`. A `public` route has
    its own way of knowing who may, instead of a token, and admits `NO_ROLE`: its handler is called for
    `ANONYMOUS`.

    `precedence` says whether one that changes something goes before others when there are too many.

    A `dear` one costs as much as some dozen others: those of one person wait for each other.

    `largest_body` is how many bytes of a body are read, where it is not what is read of others.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Answer | web.StreamResponse]]
    summary: str
    tag: str
    done: str
    roles: frozenset[Role]
    message: str = ""
    body: type[Schema] | None = None
    query: type[Schema] | None = None
    data: type[Schema] | None = None
    many: bool = False
    rate: str | None = "default"
    idempotent: bool = False
    tagged: bool = False
    ranged: bool = False
    status: int = 200
    also: tuple[tuple[int, str], ...] = ()
    bare: tuple[str, ...] = ()
    errors: tuple[ErrorCode, ...] = field(default=())
    admit: Callable[[Call], Awaitable[None]] | None = None
    public: bool = False
    precedence: Precedence = Precedence.REST
    dear: bool = False
    largest_body: int = LARGEST_BODY
    recorded: tuple[ActionKind, SubjectType] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError unless either a role or the route itself says who may call."""
        if self.public == bool(self.roles):
            raise ValueError(f"{self.method} {self.path} must either name roles or be public")

    @property
    def operation(self) -> str:
        """The name of the operation in OpenAPI: the handler's."""
        return self.handler.__name__


def register(
    app: web.Application, routes: tuple[Route, ...], runtime: Runtime, guards: Guards
) -> Iterator[tuple[Route, Serve, Precheck | None]]:
    """Put routes into an application; `guards` give out places to those who call.

    Yield each that needs nothing of aiohttp's, what serves it, and what refuses by its head one whose body
    has yet to come.
    """
    for route in routes:
        serve = _server(route, runtime, guards)
        endpoint = _endpoint(serve)
        for method in methods_of(route):
            app.router.add_route(method, PREFIX + route.path, endpoint, expect_handler=expect)
        if route.admit is None and not route.bare:
            yield route, serve, _precheck(route, runtime, admission=guards.admission)
    for path, methods in _named_ones(routes).items():
        app.router.add_route("*", PREFIX + path, _refusing(methods), expect_handler=expect)


def methods_of(route: Route) -> tuple[str, ...]:
    """List the methods that a route answers: HEAD wherever GET, with the same headers and no body."""
    return ("GET", "HEAD") if route.method == "GET" else (route.method,)


def _named_ones(routes: tuple[Route, ...]) -> dict[str, set[str]]:
    """Find the paths without an id that a path with one fits as well, and their methods.

    `GET /counselings/book` must not be taken for the counselling with the id `book`.
    """
    with_id = [re.sub(r"{\w+}", "[^/]+", route.path) for route in routes if "{" in route.path]
    found: dict[str, set[str]] = {}
    for route in routes:
        if "{" not in route.path and any(re.fullmatch(pattern, route.path) for pattern in with_id):
            found.setdefault(route.path, set()).update(methods_of(route))
    return found


def _refusing(methods: set[str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, sorted(methods))

    return refuse


def _endpoint(serve: Serve) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make aiohttp's handler of a route."""

    async def endpoint(request: web.Request) -> web.StreamResponse:
        incoming = Incoming.of(request, request[REQUEST_ID])
        try:
            answer = await serve(incoming)
        finally:
            # Not the whole of it: the two would hold each other until the garbage collector comes.
            if incoming.caller_id is not None:
                request[CALLER_ID] = incoming.caller_id
        return answer.as_response() if isinstance(answer, JsonAnswer) else answer

    return endpoint


def _server(route: Route, runtime: Runtime, guards: Guards) -> Serve:
    """Make what serves a route: checks who calls and what they say, and has it answered."""
    query_schema = route.query() if route.query is not None else None
    admission = guards.admission
    answered = _placed(route, admission)
    load = _body_loader(route, admission)
    form = None
    if route.admit is not None and route.body is not None:
        form = _FormRoute(route, route.body(), runtime.settings.max_attachment, answered)

    async def serve(incoming: Incoming) -> JsonAnswer | web.StreamResponse:
        caller = ANONYMOUS if route.public else await _caller(incoming, runtime, guards)
        incoming.caller_id = caller.id
        limit_status = await _counted(route, caller, runtime)
        if not route.public and caller.role not in route.roles:
            raise RdchatError(ErrorCode.FORBIDDEN, reason="role")
        if not route.public and runtime.people.is_news(caller):
            await runtime.people.keep(caller)
        texts = incoming.path_texts
        path = {name: _path_id(text) for name, text in texts.items()} if texts else {}
        query = load_query(query_schema, incoming)
        key = incoming.headers.get("Idempotency-Key") if route.idempotent else None
        call = Call(
            runtime, caller, path, query, {}, route.operation, key, _heeded(incoming), incoming.request_id
        )
        if form is not None:
            async with admission.uploads.turn(caller.id):
                answer = await form.answer(incoming, call)
        else:
            if load is not None:
                call.body.update(await load(incoming, caller))
            answer = await answered(call)
        if not isinstance(answer, Answer):
            return answer
        headers = answer.headers
        if limit_status is not None:
            headers = {**(headers or {}), **_rate_limit_headers(route, limit_status)}
        return success(answer.data, answer.message, answer.status, headers, answer.beside)

    return serve


def _precheck(route: Route, runtime: Runtime, admission: Admission) -> Precheck | None:
    """Make what refuses, by its head alone, a request whose body is not worth waiting for."""
    if route.public or route.body is None:
        return None

    def precheck(incoming: Incoming) -> None:
        given = incoming.headers.getall("Authorization", ())
        if not given:
            raise RdchatError(ErrorCode.UNAUTHENTICATED, reason=NO_TOKEN)
        try:
            incoming.caller_id = runtime.tokens.verify(_bearer(given)).id
        except RdchatError:
            # Its key may have to be fetched, or its address counted: that is done behind its body.
            return
        admission.bodies.check(incoming.caller_id)

    return precheck


async def _handled(route: Route, call: Call) -> Answer | web.StreamResponse:
    """Have a call answered. What those change who oversee others is written down, around the change."""
    if route.recorded is None:
        return await route.handler(call)
    operator = call.operator
    if not permissions.is_overseer(call.caller):
        return await route.handler(call)
    kind, subject_type = route.recorded
    operator_log = call.runtime.operator_log
    action = await operator_log.begin(operator, kind, ActionSubject(subject_type, call.path["id"]))
    outcome: str = ErrorCode.INTERNAL
    try:
        answer = await route.handler(call)
        outcome = DONE
    except RdchatError as error:
        outcome = error.code
        raise
    finally:
        await operator_log.settle(action, outcome)
    return answer


async def _counted(route: Route, caller: Caller, runtime: Runtime) -> RateLimitStatus | None:
    if route.rate is None:
        return None
    limit_status = await runtime.rates.hit(route.rate, caller.id)
    if limit_status is not None and not limit_status.allowed:
        raise RdchatError(
            ErrorCode.RATE_LIMITED,
            retry_after=limit_status.resets_in,
            headers=_rate_limit_headers(route, limit_status),
        )
    return limit_status


def _rate_limit_headers(route: Route, limit_status: RateLimitStatus) -> dict[str, str]:
    """Show how much of a rate limit is left, by the header fields of draft-ietf-httpapi-ratelimit-headers."""
    return {
        "RateLimit-Policy": f'"{route.rate}";q={limit_status.limit};w={limit_status.window}',
        "RateLimit": f'"{route.rate}";r={limit_status.left};t={limit_status.resets_in}',
    }


def _placed(route: Route, admission: Admission) -> Callable[[Call], Awaitable[Answer | web.StreamResponse]]:
    """Make what has a call answered, which has a place meanwhile: the rest is up to us, not to its sender."""
    precedence = route.precedence if route.method in CHANGING else None

    async def answered(call: Call) -> Answer | web.StreamResponse:
        person_id = call.caller.id
        admission.enter(person_id, precedence)
        try:
            return await _handled(route, call)
        finally:
            admission.leave(person_id, precedence)

    async def answered_in_turn(call: Call) -> Answer | web.StreamResponse:
        async with admission.dear.turn(call.caller.id):
            return await answered(call)

    if route.public:
        return route.handler
    return answered_in_turn if route.dear else answered


def _body_loader(
    route: Route, admission: Admission
) -> Callable[[Incoming, Caller], Awaitable[dict[str, Any]]] | None:
    """Make what reads the body of a route, None where it has none that is JSON."""
    if route.body is None or route.admit is not None:
        return None
    schema = route.body()
    quick_load = loader(schema)
    largest = route.largest_body

    async def load(incoming: Incoming, caller: Caller) -> dict[str, Any]:
        if incoming.content.is_eof():
            return await load_body(schema, quick_load, incoming, largest=largest)
        with admission.bodies.place(caller.id):
            return await load_body(schema, quick_load, incoming, largest=largest)

    return load


class _FormRoute:
    """Reads the forms of a route, and has them answered."""

    def __init__(
        self,
        route: Route,
        schema: Schema,
        largest: int,
        answered: Callable[[Call], Awaitable[Answer | web.StreamResponse]],
    ) -> None:
        self._admit = route.admit
        self._schema = schema
        self._reader = FormReader(schema, largest=largest)
        self._answered = answered

    async def answer(self, incoming: Incoming, call: Call) -> Answer | web.StreamResponse:
        async def before_file(texts: dict[str, Any]) -> None:
            fields = self._schema.fields
            later = tuple(name for name in fields if (fields[name].data_key or name) not in texts)
            load = partial(self._schema.load, partial=later)
            if self._admit is not None:
                await self._admit(replace(call, body=load_checked(load, texts)))

        if incoming.web is None:
            raise RuntimeError("a form came by the way for bodies of JSON")
        async with self._reader.reading(incoming.web, before_file) as form:
            return await self._answered(replace(call, body=load_checked(self._schema.load, form)))


async def _caller(incoming: Incoming, runtime: Runtime, guards: Guards) -> Caller:
    token = _bearer(incoming.headers.getall("Authorization", ()))
    if not token:
        raise RdchatError(ErrorCode.UNAUTHENTICATED, reason=NO_TOKEN)
    try:
        caller = await runtime.tokens.verify_fetching(token)
    except RdchatError as error:
        if error.code is ErrorCode.UNAUTHENTICATED and not guards.strangers.failed(incoming.address):
            raise RdchatError(ErrorCode.RATE_LIMITED, retry_after=1) from error
        raise
    runtime.access.check(caller)
    return caller


def _bearer(given: Sequence[str]) -> str:
    """Return the token of a request by its headers `Authorization`; nothing if it has no usable one."""
    # Of two, a proxy may have looked at the other one.
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""


def _heeded(incoming: Incoming) -> Mapping[str, str]:
    """Return a request's headers, without a Range where it means nothing: of HEAD (RFC 9110, 14.2)."""
    if incoming.method != "HEAD" or "Range" not in incoming.headers:
        return incoming.headers
    heeded = incoming.headers.copy()
    del heeded["Range"]
    return heeded


def _path_id(text: str) -> UUID:
    try:
        return read_id(text)
    except ValueError as error:
        # What has no valid name does not exist.
        raise RdchatError(ErrorCode.NOT_FOUND) from error
