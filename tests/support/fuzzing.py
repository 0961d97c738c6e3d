"""What schemathesis is told about the service, and what it runs in its own process beside its own checks.

It is started as a command in a process of its own, with a configuration that is made from the route table;
this module is loaded there as its hooks.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import schemathesis

from handlers.openapi.responses import errors_of
from handlers.schemas.parts import PERSON_ID
from handlers.server.application import ROUTES
from rdchat.common.errors import ERRORS, ErrorCode
from tests.support.shapes import resolve

if TYPE_CHECKING:
    from handlers.http.routing import Route

#: What may be done to no one but the person of their examples: else schemathesis would lock itself out.
_STOPPING = frozenset({"put_person", "revoke_tokens", "erase_person", "hold_person"})
_TIMES = frozenset({"date", "startTime", "endTime", "endDate", "timezone", "startsAt", "endsAt"})
#: Rules that JSON Schema has no words for, by operation: the fields that are blamed when one is broken
#: although the request fits its schema.
BEYOND_SCHEMA: dict[str, frozenset[str]] = {
    # Said in one of two ways, in the future, the end after the start and not too far from it, a zone and a
    # psychologist that exist.
    "book_counseling": _TIMES | {"psychologistId"},
    "reschedule_counseling": _TIMES,
    # Another psychologist who exists.
    "reassign_counseling": frozenset({"psychologistId"}),
    # One of the two, a multiple of the step, and not too long in all.
    "extend_session": frozenset({"minutes", "endsAt"}),
    # A form that is none, a file that is none of the kinds that can be sent, or that comes before its session
    # from one who has no open chat.
    "upload_message": frozenset({"file", "body", "sessionId"}),
    # Hours that overlap, exceptions without the times that they need, a zone that exists.
    "put_availability": frozenset({"weekly", "exceptions", "timezone"}),
    # Three that belong together, and what a booking has to be.
    "list_psychologists": frozenset({"date", "startTime", "endTime", "timezone", "cursor"}),
    # A day not before another and not too far from it.
    "list_all_slots": frozenset({"to", "duration", "timezone"}),
    "list_slots": frozenset({"date", "duration", "timezone"}),
    "list_counselings": frozenset({"cursor", "from", "to", "timezone"}),
    "list_notifications": frozenset({"cursor"}),
    # Two ways of paging exclude each other.
    "get_history": frozenset({"before", "cursor"}),
    # Opaque: only the service knows which texts are cursors.
    # And only those who oversee others choose by who and when, by start alone.
    "list_sessions": frozenset(
        {"cursor", "order", "from", "to", "timezone", "clientId", "psychologistId", "organizationId"}
    ),
    "list_active_sessions": frozenset({"cursor"}),
    # The end after the start and not too far from it, a zone that exists.
    "get_report": frozenset({"from", "to", "timezone"}),
    # A zone that exists.
    "get_overview": frozenset({"timezone"}),
    "list_dead_letters": frozenset({"cursor"}),
    "list_dead_webhooks": frozenset({"cursor"}),
    "list_operator_actions": frozenset({"cursor"}),
    "list_audit": frozenset({"cursor", "from", "to", "timezone"}),
    "list_readers": frozenset({"cursor"}),
    # A zone that exists, and a name for a new one.
    "put_psychologist": frozenset({"fullName", "timezone"}),
}
#: What schemathesis itself lets a valid request be answered with.
_ACCEPTED = ("2xx", "401", "403", "404", "409", "429")
_SEEN = "FUZZING_SEEN"


def expected_of(route: Route) -> list[str]:
    """List the statuses that a request which fits its schema may be answered with.

    Chats that are not open are refused with 400, by contract; `refusals_are_in_the_contract` then looks at
    the code.
    """
    more = {str(ERRORS[code][0]) for code in route.errors}
    if route.idempotent:
        # One key for several requests, as schemathesis has it.
        more.add(str(ERRORS[ErrorCode.IDEMPOTENCY_MISMATCH][0]))
    if route.tagged:
        # No one makes up the tag of what is there.
        more |= {"304"} if route.method == "GET" else {str(ERRORS[ErrorCode.PRECONDITION_FAILED][0])}
    if route.ranged:
        more.add(str(ERRORS[ErrorCode.RANGE_NOT_SATISFIABLE][0]))
    if route.operation in BEYOND_SCHEMA:
        more.add(str(ERRORS[ErrorCode.VALIDATION_FAILED][0]))
    return [*_ACCEPTED, *sorted(more - set(_ACCEPTED))]


def configuration(
    document: dict[str, Any], directory: Path, *, auth: Path, user: str, peers: list[str]
) -> str:
    """Write a configuration for schemathesis (TOML).

    Half of the ids, dates and times that it makes up are those of the document's examples, so that it gets
    past the doors. `auth` names a file with tokens, `user` whose requests are made, and `peers` those whose
    things are to be kept apart.
    """
    bound = _bindings(document)
    words = sorted({text for of in bound.values() for text in of.values()})
    lines = [
        'hooks = "tests.support.fuzzing"',
        "seed = 20300115",
        "workers = 1",
        "continue-on-failure = true",
        "request-timeout = 10",
        'warnings = { fail-on = ["unsupported_regex", "unresolvable_reference", "dictionary_mismatch"] }',
        # That no text has a NUL, the document says in words: JSON Schema could by a pattern at each alone.
        'generation = { deterministic = true, database = "none", allow-x00 = false }',
        f"reports.directory = {json.dumps(str(directory / 'reports'))}",
        f"auth.wfc.path = {json.dumps(str(auth))}",
        f"auth.wfc.user = {json.dumps(user)}",
        *([f"auth.wfc.peers = {json.dumps(peers)}"] if peers else []),
        "[dictionaries]",
        *(f"word{number}.values = {json.dumps([word])}" for number, word in enumerate(words)),
    ]
    for route in ROUTES:
        lines += [
            "[[operations]]",
            f"include-operation-id = {json.dumps(route.operation)}",
            f"checks.positive_data_acceptance.expected-statuses = {json.dumps(expected_of(route))}",
        ]
        if route.operation in _STOPPING:
            lines.append(f'parameters."path.id" = "{PERSON_ID}"')
            del bound[route.operation]["path.id"]
        lines += [
            f'parameters."{name}" = {{ dictionary = "word{words.index(text)}", probability = 0.5 }}'
            for name, text in bound[route.operation].items()
        ]
    return "\n".join(lines)


def _bindings(document: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Find the parameters and fields of each operation whose example names something that exists."""
    found: dict[str, dict[str, str]] = {}
    for item in document["paths"].values():
        for operation in item.values():
            given = {f"{one['in']}.{one['name']}": one["schema"] for one in operation.get("parameters", ())}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = content["schema"]
                schema = resolve(document, schema["$ref"]) if "$ref" in schema else schema
                given |= {f"body.{name}": field for name, field in schema["properties"].items()}
            found[operation["operationId"]] = {
                name: schema["example"]
                for name, schema in given.items()
                if {"format", "pattern"} & schema.keys() and isinstance(schema.get("example"), str)
            }
    return found


def seen(path: Path) -> dict[str, dict[int, int]]:
    """Read how often each operation gave which status."""
    counts: dict[str, dict[int, int]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        operation, status = line.split()
        of = counts.setdefault(operation, {})
        of[int(status)] = of.get(int(status), 0) + 1
    return counts


def environment(path: Path) -> dict[str, str]:
    """Name the variables for schemathesis's process; what was answered is written to `path`."""
    return {"PYTHONPATH": str(Path(__file__).parents[2]), _SEEN: str(path)}


if _SEEN in os.environ:
    _routes = {route.operation: route for route in ROUTES}
    _codes = {route.operation: {str(code) for code in errors_of(route)} for route in ROUTES}

    @schemathesis.hook
    def after_call(context: Any, case: Any, response: Any) -> None:  # noqa: ARG001 - schemathesis's signature
        """Count what was answered."""
        with Path(os.environ[_SEEN]).open("a", encoding="utf-8") as file:
            file.write(f"{_operation(case)} {response.status_code}\n")

    @schemathesis.check
    def refusals_are_in_the_contract(ctx: Any, response: Any, case: Any) -> None:  # noqa: ARG001 - schemathesis's signature
        """Refuse with a code of the route, and what fits its schema only by a rule that is known."""
        operation = _operation(case)
        if operation not in _routes or case.method != _routes[operation].method or response.status_code < 400:
            return
        if "application/json" not in (response.headers.get("content-type") or [""])[0]:
            raise AssertionError("an error without an envelope")
        body = response.json()
        if body["code"] not in _codes[operation] | {ErrorCode.BAD_REQUEST, ErrorCode.NOT_FOUND}:
            raise AssertionError(f"{body['code']} is not among the errors of {operation}")
        fits = case.meta is not None and case.meta.generation.mode.is_positive
        if fits and body["code"] == ErrorCode.VALIDATION_FAILED:
            blamed = set(body["errors"]) - BEYOND_SCHEMA.get(operation, frozenset())
            if blamed:
                raise AssertionError(f"what fits the schema of {operation} was refused for {sorted(blamed)}")

    def _operation(case: Any) -> str:
        found: str = case.operation.definition.raw.get("operationId", "")
        return found
